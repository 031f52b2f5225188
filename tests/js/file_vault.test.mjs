// `fileVault` of `leeward/node`: a folder that only its user reads, whose records are there whole or not at all.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { fileVault } from "../../wasm/dist/for_node.js";
import { fails } from "./support/index.mjs";

const bytes = (text) => new TextEncoder().encode(text);
const text = (record) => record && new TextDecoder().decode(record);

/** A folder that is not there yet, gone with the test. */
function folder(t) {
  const root = mkdtempSync(join(tmpdir(), "leeward-vault-"));
  t.after(() => rmSync(root, { recursive: true }));
  return join(root, "a", "grants");
}

test("a record is there for the next vault of the folder", async (t) => {
  const path = folder(t);
  const vault = fileVault(path);
  assert.equal(await vault.get("grant:a"), undefined);
  await vault.delete("grant:a");
  await vault.set("grant:a", bytes("one"));
  await vault.set("grant:b", bytes(""));
  await vault.set("grant:a", bytes("two"));
  const next = fileVault(path);
  assert.equal(text(await next.get("grant:a")), "two");
  assert.equal(text(await next.get("grant:b")), "");
  await next.delete("grant:a");
  assert.equal(await vault.get("grant:a"), undefined);
  assert.equal(readdirSync(path).length, 1);
});

test("only its user reads it", async (t) => {
  const path = folder(t);
  const umask = process.umask(0);
  t.after(() => process.umask(umask));
  await fileVault(path).set("k", bytes("secret"));
  const [file] = readdirSync(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.equal(statSync(join(path, file)).mode & 0o777, 0o600);
});

test("a key is any text, and names nothing outside", async (t) => {
  const path = folder(t);
  const vault = fileVault(path);
  const keys = ["../x", "/etc/x", "a/b", "A", "a", "grant:x", "x".repeat(128), "..", "nul", "~!*?"];
  for (const key of keys) await vault.set(key, bytes(key));
  for (const key of keys) assert.equal(text(await vault.get(key)), key);
  const files = readdirSync(path);
  assert.equal(files.length, keys.length);
  // No two differ in case alone.
  for (const file of files) assert.match(file, /^[0-9a-f]{64}$/);
});

test("a write that fails leaves what was there, and nothing else", async (t) => {
  const path = folder(t);
  const vault = fileVault(path);
  await vault.set("k", bytes("old"));
  await assert.rejects(vault.set("k", { length: 3 }), TypeError);
  assert.equal(text(await vault.get("k")), "old");
  assert.equal(readdirSync(path).length, 1);
});

test("who reads while it is written has one or the other, whole", async (t) => {
  const vault = fileVault(folder(t));
  const versions = ["a", "b"].map((letter) => letter.repeat(60_000));
  await vault.set("k", bytes(versions[0]));
  for (let n = 0; n < 20; n += 1) {
    const [, ...read] = await Promise.all([
      vault.set("k", bytes(versions[n % 2])),
      ...[1, 2, 3].map(() => vault.get("k")),
    ]);
    for (const record of read) assert.ok(versions.includes(text(record)));
  }
});

test("a file in the way of the folder is named", async (t) => {
  const path = folder(t);
  await fileVault(path).set("k", bytes("x"));
  const file = join(path, readdirSync(path)[0]);
  for (const where of [file, join(file, "below")]) {
    const vault = fileVault(where);
    for (const action of [() => vault.get("k"), () => vault.set("k", bytes("y")), () => vault.delete("k")]) {
      await assert.rejects(action, (error) => error.message === `${where} is not a folder`);
    }
  }
  assert.equal(readFileSync(file, "utf8"), "x");
  // A folder where a record should be: told as the system tells it.
  rmSync(file);
  rmSync(path, { recursive: true });
  writeFileSync(path, "");
  await assert.rejects(fileVault(path).get("k"), /is not a folder/);
});

test("a path is asked for", async () => {
  for (const path of [undefined, null, "", 1, {}, new URL("file:///tmp")]) {
    assert.equal((await fails("config_invalid", () => fileVault(path))).data.field, "folder");
  }
});
