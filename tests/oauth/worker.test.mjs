// The worker before a real authorization server: users sign in by its routes, and their grants live in their objects.

import assert from "node:assert/strict";
import { test } from "node:test";

import { exportJWK, generateKeyPair } from "jose";

import { post, send, toolCall } from "../http/support/client.mjs";
import { ALICE, BOB, TOKENS } from "../http/support/hosts.mjs";
import { startWorkers } from "../http/support/worker.mjs";
import { Browser } from "./support/browser.mjs";
import { startProtected } from "./support/protected.mjs";
import { startProvider } from "./support/provider.mjs";

async function deploy(t, { provider: options = {}, oauth = {}, bindings = {} } = {}) {
  const provider = await startProvider(t, options);
  const authority = await startProtected(t, provider);
  const policy = [{ tool: "get_ticket", rule: "cache; max-age=3600" }];
  const LEEWARD_CONFIG = { authority: { url: authority.url, oauth }, policy };
  const edge = { LEEWARD_CONFIG, LEEWARD_TOKENS: TOKENS, sessions: true, ...bindings };
  const workers = await startWorkers({ edge });
  t.after(() => workers.close());
  t.after(() => {
    // What is a secret, by the provider's own word, is in no log.
    const logged = JSON.stringify(workers.logs);
    for (const secret of provider.secrets()) assert.ok(!logged.includes(secret), logged);
  });
  const call = (token, name, args) => {
    const { headers, ...sent } = toolCall(name, args);
    return post(workers.edge, { ...sent, headers: { ...headers, authorization: `Bearer ${token}` } });
  };
  return { provider, authority, workers, call, ticket: (token, id = "A") => call(token, "get_ticket", { id }) };
}

const callsOf = ({ json, text }) => json?.result?.structuredContent?.calls ?? assert.fail(text);

/** Asserts that a caller is to sign in, and gives the link. */
function linkOf({ json, text }) {
  assert.equal(json?.error?.data?.code, "authority_auth_required", text);
  return json.error.data.authorizationUrl ?? assert.fail(text);
}

test("a caller gets a link, signs in by it, and is answered; the grant outlives the object", async (t) => {
  const { provider, workers, ticket } = await deploy(t);
  const ann = new Browser("ann");
  const page = await ann.visit(linkOf(await ticket(ALICE)));
  assert.equal(page.status, 200, page.text);
  assert.deepEqual(ann.asked, ["login", "consent"]);
  assert.equal(callsOf(await ticket(ALICE)), 1);
  assert.equal(callsOf(await ticket(ALICE, "B")), 1);
  assert.equal(callsOf(await ticket(ALICE, "B")), 1);
  await workers.abortObjects();
  assert.equal(callsOf(await ticket(ALICE, "C")), 1);
  assert.deepEqual(provider.granted(), ["authorization_code"]);
});

test("each caller signs in for itself", async (t) => {
  const { authority, ticket } = await deploy(t);
  const links = [linkOf(await ticket(ALICE)), linkOf(await ticket(BOB))];
  assert.notEqual(links[0], links[1]);
  await new Browser("ann").visit(links[0]);
  assert.equal(callsOf(await ticket(ALICE)), 1);
  linkOf(await ticket(BOB));
  await new Browser("bob").visit(links[1]);
  assert.equal(callsOf(await ticket(BOB)), 2);
  assert.deepEqual(authority.passed("tools/call get_ticket").map(({ account }) => account), ["ann", "bob"]);
});

test("another browser than the one that began gets nothing", async (t) => {
  const { provider, workers, ticket } = await deploy(t);
  // Mallory signs in herself, and has Ann's browser bring the redirect: Ann would work in Mallory's account.
  const isCallback = ({ port, pathname }) => Number(port) === workers.edge.port && pathname === "/oauth/callback";
  const { away } = await new Browser("mallory").visit(linkOf(await ticket(ALICE)), isCallback);
  assert.equal((await new Browser("ann").visit(away.href)).status, 403);
  assert.deepEqual(provider.granted(), []);
  linkOf(await ticket(ALICE));
});

test("a token that ends is renewed, a wider scope is asked for, a withdrawn consent is a refusal", async (t) => {
  const { provider, authority, call, ticket } = await deploy(t);
  const ann = new Browser("ann");
  await ann.visit(linkOf(await ticket(ALICE)));
  callsOf(await ticket(ALICE));
  await provider.end(authority.passed("tools/call get_ticket").at(-1).token);
  assert.equal(callsOf(await ticket(ALICE, "B")), 1);
  assert.deepEqual(provider.granted(), ["authorization_code", "refresh_token"]);

  const retitle = () => call(ALICE, "update_ticket", { id: "A", title: "new" });
  await ann.visit(linkOf(await retitle()));
  assert.equal((await retitle()).json.result.structuredContent.title, "new");
  assert.deepEqual(ann.asked, ["login", "consent", "consent"]);

  // Who has just consented is told of the refusal, and not asked again: a withdrawn consent shows so within a minute.
  await provider.withdraw("ann");
  const { json } = await ticket(ALICE, "C");
  assert.deepEqual([json.error.data.code, json.error.data.reason], ["authority_auth_required", "refused"]);
});

test("signing out revokes the tokens, and the next call gets a link", async (t) => {
  const { provider, authority, workers, ticket } = await deploy(t);
  await new Browser("ann").visit(linkOf(await ticket(ALICE)));
  callsOf(await ticket(ALICE));
  const { token } = authority.passed("tools/call get_ticket").at(-1);
  const headers = { authorization: `Bearer ${ALICE}` };
  const ended = await send(workers.edge, { method: "DELETE", path: "/oauth/grant", headers });
  assert.equal(ended.status, 204, ended.text);
  assert.ok(provider.count("revocation") > 0);
  const stolen = { method: "POST", headers: { authorization: `Bearer ${token}` } };
  assert.equal((await fetch(authority.url, stolen)).status, 401);
  linkOf(await ticket(ALICE));
});

test("tokens bound to a key of the worker's, with the server's nonce", async (t) => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const { kty, crv, x, y } = await exportJWK(publicKey);
  const bindings = { LEEWARD_KEYS: { dpop: await exportJWK(privateKey) } };
  const oauth = { dpop: { key: "dpop", algorithm: "ES256", jwk: { kty, crv, x, y } } };
  const { authority, ticket } = await deploy(t, { provider: { nonce: true }, oauth, bindings });
  await new Browser("ann").visit(linkOf(await ticket(ALICE)));
  assert.equal(callsOf(await ticket(ALICE)), 1);
  assert.ok(authority.passed("tools/call get_ticket").every(({ authorization }) => authorization.startsWith("DPoP ")));
});
