// The package as others import it: by its name, through its `exports`, in every runtime's condition.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../wasm/", import.meta.url));
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** Runs a module in a project whose one dependency is the package; what it prints. */
function run(t, code, ...flags) {
  const project = mkdtempSync(join(tmpdir(), "leeward-"));
  t.after(() => rmSync(project, { recursive: true }));
  mkdirSync(join(project, "node_modules"));
  symlinkSync(ROOT, join(project, "node_modules", "leeward"), "junction");
  const args = ["--input-type=module", ...flags, "--eval", code];
  return execFileSync(process.execPath, args, { cwd: project, encoding: "utf8" }).trim();
}

test("it opens by its name, and lets the process end", (t) => {
  const code = `
    import { Replica, LeewardError, McpError } from "leeward";
    const replica = await Replica.open({ authority: "http://127.0.0.1:9/mcp", tools: [{ name: "hi", handler: () => "hi" }] });
    console.log((await replica.callTool("hi")).content[0].text, new LeewardError("closed", "x").name, McpError.name);
  `;
  assert.equal(run(t, code), "hi LeewardError McpError");
});

/** All files that a target of `exports` or `imports` names, in the order of its conditions. */
const files = (target) => (typeof target === "string" ? [target] : Object.values(target).flatMap(files));

test("every runtime has its entry", (t) => {
  const resolve = 'console.log(import.meta.resolve("leeward").split("/").pop())';
  assert.equal(run(t, resolve), "node.js");
  assert.equal(run(t, resolve, "--conditions=workerd"), "workerd.js");
  const conditions = manifest.exports["."];
  assert.deepEqual(Object.keys(conditions), ["types", "workerd", "deno", "bun", "node", "browser", "default"]);
  for (const target of files([manifest.exports, manifest.imports])) assert.ok(existsSync(join(ROOT, target)), target);
});

test("what lies within the package takes the entry of its runtime", () => {
  const { browser, ...conditions } = manifest.exports["."];
  assert.deepEqual(manifest.imports["#entry"], conditions);
  assert.equal(browser, conditions.default);
});

test("an entry with a loader is kept by bundlers, and no other file asks for that", () => {
  const dist = readdirSync(join(ROOT, "dist")).filter((file) => file.endsWith(".js"));
  const loading = dist.filter((file) => /^loadWith\(/m.test(readFileSync(join(ROOT, "dist", file), "utf8")));
  assert.deepEqual(manifest.sideEffects.toSorted(), loading.map((file) => `./dist/${file}`));
});

test("slim and inline name no file that a bundler would emit", async () => {
  const { build } = await import("esbuild");
  for (const [entry, size] of [["slim", 150_000], ["inline", 960_000]]) {
    const entryPoints = [join(ROOT, "dist", `${entry}.js`)];
    const options = { bundle: true, format: "esm", minify: true, write: false, platform: "neutral" };
    const [{ text }] = (await build({ ...options, entryPoints })).outputFiles;
    assert.doesNotMatch(text, /import\.meta|_bg\.wasm"|import\(/, entry);
    assert.ok(text.length < size, `${entry}: ${text.length}`);
  }
});

test("each thread has a package of its own", (t) => {
  const code = `
    import { Worker } from "node:worker_threads";
    import { Replica } from "leeward";
    const within = "import { parentPort } from 'node:worker_threads'; import { Replica } from 'leeward';" +
      "await Replica.open(); parentPort.postMessage('open');";
    const replica = await Replica.open({ tools: [{ name: "hi", handler: () => "hi" }] });
    const heard = [1, 2].map(() => new Promise((resolve, reject) => {
      new Worker(within, { eval: true }).on("message", resolve).on("error", reject);
    }));
    console.log(...(await Promise.all(heard)), (await replica.callTool("hi")).content[0].text);
  `;
  assert.equal(run(t, code), "open open hi");
});

test("CommonJS has it by import()", (t) => {
  const code = 'import("leeward").then(async ({ Replica }) => console.log((await Replica.open()).stats().hits))';
  assert.equal(run(t, code, "--input-type=commonjs"), "0");
});

test("its wasm is of the version of its manifest", async (t) => {
  const code = `
    import { readFile } from "node:fs/promises";
    const module = await WebAssembly.compile(await readFile(new URL(import.meta.resolve("leeward/leeward.wasm"))));
    const [section] = WebAssembly.Module.customSections(module, "leeward.version");
    console.log(new TextDecoder().decode(section));
  `;
  assert.equal(run(t, code), manifest.version);
  const { VERSION } = await import("../../wasm/dist/version.js");
  assert.equal(VERSION, manifest.version);
});

test("the endpoint opens by its name, with the runtime's entry", (t) => {
  const code = `
    import { createHandler } from "leeward/fetch";
    const handler = createHandler({ authority: "http://127.0.0.1:9/mcp" });
    console.log((await (await handler(new Request("http://x/healthz"))).json()).status);
  `;
  assert.equal(run(t, code), "ok");
});

test("its schema is that of the repository", (t) => {
  const code = `
    import { readFileSync } from "node:fs";
    process.stdout.write(readFileSync(new URL(import.meta.resolve("leeward/leeward.schema.json")), "utf8"));
  `;
  assert.equal(run(t, code), readFileSync(join(ROOT, "../leeward.schema.json"), "utf8").trim());
});
