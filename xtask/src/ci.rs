//! `test` and `ci`: the lists of what is checked. A new check is a line here.

use std::env;
use std::process::{Command, ExitCode};

use lexopt::{Arg, ValueExt};

use crate::build;
use crate::clients;
use crate::conformance;
use crate::crates;
use crate::error::{Context, Error, Result};
use crate::fuzz;
use crate::hosts;
use crate::process;
use crate::provenance;
use crate::report::{self, Tally};
use crate::setup;
use crate::steps::{
    Step, call, check, counted, fault_tests, http_tests, node_tests, run_all, select, stdio_tests, tests,
};
use crate::version;
use crate::workspace::Workspace;

const WASM: &str = "wasm32-unknown-unknown";
const BARE: &str = "thumbv7em-none-eabihf";

/// `test [NAME]`: sets up and runs every test, or the steps of `ci` whose name has NAME in it.
pub(crate) fn test(workspace: &Workspace, mut args: lexopt::Parser) -> Result<ExitCode> {
    let mut steps = test_steps(workspace);
    if let Some(arg) = args.next()? {
        let Arg::Value(name) = arg else {
            return Err(arg.unexpected().into());
        };
        let name = name.string()?;
        steps = select(all_steps(workspace)?, &name);
    }
    setup::setup(workspace)?;
    finish(run_all(workspace, steps)?)
}

/// Everything: what `test` runs, the checks of the source, and the demonstration.
pub(crate) fn ci(workspace: &Workspace) -> Result<ExitCode> {
    setup::setup(workspace)?;
    let mut steps = all_steps(workspace)?;
    if clients::can_have_python(workspace) {
        steps.push(clients::python());
    }
    finish(run_all(workspace, steps)?)
}

fn all_steps(workspace: &Workspace) -> Result<Vec<Step>> {
    let mut steps = source_steps(workspace);
    steps.extend(test_steps(workspace));
    steps.push(Step::new("fuzz, briefly", fuzz::brief));
    let mut demonstration = workspace.command(env::current_exe().context("where am I")?);
    demonstration.args(["run", "--once", "--port", "0"]);
    steps.push(check("run --once", demonstration));
    Ok(steps)
}

/// Bans, licences, sources and advisories; needs `cargo deny` and the network.
pub(crate) fn deny(workspace: &Workspace) -> Result {
    if !has_deny(workspace) {
        return Err(Error::new(
            "cargo-deny is needed: cargo install cargo-deny --locked",
        ));
    }
    process::run(workspace, "cargo deny", &mut workspace.cargo(&["deny", "check"]))
}

fn has_deny(workspace: &Workspace) -> bool {
    let asked = workspace.cargo(&["deny", "--version"]).output();
    asked.is_ok_and(|output| output.status.success())
}

fn source_steps(workspace: &Workspace) -> Vec<Step> {
    let mut steps = vec![
        check("format", workspace.cargo(&["fmt", "--all", "--check"])),
        clippy(workspace, &["-p", "leeward", "--all-targets"]),
        clippy(workspace, &["-p", "leeward-sync", "--all-targets"]),
        clippy(workspace, &["-p", "leeward-tests", "--all-targets"]),
        clippy(workspace, &["-p", "leeward-fuzz", "--all-targets"]),
        clippy(workspace, &["-p", "leeward-rmcp", "--all-targets"]),
        clippy(workspace, &["-p", "xtask", "--all-targets"]),
        clippy(workspace, &["-p", "leeward-wasm", "--target", WASM]),
        clippy(workspace, &["-p", "leeward-worker", "--target", WASM]),
        alone(workspace, "leeward", BARE),
        alone(workspace, "leeward", WASM),
        alone(workspace, "leeward-sync", BARE),
        alone(workspace, "leeward-sync", WASM),
        check("documentation", documentation(workspace)),
        call("versions in step", version::check),
        Step::new("cargo package", crates::packaged),
    ];
    if has_deny(workspace) {
        let offline = workspace.cargo(&["deny", "check", "bans", "licenses", "sources"]);
        steps.push(check("dependencies", offline));
    }
    steps
}

