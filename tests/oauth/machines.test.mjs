// Grants without a user, and tokens bound to a key, at a real authorization server.

import assert from "node:assert/strict";
import { test } from "node:test";

import { generateSigningKey, webCryptoSigner } from "../js/support/leeward.mjs";
import { MACHINE, SIGNING_MACHINE } from "./support/provider.mjs";
import { ticket, world } from "./support/world.mjs";

const machine = (provider, client) => ({
  grant: "client_credentials",
  clients: [{ issuer: provider.issuer, ...client }],
});

for (const authMethod of ["client_secret_basic", "client_secret_post"]) {
  test(`client credentials, ${authMethod}`, async (t) => {
    const { provider, clock, browser, open } = await world(t, { lifetime: 600, authMethod });
    const client = { clientId: MACHINE.id, clientSecret: MACHINE.secret, authMethod };
    const replica = await open({ oauth: machine(provider, client), authorize: undefined });
    assert.deepEqual(await ticket(replica), { calls: 1, from: "miss" });
    clock.advance(1_200_000);
    assert.deepEqual(await ticket(replica, "B"), { calls: 1, from: "miss" });
    assert.deepEqual(await ticket(replica), { calls: 1, from: "hit" });
    assert.deepEqual(provider.granted(), ["client_credentials", "client_credentials"]);
    assert.deepEqual(browser("ann").asked, []);
  });
}

test("client credentials, private_key_jwt: the host signs", async (t) => {
  const { key, jwk } = await generateSigningKey("ES256");
  const signer = webCryptoSigner({ k1: key });
  const signed = [];
  const sign = (...asked) => {
    signed.push(asked.at(-1));
    return signer(...asked);
  };
  const { provider, open } = await world(t, { jwk });
  const named = { name: "k1", algorithm: "ES256" };
  const client = { clientId: SIGNING_MACHINE, authMethod: "private_key_jwt", key: named };
  const replica = await open({ oauth: machine(provider, client), authorize: undefined, sign });
  assert.equal((await ticket(replica)).calls, 1);
  const [header, claims] = Buffer.from(signed[0]).toString().split(".");
  assert.equal(JSON.parse(Buffer.from(header, "base64url")).alg, "ES256");
  const { iss, sub, aud } = JSON.parse(Buffer.from(claims, "base64url"));
  assert.deepEqual([iss, sub, [aud].flat()], [SIGNING_MACHINE, SIGNING_MACHINE, [provider.issuer]]);
});

test("a wrong secret is the operator's to mend: one try a request, no loop", async (t) => {
  const { provider, open, refused } = await world(t);
  const client = { clientId: MACHINE.id, clientSecret: "wrong", authMethod: "client_secret_basic" };
  const replica = await open({ oauth: machine(provider, client), authorize: undefined });
  await refused("token_refused", ticket(replica));
  assert.equal(provider.count("token"), 1);
});

for (const nonce of [false, true]) {
  test(`tokens bound to a key${nonce ? ", with the server's nonce" : ""}`, async (t) => {
    const { key, jwk } = await generateSigningKey("ES256");
    const { provider, authority, clock, open } = await world(t, { nonce, lifetime: 600 });
    const dpop = { key: "dpop", algorithm: "ES256", jwk };
    const replica = await open({ oauth: { dpop }, sign: webCryptoSigner({ dpop: key }) });
    assert.deepEqual(await ticket(replica), { calls: 1, from: "miss" });
    clock.advance(1_200_000);
    assert.deepEqual(await ticket(replica, "B"), { calls: 1, from: "miss" });
    const calls = authority.passed("tools/call get_ticket");
    assert.ok(calls.every(({ authorization }) => authorization.startsWith("DPoP ")));
    assert.deepEqual(provider.granted(), ["authorization_code", "refresh_token"]);
    // Stolen without its key a token is worth nothing.
    const stolen = { method: "POST", headers: { authorization: `Bearer ${calls.at(-1).token}` } };
    assert.equal((await fetch(authority.url, stolen)).status, 401);
  });
}
