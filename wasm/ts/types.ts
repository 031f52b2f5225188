/**
 * The public types: the configuration, what calls take and give, and the MCP types they are made of. MCP types
 * name the members that this package's users meet; an authority may send more.
 */

/** A policy rule: an RFC 9651 Item such as `cache;max-age=60;stale-if-error=600`. */
export type RuleText = string;

/** A rule for a tool (exact name or glob) or for a resource (URI or URI template). The first match wins. */
export type Rule =
  | { tool: string; resource?: never; rule: RuleText }
  | { resource: string; tool?: never; rule: RuleText };

/** An upstream MCP server over Streamable HTTP. */
export interface Authority {
  /** Absolute `http` or `https` URL of its MCP endpoint. */
  url: string;
  /** Static bearer token; unused where `credentialFor` is given. */
  token?: string;
}

/** Limits; whatever is left out has its default. */
export interface Limits {
  /** Bytes that the cache may hold. Default 16 MiB. */
  maxCacheBytes?: number;
  /** Largest message taken from an agent. Default 1 MiB. */
  maxMessageBytes?: number;
  /** Largest response body taken from an authority. Default 8 MiB. */
  maxResponseBytes?: number;
  /** Most trips in progress at once. Default 256. */
  maxFlights?: number;
  /** Most requests waiting at once. Default 1024. */
  maxWaiters?: number;
  /** Most principals remembered at once. Default 1024. */
  maxPartitions?: number;
  /** Hard end of one trip, in milliseconds. Default 60,000. */
  requestTimeoutMs?: number;
}

/** The configuration: the same JSON shape for every host (`leeward.schema.json`). */
export interface Configuration {
  /** Where the schema of this shape stands; ignored. */
  $schema?: string;
  /** The authority, or its URL. Without one the replica answers from local tools and resources only. */
  authority?: string | Authority;
  /** The principal of calls that name none. Default `local`; `null` makes them anonymous. */
  principal?: string | null;
  /** The rules. A tool without one is forwarded and treated as a write. */
  policy?: readonly Rule[];
  /** The limits. */
  limits?: Limits;
  /** What an anonymous caller gets. Default `deny`. */
  anonymous?: "deny" | "public-only";
  /** `Origin` values that HTTP hosts accept; without effect in this package. */
  origins?: readonly string[];
}

/** The clocks and the timer of a host. */
export interface Clock {
  /** Monotonic milliseconds from any origin; drives freshness. Default `performance.now`. */
  now(): number;
  /** Milliseconds since the Unix epoch. Default `Date.now`. */
  unix(): number;
  /** Calls `action` once after `delayMs`; returns a handle. */
  setTimeout(action: () => void, delayMs: number): unknown;
  /** Forgets a timeout. */
  clearTimeout(handle: unknown): void;
}

/** A bearer credential for the authority. */
export interface Credential {
  /** The token, without a scheme. */
  token: string;
  /** Names the grant behind the token, so that a refreshed token keeps its cache entries. */
  identity?: string;
}

/** What `Replica.open` takes: the configuration, and what the host may replace. */
export interface ReplicaOptions extends Configuration {
  /** Sends HTTP requests. Default: the global `fetch`. Redirects must not be followed. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Clocks and timer; what is left out has its default. */
  clock?: Partial<Clock>;
  /** Fills the array with cryptographic randomness. Default `crypto.getRandomValues`. */
  random?: (bytes: Uint8Array) => void;
  /** Gives the authority's credential for a principal (`undefined`: an anonymous caller), or nothing. */
  credentialFor?: (
    principal: string | undefined,
  ) => Credential | string | undefined | null | PromiseLike<Credential | string | undefined | null>;
  /** Hears what an operator may want to log. Never carries arguments, results or credentials. */
  onEvent?: (event: ReplicaEvent) => void;
  /** Local tools, as if each were given to `replica.tool`. */
  tools?: readonly LocalTool[];
  /** Local resources, as if each were given to `replica.resource`. */
  resources?: readonly LocalResource[];
}

