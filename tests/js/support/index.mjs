// What the tests of the npm package share.

import assert from "node:assert/strict";

import { LeewardError, Replica } from "./leeward.mjs";

import { Authority } from "./authority.mjs";
import { ManualClock } from "./clock.mjs";

export { Authority, ManualClock };

/** Cache what tests count on. */
export const POLICY = [
  { tool: "echo", rule: "cache;max-age=60" },
  { tool: "count", rule: "cache;max-age=60" },
  { tool: "hold", rule: "cache;max-age=60" },
  { tool: "big", rule: "cache;max-age=60" },
  { tool: "stream", rule: "live" },
  { tool: "html", rule: "live" },
  { tool: "torn", rule: "live" },
  { tool: "refuse", rule: "live" },
  { tool: "forbidden", rule: "deny" },
];

/** An authority, a clock and a replica, all closed with the test. */
export async function world(t, options = {}) {
  const authority = await Authority.start();
  t.after(() => authority.close());
  const clock = new ManualClock();
  const replica = await Replica.open({ authority: authority.url, policy: POLICY, clock, ...options });
  t.after(() => replica.close());
  return { authority, clock, replica };
}

/** A replica without authority, closed with the test. */
export async function alone(t, options = {}) {
  const replica = await Replica.open(options);
  t.after(() => replica.close());
  return replica;
}

/** Asserts that something fails with a `LeewardError` of this code, and gives the error. */
export async function fails(code, action) {
  let error;
  try {
    await (typeof action === "function" ? action() : action);
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof LeewardError, `${code} was expected, came: ${error}`);
  assert.equal(error.code, code, `${error.code}: ${error.message}`);
  return error;
}

/** Asserts that a value is frozen through and through. */
export function assertFrozen(value) {
  if (typeof value !== "object" || value === null) return;
  assert.ok(Object.isFrozen(value));
  for (const inner of Object.values(value)) assertFrozen(inner);
}

/** A fetch that never answers; its calls' signals are in `signals`. */
export function silentFetch() {
  const signals = [];
  const fetch = (url, { signal }) =>
    new Promise((resolve, reject) => {
      signals.push(signal);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  return { fetch, signals };
}

/** Fails the test if a promise was rejected without anybody to hear it. */
export function watchRejections(t) {
  const heard = [];
  const listen = (reason) => heard.push(reason);
  process.on("unhandledRejection", listen);
  t.after(() => {
    process.off("unhandledRejection", listen);
    assert.deepEqual(heard, []);
  });
}

/** Lets every microtask, and the check for unheard rejections, run. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));
