//! `version [X.Y.Z]`: everything that is published has one version, and this knows where it stands.

use core::cmp::Reverse;
use core::ops::Range;
use std::collections::BTreeMap;
use std::fs;

use semver::Version;

use crate::error::{Context, Error, Result};
use crate::workspace::Workspace;

/// Where the version stands: a file, and the text in front of it, which is there once. The first is the one that the
/// others follow.
const PLACES: [(&str, &str); 13] = [
    ("Cargo.toml", "[workspace.package]\nversion = \""),
    ("Cargo.toml", "leeward = { path = \".\", version = \"="),
    ("Cargo.toml", "leeward-sync = { path = \"sync\", version = \"="),
    ("Cargo.lock", "name = \"leeward\"\nversion = \""),
    ("Cargo.lock", "name = \"leeward-fuzz\"\nversion = \""),
    ("Cargo.lock", "name = \"leeward-rmcp\"\nversion = \""),
    ("Cargo.lock", "name = \"leeward-sync\"\nversion = \""),
    ("Cargo.lock", "name = \"leeward-tests\"\nversion = \""),
    ("Cargo.lock", "name = \"leeward-wasm\"\nversion = \""),
    ("Cargo.lock", "name = \"leeward-worker\"\nversion = \""),
    ("Cargo.lock", "name = \"xtask\"\nversion = \""),
    ("wasm/package.json", "\n  \"version\": \""),
    (
        "tests/package-lock.json",
        "\"../wasm\": {\n      \"name\": \"leeward\",\n      \"version\": \"",
    ),
];
/// Documents that may say how to install a version, and how they would.
const DOCUMENTS: [&str; 4] = [
    "README.md",
    "wasm/README.md",
    "sync/README.md",
    "docs/RELEASING.md",
];
const INSTALLS: [&str; 3] = ["leeward@", "leeward = \"", "leeward-sync = \""];
const CHANGES: &str = "CHANGELOG.md";
const UNRELEASED: &str = "Unreleased";

/// Texts by file.
type Texts = BTreeMap<&'static str, String>;

/// Without an argument checks that all are in step; with one sets them all.
pub(crate) fn command(workspace: &Workspace, mut args: lexopt::Parser) -> Result {
    let wanted = match args.next()? {
        Some(lexopt::Arg::Value(version)) => Some(version.to_string_lossy().into_owned()),
        Some(other) => return Err(other.unexpected().into()),
        None => None,
    };
    if let Some(extra) = args.next()? {
        return Err(extra.unexpected().into());
    }
    let texts = read(workspace)?;
    let Some(wanted) = wanted else {
        let version = in_step(&texts)?;
        println!("{version} in {} places", PLACES.len());
        return Ok(());
    };
    for (file, text) in set(&texts, &wanted)? {
        if texts.get(file) != Some(&text) {
            fs::write(workspace.path(file), text).context(file)?;
            println!("wrote {file}");
        }
    }
    Ok(())
}

/// The same check as a step of CI.
pub(crate) fn check(workspace: &Workspace) -> Result {
    in_step(&read(workspace)?).map(drop)
}

/// The version of a package in a `Cargo.lock`.
pub(crate) fn locked<'a>(lock: &'a str, package: &str) -> Result<&'a str> {
    let at = the_one("Cargo.lock", lock, &format!("name = \"{package}\"\nversion = \""))?;
    Ok(lock.get(at).unwrap_or_default())
}

fn read(workspace: &Workspace) -> Result<Texts> {
    let placed = PLACES.iter().map(|(file, _)| *file);
    placed
        .chain(DOCUMENTS)
        .chain([CHANGES])
        .map(|file| Ok((file, workspace.read(file)?)))
        .collect()
}

