// The official TypeScript clients, unchanged, behind one way to ask: they differ in the place of options and in how
// handlers are named, and only in that here.

import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as schemas from "@modelcontextprotocol/sdk/types.js";
import { readFile } from "node:fs/promises";

const INFO = { name: "test", version: "1.0.0" };
const CAPABILITIES = { sampling: {}, elicitation: {}, roots: { listChanged: true } };

/** What the client's side answers when it is asked. */
const ANSWERS = {
  "sampling/createMessage": ({ params }) => ({
    model: "test-model",
    role: "assistant",
    content: { type: "text", text: `sampled: ${params.messages[0].content.text}` },
  }),
  "elicitation/create": ({ params }) => ({
    action: "accept",
    content: Object.fromEntries(
      Object.entries(params.requestedSchema.properties).map(([name, { type }]) => [
        name,
        type === "boolean" ? true : `my ${name}`,
      ]),
    ),
  }),
  "roots/list": () => ({ roots: [{ uri: "file:///home/test", name: "home" }] }),
};

const NOTIFICATIONS = {
  "notifications/message": schemas.LoggingMessageNotificationSchema,
  "notifications/resources/updated": schemas.ResourceUpdatedNotificationSchema,
  "notifications/tools/list_changed": schemas.ToolListChangedNotificationSchema,
  "notifications/prompts/list_changed": schemas.PromptListChangedNotificationSchema,
};
const REQUESTS = {
  "sampling/createMessage": schemas.CreateMessageRequestSchema,
  "elicitation/create": schemas.ElicitRequestSchema,
  "roots/list": schemas.ListRootsRequestSchema,
};

const versionOf = async (name) => {
  const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(await readFile(manifest, "utf8")).version;
};
const v1 = await versionOf("@modelcontextprotocol/sdk");
const v2 = await versionOf("@modelcontextprotocol/client");

/** `era` is the one in which the client speaks where the other side can. */
export const CLIENTS = [
  { name: `TypeScript ${v1}`, era: "legacy", make: () => new ClientV1(INFO, { capabilities: CAPABILITIES }) },
  { name: `TypeScript ${v2}`, era: "legacy", make: () => new ClientV2(INFO, { capabilities: CAPABILITIES }) },
  {
    name: `TypeScript ${v2} auto`,
    era: "modern",
    make: () => new ClientV2(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode: "auto" } }),
  },
];

/** Connects a client and resolves to the one way to ask it. */
export async function connect(make, { url, token }) {
  const client = make();
  const isV1 = client instanceof ClientV1;
  const heard = createInbox();
  for (const [method, schema] of Object.entries(NOTIFICATIONS)) {
    client.setNotificationHandler(isV1 ? schema : method, ({ params }) => heard.put(method, params));
  }
  for (const [method, schema] of Object.entries(REQUESTS)) {
    client.setRequestHandler(isV1 ? schema : method, (request) => {
      heard.put(method, request.params);
      return ANSWERS[method](request);
    });
  }
  const { fetch, opened } = watchedFetch();
  const Transport = isV1 ? HttpV1 : HttpV2;
  const requestInit = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new Transport(new URL(url), { requestInit, fetch }));

  // Version 2 keeps what is fresh itself, and puts pages together; a refresh goes out.
  const refresh = { cacheMode: "refresh" };
  const list = (method, key) => async () => {
    if (!isV1) return (await client[method](undefined, refresh))[key];
    const entries = [];
    for (let cursor; ; ) {
      const page = await client[method](cursor && { cursor });
      entries.push(...page[key]);
      if ((cursor = page.nextCursor) === undefined) return entries;
    }
  };
  return {
    client,
    /** The next notification or request of this method, or one that is here already. */
    heard: (method) => heard.take(method),
    /** How many of them are here that nobody has asked for yet. */
    waiting: (method) => heard.waiting(method),
    /** Resolves once the server has opened its own stream (GET) to this session. */
    opened,
    tools: list("listTools", "tools"),
    prompts: list("listPrompts", "prompts"),
    resources: list("listResources", "resources"),
    templates: list("listResourceTemplates", "resourceTemplates"),
    page: (cursor) => client.listTools({ cursor }),
    call: (name, args, { meta, ...options } = {}) => {
      const params = { name, arguments: args, ...(meta && { _meta: meta }) };
      return isV1 ? client.callTool(params, undefined, options) : client.callTool(params, options);
    },
    read: (uri) => client.readResource({ uri }, ...(isV1 ? [] : [refresh])),
    prompt: (name, args) => client.getPrompt({ name, arguments: args }),
    complete: (name, argument) => client.complete({ ref: { type: "ref/prompt", name }, argument }),
    close: () => client.close(),
  };
}

/** What came, by method, for whoever asks before or after. */
function createInbox() {
  const boxes = new Map();
  const box = (method) => {
    if (!boxes.has(method)) boxes.set(method, { come: [], asked: [] });
    return boxes.get(method);
  };
  return {
    put(method, params) {
      const { come, asked } = box(method);
      if (asked.length > 0) asked.shift()(params);
      else come.push(params);
    },
    waiting: (method) => box(method).come.length,
    take(method) {
      const { come, asked } = box(method);
      return come.length > 0 ? Promise.resolve(come.shift()) : new Promise((resolve) => asked.push(resolve));
    },
  };
}

/** A `fetch` that tells when a GET has been answered with a stream. */
function watchedFetch() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return {
    opened,
    async fetch(url, init) {
      const response = await fetch(url, init);
      if ((init?.method ?? "GET") === "GET" && response.ok) open();
      return response;
    },
  };
}
