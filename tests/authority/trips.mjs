// Counts what reached this server: the proof that an answer was, or was not, a cache hit.
//
// Reads the raw POST bodies, before the SDK sees them and whatever it makes of them: a refused request is a
// trip too. Client answers to server requests (no `method`) are none. Bodies that are not JSON count under
// the method "(unreadable)". What is no POST counts under its HTTP method, and is no trip.

/**
 * Creates a counter; `total` is the number of requests and notifications, the rest splits it up by name. `left` is what
 * callers gave up, by name.
 */
export function createTrips() {
  let stats = empty();
  let waiting = [];
  return {
    /** Counts what its caller gave up. */
    left(name) {
      bump(stats.left, name);
      waiting = waiting.filter((check) => !check());
    },
    /** Resolves once what has this name has been given up. */
    whenLeft(name) {
      return new Promise((resolve) => {
        const check = () => Object.hasOwn(stats.left, name) && (resolve(), true);
        if (!check()) waiting.push(check);
      });
    },
    count(body) {
      for (const message of messagesOf(body)) tally(stats, message);
    },
    countVerb: (verb) => bump(stats.methods, verb),
    snapshot: () => stats,
    reset() {
      stats = empty();
    },
  };
}

/** The URIs of resources that a `subscriptions/listen` asks for. */
export function subscriptionsIn(body) {
  if (body.length === 0) return [];
  return messagesOf(body).flatMap((message) => {
    const uris = message?.method === "subscriptions/listen" && message.params?.notifications?.resourceSubscriptions;
    return Array.isArray(uris) ? uris : [];
  });
}

function empty() {
  return { total: 0, methods: {}, tools: {}, resources: {}, prompts: {}, left: {} };
}

function messagesOf(body) {
  try {
    const parsed = JSON.parse(body.toString("utf8"));
    return Array.isArray(parsed) ? parsed : [parsed];
  } catch {
    return [{ method: "(unreadable)" }];
  }
}

function tally(stats, message) {
  if (typeof message?.method !== "string") return;
  stats.total += 1;
  bump(stats.methods, message.method);
  const { params } = message;
  if (message.method === "tools/call") bump(stats.tools, params?.name);
  if (message.method === "resources/read") bump(stats.resources, params?.uri);
  if (message.method === "prompts/get") bump(stats.prompts, params?.name);
}

function bump(counts, key) {
  const name = String(key);
  counts[name] = (Object.hasOwn(counts, name) ? counts[name] : 0) + 1;
}
