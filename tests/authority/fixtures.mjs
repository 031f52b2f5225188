// Builds one MCP server with every fixture, and the memory all servers of this process share.
//
// The SDK wants a fresh server for each modern request and for each legacy session; what must outlive a request
// (call counts, tickets, which lists have grown) is therefore in the memory, never in the server.

import { McpServer, createRequestStateCodec } from "@modelcontextprotocol/server";
import { randomBytes } from "node:crypto";
import { addInputRequiredPrompt, addInputRequiredTools } from "./input_required.mjs";
import { paginate } from "./pages.mjs";
import { addPrompts } from "./prompts.mjs";
import { addResources } from "./resources.mjs";
import { EXTENSIONS, addTaskMethods, addTaskTools, createTasks, guardTasks } from "./tasks.mjs";
import { addTools } from "./tools.mjs";

const CACHEABLE = [
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
];

/** Signs `requestState`, so that a tampered one is refused. One process serves every round: a random key will do. */
const stateCodec = createRequestStateCodec({ key: randomBytes(32) });

/**
 * What is remembered across requests. `grown` tells which lists carry their extra entry; `left(name)` is told of what
 * its caller gave up.
 */
export function createMemory({ left }) {
  const listeners = [];
  const watchers = [];
  const grown = { tools: false, prompts: false };
  return {
    calls: 0,
    tickets: new Map(),
    tasks: createTasks(),
    grown,
    left,
    onChange: (listener) => listeners.push(listener),
    onUpdate: (watcher) => watchers.push(watcher),
    /** Tells every watcher that a resource is not what it was. */
    update(uri) {
      for (const watcher of watchers) watcher(uri);
    },
    /** Adds the extra entry to a list, or takes it away again, and tells every listener. */
    change(list) {
      grown[list] = !grown[list];
      for (const listener of listeners) listener(list);
    },
  };
}

/**
 * Builds a server of one era. `refresh` makes its lists agree with the memory, `update` tells the client of a resource
 * that it subscribed to. `page` is how many entries a list has at most, zero for no limit.
 */
export function createMcpServer({ era, hints, page, memory }) {
  const mcp = new McpServer(
    { name: "test-authority", version: "1.0.0" },
    {
      capabilities: {
        // `tools` comes with the first tool: if it were here, tools/call would be there before `guardTasks`.
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
        ...(era === "modern" && { extensions: EXTENSIONS }),
      },
      instructions: "Fixtures for tests; nothing here is real.",
      cacheHints: Object.fromEntries(CACHEABLE.map((method) => [method, hints])),
      requestState: { verify: stateCodec.verify },
    },
  );
  guardTasks(mcp);
  const extraTool = addTools(mcp, memory);
  addInputRequiredTools(mcp, stateCodec);
  const subscribed = addResources(mcp, era);
  const extraPrompt = addPrompts(mcp);
  addInputRequiredPrompt(mcp);
  if (era === "modern") {
    addTaskTools(mcp, memory.tasks);
    addTaskMethods(mcp, memory.tasks);
  }
  if (page > 0) paginate(mcp.server, page);

  const refresh = () => {
    setEnabled(extraTool, memory.grown.tools);
    setEnabled(extraPrompt, memory.grown.prompts);
  };
  refresh();
  const update = (uri) => void (subscribed.has(uri) && mcp.server.sendResourceUpdated({ uri }));
  return { mcp, refresh, update };
}

/** `enable` and `disable` notify the client each time they are called, so they are called on a change only. */
function setEnabled(entry, enabled) {
  if (entry.enabled === enabled) return;
  if (enabled) entry.enable();
  else entry.disable();
}
