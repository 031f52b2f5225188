/**
 * An MCP endpoint on web standards: a function from a `Request` to a `Response`, for whatever server takes one.
 *
 * @packageDocumentation
 */

import "#entry";

import { typed } from "./checks.js";
import { answer, correlationId, refusal, type Refuse } from "./endpoint.js";
import { LeewardError, closed, configInvalid, fieldOf, isObject, words } from "./errors.js";
import { hostOf, openReplica, type Replica } from "./replica.js";
import type { ReplicaEvent, ReplicaOptions, Validator } from "./types.js";
import { validate as ownValidate } from "./validate.js";

/** Finds out who calls; see {@link HandlerOptions.authenticate}. */
export type Authenticate = (
  request: Request,
) => string | null | undefined | PromiseLike<string | null | undefined>;

/** What {@link createHandler} takes: the options of the replica, and those of the endpoint. */
export interface HandlerOptions extends ReplicaOptions {
  /** Where the endpoint is. Default `/mcp`. */
  path?: string | undefined;
  /** As {@link ReplicaOptions.validate}. Default: that of `leeward/validate`. */
  validate?: Validator | false | undefined;
  /** The callers' bearer tokens (16 to 512 visible ASCII characters, at most 1024 tokens) and their principals. */
  tokens?: Readonly<Record<string, string>> | undefined;
  /**
   * Finds out who calls, instead of `tokens`: the principal, `null` for nobody in particular (whom the configuration's
   * `anonymous` must let in), or `undefined` to refuse. It must not read the request's body.
   */
  authenticate?: Authenticate | undefined;
  /**
   * Whether agents of the revisions before 2026-07-28 get a session: the notifications, the resumable streams, and the
   * requests of the server to the client that these revisions know. Sessions live in this replica's memory: set it to
   * `false` where several instances share one URL, as serverless platforms have them, and the next request of an agent
   * may come to another one. They are then served each request by itself. Default `true`.
   */
  sessions?: boolean | undefined;
}

/** A request handler, and what belongs to it. It never rejects: every fault is a response. */
export interface Handler {
  (request: Request): Promise<Response>;
  /**
   * The replica behind it, opened if it is not yet: for counters, `invalidate`, local tools. After a trap of the wasm
   * another one takes its place, which has the local tools and resources of the options alone: ask again, do not keep it.
   */
  replica(): Promise<Replica>;
  /** Closes the replica. Requests are answered with 503 from then on. */
  close(): Promise<void>;
}

/**
 * Makes the handler of an MCP endpoint in front of one replica, which opens with the first request and is shared by
 * all. Without `tokens` and `authenticate` only anonymous callers can be served, if the configuration lets them in.
 *
 * `GET /healthz` tells that it is well. Not for Cloudflare Workers, where no request may wait for what another one
 * began: use the `leeward-worker` host there.
 *
 * @example
 * ```ts
 * const handler = createHandler({ authority: "https://crm.example/mcp", tokens: { [TOKEN]: "ann" } });
 * Deno.serve(handler);
 * ```
 * @throws `LeewardError` `config_invalid`, for an option of the wrong type. A mistake in the configuration is
 * told by every response and, once, by `onEvent`. Without `onEvent` that, and every `host_failed`, is on the console.
 */
