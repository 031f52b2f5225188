// An agent in a page: it calls an authority's tools through Leeward and shows what each call cost.
//
// `?authority=URL` names the authority, which must allow this page's origin (CORS). `cargo xtask browser` starts one
// that also counts what reaches it (`/__stats`) and can be taken offline (`/__offline`).

import { LeewardError, Replica } from "leeward";

import { addCall, note, showHeld, showList, text } from "./view.mjs";

/** What may be kept, and for how long. A tool without a rule is a write. */
const RULES = {
  get_ticket: "cache; max-age=60; stale-if-error=600",
  counter: "live",
};
const TICKETS = ["PROJ-1", "PROJ-2", "PROJ-3"];
const AGENT_PAUSE_MS = 700;

const $ = (id) => document.getElementById(id);
const authority = new URL(new URLSearchParams(location.search).get("authority") ?? "/mcp", location.href);

const replica = await Replica.open({
  authority: authority.href,
  policy: Object.entries(RULES).map(([tool, rule]) => ({ tool, rule })),
  tools: [{ name: "page_title", description: "Answered here", handler: () => document.title }],
});

/** What was seen to be stored: call -> { storedAt, freshUntil, hits }. */
const held = new Map();

/** Calls a tool, and shows how it was answered and how long that took. */
async function call(name, args) {
  const label = `${name} ${JSON.stringify(args)}`;
  const start = performance.now();
  let answer;
  try {
    const { result, cache } = await replica.callToolWithCache(name, args);
    answer = { ...cache, how: howOf(cache), text: text(result) };
  } catch (error) {
    if (!(error instanceof LeewardError)) throw error;
    answer = { status: "error", how: "error", header: error.code, text: error.message };
  }
  const now = performance.now();
  remember(name, label, answer, now);
  addCall($("calls"), { label, ms: now - start, ...answer });
  note($("status"), `${label}: ${answer.how}`);
  await refresh();
}

/** Who answered: a hit may be a stale copy, and where what was held was stale, the authority was asked. */
function howOf({ status, ttlMs }) {
  if (status === "hit" && ttlMs < 0) return "stale";
  return status === "stale" ? "renewed" : status;
}

function remember(name, label, { status, ttlMs, stored }, now) {
  if (stored && ttlMs !== undefined) held.set(label, { storedAt: now, freshUntil: now + ttlMs, hits: 0 });
  const entry = held.get(label);
  if (status === "hit" && entry !== undefined) {
    entry.freshUntil = now + ttlMs;
    entry.hits += 1;
  }
  // Whatever became of a write, nothing stored before it is fresh any more.
  if (!(name in RULES) && status !== "local") staleFrom(now);
}

function staleFrom(now) {
  for (const entry of held.values()) entry.freshUntil = Math.min(entry.freshUntil, now);
}

/** Draws what changes by itself. */
function tick() {
  showHeld($("held"), held, performance.now());
}

async function refresh() {
  tick();
  const { hits, misses, stale, bypassed, entries, bytes } = replica.stats();
  const arrived = await control("GET", "__stats");
  const trips = arrived === undefined ? "unknown" : (arrived.methods["tools/call"] ?? 0);
  showList($("stats"), { hits, misses, stale, bypassed, entries, bytes, "calls at the authority": trips });
}

/** Asks the authority's keeper, where there is one. It has no part in MCP, and stays reachable. */
async function control(method, what) {
  const response = await fetch(new URL(`/${what}`, authority), { method }).catch(() => undefined);
  return response?.ok ? response.json() : undefined;
}

let writes = 0;
const write = (id) => call("update_ticket", { id, title: `Title ${(writes += 1)}` });

/** Works through the tickets for as long as the switch is on: mostly reads, now and then a write. */
async function work() {
  for (let step = 1; $("agent").checked; step += 1) {
    const id = TICKETS[step % TICKETS.length];
    if (step % 12 === 0 && !$("offline").checked) await write(id);
    else if (step % 7 === 0) await call("counter", {});
    else await call("get_ticket", { id });
    await new Promise((resolve) => setTimeout(resolve, AGENT_PAUSE_MS));
  }
}

const tools = new Map();
/** An object that the tool may take. */
const example = (schema) =>
  Object.fromEntries(Object.keys(schema.properties ?? {}).map((name) => [name, name === "id" ? TICKETS[0] : ""]));

async function connect() {
  const { instructions, _meta } = await replica.discover();
  const { name, version } = _meta?.["io.modelcontextprotocol/serverInfo"] ?? { name: "an authority", version: "" };
  for (let cursor; ; ) {
    const page = await replica.listTools(cursor === undefined ? {} : { cursor });
    for (const tool of page.tools) tools.set(tool.name, tool);
    cursor = page.nextCursor;
    if (cursor === undefined) break;
  }
  for (const tool of tools.values()) $("tool").add(new Option(tool.name));
  $("tool").value = tools.has("get_ticket") ? "get_ticket" : [...tools.keys()][0];
  choose();
  note($("authority"), `${name} ${version} at ${authority.href}, ${tools.size} tools. ${instructions ?? ""}`);
}

function choose() {
  const { description, inputSchema } = tools.get($("tool").value);
  $("tool").title = description ?? "";
  $("arguments").value = JSON.stringify(example(inputSchema));
}

$("tool").addEventListener("change", choose);
$("call").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    void call($("tool").value, JSON.parse($("arguments").value || "{}"));
  } catch (error) {
    note($("status"), `The arguments are not JSON: ${error.message}`);
  }
});
$("write").addEventListener("click", () => write(TICKETS[0]));
$("invalidate").addEventListener("click", () => {
  replica.invalidate();
  staleFrom(performance.now());
  note($("status"), "Everything held is stale now");
  void refresh();
});
$("agent").addEventListener("change", () => void work());
$("offline").addEventListener("change", async ({ target }) => {
  const done = await control("POST", target.checked ? "__offline" : "__online");
  note($("status"), done === undefined ? "This authority cannot be switched" : target.checked ? "The authority is offline" : "The authority is back");
});

try {
  await connect();
} catch (error) {
  note($("authority"), `${authority.href} cannot be used: ${error.code}`);
}
setInterval(tick, 250);
await refresh();
