// The public API: values of any type, and a host whose fetch, clock, randomness, events, credentials and handlers fail,
// lie, and call back into the replica that calls them.

import assert from "node:assert/strict";

import { ManualClock } from "../../js/support/clock.mjs";
import { LeewardError, Replica } from "../../js/support/leeward.mjs";
import { odd, response } from "./values.mjs";

const STEPS = 60;
const POLICY = [
  { tool: "get_*", rule: "cache;max-age=60;stale-while-revalidate=5;stale-if-error=9" },
  { tool: "live_*", rule: "live" },
];
const TOOLS = ["get_a", "get_b", "live_a", "put_a", "mine"];
/** Opens a session, and its stream. */
const OPENING = [
  {
    jsonrpc: "2.0",
    id: 0,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x", version: "1" } },
  },
  { jsonrpc: "2.0", method: "notifications/initialized" },
];
const CALLBACK = "http://127.0.0.1:9/callback?code=c&state=s";
const OAUTH = {
  grant: "client_credentials",
  clients: [{ issuer: "http://fuzzed.test", clientId: "c", key: { name: "k", algorithm: "ES256" } }],
};
/** How often a hook may call the replica while it is called by it. */
const DEPTH = 2;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** One replica, many calls. */
export async function api(fuzz, canary) {
  const world = new World(fuzz);
  await world.open();
  for (let step = 0; step < STEPS; step += 1) {
    world.step();
    if (fuzz.once(3)) await turn();
    if (fuzz.once(5)) world.clock.advance(fuzz.pick([1, 900, 6_000, 61_000]));
    if (fuzz.once(8)) canary.check();
  }
  // Whoever still waits is told at the latest now.
  await world.replica.close();
  world.release();
  for (let n = 0; n < 3; n += 1) await turn();
  assert.equal(world.waiting, 0, `${world.waiting} calls were never answered`);
  assert.equal(world.clock.timers, 0, "a timer is left");
}

class World {
  clock = new ManualClock();
  /** Calls without an answer. */
  waiting = 0;
  replica;
  #fuzz;
  #depth = 0;
  #held = [];

  constructor(fuzz) {
    this.#fuzz = fuzz;
  }

  async open() {
    const { clock } = this;
    const fuzz = this.#fuzz;
    // What is wrong is refused in words, whatever it is.
    for (let n = fuzz.below(3); n > 0; n -= 1) {
      const name = fuzz.pick(["authority", "policy", "limits", "fetch", "clock", "random", "principal", "tools", "x"]);
      const options = fuzz.once(4) ? odd(fuzz) : { [name]: odd(fuzz) };
      fuzz.call(`open(${name})`);
      await Replica.open(options).then(
        (replica) => replica.close(),
        (error) => this.#judge("open", error),
      );
    }
    this.replica = await Replica.open({
      authority: { url: "http://fuzzed.test/mcp", ...(fuzz.once(2) && { oauth: fuzz.pick([{}, OAUTH]) }) },
      policy: POLICY,
      limits: fuzz.once(2) ? { maxFlights: 3, maxWaiters: 4, maxCacheBytes: 4096 } : {},
      fetch: (url, init) => this.#fetch(init),
      clock: {
        now: () => this.#hook("now", () => (fuzz.once(40) ? odd(fuzz) : clock.now())),
        unix: () => clock.unix(),
        setTimeout: (action, delay) => this.#hook("setTimeout", () => clock.setTimeout(action, delay)),
        clearTimeout: (handle) => this.#hook("clearTimeout", () => clock.clearTimeout(handle)),
      },
      random: (bytes) =>
        this.#hook("random", () => {
          if (fuzz.once(3)) throw new Error("no randomness");
          bytes.fill(7);
        }),
      onEvent: () => this.#hook("onEvent", () => (fuzz.once(4) ? Promise.reject(new Error("log")) : undefined)),
      ...(fuzz.once(2) && { credentialFor: () => this.#hook("credentialFor", () => this.#credential()) }),
      ...(fuzz.once(2) && this.#authorization()),
      tools: [{ name: "mine", rule: "cache;max-age=5", handler: () => this.#hook("handler", () => this.#local()) }],
    });
  }

  /** Hooks for grants. */
  #authorization() {
    const fuzz = this.#fuzz;
    const hook = (name, answers) => () =>
      this.#hook(name, () => (fuzz.once(6) ? Promise.reject(new Error("no")) : fuzz.pick([...answers(), odd(fuzz)])));
    const record = () => [undefined, new Uint8Array([1, 2, 3])];
    return {
      vault: { get: hook("get", record), set: hook("set", record), delete: hook("delete", record) },
      sign: hook("sign", () => [new Uint8Array(64), new ArrayBuffer(64), Promise.resolve(new Uint8Array(1))]),
      authorize: {
        redirectUri: hook("redirectUri", () => ["http://127.0.0.1:9/callback"]),
        open: hook("open", () => [CALLBACK, { authorizationUrl: CALLBACK }, { authorizationUrl: 7 }]),
      },
    };
  }

  /** Lets every fetch that hangs answer, though nobody listens any more. */
  release() {
    for (const resolve of this.#held.splice(0)) resolve(new Response("{}"));
  }

  /** One call of the program's. */
  step() {
    const fuzz = this.#fuzz;
    const { replica } = this;
    const strange = fuzz.once(4);
    const name = strange ? odd(fuzz) : fuzz.pick(TOOLS);
    const args = fuzz.once(6) ? odd(fuzz) : { n: fuzz.below(3) };
    const options = fuzz.once(6) ? odd(fuzz) : { principal: fuzz.pick(["ann", "ben"]), ...this.#limits() };
    switch (fuzz.below(18)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#later("callTool", () => replica.callTool(name, args, options));
      case 4:
        return this.#later("callToolWithCache", () => replica.callToolWithCache(name, args, options));
      case 5:
        return this.#now("peekTool", () => replica.peekTool(name, args, options));
      case 6:
        return this.#later("readResource", () => replica.readResource(strange ? name : "x://a", options));
      case 7:
        return this.#later("listTools", () => replica.listTools(options));
      case 8:
        return this.#later("request", () => replica.request(strange ? name : "tools/list", args, options));
      case 9:
        return this.#now("tool", () => replica.tool(strange ? name : { name: "mine", handler: () => this.#local() }));
      case 10:
        return this.#now("resource", () => replica.resource({ uri: "x://a", name: "a", handler: () => "text" }));
      case 11:
        return this.#now("invalidate", () => replica.invalidate());
      case 12:
        return this.#now("stats", () => replica.stats());
      case 13:
      case 14:
        return this.#transport(args, options);
      case 15:
        return this.#later("finishAuthorization", () => replica.finishAuthorization(strange ? name : CALLBACK));
      case 16:
        return this.#later("signOut", () => replica.signOut(options));
      default:
        return fuzz.once(40) && this.#later("close", () => replica.close());
    }
  }

  #limits() {
    const fuzz = this.#fuzz;
    const controller = new AbortController();
    if (fuzz.once(12)) controller.abort();
    else if (fuzz.once(4)) setImmediate(() => controller.abort());
    return fuzz.once(3) ? { signal: controller.signal, timeoutMs: fuzz.pick([0, 5, 1e12]) } : {};
  }

  #transport(message, options) {
    const fuzz = this.#fuzz;
    this.#now("transport", () => {
      const transport = this.replica.transport(options);
      transport.onmessage = (said) => this.#hook("onmessage", () => assert.equal(said.jsonrpc, "2.0"));
      transport.onclose = () => this.#hook("onclose", () => {});
      const id = fuzz.pick([1, 1, "a", odd(fuzz)]);
      const method = fuzz.pick(["tools/list", "ping", "initialize", "notifications/cancelled", "logging/setLevel"]);
      const sent = fuzz.once(3) ? message : { jsonrpc: "2.0", id, method, params: { requestId: 1, level: "info" } };
      if (fuzz.once(2)) for (const opening of OPENING) this.#later("send", () => transport.send(opening));
      this.#later("send", () => transport.send(sent));
      if (fuzz.once(2)) this.#later("transport.close", () => transport.close());
    });
  }

