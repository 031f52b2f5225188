// Revisions before 2026-07-28, on either side of the host: no session towards the agent, one towards the authority.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAuthority } from "./support/authority.mjs";
import { modern, post, toolCall } from "./support/client.mjs";
import { startHosts, TOKENS } from "./support/hosts.mjs";

let authority;
let old;
let hosts;

before(async () => {
  authority = await startAuthority();
  old = await startAuthority({ legacy: true });
  const bindings = (url) => ({
    LEEWARD_CONFIG: { authority: url, policy: [{ tool: "get_*", rule: "cache;max-age=60" }] },
    LEEWARD_TOKENS: TOKENS,
  });
  hosts = await startHosts({ main: bindings(authority.url), old: bindings(old.url) });
});

after(async () => {
  await hosts.close();
  await authority.close();
  await old.close();
});

let lastId = 0;
function legacy(method, params, headers = { "mcp-protocol-version": "2025-11-25" }) {
  return { headers, body: JSON.stringify({ jsonrpc: "2.0", id: (lastId += 1), method, params }) };
}

for (const version of ["2025-11-25", "2025-06-18"]) {
  test(`a client of ${version} opens, lists and calls without a session`, async () => {
    for (const host of [hosts.main, hosts.old]) {
      const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: "old", version: "1" } };
      const opened = await post(host, legacy("initialize", params, {}));
      assert.equal(opened.status, 200, opened.text);
      assert.equal(opened.json.result.protocolVersion, version);
      assert.ok(opened.json.result.serverInfo.name);
      assert.equal(opened.headers["mcp-session-id"], undefined);

      const headers = { "mcp-protocol-version": version };
      const body = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" });
      assert.equal((await post(host, { headers, body })).status, 202);

      const listed = await post(host, legacy("tools/list", {}, headers));
      assert.deepEqual(
        listed.json.result.tools.map(({ name }) => name),
        ["get_ticket", "get_other", "close_ticket"],
      );
      const call = { name: "get_ticket", arguments: { version } };
      const first = await post(host, legacy("tools/call", call, headers));
      assert.match(first.headers["cache-status"], /fwd=uri-miss/);
      const second = await post(host, legacy("tools/call", call, headers));
      assert.match(second.headers["cache-status"], /;hit/);
      assert.deepEqual(second.json.result.content, first.json.result.content);
      assert.deepEqual((await post(host, legacy("ping", undefined, headers))).json.result, {});
    }
  });
}

test("one session is opened with an old authority, however many ask at once", async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, id) => post(hosts.old, toolCall("get_other", { id }))),
  );
  for (const { status, json } of answers) {
    assert.equal(status, 200);
    assert.ok("result" in json, JSON.stringify(json));
  }
  assert.equal(old.calls.filter(({ message }) => message.method === "initialize").length, 1);
});

test("a modern client is served in front of an old authority", async () => {
  const { status, json } = await post(hosts.old, modern("tools/list"));
  assert.equal(status, 200);
  assert.equal(json.result.resultType, "complete");
  assert.ok(Number.isInteger(json.result.ttlMs));
});

test("an error of a legacy request comes with status 200", async () => {
  const answer = await post(hosts.main, legacy("no/such"));
  assert.equal(answer.status, 200);
  assert.equal(answer.json.error.code, -32601);
});
