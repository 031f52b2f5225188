// What becomes of a grant at a real authorization server: renewed, revoked, withdrawn, given back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { retitle, ticket, world } from "./support/world.mjs";

const LIFETIME = 600;
/** As long as a user who has just consented is left in peace. */
const PAUSE = 60_000;
const EXCHANGED = "authorization_code";
const REFRESHED = "refresh_token";

test("an access token that has expired is renewed, once for all who wait", async (t) => {
  const { provider, authority, clock, browser, open } = await world(t, { lifetime: LIFETIME });
  const replica = await open();
  await ticket(replica);
  clock.advance(2 * LIFETIME * 1000);
  const ids = Array.from({ length: 20 }, (_, id) => `T${id}`);
  const answers = await Promise.all(ids.map((id) => ticket(replica, id)));
  assert.ok(answers.every(({ calls }) => calls === 1));
  assert.deepEqual(provider.granted(), [EXCHANGED, REFRESHED]);
  assert.equal(browser("ann").asked.length, 2);
  // Known to have expired: it was not even tried.
  assert.deepEqual(authority.refused(401).length, 1);
});

test("what was stored outlives the access token", async (t) => {
  const { provider, clock, open } = await world(t, { lifetime: LIFETIME });
  const replica = await open();
  await ticket(replica);
  for (const id of ["B", "C"]) {
    clock.advance(2 * LIFETIME * 1000);
    await ticket(replica, id);
  }
  assert.deepEqual(provider.granted(), [EXCHANGED, REFRESHED, REFRESHED]);
  assert.deepEqual(await ticket(replica), { calls: 1, from: "hit" });
});

test("only who asks for offline access gets a refresh token, and the replica asks", async (t) => {
  const { provider, clock, browser, open } = await world(t, { lifetime: LIFETIME, offline: true });
  const replica = await open();
  await ticket(replica);
  clock.advance(2 * LIFETIME * 1000);
  await ticket(replica, "B");
  assert.deepEqual(provider.granted(), [EXCHANGED, REFRESHED]);
  assert.deepEqual(browser("ann").asked, ["login", "consent"]);
});

for (const era of ["modern", "legacy"]) {
  test(`a token that ends before its time: renewed, and all sent again, a write too, once; ${era}`, async (t) => {
    const { provider, authority, browser, open } = await world(t, { flags: ["--era", era] });
    const replica = await open();
    await retitle(replica, "new");
    const before = authority.passed("tools/call update_ticket");
    await provider.end(before.at(-1).token);
    const ids = Array.from({ length: 10 }, (_, id) => `T${id}`);
    const [written, ...read] = await Promise.all([retitle(replica, "newer"), ...ids.map((id) => ticket(replica, id))]);
    assert.equal(written.structuredContent.title, "newer");
    assert.ok(read.every(({ calls }) => calls === 1));
    assert.equal(authority.passed("tools/call update_ticket").length, before.length + 1);
    assert.deepEqual(provider.granted(), [EXCHANGED, EXCHANGED, REFRESHED]);
    assert.deepEqual(browser("ann").asked, ["login", "consent", "consent"]);
  });
}

test("consent withdrawn: the next miss is refused, nothing stale is served, and only a sign-in helps", async (t) => {
  const { provider, authority, clock, browser, open, refused } = await world(t);
  const replica = await open();
  await ticket(replica, "A");
  clock.advance(PAUSE);
  await provider.withdraw("ann");
  browser("ann").consents = false;
  // Nobody has told the replica yet.
  assert.deepEqual(await ticket(replica, "A"), { calls: 1, from: "hit" });
  await refused("access_denied", ticket(replica, "B"));
  // Now it knows. The rule allows stale answers on errors for a day; a refusal is no such error.
  await refused("access_denied", ticket(replica, "A"));
  assert.equal(authority.passed("tools/call get_ticket").length, 1);
  browser("ann").consents = true;
  assert.equal((await ticket(replica, "A")).calls, 2);
});

