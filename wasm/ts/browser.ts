/** Entry for browsers and everything else: fetches the module from beside this file. */

import init from "./leeward_wasm.js";
import { loadWith } from "./load.js";

loadWith(() => init());

export * from "./api.js";
