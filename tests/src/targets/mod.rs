//! Targets that are other processes: programs under `tests/hosts/`, driven by JSON lines (`process`). Either the
//! npm package is in the program (`package`), or the program tells the origin of an HTTP server (`origin`).

mod origin;
mod package;
mod process;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use self::origin::Origin;
use self::package::Package;
use self::process::Program;
use crate::target::{Host, Need};

/// A kind of host that the suite runs on.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The program that runs its script, unless told otherwise.
    pub program: &'static str,
    /// What stands on the program's command line before the script.
    flags: &'static [&'static str],
    /// The script in `tests/hosts/`, and its arguments.
    script: &'static [&'static str],
    reached: Reached,
}

/// How the suite reaches the replica.
#[derive(Clone, Copy, Debug)]
enum Reached {
    /// By orders to the program, which has the package in it; some runtimes lack something.
    Orders { lacks: &'static [Need] },
    /// By HTTP.
    Http,
}

const DENO: &[&str] = &["run", "--allow-all", "--no-lock"];

/// Every kind of host.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "node",
        program: "node",
        flags: &[],
        script: &["native.mjs"],
        reached: Reached::Orders { lacks: &[] },
    },
    Kind {
        name: "deno",
        program: "deno",
        flags: DENO,
        script: &["native.mjs"],
        reached: Reached::Orders { lacks: &[] },
    },
    Kind {
        name: "bun",
        program: "bun",
        flags: &[],
        script: &["native.mjs"],
        reached: Reached::Orders { lacks: &[] },
    },
    Kind {
        name: "page",
        program: "node",
        flags: &[],
        script: &["browser.mjs", "page"],
        reached: Reached::Orders {
            lacks: &[Need::Unsent, Need::Streams],
        },
    },
    Kind {
        name: "web-worker",
        program: "node",
        flags: &[],
        script: &["browser.mjs", "worker"],
        reached: Reached::Orders {
            lacks: &[Need::Unsent, Need::Streams],
        },
    },
    Kind {
        name: "workerd",
        program: "node",
        flags: &[],
        script: &["workerd.mjs"],
        reached: Reached::Orders {
            lacks: &[Need::Unsent],
        },
    },
    Kind {
        name: "worker",
        program: "node",
        flags: &[],
        script: &["worker.mjs"],
        reached: Reached::Http,
    },
    Kind {
        name: "fetch",
        program: "node",
        flags: &[],
        script: &["fetch.mjs"],
        reached: Reached::Http,
    },
    Kind {
        name: "fetch-deno",
        program: "deno",
        flags: DENO,
        script: &["fetch.mjs"],
        reached: Reached::Http,
    },
];

impl Kind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        KINDS.iter().copied().find(|kind| kind.name == name)
    }

    /// Starts a host of this kind under `program`. Gives it with what its program says about itself: `runtime`,
    /// the name and version, and `entry`, the file that was taken.
    pub fn start(self, program: &str) -> (Value, Box<dyn Host>) {
        let (script, arguments) = self.script.split_first().unwrap_or((&"", &[]));
        let mut command = Command::new(program);
        command
            .args(self.flags)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("hosts").join(script))
            .args(arguments);
        let mut program = Program::start(command);
        let about = program.must("about", json!({}));
        let host: Box<dyn Host> = match self.reached {
            Reached::Orders { lacks } => Box::new(Package { program, lacks }),
            Reached::Http => Box::new(Origin { program }),
        };
        (about, host)
    }
}
