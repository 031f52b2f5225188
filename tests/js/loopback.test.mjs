// `loopback` of `leeward/node`: a listener while an authorization is under way, and a browser that comes to it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { request } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { loopback } from "../../wasm/dist/for_node.js";
import { fails, watchRejections } from "./support/index.mjs";

const never = () => new Promise(() => {});
const context = (signal = new AbortController().signal) => ({ principal: "ann", signal });
/** An authorization URL for a redirect URI. */
const page = (redirect, state = "s1") =>
  `https://as.example/authorize?state=${state}&redirect_uri=${encodeURIComponent(redirect)}`;
const isListening = (uri) =>
  new Promise((resolve) => {
    const socket = connect(new URL(uri).port, "127.0.0.1");
    socket.on("connect", () => (socket.destroy(), resolve(true))).on("error", () => resolve(false));
  });

/** An `open` that does this, and `done`: when it has, which may be after the redirect has come. */
function opener(action) {
  let finish;
  const done = new Promise((resolve) => (finish = resolve));
  return { done, open: (...given) => action(...given).finally(finish) };
}

/** A browser that is sent back with this query. */
const browser = (query) => async (url) => {
  const response = await fetch(`${new URL(url).searchParams.get("redirect_uri")}?${query}`);
  return { status: response.status, text: await response.text(), headers: response.headers };
};

