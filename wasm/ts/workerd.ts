/** Entry for workerd, which compiles wasm only from static imports. */

import { initSync } from "./leeward_wasm.js";
// @ts-expect-error The generated types describe an instance's exports; here the import is the module.
import wasm from "./leeward_wasm_bg.wasm";
import { loadWith } from "./load.js";

loadWith(() => initSync({ module: wasm as WebAssembly.Module }));

export * from "./api.js";
