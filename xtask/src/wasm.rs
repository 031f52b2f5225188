//! From a crate to a `.wasm` with its JavaScript glue: cargo, then wasm-bindgen through its library.
//!
//! The library instead of the command saves everyone an install, and pins one version for all.

use std::path::Path;

use wasm_bindgen_cli_support::Bindgen;

use crate::error::{Context, Error, Result};
use crate::flags;
use crate::process;
use crate::workspace::Workspace;

/// What loads the wasm.
#[derive(Clone, Copy)]
pub(crate) enum Loader {
    /// The package's entries: one glue for every runtime, which instantiates what it is given.
    Package,
    /// The Workers runtime: instantiated on import, and anew after a trap.
    Worker,
}

/// Built for size: they wait for networks, or for the runtime's own calls. Not in the manifest, where cargo warns of what a
/// single crate does not have as soon as that is packed.
const SMALL: [&str; 3] = ["leeward-sync", "leeward-worker", "worker"];

/// Builds the cdylib `package` for the release and writes `NAME.js` and `NAME_bg.wasm` into `out`.
pub(crate) fn build(workspace: &Workspace, package: &str, loader: Loader, name: &str, out: &Path) -> Result {
    let target = "wasm32-unknown-unknown";
    let mut cargo = workspace.cargo(&["build", "--release", "--target", target, "--package", package]);
    for package in SMALL {
        cargo.args([
            "--config",
            &format!(r#"profile.release.package.{package}.opt-level="z""#),
        ]);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags::reproducible(workspace)?);
    process::run(workspace, &format!("compile {package}"), &mut cargo)?;

    let file = format!("{}.wasm", package.replace('-', "_"));
    let input = workspace.target().join(target).join("release").join(file);
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(input)
        .out_name(name)
        .remove_name_section(true)
        .remove_producers_section(true)
        // A trap loses the instance; both hosts make another.
        .reset_state_function(true);
    match loader {
        Loader::Package => bindgen
            .web(true)
            .context("wasm-bindgen")?
            .typescript(true)
            .omit_default_module_path(true),
        Loader::Worker => bindgen
            .module(true)
            .context("wasm-bindgen")?
            .typescript(false)
            .force_enable_abort_handler(true),
    };
    let mut output = bindgen
        .generate_output()
        .context(format_args!("wasm-bindgen of {package}"))?;

    // Only the glue may be imported. Another module, `env` above all, is a C function that nobody provides.
    let glue = format!("./{name}_bg.js");
    if let Some(import) = output.wasm().imports.iter().find(|import| import.module != glue) {
        return Err(Error::new(format!(
            "{package} imports {} from `{}`",
            import.name, import.module
        )));
    }
    output.emit(out).context(out.display())
}

/// A custom section, ready to be appended to a module: id 0, size, name, payload. Their lengths are LEB128 of one
/// byte: the section may have 127 bytes.
pub(crate) fn custom_section(name: &str, payload: &[u8]) -> Result<Vec<u8>> {
    let size = 1 + name.len() + payload.len();
    let (Ok(size), Ok(name_len)) = (u8::try_from(size), u8::try_from(name.len())) else {
        return Err(Error::new("the section is too long"));
    };
    if size > 0x7f {
        return Err(Error::new("the section is too long"));
    }
    Ok([&[0, size, name_len], name.as_bytes(), payload].concat())
}
