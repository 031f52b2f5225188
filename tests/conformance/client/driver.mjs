// The command that the suite runs as the client under test: an official SDK client, a replica as its server, and the
// scenario's server as the replica's authority. What the suite sees is thus the replica.
//
//   MCP_CONFORMANCE_SCENARIO=... node driver.mjs HOST URL
//
// The last line says how it went; `client.mjs` reads it, since some scenarios let a client fail in any way it likes.

import assert from "node:assert/strict";
import { Client as ClientV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { Replica } from "../../../wasm/dist/node.js";
import { PLAYS } from "./plays.mjs";

const INFO = { name: "conformance", version: "1.0.0" };

const [host, url] = process.argv.slice(2);
const {
  MCP_CONFORMANCE_SCENARIO: scenario,
  MCP_CONFORMANCE_PROTOCOL_VERSION: version,
  MCP_CONFORMANCE_CONTEXT: context = "{}",
} = process.env;
const play = PLAYS[scenario];
const { oauth, ...hooks } = (await play.options?.(JSON.parse(context), url)) ?? {};
const replica = await Replica.open({ ...hooks, authority: { url, ...(oauth && { oauth }) } });
const client = makeClient(play);
const call = (name, args) => client.callTool({ name, arguments: args });
try {
  // Who asks the replica itself needs no client, whose connecting would ask too.
  if (play.refused === undefined) await client.connect(replica.transport());
  const asked = play.ask({ client, call, replica, context: JSON.parse(context) });
  await (play.refused === undefined ? asked : refusal(asked, play.refused));
  await client.close();
  console.log("played");
} finally {
  await replica.close();
}

/** Waits for the refusal that is due. */
async function refusal(asked, reason) {
  const refused = await asked.then(
    () => assert.fail("it was not refused"),
    (error) => error,
  );
  assert.deepEqual([refused.code, refused.data?.reason], ["authority_auth_required", reason], refused.message);
}

/** The client that speaks the revision of this run, and no other. */
function makeClient({ capabilities = {}, elicit }) {
  const isModern = version === "2026-07-28";
  const client = isModern
    ? new ClientV2(INFO, { capabilities, versionNegotiation: { mode: { pin: version } } })
    : new ClientV1(INFO, { capabilities });
  if (elicit) client.setRequestHandler(isModern ? "elicitation/create" : ElicitRequestSchema, elicit);
  return client;
}

