// A small OAuth authorization server on plain HTTP, which pages of any origin may ask (CORS): metadata, registration,
// authorization with PKCE, tokens with rotated refresh tokens, revocation. Its user says yes at once, or by a button.

import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

/** An authorization server on 127.0.0.1. Close it with `close()`. */
export class Issuer {
  /** Every request, in order: `{ path, params, headers }`. */
  requests = [];
  /** Whether users are asked: a page with a button, else the redirect comes at once. */
  asks = false;
  /** Headers of the page that asks. */
  pageHeaders = {};
  /** For how long a token is good, in seconds. */
  expiresIn = 3600;
  /** Access tokens that are good, and whose each is: users are numbered as they sign in. */
  tokens = new Map();
  #codes = new Map();
  #refreshTokens = new Map();
  #users = 0;

  static async start() {
    const issuer = new Issuer();
    issuer.server = createServer((request, response) => issuer.#serve(request, response));
    issuer.server.listen(0, "127.0.0.1");
    await once(issuer.server, "listening");
    issuer.url = `http://127.0.0.1:${issuer.server.address().port}`;
    return issuer;
  }

  /** How many requests came for a path. */
  count(path) {
    return this.requests.filter((request) => request.path === path).length;
  }

  /** Takes every grant back. */
  revokeAll() {
    this.tokens.clear();
    this.#refreshTokens.clear();
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  async #serve(request, response) {
    response.setHeader("access-control-allow-origin", "*");
    if (request.method === "OPTIONS") {
      response.setHeader("access-control-allow-headers", request.headers["access-control-request-headers"] ?? "");
      return response.writeHead(204).end();
    }
    const { pathname: path, searchParams } = new URL(request.url, this.url);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString("utf8");
    const isForm = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
    const params = Object.fromEntries(isForm ? new URLSearchParams(body) : searchParams);
    this.requests.push({ path, params, headers: request.headers });
    const json = (value, status = 200) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify(value));
    };
    switch (path) {
      case "/.well-known/oauth-authorization-server":
        return json({
          issuer: this.url,
          authorization_endpoint: `${this.url}/authorize`,
          token_endpoint: `${this.url}/token`,
          registration_endpoint: `${this.url}/register`,
          revocation_endpoint: `${this.url}/revoke`,
          response_types_supported: ["code"],
          grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
          code_challenge_methods_supported: ["S256"],
          token_endpoint_auth_methods_supported: ["none", "client_secret_basic", "private_key_jwt"],
          token_endpoint_auth_signing_alg_values_supported: ["ES256"],
          authorization_response_iss_parameter_supported: true,
        });
      case "/register":
        return json({ ...JSON.parse(body), client_id: randomUUID(), token_endpoint_auth_method: "none" }, 201);
      case "/authorize": {
        const code = randomUUID();
        this.#codes.set(code, { ...params, user: (this.#users += 1) });
        const back = new URL(params.redirect_uri);
        for (const [name, value] of Object.entries({ code, state: params.state, iss: this.url })) {
          back.searchParams.set(name, value);
        }
        if (!this.asks) return response.writeHead(303, { location: back.href }).end();
        response.writeHead(200, { "content-type": "text/html", ...this.pageHeaders });
        return response.end(`<!doctype html><title>Sign in</title>
          <script>document.title = "opener: " + window.opener;</script>
          <button onclick="location.href = ${JSON.stringify(back.href).replaceAll('"', "&quot;")}">Allow</button>`);
      }
      case "/token":
        return this.#token(params, json);
      case "/revoke":
        this.tokens.delete(params.token);
        this.#refreshTokens.delete(params.token);
        return response.writeHead(200).end();
      default:
        return json({ error: "not_found" }, 404);
    }
  }

  #token(params, json) {
    const { grant_type: type, code, refresh_token: refresh, code_verifier: verifier } = params;
    let grant;
    if (type === "client_credentials") grant = { user: params.client_id ?? "client" };
    if (type === "refresh_token") {
      grant = this.#refreshTokens.get(refresh);
      this.#refreshTokens.delete(refresh);
    }
    if (type === "authorization_code") {
      const asked = this.#codes.get(code);
      this.#codes.delete(code);
      const challenge = createHash("sha256").update(verifier ?? "").digest("base64url");
      if (asked?.code_challenge === challenge && asked.redirect_uri === params.redirect_uri) grant = asked;
    }
    if (grant === undefined) return json({ error: "invalid_grant" }, 400);
    const [access, next] = [`access-${randomUUID()}`, `refresh-${randomUUID()}`];
    this.tokens.set(access, grant.user);
    if (type !== "client_credentials") this.#refreshTokens.set(next, grant);
    return json({
      access_token: access,
      token_type: "Bearer",
      expires_in: this.expiresIn,
      ...(type !== "client_credentials" && { refresh_token: next }),
    });
  }
}
