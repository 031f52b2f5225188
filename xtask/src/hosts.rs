//! The behaviour suite on every host: a step of `ci` each, and one table by `hosts`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use lexopt::{Arg, ValueExt};
use serde_json::Value;

use crate::build;
use crate::error::{Context, Error, Result};
use crate::process;
use crate::progress::Progress;
use crate::report::{self, Tally};
use crate::setup;
use crate::steps::Step;
use crate::workspace::Workspace;

/// Where the suite runs.
#[derive(Clone, Copy)]
struct Host {
    name: &'static str,
    /// What the suite calls this kind of host.
    target: &'static str,
    /// The program that runs it.
    program: fn(&Workspace) -> PathBuf,
    /// The `exports` condition of the npm package that must have been taken, for hosts of the package.
    condition: Option<&'static str>,
}

const HOSTS: [Host; 12] = [
    package("Node 20", "node", |workspace| workspace.node_path(20), "node"),
    package("Node 22", "node", |workspace| workspace.node_path(22), "node"),
    package("Node 24", "node", |workspace| workspace.node_path(24), "node"),
    package("Deno", "deno", Workspace::deno_path, "deno"),
    package("Bun", "bun", Workspace::bun_path, "bun"),
    package(
        "Chromium page",
        "page",
        |workspace| workspace.node_path(24),
        "browser",
    ),
    package(
        "Chromium worker",
        "web-worker",
        |workspace| workspace.node_path(24),
        "browser",
    ),
    package(
        "workerd",
        "workerd",
        |workspace| workspace.node_path(24),
        "workerd",
    ),
    endpoint("worker", "worker", |workspace| workspace.node_path(24)),
    endpoint("fetch, Node 24", "fetch", |workspace| workspace.node_path(24)),
    endpoint("fetch, Deno", "fetch-deno", Workspace::deno_path),
    endpoint("fetch, Bun", "fetch", Workspace::bun_path),
];

const fn package(
    name: &'static str,
    target: &'static str,
    program: fn(&Workspace) -> PathBuf,
    condition: &'static str,
) -> Host {
    Host {
        name,
        target,
        program,
        condition: Some(condition),
    }
}

const fn endpoint(name: &'static str, target: &'static str, program: fn(&Workspace) -> PathBuf) -> Host {
    Host {
        name,
        target,
        program,
        condition: None,
    }
}

/// What a run said.
struct Outcome {
    tally: Tally,
    /// Of the suite's `about` line; null if it did not come to say it.
    about: Value,
    seconds: f64,
}

