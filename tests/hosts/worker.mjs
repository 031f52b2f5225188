// The built worker in workerd, started anew for each `open` (see orders.mjs). The suite speaks HTTP to it itself.
//
// It has no Durable Objects: the suite expects of a host that it is one replica. What lives in them is tried by ../http and
// ../worker.
//
// LEEWARD_WORKER_BUILD names the directory of the build; by default it is the one of `cargo xtask build worker`.

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

import { serve } from "./lines.mjs";
import { start, version } from "./miniflare.mjs";

const build = process.env.LEEWARD_WORKER_BUILD
  ? pathToFileURL(`${process.env.LEEWARD_WORKER_BUILD}/`)
  : new URL("../../worker-js/build/", import.meta.url);
const modules = {
  "worker.mjs": { type: "esm", contents: await readFile(new URL("worker.mjs", build), "utf8") },
  "index_bg.wasm": { type: "wasm", contents: await readFile(new URL("index_bg.wasm", build)) },
};

let runtime;
await serve({
  async about() {
    return { runtime: version, entry: "worker.mjs" };
  },

  async open({ config, tokens }) {
    const text = { LEEWARD_CONFIG: config, LEEWARD_TOKENS: JSON.stringify(tokens) };
    const started = await start(modules, text, runtime);
    runtime = started.runtime;
    return { origin: started.url };
  },
});
await runtime?.dispose();
