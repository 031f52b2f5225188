// Runs the client scenarios of the official MCP conformance suite with the replica as the client: a revision's
// requirement set and what it reports beside. The suite's server is the replica's authority, and an official SDK client
// asks the replica (client/driver.mjs).
//
//   node client.mjs [--host node|worker] [--spec REV] [--scenarios a,b]
//
// --host       where the replica runs; may be given more than once. The default is node; it must have been built.
// --spec       the revision; may be given more than once. The default is 2026-07-28, 2025-11-25 and, for what clients
//              still meet of it, 2025-03-26.
// --scenarios  only these.
//
// Failures and warnings fail a run, as does a driver that did not see what the scenario is to end in; nothing is
// retried. Needs Node >= 22. The last line is `N passed, N failed`, in scenarios; the exit code is 0 only if none
// failed.

import { parseArgs } from "node:util";
import { LACKING, PLAYS } from "./client/plays.mjs";
import { createReport, within } from "./report.mjs";
import { runClientScenario, scenariosOf, verdict } from "./suite.mjs";

const HOSTS = ["node", "worker"];
const REVISIONS = ["2026-07-28", "2025-11-25", "2025-03-26"];

/** Checks that nobody can pass who speaks this revision, by scenario. */
const UNSEEN = {
  "http-standard-headers": /on (initialize|notifications\/initialized) request/,
};

/** Warnings of what the suite calls acceptable: how late a timer is depends on the machine. */
const TOLERATED = {
  "sse-retry": /^client-sse-retry-timing$/,
};

const { values: options } = parseArgs({
  options: {
    host: { type: "string", multiple: true, default: ["node"] },
    spec: { type: "string", multiple: true, default: REVISIONS },
    scenarios: { type: "string" },
  },
});
within("host", options.host, HOSTS);
within("spec", options.spec, REVISIONS);
const only = options.scenarios?.split(",");

const { count, warn, row, end } = createReport();
for (const host of options.host) {
  for (const revision of options.spec) await runLane(host, revision);
}
end();

async function runLane(host, revision) {
  const known = await scenariosOf(revision, "client");
  const label = `${host}, ${revision}`;
  const required = known.filter((entry) => entry.required).length;
  row(`${label}: ${required} required, ${known.length - required} beside`, ["checks"], [], "");
  for (const { scenario, required } of known) {
    if (!(only ?? [scenario]).includes(scenario)) continue;
    const name = required ? scenario : `${scenario} (not scored)`;
    if (!required && LACKING[scenario] !== undefined) {
      row(name, ["-"], [], `not carried: ${LACKING[scenario]}`);
      continue;
    }
    const { ok, figures, reasons } = await runOne(scenario, revision, host);
    const reason = reasons.map((reason) => `\n       ${reason}`).join("");
    count(ok, `${label}, ${scenario}:${reason}`);
    if (ok && reason !== "") warn(`${label}, ${scenario}:${reason}`);
    row(name, [figures], [], ok ? "ok" : "FAIL");
  }
}

async function runOne(scenario, revision, host) {
  if (PLAYS[scenario] === undefined) return { ok: false, figures: "0/0", reasons: ["nobody knows how to play it"] };
  const { checks, stdout, stderr } = await runClientScenario(scenario, revision, `node client/driver.mjs ${host}`);
  const seen = checks.filter(({ status, description }) => status !== "SKIPPED" || !UNSEEN[scenario]?.test(description));
  const { ok, figures, reasons } = verdict(seen);
  const played = stdout.trimEnd().split("\n").at(-1) === "played";
  if (!played) reasons.push(`the driver failed: ${stderr.trim()}`);
  const warned = checks.some(({ status, id }) => status === "WARNING" && !TOLERATED[scenario]?.test(id));
  return { ok: ok && played && !warned, figures, reasons };
}
