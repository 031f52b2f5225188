// A replica in a page signs its user in by a popup, and keeps the grant in the browser.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Authority } from "../js/support/authority.mjs";
import { Issuer } from "../js/support/issuer.mjs";
import { launch } from "./chromium.mjs";
import { PACKAGE, serveSite } from "./site.mjs";

const page = (authority) => `<!doctype html><title>app</title><button>Ask</button>
  <script type="module">
    import { Replica } from "/leeward/browser.js";
    import { browserVault, popup } from "/leeward/for_browser.js";

    globalThis.skipped = 0;
    const authorize = popup({ redirectUri: "/signed-in/" });
    const replica = await Replica.open({
      authority: { url: ${JSON.stringify(authority)}, oauth: {} },
      policy: [{ tool: "echo", rule: "live" }],
      clock: { unix: () => Date.now() + skipped },
      authorize,
      vault: browserVault(),
    });
    document.querySelector("button").onclick = () => {
      authorize.prepare();
      const asked = replica.callTool("echo", { id: 7 }).finally(() => authorize.release());
      globalThis.outcome = asked.then(
        (result) => result.structuredContent.arguments,
        ({ code, data }) => ({ code, reason: data?.reason }),
      );
    };
    document.title = "ready";
  </script>`;
const CALLBACK = `<!doctype html><script type="module">
    import { finishPopup } from "/leeward/for_browser.js";
    finishPopup();
  </script>`;

test("a page signs in by a popup, once, and again when the grant has been revoked", async (t) => {
  const [authority, issuer] = [await Authority.start(), await Issuer.start()];
  authority.issuer = issuer;
  issuer.asks = true;
  const site = await serveSite({ "/": page(authority.url), "/signed-in/": CALLBACK, "/leeward/": PACKAGE });
  const browser = await launch();
  t.after(() => Promise.all([browser.close(), site.close(), authority.close(), issuer.close()]));
  const app = await (await browser.newContext()).newPage();

  const ask = async () => {
    const [shown] = await Promise.all([app.waitForEvent("popup"), app.getByText("Ask").click()]);
    return shown;
  };
  const outcome = () => app.evaluate(() => outcome);
  const load = async () => {
    await app.goto(site.url);
    await app.waitForFunction(() => document.title === "ready");
  };

  await load();
  // The user closes the window: no grant, and nothing is stuck.
  const refused = await ask();
  await refused.getByText("Allow").waitFor();
  await refused.close();
  assert.equal((await outcome()).code, "authority_auth_required");
  assert.equal(authority.requests.length, 0);

  const shown = await ask();
  await shown.getByText("Allow").click();
  assert.deepEqual(await outcome(), { id: 7 });
  const signedIn = issuer.count("/authorize");

  // The prepared window is not needed any more.
  const spare = await ask();
  assert.deepEqual(await outcome(), { id: 7 });
  if (!spare.isClosed()) await spare.waitForEvent("close");

  // Another start of the page finds the grant.
  await load();
  await ask();
  assert.deepEqual(await outcome(), { id: 7 });
  assert.equal(issuer.count("/authorize"), signedIn);

  // Revoked over there, refresh token and all, a while after: at once the same would hardly be given again.
  issuer.revokeAll();
  await app.evaluate(() => (skipped = 600_000));
  const again = await ask();
  await again.getByText("Allow").click();
  assert.deepEqual(await outcome(), { id: 7 });
  assert.equal(issuer.count("/authorize"), signedIn + 1);
});
