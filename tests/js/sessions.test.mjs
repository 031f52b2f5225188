// Sessions of the revisions before 2026-07-28: the official SDK's clients, unchanged, at the in-process transport and over
// HTTP at `leeward/fetch`; behind the replica the official server, of either era.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CLIENTS, connect, named, next, open, serve } from "./support/clients.mjs";
import { startFixture } from "./support/fixture.mjs";
import { Authority, alone, turn } from "./support/index.mjs";

const CHANGED = "notifications/tools/list_changed";

/** Resolves once the authority has the stream on which it tells of changes. */
async function listening({ count }, era) {
  while ((await count(era === "modern" ? "subscriptions/listen" : "GET")) === 0) await turn();
}

for (const era of ["legacy", "modern"]) {
  for (const [kind, make] of CLIENTS) {
    test(`${kind}: a client hears of changes in front of an authority of the ${era} era`, async (t) => {
      const authority = await startFixture(t, "--era", era, "--ttl", "60000");
      const replica = await open(t, authority.url);
      const client = await connect(t, replica, make);
      const before = (await client.listTools()).tools.length;
      const told = next(client, CHANGED);
      await listening(authority, era);
      await replica.callTool("test_trigger_tool_change");
      await told;
      assert.equal((await client.listTools()).tools.length, before + 1);
    });

    test(`${kind}: a client hears logs of its level in front of an authority of the ${era} era`, async (t) => {
      const { url } = await startFixture(t, "--era", era);
      const client = await connect(t, await open(t, url), make);
      const lines = [];
      const note = ({ params }) => void lines.push(params.data);
      client.setNotificationHandler(named(client, "notifications/message"), note);
      const call = { name: "test_tool_with_logging", arguments: {} };
      await client.setLoggingLevel("warning");
      await client.callTool(call);
      assert.deepEqual(lines, []);
      await client.setLoggingLevel("info");
      await client.callTool(call);
      assert.equal(lines.length, 3, lines.join());
    });
  }
}

for (const [kind, make] of CLIENTS) {
  test(`${kind}: a session ends with its connection, and no other does`, async (t) => {
    const authority = await Authority.start();
    t.after(() => authority.close());
    const replica = await open(t, authority.url);
    const [first, second] = [await connect(t, replica, make), await connect(t, replica, make)];
    assert.equal(replica.stats().sessions, 2);
    await first.listTools();
    await first.close();
    assert.equal(replica.stats().sessions, 1);
    await second.ping();
    await second.close();
    const { sessions, subscriptions, waiters } = replica.stats();
    assert.deepEqual([sessions, subscriptions, waiters], [0, 0, 0]);
  });

  test(`${kind}: a tool added here is told of without an authority`, async (t) => {
    const replica = await alone(t);
    const client = await connect(t, replica, make);
    const told = next(client, CHANGED);
    replica.tool({ name: "now", handler: () => "now" });
    await told;
    assert.deepEqual((await client.listTools()).tools.map(({ name }) => name), ["now"]);
  });

  test(`${kind}: a client has a session over HTTP, and ends it`, async (t) => {
    const authority = await startFixture(t, "--era", "modern");
    const handler = await serve(t, authority.url);
    const client = await connect(t, handler, make);
    assert.ok(client.transport.sessionId);
    const told = next(client, CHANGED);
    await listening(authority, "modern");
    await client.callTool({ name: "test_trigger_tool_change", arguments: {} });
    await told;
    await client.transport.terminateSession();
    assert.equal((await handler.replica()).stats().sessions, 0);
  });
}

test("where none are kept a client is served without", async (t) => {
  const authority = await Authority.start();
  t.after(() => authority.close());
  const handler = await serve(t, authority.url, { sessions: false });
  for (const [, make] of CLIENTS) {
    const client = await connect(t, handler, make);
    assert.equal(client.transport.sessionId, undefined);
    assert.ok((await client.listTools()).tools.length > 0);
  }
});

test("a batch of 2025-03-26 is answered message by message", async (t) => {
  const replica = await alone(t);
  const transport = replica.transport();
  const heard = [];
  transport.onmessage = ({ id }) => heard.push(id);
  const params = { protocolVersion: "2025-03-26", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  await transport.send({ jsonrpc: "2.0", id: "first", method: "initialize", params });
  await transport.send(["a", "b"].map((id) => ({ jsonrpc: "2.0", id, method: "ping" })));
  await turn();
  assert.deepEqual(heard, ["first", "a", "b"]);
});

test("a session whose stream the authority ended is told of everything once it says something", async (t) => {
  let listens = 0;
  const answers = {
    "server/discover": { supportedVersions: ["2026-07-28"], capabilities: { tools: { listChanged: true } }, ttlMs: 0, cacheScope: "private" },
    "subscriptions/listen": {},
  };
  const fetch = async (url, { body }) => {
    const { id, method, params } = JSON.parse(new TextDecoder().decode(body));
    const messages = [{ jsonrpc: "2.0", id, result: { resultType: "complete", ...answers[method] } }];
    if (method === "subscriptions/listen") {
      listens += 1;
      const _meta = { "io.modelcontextprotocol/subscriptionId": id };
      const acknowledged = { _meta, notifications: params.notifications };
      messages.unshift({ jsonrpc: "2.0", method: "notifications/subscriptions/acknowledged", params: acknowledged });
      messages[1].result._meta = _meta;
    }
    const events = messages.map((message) => `data: ${JSON.stringify(message)}\n\n`).join("");
    return new Response(events, { headers: { "content-type": "text/event-stream" } });
  };
  const replica = await alone(t, { authority: "https://authority.example/mcp", fetch });
  const transport = replica.transport();
  const heard = [];
  transport.onmessage = ({ id, method }) => heard.push(method ?? id);
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  await transport.send({ jsonrpc: "2.0", id: "first", method: "initialize", params });
  while (!heard.includes("first")) await turn();
  await transport.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  while (listens === 0 || replica.stats().subscriptions > 0) await turn();
  await turn();
  assert.ok(!heard.includes(CHANGED));
  await transport.send({ jsonrpc: "2.0", id: "second", method: "ping" });
  assert.equal(replica.stats().subscriptions, 1);
  while (replica.stats().subscriptions > 0) await turn();
  await turn();
  assert.equal(listens, 2);
  assert.ok(heard.includes(CHANGED), heard.join());
});

test("a cancellation of nothing leaves batches be", async (t) => {
  const replica = await alone(t);
  let answer;
  replica.tool({ name: "hold", handler: () => new Promise((resolve) => (answer = resolve)) });
  const transport = replica.transport();
  const heard = [];
  transport.onmessage = ({ id }) => heard.push(id);
  const params = { protocolVersion: "2025-03-26", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  await transport.send({ jsonrpc: "2.0", id: "first", method: "initialize", params });
  const call = { jsonrpc: "2.0", id: "held", method: "tools/call", params: { name: "hold", arguments: {} } };
  await transport.send([call]);
  await transport.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: {} });
  while (answer === undefined) await turn();
  answer("done");
  while (replica.stats().waiters > 0) await turn();
  await turn();
  assert.deepEqual(heard, ["first", "held"]);
});
