/** Authorization by the system's browser, whose redirect comes to a listener on this machine: RFC 8252, section 7.3. */

import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { env, platform } from "node:process";

import { configInvalid, isObject } from "./errors.js";
import type { AuthorizationContext, Authorizer } from "./types.js";

/** What {@link loopback} takes. */
export interface LoopbackOptions {
  /**
   * Brings a browser to the URL, and may wait until it is back. Default: starts the system's browser. What it gives is
   * not looked at; by failing it ends the authorization.
   */
  open?: ((url: string, context: AuthorizationContext) => unknown) | undefined;
  /** The port of the redirect URI, for servers that do not let it vary. Default: any that is free. */
  port?: number | undefined;
  /** How long to wait for the user, in milliseconds, 1 to 2,147,483,647. Default 5 minutes. */
  timeoutMs?: number | undefined;
}

/** Literal, since the name `localhost` may be another machine's (RFC 8252, section 8.3). */
const HOST = "127.0.0.1";
const PATH = "/callback";
const DEFAULT_TIMEOUT_MS = 300_000;
const MAX_TIMEOUT_MS = 0x7fff_ffff;
/** Browsers open a few at once. */
const MAX_CONNECTIONS = 32;

/**
 * The option `authorize` for programs on the user's own machine: opens the system's browser, and listens on 127.0.0.1 for
 * its redirect, only while an authorization is under way. A request with another `state` than one that is waited for is
 * refused and changes nothing.
 *
 * @throws `LeewardError` `config_invalid`, for an option of the wrong type.
 */
