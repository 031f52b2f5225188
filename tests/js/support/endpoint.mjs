// An endpoint of `leeward/fetch` in front of the scripted authority, and what is asked of it.

import assert from "node:assert/strict";

import { createHandler } from "../../../wasm/dist/fetch.js";
import { Authority, ManualClock, POLICY } from "./index.mjs";
import { glue } from "./leeward.mjs";

export const TOKEN = "token-of-ann-0123456789";
const VERSION = "2026-07-28";

/** An authority and a handler in front of it, closed with the test. */
export async function world(t, options = {}) {
  const authority = await Authority.start();
  t.after(() => authority.close());
  const events = [];
  const clock = new ManualClock();
  const onEvent = (event) => events.push(event);
  const common = { authority: authority.url, policy: POLICY, clock, onEvent };
  const handler = createHandler({ ...common, ...(options.authenticate ? {} : { tokens: { [TOKEN]: "ann" } }), ...options });
  t.after(() => handler.close());
  return { authority, handler, clock, events };
}

/** A request for a tool; an undefined header is left out. */
export function call(name, args = {}, { headers = {}, meta = {}, path = "/mcp", ...init } = {}) {
  const params = {
    name,
    arguments: args,
    _meta: {
      "io.modelcontextprotocol/protocolVersion": VERSION,
      "io.modelcontextprotocol/clientCapabilities": {},
      ...meta,
    },
  };
  const all = {
    authorization: `Bearer ${TOKEN}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": VERSION,
    "mcp-method": "tools/call",
    "mcp-name": name,
    ...headers,
  };
  return new Request(`https://edge.example${path}`, {
    method: "POST",
    headers: Object.entries(all).filter(([, value]) => value !== undefined),
    body: JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/call", params }),
    ...init,
  });
}

/** The error of a refusal. */
export async function refused(status, code, response) {
  const { error } = await response.json();
  assert.equal(response.status, status, JSON.stringify(error));
  assert.equal(error.data.code, code);
  assert.match(error.data.correlationId, /^[0-9a-f]{16}$/);
  return error;
}

export const cacheOf = (response) => response.headers.get("cache-status")?.split(";")[1];

/** Has the next calls of an engine's method trap, until `mend` is called. */
export function breakEngine(t, name) {
  const { [name]: original } = glue.Engine.prototype;
  const mend = () => void (glue.Engine.prototype[name] = original);
  t.after(mend);
  glue.Engine.prototype[name] = () => {
    throw new WebAssembly.RuntimeError("unreachable");
  };
  return mend;
}

/** A body of these parts; one that is an error breaks it off. `taken` counts what was read of it. */
export function body(...parts) {
  const state = { taken: 0 };
  const stream = new ReadableStream(
    {
      pull(out) {
        const part = parts[state.taken];
        state.taken += 1;
        if (part === undefined) return out.close();
        if (part instanceof Error) return out.error(part);
        out.enqueue(typeof part === "string" ? new TextEncoder().encode(part) : part);
      },
    },
    { highWaterMark: 0 },
  );
  return Object.assign(state, { init: { body: stream, duplex: "half" } });
}

/** A call with progress, its stream open. */
export async function streamed(t, args, options, init) {
  const given = await world(t, { policy: [{ tool: "steps", rule: "live" }], ...options });
  const response = await given.handler(call("steps", args, { meta: { progressToken: "p" }, ...init }));
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  await given.authority.held();
  return { ...given, response };
}
