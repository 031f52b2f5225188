//! Builds, runs and checks Leeward: `cargo xtask help`.
//!
//! Everything that a contributor or CI does is a command here, so that both do the same. Nothing here is shipped.

mod browser;
mod build;
mod ci;
mod clients;
mod conformance;
mod crates;
mod error;
mod flags;
mod fuzz;
mod hosts;
mod package;
mod process;
mod progress;
mod provenance;
mod report;
mod run;
mod serve;
mod setup;
mod size;
mod steps;
mod version;
mod wasm;
mod workspace;

use std::process::ExitCode;

use crate::error::Result;
use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask <command>

  setup                      fetch the Rust targets and the npm parts
  build [npm|worker]         build the npm package, the worker, or both
  docs                       write docs/npm, the npm package's reference, from its doc comments
  size                       print what both weigh: raw, gzip, brotli
  serve [options]            run the worker in front of an MCP server
      --authority URL          the server's Streamable HTTP endpoint
      --config FILE            a leeward.json; --authority overrides its authority
      --port N                 where to listen (8787)
      --token PRINCIPAL=TOKEN  a caller and its bearer token; repeatable
  run [options]              the demonstration: a real server, a slow way to it, Leeward in front
      --once                   stop after the table; fails unless there were hits
      --rtt MS                 round trip to the server (80)
      --port N                 where the worker listens (8787)
  browser [options]          the same in a page: Leeward in the browser, a real server at another origin (CORS)
      --rtt MS                 round trip to the server (80)
      --port N                 where the page is served (8788)
  test [NAME]                set up, build, run every test; or the steps of `ci` with NAME in theirs
  hosts [NAME]               run the behaviour suite on every host, or those with NAME in theirs; print one table
  clients                    real clients, TypeScript and Python, against the worker and leeward/fetch; print one table
  conformance server [options]  the official suite through the replica, cold and warm; print its table
      --host worker|node       where the replica runs (both); `direct`: without one; repeatable
      --spec REV               2026-07-28 or 2025-11-25 (both); repeatable
      --authority URL          an MCP server with the suite's fixtures (the test authority)
      --era both|modern|legacy  which revisions the test authority speaks (both)
      --scenarios A,B          only these
  conformance client [options]  the official suite with the replica as the client; print its table
      --host node|worker       where the replica runs (node); repeatable
      --spec REV               2026-07-28, 2025-11-25 or 2025-03-26 (all); repeatable
      --scenarios A,B          only these
  fuzz [TARGET]              the targets of tests/fuzz under libFuzzer (needs a C++ compiler), and `exports`
      --seconds N              how long each (60)
  ci                         what CI runs: checks, tests, `run --once`
  provenance [TARBALL|DIR]   check an npm package by its own record and by what this checkout builds
  version [X.Y.Z]            check that every version is in step, or set them all
  deny                       bans, licences, sources and advisories of all dependencies (needs cargo-deny)
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let mut args = lexopt::Parser::from_env();
    let Some(lexopt::Arg::Value(command)) = args.next()? else {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let done = |()| ExitCode::SUCCESS;
    match &*command.to_string_lossy() {
        "setup" => no_more(args).and_then(|()| setup::setup(&workspace)).map(done),
        "build" => build::command(&workspace, args).map(done),
        "docs" => no_more(args).and_then(|()| build::docs(&workspace)).map(done),
        "size" => no_more(args).and_then(|()| size::command(&workspace)).map(done),
        "serve" => serve::command(&workspace, args).map(done),
        "run" => run::command(&workspace, args),
        "browser" => browser::command(&workspace, args).map(done),
        "test" => ci::test(&workspace, args),
        "hosts" => hosts::command(&workspace, args),
        "clients" => no_more(args).and_then(|()| clients::command(&workspace)),
        "conformance" => conformance::command(&workspace, args),
        "fuzz" => fuzz::command(&workspace, args).and_then(ci::finish),
        "ci" => no_more(args).and_then(|()| ci::ci(&workspace)),
        "provenance" => provenance::command(&workspace, args).map(done),
        "version" => version::command(&workspace, args).map(done),
        "deny" => no_more(args).and_then(|()| ci::deny(&workspace)).map(done),
        "help" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(error::Error::new(format!(
            "no command `{other}`; see `cargo xtask help`"
        ))),
    }
}

fn no_more(mut args: lexopt::Parser) -> Result {
    match args.next()? {
        Some(arg) => Err(arg.unexpected().into()),
        None => Ok(()),
    }
}
