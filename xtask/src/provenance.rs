//! What the npm package was made from: `build npm` writes it into the package, `provenance` checks a package by it.
//!
//! Nothing in it tells one machine or day from another, so that whoever builds the same commit gets the same bytes and
//! can say so of a package from elsewhere.

use core::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::build;
use crate::error::{Context, Error, Result};
use crate::package::{self, BUILT, Files, MANIFEST};
use crate::process;
use crate::setup;
use crate::version;
use crate::workspace::Workspace;

/// The record, inside the package.
const RECORD: &str = "dist/provenance.json";
const WASM: &str = "dist/leeward_wasm_bg.wasm";

/// `provenance [TARBALL|DIR]`: a package against its own record, and against what this checkout builds.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result {
    let given = match args.next()? {
        Some(lexopt::Arg::Value(path)) => Some(PathBuf::from(path)),
        Some(other) => return Err(other.unexpected().into()),
        None => None,
    };
    if let Some(extra) = args.next()? {
        return Err(extra.unexpected().into());
    }
    let given = given.map(|path| package::read(&path)).transpose()?;
    // Building takes a while, and there may be no need.
    given.as_ref().map(check).transpose()?;
    setup::setup(workspace)?;
    build::npm(workspace)?;
    print!("{}", report(&package::own(workspace)?, given.as_ref())?);
    Ok(())
}

/// Packs what was built, and checks the tarball: what users get is what was built.
pub(crate) fn packed(workspace: &Workspace) -> Result {
    let into = workspace.target().join("packed");
    let _ = fs::remove_dir_all(&into);
    fs::create_dir_all(&into).context(into.display())?;
    let mut npm = workspace.command("npm");
    npm.arg("pack").arg("--pack-destination").arg(&into);
    process::run(workspace, "pack", npm.current_dir(workspace.path("wasm")))?;
    let tarball = fs::read_dir(&into)
        .context(into.display())?
        .find_map(|entry| Some(entry.ok()?.path()))
        .ok_or_else(|| Error::new("npm packed nothing"))?;
    report(&package::own(workspace)?, Some(&package::read(&tarball)?)).map(drop)
}

/// Writes the record of what was built into `dist`, the package's folder of that name or one that becomes it.
pub(crate) fn write(workspace: &Workspace, dist: &Path) -> Result {
    let files = package::built(dist)?;
    let manifest: Value = serde_json::from_str(&workspace.read("wasm/package.json")?).context(MANIFEST)?;
    let wasm = content(&files, WASM)?;
    let others: Map<String, Value> = recorded(&files)
        .filter(|(path, _)| *path != WASM)
        .map(|(path, bytes)| (path.to_owned(), sha256(bytes).into()))
        .collect();
    let record = json!({
        "name": manifest.get("name"),
        "version": manifest.get("version"),
        "commit": commit(workspace),
        "rustc": workspace.output("rustc", &["-V"])?,
        "wasmBindgen": version::locked(&workspace.read("Cargo.lock")?, "wasm-bindgen")?,
        "wasm": { "file": WASM, "bytes": wasm.len(), "sha256": sha256(wasm) },
        "files": others,
    });
    let text = format!("{record:#}\n");
    fs::write(dist.join("provenance.json"), text).context(RECORD)
}

/// The commit, where what is built is exactly that.
fn commit(workspace: &Workspace) -> Option<String> {
    let changed = workspace.output("git", &["status", "--porcelain"]).ok()?;
    let commit = workspace.output("git", &["rev-parse", "HEAD"]).ok()?;
    changed.is_empty().then_some(commit)
}

/// Checks `own` and `given`, or `own` alone, and tells about the package.
fn report(own: &Files, given: Option<&Files>) -> Result<String> {
    let subject = given.unwrap_or(own);
    let record = check(subject)?;
    if let Some(given) = given {
        check(own).context("this checkout's own build")?;
        compare(given, own)?;
    }
    let text = |pointer: &str| match record.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "none: the tree had changes".to_owned(),
        Some(other) => other.to_string(),
    };
    let mut out = String::new();
    for (label, value) in [
        ("package", format!("{} {}", text("/name"), text("/version"))),
        ("commit", text("/commit")),
        ("rustc", text("/rustc")),
        ("wasm-bindgen", text("/wasmBindgen")),
        (
            "wasm",
            format!("{}, {} bytes", text("/wasm/file"), text("/wasm/bytes")),
        ),
        ("sha256", text("/wasm/sha256")),
        ("record", format!("holds for {} files", recorded(subject).count())),
        ("this checkout", "builds the same".to_owned()),
    ] {
        let _ = writeln!(out, "{label:14} {value}");
    }
    Ok(out)
}

/// A package against its own record; the record.
fn check(files: &Files) -> Result<Value> {
    let record = object(files, RECORD)?;
    let manifest = object(files, MANIFEST)?;
    for member in ["name", "version"] {
        let (is, said) = (manifest.get(member), record.get(member));
        if is != said || is.is_none() {
            return Err(Error::new(format!(
                "the package's {member} is {}, its record says {}",
                shown(is),
                shown(said)
            )));
        }
    }
    let wasm = content(files, WASM)?;
    let length = record.pointer("/wasm/bytes").and_then(Value::as_u64);
    if length != Some(wasm.len() as u64) {
        return Err(Error::new(format!(
            "{WASM} has {} bytes, the record says {}",
            wasm.len(),
            shown(record.pointer("/wasm/bytes"))
        )));
    }
    let none = Map::new();
    let others = record.get("files").and_then(Value::as_object).unwrap_or(&none);
    let said = |path: &str| match path {
        WASM => record.pointer("/wasm/sha256"),
        _ => others.get(path),
    };
    for path in others.keys() {
        content(files, path)?;
    }
    for (path, bytes) in recorded(files) {
        match said(path) {
            Some(hash) if *hash == sha256(bytes) => {}
            Some(_) => return Err(Error::new(format!("{path} is not what the record says"))),
            None => return Err(Error::new(format!("{path} is not in the record"))),
        }
    }
    Ok(record)
}

