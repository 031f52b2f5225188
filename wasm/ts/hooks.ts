/**
 * What the program does for grants of the authority's: gives credentials, keeps records in its vault, signs, and brings
 * the user's browser to an authorization server. Each question is answered once; what is told of one that was given up
 * is dropped, and what a hook throws is told as words.
 */

import { OUTPUT, type Border } from "./border.js";
import { bytesOf, isObject, words } from "./errors.js";
import type { Settings } from "./options.js";
import type { Refused } from "./types.js";

/** Tells the replica; false if it could not be told. */
type Tell = (action: Parameters<Border["handle"]>[0]) => boolean;
type Told = Parameters<Tell>[0];

/** The hooks of one replica, and what they are asked. */
export class Hooks {
  readonly #border: Border;
  readonly #settings: Settings;
  readonly #tell: Tell;
  readonly #failed: (what: string, error: unknown) => void;
  /** What may be given up. */
  readonly #asked = new Map<number, AbortController>();
  /** The last write of each record: who comes after it finds it done. */
  readonly #writes = new Map<string, Promise<void>>();

  constructor(border: Border, settings: Settings, tell: Tell, failed: (what: string, error: unknown) => void) {
    this.#border = border;
    this.#settings = settings;
    this.#tell = tell;
    this.#failed = failed;
  }

  /** Asks for the credential of a principal; `refused`: how the authority refused the one given before. */
  credential(op: number, principal: string | undefined, refused: Refused | undefined): void {
    const { credentialFor } = this.#settings;
    this.#ask(op, OUTPUT.CREDENTIAL, () => credentialFor?.(principal, { refused }), (given) => {
      if (given === undefined || given === null) return (engine, mono, unix) => engine.handleNoCredential(mono, unix, op);
      const { token, identity } = (typeof given === "string" ? { token: given } : given) as Record<string, unknown>;
      if (typeof token !== "string" || (identity !== undefined && typeof identity !== "string")) {
        throw new TypeError("credentialFor must give a token");
      }
      // As of principals: in UTF-8 all lone surrogates are one character, and what is cached for the identity would be
      // that of another one.
      if (/\p{Surrogate}/u.test(identity ?? "")) throw new TypeError("identity is not valid Unicode");
      return (engine, mono, unix) => {
        const [first, second] = this.#border.writeTwo(token, identity ?? "");
        engine.handleCredential(mono, unix, op, first, second, identity !== undefined);
      };
    });
  }

  /** Asks the vault for a record. */
  load(op: number, key: string): void {
    const { vault } = this.#settings;
    this.#ask(op, OUTPUT.LOAD, () => this.#written(key).then(() => vault?.get(key)), (record) => {
      const isFound = record !== undefined && record !== null;
      const bytes = isFound ? bytesOf("vault.get", record) : new Uint8Array(0);
      return (engine, mono, unix) => engine.handleLoaded(mono, unix, op, isFound, this.#border.writeBytes(bytes));
    });
  }

  /** Has the vault keep a record, or forget it. */
  keep(key: string, record: Uint8Array<ArrayBuffer> | undefined): void {
    const { vault } = this.#settings;
    const write = this.#written(key)
      .then(() => (record === undefined ? vault?.delete(key) : vault?.set(key, record)))
      .then(
        () => {},
        (error: unknown) => this.#failed("vault", error),
      )
      .then(() => {
        if (this.#writes.get(key) === write) this.#writes.delete(key);
      });
    this.#writes.set(key, write);
  }

  /** Resolves once the vault has kept what it was given. */
  async kept(): Promise<void> {
    await Promise.all(this.#writes.values());
  }

  /** Asks for a signature. */
  sign(op: number, key: string, algorithm: string, payload: Uint8Array<ArrayBuffer>): void {
    const { sign } = this.#settings;
    this.#askUntil(op, OUTPUT.SIGN, () => sign?.(key, algorithm, payload), (signature) => {
      const bytes = bytesOf("sign", signature);
      return (engine, mono, unix) => engine.handleSigned(mono, unix, op, this.#border.writeBytes(bytes));
    });
  }

  /** Asks where a redirect can be received. */
  redirect(op: number, principal: string | undefined): void {
    const { authorize } = this.#settings;
    this.#askUntil(op, OUTPUT.REDIRECT, (signal) => authorize?.redirectUri({ principal, signal }), (uri) => {
      if (typeof uri !== "string") throw new TypeError("authorize.redirectUri must give a string");
      return (engine, mono, unix) => engine.handleRedirect(mono, unix, op, this.#border.write(uri));
    });
  }

  /** Brings a browser to `url`. */
  authorize(op: number, principal: string | undefined, url: string): void {
    const { authorize } = this.#settings;
    this.#askUntil(op, OUTPUT.AUTHORIZE, (signal) => authorize?.open(url, { principal, signal }), (came) => {
      const link = isObject(came) ? came["authorizationUrl"] : undefined;
      if (link !== undefined && typeof link !== "string") throw new TypeError("authorizationUrl must be a string");
      const text = link ?? queryOf(came, "authorize.open must give the URL of the redirect that came back");
      return (engine, mono, unix) => {
        engine.handleAuthorized(mono, unix, op, link !== undefined, this.#border.write(text));
      };
    });
  }

  /** Gives a question up; false if there is no such. */
  abort(op: number): boolean {
    const controller = this.#asked.get(op);
    this.#asked.delete(op);
    controller?.abort();
    return controller !== undefined;
  }

  /** Gives all questions up. */
  abortAll(reason: unknown): void {
    const controllers = [...this.#asked.values()];
    this.#asked.clear();
    for (const controller of controllers) controller.abort(reason);
  }

  /** Asks what may be given up. */
  #askUntil(op: number, kind: number, ask: (signal: AbortSignal) => unknown, take: (answer: unknown) => Told): void {
    const controller = new AbortController();
    this.#asked.set(op, controller);
    const isOver = () => !this.#asked.delete(op);
    const { signal } = controller;
    const askNow = () => {
      // Given up before its turn came: no browser opens for it.
      signal.throwIfAborted();
      return ask(signal);
    };
    this.#ask(op, kind, askNow, take, isOver);
  }

  /** Asks after this turn of the loop. `take` checks the answer, and gives how to tell it. */
  #ask(
    op: number,
    kind: number,
    ask: () => unknown,
    take: (answer: unknown) => Told,
    isOver: () => boolean = () => false,
  ): void {
    const failed =
      (what: string): Told =>
      (engine, mono, unix) =>
        engine.handleHookFailed(mono, unix, op, kind, this.#border.write(what));
    const tell = (told: Told) => {
      if (!isOver() && !this.#tell(told)) this.#tell(failed("an answer that cannot be taken"));
    };
    Promise.resolve()
      .then(ask)
      .then(take)
      .then(tell, (error: unknown) => tell(failed(words(error))));
  }

  #written(key: string): Promise<void> {
    return this.#writes.get(key) ?? Promise.resolve();
  }
}

/** The query of a URL. What is none is not repeated: it may hold a code. */
export function queryOf(url: unknown, complaint: string): string {
  try {
    if (typeof url === "string") return new URL(url).search.slice(1);
  } catch {
    // No URL.
  }
  throw new TypeError(complaint);
}
