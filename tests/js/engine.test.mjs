// The generated binding at its limits. Calls without sense: tests/fuzz/exports.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { alone } from "./support/index.mjs";
import { glue } from "./support/leeward.mjs";

test("input has a limit", async (t) => {
  await alone(t);
  const engine = new glue.Engine("{}", 0);
  t.after(() => engine.free());
  assert.throws(
    () => engine.input((65 << 20) + 1),
    (error) => JSON.parse(error).data.code === "too_large",
  );
  assert.ok(engine.input(1) > 0);
});
