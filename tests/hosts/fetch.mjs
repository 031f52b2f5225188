// `leeward/fetch` behind the runtime's own server (Node's behind an adapter), made anew for each `open` (see
// orders.mjs). The suite speaks HTTP to it itself.

import { createHandler } from "leeward/fetch";
import { serve } from "./lines.mjs";
import { listen } from "./listen.mjs";
import { runtime } from "./runtime.mjs";

let handler;
let server;

async function close() {
  await handler?.close();
  await server?.close();
}

await serve({
  async about() {
    return { runtime, entry: "dist/fetch.js" };
  },

  async open({ config, tokens }) {
    await close();
    const onEvent = (event) => {
      if (event.type === "host_failed") process.stderr.write(`${JSON.stringify(event)}\n`);
    };
    handler = createHandler({ ...JSON.parse(config), tokens, onEvent });
    server = await listen(handler);
    return { origin: server.origin };
  },
});
await close();