/** Something an operator may want to log. New kinds may come: ignore those you do not know. */
export type ReplicaEvent =
  | { type: "tool_dropped"; name: string; reason: string }
  | { type: "authority_version"; version: string }
  | { type: "trip_failed"; method: string; code: string; message: string; detail: string }
  | { type: "not_stored"; method: string; reason: string }
  | { type: "host_failed"; what: string; message: string }
  | { type: "other" };

/** What a call may say about itself. */
export interface CallOptions {
  /** Gives the call up. A write that was sent goes on. */
  signal?: AbortSignal;
  /** Who the call is for; `null` for nobody in particular. Default: the configuration's principal. */
  principal?: string | null;
  /** Gives the call up after this many milliseconds, by the host's timer. A write that was sent goes on. */
  timeoutMs?: number;
}

/** How the cache took part in an answer. */
export interface CacheInfo {
  /**
   * `hit`: from the cache (stale if `ttlMs` is negative). `miss`: nothing was stored. `stale`: what was stored
   * was no longer fresh. `bypass`: policy or the request forbids the cache. `local`: answered here without cache
   * or trip.
   */
  status: "hit" | "miss" | "stale" | "bypass" | "local";
  /** Remaining freshness of what was served or stored, in milliseconds; undefined where nothing was stored. */
  ttlMs: number | undefined;
  /** The same as an RFC 9211 `Cache-Status` list member: `leeward;hit;ttl=12`. Empty if nothing was classified. */
  header: string;
  /** The answer came with another request's trip. */
  collapsed: boolean;
  /** The answer was stored. */
  stored: boolean;
}

/** A result and how the cache took part. */
export interface WithCache<Result> {
  /** The result: shared with other calls, and frozen through and through. */
  readonly result: Result;
  /** How the cache took part in this answer. */
  readonly cache: CacheInfo;
}

/** Counters of a replica. */
export interface Stats {
  /** Answers served fresh from the cache. */
  hits: number;
  /** Requests for which nothing was stored. */
  misses: number;
  /** Requests for which what was stored was stale, whether it was served or not. */
  stale: number;
  /** Requests that joined another one's trip. */
  collapsed: number;
  /** Requests that could not use the cache. */
  bypassed: number;
  /** Entries stored since the start. */
  stored: number;
  /** Entries evicted for room. */
  evicted: number;
  /** Entries held. */
  entries: number;
  /** Bytes held. */
  bytes: number;
  /** Trips in progress. */
  flights: number;
  /** Requests waiting. */
  waiters: number;
}

/** A tool that this process answers itself. */
export interface LocalTool extends Omit<Tool, "inputSchema"> {
  /** JSON Schema of the arguments; an object. Default: any object. */
  inputSchema?: Tool["inputSchema"];
  /** Answers a call. A string is one text block; what is thrown is reported to the agent by its message. */
  handler: (args: Record<string, unknown>, context: LocalContext) => LocalAnswer<CallToolResult>;
  /** A rule of class `cache`, `live` (the default) or `through`. */
  rule?: RuleText;
}

/** A resource that this process answers itself. */
export interface LocalResource extends Resource {
  /** Reads it. A string is its text. */
  handler: (uri: string, context: LocalContext) => LocalAnswer<ReadResourceResult>;
  /** A rule of class `cache`, `live` (the default) or `through`. */
  rule?: RuleText;
}

/** What the handler of a local tool or resource may return. */
export type LocalAnswer<Result> = Result | string | PromiseLike<Result | string>;

/** What the handler of a local tool or resource is told besides its arguments. */
export interface LocalContext {
  /** Aborts when the replica drops the call or is closed. */
  readonly signal: AbortSignal;
}

/** Any JSON object. */
export type JsonObject = { [name: string]: unknown };

/** What every result may have. */
export interface Result {
  /** `complete`, `input_required`, or an extension's. */
  resultType?: string;
  /** Metadata, without the replica's own. */
  _meta?: JsonObject;
  [name: string]: unknown;
}

/** A block of content. */
export type ContentBlock =
  | { type: "text"; text: string; annotations?: JsonObject; _meta?: JsonObject }
  | { type: "image"; data: string; mimeType: string; annotations?: JsonObject; _meta?: JsonObject }
  | { type: "audio"; data: string; mimeType: string; annotations?: JsonObject; _meta?: JsonObject }
  | ({ type: "resource_link" } & Resource)
  | { type: "resource"; resource: ResourceContents; annotations?: JsonObject; _meta?: JsonObject };

