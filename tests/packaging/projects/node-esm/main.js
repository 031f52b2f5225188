import { Replica } from "leeward";

import { ask } from "./ask.mjs";

console.log(JSON.stringify(await ask(Replica, process.argv[2])));
