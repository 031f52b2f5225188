import * as node from "leeward/node";

import { signIn } from "./sign_in.mjs";

console.log(JSON.stringify(await signIn(node, process.argv[2])));
