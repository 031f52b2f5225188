/** The handlers of local tools and resources, and those of their calls that are under way. */

import { isObject, words } from "./errors.js";
import { stringify } from "./requests.js";
import type { LocalContext, LocalResource, LocalTool } from "./types.js";

/** Hears how a call ended: with the JSON text of its result, or with what went wrong. */
export type LocalSink = (op: number, isOk: boolean, text: string) => void;

/** What one replica answers itself. */
export class Locals {
  readonly #tools = new Map<string, LocalTool>();
  readonly #resources = new Map<string, LocalResource>();
  readonly #calls = new Map<number, AbortController>();
  readonly #sink: LocalSink;

  constructor(sink: LocalSink) {
    this.#sink = sink;
  }

  /** Registers a tool, or replaces it. */
  addTool(tool: LocalTool): void {
    this.#tools.set(tool.name, tool);
  }

  /** Registers a resource, or replaces it. */
  addResource(resource: LocalResource): void {
    this.#resources.set(resource.uri, resource);
  }

  /** Calls a tool with the JSON text of its arguments. */
  callTool(op: number, name: string, args: string): void {
    this.#call(op, async (context) => {
      const tool = this.#tools.get(name);
      if (tool === undefined) throw new Error(`no handler for tool ${name}`);
      const answer: unknown = await tool.handler(JSON.parse(args) as Record<string, unknown>, context);
      return typeof answer === "string" ? { content: [{ type: "text", text: answer }] } : answer;
    });
  }

  /** Reads a resource. */
  callResource(op: number, uri: string): void {
    this.#call(op, async (context) => {
      const resource = this.#resources.get(uri);
      if (resource === undefined) throw new Error(`no handler for resource ${uri}`);
      const answer: unknown = await resource.handler(uri, context);
      if (typeof answer !== "string") return answer;
      const { mimeType } = resource;
      return { contents: [{ uri, ...(mimeType !== undefined && { mimeType }), text: answer }] };
    });
  }

  /** Tells a handler that its answer is not wanted any more. */
  abort(op: number): void {
    const controller = this.#calls.get(op);
    this.#calls.delete(op);
    controller?.abort();
  }

  /** Tells every handler, and forgets them all. */
  abortAll(reason: unknown): void {
    const controllers = [...this.#calls.values()];
    this.#calls.clear();
    this.#tools.clear();
    this.#resources.clear();
    for (const controller of controllers) controller.abort(reason);
  }

  /** Runs a handler after this turn of the loop. */
  #call(op: number, answer: (context: LocalContext) => Promise<unknown>): void {
    const controller = new AbortController();
    this.#calls.set(op, controller);
    const tell = (isOk: boolean, text: string) => {
      if (this.#calls.delete(op)) this.#sink(op, isOk, text);
    };
    Promise.resolve({ signal: controller.signal })
      .then(answer)
      .then((result) => {
        if (!isObject(result)) throw new TypeError("the handler must return a result object or a string");
        const json = stringify("the handler's result", result);
        if (json === undefined) throw new TypeError("the handler's result is no JSON");
        return json;
      })
      .then(
        (json) => tell(true, json),
        (error: unknown) => tell(false, said(error)),
      );
  }
}

/** What a handler's error says to the agent: its message, where it has one. */
function said(error: unknown): string {
  try {
    if (error instanceof Error && typeof error.message === "string") return error.message;
  } catch {
    // An error that cannot be read has no message.
  }
  return words(error);
}
