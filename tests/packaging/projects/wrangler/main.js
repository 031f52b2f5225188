import { Replica } from "leeward";

import { ask } from "./ask.mjs";

export default {
  async fetch(_request, env) {
    return Response.json(await ask(Replica, env.AUTHORITY));
  },
};
