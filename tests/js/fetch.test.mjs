// `leeward/fetch` in itself: its options, its life, its callers and its streams. What it answers over HTTP is asked
// by tests/http, which it shares with the worker.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createHandler } from "../../wasm/dist/fetch.js";
import { TOKEN, body, breakEngine, cacheOf, call, refused, streamed, world } from "./support/endpoint.mjs";
import { POLICY, fails } from "./support/index.mjs";
import { LeewardError } from "./support/leeward.mjs";

test("an option of the wrong type is named at once", () => {
  for (const [options, field] of [
    [{ path: 1 }, "path"],
    [{ path: "mcp" }, "path"],
    [{ path: "/x/../healthz" }, "path"],
    [{ tokens: [] }, "tokens"],
    [{ tokens: TOKEN }, "tokens"],
    [{ tokens: null }, "tokens"],
    [{ tokens: { [TOKEN]: 1n } }, "tokens[0]"],
    [{ tokens: { [TOKEN]: "ann", [`${TOKEN}-2`]: undefined } }, "tokens[1]"],
    [{ tokens: { get [TOKEN]() { throw new Error("odd"); } } }, "tokens"],
    [{ authenticate: {} }, "authenticate"],
    [{ tokens: {}, authenticate: () => "ann" }, "authenticate"],
    [{ sessions: 1 }, "sessions"],
    [{ sessions: null }, "sessions"],
    [null, ""],
    [[], ""],
  ]) {
    assert.throws(
      () => createHandler(options),
      (error) => error instanceof LeewardError && error.code === "config_invalid" && error.data.field === field,
      `${field} among ${Object.keys(options ?? {})}`,
    );
  }
});

test("a mistake in the configuration is told by every response, and logged once", async (t) => {
  for (const [options, field] of [
    [{ polcy: [] }, "polcy"],
    [{ clock: 1 }, "clock"],
    [{ tokens: {} }, "tokens"],
    [{ tokens: { [TOKEN]: "ann", short: "ben" } }, "tokens[1]"],
  ]) {
    const { handler, events } = await world(t, options);
    for (const path of ["/mcp", "/healthz"]) {
      const error = await refused(500, "config_invalid", await handler(call("echo", {}, { path })));
      assert.equal(error.data.field, field);
      assert.ok(!JSON.stringify(error).includes(TOKEN));
    }
    assert.deepEqual(
      events.map(({ type, field }) => ({ type, field })),
      [{ type: "start_failed", field }],
    );
    await fails("config_invalid", handler.replica());
  }
});

test("without a listener a mistake is on the console", async (t) => {
  const { mock } = t.mock.method(console, "error", () => {});
  const handler = createHandler({ polcy: [] });
  await refused(500, "config_invalid", await handler(call("echo")));
  assert.equal(JSON.parse(mock.calls[0].arguments[0]).field, "polcy");
});

test("without a listener faults of the host are on the console, and nothing else", async (t) => {
  const { mock } = t.mock.method(console, "error", () => {});
  const setTimeout = () => {
    throw new Error("no timers");
  };
  const { handler } = await world(t, { onEvent: undefined, clock: { setTimeout } });
  assert.equal((await handler(call("echo"))).status, 200);
  const logged = mock.calls.map(({ arguments: [line] }) => JSON.parse(line));
  assert.ok(logged.length > 0);
  for (const { leeward, what } of logged) assert.deepEqual([leeward, what], ["host_failed", "setTimeout"]);
});

test("an opening that fails for another reason is tried again", async (t) => {
  const { handler, events } = await world(t);
  const mend = breakEngine(t, "openGate");
  const error = await refused(500, "internal", await handler(call("echo")));
  assert.equal(error.message, "internal error");
  assert.deepEqual(
    events.map(({ type, code }) => ({ type, code })),
    [{ type: "start_failed", code: "internal" }],
  );
  mend();
  assert.equal((await handler(call("echo"))).status, 200);
});

test("it opens once, with the first request", async (t) => {
  const { handler, authority } = await world(t);
  assert.equal(authority.requests.length, 0);
  const answers = await Promise.all(Array.from({ length: 20 }, () => handler(call("echo", { a: 1 }))));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal(authority.count("tools/call echo"), 1);
  assert.equal(await handler.replica(), await handler.replica());
  assert.equal((await handler.replica()).stats().entries > 0, true);
});

