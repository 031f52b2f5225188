// A replica of the protected authority, its users' browsers, and one clock for all of them.

import assert from "node:assert/strict";
import { mock } from "node:test";

import { createHandler } from "../../../wasm/dist/fetch.js";
import { ManualClock } from "../../js/support/clock.mjs";
import { LeewardError, Replica } from "../../js/support/leeward.mjs";
import { Browser } from "./browser.mjs";
import { startProtected } from "./protected.mjs";
import { REDIRECT, startProvider } from "./provider.mjs";

const POLICY = [{ tool: "get_ticket", rule: "cache; max-age=86400; stale-if-error=86400" }];

// The provider and the authority's checks read the system's clock: in this process it stands still, too, until told.
mock.timers.enable({ apis: ["Date"], now: Date.now() });

class SharedClock extends ManualClock {
  unix() {
    return Date.now();
  }

  advance(ms) {
    mock.timers.tick(ms);
    super.advance(ms);
  }
}

/**
 * Everything but a replica: a provider (`startProvider`'s options), the authority (`flags` of its command line), a
 * browser for each principal, a vault. `open` opens a replica between them, as often as asked; `serve` a handler of
 * `leeward/fetch`.
 */
export async function world(t, { flags = [], ...options } = {}) {
  const provider = await startProvider(t, options);
  const authority = await startProtected(t, provider, ...flags);
  const clock = new SharedClock();
  const vault = new Map();
  const browsers = new Map();
  const browser = (principal) => {
    if (!browsers.has(principal)) browsers.set(principal, new Browser(principal));
    return browsers.get(principal);
  };
  const said = [];
  // What is a secret, by the provider's own word, is in nothing that a replica says.
  t.after(() => {
    for (const secret of provider.secrets()) assert.ok(!said.some((text) => text.includes(secret)), secret);
  });

  const settings = ({ oauth = {}, ...options }) => ({
    authority: { url: authority.url, oauth },
    policy: POLICY,
    clock,
    vault,
    authorize: {
      redirectUri: () => REDIRECT,
      open: (url, { principal }) => browser(principal).follow(url),
    },
    onEvent: (event) => said.push(JSON.stringify(event)),
    ...options,
  });

  async function open(options = {}) {
    const replica = await Replica.open({ principal: "ann", ...settings(options) });
    t.after(() => replica.close());
    return replica;
  }

  function serve(options) {
    const handler = createHandler(settings(options));
    t.after(() => handler.close());
    return handler;
  }

  /** Asserts that something is refused for want of authorization, and for which reason; gives the error's data. */
  async function refused(reason, action) {
    const error = await action.then(
      () => assert.fail("no error"),
      (error) => error,
    );
    assert.ok(error instanceof LeewardError, `${error.stack}`);
    said.push(error.message, JSON.stringify(error.data ?? null));
    assert.equal(error.code, "authority_auth_required", error.message);
    assert.equal(error.data.reason, reason, error.message);
    return error.data;
  }

  return { provider, authority, clock, vault, browser, open, serve, refused };
}

/** Asks for a ticket; gives the number of times that it was really asked for, and where the answer came from. */
export async function ticket(replica, id = "A", options = {}) {
  const { result, cache } = await replica.callToolWithCache("get_ticket", { id }, options);
  return { calls: result.structuredContent.calls, from: cache.status };
}

/** Changes a ticket's title, for which the wider scope is needed. */
export const retitle = (replica, title, options = {}) =>
  replica.callTool("update_ticket", { id: "A", title }, options);
