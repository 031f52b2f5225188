// `leeward/browser` in Chromium: a popup that brings a redirect back, and a vault that pages and workers share.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Issuer } from "../js/support/issuer.mjs";
import { launch } from "./chromium.mjs";
import { PACKAGE, serveSite } from "./site.mjs";

const CALLBACK = `<!doctype html><title>Signing in</title>
  <script type="module">import { finishPopup } from "/leeward/for_browser.js"; finishPopup();</script>`;
/** What a page has at hand: `start(options)` makes the button begin an authorization whose outcome is `outcome`. */
const PAGE = `<!doctype html><title>app</title><button>Sign in</button>
  <script type="module">
    import { popup } from "/leeward/for_browser.js";
    globalThis.said = (promise) => promise.then((came) => ({ came }), (error) => ({ failed: error.message }));
    globalThis.page = (issuer, state) =>
      issuer + "/authorize?state=" + state + "&redirect_uri=" + encodeURIComponent(new URL("/signed-in/", location));
    globalThis.start = (issuer, { state = "s1", prepare = false, ...options } = {}) => {
      globalThis.controller = new AbortController();
      globalThis.authorize = popup({ redirectUri: "/signed-in/", ...options });
      document.querySelector("button").onclick = () => {
        if (prepare) authorize.prepare();
        globalThis.outcome = said(authorize.open(page(issuer, state), { signal: controller.signal }));
      };
    };
    globalThis.ready = true;
  </script>`;
/** A page that may open no window. */
const BARRED = `<!doctype html><iframe sandbox="allow-scripts allow-same-origin" src="/within/"></iframe>`;
const WITHIN = `<!doctype html><script type="module">
    import { popup } from "/leeward/for_browser.js";
    const authorize = popup({ redirectUri: "/signed-in/" });
    const fail = (error) => error.message;
    const signal = new AbortController().signal;
    parent.outcome = Promise.all([
      authorize.open("https://as.example/?state=s1", { signal }).catch(fail),
      Promise.resolve().then(() => authorize.prepare()).catch(fail),
    ]);
  </script>`;

let browser;
let site;
let issuer;
before(async () => {
  browser = await launch();
  issuer = await Issuer.start();
  issuer.asks = true;
  site = await serveSite({ "/": PAGE, "/barred/": BARRED, "/within/": WITHIN, "/signed-in/": CALLBACK, "/leeward/": PACKAGE });
});
after(async () => {
  await browser.close();
  await site.close();
  await issuer.close();
});

/** A page with the button armed, closed with the test. */
async function open(t, options) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => globalThis.ready);
  await page.evaluate(([issuer, options]) => start(issuer, options), [issuer.url, options]);
  /** Clicks, and gives the window that opens. */
  const click = async () => {
    const [shown] = await Promise.all([page.waitForEvent("popup"), page.getByText("Sign in").click()]);
    return shown;
  };
  return { page, click, outcome: () => page.evaluate(() => outcome) };
}

for (const options of [{}, { prepare: true }, { features: "popup" }]) {
  test(`a window brings the redirect back and is gone: ${JSON.stringify(options)}`, async (t) => {
    const { click, outcome } = await open(t, options);
    const shown = await click();
    const closed = shown.waitForEvent("close");
    await shown.getByText("Allow").click();
    const { came } = await outcome();
    const url = new URL(came);
    assert.equal(url.href.split("?")[0], `${site.url}signed-in/`);
    assert.equal(url.searchParams.get("state"), "s1");
    assert.equal(url.searchParams.get("iss"), issuer.url);
    assert.ok(url.searchParams.get("code"));
    await closed;
  });
}

test("what is shown cannot lead the page elsewhere", async (t) => {
  const { click } = await open(t);
  const shown = await click();
  await shown.getByText("Allow").waitFor();
  assert.equal(await shown.title(), "opener: null");
});

test("a window that is closed ends it, and so does who gives up", async (t) => {
  const { page, click, outcome } = await open(t);
  await (await click()).close();
  assert.deepEqual(await outcome(), { failed: "the window was closed" });
  const shown = await click();
  await page.evaluate(() => controller.abort(new Error("given up")));
  assert.deepEqual(await outcome(), { failed: "given up" });
  await shown.close();
  // Given up before it began: nothing opens.
  await page.getByText("Sign in").click();
  assert.deepEqual(await outcome(), { failed: "given up" });
  assert.equal(page.context().pages().length, 1);
});

test("a server whose pages cut the window off is waited for if that is said", async (t) => {
  issuer.pageHeaders = { "cross-origin-opener-policy": "same-origin" };
  t.after(() => (issuer.pageHeaders = {}));
  const { page, click, outcome } = await open(t, { ignoreClosed: true });
  const shown = await click();
  await shown.getByText("Allow").click();
  assert.match((await outcome()).came, /code=/);
  await page.evaluate((issuer) => start(issuer), issuer.url);
  await click();
  assert.deepEqual(await outcome(), { failed: "the window was closed" });
});

test("another authorization's redirect, another page's and what is none change nothing", async (t) => {
  const { page, click, outcome } = await open(t);
  const shown = await click();
  await page.evaluate(async () => {
    const channel = new BroadcastChannel("leeward.authorization");
    const at = (path) => new URL(path, location).href;
    const bad = [at("/signed-in/?state=s2&code=x"), at("/?state=s1&code=x"), "https://evil.example/signed-in/?state=s1"];
    for (const message of [...bad, "", "no url", null, { state: "s1" }]) channel.postMessage(message);
    // What was said before it has been heard once this one has.
    const heard = new BroadcastChannel("leeward.authorization");
    await new Promise((resolve) => {
      heard.onmessage = resolve;
      channel.postMessage("last");
    });
  });
  await shown.getByText("Allow").click();
  const { came } = await outcome();
  assert.notEqual(new URL(came).searchParams.get("code"), "x");
});