fn test_steps(workspace: &Workspace) -> Vec<Step> {
    let mut rust = workspace.cargo(&["test", "--no-fail-fast"]);
    rust.args(
        [
            "leeward",
            "leeward-sync",
            "leeward-wasm",
            "leeward-tests",
            "leeward-fuzz",
            "xtask",
        ]
        .map(|package| format!("-p={package}")),
    );
    let mut steps = vec![
        tests("Rust tests", rust, report::cargo),
        call(build::NPM, build::npm),
        check(
            "reference of the npm package",
            build::reference(workspace, &["--check"]),
        )
        .needs(&[build::NPM]),
        call("provenance of the packed package", provenance::packed).needs(&[build::NPM]),
        node_tests("tests/packaging", 24).needs(&[build::NPM]),
        call(build::WORKER, build::worker),
        node_tests("tests/js", 20).needs(&[build::NPM]),
        node_tests("tests/js", 22).needs(&[build::NPM]),
        node_tests("tests/js", 24).needs(&[build::NPM]),
        http_tests("worker").needs(&[build::WORKER]),
        http_tests("fetch").needs(&[build::NPM]),
        fault_tests().needs(&[build::NPM]),
        stdio_tests(),
        node_tests("tests/worker", 24).needs(&[build::WORKER]),
        clients::typescript(),
        node_tests("tests/oauth", 24).needs(&[build::NPM, build::WORKER]),
        node_tests("tests/browser", 24).needs(&[build::NPM]),
        node_tests("tests/conformance", 24),
        exports(20).needs(&[build::NPM]),
        exports(24).needs(&[build::NPM]),
    ];
    steps.extend(hosts::steps());
    steps.extend(conformance::steps());
    steps
}

fn clippy(workspace: &Workspace, what: &[&str]) -> Step {
    let mut command = workspace.cargo(&["clippy"]);
    command.args(what).args(["--", "-D", "warnings"]);
    check(format!("clippy {}", what.join(" ")), command)
}

/// One package by itself for one target: what a workspace build shares, features above all, would hide a `std` leak.
fn alone(workspace: &Workspace, package: &str, target: &str) -> Step {
    let command = workspace.cargo(&["check", "-p", package, "--target", target]);
    check(format!("{package} alone on {target}"), command)
}

fn documentation(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo(&["doc", "--no-deps", "-p", "leeward", "-p", "leeward-sync"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// The exports of the npm package under calls that nobody should make.
fn exports(node: u8) -> Step {
    Step::new(
        format!("fuzz the exports on Node {node}"),
        move |workspace, log| {
            let mut script = workspace.node(node, workspace.path("tests/fuzz/exports.mjs"));
            counted(&mut script, log, report::driver)
        },
    )
}

pub(crate) fn finish(tally: Tally) -> Result<ExitCode> {
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_selected_is_built_before() {
        let workspace = Workspace::find().ok().unwrap();
        let names = |name: &str| {
            let selected = select(all_steps(&workspace).ok().unwrap(), name).into_iter();
            selected.map(|step| step.name).collect::<Vec<_>>()
        };
        let js = [20, 22, 24].map(|node| format!("tests/js on Node {node}"));
        assert_eq!(names("tests/js"), [&[build::NPM.to_owned()], &js[..]].concat());
        let worker = "tests/http on worker, Node 24";
        assert_eq!(names("tests/http on worker"), [build::WORKER, worker]);
        let hosts = ["behaviour on workerd", "behaviour on worker"];
        assert_eq!(
            names(hosts[1]),
            [&[build::NPM, build::WORKER], &hosts[..]].concat()
        );
        let conformance = [
            "tests/conformance on Node 24",
            "conformance",
            "conformance, authority on rmcp",
            "conformance of the client",
        ];
        assert_eq!(
            names("conformance"),
            [&[build::NPM, build::WORKER], &conformance[..]].concat()
        );
        assert_eq!(names("format"), ["format"]);
        assert_eq!(names("no such step"), [""; 0]);
    }
}
