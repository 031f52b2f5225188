// Guards that the npm package must not lose: each of these once let something through.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ManualClock, alone, fails, silentFetch, turn, watchRejections, world } from "./support/index.mjs";
import { Replica } from "./support/leeward.mjs";

const call = (id, tool) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: {
    name: tool,
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
});

test("principals that are one in UTF-8 are not taken for one", async (t) => {
  const { replica } = await world(t);
  for (const principal of ["user\ud800", "user\udbff"]) {
    await fails("invalid_params", () => replica.callTool("echo", {}, { principal }));
    await fails("invalid_params", () => replica.transport({ principal }));
  }
  await replica.callTool("echo", {}, { principal: "user\u{1f600}" });
});

test("options of the wrong type do not speak for the replica's own principal", async (t) => {
  const { replica } = await world(t);
  for (const options of ["ann", 5, true, null, []]) {
    await fails("invalid_params", async () => replica.transport(options));
    await fails("invalid_params", async () => replica.peekTool("echo", {}, options));
    await fails("invalid_params", async () => replica.peekResource("test://a", options));
    await fails("invalid_params", () => replica.callTool("echo", {}, options));
    await fails("invalid_params", () => replica.listTools(options));
  }
});

test("a cursor that cannot be read rejects its list", async (t) => {
  const { replica } = await world(t);
  const options = { get cursor() { return assert.fail("mine"); } };
  for (const list of ["listTools", "listResources", "listResourceTemplates", "listPrompts"]) {
    const listed = replica[list](options);
    assert.equal((await fails("internal", listed)).cause.message, "mine");
  }
});

test("a misspelt hook is not dropped in silence", async () => {
  const error = await fails("config_invalid", () => Replica.open({ credentialsFor: () => "token" }));
  assert.equal(error.data.field, "credentialsFor");
  await fails("config_invalid", () => Replica.open({ authority: () => "https://a.example/mcp" }));
});

test("a clock that gives no number, or throws, stands still and hurts nobody else", async (t) => {
  const { replica: good } = await world(t);
  await good.callTool("echo", {});
  const odd = () => process.hrtime.bigint();
  const { setTimeout, clearTimeout } = globalThis;
  let readings = 0;
  for (const now of [odd, () => ((readings += 1) % 2 ? 5_000 : assert.fail("no reading"))]) {
    const { replica } = await world(t, { clock: { now, unix: now, setTimeout, clearTimeout } });
    await replica.callTool("write", {}).catch((error) => assert.notEqual(error.code, "unknown_outcome"));
  }
  assert.ok(good.peekTool("echo", {}));
});

test("an odd response or error of fetch fails its call and nothing else", async (t) => {
  watchRejections(t);
  const cyclic = new AggregateError([], "cyclic");
  cyclic.errors.push(cyclic);
  for (const fetch of [
    async () => ({ status: 200, headers: new Map([["content-length", 2]]), body: null }),
    async () => Promise.reject(cyclic),
  ]) {
    const replica = await alone(t, { authority: "https://a.example/mcp", fetch });
    await fails("authority_unreachable", () => replica.callTool("echo", {}));
    await turn();
  }
});

test("an async listener of events may fail", async (t) => {
  watchRejections(t);
  const onEvent = async () => Promise.reject(new Error("the log is down"));
  const fetch = async () => Promise.reject(new Error("down"));
  const replica = await alone(t, { authority: "https://a.example/mcp", fetch, onEvent });
  await fails("authority_unreachable", () => replica.callTool("echo", {}));
  await turn();
});

test("a closed transport waits for nothing, whatever its owner does", async (t) => {
  const { fetch } = silentFetch();
  const replica = await alone(t, { authority: "https://a.example/mcp", fetch, policy: [{ tool: "*", rule: "live" }] });
  const twice = replica.transport();
  await twice.send(call(1, "a"));
  await twice.send(call(1, "b"));
  assert.equal(replica.stats().waiters, 2);
  await twice.close();
  assert.equal(replica.stats().waiters, 0);
  const rude = replica.transport();
  rude.onclose = () => assert.fail("rude");
  await rude.send(call(1, "a"));
  await assert.rejects(rude.close(), /rude/);
  assert.deepEqual([replica.stats().waiters, replica.stats().flights], [0, 0]);
});

test("a timer of the host's that calls back changes nobody's answer", async (t) => {
  let replica;
  class Nosy extends ManualClock {
    clearTimeout(handle) {
      super.clearTimeout(handle);
      replica?.peekTool("echo", { of: "ann" }, { principal: "ann" });
    }
  }
  ({ replica } = await world(t, { clock: new Nosy() }));
  await replica.callTool("echo", { of: "ann" }, { principal: "ann" });
  const { content } = await replica.callTool("echo", { of: "ben" }, { principal: "ben", timeoutMs: 5_000 });
  assert.equal(content[0].text, '{"of":"ben"}');
});

test("a replica that is closed while it asks for a timer leaves none", async (t) => {
  for (const timeoutMs of [undefined, 5_000]) {
    let replica;
    class Closing extends ManualClock {
      setTimeout(action, delayMs) {
        const handle = super.setTimeout(action, delayMs);
        void replica?.close();
        return handle;
      }
    }
    const clock = new Closing();
    ({ replica } = await world(t, { clock }));
    await fails("closed", () => replica.callTool("echo", {}, timeoutMs && { timeoutMs }));
    assert.equal(clock.timers, 0);
  }
});
