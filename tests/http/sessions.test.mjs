// Sessions of the revisions before 2026-07-28: their life, their streams, and whose they are.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callResult, CHANGED, gate, openEvents, scriptListen, startAuthority } from "./support/authority.mjs";
import { events, messages, post, send } from "./support/client.mjs";
import { ALICE, BOB, startHosts, TOKENS } from "./support/hosts.mjs";
import { openSession, sessionAs } from "./support/session.mjs";

const VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26"];
const PROGRESS = { progressToken: "mine-1" };

let authority;
let hosts;

before(async () => {
  authority = await startAuthority();
  const policy = [{ tool: "get_*", rule: "cache;max-age=60" }];
  const bindings = {
    LEEWARD_CONFIG: { authority: authority.url, policy, origins: ["https://app.example"] },
    LEEWARD_TOKENS: TOKENS,
  };
  hosts = await startHosts({ main: { ...bindings, sessions: true }, without: bindings });
});

after(async () => {
  await hosts.close();
  await authority.close();
});

function assertRefused(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.equal(answer.json.error.data.code, code);
}

/** The next event with a message of a stream that {@link events} reads. */
async function nextMessage(stream) {
  for (;;) {
    const { value, done } = await stream.next();
    assert.ok(!done, "the stream has ended");
    if (value.message !== undefined) return value;
  }
}

/** Answers a tool with one step of progress, then waits for the gate, then a second and the result. */
function scriptSteps(name) {
  const { passed, open } = gate();
  authority.script(name, async ({ message: { id, params }, response }) => {
    const send = openEvents(response);
    const { progressToken } = params._meta;
    const step = (progress) =>
      send({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken, progress } });
    step(1);
    await passed;
    step(2);
    send({ jsonrpc: "2.0", id, result: { resultType: "complete", ...callResult(params) } });
    response.end();
  });
  return open;
}

for (const version of VERSIONS) {
  test(`a session of ${version} is opened, used and ended`, async () => {
    const { opened, id, ask, stream, refusal, notify, end } = await openSession(hosts.main, { version });
    assert.equal(opened.json.result.protocolVersion, version);
    assert.match(id, /^[\x21-\x7e]{22,}$/);
    assert.deepEqual((await ask("ping")).json.result, {});
    assert.equal((await ask("tools/list", {})).json.result.tools.length, 3);
    const call = { name: "get_ticket", arguments: { version } };
    assert.match((await ask("tools/call", call)).headers["cache-status"], /fwd=uri-miss/);
    const hit = await ask("tools/call", call);
    assert.match(hit.headers["cache-status"], /;hit/);
    assert.equal(hit.headers["content-type"], "application/json", "nothing of it needs to be resumed");
    const own = await stream().response;
    assert.equal(own.statusCode, 200);
    const ended = await end();
    assert.ok([200, 204].includes(ended.status), ended.text);
    assert.equal(ended.text, "");
    for await (const _ of messages(own)) assert.fail("it ends with its session");
    for (const refused of [await ask("ping"), await notify("notifications/initialized"), await refusal(), await end()]) {
      assertRefused(refused, 404, "session_unknown");
    }
  });
}

test("every session has a name of its own", async () => {
  const ids = new Set();
  for (let n = 0; n < 20; n += 1) ids.add((await openSession(hosts.main)).id);
  assert.equal(ids.size, 20);
});

test("a session is its principal's", async () => {
  const { id, end } = await openSession(hosts.main);
  const unknown = sessionAs(hosts.main, { authorization: `Bearer ${BOB}`, "mcp-session-id": "0".repeat(32) });
  const foreign = sessionAs(hosts.main, { authorization: `Bearer ${BOB}`, "mcp-session-id": id });
  const told = [];
  for (const session of [unknown, foreign]) {
    for (const act of ["end", "refusal"]) told.push(await session[act]());
    told.push(await session.ask("ping"), await session.notify("notifications/initialized"));
  }
  for (const answer of told) assertRefused(answer, 404, "session_unknown");
  const words = told.map(({ json }) => json.error.message);
  assert.equal(new Set(words).size, 1, "nothing tells that there is such a session");
  const stranger = sessionAs(hosts.main, { "mcp-session-id": id, authorization: "Bearer none" });
  for (const answer of [await stranger.end(), await stranger.refusal(), await stranger.ask("ping")]) {
    assert.equal(answer.status, 401);
  }
  assert.ok((await end()).status < 300);
});

