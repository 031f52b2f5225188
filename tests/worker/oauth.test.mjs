// Grants at an authority that wants OAuth: each principal's in its own object, obtained by a user who follows a link.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import { startAuthority } from "../http/support/authority.mjs";
import { post, send, toolCall } from "../http/support/client.mjs";
import { ALICE, BOB, TOKENS } from "../http/support/hosts.mjs";
import { openSession } from "../http/support/session.mjs";
import { startWorkers } from "../http/support/worker.mjs";
import { startIssuer } from "./support/issuer.mjs";

let issuer;
let authority;
let workers;

before(async () => {
  const { publicKey, privateKey } = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const [jwk, secret] = await Promise.all([publicKey, privateKey].map((key) => webcrypto.subtle.exportKey("jwk", key)));
  issuer = await startIssuer();
  issuer.state.key = jwk;
  authority = await startAuthority({ guard: issuer.protect("tickets") });
  const deployed = (oauth = {}, more = {}, config = {}) => ({
    LEEWARD_CONFIG: {
      ...config,
      authority: { url: authority.url, oauth },
      policy: [{ tool: "get_*", rule: "cache;max-age=60" }, { tool: "find_*", rule: "live" }],
    },
    LEEWARD_TOKENS: TOKENS,
    sessions: true,
    ...more,
  });
  const { kty, crv, x, y } = jwk;
  const key = { name: "machine", algorithm: "ES256" };
  const machine = {
    grant: "client_credentials",
    clients: [{ issuer: issuer.url, clientId: "machine", authMethod: "private_key_jwt", key }],
  };
  const LEEWARD_KEYS = { machine: secret };
  const names = ["main", "foreign", "replayed", "restart", "denied", "ended", "session", "many", "late", "hostile", "secure", "visited"];
  workers = await startWorkers({
    ...Object.fromEntries(names.map((name) => [name, deployed()])),
    twin: deployed({}, { objectsOf: "main" }),
    named: deployed({ redirectUri: "https://mcp.example/oauth/callback" }),
    machine: deployed(machine, { LEEWARD_KEYS }),
    keyless: deployed(machine),
    open: deployed(machine, { LEEWARD_KEYS }, { anonymous: "public-only" }),
    bound: deployed({ dpop: { key: "machine", algorithm: "ES256", jwk: { kty, crv, x, y } } }, { LEEWARD_KEYS }),
  });
});

afterEach(() => {
  issuer.asked.splice(0);
  Object.assign(issuer.state, { expiresIn: 3600, deny: false, held: undefined });
  const logged = JSON.stringify(workers.logs);
  for (const secret of issuer.given) assert.ok(!logged.includes(secret), "a secret was logged");
  const faults = workers.logs.filter(
    ({ level, message }) => level !== "log" && level !== "info" && !message.includes("abortAllDurableObjects"),
  );
  assert.deepEqual(faults.splice(0), [], "the runtime complained");
});

after(async () => {
  await workers.close();
  await authority.close();
  await issuer.close();
});

/** Calls a tool as somebody. */
const call = (host, name = "get_ticket", token = ALICE) => {
  const { headers, ...rest } = toolCall(name);
  return post(host, { ...rest, headers: { ...headers, authorization: `Bearer ${token}` } });
};

/** What the authority answered. */
const isAnswered = ({ json, text }) => assert.ok(json?.result?.content, text);

/** The link that an agent is told. */
function linkOf({ status, json, text }) {
  assert.equal(status, 200, text);
  assert.equal(json.error?.data.code, "authority_auth_required", text);
  return new URL(json.error.data.authorizationUrl);
}

/** Ends the grant of whoever says so. */
const end = (host, headers) => send(host, { method: "DELETE", path: "/oauth/grant", headers });

/** A user's browser: it has cookies, and goes where it is told. */
class Browser {
  cookies = new Map();

