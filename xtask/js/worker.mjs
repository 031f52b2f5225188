// Starts the built worker in workerd, for `cargo xtask serve` and for tests.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { importPart } from "./parts.mjs";

const root = new URL("../../", import.meta.url);
const build = new URL("worker-js/build/", root);

/**
 * Resolves when the worker listens on 127.0.0.1.
 *
 * @param {object} options
 * @param {number} [options.port] zero, the default, lets the system choose.
 * @param {object | string} [options.config] becomes LEEWARD_CONFIG; a string goes as it is.
 * @param {Record<string, string>} [options.tokens] bearer token -> principal; becomes LEEWARD_TOKENS unless empty.
 * @param {(level: string, message: string) => void} [options.log] takes what the worker logs.
 * @returns {Promise<{ url: string, origin: string, close: () => Promise<void> }>} `url` is the MCP endpoint.
 */
export async function startWorker({ port = 0, config, tokens = {}, log = logToStderr } = {}) {
  const { Miniflare } = await importPart("miniflare");
  const text = (value) => ({ type: "text", value });
  const env = { LEEWARD_SESSIONS: { type: "durable-object", worker: "leeward", exportName: "LeewardSessions" } };
  if (config !== undefined) env.LEEWARD_CONFIG = text(typeof config === "string" ? config : JSON.stringify(config));
  if (Object.keys(tokens).length > 0) env.LEEWARD_TOKENS = text(JSON.stringify(tokens));
  const runtime = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    enableDevRegistry: false,
    handleStructuredLogs: ({ level, message }) => log(level, message),
    handleUncaughtError: (error) => log("error", error.stack ?? String(error)),
    workers: [
      {
        config: {
          name: "leeward",
          ...(await compatibility()),
          manifest: {
            mainModule: "worker.mjs",
            modulesRoot: fileURLToPath(build),
            modules: {
              "worker.mjs": { type: "esm", contents: await readFile(new URL("worker.mjs", build), "utf8") },
              "index_bg.wasm": { type: "wasm", contents: await readFile(new URL("index_bg.wasm", build)) },
            },
          },
          exports: { LeewardSessions: { type: "durable-object", storage: "sqlite" } },
          env,
        },
        // Straight to the worker: the simulator's own front would rewrite errors and hide how connections end.
        dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port }] },
      },
    ],
  });
  await runtime.ready;
  const { origin } = await runtime.unsafeGetDirectURL();
  return { url: `${origin}/mcp`, origin, close: () => runtime.dispose() };
}

/** What wrangler.toml says of the runtime, so that it is said once. */
async function compatibility() {
  const toml = await readFile(new URL("wrangler.toml", root), "utf8");
  const value = (key) => JSON.parse(toml.match(new RegExp(`^${key} = (.*)$`, "m"))[1]);
  return { compatibilityDate: value("compatibility_date"), compatibilityFlags: value("compatibility_flags") };
}

function logToStderr(level, message) {
  process.stderr.write(`${level}: ${message}\n`);
}
