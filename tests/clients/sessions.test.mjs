// Real clients of the session era: what needs a session. Notifications on the stream of a GET, logging by level, and
// what a server asks of its client.
//
// https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management

import assert from "node:assert/strict";
import { ASKED } from "./support/asked.mjs";
import { forEveryClient, useWays } from "./support/cases.mjs";
import { hearsOfTools } from "./support/lists.mjs";
import { stats } from "./support/paths.mjs";

useWays();

const WATCHED = "test://watched-resource";
const OTHER = "test://static-text";
const stream = { need: "session stream", era: "legacy" };
const logs = { need: "session logs", era: "legacy" };
const asks = { need: "session asks", era: "legacy" };

forEveryClient("a session hears of a resource while it is subscribed to it", stream, async ({ client, way }) => {
  await client.opened;
  await client.client.subscribeResource({ uri: WATCHED });
  await client.read(WATCHED);
  const before = (await stats(way)).resources[WATCHED];
  await client.call("test_trigger_resource_update", { uri: WATCHED });
  assert.equal((await client.heard("notifications/resources/updated")).uri, WATCHED);
  await client.read(WATCHED);
  assert.equal((await stats(way)).resources[WATCHED], before + 1);
  await client.client.unsubscribeResource({ uri: WATCHED });
  // A replica renews what it listens to; once it is agreed to tell of the other, the one before is not heard any more.
  await client.client.subscribeResource({ uri: OTHER });
  for (const uri of [WATCHED, OTHER]) await client.call("test_trigger_resource_update", { uri });
  assert.equal((await client.heard("notifications/resources/updated")).uri, OTHER);
});

forEveryClient("a session hears of a list, and the next list is new", stream, async ({ client }) => {
  await client.opened;
  await hearsOfTools(client);
});

forEveryClient("a session has its own level of logging", logs, async ({ client, connect }) => {
  const quiet = await connect();
  await quiet.client.setLoggingLevel("error");
  await client.client.setLoggingLevel("info");
  for (const asked of [quiet, client]) await asked.call("test_tool_with_logging", {});
  const lines = [];
  for (let n = 0; n < 3; n += 1) lines.push(await client.heard("notifications/message"));
  assert.deepEqual(
    lines.map(({ level, data }) => [level, data]),
    ["Tool execution started", "Tool processing data", "Tool execution completed"].map((data) => ["info", data]),
  );
  assert.equal(quiet.waiting("notifications/message"), 0);
});

for (const [name, [args, method, text]] of Object.entries(ASKED)) {
  forEveryClient(`${name} asks the client`, asks, async ({ client }) => {
    assert.equal((await client.call(name, args)).content[0].text, text);
    assert.equal(client.waiting(method), 1);
  });
}

forEveryClient("ping", { era: "legacy" }, async ({ client }) => {
  assert.deepEqual(await client.client.ping(), {});
});
