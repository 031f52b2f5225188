// A built page in headless Chromium, with an authority elsewhere (CORS).

import { pathToFileURL } from "node:url";

import { launch } from "../../browser/chromium.mjs";
import { serveSite } from "../../browser/site.mjs";
import { getsHit } from "./hit.mjs";

/** Asserts that the page at `url`, which ends in `show` of `projects/common/page.mjs`, gets its hit. */
export async function showsHit(t, url) {
  const browser = await launch();
  t.after(() => browser.close());
  const page = await browser.newPage();
  await getsHit(t, async (authority) => {
    const said = Promise.withResolvers();
    await page.exposeFunction("report", said.resolve);
    await page.exposeFunction("fail", (error) => said.reject(new Error(error)));
    page.on("pageerror", said.reject);
    page.on("requestfailed", (request) => said.reject(new Error(`${request.url()}: ${request.failure().errorText}`)));
    await page.goto(`${url}?authority=${encodeURIComponent(authority)}`);
    return said.promise;
  });
}

/** The same of a folder that a bundler made: `index` is its page, and every other file is served as it is. */
export async function siteShowsHit(t, folder, index) {
  const site = await serveSite({ "/": index, "/assets/": pathToFileURL(`${folder}/`) });
  t.after(() => site.close());
  await showsHit(t, site.url);
}
