// The tables that runs of the suite print, and what they come to.

/** Counts cases and remembers what to say of them at the end. */
export function createReport() {
  const details = [];
  let passed = 0;
  let failed = 0;
  return {
    count(ok, what) {
      if (ok) passed += 1;
      else {
        failed += 1;
        details.push(`FAIL ${what}`);
      }
    },
    warn: (what) => details.push(`warn ${what}`),
    row(name, figures, trips, verdict) {
      const cells = [...figures.map((cell) => cell.padStart(6)), ...trips.map((cell) => String(cell).padStart(11))];
      console.log(`${name.padEnd(52)}${cells.join("")}  ${verdict}`.trimEnd());
    },
    /** Ends with the line that is counted; `notes` stand before it. */
    end(notes = []) {
      for (const line of [...details, ...notes]) console.log(line);
      console.log(`${passed} passed, ${failed} failed`);
      process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
    },
  };
}

/** Ends a program whose options make no sense. */
export function refuse(message) {
  console.error(message);
  process.exit(2);
}

/** Refuses a value that is not `allowed`. */
export function within(name, value, allowed) {
  for (const one of [value].flat()) {
    if (!allowed.includes(one)) refuse(`--${name} must be one of ${allowed.join(", ")}`);
  }
}
