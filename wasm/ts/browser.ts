/** Entry for browsers, bundlers and everything else: fetches the module from beside this file. */

import { loadWith } from "./load.js";

// Not before it is needed: where a bundler left no `import.meta`, another loader may have been chosen.
loadWith(() => fetch(new URL("./leeward_wasm_bg.wasm", import.meta.url)));

export * from "./api.js";
