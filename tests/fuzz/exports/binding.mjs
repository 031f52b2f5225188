// The generated binding: whatever the numbers and texts, an engine answers or refuses, and never traps.

import assert from "node:assert/strict";

import { glue } from "../../js/support/leeward.mjs";

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const TEXTS = [
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{${META},"name":"echo"}}local2025-11-25`,
  `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{${META},"name":"mine","arguments":{"a":1}}}`,
  `{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{${META},"uri":"x:y"}}`,
  '{"jsonrpc":"2.0","id":"a","method":"tools/list"}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
  '{"jsonrpc":"2.0","id":4,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}',
  '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[]}}',
  '{"name":"mine","inputSchema":{"type":"object"}}',
  '{"uri":"x:y","name":"mine"}',
  "cache;max-age=9",
  "content-type\napplication/json\ncontent-type\ntext/event-stream\n\n\n",
  "content-type\napplication/json\n",
  "data: {}\n\n",
  "POST\n/mcp\nhost\nlocalhost\norigin\nhttp://localhost\ncontent-type\napplication/json\nauthorization\nBearer x\n",
  "GET\n/mcp\nhost\nlocalhost\naccept\ntext/event-stream\nauthorization\nBearer x\nmcp-session-id\nx\nlast-event-id\n1-1-1-r31\n",
  "OPTIONS\n/mcp\norigin\nhttp://localhost\naccess-control-request-method\nPOST\nhost\nlocalhost\n",
  '{"token-of-mine-0123456789":"mine"}',
  "/mcp",
  "",
  "\u0000\ud800",
];
const NUMBERS = [0, 1, 2, 3, 5, 8, 12, 20, 200, -1, 0.5, 1e9, 2 ** 31, 2 ** 32 - 1, 2 ** 53, 2 ** 64, -Infinity, Infinity, NaN];
const TYPES = [undefined, null, true, "7", "", {}, [], [9]];
const STEPS = 300;
/** Outputs: a fetch, which is answered by its own id so that calls get deep. */
const FETCH = 1;

const takesTexts = (name) => name.startsWith("register") || name === "openGate";
const encoder = new TextEncoder();

/** One engine, many calls. */
export async function binding(fuzz, canary) {
  const memory = () => glue.initSync().memory;
  const config = { authority: "http://127.0.0.1:9/mcp", policy: [{ tool: "*", rule: "cache;max-age=9" }] };
  const engine = new glue.Engine(JSON.stringify(config), fuzz.below(64));
  const methods = Object.getOwnPropertyNames(glue.Engine.prototype).filter(
    (name) => !["constructor", "free"].includes(name) && !name.startsWith("__"),
  );
  const ops = [0];
  const write = (text, spare) => {
    const bytes = encoder.encode(text);
    const at = engine.input(bytes.length + spare);
    const room = engine.inputCapacity();
    assert.ok(room >= bytes.length + spare && at + room <= memory().buffer.byteLength);
    // All of the room is ours to fill.
    new Uint8Array(memory().buffer, at, room).fill(fuzz.below(256));
    new Uint8Array(memory().buffer, at, bytes.length).set(bytes);
    return bytes.length;
  };
  for (let step = 0; step < STEPS; step += 1) {
    let length = write(fuzz.pick(TEXTS), fuzz.pick([0, 1, 70_000]));
    const name = fuzz.once(4) ? "pollOutput" : fuzz.pick(methods);
    const number = () => fuzz.pick([fuzz.pick(NUMBERS), fuzz.pick(ops), ops.at(-1), length, fuzz.pick(TYPES)]);
    let args = Array.from({ length: 8 }, number);
    if (fuzz.once(3)) args[0] = args[1] = 5_000;
    // The glue takes the length of a text on trust, so nothing but texts may be given for one: see `api.mjs`.
    if (takesTexts(name)) args = [fuzz.pick(TEXTS), fuzz.pick([undefined, null, ...TEXTS])];
    fuzz.call(`${name}(${args.map(String)})`);
    try {
      const answer = engine[name](...args);
      fuzz.saw(name, typeof answer === "number" ? Math.sign(answer) : typeof answer);
      if (engine.op() > 0) ops.push(engine.op(), engine.ticket());
      if (name === "pollOutput" && answer === FETCH && fuzz.once(2)) deepen(engine, write);
      const size = engine.outputLength();
      assert.ok(engine.output() + size <= memory().buffer.byteLength);
      canary.unheard(new Uint8Array(memory().buffer, engine.output(), size));
    } catch (error) {
      // A text is the engine's own word; glue refuses types by itself.
      assert.ok(typeof error === "string" || error instanceof TypeError, `${fuzz.last}: ${error?.stack ?? error}`);
      if (typeof error === "string") fuzz.saw(name, JSON.parse(error).data.code);
    }
    if (fuzz.once(16)) canary.check();
  }
  engine.free();
  // What is freed is gone, not somebody else's.
  // Seldom, since wasm-bindgen throws this through frames of wasm, whose stack it thereby loses.
  const name = fuzz.pick(methods);
  if (!fuzz.once(10)) return;
  const args = takesTexts(name) ? ["{}", "live"] : [0, 0, 0, 0, 0, 0, 0];
  assert.throws(() => engine[name](...args), /null pointer/, name);
}

/** Gives a fetch an answer that fits, so that something is stored. */
function deepen(engine, write) {
  const { op, split, output, outputLength } = {
    op: engine.op(),
    split: engine.split(),
    output: engine.output(),
    outputLength: engine.outputLength(),
  };
  const memory = glue.initSync().memory.buffer;
  const text = new TextDecoder().decode(new Uint8Array(memory, output + split, outputLength - split));
  const { id, method } = JSON.parse(text);
  const result =
    method === "server/discover"
      ? { supportedVersions: ["2026-07-28"], capabilities: {}, ttlMs: 1, cacheScope: "public" }
      : { content: [{ type: "text", text: "FUZZED" }], tools: [], contents: [] };
  engine.handleHead(5_000, 0, op, 200, write("content-type\napplication/json\n", 0));
  for (let kind = engine.pollOutput(); kind !== 0; kind = engine.pollOutput()) {
    if (kind !== 2) continue;
    const read = engine.op();
    engine.handleChunk(5_000, 0, read, write(JSON.stringify({ jsonrpc: "2.0", id, result }), 0));
    if (engine.pollOutput() === 2) engine.handleEnd(5_000, 0, engine.op());
    return;
  }
}
