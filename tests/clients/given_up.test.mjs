// Real clients: what a client gives up ends at the authority.
//
// All at once: clients close their connection in a way that workerd does not see before it next writes to it, which is
// after as long as the worker lets a stream be silent. (A reset it sees at once: tests/http/streams.test.mjs.)

import assert from "node:assert/strict";
import { describe } from "node:test";
import { forEveryClient, useWays } from "./support/cases.mjs";
import { gaveUp } from "./support/paths.mjs";

let lastId = 0;
const fresh = () => `given-${(lastId += 1)}`;

describe("given up", { concurrency: true }, () => {
  useWays();

  const call = async ({ client, way }) => {
    const id = fresh();
    const controller = new AbortController();
    const onprogress = () => controller.abort("enough");
    await assert.rejects(client.call("hold", { id }, { signal: controller.signal, onprogress }), /enough/);
    await gaveUp(way, id);
    // And the client is as good as before.
    assert.equal((await client.call("test_simple_text", {})).content.length, 1);
  };
  forEveryClient("a call", { need: "cancellation", era: "modern" }, call);
  forEveryClient("a call", { need: "session cancellation", era: "legacy" }, call);

  // To go is to give up only where a request is no part of a session.
  const gone = { need: "cancellation", era: "modern" };
  const leave = async ({ client, way }) => {
    const id = fresh();
    let began;
    const begun = new Promise((resolve) => (began = resolve));
    const rejected = assert.rejects(client.call("hold", { id }, { onprogress: began }));
    await begun;
    await client.close();
    await rejected;
    await gaveUp(way, id);
  };
  forEveryClient("a call, by going", { ...gone, authority: "modern" }, leave);
  forEveryClient("a call, by going", { ...gone, authority: "legacy", sides: ["worker", "fetch"] }, leave);

  const listening = { need: "listen", era: "modern", authority: "modern" };
  const listen = async ({ client }) => {
    const uri = `test://template/${fresh()}/data`;
    return { uri, subscription: await client.client.listen({ resourceSubscriptions: [uri] }) };
  };
  forEveryClient("a subscription", listening, async ({ client, way }) => {
    const { uri, subscription } = await listen({ client });
    await subscription.close();
    assert.equal(await subscription.closed, "local");
    await gaveUp(way, uri);
  });
  forEveryClient("a subscription, by going", listening, async ({ client, way }) => {
    const { uri } = await listen({ client });
    await client.close();
    await gaveUp(way, uri);
  });
});
