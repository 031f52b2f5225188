// What a user of the types writes, and what they must not let pass. It is checked, not run.

import { LeewardError, McpError, Replica, generateSigningKey, importSigningKey, webCryptoSigner } from "leeward";
import { createHandler } from "leeward/fetch";
import { browserVault, popup } from "leeward/browser";
import { fileVault, loopback } from "leeward/node";
import { Replica as InlineReplica } from "leeward/inline";
import wasm from "leeward/leeward.wasm";
import { init, Replica as SlimReplica } from "leeward/slim";
import type { Authorizer, CacheInfo, CallToolResult, Configuration, ErrorCode, ReplicaTransport, Rule, Stats, WithCache } from "leeward";

/** Fails to compile unless both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
const same = <A, B>(_: Same<A, B>): void => {};

const policy: readonly Rule[] = [{ tool: "get_*", rule: "cache; max-age=60" }];
const configuration: Configuration = { authority: { url: "https://crm.example/mcp" }, policy, limits: { maxFlights: 8 } };

const replica = await Replica.open({
  ...configuration,
  credentialFor: async (principal) => ({ token: principal ?? "nobody" }),
  fetch: (url, init) => fetch(url, { ...init, redirect: "manual" }),
  onEvent: (event) => event.type === "trip_failed" && console.error(event.code satisfies string),
  tools: [{ name: "now", handler: (_args, { signal }) => (signal.aborted ? "" : new Date().toISOString()) }],
});

// What the environment may not say is left out, also under `exactOptionalPropertyTypes`.
declare const said: string | undefined;
declare const signal: AbortSignal | undefined;
await Replica.open({ authority: said, policy: undefined, clock: undefined, tools: undefined, limits: { maxFlights: undefined } });
await Replica.open({ credentialFor: () => ({ token: "", identity: said }), onEvent: undefined });

// Authorization toward the authority: from the package, and of one's own.
const { key, jwk } = await generateSigningKey();
await Replica.open({
  authority: { url: "https://crm.example/mcp", oauth: { dpop: { key: "dpop", algorithm: "ES256", jwk }, clientName: said } },
  authorize: loopback({ open: (url, { principal }) => console.log(url, principal), port: undefined }),
  vault: fileVault("/tmp/grants"),
  sign: webCryptoSigner({ dpop: key, jwt: await importSigningKey("", "RS256") }),
});
const headless: Authorizer = {
  redirectUri: () => "https://app.example/callback",
  open: async (url, { signal }) => (signal.aborted ? url : { authorizationUrl: url }),
};
const records = new Map<string, Uint8Array>();
await Replica.open({
  authority: { url: "https://crm.example/mcp", oauth: { clients: [{ issuer: "https://as.example", clientId: "x" }] } },
  authorize: headless,
  vault: records,
  sign: async (_key, _algorithm, payload) => new Uint8Array(payload.length),
});
const inPage = { authorize: popup({ redirectUri: "/signed-in.html" }), vault: browserVault() };
inPage.authorize.prepare();
await Replica.open({ ...inPage, credentialFor: (_principal, { refused }) => refused?.challenge });
await replica.finishAuthorization("https://app.example/callback?code=x");
await replica.signOut({ principal: "ann" });

await replica.callTool("get_ticket", {}, { signal, principal: said, timeoutMs: undefined });
await replica.listTools({ signal, cursor: said });
replica.transport({ principal: said });
replica.tool({ name: "later", inputSchema: undefined, rule: said, handler: () => "" });

const ticket = await replica.callTool("get_ticket", { id: 1 }, { signal: AbortSignal.abort(), principal: null });
same<typeof ticket, CallToolResult>(true);
const answered = await replica.callToolWithCache("get_ticket");
same<typeof answered, WithCache<CallToolResult>>(true);
same<CacheInfo["status"], "hit" | "miss" | "stale" | "bypass" | "local">(true);
const peeked: CallToolResult | undefined = replica.peekTool("get_ticket", { id: 1 });
const transport: ReplicaTransport = replica.transport({ principal: "ann" });
const { hits }: Stats = replica.stats();
await replica.close();

try {
  await using scoped = await Replica.open();
  scoped.invalidate();
} catch (error) {
  if (error instanceof McpError) same<typeof error.rpcCode, number>(true);
  if (error instanceof LeewardError) same<typeof error.code, ErrorCode>(true);
}

same<typeof InlineReplica, typeof Replica>(true);
same<typeof SlimReplica, typeof Replica>(true);
await init(wasm);
await init(fetch("https://crm.example/leeward.wasm"));

const handler = createHandler({ ...configuration, tokens: { "0123456789abcdef": "ann" } });
same<Parameters<typeof handler>, [request: Request]>(true);
same<ReturnType<typeof handler>, Promise<Response>>(true);
// @ts-expect-error Principals are strings.
createHandler({ tokens: { "0123456789abcdef": 7 } });

// @ts-expect-error A rule names a tool or a resource, not both.
const both: Rule = { tool: "a", resource: "b", rule: "live" };
// @ts-expect-error An instance comes from `open`.
new Replica();
// @ts-expect-error What a call was answered is shared.
answered.result = ticket;
// @ts-expect-error An option of another type.
await Replica.open({ principal: 7 });

export { both, hits, peeked, transport };
