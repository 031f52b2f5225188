/** The types of this package itself: the configuration, and what calls take and give. */

import type { CallToolResult, ObjectSchema, ReadResourceResult, Resource, Tool } from "./mcp.js";

export type * from "./mcp.js";

/**
 * A policy rule: an RFC 9651 Item of at most 4096 characters. `cache` with the parameters `max-age`,
 * `stale-while-revalidate` and `stale-if-error` (whole seconds, 0 to 86,400), `private` or `public`, and `tags`;
 * `live`; `through` (with `tags`); or `deny`.
 *
 * @example
 * `cache; max-age=60; stale-if-error=600`
 */
export type RuleText = string;

/** A rule for a tool or for a resource. Of a policy's rules the first that matches decides. */
export type Rule = ToolRule | ResourceRule;

/** A rule for tools. */
export interface ToolRule {
  /** A tool's name, or a glob: `*` stands for any characters or none, `?` for one. At most 8192 bytes, a glob 512. */
  tool: string;
  /** Not beside `tool`. */
  resource?: undefined;
  /** What is done with their calls. */
  rule: RuleText;
}

/** A rule for resources. */
export interface ResourceRule {
  /** A URI, a URI template (`docs://{page}`, `file:///{+path}`) or a glob with `*`.. */
  resource: string;
  /** Not beside `resource`. */
  tool?: undefined;
  /** What is done with reads of them. */
  rule: RuleText;
}

/** An upstream MCP server over Streamable HTTP. */
export interface Authority {
  /** Absolute `http` or `https` URL of its MCP endpoint: ASCII, at most 8192 bytes, no user information or fragment. */
  url: string;
  /** Static bearer token, 1 to 8192 visible ASCII characters; unused where `credentialFor` is given. */
  token?: string | undefined;
  /**
   * The protocol version that the authority speaks, no other: it is not asked. For one that answers `server/discover`
   * wrongly.
   */
  protocolVersion?: "2026-07-28" | "2025-11-25" | "2025-06-18" | "2025-03-26" | undefined;
  /** How its tokens are obtained, where it is protected by OAuth; `{}` is enough where `authorize` is given. */
  oauth?: OAuth | undefined;
}

/** How the replica obtains tokens, one grant for each principal. */
export interface OAuth {
  /** By the user's consent (the default), or with the client's own credentials. */
  grant?: "authorization_code" | "client_credentials" | undefined;
  /** What authorization servers show to the user, where they register the client. Default `Leeward`. */
  clientName?: string | undefined;
  /** Where the client's metadata stand: its id at servers that look there (Client ID Metadata Documents). */
  clientMetadataUrl?: string | undefined;
  /** Clients registered beforehand, each at one authorization server. */
  clients?: readonly OAuthClient[] | undefined;
  /** Where redirects come to, if not where `authorize` says. */
  redirectUri?: string | undefined;
  /** Scopes to ask for where neither the authority nor its metadata names any. */
  scopes?: readonly string[] | undefined;
  /** The key that tokens are bound to, where they are to be (RFC 9449). */
  dpop?: OAuthDpop | undefined;
}

/** A key that tokens are bound to. */
export interface OAuthDpop {
  /** Its name for the option `sign`. */
  key: string;
  /** Its JOSE algorithm. */
  algorithm: string;
  /** Its public part. */
  jwk: JsonWebKey;
}

/** A client that was registered beforehand. */
export interface OAuthClient {
  /** The authorization server's issuer, to the letter. */
  issuer: string;
  /** The client's id there. */
  clientId: string;
  /** Its secret, where it has one. */
  clientSecret?: string | undefined;
  /** How it authenticates. */
  authMethod?: "client_secret_basic" | "client_secret_post" | "none" | "private_key_jwt" | undefined;
  /** The key of `private_key_jwt`. */
  key?: OAuthKey | undefined;
}

/** A key that a client authenticates with. */
export interface OAuthKey {
  /** Its name for the option `sign`. */
  name: string;
  /** Its JOSE algorithm. */
  algorithm: string;
  /** Its id at the authorization server, where it has one. */
  keyId?: string | undefined;
}

