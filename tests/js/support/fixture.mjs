// The fixture authority, on the official SDK's server, in a process of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SERVER = fileURLToPath(new URL("../../authority/server.mjs", import.meta.url));

/** Starts one, ended with the test; `flags` are of its command line. */
export async function startFixture(t, ...flags) {
  const server = spawn(process.execPath, [SERVER, ...flags], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => server.kill());
  const [line] = await once(createInterface({ input: server.stdout }), "line");
  const url = line.split(" ").at(-1);
  const count = async (method) => (await (await fetch(new URL("/__stats", url))).json()).methods[method] ?? 0;
  return { url, count };
}
