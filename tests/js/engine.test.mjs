// The generated binding under random calls: whatever the numbers, the engine answers or refuses, and never traps.

import assert from "node:assert/strict";
import { test } from "node:test";

import { alone } from "./support/index.mjs";
import { glue } from "./support/leeward.mjs";

/** A small seeded generator (mulberry32). */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const TEXTS = [
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"name":"echo"}}local2025-11-25',
  '{"jsonrpc":"2.0","id":"a","method":"tools/list"}',
  '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[]}}',
  "content-type\napplication/json\ncontent-type\ntext/event-stream\n\n\n",
  "data: {}\n\n",
  "",
  "\u0000\ud800",
];
const NUMBERS = [0, 1, 2, 3, 5, 8, -1, 0.5, 1e9, 2 ** 53, 2 ** 64, -Infinity, Infinity, NaN];

for (let seed = 1; seed <= 20; seed += 1) {
  test(`no sequence of calls traps (seed ${seed})`, async (t) => {
    await alone(t); // Makes the instance.
    const next = random(seed);
    const pick = (list) => list[Math.floor(next() * list.length)];
    const memory = () => glue.initSync().memory;
    const config = { authority: "http://127.0.0.1:9/mcp", policy: [{ tool: "*", rule: "cache;max-age=9" }] };
    const engine = new glue.Engine(JSON.stringify(config), seed % 2 === 0);
    const methods = Object.getOwnPropertyNames(glue.Engine.prototype).filter(
      (name) => !["constructor", "free"].includes(name) && !name.startsWith("__"),
    );
    const seen = [0];
    for (let step = 0; step < 400; step += 1) {
      const bytes = new TextEncoder().encode(pick(TEXTS));
      const at = engine.input(bytes.length + pick([0, 1, 70_000]));
      new Uint8Array(memory().buffer, at, bytes.length).set(bytes);
      const name = pick(methods);
      const number = () => pick([pick(NUMBERS), pick(seen), bytes.length]);
      const args = Array.from({ length: 8 }, number);
      if (name.startsWith("register")) args.splice(0, 2, pick(TEXTS), pick(TEXTS));
      try {
        engine[name](...args);
        seen.push(engine.op(), engine.ticket());
        if (next() < 0.5) engine.pollOutput();
        const length = engine.outputLength();
        assert.ok(engine.output() + length <= memory().buffer.byteLength);
      } catch (error) {
        assert.equal(typeof error, "string", `${name}(${args}): ${error} ${error?.stack}`);
        assert.equal(typeof JSON.parse(error).data.code, "string");
      }
    }
    engine.free();
  });
}

test("input has a limit", async (t) => {
  await alone(t);
  const engine = new glue.Engine("{}", false);
  t.after(() => engine.free());
  assert.throws(
    () => engine.input((64 << 20) + 1),
    (error) => JSON.parse(error).data.code === "too_large",
  );
  assert.ok(engine.input(1) > 0);
});
