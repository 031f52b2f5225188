//! Child processes: run to their end into a log, or kept while something needs them.
//!
//! A kept child has a pipe from this process as its standard input and ends when that closes (`js/leash.mjs`), so none
//! outlives this program however it ends. No signal is handled here.

use core::time::Duration;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use crate::error::{Context, Error, Result};
use crate::progress::Progress;
use crate::workspace::Workspace;

/// How long a child may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a child may take to end once its input has closed.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Runs `command` to its end with its output in a log; an error shows the end of that log.
pub(crate) fn run(workspace: &Workspace, label: &str, command: &mut Command) -> Result {
    let log = workspace.log(label)?;
    let progress = Progress::start(label);
    let ended = into_log(command, &log);
    progress.end(if matches!(ended, Ok(true)) { "done" } else { "FAIL" }, "");
    if ended? {
        Ok(())
    } else {
        Err(Error::new(format!("{label} failed\n{}", tail(&log))))
    }
}

/// Runs `command` to its end, both outputs in `log`; whether it succeeded.
pub(crate) fn into_log(command: &mut Command, log: &Path) -> Result<bool> {
    let file = File::create(log).context(log.display())?;
    let twin = file.try_clone().context(log.display())?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(twin)
        .status()
        .context(format_args!("cannot start {}", command.get_program().display()))?;
    Ok(status.success())
}

/// The last lines of a log, indented, with its path.
pub(crate) fn tail(log: &Path) -> String {
    const LINES: usize = 40;
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
    let mut out: String = last.iter().map(|line| format!("    | {line}\n")).collect();
    out.push_str(&format!("    whole log: {}", log.display()));
    out
}

/// A child that serves until dropped.
pub(crate) struct Server {
    child: Child,
    /// Its standard input: closing it asks the child to end. Kept apart because `Child::wait` would close it.
    input: Option<ChildStdin>,
    url: String,
}

/// Where a server's error output goes.
#[derive(Clone, Copy)]
pub(crate) enum Errors {
    /// Into its log.
    Logged,
    /// To whoever started this program.
    Shown,
}

impl Server {
    /// Starts `command` and waits for its line `listening on URL`; its output goes into a log.
    pub(crate) fn start(
        workspace: &Workspace,
        label: &str,
        command: &mut Command,
        errors: Errors,
    ) -> Result<Self> {
        let log = workspace.log(label)?;
        let file = File::create(&log).context(log.display())?;
        let errors = match errors {
            Errors::Logged => file.try_clone().context(log.display())?.into(),
            Errors::Shown => Stdio::inherit(),
        };
        let progress = Progress::start(format!("start {label}"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context(format_args!("cannot start {label}"))?;
        let url = child.stdout.take().map(|stdout| announced(stdout, file));
        let input = child.stdin.take();
        // From here on the child ends with `server`.
        let mut server = Self {
            child,
            input,
            url: String::new(),
        };
        let announced = url.map_or(Err(RecvTimeoutError::Disconnected), |url| {
            url.recv_timeout(START_LIMIT)
        });
        server.url = announced.map_err(|error| {
            let what = match error {
                RecvTimeoutError::Timeout => "did not listen in time",
                RecvTimeoutError::Disconnected => "ended before it listened",
            };
            Error::new(format!("{label} {what}\n{}", tail(&log)))
        })?;
        progress.end("done", &server.url);
        Ok(server)
    }

    /// The address it announced.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it ends by itself, which no server should.
    pub(crate) fn wait(&mut self) -> Result {
        let status = self.child.wait().context("cannot wait")?;
        Err(Error::new(format!("the server ended: {status}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies `stdout` into `log` to its end; the channel gets the first URL announced in it.
fn announced(stdout: ChildStdout, mut log: File) -> Receiver<String> {
    let (found, url) = mpsc::channel();
    thread::spawn(move || {
        let mut found = Some(found);
        for line in BufReader::new(stdout).lines().map_while(core::result::Result::ok) {
            let _ = writeln!(log, "{line}");
            if let Some(url) = line.strip_prefix("listening on ")
                && let Some(found) = found.take()
            {
                let _ = found.send(url.to_owned());
            }
        }
    });
    url
}
