// The page of examples/browser in Chromium, over a real MCP server at another origin behind a slow way.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.mjs";

const path = (relative) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const OUT = path("tests/out/");

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** Starts a server of xtask's until the end of the test; its address. */
async function start(t, script, ...args) {
  const command = ["--import", path("xtask/js/leash.mjs"), path(`xtask/js/${script}`), ...args];
  const server = spawn(process.execPath, command, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(server, "exit");
  t.after(() => {
    server.stdin.end();
    return ended;
  });
  const [line] = await Promise.race([once(createInterface(server.stdout), "line"), ended]);
  return String(line).replace("listening on ", "");
}

/** The page, open and connected. `skip` moves its clock on, `call` and `write` resolve to the row they make. */
async function open(t, { rtt = "0", ...settings } = {}) {
  const authority = await start(t, "relay.mjs", "--server", "test", "--cors", "--rtt", rtt);
  const url = await start(t, "page.mjs", "--authority", authority);
  const context = await browser.newContext(settings);
  t.after(() => context.close());
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.addInitScript(() => {
    const real = performance.now.bind(performance);
    let skipped = 0;
    performance.now = () => real() + skipped;
    globalThis.skip = (ms) => (skipped += ms);
  });
  await page.goto(url);
  await page.getByText("test-authority 1.0.0 at").waitFor();

  let rows = 0;
  const row = async (act) => {
    await act();
    rows += 1;
    await page.locator("#calls tr").nth(rows - 1).waitFor();
    const cells = await page.locator("#calls tr").first().locator("th, td").allInnerTexts();
    return { call: cells[0], by: cells[1], time: cells[2].trim(), header: cells[3], result: cells[4] };
  };
  const button = (name) => page.getByRole("button", { name, exact: true });
  return {
    page,
    errors,
    call: () => row(() => button("Call").click()),
    write: () => row(() => button("Write").click()),
    row,
    button,
    toggle: (name) => page.getByRole("switch", { name }),
    said: (words) => page.getByRole("status").getByText(words).waitFor(),
    skip: (ms) => page.evaluate((ms) => globalThis.skip(ms), ms),
    async trips(tool) {
      const stats = await (await fetch(new URL("/__stats", authority))).json();
      return stats.tools[tool] ?? 0;
    },
  };
}

test("the second call is a hit, and the authority has seen one", async (t) => {
  const { page, call, trips, errors } = await open(t);
  const cold = await call();
  assert.equal(cold.by, "miss: authority");
  assert.match(cold.header, /^leeward;fwd=uri-miss;stored;ttl=\d+$/);
  const warm = await call();
  assert.equal(warm.by, "hit");
  assert.match(warm.header, /^leeward;hit;ttl=\d+$/);
  assert.equal(warm.result, cold.result);
  assert.equal(await trips("get_ticket"), 1);
  const counter = (name, value) => page.getByLabel("Counters").locator("div", { hasText: `${name}${value}` }).waitFor();
  await counter("hits", 1);
  await counter("calls at the authority", 1);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  assert.deepEqual(errors, []);
});

test("ages count up and freshness counts down", async (t) => {
  const { page, call, skip } = await open(t);
  await call();
  const held = page.getByRole("row", { name: "get_ticket" }).and(page.locator("#held tr"));
  await held.getByText(/^fresh for [1-5]\d s$/).waitFor();
  await skip(55_000);
  await held.getByRole("cell", { name: /^5\d s$/ }).waitFor();
  await held.getByText(/^fresh for [0-4] s$/).waitFor();
  await skip(10_000);
  await held.getByText(/^stale for \d+ s$/).waitFor();
});

test("what is held is served when the authority is gone, and says that it is stale", async (t) => {
  const { call, skip, toggle, said, trips, errors } = await open(t);
  await call();
  await toggle("Authority offline").check();
  await said("The authority is offline");
  assert.deepEqual(errors, []);
  await skip(61_000);
  const stale = await call();
  assert.equal(stale.by, "stale, kept copy");
  assert.match(stale.header, /^leeward;hit;ttl=-\d+;detail=offline$/);
  await toggle("Authority offline").uncheck();
  await said("The authority is back");
  assert.equal(await trips("get_ticket"), 1);
  // The browser logs what it could not reach, and nothing else is wrong.
  assert.deepEqual([...new Set(errors)], ["Failed to load resource: net::ERR_EMPTY_RESPONSE"]);
});

test("a read after a write sees it", async (t) => {
  const { call, write, trips } = await open(t);
  assert.match((await call()).result, /"title":"Ticket PROJ-1"/);
  assert.equal((await write()).by, "authority");
  const read = await call();
  assert.equal(read.by, "was stale: authority");
  assert.match(read.result, /"title":"Title 1"/);
  assert.equal((await call()).by, "hit");
  assert.equal(await trips("get_ticket"), 2);
});

test("nothing held is fresh after an invalidation", async (t) => {
  const { page, call, button, said } = await open(t);
  await call();
  await button("Invalidate").click();
  await said("Everything held is stale now");
  await page.locator("#held").getByText(/^stale for/).waitFor();
  assert.equal((await call()).by, "was stale: authority");
});

test("it works by keyboard, and keeps no more rows than it says", async (t) => {
  const { page, row, said } = await open(t);
  await page.getByLabel("Tool").selectOption("page_title");
  await page.getByLabel("Arguments").focus();
  const local = await row(() => page.keyboard.press("Enter"));
  assert.deepEqual([local.by, local.result], ["local tool", "Leeward in a page"]);
  for (let n = 0; n < 39; n += 1) await row(() => page.keyboard.press("Enter"));
  await page.getByLabel("Arguments").fill('{"last":true}');
  await page.keyboard.press("Enter");
  await said('page_title {"last":true}: local');
  assert.equal(await page.locator("#calls tr").count(), 40);
  await page.getByLabel("Arguments").fill("{");
  await page.keyboard.press("Enter");
  await said("The arguments are not JSON");
});

test("the agent works until it is switched off", async (t) => {
  const { page, toggle, errors } = await open(t);
  await toggle("Agent").focus();
  await page.keyboard.press("Space");
  await page.locator("#calls tr").nth(3).waitFor();
  await page.locator('#calls tr[data-how="hit"]').first().waitFor();
  await page.keyboard.press("Space");
  assert.equal(await toggle("Agent").isChecked(), false);
  assert.deepEqual(errors, []);
});

for (const colorScheme of ["light", "dark"]) {
  test(`it fits a wide and a narrow screen in ${colorScheme} colours`, async (t) => {
    const viewport = { width: 1200, height: 800 };
    const { page, call, write, toggle, row, said, skip } = await open(t, { rtt: "80", colorScheme, viewport });
    for (let n = 0; n < 3; n += 1) await call();
    await page.getByLabel("Tool").selectOption("counter");
    await call();
    await page.getByLabel("Tool").selectOption("page_title");
    await call();
    await write();
    await page.getByLabel("Tool").selectOption("get_ticket");
    for (let n = 0; n < 2; n += 1) await call();
    await toggle("Authority offline").check();
    await said("The authority is offline");
    await skip(75_000);
    await call();
    await toggle("Authority offline").uncheck();
    await said("The authority is back");
    await call();
    await page.getByLabel("Arguments").fill('{"id":"PROJ-2"}');
    await row(() => page.keyboard.press("Enter"));
    await call();
    await page.mouse.move(0, 0);
    await mkdir(OUT, { recursive: true });
    await page.screenshot({ path: `${OUT}browser-${colorScheme}.png`, fullPage: true, animations: "disabled" });
    await page.setViewportSize({ width: 390, height: 800 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    await page.screenshot({ path: `${OUT}browser-${colorScheme}-narrow.png`, fullPage: true, animations: "disabled" });
  });
}
