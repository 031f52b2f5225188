/**
 * Where the wasm module comes from: each entry says how it is had, a program may hand over its own, and none is
 * instantiated that does not prove to be of this version. What fails leaves nothing behind: the next
 * `Replica.open` tries again.
 */

import { LeewardError, configInvalid } from "./errors.js";
import instantiate, { type InitOutput } from "./leeward_wasm.js";
import { VERSION } from "./version.js";

/**
 * The module as it may be handed over: a compiled `WebAssembly.Module`, its bytes (an `ArrayBuffer` or a view of one),
 * or the `Response` that brings them. `object`, for programs that compile against none of the types of these.
 */
export type ModuleSource = object;

type Loader = () => ModuleSource | PromiseLike<ModuleSource>;

/** The section of the wasm that holds the version of the package it was built for. */
const VERSION_SECTION = "leeward.version";
/** The smallest module: a host that does not compile this one compiles none. */
const EMPTY_MODULE = new Uint8Array([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
const UNFIT = "the wasm is of another build than its JavaScript";
const WHAT_TO_DO = `take dist/leeward_wasm_bg.wasm of leeward ${VERSION}, whole and as it is`;

let loader: Loader | undefined;
let isChosen = false;
/** A module that may be instantiated. */
let ready: WebAssembly.Module | undefined;
/** Those that will be, if nothing is wrong with them, in the order in which they were chosen. */
const pending = new Set<Promise<WebAssembly.Module>>();

/**
 * Says how the module is had; called by the entries. One that a program imports for its loader (`isChoice`) wins over
 * a runtime's default, in whatever order both are imported.
 */
export function loadWith(how: Loader, isChoice = false): void {
  if (isChosen && !isChoice) return;
  loader = how;
  isChosen = isChoice;
}

/**
 * Hands over the wasm module, before the first `Replica.open`: a compiled `WebAssembly.Module`, its bytes, the
 * `Response` that brings them, or a promise of one of these. It wins over what an entry would load. Once a module is
 * in use a further one is checked and otherwise ignored. A compiled module need not be awaited: `Replica.open` waits.
 *
 * @throws `LeewardError` `config_invalid` with `data.field` `module`, if it is something else, is no whole wasm,
 * or is of another version; `module_unavailable`, if the promise or the response fails.
 */
export async function init(module: ModuleSource | PromiseLike<ModuleSource>): Promise<void> {
  await choose(() => module);
}

/**
 * Instantiates the module, or gives the exports of the instance there is.
 *
 * @internal
 */
export async function load(): Promise<InitOutput> {
  const module = await chosen();
  try {
    return await instantiate({ module_or_path: module });
  } catch (cause) {
    if (ready === module) ready = undefined;
    if (cause instanceof RangeError) throw noMemory(cause);
    throw wrong(UNFIT, cause);
  }
}

/**
 * The error where there is no room for an instance; another time there may be.
 *
 * @internal
 */
export function noMemory(cause: unknown): LeewardError {
  return unavailable("there is no memory for the wasm", cause);
}

/** The module to instantiate. It fails only when nothing that was chosen is left to wait for. */
async function chosen(): Promise<WebAssembly.Module> {
  for (;;) {
    if (ready !== undefined) return ready;
    // Whatever fails here is no longer pending, and only the first round can begin one: this ends.
    try {
      return await ([...pending].at(-1) ?? choose(loader ?? notGiven));
    } catch (error) {
      if (ready === undefined && pending.size === 0) throw error;
    }
  }
}

/** Makes the module of that source one to instantiate, if it passes. */
function choose(how: Loader): Promise<WebAssembly.Module> {
  const attempt = prepare(how);
  pending.add(attempt);
  const settle = (module = ready) => {
    ready = module;
    pending.delete(attempt);
  };
  attempt.then(settle, () => settle());
  return attempt;
}

function notGiven(): never {
  throw configInvalid("module", "there is no wasm module yet: call init(module) of leeward/slim before Replica.open");
}

/** The compiled and checked module of a source. */
async function prepare(how: Loader): Promise<WebAssembly.Module> {
  if (typeof WebAssembly !== "object") throw configInvalid("module", "this runtime has no WebAssembly");
  let source: object;
  try {
    source = await how();
  } catch (cause) {
    throw cause instanceof LeewardError ? cause : unavailable("the wasm module could not be read", cause);
  }
  let module: WebAssembly.Module;
  try {
    module = isModule(source) ? source : await compile(source);
  } catch (cause) {
    throw cause instanceof LeewardError ? cause : configInvalid("module", "the module cannot be read", cause);
  }
  const [section] = WebAssembly.Module.customSections(module, VERSION_SECTION);
  if (section === undefined) throw wrong("the wasm is not leeward's");
  const version = new TextDecoder().decode(section.slice(0, 64));
  if (version !== VERSION) {
    throw wrong(`the wasm is of leeward ${version}, its JavaScript of ${VERSION}; a cache may have kept the other`);
  }
  // The glue calls this one as soon as it has taken the instance for good.
  if (!WebAssembly.Module.exports(module).some(({ name }) => name === "__wbindgen_start")) throw wrong(UNFIT);
  return module;
}

async function compile(source: object): Promise<WebAssembly.Module> {
  if (isBytes(source)) return compileBytes(source);
  if (!isResponse(source)) {
    throw configInvalid("module", "the module must be a WebAssembly.Module, its bytes, or a Response");
  }
  if (!source.ok) throw unavailable(`the wasm module could not be fetched: HTTP ${source.status}`, undefined);
  let bytes: ArrayBuffer;
  try {
    // Browsers keep what they compiled from a stream; they take only this type.
    if (source.headers.get("content-type") === "application/wasm" && "compileStreaming" in WebAssembly) {
      return await WebAssembly.compileStreaming(source);
    }
    bytes = await source.arrayBuffer();
  } catch (cause) {
    if (cause instanceof WebAssembly.CompileError) throw await refused(cause);
    throw unavailable("the wasm module could not be read", cause);
  }
  return compileBytes(bytes);
}

async function compileBytes(source: BufferSource): Promise<WebAssembly.Module> {
  const { buffer, byteOffset, byteLength } = ArrayBuffer.isView(source) ? source : new Uint8Array(source);
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  // The commonest fault of all: a server that answers what it does not have with its page.
  if (bytes[0] === "<".charCodeAt(0)) throw wrong("a page came in place of the wasm");
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw await refused(cause);
  }
}

/** Whose fault it is that something was not compiled: the host's, if it compiles nothing, else the bytes'. */
async function refused(cause: unknown): Promise<LeewardError> {
  try {
    await WebAssembly.compile(EMPTY_MODULE);
  } catch {
    const remedy = "allow 'wasm-unsafe-eval' in the Content-Security-Policy, or give init a compiled WebAssembly.Module";
    return configInvalid("module", `compiling wasm is barred here: ${remedy}`, cause);
  }
  return wrong("the bytes are no whole wasm", cause);
}

function wrong(what: string, cause?: unknown): LeewardError {
  return configInvalid("module", `${what}: ${WHAT_TO_DO}`, cause);
}

function unavailable(what: string, cause: unknown): LeewardError {
  const remedy = "deploy it beside the package's JavaScript, or use leeward/inline";
  return new LeewardError("module_unavailable", `${what}: ${remedy}`, { retryable: true, cause });
}

/** Whether it is a compiled module, of this realm or another. */
function isModule(value: object): value is WebAssembly.Module {
  try {
    WebAssembly.Module.exports(value);
    return true;
  } catch {
    return false;
  }
}

function isBytes(value: object): value is BufferSource {
  return ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === "[object ArrayBuffer]";
}

function isResponse(value: object): value is Response {
  return typeof value === "object" && value !== null && "arrayBuffer" in value && "ok" in value && "headers" in value;
}
