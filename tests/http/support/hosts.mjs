// The host under test: the worker in workerd, or `leeward/fetch` behind a server of Node's. LEEWARD_HTTP_HOST says
// which, `worker` or `fetch`; the tests are the same.

/** Tokens that the tests use; their principals are `alice` and `bob`. */
export const ALICE = "token-of-alice-0123456789";
export const BOB = "token-of-bob-0123456789";
export const TOKENS = JSON.stringify({ [ALICE]: "alice", [BOB]: "bob" });

const host = process.env.LEEWARD_HTTP_HOST ?? "worker";

const starts = {
  worker: async () => (await import("./worker.mjs")).startWorkers,
  fetch: async () => (await import("./fetch.mjs")).startHandlers,
};

/**
 * Starts one host per member of `deployments`, a table of name -> bindings in the worker's terms; with `sessions` among
 * them it keeps sessions. The result has for each name where it listens; beside them `logs`, of `{ level, message }`,
 * and `close`.
 */
export const startHosts = await starts[host]();
