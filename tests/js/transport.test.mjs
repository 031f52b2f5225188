// The official SDK's clients, unchanged, with the replica as their server: version 1, and version 2 in its
// default and its negotiating mode.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client as ClientV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";

import { POLICY, Authority, alone, fails, silentFetch, world } from "./support/index.mjs";

const INFO = { name: "test", version: "1.0.0" };
const CLIENTS = [
  ["v1", () => new ClientV1(INFO)],
  ["v2", () => new ClientV2(INFO)],
  ["v2 auto", () => new ClientV2(INFO, { versionNegotiation: { mode: "auto" } })],
];

/** Runs a test for every client: `action(t, connect)`, where `connect(replica)` gives a connected one. */
function forEveryClient(name, action) {
  for (const [kind, make] of CLIENTS) {
    test(`${kind}: ${name}`, (t) =>
      action(t, async (replica, options) => {
        const client = make();
        const transport = replica.transport(options);
        await client.connect(transport);
        t.after(() => client.close());
        return { client, transport };
      }));
  }
}

/** `callTool` of either version: only the place of the options differs. */
function callTool(client, params, options) {
  return client instanceof ClientV1 ? client.callTool(params, undefined, options) : client.callTool(params, options);
}

forEveryClient("the first call travels, the next are answered here", async (t, connect) => {
  const { authority, replica } = await world(t);
  const { client } = await connect(replica);
  const { tools } = await client.listTools();
  assert.ok(tools.some(({ name }) => name === "echo"));
  const results = [];
  for (let at = 0; at < 3; at += 1) {
    results.push(await callTool(client, { name: "echo", arguments: { id: 7 } }));
  }
  assert.equal(authority.count("tools/call echo"), 1);
  for (const result of results) assert.deepEqual(result.structuredContent.arguments, { id: 7 });
  assert.notEqual(results[0], results[1], "a client may change what it gets");
  assert.match(results[1]._meta["dev.leeward/cache"], /^leeward;hit;ttl=\d+$/);
  assert.equal((await client.readResource({ uri: "test://a" })).contents[0].text, "read 1");
  assert.equal((await client.listResources()).resources.length, 1);
  assert.equal((await client.listPrompts()).prompts.length, 1);
});

forEveryClient("errors come with code and data", async (t, connect) => {
  const { replica } = await world(t);
  const { client } = await connect(replica);
  await assert.rejects(callTool(client, { name: "refuse" }), (error) => {
    assert.equal(error.code, -31999);
    assert.match(error.message, /not today/);
    assert.deepEqual(error.data, { why: ["because"] });
    return true;
  });
  await assert.rejects(callTool(client, { name: "forbidden" }), (error) => {
    assert.equal(error.code, 1003);
    assert.equal(error.data.code, "denied_by_policy");
    return true;
  });
});

forEveryClient("a signal cancels a call in the replica too", async (t, connect) => {
  const { authority, replica } = await world(t);
  const { client } = await connect(replica);
  const controller = new AbortController();
  const call = callTool(client, { name: "hold" }, { signal: controller.signal });
  const rejected = assert.rejects(call);
  await authority.held();
  controller.abort("enough");
  await rejected;
  await authority.drop();
  assert.equal(replica.stats().waiters, 0);
  await callTool(client, { name: "echo", arguments: {} });
});

forEveryClient("closing a client ends what it waits for, and no one else's", async (t, connect) => {
  const { authority, replica } = await world(t);
  const { client } = await connect(replica);
  const { client: other } = await connect(replica);
  const mine = assert.rejects(callTool(client, { name: "hold", arguments: { id: 1 } }));
  const theirs = callTool(other, { name: "hold", arguments: { id: 2 } });
  await authority.held(2);
  await client.close();
  await mine;
  await authority.drop();
  authority.release();
  assert.equal((await theirs).content[0].text, "released");
  await assert.rejects(callTool(client, { name: "echo" }));
});

