/// <reference lib="esnext.disposable" preserve="true" />
/** The replica as an agent's program sees it. */

import { Answers } from "./answers.js";
import { ASK, ERRAND, SERVED, type Border } from "./border.js";
import { checked, local, optional, typed, within } from "./checks.js";
import { LeewardError, cancelled, invalidParams } from "./errors.js";
import { queryOf } from "./hooks.js";
import { Host } from "./host.js";
import { settings } from "./options.js";
import * as requests from "./requests.js";
import { ReplicaTransport } from "./transport.js";
import type {
  CallOptions,
  CallToolResult,
  CompleteResult,
  DiscoverResult,
  GetPromptResult,
  ListOptions,
  ListPromptsResult,
  ListResourceTemplatesResult,
  ListResourcesResult,
  ListToolsResult,
  LocalResource,
  LocalTool,
  ReadResourceResult,
  ReplicaOptions,
  Result,
  Stats,
  WithCache,
} from "./types.js";

/** Methods whose results carry the remaining freshness as `ttlMs`. */
const HAS_TTL = new Set([
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
]);
/** The counters in the order of `Engine.stats`. */
const COUNTERS = [
  "hits",
  "misses",
  "stale",
  "collapsed",
  "bypassed",
  "stored",
  "evicted",
  "entries",
  "bytes",
  "flights",
  "waiters",
  "subscriptions",
  "sessions",
  "invalid",
  "withheld",
  "down",
] as const;

const encoder = new TextEncoder();

/**
 * What is under way for a replica: for the endpoint of this package, not for programs.
 *
 * @internal
 */
export let hostOf: (replica: Replica) => Host;

/**
 * A replica, as by `Replica.open`, that keeps sessions of session-era agents or does not: for the endpoint of this
 * package, not for programs.
 *
 * @internal
 */
export let openReplica: (options: ReplicaOptions, sessions: boolean) => Promise<Replica>;

/**
 * A replica of an MCP server in this process: it answers from its cache what its policy lets it keep, and asks
 * the authority for the rest. Results are shared between calls and frozen; copy one before changing it.
 *
 * Every method may fail with a {@link LeewardError}: by rejecting if it returns a promise, by throwing if not. Its code
 * is `closed` after {@link Replica.close}. A request may fail with `invalid_params` (an argument of the wrong type),
 * `denied_by_policy`, `cancelled` (by `signal` or `timeoutMs`), `over_budget` (a limit was reached), the `authority_*`
 * codes and `rate_limited` (the authority gives no answer, or none that can be used), and with a {@link McpError} of
 * the authority itself.
 *
 * @example
 * ```ts
 * const replica = await Replica.open({
 *   authority: "https://crm.example/mcp",
 *   policy: [{ tool: "get_*", rule: "cache; max-age=60" }],
 * });
 * const ticket = await replica.callTool("get_ticket", { id: "PROJ-123" });
 * ```
 */
export class Replica {
  static {
    hostOf = (replica) => replica.#host;
    openReplica = Replica.#open;
  }

  readonly #host: Host;
  readonly #principal: string | null;
  readonly #answers = new Answers();
  /** The last principal in UTF-8: most programs speak for one. */
  #caller: { readonly name: string; readonly bytes: Uint8Array } | undefined;

  private constructor(host: Host, principal: string | null) {
    this.#host = host;
    this.#principal = principal;
    host.onEnd(() => this.#answers.clear());
  }

  /**
   * Opens a replica. Nothing is sent before the first request.
   *
   * @param options The configuration, and what the host replaces. Default: no authority, so that only local tools and
   * resources answer.
   * @throws {@link LeewardError} `config_invalid`, with `data.field` naming the option, or `module` where the wasm
   * is not the package's own or cannot be compiled here; `module_unavailable`, where it cannot be read or fetched.
   */
  static async open(options: ReplicaOptions = {}): Promise<Replica> {
    return Replica.#open(options, true);
  }

  static async #open(options: ReplicaOptions, sessions: boolean): Promise<Replica> {
    const checked = settings(options);
    const replica = new Replica(await Host.open(checked, sessions), checked.principal);
    try {
      for (const [at, tool] of checked.tools.entries()) within(`tools[${at}]`, () => replica.tool(tool));
      for (const [at, resource] of checked.resources.entries()) {
        within(`resources[${at}]`, () => replica.resource(resource));
      }
    } catch (error) {
      await replica.close();
      throw error;
    }
    return replica;
  }

