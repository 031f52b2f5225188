// Tools and one prompt that need more input: several rounds, one request each.
//
// https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr

import { CLIENT_CAPABILITIES_META_KEY, inputRequired } from "@modelcontextprotocol/server";
import { text } from "./tools.mjs";

const askText = (message, field) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [field]: { type: "string" } }, required: [field] },
  });
const askConfirmation = (message) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] },
  });
const askModel = (prompt) =>
  inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: prompt } }],
    maxTokens: 50,
  });

/** Registers the `test_input_required_result_*` tools and the two that `server-stateless` calls. */
export function addInputRequiredTools(mcp, stateCodec) {
  const tool = (name, description, handler) => mcp.registerTool(name, { description }, handler);

  tool("test_missing_capability", "Needs a client that declared sampling", (ctx) =>
    oneRound(ctx, "sample", () => askModel("Say hello"), () => text("The client can sample")),
  );
  tool("test_streaming_elicitation", "Asks the user within its response", (ctx) =>
    oneRound(ctx, "answer", () => askText("What now?", "answer"), () => text("Answered")),
  );
  tool("test_input_required_result_elicitation", "Asks for a name", (ctx) =>
    oneRound(ctx, "user_name", () => askText("What is your name?", "name"), (answer) =>
      text(`Hello, ${answer.content?.name}!`),
    ),
  );
  tool("test_input_required_result_sampling", "Asks the client's model", (ctx) =>
    oneRound(ctx, "capital", () => askModel("What is the capital of France?"), (answer) =>
      text(answer.content?.text ?? ""),
    ),
  );
  tool("test_input_required_result_list_roots", "Asks for the client's roots", (ctx) =>
    oneRound(ctx, "client_roots", () => inputRequired.listRoots(), (answer) => text(JSON.stringify(answer.roots))),
  );

  const confirmWithState = async (ctx) =>
    ctx.mcpReq.requestState() === undefined || ctx.mcpReq.inputResponses?.confirm === undefined
      ? inputRequired({
          inputRequests: { confirm: askConfirmation("Please confirm") },
          requestState: await stateCodec.mint({ round: 1 }),
        })
      : text("state-ok");
  tool("test_input_required_result_request_state", "Round-trips a request state", confirmWithState);
  tool("test_input_required_result_tampered_state", "Refuses a tampered request state", confirmWithState);

  tool("test_input_required_result_multiple_inputs", "Asks for three things at once", async (ctx) => {
    const inputRequests = {
      user_name: askText("What is your name?", "name"),
      greeting: askModel("Generate a greeting"),
      client_roots: inputRequired.listRoots(),
    };
    const complete = Object.keys(inputRequests).every((key) => ctx.mcpReq.inputResponses?.[key] !== undefined);
    return complete
      ? text("All inputs received")
      : inputRequired({ inputRequests, requestState: await stateCodec.mint({ round: 1 }) });
  });
  tool("test_input_required_result_multi_round", "Asks twice, one after the other", async (ctx) => {
    const { inputResponses } = ctx.mcpReq;
    const round = ctx.mcpReq.requestState()?.round ?? 0;
    if (round === 1 && inputResponses?.step1 !== undefined) {
      return inputRequired({
        inputRequests: { step2: askText("Step 2: What is your favorite color?", "color") },
        requestState: await stateCodec.mint({ round: 2, name: inputResponses.step1.content?.name }),
      });
    }
    if (round === 2 && inputResponses?.step2 !== undefined) {
      return text(`${ctx.mcpReq.requestState().name} likes ${inputResponses.step2.content?.color}`);
    }
    return inputRequired({
      inputRequests: { step1: askText("Step 1: What is your name?", "name") },
      requestState: await stateCodec.mint({ round: 1 }),
    });
  });
  tool("test_input_required_result_capabilities", "Asks only what the client can answer", (ctx) => {
    const declared = ctx.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? mcp.server.getClientCapabilities() ?? {};
    const inputRequests = {
      ...(declared.sampling && { sample: askModel("Say hello") }),
      ...(declared.elicitation && { name: askText("What is your name?", "name") }),
    };
    const answered = Object.keys(inputRequests).every((key) => ctx.mcpReq.inputResponses?.[key] !== undefined);
    return answered ? text("Capabilities respected") : inputRequired({ inputRequests });
  });
}

/** Registers the prompt that asks before it answers. */
export function addInputRequiredPrompt(mcp) {
  mcp.registerPrompt("test_input_required_result_prompt", { description: "Asks for a context first" }, (ctx) =>
    oneRound(ctx, "user_context", () => askText("What context should the prompt use?", "context"), (answer) => ({
      messages: [{ role: "user", content: { type: "text", text: `Context: ${answer.content?.context}` } }],
    })),
  );
}

/** Asks for `key` until the request carries it, then answers. */
function oneRound(ctx, key, ask, reply) {
  const answer = ctx.mcpReq.inputResponses?.[key];
  return answer === undefined ? inputRequired({ inputRequests: { [key]: ask() } }) : reply(answer);
}
