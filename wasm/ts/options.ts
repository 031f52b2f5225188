/** The options of `Replica.open`, checked and completed. The configuration among them is checked by the core. */

import { LeewardError, configInvalid, isObject } from "./errors.js";
import type { Authorizer, Clock, LocalResource, LocalTool, ReplicaOptions, Signer, Validator, Vault } from "./types.js";

/** The options that are this host's; every other one belongs to the configuration. */
const HOST_OPTIONS = [
  "fetch",
  "clock",
  "random",
  "credentialFor",
  "authorize",
  "vault",
  "sign",
  "onEvent",
  "validate",
  "tools",
  "resources",
];

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
  readonly authorize: Authorizer | undefined;
  readonly vault: Vault | undefined;
  readonly sign: Signer | undefined;
  readonly onEvent: ReplicaOptions["onEvent"];
  readonly validate: Validator | undefined;
  readonly tools: readonly LocalTool[];
  readonly resources: readonly LocalResource[];
}

/** Checks options. Throws `config_invalid` with `data.field`. */
export function settings(options: ReplicaOptions): Settings {
  try {
    return read(options);
  } catch (error) {
    throw error instanceof LeewardError ? error : configInvalid("", "the options cannot be read", error);
  }
}

function read(options: ReplicaOptions): Settings {
  if (!isObject(options as unknown)) throw configInvalid("", "the options must be an object");
  const { principal = "local" } = options;
  if (principal !== null && typeof principal !== "string") {
    throw configInvalid("principal", "principal must be a string or null");
  }
  return {
    config: configuration(options),
    principal,
    clock: clock(options.clock),
    fetch: functionOf(options, "fetch") ?? defaultFetch(options),
    random: functionOf(options, "random") ?? defaultRandom(),
    credentialFor: functionOf(options, "credentialFor"),
    authorize: methodsOf(options, "authorize", ["redirectUri", "open"]),
    vault: methodsOf(options, "vault", ["get", "set", "delete"]),
    sign: functionOf(options, "sign"),
    onEvent: functionOf(options, "onEvent"),
    validate: options.validate === false ? undefined : (functionOf(options, "validate") as Validator | undefined),
    tools: arrayOf(options, "tools"),
    resources: arrayOf(options, "resources"),
  };
}

/** The configuration among the options as JSON, which has no place for what it would leave out in silence. */
function configuration(options: ReplicaOptions): string {
  const entries = Object.entries(options).filter(
    ([name, value]) => !HOST_OPTIONS.includes(name) && !(name === "principal" && value === null),
  );
  const places = new Map<unknown, string>();
  const replacer = function (this: unknown, key: string, value: unknown): unknown {
    const outer = places.get(this) ?? "";
    const place = Array.isArray(this) ? `${outer}[${key}]` : outer === "" ? key : `${outer}.${key}`;
    switch (typeof value) {
      // A misspelt hook among them: it would vanish from the text, and nobody would be told.
      case "function":
      case "symbol":
      case "bigint":
        throw configInvalid(place, `${place}: unknown member, or a ${typeof value} where none may be`);
      case "object":
        places.set(value, place);
    }
    return value;
  };
  try {
    return JSON.stringify(Object.fromEntries(entries), replacer);
  } catch (error) {
    if (error instanceof LeewardError) throw error;
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
  if (!part.now) needs("clock.now", "performance", typeof globalThis.performance?.now);
  if (!part.setTimeout) needs("clock.setTimeout", "setTimeout", typeof globalThis.setTimeout);
  if (!part.clearTimeout) needs("clock.clearTimeout", "clearTimeout", typeof globalThis.clearTimeout);
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

/** The global `fetch`, as it is when it is called. */
function defaultFetch(options: ReplicaOptions): Settings["fetch"] {
  // A replica of local tools alone asks nobody.
  if (options.authority !== undefined) needs("fetch", "fetch", typeof globalThis.fetch);
  return (url, init) => globalThis.fetch(url, init);
}

function defaultRandom(): Settings["random"] {
  needs("random", "crypto", typeof globalThis.crypto?.getRandomValues);
  return (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
}

/** Refuses to go without what this runtime lacks, and says which option stands in for it. */
function needs(option: string, what: string, kind: string): void {
  if (kind !== "function") throw configInvalid(option, `this runtime has no usable ${what}: give the option ${option}`);
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

function functionOf<Name extends "fetch" | "random" | "credentialFor" | "sign" | "onEvent" | "validate">(
  options: ReplicaOptions,
  name: Name,
): ReplicaOptions[Name] {
  const value = options[name];
  if (value !== undefined && typeof value !== "function") throw configInvalid(name, `${name} must be a function`);
  return value;
}

/** An object of the program's, called by its methods, in case it is an instance of a class. */
function methodsOf<Name extends "authorize" | "vault">(
  options: ReplicaOptions,
  name: Name,
  methods: readonly (string & keyof NonNullable<ReplicaOptions[Name]>)[],
): ReplicaOptions[Name] {
  const { [name]: value } = options;
  if (value === undefined) return undefined;
  if (!isObject(value)) throw configInvalid(name, `${name} must be an object`);
  for (const method of methods) {
    if (typeof value[method] === "function") continue;
    throw configInvalid(`${name}.${method}`, `${name}.${method} must be a function`);
  }
  return value;
}

function arrayOf<Name extends "tools" | "resources">(
  options: ReplicaOptions,
  name: Name,
): NonNullable<ReplicaOptions[Name]> {
  const { [name]: value = [] } = options;
  if (!Array.isArray(value)) throw configInvalid(name, `${name} must be an array`);
  return value as NonNullable<ReplicaOptions[Name]>;
}
