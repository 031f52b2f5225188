// What a host gives to a replica and then does badly: fetch, clock, randomness, credentials, listeners, handlers.
// Each fails its own call, and leaves nothing behind.

import assert from "node:assert/strict";
import { test } from "node:test";

import { POLICY, alone, fails, silentFetch, turn, watchRejections, world } from "./support/index.mjs";
import { Replica } from "./support/leeward.mjs";

const AUTHORITY = { authority: "https://a.example/mcp", policy: POLICY };
const JSON_HEADERS = new Headers({ "content-type": "application/json" });
const mine = () => {
  throw new Error("mine");
};

/** A response whose member of that name throws, or gives `value`. */
const broken = (name, read = mine) =>
  Object.defineProperty({ status: 200, type: "basic", headers: JSON_HEADERS, body: null }, name, { get: read });

/** A body whose reader does that. */
const reading = (read, cancel = async () => {}) => ({ ...broken("x"), body: { getReader: () => ({ read, cancel }) } });

/** Asserts that nothing is under way any more. */
function assertIdle(replica, what) {
  const { flights, waiters } = replica.stats();
  assert.deepEqual([flights, waiters], [0, 0], what);
}

const RESPONSES = {
  "null": () => null,
  "a number": () => 7,
  "a network error": () => Response.error(),
  "a status getter that throws": () => broken("status"),
  "a type getter that throws": () => broken("type"),
  "a headers getter that throws": () => broken("headers"),
  "a body getter that throws": () => broken("body"),
  "headers that are no text": () => broken("headers", () => [[1, 2]]),
  "headers whose forEach throws": () => broken("headers", () => ({ forEach: mine })),
  "a proxy that throws": () => new Proxy({}, { get: mine }),
  "a used body": () => {
    const response = new Response("{}", { headers: JSON_HEADERS });
    void response.text();
    return response;
  },
  "a reader that throws": () => ({ ...broken("x"), body: { getReader: mine } }),
  "a reader that is none": () => ({ ...broken("x"), body: { getReader: () => null } }),
  "a read that throws at once": () => reading(mine),
  "a read that rejects with nothing": () => reading(() => Promise.reject()),
  "a read that gives nothing": () => reading(() => undefined),
  "a body of numbers": () => reading(async () => ({ done: false, value: [1, 2] })),
  "a body of text": () => new Response(new ReadableStream({ pull: (it) => it.enqueue("{}") }), { headers: JSON_HEADERS }),
  "a body without bytes or end": () => reading(async () => ({ done: false, value: new Uint8Array(0) })),
  "a body whose cancel throws": () => reading(mine, mine),
  "bytes that are none": () => ({ ...broken("body", () => undefined), arrayBuffer: async () => "text" }),
};

for (const [name, respond] of Object.entries(RESPONSES)) {
  test(`a fetch that answers ${name} fails its call`, async (t) => {
    watchRejections(t);
    for (const how of [respond, async () => respond()]) {
      const replica = await alone(t, { ...AUTHORITY, fetch: how });
      const error = await replica.callTool("echo", {}).catch((error) => error);
      assert.match(String(error.code), /^authority_(unreachable|invalid)$/, error.message);
      assertIdle(replica, name);
      await turn();
    }
  });
}

test("a status that is none is not taken for another", async (t) => {
  // 16 bits of each of these numbers, or the text, are 200.
  for (const status of [65_736, -65_336, 200.5, "200", 200n]) {
    const answer = async (...request) => {
      const { headers, body } = await fetch(...request);
      return { status, headers, body };
    };
    const { replica } = await world(t, { fetch: answer });
    await fails("authority_unreachable", () => replica.callTool("echo", {}));
  }
});

test("a fetch that fails with whatever it likes fails its call", async (t) => {
  watchRejections(t);
  const error = new Error("x");
  Object.defineProperty(error, "cause", { get: mine });
  Object.defineProperty(error, "message", { get: mine });
  const thenable = { get then() { return mine(); } };
  for (const fetch of [
    mine,
    () => Promise.reject(error),
    () => Promise.reject(Symbol("x")),
    () => Promise.reject(Object.create(null)),
    () => Promise.reject(new Proxy({}, { get: mine, getPrototypeOf: mine })),
    () => thenable,
    () => ({ then: mine }),
    () => ({ then: (resolve, reject) => reject() }),
  ]) {
    const replica = await alone(t, { ...AUTHORITY, fetch });
    await fails("authority_unreachable", () => replica.callTool("echo", {}));
    assertIdle(replica, String(fetch));
    await turn();
  }
});

