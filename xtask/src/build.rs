//! Builds what is shipped: the npm package (`wasm/dist`) and the worker (`worker-js/build`).

use std::fs;

use lexopt::Arg;

use crate::error::{Context, Error, Result};
use crate::process;
use crate::setup;
use crate::wasm::{self, Loader};
use crate::workspace::Workspace;

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

/// The npm package: glue and wasm of target `web`, the TypeScript around them, and the configuration's schema.
pub(crate) fn npm(workspace: &Workspace) -> Result {
    let out = workspace.path("wasm/dist");
    // The package ships the whole folder: nothing of an earlier build may stay.
    let _ = fs::remove_dir_all(&out);
    wasm::build(workspace, "leeward-wasm", Loader::Package, "leeward_wasm", &out)?;
    let schema = "leeward.schema.json";
    fs::copy(workspace.path(schema), out.join(schema)).context(schema)?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(workspace.path(licence), workspace.path("wasm").join(licence)).context(licence)?;
    }
    let mut tsc = workspace.node(24, workspace.path("tests/node_modules/typescript/bin/tsc"));
    process::run(
        workspace,
        "compile TypeScript",
        tsc.arg("-p").arg(workspace.path("wasm")),
    )
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
