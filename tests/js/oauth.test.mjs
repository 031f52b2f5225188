// A protected authority, its authorization server, and the program's part in grants: `authorize`, `vault`, `sign`.

import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { fileVault, loopback } from "../../wasm/dist/for_node.js";
import { createHandler } from "../../wasm/dist/fetch.js";
import { call } from "./support/endpoint.mjs";
import { Issuer } from "./support/issuer.mjs";
import { Authority, POLICY, fails, turn, watchRejections } from "./support/index.mjs";
import { LeewardError, Replica, generateSigningKey, webCryptoSigner } from "./support/leeward.mjs";

const REDIRECT = "http://127.0.0.1:9/callback";
const ANN = { principal: "ann" };
const BEN = { principal: "ben" };

/** Where a browser that goes to `url`, and whose user consents, is sent back to. */
const consent = async (url) => (await fetch(url, { redirect: "manual" })).headers.get("location");

/** A protected authority and its issuer; `open` opens replicas of it, all closed with the test. */
async function protectedWorld(t) {
  watchRejections(t);
  const [authority, issuer] = [await Authority.start(), await Issuer.start()];
  authority.issuer = issuer;
  t.after(() => Promise.all([authority.close(), issuer.close()]));
  const events = [];
  const asked = [];
  const authorize = {
    redirectUri: ({ principal }) => (asked.push(["redirectUri", principal]), REDIRECT),
    open: (url, { principal }) => (asked.push(["open", principal]), consent(url)),
  };
  const open = async ({ oauth = {}, ...options } = {}) => {
    const replica = await Replica.open({
      authority: { url: authority.url, oauth },
      policy: POLICY,
      onEvent: (event) => events.push(event),
      authorize,
      ...options,
    });
    t.after(() => replica.close());
    return replica;
  };
  return { authority, issuer, events, asked, authorize, open };
}

/** Fails for want of a grant; the error. */
const unauthorized = async (reason, action) => {
  const error = await fails("authority_auth_required", action);
  assert.equal(error.data.reason, reason, error.message);
  return error;
};

test("the first call signs in, and the next ones need nobody", async (t) => {
  const { authority, issuer, asked, open } = await protectedWorld(t);
  const replica = await open();
  const results = await Promise.all([1, 2, 3].map((id) => replica.callTool("echo", { id })));
  assert.deepEqual(results.map((result) => result.structuredContent.arguments.id), [1, 2, 3]);
  await replica.callTool("write", {}).catch(() => {});
  assert.deepEqual(asked, [["redirectUri", "local"], ["open", "local"]]);
  assert.deepEqual(["/register", "/authorize", "/token"].map((path) => issuer.count(path)), [1, 1, 1]);
  const [token] = issuer.tokens.keys();
  for (const { headers } of authority.requests) assert.equal(headers.authorization, `Bearer ${token}`);
});

test("principals have grants of their own, and no hook is told of another's", async (t) => {
  const { authority, issuer, asked, open } = await protectedWorld(t);
  const vault = new Map();
  const replica = await open({ vault });
  await replica.callTool("count", {}, ANN);
  await replica.callTool("count", {}, BEN);
  await replica.callTool("count", {}, { principal: "ann" });
  assert.deepEqual(asked.map(([hook, principal]) => `${hook} ${principal}`), [
    "redirectUri ann",
    "open ann",
    "redirectUri ben",
    "open ben",
  ]);
  const used = authority.requests.filter(({ method }) => method === "tools/call").map(({ headers }) => headers.authorization);
  assert.equal(used.length, 2);
  assert.notEqual(used[0], used[1]);
  assert.equal(issuer.tokens.size, 2);
  for (const key of vault.keys()) assert.doesNotMatch(key, /ann|ben/);
});

