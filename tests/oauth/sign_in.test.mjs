// A user signs in at a real authorization server through the replica: the authorization code flow, whole.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser } from "./support/browser.mjs";
import { OFFLINE, READ, REDIRECT, WRITE } from "./support/provider.mjs";
import { CLIENT } from "./support/sdk.mjs";
import { retitle, ticket, world } from "./support/world.mjs";

for (const era of ["modern", "legacy"]) {
  test(`the first call signs in, the next is a hit; ${era}`, async (t) => {
    const { provider, authority, browser, open } = await world(t, { flags: ["--era", era] });
    const replica = await open();
    assert.deepEqual(await ticket(replica), { calls: 1, from: "miss" });
    assert.deepEqual(browser("ann").asked, ["login", "consent"]);
    const asked = [provider.log.length, authority.log.length];
    assert.deepEqual(await ticket(replica), { calls: 1, from: "hit" });
    assert.deepEqual([provider.log.length, authority.log.length], asked);
    assert.deepEqual(provider.granted(), ["authorization_code"]);
    assert.ok(authority.passed().every(({ what, account }) => what === "metadata" || account === "ann"));
  });
}

test("what is asked for: PKCE, the resource, the challenge's scope, a client of its own", async (t) => {
  const { provider, authority, open } = await world(t);
  await ticket(await open());
  const [{ params }] = provider.log.filter(({ route }) => route === "authorization");
  assert.equal(params.code_challenge_method, "S256");
  assert.equal(params.resource, authority.url);
  assert.equal(params.scope, `${READ} ${OFFLINE}`);
  assert.equal(params.redirect_uri, REDIRECT);
  const [{ params: exchanged }] = provider.log.filter(({ route }) => route === "token");
  assert.equal(exchanged.resource, authority.url);
  assert.equal(provider.count("registration"), 1);
});

test("many callers, one sign-in", async (t) => {
  const { provider, browser, open } = await world(t);
  const replica = await open();
  const ids = Array.from({ length: 20 }, (_, id) => `T${id}`);
  const answers = await Promise.all(ids.map((id) => ticket(replica, id)));
  assert.ok(answers.every(({ calls }) => calls === 1));
  assert.deepEqual(browser("ann").asked, ["login", "consent"]);
  assert.deepEqual(provider.granted(), ["authorization_code"]);
});

test("a user who takes longer than a request may: the next one has the grant", async (t) => {
  const { browser, clock, open } = await world(t);
  const { promise: arrived, resolve: arrive } = Promise.withResolvers();
  const { promise: away, resolve: back } = Promise.withResolvers();
  const slow = async (url) => {
    arrive();
    await away;
    return browser("ann").follow(url);
  };
  const replica = await open({ authorize: { redirectUri: () => REDIRECT, open: slow } });
  const first = ticket(replica);
  await arrived;
  clock.advance(120_000);
  await assert.rejects(first, { code: "authority_auth_required" });
  const second = ticket(replica);
  back();
  assert.equal((await second).calls, 1);
  assert.deepEqual(browser("ann").asked, ["login", "consent"]);
});

test("access tokens that are JWTs", async (t) => {
  const { authority, open } = await world(t, { format: "jwt" });
  assert.equal((await ticket(await open())).calls, 1);
  const [{ token }] = authority.passed("tools/call get_ticket");
  assert.equal(token.split(".").length, 3);
});

test("a client metadata document in place of a registration", async (t) => {
  const id = "https://app.example/client.json";
  const { provider, open } = await world(t, { documents: { [id]: { ...CLIENT, client_id: id } } });
  assert.equal((await ticket(await open({ oauth: { clientMetadataUrl: id } }))).calls, 1);
  assert.equal(provider.count("registration"), 0);
  assert.equal(provider.log.find(({ route }) => route === "authorization").params.client_id, id);
});

test("who says no is told so, and is asked again only by another request", async (t) => {
  const { provider, authority, browser, open, refused } = await world(t);
  browser("ann").consents = false;
  const replica = await open();
  await refused("access_denied", ticket(replica));
  assert.deepEqual(browser("ann").asked, ["login", "consent"]);
  assert.deepEqual(provider.granted(), []);
  assert.deepEqual(authority.passed("tools/call get_ticket"), []);
  browser("ann").consents = true;
  assert.equal((await ticket(replica)).calls, 1);
});

test("a sign-in elsewhere: the caller gets the link, the redirect finds its grant, also after a restart", async (t) => {
  const { browser, open, refused } = await world(t);
  const elsewhere = { redirectUri: () => REDIRECT, open: async (url) => ({ authorizationUrl: url }) };
  const first = await open({ authorize: elsewhere });
  const { authorizationUrl } = await refused("login_required", ticket(first));
  await first.close();
  const callback = await browser("ann").follow(authorizationUrl);
  const second = await open({ authorize: elsewhere });
  await second.finishAuthorization(callback);
  assert.equal((await ticket(second)).calls, 1);
  // One use: the same redirect again is nobody's.
  await refused("state_mismatch", second.finishAuthorization(callback));
});

