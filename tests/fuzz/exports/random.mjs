// Seeded choices, and what was seen.

/** The choices of one run. */
export class Fuzz {
  /** How many calls were made. */
  calls = 0;
  /** The last call, for whoever reads a failure. */
  last = "";
  #state;
  #seen;

  /** `seen`: takes every pair of a call and its outcome. */
  constructor(seed, seen) {
    this.#state = seed;
    this.#seen = seen;
  }

  /** A number from 0 up to 1 (mulberry32). */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number below `sides`. */
  below(sides) {
    return Math.floor(this.next() * sides);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** Whether something that happens once in `times` does. */
  once(times) {
    return this.below(times) === 0;
  }

  /** A call is about to be made. */
  call(name) {
    this.calls += 1;
    this.last = name;
  }

  /** What came of a call. */
  saw(name, outcome) {
    this.#seen.add(`${name}: ${outcome}`);
  }
}
