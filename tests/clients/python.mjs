// Runs the Python clients' cases (python/main.py) over the same ways as the TypeScript ones; prints their TAP.
//
//   node python.mjs PYTHON   PYTHON being one with python/requirements.txt installed

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { lacks, openWays } from "./support/paths.mjs";

const { ways, close } = await openWays();
const eras = ["modern", "legacy"];
const told = ways.map((way) => ({
  ...way,
  lacks: Object.fromEntries(eras.map((era) => [era, lacks(way.side, era, way.authority)])),
}));
const main = fileURLToPath(new URL("python/main.py", import.meta.url));
const child = spawn(process.argv[2], ["-B", main], {
  env: { ...process.env, LEEWARD_WAYS: JSON.stringify(told) },
  stdio: ["ignore", "inherit", "inherit"],
});
const [code] = await once(child, "exit");
await close();
process.exit(code ?? 1);
