// The tools: those the conformance suite calls by name, and those the cache tests count.
//
// The first tool listed must accept empty arguments: `http-header-validation` calls it so.

import { fromJsonSchema, inputRequired } from "@modelcontextprotocol/server";
import { PNG_BASE64, WAV_BASE64 } from "./media.mjs";

const JSON_SCHEMA_2020_12 = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

const embedded = (uri, text, mimeType = "text/plain") => ({
  type: "resource",
  resource: { uri, mimeType, text },
});
const image = { type: "image", data: PNG_BASE64, mimeType: "image/png" };

/** A result of one text. */
export const text = (value) => ({ content: [{ type: "text", text: value }] });

/** An object schema, all properties optional unless named in `required`. */
export const object = (properties, required = []) =>
  fromJsonSchema({ type: "object", properties, required });

/** Registers the tools and returns the one that comes and goes, disabled or not as the caller decides. */
export function addTools(mcp, memory) {
  addContentTools(mcp);
  addStreamingTools(mcp, memory);
  addSchemaTools(mcp);
  addCountingTools(mcp, memory);
  addLegacyTools(mcp);
  addTriggers(mcp, memory);
  return mcp.registerTool(
    "test_dynamic_tool",
    { description: "In the list after every odd call of test_trigger_tool_change" },
    () => text("dynamic"),
  );
}

