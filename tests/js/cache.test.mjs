// Direct calls and the cache: what travels, what is answered here, and what is shared.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertFrozen, fails, world } from "./support/index.mjs";

test("a hit does not travel and gives the same frozen object", async (t) => {
  const { authority, replica } = await world(t);
  const first = await replica.callTool("echo", { id: "PROJ-123" });
  const second = await replica.callTool("echo", { id: "PROJ-123" });
  assert.equal(authority.count("tools/call echo"), 1);
  assert.equal(first, second);
  assert.deepEqual(first.structuredContent.arguments, { id: "PROJ-123" });
  assertFrozen(first);
  assert.throws(() => first.content.push({}), TypeError);
  assert.equal(replica.stats().hits, 1);
});

test("other arguments are another answer, and their order is not", async (t) => {
  const { authority, replica } = await world(t);
  const first = await replica.callTool("echo", { a: 1, b: 2 });
  assert.equal(await replica.callTool("echo", { b: 2, a: 1 }), first);
  await replica.callTool("echo", { a: 1, b: 3 });
  assert.equal(authority.count("tools/call echo"), 2);
});

test("provenance is told beside the result, not in it", async (t) => {
  const { clock, replica } = await world(t);
  const miss = await replica.callToolWithCache("echo", {});
  assert.equal(miss.cache.status, "miss");
  assert.equal(miss.cache.stored, true);
  assert.match(miss.cache.header, /^leeward;fwd=uri-miss;stored/);
  assert.equal("dev.leeward/cache" in miss.result._meta, false);
  assert.equal(miss.result._meta["example.com/kept"], 1);

  clock.advance(1_000);
  const hit = await replica.callToolWithCache("echo", {});
  assert.equal(hit.cache.status, "hit");
  assert.match(hit.cache.header, /^leeward;hit;ttl=\d+$/);
  assert.ok(hit.cache.ttlMs > 0 && hit.cache.ttlMs <= 59_000, String(hit.cache.ttlMs));
  assert.equal(hit.result, miss.result);
});

test("an answer that only carried provenance has no _meta left", async (t) => {
  const { replica } = await world(t);
  const result = await replica.callTool("count");
  assert.equal("_meta" in result, false);
});

test("what is past its age is fetched again", async (t) => {
  const { authority, clock, replica } = await world(t);
  const first = await replica.callTool("count");
  assert.equal(first.content[0].text, "1");
  clock.advance(60_001);
  const { result, cache } = await replica.callToolWithCache("count");
  assert.equal(result.content[0].text, "2");
  assert.notEqual(cache.status, "hit");
  assert.equal(authority.count("tools/call count"), 2);
});

test("peek gives what is fresh, and sends nothing", async (t) => {
  const { authority, clock, replica } = await world(t);
  assert.equal(replica.peekTool("echo", { id: 1 }), undefined);
  assert.equal(authority.requests.length, 0);
  const called = await replica.callTool("echo", { id: 1 });
  assert.equal(replica.peekTool("echo", { id: 1 }), called);
  assert.equal(replica.peekTool("echo", { id: 2 }), undefined);
  clock.advance(60_001);
  assert.equal(replica.peekTool("echo", { id: 1 }), undefined);
  assert.equal(authority.count("tools/call"), 1);

  assert.equal(replica.peekResource("test://a"), undefined);
  const read = await replica.readResource("test://a");
  assert.equal(replica.peekResource("test://a"), read);
  assert.equal(authority.count("resources/read"), 1);
});

test("reads and lists follow the authority's hints", async (t) => {
  const { authority, clock, replica } = await world(t);
  const first = await replica.readResourceWithCache("test://a");
  assert.equal(first.result.contents[0].text, "read 1");
  clock.advance(1_000);
  const second = await replica.readResourceWithCache("test://a");
  assert.equal(second.result, first.result);
  assert.ok(second.cache.ttlMs < first.cache.ttlMs);
  assert.equal("ttlMs" in first.result, false, "a shared result cannot say what is left of it");

  for (const [method, list] of [
    ["tools/list", () => replica.listTools()],
    ["resources/list", () => replica.listResources()],
    ["resources/templates/list", () => replica.listResourceTemplates()],
    ["prompts/list", () => replica.listPrompts()],
  ]) {
    assert.equal(await list(), await list(), method);
    assert.equal(authority.count(method), 1, method);
  }
  assert.equal((await replica.listTools()).tools[0].name, "echo");
  assert.equal((await replica.listResources()).resources[0].uri, "test://a");
  assert.equal((await replica.listResourceTemplates()).resourceTemplates[0].name, "any");
  assert.equal((await replica.listPrompts()).prompts[0].name, "hello");
});

