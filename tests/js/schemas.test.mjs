// The validator of `leeward/validate` by itself: what it refuses, in which words, and what it does not look at.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Ajv2020 } from "ajv/dist/2020.js";

import { validate as validator } from "../../wasm/dist/validate.js";
import { Fuzz } from "../fuzz/exports/random.mjs";

const object = (properties, more) => ({ type: "object", properties, ...more });
/** What is wrong with arguments; the schema is copied, since it becomes the validator's own. */
const fault = (schema, args) => validator(structuredClone(schema))(args);
const DRAFT_7 = "http://json-schema.org/draft-07/schema#";

test("it says which argument is wrong, and what was expected", () => {
  const schema = object(
    {
      id: { type: "integer", minimum: 1 },
      state: { enum: ["open", "closed"] },
      tags: { type: "array", items: { $ref: "#/$defs/tag" }, uniqueItems: true },
      "a/b": { type: "boolean" },
    },
    { required: ["id"], additionalProperties: false, $defs: { tag: { type: "string", maxLength: 3 } } },
  );
  assert.equal(fault(schema, { id: 1, state: "open", tags: ["a", "b"], "a/b": true }), undefined);
  for (const [args, words] of [
    [{}, 'the arguments: Instance does not have required property "id".'],
    [{ id: "1" }, '/id: Instance type "string" is invalid. Expected "integer".'],
    [{ id: 0 }, "/id: 0 is less than 1."],
    [{ id: 1, state: "lost" }, '/state: Instance does not match any of ["open","closed"].'],
    [{ id: 1, tags: ["a", "long"] }, "/tags/1: String is too long (4 > 3)."],
    [{ id: 1, tags: ["a", "a"] }, "/tags: Duplicate items at indexes 0 and 1."],
    [{ id: 1, "a/b": 1 }, '/a~1b: Instance type "number" is invalid. Expected "boolean".'],
    [{ id: 1, other: 1 }, "/other: is not allowed here."],
    [{ id: 0.5, state: 1 }, '/id: Instance type "number" is invalid. Expected "integer". /id: 0.5 is less than 1. /state: Instance does not match any of ["open","closed"].'],
  ]) {
    assert.equal(fault(schema, args), words);
  }
  const many = fault(object({}, { additionalProperties: false }), Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, 1])));
  assert.match(many, /^\/k0: is not allowed here\. .*\/k7: is not allowed here\. And 12 more\.$/);
  const long = fault(object({ x: { const: "y".repeat(10_000) } }), { x: "" });
  assert.ok(long.length < 400, long);
});

test("dialects are read as they say they are, 2020-12 by default", () => {
  const tuple = { t: { prefixItems: [{ type: "string" }], items: false } };
  assert.equal(fault(object(tuple), { t: ["a"] }), undefined);
  assert.match(fault(object(tuple), { t: ["a", "b"] }), /^\/t\/1/);
  // In draft 7 nothing beside a $ref counts.
  const beside = object({ x: { $ref: "#/definitions/any", type: "string" } }, { definitions: { any: {} } });
  assert.match(fault(beside, { x: 1 }), /^\/x/);
  assert.equal(fault({ $schema: DRAFT_7, ...beside }, { x: 1 }), undefined);
  assert.match(fault({ $schema: DRAFT_7, ...object({ x: { items: [{ type: "string" }] } }) }, { x: [1] }), /^\/x\/0/);
  const exclusive = { $schema: "http://json-schema.org/draft-04/schema#", ...object({ x: { minimum: 1, exclusiveMinimum: true } }) };
  assert.match(fault(exclusive, { x: 1 }), /^\/x/);
  for (const $schema of ["https://example.com/own", 7]) {
    assert.throws(() => validator({ $schema, type: "object" }), /dialect/);
  }
});

