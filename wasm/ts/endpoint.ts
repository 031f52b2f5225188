/**
 * One HTTP request's way to the replica and back. Which request may pass, and what a refusal says, the engine's
 * gate decides; this file reads bodies and writes responses.
 */

import { SERVED, type Border } from "./border.js";
import { typed } from "./checks.js";
import { LeewardError, cancelled, isObject } from "./errors.js";
import type { Authenticate } from "./fetch.js";
import type { Host } from "./host.js";

/** Most bytes of events that wait for a slow client before notifications are dropped. The response never is. */
const MAX_QUEUED_BYTES = 1 << 20;
/** Longest silence in a stream of events. */
const MAX_SILENCE_MS = 15_000;
/** Flags of `Engine.admit`; none: the host says who calls. */
const WHO = { TOLD: 0, ANONYMOUS: 1, BEARER: 2, UNKNOWN: 4 } as const;
/** Flags of `Engine.serve`. */
const ANONYMOUS = 1;
const HTTP = 4;
/** What `Engine.admit` returns, besides 0 for a client that takes any form of an answer. */
const ADMITTED = { JSON: 1, EVENTS: 2, STOPPED: 3 } as const;
/** JSON-RPC code and HTTP status of the errors that no engine is left to write. */
const CODES: { readonly [code: string]: readonly [number, number] } = {
  closed: [1008, 503],
  config_invalid: [1009, 500],
  cancelled: [1007, 503],
};

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

/** A request that may be read and served. */
interface Admitted {
  /** The principal in UTF-8; `undefined` for nobody in particular. */
  readonly caller: Uint8Array | undefined;
  readonly accept: number;
  /** What every answer to the request carries. */
  readonly headers: [string, string][];
}

/** Answers a request. Throws what is no fault of the request's. */
export async function answer(host: Host, request: Request, authenticate: Authenticate | undefined): Promise<Response> {
  const { border } = host;
  const headers = headersOf(request);
  const head = `${request.method}\n${pathOf(request)}\n${headers}`;
  let admitted = admit(border, head, authenticate === undefined ? WHO.BEARER : WHO.UNKNOWN);
  // What was refused for want of a caller alone is tried again with one.
  if (authenticate !== undefined && admitted instanceof Response && admitted.status === 401) {
    const principal: unknown = await authenticate(request);
    if (principal === undefined) return admitted;
    if (principal !== null && !isPrincipal(principal)) {
      throw new TypeError("authenticate must give a principal of 1 to 1024 bytes, null or undefined");
    }
    admitted = admit(border, head, principal === null ? WHO.ANONYMOUS : WHO.TOLD, principal ?? "");
  }
  if (admitted instanceof Response) return admitted;
  const message = await read(request, border.maxMessageBytes);
  if (request.signal?.aborted) return refusal(left(request));
  return serve(host, request, admitted, message, encoder.encode(headers));
}

/** The answer for an error that ended the replica, or kept it from being opened. */
export function refusal(error: LeewardError): Response {
  const known = CODES[error.code];
  const [code, status] = known ?? [-32603, 500];
  const random = crypto.getRandomValues(new BigUint64Array(1));
  const data = {
    code: known === undefined ? "internal" : error.code,
    retryable: error.retryable,
    correlationId: (random[0] ?? 0n).toString(16).padStart(16, "0"),
    ...(isObject(error.data) && "field" in error.data && { field: error.data["field"] }),
  };
  // What failed within is nobody's business without.
  const message = known === undefined ? "internal error" : error.message;
  const body = JSON.stringify({ jsonrpc: "2.0", error: { code, message, data } });
  return new Response(body, { status, headers: { "content-type": "application/json", "cache-control": "no-store" } });
}

function admit(border: Border, head: string, who: number, principal = ""): Admitted | Response {
  const [length, caller] = border.writeTwo(head, principal);
  const [form, split, isPrincipal, status] = border.call(
    (engine) => [engine.admit(length, caller, who), engine.split(), engine.last(), engine.status()] as const,
  );
  if (form === ADMITTED.STOPPED) {
    const body = border.bytes(split);
    return new Response(body.length > 0 ? body : null, { status, headers: pairs(border.text(0, split)) });
  }
  return {
    caller: isPrincipal ? border.bytes(0).subarray(0, split) : undefined,
    accept: form,
    headers: pairs(border.text(split)),
  };
}

/** Hands a message to the replica, and waits for the answer if need be. */
function serve(
  host: Host,
  request: Request,
  admitted: Admitted,
  message: Uint8Array,
  headers: Uint8Array,
): Response | Promise<Response> {
  const { border } = host;
  const caller = admitted.caller ?? EMPTY;
  try {
    // It may still owe the replica randomness.
    host.pump();
    border.writeBytes(join([message, caller, headers]));
    let served: number = SERVED.ABSENT;
    const flags = HTTP | (admitted.caller === undefined ? ANONYMOUS : 0);
    border.handle((engine, mono, unix) => {
      served = engine.serve(mono, unix, message.length, caller.length, headers.length, 0, flags);
    });
    switch (served as number) {
      case SERVED.REPLY:
        return whole(border, admitted);
      case SERVED.WAIT:
        return wait(host, request, admitted);
      default:
        return new Response(null, { status: 202, headers: admitted.headers });
    }
  } finally {
    host.pump();
  }
}

