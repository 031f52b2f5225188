// Says what is wrong with a message by the official schema of its revision (tests/vectors).
//
// The schemas' unions accept nearly everything, since `Result` and `InputRequiredResult` ask for next to nothing: each
// message is held to the one definition that its method, `resultType` or error code names.

import { readFileSync } from "node:fs";
import addFormats from "ajv-formats";
import { Ajv2020 } from "ajv/dist/2020.js";

const MODERN = "2026-07-28";
const LEGACY = "2025-11-25";

/** The tasks extension, which has definitions, but is in no union of the protocol's. */
const EXTENSIONS = /^(notifications\/)?tasks(\/|$)/;

const schemas = { [MODERN]: load(MODERN), [LEGACY]: load(LEGACY) };

/** The revision whose schema a message of `version` is held to; the older ones are parts of 2025-11-25. */
export const schemaOf = (version) => (version === MODERN ? MODERN : LEGACY);

/**
 * The faults of a message, as texts with the schema's path; none if it is valid.
 *
 * @param {object} message
 * @param {object} about
 * @param {string} about.version the protocol version it is spoken in.
 * @param {boolean} about.toServer whether it goes from a client to a server.
 * @param {string} [about.method] of a response, the method it answers; undefined where that cannot be told.
 */
export function faults(message, { version, toServer, method }) {
  const schema = schemas[schemaOf(version)];
  if (message === null || typeof message !== "object" || Array.isArray(message)) return ["not a JSON-RPC message"];
  if (message.method !== undefined) return check(schema, requestOf(schema, message, toServer), message);
  if (message.error !== undefined) return check(schema, errorOf(schema, message.error), message);
  const faults = check(schema, "JSONRPCResultResponse", message);
  return faults.length > 0 ? faults : check(schema, resultOf(schema, message.result, method), message.result);
}

function requestOf(schema, message, toServer) {
  const isRequest = message.id !== undefined;
  if (EXTENSIONS.test(message.method)) {
    const named = schema.names.find((name) => schema.methodOf(name) === message.method);
    return named ?? (isRequest ? "JSONRPCRequest" : "JSONRPCNotification");
  }
  const union = `${toServer ? "Client" : "Server"}${isRequest ? "Request" : "Notification"}`;
  return membersOf(schema, union).find((name) => schema.methodOf(name) === message.method) ?? union;
}

function errorOf(schema, { code }) {
  return schema.errors.get(code) ?? "JSONRPCErrorResponse";
}

function resultOf(schema, { resultType }, method) {
  if (resultType === "input_required") return "InputRequiredResult";
  if (resultType === "task" && schema.names.includes("CreateTaskResult")) return "CreateTaskResult";
  if (resultType !== undefined && resultType !== "complete") return "Result";
  const name = schema.names.find((name) => name.endsWith("Request") && schema.methodOf(name) === method);
  const result = name?.replace(/Request$/, "Result");
  return schema.names.includes(result) ? result : "Result";
}

/** The definitions that a union names; a definition that is no union is its own only member. */
function membersOf(schema, name) {
  const definition = schema.definitions[name];
  if (definition === undefined) return [];
  return definition.anyOf?.map(({ $ref }) => $ref.replace("#/$defs/", "")) ?? [name];
}

function check(schema, name, value) {
  const validate = schema.ajv.getSchema(`mcp#/$defs/${name}`);
  // 2026-07-28 has no requests from the server.
  if (validate === undefined) return [`${name}: there is none in this revision`];
  if (validate(value)) return [];
  return validate.errors.map(
    ({ instancePath, message, schemaPath }) => `${name}: ${instancePath || "/"} ${message} (${schemaPath})`,
  );
}

function load(revision) {
  const read = (file) => JSON.parse(readFileSync(new URL(`../vectors/${revision}/${file}`, import.meta.url), "utf8"));
  const schema = read("schema.json");
  if (revision === MODERN) Object.assign(schema.$defs, read("tasks.json").$defs);
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(schema, "mcp");
  const definitions = schema.$defs;
  const names = Object.keys(definitions);
  const methodOf = (name) => definitions[name].properties?.method?.const;
  const codeOf = (name) => {
    const parts = definitions[name].properties?.error?.allOf ?? [];
    return parts.find(({ properties }) => properties)?.properties.code.const;
  };
  const errors = new Map(names.map((name) => [codeOf(name), name]).filter(([code]) => code !== undefined));
  return { ajv, definitions, names, methodOf, errors };
}
