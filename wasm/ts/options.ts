/** The options of `Replica.open`, checked and completed. The configuration among them is checked by the core. */

import { configInvalid, isObject } from "./errors.js";
import type { Clock, LocalResource, LocalTool, ReplicaOptions } from "./types.js";

/** The options that are this host's; every other one belongs to the configuration. */
const HOST_OPTIONS = ["fetch", "clock", "random", "credentialFor", "onEvent", "tools", "resources"];

/** Checked options. */
export interface Settings {
  /** The configuration as JSON text. */
  readonly config: string;
  /** The principal of calls that name none; `null` for an anonymous caller. */
  readonly principal: string | null;
  readonly clock: Clock;
  readonly fetch: NonNullable<ReplicaOptions["fetch"]>;
  readonly random: NonNullable<ReplicaOptions["random"]>;
  readonly credentialFor: ReplicaOptions["credentialFor"];
  readonly onEvent: ReplicaOptions["onEvent"];
  readonly tools: readonly LocalTool[];
  readonly resources: readonly LocalResource[];
}

/** Checks options. Throws `config_invalid` with `data.field`. */
export function settings(options: ReplicaOptions): Settings {
  if (!isObject(options as unknown)) throw configInvalid("", "the options must be an object");
  const { principal = "local" } = options;
  if (principal !== null && typeof principal !== "string") {
    throw configInvalid("principal", "principal must be a string or null");
  }
  return {
    config: configuration(options),
    principal,
    clock: clock(options.clock),
    fetch: functionOr(options, "fetch", (url, init) => globalThis.fetch(url, init)),
    random: functionOr(options, "random", (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>)),
    credentialFor: functionOr(options, "credentialFor", undefined),
    onEvent: functionOr(options, "onEvent", undefined),
    tools: arrayOf(options, "tools"),
    resources: arrayOf(options, "resources"),
  };
}

function configuration(options: ReplicaOptions): string {
  const entries = Object.entries(options).filter(
    ([name, value]) => !HOST_OPTIONS.includes(name) && !(name === "principal" && value === null),
  );
  // JSON has no functions: a misspelt hook would vanish from the text, and nobody would be told.
  for (const [name, value] of entries) {
    if (typeof value === "function") throw configInvalid(name, `${name}: unknown member, or a function where none may be`);
  }
  try {
    return JSON.stringify(Object.fromEntries(entries));
  } catch (error) {
    throw configInvalid("", "the configuration cannot be written as JSON", error);
  }
}

function clock(given: unknown): Clock {
  if (given !== undefined && !isObject(given)) throw configInvalid("clock", "clock must be an object");
  const part = (given ?? {}) as Partial<Clock>;
  for (const name of ["now", "unix", "setTimeout", "clearTimeout"] as const) {
    if (part[name] !== undefined && typeof part[name] !== "function") {
      throw configInvalid(`clock.${name}`, `clock.${name} must be a function`);
    }
  }
  // Called as methods of the object that was given, in case it is an instance of a class.
  return {
    now: part.now ? steady(() => part.now!()) : () => performance.now(),
    unix: part.unix ? steady(() => part.unix!()) : () => Date.now(),
    setTimeout: part.setTimeout
      ? (action, delayMs) => part.setTimeout!(action, delayMs)
      : (action, delayMs) => setTimeout(action, delayMs),
    clearTimeout: part.clearTimeout
      ? (handle) => part.clearTimeout!(handle)
      : (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
  };
}

/** A clock that throws, or gives what is no number, stands still. */
function steady(read: () => number): () => number {
  let last = 0;
  return () => {
    try {
      const at: unknown = read();
      if (typeof at === "number" && !Number.isNaN(at)) last = at;
    } catch {
      // Zero would be a step back, and the next reading a step forward past every deadline.
    }
    return last;
  };
}

function functionOr<Name extends "fetch" | "random" | "credentialFor" | "onEvent", Default>(
  options: ReplicaOptions,
  name: Name,
  otherwise: Default & (ReplicaOptions[Name] | undefined),
): NonNullable<ReplicaOptions[Name]> | Default {
  const value = options[name];
  if (value === undefined) return otherwise;
  if (typeof value !== "function") throw configInvalid(name, `${name} must be a function`);
  return value as NonNullable<ReplicaOptions[Name]>;
}

function arrayOf<Name extends "tools" | "resources">(
  options: ReplicaOptions,
  name: Name,
): NonNullable<ReplicaOptions[Name]> {
  const value = options[name] ?? [];
  if (!Array.isArray(value)) throw configInvalid(name, `${name} must be an array`);
  return value as NonNullable<ReplicaOptions[Name]>;
}
