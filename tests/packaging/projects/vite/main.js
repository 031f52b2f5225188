import { Replica } from "leeward";

import { show } from "./page.mjs";

void show(Replica);
