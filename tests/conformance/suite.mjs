// The official conformance suite's own command line, one process per scenario run; verdicts are read from the
// checks.json it writes, and of a client from what that printed.

import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);
const suite = join(
  dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/package.json")),
  "dist/index.js",
);
/** The revisions with a requirement set. */
const SETS = ["2026-07-28", "2025-11-25"];

const env = {
  ...process.env,
  // A client under test is started as `node`.
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  // Each process reads the same 860 KB of program.
  NODE_COMPILE_CACHE: join(tmpdir(), "leeward-conformance-cache"),
};

const run = (...args) =>
  execute(process.execPath, [suite, ...args], { cwd: import.meta.dirname, env, maxBuffer: 1 << 26 });

/**
 * The scenarios against a `server` or a `client` that a revision's requirement set runs, in its order, as
 * `{ scenario, required }`: those it requires and those it only reports. A revision that has no such set requires none.
 */
export async function scenariosOf(revision, side) {
  if (!SETS.includes(revision)) {
    const { stdout } = await run("list", `--${side}`, "--spec-version", revision);
    return [...stdout.matchAll(/^\s+- (\S+) \[/gm)].map(([, scenario]) => ({ scenario, required: false }));
  }
  const { stdout } = await run("list", "--requirements", revision);
  const [, server, client, others] =
    /^Server scenarios.*?$(.*?)^Client scenarios.*?$(.*?)^Run and reported.*?$(.*)/ms.exec(stdout);
  const names = (text, pattern) => [...text.matchAll(pattern)].map(([, name]) => name);
  const required = names({ server, client }[side], /^\s+- (\S+)$/gm);
  const reported = names(others, new RegExp(`^\\s+- (\\S+) \\[${side}\\]$`, "gm"));
  return [
    ...required.map((scenario) => ({ scenario, required: true })),
    ...reported.map((scenario) => ({ scenario, required: false })),
  ];
}

/** Runs one scenario against a server in a revision's form and gives its checks; a suite that wrote none failed one. */
export async function runServerScenario(scenario, revision, url) {
  const { checks } = await runScenario("server", scenario, revision, ["--url", url]);
  return checks;
}

/**
 * Runs one scenario against the client that `command` starts (by a shell, in this folder); gives its checks likewise,
 * and what the client wrote.
 */
export function runClientScenario(scenario, revision, command) {
  return runScenario("client", scenario, revision, ["--command", command]);
}

async function runScenario(side, scenario, revision, more) {
  const out = await mkdtemp(join(tmpdir(), "conformance-"));
  try {
    // `--force`: the scenarios of extensions are on no revision's list.
    const args = ["--scenario", scenario, "--spec-version", revision, "--force", "-o", out, ...more];
    // The exit code says no more than the checks do.
    const { stdout, stderr } = await run(side, ...args).catch((error) => error);
    const written = await readdir(out, { recursive: true });
    const read = async (name) => {
      const file = written.find((path) => basename(path) === name);
      return file && (await readFile(join(out, file), "utf8"));
    };
    const checks = await read("checks.json");
    return {
      checks: checks === undefined ? [notRun(`${stdout ?? ""}${stderr ?? ""}`)] : JSON.parse(checks),
      stdout: (await read("stdout.txt")) ?? "",
      stderr: (await read("stderr.txt")) ?? "",
    };
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