test("tools of the process are answered beside the authority's", async (t) => {
  const { handler } = await world(t);
  (await handler.replica()).tool({ name: "now", handler: () => "noon" });
  assert.equal((await (await handler(call("now"))).json()).result.content[0].text, "noon");
});

test("the endpoint is where it was put", async (t) => {
  const { handler } = await world(t, { path: "/api/mcp" });
  assert.equal((await handler(call("echo", {}, { path: "/api/mcp?x=1" }))).status, 200);
  await refused(404, "invalid_request", await handler(call("echo")));
  assert.equal((await (await handler(new Request("https://edge.example/healthz"))).json()).status, "ok");
});

test("a body that nobody sends any more is not waited for", async (t) => {
  const { handler } = await world(t);
  const client = new AbortController();
  let asked;
  const reads = new Promise((resolve) => (asked = resolve));
  const body = new ReadableStream({ pull: () => asked() }, { highWaterMark: 0 });
  const answer = handler(call("echo", {}, { body, duplex: "half", signal: client.signal }));
  await reads;
  client.abort();
  await refused(503, "cancelled", await answer);
});

test("without tokens only the configuration can let anybody in", async (t) => {
  const nobody = { headers: { authorization: undefined } };
  const { handler } = await world(t, { tokens: undefined });
  await refused(401, "unauthenticated", await handler(call("echo", {}, nobody)));
  const open = (await world(t, { tokens: undefined, anonymous: "public-only" })).handler;
  assert.equal((await open(call("echo", {}, nobody))).status, 200);
  await refused(401, "unauthenticated", await open(call("echo")));
});

test("the program may say who calls", async (t) => {
  const asked = [];
  const authenticate = async (request) => {
    const who = request.headers.get("x-user") ?? undefined;
    asked.push(who);
    return who === "nobody" ? null : who;
  };
  const { handler } = await world(t, { authenticate });
  const as = (user, more) => handler(call("echo", { as: 1 }, { headers: { "x-user": user, ...more } }));
  const cache = [];
  for (const user of ["ann", "ben", "ann"]) cache.push(cacheOf(await as(user)));
  assert.deepEqual(cache, ["fwd=uri-miss", "fwd=uri-miss", "hit"]);
  const response = await as(undefined);
  assert.equal(response.headers.get("www-authenticate"), "Bearer");
  await refused(401, "unauthenticated", response);
  // The configuration denies anonymous callers.
  await refused(401, "unauthenticated", await as("nobody"));
  asked.length = 0;
  await refused(403, "forbidden", await as("ann", { origin: "https://evil.example" }));
  await refused(404, "invalid_request", await handler(call("echo", {}, { path: "/" })));
  assert.deepEqual(asked, [], "it is asked last");
});

test("a program that cannot say who calls is a fault, and the request is not served", async (t) => {
  const foreign = [
    new LeewardError("closed", "no database at 10.0.0.7"),
    new LeewardError("config_invalid", "no database", { data: { field: 1n } }),
  ];
  for (const given of [7, "", "\ud800", "x".repeat(1025), {}, new Error("no database"), ...foreign]) {
    const authenticate = () => {
      if (given instanceof Error) throw given;
      return given;
    };
    const { handler, events, authority } = await world(t, { authenticate });
    const error = await refused(500, "internal", await handler(call("echo")));
    assert.equal(error.message, "internal error");
    assert.equal(error.data.field, undefined);
    assert.deepEqual(
      events.map(({ type, what, correlationId }) => [type, what, correlationId]),
      [["host_failed", "handler", error.data.correlationId]],
    );
    if (given instanceof Error) assert.match(events[0].message, /no database/);
    assert.equal(authority.requests.length, 0);
  }
});

test("a page of the host that the URL names may call", async (t) => {
  const { handler } = await world(t);
  assert.equal((await handler(call("echo", {}, { headers: { origin: "https://edge.example" } }))).status, 200);
  const other = { headers: { origin: "https://edge.example", host: "other.example" } };
  await refused(403, "forbidden", await handler(call("echo", {}, other)));
});

