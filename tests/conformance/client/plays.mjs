// What a scenario of the suite wants of a client: capabilities, answers, what is asked in which order, and why the
// replica has to refuse.

import { bound, byItself, inItsOwnName, registered } from "./authorization.mjs";

/** Those of `auth/` in which a client that does everything right gets its tool called. */
const AUTHORIZED = [
  ...["metadata-default", "metadata-var1", "metadata-var2", "metadata-var3", "basic-cimd"],
  ...["2025-03-26-oauth-metadata-backcompat", "2025-03-26-oauth-endpoint-fallback"],
  ...["scope-from-www-authenticate", "scope-from-scopes-supported", "scope-omitted-when-undefined", "scope-step-up"],
  ...["token-endpoint-auth-basic", "token-endpoint-auth-post", "token-endpoint-auth-none"],
  ...["offline-access-scope", "offline-access-not-supported", "authorization-server-migration"],
  ...["iss-supported", "iss-not-advertised"],
];

const first = async ({ client, call }) => {
  const [tool] = (await client.listTools()).tools;
  if (tool) await call(tool.name, { a: 2, b: 3 });
};
const list = ({ client }) => client.listTools();

const listAndCall = async ({ client, call }) => {
  await client.listTools();
  await call("test-tool", {});
};
/**
 * The replica itself is asked for its tools, and has to refuse. `onReturn`: once the user comes back, whom alone a
 * replica tells who told the agent a link.
 */
const refuses = (reason, { onReturn = false } = {}) => ({ options: byItself, refused: reason, onReturn });
const authorized = (options, ask = listAndCall) => ({ options, ask });

/** Asks once the replica listens: this server answers a call on whatever stream is opened next, of any session. */
const heard = (ask) => ({ ask: (asker) => asker.listening.then(() => ask(asker)) });

/** The plays by scenario. */
export const PLAYS = {
  ...Object.fromEntries(AUTHORIZED.map((name) => [`auth/${name}`, authorized(byItself)])),
  "auth/pre-registration": authorized(registered),
  "auth/client-credentials-basic": authorized(inItsOwnName, list),
  "auth/client-credentials-jwt": authorized(inItsOwnName, list),
  "auth/dpop": authorized(bound),
  "auth/dpop-nonce": authorized(bound),
  "auth/resource-mismatch": refuses("resource_mismatch"),
  "auth/scope-retry-limit": refuses("insufficient_scope"),
  "auth/iss-supported-missing": refuses("issuer_mismatch", { onReturn: true }),
  "auth/iss-wrong-issuer": refuses("issuer_mismatch", { onReturn: true }),
  "auth/iss-unexpected": refuses("issuer_mismatch", { onReturn: true }),
  "auth/iss-normalized": refuses("issuer_mismatch", { onReturn: true }),
  "auth/metadata-issuer-mismatch": refuses("issuer_mismatch"),
  initialize: { ask: list },
  tools_call: { ask: first },
  "json-schema-ref-no-deref": { ask: list },
  "json-schema-2020-12-preservation": {
    async ask({ client, call }) {
      const { tools } = await client.listTools();
      const { inputSchema } = tools.find(({ name }) => name === "json_schema_2020_12_tool");
      await call("json_schema_echo", { schema: inputSchema });
    },
  },
  "elicitation-sep1034-client-defaults": {
    capabilities: { elicitation: { form: { applyDefaults: true } } },
    elicit: () => ({ action: "accept", content: {} }),
    ask: ({ call }) => call("test_client_elicitation_defaults", {}),
  },
  "sse-retry": heard(first),
  "request-metadata": {
    capabilities: { roots: {}, sampling: {}, elicitation: {} },
    ask: list,
  },
  "sep-2322-client-request-state": {
    capabilities: { elicitation: {} },
    elicit: () => ({ action: "accept", content: { confirmed: true } }),
    async ask({ call }) {
      const names = ["test_mrtr_echo_state", "test_mrtr_unrelated", "test_mrtr_no_state", "test_mrtr_no_result_type"];
      for (const name of names) await call(name, {});
    },
  },
  "http-standard-headers": {
    async ask({ client, call }) {
      for (const { name } of (await client.listTools()).tools) await call(name, {});
      for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
      for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
    },
  },
  "http-custom-headers": {
    async ask({ client, call, context }) {
      await client.listTools();
      for (const { name, arguments: args } of context.toolCalls) await call(name, args);
    },
  },
  "http-invalid-tool-headers": {
    async ask({ client, call }) {
      for (const { name } of (await client.listTools()).tools) await call(name, {});
    },
  },
};

/** Scenarios that are reported only, of what the replica does not carry. */
export const LACKING = {
  "auth/enterprise-managed-authorization": "identity assertions of an enterprise (SEP-990)",
  "auth/wif-jwt-bearer": "workload identities (RFC 7523 assertions as grants)",
};
