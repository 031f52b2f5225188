/**
 * A transport for the official SDK's client, versions 1 and 2: the replica as the server at its other end, in
 * this process. The interface is met by shape, so this package depends on no SDK.
 */

import { ASK, SERVED, type Border } from "./border.js";
import { LeewardError, closed, invalidParams, isObject } from "./errors.js";
import type { Host } from "./host.js";
import { stringify } from "./requests.js";
import type { JsonRpcMessage } from "./types.js";

/** After it the client takes messages that belong to no request (2025-11-25, Lifecycle, Initialization). */
const INITIALIZED = "notifications/initialized";
/** Stands for a JSON-RPC id where a stream has none; no message can have it. */
const STREAM = Symbol("stream");

let connections = 0;
const encoder = new TextEncoder();

/**
 * One connection of an agent to the replica, for `client.connect(transport)`. It is the session of a client that begins
 * with `initialize`. A new one costs nothing, and closing it ends its session and what it still waits for.
 */
export class ReplicaTransport {
  /** Called for each message of the replica, never within {@link ReplicaTransport.send}. */
  onmessage?: ((message: any, extra?: any) => void) | undefined;
  /** Called once, when the connection ends for whatever reason. */
  onclose?: (() => void) | undefined;
  /** Called for faults that no request can be told of. */
  onerror?: ((error: Error) => void) | undefined;
  /** Always undefined: the connection is the session, and needs no name. */
  readonly sessionId: undefined = undefined;

  readonly #host: Host;
  readonly #caller: Uint8Array | undefined;
  readonly #connection = (connections += 1);
  /** Everything that is waited for, and by the JSON-RPC id (which an agent may have used twice). */
  readonly #open = new Set<number>();
  readonly #tickets = new Map<unknown, number>();
  readonly #forgetEnd: () => void;
  #negotiated: Uint8Array | undefined;
  #ended: LeewardError | undefined;
  /** The session's own stream ended on the replica's side. */
  #isDeaf = false;

  /** @internal */
  constructor(host: Host, caller: Uint8Array | undefined) {
    this.#host = host;
    this.#caller = caller;
    this.#forgetEnd = host.onEnd((error, isBroken) => this.#end(error, isBroken));
  }

  /**
   * Starts the connection. Nothing has to be done for that, and doing it twice is no fault.
   *
   * @throws {@link LeewardError} `closed` if it has ended.
   */
  async start(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
  }

  /**
   * Sends a message. Resolves once the replica has taken it; the answer comes by `onmessage`, also if it is an error.
   *
   * @param message One JSON-RPC message.
   * @param options What the client's SDK says besides; without effect.
   * @throws {@link LeewardError} `closed` if the connection has ended, `invalid_params` for what JSON cannot hold,
   * `too_large`.
   */
  async send(message: JsonRpcMessage | JsonRpcMessage[] | object, options?: unknown): Promise<void> {
    void options;
    if (this.#ended !== undefined) throw this.#ended;
    const text = stringify("the message", message);
    if (text === undefined) throw invalidParams("the message cannot be written as JSON");
    try {
      switch (this.#serve(text, 0)) {
        case SERVED.REPLY:
          this.#deliver(this.#host.border);
          break;
        case SERVED.WAIT:
          this.#wait((message as JsonRpcMessage).id);
          break;
        default:
          this.#forgetCancelled(message);
          if ((message as JsonRpcMessage).method === INITIALIZED) this.#listen();
      }
      // Not at once: an authority may end it again and again.
      if (this.#isDeaf) this.#listen();
    } finally {
      this.#host.pump();
    }
  }

  /** Ends the connection and gives up on what it waits for. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const tickets = [...this.#open];
    try {
      this.#end(closed(), false);
    } finally {
      for (const ticket of tickets) this.#host.forget(ticket);
      this.#leave();
      for (const ticket of tickets) this.#host.cancel(ticket);
    }
  }

  /** Told by the client which version `initialize` settled. */
  setProtocolVersion = (version: string): void => {
    this.#negotiated = encoder.encode(String(version).slice(0, 64));
  };

  #serve(text: string, flags: number): number {
    return this.#host.serve(text, this.#caller, this.#negotiated, this.#connection, flags);
  }

  /** Gets the session's own stream, for what belongs to no request. A connection without a session has none. */
  #listen(): void {
    this.#isDeaf = false;
    if (this.#serve("", ASK.GET) === SERVED.WAIT) this.#wait(STREAM);
  }

  /** Ends the session, if there is one and the replica still is. */
  #leave(): void {
    const { border } = this.#host;
    if (!border.isOpen) return;
    try {
      this.#serve("", ASK.DELETE);
    } catch {
      // A trap, of which everybody has been told.
    }
    this.#host.pump();
  }

  /** Waits for the messages of the ticket just given. `id` names it: the request's, or {@link STREAM}. */
  #wait(id: unknown): void {
    const ticket = this.#host.border.call((engine) => engine.ticket());
    this.#tickets.set(id, ticket);
    this.#open.add(ticket);
    this.#host.wait(ticket, {
      message: (border, last) => {
        if (last) this.#open.delete(ticket);
        if (last && id === STREAM) this.#isDeaf = true;
        if (last && this.#tickets.get(id) === ticket) this.#tickets.delete(id);
        this.#deliver(border);
      },
      // `#end` tells the client, which rejects everything that it waits for.
      fail: () => {},
    });
  }

  /** Hands over the message in the output buffer, or each of a batch, if one is there, in a microtask of its own. */
  #deliver(border: Border): void {
    const text = border.text();
    // What a stream over HTTP can be resumed after, or its end.
    if (text === "") return;
    const messages = [JSON.parse(text) as JsonRpcMessage | JsonRpcMessage[]].flat();
    queueMicrotask(() => {
      for (const message of messages) {
        if (this.#ended !== undefined) return;
        try {
          this.onmessage?.(message);
        } catch (error) {
          this.#fault(error);
        }
      }
    });
  }

  /** No answer comes for what the agent cancelled. */
  #forgetCancelled(message: unknown): void {
    if (!isObject(message) || message["method"] !== "notifications/cancelled") return;
    const params = message["params"];
    const id = isObject(params) ? params["requestId"] : undefined;
    // A batch waits under none.
    const ticket = id === undefined ? undefined : this.#tickets.get(id);
    if (ticket === undefined) return;
    this.#tickets.delete(id);
    this.#open.delete(ticket);
    this.#host.forget(ticket);
  }

  #end(error: LeewardError, isBroken: boolean): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#forgetEnd();
    this.#tickets.clear();
    this.#open.clear();
    if (isBroken) this.#fault(error);
    this.onclose?.();
  }

  #fault(error: unknown): void {
    try {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    } catch {
      // Whoever listens to faults cannot be told of its own.
    }
  }
}