test("a body comes in parts, and no further than its limit", async (t) => {
  const { handler } = await world(t, { limits: { maxMessageBytes: 4096 } });
  const text = await call("echo", { parts: 1 }).text();
  const whole = body(text.slice(0, 10), "", text.slice(10));
  assert.equal((await handler(call("echo", {}, whole.init))).status, 200);
  const large = body(...Array.from({ length: 100 }, () => " ".repeat(1000)));
  await refused(413, "too_large", await handler(call("echo", {}, large.init)));
  assert.equal(large.taken, 5);
  // What came of it would be a sound message.
  await refused(400, "parse_error", await handler(call("echo", {}, body(text, new Error("cut")).init)));
  const used = call("echo");
  await used.text();
  const textual = new ReadableStream({ start: (out) => (out.enqueue(text), out.close()) });
  await refused(400, "parse_error", await handler(call("echo", {}, { body: textual, duplex: "half" })));
  await refused(400, "parse_error", await handler(used));
  await refused(400, "parse_error", await handler(call("echo", {}, { body: undefined })));
});

test("a body of nothing is not read for ever", async (t) => {
  const { handler } = await world(t);
  const text = await call("echo").text();
  const empty = Array.from({ length: 1024 }, () => "");
  const patient = body(...empty, text.slice(0, 10), ...empty, text.slice(10));
  assert.equal((await handler(call("echo", {}, patient.init))).status, 200);
  const endless = body(...empty, "", text);
  await refused(400, "parse_error", await handler(call("echo", {}, endless.init)));
  assert.equal(endless.taken, 1025);
});

test("a message may be as large as any configuration allows", async (t) => {
  const most = 64 << 20;
  const { handler } = await world(t, { limits: { maxMessageBytes: most } });
  const blank = new Uint8Array(most + 1).fill(32);
  for (const [length, status, code] of [
    [most - 4096, 400, "parse_error"],
    [most - 100, 400, "parse_error"],
    [most, 400, "parse_error"],
    [most + 1, 413, "too_large"],
  ]) {
    await refused(status, code, await handler(call("echo", {}, body(blank.subarray(0, length)).init)));
  }
  await refused(413, "too_large", await handler(call("echo", {}, { headers: { "x-large": "x".repeat(66 << 20) } })));
});

test("whoever leaves gives up a read, and the last one ends its trip", async (t) => {
  const { handler, authority } = await world(t);
  const [first, second] = [new AbortController(), new AbortController()];
  const answers = [first, second].map(({ signal }) => handler(call("hold", {}, { signal })));
  await authority.held();
  first.abort();
  await refused(503, "cancelled", await answers[0]);
  assert.equal((await handler.replica()).stats().waiters, 1);
  second.abort();
  await refused(503, "cancelled", await answers[1]);
  await authority.drop();
  const gone = await handler(call("echo", {}, { signal: AbortSignal.abort() }));
  await refused(503, "cancelled", gone);
  assert.equal(authority.count("tools/call echo"), 0);
});

test("a write that was sent goes on without its caller", async (t) => {
  const { handler, authority } = await world(t, { policy: [] });
  const controller = new AbortController();
  const answer = handler(call("hold", {}, { signal: controller.signal }));
  await authority.held();
  controller.abort();
  await refused(503, "cancelled", await answer);
  assert.equal((await handler.replica()).stats().flights, 1);
  assert.equal(authority.dropped, 0);
  authority.release();
});

const idle = async ({ handler }) => {
  const replica = await handler.replica();
  while (replica.stats().waiters > 0) await new Promise((resolve) => setImmediate(resolve));
};

test("a silent stream is kept alive, and nothing is left of it", async (t) => {
  const { authority, clock, response, ...rest } = await streamed(t, { steps: 1 });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await reader.read()).value, /^event: message\ndata: .*"progress":1/);
  for (let n = 0; n < 2; n += 1) {
    clock.advance(15_000);
    assert.equal((await reader.read()).value, ": keep-alive\n\n");
  }
  authority.release();
  assert.match((await reader.read()).value, /"id":7/);
  assert.equal((await reader.read()).done, true);
  await idle(rest);
  assert.equal(clock.timers, 0);
});

/** Opens a session; gives what asks for its stream. */
async function session(handler) {
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const opened = await handler(new Request("https://edge.example/mcp", { method: "POST", headers, body }));
  headers["mcp-session-id"] = opened.headers.get("mcp-session-id");
  return (init) => handler(new Request("https://edge.example/mcp", { headers, ...init }));
}

