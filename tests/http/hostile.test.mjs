// Whatever an agent or an authority sends, the instance lives: a warm entry, which is its memory, is still warm.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { answer, openEvents, sendJson, startAuthority } from "./support/authority.mjs";
import { modern, open, openPost, post, send, toolCall } from "./support/client.mjs";
import { ALICE, startHosts, TOKENS } from "./support/hosts.mjs";

let authority;
let hosts;

before(async () => {
  authority = await startAuthority();
  hosts = await startHosts({
    main: {
      LEEWARD_CONFIG: { authority: authority.url, policy: [{ tool: "get_*", rule: "cache;max-age=3600" }] },
      LEEWARD_TOKENS: TOKENS,
    },
  });
  const warm = await post(hosts.main, toolCall("get_ticket", { warm: true }));
  assert.match(warm.headers["cache-status"], /;stored/);
});

afterEach(async () => {
  const trips = authority.trips("get_ticket");
  const warm = await post(hosts.main, toolCall("get_ticket", { warm: true }));
  assert.match(warm.headers["cache-status"], /;hit/, "the instance lost its memory");
  assert.equal(authority.trips("get_ticket"), trips);
  const faults = hosts.logs.filter(({ level, message }) => level === "error" || message.includes("instance"));
  assert.deepEqual(faults, []);
});

after(async () => {
  await hosts.close();
  await authority.close();
});

const deep = (text, depth) => text.repeat(depth);

/** Bodies, and the JSON-RPC code that each must get. */
const BODIES = {
  nothing: ["", -32700],
  blank: ["   \n", -32700],
  "half an object": ['{"jsonrpc":"2.0","id":1', -32700],
  "two objects": ['{"jsonrpc":"2.0","id":1,"method":"ping"}{}', -32700],
  "a byte order mark": ['\ufeff{"jsonrpc":"2.0","id":1,"method":"ping"}', -32700],
  "invalid UTF-8": [Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), -32700],
  "a cut surrogate": [Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}', "latin1"), -32700],
  "a lone escaped surrogate": ['{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', undefined],
  "zero bytes": ["\0".repeat(1000), -32700],
  "a million brackets": [deep("[", 1_000_000), undefined],
  "a million braces": [deep('{"a":', 200_000), undefined],
  "a batch": ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600],
  null: ["null", -32600],
  "a number": ["1e999999", undefined],
  "a string": ['"x"', -32600],
  "no version": ['{"id":1,"method":"ping"}', -32600],
  "no method": ['{"jsonrpc":"2.0","id":1}', -32600],
  "a method that is a number": ['{"jsonrpc":"2.0","id":1,"method":7}', -32600],
  "an id that is an object": ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600],
  "a null id": ['{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
  "an id of its own length": [`{"jsonrpc":"2.0","id":"${"x".repeat(100_000)}","method":"ping"}`, -32600],
  "a method twice": ['{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}', -32600],
  "parameters in an array": ['{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}', undefined],
  "a response": ['{"jsonrpc":"2.0","id":1,"result":{}}', -32600],
  "a thousand members": [
    `{${Array.from({ length: 1000 }, (_, n) => `"m${n}":${n}`).join()}}`,
    undefined,
  ],
};

for (const [name, [body, code]] of Object.entries(BODIES)) {
  test(`${name} as a message is refused`, async () => {
    const { status, json } = await post(hosts.main, { body });
    assert.ok(status === 200 || (status >= 400 && status < 500), `status ${status}`);
    assert.equal(typeof json.error.code, "number");
    assert.ok(json.id !== null);
    if (code !== undefined) assert.equal(json.error.code, code);
  });
}

test("parameters of any shape are answered", async () => {
  const shapes = [
    { name: 7 },
    { name: "" },
    { name: "get_".padEnd(20_000, "x") },
    { name: "get_ticket", arguments: [] },
    { name: "get_ticket", arguments: "x" },
    { name: "get_\u0000\u001f\u{1f600}" },
    { name: "get_ticket", arguments: { "\ud800": "\udfff" } },
    { name: "get_deep", arguments: JSON.parse(`${deep('{"a":', 500)}1${deep("}", 500)}`) },
    { name: "get_ticket", arguments: { ["x".repeat(100_000)]: 1 } },
    {},
  ];
  for (const params of shapes) {
    const { headers, body } = modern("tools/call", params);
    // Only what a header can carry.
    const name = /^[\x21-\x7e]{1,4096}$/.test(params.name) ? params.name : undefined;
    const { json } = await post(hosts.main, { headers: { ...headers, "mcp-name": name }, body });
    assert.ok("result" in json || "error" in json);
  }
});

test("raw arguments that JSON.parse would not write are answered", async () => {
  for (const raw of ['{"a":1,"a":2}', '{"n":9007199254740993}', '{"n":1e400}', '{"n":-0.0}', '{"s":"\\ud800"}']) {
    const { headers, body } = toolCall("get_ticket", { raw: 0 });
    const { json } = await post(hosts.main, { headers, body: body.replace('{"raw":0}', raw) });
    assert.ok("result" in json || "error" in json, raw);
  }
});

