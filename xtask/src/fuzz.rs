//! `fuzz`: the targets of `tests/fuzz` under libFuzzer, and the wasm exports under their own driver.
//!
//! libFuzzer needs a C++ compiler and nothing else: stable Rust has the coverage instrumentation, and what is
//! instrumented is built into a target folder of its own. Corpora stay between runs, so that each goes on where the last
//! one ended; an input that breaks a property is made smaller and kept as a regression.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lexopt::{Arg, ValueExt};

use crate::error::{Context, Error, Result};
use crate::process;
use crate::progress::Progress;
use crate::report::Tally;
use crate::workspace::Workspace;

/// What `cargo fuzz` passes too, without a sanitizer: there is no unsafe code here that one could watch.
const INSTRUMENTED: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg",
    "fuzzing",
];
/// The target that is no libFuzzer's: the package's exports, driven from JavaScript.
const EXPORTS: &str = "exports";
/// How many inputs each target runs in CI: always the same ones, so that a red run is the change's own doing.
const BRIEF_RUNS: u64 = 6_000;

/// How long a target runs.
#[derive(Clone, Copy)]
enum Length {
    /// From where its last run ended, with chance.
    Seconds(u64),
    /// From the seeds, without.
    Runs(u64),
}

/// How a target did.
struct Run {
    target: String,
    executions: u64,
    per_second: u64,
    start: u64,
    end: u64,
    features: u64,
    corpus: u64,
    peak_mb: u64,
    finding: Option<String>,
}

/// `fuzz [TARGET] [--seconds N]`.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result<Tally> {
    let (mut only, mut seconds) = (None, 60);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("seconds") => seconds = args.value()?.parse()?,
            Arg::Value(name) if only.is_none() => only = Some(name.string()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    let (tally, table) = run(workspace, only.as_deref(), seconds)?;
    print!("{table}");
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
}

/// Every target of libFuzzer for a moment, as a step of CI; its log has the table.
pub(crate) fn brief(workspace: &Workspace, log: &Path) -> Result<Tally> {
    let engine = Engine::build(workspace)?;
    let mut runs = Vec::new();
    for (target, max_bytes) in engine.targets()? {
        runs.push(engine.run(&target, &max_bytes, Length::Runs(BRIEF_RUNS))?);
    }
    fs::write(log, table(&runs)).context(log.display())?;
    Ok(tally(&runs))
}

fn run(workspace: &Workspace, only: Option<&str>, seconds: u64) -> Result<(Tally, String)> {
    let mut runs = Vec::new();
    if only != Some(EXPORTS) {
        let engine = Engine::build(workspace)?;
        let mut targets = engine.targets()?;
        targets.retain(|(name, _)| only.is_none_or(|only| only == name));
        if targets.is_empty() {
            return Err(Error::new(
                "no such target; `exports` or a file of tests/fuzz/src/targets",
            ));
        }
        for (target, max_bytes) in targets {
            runs.push(engine.run(&target, &max_bytes, Length::Seconds(seconds))?);
        }
    }
    if only.is_none_or(|only| only == EXPORTS) {
        runs.push(exports(workspace, seconds)?);
    }
    Ok((tally(&runs), table(&runs)))
}

fn tally(runs: &[Run]) -> Tally {
    let mut tally = Tally::default();
    for run in runs {
        tally.add(Tally::one(run.finding.is_none()));
    }
    tally
}

fn table(runs: &[Run]) -> String {
    let mut out = format!(
        "{:9} {:>11} {:>7} {:>15} {:>9} {:>7} {:>8}  findings\n",
        "target", "executions", "exec/s", "edges", "features", "corpus", "peak MB"
    );
    for run in runs {
        out += &format!(
            "{:9} {:>11} {:>7} {:>15} {:>9} {:>7} {:>8}  {}\n",
            run.target,
            run.executions,
            run.per_second,
            format!("{} -> {}", run.start, run.end),
            run.features,
            run.corpus,
            run.peak_mb,
            run.finding.as_deref().unwrap_or("none")
        );
    }
    out
}

/// The instrumented programs.
struct Engine<'a> {
    workspace: &'a Workspace,
    /// Everything that fuzzing keeps.
    home: PathBuf,
    programs: PathBuf,
}

impl<'a> Engine<'a> {
    fn build(workspace: &'a Workspace) -> Result<Self> {
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        let asked = workspace.command(&compiler).arg("--version").output();
        if !asked.is_ok_and(|output| output.status.success()) {
            return Err(Error::new(format!(
                "libFuzzer needs a C++ compiler: `{}` (or CXX) does not run",
                compiler.display()
            )));
        }
        let home = workspace.target().join("fuzz");
        let host = host(workspace)?;
        let mut cargo = workspace.cargo(&["build", "--profile", "fuzz", "-p", "leeward-fuzz"]);
        // A target by name keeps the flags from build scripts.
        cargo
            .args(["--features", "libfuzzer", "--bin", "fuzz", "--target", &host])
            .env("CARGO_TARGET_DIR", &home)
            .env("RUSTFLAGS", INSTRUMENTED.join(" "));
        process::run(workspace, "build the fuzz targets", &mut cargo)?;
        Ok(Self {
            workspace,
            programs: home.join(host).join("fuzz"),
            home,
        })
    }