test("a stream without a name of a session is refused", async () => {
  const nobody = sessionAs(hosts.main, { authorization: `Bearer ${ALICE}` });
  assertRefused(await nobody.refusal(), 400, "session_required");
  assertRefused(await nobody.end(), 400, "session_required");
});

test("the session's stream opens at once, and says what changes", async () => {
  const arrived = scriptListen(authority);
  const { stream, refusal } = await openSession(hosts.main);
  const exchange = stream();
  const response = await exchange.response;
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers["content-type"], "text/event-stream");
  assert.equal(response.headers["x-accel-buffering"], "no");
  assert.equal(response.headers["cache-control"], "no-store");
  const upstream = await arrived;
  assertRefused(await refusal(), 409, "stream_taken");
  upstream.tell(CHANGED);
  const { value } = await messages(response).next();
  assert.deepEqual([value.method, value.params?._meta], [CHANGED, undefined], "that is of another revision");
  exchange.leave();
  await upstream.closed;
  // Its place is free again.
  const again = scriptListen(authority);
  const second = await stream().response;
  (await again).tell(CHANGED);
  assert.equal((await messages(second).next()).value.method, CHANGED);
});

test("a resource is subscribed to in its session", async () => {
  const { ask, stream } = await openSession(hosts.main);
  const uri = "test://watched";
  assert.deepEqual((await ask("resources/subscribe", { uri })).json.result, {});
  const arrived = scriptListen(authority);
  const parts = messages(await stream().response);
  const { message, tell } = await arrived;
  assert.deepEqual(message.params.notifications.resourceSubscriptions, [uri]);
  tell("notifications/resources/updated", { uri });
  const { value } = await parts.next();
  assert.deepEqual([value.method, value.params.uri], ["notifications/resources/updated", uri]);
  assert.deepEqual((await ask("resources/unsubscribe", { uri })).json.result, {});
});

test("the level of logs is the session's", async () => {
  const { ask } = await openSession(hosts.main);
  const other = await openSession(hosts.main);
  assert.deepEqual((await ask("logging/setLevel", { level: "warning" })).json.result, {});
  for (const session of [{ ask }, other]) await session.ask("tools/call", { name: "logs", arguments: {} });
  const levels = authority.of("logs").map(({ message }) => message.params._meta["io.modelcontextprotocol/logLevel"]);
  assert.deepEqual(levels, ["warning", undefined]);
  assert.equal((await ask("logging/setLevel", { level: "loud" })).json.error.code, -32602);
});

test("a client that comes back has the rest of its answer", async () => {
  const release = scriptSteps("steps");
  const { begin, stream } = await openSession(hosts.main);
  const call = begin("tools/call", { name: "steps", arguments: { a: 1 }, _meta: PROGRESS });
  const first = events(await call.response);
  const primed = await first.next();
  assert.ok(primed.value.id !== undefined && primed.value.message === undefined, "something to come back after");
  const step = await nextMessage(first);
  assert.equal(step.message.params.progress, 1);
  call.leave();
  await assert.rejects(async () => {
    for await (const _ of first);
  });
  const rest = events(await stream(step.id).response);
  release();
  assert.equal((await nextMessage(rest)).message.params.progress, 2);
  const last = await nextMessage(rest);
  assert.equal(last.message.id, call.id);
  assert.deepEqual(last.message.result.content, [{ type: "text", text: '{"a":1}' }]);
  assert.equal((await rest.next()).done, true);
  // All of it again, from what is kept.
  const again = [];
  for await (const message of messages(await stream(primed.value.id).response)) again.push(message);
  assert.deepEqual(again.map(({ params, id }) => params?.progress ?? id), [1, 2, call.id]);
  assert.equal(authority.trips("steps"), 1);
});

test("a client that takes no events has its answer without them", async () => {
  const { id } = await openSession(hosts.main);
  const session = { "mcp-session-id": id, "mcp-protocol-version": "2025-11-25" };
  const { ask } = sessionAs(hosts.main, { ...session, accept: "application/json" });
  scriptSteps("plain_steps")();
  const answer = await ask("tools/call", { name: "plain_steps", arguments: {}, _meta: PROGRESS });
  assert.equal(answer.headers["content-type"], "application/json");
  assert.equal(answer.json.result.isError, undefined);
  assert.equal(answer.json.error, undefined);
});

