// Odd values, and odd answers of fetch.

const cyclic = { a: 1 };
cyclic.cyclic = cyclic;
const HUGE = "x".repeat((1 << 20) + 1);

/** A value of any type. */
export function odd(fuzz) {
  return fuzz.pick([
    undefined, null, 0, -1, 0.5, NaN, Infinity, 1e308, 5n, "", "x", "\ud800", "a\u0000b", HUGE, true,
    Symbol("s"), [], [1, [2]], {}, cyclic, () => 5, new Date(NaN), new Map([[1, 2]]), /x/, new Uint8Array(3),
    Object.create(null), { toJSON: () => 5 }, { toJSON: () => ({ n: 1 }) }, { n: 5n }, { principal: "\udfff" },
    { principal: HUGE }, { principal: 5 }, { signal: 5 }, { timeoutMs: "x" }, { name: "mine" },
    { name: "x", handler: 5 }, { name: HUGE, handler: () => "x" }, { _meta: { x: 1 } }, { _meta: 5 },
    { jsonrpc: "2.0", id: 1, method: "tools/call" }, Promise.resolve(1), new Error("x"), class {},
  ]);
}

const encoder = new TextEncoder();

/** What fetch returns, throws or promises; `hold` keeps one that does not come yet. */
export function response(fuzz, { body }, hold) {
  const said = body === undefined ? {} : JSON.parse(new TextDecoder().decode(body));
  if (said.method === "server/discover" && !fuzz.once(8)) return Promise.resolve(json(said, discovered));
  switch (fuzz.below(14)) {
    case 0:
      throw new Error("thrown at once");
    case 1:
      return Promise.reject(fuzz.pick([new Error("down"), undefined, 5, Symbol("s")]));
    case 2:
      return odd(fuzz);
    case 3:
      return Promise.resolve({ status: 200, headers: odd(fuzz), body: odd(fuzz) });
    case 4:
      return new Promise(hold);
    case 5:
      return Promise.resolve(new Response(fuzz.pick(["", "{", "[]", "null"]), { status: fuzz.pick([200, 400, 404, 503]) }));
    case 6:
    case 7:
      return Promise.resolve(chunked(said, fuzz));
    case 8:
      return Promise.resolve({
        status: 200,
        headers: new Headers({ "content-type": "application/json" }),
        arrayBuffer: async () => encoder.encode(text(said, answered)).buffer,
      });
    default:
      return Promise.resolve(json(said, answered));
  }
}

const discovered = { supportedVersions: ["2026-07-28"], capabilities: { tools: {} }, ttlMs: 60_000, cacheScope: "public" };
const answered = { content: [{ type: "text", text: "FUZZED" }], tools: [], contents: [] };

const text = ({ id }, result) => JSON.stringify({ jsonrpc: "2.0", id, result });
const json = (said, result) => new Response(text(said, result), { headers: { "content-type": "application/json" } });

/** A body in chunks on memory of all kinds, which its owner may take back. */
function chunked(said, fuzz) {
  const large = fuzz.once(3) ? "x".repeat(600_000) : "";
  const whole = encoder.encode(text(said, { ...answered, large }));
  const chunks = [whole.subarray(0, 9), whole.subarray(9)].map((bytes) => lay(fuzz, bytes));
  const read = async () => {
    if (fuzz.once(20)) return fuzz.pick([{ done: false }, { value: 5 }, null, { done: false, value: "text" }]);
    const next = chunks.shift();
    if (next === undefined) return { done: true };
    if (fuzz.once(3)) queueMicrotask(next.take);
    else if (fuzz.once(3)) setImmediate(next.take);
    return { done: false, value: next.view };
  };
  const cancel = () => {
    if (fuzz.once(4)) throw new Error("cannot be cancelled");
    return Promise.resolve();
  };
  const body = { getReader: () => ({ read, cancel }) };
  return { status: 200, headers: new Headers({ "content-type": "application/json" }), body };
}

/** Bytes on memory of some kind, and how to take it back. */
function lay(fuzz, bytes) {
  const fill = (buffer) => {
    new Uint8Array(buffer).set(bytes);
    return buffer;
  };
  switch (fuzz.below(5)) {
    case 0: {
      const buffer = fill(new SharedArrayBuffer(bytes.length));
      return { view: new Uint8Array(buffer), take: () => new Uint8Array(buffer).fill(0) };
    }
    case 1: {
      const buffer = fill(new ArrayBuffer(bytes.length, { maxByteLength: bytes.length + 9 }));
      return { view: new Uint8Array(buffer), take: () => buffer.resize(1) };
    }
    case 2: {
      const buffer = fill(new ArrayBuffer(bytes.length));
      return { view: new Uint8Array(buffer), take: () => structuredClone(buffer, { transfer: [buffer] }) };
    }
    case 3: {
      const buffer = fill(new ArrayBuffer(bytes.length));
      return { view: new DataView(buffer), take: () => {} };
    }
    default:
      return { view: Uint8Array.from(bytes), take: () => {} };
  }
}
