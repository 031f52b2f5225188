//! Builds what is shipped: the npm package (`wasm/dist`) and the worker (`worker-js/build`).

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lexopt::Arg;

use crate::error::{Context, Error, Result};
use crate::process;
use crate::provenance;
use crate::setup;
use crate::wasm::{self, Loader};
use crate::workspace::Workspace;

/// The steps that build, by which others name what they need.
pub(crate) const NPM: &str = "build the npm package";
pub(crate) const WORKER: &str = "build the worker";

/// `build [npm|worker]`.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result {
    let mut parts = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Value(part) if part == "npm" => parts.push(npm as fn(&Workspace) -> Result),
            Arg::Value(part) if part == "worker" => parts.push(worker),
            other => return Err(other.unexpected().into()),
        }
    }
    setup::setup(workspace)?;
    if parts.is_empty() {
        parts = vec![npm, worker];
    }
    parts.into_iter().try_for_each(|part| part(workspace))
}

/// The version of the package and of its wasm: that of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The wasm's section that holds it; `load.ts` reads it before it instantiates.
const VERSION_SECTION: &str = "leeward.version";

/// What stands at the head of the bundled validator, whose package has no file for it.
const VALIDATOR_LICENCE: &str = "\
/*! @cfworker/json-schema - MIT License - Copyright (c) 2020 Jeremy Danyow

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated \
documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the \
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit \
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the \
Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE \
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR \
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR \
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */";

/// The npm package: glue and wasm of target `web`, the TypeScript around them, and the configuration's schema.
pub(crate) fn npm(workspace: &Workspace) -> Result {
    let dist = workspace.path("wasm/dist");
    // Built beside it and then swapped, so that whoever reads the package meanwhile finds one that is whole. It
    // ships the whole folder: nothing of an earlier build may stay.
    let out = workspace.path("wasm/dist.next");
    let old = workspace.path("wasm/dist.old");
    let _ = fs::remove_dir_all(&out);
    let _ = fs::remove_dir_all(&old);
    wasm::build(workspace, "leeward-wasm", Loader::Package, "leeward_wasm", &out)?;
    let file = out.join("leeward_wasm_bg.wasm");
    let mut module = fs::read(&file).context(file.display())?;
    module.extend(wasm::custom_section(VERSION_SECTION, VERSION.as_bytes())?);
    let base64 = BASE64_STANDARD.encode(&module);
    for (name, contents) in [
        ("leeward_wasm_bg.wasm", module),
        // In place of the types of an instance's exports: to whoever imports the file it is the module.
        (
            "leeward_wasm_bg.wasm.d.ts",
            "/** A `WebAssembly.Module`. */\ndeclare const module: object;\nexport default module;\n".into(),
        ),
        (
            "version.js",
            format!("export const VERSION = \"{VERSION}\";\n").into(),
        ),
        ("version.d.ts", "export declare const VERSION: string;\n".into()),
        (
            "wasm_base64.js",
            format!("export const BASE64 = \"{base64}\";\n").into(),
        ),
        (
            "wasm_base64.d.ts",
            "export declare const BASE64: string;\n".into(),
        ),
    ] {
        fs::write(out.join(name), contents).context(name)?;
    }
    let schema = "leeward.schema.json";
    fs::copy(workspace.path(schema), out.join(schema)).context(schema)?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(workspace.path(licence), workspace.path("wasm").join(licence)).context(licence)?;
    }
    let mut tsc = workspace.node(24, workspace.path("tests/node_modules/typescript/bin/tsc"));
    process::run(
        workspace,
        "compile TypeScript",
        tsc.arg("-p").arg(workspace.path("wasm/tsconfig.build.json")),
    )?;
    validator(workspace, &out)?;
    provenance::write(workspace, &out)?;
    if dist.exists() {
        fs::rename(&dist, &old).context(dist.display())?;
    }
    fs::rename(&out, &dist).context(out.display())?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

/// The validator of JSON Schema that `validate.ts` uses: bundled, so that who does not use it installs nothing.
fn validator(workspace: &Workspace, out: &Path) -> Result {
    let mut esbuild = workspace.node(24, workspace.path("tests/node_modules/esbuild/bin/esbuild"));
    esbuild
        .arg(workspace.path("tests/node_modules/@cfworker/json-schema/dist/esm/index.js"))
        .args(["--bundle", "--minify", "--format=esm", "--log-level=warning"])
        .arg(format!("--banner:js={VALIDATOR_LICENCE}"))
        .arg(format!("--outfile={}", out.join("json_schema.js").display()));
    process::run(workspace, "bundle the validator", &mut esbuild)
}

/// `docs`: the npm package's reference, from what was just built.
pub(crate) fn docs(workspace: &Workspace) -> Result {
    setup::setup(workspace)?;
    npm(workspace)?;
    process::run(workspace, "write docs/npm", &mut reference(workspace, &[]))
}

/// Writes or checks `docs/npm` from the npm package as it was built last.
pub(crate) fn reference(workspace: &Workspace, args: &[&str]) -> Command {
    let mut node = workspace.node(24, workspace.path("xtask/js/reference.mjs"));
    node.args(args);
    node
}

/// The worker: one module and its wasm, ready for workerd and wrangler.
pub(crate) fn worker(workspace: &Workspace) -> Result {
    let out = workspace.path("worker-js/build");
    wasm::build(workspace, "leeward-worker", Loader::Worker, "index", &out)?;

    // Source phase imports are not in every tool yet; a plain import of a `.wasm` means the same to workerd.
    let glue = out.join("index.js");
    let text = fs::read_to_string(&glue).context(glue.display())?;
    let (source, plain) = ("import source wasmModule from", "import wasmModule from");
    if !text.contains(source) {
        return Err(Error::new(
            "the glue does not import its wasm as expected; has wasm-bindgen changed?",
        ));
    }
    fs::write(&glue, text.replacen(source, plain, 1)).context(glue.display())?;

    let mut esbuild = workspace.node(24, workspace.path("tests/node_modules/esbuild/bin/esbuild"));
    esbuild.arg(workspace.path("worker-js/shim.mjs")).args([
        "--bundle",
        "--minify",
        "--format=esm",
        "--external:./index_bg.wasm",
        "--external:cloudflare:*",
    ]);
    esbuild.arg(format!("--outfile={}", out.join("worker.mjs").display()));
    process::run(workspace, "bundle the worker", &mut esbuild)
}
