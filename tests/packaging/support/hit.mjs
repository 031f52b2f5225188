// What every project must show: `projects/common/ask.mjs` gets a hit, by the authority's own count.

import assert from "node:assert/strict";

import { Authority } from "../../js/support/authority.mjs";

/** Gives `answers` an authority's URL and asserts that what `ask` said there is a miss, then a hit without a trip. */
export async function getsHit(t, answers) {
  const authority = await Authority.start();
  t.after(() => authority.close());
  assert.deepEqual(await answers(authority.url), [
    ["miss", 7],
    ["hit", 7],
  ]);
  assert.equal(authority.count("tools/call echo"), 1);
}

/** The same of a program that prints what `ask` said; `print` runs it with the authority's URL. */
export const printsHit = (t, print) => getsHit(t, async (authority) => JSON.parse(await print(authority)));

/** The same of `projects/common/sign_in.mjs`; `print` runs it with the folder of a vault. */
export async function signsIn(print) {
  assert.deepEqual(JSON.parse(await print("grants")), [true, null]);
}
