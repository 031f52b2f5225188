// The package as others import it: by its name, through its `exports`, in every runtime's condition.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
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
  const args = [...flags, "--input-type=module", "--eval", code];
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

test("every runtime has its entry", (t) => {
  const resolve = 'console.log(import.meta.resolve("leeward").split("/").pop())';
  assert.equal(run(t, resolve), "node.js");
  assert.equal(run(t, resolve, "--conditions=workerd"), "workerd.js");
  const conditions = manifest.exports["."];
  assert.deepEqual(Object.keys(conditions), ["types", "workerd", "deno", "bun", "node", "browser", "default"]);
  for (const target of Object.values(conditions)) assert.ok(existsSync(join(ROOT, target)), target);
});

test("its schema is that of the repository", (t) => {
  const code = `
    import { readFileSync } from "node:fs";
    process.stdout.write(readFileSync(new URL(import.meta.resolve("leeward/leeward.schema.json")), "utf8"));
  `;
  assert.equal(run(t, code), readFileSync(join(ROOT, "../leeward.schema.json"), "utf8").trim());
});