forEveryClient("closing the replica closes its clients", async (t, connect) => {
  const { authority, replica } = await world(t);
  const { client, transport } = await connect(replica);
  let isClosed = false;
  client.onclose = () => void (isClosed = true);
  const call = assert.rejects(callTool(client, { name: "hold" }));
  await authority.held();
  await replica.close();
  await call;
  assert.equal(isClosed, true);
  await fails("closed", () => transport.send({ jsonrpc: "2.0", id: 1, method: "ping" }));
  await fails("closed", () => transport.start());
  await transport.close();
});

forEveryClient("local tools need no authority", async (t, connect) => {
  const replica = await alone(t, { tools: [{ name: "hi", handler: ({ who }) => `hi ${who}` }] });
  const { client } = await connect(replica);
  assert.deepEqual((await client.listTools()).tools.map(({ name }) => name), ["hi"]);
  assert.equal((await callTool(client, { name: "hi", arguments: { who: "you" } })).content[0].text, "hi you");
});

forEveryClient("a client speaks for its principal", async (t, connect) => {
  const { authority, replica } = await world(t);
  const { client: ann } = await connect(replica, { principal: "ann" });
  const { client: bob } = await connect(replica, { principal: "bob" });
  for (const client of [ann, bob, ann, bob]) await callTool(client, { name: "echo", arguments: {} });
  assert.equal(authority.count("tools/call echo"), 2);
});

forEveryClient("an authority that is gone is an error, not a hang", async (t, connect) => {
  const authority = await Authority.start();
  const replica = await alone(t, { authority: authority.url, policy: POLICY });
  const { client } = await connect(replica);
  await callTool(client, { name: "echo", arguments: {} });
  await authority.close();
  assert.equal((await callTool(client, { name: "echo", arguments: {} })).content.length, 1, "still fresh here");
  await assert.rejects(callTool(client, { name: "count" }), (error) => error.data.code === "authority_unreachable");
});

test("an answer never comes within send", async (t) => {
  const replica = await alone(t);
  const transport = replica.transport();
  const got = [];
  await transport.start();
  transport.onmessage = (message) => got.push(message);
  const sent = transport.send({ jsonrpc: "2.0", id: "a", method: "ping" });
  assert.equal(got.length, 0);
  await sent;
  await new Promise(setImmediate);
  assert.deepEqual(got.map(({ id, result }) => [id, typeof result]), [["a", "object"]]);
});

test("a listener that throws is heard by onerror", async (t) => {
  const replica = await alone(t);
  const transport = replica.transport();
  const faults = [];
  transport.onerror = (error) => faults.push(error.message);
  transport.onmessage = () => {
    throw new Error("mine");
  };
  await transport.send({ jsonrpc: "2.0", id: 1, method: "ping" });
  await new Promise(setImmediate);
  assert.deepEqual(faults, ["mine"]);
});

test("messages that are none are refused without harm", async (t) => {
  const replica = await alone(t);
  const transport = replica.transport();
  const codes = [];
  transport.onmessage = ({ error }) => codes.push(error.code);
  await fails("invalid_params", () => transport.send({ id: 1n }));
  await fails("invalid_params", () => transport.send(undefined));
  await fails("too_large", () => transport.send({ x: "x".repeat(2 << 20) }));
  for (const message of [null, 1, [], {}, { jsonrpc: "2.0", id: 1 }, { jsonrpc: "2.0", id: 1, method: 1 }]) {
    await transport.send(message);
  }
  await new Promise(setImmediate);
  assert.ok(codes.every((code) => code === -32600 || code === -32602), codes.join());
  await transport.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 9 } });
  await transport.send({ jsonrpc: "2.0", method: "notifications/cancelled" });
  await transport.send({ jsonrpc: "2.0", id: 3, result: {} });
});

test("closing a transport forgets it", async (t) => {
  const { fetch, signals } = silentFetch();
  const replica = await alone(t, { authority: "http://127.0.0.1:9/mcp", policy: POLICY, fetch });
  const transport = replica.transport();
  let closes = 0;
  transport.onclose = () => void (closes += 1);
  transport.setProtocolVersion("2025-11-25");
  await transport.send({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "echo", arguments: {} } });
  assert.equal(replica.stats().waiters, 1);
  await transport.close();
  await transport.close();
  assert.equal(closes, 1);
  assert.equal(replica.stats().waiters, 0);
  assert.ok(signals.every((signal) => signal.aborted));
});
