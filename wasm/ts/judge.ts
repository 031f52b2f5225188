/** Arguments of tools before their validator: each schema is compiled once. */

import { words } from "./errors.js";
import type { ArgumentsCheck, ObjectSchema, ReplicaEvent, Validator } from "./types.js";

/** Most schemas kept compiled, and the length of all their texts. */
const MAX_SCHEMAS = 256;
const MAX_LENGTH = 1 << 20;

/** Asks one replica's validator. */
export class Judge {
  readonly #validate: Validator;
  readonly #tell: (event: ReplicaEvent) => void;
  /** By the schema's name; without a check, where the validator would not have it. */
  readonly #compiled = new Map<number, { readonly check: ArgumentsCheck | undefined; readonly length: number }>();
  #length = 0;

  constructor(validate: Validator, tell: (event: ReplicaEvent) => void) {
    this.#validate = validate;
    this.#tell = tell;
  }

  /**
   * What is wrong with arguments, if anything is. A schema that is not enforced, and a validator that fails, refuse
   * nothing.
   *
   * @param schema Its name.
   * @param tool For the log.
   * @param text The schema, which is only read if it is not compiled yet.
   * @param args JSON of the arguments.
   */
  fault(schema: number, tool: string, text: () => string, args: string): string | undefined {
    const known = this.#compiled.get(schema);
    const check = known === undefined ? this.#compile(schema, tool, text()) : known.check;
    if (check === undefined) return undefined;
    try {
      const said: unknown = check(JSON.parse(args) as Record<string, unknown>);
      if (said === undefined || typeof said === "string") return said;
      throw new TypeError("it must say what is wrong, or give undefined");
    } catch (error) {
      this.#tell({ type: "host_failed", what: "validate", message: words(error) });
      return undefined;
    }
  }

  #compile(schema: number, tool: string, text: string): ArgumentsCheck | undefined {
    let check: ArgumentsCheck | undefined;
    try {
      const made: unknown = this.#validate(JSON.parse(text) as ObjectSchema);
      if (typeof made !== "function") throw new TypeError("validate gave no function");
      check = made as ArgumentsCheck;
    } catch (error) {
      const reason = error instanceof Error ? error.message : words(error);
      this.#tell({ type: "schema_not_enforced", name: tool.slice(0, 128), reason });
    }
    // Meanwhile the validator may have had it compiled by a call of its own.
    this.#forget(schema);
    this.#compiled.set(schema, { check, length: text.length });
    this.#length += text.length;
    for (const [oldest] of this.#compiled) {
      if (this.#compiled.size <= MAX_SCHEMAS && this.#length <= MAX_LENGTH) break;
      this.#forget(oldest);
    }
    return check;
  }

  #forget(schema: number): void {
    this.#length -= this.#compiled.get(schema)?.length ?? 0;
    this.#compiled.delete(schema);
  }
}
