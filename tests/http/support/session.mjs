// A session of the revisions before 2026-07-28, over HTTP as `client.mjs` sends it.

import { open, openPost, post, send } from "./client.mjs";
import { ALICE } from "./hosts.mjs";

let lastId = 0;

/**
 * Opens a session.
 *
 * @param {object} [options]
 * @param {string} [options.version] the revision.
 * @param {object} [options.capabilities] what the client declares.
 * @param {string} [options.token] who it is.
 */
export async function openSession(host, { version = "2025-11-25", capabilities = {}, token = ALICE } = {}) {
  const authorization = `Bearer ${token}`;
  const params = { protocolVersion: version, capabilities, clientInfo: { name: "test", version: "1" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: (lastId += 1), method: "initialize", params });
  const opened = await post(host, { headers: { authorization }, body });
  const id = opened.headers["mcp-session-id"];
  const session = sessionAs(host, { authorization, "mcp-session-id": id, "mcp-protocol-version": version });
  if (id !== undefined) await session.notify("notifications/initialized");
  return { ...session, opened, id };
}

/** What can be done in a session by these headers. */
export function sessionAs(host, headers) {
  const request = (method, params, id = (lastId += 1)) => ({
    id,
    headers,
    body: JSON.stringify({ jsonrpc: "2.0", id, method, params }),
  });
  const say = (message) => post(host, { headers, body: JSON.stringify({ jsonrpc: "2.0", ...message }) });
  const stream = (after) => ({
    method: "GET",
    path: "/mcp",
    headers: { ...headers, accept: "text/event-stream", "last-event-id": after },
  });
  return {
    /** Sends a request and waits for the end of its answer. */
    ask: (method, params) => post(host, request(method, params)),
    /** Begins a request; its JSON-RPC id is beside what `open` gives. */
    begin(method, params) {
      const { id, ...sent } = request(method, params);
      return { id, ...openPost(host, sent) };
    },
    notify: (method, params) => say({ method, params }),
    /** Answers a request of the server's. */
    answer: (id, result) => say({ id, result }),
    /** Begins a stream, or goes on with one after an event. */
    stream: (after) => open(host, stream(after)),
    /** The same where it is refused: the whole answer. */
    refusal: (after) => send(host, stream(after)),
    end: () => send(host, { method: "DELETE", path: "/mcp", headers }),
  };
}
