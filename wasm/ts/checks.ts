/** What a program gives to a replica's methods, checked before anything is done with it. */

import { LeewardError, configInvalid, fieldOf, invalidParams, isObject, words } from "./errors.js";
import type { CallOptions, LocalResource, LocalTool } from "./types.js";

/** The rule and the definition of a local tool or resource; the definition is a copy, fit for JSON. */
export function local(
  what: string,
  item: LocalTool | LocalResource,
): { rule: string | undefined; definition: Record<string, unknown> } {
  if (!isObject(item)) throw invalidParams(`a ${what} must be an object`);
  const { handler, rule, ...definition } = item as { [name: string]: unknown };
  if (typeof handler !== "function") throw invalidParams(`the ${what}'s handler must be a function`);
  if (rule !== undefined && typeof rule !== "string") {
    throw configInvalid("rule", `the ${what}'s rule must be a string`);
  }
  return { rule, definition };
}

/** Takes an item of the options: what is wrong with it is `config_invalid` at its place. */
export function within(place: string, take: () => void): void {
  try {
    take();
  } catch (error) {
    // A replica that ended meanwhile is no fault of the item's.
    if (error instanceof LeewardError && error.code !== "invalid_params" && error.code !== "config_invalid") throw error;
    const inner = error instanceof LeewardError ? fieldOf(error) : undefined;
    const field = inner ? `${place}.${inner}` : place;
    throw configInvalid(field, `${place}: ${error instanceof LeewardError ? error.message : words(error)}`, error);
  }
}

/** Options that may be left out. */
export function optional(options: CallOptions | undefined): CallOptions {
  if (options === undefined) return {};
  if (!isObject(options)) throw invalidParams("the options must be an object");
  return options;
}

/** The options of a call. */
export function checked(options: CallOptions | undefined): { signal?: AbortSignal; timeoutMs?: number } {
  const { signal, timeoutMs } = optional(options);
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    throw invalidParams("signal must be an AbortSignal");
  }
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs >= 0)) {
    throw invalidParams("timeoutMs must be a number of milliseconds");
  }
  return { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
}

/** Any fault of a call as an error of this package. */
export function typed(error: unknown): LeewardError {
  if (error instanceof LeewardError) return error;
  return new LeewardError("internal", "the call failed within this package", { cause: error });
}
