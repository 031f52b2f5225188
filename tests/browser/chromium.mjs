// Headless Chromium, from npm alone: the browser of `@sparticuz/chromium` driven by `playwright-core`.
//
// LEEWARD_CHROMIUM names another Chromium to run; that is needed where the npm one does not (it is for Linux).

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

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

const CACHE = fileURLToPath(new URL("../node_modules/.cache/", import.meta.url));
/** The fonts beside this file and no others: the package's own file names `/tmp/fonts`, whoever put it there. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">.</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>
`;

/** Starts Chromium; `close()` it. */
export async function launch() {
  const options = { headless: true, args: QUIET };
  const other = process.env.LEEWARD_CHROMIUM;
  if (other) return chromium.launch({ ...options, executablePath: other });

  const version = await packageVersion();
  const home = `${CACHE}chromium-${version}`;
  if (!existsSync(home)) await unpack(home);
  const libraries = [`${home}/al2023/lib`, process.env.LD_LIBRARY_PATH].filter(Boolean).join(":");
  const env = { ...process.env, LD_LIBRARY_PATH: libraries, FONTCONFIG_PATH: `${home}/fonts` };
  const browser = await chromium.launch({ ...options, executablePath: `${home}/chromium`, env });
  const [major] = version.split(".");
  if (browser.version().startsWith(`${major}.`)) return browser;
  await browser.close();
  throw new Error(`${home} has Chromium ${browser.version()}, not ${major}`);
}

async function packageVersion() {
  const manifest = new URL("../package.json", import.meta.resolve("@sparticuz/chromium"));
  return JSON.parse(await readFile(manifest, "utf8")).version;
}

/**
 * Unpacks browser, libraries and fonts into `home`. The package unpacks into TMPDIR only, and takes what is there
 * already for its own: so it gets an empty one, which becomes `home` when it is whole.
 */
async function unpack(home) {
  await mkdir(CACHE, { recursive: true });
  const beside = await mkdtemp(`${home}.`);
  try {
    // The package unpacks the libraries it brings along only where it takes itself to be in AWS Lambda.
    const env = { ...process.env, TMPDIR: beside, AWS_LAMBDA_JS_RUNTIME: "nodejs22.x" };
    const script = 'import chromium from "@sparticuz/chromium"; await chromium.executablePath();';
    await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], { cwd: CACHE, env });
    await writeFile(`${beside}/fonts/fonts.conf`, FONTS);
    await rename(beside, home);
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    // Another that started at the same time may have been faster.
    if (!existsSync(home)) throw error;
  }
}
