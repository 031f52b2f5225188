/**
 * The loop around the border: does what the replica asks for, and brings back what happened. It holds no state
 * of the replica's; it knows only what is under way, so that it can be stopped.
 */

import { Border, DOES, OUTPUT } from "./border.js";
import { LeewardError, closed, fromRpc, words } from "./errors.js";
import { Hooks } from "./hooks.js";
import { Judge } from "./judge.js";
import { Locals } from "./locals.js";
import type { Settings } from "./options.js";
import { Trips, type TripRequest } from "./trips.js";
import type { Refused, ReplicaEvent } from "./types.js";

/** Longest delay that timers keep: 2^31 - 1 ms. */
const MAX_DELAY_MS = 0x7fff_ffff;

/** Waits for the messages of one ticket. */
export interface Waiter {
  /** A message stands in the border's output buffer; read it now. `last`: it is the response. */
  message(border: Border, last: boolean): void;
  /** There will be none. */
  fail(error: LeewardError): void;
}

/** Everything under way for one replica. */
export class Host {
  /** The replica. */
  readonly border: Border;
  /** The handlers of local tools and resources. */
  readonly locals: Locals;

  readonly #settings: Settings;
  readonly #trips: Trips;
  readonly #hooks: Hooks;
  readonly #waiters = new Map<number, Waiter>();
  readonly #errands = new Map<number, (error?: LeewardError) => void>();
  /** Called once the replica is closed or broken. */
  readonly #onEnd = new Set<(error: LeewardError, isBroken: boolean) => void>();
  #timer: { readonly at: number; readonly handle: unknown } | undefined;
  #owedEntropy: { readonly op: number; readonly bytes: number } | undefined;
  #isPumping = false;

