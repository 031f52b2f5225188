// `leeward/fetch` behind servers of Node's, any number of times in one process.

import { createHandler } from "../../../wasm/dist/fetch.js";
import { listen } from "../../hosts/listen.mjs";

/** As `startWorkers`: a deployment's bindings, which are the worker's, become the handler's options. */
export async function startHandlers(deployments) {
  const logs = [];
  const servers = {};
  for (const [name, bindings] of Object.entries(deployments)) {
    const { LEEWARD_CONFIG: config, LEEWARD_TOKENS: tokens, LEEWARD_AUTHORITY_TOKEN: token, sessions } = bindings;
    const handler = createHandler({
      ...config,
      sessions: sessions ?? false,
      ...(token && { authority: { ...config.authority, token } }),
      ...(tokens && { tokens: JSON.parse(tokens) }),
      onEvent: (event) => {
        const level = event.type === "host_failed" ? "error" : "log";
        logs.push({ level, message: JSON.stringify(event) });
      },
    });
    servers[name] = { handler, ...(await listen(handler)) };
  }
  const addresses = Object.entries(servers).map(([name, { origin }]) => {
    const { hostname, port } = new URL(origin);
    return [name, { hostname, port: Number(port) }];
  });
  const close = async () => {
    for (const { handler, close } of Object.values(servers)) {
      await handler.close();
      await close();
    }
  };
  return { ...Object.fromEntries(addresses), logs, close };
}