/// The version, where every place has the same.
fn in_step(texts: &Texts) -> Result<Version> {
    let mut found = Vec::new();
    for (file, text) in texts {
        for at in places(file, text)? {
            found.push((*file, text.get(at).unwrap_or_default()));
        }
    }
    let (first, before) = PLACES[0];
    let leading = text(texts, first);
    let leading = leading.get(the_one(first, leading, before)?).unwrap_or_default();
    if let Some((file, other)) = found.iter().find(|(_, version)| *version != leading) {
        return Err(Error::new(format!(
            "{file} has version {other}, {first} has {leading}: `cargo xtask version {leading}` sets all"
        )));
    }
    let (_, heading) = newest(text(texts, CHANGES))?;
    if heading != UNRELEASED && heading != leading {
        return Err(Error::new(format!(
            "{CHANGES} begins with {heading}: neither {UNRELEASED} nor {leading}"
        )));
    }
    parse(leading)
}

/// The texts with `wanted` everywhere; what was unreleased in the changelog is then of that version.
fn set(texts: &Texts, wanted: &str) -> Result<Texts> {
    let wanted = parse(wanted)?.to_string();
    let (first, before) = PLACES[0];
    let leading = text(texts, first);
    let current = parse(leading.get(the_one(first, leading, before)?).unwrap_or_default())?;
    if parse(&wanted)? < current {
        return Err(Error::new(format!("{wanted} is older than {current}")));
    }
    let mut changed = texts.clone();
    for (file, text) in &mut changed {
        let mut all = places(file, text)?;
        // From the last, so that those before it stay where they are.
        all.sort_by_key(|at| Reverse(at.start));
        for at in all {
            text.replace_range(at, &wanted);
        }
    }
    let changes = changed.entry(CHANGES).or_default();
    let (at, heading) = newest(changes)?;
    if heading != UNRELEASED && heading != wanted {
        return Err(Error::new(format!(
            "{CHANGES} says nothing of {wanted}: write `## {UNRELEASED}` and below it what changed"
        )));
    }
    changes.replace_range(at, &wanted);
    Ok(changed)
}

/// Where versions stand in a file.
fn places(file: &str, text: &str) -> Result<Vec<Range<usize>>> {
    let named = PLACES.iter().filter(|(name, _)| *name == file);
    let mut all = named
        .map(|(_, before)| the_one(file, text, before))
        .collect::<Result<Vec<_>>>()?;
    if DOCUMENTS.contains(&file) {
        for before in INSTALLS {
            let mentions = text
                .match_indices(before)
                .map(|(at, _)| version_at(text, at + before.len()));
            all.extend(mentions.filter(|at| !at.is_empty()));
        }
    }
    Ok(all)
}

/// The version behind the only occurrence of `before`.
fn the_one(file: &str, text: &str, before: &str) -> Result<Range<usize>> {
    let mut found = text
        .match_indices(before)
        .map(|(at, _)| version_at(text, at + before.len()));
    match (found.next(), found.next()) {
        (Some(at), None) if !at.is_empty() => Ok(at),
        _ => Err(Error::new(format!(
            "{file} should have one version behind {before:?}"
        ))),
    }
}

/// The version that begins there; empty where none does.
fn version_at(text: &str, start: usize) -> Range<usize> {
    let rest = text.get(start..).unwrap_or_default();
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let length = match rest.chars().next() {
        Some(first) if first.is_ascii_digit() => rest.find(|c| !part(c)).unwrap_or(rest.len()),
        _ => 0,
    };
    start..start + length
}

/// The first heading of the changelog, which has something below it, and where it stands.
fn newest(changes: &str) -> Result<(Range<usize>, &str)> {
    const MARK: &str = "\n## ";
    let mark = changes
        .find(MARK)
        .ok_or_else(|| Error::new(format!("{CHANGES} has no heading")))?;
    let start = mark + MARK.len();
    let rest = changes.get(start..).unwrap_or_default();
    let (heading, body) = rest.split_once('\n').unwrap_or((rest, ""));
    let body = body.split(MARK).next().unwrap_or_default();
    if !body.lines().any(|line| line.starts_with("- ")) {
        return Err(Error::new(format!("{CHANGES} has nothing below {heading}")));
    }
    Ok((start..start + heading.len(), heading))
}

fn parse(version: &str) -> Result<Version> {
    Version::parse(version).context(format_args!("{version:?} is no version"))
}

