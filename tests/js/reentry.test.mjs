// Hooks of the program's and of the server's that `leeward/fetch` calls: they may call back, end the replica, or never
// answer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hostOf } from "../../wasm/dist/replica.js";
import { breakEngine, call, refused, streamed, world } from "./support/endpoint.mjs";
import { ManualClock, alone } from "./support/index.mjs";
import { glue } from "./support/leeward.mjs";

const SECRET = { secret: "of ben" };
const PAGE = "https://app.example";

/** Has ben's answer in the cache; what is returned puts it into the buffers that all answers go through. */
async function intruder(handler) {
  const replica = await handler.replica();
  const ben = { principal: "ben" };
  await replica.callTool("echo", SECRET, ben);
  return () => assert.ok(replica.peekTool("echo", SECRET, ben));
}

test("a clock that calls back changes neither the request nor who sent it", async (t) => {
  let hook;
  const unix = () => {
    const run = hook;
    hook = undefined;
    run?.();
    return 1_700_000_000_000;
  };
  const { handler, authority } = await world(t, { clock: { unix } });
  const intrude = await intruder(handler);
  const request = call("echo", { of: "ann" });
  let isRun = false;
  hook = () => {
    isRun = true;
    intrude();
  };
  const response = await handler(request);
  assert.equal(response.status, 200);
  assert.deepEqual((await response.json()).result.structuredContent.arguments, { of: "ann" });
  assert.ok(isRun);
  assert.equal(authority.count("tools/call echo"), 2);
});

test("a signal that calls back changes no answer", async (t) => {
  const { handler, authority } = await world(t);
  const intrude = await intruder(handler);
  let forgotten = 0;
  const removeEventListener = () => {
    forgotten += 1;
    intrude();
  };
  const signal = { aborted: false, addEventListener() {}, removeEventListener };
  for (const accept of ["application/json", "text/event-stream"]) {
    const request = call("hold", { accept }, { headers: { accept } });
    Object.defineProperty(request, "signal", { value: signal });
    const answer = handler(request);
    await authority.held();
    authority.release();
    assert.match(await (await answer).text(), /released/);
  }
  const steps = call("steps", { steps: 1 }, { meta: { progressToken: "p" } });
  Object.defineProperty(steps, "signal", { value: signal });
  const response = await handler(steps);
  await authority.held();
  authority.release();
  const text = await response.text();
  assert.match(text, /"progress":1[^]*"id":7/);
  assert.doesNotMatch(text, /of ben/);
  // Of each request: once its body is read, and once it is answered.
  assert.equal(forgotten, 6);
});

test("what makes a response and calls back changes no answer", async (t) => {
  const { handler, authority } = await world(t, { policy: [{ tool: "echo", rule: "cache;max-age=60" }, { tool: "steps", rule: "live" }] });
  const intrude = await intruder(handler);
  const { Response } = globalThis;
  t.after(() => (globalThis.Response = Response));
  let made = 0;
  globalThis.Response = class extends Response {
    constructor(...given) {
      made += 1;
      intrude();
      super(...given);
    }
  };
  const whole = await handler(call("echo", { of: "ann" }, { headers: { accept: "text/event-stream" } }));
  const response = await handler(call("steps", { steps: 1 }, { meta: { progressToken: "p" } }));
  globalThis.Response = Response;
  await authority.held();
  authority.release();
  assert.match(await whole.text(), /of..:..ann/);
  assert.match(whole.headers.get("cache-status"), /uri-miss/);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const text = await response.text();
  assert.match(text, /"progress":1[^]*"id":7/);
  assert.doesNotMatch(text, /of ben/);
  assert.ok(made >= 2);
});

test("a timer that closes the replica is not left behind", async (t) => {
  let replica;
  class Closing extends ManualClock {
    setTimeout(action, delayMs) {
      const handle = super.setTimeout(action, delayMs);
      if (delayMs === 15_000) void replica.close();
      return handle;
    }
  }
  const clock = new Closing();
  const { handler, authority } = await world(t, { clock, policy: [{ tool: "steps", rule: "live" }] });
  replica = await handler.replica();
  const response = await handler(call("steps", { steps: 1 }, { meta: { progressToken: "p" } }));
  await assert.rejects(response.text());
  assert.equal(clock.timers, 0);
  authority.release();
});

test("a trap right after the opening costs one request, not all", async (t) => {
  const other = await alone(t);
  const { handler, events } = await world(t);
  const { openGate } = glue.Engine.prototype;
  t.after(() => (glue.Engine.prototype.openGate = openGate));
  glue.Engine.prototype.openGate = function (...given) {
    glue.Engine.prototype.openGate = openGate;
    openGate.apply(this, given);
    queueMicrotask(() => {
      const mend = breakEngine(t, "stats");
      assert.throws(() => other.stats());
      mend();
    });
  };
  await refused(500, "internal", await handler(call("echo")));
  assert.deepEqual(
    events.map(({ type, what }) => [type, what]),
    [["host_failed", "wasm"]],
  );
  assert.equal((await handler(call("echo"))).status, 200);
});

/** Has every listener for the end of a replica counted. */
function countEnds(replica) {
  const host = hostOf(replica);
  const { onEnd } = host;
  const state = { listeners: 0 };
  host.onEnd = (action) => {
    state.listeners += 1;
    const forget = onEnd.call(host, action);
    return () => {
      state.listeners -= 1;
      forget();
    };
  };
  return state;
}

test("nobody waits for a program that never says who calls", async (t) => {
  const asked = [];
  const authenticate = (request) => new Promise((resolve) => asked.push({ request, resolve }));
  const { handler, authority } = await world(t, { authenticate });
  const ends = countEnds(await handler.replica());
  const controller = new AbortController();
  const gone = handler(call("echo", {}, { signal: controller.signal }));
  const known = handler(call("echo"));
  const waiting = handler(call("echo", {}, { headers: { "mcp-name": "echo" } }));
  while (asked.length < 3) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ends.listeners, 3);
  controller.abort();
  await refused(503, "cancelled", await gone);
  asked[1].resolve("ann");
  assert.equal((await known).status, 200);
  assert.equal(ends.listeners, 1);
  await handler.close();
  await refused(503, "closed", await waiting);
  assert.equal(ends.listeners, 0);
  assert.equal(authority.count("tools/call echo"), 1);
});

test("a page may read what is at fault, before its caller is known and after", async (t) => {
  const page = { headers: { origin: PAGE } };
  const readable = (response) => {
    assert.equal(response.headers.get("access-control-allow-origin"), PAGE);
    assert.equal(response.headers.get("vary"), "origin");
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(response.headers.get("www-authenticate"), null);
    return response;
  };
  const authenticate = () => Promise.reject(new Error("no database"));
  const failing = await world(t, { origins: [PAGE], authenticate });
  await refused(500, "internal", readable(await failing.handler(call("echo", {}, page))));
  const { handler, authority } = await world(t, { origins: [PAGE] });
  const waiting = handler(call("hold", {}, page));
  await authority.held();
  await handler.close();
  await refused(503, "closed", readable(await waiting));
});
