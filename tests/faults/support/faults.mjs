// Every fault by the name that docs/FAILURES.md gives it: a list of variants, each of which ends the same way.
//
// A variant is `{ say, begin, waits }`: what is said to a request (see `Wire.script`), what is done to the server
// before, and whether only the clock ends it. A fault may be of one era only, or of TLS.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

import { events, json, response } from "./wire.mjs";

const JSON_TYPE = { "content-type": "application/json" };
const EVENTS_TYPE = { "content-type": "text/event-stream", "content-length": undefined };
const CHUNKED = { ...JSON_TYPE, "content-length": undefined, "transfer-encoding": "chunked" };

const sound = (request, wire) => wire.sound(request);
const body = (bytes) => bytes.subarray(headOf(bytes));
const message = (request, wire) => JSON.parse(body(sound(request, wire)));
const headOf = (bytes) => bytes.indexOf("\r\n\r\n") + 4;
/** As the sound answer to a call is, to the byte, but for its numbers. */
const SAMPLE = json({ jsonrpc: "2.0", id: 257, result: { resultType: "complete", content: [{ type: "text", text: "get_one 1" }] } });
const HEAD = headOf(SAMPLE);

const TO_THE_END = "JSON, to the connection's end";
/** The forms in which an answer may come. */
const FORMS = {
  "a length": sound,
  "chunks": (request, wire) => chunked(body(sound(request, wire))),
  "an event": (request, wire) => events([message(request, wire)], { chunked: true }),
  [TO_THE_END]: (request, wire) =>
    response(200, { ...JSON_TYPE, "content-length": undefined }, body(sound(request, wire)), "1.0"),
  "an event, to the connection's end": (request, wire) => events([message(request, wire)]),
};

const always = (...bytes) => bytes.map((bytes) => ({ say: () => ({ bytes }) }));
const says = (...sayings) => sayings.map((say) => ({ say }));
const status = (...heads) => always(...heads.map(([status, headers = {}, text = ""]) => response(status, headers, text)));

/** The first bytes of an answer, of its head or of its body in each form, for every number of bytes; then `then`. */
const eachByteOfTheHead = (then, rest = {}) =>
  Array.from({ length: HEAD }, (_, n) => ({
    name: `${n} bytes`,
    say: (request, wire) => {
      const bytes = sound(request, wire);
      return { bytes: bytes.subarray(0, Math.min(n, headOf(bytes) - 1)), then };
    },
    ...rest,
  }));

function eachByteOfTheBody(then, forms, rest = {}) {
  return forms.flatMap((name) => {
    const sample = FORMS[name]({ rpc: "tools/call", id: 257, params: { name: "get_one" } }, { sound: () => SAMPLE });
    const bytes = Array.from({ length: sample.length - headOf(sample) }, (_, n) => n);
    // Where the connection's end is the body's, none at all is a whole body.
    return bytes.slice(name === TO_THE_END ? 1 : 0).map((n) => ({
      name: `${name}, ${n} bytes`,
      say: (request, wire) => {
        const bytes = FORMS[name](request, wire);
        const head = headOf(bytes);
        const last = lastNeeded(bytes, name);
        return { bytes: bytes.subarray(0, Math.min(head + n, last)), then };
      },
      ...rest,
    }));
  });
}

/** How much of an answer may come without the answer being there: an event counts once its empty line begins. */
function lastNeeded(bytes, form) {
  if (!form.startsWith("an event")) return bytes.length - 1;
  return bytes.indexOf("\n\n", headOf(bytes) + 6) + 1;
}

function chunked(bytes, end = "0\r\n\r\n") {
  const head = response(200, CHUNKED);
  return Buffer.concat([head, Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from(`\r\n${end}`)]);
}

/** Sends `piece` again and again, as fast as it is taken, until the peer leaves. */
export const endless = (piece) => (socket) => {
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", more);
  more();
};

/** Some 1 MiB of zeros a thousand times smaller, as a piece of a gzip stream without end. */
const ZEROS = gzipSync(Buffer.alloc(1 << 20));

const compressed = (request, wire) => gzipSync(body(sound(request, wire)));
const gzip = { ...JSON_TYPE, "content-encoding": "gzip" };

