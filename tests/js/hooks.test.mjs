// The order in which the program's hooks are asked, and what becomes of answers that nobody waits for any more. What a
// replica makes of answers: oauth.test.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Hooks } from "../../wasm/dist/hooks.js";
import { turn, watchRejections } from "./support/index.mjs";

/** Hooks whose answers are told to a list, as `[method, op, …]`. */
function hooks(t, settings) {
  watchRejections(t);
  const told = [];
  const engine = new Proxy({}, { get: (_, method) => (mono, unix, ...rest) => void told.push([method, ...rest]) });
  const text = (written) => (typeof written === "string" ? written : new TextDecoder().decode(written));
  const border = { write: text, writeBytes: text, writeTwo: (...both) => both };
  const failed = (what, error) => told.push(["failed", what, error.message]);
  return { told, hooks: new Hooks(border, settings, (action) => (action(engine, 0, 0), true), failed) };
}

const bytes = (text) => new TextEncoder().encode(text);

test("a record is read once what was kept under its key before is there; others do not wait", async (t) => {
  const records = new Map([["b", bytes("other")]]);
  const finish = [];
  const set = (key, record) =>
    new Promise((resolve) => finish.push(() => (records.set(key, record), resolve())));
  const vault = { get: (key) => records.get(key), set, delete: (key) => records.delete(key) };
  const { told, hooks: asked } = hooks(t, { vault });
  asked.keep("a", bytes("one"));
  asked.keep("a", bytes("two"));
  asked.load(1, "a");
  asked.load(2, "b");
  let isKept = false;
  const kept = asked.kept().then(() => (isKept = true));
  await turn();
  assert.deepEqual(told, [["handleLoaded", 2, true, "other"]]);
  assert.equal(finish.length, 1, "one write of a record at a time");
  finish[0]();
  await turn();
  assert.equal(isKept, false);
  finish[1]();
  await kept;
  await turn();
  assert.deepEqual(told.slice(1), [["handleLoaded", 1, true, "two"]]);
  asked.keep("a", undefined);
  asked.load(3, "a");
  await turn();
  assert.deepEqual(told.slice(2), [["handleLoaded", 3, false, ""]]);
});

test("a write that fails is told of, and the next one comes", async (t) => {
  const records = new Map();
  let isBroken = true;
  const set = (key, record) => {
    if (isBroken) throw new Error("full");
    records.set(key, record);
  };
  const { told, hooks: asked } = hooks(t, { vault: { get: (key) => records.get(key), set, delete: () => {} } });
  asked.keep("a", bytes("one"));
  asked.load(1, "a");
  await turn();
  isBroken = false;
  asked.keep("a", bytes("two"));
  asked.load(2, "a");
  await turn();
  assert.deepEqual(told, [
    ["failed", "vault", "full"],
    ["handleLoaded", 1, false, ""],
    ["handleLoaded", 2, true, "two"],
  ]);
});

test("what is given up is signalled, and its late answer dropped", async (t) => {
  const answers = [];
  const signals = [];
  const signed = [];
  const later = (...given) => {
    signals.push(given.at(-1).signal);
    return new Promise((resolve, reject) => answers.push({ resolve, reject }));
  };
  const { told, hooks: asked } = hooks(t, { authorize: { redirectUri: later, open: later }, sign: () => signed.push("s") });
  asked.redirect(1, "ann");
  asked.authorize(2, undefined, "https://as.example/");
  asked.authorize(3, "ben", "https://as.example/");
  asked.sign(4, "k", "ES256", bytes("p"));
  assert.equal(asked.abort(4), true);
  await turn();
  assert.deepEqual(signed, [], "given up before it was asked");
  assert.equal(asked.abort(1), true);
  assert.equal(asked.abort(1), false);
  assert.equal(asked.abort(9), false);
  const why = new Error("closed");
  asked.abortAll(why);
  assert.deepEqual(signals.map(({ aborted }) => aborted), [true, true, true]);
  assert.equal(signals[2].reason, why);
  answers[0].resolve("http://127.0.0.1/");
  answers[1].resolve("http://127.0.0.1/?code=x");
  answers[2].reject(why);
  await turn();
  assert.deepEqual(told, []);
});

test("answers are told as they are meant", async (t) => {
  let given;
  const give = () => given;
  const { told, hooks: asked } = hooks(t, { authorize: { redirectUri: give, open: give }, sign: give });
  for (given of [
    "http://127.0.0.1:9/callback?code=a%26b&state=s#fragment",
    "http://127.0.0.1:9/callback",
    { authorizationUrl: "https://app.example/start" },
    Promise.resolve("https://app.example/?error=access_denied"),
    "code=secret",
    "?code=secret",
    new URL("https://app.example/?code=secret"),
    null,
    { authorizationUrl: 7 },
    { url: "https://app.example/?code=secret" },
  ]) {
    asked.authorize(1, undefined, "https://as.example/");
    await turn();
  }
  assert.deepEqual(told.slice(0, 4), [
    ["handleAuthorized", 1, false, "code=a%26b&state=s"],
    ["handleAuthorized", 1, false, ""],
    ["handleAuthorized", 1, true, "https://app.example/start"],
    ["handleAuthorized", 1, false, "error=access_denied"],
  ]);
  for (const [method, op, kind, words, ...rest] of told.slice(4)) {
    assert.deepEqual([method, op, kind, rest.length], ["handleHookFailed", 1, 14, 0]);
    // A code is not repeated, whatever came with it.
    assert.match(words, /^TypeError: (authorize\.open must give the URL|authorizationUrl must be)/);
    assert.doesNotMatch(words, /secret/);
  }
  told.length = 0;
  const backed = new Uint8Array([0, 104, 105, 0]).subarray(1, 3);
  for (given of [backed, new DataView(backed.slice().buffer), backed.slice().buffer, "hi", [104, 105]]) {
    asked.sign(2, "k", "ES256", bytes("p"));
    await turn();
  }
  const signed = ["handleSigned", 2, "hi"];
  const refused = ["handleHookFailed", 2, 12, "TypeError: sign must give bytes"];
  assert.deepEqual(told, [signed, signed, signed, refused, refused]);
});
