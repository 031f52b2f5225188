// What is in the tarball, and what the linters of packages say of it.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { publint } from "publint";

import { folder, node, run, tarball, tool } from "./support/package.mjs";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
/** Modules that are no TypeScript: the glue, the version, and the wasm as text. */
const GENERATED = ["leeward_wasm", "version", "wasm_base64"];
/** Bytes of the tarball; what makes it grow past this should be worth it. */
const MOST_PACKED_BYTES = 760_000;

const at = await folder({ after });
await run("tar", ["-xzf", tarball.path, "-C", at]);
/** The tarball, unpacked. */
const unpacked = join(at, "package");

test("it holds what it is meant to, and no more", async () => {
  const modules = (await readdir(new URL("../../wasm/ts/", import.meta.url)))
    .filter((name) => !name.endsWith(".d.ts"))
    .map((name) => basename(name, ".ts"));
  const expected = [
    ...[...modules, ...GENERATED].flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]),
    "dist/leeward_wasm_bg.wasm",
    "dist/leeward_wasm_bg.wasm.d.ts",
    "dist/json_schema.js",
    "dist/leeward.schema.json",
    "dist/provenance.json",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "package.json",
  ];
  assert.deepEqual(tarball.files.map(({ path }) => path).sort(), expected.sort());
});

test("it stays small", () => {
  assert.ok(tarball.size <= MOST_PACKED_BYTES, `${tarball.size} bytes`);
});

test("no file names a folder of the machine that built it", async () => {
  const folders = [REPOSITORY, `${homedir()}/`, process.env.CARGO_HOME, process.env.RUSTUP_HOME].filter(Boolean);
  for (const { path } of tarball.files) {
    const text = await readFile(join(unpacked, path), "latin1");
    for (const folder of folders) assert.ok(!text.includes(folder), `${path} names ${folder}`);
  }
});

test("publint has nothing to say, in its strict mode", async () => {
  const { messages } = await publint({ pkgDir: unpacked, strict: true, pack: false });
  assert.deepEqual(messages, []);
});

// `esm-only`: the package has ES modules alone. CommonJS reaches it by `import()` (node.test.mjs), and the resolution of
// Node 10, which knows no `exports`, is left out.
test("its types are right for every entry", async (t) => {
  const attw = tool("@arethetypeswrong/cli/dist/index.js");
  await node([attw, tarball.path, "--profile", "esm-only", "--format", "ascii"], { cwd: unpacked, signal: t.signal });
});
