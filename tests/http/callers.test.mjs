// Who may call, and what callers share: nothing, unless it is public.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAuthority } from "./support/authority.mjs";
import { modern, post, toolCall } from "./support/client.mjs";
import { ALICE, BOB, startHosts, TOKENS } from "./support/hosts.mjs";

let authority;
let hosts;

before(async () => {
  authority = await startAuthority();
  const config = {
    authority: authority.url,
    policy: [
      { tool: "get_public", rule: "cache;max-age=60;public" },
      { tool: "get_*", rule: "cache;max-age=60" },
    ],
  };
  const bindings = { LEEWARD_CONFIG: config, LEEWARD_TOKENS: TOKENS };
  hosts = await startHosts({
    main: bindings,
    anonymous: { LEEWARD_CONFIG: { ...config, anonymous: "public-only" } },
    both: { LEEWARD_CONFIG: { ...config, anonymous: "public-only" }, LEEWARD_TOKENS: TOKENS },
    trusted: {
      LEEWARD_CONFIG: { ...config, authority: { url: authority.url, token: "from-the-configuration" } },
      LEEWARD_TOKENS: TOKENS,
      LEEWARD_AUTHORITY_TOKEN: "from-the-secret",
    },
  });
});

after(async () => {
  await hosts.close();
  await authority.close();
});

const as = (authorization, { headers, ...rest }) => ({ headers: { ...headers, authorization }, ...rest });
const anonymous = (call) => as(undefined, call);

function assertUnauthenticated(answer) {
  assert.equal(answer.status, 401, answer.text);
  assert.equal(answer.headers["www-authenticate"], "Bearer");
  assert.equal(answer.json.error.code, 1001);
  assert.equal(answer.json.error.data.code, "unauthenticated");
  assert.ok(!("id" in answer.json));
}

const WRONG = [
  "Bearer wrong-token-0123456789ab",
  `Bearer ${ALICE}x`,
  `Bearer ${ALICE.slice(0, -1)}`,
  `Bearer ${ALICE}${ALICE}`,
  `Bearer ${"x".repeat(4000)}`,
  "Bearer ",
  "Bearer",
  ALICE,
  `Basic ${ALICE}`,
  `Bearer ${ALICE} ${ALICE}`,
];

test("a caller without a token is refused", async () => {
  assertUnauthenticated(await post(hosts.main, anonymous(toolCall("get_ticket"))));
});

test("a wrong token is refused, also where none is needed", async () => {
  for (const host of [hosts.main, hosts.anonymous, hosts.both]) {
    for (const authorization of WRONG) {
      assertUnauthenticated(await post(host, as(authorization, toolCall("get_ticket"))));
    }
  }
});

test("the scheme may be written in any case", async () => {
  const answer = await post(hosts.main, as(`bEARER ${ALICE}`, toolCall("get_ticket", { case: 1 })));
  assert.equal(answer.status, 200);
});

test("two principals share no entry", async () => {
  const name = "get_private";
  const cache = [];
  for (const token of [ALICE, BOB, ALICE, BOB]) {
    const answer = await post(hosts.main, as(`Bearer ${token}`, toolCall(name)));
    cache.push(answer.headers["cache-status"].split(";")[1]);
  }
  assert.deepEqual(cache, ["fwd=uri-miss", "fwd=uri-miss", "hit", "hit"]);
  assert.equal(authority.trips(name), 2);
});

test("what a rule calls public is shared", async () => {
  const before = authority.trips("get_public");
  for (const token of [ALICE, BOB, ALICE]) await post(hosts.main, as(`Bearer ${token}`, toolCall("get_public")));
  assert.equal(authority.trips("get_public") - before, 1);
});

test("anonymous callers have stored only what is public", async () => {
  const trips = async (name) => {
    const before = authority.trips(name);
    for (let i = 0; i < 3; i += 1) {
      const answer = await post(hosts.anonymous, anonymous(toolCall(name)));
      assert.equal(answer.status, 200, answer.text);
    }
    return authority.trips(name) - before;
  };
  assert.equal(await trips("get_secret"), 3);
  assert.equal(await trips("get_public"), 1);
});

test("anonymous callers and principals live side by side", async () => {
  const name = "get_beside";
  const answers = [];
  for (const authorization of [`Bearer ${ALICE}`, undefined, `Bearer ${ALICE}`]) {
    answers.push(await post(hosts.both, as(authorization, toolCall(name))));
  }
  assert.deepEqual(
    answers.map(({ headers }) => headers["cache-status"].split(";")[1]),
    ["fwd=uri-miss", "fwd=uri-miss", "hit"],
  );
  assert.equal(authority.trips(name), 2);
});

test("the authority gets our token, never a caller's", async () => {
  await post(hosts.trusted, toolCall("get_token"));
  const [{ headers }] = authority.of("get_token");
  assert.equal(headers.authorization, "Bearer from-the-secret");
  await post(hosts.main, { ...toolCall("get_without"), headers: { ...toolCall("get_without").headers, cookie: "a=b" } });
  const [{ headers: without }] = authority.of("get_without");
  assert.equal(without.authorization, undefined);
  assert.equal(without.cookie, undefined);
});

test("no token is logged", () => {
  const text = JSON.stringify(hosts.logs);
  for (const secret of [ALICE, BOB, "from-the-secret", "from-the-configuration"]) assert.ok(!text.includes(secret));
});

test("an unknown method is told so", async () => {
  const answer = await post(hosts.main, modern("no/such"));
  assert.equal(answer.status, 404);
  assert.equal(answer.json.error.code, -32601);
});
