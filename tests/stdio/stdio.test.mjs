// A replica over stdio (`examples/stdio.rs`), started by the official clients as they start any server. LEEWARD_STDIO
// names the program.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

import { Client as ClientV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as TransportV2 } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { StdioClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/stdio.js";

const { LEEWARD_STDIO: command } = process.env;
const INFO = { name: "test", version: "1.0.0" };
const AUTO = { versionNegotiation: { mode: "auto" } };
const CLIENTS = [
  ["v1", () => new ClientV1(INFO), TransportV1],
  ["v2", () => new ClientV2(INFO), TransportV2],
  ["v2 auto", () => new ClientV2(INFO, AUTO), TransportV2],
];

/** A connected client; whatever it has to complain of fails the test. */
async function connect(t, make, Transport) {
  const client = make();
  client.onerror = (error) => assert.fail(error);
  await client.connect(new Transport({ command }));
  t.after(() => client.close());
  return client;
}

/** `callTool` of either version: only the place of the options differs. */
const callTool = (client, params, options) =>
  client instanceof ClientV1 ? client.callTool(params, undefined, options) : client.callTool(params, options);

const auto = (t) => connect(t, ...CLIENTS[2].slice(1));
const next = (client, method) => new Promise((resolve) => client.setNotificationHandler(method, resolve));

for (const [kind, make, Transport] of CLIENTS) {
  test(`${kind}: lists, calls, and gives up in the middle of a call`, async (t) => {
    const client = await connect(t, make, Transport);
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map(({ name }) => name), ["echo", "grow", "stop", "wait"]);
    const text = `{"of":"several\nlines, and \u{1f30a}${"x".repeat(200_000)}"}`;
    const { content } = await callTool(client, { name: "echo", arguments: { text } });
    assert.deepEqual(JSON.parse(content[0].text), { text });

    const controller = new AbortController();
    const waiting = callTool(client, { name: "wait", arguments: {} }, { signal: controller.signal });
    // What comes after it is answered, so it has come.
    await callTool(client, { name: "echo", arguments: {} });
    controller.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    assert.equal((await callTool(client, { name: "echo", arguments: { still: "here" } })).content[0].text, '{"still":"here"}');
    await assert.rejects(callTool(client, { name: "none", arguments: {} }), (error) => error.code === -32602);
  });
}

test("a client of the session era hears of a change", async (t) => {
  const client = await connect(t, ...CLIENTS[0].slice(1));
  const told = new Promise((resolve) => client.setNotificationHandler(ToolListChangedNotificationSchema, resolve));
  await callTool(client, { name: "grow", arguments: {} });
  await told;
  assert.ok((await client.listTools()).tools.some(({ name }) => name === "grown-1"));
});

test("a subscription is told of a change, and ended gracefully when the server ends", async (t) => {
  const client = await auto(t);
  const subscription = await client.listen({ toolsListChanged: true });
  assert.deepEqual(subscription.honoredFilter, { toolsListChanged: true });
  const told = next(client, "notifications/tools/list_changed");
  await callTool(client, { name: "grow", arguments: {} });
  await told;
  assert.ok((await client.listTools()).tools.some(({ name }) => name === "grown-1"));
  await callTool(client, { name: "stop", arguments: {} });
  assert.equal(await subscription.closed, "graceful");
});

test("a subscription that its client ends is told of nothing more", async (t) => {
  const client = await auto(t);
  const subscription = await client.listen({ toolsListChanged: true });
  await subscription.close();
  let told = 0;
  client.setNotificationHandler("notifications/tools/list_changed", () => (told += 1));
  await callTool(client, { name: "grow", arguments: {} });
  assert.ok((await client.listTools()).tools.some(({ name }) => name === "grown-1"));
  assert.equal(told, 0);
});

/** Runs the program with this as its whole input: its output's lines, and how it ended. */
async function converse(t, input) {
  const server = spawn(command, { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => server.kill());
  const parts = [];
  server.stdout.on("data", (part) => parts.push(part));
  server.stdin.end(input);
  const [code] = await once(server, "close");
  const text = Buffer.concat(parts).toString();
  assert.ok(text === "" || text.endsWith("\n"));
  return { code, messages: text.split("\n").slice(0, -1).map((line) => JSON.parse(line)) };
}

test("the end of its input ends it, whatever it waits for", async (t) => {
  assert.deepEqual(await converse(t, ""), { code: 0, messages: [] });
  const _meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} };
  const call = (id, name) => JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: {}, _meta } });
  const { code, messages } = await converse(t, `${call(1, "wait")}\r\n\n${call("b", "echo")}\n{"torn":`);
  assert.deepEqual([code, messages.map(({ id }) => id)], [0, ["b"]]);
});

test("what is no message is answered without an id, and the next is read", async (t) => {
  const ping = '{"jsonrpc":"2.0","id":7,"method":"ping"}';
  const tooLong = Buffer.alloc(2 << 20, "x");
  const input = Buffer.concat([Buffer.from([0xff, 0x0a]), Buffer.from("nonsense\n"), tooLong, Buffer.from(`\n${ping}\n`)]);
  const { messages } = await converse(t, input);
  assert.deepEqual(messages.map(({ error }) => error?.code), [-32700, -32700, 1006, undefined]);
  assert.deepEqual(messages.map(({ id }) => id), [undefined, undefined, undefined, 7]);
});
