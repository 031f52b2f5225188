// The official client with its own OAuth, no replica: what fails here is no fault of a replica's.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Client,
  ClientCredentialsProvider,
  DpopSession,
  PrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import { exportJWK, generateKeyPair } from "jose";

import { Browser } from "./support/browser.mjs";
import { startProtected } from "./support/protected.mjs";
import { MACHINE, READ, SIGNING_MACHINE, WRITE, startProvider } from "./support/provider.mjs";
import { CLIENT, register, userOf } from "./support/sdk.mjs";

async function connect(t, url, authProvider) {
  const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
  await client.connect(transport);
  t.after(() => client.close());
  return client;
}

/** Signs in on the way, once. */
async function connectAs(t, url, user) {
  await assert.rejects(connect(t, url, user), UnauthorizedError);
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: user });
  await transport.finishAuth(new URL(user.kept.callback).searchParams);
  return connect(t, url, user);
}

const ticket = (client) => client.callTool({ name: "get_ticket", arguments: { id: "A" } });

test("registration, code flow, refresh, the end of consent", async (t) => {
  const provider = await startProvider(t);
  const authority = await startProtected(t, provider);
  const browser = new Browser("ann");
  const user = userOf(browser);
  const client = await connectAs(t, authority.url, user);
  assert.deepEqual((await ticket(client)).structuredContent, { id: "A", title: "Ticket A", calls: 1 });
  assert.deepEqual(browser.asked, ["login", "consent"]);
  assert.equal(user.kept.tokens.scope, READ);

  await provider.end(user.kept.tokens.access_token);
  assert.equal((await ticket(client)).structuredContent.calls, 2);
  assert.deepEqual(provider.granted(), ["authorization_code", "refresh_token"]);

  await provider.withdraw("ann");
  await assert.rejects(ticket(client), UnauthorizedError);
  assert.ok(authority.passed().every(({ account, what }) => account === "ann" || what === "metadata"));
});

test("access tokens that are JWTs", async (t) => {
  const provider = await startProvider(t, { format: "jwt" });
  const authority = await startProtected(t, provider);
  const user = userOf(new Browser("ann"));
  const client = await connectAs(t, authority.url, user);
  assert.equal((await ticket(client)).structuredContent.calls, 1);
  assert.equal(user.kept.tokens.access_token.split(".").length, 3);
});

test("a client metadata document", async (t) => {
  const id = "https://app.example/client.json";
  const provider = await startProvider(t, { documents: { [id]: { ...CLIENT, client_id: id } } });
  const authority = await startProtected(t, provider);
  const user = userOf(new Browser("ann"), undefined, { clientMetadataUrl: id });
  assert.equal((await ticket(await connectAs(t, authority.url, user))).structuredContent.calls, 1);
  assert.equal(provider.count("registration"), 0);
});

test("a refresh token only for who asks for offline access", async (t) => {
  const provider = await startProvider(t, { offline: true });
  const authority = await startProtected(t, provider);
  const browser = new Browser("ann");
  const user = userOf(browser, await register(provider));
  const client = await connectAs(t, authority.url, user);
  await provider.end(user.kept.tokens.access_token);
  await ticket(client);
  assert.deepEqual(provider.granted(), ["authorization_code", "refresh_token"]);
});

for (const nonce of [false, true]) {
  test(`tokens bound to a key, ${nonce ? "with" : "without"} a nonce of the server's`, async (t) => {
    const provider = await startProvider(t, { nonce });
    const authority = await startProtected(t, provider);
    const session = await DpopSession.create();
    const user = userOf(new Browser("ann"), undefined, { dpop: () => session });
    const client = await connectAs(t, authority.url, user);
    assert.equal((await ticket(client)).structuredContent.calls, 1);
    assert.ok(authority.passed("tools/call get_ticket").every(({ authorization }) => /^DPoP /.test(authorization)));
  });
}

test("a wider scope", async (t) => {
  const provider = await startProvider(t);
  const authority = await startProtected(t, provider);
  const browser = new Browser("ann");
  // The SDK registers for the scopes of the first challenge, and this server holds a client to those.
  const user = userOf(browser, await register(provider));
  const client = await connectAs(t, authority.url, user);
  const write = () => client.callTool({ name: "update_ticket", arguments: { id: "A", title: "new" } });
  await assert.rejects(write(), UnauthorizedError);
  const transport = new StreamableHTTPClientTransport(new URL(authority.url), { authProvider: user });
  await transport.finishAuth(new URL(user.kept.callback).searchParams);
  assert.equal((await write()).structuredContent.title, "new");
  assert.deepEqual(user.kept.tokens.scope.split(" ").sort(), [READ, WRITE]);
  assert.deepEqual(browser.asked, ["login", "consent", "consent"]);
});

test("client credentials with a secret and with a signature", async (t) => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const provider = await startProvider(t, { jwk: { ...(await exportJWK(publicKey)), alg: "ES256" } });
  const authority = await startProtected(t, provider);
  const common = { scope: READ, expectedIssuer: provider.issuer };
  const secret = new ClientCredentialsProvider({ clientId: MACHINE.id, clientSecret: MACHINE.secret, ...common });
  assert.equal((await ticket(await connect(t, authority.url, secret))).structuredContent.calls, 1);
  const key = { privateKey: await exportJWK(privateKey), algorithm: "ES256" };
  const signing = new PrivateKeyJwtProvider({ clientId: SIGNING_MACHINE, ...key, ...common });
  assert.equal((await ticket(await connect(t, authority.url, signing))).structuredContent.calls, 2);
  assert.deepEqual(provider.granted(), ["client_credentials", "client_credentials"]);
});