test("every other request has its method", async (t) => {
  const { replica } = await world(t);
  const prompt = await replica.getPrompt("hello", { who: "you" });
  assert.equal(prompt.messages[0].content.text, "hello you");
  const completion = await replica.complete({
    ref: { type: "ref/prompt", name: "hello" },
    argument: { name: "who", value: "o" },
  });
  assert.deepEqual(completion.completion.values, ["one", "two"]);
  const discovered = await replica.discover();
  assert.ok(discovered.supportedVersions.includes("2026-07-28"));
  const listed = await replica.requestWithCache("tools/list");
  assert.equal(typeof listed.cache.status, "string");
  const params = { name: "echo", arguments: { x: 1 }, _meta: { traceparent: "00-a" } };
  assert.deepEqual((await replica.request("tools/call", params)).structuredContent.arguments, { x: 1 });
});

test("callers of one key share one trip and one object", async (t) => {
  const { authority, replica } = await world(t);
  const calls = Array.from({ length: 20 }, () => replica.callToolWithCache("hold", {}));
  await authority.held();
  authority.release();
  const answers = await Promise.all(calls);
  assert.equal(authority.count("tools/call hold"), 1);
  assert.equal(new Set(answers.map(({ result }) => result)).size, 1);
  assert.equal(answers.filter(({ cache }) => cache.collapsed).length, 19);
});

test("invalidate makes everything stale at once", async (t) => {
  const { authority, replica } = await world(t);
  const first = await replica.callTool("echo", {});
  replica.invalidate();
  assert.equal(replica.peekTool("echo", {}), undefined);
  assert.notEqual(await replica.callTool("echo", {}), first);
  assert.equal(authority.count("tools/call echo"), 2);
});

test("principals share nothing", async (t) => {
  const { authority, replica } = await world(t);
  const mine = await replica.callTool("echo", {}, { principal: "ann" });
  assert.equal(replica.peekTool("echo", {}, { principal: "bob" }), undefined);
  const theirs = await replica.callTool("echo", {}, { principal: "bob" });
  assert.notEqual(mine, theirs);
  assert.equal(await replica.callTool("echo", {}, { principal: "ann" }), mine);
  assert.equal(authority.count("tools/call echo"), 2);
  await fails("unauthenticated", () => replica.callTool("echo", {}, { principal: null }));
  assert.equal(authority.count("tools/call echo"), 2);
});

test("text of any kind and size crosses the border whole", async (t) => {
  const { replica } = await world(t);
  const odd = "\u0000\u001f\"\\\u2028 héllo 🌊 " + "\ud800";
  const { structuredContent } = await replica.callTool("echo", { odd, "ключ": [1e21, -0.5, null, true] });
  assert.equal(structuredContent.arguments.odd.slice(0, -1), odd.slice(0, -1));
  assert.deepEqual(structuredContent.arguments["ключ"], [1e21, -0.5, null, true]);
  for (const length of [1, 70_000, 300_000]) {
    const text = "a🌊ü".repeat(length / 4 + 1);
    const answer = await replica.callTool("echo", { text });
    assert.equal(answer.structuredContent.arguments.text, text);
    assert.equal(await replica.callTool("echo", { text }), answer);
  }
  // Larger than what the memory had when the views were made, and than one chunk.
  const big = await replica.callTool("big", { length: 3_000_000 });
  assert.equal(big.content[0].text.length, 3_000_000);
  assert.equal(replica.peekTool("big", { length: 3_000_000 }), big);
});

test("an answer may come as a stream of events, in any pieces", async (t) => {
  const { replica } = await world(t);
  assert.equal((await replica.callTool("stream")).content[0].text, "héllo");
});
