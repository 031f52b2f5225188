// A small MCP server of the stateless revision on plain HTTP, which counts what reaches it, and which pages of any
// origin may ask (CORS). No SDK, so that a fault of the package cannot hide behind one.

import { once } from "node:events";
import { createServer } from "node:http";

const TTL = { ttlMs: 60_000, cacheScope: "private" };

/** An authority on 127.0.0.1. Close it with `close()`. */
export class Authority {
  /** Every request, in order: `{ method, params, headers }`. */
  requests = [];
  /** How many requests were refused for want of a token that is good. */
  refused = 0;
  /** How many requests were closed by the replica before they were answered. */
  dropped = 0;
  /** Whose tokens are asked for, if anybody's: an `Issuer`. */
  issuer;
  #held = [];
  #arrivals = [];
  #drops = [];

  static async start() {
    const authority = new Authority();
    authority.server = createServer((request, response) => authority.#serve(request, response));
    authority.server.listen(0, "127.0.0.1");
    await once(authority.server, "listening");
    authority.url = `http://127.0.0.1:${authority.server.address().port}/mcp`;
    return authority;
  }

  /** How many requests of a method came (for a tool: `tools/call name`). */
  count(what) {
    const [method, name] = what.split(" ");
    return this.requests.filter(
      (request) => request.method === method && (name === undefined || request.params.name === name),
    ).length;
  }

  /** Resolves once there are `count` requests that are held (tool `hold`). */
  async held(count = 1) {
    while (this.#held.length < count) await new Promise((resolve) => this.#arrivals.push(resolve));
  }

  /** Answers all requests that are held. */
  release() {
    for (const answer of this.#held.splice(0)) answer();
  }

  /** Resolves once the replica has closed a request before its answer. */
  async drop() {
    while (this.dropped === 0) await new Promise((resolve) => this.#drops.push(resolve));
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  async #serve(request, response) {
    response.setHeader("access-control-allow-origin", "*");
    if (request.method === "OPTIONS") {
      response.setHeader("access-control-allow-headers", request.headers["access-control-request-headers"] ?? "");
      response.writeHead(204).end();
      return;
    }
    const { origin } = new URL(this.url);
    const metadata = "/.well-known/oauth-protected-resource/mcp";
    if (this.issuer !== undefined && request.url === metadata) {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ resource: this.url, authorization_servers: [this.issuer.url] }));
      return;
    }
    if (this.issuer?.tokens.has(request.headers.authorization?.replace("Bearer ", "")) === false) {
      const challenge = `Bearer resource_metadata="${origin}${metadata}"`;
      response.setHeader("access-control-expose-headers", "www-authenticate");
      this.refused += 1;
      response.writeHead(401, { "www-authenticate": challenge }).end();
      return;
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const message = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    this.requests.push({ method: message.method, params: message.params, headers: request.headers });
    response.on("close", () => {
      if (response.writableEnded) return;
      this.dropped += 1;
      for (const resolve of this.#drops.splice(0)) resolve();
    });
    const answer = (body, type = "application/json", status = 200) => {
      response.writeHead(status, { "content-type": type });
      response.end(body);
    };
    const reply = (outcome) => answer(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...outcome }));
    const result = (result) => reply({ result: { resultType: "complete", ...result } });
    const text = (text, more) => result({ content: [{ type: "text", text }], ...more });
    const { method, params } = message;

    switch (method) {
      case "server/discover":
        return result({
          supportedVersions: ["2026-07-28"],
          capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} },
          instructions: "be calm",
          _meta: { "io.modelcontextprotocol/serverInfo": { name: "test-authority", version: "1.0.0" } },
          ...TTL,
        });
      case "tools/list":
        return result({
          tools: ["echo", "hold", "count", "big", "stream", "html", "torn"].map((name) => ({
            name,
            inputSchema: { type: "object" },
          })),
          ...TTL,
        });
      case "resources/list":
        return result({ resources: [{ uri: "test://a", name: "a" }], ...TTL });
      case "resources/templates/list":
        return result({ resourceTemplates: [{ uriTemplate: "test://{x}", name: "any" }], ...TTL });
      case "resources/read":
        return result({ contents: [{ uri: params.uri, text: `read ${this.count(method)}` }], ...TTL });
      case "prompts/list":
        return result({ prompts: [{ name: "hello" }], ...TTL });
      case "prompts/get":
        return result({ messages: [{ role: "user", content: { type: "text", text: `hello ${params.arguments?.who}` } }] });
      case "completion/complete":
        return result({ completion: { values: ["one", "two"] } });
      case "tools/call":
        break;
      default:
        return reply({ error: { code: -32601, message: "no such method" } });
    }

    switch (params.name) {
      case "echo":
        return text(JSON.stringify(params.arguments), {
          structuredContent: { nested: { list: [1, { deep: true }] }, arguments: params.arguments },
          _meta: { "example.com/kept": 1 },
        });
      case "count":
        return text(String(this.count("tools/call count")));
      case "big":
        return text("ü".repeat(params.arguments.length));
      case "hold":
        this.#held.push(() => text("released"));
        for (const resolve of this.#arrivals.splice(0)) resolve();
        return;
      case "stream": {
        const event = { jsonrpc: "2.0", id: message.id, result: { resultType: "complete", content: [{ type: "text", text: "héllo" }] } };
        const bytes = Buffer.from(`: hi\n\nevent: message\ndata: ${JSON.stringify(event)}\n\n`);
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(bytes.subarray(0, 60));
        setImmediate(() => {
          response.write(bytes.subarray(60, 110));
          setImmediate(() => response.end(bytes.subarray(110)));
        });
        return;
      }
      case "steps": {
        response.writeHead(200, { "content-type": "text/event-stream" });
        const event = (message) => response.write(`data: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`);
        const { steps, bytes = 0 } = params.arguments;
        for (let progress = 1; progress <= steps; progress += 1) {
          const { progressToken } = params._meta;
          event({ method: "notifications/progress", params: { progressToken, progress, message: "x".repeat(bytes) } });
        }
        this.#held.push(() => {
          event({ id: message.id, result: { resultType: "complete", content: [] } });
          response.end();
        });
        for (const resolve of this.#arrivals.splice(0)) resolve();
        return;
      }
      case "refuse":
        return reply({ error: { code: -31999, message: "not today", data: { why: ["because"] } } });
      case "html":
        return answer("<!doctype html><p>hello", "text/html");
      case "torn":
        response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
        response.write('{"jsonrpc":');
        return setImmediate(() => response.destroy());
      default:
        return reply({ error: { code: -32602, message: `no tool ${params.name}` } });
    }
  }
}
