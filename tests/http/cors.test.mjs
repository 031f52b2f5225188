// Pages of other origins that may call, and what they are told.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAuthority } from "./support/authority.mjs";
import { post, send, toolCall } from "./support/client.mjs";
import { startHosts, TOKENS } from "./support/hosts.mjs";

const PAGE = "https://app.example";
const EVIL = "https://evil.example";
const asks = { "access-control-request-method": "POST" };

let authority;
let hosts;

before(async () => {
  authority = await startAuthority();
  const policy = [{ tool: "get_*", rule: "cache;max-age=60" }];
  const config = { authority: authority.url, policy, origins: [PAGE] };
  hosts = await startHosts({ main: { LEEWARD_CONFIG: config, LEEWARD_TOKENS: TOKENS } });
});

after(async () => {
  await hosts.close();
  await authority.close();
});

const words = (text) => text.split(/, */);
const preflight = (headers) => send(hosts.main, { method: "OPTIONS", path: "/mcp", headers });

/** Holds for every answer that a page may read. */
function assertReadable(answer) {
  assert.equal(answer.headers["access-control-allow-origin"], PAGE);
  assert.ok(words(answer.headers.vary).includes("origin"));
  assert.ok(words(answer.headers["access-control-expose-headers"]).includes("cache-status"));
  assert.equal(answer.headers["access-control-allow-credentials"], undefined);
}

function assertUntold({ headers }) {
  assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith("access-control")), []);
}

test("a preflight is answered before any token is there", async () => {
  const requested = "authorization,content-type,mcp-method,mcp-name,mcp-param-region,mcp-protocol-version,x-else";
  const answer = await preflight({ origin: PAGE, ...asks, "access-control-request-headers": requested });
  assert.equal(answer.status, 204);
  assert.equal(answer.text, "");
  assertReadable(answer);
  assert.ok(words(answer.headers["access-control-allow-methods"]).includes("POST"));
  assert.ok(Number(answer.headers["access-control-max-age"]) > 0);
  const allowed = words(answer.headers["access-control-allow-headers"]);
  const wanted = [...requested.split(",").slice(0, -1), "accept", "mcp-session-id", "last-event-id"];
  for (const name of wanted) assert.ok(allowed.includes(name), name);
  assert.ok(!allowed.includes("x-else"));
});

test("a page may read every kind of answer", async () => {
  const { headers, body } = toolCall("get_ticket", { cors: 1 });
  const ask = (more) => post(hosts.main, { headers: { ...headers, origin: PAGE, ...more }, body });
  const notification = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" });
  const answers = [
    [200, await ask({})],
    [200, await ask({})],
    [200, await ask({ accept: "text/event-stream" })],
    [202, await post(hosts.main, { headers: { origin: PAGE }, body: notification })],
    [400, await post(hosts.main, { headers: { origin: PAGE }, body: "{" })],
    [401, await ask({ authorization: undefined })],
    [405, await send(hosts.main, { method: "GET", path: "/mcp", headers: { origin: PAGE } })],
    [415, await ask({ "content-type": "text/plain" })],
  ];
  for (const [status, answer] of answers) {
    assert.equal(answer.status, status, answer.text);
    assertReadable(answer);
  }
  assert.match(answers[1][1].headers["cache-status"], /hit/);
});

test("a page that may not call is told nothing", async () => {
  const { headers, body } = toolCall("get_ticket", { cors: 2 });
  const trips = authority.calls.length;
  for (const origin of [EVIL, "null", `${PAGE}.evil`]) {
    for (const answer of [await preflight({ origin, ...asks }), await post(hosts.main, { headers: { ...headers, origin }, body })]) {
      assert.equal(answer.status, 403);
      assertUntold(answer);
    }
  }
  assert.equal(authority.calls.length, trips);
});

test("who is no page gets no word about pages", async () => {
  assertUntold(await post(hosts.main, toolCall("get_ticket", { cors: 3 })));
});
