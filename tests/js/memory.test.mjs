// What is left of replicas that are gone: nothing. Levels are compared after the same work and a collection, at two
// points far apart; a replica that stayed would show a thousand times.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { body, call, refused, world } from "./support/endpoint.mjs";
import { POLICY, alone, silentFetch, turn } from "./support/index.mjs";
import { Replica, glue } from "./support/leeward.mjs";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");

const FIRST_CYCLES = 200;
const CYCLES = 1_000;
/** A replica of its own takes more than this: its objects alone are several KB, its input buffer is 64 KiB of wasm. */
const MAX_HEAP_BYTES_A_CYCLE = 1_000;
const WASM_PAGE_BYTES = 64 << 10;

const HI = { tools: [{ name: "hi", handler: () => "hi" }] };
const ASKING = { authority: "http://127.0.0.1:9/mcp", policy: POLICY };

/** Collects until nothing more comes of it: finalizers run in turns of the loop, and free what is collected next. */
async function level() {
  let bytes = Infinity;
  for (;;) {
    for (let turns = 0; turns < 5; turns += 1) {
      gc();
      await turn();
    }
    const { heapUsed } = process.memoryUsage();
    if (heapUsed > bytes - 10_000) break;
    bytes = heapUsed;
  }
  return { heap: Math.min(bytes, process.memoryUsage().heapUsed), wasm: glue.initSync().memory.buffer.byteLength };
}

const WAYS = {
  async "closed after an answer"() {
    const replica = await Replica.open(HI);
    await replica.callTool("hi");
    await replica.close();
  },
  async "closed with calls under way"() {
    const { fetch } = silentFetch();
    const replica = await Replica.open({ ...ASKING, fetch });
    const calls = [replica.callTool("echo", {}), replica.callTool("write", {}), replica.listTools({ timeoutMs: 1e6 })];
    const transport = replica.transport();
    await transport.send({ jsonrpc: "2.0", id: 1, method: "tools/list" });
    const settled = Promise.allSettled(calls);
    await replica.close();
    await settled;
  },
  async "closed with a session, and another before it"() {
    const replica = await Replica.open(HI);
    for (const isClosed of [true, false]) {
      const transport = replica.transport();
      const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
      await transport.send({ jsonrpc: "2.0", id: 1, method: "initialize", params });
      await transport.send({ jsonrpc: "2.0", method: "notifications/initialized" });
      if (isClosed) await transport.close();
    }
    await replica.close();
  },
  async "closed while a body comes in"() {
    const start = {};
    const started = new Promise((resolve) => (start.resolve = resolve));
    const pull = () => {
      start.resolve();
      return new Promise(() => {});
    };
    const fetch = async () => new Response(new ReadableStream({ pull }), { headers: { "content-type": "application/json" } });
    const replica = await Replica.open({ ...ASKING, fetch });
    const call = replica.callTool("echo", {}).catch(() => {});
    await started;
    await replica.close();
    await call;
  },
  async "refused"() {
    await Replica.open({ ...HI, limits: 1 }).catch(() => {});
    await Replica.open({ tools: [{ name: "x" }] }).catch(() => {});
  },
  async "dropped without close"(cycle) {
    const replica = await Replica.open(HI);
    await replica.callTool("hi");
    // Finalizers need turns of the loop; a program that opens so many has them.
    if (cycle % 50 === 0) {
      gc();
      await turn();
    }
  },
};

for (const [name, cycle] of Object.entries(WAYS)) {
  test(`a thousand replicas leave nothing: ${name}`, async (t) => {
    await alone(t); // The instance is there from the first to the last.
    for (let at = 0; at < FIRST_CYCLES; at += 1) await cycle(at);
    const before = await level();
    for (let at = 0; at < CYCLES; at += 1) await cycle(at);
    const after = await level();
    t.diagnostic(`heap ${before.heap} to ${after.heap}, wasm ${before.wasm} to ${after.wasm}`);
    // Memory never shrinks: its level is what the most replicas at once needed, and how many that are, before they are
    // collected, is the collector's to say. One that stayed takes more than a page.
    const slack = name.startsWith("dropped") ? 32 * WASM_PAGE_BYTES : 0;
    assert.ok(after.wasm - before.wasm <= slack, `wasm grew from ${before.wasm} to ${after.wasm} bytes`);
    const grown = after.heap - before.heap;
    assert.ok(grown < CYCLES * MAX_HEAP_BYTES_A_CYCLE, `the heap grew by ${grown} bytes`);
  });
}

test("a body that comes byte by byte is held as bytes", async (t) => {
  const { handler } = await world(t);
  await handler.replica();
  const length = 1 << 20;
  const bytes = new Uint8Array(64 << 10).fill(32);
  gc();
  const before = process.memoryUsage().heapUsed;
  let sent = 0;
  let grown;
  const pull = (out) => {
    if (sent === length) {
      gc();
      grown = process.memoryUsage().heapUsed - before;
      return out.close();
    }
    const at = sent % bytes.length;
    sent += 1;
    out.enqueue(bytes.subarray(at, at + 1));
  };
  const stream = new ReadableStream({ pull }, { highWaterMark: 0 });
  await refused(400, "parse_error", await handler(call("echo", {}, { body: stream, duplex: "half" })));
  t.diagnostic(`the heap grew by ${grown} bytes`);
  assert.ok(grown < 20_000_000, `the heap grew by ${grown} bytes`);
});

test("room for a large message is given back", async (t) => {
  const { serve } = glue.Engine.prototype;
  t.after(() => (glue.Engine.prototype.serve = serve));
  let engine;
  let room;
  glue.Engine.prototype.serve = function (...given) {
    engine = this;
    room = this.inputCapacity();
    return serve.apply(this, given);
  };
  const { handler } = await world(t, { limits: { maxMessageBytes: 8 << 20 } });
  const replica = await handler.replica();
  const blank = new Uint8Array(4 << 20).fill(32);
  for (const [way, large, small] of [
    ["HTTP", () => handler(call("echo", {}, body(blank).init)), () => handler(call("echo"))],
    ["a call", () => replica.callTool("no", { x: "x".repeat(4 << 20) }), () => replica.callTool("echo")],
  ]) {
    await large().catch(() => {});
    assert.ok(room >= 4 << 20, way);
    await small();
    assert.ok(engine.inputCapacity() <= 1 << 20, way);
  }
});