fn text<'a>(texts: &'a Texts, file: &str) -> &'a str {
    texts.get(file).map_or("", |text| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files in which the version is 1.2.3.
    fn texts() -> Texts {
        let mut texts = Texts::new();
        for (file, before) in PLACES {
            let text = texts.entry(file).or_default();
            text.push_str(&format!("{before}1.2.3\"\nother = \"1.2.3\"\n"));
        }
        for file in DOCUMENTS {
            texts.insert(file, "npm install leeward@1.2.3, leeward@latest".to_owned());
        }
        let changes = "# Changelog\n\n## Unreleased\n\n- a thing\n\n## 1.2.2\n\n- another\n";
        texts.insert(CHANGES, changes.to_owned());
        texts
    }

    fn failure<T>(result: Result<T>) -> String {
        result.err().expect("it fails").to_string()
    }

    #[test]
    fn all_in_step_pass() {
        assert_eq!(in_step(&texts()).ok(), Some(Version::new(1, 2, 3)));
    }

    #[test]
    fn each_place_out_of_step_is_named() {
        for (file, before) in PLACES.into_iter().skip(1) {
            let mut texts = texts();
            let text = texts.get_mut(file).unwrap();
            *text = text.replace(&format!("{before}1.2.3"), &format!("{before}1.2.4"));
            let said = failure(in_step(&texts));
            assert!(said.starts_with(&format!("{file} has version 1.2.4")), "{said}");
        }
    }

    #[test]
    fn a_document_that_installs_another_version_is_named() {
        for mention in ["leeward@0.9.0", "leeward = \"0.9.0\"", "leeward-sync = \"0.9.0\""] {
            let mut texts = texts();
            texts.insert("wasm/README.md", mention.to_owned());
            let said = failure(in_step(&texts));
            assert!(said.starts_with("wasm/README.md has version 0.9.0"), "{said}");
        }
    }

    #[test]
    fn a_place_that_moved_is_named() {
        let mut texts = texts();
        texts.insert("wasm/package.json", "{}".to_owned());
        let said = failure(in_step(&texts));
        assert!(
            said.starts_with("wasm/package.json should have one version"),
            "{said}"
        );
    }

    #[test]
    fn a_changelog_of_another_version_does_not_pass() {
        let mut texts = texts();
        texts.insert(CHANGES, "# Changelog\n\n## 1.2.2\n\n- another\n".to_owned());
        assert!(failure(in_step(&texts)).contains("begins with 1.2.2"));
        assert!(failure(set(&texts, "1.3.0")).contains("says nothing of 1.3.0"));
        texts.insert(
            CHANGES,
            "# Changelog\n\n## Unreleased\n\n## 1.2.2\n\n- another\n".to_owned(),
        );
        assert!(failure(set(&texts, "1.3.0")).contains("nothing below Unreleased"));
    }

    #[test]
    fn setting_brings_all_in_step_and_touches_nothing_else() {
        let new = set(&texts(), "2.0.0-rc.1").ok().unwrap();
        assert_eq!(in_step(&new).ok().unwrap().to_string(), "2.0.0-rc.1");
        assert!(new[CHANGES].contains("\n## 2.0.0-rc.1\n\n- a thing\n"));
        assert_eq!(new["README.md"], "npm install leeward@2.0.0-rc.1, leeward@latest");
        let kept = |texts: &Texts| {
            texts
                .values()
                .map(|text| text.matches("other = \"1.2.3\"").count())
                .sum::<usize>()
        };
        assert_eq!(kept(&new), PLACES.len());
    }

    #[test]
    fn setting_the_same_again_changes_nothing() {
        let once = set(&texts(), "1.2.3").ok().unwrap();
        assert_eq!(set(&once, "1.2.3").ok(), Some(once));
    }

    #[test]
    fn what_is_older_or_no_version_is_refused() {
        for older in ["1.2.2", "1.2.3-rc.1", "0.9.0"] {
            assert_eq!(
                failure(set(&texts(), older)),
                format!("{older} is older than 1.2.3")
            );
        }
        for wrong in ["1.2", "v1.2.4", "01.2.4", "1.2.4\"\nevil = \"", ""] {
            assert!(failure(set(&texts(), wrong)).contains("is no version"), "{wrong}");
        }
    }
}
