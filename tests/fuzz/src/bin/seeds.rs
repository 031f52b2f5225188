//! Writes the seeds of a target into a folder: `seeds TARGET FOLDER`. Without arguments: the names of all targets,
//! each with the length of its longest input.

use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [name, folder] = &args[..] else {
        for target in leeward_fuzz::TARGETS {
            println!("{} {}", target.name, target.max_bytes);
        }
        return ExitCode::SUCCESS;
    };
    let Some(target) = leeward_fuzz::target(name) else {
        eprintln!("there is no target {name}");
        return ExitCode::FAILURE;
    };
    for (at, seed) in (target.seeds)().iter().enumerate() {
        let path = format!("{folder}/seed-{at:03}");
        if let Err(error) = fs::write(&path, seed) {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