    fn targets(&self) -> Result<Vec<(String, String)>> {
        listed(&self.seeds().output().context("the list of fuzz targets")?)
    }

    /// The program that knows targets and seeds; it is not instrumented.
    fn seeds(&self) -> Command {
        let run = ["run", "-q", "-p", "leeward-fuzz", "--bin", "seeds", "--"];
        self.workspace.cargo(&run)
    }

    /// A folder of its own for a target; it exists.
    fn folder(&self, kind: &str, target: &str) -> Result<PathBuf> {
        let folder = self.home.join(kind).join(target);
        fs::create_dir_all(&folder).context(folder.display())?;
        Ok(folder)
    }

    fn program(&self, target: &str) -> Command {
        let mut command = self.workspace.command(self.programs.join("fuzz"));
        command.env("LEEWARD_FUZZ_TARGET", target);
        command
    }

    fn run(&self, target: &str, max_bytes: &str, length: Length) -> Result<Run> {
        let (kept, seeds) = (self.folder("corpus", target)?, self.folder("seeds", target)?);
        let (fresh, found) = (self.folder("brief", target)?, self.folder("found", target)?);
        for stale in [&fresh, &seeds, &found] {
            fs::remove_dir_all(stale).context(stale.display())?;
            fs::create_dir_all(stale).context(stale.display())?;
        }
        let log = self.workspace.log(&format!("fuzz {target}"))?;
        if !process::into_log(self.seeds().arg(target).arg(&seeds), &log)? {
            return Err(Error::new(format!(
                "no seeds of {target}\n{}",
                process::tail(&log)
            )));
        }
        let progress = Progress::start(format!("fuzz {target}"));
        let mut program = self.program(target);
        match length {
            Length::Seconds(seconds) => program.arg(&kept).arg(format!("-max_total_time={seconds}")),
            Length::Runs(runs) => program.arg(&fresh).arg(format!("-runs={runs}")).arg("-seed=1"),
        };
        program.arg(&seeds);
        let known = self.workspace.path("tests/fuzz/regressions").join(target);
        if known.is_dir() {
            program.arg(known);
        }
        program.args([
            format!("-max_len={max_bytes}"),
            format!(
                "-dict={}",
                self.workspace.path("tests/fuzz/dictionary.txt").display()
            ),
            format!("-artifact_prefix={}/", found.display()),
            "-print_final_stats=1".into(),
            "-timeout=20".into(),
            "-rss_limit_mb=2048".into(),
        ]);
        let ok = process::into_log(&mut program, &log)?;
        let mut run = read(target, &fs::read_to_string(&log).unwrap_or_default());
        if !ok {
            run.finding = Some(self.keep(target, &found)?);
            eprintln!("{}", process::tail(&log));
        }
        let note = format!(
            "{} executions, {} -> {} edges",
            run.executions, run.start, run.end
        );
        progress.end(if ok { "ok" } else { "FAIL" }, &note);
        Ok(run)
    }

    /// Makes what was found smaller, and keeps it; where it is now.
    fn keep(&self, target: &str, found: &Path) -> Result<String> {
        let mut inputs = fs::read_dir(found).context(found.display())?.flatten();
        let Some(input) = inputs.next() else {
            return Ok("the engine failed; its log says why".into());
        };
        let small = found.join("small");
        let mut minimise = self.program(target);
        minimise.arg("-minimize_crash=1").arg("-max_total_time=60");
        minimise.arg(format!("-exact_artifact_path={}", small.display()));
        let log = self.workspace.log(&format!("fuzz {target} minimise"))?;
        process::into_log(minimise.arg(input.path()), &log)?;
        let from = if small.is_file() { small } else { input.path() };
        let name = input
            .file_name()
            .to_string_lossy()
            .chars()
            .take(18)
            .collect::<String>();
        let folder = self.workspace.path("tests/fuzz/regressions").join(target);
        fs::create_dir_all(&folder).context(folder.display())?;
        let kept = folder.join(name);
        fs::copy(&from, &kept).context(kept.display())?;
        Ok(kept.display().to_string())
    }
}

