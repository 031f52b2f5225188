// Drives the official SDK's clients against a server far away, through the worker and through the npm package in
// this process, and prints what each call took and who answered it. Exits non-zero unless the authority's own
// count shows that the warm calls did not travel.
import os from "node:os";

import { importPart } from "./parts.mjs";

const [v1, v1http, v2, { Replica }] = await Promise.all([
  importPart("@modelcontextprotocol/sdk/client/index.js"),
  importPart("@modelcontextprotocol/sdk/client/streamableHttp.js"),
  importPart("@modelcontextprotocol/client"),
  import("../../wasm/dist/node.js"),
]);

const { worker, token, authority, config, rttMs } = JSON.parse(process.env.LEEWARD_DRIVE);
const WARM = 50;
const identity = { name: "leeward-run", version: "1.0.0" };
const requestInit = { headers: { authorization: `Bearer ${token}` } };

const clients = [
  ["SDK v2", () => new v2.Client(identity), v2.StreamableHTTPClientTransport],
  ["SDK v2 auto", () => new v2.Client(identity, { versionNegotiation: { mode: "auto" } }), v2.StreamableHTTPClientTransport],
  ["SDK v1", () => new v1.Client(identity), v1http.StreamableHTTPClientTransport],
];

/** Calls that the authority has answered, by its own count. */
async function trips() {
  const stats = await (await fetch(new URL("/__stats", authority))).json();
  return stats.tools["get-sum"] ?? 0;
}

async function timed(call) {
  const start = performance.now();
  const result = await call();
  return { ms: performance.now() - start, result };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const text = (ms) => (ms >= 1 ? `${ms.toFixed(1)} ms` : `${(ms * 1000).toFixed(0)} µs`);
const statusOf = (result) => result._meta?.["dev.leeward/cache"] ?? "-";

let argument = 0;
const rows = [];
let unexpected = 0;

/** One cold call and WARM warm ones; `call` resolves to a result, `status` reads its Cache-Status. */
async function measure(path, client, call, status = statusOf, cached = true) {
  const args = { a: (argument += 1), b: 1 };
  const before = await trips();
  const cold = await timed(() => call(args));
  const between = await trips();
  const warm = [];
  let last;
  for (let n = 0; n < WARM; n += 1) {
    const { ms, result } = await timed(() => call(args));
    warm.push(ms);
    last = result;
  }
  const after = await trips();
  const [coldTrips, warmTrips] = [between - before, after - between];
  if (cached && (coldTrips !== 1 || warmTrips !== 0)) unexpected += 1;
  rows.push([path, client, text(cold.ms), status(cold.result), coldTrips, text(median(warm)), status(last), warmTrips]);
}

async function viaHttp(path, url, init, cached) {
  for (const [name, make, Transport] of clients) {
    const client = make();
    await client.connect(new Transport(new URL(url), { requestInit: init }));
    await client.listTools();
    await measure(path, name, (args) => client.callTool({ name: "get-sum", arguments: args }), statusOf, cached);
    await client.close();
  }
}

process.stdout.write("driving the official clients ...\n");
// The server of this run speaks the session era only, which a client in mode `auto` finds out by itself.
await viaHttp("no replica", authority, {}, false);
await viaHttp("worker", worker, requestInit, true);

const replica = await Replica.open(config);
for (const [name, make] of clients) {
  const client = make();
  await client.connect(replica.transport());
  await client.listTools();
  await measure("in-process", name, (args) => client.callTool({ name: "get-sum", arguments: args }));
  await client.close();
}
await measure("in-process", "callTool", (args) => replica.callToolWithCache("get-sum", args), (answer) => answer.cache.header);
await replica.close();

const head = ["path", "client", "cold", "Cache-Status", "trips", `warm, median of ${WARM}`, "Cache-Status", "trips"];
const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => String(row[at]).length)));
const line = (row) => row.map((cell, at) => String(cell).padEnd(widths[at])).join("  ").trimEnd();
console.log(`\n${line(head)}\n${widths.map((width) => "-".repeat(width)).join("  ")}`);
for (const row of rows) console.log(line(row));
console.log(
  `\n@modelcontextprotocol/server-everything, ${rttMs} ms away; trips: tools/call as counted in front of it.` +
    `\n${os.cpus()[0]?.model ?? "unknown CPU"}, ${os.cpus().length} cores, Node ${process.versions.node}.`,
);
if (unexpected > 0) {
  console.error(`\n${unexpected} rows do not show one trip cold and none warm`);
  process.exit(1);
}