/// `hosts [NAME]`: builds, runs the suite on every host or those with NAME in theirs, and prints the table.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result<ExitCode> {
    let mut name = String::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Value(part) => name = part.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let hosts: Vec<Host> = HOSTS
        .into_iter()
        .filter(|host| host.name.contains(&name))
        .collect();
    if hosts.is_empty() {
        return Err(Error::new(format!("no host has `{name}` in its name")));
    }
    setup::setup(workspace)?;
    build::npm(workspace)?;
    build::worker(workspace)?;
    let mut suite = workspace.cargo(&["build", "-p", "leeward-tests", "--bin", "behaviour"]);
    process::run(workspace, "build the suite", &mut suite)?;
    let mut sum = Tally::default();
    let mut rows = vec![ROW.map(str::to_owned)];
    for host in hosts {
        let label = label(host);
        let log = workspace.log(&label)?;
        let progress = Progress::start(&label);
        let outcome = run(workspace, host, &log);
        let ok = outcome.as_ref().is_ok_and(|outcome| outcome.tally.failed == 0);
        progress.end(if ok { "ok" } else { "FAIL" }, "");
        match outcome {
            Ok(outcome) => {
                if !ok {
                    eprintln!("{}", process::tail(&log));
                }
                sum.add(outcome.tally);
                rows.push(row(host, &outcome));
            }
            Err(error) => {
                eprintln!("    {error}");
                sum.add(Tally::one(false));
                rows.push([host.name, "-", "-", "-", "1", "-", "-"].map(str::to_owned));
            }
        }
    }
    print!("{}", table(&rows));
    println!("{} passed, {} failed", sum.passed, sum.failed);
    Ok(if sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The suite on each host.
pub(crate) fn steps() -> impl Iterator<Item = Step> {
    HOSTS.into_iter().map(|host| {
        let step = Step::new(label(host), move |workspace, log| {
            run(workspace, host, log).map(|outcome| outcome.tally)
        });
        step.needs(if host.target == "worker" {
            &[build::WORKER]
        } else {
            &[build::NPM]
        })
    })
}

fn label(host: Host) -> String {
    format!("behaviour on {}", host.name)
}

fn run(workspace: &Workspace, host: Host, log: &Path) -> Result<Outcome> {
    let mut suite = workspace.cargo(&["run", "-q", "-p", "leeward-tests", "--bin", "behaviour", "--"]);
    suite
        .args(["--target", host.target, "--program"])
        .arg((host.program)(workspace));
    let start = Instant::now();
    let ok = process::into_log(&mut suite, log)?;
    let seconds = start.elapsed().as_secs_f64();
    let output = fs::read(log).context(log.display())?;
    let output = String::from_utf8_lossy(&output);
    let about = output.lines().find_map(|line| line.strip_prefix("about "));
    let about: Value = about
        .map_or(Ok(Value::Null), serde_json::from_str)
        .context("about")?;
    if let Some(condition) = host.condition {
        let (took, wanted) = (told(&about, "entry"), entry_of(workspace, condition)?);
        if !about.is_null() && took != wanted {
            return Err(Error::new(format!(
                "{took} was taken, not {wanted} of `{condition}`"
            )));
        }
    }
    Ok(Outcome {
        tally: report::driver(&output).ended(ok),
        about,
        seconds,
    })
}

/// The file that the package's `exports` have for a condition.
fn entry_of(workspace: &Workspace, condition: &str) -> Result<String> {
    let manifest = workspace.path("wasm/package.json");
    let text = fs::read_to_string(&manifest).context(manifest.display())?;
    let manifest: Value = serde_json::from_str(&text).context(manifest.display())?;
    // Either the file, or conditions within the condition.
    let file = [
        format!("/exports/./{condition}"),
        format!("/exports/./{condition}/default"),
    ]
    .iter()
    .find_map(|pointer| manifest.pointer(pointer)?.as_str());
    let file = file.ok_or_else(|| Error::new(format!("wasm/package.json has no `{condition}` entry")))?;
    Ok(file.trim_start_matches("./").to_owned())
}

const ROW: [&str; 7] = [
    "host",
    "runtime",
    "entry",
    "passed",
    "failed",
    "not applicable",
    "seconds",
];

fn row(host: Host, outcome: &Outcome) -> [String; 7] {
    let Outcome {
        tally,
        about,
        seconds,
    } = outcome;
    let lacks = about.get("lacks").and_then(Value::as_array);
    let lacks: Vec<&str> = lacks.into_iter().flatten().filter_map(Value::as_str).collect();
    let others = about.get("others").unwrap_or(&Value::Null);
    [
        host.name.to_owned(),
        told(about, "runtime").to_owned(),
        told(about, "entry").to_owned(),
        tally.passed.to_string(),
        tally.failed.to_string(),
        format!("{} ({})", others, lacks.join(", ")),
        format!("{seconds:.1}"),
    ]
}

/// A word of the `about` line.
fn told<'a>(about: &'a Value, name: &str) -> &'a str {
    about.get(name).and_then(Value::as_str).unwrap_or("-")
}

/// Columns as wide as their widest cell.
pub(crate) fn table(rows: &[impl AsRef<[String]>]) -> String {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(|row| line(row.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bbb", "c"], ["aaaa", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "a     bbb  c\naaaa  b\n");
    }
}
