// What lasts longer than a request lives in an object of its principal's; what does not is still answered where it
// arrives.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { CHANGED, gate, openEvents, sendJson, startAuthority, SUBSCRIPTION } from "../http/support/authority.mjs";
import { events, messages, modern, openPost, post, toolCall } from "../http/support/client.mjs";
import { ALICE, BOB } from "../http/support/hosts.mjs";
import { openSession, sessionAs } from "../http/support/session.mjs";
import { startWorkers } from "../http/support/worker.mjs";

const ZOE = "token-of-zoe-0123456789";

let authority;
let workers;

before(async () => {
  authority = await startAuthority();
  const capabilities = { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} };
  const discovered = { supportedVersions: ["2026-07-28"], capabilities, ttlMs: 60_000, cacheScope: "private" };
  authority.script("server/discover", ({ message: { id }, response }) =>
    sendJson(response, { jsonrpc: "2.0", id, result: { resultType: "complete", ...discovered } }),
  );
  const sound = {
    LEEWARD_CONFIG: {
      authority: authority.url,
      origins: ["https://page.example"],
      policy: [{ tool: "get_*", rule: "cache;max-age=60" }],
    },
    LEEWARD_TOKENS: { [ALICE]: "alice", [BOB]: "bob", [ZOE]: "Zoë — zoe@example.com" },
    sessions: true,
  };
  const open = { LEEWARD_CONFIG: { ...sound.LEEWARD_CONFIG, anonymous: "public-only" }, sessions: true };
  const alone = { ...sound, sessions: false };
  workers = await startWorkers({ main: sound, limits: sound, callers: sound, restart: sound, late: { ...sound, sessions: "late" }, quiet: sound, open, alone });
});

afterEach(() => {
  const faults = workers.logs.filter(
    ({ level, message }) => level !== "log" && level !== "info" && !message.includes("abortAllDurableObjects"),
  );
  assert.deepEqual(faults.splice(0), [], "the runtime complained");
});

after(async () => {
  await workers.close();
  await authority.close();
});

const listen = () => modern("subscriptions/listen", { notifications: { toolsListChanged: true } });
const lists = async (name) => (await post(workers[name], modern("tools/list", {}))).headers["cache-status"];

/** Acknowledges the subscriptions that come; the n-th call of the result is the n-th one's at the authority. */
function scriptListen() {
  const arrived = [gate()];
  authority.script("subscriptions/listen", (call) => {
    const { id, params } = call.message;
    const send = openEvents(call.response);
    const tell = (method, more) => send({ jsonrpc: "2.0", method, params: { ...more, _meta: { [SUBSCRIPTION]: id } } });
    tell("notifications/subscriptions/acknowledged", { notifications: params.notifications });
    const { open } = arrived.at(-1);
    arrived.push(gate());
    open({ ...call, tell });
  });
  let n = 0;
  return () => arrived[n++].passed;
}

/** A subscription that was acknowledged. */
async function subscribe(name, headers = {}) {
  const request = listen();
  const exchange = openPost(workers[name], { ...request, headers: { ...request.headers, ...headers } });
  const response = await exchange.response;
  assert.equal(response.statusCode, 200);
  const parts = messages(response);
  const { value } = await parts.next();
  assert.equal(value.method, "notifications/subscriptions/acknowledged");
  assert.equal(value.params._meta[SUBSCRIPTION], request.id);
  return { response, parts, leave: exchange.leave };
}

test("a subscription lives in the object, hits where they arrive, and a change reaches both", async () => {
  const next = scriptListen();
  const { response, parts, leave } = await subscribe("main", { origin: "https://page.example" });
  assert.equal(response.headers["content-type"], "text/event-stream");
  assert.equal(response.headers["x-accel-buffering"], "no");
  assert.equal(response.headers["cache-control"], "no-store");
  assert.equal(response.headers["access-control-allow-origin"], "https://page.example");
  assert.equal((await workers.objects("main")).length, 1);
  const upstream = await next();
  assert.match(await lists("main"), /fwd=uri-miss;stored/);
  const trips = authority.calls.length;
  assert.match(await lists("main"), /^leeward;hit/);
  assert.equal(authority.calls.length, trips);
  upstream.tell(CHANGED);
  assert.equal((await parts.next()).value.method, CHANGED);
  assert.match(await lists("main"), /fwd=stale;stored/, "the isolate heard of it on the way");
  leave();
  await upstream.closed;
});

test("a client that leaves before its subscription is acknowledged ends it", async () => {
  const arrived = gate();
  authority.script("subscriptions/listen", arrived.open);
  const { leave } = openPost(workers.main, listen());
  const call = await arrived.passed;
  leave();
  await call.closed;
  assert.ok(!call.response.headersSent);
});

