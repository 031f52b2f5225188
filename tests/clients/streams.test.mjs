// Real clients: what comes before an answer, what comes without being asked for, and what a server asks in between.

import assert from "node:assert/strict";
import { ASKED } from "./support/asked.mjs";
import { forEveryClient, useWays } from "./support/cases.mjs";
import { hearsOfTools } from "./support/lists.mjs";
import { stats } from "./support/paths.mjs";

useWays();

const WATCHED = "test://watched-resource";

forEveryClient("progress comes before the result", {}, async ({ client }) => {
  const steps = [];
  const onprogress = ({ progress, total, message }) => steps.push([progress, total, message]);
  const result = await client.call("test_tool_with_progress", {}, { onprogress });
  assert.equal(result.content[0].text, "Tool execution completed");
  assert.deepEqual(
    steps,
    [0, 50, 100].map((progress) => [progress, 100, `Completed step ${progress} of 100`]),
  );
});

forEveryClient("logs come where the request asks for them", { need: "logs", era: "modern" }, async ({ client }) => {
  const lines = ["Tool execution started", "Tool processing data", "Tool execution completed"];
  for (const level of ["error", "info"]) {
    await client.call("test_logging_tool", {}, { meta: { "io.modelcontextprotocol/logLevel": level } });
  }
  const told = [];
  for (const _ of lines) told.push(await client.heard("notifications/message"));
  assert.deepEqual(
    told.map(({ level, data }) => [level, data]),
    lines.map((data) => ["info", data]),
  );
});

const listening = { need: "listen", era: "modern" };

forEveryClient("a subscription hears of its resource, and the next read is new", listening, async ({ client, way }) => {
  const subscription = await client.client.listen({ resourceSubscriptions: [WATCHED] });
  assert.deepEqual(subscription.honoredFilter, { resourceSubscriptions: [WATCHED] });
  await client.read(WATCHED);
  await client.read(WATCHED);
  const before = (await stats(way)).resources[WATCHED];
  await client.call("test_trigger_resource_update", { uri: WATCHED });
  assert.equal((await client.heard("notifications/resources/updated")).uri, WATCHED);
  await client.read(WATCHED);
  assert.equal((await stats(way)).resources[WATCHED], before + 1);
  await subscription.close();
});

forEveryClient("a subscription hears of a list, and the next list is new", listening, async ({ client }) => {
  const subscription = await client.client.listen({ toolsListChanged: true, promptsListChanged: true });
  await hearsOfTools(client);
  await client.call("test_trigger_prompt_change", {});
  await client.heard("notifications/prompts/list_changed");
  await subscription.close();
});

const asking = { need: "input required", era: "modern" };
for (const [name, [args, method, text]] of Object.entries(ASKED)) {
  const run = async ({ client }) => {
    assert.equal((await client.call(name, args)).content[0].text, text);
    await client.heard(method);
  };
  forEveryClient(`${name} asks the client`, asking, run);
}

forEveryClient("several rounds, whose state passes unharmed", asking, async ({ client }) => {
  const result = await client.call("test_input_required_result_multi_round", {});
  assert.equal(result.content[0].text, "my name likes my color");
});
