/**
 * One HTTP request's way to the replica and back. Which request may pass, and what a refusal says, the engine's
 * gate decides; this file reads bodies and writes responses.
 */

import { ASK, SERVED, type Border } from "./border.js";
import { typed } from "./checks.js";
import { LeewardError, cancelled, fieldOf, words } from "./errors.js";
import type { Authenticate } from "./fetch.js";
import type { Host } from "./host.js";
import { MAX_EMPTY_CHUNKS } from "./trips.js";

/** Most bytes of events that wait for a slow client before notifications are dropped. The response never is. */
const MAX_QUEUED_BYTES = 1 << 20;
/** Longest silence in a stream of events. */
const MAX_SILENCE_MS = 15_000;
/** Flags of `Engine.admit`; none: the host says who calls. */
const WHO = { TOLD: 0, ANONYMOUS: 1, BEARER: 2, UNKNOWN: 4 } as const;
/** What `Engine.admit` returns, besides 0 for a client that takes any form of an answer. */
const ADMITTED = { JSON: 1, EVENTS: 2, STOPPED: 3 } as const;
/** Smallest room for a body. */
const MIN_BODY_BYTES = 4096;
/** JSON-RPC code and HTTP status of the errors that no engine is left to write, or has been asked to. */
const CODES: { readonly [code: string]: readonly [number, number] } = {
  too_large: [1006, 413],
  closed: [1008, 503],
  config_invalid: [1009, 500],
  cancelled: [1007, 503],
};

const EVENTS = "text/event-stream";
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

/** A request that may be read and served. */
interface Admitted {
  /** The principal in UTF-8; `undefined` for nobody in particular. */
  readonly caller: Uint8Array | undefined;
  /** What it does, as a flag of `Border.serveHttp`; 0: it brings a message. */
  readonly verb: number;
  readonly accept: number;
  /** What every answer to the request carries. */
  readonly headers: [string, string][];
}

/** Answers for an error, with headers that the gate has given so far. */
export type Refuse = (error: unknown, headers: Headers) => Response;

/** Answers a request, by `refuse` where something else than the request is at fault. */
export async function answer(
  host: Host,
  request: Request,
  authenticate: Authenticate | undefined,
  refuse: Refuse,
): Promise<Response> {
  const { border } = host;
  let common = new Headers();
  try {
    const headers = headersOf(request);
    const head = `${request.method}\n${pathOf(request)}\n${headers}`;
    let admitted = admit(border, head, authenticate === undefined ? WHO.BEARER : WHO.UNKNOWN);
    // What was refused for want of a caller alone is tried again with one.
    if (authenticate !== undefined && admitted instanceof Response && admitted.status === 401) {
      common = new Headers(admitted.headers);
      const principal = await callerOf(host, request, authenticate);
      if (principal === undefined) return admitted;
      if (principal !== null && !isPrincipal(principal)) {
        throw new TypeError("authenticate must give a principal of 1 to 1024 bytes, null or undefined");
      }
      admitted = admit(border, head, principal === null ? WHO.ANONYMOUS : WHO.TOLD, principal ?? "");
    }
    if (admitted instanceof Response) return admitted;
    common = new Headers(admitted.headers);
    const message = admitted.verb === 0 ? await read(request, border.maxMessageBytes) : EMPTY;
    if (request.signal?.aborted) throw left(request);
    return await serve(host, request, admitted, message, encoder.encode(headers));
  } catch (error) {
    return refuse(error, common);
  }
}

