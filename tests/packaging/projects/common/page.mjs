// What every page does: asks the authority in its address, and tells the test (`report` and `fail` are its functions).

import { ask } from "./ask.mjs";

export const show = (Replica) =>
  ask(Replica, new URLSearchParams(location.search).get("authority")).then(report, (error) => fail(String(error)));
