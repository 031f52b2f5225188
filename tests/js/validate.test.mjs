// Arguments of tools before the option `validate`: when it is asked, and what comes of what it says.

import assert from "node:assert/strict";
import { test } from "node:test";

import { validate as validator } from "../../wasm/dist/validate.js";
import { world as endpoint, call, cacheOf } from "./support/endpoint.mjs";
import { POLICY, alone, fails, world } from "./support/index.mjs";

const SCHEMA = { type: "object", properties: { id: { type: "integer" } }, required: ["id"] };
const FAULT = 'Invalid arguments for tool get: /id: Instance type "string" is invalid. Expected "integer".';

/** A replica with one local tool, `get`, whose calls are counted. */
async function local(t, options, definition = {}) {
  const calls = [];
  const events = [];
  const replica = await alone(t, { onEvent: (event) => events.push(event), ...options });
  replica.tool({
    name: "get",
    inputSchema: SCHEMA,
    rule: "cache;max-age=60",
    handler: (args) => (calls.push(args), "got"),
    ...definition,
  });
  return { replica, calls, events };
}

test("a bad call is answered here, costs no trip, and is not stored", async (t) => {
  const { replica, calls } = await local(t, { validate: validator });
  for (const times of [1, 2]) {
    const { result, cache } = await replica.callToolWithCache("get", { id: "1" });
    assert.deepEqual([result.isError, result.content], [true, [{ type: "text", text: FAULT }]]);
    assert.equal(cache.status, "local");
    const { invalid, entries, misses } = replica.stats();
    assert.deepEqual([invalid, entries, misses], [times, 0, 0]);
  }
  assert.equal(replica.peekTool("get", {})?.isError, true, "what a call would give");
  assert.equal(replica.peekTool("get", { id: 1 }), undefined);
  assert.equal((await replica.callTool("get", { id: 1 })).content[0].text, "got");
  assert.equal(replica.peekTool("get", { id: 1 }).content[0].text, "got");
  assert.deepEqual(calls, [{ id: 1 }]);
});

test("without the option, and with false, nothing is validated", async (t) => {
  for (const options of [{}, { validate: false }, { validate: undefined }]) {
    const { replica, calls } = await local(t, options);
    assert.equal((await replica.callTool("get", {})).isError, undefined);
    assert.equal(calls.length, 1);
    assert.equal(replica.stats().invalid, 0);
  }
  await fails("config_invalid", alone(t, { validate: true }));
});

test("each schema is compiled once, and a hit is not judged again", async (t) => {
  const seen = [];
  const validate = (schema) => (seen.push(schema), (args) => (seen.push(args), undefined));
  const { replica } = await local(t, { validate });
  await replica.callTool("get", { id: 1 });
  assert.deepEqual(seen, [SCHEMA, { id: 1 }]);
  await replica.callTool("get", { id: 1 });
  assert.equal(replica.stats().hits, 1);
  assert.equal(seen.length, 2);
  await replica.callTool("get", { id: 2 });
  assert.deepEqual(seen.slice(2), [{ id: 2 }]);
  // The same schema under another name is the same.
  replica.tool({ name: "other", inputSchema: SCHEMA, handler: () => "got" });
  await replica.callTool("other", { id: 3 });
  assert.deepEqual(seen.slice(3), [{ id: 3 }]);
});

test("compiled schemas are bounded in number and size", async (t) => {
  let compiled = 0;
  const validate = () => ((compiled += 1), () => undefined);
  const { replica } = await local(t, { validate });
  const tool = (n, bytes) =>
    replica.tool({ name: `t${n}`, inputSchema: { type: "object", title: `${n}`.padEnd(bytes, "x") }, handler: () => "" });
  for (let n = 0; n < 257; n += 1) tool(n, 1);
  for (let n = 0; n < 257; n += 1) await replica.callTool(`t${n}`);
  assert.equal(compiled, 257);
  await replica.callTool("t256");
  assert.equal(compiled, 257, "the newest are kept");
  await replica.callTool("t0");
  assert.equal(compiled, 258, "the oldest is not");
  for (let n = 0; n < 20; n += 1) tool(n, 60_000);
  for (let n = 0; n < 20; n += 1) await replica.callTool(`t${n}`);
  assert.equal(compiled, 278);
  await replica.callTool("t0");
  assert.equal(compiled, 279, "20 of 60 KB are more than 1 MiB");
});

