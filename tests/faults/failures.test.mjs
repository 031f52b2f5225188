// docs/FAILURES.md, row by row: each fault at a socket, with the server's log as witness.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FAULTS, GOOD } from "./support/faults.mjs";
import { cell, observe, open, under } from "./support/observe.mjs";
import { ROWS } from "./support/table.mjs";
import { SESSION, json, response } from "./support/wire.mjs";

/** Variants at once: each is a replica, two servers and a handful of connections. */
const TOGETHER = 16;

/** Runs an action for each, some at a time; what fails says for which. */
async function each(variants, action) {
  const left = [...variants.entries()];
  const run = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [at, variant] = next;
      await action(variant).catch((error) => {
        error.message = `variant ${variant.name ?? at}: ${error.message}`;
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, run));
}

const world = async (t, options) => {
  const world = await open(options);
  t.after(world.close);
  return world;
};

test("every fault has its row, and every row its fault", () => {
  assert.deepEqual([...ROWS.keys()], FAULTS.map(({ name }) => name));
});

for (const { name, tls, eras, variants } of FAULTS) {
  for (const era of eras) {
    test(`${name} (${era})`, () =>
      each(variants, async (variant) => {
        assert.deepEqual(await observe(variant, { era, tls: tls && GOOD }), ROWS.get(name));
      }));
  }
}

/** What tells the eras apart, and opens a session. */
const HANDSHAKE = ["server/discover", "initialize", "notifications/initialized"];

for (const { name, tls, eras, variants } of FAULTS) {
  // The stalls and breaks at each byte are many and alike.
  const some = variants.filter((_, at) => at % Math.ceil(variants.length / 8) === 0);
  for (const era of eras) {
    test(`before the first request: ${name} (${era})`, (t) =>
      each(some, (variant) => meetsAHandshake(t, variant, name, era, tls)));
  }
}

/** A write that meets the fault before it is sent was not sent, says what a read would, and is done once the fault is over. */
async function meetsAHandshake(t, variant, name, era, tls) {
  const { wire, clock, replica } = await world(t, { era, tls: tls && GOOD });
  let over = false;
  const writes = () => wire.of("tools/call").length;
  await variant.begin?.(wire);
  wire.script = (request) => {
    // A session-era server refuses the probe, and then the fault is in the session's beginning.
    const meets = era === "sessions" ? HANDSHAKE.slice(1) : HANDSHAKE;
    if (!over && meets.includes(request.rpc)) return variant.say?.(request, wire);
  };
  const call = replica.callTool("put_one").then((result) => ({ result }), (error) => ({ error }));
  if (variant.waits) {
    await wire.arrived(era === "sessions" ? "initialize" : "server/discover");
    clock.advance(60_000);
  }
  const { result, error } = await call;
  if (/^(status 40[04]|-32602)/.test(name)) {
    // Who refuses the handshake so may be a stateless server without one, and is asked the request itself.
    assert.notEqual(error?.code, "unknown_outcome");
    assert.ok(writes() <= 1, JSON.stringify(result));
  } else {
    assert.equal(cell({ result, error }), ROWS.get(name)[0]);
    assert.equal(writes(), 0, "a write is never sent to find out");
  }
  if (variant.begin === undefined) {
    over = true;
    const before = writes();
    await replica.callTool("put_one");
    assert.equal(writes(), before + 1);
  }
}

test("after an authoritative refusal nothing stale is served, then or later", async (t) => {
  const refusals = [
    () => ({ bytes: response(401, {}) }),
    () => ({ bytes: response(403, {}) }),
    ({ id }) => ({ bytes: json({ jsonrpc: "2.0", id, error: { code: -32602, message: "no" } }) }),
  ];
  for (const era of ["modern", "sessions"]) {
    for (const say of refusals) {
      const { wire, clock, replica } = await world(t, { era });
      await replica.callTool("get_one");
      clock.advance(61_000);
      wire.script = (request) => (request.rpc === "tools/call" ? say(request) : undefined);
      await assert.rejects(replica.callTool("get_one"));
      await wire.close();
      await assert.rejects(replica.callTool("get_one"), { code: "authority_unreachable" });
    }
  }
});

test("a body over the limit is given up while it comes", async (t) => {
  const { variants } = FAULTS.find(({ name }) => name.startsWith("a body over"));
  for (const variant of variants) {
    const { wire, clock, replica } = await world(t);
    wire.script = (request) => (request.rpc === "tools/call" ? variant.say(request, wire) : undefined);
    const call = under({ wire, clock, replica }, variant, "live_one");
    const { socket } = await wire.arrived("tools/call");
    const left = new Promise((resolve) => socket.once("close", resolve));
    assert.equal(cell(await call), "`authority_invalid`");
    await left;
  }
});

