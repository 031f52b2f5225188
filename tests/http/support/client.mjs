// HTTP as a test wants to send it: any header, one connection per request, and a way to break off.
//
// A client that ends its sending side is not gone for workerd (HTTP allows half-closed connections); only a reset
// connection is. So `leave` resets.

import { request as httpRequest } from "node:http";
import { ALICE } from "./hosts.mjs";

const VERSION = "2026-07-28";
const PREFIX = "io.modelcontextprotocol/";
let lastId = 0;

/** A modern request: the message, and the headers that go with it. */
export function modern(method, params = {}, meta = {}) {
  const message = {
    jsonrpc: "2.0",
    id: (lastId += 1),
    method,
    params: {
      ...params,
      _meta: {
        [`${PREFIX}protocolVersion`]: VERSION,
        [`${PREFIX}clientInfo`]: { name: "test", version: "1" },
        [`${PREFIX}clientCapabilities`]: {},
        ...meta,
      },
    },
  };
  const name = params.name ?? params.uri;
  const headers = { "mcp-protocol-version": VERSION, "mcp-method": method, ...(name && { "mcp-name": name }) };
  return { headers, body: JSON.stringify(message), id: message.id };
}

/** A modern `tools/call`. */
export const toolCall = (name, args = {}, meta = {}) => modern("tools/call", { name, arguments: args }, meta);

/**
 * Sends a request to `/mcp` with alice's token unless told otherwise; an undefined header is left out.
 *
 * @returns an answer with `status`, `headers`, `text`, the `messages` in it and `json`, the last of them.
 */
export async function post(host, { headers = {}, ...rest } = {}) {
  const usual = {
    authorization: `Bearer ${ALICE}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  return send(host, { method: "POST", path: "/mcp", headers: { ...usual, ...headers }, ...rest });
}

/** Sends a request just as it is. */
export async function send(host, options) {
  const exchange = open(host, options);
  const response = await exchange.response;
  const parts = [];
  for await (const part of response) parts.push(part);
  const text = Buffer.concat(parts).toString();
  const messages = messagesOf(response.headers["content-type"] ?? "", text);
  return { status: response.statusCode, headers: response.headers, text, messages, json: messages.at(-1) };
}

/**
 * Begins a request; `response` comes with its head, `leave` resets the connection. An `unfinished` one stays without its
 * end.
 */
export function open(host, { method, path, headers = {}, body = "", unfinished = false }) {
  const sent = Object.entries(headers).filter(([, value]) => value !== undefined);
  const request = httpRequest({ ...host, method, path, headers: Object.fromEntries(sent), agent: false });
  const response = new Promise((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
  });
  // Whoever leaves is not interested in how that ended.
  response.catch(() => {});
  if (unfinished) request.write(body);
  else request.end(body);
  return {
    response,
    leave: () => request.socket.resetAndDestroy(),
  };
}

/** Begins a request to `/mcp` as alice. */
export function openPost(host, { headers = {}, ...rest }) {
  const usual = {
    authorization: `Bearer ${ALICE}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  return open(host, { method: "POST", path: "/mcp", headers: { ...usual, ...headers }, ...rest });
}

/** The JSON-RPC messages of a body, in order. */
function messagesOf(type, text) {
  if (text === "") return [];
  if (type.startsWith("application/json")) return [JSON.parse(text)];
  if (!type.startsWith("text/event-stream")) return [];
  return text.split("\n\n").flatMap((event) => eventOf(event)?.message ?? []);
}

/** One server-sent event: its id and its message, of which either may be missing. Nothing for a comment. */
function eventOf(text) {
  const fields = Object.fromEntries(text.split("\n").map((line) => line.split(/: (.*)/s)));
  if (fields.id === undefined && fields.data === undefined) return undefined;
  return { id: fields.id, ...(fields.data && { message: JSON.parse(fields.data) }) };
}

/** Reads a streamed answer event by event: see {@link eventOf}. */
export async function* events(response) {
  let text = "";
  for await (const part of response) {
    text += part;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const event of whole.map(eventOf)) if (event !== undefined) yield event;
  }
}

/** Reads a streamed answer message by message. */
export async function* messages(response) {
  for await (const { message } of events(response)) if (message !== undefined) yield message;
}
