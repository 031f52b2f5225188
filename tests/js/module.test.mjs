// Where the wasm comes from: entries, modules handed over, wrong ones, and two packages in one process.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Copy, wasm, wasmOf } from "./support/copies.mjs";
import { LeewardError } from "./support/leeward.mjs";

const OTHER_VERSION = "9.9.9";
const HI = { tools: [{ name: "hi", handler: () => "hi" }] };

/** Opens a replica of that copy of the package and gets an answer of it. */
async function works({ Replica }) {
  const replica = await Replica.open(HI);
  try {
    assert.equal((await replica.callTool("hi")).content[0].text, "hi");
  } finally {
    await replica.close();
  }
}

/** Asserts that something fails with an error of any copy of the package. */
async function refuses(code, what, action) {
  const error = await action().then(() => assert.fail("nothing was thrown"), (error) => error);
  assert.ok(LeewardError.is(error), String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, what);
  if (code === "config_invalid") assert.equal(error.data.field, "module");
  assert.equal(error.retryable, code === "module_unavailable");
  return error;
}

/** A promise, and how it ends. */
function later() {
  const ends = {};
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  return ends;
}

/** Another module that is whole: `(module (func (export "other")))`. */
const OTHER_WASM = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0],
  ...[7, 9, 1, 5, 0x6f, 0x74, 0x68, 0x65, 0x72, 0, 0, 10, 4, 1, 2, 0, 0x0b],
);
const VERSION_SECTION = wasm().subarray(wasm().lastIndexOf("leeward.version") - 3);
/** Modules that say they are of this version, and lack what the glue needs, or import what it has not. */
const BARE_BUILD = Buffer.concat([OTHER_WASM, VERSION_SECTION]);
const OTHER_BUILD = Buffer.concat([
  // `(module (import "a" "b" (func)) (export "__wbindgen_start" (func 0)))`
  Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 0x61, 1, 0x62, 0, 0, 7, 20, 1, 16),
  Buffer.from("__wbindgen_start"),
  Uint8Array.of(0, 0),
  VERSION_SECTION,
]);

