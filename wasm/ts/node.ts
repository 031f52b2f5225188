/** Entry for runtimes with `node:fs`: Node, Deno, Bun. */

import { readFileSync } from "node:fs";

import { loadWith } from "./load.js";

loadWith(() => readFileSync(new URL("./leeward_wasm_bg.wasm", import.meta.url)));

export * from "./api.js";
