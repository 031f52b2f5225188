// The npm package in a page or in a module worker: what the page of browser.mjs imports, here or there.

import { obey } from "./orders.mjs";
import { drive } from "./package.mjs";

/** Imports the package's `entry`; gives how to hand over an order. Answers go to `say`, faults to `fail`. */
export async function start({ entry, runtime, say, fail }) {
  addEventListener("error", ({ message }) => fail(`uncaught: ${message}`));
  addEventListener("unhandledrejection", ({ reason }) => fail(`unhandled: ${reason?.stack ?? reason}`));
  const { Replica } = await import(entry);
  const actions = drive({ runtime, entry, Replica, say, warn: (text) => console.warn(text) });
  return (order) => void obey(actions, order, say);
}
