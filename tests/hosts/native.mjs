// The npm package in the runtime that runs this program: Node, Deno or Bun, which resolves the package's name by its
// own conditions.

import { fail, say, serve } from "./lines.mjs";
import { close, drive } from "./package.mjs";
import { runtime } from "./runtime.mjs";

const entry = import.meta.resolve("leeward");
const { Replica } = await import("leeward");

process.on("unhandledRejection", (error) => fail(`unhandled: ${error?.stack ?? error}`));
await serve(drive({ runtime, entry, Replica, say, warn: (text) => process.stderr.write(`${text}\n`) }));
await close();
