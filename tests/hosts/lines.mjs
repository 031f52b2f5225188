// JSON lines over stdin and stdout: how a host process and the suite that drives it talk.
//
// Orders come as `{ n, do, … }` and are begun in order; each has one answer `{ n, … }`, whenever it comes.

import { createInterface } from "node:readline";

/** Answers an order. */
export function say(n, answer = {}) {
  process.stdout.write(`${JSON.stringify({ n, ...answer })}\n`);
}

/** Hands each order to its function in `actions` until stdin ends. What one throws is its answer. */
export async function serve(actions) {
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    try {
      const answer = await actions[order.do](order);
      if (answer !== undefined) say(order.n, answer);
    } catch (error) {
      say(order.n, { error: told(error) });
    }
  }
}

/** An error as the suite reads it. */
export function told(error) {
  return { code: error?.code ?? "thrown", message: String(error?.message ?? error), field: error?.data?.field };
}