const WRONG = [
  ["nothing", new Uint8Array(0), /no whole wasm/],
  ["a half", wasm().subarray(0, 100_000), /no whole wasm/],
  ["text", Buffer.from("not found"), /no whole wasm/],
  ["a page", Buffer.from("<!doctype html>"), /a page came in place/],
  ["another wasm", OTHER_WASM, /not leeward's/],
  ["a module without its exports", BARE_BUILD, /of another build/],
  ["another build", OTHER_BUILD, /of another build/],
  ["another version", wasmOf(OTHER_VERSION), /is of leeward 9\.9\.9, its JavaScript of \d/],
];

for (const [name, bytes, message] of WRONG) {
  test(`${name} in place of the wasm is told, and the next open tries again`, async (t) => {
    const copy = new Copy(t);
    const entry = await copy.entry("node");
    copy.wasm = bytes;
    const error = await refuses("config_invalid", message, () => entry.Replica.open(HI));
    assert.match(error.message, /take dist\/leeward_wasm_bg\.wasm of leeward \d/);
    await refuses("config_invalid", message, () => entry.Replica.open(HI));
    copy.wasm = wasm();
    await works(entry);
  });
}

test("a wasm that is not there is told, and the next open tries again", async (t) => {
  const copy = new Copy(t);
  const entry = await copy.entry("node");
  copy.wasm = undefined;
  const error = await refuses("module_unavailable", /could not be read/, () => entry.Replica.open(HI));
  assert.equal(error.cause.code, "ENOENT");
  copy.wasm = wasm();
  await works(entry);
});

test("slim takes its module in any form", async (t) => {
  const bytes = new Uint8Array(wasm());
  const response = (type) => new Response(bytes, { headers: { "content-type": type } });
  for (const make of [
    () => WebAssembly.compile(bytes),
    () => new WebAssembly.Module(bytes),
    () => bytes,
    () => bytes.buffer,
    () => new DataView(bytes.buffer),
    () => response("application/wasm"),
    () => response("application/octet-stream"),
    async () => response("application/wasm"),
  ]) {
    const entry = await new Copy(t).entry("slim");
    await refuses("config_invalid", /call init/, () => entry.Replica.open(HI));
    await entry.init(make());
    await works(entry);
  }
});

test("slim refuses what is no module, and takes one afterwards", async (t) => {
  const entry = await new Copy(t).entry("slim");
  for (const junk of [undefined, null, 1, "leeward.wasm", {}, [], () => wasm(), WebAssembly, new Map(), Symbol("x")]) {
    await refuses("config_invalid", /must be a WebAssembly\.Module/, () => entry.init(junk));
  }
  for (const [name, bytes, message] of WRONG) {
    // It is found out where it is instantiated, and is in the way of no other.
    if (name === "another build") continue;
    for (const type of ["application/wasm", "text/plain"]) {
      const response = new Response(bytes, { headers: { "content-type": type } });
      await refuses("config_invalid", type === "text/plain" ? message : /./, () => entry.init(response));
    }
    await refuses("config_invalid", message, () => entry.init(bytes));
  }
  const detached = new ArrayBuffer(8);
  structuredClone(detached, { transfer: [detached] });
  const odd = { ok: true, headers: new Headers(), arrayBuffer: async () => 1n };
  const rude = { get ok() { throw new Error("mine"); }, headers: 1, arrayBuffer: 1 };
  for (const junk of [detached, odd, rude]) await refuses("config_invalid", /./, () => entry.init(junk));
  const offline = () => entry.init(Promise.reject(new TypeError("fetch failed")));
  assert.equal((await refuses("module_unavailable", /could not be read/, offline)).cause.message, "fetch failed");
  await refuses("module_unavailable", /HTTP 404/, () => entry.init(new Response("", { status: 404 })));
  const torn = new ReadableStream({ pull: (controller) => controller.error(new Error("torn")) });
  await refuses("module_unavailable", /could not be read/, () => entry.init(new Response(torn)));
  await refuses("config_invalid", /call init/, () => entry.Replica.open(HI));
  await entry.init(wasm());
  await works(entry);
});

test("a build that does not link is in the way of no other", async (t) => {
  const entry = await new Copy(t).entry("slim");
  await entry.init(OTHER_BUILD);
  await refuses("config_invalid", /of another build/, () => entry.Replica.open(HI));
  await entry.init(wasm());
  await works(entry);
});

test("init need not be awaited, may come twice, and takes nothing away", async (t) => {
  const entry = await new Copy(t).entry("slim");
  const module = new WebAssembly.Module(wasm());
  const calls = [entry.init(module), entry.init(module)];
  await works(entry);
  await Promise.all(calls);
  await entry.init(module);
  await refuses("config_invalid", /not leeward's/, () => entry.init(OTHER_WASM));
  await works(entry);
});

test("a wrong module after a right one takes it away at no time", async (t) => {
  const wrong = (entry) => refuses("config_invalid", /not leeward's/, () => entry.init(OTHER_WASM));
  const [early, late] = await Promise.all([new Copy(t), new Copy(t)].map((copy) => copy.entry("slim")));
  await early.init(wasm());
  await wrong(early);
  await works(early);
  const given = late.init(wasm());
  await Promise.all([given, wrong(late)]);
  await works(late);
  // One that passes, and would not be instantiated, comes too late.
  await late.init(OTHER_BUILD);
  await works(late);
});

test("a module on its way is not forgotten for a wrong one that comes after it", async (t) => {
  for (const name of ["slim", "node"]) {
    const copy = new Copy(t);
    // The entry cannot fall back on what it would load by itself.
    copy.wasm = undefined;
    const entry = await copy.entry(name);
    const { init } = await copy.entry("slim");
    const { promise, resolve } = later();
    const given = init(promise);
    await refuses("config_invalid", /not leeward's/, () => init(OTHER_WASM));
    const opening = works(entry);
    resolve(wasm());
    await Promise.all([given, opening]);
  }
});

test("an open that waits for a module that fails takes one that came meanwhile", async (t) => {
  const { Replica, init } = await new Copy(t).entry("slim");
  const { promise, reject } = later();
  const failing = refuses("module_unavailable", /could not be read/, () => init(promise));
  const opening = works({ Replica });
  await init(wasm());
  reject(new TypeError("fetch failed"));
  await Promise.all([failing, opening]);
});

test("an open that waits for a module that fails waits for the one before it, and is told of the last", async (t) => {
  const { Replica, init } = await new Copy(t).entry("slim");
  const [early, late] = [later(), later()];
  const inits = [early, late].map(({ promise }) => refuses("module_unavailable", /could not be read/, () => init(promise)));
  const opening = refuses("module_unavailable", /could not be read/, () => Replica.open(HI));
  late.reject(new TypeError("late"));
  await inits[1];
  early.reject(new TypeError("early"));
  await inits[0];
  assert.equal((await opening).cause.message, "early");
  await refuses("config_invalid", /call init/, () => Replica.open(HI));
});

test("what a program chose wins over the runtime's default, whatever comes first", async (t) => {
  for (const order of [["node", "inline"], ["inline", "node"], ["node", "slim"], ["slim", "node"]]) {
    const copy = new Copy(t);
    copy.wasm = undefined;
    const entries = [];
    for (const name of order) entries.push(await copy.entry(name));
    const { init } = entries[order.indexOf("slim")] ?? {};
    const given = init?.(wasm());
    for (const entry of entries) await works(entry);
    await given;
  }
});

test("inline needs no file", async (t) => {
  const copy = new Copy(t);
  copy.wasm = undefined;
  await works(await copy.entry("inline"));
});

test("many may open at once before the module is there", async (t) => {
  const entry = await new Copy(t).entry("slim");
  const given = entry.init(new Response(wasm()));
  await Promise.all(Array.from({ length: 10 }, () => works(entry)));
  await given;
});

test("a runtime that has, or allows, no WebAssembly is told so", async (t) => {
  const { WebAssembly: real } = globalThis;
  const entry = await new Copy(t).entry("inline");
  try {
    delete globalThis.WebAssembly;
    await refuses("config_invalid", /no WebAssembly/, () => entry.Replica.open(HI));
    // As browsers do under a Content-Security-Policy without 'wasm-unsafe-eval'.
    const compile = async () => {
      throw new real.CompileError("blocked");
    };
    globalThis.WebAssembly = Object.create(real, { compile: { value: compile } });
    await refuses("config_invalid", /wasm-unsafe-eval/, () => entry.Replica.open(HI));
  } finally {
    globalThis.WebAssembly = real;
  }
  await works(entry);
});

test("two versions in one process do not meet", async (t) => {
  const ours = await new Copy(t).entry("node");
  const theirs = await new Copy(t, OTHER_VERSION).entry("node");
  const replicas = [await ours.Replica.open(HI), await theirs.Replica.open(HI)];
  t.after(() => Promise.all(replicas.map((replica) => replica.close())));
  const [first, second] = await Promise.all(replicas.map((replica) => replica.callTool("hi")));
  assert.deepEqual(first, second);
  assert.notEqual(ours.LeewardError, theirs.LeewardError);

  await replicas[0].close();
  const errors = await Promise.all(
    [ours, theirs].map(({ Replica }) => Replica.open({ clock: 1 }).catch((error) => error)),
  );
  assert.ok(errors[0] instanceof ours.LeewardError && !(errors[0] instanceof theirs.LeewardError));
  for (const error of errors) {
    assert.deepEqual([error.name, error.code], ["LeewardError", "config_invalid"]);
    for (const { LeewardError } of [ours, theirs]) assert.equal(LeewardError.is(error), true);
  }
  for (const other of [undefined, null, "x", new Error("x"), { code: "closed" }]) assert.equal(LeewardError.is(other), false);
  assert.equal((await replicas[1].callTool("hi")).content[0].text, "hi");
  // Neither takes the other's wasm.
  const slim = await new Copy(t, OTHER_VERSION).entry("slim");
  await refuses("config_invalid", /its JavaScript of 9\.9\.9/, () => slim.init(wasm()));
});

test("a trap in one copy leaves the other alone", async (t) => {
  const copies = [new Copy(t), new Copy(t)];
  const [ours, theirs] = await Promise.all(copies.map((copy) => copy.entry("node")));
  const glue = await copies[0].entry("leeward_wasm");
  const [broken, whole] = [await ours.Replica.open(HI), await theirs.Replica.open(HI)];
  t.after(() => whole.close());
  new Uint8Array(glue.initSync().memory.buffer).fill(0xff);
  await refuses("internal", /./, () => broken.callTool("hi"));
  assert.equal((await whole.callTool("hi")).content[0].text, "hi");
  await works(ours);
});
