import { Replica } from "leeward/inline";

import { ask } from "./ask.mjs";

console.log(JSON.stringify(await ask(Replica, process.argv[2])));
