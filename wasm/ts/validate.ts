/**
 * Validation of tools' arguments: the validator that `leeward/fetch` uses by default, for a replica of your own.
 *
 * @packageDocumentation
 */

import { dereference, validate as apply, type Draft, type Fault, type Schema } from "./json_schema.js";
import type { ArgumentsCheck, ObjectSchema } from "./types.js";

/** Deepest nesting of a schema, and of arguments. */
const MAX_DEPTH = 64;
/** Most values in arguments, members and elements alike. */
const MAX_VALUES = 10_000;
/** What judging one call's arguments may cost, in steps of about a tenth of a microsecond. */
const MAX_STEPS = 2_000_000;
/** What applying the least schema costs of them. */
const STEPS_OF_ONE = 10;
/** Most faults told. */
const MAX_FAULTS = 8;
/** Longest text of one fault. */
const MAX_FAULT_LENGTH = 300;

/** Dialects by what `$schema` says, without scheme and an empty fragment. */
const DRAFTS: { readonly [dialect: string]: Draft } = {
  "json-schema.org/draft/2020-12/schema": "2020-12",
  "json-schema.org/draft/2019-09/schema": "2019-09",
  "json-schema.org/draft-07/schema": "7",
  "json-schema.org/draft-06/schema": "7",
  "json-schema.org/draft-04/schema": "4",
};

const TYPES = new Set<unknown>(["array", "boolean", "integer", "null", "number", "object", "string"]);
const LEAVES = new Set<unknown>(["boolean", "integer", "null", "number", "string"]);

const isType = (value: unknown) =>
  TYPES.has(value) || (Array.isArray(value) && value.length > 0 && value.every((type) => TYPES.has(type)));
// Another number than the text says is behind one that a double cannot hold.
const isNumber = (value: unknown) => typeof value === "number" && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
const isNatural = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown) => typeof value === "string";
const isTexts = (value: unknown) => Array.isArray(value) && value.every(isText);
const isObject = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isSchema = (value: unknown) => isObject(value) || typeof value === "boolean";
const isSchemas = (value: unknown) => Array.isArray(value) && value.length > 0 && value.every(isSchema);
const isSchemaMap = (value: unknown) => isObject(value) && Object.values(value).every(isSchema);

/** What the value of a keyword must be, of all that is interpreted here. */
const KEYWORDS = new Map<string, (value: any) => boolean>();
const keywords = (names: string, is: (value: any) => boolean) => {
  for (const name of names.split(" ")) KEYWORDS.set(name, is);
};
keywords("type", isType);
keywords("enum", (value) => Array.isArray(value));
keywords("required", isTexts);
keywords("$ref", isText);
keywords("minimum maximum exclusiveMinimum exclusiveMaximum", isNumber);
keywords("multipleOf", (value) => isNumber(value) && value > 0);
keywords("minLength maxLength minItems maxItems minContains maxContains minProperties maxProperties", isNatural);
keywords("allOf anyOf oneOf prefixItems", isSchemas);
keywords("properties patternProperties dependentSchemas $defs definitions", isSchemaMap);
keywords("dependentRequired", (value) => isObject(value) && Object.values(value).every(isTexts));
keywords("not if then else contains propertyNames additionalItems unevaluatedItems", isSchema);
keywords("additionalProperties unevaluatedProperties", isSchema);

/** Keywords whose value maps names to schemas. */
const MAPS = new Set(["properties", "dependentSchemas", "dependencies", "$defs", "definitions"]);
/** Keywords whose value is an array of schemas, or may be. */
const LISTS = new Set(["allOf", "anyOf", "oneOf", "prefixItems", "items"]);
/** Keywords that hold data. */
const DATA = new Set(["const", "enum", "default"]);
/** Keywords under which to require less of a value is to refuse more. */
const NEGATIONS = ["not", "oneOf", "if", "maxContains"];
/** Faults that only say that there are others below them. */
const OUTER = new Set(
  "$ref $recursiveRef allOf if properties additionalProperties unevaluatedProperties items prefixItems additionalItems unevaluatedItems dependentSchemas dependencies".split(
    " ",
  ),
);

/** Thrown where judging would cost too much. */
const TOO_MUCH = new Error("too much");

/** What judging may still cost, and what of the arguments its steps depend on. */
interface Account {
  steps: number;
  /** Members or elements of the largest object or array. */
  width: number;
}

/**
 * Compiles a tool's `inputSchema` of JSON Schema 2020-12 (the default), 2019-09, or draft 7, 6 or 4. It interprets the
 * schema: no code is generated, nothing is fetched, and the work is bounded.
 *
 * It refuses no arguments that the schema allows. `pattern` and `format` are not looked at, since a hostile pattern can
 * take for ever; nor are arguments nested over 64 deep, of more than 10,000 values, with integers that a double does
 * not hold, or that are too costly to judge.
 *
 * @param inputSchema Raw JSON, parsed; it becomes the validator's own, and is changed.
 * @returns Says what is wrong with arguments, or `undefined`.
 * @throws `Error`, where the schema cannot be enforced: it is invalid, nested over 64 deep, of another dialect, has a
 * `$ref` that leads out of it, a `$dynamicRef` or `patternProperties`; or a `pattern` or `format` beside `not`, `oneOf`,
 * `if` or `maxContains`.
 */