test("two pages that sign in at a time get their own", async (t) => {
  const first = await open(t, { state: "of-first" });
  const context = first.page.context();
  const page = await context.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => globalThis.ready);
  await page.evaluate((issuer) => start(issuer, { state: "of-second" }), issuer.url);
  const shown = await first.click();
  const [other] = await Promise.all([page.waitForEvent("popup"), page.getByText("Sign in").click()]);
  await other.getByText("Allow").click();
  assert.match((await page.evaluate(() => outcome)).came, /state=of-second/);
  await shown.getByText("Allow").click();
  assert.match((await first.outcome()).came, /state=of-first/);
});

test("a prepared window is taken once, and closed if it was not needed", async (t) => {
  const { page } = await open(t);
  const [shown] = await Promise.all([page.waitForEvent("popup"), page.evaluate(() => authorize.prepare())]);
  const closed = shown.waitForEvent("close");
  // The same one.
  await page.evaluate(() => authorize.prepare());
  await page.evaluate(() => authorize.release());
  await closed;
  await page.evaluate(() => authorize.release());
  assert.equal(page.context().pages().length, 1);
});

test("where the browser opens no window, that is said", async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${site.url}barred/`);
  await page.waitForFunction(() => globalThis.outcome);
  for (const message of await page.evaluate(() => outcome)) assert.match(message, /^popup_blocked: /);
});

test("the callback page keeps no code in its address", async (t) => {
  const { page } = await open(t);
  await page.goto(`${site.url}signed-in/?code=secret&state=s1`);
  await page.waitForURL(`${site.url}signed-in/`);
});

test("what is no page of the own origin, and no authorization, is refused", async (t) => {
  const { page } = await open(t);
  const told = await page.evaluate(async () => {
    const { popup } = await import("/leeward/for_browser.js");
    const field = (options) => {
      try {
        popup(options);
      } catch ({ code, data }) {
        return `${code} ${data.field}`;
      }
    };
    const redirectUri = "/signed-in/";
    const fields = [
      null,
      {},
      { redirectUri: 7 },
      { redirectUri: "https://evil.example/" },
      { redirectUri: "http://" },
      { redirectUri: "/x#y" },
      { redirectUri, features: 1 },
      { redirectUri, ignoreClosed: 1 },
    ].map(field);
    const { signal } = new AbortController();
    const urls = ["javascript:alert(1)?state=s1", "data:text/html,x?state=s1", "https://as.example/", "no url"];
    const opened = await Promise.all(urls.map((url) => said(popup({ redirectUri }).open(url, { signal }))));
    return { fields, opened: opened.map(({ failed }) => typeof failed), uri: popup({ redirectUri }).redirectUri() };
  });
  const wrong = ["", ...Array(5).fill("redirectUri"), "features", "ignoreClosed"];
  assert.deepEqual(told.fields, wrong.map((field) => `config_invalid ${field}`));
  assert.deepEqual(told.opened, Array(4).fill("string"));
  assert.equal(told.uri, `${site.url}signed-in/`);
  assert.equal(page.context().pages().length, 1);
});

test("a vault is the origin's: other pages and workers have it, and it is opened again when it was deleted", async (t) => {
  const { page } = await open(t);
  const told = await page.evaluate(async () => {
    const { browserVault } = await import("/leeward/for_browser.js");
    const bytes = (text) => new TextEncoder().encode(text);
    const text = (record) => record && new TextDecoder().decode(record);
    const vault = browserVault();
    const told = [await vault.get("k")];
    await vault.set("k", bytes("one"));
    await vault.set("k", bytes("two"));
    await vault.set("gone", bytes("x"));
    await vault.delete("gone");
    await vault.delete("never");
    told.push(text(await browserVault().get("k")), await vault.get("gone"), await browserVault("other").get("k"));
    const code = `
      import { browserVault, popup } from "${location.origin}/leeward/for_browser.js";
      let refused;
      try { popup({ redirectUri: "/" }); } catch ({ code }) { refused = code; }
      postMessage([new TextDecoder().decode(await browserVault().get("k")), refused]);
    `;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    told.push(...(await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)))));
    worker.terminate();
    await new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase("leeward");
      request.onsuccess = resolve;
      request.onerror = reject;
    });
    told.push(await vault.get("k"));
    await vault.set("k", bytes("three"));
    told.push(text(await vault.get("k")));
    for (const name of ["", 7, null]) {
      try {
        browserVault(name);
      } catch ({ code, data }) {
        told.push(`${code} ${data.field}`);
      }
    }
    return told;
  });
  const wrong = Array(3).fill("config_invalid name");
  assert.deepEqual(told, [undefined, "two", undefined, undefined, "two", "config_invalid", undefined, "three", ...wrong]);
  const other = await page.context().newPage();
  await other.goto(site.url);
  const read = () =>
    other.evaluate(async () => {
      const { browserVault } = await import("/leeward/for_browser.js");
      return new TextDecoder().decode(await browserVault().get("k"));
    });
  assert.equal(await read(), "three");
});