test("no two callers share an object, whatever they say of themselves", async () => {
  scriptListen();
  const callers = [ALICE, BOB, ZOE].map((token) => ({ authorization: `Bearer ${token}` }));
  const forged = { authorization: `Bearer ${BOB}`, "leeward-caller": "alice" };
  for (const [n, headers] of [...callers, ...callers, forged].entries()) {
    const { leave } = await subscribe("callers", headers);
    assert.equal((await workers.objects("callers")).length, Math.min(n + 1, callers.length));
    leave();
  }
});

test("callers who are nobody in particular are served by one of many objects", async () => {
  scriptListen();
  const { leave } = await subscribe("open", { authorization: undefined });
  assert.equal((await workers.objects("open")).length, 1);
  leave();
  const sessions = [];
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const nobody = (id) => sessionAs(workers.open, { authorization: undefined, "mcp-session-id": id });
  for (let n = 0; n < 12; n += 1) {
    const opened = await post(workers.open, { headers: { authorization: undefined }, body });
    sessions.push(nobody(opened.headers["mcp-session-id"]));
  }
  const objects = await workers.objects("open");
  assert.ok(objects.length > 1, "all drawn alike: once in 64 ** 11 runs");
  for (const { ask, end } of sessions) {
    assert.deepEqual((await ask("ping")).json.result, {});
    assert.ok((await end()).status < 300);
    assert.equal((await ask("ping")).status, 404);
  }
  for (const id of ["", "x", "zz", "+1", "ff".repeat(17), "é"]) {
    assert.equal((await nobody(id).ask("ping")).status, 404, id);
  }
  assert.ok((await workers.objects("open")).length <= 64);
});

test("a write in a session makes stale what the isolate holds of its principal's", async () => {
  const read = async () => (await post(workers.main, toolCall("get_ticket"))).headers["cache-status"];
  const { ask } = await openSession(workers.main);
  await read();
  assert.match(await read(), /^leeward;hit/);
  await ask("tools/call", { name: "get_other", arguments: {} });
  assert.match(await read(), /^leeward;hit/, "that was no write");
  await ask("tools/call", { name: "close_ticket", arguments: {} });
  assert.match(await read(), /fwd=stale/);
  assert.match(await read(), /^leeward;hit/);
  const held = gate();
  authority.script("close_other", held.open);
  const lost = ask("tools/call", { name: "close_other", arguments: {} });
  await held.passed;
  await workers.abortObjects();
  await assert.rejects(lost, "its stream had begun");
  assert.match(await read(), /fwd=stale/);
  assert.match(await read(), /fwd=stale/, "it may take effect yet: nothing is stored");
});

test("what is wrong with a subscription is said where it arrives", async () => {
  const request = listen();
  const trips = authority.calls.length;
  const answer = await post(workers.open, {
    ...request,
    headers: { ...request.headers, authorization: undefined, "mcp-method": "tools/list" },
  });
  assert.equal(answer.json.error.code, -32020);
  assert.equal(authority.calls.length, trips);
});

test("a principal has as many subscriptions as one object holds", async () => {
  scriptListen();
  const MAX_LISTENS_PER_PRINCIPAL = 32;
  const open = [];
  for (let n = 0; n < MAX_LISTENS_PER_PRINCIPAL; n += 1) open.push(await subscribe("limits"));
  const answer = await post(workers.limits, listen());
  assert.equal(answer.status, 503);
  assert.equal(answer.json.error.data.code, "over_budget");
  for (const { leave } of open) leave();
});

test("where the object ends, so do its streams, and the next finds another", async () => {
  const next = scriptListen();
  const { parts } = await subscribe("main");
  const upstream = await next();
  await workers.abortObjects();
  await upstream.closed;
  await assert.rejects(async () => {
    while (!(await parts.next()).done);
  });
  const arrived = gate();
  authority.script("subscriptions/listen", arrived.open);
  const waiting = listen();
  const answer = post(workers.main, waiting);
  await arrived.passed;
  await workers.abortObjects();
  const { json } = await answer;
  assert.equal(json.id, waiting.id);
  assert.equal(json.error.data.code, "closed");
  assert.equal(json.error.data.retryable, true);
  scriptListen();
  (await subscribe("main")).leave();
});

