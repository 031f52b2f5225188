// A real authorization server, npm `oidc-provider`, on loopback: code flow with PKCE, dynamic registration, client
// metadata documents, client credentials, resource indicators, rotated refresh tokens, revocation, introspection, DPoP,
// `iss` in its redirects. Its own development pages ask for login and consent; `browser.mjs` follows them.
//
// It runs in the process of its test, so that a test sees what it granted and shares its clock.

import { once } from "node:events";
import { createServer } from "node:http";

import Provider, { errors } from "oidc-provider";

const DAY = 86_400;

/** Where redirects go of users whose browsers do not visit it. */
export const REDIRECT = "http://127.0.0.1:9/callback";

/** How the protected authority asks about tokens (RFC 7662). */
export const INTROSPECTOR = { id: "authority", secret: "of-the-authority" };

/** A client with a secret, for the client credentials grant. */
export const MACHINE = { id: "machine", secret: "of-the-machine" };

/** The id of a client that signs instead (RFC 7523), of which `startProvider` gets the public key. */
export const SIGNING_MACHINE = "signing-machine";

/** What is a secret in what it takes and gives. */
const SECRET = ["access_token", "refresh_token", "code", "code_verifier", "client_secret", "client_assertion"];

/** The scopes there are at the protected authority. */
export const READ = "tickets:read";
export const WRITE = "tickets:write";
/** Asks for a refresh token (OpenID Connect Core, section 11). */
export const OFFLINE = "offline_access";

/**
 * Starts one, closed with the test.
 *
 * - `format`: "opaque" access tokens, which end the moment they are revoked, or "jwt", which last their time.
 * - `lifetime`: of access tokens, in seconds.
 * - `offline`: whether only who asks for `offline_access` gets a refresh token; else everybody does.
 * - `authMethod`: how `MACHINE` shows its secret.
 * - `jwk`: the public key of `SIGNING_MACHINE`.
 * - `documents`: client metadata documents by URL, served in place of the web.
 * - `nonce`: whether DPoP proofs need a nonce of its own.
 */
export async function startProvider(t, options = {}) {
  const { format = "opaque", lifetime = 600, offline = false, jwk, documents = {}, nonce = false } = options;
  const { authMethod = "client_secret_basic" } = options;
  const resources = new Set();
  const log = [];
  const secrets = new Set([INTROSPECTOR.secret, MACHINE.secret]);
  const note = (...values) => {
    for (const value of values) if (typeof value === "string") secrets.add(value);
  };
  const grants = new Map();
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${server.address().port}`;

  const machine = { redirect_uris: [], response_types: [], grant_types: ["client_credentials"] };
  const provider = new Provider(issuer, {
    clients: [
      { ...machine, client_id: INTROSPECTOR.id, client_secret: INTROSPECTOR.secret, grant_types: [] },
      {
        ...machine,
        client_id: MACHINE.id,
        client_secret: MACHINE.secret,
        token_endpoint_auth_method: authMethod,
      },
      ...(jwk === undefined
        ? []
        : [
            {
              ...machine,
              client_id: SIGNING_MACHINE,
              token_endpoint_auth_method: "private_key_jwt",
              token_endpoint_auth_signing_alg: "ES256",
              jwks: { keys: [jwk] },
            },
          ]),
    ],
    clientAuthMethods: ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
    enabledJWA: { dPoPSigningAlgValues: ["ES256"], clientAuthSigningAlgValues: ["ES256"] },
    cookies: { keys: ["of-the-cookies"] },
    features: {
      clientCredentials: { enabled: true },
      clientIdMetadataDocument: { enabled: true, ack: "draft-02" },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1), requireNonce: () => nonce },
      introspection: { enabled: true, allowedPolicy: () => true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(ctx, resource) {
          if (!resources.has(resource)) throw new errors.InvalidTarget();
          return {
            scope: `${READ} ${WRITE}`,
            audience: resource,
            accessTokenTTL: lifetime,
            accessTokenFormat: format,
            ...(format === "jwt" && { jwt: { sign: { alg: "RS256" } } }),
          };
        },
      },
      revocation: { enabled: true },
    },
    // A client may register for these too.
    scopes: ["openid", OFFLINE, READ, WRITE],
    fetch: async (url) => Response.json(documents[url], { status: url in documents ? 200 : 404 }),
    ...(!offline && { issueRefreshToken: (ctx, client) => client.grantTypeAllowed("refresh_token") }),
    ttl: {
      AccessToken: lifetime,
      ClientCredentials: lifetime,
      Grant: DAY,
      Interaction: DAY,
      RefreshToken: DAY,
      Session: DAY,
    },
  });
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc === undefined) return;
    const { route, params } = ctx.oidc;
    log.push({ route, status: ctx.status, params: { ...params } });
    if (["token", "registration"].includes(route)) for (const name of SECRET) note(params?.[name], ctx.body[name]);
  });
  provider.on("grant.success", ({ oidc }) => {
    if (oidc.entities.Grant) grants.set(oidc.entities.Grant.jti, oidc.entities.Account.accountId);
  });
  provider.on("server_error", (ctx, error) => console.error(error));
  server.on("request", provider.callback());
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });

  const tokenRequests = (like) =>
    log.filter(({ route, status }) => route === "token" && like(status)).map(({ params }) => params.grant_type);

  return {
    issuer,
    /** What was asked of it, in order: `{ route, status, params }`; routes by oidc-provider's names. */
    log,
    /** What was asked at the token endpoint, by `grant_type`: what it gave a token for, or what it refused. */
    granted: () => tokenRequests((status) => status === 200),
    refused: () => tokenRequests((status) => status !== 200),
    /** Everything it gave or took that nobody else may see. */
    secrets: () => [...secrets],
    /** How often a route was asked. */
    count: (asked) => log.filter(({ route }) => route === asked).length,
    /** Takes a resource server in. */
    admit: (resource) => resources.add(resource),
    /** Ends one access token, as if it had been revoked by itself; what it came from stays. */
    end: async (token) => (await provider.AccessToken.find(token)).destroy(),
    /** An account withdraws all it ever consented to. */
    async withdraw(account) {
      for (const [grant] of [...grants].filter(([, owner]) => owner === account)) {
        await provider.AccessToken.revokeByGrantId(grant);
        await provider.RefreshToken.revokeByGrantId(grant);
        await provider.Grant.adapter.destroy(grant);
        grants.delete(grant);
      }
    },
  };
}
