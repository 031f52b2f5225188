// The ways from a client to the test authority: straight to it, through the worker, through `leeward/fetch`; and in
// front of an authority of either era.
//
// Every way leads to a real server on the official SDK (../../authority), whose count of trips shows what was answered
// on the way.

import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startHandlers } from "../../http/support/fetch.mjs";
import { ALICE, TOKENS } from "../../http/support/hosts.mjs";
import { startWorkers } from "../../http/support/worker.mjs";

const fileOf = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The sides that answer a client. */
export const SIDES = ["direct", "worker", "fetch"];

/** What the authority speaks. A modern one speaks the older revisions too, to those who ask in them. */
export const AUTHORITIES = { modern: "both", legacy: "legacy" };

/**
 * What a side does not carry yet: side -> a revision's era -> needs of cases, where the agent or the authority is of
 * that era.
 */
const lacking = JSON.parse(await readFile(new URL("../lacking.json", import.meta.url), "utf8"));

/** What cases may need that this way does not carry. */
export function lacks(side, agent, authority) {
  const { agents = {}, authorities = {} } = lacking[side] ?? {};
  return [...(agents[agent] ?? []), ...(authorities[authority] ?? [])];
}

/**
 * An hour: nothing expires within a run. By default a call is a write and stales what was stored: only what a case
 * writes shall do that.
 */
const POLICY = [
  { tool: "get_*", rule: "cache; max-age=3600" },
  { tool: "test_simple_text", rule: "cache; max-age=3600" },
  { tool: "update_*", rule: "through" },
  { tool: "denied", rule: "deny" },
  { tool: "*", rule: "live" },
];

/**
 * Starts both authorities and everything in front of them.
 *
 * @returns `ways`, of `{ side, authority, url, token, control }`: `token` where the side asks for one, `control` the
 *   authority's own address for counts; and `close`.
 */
export async function openWays() {
  const authorities = {};
  for (const [era, speaks] of Object.entries(AUTHORITIES)) authorities[era] = await startAuthority(speaks);
  const deployments = Object.fromEntries(
    Object.entries(authorities).map(([era, { url }]) => [
      era,
      { LEEWARD_CONFIG: { authority: url, policy: POLICY }, LEEWARD_TOKENS: TOKENS, sessions: true },
    ]),
  );
  const hosts = { worker: await startWorkers(deployments), fetch: await startHandlers(deployments) };
  const ways = Object.entries(authorities).flatMap(([authority, { url }]) => {
    const control = new URL("/", url).href;
    const through = Object.entries(hosts).map(([side, { [authority]: at }]) => ({
      side,
      authority,
      url: `http://${at.hostname}:${at.port}/mcp`,
      token: ALICE,
      control,
    }));
    return [{ side: "direct", authority, url, control }, ...through];
  });
  const close = async () => {
    for (const host of Object.values(hosts)) await host.close();
    for (const { child } of Object.values(authorities)) child.stdin.end();
  };
  return { ways, close };
}

/** The authority in a process of its own, which ends with this one. */
async function startAuthority(era) {
  const child = spawn(
    process.execPath,
    [
      ...["--import", fileOf("../../../xtask/js/leash.mjs"), fileOf("../../authority/server.mjs")],
      ...["--era", era, "--ttl", "3600000", "--page", "5"],
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith("listening on ")) return { child, url: line.slice("listening on ".length) };
  }
  throw new Error("the authority ended before it listened");
}

/** What reached the authority so far. */
export const stats = async ({ control }) => (await fetch(new URL("__stats", control))).json();

/** Resolves once what has this name has been given up: the `id` of a call of `hold`, or a URI subscribed to. */
export const gaveUp = async ({ control }, name) => {
  await fetch(new URL(`__left?name=${encodeURIComponent(name)}`, control));
};