test("nobody else comes back for it", async () => {
  scriptSteps("secret")();
  const { id, ask } = await openSession(hosts.main);
  const { text } = await ask("tools/call", { name: "secret", arguments: { of: "alice" }, _meta: PROGRESS });
  assert.match(text, /progress.*alice/s);
  const first = text.match(/^id: (.*)$/m)[1];
  const foreign = sessionAs(hosts.main, { authorization: `Bearer ${BOB}`, "mcp-session-id": id });
  assertRefused(await foreign.refusal(first), 404, "session_unknown");
  // Of one principal, but another session: that has no such stream.
  const other = await openSession(hosts.main);
  for (const after of [first, "", "0", "x-y-z"]) {
    const answer = await other.refusal(after);
    assert.ok(!/progress|alice/.test(answer.text), `${after}: ${answer.text}`);
  }
});

test("a request is cancelled by its session, and by no other", async () => {
  const arrivals = [];
  authority.script("get_slow", (call) => arrivals.push(call) && openEvents(call.response));
  const session = await openSession(hosts.main);
  const other = await openSession(hosts.main);
  const call = session.begin("tools/call", { name: "get_slow", arguments: {}, _meta: PROGRESS });
  const { closed } = await authority.arrival("get_slow");
  const params = { requestId: call.id };
  for (const foreign of [other, sessionAs(hosts.main, { authorization: `Bearer ${ALICE}` })]) {
    assert.equal((await foreign.notify("notifications/cancelled", params)).status, 202);
  }
  assert.equal(arrivals[0].response.destroyed, false);
  assert.equal((await session.notify("notifications/cancelled", params)).status, 202);
  await closed;
  // No response, but an end.
  for await (const message of messages(await call.response)) assert.ok(!("id" in message), JSON.stringify(message));
});

test("a client that never reads loses its stream, not its session", async () => {
  const arrived = scriptListen(authority);
  const { ask, stream } = await openSession(hosts.main);
  const slow = await stream().response;
  const { tell, closed, response } = await arrived;
  // As much as it takes: sockets on the way hold some of it, and nobody reads.
  const padding = "x".repeat(32_768);
  const more = () => {
    while (!response.destroyed && tell(CHANGED, { padding }));
  };
  response.on("drain", more);
  more();
  await closed;
  for await (const _ of messages(slow));
  assert.deepEqual((await ask("ping")).json.result, {});
  const again = scriptListen(authority);
  assert.equal((await stream().response).statusCode, 200);
  await again;
});

test("a page may use sessions if it may call", async () => {
  const page = { origin: "https://app.example", authorization: `Bearer ${ALICE}` };
  const { opened, id, end } = await openSession(hosts.main);
  assert.ok(opened.headers["mcp-session-id"]);
  const asks = { "access-control-request-method": "DELETE", "access-control-request-headers": "mcp-session-id" };
  const preflight = await send(hosts.main, { method: "OPTIONS", path: "/mcp", headers: { ...page, ...asks } });
  assert.equal(preflight.status, 204);
  assert.match(preflight.headers["access-control-allow-methods"], /GET.*DELETE/);
  const headers = { ...page, "mcp-session-id": id };
  const answer = await post(hosts.main, { headers, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
  assert.match(answer.headers["access-control-expose-headers"], /mcp-session-id/);
  const evil = { ...headers, origin: "https://evil.example" };
  for (const method of ["GET", "DELETE"]) {
    assertRefused(await send(hosts.main, { method, path: "/mcp", headers: evil }), 403, "forbidden");
  }
  assert.ok((await end()).status < 300);
});

test("no other method is taken for one of a session's", async () => {
  const headers = { authorization: `Bearer ${ALICE}`, accept: "text/event-stream" };
  for (const method of ["PROPFIND", "REPORT", "HEAD", "PUT"]) {
    const answer = await send(hosts.main, { method, path: "/mcp", headers });
    assert.ok(answer.status === 405 || answer.status === 501, `${method}: ${answer.status}`);
  }
});

test("a host that keeps none takes neither GET nor DELETE, and gives no name", async () => {
  const { opened, id, ask } = await openSession(hosts.without);
  assert.equal(opened.status, 200);
  assert.equal(id, undefined);
  assert.deepEqual((await ask("ping")).json.result, {});
  for (const method of ["GET", "DELETE"]) {
    const headers = { authorization: `Bearer ${ALICE}`, "mcp-session-id": "x", accept: "text/event-stream" };
    const answer = await send(hosts.without, { method, path: "/mcp", headers });
    assertRefused(answer, 405, "invalid_request");
    assert.equal(answer.headers.allow, "POST");
  }
});
