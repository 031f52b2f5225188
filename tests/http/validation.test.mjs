// Arguments that do not fit a tool's schema: `leeward/fetch` answers them, the worker leaves that to the authority.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sendJson, startAuthority } from "./support/authority.mjs";
import { modern, post, toolCall } from "./support/client.mjs";
import { BOB, startHosts, TOKENS } from "./support/hosts.mjs";

const VALIDATES = process.env.LEEWARD_HTTP_HOST === "fetch";
const SCHEMA = { type: "object", properties: { id: { type: "integer" } }, required: ["id"], additionalProperties: false };

let authority;
let hosts;

before(async () => {
  authority = await startAuthority();
  authority.script("tools/list", ({ message, response }) => {
    const tools = ["get_strict", "drop_strict", "get_far"].map((name) => ({ name, inputSchema: SCHEMA }));
    tools[2].inputSchema = { type: "object", properties: { id: { $ref: "https://example.com/id.json" } } };
    const result = { resultType: "complete", ttlMs: 0, cacheScope: "private", tools };
    sendJson(response, { jsonrpc: "2.0", id: message.id, result });
  });
  hosts = await startHosts({
    main: {
      LEEWARD_CONFIG: {
        authority: authority.url,
        policy: [
          { tool: "get_*", rule: "cache;max-age=60" },
          { tool: "drop_*", rule: "deny" },
        ],
      },
      LEEWARD_TOKENS: TOKENS,
    },
  });
});

after(async () => {
  await hosts.close();
  await authority.close();
});

test("a bad call is answered where arguments are validated, once its list was read", async () => {
  const bad = toolCall("get_strict", { id: "1", other: true });
  await post(hosts.main, bad);
  assert.equal(authority.trips("get_strict"), 1, "of no known schema");
  await post(hosts.main, modern("tools/list"));
  const answer = await post(hosts.main, bad);
  assert.equal(answer.status, 200);
  assert.equal(answer.json.id, bad.id);
  if (VALIDATES) {
    const { isError, content } = answer.json.result;
    assert.equal(isError, true);
    assert.match(content[0].text, /^Invalid arguments for tool get_strict: \/id: .*"integer"\. \/other: is not allowed here\.$/);
    assert.equal(answer.headers["cache-status"], "leeward");
  } else {
    assert.match(answer.headers["cache-status"], /^leeward;hit/);
  }
  assert.equal(authority.trips("get_strict"), 1);

  // A good one goes on, and is a hit afterwards.
  for (const status of [/^leeward;fwd=/, /^leeward;hit/]) {
    const { headers } = await post(hosts.main, toolCall("get_strict", { id: 1 }));
    assert.match(headers["cache-status"], status);
  }
  assert.equal(authority.trips("get_strict"), 2);
});

test("headers and policy come before, and another caller's list is not known", async () => {
  await post(hosts.main, modern("tools/list"));
  const { headers, body } = toolCall("get_strict", { id: "1" });
  const forged = await post(hosts.main, { headers: { ...headers, "mcp-name": "other" }, body });
  assert.equal(forged.json.error.code, -32020);
  assert.equal((await post(hosts.main, toolCall("drop_strict", {}))).json.error.data.code, "denied_by_policy");
  const before = authority.trips("get_strict");
  const call = toolCall("get_strict", {});
  await post(hosts.main, { ...call, headers: { ...call.headers, authorization: `Bearer ${BOB}` } });
  assert.equal(authority.trips("get_strict"), before + 1);
});

test("a schema that refers elsewhere is not enforced, and nothing is fetched", async () => {
  await post(hosts.main, modern("tools/list"));
  const answer = await post(hosts.main, toolCall("get_far", { id: [] }));
  assert.equal(answer.json.result.isError, undefined);
  assert.equal(authority.trips("get_far"), 1);
  const told = hosts.logs.filter(({ message }) => message.includes("schema_not_enforced"));
  assert.equal(told.length, VALIDATES ? 1 : 0);
});