/** The result of `tools/call`. A tool's own failure is a result with `isError`, not an exception. */
export interface CallToolResult extends Result {
  /** What the tool says. */
  content: ContentBlock[];
  /** The same as structured data, if the tool has an output schema. */
  structuredContent?: unknown;
  /** True if the tool failed. */
  isError?: boolean;
}

/** A tool's definition. */
export interface Tool {
  /** Its name. */
  name: string;
  /** For display. */
  title?: string;
  /** For the model. */
  description?: string;
  /** JSON Schema of the arguments. */
  inputSchema: { type: "object"; [keyword: string]: unknown };
  /** JSON Schema of `structuredContent`. */
  outputSchema?: JsonObject;
  /** Hints about its behaviour. */
  annotations?: JsonObject;
  /** Icons. */
  icons?: JsonObject[];
  /** Metadata. */
  _meta?: JsonObject;
}

/** A resource's definition. */
export interface Resource {
  /** Its URI. */
  uri: string;
  /** Its name. */
  name: string;
  /** For display. */
  title?: string;
  /** For the model. */
  description?: string;
  /** Its media type. */
  mimeType?: string;
  /** Its size in bytes. */
  size?: number;
  /** Hints for the client. */
  annotations?: JsonObject;
  /** Icons. */
  icons?: JsonObject[];
  /** Metadata. */
  _meta?: JsonObject;
}

/** A resource template's definition. */
export interface ResourceTemplate extends Omit<Resource, "uri" | "size"> {
  /** RFC 6570 template of its URIs. */
  uriTemplate: string;
}

/** A prompt's definition. */
export interface Prompt {
  /** Its name. */
  name: string;
  /** For display. */
  title?: string;
  /** For the model. */
  description?: string;
  /** Its arguments. */
  arguments?: { name: string; title?: string; description?: string; required?: boolean }[];
  /** Icons. */
  icons?: JsonObject[];
  /** Metadata. */
  _meta?: JsonObject;
}

/** Contents of a resource: text or base64. */
export interface ResourceContents {
  /** The URI. */
  uri: string;
  /** The media type. */
  mimeType?: string;
  /** The text, if it is text. */
  text?: string;
  /** The bytes as base64, if it is not. */
  blob?: string;
  /** Metadata. */
  _meta?: JsonObject;
}

/** The result of `resources/read`. Its remaining freshness is `cache.ttlMs` of the `…WithCache` form. */
export interface ReadResourceResult extends Result {
  /** The contents. */
  contents: ResourceContents[];
}

/** A page of a list. */
export interface Page extends Result {
  /** Asks for the next page; absent on the last one. */
  nextCursor?: string;
}

/** A page of tools. */
export interface ListToolsResult extends Page {
  /** The tools. */
  tools: Tool[];
}

/** A page of resources. */
export interface ListResourcesResult extends Page {
  /** The resources. */
  resources: Resource[];
}

/** A page of resource templates. */
export interface ListResourceTemplatesResult extends Page {
  /** The templates. */
  resourceTemplates: ResourceTemplate[];
}

/** A page of prompts. */
export interface ListPromptsResult extends Page {
  /** The prompts. */
  prompts: Prompt[];
}

/** The result of `prompts/get`. */
export interface GetPromptResult extends Result {
  /** What it is for. */
  description?: string;
  /** The messages. */
  messages: { role: "user" | "assistant"; content: ContentBlock }[];
}

/** The result of `completion/complete`. */
export interface CompleteResult extends Result {
  /** The proposals. */
  completion: { values: string[]; total?: number; hasMore?: boolean };
}

/** The result of `server/discover`. */
export interface DiscoverResult extends Result {
  /** Protocol versions. */
  supportedVersions: string[];
  /** What can be asked for. */
  capabilities: JsonObject;
  /** For the model. */
  instructions?: string;
}

/** Any JSON-RPC message. */
export interface JsonRpcMessage {
  jsonrpc: "2.0";
  id?: string | number | null;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: unknown;
}
