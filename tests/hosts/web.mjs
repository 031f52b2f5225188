// The npm package where there is no process to read orders from stdin: in a page, a worker of a page, or workerd. Each
// imports the package its own way.

import { obey } from "./orders.mjs";
import { drive } from "./package.mjs";

/** Gives how to hand over an order. Answers go to `say`, faults that nobody caught to `fail`. */
export function start({ Replica, entry, runtime, say, fail }) {
  addEventListener("error", ({ message }) => fail(`uncaught: ${message}`));
  addEventListener("unhandledrejection", ({ reason }) => fail(`unhandled: ${reason?.stack ?? reason}`));
  const actions = drive({ runtime, entry, Replica, say, warn: (text) => console.warn(text) });
  return (order) => void obey(actions, order, say);
}
