//! One line for what is under way: how long it has taken, and how it ended.
//!
//! On a terminal the line is rewritten each second; elsewhere a line is written at the end and, while it lasts, every
//! half minute, so that a log shows life without filling up.

use core::time::Duration;
use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Shows its label until ended or dropped.
pub(crate) struct Progress {
    label: String,
    start: Instant,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    pub(crate) fn start(label: impl Into<String>) -> Self {
        let label = label.into();
        let start = Instant::now();
        let (stop, stopped) = mpsc::channel();
        let shown = label.clone();
        let ticker = thread::spawn(move || {
            let terminal = stderr().is_terminal();
            let beat = Duration::from_secs(if terminal { 1 } else { 30 });
            while stopped.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                let line = format!("  …    {shown} ({})", seconds(start.elapsed()));
                let _ = if terminal {
                    write!(stderr(), "\r\x1b[2K{line}")
                } else {
                    writeln!(stderr(), "{line}")
                };
            }
        });
        Self {
            label,
            start,
            ticker: Some((stop, ticker)),
        }
    }

    /// Replaces the line by its outcome: `mark` in front, `note` behind.
    pub(crate) fn end(mut self, mark: &str, note: &str) {
        self.stop();
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        eprintln!(
            "  {mark:4} {}{note} ({})",
            self.label,
            seconds(self.start.elapsed())
        );
    }

    fn stop(&mut self) {
        if let Some((stop, ticker)) = self.ticker.take() {
            drop(stop);
            let _ = ticker.join();
            if stderr().is_terminal() {
                let _ = write!(stderr(), "\r\x1b[2K");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop();
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}