test("a fetch that closes the replica, or never settles, holds nobody", async (t) => {
  watchRejections(t);
  let replica;
  for (const fetch of [
    () => void replica.close(),
    async () => void replica.close(),
    () => ({ then() {} }),
    () => new Promise(() => {}),
    silentFetch().fetch,
  ]) {
    replica = await Replica.open({ ...AUTHORITY, fetch });
    const calls = Promise.allSettled([replica.callTool("echo", {}), replica.callTool("write", {}), replica.listTools()]);
    await turn();
    await replica.close();
    for (const { reason } of await calls) assert.equal(reason.code, "closed", String(fetch));
    await turn();
  }
});

test("a body that is read when the replica closes is cancelled, whatever it does then", async (t) => {
  watchRejections(t);
  for (const end of [async () => {}, () => Promise.reject(new Error("mine")), mine, () => undefined]) {
    let cancelled = 0;
    let started;
    const start = new Promise((resolve) => (started = resolve));
    const cancel = () => {
      cancelled += 1;
      return end();
    };
    const read = () => {
      started();
      return new Promise(() => {});
    };
    const replica = await Replica.open({ ...AUTHORITY, fetch: () => reading(read, cancel) });
    const call = replica.callTool("echo", {});
    await start;
    await replica.close();
    await fails("closed", call);
    assert.equal(cancelled, 1, String(end));
    await turn();
  }
});

test("chunks that come after close are not taken", async () => {
  let give;
  let reads = 0;
  const read = () => {
    reads += 1;
    return new Promise((resolve) => (give = resolve));
  };
  const replica = await Replica.open({ ...AUTHORITY, fetch: () => reading(read) });
  const call = replica.callTool("echo", {});
  while (reads === 0) await turn();
  await replica.close();
  await fails("closed", call);
  give({ done: false, value: new Uint8Array(0) });
  await turn();
  assert.equal(reads, 1, "nothing is read for nobody");
});

test("a chunk whose memory is taken away fails its call and nothing else", async (t) => {
  watchRejections(t);
  const whole = await alone(t, { tools: [{ name: "hi", handler: () => "hi" }] });
  // In one part and in several, and at every moment on the way.
  for (const length of [10, 600_000]) {
    for (let turns = 0; turns < 8; turns += 1) {
      const chunk = new Uint8Array(length).fill(0x20);
      const take = async () => {
        for (let turn = 0; turn < turns; turn += 1) await null;
        structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
      };
      let given = 0;
      const read = async () => ({
        done: (given += 1) > 1,
        get value() {
          if (given === 1) void take();
          return chunk;
        },
      });
      const replica = await alone(t, { ...AUTHORITY, fetch: () => reading(read) });
      const error = await replica.callTool("echo", {}).catch((error) => error);
      assert.match(error.code, /^authority_(unreachable|invalid)$/, error.stack);
      assertIdle(replica);
      assert.equal((await whole.callTool("hi")).content[0].text, "hi", "the instance stands");
    }
  }
});

test("a chunk that a clock takes away while it is told harms no other replica", async (t) => {
  const whole = await alone(t, { tools: [{ name: "hi", handler: () => "hi" }] });
  let chunk;
  const now = () => {
    if (chunk?.length > 0) structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
    return 0;
  };
  const fetch = () => reading(async () => ({ done: false, value: (chunk = new Uint8Array(10)) }));
  const replica = await Replica.open({ ...AUTHORITY, fetch, clock: { now } });
  const call = replica.callTool("echo", {});
  while (chunk?.length !== 0) await turn();
  assert.equal((await whole.callTool("hi")).content[0].text, "hi");
  await replica.close();
  await fails("closed", call);
});

test("a clock of junk stops nothing", async (t) => {
  watchRejections(t);
  const timers = { setTimeout: () => Symbol("x"), clearTimeout: mine };
  for (const clock of [
    { now: () => Infinity, unix: () => -Infinity },
    { now: () => -1, unix: () => -1 },
    { now: () => 1e300, unix: () => 1e300 },
    { now: () => undefined, unix: () => ({}) },
    { now: mine, unix: mine, setTimeout: mine, clearTimeout: mine },
    timers,
    { setTimeout: (action) => action() },
    { setTimeout: (action) => (action(), action(), null) },
    { setTimeout: (action) => ({ ref: mine, unref: mine, action }), clearTimeout: () => {} },
    { setTimeout: () => ({ get unref() { return mine(); } }), clearTimeout: () => {} },
  ]) {
    const { replica } = await world(t, { clock });
    const call = () => replica.callTool("echo", {}).catch((error) => error);
    const [first, second] = [await call(), await call()];
    for (const outcome of [first, second]) {
      assert.ok(outcome.content !== undefined || /^authority_/.test(outcome.code), String(outcome.stack));
    }
    const late = await replica.callTool("echo", { late: true }, { timeoutMs: 1e9 }).catch((error) => error);
    assert.ok(late.content !== undefined || /^(cancelled|authority_\w+)$/.test(late.code), String(late.stack));
    assertIdle(replica);
    await replica.close();
    await turn();
  }
});

