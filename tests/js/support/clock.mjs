// A clock that stands still until it is told to move, with timers that fire as it passes them.

export class ManualClock {
  #now = 1_000;
  #next = 1;
  #timers = new Map();

  now() {
    return this.#now;
  }

  unix() {
    return 1_700_000_000_000 + this.#now;
  }

  setTimeout(action, delayMs) {
    const handle = this.#next++;
    this.#timers.set(handle, { at: this.#now + delayMs, action });
    return handle;
  }

  clearTimeout(handle) {
    this.#timers.delete(handle);
  }

  /** How many timers are set. */
  get timers() {
    return this.#timers.size;
  }

  /** Moves on, and fires what is due, in order. */
  advance(ms) {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      const [handle, { at, action }] = due;
      this.#timers.delete(handle);
      this.#now = Math.max(this.#now, at);
      action();
    }
    this.#now = end;
  }
}
