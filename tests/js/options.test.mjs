// Every option with every wrong type: refused, and named by its place.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { alone, fails } from "./support/index.mjs";
import { Replica } from "./support/leeward.mjs";

const schema = JSON.parse(readFileSync(new URL("../../leeward.schema.json", import.meta.url), "utf8"));
const handler = () => "";

/** Values by what they are; an option takes some of these, and refuses the others. */
const KINDS = {
  null: [null],
  boolean: [true, false],
  number: [0, 1, -1, 1.5, NaN, Infinity],
  bigint: [1n],
  string: ["", "?"],
  symbol: [Symbol("x")],
  function: [handler, class {}],
  array: [[], [1], [[]]],
  object: [{}, new Date(NaN), new Map(), Object.create(null), /x/],
};

/** For each place: how options with a value there look, and the kinds that may be right there. */
const PLACES = {
  fetch: [(fetch) => ({ fetch }), "function"],
  clock: [(clock) => ({ clock }), "object"],
  "clock.now": [(now) => ({ clock: { now } }), "function"],
  "clock.unix": [(unix) => ({ clock: { unix } }), "function"],
  "clock.setTimeout": [(setTimeout) => ({ clock: { setTimeout } }), "function"],
  "clock.clearTimeout": [(clearTimeout) => ({ clock: { clearTimeout } }), "function"],
  random: [(random) => ({ random }), "function"],
  credentialFor: [(credentialFor) => ({ credentialFor }), "function"],
  authorize: [(authorize) => ({ authorize }), "object"],
  "authorize.redirectUri": [(redirectUri) => ({ authorize: { redirectUri, open: handler } }), "function"],
  "authorize.open": [(open) => ({ authorize: { redirectUri: handler, open } }), "function"],
  vault: [(vault) => ({ vault }), "object"],
  "vault.get": [(get) => ({ vault: { get, set: handler, delete: handler } }), "function"],
  "vault.set": [(set) => ({ vault: { get: handler, set, delete: handler } }), "function"],
  "vault.delete": [(forget) => ({ vault: { get: handler, set: handler, delete: forget } }), "function"],
  sign: [(sign) => ({ sign }), "function"],
  onEvent: [(onEvent) => ({ onEvent }), "function"],
  validate: [(validate) => ({ validate }), "function", "boolean"],
  tools: [(tools) => ({ tools }), "array"],
  "tools[1]": [(tool) => ({ tools: [{ name: "x", handler }, tool] })],
  "tools[0].rule": [(rule) => ({ tools: [{ name: "x", handler, rule }] })],
  resources: [(resources) => ({ resources }), "array"],
  "resources[1]": [(resource) => ({ resources: [{ uri: "x:y", name: "x", handler }, resource] })],
  "resources[0].rule": [(rule) => ({ resources: [{ uri: "x:y", name: "x", handler, rule }] })],
  principal: [(principal) => ({ principal }), "null", "string"],
  $schema: [($schema) => ({ $schema }), "string"],
  authority: [(authority) => ({ authority }), "object"],
  "authority.url": [(url) => ({ authority: { url } })],
  "authority.token": [(token) => ({ authority: { url: "https://a.example/mcp", token } }), "string"],
  policy: [(policy) => ({ policy }), "array"],
  "policy[0]": [(rule) => ({ policy: [rule] }), "object"],
  "policy[0].tool": [(tool) => ({ policy: [{ tool, rule: "live" }] }), "string"],
  "policy[0].resource": [(resource) => ({ policy: [{ resource, rule: "live" }] }), "string"],
  "policy[1].rule": [(rule) => ({ policy: [{ tool: "a", rule: "live" }, { tool: "b", rule }] })],
  limits: [(limits) => ({ limits }), "object"],
  ...Object.fromEntries(
    Object.keys(schema.properties.limits.properties).map((name) => [
      `limits.${name}`,
      [(value) => ({ limits: { [name]: value } }), "number"],
    ]),
  ),
  anonymous: [(anonymous) => ({ anonymous })],
  origins: [(origins) => ({ origins }), "array"],
  "origins[0]": [(origin) => ({ origins: [origin] })],
  unheard: [(unheard) => ({ unheard })],
};

