//! Runs the behaviour suite on a host that is another process.
//!
//! `behaviour --target HOST [--program PATH] [FILTER]`: a line `about {…}` (the runtime, the entry, how many cases
//! are `others`' and what the host lacks for them), a line per case, and `N passed, N failed` at the end. HOST is a
//! name among [`KINDS`]; PATH is the program to start, else it is found by its usual name; FILTER is a part of a
//! case's name.

use std::collections::BTreeSet;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::process::{self, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use leeward_tests::behaviour::{ALL, cases_of};
use leeward_tests::targets::{KINDS, Kind};
use serde_json::json;

/// After this long without an end a case hangs: nothing in the suite waits for the clock.
const HANGS: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let (mut kind, mut program, mut filter) = (None, None, String::new());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match &*arg {
            "--target" => kind = args.next().as_deref().and_then(Kind::named),
            "--program" => program = args.next(),
            _ => filter = arg,
        }
    }
    let Some(kind) = kind else {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        eprintln!("behaviour --target {} [--program PATH] [FILTER]", names.join("|"));
        return ExitCode::FAILURE;
    };
    let beats = watch();
    let (mut about, mut host) = kind.start(program.as_deref().unwrap_or(kind.program));
    let mut cases = cases_of(&*host);
    let all = || ALL.iter().copied().flatten();
    let lacking = all().flat_map(|case| case.needs).filter(|need| !host.has(**need));
    let lacks: BTreeSet<String> = lacking.map(|need| format!("{need:?}")).collect();
    about["others"] = json!(all().count() - cases.len());
    about["lacks"] = json!(lacks);
    println!("about {about}");
    let (mut passed, mut failed) = (0, 0);
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
