// Answers that come in parts, and authorities that break off.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  callResult,
  CHANGED,
  gate,
  openEvents,
  scriptListen,
  sendJson,
  startAuthority,
  SUBSCRIPTION,
} from "./support/authority.mjs";
import { messages, modern, openPost, post, toolCall } from "./support/client.mjs";
import { startHosts, TOKENS } from "./support/hosts.mjs";

const TOKEN = { progressToken: "mine-1" };
let authority;
let hosts;

before(async () => {
  authority = await startAuthority();
  hosts = await startHosts({
    main: {
      LEEWARD_CONFIG: {
        authority: authority.url,
        policy: [{ tool: "get_*", rule: "cache;max-age=60" }],
        limits: { maxResponseBytes: 65_536 },
      },
      LEEWARD_TOKENS: TOKENS,
    },
  });
});

after(async () => {
  await hosts.close();
  await authority.close();
});

const progress = (message, step) => ({
  jsonrpc: "2.0",
  method: "notifications/progress",
  params: { progressToken: message.params._meta.progressToken, progress: step, total: 3 },
});
const result = ({ id, params }) => ({ jsonrpc: "2.0", id, result: { resultType: "complete", ...callResult(params) } });

/** Answers with two steps of progress, then waits for the gate, then a third and the result. */
function scriptSteps(name) {
  const { passed, open } = gate();
  authority.script(name, async ({ message, response }) => {
    const send = openEvents(response);
    send(progress(message, 1));
    send(progress(message, 2));
    await passed;
    send(progress(message, 3));
    send(result(message));
    response.end();
  });
  return open;
}

test("progress goes out at once, under the caller's own token", async () => {
  const release = scriptSteps("steps");
  const call = toolCall("steps", {}, TOKEN);
  const response = await openPost(hosts.main, call).response;
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers["content-type"], "text/event-stream");
  assert.equal(response.headers["x-accel-buffering"], "no");
  assert.equal(response.headers["cache-control"], "no-store");
  const parts = messages(response);
  for (const step of [1, 2]) {
    const { value } = await parts.next();
    assert.deepEqual(value.params, { ...TOKEN, progress: step, total: 3 });
  }
  // The authority holds the rest until here: nothing on the way waited for it.
  release();
  const rest = [];
  for await (const part of parts) rest.push(part);
  assert.equal(rest.length, 2);
  assert.equal(rest[0].params.progress, 3);
  assert.equal(rest[1].id, call.id);
  assert.deepEqual(rest[1].result.content, [{ type: "text", text: "{}" }]);
});

test("a client of JSON only gets the result alone", async () => {
  scriptSteps("steps_json")();
  const { headers, body } = toolCall("steps_json", {}, TOKEN);
  const answer = await post(hosts.main, { headers: { ...headers, accept: "application/json" }, body });
  assert.equal(answer.headers["content-type"], "application/json");
  assert.ok("result" in answer.json);
});

test("one event is one line, whatever blank space the authority writes", async () => {
  authority.script("spread", ({ message, response }) => {
    const send = openEvents(response);
    send(progress(message, 1));
    const text = JSON.stringify(result(message), null, 2).replaceAll("\n", "\ndata: ");
    response.end(`data: ${text}\n\n`);
  });
  const answer = await post(hosts.main, toolCall("spread", { a: "b\nc" }, TOKEN));
  assert.equal(answer.messages.length, 2);
  assert.equal(answer.json.result.content[0].text, '{"a":"b\\nc"}');
  for (const event of answer.text.trimEnd().split("\n\n")) assert.match(event, /^event: message\ndata: [^\n]*$/);
});

test("a stream without a progress token is answered as JSON", async () => {
  authority.script("plain_stream", ({ message, response }) => {
    openEvents(response)(result(message));
    response.end();
  });
  const answer = await post(hosts.main, toolCall("plain_stream"));
  assert.equal(answer.headers["content-type"], "application/json");
  assert.ok("result" in answer.json);
});

test("a client that leaves its stream ends the read behind it", async () => {
  scriptSteps("get_steps");
  const exchange = openPost(hosts.main, toolCall("get_steps", {}, TOKEN));
  const parts = messages(await exchange.response);
  await parts.next();
  exchange.leave();
  await assert.rejects(async () => {
    for await (const _ of parts);
  });
  const trip = await authority.arrival("get_steps");
  await trip.closed;
  assert.ok(!trip.response.writableEnded);
});

