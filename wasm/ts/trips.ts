/**
 * HTTP trips: fetches that the replica asked for, and the bodies of their responses, one chunk at a time. What
 * happens is told to a {@link TripSink}; nothing is told about a trip that was stopped.
 */

import { words } from "./errors.js";

/** What the replica asks to be sent. */
export interface TripRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: [string, string][];
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Hears what happens to trips. */
export interface TripSink {
  /** The head of a response. */
  head(op: number, status: number, headers: string): void;
  /** The next bytes of a body, at least one. */
  chunk(op: number, bytes: Uint8Array): void;
  /** A body ended whole. */
  end(op: number): void;
  /** A fetch or a read failed. `beforeSend`: surely no byte of the request reached the authority. */
  failed(op: number, beforeSend: boolean, message: string): void;
}

/** Largest chunk that is passed on; a larger one is passed on in parts. */
const MAX_CHUNK_BYTES = 256 << 10;
/** Most chunks without bytes in a row: a body of nothing else would keep the process from everything else. */
export const MAX_EMPTY_CHUNKS = 1024;

/** Errors after which no connection was there to send on; those of OpenSSL are of a certificate, which comes before. */
const BEFORE_SEND = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "ConnectionRefused",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** The same in Deno, which gives words and no code: its client had no connection. */
const BEFORE_SEND_IN_DENO = /^error sending request for url \(.*\): client error \(Connect\): /s;

/** A source of chunks: a stream's reader, or one made from a whole body. */
interface Chunks {
  read(): Promise<{ done: boolean; value?: unknown }>;
  cancel(): Promise<unknown>;
}

interface Trip {
  readonly controller: AbortController;
  /** As `fetch` gave it, which may be anything at all. */
  response?: Response;
  chunks?: Chunks;
  /** What is left of a chunk that was too large to pass on at once. */
  rest?: Uint8Array;
}

/** The trips of one replica. */
export class Trips {
  readonly #trips = new Map<number, Trip>();
  readonly #send: (url: string, init: RequestInit) => Promise<Response>;
  readonly #sink: TripSink;

  constructor(send: (url: string, init: RequestInit) => Promise<Response>, sink: TripSink) {
    this.#send = send;
    this.#sink = sink;
  }

