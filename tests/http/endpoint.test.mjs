// What the endpoint asks of a request before it reads the message, and how it refuses.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAuthority } from "./support/authority.mjs";
import { modern, open, post, send, toolCall } from "./support/client.mjs";
import { ALICE, startHosts, TOKENS } from "./support/hosts.mjs";

let authority;
let hosts;

before(async () => {
  authority = await startAuthority();
  hosts = await startHosts({
    main: {
      LEEWARD_CONFIG: {
        authority: authority.url,
        policy: [{ tool: "get_*", rule: "cache;max-age=60" }],
        limits: { maxMessageBytes: 4096 },
        origins: ["https://app.example"],
      },
      LEEWARD_TOKENS: TOKENS,
    },
  });
});

after(async () => {
  await hosts.close();
  await authority.close();
});

/** Holds for every refusal: an MCP error without an id, with our code and a name for the logs. */
function assertRefused(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.equal(answer.json.jsonrpc, "2.0");
  assert.ok(!("id" in answer.json), "MCP knows no null id");
  assert.equal(answer.json.error.data.code, code);
  assert.match(answer.json.error.data.correlationId, /^[0-9a-f]{16}$/);
}

test("healthz tells status and version, and nothing else", async () => {
  for (const method of ["GET", "HEAD"]) {
    const answer = await send(hosts.main, { method, path: "/healthz" });
    assert.equal(answer.status, 200);
  }
  const { json } = await send(hosts.main, { method: "GET", path: "/healthz" });
  assert.deepEqual(Object.keys(json), ["status", "version"]);
  assert.equal(json.status, "ok");
});

test("other methods are told which are allowed", async () => {
  for (const method of ["GET", "DELETE", "PUT", "OPTIONS"]) {
    const answer = await send(hosts.main, { method, path: "/mcp" });
    assertRefused(answer, 405, "invalid_request");
    assert.equal(answer.headers.allow, "POST");
  }
  const answer = await send(hosts.main, { method: "POST", path: "/healthz" });
  assertRefused(answer, 405, "invalid_request");
  assert.equal(answer.headers.allow, "GET, HEAD");
});

test("other paths are not found", async () => {
  for (const path of ["/", "/mcp/", "/mcp/x", "//mcp", "/MCP", "/healthz/x"]) {
    assertRefused(await post(hosts.main, { path, ...modern("ping") }), 404, "invalid_request");
  }
  const answer = await post(hosts.main, { path: "/mcp?x=1", ...toolCall("get_ticket") });
  assert.equal(answer.status, 200);
});

test("only pages of this host, or listed ones, may call", async () => {
  const local = `127.0.0.1:${hosts.main.port}`;
  const allowed = [
    [local, undefined],
    ["mcp.example.com", undefined],
    [local, `http://${local}`],
    [local, "http://127.0.0.1:1"],
    [local, "http://localhost:3000"],
    [local, "http://[::1]:3000"],
    [`localhost:${hosts.main.port}`, "http://localhost"],
    [local, "https://app.example"],
    ["mcp.example.com", "https://app.example"],
    ["mcp.example.com", "https://mcp.example.com"],
    ["mcp.example.com:8443", "https://mcp.example.com"],
  ];
  for (const [host, origin] of allowed) {
    const { headers, body } = toolCall("get_ticket");
    const answer = await post(hosts.main, { headers: { ...headers, host, origin }, body });
    assert.equal(answer.status, 200, `${host} ${origin}: ${answer.text}`);
  }
  const refused = [
    [local, "https://evil.example"],
    [local, "http://localhost.evil.example"],
    [local, "http://127.0.0.1.evil.example"],
    [local, "null"],
    [local, "not an origin"],
    // DNS rebinding: the page's name is the host's, but only because its owner pointed it here.
    ["evil.example:8787", "http://evil.example:8787"],
    ["evil.example", "http://localhost"],
    ["mcp.example.com", "https://other.example.com"],
    ["mcp.example.com", "https://app.example.evil"],
  ];
  for (const [host, origin] of refused) {
    const { headers, body } = toolCall("get_ticket");
    const answer = await post(hosts.main, { headers: { ...headers, host, origin }, body });
    assertRefused(answer, 403, "forbidden");
  }
});

test("a foreign page is refused before its token is looked at", async () => {
  const answer = await post(hosts.main, { headers: { origin: "https://evil.example", authorization: undefined } });
  assertRefused(answer, 403, "forbidden");
});

test("the message must be JSON by its content type", async () => {
  for (const type of [undefined, "text/plain", "application/jsonx", "text/json; a=application/json", ""]) {
    const { headers, body } = toolCall("get_ticket");
    const answer = await post(hosts.main, { headers: { ...headers, "content-type": type }, body });
    assertRefused(answer, 415, "invalid_request");
  }
  for (const type of ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"]) {
    const { headers, body } = toolCall("get_ticket");
    const answer = await post(hosts.main, { headers: { ...headers, "content-type": type }, body });
    assert.equal(answer.status, 200, type);
  }
});

test("the client must take JSON or events", async () => {
  for (const accept of ["text/html", "image/*", "application/json;q=0", "application/json; q=0.0, text/event-stream;q=0"]) {
    const { headers, body } = toolCall("get_ticket");
    assertRefused(await post(hosts.main, { headers: { ...headers, accept }, body }), 406, "invalid_request");
  }
  for (const accept of [undefined, "*/*", "application/*", "text/html, */*;q=0.1", "APPLICATION/JSON", "application/json;q=0.5"]) {
    const { headers, body } = toolCall("get_ticket");
    const answer = await post(hosts.main, { headers: { ...headers, accept }, body });
    assert.equal(answer.status, 200, accept);
    assert.equal(answer.headers["content-type"], "application/json");
  }
});

test("a client of events only gets each answer as one", async () => {
  const { headers, body } = toolCall("get_ticket", { events: "only" });
  for (const cache of [/fwd=uri-miss/, /hit/]) {
    const answer = await post(hosts.main, { headers: { ...headers, accept: "text/event-stream" }, body });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "text/event-stream");
    assert.match(answer.headers["cache-status"], cache);
    assert.equal(answer.messages.length, 1);
    assert.equal(answer.json.result.content[0].text, '{"events":"only"}');
  }
});

test("a message over its limit is refused by its declared size", async () => {
  const { headers } = toolCall("get_ticket");
  const answer = await post(hosts.main, { headers, body: " ".repeat(4097) });
  assertRefused(answer, 413, "too_large");
  const fits = toolCall("get_ticket");
  const padded = fits.body.padEnd(4096);
  assert.equal((await post(hosts.main, { headers: fits.headers, body: padded })).status, 200);
});

test("a message over its limit is refused while it still comes", async () => {
  const exchange = open(hosts.main, {
    method: "POST",
    path: "/mcp",
    headers: {
      authorization: `Bearer ${ALICE}`,
      "content-type": "application/json",
      accept: "application/json",
      "transfer-encoding": "chunked",
    },
    body: " ".repeat(4097),
    unfinished: true,
  });
  const response = await exchange.response;
  assert.equal(response.statusCode, 413);
  exchange.leave();
});

test("answers are not for caches on the way", async () => {
  const answer = await post(hosts.main, toolCall("get_ticket"));
  assert.equal(answer.headers["cache-control"], "no-store");
});

test("a notification is taken without a body", async () => {
  const body = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" });
  const answer = await post(hosts.main, { body });
  assert.equal(answer.status, 202);
  assert.equal(answer.text, "");
});