for (const [place, [options, ...right]] of Object.entries(PLACES)) {
  test(`${place} of a wrong type is named`, async () => {
    for (const [kind, values] of Object.entries(KINDS)) {
      if (right.includes(kind)) continue;
      for (const value of values) {
        const error = await fails("config_invalid", () => Replica.open(options(value)));
        const what = `${kind} ${Object.prototype.toString.call(value)}`;
        assert.equal(error.data.field, place, `${what}: ${error.data.field}`);
        assert.equal(error.retryable, false, what);
        assert.ok(error.message.length > 0 && error.message.length < 1_000, what);
      }
    }
  });
}

test("no option is missing from this table", () => {
  const places = Object.keys(PLACES);
  for (const name of Object.keys(schema.properties)) assert.ok(places.includes(name), name);
  const source = readFileSync(new URL("../../wasm/ts/types.ts", import.meta.url), "utf8");
  const [, members] = source.match(/interface ReplicaOptions extends Configuration \{\n(.*?)\n\}/s);
  const names = [...members.matchAll(/^  (\w+)\?:/gm)].map(([, name]) => name);
  assert.equal(names.length, 11, names.join());
  for (const name of names) assert.ok(places.includes(name), name);
});

test("numbers have their ranges", async () => {
  for (const [name, { minimum, maximum }] of Object.entries(schema.properties.limits.properties)) {
    for (const value of [minimum - 1, maximum + 1, minimum + 0.5, -maximum, 2 ** 64, Number.MAX_VALUE]) {
      const error = await fails("config_invalid", () => Replica.open({ limits: { [name]: value } }));
      assert.equal(error.data.field, `limits.${name}`, `${name} ${value}`);
    }
    for (const value of [minimum, maximum]) await (await Replica.open({ limits: { [name]: value } })).close();
  }
});

test("options that cannot be read are refused", async () => {
  const cycle = {};
  cycle.limits = cycle;
  let deep = {};
  for (let depth = 0; depth < 100_000; depth += 1) deep = { deep };
  const mine = () => {
    throw new Error("mine");
  };
  for (const options of [
    ...Object.entries(KINDS).flatMap(([kind, values]) => (kind === "object" ? [] : values)),
    cycle,
    { limits: deep },
    { get fetch() { return mine(); } },
    { get policy() { return mine(); } },
    { clock: { get now() { return mine(); } } },
    { policy: [{ toJSON: mine }] },
    { tools: [{ get handler() { return mine(); } }] },
    new Proxy({}, { get: mine }),
    new Proxy({}, { ownKeys: mine }),
  ]) {
    await fails("config_invalid", () => Replica.open(options));
  }
});

test("what a runtime lacks is asked for by the option that stands in for it", async (t) => {
  const AUTHORITY = { authority: "https://a.example/mcp" };
  for (const [name, field, options] of [
    ["performance", "clock.now", {}],
    ["setTimeout", "clock.setTimeout", {}],
    ["clearTimeout", "clock.clearTimeout", {}],
    ["crypto", "random", {}],
    ["fetch", "fetch", AUTHORITY],
  ]) {
    const own = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value: undefined, configurable: true, writable: true });
    try {
      const error = await fails("config_invalid", () => Replica.open(options));
      assert.equal(error.data.field, field);
      assert.ok(error.message.includes(name), error.message);
      const [outer, inner] = field.split(".");
      const stand = inner === undefined ? { [outer]: () => {} } : { [outer]: { [inner]: () => 0 } };
      await (await Replica.open({ ...options, ...stand })).close();
    } finally {
      Object.defineProperty(globalThis, name, own);
    }
  }
  await alone(t, AUTHORITY);
});

test("two replicas of the same options share nothing", async (t) => {
  let calls = 0;
  const options = { tools: [{ name: "n", rule: "cache;max-age=60", handler: () => String((calls += 1)) }] };
  const text = async (replica) => (await replica.callTool("n")).content[0].text;
  const [first, second] = [await alone(t, options), await alone(t, options)];
  assert.deepEqual([await text(first), await text(second), await text(first)], ["1", "2", "1"]);
  first.invalidate();
  assert.deepEqual([await text(second), await text(first)], ["2", "3"]);
  await first.close();
  assert.equal(await text(second), "2");
  assert.equal(await text(await alone(t, options)), "4");
});
