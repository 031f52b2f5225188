// Subscriptions through the npm package: the official SDK's client at one end, its server at the other.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "@modelcontextprotocol/client";

import { startFixture } from "./support/fixture.mjs";
import { Replica } from "./support/leeward.mjs";

const CHANGED = "notifications/tools/list_changed";

/** A replica of it, and a client that speaks 2026-07-28. */
async function world(t, options) {
  const authority = options ?? (await startFixture(t, "--ttl", "60000"));
  const replica = await Replica.open({ authority: authority.url, policy: [{ tool: "test_trigger_*", rule: "live" }] });
  t.after(() => replica.close());
  const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(replica.transport());
  t.after(() => client.close());
  return { authority, replica, client };
}

/** Resolves with the next notification of a method. */
const next = (client, method) => new Promise((resolve) => client.setNotificationHandler(method, resolve));

test("a client hears of a change, and lists again what changed", async (t) => {
  const { authority, replica, client } = await world(t);
  const subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: ["test://static-text"] });
  assert.deepEqual(subscription.honoredFilter, {
    toolsListChanged: true,
    resourceSubscriptions: ["test://static-text"],
  });
  assert.equal(replica.stats().subscriptions, 1);
  assert.deepEqual([replica.stats().flights, replica.stats().waiters], [0, 0]);
  const before = await replica.listTools();
  await replica.listTools();
  assert.equal(await authority.count("tools/list"), 1);
  const told = next(client, CHANGED);
  await replica.callTool("test_trigger_tool_change");
  await told;
  const after = await replica.listTools();
  assert.equal(await authority.count("tools/list"), 2);
  assert.equal(after.tools.length, before.tools.length + 1);
});

test("a client hears only what it listens for", async (t) => {
  const { replica, client } = await world(t);
  await client.listen({ promptsListChanged: true });
  client.setNotificationHandler(CHANGED, () => assert.fail("nobody asked for this"));
  const told = next(client, "notifications/prompts/list_changed");
  await replica.callTool("test_trigger_tool_change");
  await replica.callTool("test_trigger_prompt_change");
  await told;
});

test("closing a subscription ends it in the replica and at the authority", async (t) => {
  const { authority, replica, client } = await world(t);
  const subscription = await client.listen({ toolsListChanged: true });
  await subscription.close();
  assert.equal(await subscription.closed, "local");
  assert.equal(replica.stats().subscriptions, 0);
  // Its place is free again, and nothing was opened in its stead.
  await (await client.listen({ toolsListChanged: true })).close();
  assert.equal(await authority.count("subscriptions/listen"), 2);
});

test("closing the replica ends every subscription", async (t) => {
  const { replica, client } = await world(t);
  const subscription = await client.listen({ toolsListChanged: true });
  await replica.close();
  assert.equal(await subscription.closed, "remote");
});

test("a tool added here is told of, with an authority or without", async (t) => {
  for (const options of [undefined, { url: undefined }]) {
    const { replica, client } = await world(t, options);
    const { honoredFilter } = await client.listen({ toolsListChanged: true });
    assert.deepEqual(honoredFilter, { toolsListChanged: true });
    const told = next(client, CHANGED);
    replica.tool({ name: "now", handler: () => "now" });
    await told;
    assert.ok((await client.listTools()).tools.some(({ name }) => name === "now"));
  }
});

test("a filter that is none is refused", async (t) => {
  const { client } = await world(t);
  await assert.rejects(client.listen({ toolsListChanged: "yes" }), ({ code }) => code === -32602);
});