  /**
   * A transport for `client.connect` of the official SDK, versions 1 and 2. Each client needs its own. One that begins
   * with `initialize` listens for what changes at the authority: close it, or a process may not end by itself.
   *
   * @param options `principal`: who the client speaks for, as in {@link CallOptions}.
   *
   * @example
   * ```ts
   * await client.connect(replica.transport({ principal: "ann" }));
   * ```
   */
  transport(options?: Pick<CallOptions, "principal">): ReplicaTransport {
    this.#host.border.call(() => {});
    return new ReplicaTransport(this.#host, this.#callerOf(options));
  }

  /**
   * Calls a tool. A failure of the tool itself is a result with `isError`.
   *
   * @param name The tool's name.
   * @param args Its arguments, an object that JSON can hold. Default: none.
   * @throws {@link LeewardError} `unknown_outcome` if a write was sent and nobody knows whether it took effect; else as
   * {@link Replica} says.
   */
  callTool(name: string, args?: object, options?: CallOptions): Promise<CallToolResult> {
    return this.#ask(() => requests.toolCall(name, args), options, (border) =>
      this.#answers.result<CallToolResult>(border, false),
    );
  }

  /**
   * Calls a tool, and says how the cache took part.
   *
   * @throws As {@link Replica.callTool}.
   *
   * @example
   * ```ts
   * const { result, cache } = await replica.callToolWithCache("get_ticket", { id: "PROJ-123" });
   * cache.status; // "hit"
   * ```
   */
  callToolWithCache(name: string, args?: object, options?: CallOptions): Promise<WithCache<CallToolResult>> {
    return this.#ask(() => requests.toolCall(name, args), options, (border) =>
      this.#answers.resultWithCache<CallToolResult>(border, false),
    );
  }

  /**
   * What a call of the tool would give at once: the fresh result, or undefined. Sends nothing.
   *
   * @throws {@link LeewardError} `invalid_params` or `closed`.
   */
  peekTool(name: string, args?: object, options?: Pick<CallOptions, "principal">): CallToolResult | undefined {
    return this.#peek(requests.toolCall(name, args), options, false);
  }

  /** Reads a resource. */
  readResource(uri: string, options?: CallOptions): Promise<ReadResourceResult> {
    return this.#ask(() => requests.resourceRead(uri), options, (border) =>
      this.#answers.result<ReadResourceResult>(border, true),
    );
  }

  /** Reads a resource, and says how the cache took part. */
  readResourceWithCache(uri: string, options?: CallOptions): Promise<WithCache<ReadResourceResult>> {
    return this.#ask(() => requests.resourceRead(uri), options, (border) =>
      this.#answers.resultWithCache<ReadResourceResult>(border, true),
    );
  }

  /**
   * What a read of the resource would give at once: the fresh result, or undefined. Sends nothing.
   *
   * @throws As {@link Replica.peekTool}.
   */
  peekResource(uri: string, options?: Pick<CallOptions, "principal">): ReadResourceResult | undefined {
    return this.#peek(requests.resourceRead(uri), options, true);
  }

  /** A page of the tools, local ones among them: the first page, or the one behind `cursor`. */
  listTools(options?: ListOptions): Promise<ListToolsResult> {
    return this.#list("tools/list", options);
  }

  /** A page of the resources. */
  listResources(options?: ListOptions): Promise<ListResourcesResult> {
    return this.#list("resources/list", options);
  }

  /** A page of the resource templates. */
  listResourceTemplates(options?: ListOptions): Promise<ListResourceTemplatesResult> {
    return this.#list("resources/templates/list", options);
  }

  /** A page of the prompts. */
  listPrompts(options?: ListOptions): Promise<ListPromptsResult> {
    return this.#list("prompts/list", options);
  }

  /** A prompt with its arguments filled in. */
  getPrompt(name: string, args?: Record<string, string>, options?: CallOptions): Promise<GetPromptResult> {
    return this.request("prompts/get", args === undefined ? { name } : { name, arguments: args }, options);
  }

  /** Proposals for an argument of a prompt or a resource template. */
  complete(
    params: {
      ref: { type: "ref/prompt"; name: string } | { type: "ref/resource"; uri: string };
      argument: { name: string; value: string };
      context?: { arguments?: Record<string, string> };
    },
    options?: CallOptions,
  ): Promise<CompleteResult> {
    return this.request("completion/complete", params, options);
  }

  /** What can be asked for here. */
  discover(options?: CallOptions): Promise<DiscoverResult> {
    return this.request("server/discover", undefined, options);
  }

  /**
   * Any request of the stateless revision.
   *
   * @typeParam Answer The shape of its result, which nothing checks.
   * @param method The method, such as `prompts/list`.
   * @param params Its parameters, an object that JSON can hold. Default: none.
   */
  request<Answer = Result>(method: string, params?: object, options?: CallOptions): Promise<Answer> {
    const hasTtl = HAS_TTL.has(method);
    return this.#ask(() => requests.request(method, params), options, (border) =>
      this.#answers.result<Answer>(border, hasTtl),
    );
  }

  /**
   * Any request as by {@link Replica.request}, and how the cache took part.
   *
   * @typeParam Answer The shape of its result, which nothing checks.
   */
  requestWithCache<Answer = Result>(
    method: string,
    params?: object,
    options?: CallOptions,
  ): Promise<WithCache<Answer>> {
    const hasTtl = HAS_TTL.has(method);
    return this.#ask(() => requests.request(method, params), options, (border) =>
      this.#answers.resultWithCache<Answer>(border, hasTtl),
    );
  }

  /**
   * Adds a tool that this process answers itself, or replaces one. Agents see it beside the authority's.
   *
   * @example
   * ```ts
   * replica.tool({ name: "now", handler: () => new Date().toISOString() });
   * ```
   * @throws {@link LeewardError} `invalid_params` for a bad definition, `config_invalid` for a bad rule.
   */
  tool(tool: LocalTool): void {
    const { rule, definition } = local("tool", tool);
    if (definition["inputSchema"] === undefined) definition["inputSchema"] = { type: "object" };
    const text = requests.stringify("the tool", definition) ?? "";
    this.#host.border.call((engine) => engine.registerTool(text, rule));
    this.#host.locals.addTool(tool);
    this.#host.pump();
  }

  /**
   * Adds a resource that this process answers itself, or replaces one.
   *
   * @throws As {@link Replica.tool}.
   */
  resource(resource: LocalResource): void {
    const { rule, definition } = local("resource", resource);
    const text = requests.stringify("the resource", definition) ?? "";
    this.#host.border.call((engine) => engine.registerResource(text, rule));
    this.#host.locals.addResource(resource);
    this.#host.pump();
  }

  /** Makes everything stored stale at once. No answer that was asked for before becomes visible after. */
  invalidate(): void {
    this.#host.border.call((engine) => engine.invalidate());
    this.#answers.clear();
    this.#host.pump();
  }

  /**
   * Takes the redirect of an authorization that `authorize.open` answered with a link; resolves once its grant is kept.
   * Each redirect is taken once, within 10 minutes. The grant is that of the principal for whom `open` was given the
   * `state` of this redirect, whoever's browser brings it: say whose that is, or somebody may be led to sign in for
   * another one.
   *
   * @param callbackUrl The whole URL that the browser was redirected to.
   * @param options `principal`: who came back (`null`: an anonymous caller); an authorization of anybody else's is
   * refused, and over. Without it, take redirects only from browsers that you know to be the right principal's.
   * @throws {@link LeewardError} `invalid_params` if it is no URL; `authority_auth_required`, with `data.reason`, if
   * nobody waits for it or the authorization server gave no grant.
   */
  async finishAuthorization(callbackUrl: string, options?: Pick<CallOptions, "principal">): Promise<void> {
    let query: string;
    try {
      query = queryOf(callbackUrl, "callbackUrl must be the URL of a redirect");
    } catch (error) {
      throw invalidParams((error as Error).message);
    }
    const { principal } = optional(options);
    if (principal !== undefined) {
      this.#callerOf(options);
      query += principal === null ? "\n" : `\n=${principal}`;
    }
    await this.#host.errand(ERRAND.CALLBACK, query);
  }

  /**
   * Revokes a principal's grant at its authorization server, where that can be done, and forgets it.
   *
   * @throws {@link LeewardError} `invalid_params`.
   */
  async signOut(options?: Pick<CallOptions, "principal">): Promise<void> {
    const { principal = this.#principal } = optional(options);
    this.#callerOf(options);
    await this.#host.errand(principal === null ? ERRAND.SIGN_OUT_ANONYMOUS : ERRAND.SIGN_OUT, principal ?? "");
  }

  /** Counters since the start, and what is held now. */
  stats(): Stats {
    const values = this.#host.border.call((engine) => engine.stats());
    return Object.fromEntries(COUNTERS.map((name, at) => [name, values[at] ?? 0])) as unknown as Stats;
  }

  /**
   * Closes the replica: whoever waits is told `closed`, trips and timers end, and its memory is freed, at once; resolves
   * when the vault has kept what it was given. Once is enough; again does nothing.
   */
  async close(): Promise<void> {
    await this.#host.close();
  }

  #list<Answer>(method: string, options?: ListOptions): Promise<Answer> {
    return this.#ask(() => requests.request(method, { cursor: options?.cursor }), options, (border) =>
      this.#answers.result<Answer>(border, true),
    );
  }

  /** Asks the replica, and waits if need be. `take` reads the answer from the output buffer. */
  #ask<Answer>(
    message: () => string,
    options: CallOptions | undefined,
    take: (border: Border) => Answer,
  ): Promise<Answer> {
    const host = this.#host;
    try {
      const { signal, timeoutMs } = checked(options);
      if (signal?.aborted) throw cancelled("the call was given up", signal.reason);
      const caller = this.#callerOf(options);
      switch (host.serve(message(), caller, undefined, 0, 0)) {
        case SERVED.REPLY:
          return Promise.resolve(take(host.border));
        case SERVED.WAIT:
          return this.#wait(signal, timeoutMs, take);
        default:
          throw invalidParams("only requests are answered, and this is a notification");
      }
    } catch (error) {
      return Promise.reject(typed(error));
    } finally {
      host.pump();
    }
  }

  #wait<Answer>(
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    take: (border: Border) => Answer,
  ): Promise<Answer> {
    const host = this.#host;
    const ticket = host.border.call((engine) => engine.ticket());
    return new Promise((resolve, reject) => {
      let forgetTimeout: (() => void) | undefined;
      let isDone = false;
      const done = () => {
        isDone = true;
        forgetTimeout?.();
        try {
          signal?.removeEventListener("abort", abort);
        } catch {
          // No runtime's own signal. Should it call yet, the call is settled and its ticket unknown.
        }
      };
      const giveUp = (error: LeewardError) => {
        done();
        reject(error);
        host.cancel(ticket);
      };
      const abort = () => giveUp(cancelled("the call was given up", signal?.reason));
      host.wait(ticket, {
        message: (border, last) => {
          // Progress and log messages were not asked for by a direct call.
          if (!last) return;
          // Read first: the host's timers and signals may call back, and the output is then another answer.
          try {
            resolve(take(border));
          } catch (error) {
            reject(typed(error));
          }
          done();
        },
        fail: (error) => {
          done();
          reject(error);
        },
      });
      try {
        signal?.addEventListener("abort", abort, { once: true });
      } catch (cause) {
        giveUp(invalidParams("signal must be an AbortSignal", cause));
      }
      if (timeoutMs !== undefined) {
        const late = () => giveUp(cancelled(`no answer within ${timeoutMs} ms`, undefined));
        forgetTimeout = host.after(timeoutMs, late);
        // A host may close the replica while it is asked for a timer.
        if (isDone) forgetTimeout();
      }
    });
  }

  #peek<Answer>(
    message: string,
    options: Pick<CallOptions, "principal"> | undefined,
    hasTtl: boolean,
  ): Answer | undefined {
    try {
      const served = this.#host.serve(message, this.#callerOf(options), undefined, 0, ASK.PEEK);
      return served === SERVED.REPLY ? this.#answers.result(this.#host.border, hasTtl) : undefined;
    } finally {
      this.#host.pump();
    }
  }

  #callerOf(options: Pick<CallOptions, "principal"> | undefined): Uint8Array | undefined {
    const { principal: name = this.#principal } = optional(options);
    if (name === null) return undefined;
    if (name === this.#caller?.name) return this.#caller.bytes;
    if (typeof name !== "string") throw invalidParams("principal must be a string or null");
    // In UTF-8 all lone surrogates are one character, and so would be the principals that differ in them.
    if (/\p{Surrogate}/u.test(name)) throw invalidParams("principal is not valid Unicode");
    this.#caller = { name, bytes: encoder.encode(name) };
    return this.#caller.bytes;
  }
}

/** Closing by scope: `await using replica = await Replica.open(…)`. */
export interface Replica {
  /** As {@link Replica.close}, by `using`. */
  [Symbol.dispose](): void;
  /** As {@link Replica.close}, by `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

// Some browsers have no such symbols yet, and a class body would then define members named "undefined".
for (const symbol of [Symbol.dispose, Symbol.asyncDispose] as (symbol | undefined)[]) {
  if (symbol === undefined) continue;
  Object.defineProperty(Replica.prototype, symbol, {
    value(this: Replica) {
      return this.close();
    },
  });
}
