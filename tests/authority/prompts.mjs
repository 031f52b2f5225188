// The prompts, and the completion of their arguments.

import { PNG_BASE64 } from "./media.mjs";
import { object } from "./tools.mjs";

const CITIES = ["paris", "park", "party"];
const user = (content) => ({ role: "user", content });
const say = (value) => user({ type: "text", text: value });

/** Registers the prompts and returns the one that comes and goes, disabled or not as the caller decides. */
export function addPrompts(mcp) {
  mcp.registerPrompt("test_simple_prompt", { description: "Takes no arguments" }, () => ({
    messages: [say("This is a simple prompt for testing.")],
  }));
  mcp.registerPrompt(
    "test_prompt_with_arguments",
    {
      description: "Repeats its two arguments",
      argsSchema: object(
        {
          arg1: { type: "string", description: "First test argument" },
          arg2: { type: "string", description: "Second test argument" },
        },
        ["arg1", "arg2"],
      ),
    },
    ({ arg1, arg2 }) => ({ messages: [say(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  );
  mcp.registerPrompt(
    "test_prompt_with_embedded_resource",
    {
      description: "Embeds the resource it is given",
      argsSchema: object({ resourceUri: { type: "string", description: "URI of the resource to embed" } }, [
        "resourceUri",
      ]),
    },
    ({ resourceUri }) => ({
      messages: [
        user({
          type: "resource",
          resource: {
            uri: resourceUri,
            mimeType: "text/plain",
            text: "Embedded resource content for testing.",
          },
        }),
        say("Please process the embedded resource above."),
      ],
    }),
  );
  mcp.registerPrompt("test_prompt_with_image", { description: "Carries an image" }, () => ({
    messages: [
      user({ type: "image", data: PNG_BASE64, mimeType: "image/png" }),
      say("Please analyze the image above."),
    ],
  }));
  mcp.server.setRequestHandler("completion/complete", ({ params }) => {
    const values = CITIES.filter((city) => city.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
  return mcp.registerPrompt(
    "test_dynamic_prompt",
    { description: "In the list after every odd call of test_trigger_prompt_change" },
    () => ({ messages: [say("dynamic")] }),
  );
}
