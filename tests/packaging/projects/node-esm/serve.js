import { createHandler } from "leeward/fetch";

import { post } from "./post.mjs";

console.log(JSON.stringify(await post(createHandler, process.argv[2])));
