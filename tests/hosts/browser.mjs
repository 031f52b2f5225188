// The npm package in headless Chromium: in a page (`browser.mjs page`) or in a module worker of a page (`browser.mjs
// worker`). This program serves the page and passes orders and answers on; the authority is of another origin.

import { build } from "esbuild";
import { fileURLToPath } from "node:url";

import { launch } from "../browser/chromium.mjs";
import { PACKAGE, serveSite } from "../browser/site.mjs";
import { fail, orders, say } from "./lines.mjs";

/** What a worker runs; `start` is that of web.mjs. */
const WORKER = `
  import { start } from "/hosts/web.mjs";

  const say = (answer) => postMessage({ answer });
  const fail = (fault) => postMessage({ fault });
  addEventListener("message", async ({ data }) => {
    const { Replica } = await import(data.entry);
    const order = start({ ...data, Replica, say, fail });
    addEventListener("message", ({ data }) => order(data));
    postMessage({ ready: true });
  }, { once: true });
`;

/** The package's file that a bundler for browsers takes. */
async function entry() {
  const { metafile } = await build({
    absWorkingDir: fileURLToPath(new URL("..", import.meta.url)),
    entryPoints: ["leeward"],
    bundle: true,
    format: "esm",
    platform: "browser",
    outdir: ".",
    write: false,
    metafile: true,
  });
  const [{ entryPoint }] = Object.values(metafile.outputs);
  return entryPoint.slice(entryPoint.lastIndexOf("/") + 1);
}

// These run in the page; `say` and `fail` are of this program.
const inPage = async (about) => {
  const { start } = await import("/hosts/web.mjs");
  const { Replica } = await import(about.entry);
  globalThis.order = start({ ...about, Replica, say, fail });
};
const inWorker = (about) =>
  new Promise((resolve) => {
    const worker = new Worker("/worker.mjs", { type: "module" });
    worker.onerror = ({ message }) => fail(`worker: ${message}`);
    worker.onmessage = ({ data: { answer, fault, ready } }) => {
      if (ready) resolve();
      else if (fault === undefined) say(answer);
      else fail(fault);
    };
    globalThis.order = (order) => worker.postMessage(order);
    worker.postMessage(about);
  });

const site = await serveSite({
  "/": "<!doctype html><title>the behaviour suite</title>",
  "/worker.mjs": WORKER,
  "/hosts/": new URL("./", import.meta.url),
  "/leeward/dist/": PACKAGE,
});
const browser = await launch();
const page = await browser.newPage();
page.on("console", (message) => process.stderr.write(`${message.text()}\n`));
await page.exposeFunction("say", say);
await page.exposeFunction("fail", fail);
await page.goto(site.url);
const about = { entry: `${site.url}leeward/dist/${await entry()}`, runtime: `Chromium ${browser.version()}` };
await page.evaluate({ page: inPage, worker: inWorker }[process.argv[2]], about);
for await (const order of orders()) await page.evaluate((order) => globalThis.order(order), order);
await browser.close();
await site.close();
