// The built worker in workerd, started anew for each `open` (see orders.mjs). The suite speaks HTTP to it itself.
//
// LEEWARD_WORKER_BUILD names the directory of the build; by default it is the one of `cargo xtask build worker`.

import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Miniflare } from "miniflare";
import workerd from "workerd";

import { serve } from "./lines.mjs";

const root = new URL("../../", import.meta.url);
const build = process.env.LEEWARD_WORKER_BUILD
  ? pathToFileURL(`${process.env.LEEWARD_WORKER_BUILD}/`)
  : new URL("worker-js/build/", root);
const contents = (name, encoding) => readFile(new URL(name, build), encoding);

const toml = await readFile(new URL("wrangler.toml", root), "utf8");
const setting = (key) => JSON.parse(toml.match(new RegExp(`^${key} = (.*)$`, "m"))[1]);
const config = {
  name: "leeward",
  compatibilityDate: setting("compatibility_date"),
  compatibilityFlags: setting("compatibility_flags"),
  manifest: {
    mainModule: "worker.mjs",
    modulesRoot: fileURLToPath(build),
    modules: {
      "worker.mjs": { type: "esm", contents: await contents("worker.mjs", "utf8") },
      "index_bg.wasm": { type: "wasm", contents: await contents("index_bg.wasm") },
    },
  },
};

const text = (value) => ({ type: "text", value });
const options = (env) => ({
  host: "127.0.0.1",
  port: 0,
  cf: false,
  enableDevRegistry: false,
  handleStructuredLogs: () => {},
  handleUncaughtError: (error) => process.stderr.write(`uncaught: ${error.stack ?? error}\n`),
  // Straight to the worker: the simulator's own front would rewrite errors.
  workers: [{ config: { ...config, env }, dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] } }],
});

let runtime;
await serve({
  async about() {
    return { runtime: execFileSync(workerd.default, ["--version"], { encoding: "utf8" }).trim(), entry: "worker.mjs" };
  },

  async open({ config: configuration, tokens }) {
    const env = { LEEWARD_CONFIG: text(configuration), LEEWARD_TOKENS: text(JSON.stringify(tokens)) };
    if (runtime === undefined) runtime = new Miniflare(options(env));
    else await runtime.setOptions(options(env));
    await runtime.ready;
    return { origin: (await runtime.unsafeGetDirectURL()).origin };
  },
});
await runtime?.dispose();