const certificate = (name) => {
  const pem = readFileSync(new URL(`../certificates/${name}.pem`, import.meta.url));
  return { key: pem, cert: pem };
};
/** Of 127.0.0.1, by the one who signs here (`ca.pem`), in 2020 for a century. */
export const GOOD = certificate("good");
const presents = (...names) =>
  names.map((name) => ({ name, begin: (wire) => wire.server.setSecureContext(certificate(name)) }));

const FAULTS_BY_NAME = {
  "connection refused": [{ begin: (wire) => wire.close() }],
  "connection reset before the request": [
    {
      begin: (wire) => {
        wire.greet = (socket) => Boolean(socket.resetAndDestroy());
      },
    },
  ],
  "TLS: a certificate that is self-signed, expired, not yet valid, or of another name": {
    tls: true,
    variants: presents("self-signed", "expired", "future", "other-name"),
  },
  "TLS: a handshake that is cut off": {
    tls: true,
    variants: [
      {
        begin: (wire) => {
          wire.server.removeAllListeners("connection");
          wire.server.on("connection", (socket) => socket.once("data", () => socket.resetAndDestroy()).on("error", () => {}));
        },
      },
    ],
  },
  "connection ended or reset after the request": says(
    () => ({ then: "end" }),
    () => ({ then: "reset" }),
  ),
  "connection ended at any byte of the head": eachByteOfTheHead("end"),
  "connection reset within the head": eachByteOfTheHead("reset").filter((_, n) => n % 16 === 0),
  "connection ended at any byte of the body": eachByteOfTheBody("end", Object.keys(FORMS)),
  "no answer, or one that stalls at any byte of the head": eachByteOfTheHead("stall", { waits: true }),
  "an answer that stalls at any byte of the body": eachByteOfTheBody("stall", ["a length", "an event"], { waits: true }),
  "status 401": status([401], [401, { "www-authenticate": 'Bearer error="invalid_token"' }], [401, JSON_TYPE, "{}"]),
  "status 403": status([403], [403, JSON_TYPE, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}']),
  "-32602 as a JSON-RPC error": says(
    ...[200, 400, 422].map((status) => ({ id }) => ({
      bytes: json({ status, jsonrpc: "2.0", id, error: { code: -32602, message: "no" } }),
    })),
  ),
  "status 429": status(
    [429],
    [429, { "retry-after": "soon" }, "slow down"],
  ),
  "status 429 with `retry-after: 7`, or that as a date": [
    ...status([429, { "retry-after": "7" }]),
    { say: (_, { clock }) => ({ bytes: response(429, { "retry-after": new Date(clock.unix() + 7000).toUTCString() }) }) },
  ],
  "status 408": status([408]),
  "status 500, 502, 504, 507, also as HTML": status(
    [500],
    [502, { "content-type": "text/html" }, "<h1>Bad Gateway</h1>"],
    [504],
    [507],
    [500, JSON_TYPE, '{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"?"}}'],
  ),
  "status 503 with `retry-after: 7`": status([503, { "retry-after": "7" }]),
  "status 400, 402, 405, 406, 410, 413, 415, 418, 451 without MCP": status(
    ...[400, 402, 405, 406, 410, 413, 415, 418, 451].map((code) => [code, { "content-type": "text/plain" }, "no"]),
  ),
  "status 404 without MCP": {
    era: "modern",
    variants: status([404], [404, { "content-type": "text/html" }, "<h1>Not Found</h1>"]),
  },
  "status 404 within a session, which is then opened anew": { era: "sessions", variants: status([404]) },
  "captive portal: 200 with HTML": status([200, { "content-type": "text/html" }, "<h1>Log in</h1>"]),
  "captive portal: 511": status([511, { "content-type": "text/html" }, "<h1>Log in</h1>"]),
  "redirect within the origin, or to another": [301, 302, 303, 307, 308].flatMap((code) => [
    { say: () => ({ bytes: response(code, { location: "/elsewhere" }) }) },
    { say: (_, wire) => ({ bytes: response(code, { location: wire.elsewhere.url }) }) },
  ]),
  "status 200, 202, 204, 205, 206 without a JSON-RPC message": [
    ...status([200], [202], [204, { "content-length": undefined }], [205], [206, { "content-type": "text/plain" }, "x"]),
    ...status([200, JSON_TYPE, "null"], [200, JSON_TYPE, '"text"'], [200, JSON_TYPE, "[]"], [200, JSON_TYPE, "{}"]),
    ...status([200, JSON_TYPE, "{nope}"], [200, JSON_TYPE, Buffer.from([0x22, 0xff, 0x22])]),
  ],
  "a JSON-RPC response that is not sound, or to another request": says(
    ({ id }) => ({ bytes: json({ jsonrpc: "2.0", id, result: [] }) }),
    ({ id }) => ({ bytes: json({ jsonrpc: "2.0", id, error: "no" }) }),
    ({ id }) => ({ bytes: json({ jsonrpc: "2.0", id }) }),
    ({ id }) => ({ bytes: json({ jsonrpc: "2.0", id: id + 1, result: { content: [] } }) }),
    ({ id }) => ({ bytes: json({ jsonrpc: "2.0", id: String(id), result: { content: [] } }) }),
    ({ id }) => ({ bytes: json({ jsonrpc: "2.0", id: id + 1, error: { code: -32602, message: "no" } }) }),
    ({ id }) => ({ bytes: events([{ jsonrpc: "2.0", id: id + 1, result: { content: [] } }]) }),
  ),
  "bytes that are no HTTP": [
    ...always("SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\x02\x00", "HTTP/1.1\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n"),
    ...always("HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "<html>hello</html>"),
    ...always("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    ...always("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1e9\r\n\r\n"),
    ...always("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    // Node's fetch takes a 100 that it did not ask for as a fault.
    ...always("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
  ],
  "headers without end": says(
    () => ({ bytes: "HTTP/1.1 200 OK\r\n", then: endless("x-flood: 1\r\n".repeat(4096)) }),
    () => ({ bytes: "HTTP/1.1 200 OK\r\nx-flood: ", then: endless("1".repeat(65_536)) }),
  ),
  "chunks that are none": says(
    ...["zz\r\n{}\r\n", "-1\r\n{}\r\n", "ffffffffffffffffff\r\n{}", "2\r\n{}xx\r\n0\r\n\r\n", "5\r\n{"].map((text) => () => ({
      bytes: Buffer.concat([response(200, CHUNKED), Buffer.from(text)]),
    })),
  ),
  "gzip that breaks off": says((request, wire) => {
    const bytes = compressed(request, wire);
    return { bytes: response(200, gzip, bytes.subarray(0, bytes.length / 2)) };
  }),
  "gzip that is none, or in a coding that nobody knows": says(
    (request, wire) => ({ bytes: response(200, { ...JSON_TYPE, "content-encoding": "x-own" }, compressed(request, wire)) }),
  ),
  "a body over `limits.maxResponseBytes`: announced, endless, compressed, or of events": says(
    () => ({ bytes: response(200, { ...JSON_TYPE, "content-length": 1 << 30 }), then: "stall" }),
    () => ({ bytes: response(200, { ...JSON_TYPE, "content-length": undefined }, "["), then: endless("0,".repeat(32_768)) }),
    () => ({ bytes: response(200, { ...gzip, "content-length": undefined }), then: endless(ZEROS) }),
    () => ({ bytes: response(200, EVENTS_TYPE), then: endless(": still here\n\n".repeat(4096)) }),
    () => ({ bytes: response(200, EVENTS_TYPE, "data: "), then: endless("x".repeat(65_536)) }),
    () => ({ bytes: response(200, EVENTS_TYPE), then: endless("data:\n".repeat(8192)) }),
    () => ({ bytes: response(200, EVENTS_TYPE), then: endless('data: {"jsonrpc":"2.0","method":"x"}\n\n'.repeat(1024)) }),
    () => ({ bytes: response(200, { ...EVENTS_TYPE, "content-encoding": "gzip" }), then: endless(ZEROS) }),
  ),
};

/** `{ name, tls, eras, variants }` of every fault. */
export const FAULTS = Object.entries(FAULTS_BY_NAME).map(([name, given]) => {
  const { era, tls, variants } = Array.isArray(given) ? { variants: given } : given;
  return { name, tls, variants, eras: era === undefined ? ["modern", "sessions"] : [era] };
});
