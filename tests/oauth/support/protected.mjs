// The test authority behind the official server SDK's bearer checks: an OAuth resource server of MCP's.
//
// An opaque token is looked up at the authorization server by introspection (RFC 7662), so that what is revoked there
// ends here at once; one that is a JWT (RFC 9068) is verified here. It must be for this resource (RFC 8707); tools that
// write need a wider scope. DPoP proofs (RFC 9449) are checked here: the SDK knows bearer tokens only.
//
// https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization

import {
  OAuthError,
  OAuthErrorCode,
  bearerAuthChallengeResponse,
  buildOAuthProtectedResourceMetadata,
  getOAuthProtectedResourceMetadataUrl,
  requireBearerAuth,
} from "@modelcontextprotocol/server";
import { createHash } from "node:crypto";
import { EmbeddedJWK, calculateJwkThumbprint, createRemoteJWKSet, jwtVerify } from "jose";

import { listen } from "../../hosts/listen.mjs";
import { startFixture } from "../../js/support/fixture.mjs";
import { INTROSPECTOR, READ, WRITE } from "./provider.mjs";

/** Tools that need `WRITE` too. */
const WRITES = ["update_ticket"];

/** Starts one that trusts a provider, closed with the test; `flags` are of the authority's command line. */
export async function startProtected(t, provider, ...flags) {
  const fixture = await startFixture(t, ...flags);
  const log = [];
  const { origin, close } = await listen((request) => serve(request));
  t.after(close);
  const url = `${origin}/mcp`;
  provider.admit(url);

  const oauthMetadata = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).json();
  const metadata = buildOAuthProtectedResourceMetadata({
    oauthMetadata,
    resourceServerUrl: new URL(url),
    scopesSupported: [READ, WRITE],
  });
  const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(new URL(url));
  const keys = createRemoteJWKSet(new URL(oauthMetadata.jwks_uri));
  const claimsOf = async (token) =>
    token.includes(".")
      ? (await jwtVerify(token, keys, { issuer: provider.issuer, typ: "at+jwt" })).payload
      : introspect(oauthMetadata.introspection_endpoint, token);
  const gate = requireBearerAuth({
    verifier: { verifyAccessToken: async (token) => infoOf(token, await claimsOf(token).catch(() => undefined)) },
    requiredScopes: [READ],
    resourceMetadataUrl,
    expectedResource: new URL(url),
  });
  const isFresh = createReplayGuard();

  async function serve(request) {
    if (new URL(request.url).pathname === new URL(resourceMetadataUrl).pathname) {
      log.push({ what: "metadata", status: 200 });
      return Response.json(metadata);
    }
    const body = await request.text();
    const { method, params } = body === "" ? { method: request.method } : JSON.parse(body);
    const what = method === "tools/call" ? `${method} ${params.name}` : method;
    const authorization = request.headers.get("authorization");
    const entry = { what, authorization, token: authorization?.split(" ")[1], account: undefined, status: undefined };
    log.push(entry);
    const response = await answer(request, body, what, entry);
    entry.status = response.status;
    return response;
  }

  async function answer(request, body, what, entry) {
    const headers = new Headers(request.headers);
    const scheme = entry.authorization?.split(" ")[0];
    // The SDK's check reads bearer tokens; a bound token passes it in that form, and its proof is checked after.
    if (scheme === "DPoP") headers.set("authorization", `Bearer ${entry.token}`);
    const auth = await gate(new Request(url, { headers }));
    if (auth instanceof Response) return auth;
    entry.account = auth.extra.account;
    const bound = auth.extra.thumbprint;
    if ((bound !== undefined) !== (scheme === "DPoP")) return refuseProof(resourceMetadataUrl, "the other scheme");
    if (bound !== undefined) {
      const fault = await faultOf(request, url, entry.token, bound, isFresh);
      if (fault !== undefined) return refuseProof(resourceMetadataUrl, fault);
    }
    if (WRITES.some((tool) => what === `tools/call ${tool}`) && !auth.scopes.includes(WRITE)) {
      const refusal = new OAuthError(OAuthErrorCode.InsufficientScope, "this tool writes");
      return bearerAuthChallengeResponse(refusal, { requiredScopes: [WRITE], resourceMetadataUrl });
    }
    for (const name of ["authorization", "dpop", "host", "content-length", "connection"]) headers.delete(name);
    const passed = await fetch(fixture.url, {
      method: request.method,
      headers,
      body: body === "" ? undefined : body,
      signal: request.signal,
    });
    // As fetch gave it: decoded, in chunks of its own.
    const back = new Headers(passed.headers);
    for (const name of ["content-length", "content-encoding", "transfer-encoding", "connection"]) back.delete(name);
    return new Response(passed.body, { status: passed.status, headers: back });
  }

  return {
    url,
    /** What was asked, in order: `{ what, authorization, token, account, status }`, refused or not. */
    log,
    /** What got through to the server behind, refused requests left out. */
    passed: (what) => log.filter((entry) => entry.status < 300 && (what === undefined || entry.what === what)),
    refused: (status) => log.filter((entry) => entry.status === status),
    /** How often the server behind saw a method. */
    count: fixture.count,
  };
}

async function introspect(endpoint, token) {
  const answer = await fetch(endpoint, {
    method: "POST",
    headers: {
      authorization: `Basic ${Buffer.from(`${INTROSPECTOR.id}:${INTROSPECTOR.secret}`).toString("base64")}`,
    },
    body: new URLSearchParams({ token }),
  });
  const { active, ...claims } = await answer.json();
  return active ? claims : undefined;
}

function infoOf(token, claims) {
  if (claims === undefined) throw new OAuthError(OAuthErrorCode.InvalidToken, "not active");
  const { aud, client_id: clientId, cnf, exp: expiresAt, scope, sub } = claims;
  return {
    token,
    clientId,
    scopes: scope.split(" "),
    expiresAt,
    resource: URL.canParse(aud) ? new URL(aud) : undefined,
    extra: { account: sub, thumbprint: cnf?.jkt },
  };
}

function createReplayGuard() {
  const seen = new Set();
  return (id) => !seen.has(id) && seen.add(id) && true;
}

/** What is wrong with a request's proof, or undefined (RFC 9449, section 4.3). */
async function faultOf(request, url, token, thumbprint, isFresh) {
  const proof = request.headers.get("dpop");
  if (proof === null) return "no proof";
  let verified;
  try {
    verified = await jwtVerify(proof, EmbeddedJWK, { typ: "dpop+jwt", algorithms: ["ES256"], maxTokenAge: 60 });
  } catch (error) {
    return error.message;
  }
  const { htm, htu, ath, jti } = verified.payload;
  if (htm !== request.method || htu !== url) return "of another request";
  if (ath !== createHash("sha256").update(token).digest("base64url")) return "of another token";
  if ((await calculateJwkThumbprint(verified.protectedHeader.jwk)) !== thumbprint) return "of another key";
  return typeof jti === "string" && isFresh(jti) ? undefined : "sent before";
}

function refuseProof(resourceMetadataUrl, why) {
  const challenge = [
    `DPoP error="invalid_dpop_proof"`,
    `error_description="${why}"`,
    `algs="ES256"`,
    `resource_metadata="${resourceMetadataUrl}"`,
  ].join(", ");
  return Response.json({ error: "invalid_dpop_proof" }, { status: 401, headers: { "www-authenticate": challenge } });
}