/** The public part of a signing key (RFC 7517). */
export interface JsonWebKey {
  /** The kind: `EC`, `OKP` or `RSA`. */
  kty: string;
  /** The curve, of `EC` and `OKP`. */
  crv?: string | undefined;
  /** A coordinate, of `EC` and `OKP`. */
  x?: string | undefined;
  /** The other coordinate, of `EC`. */
  y?: string | undefined;
  /** The modulus, of `RSA`. */
  n?: string | undefined;
  /** The exponent, of `RSA`. */
  e?: string | undefined;
}

/** Limits, each a whole number; whatever is left out has its default. */
export interface Limits {
  /** Bytes that the cache may hold, 0 (stores nothing) to 1 GiB. Default 16 MiB. */
  maxCacheBytes?: number | undefined;
  /** Largest message taken from an agent, in bytes, 1 KiB to 64 MiB. Default 1 MiB. */
  maxMessageBytes?: number | undefined;
  /** Largest response body taken from an authority, in bytes, 1 KiB to 256 MiB. Default 8 MiB. */
  maxResponseBytes?: number | undefined;
  /** Most trips in progress at once, 1 to 65,536. Default 256. */
  maxFlights?: number | undefined;
  /** Most requests waiting at once, 1 to 1,048,576. Default 1024. */
  maxWaiters?: number | undefined;
  /** Most principals remembered at once, 1 to 1,048,576; the least recently used is forgotten. Default 1024. */
  maxPartitions?: number | undefined;
  /**
   * How long one trip waits for its answer, in milliseconds, or for progress toward it, which begins it anew; of a
   * subscription, only until it is acknowledged. 1 to 3,600,000. Default 60,000.
   */
  requestTimeoutMs?: number | undefined;
  /**
   * Hard end of one trip, in milliseconds, whatever progress it makes, 1 to 86,400,000; the time that its agent is asked
   * something does not count. Default 600,000.
   */
  maxRequestMs?: number | undefined;
}

/** The configuration: the same JSON shape for every host (`leeward.schema.json`). */
export interface Configuration {
  /** Where the schema of this shape stands; ignored. */
  $schema?: string | undefined;
  /** The authority, or its URL. Without one the replica answers from local tools and resources only. */
  authority?: string | Authority | undefined;
  /** The principal of calls that name none, 1 to 1024 bytes. Default `local`; `null` makes them anonymous. */
  principal?: string | null | undefined;
  /** The rules, at most 1024. A tool without one is forwarded and treated as a write. Default: none. */
  policy?: readonly Rule[] | undefined;
  /** The limits. Default: those of {@link Limits}. */
  limits?: Limits | undefined;
  /** What an anonymous caller gets: nothing (`deny`, the default), or only what is stored as public (`public-only`). */
  anonymous?: "deny" | "public-only" | undefined;
  /**
   * `Origin` values that the endpoint of `leeward/fetch` accepts besides its own, at most 64; a replica by itself makes
   * no use of them.
   */
  origins?: readonly string[] | undefined;
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
  /** The token, without a scheme: visible ASCII characters. */
  token: string;
  /** Names the grant behind the token, so that a refreshed token keeps its cache entries. */
  identity?: string | undefined;
}

/** How the authority refused a credential. */
export interface Refused {
  /** The HTTP status: 401 or 403. */
  status: number;
  /** The token that was refused, which another request may have had renewed since; absent if it went without one. */
  token?: string | undefined;
  /** Its `WWW-Authenticate` (RFC 9110, section 11.6.1), where it sent one. */
  challenge?: string | undefined;
}

/** Where the replica keeps what must outlive it: grants, and authorizations under way. Records hold credentials. */
export interface Vault {
  /** The record under a key (visible ASCII, at most 128 characters), if there is one. */
  get(key: string): Uint8Array | undefined | null | PromiseLike<Uint8Array | undefined | null>;
  /** Keeps a record, in place of the one before. */
  set(key: string, record: Uint8Array<ArrayBuffer>): unknown;
  /** Forgets the record under a key, if there is one. */
  delete(key: string): unknown;
}

