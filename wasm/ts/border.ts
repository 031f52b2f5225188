/**
 * The border to wasm: text and bytes in two buffers, numbers for the rest, and what happens after a trap.
 *
 * All replicas of a process live in one wasm instance. A trap leaves that instance in an unknown state, so every
 * replica in it is broken at once; a new instance takes its place, and the next `Replica.open` lives there.
 */

import { LeewardError, closed, fromRpc } from "./errors.js";
import { Engine, __wbg_reset_state as resetInstance, lastPanic } from "./leeward_wasm.js";
import type { Judge } from "./judge.js";
import { load, noMemory } from "./load.js";
import type { CacheInfo } from "./types.js";

/** Smallest input buffer, in bytes. */
const MIN_INPUT_BYTES = 64 << 10;
/** A larger input buffer is given back by the next call that needs no more than this. */
const KEEP_INPUT_BYTES = 1 << 20;
/** Flags of `Engine.serve` that are this file's to set. */
const ANONYMOUS = 1;
const HTTP = 4;

/** The other flags of `Engine.serve`: answer only what is fresh here; open a stream; end a session. */
export const ASK = { PEEK: 2, GET: 8, DELETE: 16 } as const;

/** What `Engine.serve` returns. */
export const SERVED = { REPLY: 0, WAIT: 1, ACCEPTED: 2, ABSENT: 3 } as const;
/** What it returns besides, within this file: it asks what is wrong with a call's arguments. */
const CHECK = 4;
/** What `Engine.pollOutput` returns. */
export const OUTPUT = {
  NONE: 0,
  FETCH: 1,
  READ: 2,
  ABORT: 3,
  CALL_TOOL: 4,
  CALL_RESOURCE: 5,
  CREDENTIAL: 6,
  ENTROPY: 7,
  EVENT: 8,
  REPLY: 9,
  LOAD: 10,
  KEEP: 11,
  SIGN: 12,
  REDIRECT: 13,
  AUTHORIZE: 14,
  ERRAND: 15,
} as const;
/** What a host does, by which a replica knows what it may ask for. */
export const DOES = { CREDENTIALS: 1, SESSIONS: 2, JUDGES: 4, VAULT: 8, AUTHORIZES: 16, SIGNS: 32 } as const;
/** What a program may ask of a replica besides requests. */
export const ERRAND = { CALLBACK: 0, SIGN_OUT: 1, SIGN_OUT_ANONYMOUS: 2 } as const;

const STATES = ["hit", "miss", "stale", "bypass", "local"] as const;
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** One wasm instance and the borders in it, weakly: a replica that nobody holds any more is collected. */
interface Instance {
  readonly memory: WebAssembly.Memory;
  readonly borders: Set<WeakRef<Border>>;
}

/** Takes a replica that was collected out of its instance; its engine frees itself. */
const collected = new FinalizationRegistry<{ home: Instance; border: WeakRef<Border> }>(({ home, border }) => {
  home.borders.delete(border);
});

let instance: Instance | undefined;
let mustReset = false;

async function enter(): Promise<Instance> {
  if (instance !== undefined) return instance;
  if (mustReset) {
    try {
      resetInstance();
    } catch (cause) {
      throw noMemory(cause);
    }
  }
  mustReset = false;
  const { memory } = await load();
  // Another `open` may have come first while this one waited.
  instance ??= { memory, borders: new Set() };
  return instance;
}

function leave(trapped: Instance, cause: unknown): void {
  if (instance !== trapped) return;
  instance = undefined;
  let panic = "";
  try {
    panic = lastPanic();
  } catch {
    // The instance is past answering; the trap itself is the cause that is reported.
  }
  // At once: a finalizer that runs later must meet the new instance, which knows the old objects as strangers.
  try {
    resetInstance();
  } catch {
    mustReset = true;
  }
  const message = panic === "" ? "the wasm instance trapped" : `the wasm instance panicked: ${panic}`;
  const error = new LeewardError("internal", message, { cause });
  for (const border of trapped.borders) border.deref()?.fail(error);
  trapped.borders.clear();
}

/** Clocks as the border reads them, once per call. */
export interface Clocks {
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since the Unix epoch. */
  unix(): number;
}

/** One replica's side of the border. Every method throws the error that ended the replica, if one did. */
export class Border {
  /** Largest message that {@link Border.serve} takes, in bytes. */
  readonly maxMessageBytes: number;
  /** Called once, when a trap ends this replica. */
  onBroken: (error: LeewardError) => void = () => {};
  /** Says what is wrong with arguments; see {@link Judge.fault}. */
  faultOf: Judge["fault"] = () => undefined;

