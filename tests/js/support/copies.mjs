// Copies of the built package: each import of one is a package of its own, as where two versions are installed.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const DIST = fileURLToPath(new URL("../../../wasm/dist/", import.meta.url));
const WASM = "leeward_wasm_bg.wasm";

/** The wasm of the package. */
export const wasm = () => readFileSync(join(DIST, WASM));

/** The same wasm, as if it were of that version, which must be as long as the true one: it ends the last section. */
export function wasmOf(version) {
  const bytes = wasm();
  bytes.write(version, bytes.length - version.length, "latin1");
  return bytes;
}

/** A copy of the package, gone with the test. `version`: makes it one of that version. */
export class Copy {
  #dist;

  constructor(t, version) {
    const root = mkdtempSync(join(tmpdir(), "leeward-copy-"));
    t.after(() => rmSync(root, { recursive: true }));
    writeFileSync(join(root, "package.json"), '{"type":"module"}');
    this.#dist = join(root, "dist");
    cpSync(DIST, this.#dist, { recursive: true });
    if (version === undefined) return;
    this.write("version.js", `export const VERSION = ${JSON.stringify(version)};\n`);
    this.write(WASM, wasmOf(version));
  }

  /** Imports one of its entries. */
  entry(name) {
    return import(pathToFileURL(join(this.#dist, `${name}.js`)));
  }

  /** Replaces one of its files. */
  write(file, contents) {
    writeFileSync(join(this.#dist, file), contents);
  }

  /** Replaces its wasm; `undefined` takes it away. */
  set wasm(bytes) {
    if (bytes === undefined) rmSync(join(this.#dist, WASM));
    else this.write(WASM, bytes);
  }
}
