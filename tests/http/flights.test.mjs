// Many requests, one trip: who waits for whom, and what remains when somebody leaves. Hits and trips are counted by
// the authority.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { answer, gate, openEvents, startAuthority } from "./support/authority.mjs";
import { openPost, post, toolCall } from "./support/client.mjs";
import { ALICE, BOB, startHosts, TOKENS } from "./support/hosts.mjs";

let authority;
let hosts;

before(async () => {
  authority = await startAuthority();
  hosts = await startHosts({
    main: {
      LEEWARD_CONFIG: {
        authority: authority.url,
        policy: [{ tool: "get_*", rule: "cache;max-age=60" }],
      },
      LEEWARD_TOKENS: TOKENS,
    },
  });
});

afterEach(() => {
  const faults = hosts.logs.filter(({ level }) => level !== "log" && level !== "info");
  assert.deepEqual(faults.splice(0), [], "the runtime complained");
});

after(async () => {
  await hosts.close();
  await authority.close();
});

/** Has the authority hold its answers for a tool until the gate is open. */
function hold(name) {
  const { passed, open } = gate();
  authority.script(name, async (call) => {
    await passed;
    answer(call);
  });
  return open;
}

/**
 * A request of another connection that goes all the way and back, so that the host gets to see what was sent before it.
 * Nothing orders connections strictly: what is asserted holds in any order.
 */
let fences = 0;
async function fence() {
  const { status } = await post(hosts.main, toolCall("get_fence", { n: (fences += 1) }));
  assert.equal(status, 200);
}

test("a fresh hit makes no trip and says so", async () => {
  const first = await post(hosts.main, toolCall("get_ticket", { id: "PROJ-1" }));
  assert.match(first.headers["cache-status"], /^leeward;fwd=uri-miss;stored;ttl=\d+$/);
  const trips = authority.calls.length;
  for (let i = 0; i < 5; i += 1) {
    const call = toolCall("get_ticket", { id: "PROJ-1" });
    const hit = await post(hosts.main, call);
    assert.match(hit.headers["cache-status"], /^leeward;hit;ttl=\d+$/);
    assert.equal(hit.json.id, call.id);
    assert.deepEqual(hit.json.result.content, first.json.result.content);
  }
  assert.equal(authority.calls.length, trips);
});

test("99 of 100 callers get their answer when the first has left", async () => {
  const name = "get_crowd";
  const release = hold(name);
  const first = openPost(hosts.main, toolCall(name));
  await authority.arrival(name);
  const others = Array.from({ length: 99 }, () => {
    const call = toolCall(name);
    return { id: call.id, answer: post(hosts.main, call) };
  });
  await fence();
  first.leave();
  await fence();
  release();
  for (const { id, answer } of others) {
    const { status, json, headers } = await answer;
    assert.equal(status, 200, JSON.stringify(json));
    assert.equal(json.id, id);
    assert.deepEqual(json.result.content, [{ type: "text", text: "{}" }]);
    assert.match(headers["cache-status"], /;collapsed|;hit|;stored/);
  }
  assert.ok([1, 2].includes(authority.trips(name)), `${authority.trips(name)} trips`);
  const warm = await post(hosts.main, toolCall(name));
  assert.match(warm.headers["cache-status"], /;hit/);
});

test("two callers of whom the second leaves: the first has its answer", async () => {
  const name = "get_pair";
  const release = hold(name);
  const first = post(hosts.main, toolCall(name));
  await authority.arrival(name);
  const second = openPost(hosts.main, toolCall(name));
  await fence();
  second.leave();
  await fence();
  release();
  assert.equal((await first).status, 200);
  assert.equal(authority.trips(name), 1);
});

test("the last caller's leaving ends a read's trip", async () => {
  const name = "get_alone";
  const release = hold(name);
  const callers = [openPost(hosts.main, toolCall(name)), openPost(hosts.main, toolCall(name))];
  const trip = await authority.arrival(name);
  await fence();
  for (const caller of callers) caller.leave();
  // Ends by the host's doing: the authority still holds its answer.
  await trip.closed;
  assert.ok(!trip.response.writableEnded);
  release();
  const next = await post(hosts.main, toolCall(name));
  assert.equal(next.status, 200);
});

test("a write goes on when its caller leaves", async () => {
  const name = "close_ticket";
  const release = hold(name);
  const caller = openPost(hosts.main, toolCall(name));
  const trip = await authority.arrival(name);
  caller.leave();
  await fence();
  release();
  await trip.closed;
  assert.ok(trip.response.writableFinished, "the answer was taken");
  assert.equal(authority.trips(name), 1);
});

test("callers of many keys do not wait for each other", async () => {
  const release = hold("get_slow");
  const slow = post(hosts.main, toolCall("get_slow"));
  await authority.arrival("get_slow");
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, id) => post(hosts.main, toolCall("get_ticket", { id: `many-${id}` }))),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  release();
  assert.equal((await slow).status, 200);
});

test("one principal's crowd is not another's", async () => {
  const name = "get_apart";
  const release = hold(name);
  const as = (token) => {
    const { headers, body } = toolCall(name);
    return post(hosts.main, { headers: { ...headers, authorization: `Bearer ${token}` }, body });
  };
  const answers = [as(ALICE), as(BOB), as(ALICE), as(BOB)];
  await authority.arrival(name, 2);
  release();
  for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
  assert.equal(authority.trips(name), 2);
});

test("a crowd shares an error too, and the next caller tries again", async () => {
  const name = "get_broken";
  const { passed, open } = gate();
  authority.script(name, async ({ response }) => {
    await passed;
    response.writeHead(200, { "content-type": "text/html" }).end("<h1>no</h1>");
  });
  const answers = Array.from({ length: 5 }, () => post(hosts.main, toolCall(name)));
  await authority.arrival(name);
  await fence();
  open();
  for (const { status, json } of await Promise.all(answers)) {
    assert.equal(status, 200);
    assert.equal(json.error.data.code, "authority_invalid");
  }
  authority.script(name, answer);
  assert.ok("result" in (await post(hosts.main, toolCall(name))).json);
});

test("the owner of a streamed answer may leave in its midst", async () => {
  const name = "get_stream";
  const { passed, open } = gate();
  authority.script(name, async ({ message, response }) => {
    const send = openEvents(response);
    await passed;
    send({ jsonrpc: "2.0", id: message.id, result: { resultType: "complete", content: [] } });
    response.end();
  });
  const first = openPost(hosts.main, toolCall(name));
  await authority.arrival(name);
  const second = post(hosts.main, toolCall(name));
  await fence();
  first.leave();
  await fence();
  open();
  const { status, json } = await second;
  assert.equal(status, 200);
  assert.deepEqual(json.result.content, []);
  assert.ok(authority.trips(name) <= 2);
});