test("a grant outlives the replica by its vault", async (t) => {
  const { issuer, asked, open } = await protectedWorld(t);
  const folder = mkdtempSync(join(tmpdir(), "leeward-vault-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const vault = fileVault(folder);
  const first = await open({ vault });
  await first.callTool("echo", {});
  // Has kept what was given to the vault.
  await first.close();
  await (await open({ vault: fileVault(folder) })).callTool("echo", { id: 2 });
  assert.equal(asked.filter(([hook]) => hook === "open").length, 1);
  // What was refused meanwhile is renewed by the refresh token.
  issuer.tokens.clear();
  await (await open({ vault: fileVault(folder) })).callTool("echo", { id: 3 });
  assert.equal(asked.filter(([hook]) => hook === "open").length, 1);
  assert.equal(issuer.requests.at(-1).params.grant_type, "refresh_token");
});

test("a loopback listener takes the redirect", async (t) => {
  const { open } = await protectedWorld(t);
  const authorize = loopback({ open: async (url) => void (await fetch(url)) });
  const replica = await open({ authorize });
  await Promise.all([replica.callTool("echo", {}, ANN), replica.callTool("echo", {}, BEN)]);
});

test("an authorization goes on elsewhere by a link, and is finished once", async (t) => {
  const { open, authorize } = await protectedWorld(t);
  const link = (url) => ({ authorizationUrl: url });
  const replica = await open({ authorize: { ...authorize, open: link }, vault: new Map() });
  const begin = async () => {
    const { data } = await unauthorized("login_required", replica.callTool("echo", {}, ANN));
    return consent(data.authorizationUrl);
  };
  await fails("invalid_params", () => replica.finishAuthorization("no url"));
  await fails("invalid_params", () => replica.finishAuthorization(7));
  await unauthorized("state_mismatch", () => replica.finishAuthorization(`${REDIRECT}?code=x&state=unknown`));
  await fails("invalid_params", () => replica.finishAuthorization(REDIRECT, { principal: 7 }));
  // What somebody else brings is over.
  for (const other of [BEN, { principal: null }]) {
    const brought = await begin();
    await unauthorized("principal_mismatch", () => replica.finishAuthorization(brought, other));
    await unauthorized("state_mismatch", () => replica.finishAuthorization(brought, ANN));
  }
  const back = await begin();
  await replica.finishAuthorization(back, ANN);
  await replica.callTool("echo", {}, ANN);
  await unauthorized("login_required", replica.callTool("echo", {}, BEN));
  await unauthorized("state_mismatch", () => replica.finishAuthorization(back));
  await replica.close();
  await fails("closed", () => replica.finishAuthorization(back));
});

test("who signs out is asked again, and nobody else", async (t) => {
  const { issuer, asked, open } = await protectedWorld(t);
  const vault = new Map();
  const replica = await open({ vault });
  const sign = [ANN, BEN].map((who) => replica.callTool("echo", {}, who));
  await Promise.all(sign);
  const before = issuer.tokens.size;
  await replica.signOut(ANN);
  assert.equal(issuer.tokens.size, before - 1);
  await replica.callTool("echo", { id: 2 }, BEN);
  await replica.callTool("echo", { id: 2 }, ANN);
  assert.deepEqual(asked.filter(([hook]) => hook === "open").map(([, who]) => who).slice(2), ["ann"]);
  // Nothing to sign out from is no fault.
  await replica.signOut({ principal: "nobody" });
  await replica.signOut({ principal: null });
  await fails("invalid_params", () => replica.signOut({ principal: 7 }));
});

/** What hooks do wrong: by name, the hook; what it gives is no answer. */
const FAULTS = {
  throws: () => {
    throw new Error("mine");
  },
  rejects: () => Promise.reject(new Error("mine")),
  "rejects with nothing": () => Promise.reject(undefined),
  "gives a number": () => 7,
  "gives an object": async () => ({}),
};

for (const [fault, hook] of Object.entries(FAULTS)) {
  for (const name of ["redirectUri", "open"]) {
    test(`authorize.${name} that ${fault} fails the call, not the replica`, async (t) => {
      const { authority, authorize, open } = await protectedWorld(t);
      const own = { ...authorize, [name]: hook };
      const replica = await open({ authorize: own });
      const error = await fails("authority_auth_required", replica.callTool("echo", {}));
      assert.equal(typeof error.data.reason, "string");
      assert.equal(authority.count("tools/call"), 0);
      own[name] = authorize[name];
      await replica.callTool("echo", {});
    });
  }

  test(`vault.get that ${fault} fails the call, not the replica`, async (t) => {
    const { authority, open } = await protectedWorld(t);
    const vault = new Map();
    const own = { get: hook, set: (...given) => vault.set(...given), delete: (key) => vault.delete(key) };
    const replica = await open({ vault: own });
    await fails("authority_auth_required", replica.callTool("echo", {}));
    assert.equal(authority.count("tools/call"), 0);
    own.get = (key) => vault.get(key);
    await replica.callTool("echo", {});
  });
}

test("a record larger than a message may be fails the call, not the replica", async (t) => {
  const { open } = await protectedWorld(t);
  const vault = new Map();
  const own = { get: () => new Uint8Array(66 << 20), set: (...given) => vault.set(...given), delete: () => {} };
  const replica = await open({ vault: own });
  await fails("authority_auth_required", replica.callTool("echo", {}));
  own.get = (key) => vault.get(key);
  await replica.callTool("echo", {});
});

test("a host without randomness signs nobody in, and goes on once it has some", async (t) => {
  const { issuer, open } = await protectedWorld(t);
  let isReady = true;
  const random = (bytes) => {
    if (!isReady) throw new Error("not now");
    crypto.getRandomValues(bytes);
  };
  const replica = await open({ random });
  isReady = false;
  const waiting = [ANN, BEN].map((who) => replica.callTool("echo", {}, who).catch((error) => error));
  // One question stays open until there is some; the other is answered with none.
  const failed = await Promise.race(waiting);
  assert.equal(failed.code, "authority_auth_required");
  assert.equal(issuer.count("/authorize"), 0);
  isReady = true;
  await replica.callTool("echo", {}, { principal: "eve" });
  await Promise.all(waiting);
  for (const who of [ANN, BEN]) await replica.callTool("echo", {}, who);
});

test("an endpoint gives the link to its agent, and takes the redirect", async (t) => {
  const { authority, authorize } = await protectedWorld(t);
  const handler = createHandler({
    authority: { url: authority.url, oauth: {} },
    authenticate: (request) => request.headers.get("authorization")?.replace("Bearer ", "") ?? undefined,
    authorize: { ...authorize, open: (url) => ({ authorizationUrl: url }) },
  });
  t.after(() => handler.close());
  const ask = async (who) => (await handler(call("echo", {}, { headers: { authorization: `Bearer ${who}` } }))).json();
  const { error } = await ask("ann");
  assert.equal(error.data.code, "authority_auth_required");
  await (await handler.replica()).finishAuthorization(await consent(error.data.authorizationUrl));
  assert.ok((await ask("ann")).result);
  assert.notEqual((await ask("ben")).error.data.authorizationUrl, error.data.authorizationUrl);
});

for (const fault of ["throws", "rejects"]) {
  test(`a vault that keeps nothing, as it ${fault}, is told of, and the grant is used`, async (t) => {
    const { events, open } = await protectedWorld(t);
    const vault = { get: () => undefined, set: FAULTS[fault], delete: FAULTS[fault] };
    const replica = await open({ vault });
    await replica.callTool("echo", {});
    await replica.signOut();
    await replica.close();
    const told = events.filter(({ type, what }) => type === "host_failed" && what === "vault");
    assert.ok(told.length >= 2);
    for (const { message } of told) assert.equal(message, "Error: mine");
  });
}

test("a hook that never answers keeps only who waits for it, until they give up", async (t) => {
  const { authorize, open } = await protectedWorld(t);
  const signals = [];
  const never = (url, { principal, signal }) => {
    if (principal !== "ann") return consent(url);
    signals.push(signal);
    return new Promise(() => {});
  };
  const replica = await open({ authorize: { ...authorize, open: never } });
  const abort = new AbortController();
  const waiting = fails("cancelled", replica.callTool("echo", {}, { ...ANN, signal: abort.signal }));
  await replica.callTool("echo", {}, BEN);
  abort.abort();
  await waiting;
  // The authorization itself goes on: a user may take longer than an agent waits.
  assert.equal(signals.length, 1);
  assert.equal(signals[0].aborted, false);
  await replica.close();
  assert.equal(signals[0].aborted, true);
  assert.equal(LeewardError.is(signals[0].reason), true);
});

test("an answer that comes after the replica was closed changes nothing, and close waits for the vault", async (t) => {
  const { authorize, open } = await protectedWorld(t);
  let answer;
  let arrived;
  const isAsked = new Promise((resolve) => (arrived = resolve));
  const late = (url) => (arrived(), new Promise((resolve) => (answer = () => resolve(consent(url)))));
  const replica = await open({ authorize: { ...authorize, open: late } });
  const waiting = fails("closed", replica.callTool("echo", {}));
  await isAsked;
  await replica.close();
  await waiting;
  answer();
  await turn();

  const writes = [];
  const slow = { get: () => undefined, set: () => new Promise((resolve) => writes.push(resolve)), delete: () => {} };
  const second = await open({ vault: slow });
  await second.callTool("echo", {});
  let isClosed = false;
  const closing = second.close().then(() => (isClosed = true));
  await turn();
  assert.equal(isClosed, false);
  assert.ok(writes.length > 0);
  for (const written of writes) written();
  await closing;
});

test("a key of the program's signs for the client", async (t) => {
  const { issuer, authority, open } = await protectedWorld(t);
  const { key, jwk } = await generateSigningKey();
  const client = { issuer: issuer.url, clientId: "me", authMethod: "private_key_jwt", key: { name: "k", algorithm: "ES256", keyId: "1" } };
  const oauth = { grant: "client_credentials", clients: [client] };
  const replica = await open({ oauth, authorize: undefined, sign: webCryptoSigner({ k: key }) });
  await replica.callTool("echo", {}, ANN);
  const { params } = issuer.requests.find(({ path }) => path === "/token");
  const [head, claims, signature] = params.client_assertion.split(".");
  const how = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  assert.ok(verify("sha256", `${head}.${claims}`, how, Buffer.from(signature, "base64url")));
  assert.deepEqual(JSON.parse(Buffer.from(head, "base64url")).kid, "1");
  assert.equal(authority.refused, 1);

  for (const sign of [...Object.values(FAULTS), undefined, webCryptoSigner({})]) {
    const other = await open({ oauth, authorize: undefined, sign });
    await fails("authority_auth_required", other.callTool("echo", {}, ANN));
  }
});

test("credentialFor hears how its token was refused, and a new one is sent once, a write's too", async (t) => {
  const { authority, issuer, open } = await protectedWorld(t);
  const told = [];
  let given = "old";
  const credentialFor = (principal, { refused }) => {
    told.push([principal, refused]);
    if (refused !== undefined) issuer.tokens.set((given = "new"), 1);
    return given;
  };
  const replica = await open({ authority: authority.url, authorize: undefined, credentialFor });
  await fails("authority_error", replica.callTool("write", {}, ANN));
  const challenge = `Bearer resource_metadata="${new URL(authority.url).origin}/.well-known/oauth-protected-resource/mcp"`;
  assert.deepEqual(told[0], ["ann", undefined]);
  assert.deepEqual(told[1], ["ann", { status: 401, token: "old", challenge }]);
  assert.equal(authority.count("tools/call write"), 1);
  assert.equal(authority.requests.at(-1).headers.authorization, "Bearer new");
  // One that does not give another token is not asked without end.
  issuer.tokens.clear();
  const stuck = await open({ authority: authority.url, authorize: undefined, credentialFor: () => "old" });
  const before = authority.refused;
  await fails("authority_auth_required", stuck.callTool("write", {}, ANN));
  assert.ok(authority.refused - before <= 2);
});
