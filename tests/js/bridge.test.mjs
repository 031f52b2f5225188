// What a server asks its client for, through the replica: the official SDK's clients, unchanged, in process and over HTTP;
// behind the replica the official server, of either era.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CLIENTS, MODERN_CLIENT, connect, named, open, serve } from "./support/clients.mjs";
import { startFixture } from "./support/fixture.mjs";

const CAPABILITIES = { sampling: {}, elicitation: { form: {} }, roots: {} };

/** Answers what a server may ask; notes in `asked` what it was. */
function answering(client, asked) {
  const answer = (method, result) =>
    client.setRequestHandler(named(client, method), ({ params }) => {
      asked.push(method);
      return result(params);
    });
  answer("sampling/createMessage", ({ messages: [{ content }] }) => {
    const said = `asked: ${[content].flat()[0].text}`;
    return { role: "assistant", model: "none", stopReason: "endTurn", content: { type: "text", text: said } };
  });
  answer("elicitation/create", () => ({ action: "accept", content: { username: "ann", email: "ann@example.com" } }));
  answer("roots/list", () => ({ roots: [{ uri: "file:///home/ann", name: "home" }] }));
}

for (const era of ["legacy", "modern"]) {
  for (const [kind, make] of [...CLIENTS, MODERN_CLIENT]) {
    test(`${kind}: an authority of the ${era} era asks the client, and has its answer`, async (t) => {
      const { url } = await startFixture(t, "--era", era);
      for (const to of [await open(t, url), await serve(t, url)]) {
        const asked = [];
        const prepare = (client) => answering(client, asked);
        const client = await connect(t, to, make, { capabilities: CAPABILITIES, prepare });
        const call = async (name, args) => (await client.callTool({ name, arguments: args })).content[0].text;
        assert.equal(await call("test_sampling", { prompt: "why?" }), "LLM response: asked: why?");
        assert.match(await call("test_elicitation", { message: "who?" }), /action=accept.*"username":"ann"/);
        assert.match(await call("test_input_required_result_list_roots", {}), /file:\/\/\/home\/ann/);
        assert.deepEqual(asked, ["sampling/createMessage", "elicitation/create", "roots/list"]);
      }
    });
  }
}

for (const [kind, make] of CLIENTS) {
  test(`${kind}: a client that cannot answer is not asked`, async (t) => {
    const { url } = await startFixture(t, "--era", "modern");
    const client = await connect(t, await open(t, url), make);
    await assert.rejects(
      client.callTool({ name: "test_sampling", arguments: { prompt: "why?" } }),
      ({ code, data }) => typeof code === "number" && data !== undefined,
    );
    await client.ping();
  });
}
