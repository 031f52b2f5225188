//! Runs the worker in workerd, in front of any MCP server.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use lexopt::{Arg, ValueExt};
use serde_json::{Map, Value, json};

use crate::build;
use crate::error::{Context, Error, Result};
use crate::process::{Errors, Server};
use crate::setup;
use crate::workspace::Workspace;

/// What the worker is started with.
pub(crate) struct Settings {
    /// Where to listen on 127.0.0.1; zero lets the system choose.
    pub(crate) port: u16,
    /// The object of `leeward.json`.
    pub(crate) config: Value,
    /// Bearer token -> principal.
    pub(crate) tokens: BTreeMap<String, String>,
    pub(crate) errors: Errors,
}

/// `serve [--authority URL] [--config FILE] [--port N] [--token PRINCIPAL=TOKEN]...`.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result {
    let (mut authority, mut file, mut port) = (None, None, 8787);
    let mut tokens = BTreeMap::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("authority") => authority = Some(args.value()?.string()?),
            Arg::Long("config") => file = Some(PathBuf::from(args.value()?)),
            Arg::Long("port") => port = args.value()?.parse()?,
            Arg::Long("token") => {
                let given = args.value()?.string()?;
                let (principal, token) = given
                    .split_once('=')
                    .ok_or_else(|| Error::new("--token takes PRINCIPAL=TOKEN"))?;
                tokens.insert(token.to_owned(), principal.to_owned());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let config = configuration(authority, file)?;
    let made = make_token(&config, &mut tokens)?;

    setup::setup(workspace)?;
    build::worker(workspace)?;
    let mut server = start(
        workspace,
        &Settings {
            port,
            config,
            tokens,
            errors: Errors::Shown,
        },
    )?;
    println!("listening on {}", server.url());
    if let Some(token) = made {
        println!("token {token}");
    }
    server.wait()
}

/// Starts workerd with the worker that was built last.
pub(crate) fn start(workspace: &Workspace, settings: &Settings) -> Result<Server> {
    let text =
        json!({ "port": settings.port, "config": settings.config, "tokens": settings.tokens }).to_string();
    let mut node = workspace.node_server("xtask/js/serve.mjs");
    // By environment, not by argument: it carries tokens, and arguments show in every list of processes.
    Server::start(
        workspace,
        "worker",
        node.env("LEEWARD_SERVE", text),
        settings.errors,
    )
}

/// 128 bits of the system's entropy, in hexadecimal.
pub(crate) fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("/dev/urandom")?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn configuration(authority: Option<String>, file: Option<PathBuf>) -> Result<Value> {
    let mut config: Map<String, Value> = match file {
        Some(file) => {
            let text = fs::read_to_string(&file).context(file.display())?;
            serde_json::from_str(&text).context(file.display())?
        }
        None => Map::new(),
    };
    if let Some(url) = authority {
        config.insert("authority".to_owned(), url.into());
    }
    if config.is_empty() {
        return Err(Error::new("serve needs --authority URL or --config FILE"));
    }
    Ok(config.into())
}

/// Without a token nobody could call; makes one unless the configuration lets anonymous callers in.
fn make_token(config: &Value, tokens: &mut BTreeMap<String, String>) -> Result<Option<String>> {
    let anonymous = config.get("anonymous").and_then(Value::as_str) == Some("public-only");
    if anonymous || !tokens.is_empty() {
        return Ok(None);
    }
    let token = random_token()?;
    let principal = config.get("principal").and_then(Value::as_str).unwrap_or("local");
    tokens.insert(token.clone(), principal.to_owned());
    Ok(Some(token))
}
