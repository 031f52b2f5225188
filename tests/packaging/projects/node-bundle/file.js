import { Replica } from "leeward";

import { ask } from "./ask.mjs";

void ask(Replica, process.argv[2]).then((answers) => console.log(JSON.stringify(answers)));
