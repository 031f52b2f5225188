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
import { HOSTS, NOT_SIGNED_IN } from "./hosts.mjs";
import { PLAYS } from "./plays.mjs";

const INFO = { name: "conformance", version: "1.0.0" };
/** Most often that a user signs in before one answer. */
const MAX_SIGN_INS = 3;

const [host, url] = process.argv.slice(2);
const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_PROTOCOL_VERSION: version } = process.env;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const play = PLAYS[scenario];
const replica = await HOSTS[host](url, (await play.options?.(context, url)) ?? {});
try {
  if (play.refused === undefined) await asClient();
  // A client tells less of why it could not connect.
  else await refusal(signedIn(replica.listTools), play);
  console.log("played");
} finally {
  await replica.close();
}

async function asClient() {
  if (replica.tellsLinks && play.options) await signedIn(replica.listTools);
  const client = makeClient(play);
  await client.connect(replica.transport(client));
  const call = (name, args) => signedIn(() => client.callTool({ name, arguments: args }));
  await play.ask({ client, call, context, listening: replica.listening });
  await client.close();
}

/** Asks, and again once the user has signed in. */
async function signedIn(ask) {
  for (let times = 0; ; times += 1) {
    try {
      return await ask();
    } catch (error) {
      if (times === MAX_SIGN_INS || !(await replica.signIn(error))) throw error;
    }
  }
}

/** Waits for the refusal that is due. */
async function refusal(asked, { refused: why, onReturn }) {
  const reason = onReturn && replica.tellsLinks ? NOT_SIGNED_IN : why;
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

