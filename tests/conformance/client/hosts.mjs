// Where the replica of a run is, and how its user is brought to say yes there: by the hook of the npm package, or by the
// link that the Workers host tells its agents.

import { randomBytes } from "node:crypto";
import { StreamableHTTPClientTransport as HttpV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Replica, importSigningKey, webCryptoSigner } from "../../../wasm/dist/node.js";

/** The reason, of no replica's own, why a user was not signed in whom the worker's page told so. */
export const NOT_SIGNED_IN = "not_signed_in";

/**
 * Opens a replica before the authority at `url`, with the configuration `oauth` and the private `keys` that it names.
 * What it gives: `transport(client)`; `listTools()`, asked of the replica itself; `signIn(error)`, which says whether the
 * user did what an error asks for, so that it is to be asked again (`tellsLinks`: errors do ask); `listening`, a promise of its first GET stream; and `close`.
 */
export const HOSTS = { node, worker };

async function node(url, { oauth, keys = {} }) {
  const imported = Object.entries(keys).map(async ([name, jwk]) => [name, await importSigningKey(jwk, "ES256")]);
  const sign = webCryptoSigner(Object.fromEntries(await Promise.all(imported)));
  const { fetch, listening } = watchedFetch();
  const replica = await Replica.open({
    fetch,
    ...(oauth && { authorize, sign }),
    authority: { url, ...(oauth && { oauth }) },
  });
  return {
    transport: () => replica.transport(),
    listTools: () => replica.listTools(),
    signIn: () => false,
    listening,
    close: () => replica.close(),
  };
}

/** A user who says yes: follows the first redirect, which is the authorization server's answer. */
const authorize = {
  redirectUri: () => "http://localhost:3000/callback",
  async open(url) {
    const response = await fetch(url, { redirect: "manual" });
    return response.headers.get("location");
  },
};

async function worker(url, { oauth, keys }) {
  const { startWorkers } = await import("../../http/support/worker.mjs");
  const token = randomBytes(16).toString("hex");
  const workers = await startWorkers({
    replica: {
      sessions: true,
      LEEWARD_CONFIG: { authority: { url, ...(oauth && { oauth }) } },
      LEEWARD_TOKENS: { [token]: "local" },
      ...(keys && { LEEWARD_KEYS: keys }),
    },
  });
  const { hostname, port } = workers.replica;
  const endpoint = new URL(`http://${hostname}:${port}/mcp`);
  const headers = { authorization: `Bearer ${token}` };
  const { fetch, listening } = watchedFetch();
  return {
    tellsLinks: true,
    transport: (client) =>
      new (client instanceof ClientV1 ? HttpV1 : HttpV2)(endpoint, { requestInit: { headers }, fetch }),
    listening,
    listTools: () => listTools(endpoint, headers),
    async signIn({ data }) {
      if (data?.authorizationUrl === undefined) return false;
      await browse(new URL(data.authorizationUrl));
      return true;
    },
    close: () => workers.close(),
  };
}

async function listTools(endpoint, headers) {
  const version = "2026-07-28";
  const meta = { protocolVersion: version, clientCapabilities: {} };
  const named = Object.entries(meta).map(([name, value]) => [`io.modelcontextprotocol/${name}`, value]);
  const _meta = Object.fromEntries(named);
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      ...headers,
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "mcp-method": "tools/list",
      "mcp-protocol-version": version,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: { _meta } }),
  });
  const { result, error } = await response.json();
  if (error) throw Object.assign(new Error(error.message), { code: error.data?.code, data: error.data });
  return result;
}

/** Goes from the worker's page to the authorization server's, and back with the worker's cookie. */
async function browse(link) {
  const begun = await fetch(link, { method: "POST", headers: { origin: link.origin }, redirect: "manual" });
  const cookie = begun.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
  const authorized = await fetch(begun.headers.get("location"), { redirect: "manual" });
  const back = await fetch(authorized.headers.get("location"), { headers: { cookie }, redirect: "manual" });
  const page = await back.text();
  if (back.status === 200) return;
  throw Object.assign(new Error(page), { code: "authority_auth_required", data: { reason: NOT_SIGNED_IN } });
}

/** A `fetch` that tells when its first GET of a stream was answered. */
function watchedFetch() {
  const { promise: listening, resolve } = Promise.withResolvers();
  const watched = async (url, init) => {
    const response = await fetch(url, init);
    if (init.method === "GET" && response.headers.get("content-type")?.startsWith("text/event-stream")) resolve();
    return response;
  };
  return { fetch: watched, listening };
}
