// Puts a real MCP server far away: starts @modelcontextprotocol/server-everything, or the test authority, and relays
// HTTP to it with a delay, counting the MCP messages that arrive. The counts are the proof of what an answer cost.
//
//   node relay.mjs [--rtt MS] [--port N] [--server everything|test] [--cors]
//
// --rtt   the round trip added: half on the way there, half before the answer's first byte. A preflight pays it too.
// --cors  lets pages of any loopback origin in.
//
// Prints `listening on http://127.0.0.1:N/mcp`. Beside /mcp:
//
//   GET  /__stats                the messages since the start or the last reset, as JSON
//   POST /__reset                zeroes them
//   POST /__offline, /__online   from now on /mcp drops every connection, or no longer does

import { spawn } from "node:child_process";
import { createServer, request } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createTrips } from "../../tests/authority/trips.mjs";
import { partPath } from "./parts.mjs";

const { values } = parseArgs({
  options: {
    rtt: { type: "string", default: "80" },
    port: { type: "string", default: "0" },
    server: { type: "string", default: "everything" },
    cors: { type: "boolean", default: false },
  },
});
const halfRtt = Number(values.rtt) / 2;
const trips = createTrips();
let offline = false;

const upstreamPort = await freePort();
const SERVERS = {
  everything: [partPath("@modelcontextprotocol/server-everything/dist/index.js"), "streamableHttp"],
  test: [fileURLToPath(new URL("../../tests/authority/server.mjs", import.meta.url)), "--port", String(upstreamPort)],
};
// Its `listening on` goes to the log: on standard output it would be taken for the relay's.
const upstream = spawn(process.execPath, SERVERS[values.server], {
  env: { ...process.env, PORT: String(upstreamPort) },
  stdio: ["ignore", 2, 2],
});
upstream.once("exit", (code) => process.exit(code ?? 1));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => upstream.kill());
await listening(upstreamPort);

const http = createServer((req, res) => {
  route(req, res).catch((error) => {
    console.error(error);
    if (res.headersSent) res.destroy();
    else res.writeHead(502).end();
  });
});
http.listen(Number(values.port), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`);
});

async function route(req, res) {
  for (const [name, value] of Object.entries(corsOf(req))) res.setHeader(name, value);
  if (req.url === "/__stats") return json(res, trips.snapshot());
  if (req.url === "/__reset" && req.method === "POST") {
    trips.reset();
    return json(res, trips.snapshot());
  }
  if ((req.url === "/__offline" || req.url === "/__online") && req.method === "POST") {
    offline = req.url === "/__offline";
    return json(res, { offline });
  }
  if (offline) return res.destroy();
  if (values.cors && req.method === "OPTIONS") {
    await sleep(2 * halfRtt);
    return res.writeHead(204).end();
  }
  const body = await read(req);
  if (req.method === "POST") trips.count(body);
  await sleep(halfRtt);
  await forward(req, body, res);
}

/** Sends the request on and streams the answer back as it comes. */
async function forward(req, body, res) {
  const { method, url, headers } = req;
  const onward = request({ host: "127.0.0.1", port: upstreamPort, method, path: url, headers });
  // A caller that leaves takes its request along.
  res.once("close", () => onward.destroy());
  onward.end(body);
  const [answer] = await once(onward, "response");
  await sleep(halfRtt);
  if (offline) return res.destroy();
  res.writeHead(answer.statusCode, { ...answer.headers, ...corsOf(req) });
  res.flushHeaders();
  answer.pipe(res);
  answer.once("error", () => res.destroy());
}

/** What lets a page in: https://fetch.spec.whatwg.org/#http-cors-protocol */
function corsOf({ headers }) {
  const { origin } = headers;
  if (!values.cors || !/^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?$/.test(origin ?? "")) return {};
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": headers["access-control-request-headers"] ?? "*",
    "access-control-expose-headers": "mcp-session-id, mcp-protocol-version, retry-after",
    "access-control-max-age": "600",
    vary: "origin",
  };
}

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function json(res, value) {
  res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

async function freePort() {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Resolves when the server answers; it says so nowhere that could be relied on. */
async function listening(port) {
  for (;;) {
    const answered = await fetch(`http://127.0.0.1:${port}/mcp`, { method: "DELETE" }).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await sleep(50);
  }
}