/** Brings users to authorization servers. `leeward/node` and `leeward/browser` have one each. */
export interface Authorizer {
  /** The redirect URI by which the answer of the next {@link Authorizer.open} can be received. */
  redirectUri(context: AuthorizationContext): string | PromiseLike<string>;
  /**
   * Brings the browser of the principal's user to `url`. Gives the whole URL of the redirect that came back; or, where
   * nobody can wait for it here, the link to show to the user: `replica.finishAuthorization` then takes the redirect.
   */
  open(
    url: string,
    context: AuthorizationContext,
  ): string | AuthorizationLink | PromiseLike<string | AuthorizationLink>;
}

/** An authorization that goes on elsewhere. */
export interface AuthorizationLink {
  /** What the user is to open: `data.authorizationUrl` of the error that the agent gets. */
  authorizationUrl: string;
}

/** Whom an authorization is for, and until when. */
export interface AuthorizationContext {
  /** The principal; `undefined` for an anonymous caller. */
  readonly principal: string | undefined;
  /** Aborts when the replica gives the authorization up or is closed. */
  readonly signal: AbortSignal;
}

/** Signs `payload` with the key of that name: the signature of RFC 7515 for a JOSE algorithm such as `ES256`. */
export type Signer = (
  key: string,
  algorithm: string,
  payload: Uint8Array<ArrayBuffer>,
) => Uint8Array | ArrayBuffer | PromiseLike<Uint8Array | ArrayBuffer>;

/** What `Replica.open` takes: the configuration, and what the host may replace. */
export interface ReplicaOptions extends Configuration {
  /** Sends HTTP requests. Default: the global `fetch`. Redirects must not be followed. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** Clocks and timer; what is left out has its default. */
  clock?: Partial<Clock> | undefined;
  /** Fills the array with cryptographic randomness. Default `crypto.getRandomValues`. */
  random?: ((bytes: Uint8Array) => void) | undefined;
  /**
   * Gives the authority's credential for a principal (`undefined`: an anonymous caller), or nothing. `refused`: how the
   * authority refused the one it gave before, so that it gives another; the request is then sent once more.
   */
  credentialFor?:
    | ((
        principal: string | undefined,
        context: { readonly refused: Refused | undefined },
      ) => Credential | string | undefined | null | PromiseLike<Credential | string | undefined | null>)
    | undefined;
  /** Brings users to authorization servers, where the configuration's `authority.oauth` wants their consent. */
  authorize?: Authorizer | undefined;
  /** Keeps grants beyond the replica's life. Default: they end with it. */
  vault?: Vault | undefined;
  /** Signs where the configuration's `authority.oauth` names keys; `webCryptoSigner` makes one. */
  sign?: Signer | undefined;
  /** Hears what an operator may want to log. Never carries arguments, results or credentials. */
  onEvent?: ((event: ReplicaEvent) => void) | undefined;
  /**
   * Validates the arguments of tools: of the authority's once a list of tools was read, for as long as the list is not
   * known to have changed, and of local ones. A call with arguments that do not fit is answered here, by a result with
   * `isError`. `false`, the default of everything but `leeward/fetch`, leaves that to the authority.
   * `leeward/validate` has one.
   */
  validate?: Validator | false | undefined;
  /** Local tools, as if each were given to `replica.tool`. */
  tools?: readonly LocalTool[] | undefined;
  /** Local resources, as if each were given to `replica.resource`. */
  resources?: readonly LocalResource[] | undefined;
}

/**
 * Compiles a tool's `inputSchema`, as its definition has it. Not called again for an equal one, unless many others came
 * between. By throwing it refuses the schema, which is then not enforced, and told of by `schema_not_enforced`.
 */
export type Validator = (inputSchema: ObjectSchema) => ArgumentsCheck;

/**
 * Says what is wrong with arguments, in words that help a model to correct them, or `undefined`. At once: what it
 * returns is no promise.
 */
export type ArgumentsCheck = (args: Record<string, unknown>) => string | undefined;

