// Puts a real MCP server far away: starts @modelcontextprotocol/server-everything and relays HTTP to it with a delay,
// counting the MCP messages that arrive. The counts are the proof of what an answer cost.
//
//   node relay.mjs [--rtt MS] [--port N]
//
// --rtt   the round trip added: half on the way there, half before the answer's first byte.
//
// Prints `listening on http://127.0.0.1:N/mcp`. Beside /mcp:
//
//   GET  /__stats   the messages since the start or the last reset, as JSON
//   POST /__reset   zeroes them

import { spawn } from "node:child_process";
import { createServer, request } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createTrips } from "../../tests/authority/trips.mjs";
import { partPath } from "./parts.mjs";

const { values } = parseArgs({
  options: { rtt: { type: "string", default: "80" }, port: { type: "string", default: "0" } },
});
const halfRtt = Number(values.rtt) / 2;
const trips = createTrips();

const upstreamPort = await freePort();
const upstream = spawn(
  process.execPath,
  [partPath("@modelcontextprotocol/server-everything/dist/index.js"), "streamableHttp"],
  { env: { ...process.env, PORT: String(upstreamPort) }, stdio: ["ignore", "inherit", "inherit"] },
);
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
  if (req.url === "/__stats") return json(res, trips.snapshot());
  if (req.url === "/__reset" && req.method === "POST") {
    trips.reset();
    return json(res, trips.snapshot());
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
  res.writeHead(answer.statusCode, answer.headers);
  res.flushHeaders();
  answer.pipe(res);
  answer.once("error", () => res.destroy());
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