test("who has just consented is not asked again by a refusal", async (t) => {
  const { provider, clock, browser, open, refused } = await world(t);
  const replica = await open();
  await ticket(replica, "A");
  await provider.withdraw("ann");
  await refused("refused", ticket(replica, "B"));
  assert.equal(browser("ann").asked.length, 2);
  clock.advance(PAUSE);
  assert.equal((await ticket(replica, "B")).calls, 1);
});

test("a refresh token used twice ends the grant at the server, and the replica does not go round", async (t) => {
  const { provider, clock, vault, browser, open } = await world(t, { lifetime: LIFETIME });
  const replica = await open();
  await ticket(replica);
  const copy = new Map(vault);
  clock.advance(2 * LIFETIME * 1000);
  await ticket(replica, "B");
  // Another replica with the vault as it was: its refresh token was used already.
  const other = await open({ vault: copy });
  await ticket(other, "C");
  assert.deepEqual(provider.granted(), [EXCHANGED, REFRESHED, EXCHANGED]);
  assert.deepEqual(provider.refused(), [REFRESHED]);
  // The server ended the first one's grant with it.
  await ticket(replica, "D");
  assert.deepEqual(provider.granted().slice(3), [EXCHANGED]);
  assert.deepEqual(provider.refused(), [REFRESHED, REFRESHED]);
  assert.equal(browser("ann").asked.filter((page) => page === "login").length, 1);
});

test("replicas that take turns at one vault end no grant", async (t) => {
  const { provider, clock, browser, open } = await world(t, { lifetime: LIFETIME });
  const replicas = [await open(), await open()];
  for (const [turn, replica] of [...replicas, ...replicas, ...replicas].entries()) {
    await ticket(replica, `T${turn}`);
    clock.advance(2 * LIFETIME * 1000);
  }
  assert.deepEqual(provider.granted(), [EXCHANGED, REFRESHED, REFRESHED, REFRESHED, REFRESHED, REFRESHED]);
  assert.deepEqual(provider.refused(), []);
  assert.equal(browser("ann").asked.length, 2);
});

test("signing out revokes the tokens and forgets the grant", async (t) => {
  const { provider, authority, vault, browser, open, refused } = await world(t);
  const replica = await open();
  await ticket(replica);
  const { token } = authority.passed("tools/call get_ticket")[0];
  await replica.signOut({ principal: "ann" });
  const revocations = provider.log.filter(({ route }) => route === "revocation");
  const revoked = revocations.map(({ params }) => params.token_type_hint);
  assert.deepEqual(revoked, ["refresh_token", "access_token"]);
  assert.deepEqual([...vault.keys()].filter((key) => key.startsWith("grant:")), []);
  const probe = await fetch(authority.url, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  assert.equal(probe.status, 401);
  browser("ann").consents = false;
  // What was stored was of the grant that is no more.
  await refused("access_denied", ticket(replica));
  browser("ann").consents = true;
  assert.equal((await ticket(replica)).calls, 2);
});

test("after signing out not even an outage brings back what was stored", async (t) => {
  const { open } = await world(t);
  let isDown = false;
  const down = () => Promise.reject(new TypeError("down"));
  const replica = await open({ fetch: (...asked) => (isDown ? down() : fetch(...asked)) });
  await ticket(replica);
  await replica.signOut({ principal: "ann" });
  isDown = true;
  await assert.rejects(ticket(replica), { code: "authority_unreachable" });
});

test("signing out one principal leaves the other alone", async (t) => {
  const { provider, open } = await world(t);
  const replica = await open();
  await ticket(replica, "A", { principal: "ann" });
  await ticket(replica, "A", { principal: "bob" });
  await replica.signOut({ principal: "ann" });
  const asked = provider.granted().length;
  assert.deepEqual(await ticket(replica, "A", { principal: "bob" }), { calls: 2, from: "hit" });
  assert.deepEqual(await ticket(replica, "B", { principal: "bob" }), { calls: 1, from: "miss" });
  assert.equal(provider.granted().length, asked);
});
