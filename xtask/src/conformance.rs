//! `conformance server` and `conformance client`: the official suite through the replica, on either side of it; steps of
//! `ci` for one host each.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use lexopt::Arg;

use crate::build;
use crate::error::{Context, Error, Result};
use crate::process::{self, Errors, Server};
use crate::report::{self, Tally};
use crate::setup;
use crate::steps::{Step, counted};
use crate::workspace::Workspace;

/// What runs the suite against a server, and against a client.
const SERVER: &str = "tests/conformance/run.mjs";
const CLIENT: &str = "tests/conformance/client.mjs";

/// `conformance server|client [OPTION VALUE]...`: builds, then runs the suite with its table shown.
///
/// The options are those of `tests/conformance/run.mjs` and `client.mjs`, which judge them; `--authority rmcp` is the one
/// of `tests/rmcp`, built and started here.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result<ExitCode> {
    let program = match args.next()? {
        Some(Arg::Value(side)) if side == "server" => SERVER,
        Some(Arg::Value(side)) if side == "client" => CLIENT,
        Some(other) => return Err(other.unexpected().into()),
        None => return Err(Error::new("conformance needs a side: server or client")),
    };
    let mut options: Vec<OsString> = Vec::new();
    let mut hosts: Vec<OsString> = Vec::new();
    let mut on_rmcp = false;
    while let Some(arg) = args.next()? {
        let Arg::Long(name) = arg else {
            return Err(arg.unexpected().into());
        };
        let (name, value) = (name.to_owned(), args.value()?);
        if name == "host" {
            hosts.push(value.clone());
        }
        if name == "authority" && value == "rmcp" {
            on_rmcp = true;
            continue;
        }
        options.extend([format!("--{name}").into(), value]);
    }
    setup::setup(workspace)?;
    let wanted = |host: &str| hosts.iter().any(|asked| asked == host);
    if wanted("worker") || hosts.is_empty() && program == SERVER {
        build::worker(workspace)?;
    }
    if wanted("node") || hosts.is_empty() {
        build::npm(workspace)?;
    }
    let authority = if on_rmcp { Some(rmcp(workspace)?) } else { None };
    if let Some(authority) = &authority {
        options.extend(["--authority".into(), authority.url().into()]);
    }
    let status = suite(workspace, program)
        .args(options)
        .status()
        .context("the suite")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The authority on the official Rust SDK.
fn rmcp(workspace: &Workspace) -> Result<Server> {
    let mut cargo = workspace.cargo(&["build", "--package", "leeward-rmcp"]);
    process::run(workspace, "build the authority on rmcp", &mut cargo)?;
    let program = format!("debug/leeward-rmcp{EXE_SUFFIX}");
    let mut command = workspace.command(workspace.target().join(program));
    Server::start(
        workspace,
        "authority on rmcp",
        command.args(["--ttl", "60000"]),
        Errors::Logged,
    )
}

/// Both revisions, cold and warm, through the worker in front of the test authority, and of the one on rmcp; and every
/// revision with the npm package as the client.
pub(crate) fn steps() -> [Step; 3] {
    [
        Step::new("conformance", |workspace, log| {
            through_the_worker(workspace, log, &[])
        })
        .needs(&[build::WORKER]),
        Step::new("conformance, authority on rmcp", |workspace, log| {
            let authority = rmcp(workspace)?;
            through_the_worker(workspace, log, &["--authority", authority.url()])
        })
        .needs(&[build::WORKER]),
        Step::new("conformance of the client", |workspace, log| {
            counted(&mut suite(workspace, CLIENT), log, report::driver)
        })
        .needs(&[build::NPM]),
    ]
}

fn through_the_worker(workspace: &Workspace, log: &Path, more: &[&str]) -> Result<Tally> {
    let mut suite = suite(workspace, SERVER);
    counted(suite.args(["--host", "worker"]).args(more), log, report::driver)
}

fn suite(workspace: &Workspace, program: &str) -> Command {
    workspace.node(24, workspace.path(program))
}
