// A worker that was deployed with a mistake says which, on every request, and logs it once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { post, send, toolCall } from "../http/support/client.mjs";
import { ALICE, TOKENS } from "../http/support/hosts.mjs";
import { startWorkers } from "../http/support/worker.mjs";

const authority = "http://127.0.0.1:9/mcp";
const sound = { LEEWARD_CONFIG: { authority }, LEEWARD_TOKENS: TOKENS };
const SHORT = "short-token";

/** Bindings with a mistake, and the field that the error names. */
const MISTAKES = {
  "no-config": [{ LEEWARD_TOKENS: TOKENS }, "LEEWARD_CONFIG"],
  "unknown-member": [{ ...sound, LEEWARD_CONFIG: { authority, polcy: [] } }, "polcy"],
  "no-authority": [{ ...sound, LEEWARD_CONFIG: {} }, "authority"],
  "bad-authority": [{ ...sound, LEEWARD_CONFIG: { authority: "crm.example/mcp" } }, "authority"],
  "bad-rule": [
    { ...sound, LEEWARD_CONFIG: { authority, policy: [{ tool: "get_*", rule: "cache;max_age=60" }] } },
    "policy[0].rule",
  ],
  "bad-limit": [{ ...sound, LEEWARD_CONFIG: { authority, limits: { maxFlights: 0 } } }, "limits.maxFlights"],
  "no-tokens": [{ LEEWARD_CONFIG: { authority } }, "LEEWARD_TOKENS"],
  "tokens-not-json": [{ ...sound, LEEWARD_TOKENS: `{"${ALICE}"` }, "LEEWARD_TOKENS"],
  "tokens-empty": [{ ...sound, LEEWARD_TOKENS: "{}" }, "LEEWARD_TOKENS"],
  "token-empty": [{ ...sound, LEEWARD_TOKENS: { [ALICE]: "alice", "": "bob" } }, "LEEWARD_TOKENS[1]"],
  "token-short": [{ ...sound, LEEWARD_TOKENS: { [SHORT]: "bob" } }, "LEEWARD_TOKENS[0]"],
  "token-long": [{ ...sound, LEEWARD_TOKENS: { ["x".repeat(513)]: "bob" } }, "LEEWARD_TOKENS[0]"],
  "token-blank": [{ ...sound, LEEWARD_TOKENS: { "a token with blanks in it": "bob" } }, "LEEWARD_TOKENS[0]"],
  "token-twice": [{ ...sound, LEEWARD_TOKENS: `{"${ALICE}":"alice","${ALICE}":"bob"}` }, "LEEWARD_TOKENS"],
  "principal-empty": [{ ...sound, LEEWARD_TOKENS: { [ALICE]: "" } }, "LEEWARD_TOKENS[0]"],
  "principal-long": [{ ...sound, LEEWARD_TOKENS: { [ALICE]: "p".repeat(1025) } }, "LEEWARD_TOKENS[0]"],
  "principal-number": [{ ...sound, LEEWARD_TOKENS: { [ALICE]: 7 } }, "LEEWARD_TOKENS[0]"],
  "oauth-alone": [{ ...sound, LEEWARD_CONFIG: { authority: { url: authority, oauth: {} } } }, "authority.oauth"],
  "oauth-nobody": [
    {
      LEEWARD_CONFIG: { authority: { url: authority, oauth: {} }, anonymous: "public-only" },
      sessions: true,
    },
    "anonymous",
  ],
  "oauth-redirect": [
    {
      ...sound,
      LEEWARD_CONFIG: { authority: { url: authority, oauth: { redirectUri: "https://mcp.example/back" } } },
      sessions: true,
    },
    "authority.oauth.redirectUri",
  ],
  "oauth-token": [
    {
      ...sound,
      LEEWARD_CONFIG: { authority: { url: authority, oauth: {} } },
      LEEWARD_AUTHORITY_TOKEN: "token",
      sessions: true,
    },
    "LEEWARD_AUTHORITY_TOKEN",
  ],
  "keys-not-json": [{ ...sound, LEEWARD_KEYS: `{"${SHORT}"` }, "LEEWARD_KEYS"],
  "keys-list": [{ ...sound, LEEWARD_KEYS: `["${SHORT}"]` }, "LEEWARD_KEYS"],
  "authority-token": [{ ...sound, LEEWARD_AUTHORITY_TOKEN: "Bearer x" }, "LEEWARD_AUTHORITY_TOKEN"],
};

let workers;

before(async () => {
  const faulty = Object.entries(MISTAKES).map(([name, [bindings]]) => [name, bindings]);
  workers = await startWorkers({
    ...Object.fromEntries(faulty),
    sound,
    lost: { ...sound, LEEWARD_CONFIG: { authority, polcy: [] }, sessions: true },
    ahead: {
      ...sound,
      LEEWARD_CONFIG: { authority: { url: authority, oauth: {} } },
      sessions: true,
      objectsOf: "lost",
    },
    // wrangler.toml can hold the configuration as a table as well as text.
    table: { ...sound, LEEWARD_CONFIG: { json: { authority } }, LEEWARD_TOKENS: { json: { [ALICE]: "alice" } } },
  });
});

after(() => workers.close());

for (const [name, [, field]] of Object.entries(MISTAKES)) {
  test(`${name} names ${field}`, async () => {
    const before = workers.logs.length;
    const answers = [
      await post(workers[name], toolCall("get_ticket")),
      await send(workers[name], { method: "GET", path: "/healthz" }),
      await send(workers[name], { method: "GET", path: "/elsewhere" }),
    ];
    for (const answer of answers) {
      assert.equal(answer.status, 500, answer.text);
      assert.equal(answer.json.error.code, 1009);
      assert.equal(answer.json.error.data.code, "config_invalid");
      assert.equal(answer.json.error.data.field, field);
    }
    const logged = workers.logs.slice(before).filter(({ level }) => level === "error");
    assert.equal(logged.length, 1);
    const line = JSON.parse(logged[0].message);
    assert.equal(line.leeward, "start_failed");
    assert.equal(line.field, field);
    const told = JSON.stringify([answers.map(({ text }) => text), logged]);
    for (const secret of [ALICE, SHORT]) assert.ok(!told.includes(secret), "an error repeats no token");
  });
}

test("a sound configuration starts, as text and as a table", async () => {
  for (const name of ["sound", "table"]) {
    const answer = await send(workers[name], { method: "GET", path: "/healthz" });
    assert.equal(answer.status, 200, answer.text);
  }
});

test("an object that does not start is not taken for one without a grant", async () => {
  const ended = await send(workers.ahead, {
    method: "DELETE",
    path: "/oauth/grant",
    headers: { authorization: `Bearer ${ALICE}` },
  });
  assert.equal(ended.status, 503, ended.text);
  const { json, text } = await post(workers.ahead, toolCall("get_ticket"));
  assert.equal(json.error.data.code, "closed", text);
});