test("a schema that is not enforced is told of once, and hinders nobody", async (t) => {
  const inputSchema = { type: "object", properties: { id: { $ref: "https://example.com/id.json" } } };
  const { replica, calls, events } = await local(t, { validate: validator }, { inputSchema });
  for (const id of ["a", "b"]) assert.equal((await replica.callTool("get", { id })).isError, undefined);
  assert.equal(calls.length, 2);
  assert.deepEqual(events, [{ type: "schema_not_enforced", name: "get", reason: "has a $ref that leads out of it" }]);
});

test("a validator that fails, or gives what it should not, refuses nothing", async (t) => {
  const wrong = [
    [() => () => { throw new Error("no"); }, "host_failed"],
    [() => () => false, "host_failed"],
    [() => async () => "late", "host_failed"],
    [() => undefined, "schema_not_enforced"],
    [async () => () => "late", "schema_not_enforced"],
    [() => { throw "no"; }, "schema_not_enforced"],
  ];
  for (const [validate, type] of wrong) {
    const { replica, calls, events } = await local(t, { validate });
    assert.equal((await replica.callTool("get", {})).isError, undefined);
    assert.equal(calls.length, 1);
    assert.deepEqual(events.map((event) => event.type), [type], String(validate));
  }
});

test("a validator may call back, and close the replica", async (t) => {
  const said = [];
  let replica;
  const validate = () => (args) => {
    if (args.id === "peek") {
      said.push(replica.peekTool("get", { id: 7 }), replica.peekTool("get", { id: 8 }));
      replica.tool({ name: "more", handler: () => "more" });
      replica.invalidate();
    }
    if (args.id === "close") void replica.close();
    return typeof args.id === "number" ? undefined : "no";
  };
  ({ replica } = await local(t, { validate }));
  await replica.callTool("get", { id: 7 });
  const { isError, content } = await replica.callTool("get", { id: "peek" });
  assert.deepEqual([isError, content[0].text], [true, "Invalid arguments for tool get: no"]);
  assert.deepEqual([said[0]?.content[0].text, said[1]], ["got", undefined]);
  await fails("closed", replica.callTool("get", { id: "close" }));
});

test("a validator that changes the schema meanwhile is asked again", async (t) => {
  const schemas = [];
  let replica;
  const validate = (schema) => () => {
    schemas.push(schema.title);
    if (schemas.length === 1) replica.tool({ name: "get", inputSchema: { type: "object", title: "new" }, handler: () => "new" });
    return schema.title === "new" ? undefined : "old";
  };
  ({ replica } = await local(t, { validate }, { inputSchema: { type: "object", title: "old" } }));
  assert.equal((await replica.callTool("get")).content[0].text, "new");
  assert.deepEqual(schemas, ["old", "new"]);
});

test("the authority's tools are judged once they were listed", async (t) => {
  const refuse = () => () => "no \u{1f6ab} \"text\"";
  const { replica, authority } = await world(t, { validate: refuse });
  assert.equal((await replica.callTool("echo", { a: 1 })).isError, undefined);
  await replica.listTools();
  const { isError, content } = await replica.callTool("echo", { a: 1 });
  assert.deepEqual([isError, content[0].text], [true, 'Invalid arguments for tool echo: no \u{1f6ab} "text"'], "though stored");
  assert.equal(authority.count("tools/call echo"), 1);
  // For whom the list was not read it is unknown.
  assert.equal((await replica.callTool("echo", { a: 1 }, { principal: "bob" })).isError, undefined);
  replica.invalidate();
  assert.equal((await replica.callTool("echo", { a: 1 })).isError, undefined, "until it is read again");
});

test("leeward/fetch validates by default, after policy and before the cache", async (t) => {
  const { handler, authority } = await endpoint(t, {
    tools: [{ name: "get", inputSchema: SCHEMA, handler: () => "got" }],
    policy: [...POLICY, { tool: "denied", rule: "deny" }],
  });
  const response = await handler(call("get", { id: "1" }));
  const { result } = await response.json();
  assert.deepEqual([response.status, cacheOf(response), result.isError, result.content[0].text], [200, undefined, true, FAULT]);
  const denied = await (await handler(call("denied", {}))).json();
  assert.equal(denied.error.data.code, "denied_by_policy");
  assert.equal((await (await handler(call("get", { id: 1 }))).json()).result.content[0].text, "got");
  assert.equal((await (await handler.replica()).stats()).invalid, 1);
  assert.equal(authority.requests.length, 0);
});

test("leeward/fetch can do without", async (t) => {
  const tools = [{ name: "get", inputSchema: SCHEMA, handler: () => "got" }];
  const { handler } = await endpoint(t, { tools, validate: false });
  assert.equal((await (await handler(call("get", {}))).json()).result.content[0].text, "got");
});