test("a redirect of another user's does not sign in", async (t) => {
  const { provider, open, refused } = await world(t);
  const mallory = new Browser("mallory");
  // The redirect that another authorization of the same client came back with.
  const other = async (url) => {
    const foreign = new URL(url);
    foreign.searchParams.set("state", "of-another-authorization");
    return mallory.follow(foreign.href);
  };
  const replica = await open({ authorize: { redirectUri: () => REDIRECT, open: other } });
  await refused("state_mismatch", ticket(replica));
  assert.deepEqual(provider.granted(), []);
});

test("principals share nothing", async (t) => {
  const { authority, vault, browser, open } = await world(t);
  const replica = await open();
  assert.deepEqual(await ticket(replica, "A", { principal: "ann" }), { calls: 1, from: "miss" });
  assert.deepEqual(await ticket(replica, "A", { principal: "bob" }), { calls: 2, from: "miss" });
  assert.deepEqual(await ticket(replica, "A", { principal: "ann" }), { calls: 1, from: "hit" });
  assert.deepEqual(browser("bob").asked, ["login", "consent"]);
  const [ann, bob] = authority.passed("tools/call get_ticket");
  assert.deepEqual([ann.account, bob.account], ["ann", "bob"]);
  assert.notEqual(ann.token, bob.token);
  const grants = [...vault].filter(([key]) => key.startsWith("grant:"));
  assert.equal(grants.length, 2);
  // Which record is whose its key does not tell, and none has the other's token.
  assert.ok(grants.every(([key]) => !/ann|bob/.test(key)));
  const holders = (token) => grants.filter(([, record]) => Buffer.from(record).includes(token)).length;
  assert.deepEqual([holders(ann.token), holders(bob.token)], [1, 1]);
});

test("a tool that needs more: one more consent to both scopes, then no more", async (t) => {
  const { provider, authority, browser, open } = await world(t);
  const replica = await open();
  await ticket(replica);
  assert.equal((await retitle(replica, "new")).structuredContent.title, "new");
  assert.deepEqual(browser("ann").asked, ["login", "consent", "consent"]);
  const scopes = provider.log.filter(({ route }) => route === "authorization").map(({ params }) => params.scope);
  assert.deepEqual(scopes.map((scope) => scope.split(" ").sort()), [[OFFLINE, READ], [OFFLINE, READ, WRITE]]);
  assert.equal(authority.refused(403).length, 1);
  await retitle(replica, "newer");
  assert.equal(authority.passed("tools/call update_ticket").length, 2);
  assert.equal(browser("ann").asked.length, 3);
  assert.equal(provider.granted().length, 2);
  assert.deepEqual(await ticket(replica), { calls: 2, from: "stale" });
});

test("two that need more, one consent", async (t) => {
  const { authority, browser, open } = await world(t);
  const replica = await open();
  await ticket(replica);
  await Promise.all([retitle(replica, "one"), retitle(replica, "two")]);
  assert.equal(authority.passed("tools/call update_ticket").length, 2);
  assert.deepEqual(browser("ann").asked, ["login", "consent", "consent"]);
});

test("who does not consent to more keeps what there was", async (t) => {
  const { authority, browser, open, refused } = await world(t);
  const replica = await open();
  await ticket(replica);
  browser("ann").consents = false;
  await refused("access_denied", retitle(replica, "new"));
  assert.deepEqual(authority.passed("tools/call update_ticket"), []);
  assert.equal((await ticket(replica, "B")).calls, 1);
  assert.deepEqual(browser("ann").asked, ["login", "consent", "consent"]);
});

test("a restart with the vault needs nobody", async (t) => {
  const { provider, browser, open } = await world(t);
  await (async () => {
    const replica = await open();
    await ticket(replica);
    await replica.close();
  })();
  const asked = provider.log.length;
  assert.deepEqual(await ticket(await open(), "B"), { calls: 1, from: "miss" });
  assert.equal(browser("ann").asked.length, 2);
  // Not even for the metadata: the token is good.
  assert.ok(provider.log.slice(asked).every(({ route }) => route === "introspection"));
});

test("without its vault a restart signs in anew", async (t) => {
  const { browser, open } = await world(t);
  await ticket(await open({ vault: new Map() }));
  await ticket(await open({ vault: new Map() }), "B");
  // The server still knows the browser.
  assert.deepEqual(browser("ann").asked.slice(0, 2), ["login", "consent"]);
});
