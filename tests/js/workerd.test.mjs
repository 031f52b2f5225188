// The package in the Workers runtime, through a bundler. The simulator needs Node 22.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Authority } from "./support/authority.mjs";

const DIST = new URL("../../wasm/dist/", import.meta.url);
const HANDLER = `
  import { createHandler } from "${fileURLToPath(new URL("fetch.js", DIST))}";
  export default {
    async fetch(request, env) {
      try {
        return createHandler({ authority: env.AUTHORITY });
      } catch (error) {
        return Response.json([error.code, error.message]);
      }
    },
  };
`;
const WASM = "leeward_wasm_bg.wasm";
/** A worker that takes the package from one of its entries. */
const worker = (entry, setup = "") => `
  import * as leeward from "${fileURLToPath(new URL(entry, DIST))}";
  ${setup}
  let replica;
  export default {
    async fetch(request, env) {
      replica ??= await leeward.Replica.open({
        authority: env.AUTHORITY,
        policy: [{ tool: "echo", rule: "cache;max-age=60" }],
        tools: [{ name: "hi", handler: () => "hi" }],
      });
      const local = await replica.callTool("hi");
      const { result, cache } = await replica.callToolWithCache("echo", { id: 7 });
      return Response.json([local.content[0].text, result.structuredContent.arguments.id, cache.status]);
    },
  };
`;
/** A worker that hands over bytes, which this runtime does not compile. */
const BYTES = `
  import { init } from "${fileURLToPath(new URL("slim.js", DIST))}";
  export default {
    async fetch() {
      const error = await init(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)).catch((error) => error);
      return Response.json([error.code, error.data.field, error.message]);
    },
  };
`;

/** Runs a worker's code in the simulator; asks it. */
async function start(t, contents, authority) {
  const { build } = await import("esbuild");
  const { Miniflare } = await import("miniflare");
  const bundle = await build({
    stdin: { contents, resolveDir: fileURLToPath(DIST) },
    bundle: true,
    format: "esm",
    conditions: ["workerd"],
    external: ["*.wasm"],
    write: false,
  });
  const runtime = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    enableDevRegistry: false,
    workers: [
      {
        config: {
          name: "package",
          compatibilityDate: "2026-01-01",
          env: { AUTHORITY: { type: "text", value: authority } },
          manifest: {
            mainModule: "worker.mjs",
            modulesRoot: fileURLToPath(DIST),
            modules: {
              "worker.mjs": { type: "esm", contents: bundle.outputFiles[0].text },
              [WASM]: { type: "wasm", contents: await readFile(new URL(WASM, DIST)) },
            },
          },
        },
      },
    ],
  });
  t.after(() => runtime.dispose());
  return async () => (await runtime.dispatchFetch("http://worker.test/")).json();
}

if (Number(process.versions.node.split(".")[0]) >= 22) {
  for (const [name, code] of [
    ["its entry", worker("workerd.js")],
    ["slim and a module of its own", worker("slim.js", `import wasm from "./${WASM}"; leeward.init(wasm);`)],
  ]) {
    test(`a worker answers from its isolate, by ${name}`, async (t) => {
      const authority = await Authority.start();
      t.after(() => authority.close());
      const ask = await start(t, code, authority.url);
      assert.deepEqual(await ask(), ["hi", 7, "miss"]);
      assert.deepEqual(await ask(), ["hi", 7, "hit"]);
      assert.equal(authority.count("tools/call echo"), 1);
    });
  }

  test("a runtime that compiles no bytes says what to do", async (t) => {
    const ask = await start(t, BYTES, "");
    const [code, field, message] = await ask();
    assert.deepEqual([code, field], ["config_invalid", "module"]);
    assert.match(message, /compiled WebAssembly\.Module/);
  });

  test("a worker is told that the endpoint is not for it", async (t) => {
    const [code, message] = await (await start(t, HANDLER, "http://127.0.0.1:9/mcp"))();
    assert.equal(code, "config_invalid");
    assert.match(message, /leeward-worker/);
  });
}
