// Giving up, closing, and what is left after a trap.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ManualClock, POLICY, alone, fails, silentFetch, world } from "./support/index.mjs";
import { Replica, glue } from "./support/leeward.mjs";

test("a signal gives up one call, and the last one ends the trip", async (t) => {
  const { authority, replica } = await world(t);
  const [first, second] = [new AbortController(), new AbortController()];
  const calls = [first, second].map(({ signal }) => replica.callTool("hold", {}, { signal }));
  await authority.held();
  first.abort(new Error("enough"));
  const error = await fails("cancelled", calls[0]);
  assert.equal(error.cause.message, "enough");
  assert.equal(replica.stats().flights, 1);
  second.abort();
  await fails("cancelled", calls[1]);
  await authority.drop();
  assert.equal(replica.stats().flights, 0);
});

test("the others get their answer when one gives up", async (t) => {
  const { authority, replica } = await world(t);
  const controller = new AbortController();
  const given = replica.callTool("hold", {}, { signal: controller.signal });
  const kept = replica.callTool("hold", {});
  await authority.held();
  controller.abort();
  await fails("cancelled", given);
  authority.release();
  assert.equal((await kept).content[0].text, "released");
  assert.equal(authority.count("tools/call hold"), 1);
});

test("a signal that has aborted sends nothing", async (t) => {
  const { authority, replica } = await world(t);
  await fails("cancelled", () => replica.callTool("echo", {}, { signal: AbortSignal.abort() }));
  assert.equal(authority.requests.length, 0);
});

test("a signal that throws gives up its call, and leaves nothing", async (t) => {
  const { authority, clock, replica } = await world(t);
  const mine = () => assert.fail("mine");
  const add = { addEventListener: mine, removeEventListener: mine };
  const error = await fails("invalid_params", () => replica.callTool("hold", {}, { signal: add, timeoutMs: 500 }));
  assert.equal(error.cause.message, "mine");
  assert.deepEqual([replica.stats().waiters, replica.stats().flights, clock.timers], [0, 0, 0]);
  // One that cannot be taken back either way: the call has its answer, or the end of its time.
  for (const removeEventListener of [mine, undefined]) {
    const signal = { addEventListener: () => {}, removeEventListener };
    await replica.callTool("echo", { removeEventListener: typeof removeEventListener }, { signal, timeoutMs: 500 });
    const call = replica.callTool("hold", {}, { signal, timeoutMs: 500 });
    await authority.held();
    clock.advance(500);
    await fails("cancelled", call);
    assert.deepEqual([replica.stats().waiters, clock.timers], [0, 0]);
  }
});

test("a signal that aborts after the answer does nothing", async (t) => {
  const { replica } = await world(t);
  const controller = new AbortController();
  await replica.callTool("echo", {}, { signal: controller.signal });
  controller.abort();
  await replica.callTool("echo", {});
});

test("a call may have a time of its own", async (t) => {
  const { authority, clock, replica } = await world(t);
  const call = replica.callTool("hold", {}, { timeoutMs: 500 });
  await authority.held();
  clock.advance(499);
  assert.equal(replica.stats().waiters, 1);
  clock.advance(1);
  await fails("cancelled", call);
  assert.equal(replica.stats().waiters, 0);
});

test("a trip has a hard end by the host's timer", async (t) => {
  const { authority, clock, replica } = await world(t, { limits: { requestTimeoutMs: 5_000 } });
  const call = replica.callTool("hold", {});
  await authority.held();
  clock.advance(5_000);
  await fails("authority_timeout", call);
  await authority.drop();
});

test("close ends what is under way, and whatever comes after is told so", async () => {
  const clock = new ManualClock();
  const { fetch, signals } = silentFetch();
  const replica = await Replica.open({ authority: "http://127.0.0.1:9/mcp", policy: POLICY, clock, fetch });
  const calls = [replica.callTool("echo", {}), replica.callTool("write", {}), replica.listTools()];
  const settled = Promise.allSettled(calls);
  assert.ok(clock.timers >= 1);
  await replica.close();
  for (const { reason } of await settled) assert.equal(reason.code, "closed");
  assert.ok(signals.length >= 1);
  assert.ok(signals.every((signal) => signal.aborted));
  assert.equal(clock.timers, 0);

  await replica.close();
  await fails("closed", () => replica.callTool("echo", {}));
  await fails("closed", () => replica.readResource("test://a"));
  await fails("closed", () => replica.listTools());
  for (const use of [
    () => replica.peekTool("echo"),
    () => replica.stats(),
    () => replica.invalidate(),
    () => replica.transport(),
    () => replica.tool({ name: "x", handler: () => "" }),
    () => replica.resource({ uri: "x:y", name: "x", handler: () => "" }),
  ]) {
    assert.throws(use, { code: "closed", name: "LeewardError", retryable: true });
  }
});

test("a response that comes after close is let go", async () => {
  let answer;
  let isCancelled = false;
  const replica = await Replica.open({
    authority: "http://127.0.0.1:9/mcp",
    fetch: () => new Promise((resolve) => (answer = resolve)),
  });
  const call = replica.callTool("echo", {});
  await replica.close();
  await fails("closed", call);
  answer(new Response(new ReadableStream({ cancel: () => void (isCancelled = true) })));
  await new Promise(setImmediate);
  assert.equal(isCancelled, true);
});

