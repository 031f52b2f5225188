//! The crates as they would be published: packed without a warning, with what belongs to them, and built from that.

use std::fs;
use std::path::Path;

use crate::error::{Context, Result};
use crate::flags;
use crate::process;
use crate::report::Tally;
use crate::workspace::Workspace;

/// What is published, in the order in which one needs another.
const PUBLISHED: [&str; 2] = ["leeward", "leeward-sync"];
/// What each has besides its sources; the last three are cargo's own.
const BESIDES: [&str; 6] = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
];
/// Which commit it was packed from; cargo leaves it out of an export without git.
const COMMIT: &str = ".cargo_vcs_info.json";

/// A case for each crate's list of files, and one for packing and building them all.
pub(crate) fn packaged(workspace: &Workspace, log: &Path) -> Result<Tally> {
    // A change that is not committed yet is checked like any other; `cargo publish` itself will not take one. Cargo
    // checks that the metadata is complete, and that each builds against the others as packed.
    forget_unpacked()?;
    // What a registry has never changes, for cargo: what it built of an earlier run must go as well.
    let target = workspace.target().join("package-check");
    let _ = fs::remove_dir_all(&target);
    let mut package = workspace.cargo(&[
        "package",
        "--offline",
        "--locked",
        "--allow-dirty",
        "--target-dir",
    ]);
    package.arg(&target);
    package.args(PUBLISHED.iter().flat_map(|name| ["-p", name]));
    let ok = process::into_log(&mut package, log)?;
    let mut said = fs::read_to_string(log).context(log.display())?;
    let mut tally = Tally::one(ok && !said.contains("warning:"));
    for name in PUBLISHED {
        let list = workspace.output(
            "cargo",
            &["package", "--list", "--offline", "--allow-dirty", "-p", name],
        )?;
        let wrong = wrong(list.lines());
        tally.add(Tally::one(wrong.is_empty()));
        for file in wrong {
            said.push_str(&format!("{name}: {file}\n"));
        }
    }
    fs::write(log, said).context(log.display())?;
    Ok(tally)
}

/// Takes away what cargo has unpacked of our own crates. It does so once for each version and place, and would build
/// against the sources of an earlier run.
fn forget_unpacked() -> Result {
    // A registry without a host has no name before the hyphen: it is the one that cargo makes of what it packs.
    let registries = fs::read_dir(flags::cargo_home()?.join("registry/src"));
    let local = registries.into_iter().flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with('-')
    });
    for registry in local {
        for name in PUBLISHED {
            let unpacked = registry
                .path()
                .join(format!("{name}-{}", env!("CARGO_PKG_VERSION")));
            if unpacked.exists() {
                fs::remove_dir_all(&unpacked).context(unpacked.display())?;
            }
        }
    }
    Ok(())
}

/// What is missing from a crate's files, and what does not belong there.
fn wrong<'a>(files: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let missing = BESIDES
        .into_iter()
        .filter(|name| !files.clone().any(|file| file == *name));
    let extra = files
        .clone()
        .filter(|file| *file != COMMIT && !BESIDES.contains(file) && !file.starts_with("src/"));
    let missing = missing.map(|name| format!("has no {name}"));
    missing.chain(extra.map(|file| format!("has {file}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_extra_is_named() {
        let sound = BESIDES.into_iter().chain(["src/lib.rs"]);
        assert!(wrong(sound.clone()).is_empty());
        let files = sound.filter(|file| *file != "README.md").chain(["tests/a.rs"]);
        assert_eq!(wrong(files), ["has no README.md", "has tests/a.rs"]);
    }
}
