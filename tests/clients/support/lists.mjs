// What a client that is told of changes must see of them.

import assert from "node:assert/strict";

/** Changes the list of tools twice: the client hears of both, and its list has what the second changed. */
export async function hearsOfTools(client) {
  const seen = [];
  // What the list was before may be as old as its authority allows, since nobody listened then.
  for (let change = 0; change < 2; change += 1) {
    await client.tools();
    await client.call("test_trigger_tool_change", {});
    await client.heard("notifications/tools/list_changed");
    seen.push((await client.tools()).some(({ name }) => name === "test_dynamic_tool"));
  }
  assert.equal(seen[1], !seen[0]);
}