test("a write whose answer breaks off has an unknown outcome", async () => {
  const breaks = {
    before_head: ({ response }) => response.socket.resetAndDestroy(),
    in_json: ({ response }) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
      response.write('{"jsonrpc":', () => response.socket.resetAndDestroy());
    },
    in_events: ({ response }) => {
      openEvents(response);
      response.write('data: {"jsonrpc":', () => response.socket.resetAndDestroy());
    },
    ended_early: ({ response }) => {
      openEvents(response);
      response.end(": nothing\n\n");
    },
  };
  for (const [name, script] of Object.entries(breaks)) {
    authority.script(name, script);
    const answer = await post(hosts.main, toolCall(name));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.error.data.code, "unknown_outcome", name);
    assert.equal(authority.trips(name), 1, `${name}: a write is sent once`);
  }
});

test("a write whose progress had begun ends its stream with the error", async () => {
  authority.script("half", ({ message, response }) => {
    openEvents(response)(progress(message, 1));
    response.write("data: {", () => response.socket.resetAndDestroy());
  });
  const call = toolCall("half", {}, TOKEN);
  const answer = await post(hosts.main, call);
  assert.equal(answer.headers["content-type"], "text/event-stream");
  assert.equal(answer.json.id, call.id);
  assert.equal(answer.json.error.data.code, "unknown_outcome");
});

test("a read whose answer breaks off once is asked for again", async () => {
  let broken = 0;
  authority.script("get_twice", ({ message, response }) => {
    if (broken++ > 0) return sendJson(response, result(message));
    openEvents(response);
    return response.write("data: {", () => response.socket.resetAndDestroy());
  });
  const answer = await post(hosts.main, toolCall("get_twice"));
  assert.ok("result" in answer.json, answer.text);
  assert.equal(authority.trips("get_twice"), 2);
});

test("an answer over its limit is cut off there", async () => {
  authority.script("get_endless", ({ response }) => {
    response.writeHead(200, { "content-type": "application/json" });
    const more = () => {
      while (!response.destroyed && response.write(" ".repeat(16_384)));
    };
    response.on("drain", more);
    more();
  });
  const answer = await post(hosts.main, toolCall("get_endless"));
  assert.equal(answer.json.error.data.code, "authority_invalid", answer.text);
  await (await authority.arrival("get_endless")).closed;
});

const listen = () => modern("subscriptions/listen", { notifications: { toolsListChanged: true } });

test("a subscription goes out as it is heard, and ends at the authority with its client", async () => {
  const arrived = scriptListen(authority);
  const request = listen();
  const exchange = openPost(hosts.main, request);
  const response = await exchange.response;
  assert.equal(response.headers["content-type"], "text/event-stream");
  const parts = messages(response);
  const upstream = await arrived;
  for (const method of ["notifications/subscriptions/acknowledged", CHANGED]) {
    if (method === CHANGED) upstream.tell(method);
    const { value } = await parts.next();
    assert.deepEqual([value.method, value.params._meta[SUBSCRIPTION]], [method, request.id]);
  }
  exchange.leave();
  await assert.rejects(async () => {
    for await (const _ of parts);
  });
  await upstream.closed;
});

test("a client too slow for its subscription is told that it ends", async () => {
  const arrived = scriptListen(authority);
  const { response } = openPost(hosts.main, listen());
  const { tell, closed, response: stream } = await arrived;
  const slow = await response;
  // As much as it takes: sockets on the way hold some of it, and nobody reads.
  const padding = "x".repeat(32_768);
  const more = () => {
    while (!stream.destroyed && tell(CHANGED, { padding }));
  };
  stream.on("drain", more);
  more();
  await closed;
  let last;
  for await (const message of messages(slow)) last = message;
  assert.equal(last.error?.data.code, "over_budget");
});

test("a client of JSON only cannot subscribe", async () => {
  const arrived = scriptListen(authority);
  const { headers, body } = listen();
  const answer = await post(hosts.main, { headers: { ...headers, accept: "application/json" }, body });
  assert.equal(answer.json.error.data.code, "over_budget");
  await (await arrived).closed;
});