  async visit(url, { method = "GET", origin = method === "POST" ? url.origin : undefined, ...more } = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...(cookie && { cookie }), ...(origin && { origin }), ...more };
    const path = `${url.pathname}${url.search}`;
    const answer = await send({ hostname: url.hostname, port: url.port }, { method, path, headers });
    for (const line of answer.headers["set-cookie"] ?? []) {
      const [, name, value, rest] = line.match(/^([^=]+)=([^;]*)(.*)$/);
      assert.match(rest, /; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
      if (/Max-Age=0;/.test(rest)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  }

  /** Begins, and comes as far as the redirect to us, which it gives. */
  async begin(link) {
    const begun = await this.visit(link, { method: "POST" });
    assert.equal(begun.status, 303, begun.text);
    const authorized = await fetch(begun.headers.location, { redirect: "manual" });
    assert.equal(authorized.status, 302);
    return new URL(authorized.headers.get("location"));
  }

  async signIn(link) {
    const answer = await this.visit(await this.begin(link));
    assert.equal(answer.status, 200, answer.text);
  }
}

test("an agent is told a link, its user signs in by it, and every isolate is answered", async () => {
  const link = linkOf(await call(workers.main));
  assert.equal(link.origin, `http://${workers.main.hostname}:${workers.main.port}`);
  assert.deepEqual(issuer.asked, ["register"]);

  const user = new Browser();
  const page = await user.visit(link);
  assert.equal(page.status, 200);
  for (const named of ["alice", new URL(authority.url).origin, issuer.url]) assert.ok(page.text.includes(named), named);
  assert.equal(user.cookies.size, 0, "to look begins nothing");

  const back = await user.begin(link);
  assert.equal(user.cookies.size, 1);
  const { status, headers, text } = await user.visit(back);
  assert.equal(status, 200, text);
  for (const value of back.searchParams.values()) assert.ok(!text.includes(value), "the query is repeated");
  assert.equal(user.cookies.size, 0);
  assert.match(headers["content-security-policy"], /default-src 'none'.*frame-ancestors 'none'/);

  isAnswered(await call(workers.main));
  isAnswered(await call(workers.twin));
  isAnswered(await call(workers.main, "find_ticket"));
  assert.deepEqual(issuer.asked, ["register", "authorization_code"]);
  // What came for the first token was not stored: the one before was none.
  isAnswered(await call(workers.main));
  assert.match((await call(workers.main)).headers["cache-status"], /^leeward;hit/);

  linkOf(await call(workers.main, "get_ticket", BOB));
});

test("a token that was refused is renewed once for all isolates, and a write is done once", async () => {
  issuer.expire();
  const calls = ["find_one", "find_two", "close_ticket", "close_other"].flatMap((name) =>
    [workers.main, workers.twin].map((host) => call(host, name)),
  );
  for (const answer of await Promise.all(calls)) isAnswered(answer);
  assert.deepEqual(issuer.asked, ["refresh_token"]);
  assert.equal(authority.trips("close_ticket"), 2);
  assert.equal(authority.trips("close_other"), 2);
});

test("another browser than the one that began gets nothing", async () => {
  const link = linkOf(await call(workers.foreign));
  const [mallory, alice] = [new Browser(), new Browser()];
  const back = await mallory.begin(link);
  issuer.asked.splice(0);
  assert.equal((await alice.visit(back)).status, 403);
  for (const cookie of ["", [...mallory.cookies.values()][0]]) {
    const name = [...mallory.cookies.keys()][0];
    const forged = cookie && `${cookie.slice(0, -1)}${cookie.endsWith("0") ? "1" : "0"}`;
    alice.cookies.set(name, forged);
    assert.equal((await alice.visit(back)).status, 403, cookie);
  }
  assert.equal((await new Browser().visit(link)).status, 403, "the link is that browser's");
  assert.equal((await new Browser().visit(link, { method: "POST" })).status, 403);
  const state = new URL(back);
  state.searchParams.set("state", "another");
  assert.equal((await mallory.visit(state)).status, 403);
  assert.deepEqual(issuer.asked, [], "nothing was exchanged");

  // Nothing of that spoilt it for who began.
  assert.equal((await mallory.visit(link)).status, 200);
  assert.equal((await mallory.visit(back)).status, 200);
  assert.deepEqual(issuer.asked, ["authorization_code"]);
});

test("over https nobody else can set the cookie", async () => {
  const visit = (url, method, headers, body) =>
    send(workers.front, { method, path: "/", headers: { "front-worker": "secure", "front-url": url, ...headers }, body });
  const { headers, body } = toolCall("get_ticket");
  const usual = { authorization: `Bearer ${ALICE}`, "content-type": "application/json", accept: "application/json" };
  const link = linkOf(await visit("https://mcp.example/mcp", "POST", { ...usual, ...headers }, body));
  assert.equal(link.origin, "https://mcp.example");
  assert.equal((await visit(link.href, "POST", { origin: "http://mcp.example" })).status, 403);
  const begun = await visit(link.href, "POST", { origin: "https://mcp.example" });
  assert.equal(begun.status, 303);
  const [set] = begun.headers["set-cookie"];
  assert.match(set, /^__Host-leeward-[0-9a-f]{16}=[0-9a-f]{64}\.[0-9a-f]{32}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/);
  const authorized = await fetch(begun.headers.location, { redirect: "manual" });
  const back = authorized.headers.get("location");
  assert.ok(back.startsWith("https://mcp.example/oauth/callback?"), back);
  const [cookie] = set.split(";");
  assert.equal((await visit(back, "GET", { cookie: cookie.replace("__Host-", "") })).status, 403);
  assert.equal((await visit(back, "GET", { cookie })).status, 200);
});

test("where a deployment says what its own address is, links lead there", async () => {
  assert.equal(linkOf(await call(workers.named)).origin, "https://mcp.example");
});

test("a page of somebody else's begins nothing", async () => {
  const link = linkOf(await call(workers.hostile));
  const user = new Browser();
  for (const origin of [null, "null", "https://evil.example", `http://localhost:${workers.hostile.port}`]) {
    const answer = await user.visit(link, { method: "POST", origin });
    assert.equal(answer.status, 403, origin);
    assert.equal(user.cookies.size, 0);
  }
  await user.signIn(link);
});

test("a redirect counts once", async () => {
  const link = linkOf(await call(workers.replayed));
  const user = new Browser();
  const back = await user.begin(link);
  const cookies = new Map(user.cookies);
  const answers = await Promise.all([user.visit(back), user.visit(back), user.visit(back)]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403]);
  user.cookies = cookies;
  for (const answer of [...answers, await user.visit(back)]) {
    assert.match(answer.text, answer.status === 200 ? /You are signed in/ : /This was not begun here/);
  }
  assert.equal((await user.visit(link)).status, 404);
  assert.deepEqual(issuer.asked, ["register", "authorization_code"]);
  isAnswered(await call(workers.replayed));
});

test("an authorization outlives the object that began it, and the grant the one that obtained it", async () => {
  const link = linkOf(await call(workers.restart));
  await workers.abortObjects();
  const user = new Browser();
  assert.equal((await user.visit(link)).status, 200);
  await workers.abortObjects();
  const back = await user.begin(link);
  await workers.abortObjects();
  assert.equal((await user.visit(back)).status, 200);
  await workers.abortObjects();
  isAnswered(await call(workers.restart));
  issuer.expire();
  await workers.abortObjects();
  isAnswered(await call(workers.restart, "find_ticket"));
  assert.deepEqual(issuer.asked, ["register", "authorization_code", "refresh_token"]);
});

test("a user who says no has no grant, and the next link is another", async () => {
  issuer.state.deny = true;
  const link = linkOf(await call(workers.denied));
  const user = new Browser();
  const answer = await user.visit(await user.begin(link));
  assert.equal(answer.status, 403);
  assert.ok(!answer.text.includes("access_denied"), "the query is repeated");
  issuer.state.deny = false;
  const next = linkOf(await call(workers.denied));
  assert.notEqual(next.href, link.href);
  await user.signIn(next);
  isAnswered(await call(workers.denied));
});

test("an agent that tries again is told the same link, and so is one in a session", async () => {
  const link = linkOf(await call(workers.session));
  assert.equal(linkOf(await call(workers.session)).href, link.href);
  const session = await openSession(workers.session);
  assert.equal(linkOf(session.opened).href, link.href);
  await new Browser().signIn(link);
  const { ask } = await openSession(workers.session);
  isAnswered(await ask("tools/call", { name: "get_ticket", arguments: {} }));
});

test("whoever ends a grant has none, and nobody else's ends", async () => {
  await new Browser().signIn(linkOf(await call(workers.ended)));
  await new Browser().signIn(linkOf(await call(workers.ended, "get_ticket", BOB)));
  for (const token of [ALICE, BOB]) isAnswered(await call(workers.ended, "get_ticket", token));
  assert.equal((await end(workers.ended, {})).status, 401);
  assert.equal((await end(workers.ended, { authorization: "Bearer wrong-token-0123456789" })).status, 401);
  assert.equal((await end(workers.ended, { authorization: `Bearer ${ALICE}`, origin: "https://evil.example" })).status, 403);
  isAnswered(await call(workers.ended, "find_ticket"));
  const ended = await end(workers.ended, { authorization: `Bearer ${ALICE}` });
  assert.equal(ended.status, 204);
  assert.equal(ended.text, "");
  assert.ok(issuer.asked.includes("revoke"));
  linkOf(await call(workers.ended));
  isAnswered(await call(workers.ended, "find_ticket", BOB));
});

test("an isolate sends a token whose grant was ended elsewhere once at most", async () => {
  await end(workers.main, { authorization: `Bearer ${ALICE}` });
  await new Browser().signIn(linkOf(await call(workers.main, "find_ticket")));
  isAnswered(await call(workers.twin, "find_ticket"));
  assert.equal((await end(workers.main, { authorization: `Bearer ${ALICE}` })).status, 204);
  issuer.refused.splice(0);
  for (let n = 0; n < 2; n += 1) linkOf(await call(workers.twin, "find_ticket"));
  assert.equal(issuer.refused.length, 1);
});

test("who visits a link does not say where the next one leads", async () => {
  const link = linkOf(await call(workers.visited));
  const headers = { "front-worker": "visited", "front-url": `https://evil.example${link.pathname}${link.search}` };
  assert.equal((await send(workers.front, { method: "GET", path: "/", headers })).status, 200);
  assert.equal((await end(workers.visited, { authorization: `Bearer ${ALICE}` })).status, 204);
  const { headers: usual, ...rest } = toolCall("get_ticket");
  // In the clear, and not on this machine: it says nothing of where links may lead.
  const next = await post(workers.visited, { ...rest, headers: { ...usual, host: "mcp.example" } });
  assert.equal(linkOf(next).origin, link.origin);
});

test("what isolates ask of objects cannot be asked from outside", async () => {
  const objects = (await workers.objects("hostile")).length;
  for (const [method, path] of [
    ["POST", "/oauth/token"],
    ["GET", "/oauth/token"],
    ["POST", "/oauth/callback?state=x"],
    ["DELETE", "/oauth/start?ticket=x"],
    ["GET", "/oauth/"],
  ]) {
    const headers = { authorization: `Bearer ${ALICE}`, "leeward-caller": "bob", "leeward-origin": "https://evil.example" };
    const { status } = await send(workers.hostile, { method, path, headers });
    assert.ok(status === 404 || status === 405, `${method} ${path}: ${status}`);
  }
  const [object] = await workers.objects("main");
  const name = "leeward-0123456789abcdef";
  for (const [path, cookie, expected] of [
    ["/oauth/start", "", 404],
    ["/oauth/start?ticket=", "", 404],
    ["/oauth/start?ticket=x.y", "", 404],
    [`/oauth/start?ticket=${"0".repeat(64)}.x`, "", 404],
    [`/oauth/start?ticket=${object.id ?? object}.x`, "", 404],
    ["/oauth/callback", "", 404],
    ["/oauth/callback?code=x", "", 404],
    ["/oauth/callback?code=x&state=y", `${name}=x`, 403],
    ["/oauth/callback?code=x&state=y&state=z", "", 404],
    [`/oauth/callback?state=${"x".repeat(9000)}`, "", 414],
  ]) {
    const { status, text } = await send(workers.hostile, { method: "GET", path, headers: { ...(cookie && { cookie }) } });
    assert.equal(status, expected, `${path}: ${text}`);
  }
  assert.equal((await workers.objects("hostile")).length, objects, "nobody makes objects up");
});

test("where a request arrived is not what its header says", async () => {
  const { headers, ...rest } = toolCall("get_ticket");
  const forged = { "leeward-origin": "https://evil.example", host: "evil.example" };
  const { json } = await post(workers.late, { ...rest, headers: { ...headers, ...forged } });
  assert.equal(json.error.data.code, "authority_auth_required");
  assert.ok(!("authorizationUrl" in json.error.data), "in the clear, and not on this machine");
});

test("an object keeps a bounded number of links, of which the oldest gives way", async () => {
  const MAX_LOGINS = 8;
  const links = [];
  for (let n = 0; n <= MAX_LOGINS; n += 1) {
    links.push(linkOf(await call(workers.many)));
    assert.equal((await end(workers.many, { authorization: `Bearer ${ALICE}` })).status, 204);
  }
  assert.equal(new Set(links.map(({ href }) => href)).size, links.length);
  const pages = await Promise.all(links.map((link) => new Browser().visit(link)));
  assert.deepEqual(pages.map(({ status }) => status), [404, ...Array(MAX_LOGINS).fill(200)]);
});

test("a machine proves itself by a key that the worker holds and never shows", async () => {
  isAnswered(await call(workers.machine));
  assert.deepEqual(issuer.asked, ["client_credentials"]);
  const { json } = await call(workers.keyless);
  assert.equal(json.error.data.code, "authority_auth_required");
  assert.deepEqual(issuer.asked, ["client_credentials"]);
  const told = workers.logs.filter(({ message }) => message.includes("LEEWARD_KEYS has no key machine"));
  assert.ok(told.length > 0, "the operator is told what is missing");
});

test("who is nobody in particular ends no grant that all such share", async () => {
  const anybody = () => post(workers.open, toolCall("find_ticket"));
  isAnswered(await anybody());
  assert.equal((await end(workers.open, {})).status, 401);
  isAnswered(await anybody());
  assert.deepEqual(issuer.asked, ["client_credentials"]);
});

test("where tokens are bound to a key, the object that signs by it sends every request", async () => {
  await new Browser().signIn(linkOf(await call(workers.bound)));
  for (let n = 0; n < 2; n += 1) isAnswered(await call(workers.bound));
  assert.match((await call(workers.bound)).headers["cache-status"], /^leeward;hit/, "the object answers from its cache");
  isAnswered(await call(workers.bound, "close_ticket"));
  const { headers } = authority.of("close_ticket").at(-1);
  assert.match(headers.authorization, /^DPoP /);
  assert.ok(await issuer.isProof(headers.dpop));
});
