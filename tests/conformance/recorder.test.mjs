// That the recorder sees what passes, and that nothing wrong passes it: a run of the suite must show no violation, so
// nothing there would tell if the recorder were blind.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { createRecorder } from "./recorder.mjs";
import { openRelay } from "./relay.mjs";

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
};
const request = (method, params = {}) => ({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: META } });
const response = (result) => ({ jsonrpc: "2.0", id: 1, result });
const call = request("tools/call", { name: "t" });
const complete = response({ resultType: "complete", content: [] });
const BORDER = {
  client: "agent",
  server: "replica",
  version: "2026-07-28",
  judgesClient: true,
  onPurpose: new Set(),
};
const json = (message) => (res) => res.setHeader("content-type", "application/json").end(JSON.stringify(message));

/** Sends `messages` one after another, each answered by `answer`; gives the recorder that stood between. */
async function pass({ messages, answer, headers = {}, ...border }) {
  const server = createServer((req, res) => req.resume().on("end", () => answer(res, req)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const recorder = createRecorder({ ...BORDER, ...border });
  const relay = await openRelay(`http://127.0.0.1:${server.address().port}/mcp`, { record: recorder.record });
  for (const message of messages) {
    const body = typeof message === "string" ? message : JSON.stringify(message);
    const response = await fetch(relay.url, { method: "POST", body, headers });
    await response.text();
  }
  relay.close();
  server.close();
  return recorder;
}

/** What stands in each violation must match the pattern of its place. */
function violates({ violations }, ...patterns) {
  assert.equal(violations.length, patterns.length, violations.join("\n"));
  for (const [at, pattern] of patterns.entries()) assert.match(violations[at], pattern);
}

test("valid messages pass, counted in both directions", async () => {
  const recorder = await pass({ messages: [call, call], answer: json(complete) });
  violates(recorder);
  assert.deepEqual(recorder.seen, { agent: 2, replica: 2 });
});

test("a result is held to the definition of the method it answers", async () => {
  const recorder = await pass({ messages: [call], answer: json(response({ resultType: "complete" })) });
  violates(recorder, /^replica -> agent: CallToolResult: \/ must have required property 'content' \(#/);
});

test("what asks for input is held to no other result", async () => {
  const asking = { resultType: "input_required", inputRequests: { a: { method: "no/such" } } };
  const recorder = await pass({ messages: [call], answer: json(response(asking)) });
  assert.match(recorder.violations[0], /^replica -> agent: InputRequiredResult: \/inputRequests\/a/);
  const stateful = response({ resultType: "input_required", requestState: "s" });
  violates(await pass({ messages: [call], answer: json(stateful) }));
});

test("a request is held to the definition of its method", async () => {
  const recorder = await pass({ messages: [request("tools/call")], answer: json(complete) });
  violates(recorder, /^agent -> replica: CallToolRequest: \/params must have required property 'name'/);
  const unknown = await pass({ messages: [request("no/such")], answer: json(complete) });
  assert.match(unknown.violations[0], /^agent -> replica: ClientRequest: /);
});

test("a code that the revision gives a shape is held to it", async () => {
  const error = { jsonrpc: "2.0", id: 1, error: { code: -32022, message: "unsupported", data: { supported: [] } } };
  violates(await pass({ messages: [call], answer: json(error) }), /UnsupportedProtocolVersionError: .*'requested'/);
});

test("each revision has its own schema, said by the request or else by the border", async () => {
  const bare = response({ content: [] });
  const legacy = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "t" } };
  violates(await pass({ messages: [legacy], answer: json(bare), version: "2025-11-25" }));
  violates(
    await pass({
      messages: [call],
      answer: json(bare),
      version: "2025-11-25",
      headers: { "mcp-protocol-version": "2026-07-28" },
    }),
    /'resultType'/,
  );
});

test("events of a stream are messages, wherever the bytes are cut", async () => {
  const progress = { jsonrpc: "2.0", method: "notifications/progress", params: { progress: 1 } };
  const [first, last] = [progress, complete].map((message) => JSON.stringify(message));
  const stream = `id: 1\ndata:\n\n: still here\n\ndata: ${first}\r\n\r\ndata: ${last}\n\n`;
  const answer = async (res) => {
    res.setHeader("content-type", "text/event-stream");
    for (const byte of Buffer.from(stream)) res.write(Buffer.of(byte));
    res.end();
  };
  const recorder = await pass({ messages: [call], answer });
  violates(recorder, /^replica -> agent: ProgressNotification: \/params must have required property 'progressToken'/);
  assert.deepEqual(recorder.seen, { agent: 1, replica: 2 });
});

test("requests of a server are known again in another exchange, by session", async () => {
  const sample = {
    jsonrpc: "2.0",
    id: 7,
    method: "sampling/createMessage",
    params: { messages: [], maxTokens: 1 },
  };
  const reply = { jsonrpc: "2.0", id: 7, result: {} };
  const recorder = await pass({
    messages: [{ jsonrpc: "2.0", method: "notifications/initialized" }, reply],
    answer: json(sample),
    version: "2025-11-25",
    headers: { "mcp-session-id": "s" },
  });
  assert.match(recorder.violations[0], /^agent -> replica: CreateMessageResult: \/ must have required property/);
});

test("an answer to nothing that was asked is a violation, also where the id is of another type", async () => {
  const recorder = await pass({ messages: [call], answer: json({ ...complete, id: "1" }) });
  violates(recorder, /^replica -> agent: answers no request/);
});

test("what is no JSON is a violation", async () => {
  const broken = (res) => res.setHeader("content-type", "application/json").end("{");
  const recorder = await pass({ messages: ["{"], answer: broken });
  violates(recorder, /^agent -> replica: not JSON/, /^replica -> agent: not JSON/);
});

test("what is wrong on purpose is held against nobody who only passes it on", async () => {
  const onPurpose = new Set();
  const wrong = request("tools/call", { name: "t", inputResponses: { a: 1 } });
  violates(await pass({ messages: [wrong, "{"], answer: json(complete), judgesClient: false, onPurpose }));
  violates(await pass({ messages: [wrong], answer: json(complete), onPurpose }));
  const other = request("tools/call", { name: "u", inputResponses: { a: 1 } });
  assert.notDeepEqual((await pass({ messages: [other], answer: json(complete), onPurpose })).violations, []);
});

test("the relay adds its header and changes nothing else, chunked or not", async () => {
  const seen = [];
  const server = createServer(async (req, res) => {
    const parts = [];
    for await (const part of req) parts.push(part);
    seen.push([req.rawHeaders, Buffer.concat(parts).toString()]);
    res.writeHead(202).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { record } = createRecorder(BORDER);
  const relay = await openRelay(`http://127.0.0.1:${server.address().port}/mcp`, { token: "t", record });
  const text = JSON.stringify(call);
  const stream = new ReadableStream({
    start(controller) {
      for (const part of [text.slice(0, 9), text.slice(9)]) controller.enqueue(Buffer.from(part));
      controller.close();
    },
  });
  const headers = { "X-Odd-Case": " a " };
  await (await fetch(relay.url, { method: "POST", body: text, headers })).text();
  await (await fetch(relay.url, { method: "POST", body: stream, duplex: "half", headers })).text();
  relay.close();
  server.close();
  assert.deepEqual(seen.map(([, body]) => body), [text, text]);
  for (const [raw] of seen) assert.deepEqual(raw.slice(raw.indexOf("Authorization")), ["Authorization", "Bearer t"]);
});