function addContentTools(mcp) {
  mcp.registerTool("test_simple_text", { description: "Returns one text" }, () =>
    text("This is a simple text response for testing."),
  );
  mcp.registerTool("test_image_content", { description: "Returns an image" }, () => ({ content: [image] }));
  mcp.registerTool("test_audio_content", { description: "Returns a sound" }, () => ({
    content: [{ type: "audio", data: WAV_BASE64, mimeType: "audio/wav" }],
  }));
  mcp.registerTool("test_embedded_resource", { description: "Returns an embedded resource" }, () => ({
    content: [embedded("test://embedded-resource", "This is an embedded resource content.")],
  }));
  mcp.registerTool("test_multiple_content_types", { description: "Returns a text, an image, a resource" }, () => ({
    content: [
      { type: "text", text: "Multiple content types test:" },
      image,
      embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ],
  }));
  mcp.registerTool("test_error_handling", { description: "Always fails" }, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
}

function addStreamingTools(mcp, memory) {
  mcp.registerTool("test_tool_with_progress", { description: "Reports progress three times" }, async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken === undefined) break;
      await ctx.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` },
      });
    }
    return text("Tool execution completed");
  });
  const logging = async (ctx) => {
    for (const line of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await ctx.mcpReq.log("info", line);
    }
    return text("Tool with logging executed successfully");
  };
  mcp.registerTool("test_logging_tool", { description: "Logs, where the request asked for logs" }, logging);
  mcp.registerTool("test_tool_with_logging", { description: "Logs three lines at level info" }, logging);
  mcp.registerTool(
    "hold",
    {
      description: "Reports progress once, then answers when its caller has given it up",
      inputSchema: object({ id: { type: "string" } }, ["id"]),
    },
    ({ id }, ctx) => hold(id, ctx, memory),
  );
  mcp.registerTool("test_reconnection", { description: "Closes its stream before it answers" }, (ctx) => {
    ctx.http?.closeSSE?.();
    return text("Reconnection test completed successfully");
  });
}

async function hold(id, ctx, memory) {
  const { signal } = ctx.mcpReq;
  const given = new Promise((resolve) => signal.addEventListener("abort", resolve));
  const progressToken = ctx.mcpReq._meta?.progressToken;
  if (progressToken !== undefined) {
    await ctx.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: 1, total: 2 } });
  }
  if (!signal.aborted) await given;
  memory.left(id);
  return text("Given up");
}

function addSchemaTools(mcp) {
  mcp.registerTool(
    "json_schema_2020_12_tool",
    { description: "Its input schema uses the wider vocabulary", inputSchema: fromJsonSchema(JSON_SCHEMA_2020_12) },
    (args) => text(JSON.stringify(args)),
  );
  mcp.registerTool(
    "test_header_parameter",
    {
      description: "Has an argument that is mirrored as Mcp-Param-Region",
      inputSchema: object({ region: { type: "string", "x-mcp-header": "Region" }, query: { type: "string" } }),
    },
    ({ region }) => text(`region: ${region ?? "(none)"}`),
  );
}

/** Tools whose results tell how often they really ran. */
function addCountingTools(mcp, memory) {
  mcp.registerTool(
    "counter",
    {
      description: "Returns how often it was called, this call included",
      outputSchema: object({ calls: { type: "integer" } }, ["calls"]),
    },
    () => {
      memory.calls += 1;
      return structured({ calls: memory.calls });
    },
  );
  mcp.registerTool(
    "get_ticket",
    {
      description: "Returns a ticket, and how often this ticket was asked for",
      annotations: { readOnlyHint: true },
      inputSchema: object({ id: { type: "string" } }, ["id"]),
      outputSchema: object(
        { id: { type: "string" }, title: { type: "string" }, calls: { type: "integer" } },
        ["id", "title", "calls"],
      ),
    },
    ({ id }) => {
      const ticket = ticketOf(memory, id);
      ticket.calls += 1;
      return structured({ id, title: ticket.title, calls: ticket.calls });
    },
  );
  mcp.registerTool(
    "update_ticket",
    {
      description: "Gives a ticket a new title",
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
      inputSchema: object({ id: { type: "string" }, title: { type: "string" } }, ["id", "title"]),
      outputSchema: object({ id: { type: "string" }, title: { type: "string" } }, ["id", "title"]),
    },
    ({ id, title }) => {
      ticketOf(memory, id).title = title;
      return structured({ id, title });
    },
  );
}

function ticketOf(memory, id) {
  if (!memory.tickets.has(id)) memory.tickets.set(id, { title: `Ticket ${id}`, calls: 0 });
  return memory.tickets.get(id);
}

function structured(value) {
  return { ...text(JSON.stringify(value)), structuredContent: value };
}

/** Tools that ask the client back. Toward a legacy session the SDK turns the same answer into server requests. */
function addLegacyTools(mcp) {
  const asking = (name, description, inputSchema, ask, reply) =>
    mcp.registerTool(name, { description, inputSchema }, (args, ctx) => {
      const answer = ctx.mcpReq.inputResponses?.answer;
      return answer === undefined ? inputRequired({ inputRequests: { answer: ask(args) } }) : text(reply(answer));
    });
  asking(
    "test_sampling",
    "Asks the client's model",
    object({ prompt: { type: "string" } }, ["prompt"]),
    ({ prompt }) =>
      inputRequired.createMessage({
        messages: [{ role: "user", content: { type: "text", text: prompt } }],
        maxTokens: 100,
      }),
    (answer) => `LLM response: ${answer.content?.text ?? JSON.stringify(answer.content)}`,
  );
  asking(
    "test_elicitation",
    "Asks the client's user",
    object({ message: { type: "string" } }, ["message"]),
    ({ message }) =>
      form(message, {
        type: "object",
        properties: {
          username: { type: "string", description: "User's response" },
          email: { type: "string", description: "User's email address" },
        },
        required: ["username", "email"],
      }),
    (answer) => `User response: ${completed(answer)}`,
  );
  asking(
    "test_elicitation_sep1034_defaults",
    "Asks with default values",
    object({}),
    () => form("Please review the defaults", { type: "object", properties: DEFAULTS, required: [] }),
    (answer) => `Elicitation completed: ${completed(answer)}`,
  );
  asking(
    "test_elicitation_sep1330_enums",
    "Asks with every kind of enumeration",
    object({}),
    () => form("Please choose", { type: "object", properties: ENUMS, required: [] }),
    (answer) => `Elicitation completed: ${completed(answer)}`,
  );
}

const form = (message, requestedSchema) => inputRequired.elicit({ message, requestedSchema });
const completed = ({ action, content }) => `action=${action}, content=${JSON.stringify(content ?? {})}`;

const DEFAULTS = {
  name: { type: "string", description: "User name", default: "John Doe" },
  age: { type: "integer", description: "User age", default: 30 },
  score: { type: "number", description: "User score", default: 95.5 },
  status: { type: "string", description: "User status", enum: ["active", "inactive", "pending"], default: "active" },
  verified: { type: "boolean", description: "Verification status", default: true },
};

const titled = (...titles) => titles.map((title, i) => ({ const: `value${i + 1}`, title }));
const ENUMS = {
  untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
  titledSingle: { type: "string", oneOf: titled("First Option", "Second Option", "Third Option") },
  legacyEnum: {
    type: "string",
    enum: ["opt1", "opt2", "opt3"],
    enumNames: ["Option One", "Option Two", "Option Three"],
  },
  untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
  titledMulti: { type: "array", items: { anyOf: titled("First Choice", "Second Choice", "Third Choice") } },
};

function addTriggers(mcp, memory) {
  const trigger = (name, list) =>
    mcp.registerTool(name, { description: `Changes the list of ${list} and notifies` }, () => {
      memory.change(list);
      return text(`${list} changed`);
    });
  trigger("test_trigger_tool_change", "tools");
  trigger("test_trigger_prompt_change", "prompts");
  mcp.registerTool(
    "test_trigger_resource_update",
    {
      description: "Notifies those subscribed to a resource",
      inputSchema: object({ uri: { type: "string" } }, ["uri"]),
    },
    ({ uri }) => {
      memory.update(uri);
      return text(`${uri} updated`);
    },
  );
}
