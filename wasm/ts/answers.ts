/**
 * Results that are handed out: parsed once, frozen through and through, and shared by everybody who gets the
 * same stored answer. What belongs to one answer only is taken off first.
 */

import type { Border } from "./border.js";
import { LeewardError, fromRpc, isObject } from "./errors.js";
import type { WithCache } from "./types.js";

/** `_meta` key of an answer's provenance; it is told by `CacheInfo` instead. */
const META_CACHE = "dev.leeward/cache";
/** Most results kept. */
const MAX_RESULTS = 2048;
/** Most bytes of JSON text behind the results kept; the objects take a small multiple of it. */
const MAX_RESULT_BYTES = 16 << 20;

/**
 * Reads answers out of the border, and keeps their results by the serial of the stored answer behind them; the
 * least recently used goes first.
 */
export class Answers {
  #results = new Map<number, { value: unknown; bytes: number }>();
  #bytes = 0;

  /**
   * The result of the answer in the output buffer: the one that was parsed before, if it is the same. `hasTtl`:
   * the method's results carry what is left of their freshness. Throws the error, if that is the answer.
   */
  result<Answer>(border: Border, hasTtl: boolean): Answer {
    const serial = border.call((engine) => engine.serial());
    if (serial >= 0) {
      const known = this.#take(serial);
      if (known !== undefined) return known as Answer;
    }
    const text = border.text();
    const message: unknown = JSON.parse(text);
    if (!isObject(message)) throw new LeewardError("internal", "an answer that is no object");
    if (message["error"] !== undefined) throw fromRpc(message["error"]);
    const result = share(message["result"], hasTtl);
    if (serial >= 0) this.#keep(serial, result, text.length);
    return result as Answer;
  }

  /** The same, and how the cache took part. */
  resultWithCache<Answer>(border: Border, hasTtl: boolean): WithCache<Answer> {
    return { result: this.result(border, hasTtl), cache: border.cache() };
  }

  #take(serial: number): unknown {
    const entry = this.#results.get(serial);
    if (entry === undefined) return undefined;
    this.#results.delete(serial);
    this.#results.set(serial, entry);
    return entry.value;
  }

  #keep(serial: number, value: unknown, bytes: number): void {
    if (bytes > MAX_RESULT_BYTES / 4) return;
    this.#drop(serial);
    this.#results.set(serial, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#results.keys()) {
      if (this.#results.size <= MAX_RESULTS && this.#bytes <= MAX_RESULT_BYTES) break;
      this.#drop(oldest);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#results.clear();
    this.#bytes = 0;
  }

  #drop(serial: number): void {
    const entry = this.#results.get(serial);
    if (entry === undefined) return;
    this.#results.delete(serial);
    this.#bytes -= entry.bytes;
  }
}

/**
 * Takes off a parsed result what belongs to one answer: the provenance, and (where `ttl` says that the method's
 * results have one) the remaining `ttlMs`, which would be wrong in the next answer. Then freezes it.
 */
function share<Value>(result: Value, ttl: boolean): Value {
  if (typeof result === "object" && result !== null) {
    const members = result as { _meta?: unknown; ttlMs?: unknown };
    if (ttl) delete members.ttlMs;
    const meta = members._meta;
    if (typeof meta === "object" && meta !== null && META_CACHE in meta) {
      delete meta[META_CACHE];
      if (Object.keys(meta).length === 0) delete members._meta;
    }
  }
  return freeze(result);
}

/** Freezes what `JSON.parse` made, to any depth without recursion. */
function freeze<Value>(value: Value): Value {
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null) continue;
    Object.freeze(next);
    for (const inner of Array.isArray(next) ? next : Object.values(next)) {
      if (typeof inner === "object" && inner !== null) open.push(inner);
    }
  }
  return value;
}
