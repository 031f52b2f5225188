// Projects on the other runtimes.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { Miniflare } from "miniflare";

import { getsHit, printsHit, signsIn } from "./support/hit.mjs";
import { folder, node, project, run, tool } from "./support/package.mjs";

const { platform, arch } = process;
const DENO = tool(`@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}/deno`);
const BUN = tool(`@oven/bun-${platform}-${arch === "arm64" ? "aarch64" : arch}/bin/bun`);

test("Deno runs it", async (t) => {
  const cwd = await project(t, "deno");
  const env = { DENO_DIR: await folder(t), DENO_NO_UPDATE_CHECK: "1" };
  const rights = ["--cached-only", "--allow-read=.", "--allow-net=127.0.0.1"];
  await printsHit(t, (authority) => run(DENO, ["run", ...rights, "main.js", authority], { cwd, env, signal: t.signal }));
});

test("Bun runs it", async (t) => {
  const cwd = await project(t, "bun");
  await printsHit(t, (authority) => run(BUN, ["run", "main.js", authority], { cwd, signal: t.signal }));
});

test("Deno has its vault and its listener", async (t) => {
  const cwd = await project(t, "deno");
  const env = { DENO_DIR: await folder(t), DENO_NO_UPDATE_CHECK: "1" };
  const rights = ["--cached-only", "--allow-read=.", "--allow-write=.", "--allow-net=127.0.0.1"];
  await signsIn((vault) => run(DENO, ["run", ...rights, "sign_in.js", vault], { cwd, env, signal: t.signal }));
});

test("Bun has its vault and its listener", async (t) => {
  const cwd = await project(t, "bun");
  await signsIn((vault) => run(BUN, ["run", "sign_in.js", vault], { cwd, signal: t.signal }));
});

// One executable, which finds nothing beside it.
test("Bun compiles it", async (t) => {
  const cwd = await project(t, "bun");
  const program = join(await folder(t), "program");
  await run(BUN, ["build", "inline.js", "--compile", `--outfile=${program}`], { cwd, signal: t.signal });
  await printsHit(t, (authority) => run(program, [authority], { signal: t.signal }));
});

for (const entry of ["main.js", "slim.js"]) {
  test(`wrangler bundles ${entry} for workerd`, async (t) => {
    const cwd = await project(t, "wrangler");
    const args = ["deploy", entry, "--dry-run", "--outdir", "dist"];
    await node([tool("wrangler/bin/wrangler.js"), ...args], { cwd, signal: t.signal });
    await getsHit(t, async (authority) => {
      const config = {
        name: "wrangler-app",
        compatibilityDate: "2026-11-01",
        env: { AUTHORITY: { type: "text", value: authority } },
        manifest: { mainModule: entry, modulesRoot: join(cwd, "dist"), modules: await modules(join(cwd, "dist")) },
      };
      const runtime = new Miniflare({ host: "127.0.0.1", port: 0, cf: false, enableDevRegistry: false, workers: [{ config }] });
      t.after(() => runtime.dispose());
      return (await runtime.dispatchFetch("http://worker.test/")).json();
    });
  });
}

/** What wrangler would upload from that folder. */
async function modules(folder) {
  const found = {};
  for (const name of await readdir(folder)) {
    const contents = await readFile(join(folder, name));
    if (name.endsWith(".js")) found[name] = { type: "esm", contents: contents.toString() };
    if (name.endsWith(".wasm")) found[name] = { type: "wasm", contents };
  }
  return found;
}
