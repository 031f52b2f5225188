//! The demonstration: a real MCP server, a relay that makes it far away, Leeward in front, the official clients.

use std::collections::BTreeMap;
use std::process::ExitCode;

use lexopt::{Arg, ValueExt};
use serde_json::{Map, Value, json};

use crate::build;
use crate::error::{Context, Error, Result};
use crate::process::{Errors, Server};
use crate::serve::{self, Settings};
use crate::setup;
use crate::workspace::Workspace;

/// The policy of the demonstration; the relay's address is put in as the authority.
const CONFIG: &str = include_str!("../run.json");

/// `run [--once] [--rtt MS] [--port N]`.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result<ExitCode> {
    let (mut once, mut rtt_ms, mut port) = (false, 80_u32, 8787_u16);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("once") => once = true,
            Arg::Long("rtt") => rtt_ms = args.value()?.parse()?,
            Arg::Long("port") => port = args.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    setup::setup(workspace)?;
    build::npm(workspace)?;
    build::worker(workspace)?;

    let mut relay = workspace.node_server("xtask/js/relay.mjs");
    relay.args(["--rtt", &rtt_ms.to_string()]);
    let authority = Server::start(workspace, "authority", &mut relay, Errors::Logged)?;
    let mut config: Map<String, Value> = serde_json::from_str(CONFIG).context("run.json")?;
    config.insert("authority".to_owned(), authority.url().into());
    let config = Value::from(config);
    let token = serve::random_token()?;
    let tokens = BTreeMap::from([(token.clone(), "local".to_owned())]);
    let settings = Settings {
        port,
        config: config.clone(),
        tokens,
        errors: Errors::Logged,
    };
    let mut worker = serve::start(workspace, &settings)?;

    let drive = json!({
        "worker": worker.url(),
        "token": token,
        "authority": authority.url(),
        "config": config,
        "rttMs": rtt_ms,
    });
    let status = workspace
        .node(24, workspace.path("xtask/js/drive.mjs"))
        .env("LEEWARD_DRIVE", drive.to_string())
        .status()
        .context("cannot start node")?;
    if once {
        return Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if !status.success() {
        return Err(Error::new("the demonstration failed"));
    }
    println!("listening on {}", worker.url());
    println!("token {token}");
    worker.wait().map(|()| ExitCode::SUCCESS)
}
