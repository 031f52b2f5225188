//! Real clients over every way to the test authority: steps of `ci`, and one table by `clients`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::{Map, Value};

use crate::build;
use crate::ci;
use crate::error::{Context, Error, Result};
use crate::hosts::table;
use crate::process;
use crate::progress::Progress;
use crate::report::{self, Tally};
use crate::setup;
use crate::steps::{Step, counted, node_test_command, node_tests};
use crate::workspace::Workspace;

const DIR: &str = "tests/clients";
const NODE: u8 = 24;
/// What the Python clients are installed from: exact versions, each with its hashes.
const REQUIREMENTS: &str = "tests/clients/python/requirements.txt";
/// Succeeds under a Python that they run on, with what makes an environment for them.
const SUITABLE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";

/// The TypeScript clients.
pub(crate) fn typescript() -> Step {
    node_tests(DIR, NODE).needs(&[build::NPM, build::WORKER])
}

/// The Python clients; only for where [`can_have_python`].
pub(crate) fn python() -> Step {
    Step::new("tests/clients on Python", |workspace, log| {
        counted(&mut python_command(workspace)?, log, report::node)
    })
    .needs(&[build::NPM, build::WORKER])
}

/// Whether there is a Python to run clients on, and they can be fetched for it.
pub(crate) fn can_have_python(workspace: &Workspace) -> bool {
    has_python(workspace) && environment(workspace).is_ok()
}

fn has_python(workspace: &Workspace) -> bool {
    let asked = workspace.command("python3").args(["-c", SUITABLE]).output();
    asked.is_ok_and(|output| output.status.success())
}

/// `clients`: builds, runs every client and prints the table.
pub(crate) fn command(workspace: &Workspace) -> Result<ExitCode> {
    if !has_python(workspace) {
        return Err(Error::new("clients needs python3, 3.11 or newer, with venv"));
    }
    setup::setup(workspace)?;
    build::npm(workspace)?;
    build::worker(workspace)?;
    let mut sum = Tally::default();
    let mut seen = Seen::default();
    for (label, mut clients) in [
        (
            "TypeScript clients",
            node_test_command(workspace, DIR, NODE, None)?,
        ),
        ("Python clients", python_command(workspace)?),
    ] {
        let log = workspace.log(label)?;
        let progress = Progress::start(label);
        let tally = counted(&mut clients, &log, report::node)?;
        progress.end(if tally.failed == 0 { "ok" } else { "FAIL" }, "");
        if tally.failed > 0 {
            eprintln!("{}", process::tail(&log));
        }
        sum.add(tally);
        seen.read(&fs::read_to_string(&log).context(log.display())?);
    }
    print!("{}", table(&seen.rows()));
    for line in lacking(workspace)? {
        println!("{line}");
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    ci::finish(sum)
}

/// `python.mjs` with a Python that has the clients.
fn python_command(workspace: &Workspace) -> Result<Command> {
    let python = environment(workspace)?;
    let mut command = workspace.node(NODE, workspace.path("tests/clients/python.mjs"));
    command.arg(python);
    Ok(command)
}

/// The Python of an environment of its own with exactly what is required, made anew where that has changed.
fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.target().join("python-clients");
    let python = dir.join("bin/python");
    let wanted = fs::read(workspace.path(REQUIREMENTS)).context(REQUIREMENTS)?;
    let stamp = dir.join("installed-requirements.txt");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) && runs(&python) {
        return Ok(python);
    }
    let mut venv = workspace.command("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&dir);
    process::run(workspace, "make a Python environment", &mut venv)?;
    let mut pip = workspace.command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--require-hashes"]);
    pip.args(["--only-binary", ":all:", "-r", REQUIREMENTS]);
    process::run(workspace, "fetch the Python clients", &mut pip)?;
    fs::write(&stamp, wanted).context(stamp.display())?;
    Ok(python)
}

/// An environment outlives the Python it was made with.
fn runs(python: &Path) -> bool {
    let asked = Command::new(python).args(["-c", SUITABLE]).output();
    asked.is_ok_and(|output| output.status.success())
}

/// Per client and way: how many cases passed and failed. Ways and clients keep the order in which they came.
#[derive(Default)]
struct Seen {
    clients: Vec<String>,
    ways: Vec<String>,
    cells: BTreeMap<(String, String), Tally>,
}

impl Seen {
    /// Reads the cases out of TAP: those named `CLIENT | WAY | CASE`.
    fn read(&mut self, tap: &str) {
        for line in tap.lines().map(str::trim_start) {
            let ok = line.starts_with("ok ");
            let Some((_, name)) = line
                .split_once(" - ")
                .filter(|_| ok || line.starts_with("not ok "))
            else {
                continue;
            };
            let mut parts = name.splitn(3, " | ").map(str::to_owned);
            let (Some(client), Some(way), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            for (known, new) in [(&mut self.clients, &client), (&mut self.ways, &way)] {
                if !known.contains(new) {
                    known.push(new.clone());
                }
            }
            self.ways.sort();
            self.cells.entry((client, way)).or_default().add(Tally::one(ok));
        }
    }

    /// A row for each way, a column for each client.
    fn rows(&self) -> Vec<Vec<String>> {
        let head = [String::new()].into_iter().chain(self.clients.iter().cloned());
        let mut rows = vec![head.collect()];
        for way in &self.ways {
            let mut row = vec![way.clone()];
            for client in &self.clients {
                let cell = self.cells.get(&(client.clone(), way.clone()));
                row.push(match cell {
                    None => "-".to_owned(),
                    Some(Tally { passed, failed: 0 }) => format!("{passed} passed"),
                    Some(Tally { passed, failed }) => format!("{passed} passed, {failed} FAILED"),
                });
            }
            rows.push(row);
        }
        rows
    }
}

/// What is not asked of a way because it does not carry it yet, in words.
fn lacking(workspace: &Workspace) -> Result<Vec<String>> {
    let file = "tests/clients/lacking.json";
    let sides: Map<String, Value> = serde_json::from_str(&workspace.read(file)?).context(file)?;
    let mut lines = Vec::new();
    for (side, of) in &sides {
        for (whose, eras) in of.as_object().into_iter().flatten() {
            for (era, needs) in eras.as_object().into_iter().flatten() {
                let needs: Vec<&str> = needs
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                if !needs.is_empty() {
                    lines.push(format!(
                        "not carried by {side}, {era} {whose}: {}",
                        needs.join(", ")
                    ));
                }
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_counted_by_client_and_way() {
        let mut seen = Seen::default();
        seen.read("ok 1 - A | w | x\n    not ok 2 - A | w | y | z\nok 3 - B | v | x\n");
        seen.read("# ok 4 - A | w | no\nok 5 - whole\n");
        let rows = seen.rows();
        assert_eq!(rows[0], ["", "A", "B"]);
        assert_eq!(rows[1], ["v", "-", "1 passed"]);
        assert_eq!(rows[2], ["w", "1 passed, 1 FAILED", "-"]);
        assert_eq!(rows.len(), 3);
    }
}