test("headers of any kind are answered", async () => {
  const { headers, body } = toolCall("get_ticket");
  const odd = [
    { "mcp-protocol-version": "\u00ff\u00fe" },
    { "mcp-method": "tools/call, tools/call" },
    { "mcp-name": "=?base64?####?=" },
    { "mcp-param-x": "=?base64??=" },
    { accept: ";;;,,,q=;=/" },
    { "content-type": "application/json;;;" },
    { "content-length": undefined, "transfer-encoding": "chunked" },
    { authorization: `Bearer ${ALICE}\u00e9` },
    { origin: "http://[::1" },
    { host: "%" },
    Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`x-${n}`, "y"])),
  ];
  for (const extra of odd) {
    const answer = await post(hosts.main, { headers: { ...headers, ...extra }, body });
    assert.ok(answer.status < 500, `${JSON.stringify(extra)}: ${answer.status}`);
  }
});

test("any method and path is answered", async () => {
  for (const method of ["PROPFIND", "TRACE", "PATCH", "REPORT"]) {
    const answer = await send(hosts.main, { method, path: "/mcp" });
    assert.ok(answer.status === 405 || answer.status === 501, `${method}: ${answer.status}`);
  }
  for (const path of ["/%", "/%ff%fe", "/..//mcp", `/${"x".repeat(8000)}`, "/mcp%00", "/?#"]) {
    const answer = await send(hosts.main, { method: "POST", path });
    assert.equal(answer.status, 404, path);
  }
});

/** What an authority may answer a read with, and how the agent hears of it. */
const ANSWERS = {
  html: ({ response }) => response.writeHead(200, { "content-type": "text/html" }).end("<p>"),
  nothing: ({ response }) => response.writeHead(200).end(),
  empty_json: ({ response }) => response.writeHead(200, { "content-type": "application/json" }).end(),
  accepted: ({ response }) => response.writeHead(202).end(),
  redirect: ({ response }) => response.writeHead(307, { location: "http://127.0.0.1:9/" }).end(),
  not_found: ({ response }) => response.writeHead(404).end(),
  server_error: ({ response }) => response.writeHead(500).end("oh"),
  no_content: ({ response }) => response.writeHead(204).end(),
  batch: ({ response }) => sendJson(response, []),
  wrong_id: ({ message, response }) => sendJson(response, { jsonrpc: "2.0", id: `${message.id}x`, result: {} }),
  no_result: ({ message, response }) => sendJson(response, { jsonrpc: "2.0", id: message.id }),
  both: ({ message, response }) => sendJson(response, { jsonrpc: "2.0", id: message.id, result: {}, error: {} }),
  error_text: ({ message, response }) => sendJson(response, { jsonrpc: "2.0", id: message.id, error: "x" }),
  not_utf8: ({ response }) =>
    response.writeHead(200, { "content-type": "application/json" }).end(Buffer.from([0x22, 0xff, 0x22])),
  deep: ({ response }) => response.writeHead(200, { "content-type": "application/json" }).end(deep("[", 500_000)),
  lone_event: ({ response }) => {
    openEvents(response);
    response.end("data: {}\n\n");
  },
  no_lines: ({ response }) => {
    openEvents(response);
    response.end("data: ".padEnd(100_000, "x"));
  },
  many_headers: ({ response }) => {
    for (let n = 0; n < 200; n += 1) response.setHeader(`x-${n}`, "y");
    sendJson(response, {});
  },
};

for (const [name, script] of Object.entries(ANSWERS)) {
  test(`an authority that answers ${name} gets no one to believe it`, async () => {
    authority.script(`get_${name}`, script);
    const call = toolCall(`get_${name}`);
    const { status, json } = await post(hosts.main, call);
    assert.equal(status, 200);
    assert.equal(json.id, call.id);
    assert.equal(typeof json.error.code, "number", JSON.stringify(json));
    authority.script(`get_${name}`, answer);
    const next = await post(hosts.main, toolCall(`get_${name}`));
    assert.ok("result" in next.json, `nothing of it is kept: ${next.text}`);
  });
}

test("callers who leave at any point leave nothing broken", async () => {
  const head = { authorization: `Bearer ${ALICE}`, "content-type": "application/json" };
  for (let n = 0; n < 20; n += 1) {
    // In the midst of the message.
    const upload = open(hosts.main, {
      method: "POST",
      path: "/mcp",
      headers: { ...head, "content-length": 100_000 },
      body: "{".padEnd(50_000),
      unfinished: true,
    });
    const asked = openPost(hosts.main, toolCall("get_left", { n }));
    await authority.arrival("get_left", n + 1);
    upload.leave();
    asked.leave();
  }
});
