// A scripted authority: an MCP server over Streamable HTTP (2026-07-28 or 2025-11-25) on 127.0.0.1 that counts what
// reaches it and does what a test tells it to.
//
// It answers wrongly, slowly or not at all on demand, which a server on the official SDK would not; for sound answers
// of the real SDK there is ../../authority.

import { once } from "node:events";
import { createServer } from "node:http";

const VERSION = "2026-07-28";

/**
 * Listens on a port of the system's choice.
 *
 * @param {object} [options]
 * @param {boolean} [options.legacy] speak 2025-11-25 with a session, and nothing newer.
 * @param {Function} [options.guard] sees every request first, and is true of one that it has answered.
 */
export async function startAuthority({ legacy = false, guard = () => false } = {}) {
  const calls = [];
  const scripts = new Map();
  const arrivals = [];

  const server = createServer(async (request, response) => {
    if (guard(request, response)) return;
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method !== "POST") return response.writeHead(request.method === "DELETE" ? 200 : 405).end();
    const message = JSON.parse(Buffer.concat(chunks).toString());
    const call = { message, headers: request.headers, response, closed: once(response, "close") };
    calls.push(call);
    arrivals.splice(0).forEach((check) => check());
    const name = message.params?.name ?? message.params?.uri;
    const script = scripts.get(name) ?? scripts.get(message.method);
    if (script) return script(call);
    if (legacy && message.method !== "initialize" && request.headers["mcp-session-id"] !== "session-1") {
      return sendJson(response, { jsonrpc: "2.0", error: { code: -32000, message: "no session" } }, 400);
    }
    return legacy ? answerLegacy(call) : answer(call);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const of = (method, name) =>
    calls.filter(({ message: { method: m, params } }) => m === method && (name === undefined || params.name === name));

  return {
    url: `http://127.0.0.1:${server.address().port}/mcp`,
    /** Every POST, in order. */
    calls,
    /** How many `tools/call` of that tool came. */
    trips: (name) => of("tools/call", name).length,
    /** The `tools/call`s of that tool. */
    of: (name) => of("tools/call", name),
    /** Has `script` answer what names this tool or resource, or has this method. */
    script: (name, script) => scripts.set(name, script),
    /** The n-th `tools/call` of that tool, once it is here. */
    async arrival(name, n = 1) {
      while (of("tools/call", name).length < n) await new Promise((check) => arrivals.push(check));
      return of("tools/call", name)[n - 1];
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** The usual answer to a message. */
export function answer({ message, response }) {
  const { id, method, params } = message;
  if (id === undefined) return response.writeHead(202).end();
  const results = {
    "server/discover": () => ({
      supportedVersions: [VERSION],
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      ...hints,
    }),
    "tools/list": () => ({ tools, ...hints }),
    "tools/call": () => callResult(params),
  };
  const result = results[method];
  if (!result) return sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "unknown" } }, 404);
  return sendJson(response, { jsonrpc: "2.0", id, result: { resultType: "complete", ...result() } });
}

function answerLegacy({ message, response }) {
  const { id, method, params } = message;
  if (id === undefined) return response.writeHead(202).end();
  const results = {
    initialize: () => ({
      protocolVersion: "2025-11-25",
      capabilities: { tools: {} },
      serverInfo: { name: "authority", version: "1" },
    }),
    "tools/list": () => ({ tools }),
    "tools/call": () => callResult(params),
  };
  const result = results[method];
  if (!result) return sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "unknown" } });
  response.setHeader("mcp-session-id", "session-1");
  return sendJson(response, { jsonrpc: "2.0", id, result: result() });
}

const hints = { ttlMs: 60_000, cacheScope: "private" };
const tools = ["get_ticket", "get_other", "close_ticket"].map((name) => ({
  name,
  description: name,
  inputSchema: { type: "object" },
}));

/** A tool's result that repeats what was asked. */
export function callResult(params) {
  return { content: [{ type: "text", text: JSON.stringify(params.arguments ?? {}) }] };
}

/** Sends one message as the whole answer. */
export function sendJson(response, message, status = 200) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(message));
}

/** Begins a stream of events; the function it gives sends one message. */
export function openEvents(response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  return (message) => response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
}

/** `_meta` key of what belongs to a subscription. */
export const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId";
/** What a client of a list hears. */
export const CHANGED = "notifications/tools/list_changed";

/** Acknowledges the next subscription; gives its call at the authority and what sends more on its stream. */
export function scriptListen(authority) {
  const { passed, open } = gate();
  authority.script("subscriptions/listen", (call) => {
    const { id, params } = call.message;
    const send = openEvents(call.response);
    const tell = (method, more) =>
      send({ jsonrpc: "2.0", method, params: { ...more, _meta: { [SUBSCRIPTION]: id } } });
    tell("notifications/subscriptions/acknowledged", { notifications: params.notifications });
    open({ ...call, tell });
  });
  return passed;
}

/** A promise and the function that fulfils it. */
export function gate() {
  let open;
  const passed = new Promise((resolve) => (open = resolve));
  return { passed, open };
}
