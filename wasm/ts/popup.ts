/** Authorization in a popup window, whose redirect comes back to a page of the program's own origin. */

import { configInvalid, isObject } from "./errors.js";
import type { Authorizer } from "./types.js";

/** What {@link popup} takes. */
export interface PopupOptions {
  /** The page that calls {@link finishPopup}, of this page's origin; may be relative to this page. */
  redirectUri: string;
  /** The window's features, as `window.open` takes them. Default: a window of 500 by 700. */
  features?: string | undefined;
  /**
   * Whether a window that seems to have been closed is waited for all the same. To a page, a window looks closed too once
   * it shows a site with the header `Cross-Origin-Opener-Policy: same-origin`: set it for authorization servers that send
   * that one. Default `false`.
   */
  ignoreClosed?: boolean | undefined;
}

/** The option `authorize` by popup windows. */
export interface Popup extends Authorizer {
  /**
   * Opens an empty window for the next authorization. Browsers let a page do so only in the user's click or key, and for
   * a few seconds after; on the way to its authorization server a request may take longer. So call it first thing in a
   * handler that may need an authorization.
   *
   * @throws `Error` with `popup_blocked` in its message, where the browser does not let it.
   */
  prepare(): void;
  /** Closes the prepared window, if it was not needed. */
  release(): void;
}

/** What pages of this origin say to each other. */
const CHANNEL = "leeward.authorization";
const FEATURES = "popup,width=500,height=700";
/** How often to look whether a window was closed. */
const LOOK_MS = 500;

/**
 * The option `authorize` for pages: shows the authorization server in a popup window.
 *
 * @example
 * ```ts
 * const authorize = popup({ redirectUri: "/signed-in.html" });
 * const replica = await Replica.open({ authority: { url, oauth: {} }, authorize, vault: browserVault() });
 *
 * button.onclick = async () => {
 *   authorize.prepare();
 *   await replica.listTools().finally(() => authorize.release());
 * };
 * ```
 * The page `signed-in.html`:
 * ```html
 * <!doctype html>
 * <title>Signing in</title>
 * <p>You may close this window.</p>
 * <script type="module">
 *   import { finishPopup } from "leeward/browser";
 *   finishPopup();
 * </script>
 * ```
 * @throws `LeewardError` `config_invalid`, for an option of the wrong type, and where there is no window.
 */
export function popup(options: PopupOptions): Popup {
  if (!isObject(options as unknown)) throw configInvalid("", "the options must be an object");
  if (typeof globalThis.window?.open !== "function") throw configInvalid("", "only a page can open a popup window");
  const { features = FEATURES, ignoreClosed = false } = options;
  if (typeof features !== "string") throw configInvalid("features", "features must be a string");
  if (typeof ignoreClosed !== "boolean") throw configInvalid("ignoreClosed", "ignoreClosed must be true or false");
  const redirectUri = ownPage(options.redirectUri);
  let prepared: Window | undefined;

  const blank = (): Window => {
    const opened = window.open("", "_blank", features);
    if (opened === null) throw new Error("popup_blocked: the browser opens no window without the user's click");
    // What is shown there must not lead this page elsewhere. So nor can this page close it, once it shows another origin.
    opened.opener = null;
    return opened;
  };
  const prepare = () => {
    if (prepared === undefined || prepared.closed) prepared = blank();
  };
  const release = () => {
    prepared?.close();
    prepared = undefined;
  };
  return {
    prepare,
    release,
    redirectUri: () => redirectUri,
    async open(url, { signal }) {
      const { protocol, searchParams } = new URL(url);
      const state = searchParams.get("state");
      // A `javascript:` URL would run as this page.
      if (state === null || !/^https?:$/.test(protocol)) throw new TypeError("no authorization URL");
      signal.throwIfAborted();
      const channel = new BroadcastChannel(CHANNEL);
      try {
        const came = redirectOf(channel, state, redirectUri);
        const shown = prepared !== undefined && !prepared.closed ? prepared : blank();
        prepared = undefined;
        shown.location.replace(url);
        return await settled(came, shown, signal, ignoreClosed);
      } finally {
        channel.close();
      }
    },
  };
}

/**
 * Ends an authorization of {@link popup}: what the page at its `redirectUri` calls. Tells the page that waits for it, takes
 * the answer out of this window's address, and closes the window.
 */
export function finishPopup(): void {
  const { href, pathname } = window.location;
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage(href);
  channel.close();
  window.history.replaceState(null, "", pathname);
  window.close();
}

/** The redirect with this state, which another page of this origin tells of. */
function redirectOf(channel: BroadcastChannel, state: string, redirectUri: string): Promise<string> {
  const { origin, pathname } = new URL(redirectUri);
  return new Promise((resolve) => {
    channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (typeof data !== "string" || !URL.canParse(data)) return;
      const url = new URL(data);
      const isOurs = url.origin === origin && url.pathname === pathname && url.searchParams.get("state") === state;
      if (isOurs) resolve(data);
    });
  });
}

/** What came, unless the window is closed or the authorization given up before. */
async function settled(
  came: Promise<string>,
  shown: Window,
  signal: AbortSignal,
  ignoreClosed: boolean,
): Promise<string> {
  let abort = () => {};
  let timer: ReturnType<typeof setInterval> | undefined;
  const over = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    let isClosed = false;
    const look = () => {
      // Once more later: what it said before it closed may still be on its way.
      if (isClosed) reject(new Error("the window was closed"));
      isClosed = shown.closed;
    };
    if (!ignoreClosed) timer = setInterval(look, LOOK_MS);
  });
  try {
    return await Promise.race([came, over]);
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", abort);
    shown.close();
  }
}

/** The absolute URL of a page of this origin. */
function ownPage(redirectUri: unknown): string {
  const { origin, href } = window.location;
  if (typeof redirectUri === "string" && URL.canParse(redirectUri, href)) {
    const url = new URL(redirectUri, href);
    if (url.origin === origin && url.hash === "") return url.href;
  }
  throw configInvalid("redirectUri", "redirectUri must be a page of this page's origin");
}
