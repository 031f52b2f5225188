// The exports of the npm package under calls that nobody should make: numbers, lengths and types without sense through
// the generated glue, odd values and hosts that call back through the public API. Whatever comes: no trap, errors of
// this package only, and a neighbour in the same wasm instance, whose answers are known, answers the same to the byte.
//
//   node exports.mjs [--seconds N | --seeds N] [--seed N]
//
// A run is a function of its seed. It prints how much was called, and how many pairs of a call and what came of it were
// seen; the last line is `N passed, N failed`, a seed of either part being a case.

import inspector from "node:inspector";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { glue } from "../js/support/leeward.mjs";
import { api } from "./exports/api.mjs";
import { binding } from "./exports/binding.mjs";
import { Canary } from "./exports/canary.mjs";
import { Fuzz } from "./exports/random.mjs";

/** What once failed: the part and the seed. */
const REGRESSIONS = [];
const PARTS = { binding, api };
/** Seeds of each part where no time is given. */
const SEEDS = 40;

const { values } = parseArgs({
  options: { seconds: { type: "string" }, seeds: { type: "string" }, seed: { type: "string" } },
});

const session = new inspector.Session();
session.connect();
session.post("Profiler.enable");
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

const unheard = [];
process.on("unhandledRejection", (reason) => unheard.push(reason));

const seen = new Set();
const cases = { passed: 0, failed: 0 };
let calls = 0;

async function run(part, seed) {
  const fuzz = new Fuzz(seed, seen);
  let canary;
  try {
    canary = await Canary.open(glue);
    await PARTS[part](fuzz, canary);
    canary.check();
    if (unheard.length > 0) throw new Error(`a rejection that nobody hears: ${unheard[0]?.stack ?? unheard[0]}`);
    cases.passed += 1;
  } catch (error) {
    unheard.length = 0;
    cases.failed += 1;
    console.log(`not ok ${part} ${seed}: ${fuzz.last}\n${error?.stack ?? error}\n${error?.cause?.stack ?? ""}`);
  } finally {
    canary?.close();
    calls += fuzz.calls;
  }
}

for (const [part, seed] of REGRESSIONS) await run(part, seed);
let start = 0;
if (values.seed !== undefined) {
  for (const part of Object.keys(PARTS)) await run(part, Number(values.seed));
} else {
  const end = values.seconds === undefined ? Infinity : performance.now() + 1000 * Number(values.seconds);
  const last = values.seconds === undefined ? Number(values.seeds ?? SEEDS) : Infinity;
  for (let seed = 1; seed <= last && performance.now() < end; seed += 1) {
    for (const part of Object.keys(PARTS)) await run(part, seed);
    if (seed === 5) start = seen.size;
  }
}

/** How many blocks of the package's own files were run. */
function blocks() {
  const home = new URL("../../wasm/dist/", pathToFileURL(import.meta.filename)).href;
  let count = 0;
  session.post("Profiler.takePreciseCoverage", (error, coverage) => {
    for (const { url, functions } of coverage?.result ?? []) {
      if (!url.startsWith(home)) continue;
      count += functions.flatMap(({ ranges }) => ranges).filter((range) => range.count > 0).length;
    }
  });
  return count;
}

console.log(`executions: ${calls}`);
console.log(`outcomes at the start: ${start}`);
console.log(`outcomes: ${seen.size}`);
console.log(`blocks: ${blocks()}`);
console.log(`seeds: ${cases.passed + cases.failed}`);
console.log(`peak MB: ${Math.round(process.resourceUsage().maxRSS / 1024)}`);
console.log(`${cases.passed} passed, ${cases.failed} failed`);
process.exit(cases.failed === 0 ? 0 : 1);