/// Names of targets, with the longest input of each, as `seeds` printed them.
fn listed(seeds: &Output) -> Result<Vec<(String, String)>> {
    let text = String::from_utf8_lossy(&seeds.stdout);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    let targets: Vec<_> = pairs
        .map(|(name, max)| (name.to_owned(), max.to_owned()))
        .collect();
    if !seeds.status.success() || targets.is_empty() {
        let said = String::from_utf8_lossy(&seeds.stderr);
        return Err(Error::new(format!("no list of fuzz targets\n{}", said.trim())));
    }
    Ok(targets)
}

fn host(workspace: &Workspace) -> Result<String> {
    let told = workspace
        .command("rustc")
        .arg("-vV")
        .output()
        .context("rustc")?
        .stdout;
    let text = String::from_utf8_lossy(&told);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Error::new("rustc tells no host"))
}

/// Reads libFuzzer's log.
fn read(target: &str, log: &str) -> Run {
    let after = |line: &str, word: &str| {
        let rest = line.split_once(word)?.1.trim_start();
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse::<u64>()
            .ok()
    };
    let stat = |name: &str| {
        log.lines()
            .rev()
            .find_map(|line| after(line, &format!("stat::{name}:")))
            .unwrap_or(0)
    };
    let mut statuses = log
        .lines()
        .filter(|line| line.starts_with('#') && line.contains(" cov: "));
    let first = statuses.next().unwrap_or_default();
    let last = statuses.next_back().unwrap_or(first);
    Run {
        target: target.into(),
        executions: stat("number_of_executed_units"),
        per_second: stat("average_exec_per_sec"),
        start: after(first, " cov: ").unwrap_or(0),
        end: after(last, " cov: ").unwrap_or(0),
        features: after(last, " ft: ").unwrap_or(0),
        corpus: after(last, " corp: ").unwrap_or(0),
        peak_mb: stat("peak_rss_mb"),
        finding: None,
    }
}

/// The exports, for some time; its edges are pairs of a call and what came of it.
fn exports(workspace: &Workspace, seconds: u64) -> Result<Run> {
    crate::setup::setup(workspace)?;
    crate::build::npm(workspace)?;
    let progress = Progress::start("fuzz exports");
    let log = workspace.log("fuzz exports")?;
    let mut node = workspace.node(24, workspace.path("tests/fuzz/exports.mjs"));
    let ok = process::into_log(node.args(["--seconds", &seconds.to_string()]), &log)?;
    let text = fs::read_to_string(&log).unwrap_or_default();
    let number = |name: &str| {
        let line = text.lines().rev().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    if !ok {
        eprintln!("{}", process::tail(&log));
    }
    let run = Run {
        target: EXPORTS.into(),
        executions: number("executions:"),
        per_second: number("executions:") / seconds.max(1),
        start: number("outcomes at the start:"),
        end: number("outcomes:"),
        features: number("blocks:"),
        corpus: number("seeds:"),
        peak_mb: number("peak MB:"),
        finding: (!ok).then(|| "see the log; its seed belongs into exports.mjs".into()),
    };
    progress.end(
        if ok { "ok" } else { "FAIL" },
        &format!("{} executions", run.executions),
    );
    Ok(run)
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn a_list_of_targets_that_failed_or_has_none_is_an_error() {
        let workspace = Workspace::find().ok().unwrap();
        let exit = |version: &str| workspace.command("rustc").arg(version).output().unwrap().status;
        let (ok, failed) = (exit("--version"), exit("--no-such-flag"));
        let said = |status: ExitStatus, stdout: &str| {
            let (stdout, stderr) = (stdout.into(), b"why".to_vec());
            listed(&Output {
                status,
                stdout,
                stderr,
            })
            .map_err(|error| error.to_string())
        };
        let none = || Err("no list of fuzz targets\nwhy".to_owned());
        assert_eq!(said(ok, "sse 64\n"), Ok(vec![("sse".into(), "64".into())]));
        assert_eq!(said(ok, ""), none());
        assert_eq!(said(failed, "sse 64\n"), none());
    }

    #[test]
    fn reads_what_the_engine_prints() {
        let log = "#2\tINITED cov: 100 ft: 200 corp: 1/1b exec/s: 0 rss: 30Mb\n\
            #99\tNEW    cov: 150 ft: 300 corp: 7/90b lim: 4 exec/s: 3 rss: 31Mb L: 1/4 MS: 1 X-\n\
            #1000\tDONE   cov: 160 ft: 310 corp: 8/99b lim: 4 exec/s: 50 rss: 32Mb\n\
            stat::number_of_executed_units: 1000\nstat::average_exec_per_sec:     50\nstat::peak_rss_mb:              33\n";
        let run = read("x", log);
        assert_eq!((run.executions, run.per_second, run.peak_mb), (1000, 50, 33));
        assert_eq!((run.start, run.end, run.features, run.corpus), (100, 160, 310, 8));
        assert!(table(&[run]).contains("100 -> 160"));
    }
}