  /** Sends a request. */
  start(op: number, request: TripRequest): void {
    const trip: Trip = { controller: new AbortController() };
    this.#trips.set(op, trip);
    const send = this.#send;
    let response: Promise<Response>;
    try {
      response = Promise.resolve(
        send(request.url, {
          method: request.method,
          headers: request.headers,
          redirect: "manual",
          signal: trip.controller.signal,
          ...(request.body.length > 0 && { body: sentOnce(request.body) }),
        }),
      );
    } catch (error) {
      // Told later, as any answer is: the replica is still handing out what to do.
      response = Promise.reject(error);
    }
    response.then(
      (response) => this.#arrived(op, trip, response),
      (error: unknown) => {
        if (!this.#drop(op, trip)) return;
        this.#sink.failed(op, isBeforeSend(error), words(error));
      },
    );
  }

  /** Reads the next chunk of a trip's body. */
  read(op: number, fetch: number): void {
    const trip = this.#trips.get(fetch);
    if (trip === undefined) return this.#sink.failed(op, false, "nothing is being fetched");
    const { rest } = trip;
    if (rest !== undefined) return queueMicrotask(() => this.#chunk(op, fetch, trip, rest));
    this.#next(fetch, trip).then(
      (chunk) => {
        if (chunk !== undefined) return this.#chunk(op, fetch, trip, chunk);
        if (this.#trips.get(fetch) !== trip) return;
        this.#trips.delete(fetch);
        this.#sink.end(op);
      },
      (error: unknown) => {
        if (!this.#drop(fetch, trip)) return;
        this.#sink.failed(op, false, words(error));
      },
    );
  }

  /** Stops a trip and frees what it holds. False if there is no such trip. */
  abort(fetch: number): boolean {
    const trip = this.#trips.get(fetch);
    return trip !== undefined && this.#drop(fetch, trip);
  }

  /** Stops everything. */
  abortAll(): void {
    for (const [fetch, trip] of [...this.#trips]) this.#drop(fetch, trip);
  }

  #arrived(op: number, trip: Trip, response: Response): void {
    trip.response = response;
    if (this.#trips.get(op) !== trip) return discard(trip);
    let head: { status: number; headers: string };
    try {
      head = readHead(response);
    } catch (error) {
      if (this.#drop(op, trip)) this.#sink.failed(op, false, words(error));
      return;
    }
    // What is read of a host's own response may have stopped the trip.
    if (this.#trips.get(op) === trip) this.#sink.head(op, head.status, head.headers);
  }

  #chunk(op: number, fetch: number, trip: Trip, bytes: Uint8Array): void {
    if (this.#trips.get(fetch) !== trip) return;
    const chunk = this.#cut(trip, bytes);
    if (chunk.length > 0) return this.#sink.chunk(op, chunk);
    // It had bytes when it came: the host has given its memory to somebody else.
    this.#drop(fetch, trip);
    this.#sink.failed(op, false, "a chunk was taken away");
  }

  /** The next chunk that has bytes, or undefined at the end, and for a trip that was stopped. */
  async #next(fetch: number, trip: Trip): Promise<Uint8Array | undefined> {
    trip.chunks ??= open(trip.response);
    for (let empty = 0; empty <= MAX_EMPTY_CHUNKS; empty += 1) {
      const { done, value } = await trip.chunks.read();
      if (done || this.#trips.get(fetch) !== trip) return undefined;
      if (!ArrayBuffer.isView(value)) throw new TypeError("a body must give bytes");
      if (value.byteLength > 0) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
    throw new TypeError(`a body gave ${MAX_EMPTY_CHUNKS} chunks without bytes`);
  }

  #cut(trip: Trip, chunk: Uint8Array): Uint8Array {
    if (chunk.length <= MAX_CHUNK_BYTES) {
      delete trip.rest;
      return chunk;
    }
    trip.rest = chunk.subarray(MAX_CHUNK_BYTES);
    return chunk.subarray(0, MAX_CHUNK_BYTES);
  }

  /** Forgets a trip and stops it; false if it was forgotten before. */
  #drop(fetch: number, trip: Trip): boolean {
    if (this.#trips.get(fetch) !== trip) return false;
    this.#trips.delete(fetch);
    discard(trip);
    return true;
  }
}

/**
 * A body for one attempt. Deno sends bytes a second time if the connection ends without an answer, and what a write
 * did in the meantime it would do twice; a blob it sends once.
 */
function sentOnce(body: Uint8Array<ArrayBuffer>): BodyInit {
  return "Deno" in globalThis ? new Blob([body]) : body;
}

/** Stops a trip. Nobody hears what its ends say about that. */
function discard(trip: Trip): void {
  const quiet = (promise: Promise<unknown> | undefined) => promise?.catch(() => {});
  try {
    trip.controller.abort();
    // A body that has a reader is locked: only the reader can end it.
    if (trip.chunks !== undefined) void quiet(trip.chunks.cancel());
    else void quiet(trip.response?.body?.cancel?.());
  } catch {
    // A host's own stream that cannot be cancelled is left to the collector.
  }
}

/** Chunks of a response's body, streamed where the host can. */
function open(response: Response | undefined): Chunks {
  const body: unknown = response?.body;
  if (typeof body === "object" && body !== null && "getReader" in body) {
    return (body as ReadableStream<unknown>).getReader() as Chunks;
  }
  // Hosts without streams give no body but can read it whole; a response without a body reads as empty.
  let whole = body === null ? undefined : response?.arrayBuffer();
  return {
    async read() {
      const buffer = await whole;
      whole = undefined;
      return buffer === undefined ? { done: true } : { done: false, value: new Uint8Array(buffer) };
    },
    cancel: () => Promise.resolve(),
  };
}

/** Status and headers, the latter as `name LF value LF` each. Throws where there is no response. */
function readHead(response: Response): { status: number; headers: string } {
  const { type, status, headers: given } = Object(response) as Partial<Response>;
  if (!(Number.isInteger(status) && status! >= 0 && status! <= 999) || typeof given?.forEach !== "function") {
    throw new TypeError("fetch gave something that is no Response");
  }
  let headers = "";
  given.forEach((value, name) => {
    headers += `${name.toLowerCase()}\n${value.replaceAll("\n", " ")}\n`;
  });
  // Browsers hide a redirect that is not followed behind status 0.
  return { status: type === "opaqueredirect" ? 307 : status!, headers };
}

/** Whether a failed fetch surely sent nothing. An error that cannot be read says nothing about that. */
function isBeforeSend(error: unknown): boolean {
  try {
    return neverSent(error);
  } catch {
    return false;
  }
}

/** The same, by the system error behind it. */
function neverSent(error: unknown, depth = 0): boolean {
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  if (typeof cause !== "object" || cause === null || depth > 4) return false;
  if (cause instanceof Error && "Deno" in globalThis && BEFORE_SEND_IN_DENO.test(cause.message)) return true;
  const { code, syscall, errors } = cause as { code?: unknown; syscall?: unknown; errors?: unknown };
  if (Array.isArray(errors) && errors.length > 0) return errors.every((inner) => neverSent(inner, depth + 1));
  // The same codes can end a connection that was made; then another call than `connect` names them.
  const connecting = syscall === undefined || syscall === "connect" || syscall === "getaddrinfo";
  return connecting && typeof code === "string" && BEFORE_SEND.has(code);
}