export function createHandler(options: HandlerOptions = {}): Handler {
  const { path, tokens, authenticate, sessions, onEvent, replicaOptions } = checked(options);
  let opening: Promise<Replica> | undefined;
  let isClosed = false;

  const tell = (event: ReplicaEvent) => {
    try {
      // An async listener is one too.
      const heard: unknown = onEvent(event);
      if (heard instanceof Promise) heard.catch(() => {});
    } catch {
      // Whoever listens to faults cannot be told of its own.
    }
  };
  const start = async (again: () => void) => {
    const replica = await openReplica(replicaOptions, sessions);
    const host = hostOf(replica);
    try {
      host.border.call((engine) => engine.openGate(path, tokens));
    } catch (error) {
      await replica.close();
      throw error;
    }
    // After a trap the next request gets a new instance.
    host.onEnd((error, isBroken) => {
      if (!isBroken) return;
      again();
      tell({ type: "host_failed", what: "wasm", message: words(error) });
    });
    return replica;
  };
  const open = () => {
    if (isClosed) return Promise.reject(closed());
    if (opening !== undefined) return opening;
    const again = () => {
      if (opening === attempt) opening = undefined;
    };
    const attempt = (opening = start(again));
    attempt.catch((error: unknown) => {
      tell(startFailed(typed(error)));
      if (!isFinal(typed(error))) again();
    });
    return attempt;
  };
  const refuse: Refuse = (error, headers) => {
    const id = correlationId();
    if (!(error instanceof LeewardError)) {
      tell({ type: "host_failed", what: "handler", message: words(error), correlationId: id });
    }
    return refusal(typed(error), headers, id);
  };

  const handler = async (request: Request): Promise<Response> => {
    let replica: Replica;
    try {
      replica = await open();
    } catch (error) {
      return refusal(typed(error));
    }
    return answer(hostOf(replica), request, authenticate, refuse);
  };
  const close = async () => {
    isClosed = true;
    const replica = await opening?.catch(() => undefined);
    await replica?.close();
  };
  return Object.assign(handler, { replica: open, close });
}

function checked(options: HandlerOptions) {
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") {
    const message = "leeward/fetch shares I/O between requests, which Workers forbid: use the leeward-worker host";
    throw configInvalid("", message);
  }
  if (!isObject(options as unknown)) throw configInvalid("", "the options must be an object");
  const { path = "/mcp", tokens, authenticate, sessions = true, ...replicaOptions } = options;
  if (typeof path !== "string" || !path.startsWith("/")) throw configInvalid("path", "path must begin with /");
  // As a request's URL has it.
  const { pathname } = new URL(`http://host${path}`);
  if (pathname === "/healthz") throw configInvalid("path", "path must leave /healthz to the state of health");
  if (tokens !== undefined && !isObject(tokens)) throw configInvalid("tokens", "tokens must be an object");
  if (authenticate !== undefined && typeof authenticate !== "function") {
    throw configInvalid("authenticate", "authenticate must be a function");
  }
  if (tokens !== undefined && authenticate !== undefined) {
    throw configInvalid("authenticate", "authenticate takes the place of tokens: give one of them");
  }
  if (typeof sessions !== "boolean") throw configInvalid("sessions", "sessions must be true or false");
  const { onEvent = log, validate = ownValidate } = options;
  return {
    path: pathname,
    tokens: tokens && textOf(tokens),
    authenticate,
    sessions,
    onEvent: typeof onEvent === "function" ? onEvent : log,
    replicaOptions: { ...replicaOptions, onEvent, validate },
  };
}

function textOf(tokens: object): string {
  let entries: [string, unknown][];
  try {
    entries = Object.entries(tokens);
  } catch (error) {
    throw configInvalid("tokens", "tokens cannot be read", error);
  }
  // What is no text, JSON would leave out: its caller would be refused, and nobody told why.
  const at = entries.findIndex(([, principal]) => typeof principal !== "string");
  if (at >= 0) throw configInvalid(`tokens[${at}]`, "a token's principal must be a string");
  return JSON.stringify(Object.fromEntries(entries));
}

/** Whether opening would fail again: the options stay as they are; a module, or anything else, may come whole. */
function isFinal(error: LeewardError): boolean {
  return error.code === "config_invalid" && fieldOf(error) !== "module";
}

function startFailed(error: LeewardError): ReplicaEvent {
  const { code, message, cause } = error;
  const field = fieldOf(error);
  const told = cause === undefined ? message : `${message}: ${words(cause)}`;
  return { type: "start_failed", code, message: told, ...(field !== undefined && { field }) };
}

/** Where nobody listens, faults of the host, the replica's own too, still must not pass unseen. */
function log({ type, ...members }: ReplicaEvent): void {
  if (type === "host_failed" || type === "start_failed") console.error(JSON.stringify({ leeward: type, ...members }));
}
