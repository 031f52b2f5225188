// Tools and resources that this process answers itself, with and without an authority.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ManualClock, alone, assertFrozen, fails, world } from "./support/index.mjs";
import { Replica } from "./support/leeward.mjs";

test("a replica without authority is a server in its own right", async (t) => {
  const replica = await alone(t, {
    fetch: () => assert.fail("nothing may be sent"),
    tools: [
      {
        name: "add",
        description: "adds",
        inputSchema: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } } },
        handler: ({ a, b }) => ({ content: [{ type: "text", text: String(a + b) }], structuredContent: { sum: a + b } }),
      },
    ],
    resources: [{ uri: "note://1", name: "note", mimeType: "text/plain", handler: (uri) => `this is ${uri}` }],
  });
  const { result, cache } = await replica.callToolWithCache("add", { a: 2, b: 3 });
  assert.deepEqual(result.structuredContent, { sum: 5 });
  assert.equal(cache.status, "local");
  assertFrozen(result);
  const { tools } = await replica.listTools();
  assert.deepEqual(tools.map(({ name, description }) => [name, description]), [["add", "adds"]]);
  const { contents } = await replica.readResource("note://1");
  assert.equal(contents[0].text, "this is note://1");
  assert.equal((await replica.listResources()).resources[0].uri, "note://1");
  await fails("invalid_params", () => replica.callTool("none"));
  await fails("invalid_params", () => replica.readResource("note://2"));
});

test("a local tool stands beside the authority's", async (t) => {
  const { authority, replica } = await world(t);
  replica.tool({ name: "here", handler: () => "from here" });
  assert.equal((await replica.callTool("here")).content[0].text, "from here");
  assert.equal(authority.count("tools/call"), 0);
  const names = (await replica.listTools()).tools.map(({ name }) => name);
  assert.ok(names.includes("here") && names.includes("echo"), names.join());
  await replica.callTool("echo", {});
  assert.equal(authority.count("tools/call"), 1);
});

test("a local tool may be cached by its rule", async (t) => {
  let calls = 0;
  const clock = new ManualClock();
  const replica = await alone(t, {
    clock,
    tools: [{ name: "n", rule: "cache;max-age=10", handler: () => String((calls += 1)) }],
  });
  const first = await replica.callTool("n");
  assert.equal(await replica.callTool("n"), first);
  assert.equal(calls, 1);
  clock.advance(10_001);
  assert.equal((await replica.callTool("n")).content[0].text, "2");
});

test("a handler that fails is reported, and the replica goes on", async (t) => {
  let handler;
  const replica = await alone(t, { tools: [{ name: "x", handler: (...args) => handler(...args) }] });
  const cycle = { content: [] };
  cycle.cycle = cycle;
  for (handler of [
    () => {
      throw new Error("broken here");
    },
    async () => {
      throw null;
    },
    () => undefined,
    () => 1,
    () => [],
    () => ({ content: 1n }),
    () => cycle,
  ]) {
    const outcome = await replica.callTool("x").then((result) => result.isError, (error) => error.code);
    assert.ok(outcome === true || outcome === "internal", `${handler}: ${outcome}`);
  }
  handler = () => "well";
  assert.equal((await replica.callTool("x")).content[0].text, "well");
});

test("a handler gets its arguments, and its caller may give up", async (t) => {
  let given;
  let started;
  const start = new Promise((resolve) => (started = resolve));
  const replica = await alone(t, {
    tools: [
      {
        name: "wait",
        handler: (args) => {
          given = args;
          started();
          return new Promise(() => {});
        },
      },
    ],
  });
  const controller = new AbortController();
  const call = replica.callTool("wait", { a: [1, { b: "ü" }] }, { signal: controller.signal });
  await start;
  assert.deepEqual(given, { a: [1, { b: "ü" }] });
  controller.abort();
  await fails("cancelled", call);
  assert.equal(replica.stats().waiters, 0);
});

test("close aborts a handler", async () => {
  let heard;
  let started;
  const start = new Promise((resolve) => (started = resolve));
  const replica = await Replica.open({
    tools: [
      {
        name: "wait",
        handler: (args, { signal }) => {
          heard = signal;
          started();
          return new Promise(() => {});
        },
      },
    ],
  });
  const call = replica.callTool("wait");
  await start;
  await replica.close();
  await fails("closed", call);
  assert.equal(heard.aborted, true);
});

test("a handler may call the replica it serves", async (t) => {
  const replica = await alone(t);
  replica.tool({ name: "inner", handler: () => "inner" });
  replica.tool({ name: "outer", handler: async () => (await replica.callTool("inner")).content[0].text + " outer" });
  assert.equal((await replica.callTool("outer")).content[0].text, "inner outer");
});

test("a definition that is none is refused", async (t) => {
  const replica = await alone(t);
  const handler = () => "";
  for (const tool of [null, 1, {}, { name: "x" }, { name: 1, handler }, { handler }, { name: "x", inputSchema: 1, handler }]) {
    await fails("invalid_params", () => replica.tool(tool));
  }
  for (const resource of [null, {}, { uri: 1, name: "x", handler }, { uri: "x:y", name: "x" }]) {
    await fails("invalid_params", () => replica.resource(resource));
  }
  await fails("config_invalid", () => replica.tool({ name: "x", rule: "cash", handler }));
  await fails("config_invalid", () => replica.tool({ name: "x", rule: 1, handler }));
  await fails("config_invalid", () => Replica.open({ tools: [{ name: "x", rule: "deny;x", handler }] }));
});
