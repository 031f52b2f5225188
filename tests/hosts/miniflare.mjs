// workerd, by Miniflare.

import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";

import { Miniflare } from "miniflare";
import workerd from "workerd";

const toml = await readFile(new URL("../../wrangler.toml", import.meta.url), "utf8");
const setting = (key) => JSON.parse(toml.match(new RegExp(`^${key} = (.*)$`, "m"))[1]);

/** The name and version of the runtime. */
export const version = execFileSync(workerd.default, ["--version"], { encoding: "utf8" }).trim();

/** Runs a worker of these modules, the first of which is its main one; `text` gives its variables. */
export async function start(modules, text, runtime) {
  const env = Object.fromEntries(Object.entries(text).map(([name, value]) => [name, { type: "text", value }]));
  const [mainModule] = Object.keys(modules);
  const config = {
    name: "leeward",
    compatibilityDate: setting("compatibility_date"),
    compatibilityFlags: setting("compatibility_flags"),
    env,
    manifest: { mainModule, modulesRoot: "/", modules },
  };
  const options = {
    host: "127.0.0.1",
    port: 0,
    cf: false,
    enableDevRegistry: false,
    handleStructuredLogs: () => {},
    handleUncaughtError: (error) => process.stderr.write(`uncaught: ${error.stack ?? error}\n`),
    // Straight to the worker: the simulator's own front would rewrite errors.
    workers: [{ config, dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] } }],
  };
  if (runtime === undefined) runtime = new Miniflare(options);
  else await runtime.setOptions(options);
  await runtime.ready;
  return { runtime, url: (await runtime.unsafeGetDirectURL()).origin };
}
