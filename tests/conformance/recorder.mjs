// Reads the MCP messages out of what passes a relay, and judges those that this side of the border must answer for.

import { faults } from "./judge.mjs";

/**
 * Records one border: between a client and a server, by name, such as `agent` and `replica`.
 *
 * @param {object} border
 * @param {string} border.client
 * @param {string} border.server
 * @param {string} border.version what is spoken where a request does not say.
 * @param {boolean} border.judgesClient false where the client sends wrong messages on purpose.
 * @param {Set<string>} border.onPurpose what is wrong with those; judged elsewhere, the same is no fault of who only
 *   passes it on.
 */
export function createRecorder({ client, server, version: fallback, judgesClient, onPurpose }) {
  const seen = { [client]: 0, [server]: 0 };
  const violations = [];
  /** Methods of requests that were not answered in their own exchange, by session, sender and id. */
  const asked = new Map();
  const listeners = [];

  function note(from, message, { version, session, methods }) {
    const toServer = from === client;
    const keyOf = (sender, id) => JSON.stringify([session, sender, id]);
    for (const one of Array.isArray(message) ? message : [message]) {
      seen[from] += 1;
      const isRequest = one?.method !== undefined && one.id !== undefined;
      const answered = keyOf(toServer ? server : client, one?.id);
      const method = isRequest ? undefined : (methods.get(JSON.stringify(one?.id)) ?? asked.get(answered));
      if (isRequest) {
        if (toServer) methods.set(JSON.stringify(one.id), one.method);
        asked.set(keyOf(from, one.id), one.method);
      }
      if (one?.method === undefined && one?.id !== undefined && method === undefined) {
        if (!toServer || judgesClient) violate(from, "answers no request", JSON.stringify(one));
      }
      const kind = method === undefined ? (one?.method ?? "answer") : `answer to ${method}`;
      for (const fault of faults(one, { version, toServer, method })) {
        const key = JSON.stringify([one?.method, { ...one?.params, _meta: undefined }, fault]);
        if (toServer && !judgesClient) onPurpose.add(key);
        else if (!toServer || !onPurpose.has(key)) violate(from, fault, `${version}, ${kind}: ${JSON.stringify(one)}`);
      }
    }
  }

  function violate(from, fault, what) {
    const to = from === client ? server : client;
    violations.push(`${from} -> ${to}: ${fault}\n         ${what.slice(0, 2000)}`);
  }

  /** As `openRelay` takes it. */
  function record({ headers }) {
    const about = {
      version: headers["mcp-protocol-version"] ?? fallback,
      session: headers["mcp-session-id"],
      methods: new Map(),
    };
    let request = Buffer.alloc(0);
    let read;
    const take = (from, text) => {
      const message = parse(text);
      if (message !== undefined) note(from, message, about);
      else if (from === server || judgesClient) violate(from, "not JSON", text);
    };
    return {
      request: (bytes) => void (request = Buffer.concat([request, bytes])),
      requestEnd() {
        if (request.length === 0) return;
        for (const listener of listeners) listener(request);
        take(client, request.toString());
      },
      head: (response) => void (read = reader(response, (text) => take(server, text))),
      body: (bytes) => read?.(bytes),
      end: () => read?.(),
    };
  }

  return { record, seen, violations, onRequest: (listener) => listeners.push(listener) };
}

/** Gives a function that takes the bytes of a body and, at its end, nothing; or undefined for bodies of no messages. */
function reader({ headers }, message) {
  const type = (headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
  if (type === "text/event-stream") return events(message);
  if (type !== "application/json") return undefined;
  let body = Buffer.alloc(0);
  return (bytes) => {
    if (bytes !== undefined) body = Buffer.concat([body, bytes]);
    else if (body.length > 0) message(body.toString());
  };
}

/** Reads the data of server-sent events; priming events have none. */
function events(message) {
  const decoder = new TextDecoder();
  let pending = "";
  return (bytes) => {
    if (bytes === undefined) return;
    pending += decoder.decode(bytes, { stream: true });
    // Events end with a blank line. `\r` may be the first half of a line's end that is not there yet.
    const blocks = pending.replaceAll("\r\n", "\n").split("\n\n");
    pending = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:"));
      const text = data.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
      if (text !== "") message(text);
    }
  };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
