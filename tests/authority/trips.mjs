// Counts what reached this server: the proof that an answer was, or was not, a cache hit.
//
// Reads the raw POST bodies, before the SDK sees them and whatever it makes of them: a refused request is a
// trip too. Client answers to server requests (no `method`) are none. Bodies that are not JSON count under
// the method "(unreadable)". What is no POST counts under its HTTP method, and is no trip.

/** Creates a counter; `total` is the number of requests and notifications, the rest splits it up by name. */
export function createTrips() {
  let stats = empty();
  return {
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

function empty() {
  return { total: 0, methods: {}, tools: {}, resources: {}, prompts: {} };
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