test("the stream of a session is kept alive, and its client leaves it without an error", async (t) => {
  const { handler, clock } = await world(t, { authority: undefined });
  const ask = await session(handler);
  const client = new AbortController();
  const response = await ask({ signal: client.signal });
  assert.equal(response.status, 200);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const replica = await handler.replica();
  assert.equal(replica.stats().subscriptions, 1);
  // What some servers need before they send the head.
  assert.equal((await reader.read()).value, ": keep-alive\n\n");
  clock.advance(15_000);
  assert.equal((await reader.read()).value, ": keep-alive\n\n");
  assert.equal((await ask()).status, 409);
  client.abort();
  assert.equal((await reader.read()).done, true);
  assert.deepEqual([replica.stats().subscriptions, clock.timers], [0, 0]);
  const again = await ask();
  await again.body.cancel();
  assert.deepEqual([replica.stats().subscriptions, clock.timers], [0, 0]);
});

test("the end of a session ends its streams, and closing breaks them off", async (t) => {
  const { handler, clock } = await world(t, { authority: undefined });
  const ask = await session(handler);
  const ended = await ask();
  // A body has no business there, and is not waited for.
  const body = new ReadableStream({ pull: () => new Promise(() => {}) });
  assert.equal((await ask({ method: "DELETE", body, duplex: "half" })).body, null);
  await ended.text();
  const broken = await (await session(handler))();
  await handler.close();
  await assert.rejects(broken.text());
  assert.equal(clock.timers, 0);
});

test("a client too slow for its notifications still gets the response", async (t) => {
  const { authority, response, ...rest } = await streamed(t, { steps: 40, bytes: 100_000 });
  authority.release();
  await idle(rest);
  const text = await response.text();
  const events = text.trimEnd().split("\n\n");
  assert.ok(text.length < 1.5 * (1 << 20), `${text.length} bytes were queued`);
  assert.ok(events.length > 5 && events.length < 20, `${events.length} events`);
  assert.match(events.at(-1), /"id":7/);
});

test("a client that stops reading gives up its read", async (t) => {
  const { authority, clock, response } = await streamed(t, { steps: 1 });
  await response.body.cancel();
  await authority.drop();
  assert.equal(clock.timers, 0);
});

test("a client that leaves ends its stream, and that is no error", async (t) => {
  const controller = new AbortController();
  const { authority, clock, response } = await streamed(t, { steps: 1 }, {}, { signal: controller.signal });
  const reader = response.body.getReader();
  await reader.read();
  controller.abort();
  assert.equal((await reader.read()).done, true);
  await authority.drop();
  assert.equal(clock.timers, 0);
});

test("closing answers whoever waits, and everybody after", async (t) => {
  const { handler, authority } = await world(t);
  const waiting = handler(call("hold"));
  await authority.held();
  await handler.close();
  await refused(503, "closed", await waiting);
  await refused(503, "closed", await handler(call("echo")));
  await fails("closed", handler.replica());
  await handler.close();
  const unopened = createHandler();
  await unopened.close();
  await refused(503, "closed", await unopened(call("echo")));
});

test("closing breaks a stream off", async (t) => {
  const { handler, response } = await streamed(t, { steps: 1 });
  await handler.close();
  await assert.rejects(response.text());
});

test("after a trap the next request has a new replica", async (t) => {
  const { handler, authority, events } = await world(t);
  const waiting = handler(call("hold"));
  await authority.held();
  const mend = breakEngine(t, "serve");
  const error = await refused(500, "internal", await handler(call("echo")));
  assert.equal(error.message, "internal error");
  await refused(500, "internal", await waiting);
  mend();
  assert.equal((await handler(call("echo"))).status, 200);
  const faults = events.filter(({ type }) => type === "host_failed");
  assert.deepEqual(
    faults.map(({ what }) => what),
    ["wasm"],
  );
});

test("a thing that is no request is answered", async (t) => {
  const { handler } = await world(t);
  const forEach = () => {
    throw new LeewardError("config_invalid", "x", { data: { field: 1n } });
  };
  for (const thing of [undefined, {}, { url: "x", method: "POST", headers: new Headers() }, { headers: { forEach } }]) {
    assert.ok((await handler(thing)).status >= 400);
  }
});
