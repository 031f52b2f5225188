// Bad input and bad neighbours: each gets its code, and the replica goes on.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Authority, POLICY, alone, fails, world } from "./support/index.mjs";
import { LeewardError, McpError, Replica } from "./support/leeward.mjs";

test("an option of the wrong type is named", async () => {
  for (const [options, field] of [
    [{ fetch: 1 }, "fetch"],
    [{ random: "x" }, "random"],
    [{ credentialFor: {} }, "credentialFor"],
    [{ onEvent: 1 }, "onEvent"],
    [{ clock: 1 }, "clock"],
    [{ clock: { now: 1 } }, "clock.now"],
    [{ tools: {} }, "tools"],
    [{ resources: 1 }, "resources"],
    [{ principal: 1 }, "principal"],
    [{ authority: 1 }, "authority"],
    [{ authority: "ftp://x" }, "authority"],
    [{ policy: {} }, "policy"],
    [{ policy: [{ tool: "a", rule: "cash" }] }, "policy[0].rule"],
    [{ policy: [{ tool: "a", rule: "cache;max-age=x" }] }, "policy[0].rule"],
    [{ limits: { max_flights: 1 } }, "limits.max_flights"],
    [{ polcy: [] }, "polcy"],
  ]) {
    const error = await fails("config_invalid", () => Replica.open(options));
    assert.equal(error.data.field, field, JSON.stringify(options));
    assert.equal(error.retryable, false);
  }
  for (const options of [null, 1, [], "x"]) await fails("config_invalid", () => Replica.open(options));
  await fails("config_invalid", () => Replica.open({ origins: [1n] }));
});

test("arguments that are no JSON object are refused here", async (t) => {
  const { authority, replica } = await world(t);
  const cycle = {};
  cycle.cycle = cycle;
  for (const args of [{ big: 1n }, cycle, [], "text", 1, null, () => {}, { toJSON: () => 1 }]) {
    await fails("invalid_params", () => replica.callTool("echo", args));
  }
  for (const name of [undefined, null, 1, {}, ""]) await fails("invalid_params", () => replica.callTool(name));
  await fails("invalid_params", () => replica.request("tools/list", []));
  await fails("invalid_params", () => replica.request("tools/list", { _meta: 1 }));
  await fails("invalid_params", () => replica.callTool("echo", {}, { signal: {} }));
  await fails("invalid_params", () => replica.callTool("echo", {}, { timeoutMs: "1" }));
  await fails("invalid_params", () => replica.callTool("echo", {}, { principal: 1 }));
  await fails("invalid_params", () => replica.callTool("echo", {}, 1));
  await fails("method_not_found", () => replica.request("no/such"));
  assert.equal(authority.requests.length, 0);
  await replica.callTool("echo", {});
});

test("a message over the limit does not travel", async (t) => {
  const { authority, replica } = await world(t, { limits: { maxMessageBytes: 10_000 } });
  await fails("too_large", () => replica.callTool("echo", { text: "x".repeat(10_000) }));
  // Short enough in UTF-16, too long in UTF-8.
  await fails("too_large", () => replica.callTool("echo", { text: "ü".repeat(9_000) }));
  assert.equal(authority.requests.length, 0);
});

test("a denied tool is refused here", async (t) => {
  const { authority, replica } = await world(t);
  const error = await fails("denied_by_policy", () => replica.callTool("forbidden"));
  assert.equal(error.rpcCode, 1003);
  assert.equal(error.retryable, false);
  assert.equal(authority.count("tools/call"), 0);
});

test("an error of the authority comes as it was", async (t) => {
  const { replica } = await world(t);
  const error = await fails("authority_error", () => replica.callTool("refuse"));
  assert.ok(error instanceof McpError);
  assert.ok(error instanceof LeewardError);
  assert.equal(error.name, "McpError");
  assert.equal(error.rpcCode, -31999);
  assert.equal(error.message, "not today");
  assert.deepEqual(error.data, { why: ["because"] });
});

test("an authority that answers no MCP has its code", async (t) => {
  const { replica } = await world(t);
  await fails("authority_invalid", () => replica.callTool("html"));
  const torn = await replica.callTool("torn").catch((error) => error);
  assert.ok(["authority_unreachable", "authority_invalid"].includes(torn.code), torn.code);
  await replica.callTool("echo", {});
});

test("an authority that is gone has its code, also for a write, which was not sent", async (t) => {
  const authority = await Authority.start();
  await authority.close();
  const replica = await alone(t, { authority: authority.url, policy: POLICY });
  const read = await fails("authority_unreachable", () => replica.callTool("echo", {}));
  assert.equal(read.retryable, true);
  await fails("authority_unreachable", () => replica.callTool("write", {}));
});

/** Longer than an authority that is down is left alone: the next call is sent. */
const PAUSE_MS = 60_000;

