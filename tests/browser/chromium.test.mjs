// Which browser the tests of this folder run.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { launch } from "./chromium.mjs";

test("what lies in the temporary folder is not started", async (t) => {
  const { TMPDIR } = process.env;
  const folder = await mkdtemp(join(tmpdir(), "leeward-"));
  t.after(async () => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    await rm(folder, { recursive: true });
  });
  await writeFile(join(folder, "chromium"), '#!/bin/sh\n: > "$0.started"\n', { mode: 0o755 });
  process.env.TMPDIR = folder;
  const browser = await launch();
  await browser.close();
  assert.equal(existsSync(join(folder, "chromium.started")), false);
});