/** Something an operator may want to log. New kinds may come: ignore those you do not know. */
export type ReplicaEvent =
  | {
      /** A tool of the authority's list was left out. */
      type: "tool_dropped";
      /** The tool's name. */
      name: string;
      /** Why. */
      reason: string;
    }
  | {
      /** Calls of a tool are not validated. */
      type: "schema_not_enforced";
      /** The tool's name. */
      name: string;
      /** What is wrong with its `inputSchema`. */
      reason: string;
    }
  | {
      /** The authority's protocol version was found out. */
      type: "authority_version";
      /** The version, such as `2026-07-28`. */
      version: string;
    }
  | {
      /** The authority failed so often in a row that it is not asked for a while; or it answers again. */
      type: "authority_down" | "authority_up";
    }
  | {
      /** A trip to the authority failed. */
      type: "trip_failed";
      /** The request's method. */
      method: string;
      /** The {@link ErrorCode} it was given. */
      code: string;
      /** What the agent is told. */
      message: string;
      /** What only an operator should read. */
      detail: string;
    }
  | {
      /** A result that a rule would keep was not stored. */
      type: "not_stored";
      /** The request's method. */
      method: string;
      /** Why. */
      reason: string;
    }
  | {
      /** A grant of the authority's, or what was to become one, was given up. */
      type: "grant_dropped";
      /** Why. */
      reason: string;
    }
  | {
      /** A function of this host (`fetch`, a clock, `vault`, …) failed, or the wasm behind an endpoint. */
      type: "host_failed";
      /** Which one; `handler` for what failed an endpoint's request, `wasm` after a trap. */
      what: string;
      /** What it said. */
      message: string;
      /** That of the request's answer, where it failed one request of an endpoint. */
      correlationId?: string;
    }
  | {
      /** The replica behind an endpoint could not be opened. */
      type: "start_failed";
      /** The {@link ErrorCode} that every request is answered with. */
      code: string;
      /** What is wrong. */
      message: string;
      /** The option that it is about, where it is about one. */
      field?: string;
    }
  | {
      /** Something that this version of the package has no name for. */
      type: "other";
    };

/** What a call may say about itself. */
export interface CallOptions {
  /** Gives the call up. A write that was sent goes on. */
  signal?: AbortSignal | undefined;
  /** Who the call is for, 1 to 1024 bytes; `null` for nobody in particular. Default: the configuration's principal. */
  principal?: string | null | undefined;
  /** Gives the call up after this many milliseconds (0 or more), by the host's timer. A write that was sent goes on. */
  timeoutMs?: number | undefined;
}

/** What a call for a page of a list may say about itself. */
export interface ListOptions extends CallOptions {
  /** `nextCursor` of the page before. Default: the first page. */
  cursor?: string | undefined;
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
  /** Subscriptions open: neither trips nor waiting requests. */
  subscriptions: number;
  /** Sessions of agents of the revisions before 2026-07-28. */
  sessions: number;
  /** Calls answered here because their arguments do not fit the tool's `inputSchema`. */
  invalid: number;
  /** Trips not made because the authority was taken for down, or wanted a pause. */
  withheld: number;
  /** 1 while the authority is taken for down, else 0. */
  down: number;
}

/** A tool that this process answers itself. */
export interface LocalTool extends Omit<Tool, "inputSchema"> {
  /** JSON Schema of the arguments; an object. Default: any object. */
  inputSchema?: ObjectSchema | undefined;
  /** Answers a call. A string is one text block; what is thrown is reported to the agent by its message. */
  handler: (args: Record<string, unknown>, context: LocalContext) => LocalAnswer<CallToolResult>;
  /** A rule of class `cache`, `live` (the default) or `through`. */
  rule?: RuleText | undefined;
}

/** A resource that this process answers itself. */
export interface LocalResource extends Resource {
  /** Reads it. A string is its text. */
  handler: (uri: string, context: LocalContext) => LocalAnswer<ReadResourceResult>;
  /** A rule of class `cache`, `live` (the default) or `through`. */
  rule?: RuleText | undefined;
}

/** What the handler of a local tool or resource may return. */
export type LocalAnswer<Result> = Result | string | PromiseLike<Result | string>;

/** What the handler of a local tool or resource is told besides its arguments. */
export interface LocalContext {
  /** Aborts when the replica drops the call or is closed. */
  readonly signal: AbortSignal;
}
