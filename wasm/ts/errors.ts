/**
 * Errors: one class, told apart by `code`; and one subclass for what the authority itself said.
 */

/**
 * What went wrong, as a stable machine-readable code. `docs/ERRORS.md` is the table. Two exist on this side only:
 * `authority_error` marks a {@link McpError}, and `module_unavailable` says that the wasm module could not be read
 * or fetched, and may be another time.
 */
export type ErrorCode =
  | "parse_error"
  | "invalid_request"
  | "method_not_found"
  | "invalid_params"
  | "header_mismatch"
  | "missing_capability"
  | "unsupported_version"
  | "too_large"
  | "cancelled"
  | "unauthenticated"
  | "forbidden"
  | "session_unknown"
  | "session_required"
  | "stream_taken"
  | "denied_by_policy"
  | "rate_limited"
  | "over_budget"
  | "config_invalid"
  | "authority_unreachable"
  | "authority_timeout"
  | "authority_invalid"
  | "authority_auth_required"
  | "input_required"
  | "unknown_outcome"
  | "closed"
  | "internal"
  | "authority_error"
  | "module_unavailable"
  | (string & {});

/** What a {@link LeewardError} is made from, besides its code and message. */
export interface ErrorDetails {
  /** Whether the same request may succeed later. Default false. */
  retryable?: boolean;
  /** How long to wait before trying again, in milliseconds. */
  retryAfterMs?: number | undefined;
  /** Names this failure in the replica's and the authority's logs. */
  correlationId?: string | undefined;
  /** The JSON-RPC error code, where the error came as a JSON-RPC error. */
  rpcCode?: number | undefined;
  /** The JSON-RPC error's `data`, or details of this side. */
  data?: unknown;
  /** What caused it: an abort signal's reason, a wasm trap, an error of a host function. */
  cause?: unknown;
}

/** Marks the errors of every copy of this package that a process has loaded. */
const BRAND = Symbol.for("leeward.error");

/** Every error of this package. Branch on {@link LeewardError.code}, never on the message. */
export class LeewardError extends Error {
  /**
   * Whether a value is an error of this package, also of another copy or version of it, whose class is another one
   * and fails `instanceof`.
   */
  static is(value: unknown): value is LeewardError {
    return typeof value === "object" && value !== null && BRAND in value;
  }

  /** The stable code. */
  readonly code: ErrorCode;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** How long to wait before trying again, in milliseconds, where that is known. */
  readonly retryAfterMs: number | undefined;
  /** Names this failure in logs, where one was given. */
  readonly correlationId: string | undefined;
  /** The JSON-RPC error code, where there is one. */
  readonly rpcCode: number | undefined;
  /** Further details: `data` of the JSON-RPC error as it came. `data.field` names the place of a bad setting. */
  readonly data: unknown;

  /** Makes an error. `message` is one sentence, lower case, without a full stop. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs;
    this.correlationId = details.correlationId;
    this.rpcCode = details.rpcCode;
    this.data = details.data;
  }

  static {
    this.prototype.name = "LeewardError";
    Object.defineProperty(this.prototype, BRAND, { value: true });
  }
}

/** A JSON-RPC error of the authority, passed through: `rpcCode`, `message` and `data` are as it sent them. */
export class McpError extends LeewardError {
  /** The authority's JSON-RPC error code. */
  declare readonly rpcCode: number;

  /** Makes an error of the authority. */
  constructor(rpcCode: number, message: string, data: unknown) {
    super("authority_error", message, { rpcCode, data });
  }

  static {
    this.prototype.name = "McpError";
  }
}

/** The error for a JSON-RPC error object: ours if its `data` has our shape, the authority's otherwise. */
export function fromRpc(error: unknown): LeewardError {
  if (!isObject(error) || typeof error["code"] !== "number") {
    return new LeewardError("internal", "an error object without a code", { data: error });
  }
  const rpcCode = error["code"];
  const message = String(error["message"] ?? "");
  const data = error["data"];
  if (!isObject(data) || typeof data["code"] !== "string" || typeof data["retryable"] !== "boolean") {
    return new McpError(rpcCode, message, data);
  }
  // What never left this process has no name in anybody's log.
  if (data["correlationId"] === "") delete data["correlationId"];
  return new LeewardError(data["code"], message, {
    retryable: data["retryable"],
    retryAfterMs: typeof data["retryAfterMs"] === "number" ? data["retryAfterMs"] : undefined,
    correlationId: typeof data["correlationId"] === "string" ? data["correlationId"] : undefined,
    rpcCode,
    data,
  });
}

/** The replica was closed. */
export function closed(): LeewardError {
  return new LeewardError("closed", "the replica is closed", { retryable: true });
}

/** The caller gave up. */
export function cancelled(message: string, cause: unknown): LeewardError {
  return new LeewardError("cancelled", message, { retryable: true, cause });
}

/** A parameter of a call is wrong. */
export function invalidParams(message: string, cause?: unknown): LeewardError {
  return new LeewardError("invalid_params", message, cause === undefined ? {} : { cause });
}

/** An option is wrong; `field` names it. */
export function configInvalid(field: string, message: string, cause?: unknown): LeewardError {
  const data = { code: "config_invalid", retryable: false, field };
  return new LeewardError("config_invalid", message, cause === undefined ? { data } : { data, cause });
}

/** The place of a bad setting, where an error names one. */
export function fieldOf({ data }: LeewardError): string | undefined {
  return isObject(data) && typeof data["field"] === "string" ? data["field"] : undefined;
}

/** The words of whatever was thrown, cut to a length that is fit for a log. */
export function words(error: unknown): string {
  let text: string;
  try {
    text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const cause: unknown = error instanceof Error ? error.cause : undefined;
    if (cause instanceof Error) text += ` (${cause.message || cause.name})`;
  } catch {
    text = "an error that has no text";
  }
  return text.slice(0, 500);
}

/** Bytes that a hook gave: a view of them, or an `ArrayBuffer`. */
export function bytesOf(hook: string, value: unknown): Uint8Array<ArrayBufferLike> {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (Object.prototype.toString.call(value) === "[object ArrayBuffer]") return new Uint8Array(value as ArrayBuffer);
  throw new TypeError(`${hook} must give bytes`);
}

/** Whether a value is an object with members (no array, no null). */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
