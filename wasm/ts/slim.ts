/**
 * Entry without a module of its own: the program hands it over by {@link init}.
 *
 * @packageDocumentation
 */

export * from "./api.js";
export { init } from "./load.js";
export type { ModuleSource } from "./load.js";