test("what cannot be enforced is refused when it is compiled", () => {
  let deep = { type: "string" };
  for (let n = 0; n < 65; n += 1) deep = object({ x: deep });
  for (const [schema, reason] of [
    [object({ x: { $ref: "https://example.com/schema.json" } }), /leads out/],
    [object({ x: { $ref: "other.json#/x" } }), /leads out/],
    [object({ x: { $ref: "#/$defs/none" } }), /leads out/],
    [object({ x: { $dynamicRef: "#node" } }), /\$dynamicRef/],
    [object({}, { patternProperties: { "^x": {} } }), /patternProperties/],
    [object({ x: { not: { pattern: "a" } } }), /turns it round/],
    [object({ x: { format: "email" } }, { oneOf: [{}, { required: ["x"] }] }), /turns it round/],
    [deep, /nested/],
    [[], /object/],
    [null, /object/],
    [object({ x: { type: "text" } }), /type has a wrong value/],
    [object({ x: { type: [] } }), /type has a wrong value/],
    [object({ x: { minimum: "1" } }), /minimum/],
    [object({ x: { maximum: 2 ** 53 } }), /maximum/],
    [object({ x: { minLength: -1 } }), /minLength/],
    [object({ x: { enum: "a" } }), /enum/],
    [object({ x: { items: [{}] } }), /items/],
    [object({ x: { anyOf: [] } }), /anyOf/],
    [object({ x: 1 }), /properties/],
    [object({}, { required: [1] }), /required/],
    [object({ x: { exclusiveMinimum: true, minimum: 1 } }), /exclusiveMinimum/],
    [object({ x: { $id: "urn:a", $defs: { y: { $id: "urn:a", type: "string" } } } }), /Duplicate/],
  ]) {
    assert.throws(() => validator(structuredClone(schema)), reason, JSON.stringify(schema)?.slice(0, 100));
  }
});

test("references that stay within are followed, names of embedded schemas too", () => {
  const schema = object(
    { x: { $ref: "https://example.com/embedded" }, y: { $ref: "#tree" } },
    {
      $defs: {
        e: { $id: "https://example.com/embedded", type: "string" },
        t: { $anchor: "tree", type: "array", items: { $ref: "#tree" } },
      },
    },
  );
  assert.equal(fault(schema, { x: "a", y: [[], [[]]] }), undefined);
  assert.match(fault(schema, { x: 1 }), /^\/x/);
  assert.match(fault(schema, { y: [[], [1]] }), /^\/y\/1\/0/);
});

test("patterns and formats are the authority's to judge", () => {
  const schema = object({ x: { type: "string", pattern: "^(a+)+$", format: "email" } });
  assert.equal(fault(schema, { x: `${"a".repeat(50_000)}!` }), undefined);
  assert.match(fault(schema, { x: 1 }), /^\/x/);
  // As names they are arguments like others.
  assert.match(fault(object({ pattern: { type: "string" }, format: { type: "string" } }), { pattern: 1 }), /^\/pattern/);
});

test("arguments that cannot be judged pass", () => {
  const number = object({ x: { type: "number", multipleOf: 2 } });
  assert.match(fault(number, { x: 3 }), /^\/x/);
  assert.equal(fault(number, JSON.parse('{"x":9007199254740993}')), undefined, "no double holds it");
  const text = object({ x: { type: "string" } });
  let deep = 1;
  for (let n = 0; n < 70; n += 1) deep = [deep];
  assert.equal(fault(text, { x: deep }), undefined);
  assert.equal(fault(text, { x: Array(10_001).fill(0) }), undefined);
  assert.match(fault(text, { x: Array(9_000).fill(0) }), /^\/x/);
});

test("members that objects inherit are not there", () => {
  assert.match(fault(object({}, { required: ["constructor"] }), {}), /constructor/);
  assert.equal(fault(object({ toString: { type: "string" } }), {}), undefined);
  const own = JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}},"additionalProperties":false}');
  assert.match(fault(own, JSON.parse('{"__proto__":1}')), /__proto__/);
  assert.equal(fault(own, JSON.parse('{"__proto__":"a"}')), undefined);
});