test("a write on a kept connection that breaks under it is not sent again", async (t) => {
  for (const then of ["end", "reset"]) {
    const { wire, replica } = await world(t);
    const keep = (request) => ({
      bytes: Buffer.from(wire.sound(request).toString().replace("connection: close", "connection: keep-alive")),
      then: "stall",
    });
    wire.script = keep;
    // More than one connection may be kept.
    for (let at = 0; at < 3; at += 1) await replica.callTool("live_one");
    const kept = wire.log.map(({ socket }) => socket);
    wire.script = () => ({ then });
    await assert.rejects(replica.callTool("put_one"), { code: "unknown_outcome" });
    const writes = wire.of("tools/call").filter(({ params }) => params.name === "put_one");
    assert.equal(writes.length, 1);
    assert.ok(kept.includes(writes[0].socket), "the connection was kept");
    wire.script = () => undefined;
    await replica.callTool("put_one");
  }
});

test("sound answers in odd forms are answers", async (t) => {
  const text = (bytes) => bytes.toString();
  const headless = (bytes) => text(bytes).slice(text(bytes).indexOf("\r\n\r\n") + 4);
  const head = (more) => `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${more}\r\n`;
  const stream = (data) => ({ bytes: `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${data}`, then: "stall" });
  const forms = {
    "HTTP/1.0, to the connection's end": (sound) => ({
      bytes: `HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n${headless(sound)}`,
    }),
    "103 Early Hints before it": (sound) => ({ bytes: `HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${sound}` }),
    "chunks with extensions and trailers": (sound) => ({
      bytes: `${head("transfer-encoding: chunked\r\n")}${headless(sound).length.toString(16)};x=y\r\n${headless(sound)}\r\n0\r\nx: y\r\n\r\n`,
    }),
    "a stream that begins with a byte order mark and goes on after the answer": (sound) =>
      stream(`\ufeff: hello\r\rretry: 1\rid: 1\rdata:\r\rdata: ${headless(sound)}\r\rdata: {"jsonrpc":"2.0","method":"x"}\r\r`),
    "the answer twice": (sound) => stream(`data: ${headless(sound)}\n\n`.repeat(2)),
    "a stream that asks and tells things that are nobody's": (sound) =>
      stream(
        [
          { jsonrpc: "2.0", id: 1, method: "sampling/createMessage", params: {} },
          { jsonrpc: "2.0", id: "x", method: "ping" },
          { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "theirs", progress: 1 } },
          { jsonrpc: "2.0", method: "notifications/message", params: { level: "error", data: "x" } },
          { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } },
          JSON.parse(headless(sound)),
        ]
          .map((message) => `data: ${JSON.stringify(message)}\n\n`)
          .join(""),
      ),
    "more headers than anybody reads": (sound) => ({
      bytes: `${head(`content-length: ${headless(sound).length}\r\n${"x-a: b\r\n".repeat(1000)}`)}${headless(sound)}`,
    }),
  };
  for (const era of ["modern", "sessions"]) {
    for (const [form, make] of Object.entries(forms)) {
      const { wire, clock, replica } = await world(t, { era });
      wire.script = (request) => (request.rpc === "tools/call" ? make(wire.sound(request)) : undefined);
      for (const tool of ["live_one", "put_one"]) {
        const { result, error, sent } = await under({ wire, clock, replica }, {}, tool);
        assert.equal(error, undefined, `${form}: ${error?.stack}`);
        assert.match(result.content[0].text, new RegExp(`^${tool} `), form);
        assert.equal(sent, 1, form);
      }
      // A stateless server has nobody to ask (2026-07-28, Transports, Streamable HTTP): it is not answered either.
      if (era === "modern") assert.ok(wire.log.every(({ rpc }) => rpc !== undefined), form);
    }
  }
});

test("an answer that comes before the request is whole", async (t) => {
  const large = { text: "x".repeat(900_000) };
  for (const [say, code] of [
    [response(401, {}), "authority_auth_required"],
    [response(413, { "content-type": "text/plain" }, "too large"), "authority_invalid"],
  ]) {
    const { wire, replica } = await world(t);
    await replica.callTool("live_one");
    let early = 0;
    wire.early = (socket) => {
      early += 1;
      socket.write(say);
      // What else comes is read, as by a server that means its answer to be heard.
      socket.resume();
      return true;
    };
    await assert.rejects(replica.callTool("put_one", large), { code });
    assert.equal(early, 1, "nothing is sent again");
  }
});

test("a session whose id changes on the way is the one that was opened", async (t) => {
  const { wire, replica } = await world(t, { era: "sessions" });
  let answers = 0;
  wire.script = (request) => {
    if (request.rpc !== "tools/call") return undefined;
    const sound = wire.sound(request).toString();
    return { bytes: sound.replace("\r\n", `\r\nmcp-session-id: other-${(answers += 1)}\r\n`) };
  };
  for (const tool of ["live_one", "put_one", "live_one"]) await replica.callTool(tool);
  assert.deepEqual(wire.of("tools/call").map(({ headers }) => headers["mcp-session-id"]), Array(3).fill(SESSION));
});
