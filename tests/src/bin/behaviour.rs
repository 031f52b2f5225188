//! Runs the behaviour suite on a host that is another process.
//!
//! `behaviour --target node|worker [--node PATH] [FILTER]`: a line per case, and `N passed, N failed` at the
//! end. PATH is the Node to run, else that of the environment's `LEEWARD_NODE`, else `node`; FILTER is a part
//! of a case's name.

use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::process::{self, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use leeward_tests::Host;
use leeward_tests::behaviour::cases_of;
use leeward_tests::targets::{Node, Worker};

/// After this long without an end a case hangs: nothing in the suite waits for the clock.
const HANGS: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut node = env::var("LEEWARD_NODE").unwrap_or_else(|_| "node".into());
    let (mut target, mut filter) = (None, String::new());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match &*arg {
            "--target" => target = args.next(),
            "--node" => node = args.next().unwrap_or(node),
            _ => filter = arg,
        }
    }
    let mut host: Box<dyn Host> = match target.as_deref() {
        Some("node") => Box::new(Node::start(&node)),
        Some("worker") => Box::new(Worker::start(&node)),
        _ => {
            eprintln!("behaviour --target node|worker [--node PATH] [FILTER]");
            return ExitCode::FAILURE;
        }
    };
    let beats = watch();
    let (mut passed, mut failed) = (0, 0);
    let mut cases = cases_of(&*host);
    cases.retain(|case| case.name.contains(&filter));
    for case in cases {
        let name = case.name.trim_start_matches("leeward_tests::behaviour::");
        let _ = beats.send(name.to_owned());
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (case.run)(&mut *host)));
        println!("{} {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
        match outcome {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
    }
    drop(beats);
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Ends the program if a case hangs, so that a run never does.
fn watch() -> mpsc::Sender<String> {
    let (beats, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut running = String::new();
        loop {
            match heard.recv_timeout(HANGS) {
                Ok(name) => running = name,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    println!("FAIL {running} (it hangs)\n0 passed, 1 failed");
                    process::exit(1);
                }
            }
        }
    });
    beats
}
