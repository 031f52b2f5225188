// The npm package under test, as actions for the suite's orders (see orders.mjs). Time stands still unless the suite
// moves it. Nothing here is of one runtime: a program for each imports the package by its entry there, and brings the
// orders.

/** A clock that the suite moves, with the timers that hang on it. */
class Clock {
  #now = 1_000_000;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;
  unix = () => 1_790_000_000_000 + this.#now;

  setTimeout = (action, delayMs) => {
    this.#timers.set((this.#last += 1), { at: this.#now + Math.max(0, delayMs), action });
    return this.#last;
  };

  clearTimeout = (handle) => void this.#timers.delete(handle);

  async advance(ms) {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      const [handle, { at, action }] = due;
      this.#timers.delete(handle);
      this.#now = Math.max(this.#now, at);
      action();
      await turn();
    }
    this.#now = end;
  }
}

/** A turn of the runtime's own loop. */
const turn = () => new Promise((resolve) => (globalThis.setImmediate ?? setTimeout)(resolve));

/**
 * What the runtime's program gives: its name and version (`runtime`), the URL of the package's entry (`entry`), the
 * package's `Replica`, where answers go (`say`) and where warnings do (`warn`).
 */
let host;

/** The replica under test and what belongs to it. */
let world;

/** The actions, for the package that a program has imported. */
export function drive(given) {
  host = given;
  return actions;
}

/** Frees what is open. */
export async function close() {
  await world?.replica.close();
}

const actions = {
  async about() {
    const { runtime, entry } = host;
    return { runtime, entry: entry.slice(entry.lastIndexOf("/dist/") + 1) };
  },

  async open({ config, credentials }) {
    await close();
    const clock = new Clock();
    const given = new Map();
    const events = [];
    let drawn = 0;
    const replica = await host.Replica.open({
      ...config,
      clock,
      random: (bytes) => {
        for (let at = 0; at < bytes.length; at += 1) bytes[at] = drawn = (drawn * 31 + 17) % 256;
      },
      onEvent: (event) => events.push(JSON.stringify(event)),
      ...(credentials && {
        credentialFor: (principal) => {
          const credential = given.get(principal);
          if (typeof credential === "string") throw new Error(credential);
          return credential;
        },
      }),
    });
    world = { replica, clock, given, events, connections: [], sent: new Map(), counts: new Map() };
    return {};
  },

  async connect({ principal }) {
    const transport = world.replica.transport({ principal });
    const connection = { transport, waiting: [] };
    transport.onmessage = (message) => receive(connection, message);
    transport.onerror = (error) => host.warn(`transport: ${error.stack}`);
    await transport.start();
    world.connections.push(connection);
    return { connection: world.connections.length - 1 };
  },

  async send({ n, connection: at, message }) {
    const connection = world.connections[at];
    const request = { n, message, messages: [], connection, done: false };
    world.sent.set(n, request);
    if (message.id !== undefined) connection.waiting.push(request);
    try {
      await connection.transport.send(message);
    } catch (error) {
      remove(connection, request);
      throw error;
    }
    if (message.id === undefined) return { messages: [] };
  },

  async cancel({ request: n }) {
    const request = world.sent.get(n);
    remove(request.connection, request);
    const params = { requestId: request.message.id };
    await request.connection.transport.send({ jsonrpc: "2.0", method: "notifications/cancelled", params });
    return {};
  },

  async heard({ request: n, count }) {
    const request = world.sent.get(n);
    while (request.messages.length < count) await new Promise((resolve) => (request.heard = resolve));
    return { messages: request.messages };
  },

  async answered({ request }) {
    await turn();
    return { answered: world.sent.get(request).done };
  },

  async advance({ ms }) {
    await world.clock.advance(ms);
    return {};
  },

  // Orders are begun one after the other, so whatever was sent has been taken by now.
  async settle({ idle }) {
    do await turn();
    while (idle && world.replica.stats().flights > 0);
    return {};
  },

  async register({ kind, definition, rule, answer }) {
    const item = { ...definition, ...(rule !== null && { rule }), handler: handler(kind, definition, answer) };
    if (kind === "tool") world.replica.tool(item);
    else world.replica.resource(item);
    return {};
  },

  async credential({ principal, credential }) {
    world.given.set(principal, credential ?? undefined);
    return {};
  },

  async events() {
    await turn();
    return { events: world.events };
  },
};

/** A message of the replica: the response ends its request, a notification belongs to who asked for it. */
function receive(connection, message) {
  if (message.method !== undefined) {
    const token = message.params?.progressToken;
    const subscription = message.params?._meta?.["io.modelcontextprotocol/subscriptionId"];
    const mine = ({ message: { id, params } }) => {
      if (subscription !== undefined) return id === subscription;
      return token === undefined || params?._meta?.progressToken === token;
    };
    for (const request of connection.waiting.filter(mine)) {
      request.messages.push(message);
      request.heard?.();
    }
    return;
  }
  // An id that cannot be repeated is left out: the suite then has no other request under way.
  const mine = ({ message: { id } }) => message.id === undefined || id === message.id;
  const request = connection.waiting.find(mine);
  if (request === undefined) throw new Error(`an answer that nobody waits for: ${JSON.stringify(message)}`);
  remove(connection, request);
  request.done = true;
  request.messages.push(message);
  request.heard?.();
  if (request.message.method === "initialize" && message.result) {
    connection.transport.setProtocolVersion(message.result.protocolVersion);
  }
  host.say({ n: request.n, messages: request.messages });
}

function remove(connection, request) {
  connection.waiting = connection.waiting.filter((waiting) => waiting !== request);
}

function handler(kind, { name, uri }, { text, raw, fails }) {
  const key = name ?? uri;
  return () => {
    const count = (world.counts.get(key) ?? 0) + 1;
    world.counts.set(key, count);
    if (fails !== undefined) throw new Error(fails);
    return text === undefined ? JSON.parse(raw) : text.replace("#", count);
  };
}