function wait(host: Host, request: Request, admitted: Admitted): Promise<Response> {
  const ticket = host.border.call((engine) => engine.ticket());
  const { signal } = request;
  return new Promise((resolve, reject) => {
    let events: Events | undefined;
    const done = () => signal?.removeEventListener("abort", leave);
    const fail = (error: LeewardError) => {
      done();
      events?.fail(error);
      reject(error);
    };
    const leave = () => {
      fail(left(request));
      host.cancel(ticket);
    };
    host.wait(ticket, {
      message: (border, last) => {
        try {
          if (last) done();
          if (events === undefined) {
            if (last) return resolve(whole(border, admitted));
            if (admitted.accept === ADMITTED.JSON) return;
            events = new Events(host, leave);
            resolve(respond(border, admitted, "text/event-stream", events.stream));
          }
          border.call((engine) => engine.frameEvent());
          events.send(border.bytes(0), last);
        } catch (error) {
          fail(typed(error));
        }
      },
      fail,
    });
    signal?.addEventListener("abort", leave, { once: true });
  });
}

/** Answers with the one message in the output buffer: as JSON where the client takes it. */
function whole(border: Border, admitted: Admitted): Response {
  if (admitted.accept !== ADMITTED.EVENTS) return respond(border, admitted, "application/json", border.bytes(0));
  border.call((engine) => engine.frameEvent());
  return respond(border, admitted, "text/event-stream", border.bytes(0));
}

function respond(
  border: Border,
  { headers }: Admitted,
  type: string,
  body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
): Response {
  const [status, provenance] = border.call((engine) => [engine.status(), engine.provenance()] as const);
  const all: [string, string][] = [...headers, ["content-type", type]];
  if (provenance !== "") all.push(["cache-status", provenance]);
  if (type === "text/event-stream") all.push(["x-accel-buffering", "no"]);
  return new Response(body, { status, headers: all });
}

/** The body of a streamed answer. */
class Events {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #host: Host;
  #out!: ReadableStreamDefaultController<Uint8Array>;
  #isOver = false;
  #forgetSilence: (() => void) | undefined;

  /** `leave` is called when the client no longer reads. */
  constructor(host: Host, leave: () => void) {
    this.#host = host;
    const source = {
      start: (out: ReadableStreamDefaultController<Uint8Array>) => void (this.#out = out),
      cancel: () => {
        this.#end();
        leave();
      },
    };
    this.stream = new ReadableStream(source, new ByteLengthQueuingStrategy({ highWaterMark: MAX_QUEUED_BYTES }));
  }

  /** Sends one event. Notifications are dropped while the client is too slow for them. */
  send(frame: Uint8Array, last: boolean): void {
    if (this.#isOver) return;
    if (last || (this.#out.desiredSize ?? 0) > 0) this.#out.enqueue(frame);
    if (!last) return this.#listen();
    this.#end();
    this.#out.close();
  }

  /** Breaks the stream off: there will be no response. */
  fail(error: LeewardError): void {
    if (this.#isOver) return;
    this.#end();
    this.#out.error(error);
  }

  /** Sends a comment after a silence, so that nobody on the way takes it for an end. */
  #listen(): void {
    this.#forgetSilence?.();
    this.#forgetSilence = this.#host.after(MAX_SILENCE_MS, () => {
      if (this.#isOver) return;
      if (this.#out.desiredSize === MAX_QUEUED_BYTES) this.#out.enqueue(encoder.encode(": keep-alive\n\n"));
      this.#listen();
    });
  }

  #end(): void {
    this.#isOver = true;
    this.#forgetSilence?.();
  }
}

/**
 * The request's body, as far as one byte beyond its limit: the replica refuses what is longer, and what was cut off
 * as if it were empty. The rest is not cancelled, by which some servers end the connection, answer included.
 */
async function read(request: Request, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    const reader = (request.body as ReadableStream<Uint8Array> | null | undefined)?.getReader();
    if (reader === undefined) return EMPTY;
    while (length <= maxBytes) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.length;
    }
    reader.releaseLock();
  } catch {
    return EMPTY;
  }
  return join(parts).subarray(0, maxBytes + 1);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function pathOf(request: Request): string {
  try {
    return new URL(request.url).pathname;
  } catch {
    // Of a `Host` that is none, for example. The gate knows no such path.
    return "";
  }
}

/** `name LF value LF` per header, with the host that the URL names if no header does. */
function headersOf({ headers, url }: Request): string {
  let text = "";
  headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  if (!headers.has("host") && URL.canParse(url)) text += `host\n${new URL(url).host}\n`;
  return text;
}

function pairs(lines: string): [string, string][] {
  const parts = lines.split("\n");
  const all: [string, string][] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) all.push([parts[at] ?? "", parts[at + 1] ?? ""]);
  return all;
}

/** In UTF-8 all lone surrogates are one character, and so would be the principals that differ in them. */
function isPrincipal(value: unknown): value is string {
  if (typeof value !== "string" || /\p{Surrogate}/u.test(value)) return false;
  const { length } = encoder.encode(value);
  return length >= 1 && length <= 1024;
}

function left(request: Request): LeewardError {
  return cancelled("the client has left", request.signal?.reason);
}
