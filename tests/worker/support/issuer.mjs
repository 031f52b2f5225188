// A scripted authorization server: it says yes to whoever comes, keeps count, and remembers every secret it gave out.
//
// What a real one thinks of the requests is for tests with a real one. This one is there to be asked what reached it.

import { once } from "node:events";
import { createServer } from "node:http";
import { createHash, randomUUID, webcrypto } from "node:crypto";

/** Starts one; `protect` makes an authority's guard of it. */
export async function startIssuer() {
  const clients = new Map();
  const codes = new Map();
  const tokens = new Map();
  const asked = [];
  const given = [];
  const refused = [];
  const state = { expiresIn: 3600, deny: false, key: undefined, held: undefined };

  const secret = (kind) => {
    const value = `${kind}-${randomUUID()}`;
    given.push(value);
    return value;
  };
  const grant = (client, scope, bound) => {
    const access = secret("access");
    const refresh = secret("refresh");
    tokens.set(access, { client, scope, bound, good: true });
    tokens.set(refresh, { client, scope, bound, good: true, access });
    const type = bound === undefined ? "Bearer" : "DPoP";
    return { access_token: access, token_type: type, expires_in: state.expiresIn, refresh_token: refresh, scope };
  };

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, issuer.url);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const json = (value, status = 200) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    switch (url.pathname) {
      case "/.well-known/oauth-authorization-server":
        return json({
          issuer: issuer.url,
          authorization_endpoint: `${issuer.url}/authorize`,
          token_endpoint: `${issuer.url}/token`,
          registration_endpoint: `${issuer.url}/register`,
          revocation_endpoint: `${issuer.url}/revoke`,
          response_types_supported: ["code"],
          grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
          code_challenge_methods_supported: ["S256"],
          token_endpoint_auth_methods_supported: ["none", "private_key_jwt"],
          token_endpoint_auth_signing_alg_values_supported: ["ES256"],
          dpop_signing_alg_values_supported: ["ES256"],
          authorization_response_iss_parameter_supported: true,
        });
      case "/register": {
        const client = { ...JSON.parse(body), client_id: randomUUID() };
        clients.set(client.client_id, client);
        asked.push("register");
        return json(client, 201);
      }
      case "/authorize": {
        const query = Object.fromEntries(url.searchParams);
        const back = new URL(query.redirect_uri);
        if (!clients.get(query.client_id)?.redirect_uris.includes(query.redirect_uri)) return json({}, 400);
        back.searchParams.set("state", query.state);
        back.searchParams.set("iss", issuer.url);
        if (state.deny) {
          back.searchParams.set("error", "access_denied");
          // Some servers do not write UTF-8.
          back.search += "&error_description=n%E3o";
        } else {
          const code = secret("code");
          codes.set(code, query);
          back.searchParams.set("code", code);
        }
        return response.writeHead(302, { location: back.href }).end();
      }
      case "/token": {
        const form = Object.fromEntries(new URLSearchParams(body));
        asked.push(form.grant_type);
        await state.held;
        const bound = request.headers.dpop && (await thumbprint(request.headers.dpop));
        if (form.grant_type === "authorization_code") {
          const begun = codes.get(form.code);
          codes.delete(form.code);
          const challenge = createHash("sha256").update(form.code_verifier ?? "").digest("base64url");
          if (begun?.code_challenge !== challenge || begun.redirect_uri !== form.redirect_uri) {
            return json({ error: "invalid_grant" }, 400);
          }
          return json(grant(begun.client_id, begun.scope ?? "", bound));
        }
        if (form.grant_type === "refresh_token") {
          const old = tokens.get(form.refresh_token);
          if (!old?.good) return json({ error: "invalid_grant" }, 400);
          old.good = false;
          tokens.get(old.access).good = false;
          return json(grant(old.client, old.scope, bound));
        }
        if (form.grant_type === "client_credentials" && (await isSigned(form.client_assertion, state.key))) {
          const { refresh_token, ...answer } = grant("machine", "", bound);
          return json(answer);
        }
        return json({ error: "invalid_client" }, 401);
      }
      case "/revoke": {
        const { token } = Object.fromEntries(new URLSearchParams(body));
        asked.push("revoke");
        for (const name of [token, tokens.get(token)?.access]) if (tokens.has(name)) tokens.get(name).good = false;
        return response.writeHead(200).end();
      }
      default:
        return json({}, 404);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const issuer = {
    url: `http://127.0.0.1:${server.address().port}`,
    /** What the token, registration and revocation endpoints were asked, in order. */
    asked,
    /** Every code and token that was given out. */
    given,
    /** Every token that a protected authority refused. */
    refused,
    /** `expiresIn` seconds, whether to `deny`, the public `key` of the machine, and what answers wait for. */
    state,
    /** Makes every access token that was given out bad. */
    expire: () => tokens.forEach((token, name) => (token.good &&= !name.startsWith("access-"))),
    /** Whether this is signed by the key that it names (RFC 9449 §4.3, in part). */
    isProof: async (proof) => (await thumbprint(proof)) !== undefined,
    /** What lets an authority's requests pass that carry a good token, and tells where to get one. */
    protect(scope) {
      return (request, response) => {
        const resource = `http://${request.headers.host}/mcp`;
        const metadata = `http://${request.headers.host}/.well-known/oauth-protected-resource/mcp`;
        if (request.url === new URL(metadata).pathname) {
          const about = { resource, authorization_servers: [issuer.url], scopes_supported: [scope] };
          response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(about));
          return true;
        }
        const [scheme, name] = request.headers.authorization?.split(" ") ?? [];
        const token = tokens.get(name);
        if (token?.good && scheme === (token.bound === undefined ? "Bearer" : "DPoP")) return false;
        if (name) refused.push(name);
        const challenge = `Bearer resource_metadata="${metadata}"${name ? ', error="invalid_token"' : ""}`;
        response.writeHead(401, { "www-authenticate": challenge }).end();
        return true;
      };
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return issuer;
}

const decoded = (part) => JSON.parse(Buffer.from(part, "base64url").toString());
const ES256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Whether a JWT is signed by this key. */
async function isSigned(jwt, jwk) {
  const [header, claims, signature] = jwt?.split(".") ?? [];
  if (jwk === undefined || signature === undefined) return false;
  const key = await webcrypto.subtle.importKey("jwk", jwk, ES256, false, ["verify"]);
  return webcrypto.subtle.verify(ES256, key, Buffer.from(signature, "base64url"), Buffer.from(`${header}.${claims}`));
}

/** Whom a proof binds a token to (RFC 9449 §6.1, roughly); undefined if it is not signed by its own key. */
async function thumbprint(proof) {
  const { jwk } = decoded(proof.split(".")[0]);
  return (await isSigned(proof, jwk)) ? `${jwk.x}.${jwk.y}` : undefined;
}