  #engine: Engine | undefined;
  #ended: LeewardError | undefined;
  #input: Uint8Array<ArrayBufferLike> = EMPTY;
  readonly #instance: Instance;
  readonly #clocks: Clocks;
  readonly #self = new WeakRef(this);

  private constructor(home: Instance, clocks: Clocks, config: string, does: number) {
    this.#instance = home;
    this.#clocks = clocks;
    try {
      this.#engine = new Engine(config, does);
      this.maxMessageBytes = this.#engine.maxMessageBytes();
    } catch (error) {
      throw this.#thrown(error);
    }
    home.borders.add(this.#self);
    collected.register(this, { home, border: this.#self });
  }

  /** A new replica from the JSON text of its configuration, for a host that does what {@link DOES} adds up to. */
  static async open(config: string, does: number, clocks: Clocks): Promise<Border> {
    return new Border(await enter(), clocks, config, does);
  }

  /** Frees the replica. Later calls throw `closed`. */
  close(): void {
    const engine = this.#engine;
    this.#engine = undefined;
    this.#ended ??= closed();
    this.#input = EMPTY;
    this.#instance.borders.delete(this.#self);
    try {
      engine?.free();
    } catch (error) {
      leave(this.#instance, error);
    }
  }

  /** Ends the replica with an error, without touching wasm. */
  fail(error: LeewardError): void {
    if (this.#engine === undefined) return;
    this.#engine = undefined;
    this.#input = EMPTY;
    this.#ended = error;
    this.onBroken(error);
  }

  /** Whether the replica can be called. */
  get isOpen(): boolean {
    return this.#engine !== undefined;
  }

  /** Calls the engine; what it throws becomes a {@link LeewardError}. */
  call<Value>(action: (engine: Engine) => Value): Value {
    const engine = this.#engine;
    if (engine === undefined) throw this.#ended;
    try {
      return action(engine);
    } catch (error) {
      throw this.#thrown(error);
    }
  }

  /** Calls the engine with both clocks. */
  handle(action: (engine: Engine, mono: number, unix: number) => void): void {
    const mono = this.#clocks.now();
    const unix = this.#clocks.unix();
    this.call((engine) => action(engine, mono, unix));
  }

  /**
   * Receives one message; see {@link SERVED}. `caller`: the principal in UTF-8, or `undefined` for none. `flags`: of
   * {@link ASK}; the message is empty for what takes none.
   */
  serve(
    message: string,
    caller: Uint8Array | undefined,
    negotiated: Uint8Array | undefined,
    connection: number,
    flags: number,
  ): number {
    if (this.#engine === undefined) throw this.#ended;
    // No text has fewer bytes of UTF-8 than UTF-16 units, so what is too long here is too long there.
    if (message.length > this.maxMessageBytes) {
      throw new LeewardError("too_large", `a message may have ${this.maxMessageBytes} bytes`);
    }
    const write = (spare: number) => this.write(message, spare);
    return this.#serve(write, caller, negotiated, connection, flags);
  }

  /** Receives one request over HTTP, as {@link Border.serve}. `headers`: `name LF value LF` each, in UTF-8. */
  serveHttp(message: Uint8Array, caller: Uint8Array | undefined, headers: Uint8Array, flags: number): number {
    return this.#serve((spare) => this.writeBytes(message, spare), caller, headers, 0, HTTP | flags);
  }

  #serve(
    write: (spare: number) => number,
    caller: Uint8Array | undefined,
    about: Uint8Array | undefined,
    connection: number,
    flags: number,
  ): number {
    let served = this.#tryServe(write, caller, about, connection, flags);
    // Again only by another schema, if the validator itself has brought one.
    while (served === CHECK) served = this.#tryServe(write, caller, about, connection, flags, this.#verdict());
    return served;
  }

  /** Judges the arguments in the output buffer; returns how to tell. */
  #verdict(): () => void {
    const [schema, name, length] = this.call((engine) => [engine.op(), engine.split(), engine.about()] as const);
    const [tool, args] = [this.text(0, name), this.text(name + length)];
    const fault = this.faultOf(schema, tool, () => this.text(name, name + length), args);
    return () => {
      const written = this.write(fault ?? "");
      this.call((engine) => engine.judged(schema, fault === undefined, written));
    };
  }

  #tryServe(
    write: (spare: number) => number,
    caller: Uint8Array | undefined,
    about: Uint8Array | undefined,
    connection: number,
    flags: number,
    tell?: () => void,
  ): number {
    // Before anything is written: a clock of the host's may call back, and write input of its own.
    const mono = this.#clocks.now();
    const unix = this.#clocks.unix();
    tell?.();
    const length = write((caller?.length ?? 0) + (about?.length ?? 0));
    let at = length;
    if (caller !== undefined) {
      this.#input.set(caller, at);
      at += caller.length;
    }
    if (about !== undefined) this.#input.set(about, at);
    const who = caller === undefined ? ANONYMOUS : 0;
    return this.call((engine) =>
      engine.serve(mono, unix, length, caller?.length ?? 0, about?.length ?? 0, connection, flags | who),
    );
  }

  /** Writes text at the start of the input buffer, with `spare` bytes of room behind it; returns its length. */
  write(text: string, spare = 0): number {
    // Three bytes of UTF-8 at most per unit of UTF-16; long text, mostly ASCII, is tried with less first.
    const most = text.length * 3 + spare;
    this.#reserve(most <= MIN_INPUT_BYTES ? most : text.length + (text.length >> 3) + spare);
    let { read, written } = encoder.encodeInto(text, this.#input);
    if (read < text.length || written + spare > this.#input.byteLength) {
      this.#reserve(most);
      ({ read, written } = encoder.encodeInto(text, this.#input));
    }
    return written;
  }

  /** Writes two texts one after the other; returns their lengths. */
  writeTwo(first: string, second: string): [number, number] {
    const [head, tail] = [encoder.encode(first), encoder.encode(second)];
    this.#reserve(head.length + tail.length);
    this.#input.set(head);
    this.#input.set(tail, head.length);
    return [head.length, tail.length];
  }

  /** Writes bytes at the start of the input buffer, with `spare` bytes of room behind them; returns their length. */
  writeBytes(bytes: Uint8Array, spare = 0): number {
    this.#reserve(bytes.length + spare);
    try {
      this.#input.set(bytes);
    } catch (cause) {
      // Somebody else's memory may be gone by now; that is not a trap.
      throw new LeewardError("internal", "bytes that cannot be read", { cause });
    }
    return bytes.length;
  }

  /** The output buffer as text, from `from` up to `to`. */
  text(from = 0, to = Number.MAX_SAFE_INTEGER): string {
    return decoder.decode(this.#output(from, to));
  }

  /** A copy of the output buffer, from `from` on. */
  bytes(from = 0): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#output(from, Number.MAX_SAFE_INTEGER));
  }

  /** How the cache took part in the last answer. */
  cache(): CacheInfo {
    return this.call((engine) => {
      const ttl = engine.ttl();
      return {
        status: STATES[engine.state()] ?? "local",
        ttlMs: Number.isNaN(ttl) ? undefined : ttl,
        header: engine.provenance(),
        collapsed: engine.collapsed(),
        stored: engine.stored(),
      };
    });
  }

  #output(from: number, to: number): Uint8Array<ArrayBufferLike> {
    return this.call((engine) => {
      const length = engine.outputLength();
      const start = Math.min(from, length);
      const end = Math.max(start, Math.min(to, length));
      return new Uint8Array(this.#instance.memory.buffer, engine.output() + start, end - start);
    });
  }

  /** Makes room. A view of memory that has grown since has no bytes left, so it is derived again here. */
  #reserve(bytes: number): void {
    const room = this.#input.byteLength;
    if (bytes <= room && room > 0 && (room <= KEEP_INPUT_BYTES || bytes > KEEP_INPUT_BYTES)) return;
    this.#input = this.call((engine) => {
      const at = engine.input(Math.max(bytes, MIN_INPUT_BYTES));
      return new Uint8Array(this.#instance.memory.buffer, at, engine.inputCapacity());
    });
  }

  /** The error for what the engine threw: a text is an answer of the replica's, anything else is a trap. */
  #thrown(error: unknown): LeewardError {
    if (error instanceof LeewardError) return error;
    if (typeof error === "string") {
      return fromRpc(JSON.parse(error));
    }
    leave(this.#instance, error);
    if (this.#ended !== undefined) return this.#ended;
    return new LeewardError("internal", "the wasm instance trapped", { cause: error });
  }
}
