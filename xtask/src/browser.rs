//! The demonstration in a page: a real MCP server, a relay that makes it far away and lets pages in, and the page.

use lexopt::{Arg, ValueExt};

use crate::build;
use crate::error::Result;
use crate::process::{Errors, Server};
use crate::setup;
use crate::workspace::Workspace;

/// `browser [--rtt MS] [--port N]`.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result {
    let (mut rtt_ms, mut port) = (80_u32, 8788_u16);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("rtt") => rtt_ms = args.value()?.parse()?,
            Arg::Long("port") => port = args.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    setup::setup(workspace)?;
    build::npm(workspace)?;

    let mut relay = workspace.node_server("xtask/js/relay.mjs");
    relay.args(["--server", "test", "--cors", "--rtt", &rtt_ms.to_string()]);
    let authority = Server::start(workspace, "authority", &mut relay, Errors::Logged)?;
    let mut site = workspace.node_server("xtask/js/page.mjs");
    site.args(["--port", &port.to_string(), "--authority", authority.url()]);
    let mut page = Server::start(workspace, "page", &mut site, Errors::Shown)?;
    println!("open {}", page.url());
    page.wait()
}