test("system errors say whether a write was sent", async (t) => {
  let cause;
  const { replica, clock } = await world(t, {
    fetch: async (...request) => {
      if (cause === undefined) return fetch(...request);
      throw new TypeError("fetch failed", { cause: cause });
    },
  });
  // The authority is known from here on, so the next thing sent is the write itself.
  await replica.listTools();
  const never = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT", "ENETUNREACH", "EHOSTUNREACH"];
  for (cause of [
    ...never.map((code) => ({ code })),
    { errors: [{ code: "ECONNREFUSED", syscall: "connect" }, { code: "ENETUNREACH" }] },
  ]) {
    await fails("authority_unreachable", () => replica.callTool("write", {}));
    clock.advance(PAUSE_MS);
  }
  for (cause of [
    { code: "ECONNRESET" },
    { code: "EHOSTUNREACH", syscall: "read" },
    { errors: [{ code: "ECONNREFUSED" }, {}] },
    null,
    1,
  ]) {
    await fails("unknown_outcome", () => replica.callTool("write", {}));
    clock.advance(PAUSE_MS);
  }
});

test("a fetch that misbehaves fails its trip only", async (t) => {
  let fetch;
  const { replica, clock } = await world(t, { fetch: (url, init) => fetch(url, init) });
  const body = (body) => async () => new Response(body, { headers: { "content-type": "application/json" } });
  const failing = new ReadableStream({ pull: (controller) => controller.error(new Error("torn")) });
  const words = new ReadableStream({ pull: (controller) => controller.enqueue("text") });
  for (fetch of [
    () => {
      throw new Error("now");
    },
    async () => {
      throw undefined;
    },
    async () => undefined,
    async () => ({}),
    () => "text",
    async () => ({ status: 200, headers: { forEach: 1 } }),
    body(failing),
    body(words),
    body(null),
    body("{"),
    async () => Response.redirect("http://127.0.0.1:9/elsewhere", 307),
  ]) {
    const error = await replica.callTool("echo", {}).catch((error) => error);
    assert.ok(error instanceof LeewardError, String(fetch));
    assert.match(error.code, /^authority_(unreachable|invalid)$/, String(fetch));
    clock.advance(PAUSE_MS);
  }
  fetch = globalThis.fetch;
  await replica.callTool("echo", {});
});

test("a fetch without streams is read whole", async (t) => {
  const { replica } = await world(t, {
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      const { status, headers } = response;
      return { status, headers, arrayBuffer: () => response.arrayBuffer() };
    },
  });
  assert.equal((await replica.callTool("big", { length: 600_000 })).content[0].text.length, 600_000);
});

test("credentials come from the hook, and its failure has a code", async (t) => {
  let credential;
  const asked = [];
  const { authority, replica } = await world(t, {
    credentialFor: (principal) => {
      asked.push(principal);
      return typeof credential === "function" ? credential() : credential;
    },
  });
  const header = () => authority.requests.at(-1).headers.authorization;
  for (const [given, expected] of [
    ["secret", "Bearer secret"],
    [{ token: "other", identity: "grant" }, "Bearer other"],
    [async () => "late", "Bearer late"],
    [undefined, undefined],
    [null, undefined],
  ]) {
    credential = given;
    await replica.callTool("refuse", {}, { principal: "ann" }).catch(() => {});
    assert.equal(header(), expected);
  }
  assert.deepEqual([...new Set(asked)], ["ann"]);
  const sent = authority.requests.length;
  for (const bad of [{}, { token: 1 }, { token: "t", identity: 1 }, { token: "t", identity: "\ud800" }, 1, () => Promise.reject(new Error("no"))]) {
    credential = bad;
    const error = await replica.callTool("refuse").catch((error) => error);
    assert.ok(error instanceof LeewardError);
  }
  assert.equal(authority.requests.length, sent);
});

test("randomness that fails at first is asked for again", async (t) => {
  let ready = false;
  const events = [];
  const { authority, replica } = await world(t, {
    random: (bytes) => {
      if (!ready) throw new Error("not outside a handler");
      crypto.getRandomValues(bytes);
    },
    onEvent: (event) => events.push(event),
  });
  await replica.callTool("echo", {});
  await replica.callTool("echo", {});
  assert.equal(authority.count("tools/call echo"), 2, "nothing is cached without a key");
  assert.equal(events[0].type, "host_failed");
  ready = true;
  await replica.callTool("echo", {});
  await replica.callTool("echo", {});
  assert.equal(authority.count("tools/call echo"), 3);
});

test("a listener or a clock that throws stops nothing", async (t) => {
  const fail = () => {
    throw new Error("mine");
  };
  const { replica } = await world(t, {
    onEvent: fail,
    clock: { now: fail, unix: fail, setTimeout: fail, clearTimeout: fail },
  });
  await replica.callTool("echo", {}, { timeoutMs: 1 });
  await fails("authority_invalid", () => replica.callTool("html"));
});

test("events name what happened", async (t) => {
  const events = [];
  const { replica } = await world(t, { onEvent: (event) => events.push(event) });
  await fails("authority_invalid", () => replica.callTool("html"));
  const failed = events.find(({ type }) => type === "trip_failed");
  assert.equal(failed.method, "tools/call");
  assert.equal(failed.code, "authority_invalid");
});
