/**
 * What a replica with `authority.oauth` needs of runtimes with Node's modules (Node, Deno, Bun): the browser of whoever
 * sits at this machine, and a place for grants.
 *
 * @example
 * ```ts
 * import { Replica } from "leeward";
 * import { fileVault, loopback } from "leeward/node";
 *
 * const replica = await Replica.open({
 *   authority: { url: "https://crm.example/mcp", oauth: {} },
 *   authorize: loopback(),
 *   vault: fileVault("/home/ann/.config/my-agent/grants"),
 * });
 * ```
 * @packageDocumentation
 */

export { fileVault } from "./file_vault.js";
export { loopback } from "./loopback.js";
export type { LoopbackOptions } from "./loopback.js";
