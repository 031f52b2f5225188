import { init, Replica } from "leeward/slim";
import wasm from "leeward/leeward.wasm";

import { ask } from "./ask.mjs";

export default {
  async fetch(_request, env) {
    await init(wasm);
    return Response.json(await ask(Replica, env.AUTHORITY));
  },
};
