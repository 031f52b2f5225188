// Entry module of the worker: hands requests to the wasm instance and cleans up after a lost one.
//
// A trap (a Rust panic included) loses the instance with all its memory. The glue makes a new one at its next
// call; what it cannot do is answer the requests that the lost instance held: their promises would never
// settle, and the runtime would end each with its own error page. So each is answered here, at once.
import { __worker_init_state as state, fetch as serve, LeewardSessions as Sessions } from "./build/index.js";

/** For each request being served, the function that gives it up. */
let open = new Set();
let instance = state().instanceId;

addEventListener("error", ({ error }) => {
  // Every call into the glue replaces a broken instance first.
  const present = state().instanceId;
  if (present === instance) return;
  instance = present;
  console.error("leeward: instance lost, its cache with it:", error);
  const lost = open;
  open = new Set();
  for (const giveUp of lost) giveUp();
});

const internalError = () =>
  Response.json({ jsonrpc: "2.0", error: { code: -32603, message: "internal error" } }, { status: 500 });

/** The answer to a request, which `serving` gives unless it is lost. */
async function answer(request, serving) {
  // A promise of this request's own, and its answer made after it: whatever loses the instance runs in
  // another request, and what is made there is of no use here.
  let giveUp;
  const lost = new Promise((resolve) => {
    giveUp = resolve;
  });
  open.add(giveUp);
  // When the client has gone, nothing of this request runs any more unless `waitUntil` holds it.
  request.signal.addEventListener("abort", () => open.delete(giveUp));
  try {
    return (await Promise.race([serving(), lost])) ?? internalError();
  } finally {
    open.delete(giveUp);
  }
}

export default {
  fetch: (request, env, ctx) => answer(request, () => serve(request, env, ctx)),
};

/** A Durable Object: what lasts longer than a request of one principal's. */
export class LeewardSessions {
  #made;
  #sessions;
  #instance;

  constructor(state, env) {
    this.#made = [state, env];
    this.#open();
  }

  #open() {
    this.#instance = state().instanceId;
    this.#sessions = new Sessions(...this.#made);
  }

  fetch(request) {
    // It was lost with the instance that it was made in: what it stored is all that it knows.
    if (this.#instance !== state().instanceId) this.#open();
    return answer(request, () => this.#sessions.fetch(request));
  }
}
