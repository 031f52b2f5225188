// The package in the Workers runtime, through its `workerd` entry and a bundler. The simulator needs Node 22.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Authority } from "./support/authority.mjs";

const DIST = new URL("../../wasm/dist/", import.meta.url);
const WORKER = `
  import { Replica } from "${fileURLToPath(new URL("workerd.js", DIST))}";
  let replica;
  export default {
    async fetch(request, env) {
      replica ??= await Replica.open({
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

if (Number(process.versions.node.split(".")[0]) >= 22) {
  test("a worker answers from its isolate", async (t) => {
    const { build } = await import("esbuild");
    const { Miniflare } = await import("miniflare");
    const bundle = await build({
      stdin: { contents: WORKER, resolveDir: fileURLToPath(DIST) },
      bundle: true,
      format: "esm",
      external: ["*.wasm"],
      write: false,
    });
    const authority = await Authority.start();
    t.after(() => authority.close());
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
            env: { AUTHORITY: { type: "text", value: authority.url } },
            manifest: {
              mainModule: "worker.mjs",
              modulesRoot: fileURLToPath(DIST),
              modules: {
                "worker.mjs": { type: "esm", contents: bundle.outputFiles[0].text },
                "leeward_wasm_bg.wasm": {
                  type: "wasm",
                  contents: await readFile(new URL("leeward_wasm_bg.wasm", DIST)),
                },
              },
            },
          },
        },
      ],
    });
    t.after(() => runtime.dispose());
    const ask = async () => (await runtime.dispatchFetch("http://worker.test/")).json();
    assert.deepEqual(await ask(), ["hi", 7, "miss"]);
    assert.deepEqual(await ask(), ["hi", 7, "hit"]);
    assert.equal(authority.count("tools/call echo"), 1);
  });
}