  /** A call that answers at once. */
  #now(name, action) {
    this.#fuzz.call(name);
    try {
      const answer = action();
      this.#fuzz.saw(name, typeof answer);
    } catch (error) {
      this.#judge(name, error);
    }
  }

  /** A call that answers later, exactly once. */
  #later(name, action) {
    this.#fuzz.call(name);
    this.waiting += 1;
    const promise = action();
    assert.ok(promise instanceof Promise, `${name} gives no promise`);
    promise.then(
      (answer) => {
        this.waiting -= 1;
        this.#fuzz.saw(name, answer?.isError ? "isError" : typeof answer);
        if (answer?.content?.[0]?.text !== undefined) assert.ok(Object.isFrozen(answer));
      },
      (error) => {
        this.waiting -= 1;
        this.#judge(name, error);
      },
    );
  }

  #judge(name, error) {
    assert.ok(error instanceof LeewardError, `${name}: ${error?.stack ?? String(error)}`);
    assert.equal(typeof error.code, "string");
    const { cause } = error;
    // A handler's fault is told by the replica; one of this package's own, or a trap, has a cause.
    const own = error.code === "internal" && error.rpcCode === undefined;
    assert.ok(!own, `${name}: ${error.stack} ${cause?.stack}`);
    this.#fuzz.saw(name, error.code);
  }

  /** Something of the host's is called, and may call back. */
  #hook(name, action) {
    const fuzz = this.#fuzz;
    if (this.replica !== undefined && this.#depth < DEPTH && fuzz.once(6)) {
      this.#depth += 1;
      try {
        fuzz.saw(name, "calls back");
        this.step();
      } finally {
        this.#depth -= 1;
      }
    }
    return action();
  }

  #fetch(init) {
    return this.#hook("fetch", () => response(this.#fuzz, init, (resolve) => this.#held.push(resolve)));
  }

  #credential() {
    const fuzz = this.#fuzz;
    return fuzz.pick(["token", { token: "t", identity: "i" }, undefined, odd(fuzz), Promise.resolve("later")]);
  }

  #local() {
    const fuzz = this.#fuzz;
    if (fuzz.once(5)) return Promise.reject(new Error("no"));
    return fuzz.pick(["text", { content: [] }, { isError: true, content: [] }, odd(fuzz)]);
  }
}
