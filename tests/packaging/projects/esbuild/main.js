import { Replica } from "leeward/inline";

import { show } from "./page.mjs";

void show(Replica);
