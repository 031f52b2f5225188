import { init, Replica } from "leeward/slim";
import url from "leeward/leeward.wasm?url";

import { show } from "./page.mjs";

void init(fetch(url));
void show(Replica);
