// A program that brings its own OAuth, the official SDK's, by `credentialFor`: it is told how a token was refused.

import assert from "node:assert/strict";
import { test } from "node:test";

import { auth, extractWWWAuthenticateParams } from "@modelcontextprotocol/client";

import { READ, WRITE } from "./support/provider.mjs";
import { register, userOf } from "./support/sdk.mjs";
import { retitle, ticket, world } from "./support/world.mjs";

/** `credentialFor` of one user of the SDK's. */
const hookOf = (user, serverUrl, asked) => async (principal, { refused } = {}) => {
  asked.push(refused?.status);
  const { scope, resourceMetadataUrl } = challengeOf(refused);
  const isNarrow = refused?.status === 403;
  const wanted = isNarrow ? `${user.kept.tokens.scope} ${scope}` : scope;
  const options = { serverUrl, resourceMetadataUrl, scope: wanted, forceReauthorization: isNarrow };
  if (refused === undefined) return user.kept.tokens?.access_token;
  if ((await auth(user, options)) === "REDIRECT") {
    const { searchParams } = new URL(user.kept.callback);
    await auth(user, { ...options, authorizationCode: searchParams.get("code"), iss: searchParams.get("iss") });
  }
  return user.kept.tokens.access_token;
};

function challengeOf(refused) {
  if (refused?.challenge === undefined) return {};
  const headers = { "www-authenticate": refused.challenge };
  return extractWWWAuthenticateParams(new Response(null, { status: refused.status, headers }));
}

test("the SDK's sign-in, refresh and wider scope through the hook", async (t) => {
  const { provider, authority, browser, open } = await world(t);
  const user = userOf(browser("ann"), await register(provider));
  const asked = [];
  const credentialFor = hookOf(user, authority.url, asked);
  const own = { credentialFor, authorize: undefined, vault: undefined };
  const replica = await open({ authority: { url: authority.url }, ...own });
  assert.deepEqual(await ticket(replica), { calls: 1, from: "miss" });
  assert.deepEqual(asked.filter((status) => status !== undefined), [401]);
  assert.equal(user.kept.tokens.scope, READ);

  await provider.end(user.kept.tokens.access_token);
  assert.deepEqual(await ticket(replica, "B"), { calls: 1, from: "miss" });
  assert.deepEqual(provider.granted(), ["authorization_code", "refresh_token"]);

  assert.equal((await retitle(replica, "new")).structuredContent.title, "new");
  assert.deepEqual(asked.filter((status) => status !== undefined), [401, 401, 403]);
  assert.deepEqual(user.kept.tokens.scope.split(" ").sort(), [READ, WRITE]);
  assert.equal(authority.passed("tools/call update_ticket").length, 1);
});
