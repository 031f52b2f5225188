// Subscriptions at a socket that breaks: which failures end one, and which it outlives.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FAULTS } from "./support/faults.mjs";
import { cell, open } from "./support/observe.mjs";
import { ROWS } from "./support/table.mjs";
import { events, json, response } from "./support/wire.mjs";

const LISTEN = "subscriptions/listen";
const CHANGED = "notifications/tools/list_changed";
const ACKNOWLEDGED = "notifications/subscriptions/acknowledged";
const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId";

const tells = (id, method, params) => ({ jsonrpc: "2.0", method, params: { ...params, _meta: { [SUBSCRIPTION]: id } } });
const acknowledged = ({ id }, ...more) =>
  events([tells(id, ACKNOWLEDGED, { notifications: { toolsListChanged: true } }), ...more]);

/** An agent that listens; `next()` gives what it hears, in order. */
async function listener(t) {
  let failures = 0;
  const failed = [];
  const onEvent = ({ type }) => type === "trip_failed" && failed[failures++]?.();
  const { wire, clock, replica, close } = await open({ onEvent });
  t.after(close);
  const heard = [];
  const waiting = [];
  const transport = replica.transport();
  transport.onmessage = (message) => {
    heard.push(message);
    for (const wake of waiting.splice(0)) wake();
  };
  await transport.start();
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const listen = () =>
    transport.send({ jsonrpc: "2.0", id: 1, method: LISTEN, params: { notifications: { toolsListChanged: true }, _meta } });
  const next = async () => {
    while (heard.length === 0) await new Promise((wake) => waiting.push(wake));
    return heard.shift();
  };
  /** Once the `nth` break in a row is known here, lets the longest pause before the next pass. */
  const returns = async (nth = 1) => {
    if (failures < nth) await new Promise((wake) => (failed[nth - 1] = wake));
    clock.advance(1000 * 2 ** (nth - 1));
    await wire.arrived(LISTEN, nth + 1);
  };
  return { wire, clock, listen, next, returns };
}

/** How the table names the error of a response. */
const named = ({ error }) => {
  const { code, retryable, retryAfterMs } = error.data ?? {};
  return cell({ error: retryable === undefined ? { code: "authority_error", rpcCode: error.code } : { code, retryAfterMs } });
};

// The socket before a request, and what a request of its own is for, have their tests elsewhere.
const OPENING = FAULTS.filter(({ tls, eras, variants }) => !tls && eras.includes("modern") && variants[0].say);

for (const { name, variants } of OPENING) {
  test(`a subscription that does not open: ${name}`, async (t) => {
    const [variant] = variants;
    const { wire, clock, listen, next } = await listener(t);
    wire.script = (request) => (request.rpc === LISTEN ? variant.say(request, wire) : undefined);
    await listen();
    if (variant.waits) {
      await wire.arrived(LISTEN);
      clock.advance(60_000);
    }
    assert.equal(named(await next()), ROWS.get(name)[0]);
    assert.equal(wire.of(LISTEN).length, 1, "it is not opened again");
  });
}

test("a stream that breaks is opened again, and the agent hears of what it may have missed", async (t) => {
  const breaks = [
    { then: "end" },
    { then: "reset" },
    { more: "data: {", then: "end" },
    { more: "data: {", then: "reset" },
  ];
  for (const { more = "", then } of breaks) {
    const { wire, listen, next, returns } = await listener(t);
    wire.script = (request) => {
      if (request.rpc !== LISTEN) return undefined;
      const isFirst = wire.of(LISTEN).length === 1;
      return { bytes: acknowledged(request, ...(isFirst ? [more] : [])), then: isFirst ? then : "stall" };
    };
    await listen();
    assert.equal((await next()).method, ACKNOWLEDGED);
    await returns();
    assert.equal((await next()).method, CHANGED);
    const [first, second] = wire.of(LISTEN);
    assert.notEqual(second.id, first.id);
  }
});

test("a portal that answers in between does not end it", async (t) => {
  const portals = [response(307, { location: "/elsewhere" }), response(200, { "content-type": "text/html" }, "<html>")];
  for (const portal of portals) {
    const { wire, listen, next, returns } = await listener(t);
    wire.script = (request) => {
      if (request.rpc !== LISTEN) return undefined;
      const nth = wire.of(LISTEN).length;
      if (nth === 2) return { bytes: portal };
      return { bytes: acknowledged(request), then: nth === 1 ? "end" : "stall" };
    };
    await listen();
    assert.equal((await next()).method, ACKNOWLEDGED);
    await returns();
    await returns(2);
    assert.equal((await next()).method, CHANGED);
  }
});

test("a refusal to open it again ends it", async (t) => {
  const refusals = [
    [() => ({ bytes: response(401, {}) }), "`authority_auth_required`"],
    [() => ({ bytes: response(404, {}) }), "`authority_invalid`"],
    [({ id }) => ({ bytes: json({ jsonrpc: "2.0", id, error: { code: -32602, message: "no" } }) }), "`-32602`"],
  ];
  for (const [say, told] of refusals) {
    const { wire, listen, next, returns } = await listener(t);
    wire.script = (request) => {
      if (request.rpc !== LISTEN) return undefined;
      return wire.of(LISTEN).length === 1 ? { bytes: acknowledged(request) } : say(request);
    };
    await listen();
    assert.equal((await next()).method, ACKNOWLEDGED);
    await returns();
    assert.equal(named(await next()), told);
  }
});

test("what a stream tells of others is not passed on, and does not end it", async (t) => {
  const { wire, listen, next } = await listener(t);
  wire.script = (request) => {
    if (request.rpc !== LISTEN) return undefined;
    const strange = [
      tells("never made", CHANGED),
      tells(request.id + 1, "notifications/prompts/list_changed"),
      { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri: "test://x" } },
      { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: 1, progress: 1 } },
      { jsonrpc: "2.0", id: 1, method: "sampling/createMessage", params: {} },
      ": a comment\n\n",
      "event: other\ndata: {nope\n\n",
    ];
    return { bytes: acknowledged(request, ...strange, tells(request.id, CHANGED)), then: "stall" };
  };
  await listen();
  assert.equal((await next()).method, ACKNOWLEDGED);
  const changed = await next();
  assert.equal(changed.method, CHANGED);
  assert.equal(changed.params._meta[SUBSCRIPTION], 1, "under the agent's own id");
});
