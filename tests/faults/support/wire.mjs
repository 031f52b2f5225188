// An MCP server on a bare socket: what an HTTP server would not let happen, a test can have happen here, at any byte.
// It reads requests, notes each in its log, which is the witness of every test, and answers soundly unless told not to.

import { once } from "node:events";
import { createServer } from "node:net";
import { Server as TlsServer, createServer as createTlsServer } from "node:tls";

const HINTS = { resultType: "complete", ttlMs: 0, cacheScope: "private" };
/** The session of the session era. */
export const SESSION = "session-1";

/** A server on 127.0.0.1. Close it with `close()`. */
export class Wire {
  /** Every request that came whole: `{ http, path, headers, rpc, id, params, socket }`. */
  log = [];
  /** Takes a connection before anything is read of it, if it returns true. */
  greet = () => false;
  /** Is told of the first bytes of a request; takes the connection, if it returns true. */
  early = () => false;
  /** Answers a request, if it returns anything: the bytes, and what becomes of the connection then. */
  script = () => undefined;

  #sockets = new Set();
  #arrivals = [];

  /** `legacy`: it speaks 2025-11-25 with a session, and nothing newer. `tls`: key and certificate. */
  static async start({ legacy = false, tls } = {}) {
    const wire = new Wire();
    wire.legacy = legacy;
    const take = (socket) => wire.#take(socket);
    wire.server = tls === undefined ? createServer(take) : createTlsServer(tls, take);
    wire.server.on("tlsClientError", () => {});
    await wire.listen(0);
    return wire;
  }

  /** Listens, again after `close()`. */
  async listen(port = this.port) {
    this.server.listen(port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
  }

  /** Where it is. */
  get url() {
    return `${this.server instanceof TlsServer ? "https" : "http"}://127.0.0.1:${this.port}/mcp`;
  }

  /** What came of a method. */
  of(rpc) {
    return this.log.filter((request) => request.rpc === rpc);
  }

  /** Resolves once so many requests of a method are here. */
  async arrived(rpc, count = 1) {
    while (this.of(rpc).length < count) await new Promise((resolve) => this.#arrivals.push(resolve));
    return this.of(rpc)[count - 1];
  }

  /** Resets every connection, and takes no other. */
  async close() {
    const closed = this.server.listening ? once(this.server.close(), "close") : undefined;
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** The sound answer to a request. */
  sound(request) {
    return json(this.#answer(request));
  }

  #answer({ rpc, id, params, headers }) {
    if (id === undefined) return undefined;
    const result = (result) => ({ jsonrpc: "2.0", id, result });
    const unknown = { jsonrpc: "2.0", id, error: { code: -32601, message: "unknown" }, status: 404 };
    const text = `${params?.name} ${this.of("tools/call").length}`;
    const call = { content: [{ type: "text", text }] };
    const tools = ["get_one", "live_one", "put_one"].map((name) => ({ name, inputSchema: { type: "object" } }));
    if (this.legacy) {
      if (rpc === "initialize") {
        const capabilities = { tools: {} };
        const made = { protocolVersion: "2025-11-25", capabilities, serverInfo: { name: "wire", version: "1" } };
        return { ...result(made), session: true };
      }
      // As servers on the official SDKs say it.
      const stray = { jsonrpc: "2.0", id: null, error: { code: -32000, message: "no session" }, status: 400 };
      if (headers["mcp-session-id"] !== SESSION) return stray;
      return rpc === "tools/call" ? result(call) : rpc === "tools/list" ? result({ tools }) : unknown;
    }
    switch (rpc) {
      case "server/discover":
        return result({ supportedVersions: ["2026-07-28"], capabilities: { tools: { listChanged: true } }, ...HINTS });
      case "tools/list":
        return result({ tools, ...HINTS });
      case "tools/call":
        return result({ resultType: "complete", ...call });
      case "subscriptions/listen":
        return result({ resultType: "complete" });
      default:
        return unknown;
    }
  }

  #take(socket) {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    // What a peer does to a connection that a test broke is not the test's.
    socket.on("error", () => {});
    if (this.greet(socket)) return;
    let bytes = Buffer.alloc(0);
    const read = (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (this.early(socket, bytes)) return void socket.off("data", read);
      for (;;) {
        const request = parse(bytes);
        if (request === undefined) return;
        bytes = bytes.subarray(request.length);
        this.#serve({ ...request, socket });
      }
    };
    socket.on("data", read);
  }

  #serve(request) {
    this.log.push(request);
    const say = this.script(request) ?? { bytes: this.sound(request) };
    send(request.socket, say);
    for (const resolve of this.#arrivals.splice(0)) resolve();
  }
}

/** Sends bytes, and ends the connection as it is told: `end` (the default), `reset`, `stall`, or by a function. */
function send(socket, { bytes = "", then = "end" }) {
  if (typeof then === "function") {
    if (bytes.length > 0) socket.write(bytes);
    return then(socket);
  }
  if (then === "end") return socket.end(bytes);
  if (bytes.length > 0) socket.write(bytes);
  if (then === "reset") {
    // A reset drops what the peer has not read yet: it follows what was sent.
    setImmediate(() => socket.resetAndDestroy());
  }
}

/** The first request in some bytes, and how many it takes. */
function parse(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line, ...fields] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = Object.fromEntries(
    fields.map((field) => [
      field.slice(0, field.indexOf(":")).toLowerCase(),
      field.slice(field.indexOf(":") + 1).trim(),
    ]),
  );
  const length = end + 4 + Number(headers["content-length"] ?? 0);
  if (bytes.length < length) return undefined;
  const body = bytes.subarray(end + 4, length).toString();
  const [http, path] = line.split(" ");
  const message = body === "" ? {} : JSON.parse(body);
  return { http, path, headers, rpc: message.method, id: message.id, params: message.params, length };
}

/** An HTTP response. A string of `headers` is as it goes over the wire, between status line and empty line. */
export function response(status, headers, body = "", version = "1.1") {
  const bytes = Buffer.from(body);
  const fields = { connection: "close", "content-length": bytes.length, ...headers };
  const lines = Object.entries(fields).filter(([, value]) => value !== undefined);
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([Buffer.from(`HTTP/${version} ${status} Status\r\n${head}\r\n`), bytes]);
}

/** The same with a JSON-RPC message, or none. */
export function json(message, headers = {}) {
  if (message === undefined) return response(202, {});
  const { status = 200, session, ...body } = message;
  const own = { "content-type": "application/json", ...(session && { "mcp-session-id": SESSION }) };
  return response(status, { ...own, ...headers }, JSON.stringify(body));
}

/** Events, each with a message or as the text that it is; by chunks if `chunked`, else until the connection ends. */
export function events(messages, { chunked = false } = {}) {
  const texts = messages.map((message) =>
    typeof message === "string" ? message : `event: message\ndata: ${JSON.stringify(message)}\n\n`,
  );
  const head = { "content-type": "text/event-stream", "content-length": undefined };
  if (!chunked) return response(200, head, texts.join(""));
  const framed = [...texts, ""].map((text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
  return response(200, { ...head, "transfer-encoding": "chunked" }, framed.join(""));
}
