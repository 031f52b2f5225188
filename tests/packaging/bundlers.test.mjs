// What bundlers make: pages in headless Chromium, and programs for Node.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { createServer } from "vite";

import { printsHit } from "./support/hit.mjs";
import { showsHit, siteShowsHit } from "./support/page.mjs";
import { folder, node, project, tool } from "./support/package.mjs";

const PAGE = '<!doctype html><script type="module" src="/assets/main.js"></script>';

for (const [how, name] of Object.entries({ "by itself": "vite", "with the wasm by its URL": "vite-slim" })) {
  test(`Vite builds a page, ${how}`, async (t) => {
    const cwd = await project(t, name);
    await node([tool("vite/bin/vite.js"), "build"], { cwd, signal: t.signal });
    await siteShowsHit(t, join(cwd, "dist/assets"), await readFile(join(cwd, "dist/index.html"), "utf8"));
  });
}

test("webpack builds a page", async (t) => {
  const cwd = await project(t, "webpack");
  const args = ["--mode", "production", "--entry", "./main.js", "--output-path", "dist"];
  await node([tool("webpack/bin/webpack.js"), ...args], { cwd, signal: t.signal });
  await siteShowsHit(t, join(cwd, "dist"), PAGE);
});

test("Vite serves a page while it is worked on", async (t) => {
  const root = await project(t, "vite");
  const server = await createServer({ root, configFile: false, logLevel: "error", server: { host: "127.0.0.1", port: 0 } });
  t.after(() => server.close());
  await server.listen();
  await showsHit(t, server.resolvedUrls.local[0]);
});

for (const [entry, ...loader] of [["main.js"], ["slim.js", "--loader:.wasm=binary"]]) {
  test(`esbuild builds a page from ${entry}`, async (t) => {
    const cwd = await project(t, "esbuild");
    const args = [entry, "--bundle", "--minify", "--format=esm", "--outfile=dist/main.js", ...loader];
    await node([tool("esbuild/bin/esbuild"), ...args], { cwd, signal: t.signal });
    await siteShowsHit(t, join(cwd, "dist"), PAGE);
  });
}

// One CommonJS file, in a folder of its own: it finds nothing beside it.
test("esbuild builds a file for Node", async (t) => {
  const cwd = await project(t, "node-bundle");
  const outfile = join(await folder(t), "main.cjs");
  const args = ["inline.js", "--bundle", "--platform=node", "--format=cjs", `--outfile=${outfile}`];
  await node([tool("esbuild/bin/esbuild"), ...args], { cwd, signal: t.signal });
  await printsHit(t, (authority) => node([outfile, authority], { signal: t.signal }));
});

test("webpack builds for Node", async (t) => {
  const cwd = await project(t, "node-bundle");
  const path = await folder(t);
  const args = ["--target", "node", "--mode", "production", "--entry", "./file.js", "--output-path", path];
  await node([tool("webpack/bin/webpack.js"), ...args, "--output-filename", "main.cjs"], { cwd, signal: t.signal });
  await printsHit(t, (authority) => node([join(path, "main.cjs"), authority], { signal: t.signal }));
});
