// Headless Chromium, from npm alone: the browser of `@sparticuz/chromium` driven by `playwright-core`.
//
// LEEWARD_CHROMIUM names another Chromium to run; that is needed where the npm one does not (it is for Linux).

import { chromium } from "playwright-core";

/** Flags that keep the browser from calling home, and from needing what a container lacks. */
const QUIET = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  "--no-sandbox",
];

/** Starts Chromium; `close()` it. */
export async function launch() {
  return chromium.launch({ executablePath: await executable(), headless: true, args: QUIET });
}

async function executable() {
  if (process.env.LEEWARD_CHROMIUM) return process.env.LEEWARD_CHROMIUM;
  // The package unpacks the libraries it brings along only where it takes itself to be in such a function.
  process.env.AWS_LAMBDA_JS_RUNTIME ??= "nodejs22.x";
  const { default: bundled } = await import("@sparticuz/chromium");
  return bundled.executablePath();
}
