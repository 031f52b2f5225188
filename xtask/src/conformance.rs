//! `conformance server`: the official suite through the replica; a step of `ci` for the worker alone.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use lexopt::Arg;

use crate::build;
use crate::error::{Context, Error, Result};
use crate::report::{self, Tally};
use crate::setup;
use crate::steps::{Step, counted};
use crate::workspace::Workspace;

/// `conformance server [OPTION VALUE]...`: builds, then runs the suite with its table shown.
///
/// The options are those of `tests/conformance/run.mjs`, which judges them.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result<ExitCode> {
    match args.next()? {
        Some(Arg::Value(side)) if side == "server" => {}
        Some(other) => return Err(other.unexpected().into()),
        None => return Err(Error::new("conformance needs a side: server")),
    }
    let mut options: Vec<OsString> = Vec::new();
    let mut hosts: Vec<OsString> = Vec::new();
    while let Some(arg) = args.next()? {
        let Arg::Long(name) = arg else {
            return Err(arg.unexpected().into());
        };
        let (name, value) = (name.to_owned(), args.value()?);
        if name == "host" {
            hosts.push(value.clone());
        }
        options.extend([format!("--{name}").into(), value]);
    }
    setup::setup(workspace)?;
    let wanted = |host: &str| hosts.is_empty() || hosts.iter().any(|asked| asked == host);
    if wanted("worker") {
        build::worker(workspace)?;
    }
    if wanted("node") {
        build::npm(workspace)?;
    }
    let status = suite(workspace).args(options).status().context("the suite")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Both revisions, cold and warm, through the worker in front of the test authority.
pub(crate) fn step() -> Step {
    Step::new("conformance", through_the_worker).needs(&[build::WORKER])
}

fn through_the_worker(workspace: &Workspace, log: &Path) -> Result<Tally> {
    counted(suite(workspace).args(["--host", "worker"]), log, report::driver)
}

fn suite(workspace: &Workspace) -> Command {
    workspace.node(24, workspace.path("tests/conformance/run.mjs"))
}
