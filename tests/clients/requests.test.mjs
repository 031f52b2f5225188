// Real clients: lists, calls, reads, prompts, completion and errors, the same through a replica as without one, and
// answered there when asked again.

import assert from "node:assert/strict";
import { forEveryClient, useWays } from "./support/cases.mjs";
import { stats } from "./support/paths.mjs";

useWays();

const CACHE = "dev.leeward/cache";
const TASKS = [
  ...["greet", "slow_compute", "failing_job", "protocol_error_job", "confirm_delete", "multi_input"],
  "test_tool_with_task",
];
const REPLICAS = ["worker", "fetch"];
/** What reached the authority, but for what a replica listens to on behalf of a session. */
async function asked(way) {
  const { "subscriptions/listen": _, ...methods } = (await stats(way)).methods;
  return methods;
}

let lastId = 0;
/** An id that no other case has asked for. */
const fresh = () => `id-${(lastId += 1)}`;
const plain = ({ _meta, ttlMs, cacheScope, ...result }) => result;
const outcome = (asked) => asked.then(plain, ({ code, message, data }) => ({ code, message, data }));

const REQUESTS = {
  "every list, page by page": async (client) => {
    const lists = [client.tools(), client.prompts(), client.resources(), client.templates()];
    const [tools, ...others] = await Promise.all(lists);
    // The authority has its tasks in the newest revision alone: a client of an older one gets them through a replica.
    return { lists: [tools.filter(({ name }) => !TASKS.includes(name)), ...others] };
  },
  "a cursor that is none": (client) => client.page("no-cursor"),
  "a text": (client) => client.call("test_simple_text", {}),
  "several kinds of content": (client) => client.call("test_multiple_content_types", {}),
  "a call that fails": (client) => client.call("test_error_handling", {}),
  "an unknown tool": (client) => client.call("no_such_tool", {}),
  // Whoever judges them has words of its own.
  "arguments that do not fit": async (client) => {
    const { isError, content } = await client.call("get_ticket", { id: 7 });
    const says = (word) => content.length === 1 && content[0].text.includes(word);
    return { isError, says: ["Invalid arguments for tool get_ticket", "/id", "string"].map(says) };
  },
  // A client learns from the list what it has to mirror.
  "an argument that is mirrored as a header": async (client) => {
    await client.tools();
    return client.call("test_header_parameter", { region: "Zürich " });
  },
  "a text resource": (client) => client.read("test://static-text"),
  "a binary resource": (client) => client.read("test://static-binary"),
  "a resource of a template": (client) => client.read("test://template/7/data"),
  "an unknown resource": (client) => client.read("test://no-such"),
  "a prompt": (client) => client.prompt("test_prompt_with_arguments", { arg1: "a", arg2: "ü" }),
  "a prompt without its arguments": (client) => client.prompt("test_prompt_with_arguments", {}),
  "an unknown prompt": (client) => client.prompt("no_such_prompt", {}),
  "a completion": (client) => client.complete("test_prompt_with_arguments", { name: "arg1", value: "par" }),
};

for (const [name, ask] of Object.entries(REQUESTS)) {
  forEveryClient(`${name}, as without a replica`, { sides: REPLICAS }, async ({ client, connect }) => {
    const direct = await connect("direct");
    const expected = await outcome(ask(direct));
    // Cold, and again.
    assert.deepEqual(await outcome(ask(client)), expected);
    assert.deepEqual(await outcome(ask(client)), expected);
  });
}

forEveryClient("lists come whole, over several pages", {}, async ({ client, way }) => {
  const before = (await stats(way)).methods["tools/list"] ?? 0;
  const names = (await client.tools()).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const name of ["test_simple_text", "update_ticket", "test_trigger_resource_update"]) {
    assert.ok(names.includes(name), name);
  }
  const pages = (await stats(way)).methods["tools/list"] - before;
  if (way.side === "direct") assert.equal(pages, Math.ceil(names.length / 5));
});

forEveryClient("a call travels once", { sides: REPLICAS }, async ({ client, connect, way }) => {
  const id = fresh();
  const before = (await stats(way)).tools.get_ticket ?? 0;
  const answers = [];
  for (const asked of [client, client, await connect()]) answers.push(await asked.call("get_ticket", { id }));
  assert.deepEqual(answers.map(({ structuredContent }) => structuredContent.calls), [1, 1, 1]);
  assert.match(answers[0]._meta[CACHE], /^leeward;fwd=uri-miss;stored/);
  for (const answer of answers.slice(1)) assert.match(answer._meta[CACHE], /^leeward;hit;ttl=\d+$/);
  assert.equal((await stats(way)).tools.get_ticket - before, 1);
});

// An authority of a session-era revision says of nothing how long it is fresh.
const hinted = { sides: REPLICAS, authority: "modern" };

forEveryClient("lists and a read travel once", hinted, async ({ client, connect, way }) => {
  const ask = async (asked) => [await asked.tools(), await asked.prompts(), await asked.read("test://static-text")];
  const first = await ask(client);
  const before = await asked(way);
  const again = await connect();
  assert.deepEqual((await ask(again)).slice(0, 2), first.slice(0, 2));
  // What a client of its own asks in order to connect is answered in the replica too.
  assert.deepEqual(await asked(way), before);
});

forEveryClient("a write is seen by the next read", {}, async ({ client }) => {
  const id = fresh();
  await client.call("get_ticket", { id });
  await client.call("update_ticket", { id, title: "new" });
  assert.equal((await client.call("get_ticket", { id })).structuredContent.title, "new");
});

forEveryClient("what policy denies is refused in the replica", { sides: REPLICAS }, async ({ client, way }) => {
  const refused = ({ code, data }) => code === 1003 && data.code === "denied_by_policy";
  await assert.rejects(client.call("denied", {}), refused);
  assert.equal((await stats(way)).tools.denied, undefined);
});
