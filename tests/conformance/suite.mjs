// The official conformance suite's own command line, one process per scenario run; verdicts are read from the
// checks.json it writes.

import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);
const suite = join(
  dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/package.json")),
  "dist/index.js",
);
// Each process reads the same 860 KB of program.
const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), "leeward-conformance-cache") };

const run = (...args) => execute(process.execPath, [suite, ...args], { env, maxBuffer: 1 << 26 });

/**
 * The server scenarios that a revision's requirement set runs, in its order, as `{ scenario, required }`: those it
 * requires and those it only reports.
 */
export async function scenariosOf(revision) {
  const { stdout } = await run("list", "--server", "--requirements", revision);
  const [, required, others] = /^Server scenarios.*?$(.*?)^Client scenarios.*?$(.*)/ms.exec(stdout);
  const names = (text, pattern) => [...text.matchAll(pattern)].map(([, name]) => name);
  return [
    ...names(required, /^\s+- (\S+)$/gm).map((scenario) => ({ scenario, required: true })),
    ...names(others, /^\s+- (\S+) \[server\]$/gm).map((scenario) => ({ scenario, required: false })),
  ];
}

/** Runs one scenario in a revision's form and gives its checks; a suite that wrote none failed one. */
export async function runScenario(scenario, revision, url) {
  const out = await mkdtemp(join(tmpdir(), "conformance-"));
  try {
    // `--force`: the scenarios of extensions are on no revision's list.
    const args = ["--url", url, "--scenario", scenario, "--spec-version", revision, "--force", "-o", out];
    // The exit code says no more than the checks do.
    const { stdout, stderr } = await run("server", ...args).catch((error) => error);
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

/** Whether the checks of a run are a pass. A check that was skipped fails it: nobody has seen it pass. */
export function verdict(checks) {
  const of = (...statuses) => checks.filter(({ status }) => statuses.includes(status));
  const [good, bad] = [of("SUCCESS"), of("FAILURE", "SKIPPED")];
  return {
    ok: bad.length === 0 && good.length > 0,
    skipped: good.length === 0 && of("SKIPPED").length === bad.length,
    figures: `${good.length}/${good.length + bad.length}`,
    reasons: [...(good.length === 0 ? ["no check succeeded"] : []), ...[...bad, ...of("WARNING")].map(explain)],
  };
}

function explain({ status, id, name, errorMessage, details }) {
  const reason = errorMessage ?? details?.note ?? details?.message ?? "no reason given";
  return `${status.toLowerCase()} ${id}${name ? ` (${name})` : ""}: ${reason}`;
}