/** Names a refusal. */
export function correlationId(): string {
  const [random = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return random.toString(16).padStart(16, "0");
}

/** The answer for an error of this package's: one that ended the replica, or kept it from being opened, above all. */
export function refusal(error: LeewardError, headers = new Headers(), id = correlationId()): Response {
  const known = CODES[error.code];
  const [code, status] = known ?? [-32603, 500];
  const field = fieldOf(error);
  const data = {
    code: known === undefined ? "internal" : error.code,
    retryable: error.retryable,
    correlationId: id,
    ...(field !== undefined && { field }),
  };
  // What failed within is nobody's business without.
  const message = known === undefined ? "internal error" : error.message;
  const body = JSON.stringify({ jsonrpc: "2.0", error: { code, message, data } });
  headers.delete("www-authenticate");
  headers.set("content-type", "application/json");
  headers.set("cache-control", "no-store");
  return new Response(body, { status, headers });
}

/** Asks the program who calls, for as long as the client is there and the replica is open. */
async function callerOf(host: Host, request: Request, authenticate: Authenticate): Promise<unknown> {
  const { signal } = request;
  if (signal?.aborted) throw left(request);
  const ask = async () => authenticate(request);
  let forget = () => {};
  try {
    return await new Promise((resolve, reject) => {
      const leave = () => reject(left(request));
      const forgetEnd = host.onEnd(reject);
      forget = () => {
        forgetEnd();
        signal?.removeEventListener("abort", leave);
      };
      signal?.addEventListener("abort", leave, { once: true });
      // Whatever it throws is its own: an error of this package's would pass for the endpoint's.
      ask().then(resolve, (error: unknown) => reject(new TypeError(`authenticate failed: ${words(error)}`)));
    });
  } finally {
    forget();
  }
}

function admit(border: Border, head: string, who: number, principal = ""): Admitted | Response {
  const [length, caller] = border.writeTwo(head, principal);
  const [form, verb, split, isPrincipal, status] = border.call((engine) => {
    const form = engine.admit(length, caller, who);
    return [form, engine.about(), engine.split(), engine.last(), engine.status()] as const;
  });
  if (form === ADMITTED.STOPPED) {
    const body = border.bytes(split);
    return new Response(body.length > 0 ? body : null, { status, headers: pairs(border.text(0, split)) });
  }
  return {
    caller: isPrincipal ? border.bytes(0).subarray(0, split) : undefined,
    verb,
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
  try {
    // It may still owe the replica randomness.
    host.pump();
    switch (border.serveHttp(message, admitted.caller, headers, admitted.verb)) {
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
  const begun = admitted.verb === ASK.GET ? headOf(host.border, admitted, EVENTS) : undefined;
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
      done();
      events?.leave();
      reject(left(request));
      host.cancel(ticket);
    };
    const open = (head: ResponseInit) => {
      const opened = (events = new Events(host, leave));
      resolve(new Response(opened.stream, head));
      return opened;
    };
    host.wait(ticket, {
      message: (border, last) => {
        try {
          // Read first: signals and streams are the server's, and may call back; the output is then another answer.
          if (events === undefined && last) {
            const response = whole(border, admitted);
            done();
            return resolve(response);
          }
          const isMessage = border.call((engine) => engine.outputLength()) > 0;
          if (events === undefined && admitted.accept === ADMITTED.JSON) return isMessage && host.dropped(ticket);
          border.call((engine) => engine.frameEvent());
          const frame = border.bytes(0);
          const head = headOf(border, admitted, EVENTS);
          if (last) done();
          if (!(events ?? open(head)).send(frame, last)) host.dropped(ticket);
        } catch (error) {
          fail(typed(error));
        }
      },
      fail,
    });
    if (begun !== undefined) open(begun).start();
    signal?.addEventListener("abort", leave, { once: true });
  });
}

/**
 * Answers with the one message in the output buffer: as JSON where the client takes it. Where there is none, the end of
 * a session has no body, and what a session's client gave up is a stream of nothing.
 */
function whole(border: Border, admitted: Admitted): Response {
  const isEmpty = border.call((engine) => engine.outputLength()) === 0;
  if (isEmpty && admitted.verb === ASK.DELETE) return new Response(null, headOf(border, admitted));
  // A refusal of a stream is none.
  const isEvents = isEmpty || (admitted.verb === 0 && admitted.accept === ADMITTED.EVENTS);
  if (isEvents) border.call((engine) => engine.frameEvent());
  const body = border.bytes(0);
  return new Response(body, headOf(border, admitted, isEvents ? EVENTS : "application/json"));
}

/** Status and headers for the message in the output buffer. */
function headOf(border: Border, { headers }: Admitted, type?: string): ResponseInit {
  const [status, provenance, session] = border.call(
    (engine) => [engine.status(), engine.provenance(), engine.session()] as const,
  );
  const all = [...headers];
  if (type !== undefined) all.push(["content-type", type]);
  if (provenance !== "") all.push(["cache-status", provenance]);
  if (session !== "") all.push(["mcp-session-id", session]);
  if (type === EVENTS) all.push(["x-accel-buffering", "no"]);
  return { status, headers: all };
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

  /** Begins a stream that has nothing to say yet: some servers send the head with the first bytes behind it. */
  start(): void {
    this.#comment();
    this.#listen();
  }

  /** Sends one event, if it is one. Notifications are dropped while the client is too slow for them: then false. */
  send(frame: Uint8Array, last: boolean): boolean {
    if (this.#isOver) return true;
    const hasRoom = last || frame.length === 0 || (this.#out.desiredSize ?? 0) > 0;
    if (hasRoom && frame.length > 0) this.#out.enqueue(frame);
    if (last) {
      this.#end();
      this.#out.close();
    } else this.#listen();
    return hasRoom;
  }

  /** Breaks the stream off: there will be no response. */
  fail(error: LeewardError): void {
    if (this.#isOver) return;
    this.#end();
    this.#out.error(error);
  }

  /** Ends the stream for a client that has left. An error would be one in the server's log. */
  leave(): void {
    if (this.#isOver) return;
    this.#end();
    this.#out.close();
  }

  /** Sends a comment after a silence, so that nobody on the way takes it for an end. */
  #listen(): void {
    this.#forgetSilence?.();
    this.#forgetSilence = this.#host.after(MAX_SILENCE_MS, () => {
      if (this.#isOver) return;
      if (this.#out.desiredSize === MAX_QUEUED_BYTES) this.#comment();
      this.#listen();
    });
    // A host may close the replica while it is asked for a timer.
    if (this.#isOver) this.#forgetSilence();
  }

  #comment(): void {
    this.#out.enqueue(encoder.encode(": keep-alive\n\n"));
  }

  #end(): void {
    this.#isOver = true;
    this.#forgetSilence?.();
  }
}

/**
 * The request's body, as far as one byte beyond its limit: the replica refuses what is longer, and what was cut off
 * as if it were empty. The rest is not cancelled, by which some servers end the connection, answer included; but where
 * the client leaves, so that no body is waited for that nobody sends.
 */
async function read({ body, signal }: Request, maxBytes: number): Promise<Uint8Array> {
  // One array that grows: parts kept as they come would cost hundreds of bytes each, were they of a single one.
  let all = EMPTY;
  let length = 0;
  let empty = 0;
  let stop = () => {};
  try {
    const reader = (body as ReadableStream<Uint8Array> | null | undefined)?.getReader();
    if (reader === undefined) return EMPTY;
    stop = () => void reader.cancel().catch(() => {});
    signal?.addEventListener("abort", stop, { once: true });
    while (length <= maxBytes) {
      const { done, value } = await reader.read();
      if (done) break;
      const part = value.subarray(0, maxBytes + 1 - length);
      empty = part.length > 0 ? 0 : empty + 1;
      if (empty > MAX_EMPTY_CHUNKS) return EMPTY;
      const needed = length + part.length;
      if (needed > all.length) {
        const grown = new Uint8Array(Math.min(Math.max(needed, 2 * all.length, MIN_BODY_BYTES), maxBytes + 1));
        grown.set(all.subarray(0, length));
        all = grown;
      }
      all.set(part, length);
      length = needed;
    }
    reader.releaseLock();
  } catch {
    return EMPTY;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  return all.subarray(0, length);
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
