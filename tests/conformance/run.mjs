// Runs the server scenarios of the official MCP conformance suite through the replica: a revision's requirement set and
// what it reports beside, each scenario cold and then warm; and holds every message on both borders to the schema.
//
//   node run.mjs [--host worker|node|direct] [--spec REV] [--authority URL] [--era both|modern|legacy]
//                [--scenarios a,b]
//
// --host       where the replica runs; may be given more than once. `direct` asks the authority without one, once.
//              The default is worker and node; they must have been built.
// --spec       the revision; may be given more than once. The default is 2026-07-28 and 2025-11-25.
// --authority  an MCP server with the suite's fixtures; http only. The default is the test authority.
// --era        which revisions the test authority speaks; both is the default.
// --scenarios  only these.
//
// Failures and skipped checks fail a run, warnings are only shown; nothing is retried. What expected-failures.json
// lists, of the replica and of its `host` and `era` (else every host, and `both`), must fail, and counts as neither.
// Trips are requests and notifications counted in front of the authority; the warm run of a scenario in HITS must cost
// none of STORED. Needs Node >= 22. The last line is `N passed, N failed`, in scenario runs and, for each border, what
// its messages come to; the exit code is 0 only if none failed.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { HOSTS, openLane } from "./lane.mjs";
import { createReport, within } from "./report.mjs";
import { runServerScenario, scenariosOf, verdict } from "./suite.mjs";

const REVISIONS = ["2026-07-28", "2025-11-25"];

/** What the replica answers alone once it knows it: tools by this run's policy, the rest by the authority's hints. */
const HITS = {
  policy: /^tools-call-(simple-text|image|audio|embedded-resource|mixed-content)$/,
  hints: /^(tools-list|resources-list|resources-read-(text|binary)|resources-templates-read|prompts-list)$/,
};

/** The methods whose answers are stored here; a session or a stream may cost trips of its own. */
const STORED = /^(tools\/(call|list)|resources\/(list|read|templates\/list)|prompts\/list)$/;

/** What this version of the suite skips whatever it is asked of: nothing to count, until a version does not. */
const NOT_RUN = /^tasks-status-notifications$/;

const options = readOptions();
const expectations = JSON.parse(readFileSync(new URL("expected-failures.json", import.meta.url), "utf8"));
const { count, warn, row, end } = createReport();
let expected = 0;

for (const host of options.host) {
  for (const revision of options.spec) await runLane(host, revision);
}
end(expected > 0 ? [`${expected} scenarios failed as expected-failures.json says`] : []);

async function runLane(host, revision) {
  const known = await scenariosOf(revision, "server");
  const listed = expectations.filter(
    ({ spec, host: on = host, era = "both" }) =>
      host !== "direct" && spec === revision && on === host && era === options.era,
  );
  const label = `${host}, ${revision}`;
  const strangers = listed.filter((entry) => !known.some(({ scenario }) => scenario === entry.scenario));
  for (const { scenario } of strangers) count(false, `${label}: no scenario ${scenario}, though expected to fail`);

  const required = known.filter((entry) => entry.required).length;
  const lane = await openLane({ host, revision, authority: options.authority, era: options.era });
  const tripColumns = lane.trips ? lane.passes.map((pass) => `trips ${pass}`) : [];
  row(`${label}: ${required} required, ${known.length - required} beside`, lane.passes, tripColumns, "");
  try {
    for (const { scenario, required } of known) {
      if (!(options.scenarios ?? [scenario]).includes(scenario)) continue;
      const runs = [];
      // The passes of a scenario follow each other: some change the authority's lists, and that makes all stale.
      for (const pass of lane.passes) runs.push(await runPass(lane, scenario, revision, pass));
      const name = required ? scenario : `${scenario} (not scored)`;
      const verdict = judge(label, scenario, runs, listed);
      row(name, runs.map(({ figures }) => figures), runs.flatMap(({ trips }) => trips ?? []), verdict);
    }
    for (const recorder of lane.recorders) judgeMessages(label, recorder);
    for (const { level, message } of lane.logs) {
      if (level === "error" || level === "uncaught") count(false, `${label}: the host logs ${message}`);
    }
  } finally {
    await lane.close();
  }
}

async function runPass(lane, scenario, revision, pass) {
  const before = structuredClone(lane.trips?.snapshot());
  const run = { pass, ...verdict(await runServerScenario(scenario, revision, lane.url)) };
  if (before === undefined) return run;
  const after = lane.trips.snapshot();
  run.trips = after.total - before.total;
  const fetched = Object.keys(after.methods).filter(
    (method) => STORED.test(method) && after.methods[method] > (before.methods[method] ?? 0),
  );
  if (pass === "warm" && fetched.length > 0 && mustHit(scenario)) {
    run.ok = false;
    run.reasons.push(`trips for what is stored: ${fetched.join(", ")}`);
  }
  return run;
}

/** A legacy authority gives no hints, and what another gives is not known here. */
function mustHit(scenario) {
  const hints = options.authority === undefined && options.era !== "legacy";
  return HITS.policy.test(scenario) || (hints && HITS.hints.test(scenario));
}

/** Counts the runs of a scenario; the word for the table. */
function judge(lane, scenario, runs, expectations) {
  const label = `${lane}, ${scenario}`;
  const listed = expectations.find((entry) => entry.scenario === scenario);
  const ok = runs.every((run) => run.ok);
  if (NOT_RUN.test(scenario) && runs.every((run) => run.skipped)) return "skipped by the suite";
  for (const { pass, ok, reasons } of runs) {
    const reason = reasons.map((reason) => `\n       ${reason}`).join("");
    if (listed === undefined) count(ok, `${label}, ${pass}:${reason}`);
    if (ok && reason !== "") warn(`${label}, ${pass}:${reason}`);
  }
  if (listed === undefined) return ok ? "ok" : "FAIL";
  if (ok) count(false, `${label}: passes, though expected to fail (${listed.why})`);
  else expected += 1;
  return ok ? "FAIL, passes" : `expected: ${listed.why}`;
}

/** One case per border: every message was valid, and there were some in both directions. */
function judgeMessages(label, { seen, violations }) {
  const [client, server] = Object.keys(seen);
  const figures = `${seen[client]} from ${client} to ${server}, ${seen[server]} back`;
  const missing = Object.values(seen).includes(0) ? ["messages in one direction only"] : [];
  const faults = [...missing, ...violations];
  console.log(`${label}: ${figures}, ${violations.length} violations of the schema`);
  count(faults.length === 0, `${label}, ${figures}:\n       ${faults.join("\n       ")}`);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      host: { type: "string", multiple: true, default: ["worker", "node"] },
      spec: { type: "string", multiple: true, default: REVISIONS },
      authority: { type: "string" },
      era: { type: "string", default: "both" },
      scenarios: { type: "string" },
    },
  });
  within("host", values.host, Object.keys(HOSTS));
  within("spec", values.spec, REVISIONS);
  within("era", values.era, ["both", "modern", "legacy"]);
  return { ...values, scenarios: values.scenarios?.split(",") };
}