export function validate(inputSchema: ObjectSchema): ArgumentsCheck {
  const schema: unknown = inputSchema;
  if (!isObject(schema)) throw new Error("is no object");
  const account: Account = { steps: 0, width: 0 };
  const draft = draftOf(schema["$schema"]);
  const nodes = prepare(schema, draft, account);
  const lookup = dereference(schema);
  for (const node of nodes) {
    const { $ref, __absolute_ref__: target = $ref } = node;
    if (target !== undefined && lookup[target] === undefined) throw new Error("has a $ref that leads out of it");
  }
  return (args) => {
    const size = measure(args);
    if (size === undefined) return undefined;
    account.steps = MAX_STEPS;
    account.width = size;
    try {
      const { valid, errors } = apply(args, schema, draft, lookup, false);
      return valid ? undefined : told(errors);
    } catch {
      // Too much to judge, or to hold on the stack: a schema may lead in a circle.
      return undefined;
    }
  };
}

function draftOf(dialect: unknown): Draft {
  if (dialect === undefined) return "2020-12";
  const draft = typeof dialect === "string" ? DRAFTS[dialect.replace(/^https?:\/\//, "").replace(/#$/, "")] : undefined;
  if (draft === undefined) throw new Error("is of a dialect that is not known here");
  return draft;
}

/** Checks a schema through and through, and has every use of a part of it paid for. All its parts. */
function prepare(schema: Schema, draft: Draft, account: Account): Set<Schema> {
  const nodes = new Set<Schema>();
  let drops = false;
  let negates = false;
  const pending: [unknown, number][] = [[schema, 1]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [node, depth] = next;
    if (!isObject(node) || nodes.has(node)) continue;
    if (depth > MAX_DEPTH) throw new Error("is nested too deeply");
    for (const [keyword, value] of Object.entries(node)) {
      if (keyword === "patternProperties" || keyword === "$dynamicRef") throw new Error(`has ${keyword}`);
      if (keyword === "pattern" || keyword === "format") {
        drops = true;
        delete node[keyword];
        continue;
      }
      if (KEYWORDS.get(keyword)?.(value) === false && !isOld(draft, keyword, value)) {
        throw new Error(`is no JSON Schema: ${keyword} has a wrong value`);
      }
      if (keyword === "items" && !isSchema(value) && (draft === "2020-12" || !isSchemas(value))) {
        throw new Error("is no JSON Schema: items has a wrong value");
      }
      if (DATA.has(keyword)) continue;
      const below = MAPS.has(keyword) || (LISTS.has(keyword) && Array.isArray(value)) ? Object.values(value) : [value];
      for (const part of below) pending.push([part, depth + 1]);
    }
    negates ||= NEGATIONS.some((keyword) => keyword in node);
    charge(node, account);
    nodes.add(node);
  }
  if (drops && negates) throw new Error("has a pattern or format, and a keyword that turns it round");
  return nodes;
}

/** In draft 4 the bounds were said to be exclusive beside them. */
function isOld(draft: Draft, keyword: string, value: unknown): boolean {
  return draft === "4" && keyword.startsWith("exclusive") && typeof value === "boolean";
}

/**
 * Makes each use of a schema cost what it may take: whoever applies it must read its `type`. References may else
 * multiply without end, and no bound on size or depth would hold them.
 */
function charge(node: Schema, account: Account): void {
  const { type, uniqueItems } = node;
  const size = (value: unknown) => (typeof value === "object" && value !== null ? Object.keys(value).length : 0);
  const own = Object.values(node).reduce<number>((sum, value) => sum + size(value), STEPS_OF_ONE);
  const isLeaf = LEAVES.has(type);
  const get = (): unknown => {
    const { width } = account;
    account.steps -= own + (isLeaf ? 0 : width) + (uniqueItems === true ? width * width : 0);
    if (account.steps < 0) throw TOO_MUCH;
    return type;
  };
  Object.defineProperty(node, "type", { get });
}

/** The width of arguments that can be judged. */
function measure(args: unknown): number | undefined {
  let width = 0;
  let count = 0;
  const pending: [unknown, number][] = [[args, 1]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [value, depth] = next;
    if (typeof value === "number" && !isNumber(value)) return undefined;
    if (typeof value !== "object" || value === null) continue;
    const parts = Object.values(value);
    width = Math.max(width, parts.length);
    count += parts.length;
    if (depth > MAX_DEPTH || count > MAX_VALUES) return undefined;
    for (const part of parts) pending.push([part, depth + 1]);
  }
  return width;
}

/** The faults in words, each behind a JSON Pointer to where it is. */
function told(faults: readonly Fault[]): string {
  const inner = faults.filter(({ keyword }) => !OUTER.has(keyword));
  const texts = (inner.length > 0 ? inner : faults).map(({ keyword, instanceLocation, error }) => {
    const place = decodeURI(instanceLocation.slice(1)) || "the arguments";
    const text = keyword === "false" ? "is not allowed here." : error;
    return `${place}: ${text.slice(0, MAX_FAULT_LENGTH)}`;
  });
  const distinct = [...new Set(texts)];
  const rest = distinct.length - MAX_FAULTS;
  return distinct.slice(0, MAX_FAULTS).join(" ") + (rest > 0 ? ` And ${rest} more.` : "");
}