test("an agent that may be asked is served by its object, unless the authority asks nobody", async () => {
  const legacy = await startAuthority({ legacy: true });
  const config = { authority: legacy.url, policy: [{ tool: "get_*", rule: "cache;max-age=60" }] };
  const bindings = { LEEWARD_TOKENS: { [ALICE]: "alice" }, sessions: true };
  const open = { LEEWARD_CONFIG: { ...config, anonymous: "public-only" }, sessions: true };
  const hosts = await startWorkers({ old: { ...bindings, LEEWARD_CONFIG: config }, open });
  const declares = { "io.modelcontextprotocol/clientCapabilities": { elicitation: {} } };
  const call = async (host, name) => {
    const { json } = await post(host, toolCall(name, {}, declares));
    assert.ok("result" in json, JSON.stringify(json));
  };
  try {
    for (const [name, objects] of [["get_ticket", 0], ["close_ticket", 1]]) {
      await call(hosts.old, name);
      assert.equal((await hosts.objects("old")).length, objects, name);
    }
    const nobody = (request) => ({ ...request, headers: { ...request.headers, authorization: undefined } });
    for (const [host, name, as] of [[hosts.old, "close_asks", (request) => request], [hosts.open, "close_open", nobody]]) {
      const asked = gate();
      legacy.script(name, ({ message: { id }, response }) => {
        const send = openEvents(response);
        // The next message without a name is the agent's answer.
        legacy.script(undefined, (answer) => {
          legacy.script(undefined, undefined);
          answer.response.writeHead(202).end();
          asked.open(answer.message);
          send({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "done" }] } });
          response.end();
        });
        const params = { message: "sure?", requestedSchema: { type: "object", properties: {} } };
        send({ jsonrpc: "2.0", id: "q-1", method: "elicitation/create", params });
      });
      const question = await post(host, as(toolCall(name, {}, declares)));
      const { resultType, inputRequests, requestState } = question.json.result;
      assert.equal(resultType, "input_required");
      const [[key, { method }]] = Object.entries(inputRequests);
      assert.equal(method, "elicitation/create");
      const response = { action: "accept", content: {} };
      const more = { name, arguments: {}, requestState, inputResponses: { [key]: response } };
      const { json } = await post(host, as(modern("tools/call", more, declares)));
      assert.ok("result" in json, JSON.stringify(json));
      assert.deepEqual(json.result.content, [{ type: "text", text: "done" }]);
      assert.deepEqual((await asked.passed).result, response);
      assert.equal(legacy.trips(name), 1);
    }

    const before = (await workers.objects("quiet")).length;
    await lists("quiet");
    await call(workers.quiet, "close_ticket");
    assert.equal((await workers.objects("quiet")).length, before);
  } finally {
    await hosts.close();
    await legacy.close();
  }
});

test("without objects a subscription lives in the isolate", async () => {
  const next = scriptListen();
  const { parts, leave } = await subscribe("alone");
  const upstream = await next();
  upstream.tell(CHANGED);
  assert.equal((await parts.next()).value.method, CHANGED);
  leave();
  await upstream.closed;
});

test("a session goes on after its object has ended", async () => {
  const next = scriptListen();
  const session = await openSession(workers.restart);
  const { ask, stream, begin } = session;
  const other = await openSession(workers.restart);
  assert.ok((await other.end()).status < 300);
  assert.deepEqual((await ask("logging/setLevel", { level: "warning" })).json.result, {});
  assert.deepEqual((await ask("resources/subscribe", { uri: "test://watched" })).json.result, {});
  const first = messages(await stream().response);
  const watched = await next();
  const held = gate();
  authority.script("close_held", held.open);
  const call = begin("tools/call", { name: "close_held", arguments: {} });
  const told = events(await call.response);
  const { value: primed } = await told.next();
  await held.passed;

  await workers.abortObjects();
  await watched.closed;
  for (const cut of [first, told]) {
    await assert.rejects(async () => {
      while (!(await cut.next()).done);
    });
  }

  const resumed = [];
  for await (const message of messages(await stream(primed.id).response)) resumed.push(message);
  assert.equal(resumed.length, 1);
  assert.equal(resumed[0].id, call.id);
  assert.equal(resumed[0].error.data.code, "unknown_outcome");
  assert.equal(authority.trips("close_held"), 1, "a write is sent once");

  const again = messages(await stream().response);
  const upstream = await next();
  assert.deepEqual(upstream.message.params.notifications.resourceSubscriptions, ["test://watched"]);
  upstream.tell("notifications/resources/updated", { uri: "test://watched" });
  for (;;) {
    const { value } = await again.next();
    if (value.method === "notifications/resources/updated") break;
  }
  await ask("tools/call", { name: "logs", arguments: {} });
  const [{ message }] = authority.of("logs");
  assert.equal(message.params._meta["io.modelcontextprotocol/logLevel"], "warning");
  assert.equal((await other.ask("ping")).status, 404, "what had ended stays so");
  assert.ok((await session.end()).status < 300);
  await workers.abortObjects();
  assert.equal((await ask("ping")).status, 404);
});

test("a request for which its object is made again finds its session", async () => {
  for (const use of [({ ask }) => ask("ping"), ({ end }) => end()]) {
    const session = await openSession(workers.late);
    await workers.abortObjects();
    assert.ok((await use(session)).status < 300);
  }
});
