// Tools whose calls become tasks, and the methods about them (extension io.modelcontextprotocol/tasks, SEP-2663).
//
// The SDK has no runtime for the extension: its methods are custom ones here, and a task is an entry of a table that
// all servers of this process share. Tasks are told of by polling only, and live as long as the process.

import { randomUUID } from "node:crypto";
import {
  CLIENT_CAPABILITIES_META_KEY,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  inputRequired,
} from "@modelcontextprotocol/server";
import { object, text } from "./tools.mjs";

const TASKS = "io.modelcontextprotocol/tasks";
/** `capabilities.extensions` of either side. */
export const EXTENSIONS = { [TASKS]: {} };

/** The tasks of this process. */
export function createTasks() {
  const tasks = new Map();
  const find = (id) => {
    const found = tasks.get(id);
    if (!found) throw new ProtocolError(ProtocolErrorCode.InvalidParams, "Task not found");
    return found;
  };
  return {
    /** Runs `work`, and returns the result that makes a task of it. */
    start(work) {
      const now = new Date().toISOString();
      const task = {
        taskId: randomUUID(),
        status: "working",
        createdAt: now,
        lastUpdatedAt: now,
        ttlMs: 3_600_000,
        pollIntervalMs: 100,
      };
      const entry = { task, inputs: new Map(), cancel: new AbortController() };
      tasks.set(task.taskId, entry);
      const settle = (outcome) => {
        entry.inputs.clear();
        touch(entry, outcome);
      };
      work(contextOf(entry)).then(
        (result) => settle({ status: "completed", result }),
        ({ code, message }) =>
          settle(entry.cancel.signal.aborted ? { status: "cancelled" } : { status: "failed", error: { code, message } }),
      );
      return { resultType: "task", ...task };
    },
    get: (id) => detailed(find(id)),
    update(id, inputResponses) {
      const entry = find(id);
      for (const [key, response] of Object.entries(inputResponses)) {
        // What was not asked for, or was answered, is ignored.
        entry.inputs.get(key)?.resolve(response);
        entry.inputs.delete(key);
      }
      touch(entry, {});
    },
    cancel: (id) => find(id).cancel.abort(new Error("cancelled")),
  };
}

function touch(entry, change) {
  Object.assign(entry.task, change, { lastUpdatedAt: new Date().toISOString() });
}

function detailed({ task, inputs }) {
  if (inputs.size === 0) return { ...task };
  const inputRequests = Object.fromEntries([...inputs].map(([key, { request }]) => [key, request]));
  return { ...task, status: "input_required", inputRequests };
}

/** What the work of a task can do; each wait ends when the task is cancelled. */
function contextOf(entry) {
  const { signal } = entry.cancel;
  const until = (begin) =>
    new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      begin(resolve);
    });
  return {
    sleep: (ms) => until((resolve) => setTimeout(resolve, ms)),
    ask: (key, request) =>
      until((resolve) => {
        entry.inputs.set(key, { request, resolve });
        touch(entry, {});
      }),
  };
}

/** Registers the methods; for servers of 2026-07-28. */
export function addTaskMethods(mcp, tasks) {
  const params = object({ taskId: { type: "string" } }, ["taskId"]);
  const method = (name, handler) =>
    mcp.server.setRequestHandler(name, { params }, (given, ctx) => {
      if (!declares(ctx)) throw undeclared();
      // The SDK takes the responses out of the parameters, as it does for multi-round-trip requests.
      return handler(given, ctx.mcpReq.inputResponses ?? {}) ?? {};
    });
  method("tasks/get", ({ taskId }) => tasks.get(taskId));
  method("tasks/update", ({ taskId }, responses) => tasks.update(taskId, responses));
  method("tasks/cancel", ({ taskId }) => tasks.cancel(taskId));
}

/** The tools that cannot do without a task. */
const NEED_TASK = ["failing_job", "protocol_error_job", "confirm_delete", "multi_input", "test_tool_with_task"];

/**
 * Refuses those tools to clients that did not declare tasks; to be called before a tool is registered. What a tool
 * itself throws would become its result.
 */
export function guardTasks(mcp) {
  const { server } = mcp;
  const register = server.setRequestHandler.bind(server);
  server.setRequestHandler = (method, ...handler) => {
    if (method !== "tools/call") return register(method, ...handler);
    return register(method, (request, ctx) => {
      if (NEED_TASK.includes(request.params.name) && !declares(ctx)) throw undeclared();
      return handler[0](request, ctx);
    });
  };
}

const declares = (ctx) => ctx.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY]?.extensions?.[TASKS] !== undefined;
const undeclared = () => new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: EXTENSIONS } });

/** Registers the tools. */
export function addTaskTools(mcp, tasks) {
  const now = { sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };
  const tool = (name, description, inputSchema, work) =>
    mcp.registerTool(name, { description, inputSchema }, (args, ctx) =>
      declares(ctx) ? tasks.start((task) => work(args, task)) : work(args, now),
    );

  mcp.registerTool(
    "greet",
    { description: "Greets, at once", inputSchema: object({ name: { type: "string" } }, ["name"]) },
    ({ name }) => text(`Hello, ${name}!`),
  );
  tool(
    "slow_compute",
    "Takes so many seconds",
    object({ seconds: { type: "number" }, label: { type: "string" } }, ["seconds"]),
    async ({ seconds, label }, task) => {
      await task.sleep(seconds * 1000);
      return text(`${label ?? "computed"} after ${seconds} s`);
    },
  );
  tool("failing_job", "Fails as a tool does", object({}), async (_args, task) => {
    await task.sleep(1000);
    return { ...text("This job fails on purpose"), isError: true };
  });
  tool("protocol_error_job", "Fails as a request does", object({}), async (_args, task) => {
    await task.sleep(100);
    throw new ProtocolError(ProtocolErrorCode.InternalError, "This job breaks on purpose");
  });
  tool(
    "confirm_delete",
    "Asks before it deletes",
    object({ filename: { type: "string" } }, ["filename"]),
    async ({ filename }, task) => {
      const answer = await task.ask("confirm", ask(`Delete ${filename}?`, "confirm", "boolean"));
      return text(answer.content?.confirm ? `${filename} deleted` : `${filename} kept`);
    },
  );
  tool("multi_input", "Asks two things at once", object({}), async (_args, task) => {
    const asked = ["first", "second"].map((key) => task.ask(key, ask(`The ${key} name?`, "name", "string")));
    const answers = await Promise.all(asked);
    return text(answers.map((answer) => answer.content?.name).join(" and "));
  });
  mcp.registerTool("test_tool_with_task", { description: "Asks, then becomes a task" }, (ctx) => {
    const answer = ctx.mcpReq.inputResponses?.user_name;
    if (answer === undefined) {
      return inputRequired({ inputRequests: { user_name: ask("What is your name?", "name", "string") } });
    }
    return tasks.start(async (task) => {
      await task.sleep(100);
      return text(`Hello, ${answer.content?.name}!`);
    });
  });
}

const ask = (message, field, type) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [field]: { type } }, required: [field] },
  });
