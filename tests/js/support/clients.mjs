// The official SDK's clients, at the in-process transport and over HTTP at `leeward/fetch`.

import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as v1 from "@modelcontextprotocol/sdk/types.js";

import { createHandler } from "../../../wasm/dist/fetch.js";
import { Replica } from "./leeward.mjs";

const INFO = { name: "test", version: "1.0.0" };

/** Those that open a session: name, and how to make one. */
export const CLIENTS = [
  ["v1", (options) => new ClientV1(INFO, options)],
  ["v2", (options) => new ClientV2(INFO, options)],
];
/** The one that speaks 2026-07-28 where it can. */
export const MODERN_CLIENT = [
  "v2 auto",
  (options) => new ClientV2(INFO, { ...options, versionNegotiation: { mode: "auto" } }),
];

/** What names a method to version 1. */
const SCHEMAS = {
  "sampling/createMessage": v1.CreateMessageRequestSchema,
  "elicitation/create": v1.ElicitRequestSchema,
  "roots/list": v1.ListRootsRequestSchema,
  "notifications/message": v1.LoggingMessageNotificationSchema,
  "notifications/tools/list_changed": v1.ToolListChangedNotificationSchema,
  "notifications/resources/updated": v1.ResourceUpdatedNotificationSchema,
};

/** What names a method to a client's `setRequestHandler` and `setNotificationHandler`. */
export const named = (client, method) => (client instanceof ClientV1 ? SCHEMAS[method] : method);

/** Resolves with the next notification of a method. */
export const next = (client, method) =>
  new Promise((resolve) => client.setNotificationHandler(named(client, method), resolve));

const POLICY = [{ tool: "test_trigger_*", rule: "live" }];

/** A replica of an authority, closed with the test. */
export async function open(t, url) {
  const replica = await Replica.open({ authority: url, policy: POLICY });
  t.after(() => replica.close());
  return replica;
}

/** A handler in front of an authority, closed with the test. */
export async function serve(t, url, options) {
  const handler = createHandler({ authority: url, policy: POLICY, authenticate: () => "ann", ...options });
  t.after(() => handler.close());
  return handler;
}

/** A client that is connected to a replica or a handler, closed with the test. `prepare` gets it before it connects. */
export async function connect(t, to, make, { capabilities = {}, prepare } = {}) {
  const client = make({ capabilities });
  prepare?.(client);
  await client.connect(typeof to === "function" ? overHttp(to, client) : to.transport());
  t.after(() => client.close());
  return client;
}

/** To a handler, by requests that no network carries. */
function overHttp(handler, client) {
  const Transport = client instanceof ClientV1 ? HttpV1 : HttpV2;
  const fetch = (url, init) => handler(new Request(url, init));
  return new Transport(new URL("https://edge.example/mcp"), { fetch });
}
