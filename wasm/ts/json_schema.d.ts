// What is used of `@cfworker/json-schema`, which the build bundles as it is into `json_schema.js`.

/** A schema that is no boolean. */
export interface Schema {
  [keyword: string]: any;
  $ref?: string;
  /** Where `$ref` leads, once it was looked at. */
  __absolute_ref__?: string;
}

export type Draft = "4" | "7" | "2019-09" | "2020-12";

/** One fault of an instance. */
export interface Fault {
  keyword: string;
  /** `#` and a JSON Pointer. */
  instanceLocation: string;
  error: string;
}

/** Finds every schema within one, by its URI. */
export function dereference(schema: Schema): Record<string, unknown>;

/** Applies a schema. `stopEarly`: the first fault is enough. */
export function validate(
  instance: unknown,
  schema: Schema,
  draft: Draft,
  lookup: Record<string, unknown>,
  stopEarly: boolean,
): { valid: boolean; errors: Fault[] };