test("hostile schemas cost a bounded time", () => {
  // Each level applies the one below twice: 2 to the 60th.
  const $defs = { d60: { type: "string" } };
  for (let n = 0; n < 60; n += 1) $defs[`d${n}`] = { allOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] };
  assert.equal(fault(object({ x: { $ref: "#/$defs/d0" } }, { $defs }), { x: 1 }), undefined);
  // The same by nesting of the arguments.
  const tree = { $ref: "#/$defs/t" };
  const twice = object({ x: tree }, { $defs: { t: { items: { allOf: [tree, tree] } } } });
  let deep = [];
  for (let n = 0; n < 50; n += 1) deep = [deep];
  assert.equal(fault(twice, { x: deep }), undefined);
  // In a circle.
  assert.equal(fault(object({ x: { $ref: "#/$defs/x" } }, { $defs: { x: { $ref: "#/$defs/x" } } }), { x: 1 }), undefined);
  // Of many unequal elements, each compared with all others.
  const unique = object({ x: { uniqueItems: true } });
  assert.equal(fault(unique, { x: Array.from({ length: 9_000 }, (_, n) => n).concat(0) }), undefined);
  assert.match(fault(unique, { x: Array.from({ length: 900 }, (_, n) => n).concat(0) }), /^\/x/);
  // What is usual is judged.
  const rows = object({ rows: { type: "array", items: object({ a: { type: "string" }, b: { type: "integer" } }) } });
  const many = Array.from({ length: 1_000 }, () => ({ a: "", b: 1 }));
  assert.match(fault(rows, { rows: [...many, { a: 1 }] }), /^\/rows\/1000\/a/);
});

test("it refuses just what Ajv refuses", () => {
  const random = new Fuzz(20_201_212);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const NAMES = ["a", "b", "c"];
  const value = (depth) =>
    random.pick([
      () => random.pick([0, 1, 2.5, -3, true, false, null, "", "a", "abc"]),
      () => (depth > 0 ? Array.from({ length: random.below(4) }, () => value(depth - 1)) : []),
      () => (depth > 0 ? Object.fromEntries(NAMES.filter(() => random.once(2)).map((name) => [name, value(depth - 1)])) : {}),
    ])();
  const schema = (depth) => {
    if (random.once(12)) return random.once(2);
    const below = () => schema(depth - 1);
    const map = () => Object.fromEntries(NAMES.filter(() => random.once(2)).map((name) => [name, below()]));
    const list = () => Array.from({ length: 1 + random.below(2) }, below);
    const keywords = [
      () => ({ type: random.pick(["string", "number", "integer", "boolean", "null", "array", "object", ["string", "null"]]) }),
      () => ({ enum: [value(1), value(1)] }),
      () => ({ const: value(1) }),
      () => ({ minimum: random.below(3), exclusiveMaximum: 2 }),
      () => ({ multipleOf: random.pick([1, 0.5, 2]) }),
      () => ({ minLength: random.below(2), maxLength: 2 }),
      () => ({ minItems: random.below(2), maxItems: 2, uniqueItems: true }),
      () => ({ required: [random.pick(NAMES)], maxProperties: 2 }),
      () => ({ dependentRequired: { a: ["b"] } }),
      ...(depth > 0
        ? [
            () => ({ properties: map(), additionalProperties: below() }),
            () => ({ properties: map(), allOf: list(), unevaluatedProperties: below() }),
            () => ({ propertyNames: below() }),
            () => ({ dependentSchemas: map() }),
            () => ({ prefixItems: list(), items: below() }),
            () => ({ anyOf: list() }),
            () => ({ oneOf: list() }),
            () => ({ not: below() }),
            () => ({ if: below(), then: below(), else: below() }),
            () => ({ $ref: "#/$defs/d" }),
          ]
        : []),
    ];
    return Object.assign({}, ...Array.from({ length: 1 + random.below(2) }, () => random.pick(keywords)()));
  };
  let refused = 0;
  for (let n = 0; n < 300; n += 1) {
    const made = object(
      Object.fromEntries(NAMES.map((name) => [name, schema(2)])),
      { $defs: { d: { type: ["string", "object"], maxProperties: 1 } }, ...(random.once(2) && { unevaluatedProperties: false }) },
    );
    const [ours, theirs] = [validator(structuredClone(made)), ajv.compile(made)];
    for (let m = 0; m < 8; m += 1) {
      const args = Object.fromEntries(NAMES.filter(() => random.once(2)).map((name) => [name, value(3)]));
      const said = ours(args);
      assert.equal(said === undefined, theirs(args), `${JSON.stringify(made)} ${JSON.stringify(args)} ${said}`);
      refused += said === undefined ? 0 : 1;
    }
  }
  assert.ok(refused > 200 && refused < 2_200, `${refused}`);
});
