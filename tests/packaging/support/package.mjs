// The npm package as users get it: packed, and installed from the tarball in a fresh project outside the repository,
// where no `node_modules` above is found. The package depends on nothing, so no registry is asked.

import { execFile } from "node:child_process";
import { cp, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PROJECTS = new URL("../projects/", import.meta.url);
const WASM = fileURLToPath(new URL("../../../wasm/", import.meta.url));

/** A file of a package that the tests have installed: `tool("vite/bin/vite.js")`. */
export const tool = (path) => fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url));

/** A folder that goes with the test. */
export async function folder(t) {
  const path = await realpath(await mkdtemp(join(tmpdir(), "leeward-")));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

/** The tarball, packed once for each file of tests: what npm says of it, and its `path`. */
export const tarball = await pack(await folder({ after }));

/** A project of `projects/`, with the tarball installed; its folder, which goes with the test. */
export async function project(t, name) {
  const cwd = await folder(t);
  for (const files of ["common", name]) await cp(new URL(`${files}/`, PROJECTS), cwd, { recursive: true });
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball.path], { cwd, signal: t.signal });
  return cwd;
}

async function pack(into) {
  const [packed] = JSON.parse(await run("npm", ["pack", "--json", "--pack-destination", into], { cwd: WASM }));
  return { ...packed, path: join(into, packed.filename) };
}

/** Runs a program to its end; what it printed, without the last line's end. Fails with all it said. */
export async function run(program, args, options = {}) {
  try {
    const env = { ...process.env, NO_COLOR: "1", WRANGLER_SEND_METRICS: "false", ...options.env };
    const { stdout } = await promisify(execFile)(program, args, { ...options, encoding: "utf8", env });
    return stdout.trimEnd();
  } catch ({ message, stdout, stderr }) {
    throw new Error(`${message}\n${stdout}\n${stderr}`);
  }
}

/** Runs a script under the Node that runs the tests. */
export const node = (args, options) => run(process.execPath, args, options);
