import { init, Replica } from "leeward/slim";
import wasm from "leeward/leeward.wasm"; // its bytes, by the loader `binary`

import { show } from "./page.mjs";

void init(wasm);
void show(Replica);
