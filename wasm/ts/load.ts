/** Where the wasm instance comes from: each runtime's entry says how it loads the module. */

import type { InitOutput } from "./leeward_wasm.js";

type Loader = () => InitOutput | Promise<InitOutput>;

let loader: Loader | undefined;

/** Says how this runtime loads the module. Called once, by the entry. */
export function loadWith(how: Loader): void {
  loader = how;
}

/** Instantiates the module, or gives the exports of the instance there is. */
export async function load(): Promise<InitOutput> {
  if (loader === undefined) throw new Error("leeward was imported past its entry");
  return loader();
}
