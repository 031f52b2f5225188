// The official clients, which know nothing of the authority's OAuth, before a replica that does it for them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CLIENTS, MODERN_CLIENT, connect } from "../js/support/clients.mjs";
import { world } from "./support/world.mjs";

for (const [name, make] of [...CLIENTS, MODERN_CLIENT]) {
  test(`${name}: connects, lists, calls; one sign-in`, async (t) => {
    const { provider, browser, open } = await world(t);
    const client = await connect(t, await open(), make);
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === "get_ticket"));
    const called = await client.callTool({ name: "update_ticket", arguments: { id: "A", title: "new" } });
    assert.equal(called.structuredContent.title, "new");
    assert.deepEqual(browser("ann").asked, ["login", "consent", "consent"]);
    assert.equal(provider.count("registration"), 1);
  });
}

test("over HTTP each caller has a grant of its own", async (t) => {
  const { authority, browser, serve } = await world(t);
  const handler = serve({ authenticate: ({ headers }) => headers.get("x-caller") });
  for (const caller of ["ann", "bob"]) {
    const as = (request) => {
      request.headers.set("x-caller", caller);
      return handler(request);
    };
    const client = await connect(t, as, MODERN_CLIENT[1]);
    const { structuredContent } = await client.callTool({ name: "get_ticket", arguments: { id: caller } });
    assert.equal(structuredContent.calls, 1);
    assert.deepEqual(browser(caller).asked, ["login", "consent"]);
  }
  const calls = authority.passed("tools/call get_ticket");
  assert.deepEqual(calls.map(({ account }) => account), ["ann", "bob"]);
  assert.notEqual(calls[0].token, calls[1].token);
});
