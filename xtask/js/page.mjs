// Serves examples/browser with the npm package as it was built, at a page's own origin.
//
//   node page.mjs [--port N] --authority URL
//
// Prints `listening on URL`, the page's address with the authority in it.

import { parseArgs } from "node:util";
import { PACKAGE, serveSite } from "../../tests/browser/site.mjs";

const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, authority: { type: "string" } },
});
const example = (name) => new URL(`../../examples/browser/${name}`, import.meta.url);
const files = Object.fromEntries(["app.mjs", "view.mjs", "style.css"].map((name) => [`/${name}`, example(name)]));
// An isolated page has a clock of 5 µs; others have to do with 100.
const headers = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const site = await serveSite(
  { "/": example("index.html"), "/leeward/": PACKAGE, ...files },
  { port: Number(values.port), headers },
);
console.log(`listening on ${site.url}?authority=${encodeURIComponent(values.authority)}`);