test("randomness of junk, or that does more than it should, stops nothing", async (t) => {
  watchRejections(t);
  const events = [];
  for (const random of [
    () => "junk",
    () => Promise.reject(new Error("mine")).catch(() => {}),
    (bytes) => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }),
    mine,
  ]) {
    const { replica } = await world(t, { random, onEvent: ({ type }) => events.push(type) });
    for (const id of [1, 1, 2]) await replica.callTool("echo", { id });
    assertIdle(replica);
  }
  assert.ok(events.includes("host_failed"));
  let replica;
  replica = await Replica.open({ random: () => replica?.close() });
  await replica.close();
});

test("a credential of junk fails its call", async (t) => {
  watchRejections(t);
  let given;
  const { authority, replica } = await world(t, { credentialFor: () => given() });
  for (given of [
    mine,
    () => Promise.reject(null),
    () => Promise.reject(Object.create(null)),
    () => 1,
    () => true,
    () => [],
    () => Symbol("x"),
    () => ({ token: null }),
    () => ({ get token() { return mine(); } }),
    () => ({ then: mine }),
    () => "line\nfeed",
    () => ({ token: "\ud800" }),
    () => "",
    () => "x".repeat(1 << 20),
  ]) {
    const error = await replica.callTool("refuse").catch((error) => error);
    assert.match(String(error.code), /^(authority_\w+|internal)$/, `${given}: ${error.stack}`);
    assert.notEqual(error.code, "authority_error", String(given));
    assertIdle(replica, String(given));
    await turn();
  }
  assert.equal(authority.requests.length, 0);
  given = () => new Promise(() => {});
  const call = replica.callTool("refuse");
  await turn();
  await replica.close();
  await fails("closed", call);
});

test("a listener of events may throw, and return, whatever it likes", async (t) => {
  watchRejections(t);
  for (const onEvent of [
    mine,
    () => Promise.reject(new Error("mine")),
    () => ({ then: mine, catch: mine }),
    () => ({ get then() { return mine(); } }),
    (event) => Object.assign(event, { type: null }),
  ]) {
    const { replica } = await world(t, { onEvent });
    await fails("authority_invalid", () => replica.callTool("html"));
    assertIdle(replica);
    await turn();
  }
});

test("a handler may throw, and return, whatever it likes", async (t) => {
  watchRejections(t);
  let handler;
  const options = { handler: (...args) => handler(...args), name: "x" };
  const replica = await alone(t, { tools: [options], resources: [{ ...options, uri: "x:y" }] });
  const mute = new Error("x");
  Object.defineProperty(mute, "message", { get: mine });
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const thrown = [
    undefined,
    null,
    0,
    "text",
    Symbol("x"),
    1n,
    {},
    Object.create(null),
    { toString: mine },
    mute,
    Object.assign(new Error(), { message: 5 }),
    Object.assign(new Error(), { message: { toString: mine } }),
    proxy,
    new Proxy(new Error("x"), { getPrototypeOf: mine }),
    new Error("\ud800"),
    new Error("x".repeat(80 << 20)),
  ];
  const returned = [() => Symbol("x"), () => 1n, () => proxy, () => ({ then: mine }), () => ({ toJSON: mine }), () => new Map()];
  for (const what of [
    ...thrown.flatMap((error) => [() => { throw error; }, async () => { throw error; }]),
    ...returned,
  ]) {
    handler = what;
    const outcomes = await Promise.all([
      replica.callTool("x").then((result) => result.isError, (error) => error.code),
      replica.readResource("x:y").then(() => "an answer", (error) => error.code),
    ]);
    assert.ok(outcomes[0] === true || outcomes[0] === "internal", `${what}: ${outcomes[0]}`);
    assert.equal(typeof outcomes[1], "string");
    assertIdle(replica);
    await turn();
  }
  handler = () => "well";
  assert.equal((await replica.callTool("x")).content[0].text, "well");
});
