//! A step of `test` or `ci`: something that runs into a log of its own and ends in a tally.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process;
use crate::progress::Progress;
use crate::report::{self, Tally};
use crate::workspace::Workspace;

type Work = Box<dyn FnOnce(&Workspace, &Path) -> Result<Tally>>;

/// One step; make it with the functions below.
pub(crate) struct Step {
    pub(crate) name: String,
    /// Names of the steps that build what it runs on.
    needs: &'static [&'static str],
    work: Work,
}

impl Step {
    pub(crate) fn new(
        name: impl Into<String>,
        work: impl FnOnce(&Workspace, &Path) -> Result<Tally> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            needs: &[],
            work: Box::new(work),
        }
    }

    /// Names the steps that build what it runs on.
    pub(crate) fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }
}

/// The steps whose name has `name` in it, and those that they need, in order: no test is of what was built before.
pub(crate) fn select(mut steps: Vec<Step>, name: &str) -> Vec<Step> {
    let asked = steps.iter().filter(|step| step.name.contains(name));
    let needed: Vec<&str> = asked.flat_map(|step| step.needs).copied().collect();
    steps.retain(|step| step.name.contains(name) || needed.contains(&&*step.name));
    steps
}

/// A command that is one case in itself: it succeeds or fails.
pub(crate) fn check(name: impl Into<String>, mut command: Command) -> Step {
    Step::new(name, move |_, log| {
        Ok(Tally::one(process::into_log(&mut command, log)?))
    })
}

/// A command whose cases `count` reads out of its output.
pub(crate) fn tests(name: impl Into<String>, mut command: Command, count: fn(&str) -> Tally) -> Step {
    Step::new(name, move |_, log| counted(&mut command, log, count))
}

/// A step that is not a command.
pub(crate) fn call(name: impl Into<String>, work: fn(&Workspace) -> Result) -> Step {
    Step::new(name, move |workspace, _| {
        work(workspace).map(|()| Tally::one(true))
    })
}

/// Every `DIR/*.test.mjs` under that Node.
pub(crate) fn node_tests(dir: &'static str, node: u8) -> Step {
    node_tests_as(format!("{dir} on Node {node}"), dir, node, None)
}

/// Every test of an HTTP endpoint, asked of `host`: the worker, or `leeward/fetch` on Node.
pub(crate) fn http_tests(host: &'static str) -> Step {
    node_tests_as(
        format!("tests/http on {host}, Node 24"),
        "tests/http",
        24,
        Some(("LEEWARD_HTTP_HOST", host)),
    )
}

/// Every test of failures at a socket, on Node, which is told to trust who signed their certificates.
pub(crate) fn fault_tests() -> Step {
    node_tests_as(
        "tests/faults on Node 24".into(),
        "tests/faults",
        24,
        Some(("NODE_EXTRA_CA_CERTS", "tests/faults/certificates/ca.pem")),
    )
}

fn node_tests_as(
    name: String,
    dir: &'static str,
    node: u8,
    env: Option<(&'static str, &'static str)>,
) -> Step {
    Step::new(name, move |workspace, log| {
        let mut command = node_test_command(workspace, dir, node, env)?;
        counted(&mut command, log, report::node)
    })
}

/// Every test of a replica over stdio: `examples/stdio.rs`, which is built before.
pub(crate) fn stdio_tests() -> Step {
    Step::new("tests/stdio on Node 24", |workspace, log| {
        let mut example = workspace.cargo(&["build", "-p", "leeward-tests", "--example", "stdio"]);
        process::run(workspace, "build examples/stdio.rs", &mut example)?;
        let mut command = node_test_command(workspace, "tests/stdio", 24, None)?;
        let program = format!("debug/examples/stdio{}", env::consts::EXE_SUFFIX);
        command.env("LEEWARD_STDIO", workspace.target().join(program));
        counted(&mut command, log, report::node)
    })
}

/// Runs every `DIR/*.test.mjs` and prints TAP.
pub(crate) fn node_test_command(
    workspace: &Workspace,
    dir: &str,
    node: u8,
    env: Option<(&str, &str)>,
) -> Result<Command> {
    let files = workspace.files(dir, ".test.mjs")?;
    let mut command = workspace.node(node, "--test");
    command
        .envs(env)
        .args([
            "--test-reporter=tap",
            "--test-concurrency=1",
            "--test-timeout=120000",
        ])
        .args(files);
    Ok(command)
}

/// Runs a command and counts its cases.
pub(crate) fn counted(command: &mut Command, log: &Path, count: fn(&str) -> Tally) -> Result<Tally> {
    let ok = process::into_log(command, log)?;
    let output = fs::read(log).unwrap_or_default();
    Ok(count(&String::from_utf8_lossy(&output)).ended(ok))
}

/// Runs all of them, whatever fails, and prints the closing line; its tally.
pub(crate) fn run_all(workspace: &Workspace, steps: Vec<Step>) -> Result<Tally> {
    if steps.is_empty() {
        return Err(Error::new("no such step"));
    }
    let mut sum = Tally::default();
    for Step { name, work, .. } in steps {
        let log = workspace.log(&name)?;
        // No output of an earlier run may pass for this one's.
        let _ = fs::remove_file(&log);
        let progress = Progress::start(&name);
        let (tally, reason) = match work(workspace, &log) {
            Ok(tally) => (tally.ended(true), None),
            Err(error) => (Tally::one(false), Some(error)),
        };
        sum.add(tally);
        let Tally { passed, failed } = tally;
        progress.end(
            if failed == 0 { "ok" } else { "FAIL" },
            &format!("{passed} passed, {failed} failed"),
        );
        match reason {
            Some(error) => eprintln!("    {error}"),
            None if failed > 0 => eprintln!("{}", process::tail(&log)),
            None => {}
        }
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_without_a_case_fails() {
        let workspace = Workspace::find().ok().unwrap();
        let step = Step::new("a step without a case", |_, _| Ok(Tally::default()));
        let sum = run_all(&workspace, vec![step]);
        assert_eq!(sum.ok(), Some(Tally { passed: 0, failed: 1 }));
    }
}