  private constructor(border: Border, settings: Settings) {
    this.border = border;
    this.#settings = settings;
    const { fetch } = settings;
    this.#trips = new Trips((url, init) => fetch(url, init), {
      head: (op, status, headers) => {
        this.#tell((engine, mono, unix) => engine.handleHead(mono, unix, op, status, border.write(headers)));
      },
      chunk: (op, bytes) => {
        this.#tell((engine, mono, unix) => engine.handleChunk(mono, unix, op, border.writeBytes(bytes)));
      },
      end: (op) => {
        this.#tell((engine, mono, unix) => engine.handleEnd(mono, unix, op));
      },
      failed: (op, beforeSend, message) => {
        this.#tell((engine, mono, unix) => {
          engine.handleFailed(mono, unix, op, beforeSend, border.write(message));
        });
      },
    });
    this.locals = new Locals((op, isOk, text) => {
      const tell = (isOk: boolean, text: string) =>
        this.#tell((engine, mono, unix) => engine.handleLocal(mono, unix, op, isOk, border.write(text)));
      if (!tell(isOk, text) && border.isOpen) tell(false, "the handler's result is too large");
    });
    const failed = (what: string, error: unknown) => this.#event({ type: "host_failed", what, message: words(error) });
    this.#hooks = new Hooks(border, settings, (action) => this.#tell(action), failed);
    border.onBroken = (error) => this.#end(error, true);
    if (settings.validate !== undefined) {
      const judge = new Judge(settings.validate, (event) => this.#event(event));
      border.faultOf = (...question) => judge.fault(...question);
    }
  }

  /** A new replica, with its first questions answered. `sessions`: it keeps those of session-era agents. */
  static async open(settings: Settings, sessions: boolean): Promise<Host> {
    const { config, clock } = settings;
    const does =
      (settings.credentialFor ? DOES.CREDENTIALS : 0) |
      (sessions ? DOES.SESSIONS : 0) |
      (settings.validate ? DOES.JUDGES : 0) |
      (settings.vault ? DOES.VAULT : 0) |
      (settings.authorize ? DOES.AUTHORIZES : 0) |
      (settings.sign ? DOES.SIGNS : 0);
    const border = await Border.open(config, does, clock);
    const host = new Host(border, settings);
    host.pump();
    // Throws what ended the replica, if its first questions did.
    border.call(() => {});
    return host;
  }

  /** Receives one message; see {@link Border.serve}. Read the answer first, then call {@link Host.pump}. */
  serve(...message: Parameters<Border["serve"]>): number {
    if (this.#owedEntropy !== undefined) this.pump();
    return this.border.serve(...message);
  }

  /** Does what the replica asks for. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      if (this.#owedEntropy !== undefined) this.#entropy(this.#owedEntropy.op, this.#owedEntropy.bytes);
      while (this.border.isOpen) {
        const kind = this.border.call((engine) => engine.pollOutput());
        if (kind === OUTPUT.NONE) break;
        this.#do(kind);
      }
      if (this.border.isOpen) this.#arm();
    } catch (error) {
      // A trap: everybody has been told by `onBroken`. Anything else is a fault of this file's.
      if (this.border.isOpen) this.border.fail(new LeewardError("internal", words(error), { cause: error }));
    } finally {
      this.#isPumping = false;
    }
  }

  /** Waits for a ticket. */
  wait(ticket: number, waiter: Waiter): void {
    this.#waiters.set(ticket, waiter);
    this.#hold();
  }

  /** Forgets a ticket without a word to the replica. */
  forget(ticket: number): void {
    if (this.#waiters.delete(ticket)) this.#hold();
  }

  /** Says that a message of a ticket, other than the response, could not be passed on. */
  dropped(ticket: number): void {
    if (this.border.isOpen) this.#tell((engine, mono, unix) => engine.handleDropped(mono, unix, ticket));
  }

  /** Gives up on a ticket. */
  cancel(ticket: number): void {
    this.forget(ticket);
    if (this.border.isOpen) this.#tell((engine, mono, unix) => engine.handleCancel(mono, unix, ticket));
  }

  /** Calls back once the replica is closed or broken; returns how to forget that. */
  onEnd(action: (error: LeewardError, isBroken: boolean) => void): () => void {
    this.#onEnd.add(action);
    return () => this.#onEnd.delete(action);
  }

  /** Has the replica do an errand of {@link ERRAND}; rejects with what went wrong. */
  errand(kind: number, about: string): Promise<void> {
    const { border } = this;
    return new Promise((resolve, reject) => {
      let errand = 0;
      border.handle((engine, mono, unix) => (errand = engine.errand(mono, unix, kind, border.write(about))));
      this.#errands.set(errand, (error) => (error === undefined ? resolve() : reject(error)));
      this.#hold();
      this.pump();
    });
  }

  /** Ends everything and frees the replica; resolves once the vault has kept what it was given. */
  async close(): Promise<void> {
    if (this.border.isOpen) {
      this.border.close();
      this.#end(closed(), false);
    }
    await this.#hooks.kept();
  }

  /** Calls `action` after `delayMs` by the host's timer; returns how to forget that. */
  after(delayMs: number, action: () => void): () => void {
    const { clock } = this.#settings;
    let handle: unknown;
    this.#quietly("setTimeout", () => (handle = clock.setTimeout(action, Math.min(delayMs, MAX_DELAY_MS))));
    return () => this.#quietly("clearTimeout", () => clock.clearTimeout(handle));
  }

  #end(error: LeewardError, isBroken: boolean): void {
    this.#disarm();
    this.#owedEntropy = undefined;
    this.#trips.abortAll();
    this.locals.abortAll(error);
    this.#hooks.abortAll(error);
    const errands = [...this.#errands.values()];
    this.#errands.clear();
    for (const done of errands) done(error);
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const waiter of waiters) this.#quietly("waiter", () => waiter.fail(error));
    const actions = [...this.#onEnd];
    this.#onEnd.clear();
    for (const action of actions) this.#quietly("onclose", () => action(error, isBroken));
  }

  /**
   * Tells the replica what happened, and does what it asks for then. False if it could not be told: a trap, of
   * which everybody has heard by `onBroken`, or more input than one call may carry.
   */
  #tell(action: Parameters<Border["handle"]>[0]): boolean {
    if (!this.border.isOpen) return false;
    try {
      this.border.handle(action);
    } catch {
      return false;
    }
    this.pump();
    return true;
  }

  #do(kind: number): void {
    const { border } = this;
    const [op, about, split] = border.call((engine) => [engine.op(), engine.about(), engine.split()] as const);
    switch (kind) {
      case OUTPUT.FETCH: {
        const head = JSON.parse(border.text(0, split)) as Omit<TripRequest, "body">;
        return this.#trips.start(op, { ...head, body: border.bytes(split) });
      }
      case OUTPUT.READ:
        return this.#trips.read(op, about);
      case OUTPUT.ABORT:
        void (this.#trips.abort(about) || this.#hooks.abort(about) || this.locals.abort(about));
        return;
      case OUTPUT.CALL_TOOL:
        return this.locals.callTool(op, border.text(0, split), border.text(split));
      case OUTPUT.CALL_RESOURCE:
        return this.locals.callResource(op, border.text());
      case OUTPUT.CREDENTIAL:
        return this.#hooks.credential(op, this.#principal(split), this.#refused(split));
      case OUTPUT.ENTROPY:
        return this.#entropy(op, about);
      case OUTPUT.EVENT:
        return this.#event(JSON.parse(border.text()) as ReplicaEvent);
      case OUTPUT.REPLY:
        return this.#reply();
      case OUTPUT.LOAD:
        return this.#hooks.load(op, border.text());
      case OUTPUT.KEEP: {
        const isKept = border.call((engine) => engine.last());
        return this.#hooks.keep(border.text(0, split), isKept ? border.bytes(split) : undefined);
      }
      case OUTPUT.SIGN:
        return this.#hooks.sign(op, border.text(0, split), border.text(split, split + about), border.bytes(split + about));
      case OUTPUT.REDIRECT:
        return this.#hooks.redirect(op, this.#principal(split));
      case OUTPUT.AUTHORIZE:
        return this.#hooks.authorize(op, this.#principal(split), border.text(split));
      case OUTPUT.ERRAND:
        return this.#errandDone(op);
      default:
        throw new Error(`an output of unknown kind ${kind}`);
    }
  }

  #reply(): void {
    const [ticket, last] = this.border.call((engine) => [engine.ticket(), engine.last()] as const);
    const waiter = this.#waiters.get(ticket);
    if (waiter === undefined) return;
    // Read first: what holds the process may call back, and the output is then another answer.
    this.#quietly("waiter", () => waiter.message(this.border, last));
    if (last) this.forget(ticket);
  }

  /** The principal at the head of the output; `undefined` for an anonymous caller. */
  #principal(length: number): string | undefined {
    return this.border.call((engine) => engine.last()) ? this.border.text(0, length) : undefined;
  }

  /** How a credential was refused, behind the principal; `undefined` if it was not. */
  #refused(split: number): Refused | undefined {
    const text = this.border.text(split);
    return text === "" ? undefined : (JSON.parse(text) as Refused);
  }

  #errandDone(errand: number): void {
    const { border } = this;
    // Read first, as of a reply.
    const isDone = border.call((engine) => engine.last());
    const error = isDone ? undefined : fromRpc(JSON.parse(border.text()));
    this.#errands.get(errand)?.(error);
    if (this.#errands.delete(errand)) this.#hold();
  }

  /**
   * Answers with randomness; where the host has none at this time, again with the next call. What is asked for while
   * some is owed gets none: only the first question, the replica's seed, must be answered in the end.
   */
  #entropy(op: number, bytes: number): void {
    const owed = (this.#owedEntropy ??= { op, bytes });
    let drawn = new Uint8Array(bytes);
    const draw = () => {
      this.#settings.random(drawn);
      if (drawn.length !== bytes) throw new TypeError("the array was taken away");
    };
    const isDrawn = this.#quietly("random", draw);
    if (!this.border.isOpen || (!isDrawn && owed.op === op)) return;
    if (!isDrawn) drawn = new Uint8Array(0);
    if (owed.op === op) this.#owedEntropy = undefined;
    this.border.handle((engine, mono, unix) => {
      engine.handleEntropy(mono, unix, op, this.border.writeBytes(drawn));
    });
  }

  #event(event: ReplicaEvent): void {
    try {
      // An async listener is one too.
      const heard: unknown = this.#settings.onEvent?.(event);
      if (heard instanceof Promise) heard.catch(() => {});
    } catch {
      // Whoever listens to faults cannot be told of its own.
    }
  }

  /** Sets the one timer to when the replica wants to be called. */
  #arm(): void {
    const { clock } = this.#settings;
    const at = this.border.call((engine) => engine.pollTimeout());
    if (at === (this.#timer?.at ?? -1)) return;
    this.#disarm();
    if (at < 0) return;
    const delay = Math.min(Math.max(Math.ceil(at - clock.now()), 0), MAX_DELAY_MS);
    this.#quietly("setTimeout", () => {
      const handle = clock.setTimeout(() => {
        this.#timer = undefined;
        this.#tell((engine, mono, unix) => engine.handleTick(mono, unix));
      }, delay);
      this.#timer = { at, handle };
    });
    // A host may close the replica while it is asked for a timer.
    if (!this.border.isOpen) return this.#disarm();
    this.#hold();
  }

  #disarm(): void {
    if (this.#timer === undefined) return;
    const { handle } = this.#timer;
    this.#timer = undefined;
    this.#quietly("clearTimeout", () => this.#settings.clock.clearTimeout(handle));
  }

  /** Where timers can keep a process alive, this one does so only while somebody waits. */
  #hold(): void {
    const isNeeded = this.#waiters.size + this.#errands.size > 0;
    const handle = this.#timer?.handle;
    if (typeof handle !== "object" || handle === null) return;
    this.#quietly("timer", () => {
      const { [isNeeded ? "ref" : "unref"]: hold } = handle as { ref?: unknown; unref?: unknown };
      if (typeof hold === "function") hold.call(handle);
    });
  }

  /** Runs what belongs to the host or the agent; what it throws is an event. False if it threw. */
  #quietly(what: string, action: () => unknown): boolean {
    try {
      action();
      return true;
    } catch (error) {
      this.#event({ type: "host_failed", what, message: words(error) });
      return false;
    }
  }
}