/// A package against this checkout's build. Both hold what their records say.
fn compare(given: &Files, own: &Files) -> Result {
    let (theirs, ours) = (object(given, RECORD)?, object(own, RECORD)?);
    for (member, what) in [
        ("version", "version"),
        ("commit", "commit"),
        ("rustc", "compiler"),
        ("wasmBindgen", "wasm-bindgen"),
    ] {
        let (is, here) = (theirs.get(member), ours.get(member));
        if is != here {
            return Err(Error::new(format!(
                "the package was made from {what} {}, this checkout has {}",
                shown(is),
                shown(here)
            )));
        }
    }
    for path in given.keys().chain(own.keys()) {
        match (given.get(path), own.get(path)) {
            (Some(is), Some(here)) if is == here => {}
            (Some(_), Some(_)) => {
                return Err(Error::new(format!("{path} is not that of this checkout")));
            }
            (None, _) => return Err(Error::new(format!("the package has no {path}"))),
            (_, None) => return Err(Error::new(format!("{path} does not belong in the package"))),
        }
    }
    Ok(())
}

/// The files that a record names: all that is built, save itself.
fn recorded(files: &Files) -> impl Iterator<Item = (&str, &[u8])> {
    let built = files
        .iter()
        .filter(|(path, _)| path.starts_with(BUILT) && *path != RECORD);
    built.map(|(path, bytes)| (&**path, &**bytes))
}

fn content<'a>(files: &'a Files, path: &str) -> Result<&'a [u8]> {
    let found = files.get(path).map(|bytes| &**bytes);
    found.ok_or_else(|| Error::new(format!("the package has no {path}")))
}

fn object(files: &Files, path: &str) -> Result<Value> {
    serde_json::from_slice(content(files, path)?).context(path)
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "none".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn made(version: &str, glue: &str) -> Files {
        let mut files: Files = BTreeMap::from([
            (
                MANIFEST.to_owned(),
                format!(r#"{{"name":"leeward","version":"{version}"}}"#).into_bytes(),
            ),
            (WASM.to_owned(), b"\0asm".to_vec()),
            ("dist/api.js".to_owned(), glue.as_bytes().to_vec()),
            ("README.md".to_owned(), b"read me".to_vec()),
        ]);
        let record = json!({
            "name": "leeward",
            "version": version,
            "commit": "c0ffee",
            "wasm": { "file": WASM, "bytes": 4, "sha256": sha256(b"\0asm") },
            "files": { "dist/api.js": sha256(glue.as_bytes()) },
        });
        files.insert(RECORD.to_owned(), record.to_string().into_bytes());
        files
    }

    /// What is said of a package after `change`, checked against an unchanged one.
    fn said(change: impl FnOnce(&mut Files)) -> String {
        let mut given = made("1.2.3", "glue");
        change(&mut given);
        match report(&made("1.2.3", "glue"), Some(&given)) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_package_as_it_was_built_passes() {
        let text = said(|_| {});
        assert!(text.contains("leeward 1.2.3"), "{text}");
        assert!(text.contains("holds for 2 files"), "{text}");
        assert!(text.contains("builds the same"), "{text}");
    }

    #[test]
    fn a_flipped_byte_is_found() {
        for path in [WASM, "dist/api.js"] {
            let text = said(|files| files.get_mut(path).unwrap()[1] ^= 1);
            assert_eq!(text, format!("{path} is not what the record says"));
        }
    }

    #[test]
    fn a_cut_file_is_found() {
        let text = said(|files| files.get_mut(WASM).unwrap().truncate(3));
        assert_eq!(text, format!("{WASM} has 3 bytes, the record says 4"));
    }

    #[test]
    fn a_missing_file_is_found() {
        for path in [WASM, RECORD, MANIFEST, "dist/api.js"] {
            let text = said(|files| drop(files.remove(path)));
            assert_eq!(text, format!("the package has no {path}"));
        }
    }

    #[test]
    fn a_file_that_nobody_built_is_found() {
        let text = said(|files| drop(files.insert("dist/more.js".to_owned(), Vec::new())));
        assert_eq!(text, "dist/more.js is not in the record");
        // npm would build this one when it installs the package.
        let text = said(|files| drop(files.insert("binding.gyp".to_owned(), Vec::new())));
        assert_eq!(text, "binding.gyp does not belong in the package");
    }

    #[test]
    fn a_wrong_version_is_found() {
        let manifest = made("1.2.4", "glue")[MANIFEST].clone();
        let text = said(|files| drop(files.insert(MANIFEST.to_owned(), manifest)));
        assert_eq!(text, "the package's version is 1.2.4, its record says 1.2.3");
        let text = said(|files| *files = made("1.2.4", "glue"));
        assert_eq!(
            text,
            "the package was made from version 1.2.4, this checkout has 1.2.3"
        );
    }

    #[test]
    fn a_package_that_is_sound_but_another_is_found() {
        let text = said(|files| *files = made("1.2.3", "another glue"));
        assert_eq!(text, "dist/api.js is not that of this checkout");
    }
}
