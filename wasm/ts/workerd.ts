/** Entry for workerd, which compiles wasm only from static imports. */

// @ts-expect-error There are no types for it under this name: it is the module.
import wasm from "./leeward_wasm_bg.wasm";
import { loadWith } from "./load.js";

loadWith(() => wasm as WebAssembly.Module);

export * from "./api.js";
