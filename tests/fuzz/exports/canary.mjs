// The neighbour: a replica of known answers in the same wasm instance. Its clock stands still, so each answer is always
// the same bytes; and its words stand in nobody else's output.

import assert from "node:assert/strict";

import { Replica } from "../../js/support/leeward.mjs";

/** A word of the canary's answers, and of nothing else. */
const MARK = "CANARY-7f3a";
const SIZES = [0, 1, 7, 100, 4_000, 70_000];
const META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const NOW = [5_000, 1_790_000_000_000];
const [REPLY, FETCH, READ, ENTROPY] = [9, 1, 2, 7];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** See the file. */
export class Canary {
  #glue;
  #engine;
  #answers;

  /** Opens one in the instance there is, or makes one. */
  static async open(glue) {
    const maker = await Replica.open();
    await maker.close();
    return new Canary(glue);
  }

  constructor(glue) {
    this.#glue = glue;
    const config = { authority: "http://canary.test/mcp", policy: [{ tool: "*", rule: "cache;max-age=3600" }] };
    this.#engine = new glue.Engine(JSON.stringify(config), false, false, false);
    // Without it nothing is stored.
    assert.equal(this.#engine.pollOutput(), ENTROPY);
    this.#engine.handleEntropy(...NOW, this.#engine.op(), this.#write("e".repeat(this.#engine.about())));
    for (const size of SIZES) this.#store(size);
    this.#answers = SIZES.map((size) => this.#ask(size));
    for (const answer of this.#answers) assert.match(answer, /leeward;hit/);
  }

  /** Every answer is what it was; nothing was added or lost. */
  check() {
    SIZES.forEach((size, at) => assert.equal(this.#ask(size), this.#answers[at], "the neighbour's answer changed"));
  }

  /** Nothing of the canary's stands in somebody else's bytes. */
  unheard(bytes) {
    assert.ok(!decoder.decode(bytes).includes(MARK), "the neighbour's words");
  }

  close() {
    this.#engine.free();
  }

  #write(text) {
    const bytes = encoder.encode(text);
    const at = this.#engine.input(bytes.length);
    new Uint8Array(this.#glue.initSync().memory.buffer, at, bytes.length).set(bytes);
    return bytes.length;
  }

  #output() {
    const at = this.#engine.output();
    const bytes = new Uint8Array(this.#glue.initSync().memory.buffer, at, this.#engine.outputLength());
    return decoder.decode(bytes);
  }

  #serve(size) {
    const message = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{${META},"name":"t","arguments":{"n":${size}}}}`;
    const length = this.#write(`${message}me`) - 2;
    return this.#engine.serve(...NOW, length, 2, 0, 0, 0);
  }

  #ask(size) {
    assert.equal(this.#serve(size), 0, "the neighbour lost an answer");
    return this.#output();
  }

  #store(size) {
    const engine = this.#engine;
    assert.equal(this.#serve(size), 1);
    let body;
    for (let kind = engine.pollOutput(); kind !== 0; kind = engine.pollOutput()) {
      const op = engine.op();
      if (kind === FETCH) {
        const { id, method } = JSON.parse(this.#output().slice(engine.split()));
        const result =
          method === "server/discover"
            ? { supportedVersions: ["2026-07-28"], capabilities: { tools: {} }, ttlMs: 60_000, cacheScope: "public" }
            : { content: [{ type: "text", text: MARK + "c".repeat(size) }] };
        body = JSON.stringify({ jsonrpc: "2.0", id, result });
        engine.handleHead(...NOW, op, 200, this.#write("content-type\napplication/json\n"));
      }
      if (kind === READ && body !== undefined) engine.handleChunk(...NOW, op, this.#write(body));
      else if (kind === READ) engine.handleEnd(...NOW, op);
      if (kind === READ) body = undefined;
      if (kind === REPLY) assert.ok(this.#output().includes(MARK));
    }
  }
}
