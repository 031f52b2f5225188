//! Fetches what the other commands need: Rust targets and npm parts.

use std::fs;
use std::str;

use crate::error::{Context, Error, Result};
use crate::process;
use crate::workspace::Workspace;

/// Targets that checks and builds use; `rust-toolchain.toml` names them too, but rustup may be told not to look.
const TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "thumbv7em-none-eabihf"];

/// Brings everything up to date; quick when there is nothing to do.
pub(crate) fn setup(workspace: &Workspace) -> Result {
    rust_targets(workspace)?;
    npm_parts(workspace)
}

fn rust_targets(workspace: &Workspace) -> Result {
    let listed = workspace
        .command("rustup")
        .args(["target", "list", "--installed"])
        .output()
        .context("rustup is needed (https://rustup.rs)")?;
    let installed = str::from_utf8(&listed.stdout).context("rustup's list of targets")?;
    for target in TARGETS {
        if !installed.lines().any(|line| line == target) {
            let mut add = workspace.command("rustup");
            process::run(
                workspace,
                &format!("add target {target}"),
                add.args(["target", "add", target]),
            )?;
        }
    }
    Ok(())
}

/// Runs `npm ci` where the lock is not the one that was last installed.
fn npm_parts(workspace: &Workspace) -> Result {
    let lock = workspace.path("tests/package-lock.json");
    let wanted = fs::read(&lock).context(lock.display())?;
    let stamp = workspace.path("tests/node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if workspace.command("npm").arg("--version").output().is_err() {
        return Err(Error::new(
            "npm is needed (https://nodejs.org); it brings the Node versions used here",
        ));
    }
    let mut npm = workspace.command("npm");
    npm.arg("ci").current_dir(workspace.path("tests"));
    process::run(workspace, "fetch npm parts", &mut npm)?;
    fs::write(&stamp, wanted).context(stamp.display())
}
