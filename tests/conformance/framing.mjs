// Follows the HTTP/1.1 messages of one direction of a connection, without holding back or changing a byte of a body.
//
// It assumes what a relay between two programs of ours may: well-formed messages. What it cannot follow it throws on.
//
// https://www.rfc-editor.org/rfc/rfc9112#section-6.3

const LINE_END = Buffer.from("\r\n");
const HEAD_END = Buffer.from("\r\n\r\n");

/**
 * Gives a function that takes the direction's bytes as they come, and calls, in order:
 *
 * - `head({ start, headers }, bytes)` with the first line and the headers by lower-case name,
 * - `body(bytes)` any number of times, without the chunk sizes,
 * - `end()` once the message is whole,
 * - `raw(bytes)` for every byte that is not part of a head, as it stood.
 *
 * `bodyless(head)` says that no body follows whatever the head says, as after HEAD.
 */
export function follow({ head, body, end, raw = () => {}, bodyless = () => false }) {
  let pending = Buffer.alloc(0);
  let state = "head";
  let left = 0;

  const take = (length) => {
    const taken = pending.subarray(0, length);
    pending = pending.subarray(length);
    return taken;
  };
  /** Everything up to and with `mark`, or undefined as long as it is not there. */
  const until = (mark) => {
    const at = pending.indexOf(mark);
    return at < 0 ? undefined : take(at + mark.length);
  };
  const finish = () => {
    state = "head";
    end();
  };
  const pass = () => {
    const taken = take(Math.min(left, pending.length));
    left -= taken.length;
    raw(taken);
    body(taken);
    return left === 0;
  };

  /** One step; whether more can be done with what is there. */
  const steps = {
    head() {
      const bytes = until(HEAD_END);
      if (bytes === undefined) return false;
      const parsed = parseHead(bytes.toString("latin1"));
      head(parsed, bytes);
      if (/^HTTP\/\S+ 1\d\d/.test(parsed.start)) return true;
      [state, left] = bodyless(parsed) ? ["fixed", 0] : bodyOf(parsed);
      if (state === "fixed" && left === 0) finish();
      return true;
    },
    fixed() {
      if (pass()) finish();
      return pending.length > 0;
    },
    size() {
      const line = until(LINE_END);
      if (line === undefined) return false;
      raw(line);
      left = Number.parseInt(line.toString("latin1"), 16);
      if (!(left >= 0)) throw new Error(`no chunk size: ${line}`);
      state = left === 0 ? "trailer" : "chunk";
      return true;
    },
    chunk() {
      if (pass()) state = "chunkEnd";
      return pending.length > 0;
    },
    chunkEnd() {
      if (pending.length < LINE_END.length) return false;
      raw(take(LINE_END.length));
      state = "size";
      return true;
    },
    trailer() {
      const line = until(LINE_END);
      if (line === undefined) return false;
      raw(line);
      if (line.length === LINE_END.length) finish();
      return true;
    },
    toTheEnd() {
      left = pending.length;
      pass();
      return false;
    },
  };
  return (bytes) => {
    pending = Buffer.concat([pending, bytes]);
    while (pending.length > 0 && steps[state]());
  };
}

function parseHead(text) {
  const [start, ...lines] = text.trimEnd().split("\r\n");
  const headers = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    headers[name] ??= line.slice(colon + 1).trim();
  }
  return { start, headers };
}

/** How the body of a message ends, and its length where that is known. */
function bodyOf({ start, headers }) {
  const isResponse = start.startsWith("HTTP/");
  if (isResponse && /^HTTP\/\S+ (204|304)/.test(start)) return ["fixed", 0];
  if (/chunked/i.test(headers["transfer-encoding"] ?? "")) return ["size", 0];
  if (headers["content-length"] !== undefined) return ["fixed", Number(headers["content-length"])];
  return isResponse ? ["toTheEnd", 0] : ["fixed", 0];
}
