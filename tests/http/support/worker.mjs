// The built worker in workerd, any number of times in one process, each with bindings of its own.

import { readFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Miniflare } from "miniflare";

const root = new URL("../../../", import.meta.url);
/** Where `cargo xtask build worker` puts it, unless LEEWARD_WORKER_BUILD names another directory. */
const build = process.env.LEEWARD_WORKER_BUILD
  ? pathToFileURL(`${process.env.LEEWARD_WORKER_BUILD}/`)
  : new URL("worker-js/build/", root);

/**
 * Starts one worker per member of `deployments`, a table of name -> bindings. A binding is text; an object becomes JSON
 * text, and `{ json: value }` a binding that is a value itself. With `sessions` it has objects to keep them in, which are
 * made by their first request if that is "late", and are those of the worker that `objectsOf` names.
 *
 * They listen on sockets of their own: the simulator's front would hide how a client's connection ends.
 */
export async function startWorkers(deployments) {
  const logs = [];
  const manifest = {
    mainModule: "worker.mjs",
    modulesRoot: fileURLToPath(build),
    modules: {
      "worker.mjs": { type: "esm", contents: await readFile(new URL("worker.mjs", build), "utf8") },
      "late.mjs": { type: "esm", contents: LATE },
      "index_bg.wasm": { type: "wasm", contents: await readFile(new URL("index_bg.wasm", build)) },
    },
  };
  const compatibility = await readCompatibility();
  const runtime = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    enableDevRegistry: false,
    handleStructuredLogs: ({ level, message }) => logs.push({ level, message }),
    handleUncaughtError: (error) => logs.push({ level: "uncaught", message: String(error.stack ?? error) }),
    workers: [...Object.entries(deployments).map(([name, bindings]) => ({
      config: {
        name,
        ...compatibility,
        manifest: bindings.sessions === "late" ? { ...manifest, mainModule: "late.mjs" } : manifest,
        exports: { LeewardSessions: OBJECT },
        env: bindingsOf(name, bindings),
      },
      dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
    })), abort, front(Object.keys(deployments))],
  });
  await runtime.ready;
  const listening = async (name) => {
    const { hostname, port } = await runtime.unsafeGetDirectURL(name);
    return { hostname, port: Number(port) };
  };
  const workers = {};
  for (const name of Object.keys(deployments)) workers[name] = await listening(name);
  return {
    ...workers,
    logs,
    /** The names of a worker's objects. */
    objects: (name) => runtime.listDurableObjectIds("LeewardSessions", name),
    /** Where requests arrive that came over https, to the URL in their header `front-url`, at the worker `front-worker`. */
    front: await listening("front"),
    /** Ends every object at once, as the runtime may at any time: with its memory, without what it stored. */
    async abortObjects() {
      const { origin } = await runtime.unsafeGetDirectURL("abort");
      await fetch(origin);
    },
    close: () => runtime.dispose(),
  };
}

/** Objects as they are made again after the instance was lost that they were made in: for a request that is there. */
const LATE = `import { LeewardSessions as Sessions } from "./worker.mjs";
  export { default } from "./worker.mjs";
  export class LeewardSessions {
    #made;
    #sessions;
    constructor(...made) {
      this.#made = made;
    }
    fetch(request) {
      this.#sessions ??= new Sessions(...this.#made);
      return this.#sessions.fetch(request);
    }
  }`;

/** Beside the workers, with what only tests are allowed. */
const abort = {
  config: {
    name: "abort",
    compatibilityDate: "2026-11-01",
    compatibilityFlags: ["unsafe_module"],
    manifest: {
      mainModule: "abort.mjs",
      modulesRoot: "/",
      modules: {
        "abort.mjs": {
          type: "esm",
          contents: `import unsafe from "workerd:unsafe";
            export default {
              async fetch() {
                await unsafe.abortAllDurableObjects();
                return new Response();
              },
            };`,
        },
      },
    },
  },
  dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
};

/** Before the workers, as whoever ends TLS is. */
const front = (names) => ({
  config: {
    name: "front",
    compatibilityDate: "2026-11-01",
    manifest: {
      mainModule: "front.mjs",
      modulesRoot: "/",
      modules: {
        "front.mjs": {
          type: "esm",
          contents: `export default {
              fetch(request, env) {
                const { method, body } = request;
                const headers = new Headers(request.headers);
                const [worker, url] = ["front-worker", "front-url"].map((name) => headers.get(name));
                return env[worker].fetch(url, { method, headers, body, redirect: "manual" });
              },
            };`,
        },
      },
    },
    env: Object.fromEntries(names.map((worker) => [worker, { type: "worker", worker }])),
  },
  dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
});

/** As wrangler.toml has it. */
const OBJECT = { type: "durable-object", storage: "sqlite" };

function bindingsOf(name, { sessions = false, objectsOf: worker = name, ...bindings }) {
  const binding = (value) => {
    if (typeof value === "string") return { type: "text", value };
    return "json" in value ? { type: "json", value: value.json } : { type: "text", value: JSON.stringify(value) };
  };
  const env = Object.fromEntries(Object.entries(bindings).map(([name, value]) => [name, binding(value)]));
  if (sessions) env.LEEWARD_SESSIONS = { type: "durable-object", worker, exportName: "LeewardSessions" };
  return env;
}

/** What wrangler.toml says of the runtime, so that it is said once. */
async function readCompatibility() {
  const toml = await readFile(new URL("wrangler.toml", root), "utf8");
  const value = (key) => JSON.parse(toml.match(new RegExp(`^${key} = (.*)$`, "m"))[1]);
  return { compatibilityDate: value("compatibility_date"), compatibilityFlags: value("compatibility_flags") };
}
