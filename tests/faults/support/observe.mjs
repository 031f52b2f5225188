// What an agent gets when a fault meets a read, a read for which something stale is kept, and a write; and what the
// server saw of it.

import assert from "node:assert/strict";

import { ManualClock } from "../../js/support/clock.mjs";
import { LeewardError, Replica } from "../../js/support/leeward.mjs";

import { Wire } from "./wire.mjs";

const TIMEOUT_MS = 60_000;
export const TOKEN = "only-for-this-authority";

/** A wire, another one that nobody should ever ask, a clock and a replica; `close()` ends all. `era`: `sessions`, or not. */
export async function open({ era, tls, ...options } = {}) {
  const [wire, elsewhere] = [await Wire.start({ legacy: era === "sessions", tls }), await Wire.start()];
  wire.elsewhere = elsewhere;
  const clock = (wire.clock = new ManualClock());
  const replica = await Replica.open({
    authority: { url: wire.url, token: TOKEN },
    policy: [
      { tool: "get_*", rule: "cache;max-age=60;stale-if-error=600" },
      { tool: "live_*", rule: "live" },
    ],
    limits: { maxResponseBytes: 65_536, requestTimeoutMs: TIMEOUT_MS },
    clock,
    ...options,
  });
  const close = async () => {
    await Promise.all([replica.close(), wire.close(), elsewhere.close()]);
    assert.equal(elsewhere.log.length, 0, "nothing goes to another origin");
  };
  return { wire, clock, replica, close };
}

/** Runs a call under a fault: its result or its error, and how many requests of that tool came. */
export async function under({ wire, clock, replica }, variant, tool) {
  const sent = () => wire.of("tools/call").filter(({ params }) => params.name === tool).length;
  const before = sent();
  const arrived = wire.of("tools/call").length + 1;
  // An authority that asked to be left alone for a while is asked again after it.
  clock.advance(10_000);
  const call = replica.callTool(tool).then(
    (result) => ({ result }),
    (error) => ({ error }),
  );
  if (variant.waits) {
    await wire.arrived("tools/call", arrived);
    clock.advance(TIMEOUT_MS);
  }
  const outcome = await call;
  if (outcome.error !== undefined) assert.ok(outcome.error instanceof LeewardError, String(outcome.error?.stack));
  return { ...outcome, sent: sent() - before };
}

/** The cells of a fault's row: what a read gets, one with something stale, a write; requests of read and write. */
export async function observe(variant, { era, tls }) {
  const world = await open({ era, tls });
  try {
    return await row(world, variant);
  } finally {
    await world.close();
  }
}

async function row(world, variant) {
  const { wire, clock, replica } = world;
  const first = await replica.callTool("get_one");
  clock.advance(61_000);
  await variant.begin?.(wire);
  wire.script = (request) => (request.rpc === "tools/call" ? variant.say?.(request, wire) : undefined);
  const kept = await under(world, variant, "get_one");
  const read = await under(world, variant, "live_one");
  const write = await under(world, variant, "put_one");
  if (kept.result !== undefined) assert.deepEqual(kept.result.content, first.content, "what is kept is what was kept");
  for (const { headers } of wire.log) assert.equal(headers.authorization, `Bearer ${TOKEN}`);
  return [cell(read), kept.result === undefined ? cell(kept) : "stale", cell(write), `${read.sent}, ${write.sent}`];
}

/** How the table names an outcome. */
export function cell({ error, result }) {
  if (error === undefined) return `answered: ${JSON.stringify(result)}`;
  const { code, rpcCode, retryAfterMs } = error;
  const name = code === "authority_error" ? rpcCode : code;
  return retryAfterMs === undefined ? `\`${name}\`` : `\`${name}\`, ${retryAfterMs} ms`;
}
