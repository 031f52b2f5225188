/** Entry for runtimes with `node:fs`: Node, Deno, Bun. */

import { readFileSync } from "node:fs";

import { initSync } from "./leeward_wasm.js";
import { loadWith } from "./load.js";

loadWith(() => initSync({ module: readFileSync(new URL("./leeward_wasm_bg.wasm", import.meta.url)) }));

export * from "./api.js";
