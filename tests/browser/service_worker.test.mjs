// A replica in a service worker: a page's own `fetch` is answered from its cache.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Authority } from "../js/support/authority.mjs";
import { launch } from "./chromium.mjs";
import { PACKAGE, serveSite } from "./site.mjs";

/** Answers `POST /tools/NAME` with what the tool says and how it came. */
const serviceWorker = (authority) => `
  import { Replica } from "/leeward/browser.js";

  let replica;
  const open = () => (replica ??= Replica.open({
    authority: ${JSON.stringify(authority)},
    policy: [{ tool: "echo", rule: "cache;max-age=60" }],
  }));

  async function answer(name, request) {
    const { result, cache } = await (await open()).callToolWithCache(name, await request.json());
    return Response.json({ said: result.structuredContent.arguments, cache: cache.status });
  }

  addEventListener("install", () => skipWaiting());
  addEventListener("activate", (event) => event.waitUntil(clients.claim()));
  addEventListener("fetch", (event) => {
    const [, folder, name] = new URL(event.request.url).pathname.split("/");
    if (folder === "tools") event.respondWith(answer(name, event.request));
  });
`;

test("a module service worker answers a page with a hit", async (t) => {
  const authority = await Authority.start();
  t.after(() => authority.close());
  const site = await serveSite({
    "/": "<!doctype html><title>a page</title>",
    "/service-worker.js": serviceWorker(authority.url),
    "/leeward/": PACKAGE,
  });
  t.after(() => site.close());
  const browser = await launch();
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(site.url);

  await page.evaluate(async () => {
    const { serviceWorker } = navigator;
    const controlled = new Promise((resolve) => serviceWorker.addEventListener("controllerchange", resolve));
    await serviceWorker.register("/service-worker.js", { type: "module" });
    await controlled;
  });
  // The site has nothing there: only the service worker can answer.
  const ask = () =>
    page.evaluate(async () => {
      const response = await fetch("/tools/echo", { method: "POST", body: '{"id":7}' });
      return response.json();
    });

  assert.deepEqual(await ask(), { said: { id: 7 }, cache: "miss" });
  assert.deepEqual(await ask(), { said: { id: 7 }, cache: "hit" });
  assert.equal(authority.count("tools/call echo"), 1);
});
