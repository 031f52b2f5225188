// The package's entries in a browser: where the wasm comes from there, and what is said when it does not come.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { wasmOf } from "../js/support/copies.mjs";
import { launch } from "./chromium.mjs";
import { PACKAGE, serveSite } from "./site.mjs";

const WASM = "leeward_wasm_bg.wasm";
const POLICY = (scripts) => `<meta http-equiv="Content-Security-Policy" content="script-src ${scripts}">`;

/** `inline` as one classic script, as esbuild makes it. */
async function classic() {
  const entryPoints = [fileURLToPath(new URL("inline.js", PACKAGE))];
  const options = { bundle: true, format: "iife", globalName: "leeward", write: false };
  return (await build({ ...options, entryPoints })).outputFiles[0].text;
}

let browser;
let site;
before(async () => {
  browser = await launch();
  const bundle = await classic();
  const main = await readFile(new URL("browser.js", PACKAGE), "utf8");
  const from = (path) => main.replace(`./${WASM}`, path).replaceAll('from "./', 'from "/leeward/');
  site = await serveSite({
    "/": "<!doctype html>a page",
    "/barred/": `<!doctype html>${POLICY("'self' 'unsafe-inline'")}a page`,
    "/allowed/": `<!doctype html>${POLICY("'self' 'unsafe-inline' 'wasm-unsafe-eval'")}a page`,
    "/classic.js": `${bundle}
      addEventListener("message", async ({ source }) => {
        const replica = await leeward.Replica.open({ tools: [{ name: "hi", handler: () => "hi" }] });
        source.postMessage((await replica.callTool("hi")).content[0].text);
      });`,
    // The `browser` entry, where the wasm beside it is another one, or none.
    "/stale/browser.js": from("/stale/old.wasm"),
    "/stale/old.wasm": wasmOf("9.9.9"),
    "/spa/browser.js": from("/"),
    "/gone/browser.js": from("/gone/nothing.wasm"),
    "/leeward/": PACKAGE,
    // Another version of the package.
    "/other/version.js": 'export const VERSION = "9.9.9";',
    [`/other/${WASM}`]: wasmOf("9.9.9"),
    "/other/": PACKAGE,
  });
});
after(async () => {
  await browser.close();
  await site.close();
});

/** Opens a replica in a page of its own; what a local tool says, or the error. */
async function open(path, entry, given) {
  const page = await browser.newPage();
  try {
    await page.goto(new URL(path, site.url).href);
    return await page.evaluate(
      async ({ entry, given }) => {
        const { Replica, init } = await import(entry);
        try {
          if (given !== undefined) await init(fetch(given));
          const replica = await Replica.open({ tools: [{ name: "hi", handler: () => "hi" }] });
          return (await replica.callTool("hi")).content[0].text;
        } catch ({ code, data, message }) {
          return { code, field: data?.field, message };
        }
      },
      { entry, given },
    );
  } finally {
    await page.close();
  }
}

test("each entry opens in a page", async () => {
  assert.equal(await open("/", "/leeward/browser.js"), "hi");
  assert.equal(await open("/", "/leeward/inline.js"), "hi");
  assert.equal(await open("/", "/leeward/slim.js", `/leeward/${WASM}`), "hi");
});

test("a policy that bars wasm is named, and one that allows it is enough", async () => {
  for (const [entry, given] of [["browser"], ["inline"], ["slim", `/leeward/${WASM}`]]) {
    const error = await open("/barred/", `/leeward/${entry}.js`, given);
    assert.deepEqual([error.code, error.field], ["config_invalid", "module"], entry);
    assert.match(error.message, /barred here.*wasm-unsafe-eval/, entry);
    assert.equal(await open("/allowed/", `/leeward/${entry}.js`, given), "hi", entry);
  }
});

test("a wasm that is stale, is a page or is not there is told apart", async () => {
  for (const [entry, code, message] of [
    ["/stale/browser.js", "config_invalid", /is of leeward 9\.9\.9/],
    ["/spa/browser.js", "config_invalid", /a page came/],
    ["/gone/browser.js", "module_unavailable", /HTTP 404/],
  ]) {
    const error = await open("/", entry);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
  }
});

test("a classic service worker takes the inline entry", async () => {
  const page = await browser.newPage();
  await page.goto(site.url);
  const said = await page.evaluate(async () => {
    const { serviceWorker } = navigator;
    const registration = await serviceWorker.register("/classic.js");
    const { active } = await serviceWorker.ready;
    const heard = new Promise((resolve) => serviceWorker.addEventListener("message", ({ data }) => resolve(data)));
    serviceWorker.startMessages();
    active.postMessage("go");
    const said = await heard;
    await registration.unregister();
    return said;
  });
  assert.equal(said, "hi");
  await page.close();
});

test("two versions in one page work side by side, and know each other's errors", async () => {
  const page = await browser.newPage();
  await page.goto(site.url);
  const told = await page.evaluate(async () => {
    const [ours, theirs] = await Promise.all(["/leeward/browser.js", "/other/browser.js"].map((path) => import(path)));
    const open = ({ Replica }) => Replica.open({ tools: [{ name: "hi", handler: () => "hi" }] });
    const [first, second] = [await open(ours), await open(theirs)];
    await first.close();
    const said = (await second.callTool("hi")).content[0].text;
    const error = await first.callTool("hi").catch((error) => error);
    return [said, error.code, error instanceof theirs.LeewardError, theirs.LeewardError.is(error)];
  });
  assert.deepEqual(told, ["hi", "closed", false, true]);
  await page.close();
});