test("the redirect comes back whole, and the listener is gone then", async (t) => {
  watchRejections(t);
  const told = [];
  const { open, done } = opener(async (url, { principal, signal }) => {
    told.push(url, principal, signal.aborted, await browser("code=a%26b&state=s1&iss=https%3A%2F%2Fas.example")(url));
  });
  const authorize = loopback({ open });
  const uri = await authorize.redirectUri(context());
  assert.match(uri, /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  assert.ok(await isListening(uri));
  const came = await authorize.open(page(uri), context());
  assert.equal(came, `${uri}?code=a%26b&state=s1&iss=https%3A%2F%2Fas.example`);
  await done;
  assert.deepEqual(told.slice(0, 3), [page(uri), "ann", false]);
  assert.equal(await isListening(uri), false);
});

test("the page says what came of it and repeats nothing", async () => {
  for (const [query, words] of [
    ["code=secret&state=s1", /You are signed in/],
    ["error=access_denied&error_description=secret&state=s1", /You are not signed in/],
  ]) {
    let shown;
    const { open, done } = opener(async (url) => void (shown = await browser(query)(url)));
    const authorize = loopback({ open });
    await authorize.open(page(await authorize.redirectUri(context())), context());
    await done;
    assert.equal(shown.status, 200);
    assert.match(shown.text, words);
    assert.doesNotMatch(shown.text, /secret|s1|<script/);
    assert.equal(shown.headers.get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert.equal(shown.headers.get("referrer-policy"), "no-referrer");
    assert.equal(shown.headers.get("cache-control"), "no-store");
  }
});

test("what nobody waits for is refused, and the wait goes on", async () => {
  const statuses = [];
  const { open, done } = opener(async (url) => {
    const { port } = new URL(new URL(url).searchParams.get("redirect_uri"));
    const status = (path, { method = "GET", host = `127.0.0.1:${port}` } = {}) =>
      new Promise((resolve, reject) => {
        const sent = request({ host: "127.0.0.1", port, path, method, headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.on("error", reject).end();
      });
    statuses.push(
      await status("/callback?code=x&state=s2"),
      await status("/callback?code=x"),
      await status("/callback"),
      await status("/other?code=x&state=s1"),
      await status("//callback?code=x&state=s1"),
      await status(`http://evil.example:port/callback?code=x&state=s1`),
      await status("/callback?code=x&state=s1", { method: "POST" }),
      await status("/callback?code=x&state=s1", { host: `evil.example:${port}` }),
      await status("/callback?code=right&state=s1"),
    );
  });
  const authorize = loopback({ open });
  const uri = await authorize.redirectUri(context());
  assert.equal(await authorize.open(page(uri), context()), `${uri}?code=right&state=s1`);
  await done;
  assert.deepEqual(statuses, [404, 404, 404, 404, 404, 404, 405, 421, 200]);
});

test("two authorizations at a time share a port, and each gets its own", async () => {
  const arrived = [];
  let both;
  const ready = new Promise((resolve) => (both = resolve));
  const open = async (url) => {
    arrived.push(url);
    if (arrived.length === 2) both();
    await ready;
    // The other way round.
    const state = new URL(url).searchParams.get("state") === "s1" ? "s2" : "s1";
    await browser(`code=of-${state}&state=${state}`)(url);
    await never();
  };
  const authorize = loopback({ open });
  const [first, second] = [await authorize.redirectUri(context()), await authorize.redirectUri(context())];
  assert.equal(first, second);
  const came = await Promise.all([
    authorize.open(page(first, "s1"), context()),
    authorize.open(page(second, "s2"), context()),
  ]);
  assert.deepEqual(came, [`${first}?code=of-s1&state=s1`, `${first}?code=of-s2&state=s2`]);
  assert.equal(await isListening(first), false);
});

test("of two redirects one counts", async () => {
  const { open, done } = opener((url) => Promise.all([1, 2].map((code) => browser(`code=${code}&state=s1`)(url).catch(() => {}))));
  const authorize = loopback({ open });
  const uri = await authorize.redirectUri(context());
  assert.match(await authorize.open(page(uri), context()), /\?code=[12]&state=s1$/);
  await done;
});

test("who gives up ends the listener, and so does a browser that does not open", async (t) => {
  watchRejections(t);
  const why = new Error("given up");
  const controller = new AbortController();
  let authorize = loopback({ open: () => controller.abort(why) });
  let uri = await authorize.redirectUri(context());
  await assert.rejects(authorize.open(page(uri), context(controller.signal)), why);
  assert.equal(await isListening(uri), false);
  let opened = 0;
  authorize = loopback({ open: () => (opened += 1) });
  uri = await authorize.redirectUri(context());
  await assert.rejects(authorize.open(page(uri), context(AbortSignal.abort(why))), why);
  assert.equal(opened, 0, "no browser opens for what was given up");
  assert.equal(await isListening(uri), false);

  for (const open of [() => Promise.reject(why), () => { throw why; }]) {
    authorize = loopback({ open });
    uri = await authorize.redirectUri(context());
    await assert.rejects(authorize.open(page(uri), context()), why);
    assert.equal(await isListening(uri), false);
  }
});

test("a user who does not come back is waited for so long, and so is an authorization that does not begin", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const authorize = loopback({ open: never, timeoutMs: 1000 });
  const uri = await authorize.redirectUri(context());
  let began;
  const started = new Promise((resolve) => (began = resolve));
  const other = loopback({ open: () => (began(), never()), timeoutMs: 1000 });
  const waiting = other.open(page(await other.redirectUri(context())), context());
  await started;
  t.mock.timers.tick(999);
  assert.ok(await isListening(uri));
  t.mock.timers.tick(1);
  await assert.rejects(waiting, /no redirect came within 1000 ms/);
  assert.equal(await isListening(uri), false);
});

test("a port of one's own is kept to, again and again, and a redirect URI of the configuration is listened at", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  const authorize = loopback({ port, open: browser("code=x&state=s1") });
  await assert.rejects(async () => authorize.redirectUri(context()), { code: "EADDRINUSE" });
  probe.close();
  await once(probe, "close");
  for (let n = 0; n < 3; n += 1) {
    const uri = await authorize.redirectUri(context());
    assert.equal(uri, `http://127.0.0.1:${port}/callback`);
    assert.equal(await authorize.open(page(uri), context()), `${uri}?code=x&state=s1`);
  }
  const configured = `http://127.0.0.1:${port}/signed-in`;
  assert.equal(await loopback({ open: browser("code=x&state=s1") }).open(page(configured), context()), `${configured}?code=x&state=s1`);
});

test("what is no authorization with a redirect to here opens nothing", async () => {
  const authorize = loopback({ open: () => assert.fail("opened") });
  const here = encodeURIComponent("http://127.0.0.1:9/callback");
  for (const url of [
    "not a url",
    `https://as.example/authorize?redirect_uri=${here}`,
    `file:///etc/passwd?state=s1&redirect_uri=${here}`,
    `javascript:alert(1)?state=s1&redirect_uri=${here}`,
    "https://as.example/authorize?state=s1",
    page("https://127.0.0.1:9/callback"),
    page("http://app.example:9/callback"),
    page("http://localhost:9/callback"),
  ]) {
    await assert.rejects(authorize.open(url, context()), TypeError, url);
  }
});

test("options of the wrong type are named", async () => {
  for (const [options, field] of [
    [null, ""],
    [1, ""],
    [{ open: "xdg-open" }, "open"],
    [{ port: "8080" }, "port"],
    [{ port: -1 }, "port"],
    [{ port: 65_536 }, "port"],
    [{ port: 0.5 }, "port"],
    [{ timeoutMs: 0 }, "timeoutMs"],
    [{ timeoutMs: 2 ** 31 }, "timeoutMs"],
    [{ timeoutMs: NaN }, "timeoutMs"],
    [{ timeoutMs: "1" }, "timeoutMs"],
  ]) {
    const { data } = await fails("config_invalid", () => loopback(options));
    assert.equal(data.field, field, JSON.stringify(options));
  }
});

test("the system's browser gets the URL as one argument, which no shell reads", async (t) => {
  const bin = mkdtempSync(join(tmpdir(), "leeward-bin-"));
  t.after(() => rmSync(bin, { recursive: true }));
  const command = (body) => {
    writeFileSync(join(bin, "xdg-open"), `#!${process.execPath}\n${body}\n`);
    chmodSync(join(bin, "xdg-open"), 0o755);
  };
  const { PATH } = process.env;
  process.env.PATH = bin;
  t.after(() => (process.env.PATH = PATH));
  const authorize = loopback();
  const uri = await authorize.redirectUri(context());
  const url = `${page(uri)}&scope=$(id)%20;\`id\`&x='"`;
  command(`
    const [url, ...more] = process.argv.slice(2);
    const back = new URL(new URL(url).searchParams.get("redirect_uri"));
    back.search = new URLSearchParams({ state: "s1", got: url, more: more.length });
    fetch(back);
  `);
  const { searchParams } = new URL(await authorize.open(url, context()));
  assert.equal(searchParams.get("got"), url);
  assert.equal(searchParams.get("more"), "0");

  command("process.exitCode = 3;");
  await assert.rejects(authorize.open(url, context()), /no browser could be opened by xdg-open: give the option open/);
  rmSync(join(bin, "xdg-open"));
  await assert.rejects(authorize.open(url, context()), /no browser could be opened by xdg-open/);
});

test("a listener that nobody comes to does not keep the process", () => {
  const code = `
    import { loopback } from ${JSON.stringify(new URL("../../wasm/dist/for_node.js", import.meta.url).href)};
    console.log(typeof (await loopback().redirectUri({})));
  `;
  const options = { encoding: "utf8", timeout: 60_000 };
  assert.equal(execFileSync(process.execPath, ["--input-type=module", "--eval", code], options).trim(), "string");
});
