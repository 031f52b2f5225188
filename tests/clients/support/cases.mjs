// Has every case asked of every client, over every way that carries it.

import { after, before, test } from "node:test";
import { CLIENTS, connect } from "./clients.mjs";
import { AUTHORITIES, SIDES, lacks, openWays } from "./paths.mjs";

let opened;

/** To be called once by a file of tests: starts and ends what its cases need. */
export function useWays() {
  before(async () => void (opened = await openWays()));
  after(() => opened.close());
}

/**
 * Registers a case: `action({ way, client, connect })`, `client` being connected over `way`; `connect` gives another,
 * over this way or that of another side.
 *
 * @param {object} [of]
 * @param {string} [of.need] what a way must carry
 * @param {string} [of.era] only for clients of this era
 * @param {string} [of.authority] only in front of an authority of this era
 * @param {string[]} [of.sides] only there
 */
export function forEveryClient(name, { need, era, authority: only, sides = SIDES }, action) {
  for (const { name: clientName, era: speaks, make } of CLIENTS) {
    if (era !== undefined && era !== speaks) continue;
    for (const side of sides) {
      for (const authority of Object.keys(AUTHORITIES)) {
        if (only !== undefined && only !== authority) continue;
        if (lacks(side, speaks, authority).includes(need)) continue;
        test(`${clientName} | ${side}, ${authority} authority | ${name}`, async (t) => {
          const wayOf = (wanted) => opened.ways.find((way) => way.side === wanted && way.authority === authority);
          const more = async (wanted = side) => {
            const client = await connect(make, wayOf(wanted));
            t.after(() => client.close());
            return client;
          };
          await action({ way: wayOf(side), client: await more(), connect: more, speaks, side, authority });
        });
      }
    }
  }
}
