//! Every seed, every regression by its name, and a short mutation of the seeds. The engine goes further: `cargo xtask
//! fuzz`.

use std::fs;
use std::panic::catch_unwind;

use leeward_fuzz::mutate::{Dice, dictionary, mutant};
use leeward_fuzz::seeds::root;
use leeward_fuzz::{TARGETS, Target};

/// Mutants of each target.
const MUTANTS: usize = 1500;

/// Runs one input; what it fails with says how to run it alone.
fn judge(target: Target, what: &str, bytes: &[u8]) {
    let run = target.run;
    if catch_unwind(|| run(bytes)).is_err() {
        panic!("{}: {what} fails: {}", target.name, bytes.escape_ascii());
    }
}

fn run(name: &str) {
    let target = leeward_fuzz::target(name).expect("a target of this name");
    let seeds = (target.seeds)();
    for (at, seed) in seeds.iter().enumerate() {
        judge(target, &format!("seed {at}"), seed);
    }
    let folder = root().join("tests/fuzz/regressions").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    files.sort_by_key(fs::DirEntry::path);
    for file in files {
        let bytes = fs::read(file.path()).expect("a regression");
        judge(target, &file.path().display().to_string(), &bytes);
    }
    let (mut dice, words) = (Dice::new(1), dictionary());
    for at in 0..MUTANTS {
        let bytes = mutant(&mut dice, &seeds, &words, target.max_bytes);
        judge(target, &format!("mutant {at}"), &bytes);
    }
}

macro_rules! replayed {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_and_every_regression_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            assert_eq!(replayed.to_vec(), TARGETS.map(|target| target.name).to_vec());
            let folders = fs::read_dir(root().join("tests/fuzz/regressions")).expect("a folder");
            for folder in folders.flatten().filter(|folder| folder.path().is_dir()) {
                let name = folder.file_name().into_string().expect("a name");
                assert!(replayed.contains(&&*name) || name == "exports", "{name} is no target");
            }
        }
    };
}

replayed!(message border sse policy config headers json oauth);
