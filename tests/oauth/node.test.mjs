// What `leeward/node` brings for a program on the user's own machine, before a real authorization server.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { fileVault, loopback } from "../../wasm/dist/for_node.js";
import { ticket, world } from "./support/world.mjs";

test("the redirect comes to a listener of the program's, grants to a folder", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "leeward-"));
  t.after(() => rm(folder, { recursive: true }));
  const { provider, browser, clock, open } = await world(t);
  const pages = [];
  const authorize = loopback({ open: async (url) => void pages.push(await browser("ann").visit(url)) });
  const first = await open({ authorize, vault: fileVault(join(folder, "grants")) });
  assert.equal((await ticket(first)).calls, 1);
  assert.deepEqual(pages.map(({ status }) => status), [200]);
  await first.close();
  const records = await readdir(join(folder, "grants"));
  assert.ok(records.length > 0);
  for (const record of records) assert.equal((await stat(join(folder, "grants", record))).mode & 0o777, 0o600);

  const second = await open({ authorize, vault: fileVault(join(folder, "grants")) });
  assert.equal((await ticket(second, "B")).calls, 1);
  assert.equal(pages.length, 1);
  // Somebody else has the port now: the redirect goes to another one.
  const { port } = new URL(pages[0].url);
  const other = createServer().listen(port, "127.0.0.1");
  t.after(() => other.close());
  await once(other, "listening");
  clock.advance(60_000);
  await provider.withdraw("ann");
  assert.equal((await ticket(second, "C")).calls, 1);
  assert.notEqual(new URL(pages[1].url).port, port);
});
