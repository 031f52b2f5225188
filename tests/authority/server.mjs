// The test authority: a real MCP server, on the official server SDK, for tests and conformance runs.
//
// One job: put the fixtures (tools.mjs, tasks.mjs, input_required.mjs, resources.mjs, prompts.mjs) on the wire over
// Streamable HTTP at /mcp, and count what arrives (trips.mjs). It holds no authorization and listens on
// 127.0.0.1 only; it is a fixture, not an example of a deployment.
//
//   node server.mjs [--port N] [--era both|modern|legacy] [--ttl MS] [--scope public|private] [--page N]
//
// --port   0 (the default) lets the system choose.
// --era    which revisions are served: 2026-07-28 (modern), 2025-11-25 and earlier by session (legacy), or both.
// --ttl    ttlMs of every cacheable result; 0, the default, makes none fresh.
// --scope  cacheScope of every cacheable result; private is the default.
// --page   how many entries a list has at most, the rest on further pages; 0, the default, makes it one page.
//
// Prints one line, `listening on http://127.0.0.1:N/mcp`, when it is ready. Beside /mcp:
//
//   GET  /__stats          the trips since the start or the last reset, as JSON
//   GET  /__left?name=NAME the same, once what has this name has been given up: a call of `hold` with it as its `id`,
//                          or a `subscriptions/listen` for the resource with it as its URI
//   POST /__reset          zeroes the trips; what the tools remember stays
//   POST /__drop-sessions  forgets every legacy session, as a restarted server would

import { createServer } from "node:http";
import { Readable } from "node:stream";
import { parseArgs } from "node:util";
import {
  createMcpHandler,
  isLegacyRequest,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  validateHostHeader,
  validateOriginHeader,
} from "@modelcontextprotocol/server";
import { createMemory, createMcpServer } from "./fixtures.mjs";
import { createSessions } from "./sessions.mjs";
import { createTrips, subscriptionsIn } from "./trips.mjs";

const options = readOptions();
const trips = createTrips();
const memory = createMemory(trips);
const hints = { ttlMs: options.ttl, cacheScope: options.scope };
const { page } = options;

const sessions = createSessions(() => createMcpServer({ era: "legacy", hints, page, memory }));
const modern = createMcpHandler(() => createMcpServer({ era: "modern", hints, page, memory }).mcp, {
  legacy: "reject",
});

memory.onChange((list) => {
  if (list === "tools") modern.notify.toolsChanged();
  else modern.notify.promptsChanged();
  sessions.refresh();
});
memory.onUpdate((uri) => {
  modern.notify.resourceUpdated(uri);
  sessions.update(uri);
});

const http = createServer((req, res) => {
  route(req, res).catch((error) => {
    console.error(error);
    if (!res.headersSent) res.writeHead(500);
    res.end();
  });
});
http.listen(options.port, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`);
});

async function route(req, res) {
  const { pathname, searchParams } = new URL(req.url, "http://127.0.0.1");
  const call = `${req.method} ${pathname}`;
  if (call === "GET /__stats") return sendJson(res, 200, trips.snapshot());
  if (call === "GET /__left") {
    await trips.whenLeft(searchParams.get("name"));
    return sendJson(res, 200, trips.snapshot());
  }
  if (call === "POST /__reset") {
    trips.reset();
    return sendJson(res, 200, trips.snapshot());
  }
  if (call === "POST /__drop-sessions") return sendJson(res, 200, { dropped: sessions.drop() });
  if (pathname !== "/mcp") return sendJson(res, 404, { error: "not found" });

  const body = await readBody(req);
  if (req.method === "POST") trips.count(body);
  else trips.countVerb(req.method);
  // Only its connection tells that a subscription has ended.
  for (const uri of subscriptionsIn(body)) res.on("close", () => trips.left(uri));
  const refusal = foreignCaller(req);
  if (refusal) return sendJson(res, 403, rpcError(-32600, refusal));
  await sendResponse(res, await answer(toRequest(req, res, body)));
}

/** Chooses the era. A modern request on a legacy endpoint is refused by the session lookup, as 1.x servers do. */
async function answer(request) {
  if (options.era === "modern") return modern.fetch(request);
  if (options.era === "legacy") return sessions.fetch(request);
  const legacy = request.headers.has("mcp-session-id") || (await isLegacyRequest(request));
  return legacy ? sessions.fetch(request) : modern.fetch(request);
}

/**
 * Why the caller is not one from this machine, or undefined.
 *
 * Guards against DNS rebinding: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
 */
function foreignCaller(req) {
  const host = validateHostHeader(req.headers.host, localhostAllowedHostnames());
  if (!host.ok) return host.message;
  if (req.headers.origin === undefined) return undefined;
  const origin = validateOriginHeader(req.headers.origin, localhostAllowedOrigins());
  return origin.ok ? undefined : origin.message;
}

function toRequest(req, res, body) {
  const gone = new AbortController();
  res.on("close", () => gone.abort());
  const headers = new Headers();
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    headers.append(req.rawHeaders[i], req.rawHeaders[i + 1]);
  }
  return new Request(`http://${req.headers.host}${req.url}`, {
    method: req.method,
    headers,
    signal: gone.signal,
    ...(body.length > 0 && { body }),
  });
}

/** Streams a web Response out, each chunk as it comes; a client that leaves cancels the body. */
async function sendResponse(res, response) {
  res.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) return res.end();
  res.flushHeaders();
  const body = Readable.fromWeb(response.body);
  body.on("error", () => res.destroy());
  res.on("close", () => body.destroy());
  body.pipe(res);
}

function sendJson(res, status, value) {
  res.writeHead(status, { "content-type": "application/json" });
  res.end(JSON.stringify(value));
}

function rpcError(code, message) {
  return { jsonrpc: "2.0", error: { code, message } };
}

async function readBody(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      era: { type: "string", default: "both" },
      ttl: { type: "string", default: "0" },
      scope: { type: "string", default: "private" },
      page: { type: "string", default: "0" },
    },
  });
  const oneOf = (name, allowed) => {
    if (!allowed.includes(values[name])) refuse(`--${name} must be one of ${allowed.join(", ")}`);
    return values[name];
  };
  const natural = (name) => {
    if (!/^\d+$/.test(values[name])) refuse(`--${name} must be a whole number >= 0`);
    return Number(values[name]);
  };
  return {
    port: natural("port"),
    era: oneOf("era", ["both", "modern", "legacy"]),
    ttl: natural("ttl"),
    scope: oneOf("scope", ["public", "private"]),
    page: natural("page"),
  };
}

function refuse(message) {
  console.error(message);
  process.exit(2);
}
