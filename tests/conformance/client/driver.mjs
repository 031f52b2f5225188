// The command that the suite runs as the client under test: an official SDK client, a replica as its server, and the
// scenario's server as the replica's authority. What the suite sees is thus the replica.
//
//   MCP_CONFORMANCE_SCENARIO=... node driver.mjs HOST URL
//
// The last line says how it went; `client.mjs` reads it, since some scenarios let a client fail in any way it likes.

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
const replica = await Replica.open({
  ...(await play.options?.(JSON.parse(context), url)),
  authority: url,
});
const client = makeClient(play);
const call = (name, args) => client.callTool({ name, arguments: args });
try {
  await client.connect(replica.transport());
  await play.ask({ client, call, context: JSON.parse(context) });
  await client.close();
  console.log("played");
} finally {
  await replica.close();
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