test("a scope closes its replica", async () => {
  const replica = await Replica.open();
  await replica[Symbol.asyncDispose]();
  assert.throws(() => replica.stats(), { code: "closed" });
  const other = await Replica.open();
  other[Symbol.dispose]();
  assert.throws(() => other.stats(), { code: "closed" });
});

test("a listener may close the replica that calls it", async (t) => {
  const { replica } = await world(t, { onEvent: () => replica.close() });
  await fails("closed", () => replica.callTool("html"));
});

test("at most one timer is set, and none when nothing is under way", async (t) => {
  const { authority, clock, replica } = await world(t);
  const calls = [1, 2, 3].map((id) => replica.callTool("hold", { id }));
  await authority.held(3);
  assert.equal(clock.timers, 1);
  authority.release();
  await Promise.all(calls);
  assert.ok(clock.timers <= 1);
});

test("replicas do not meet", async (t) => {
  const { replica } = await world(t);
  const { authority, replica: other } = await world(t);
  await replica.callTool("echo", {});
  assert.equal(other.peekTool("echo", {}), undefined);
  await replica.close();
  await other.callTool("echo", {});
  assert.equal(authority.count("tools/call echo"), 1);
});

/** Runs `action` with a call of the engine that traps. */
async function withTrap(name, action) {
  const { [name]: original } = glue.Engine.prototype;
  glue.Engine.prototype[name] = function trap() {
    glue.Engine.prototype[name] = original;
    throw new WebAssembly.RuntimeError("unreachable");
  };
  try {
    await action();
  } finally {
    glue.Engine.prototype[name] = original;
  }
}

test("a trap breaks every replica of its instance, and the next one lives in a new instance", async (t) => {
  const { fetch } = silentFetch();
  const options = { authority: "http://127.0.0.1:9/mcp", policy: POLICY, fetch };
  const [broken, sibling] = [await Replica.open(options), await Replica.open(options)];
  const waiting = [broken.callTool("echo", { a: 1 }), sibling.callTool("echo", { a: 1 })];
  const settled = Promise.allSettled(waiting);
  const closes = [];
  const transport = sibling.transport();
  transport.onerror = (error) => closes.push(error.code);
  transport.onclose = () => closes.push("close");

  await withTrap("serve", async () => {
    const error = await fails("internal", () => broken.callTool("echo", { a: 2 }));
    assert.ok(error.cause instanceof WebAssembly.RuntimeError);
  });
  for (const { reason } of await settled) {
    assert.equal(reason.code, "internal");
    assert.ok(reason.cause instanceof WebAssembly.RuntimeError);
  }
  assert.deepEqual(closes, ["internal", "close"]);
  for (const replica of [broken, sibling]) {
    const error = await fails("internal", () => replica.callTool("echo", {}));
    assert.ok(error.cause instanceof WebAssembly.RuntimeError);
    assert.throws(() => replica.stats(), { code: "internal" });
    await replica.close();
    await replica.close();
  }
  await fails("internal", () => transport.send({ jsonrpc: "2.0", id: 1, method: "ping" }));

  const { authority, replica } = await world(t);
  await replica.callTool("echo", {});
  await replica.callTool("echo", {});
  assert.equal(authority.count("tools/call echo"), 1);
});

test("an open without memory for a new instance says so, and the next one has it", async (t) => {
  const replica = await alone(t);
  const { Instance } = WebAssembly;
  try {
    WebAssembly.Instance = function Instance() {
      throw new RangeError("out of memory");
    };
    await withTrap("stats", () => assert.throws(() => replica.stats(), { code: "internal" }));
    for (let at = 0; at < 2; at += 1) {
      const error = await fails("module_unavailable", () => Replica.open());
      assert.deepEqual([error.cause.message, error.retryable], ["out of memory", true]);
    }
  } finally {
    WebAssembly.Instance = Instance;
  }
  await alone(t);
});

test("a trap while an answer is brought in reaches those who wait", async (t) => {
  const { authority, replica } = await world(t);
  const call = replica.callTool("hold", {});
  await authority.held();
  await withTrap("handleHead", async () => {
    authority.release();
    const error = await fails("internal", call);
    assert.ok(error.cause instanceof WebAssembly.RuntimeError);
  });
  const again = await world(t);
  await again.replica.callTool("echo", {});
});

test("memory that was overwritten breaks the instance and nothing else", async (t) => {
  const replica = await alone(t, { tools: [{ name: "hi", handler: () => "hi" }] });
  await replica.callTool("hi");
  // Every pointer of the instance leads nowhere from here on.
  const { memory } = glue.initSync();
  new Uint8Array(memory.buffer).fill(0xff);
  await fails("internal", () => replica.callTool("hi"));
  await fails("internal", () => replica.callTool("hi"));
  const next = await alone(t, { tools: [{ name: "hi", handler: () => "hi" }] });
  assert.equal((await next.callTool("hi")).content[0].text, "hi");
});

test("a replica that cannot be opened says why, and the next one can", async (t) => {
  await alone(t);
  const { memory } = glue.initSync();
  new Uint8Array(memory.buffer).fill(0xff);
  const error = await fails("internal", () => Replica.open());
  assert.ok(error.cause instanceof WebAssembly.RuntimeError);
  await alone(t);
});
