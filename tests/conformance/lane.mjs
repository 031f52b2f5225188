// What one run of the suite goes through: the suite's relay, the host under test, the relay before the authority, and
// the authority, all on 127.0.0.1.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createTrips } from "../authority/trips.mjs";
import { openRelay } from "./relay.mjs";
import { createRecorder } from "./recorder.mjs";

/** Where the replica runs; `direct` is none: the suite asks the authority itself. */
export const HOSTS = {
  worker: async () => (await import("../http/support/worker.mjs")).startWorkers,
  node: async () => (await import("../http/support/fetch.mjs")).startHandlers,
  direct: undefined,
};

// A result that came from the cache has no progress or log lines to send and asks nobody back. `live` for the rest: by
// default each call would be a write and make what was stored stale.
const LIVE = [
  "test_tool_with_progress",
  "test_tool_with_logging",
  "test_logging_tool",
  "test_sampling",
  "test_elicitation*",
  "test_reconnection",
  "test_tool_with_task",
  "test_trigger_*",
];
const POLICY = [
  ...LIVE.map((tool) => ({ tool, rule: "live" })),
  { tool: "test_*", rule: "cache; max-age=60" },
  { tool: "*", rule: "live" },
];

/**
 * Starts all of it for one revision.
 *
 * @returns `url` for the suite; `passes`, the names of the runs of a scenario; `recorders` of the borders; `trips`, as
 *   counted before the authority (undefined for `direct`); `logs` of the host; and `close`.
 */
export async function openLane({ host, revision, authority: given, era }) {
  const closing = [];
  const authority = given ?? (await startAuthority(era, closing));
  const agent = { client: "agent", server: host === "direct" ? "authority" : "replica" };
  const onPurpose = new Set();
  const recorders = [createRecorder({ ...agent, version: revision, judgesClient: false, onPurpose })];
  const suiteSide = { record: recorders[0].record };
  const lane = { passes: ["cold"], recorders, logs: [], trips: undefined };
  let target = authority;
  if (host !== "direct") {
    const upstream = createRecorder({
      client: "replica",
      server: "authority",
      version: "2025-11-25",
      judgesClient: true,
      onPurpose,
    });
    recorders.push(upstream);
    lane.passes = ["cold", "warm"];
    lane.trips = createTrips();
    upstream.onRequest(lane.trips.count);
    const relay = await openRelay(authority, { record: upstream.record });
    closing.push(relay.close);
    suiteSide.token = randomBytes(16).toString("hex");
    const start = await HOSTS[host]();
    const replica = await start({
      replica: {
        sessions: true,
        LEEWARD_CONFIG: { authority: relay.url, policy: POLICY },
        LEEWARD_TOKENS: JSON.stringify({ [suiteSide.token]: "local" }),
      },
    });
    closing.push(replica.close);
    lane.logs = replica.logs;
    target = `http://${replica.replica.hostname}:${replica.replica.port}/mcp`;
    // The suite gives answers as little as half a second: the host's own start is no part of it.
    await (await fetch(new URL("/healthz", target))).arrayBuffer();
  }
  const relay = await openRelay(target, suiteSide);
  closing.push(relay.close);
  return {
    ...lane,
    url: relay.url,
    async close() {
      for (const close of closing.reverse()) await close();
    },
  };
}

/** Starts the test authority in a process of its own, which ends when this one does. */
async function startAuthority(era, closing) {
  const file = (path) => fileURLToPath(new URL(path, import.meta.url));
  const args = ["--import", file("../../xtask/js/leash.mjs"), file("../authority/server.mjs")];
  const child = spawn(process.execPath, [...args, "--ttl", "60000", "--era", era], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  closing.push(() => child.kill());
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("listening on ")) return line.slice("listening on ".length);
  }
  throw new Error("the test authority ended before it listened");
}
