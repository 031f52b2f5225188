// Runs server scenarios of the official MCP conformance suite against a URL: once cold, then warm.
//
// Each scenario run is one process of the suite's own command line; its verdicts are read from the checks.json
// it writes. Failures fail a run, warnings are only shown, a skipped scenario counts as failed. Nothing is retried.
//
//   node run.mjs --url URL [--token T] [--stats URL] [--hits] [--scenarios a,b,c] [--spec 2026-07-28] [--passes 2]
//
// --url        the MCP endpoint under test.
// --token      sends `Authorization: Bearer T` along (relay.mjs); the suite has no option for it. http only.
// --stats      GET gives the authority's trips ({ total, methods, … }), POST on `__reset` beside it zeroes them.
// --hits       fails unless the last pass cost the authority fewer trips than the first; needs --stats.
// --scenarios  replaces the default list: see DEFAULT below.
// --spec       the revision whose form of the scenarios is run.
// --passes     how often each scenario is run; all passes after the first are called warm.
//
// Needs Node >= 22. The last line is `N passed, N failed`, in scenario runs; the exit code is 0 only if none failed.

import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { openRelay } from "./relay.mjs";

/** What a replica must pass; what sessions alone have is not among it. */
const DEFAULT = [
  /^server-stateless$/,
  /^caching$/,
  /^tools-/,
  /^resources-(?!subscribe|unsubscribe)/,
  /^sep-2164-resource-not-found$/,
  /^prompts-/,
  /^completion-complete$/,
  /^http-header-validation$/,
  /^dns-rebinding-protection$/,
];

const run = promisify(execFile);
const suite = join(
  dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/package.json")),
  "dist/index.js",
);
const options = readOptions();
const scenarios = await chooseScenarios();
const relay = options.token === undefined ? undefined : await openRelay(options.url, options.token);
const url = relay?.url ?? options.url;
let passed = 0;
let failed = 0;

// The passes of a scenario follow each other: some change the authority's lists, which makes all that is stored stale.
const totals = Array.from({ length: options.passes }, () => 0);
console.log(`${options.passes} passes of each against ${options.url}`);
await resetTrips();
for (const scenario of scenarios) {
  for (let pass = 1; pass <= options.passes; pass += 1) {
    const before = await readTrips();
    const checks = await runScenario(scenario);
    const after = await readTrips();
    report(scenario, pass, checks, before, after);
    if (after) totals[pass - 1] += after.total - before.total;
  }
}
const trips = await readTrips();
if (trips) console.log(`trips to the authority: ${totals.join(", ")} by pass (${listed(trips.methods)})`);
if (options.hits) judgeHits(totals[0], totals.at(-1));
relay?.close();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** Runs one scenario and returns its checks; none at all means that the suite did not run it. */
async function runScenario(scenario) {
  const out = await mkdtemp(join(tmpdir(), "conformance-"));
  try {
    const args = ["server", "--url", url, "--scenario", scenario, "--spec-version", options.spec, "-o", out];
    // The exit code says no more than the checks do.
    const { stdout, stderr } = await run(process.execPath, [suite, ...args], { maxBuffer: 1 << 26 }).catch((e) => e);
    const [folder] = await readdir(out);
    const checks = await readFile(join(out, folder ?? "", "checks.json"), "utf8").catch(() => undefined);
    return checks === undefined ? [notRun(`${stdout ?? ""}${stderr ?? ""}`)] : JSON.parse(checks);
  } finally {
    await rm(out, { recursive: true });
  }
}

function notRun(output) {
  const errorMessage = `the suite wrote no checks: ${output.trim().split("\n").at(-1)}`;
  return { id: "not-run", status: "FAILURE", errorMessage };
}

function report(scenario, pass, checks, before, after) {
  const of = (status) => checks.filter((check) => check.status === status);
  const ok = of("FAILURE").length === 0 && of("SUCCESS").length > 0;
  if (ok) passed += 1;
  else failed += 1;
  const judged = checks.length - of("INFO").length;
  const trips = after ? `, ${after.total - before.total} trips` : "";
  console.log(
    `${ok ? "ok  " : "FAIL"} ${temperature(pass)} ${scenario}: ${of("SUCCESS").length} of ${judged} checks${trips}`,
  );
  for (const check of of("FAILURE")) explain("failed", check);
  for (const check of of("WARNING")) explain("warning", check);
  for (const check of of("SKIPPED")) explain("skipped", check);
}

function explain(kind, { id, name, errorMessage, details }) {
  const reason = errorMessage ?? details?.note ?? details?.message ?? "no reason given";
  console.log(`     ${kind} ${id}${name ? ` (${name})` : ""}: ${reason}`);
}

function judgeHits(cold, warm) {
  const ok = warm < cold;
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "ok  " : "FAIL"} hits: ${cold} trips cold, ${warm} warm`);
}

async function readTrips() {
  if (options.stats === undefined) return undefined;
  return (await fetch(options.stats)).json();
}

async function resetTrips() {
  if (options.stats === undefined) return;
  await fetch(new URL("__reset", options.stats), { method: "POST" });
}

/** The scenarios to run, in the suite's order; unknown names end the program. */
async function chooseScenarios() {
  const { stdout } = await run(process.execPath, [suite, "list", "--server", "--spec-version", options.spec]);
  const known = [...stdout.matchAll(/^\s+- (\S+)/gm)].map(([, name]) => name);
  if (options.scenarios === undefined) {
    return known.filter((name) => DEFAULT.some((pattern) => pattern.test(name)));
  }
  const asked = options.scenarios.split(",").filter(Boolean);
  const unknown = asked.filter((name) => !known.includes(name));
  if (unknown.length > 0) refuse(`not a server scenario of ${options.spec}: ${unknown.join(", ")}`);
  return asked;
}

function temperature(pass) {
  return pass === 1 ? "cold" : "warm";
}

function listed(counts) {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      url: { type: "string" },
      token: { type: "string" },
      stats: { type: "string" },
      hits: { type: "boolean", default: false },
      scenarios: { type: "string" },
      spec: { type: "string", default: "2026-07-28" },
      passes: { type: "string", default: "2" },
    },
  });
  if (values.url === undefined) refuse("--url is missing");
  const passes = Number(values.passes);
  if (!Number.isInteger(passes) || passes < 1) refuse("--passes must be a whole number >= 1");
  if (values.hits && (values.stats === undefined || passes < 2)) refuse("--hits needs --stats and two passes");
  return { ...values, passes };
}

function refuse(message) {
  console.error(message);
  process.exit(2);
}
