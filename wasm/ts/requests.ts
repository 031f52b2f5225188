/**
 * The text of a direct call's JSON-RPC request, in the stateless revision. It is put together from constant
 * pieces and the caller's own JSON, so that a hit costs one `JSON.stringify` of the arguments.
 */

import { invalidParams, isObject } from "./errors.js";

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
};
const META_TEXT = JSON.stringify(META);
/** Direct calls are cancelled by ticket, so one id serves them all. */
const HEAD = '{"jsonrpc":"2.0","id":1,"method":';
const TOOL_HEAD = `${HEAD}"tools/call","params":{"_meta":${META_TEXT},"name":`;
const RESOURCE_HEAD = `${HEAD}"resources/read","params":{"_meta":${META_TEXT},"uri":`;

/** `tools/call`. */
export function toolCall(name: string, args: unknown): string {
  const head = TOOL_HEAD + text("name", name);
  if (args === undefined) return `${head}}}`;
  return `${head},"arguments":${object("arguments", args)}}}`;
}

/** `resources/read`. */
export function resourceRead(uri: string): string {
  return `${RESOURCE_HEAD}${text("uri", uri)}}}`;
}

/** Any request. `_meta` of the parameters is kept beside the members that every request has. */
export function request(method: string, params: unknown): string {
  const head = `${HEAD}${text("method", method)},"params":`;
  if (params === undefined) return `${head}{"_meta":${META_TEXT}}}`;
  if (!isObject(params)) throw invalidParams("params must be an object");
  const meta = params["_meta"];
  if (meta !== undefined) {
    if (!isObject(meta)) throw invalidParams("params._meta must be an object");
    return `${head}${object("params", { ...params, _meta: { ...META, ...meta } })}}`;
  }
  const members = object("params", params).slice(1);
  return `${head}{"_meta":${META_TEXT}${members === "}" ? "" : ","}${members}}`;
}

/** JSON of a value that must come out as an object. */
function object(what: string, value: unknown): string {
  const json = stringify(what, value);
  if (json?.[0] !== "{") throw invalidParams(`${what} must be an object`);
  return json;
}

function text(what: string, value: unknown): string {
  if (typeof value !== "string") throw invalidParams(`${what} must be a string`);
  return JSON.stringify(value);
}

/** JSON of any value; a cycle, a BigInt or a throwing `toJSON` is `invalid_params`. */
export function stringify(what: string, value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw invalidParams(`${what} cannot be written as JSON`, error);
  }
}