export function loopback(options: LoopbackOptions = {}): Authorizer {
  if (!isObject(options as unknown)) throw configInvalid("", "the options must be an object");
  const { open = systemBrowser, port = 0, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  if (typeof open !== "function") throw configInvalid("open", "open must be a function");
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw configInvalid("port", "port must be a port");
  if (!(typeof timeoutMs === "number" && timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw configInvalid("timeoutMs", `timeoutMs must be a number from 1 to ${MAX_TIMEOUT_MS}`);
  }
  const listeners = new Listeners();
  return {
    async redirectUri() {
      return listeners.use(port, (listener) => {
        listener.reserve(timeoutMs);
        return `http://${HOST}:${listener.port}${PATH}`;
      });
    },
    async open(url, context) {
      const { searchParams, protocol } = new URL(url);
      const state = searchParams.get("state");
      // Nothing else may reach a command that opens whatever it is given.
      if (state === null || !/^https?:$/.test(protocol)) throw new TypeError("no authorization URL");
      const redirect = new URL(searchParams.get("redirect_uri") ?? "");
      if (redirect.protocol !== "http:" || redirect.hostname !== HOST) {
        throw new TypeError(`redirects are received at http://${HOST} alone`);
      }
      return listeners.use(Number(redirect.port || 80), async (listener) => {
        const came = listener.wait(state, redirect.pathname, timeoutMs, context.signal);
        const opened = (async () => {
          // It may have been given up while the listener was started.
          context.signal.throwIfAborted();
          return open(url, context);
        })();
        try {
          return await Promise.race([came, opened.then(() => came)]);
        } finally {
          listener.forget(state);
        }
      });
    },
  };
}

/** The listeners of one program, by port; each is closed when nothing is under way there. */
class Listeners {
  readonly #open = new Map<number, Promise<Listener>>();
  #closed: Promise<unknown> = Promise.resolve();

  /** Uses the listener at a port (0: at any), which closes when it is idle after that. */
  async use<Value>(port: number, action: (listener: Listener) => Value): Promise<Awaited<Value>> {
    for (;;) {
      const listener = await this.#at(port);
      // It may have closed since it was found.
      if (!listener.isClosed) return await action(listener);
    }
  }

  #at(port: number): Promise<Listener> {
    const known = this.#open.get(port);
    if (known !== undefined) return known;
    const onClose = (closed: Promise<void>) => {
      for (const [at, listener] of this.#open) if (listener === starting) this.#open.delete(at);
      this.#closed = closed;
    };
    const starting = this.#closed.then(() => Listener.start(port, onClose));
    this.#open.set(port, starting);
    starting.then(
      // By its own port too: the URL of the authorization says that one.
      (listener) => this.#open.set(listener.port, starting),
      () => this.#open.delete(port),
    );
    return starting;
  }
}

/** One port, and what is waited for there. */
class Listener {
  readonly port: number;
  isClosed = false;
  readonly #server: Server;
  readonly #onClose: (closed: Promise<void>) => void;
  readonly #waiting = new Map<string, { path: string; came: (url: string) => void; stop: () => void }>();
  readonly #reserved: ReturnType<typeof setTimeout>[] = [];

  private constructor(server: Server, onClose: (closed: Promise<void>) => void) {
    this.#server = server;
    this.#onClose = onClose;
    this.port = server.address().port;
  }

  static start(port: number, onClose: (closed: Promise<void>) => void): Promise<Listener> {
    return new Promise((resolve, reject) => {
      let listener: Listener | undefined;
      const server = createServer((request, response) => listener?.serve(request, response));
      server.maxConnections = MAX_CONNECTIONS;
      server.once("error", reject);
      server.listen(port, HOST, () => resolve((listener = new Listener(server, onClose))));
    });
  }

  /** Stays open for an authorization that is about to begin. */
  reserve(timeoutMs: number): void {
    const timer = setTimeout(() => {
      this.#reserved.splice(this.#reserved.indexOf(timer), 1);
      this.#closeIfIdle();
    }, timeoutMs);
    this.#reserved.push(timer);
    this.#hold();
  }

  /** The URL of the redirect with this state. */
  wait(state: string, path: string, timeoutMs: number, signal: AbortSignal): Promise<string> {
    clearTimeout(this.#reserved.shift());
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      const timer = setTimeout(() => reject(new Error(`no redirect came within ${timeoutMs} ms`)), timeoutMs);
      const stop = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
      };
      this.#waiting.set(state, { path, came: resolve, stop });
      this.#hold();
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
    });
  }

  /** Waits for that one no longer. */
  forget(state: string): void {
    this.#waiting.get(state)?.stop();
    this.#waiting.delete(state);
    this.#closeIfIdle();
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    const { host } = new URL(`http://${HOST}:${this.port}`);
    // A page elsewhere can have its own name lead here, but not say another one.
    if (request.headers.host !== host) return answer(response, 421, "This is not the address.");
    if (request.method !== "GET") return answer(response, 405, "A browser is expected here.");
    const text = `http://${host}${request.url}`;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const expected = this.#waiting.get(url?.searchParams.get("state") ?? "");
    if (url === undefined || expected?.path !== url.pathname) return answer(response, 404, "Nobody waits for this.");
    const isDenied = url.searchParams.has("error");
    // Told when the page has been sent: the process may end with what is waited for.
    response.once("close", () => expected.came(url.href));
    answer(response, 200, isDenied ? "You are not signed in." : "You are signed in.");
  }

  /** A listener keeps the process alive only while somebody is waited for. */
  #hold(): void {
    if (this.#waiting.size > 0) this.#server.ref();
    else this.#server.unref();
    for (const timer of this.#reserved) (timer as unknown as { unref?: () => void }).unref?.();
  }

  #closeIfIdle(): void {
    if (this.#waiting.size + this.#reserved.length > 0) return this.#hold();
    if (this.isClosed) return;
    this.isClosed = true;
    this.#onClose(new Promise((resolve) => this.#server.close(resolve)));
    this.#server.closeAllConnections();
  }
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    connection: "close",
  });
  response.end(`<!doctype html><title>Leeward</title><p>${text} You may close this window.</p>\n`);
}

/** Starts the system's browser: its command, with the URL as an argument that no shell reads. */
function systemBrowser(url: string): Promise<void> {
  const [command = "", ...args] = browserCommand();
  return new Promise((resolve, reject) => {
    const fail = (cause?: Error) =>
      reject(new Error(`no browser could be opened by ${command}: give the option open`, { cause }));
    const child = spawn(command, [...args, url], { detached: true, stdio: "ignore" });
    child.once("error", fail);
    child.once("exit", (status) => (status === 0 ? resolve() : fail()));
    child.unref();
  });
}

function browserCommand(): string[] {
  switch (platform) {
    case "darwin":
      return ["/usr/bin/open"];
    case "win32":
      return [`${env["SystemRoot"] ?? "C:\\Windows"}\\System32\\rundll32.exe`, "url.dll,FileProtocolHandler"];
    default:
      return ["xdg-open"];
  }
}
