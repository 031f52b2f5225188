// JSON lines over stdin and stdout: how orders (see orders.mjs) and answers come and go between the suite and a
// program.

import { createInterface } from "node:readline";

import { obey } from "./orders.mjs";

/** Every order until stdin ends. */
export async function* orders() {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line);
}

/** Says an answer. */
export function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** Obeys every order by its function in `actions`, until stdin ends. */
export async function serve(actions) {
  for await (const order of orders()) await obey(actions, order, say);
}

/** Says what went wrong and ends the program: the suite must not take what follows for answers. */
export function fail(what) {
  process.stderr.write(`${what}\n`);
  process.exit(1);
}
