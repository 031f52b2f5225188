//! The compiler's flags for what is shipped: with these alone, whatever the environment says, two machines make the same
//! wasm. Panics name source files, and would name them by their place on the machine.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// As `CARGO_ENCODED_RUSTFLAGS` takes them.
pub(crate) fn reproducible(workspace: &Workspace) -> Result<String> {
    let sysroot = workspace.output("rustc", &["--print", "sysroot"])?;
    let verbose = workspace.output("rustc", &["-vV"])?;
    let hash = verbose
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "));
    let mut folders = vec![
        (workspace.target(), "/target".to_owned()),
        (workspace.path(""), "/leeward".to_owned()),
        // The name that the standard library's sources have where they are not installed.
        (
            PathBuf::from(sysroot).join("lib/rustlib/src/rust"),
            format!("/rustc/{}", hash.unwrap_or("unknown")),
        ),
    ];
    // Dependencies by name and version, not by the registry they came from.
    let sources = cargo_home()?.join("registry/src");
    if let Ok(entries) = fs::read_dir(&sources) {
        folders.extend(entries.filter_map(|entry| Some((entry.ok()?.path(), "/crates".to_owned()))));
    }
    let mut flags: Vec<String> = folders
        .into_iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect();
    // Digests are few and of short texts: 7 KB less wasm for a slower one.
    flags.push(r#"--cfg=sha2_backend_soft="compact""#.to_owned());
    // Otherwise the order of a folder's entries would decide whether cargo finds its last build fresh.
    flags.sort();
    Ok(flags.join("\x1f"))
}

/// Where cargo keeps what it fetches and unpacks.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    let given = env::var_os("CARGO_HOME").map(PathBuf::from);
    given
        .or_else(|| Some(env::home_dir()?.join(".cargo")))
        .ok_or_else(|| Error::new("neither CARGO_HOME nor a home folder is known"))
}
