//! Documents that are held to the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use leeward::Code;
use serde_json::Value;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Rows of the document's table whose first cell is a code: the cells without their back ticks.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    let is_row = |line: &&str| line.starts_with("| `") && line.matches('|').count() >= 7;
    text.lines()
        .filter(is_row)
        .map(cells)
        .filter(|cells| cells[0] != "code")
        .collect()
}

#[test]
fn the_table_of_errors_is_that_of_the_code() {
    let text = document("docs/ERRORS.md");
    let rows = rows(&text);
    let documented: BTreeMap<String, [String; 3]> = rows
        .iter()
        .map(|row| (row[0].clone(), [row[1].clone(), row[2].clone(), row[3].clone()]))
        .collect();
    assert_eq!(documented.len(), rows.len(), "a code is there twice");
    let coded: BTreeMap<String, [String; 3]> = Code::ALL
        .into_iter()
        .map(|code| {
            let cells = [
                code.json_rpc().to_string(),
                code.http().to_string(),
                code.retryable().to_string(),
            ];
            (code.as_str().to_owned(), cells)
        })
        .collect();
    assert_eq!(documented, coded);
    for row in &rows {
        assert!(
            !row[4].is_empty() && !row[5].is_empty(),
            "{}: what it means and what to do",
            row[0]
        );
    }
}

/// docs/ERRORS.md: own codes count from 1001, outside every reserved range, and are stable.
#[test]
fn codes_are_stable_distinct_and_outside_the_reserved_ranges() {
    let mut own: Vec<i32> = Code::ALL
        .into_iter()
        .map(Code::json_rpc)
        .filter(|code| *code > 0)
        .collect();
    own.sort_unstable();
    // Those between are reserved.
    assert_eq!(own, (1001..=1014).chain(1020..=1023).collect::<Vec<_>>());
    let mut names: Vec<_> = Code::ALL.into_iter().map(Code::as_str).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
    for name in names {
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name}"
        );
    }
}

#[test]
fn codes_to_come_are_reserved() {
    let text = document("docs/ERRORS.md");
    for (number, name) in [
        (1015, "idempotency_conflict"),
        (1016, "queue_full"),
        (1017, "definition_changed"),
        (1018, "store_failed"),
        (1019, "store_quarantined"),
    ] {
        // A line may end between the number and the name.
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&format!("{number} `{name}`")), "{number} {name}");
        assert!(
            Code::ALL.into_iter().all(|code| code.as_str() != name),
            "{name} is in use: it belongs into the table"
        );
    }
}

/// docs/RUNTIMES.md: the version, the `exports` condition, the entry, and what else is run; in short in wasm/README.md.
#[test]
fn the_table_of_runtimes_is_what_is_run() {
    let json = |name: &str| -> Value { serde_json::from_str(&document(name)).expect(name) };
    let (lock, package) = (json("tests/package-lock.json"), json("wasm/package.json"));
    let installed = |name: &str| {
        let version = lock["packages"][format!("node_modules/{name}")]["version"].as_str();
        version
            .unwrap_or_else(|| panic!("{name} is not in the lock"))
            .to_owned()
    };
    let text = document("docs/RUNTIMES.md");
    let rows = || {
        let lines = text.lines().filter(|line| line.starts_with("| ")).skip(1);
        lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
    };

    let (hosts, readme) = (document("xtask/src/hosts.rs"), document("wasm/README.md"));
    let names = rows().map(|row| row[1].to_owned()).collect::<Vec<_>>();
    for name in &names {
        assert!(
            hosts.contains(&format!("\"{name}\"")),
            "{name} is no host of xtask's"
        );
    }
    assert!(
        hosts.contains(&format!("const HOSTS: [Host; {}]", names.len())),
        "a host has no row"
    );

    for row in rows() {
        let [_, name, version, condition, entry, also, _] = row[..] else {
            panic!("{row:?}")
        };
        let (export, runtime) = match name.strip_prefix("fetch, ") {
            Some(runtime) => ("./fetch", runtime),
            None => (".", name),
        };
        let runs = match runtime.split_once(' ') {
            Some(("Node", major)) => installed(&format!("node{major}-linux-x64")),
            Some(("Chromium", _)) => {
                let version = installed("@sparticuz/chromium");
                version.split('.').next().unwrap_or_default().to_owned()
            }
            _ if name == "worker" => installed("workerd"),
            _ => installed(&runtime.to_lowercase()),
        };
        assert_eq!(version, runs, "{name}");
        if !condition.is_empty() {
            let exports = &package["exports"][export];
            let exported = exports.get(condition.trim_matches('`')).unwrap_or(exports);
            let file = exported.get("default").unwrap_or(exported).as_str();
            assert_eq!(file, Some(&*format!("./{}", entry.trim_matches('`'))), "{name}");
            let runtime = runtime.split(' ').next().unwrap_or_default();
            // There the entry is that of the package itself.
            let entry = if export == "." { entry } else { "" };
            let short = |line: &str| [runtime, version, entry].iter().all(|part| line.contains(part));
            assert!(readme.lines().any(short), "{name} in wasm/README.md");
        }
        for path in also.split('`').skip(1).step_by(2) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
            assert!(path.exists(), "{name}: {}", path.display());
        }
    }
}

/// The words of this kind in quotes, such as `"login_required"`.
fn words<'a>(text: &'a str, quote: char) -> impl Iterator<Item = String> + 'a {
    let is_word = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let quoted = text.split(quote).skip(1).step_by(2);
    quoted.filter(is_word).map(str::to_owned)
}

/// What follows each `mark` in the text, up to `end`.
fn after<'a>(text: &'a str, mark: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.split(mark)
        .skip(1)
        .map(move |rest| rest.split(end).next().unwrap_or_default())
}

/// The files of `leeward-sync`, without tests.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with("tests") || path.ends_with("tests.rs") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).expect("a file");
            let code = text.split("#[cfg(test)]\nmod tests {").next();
            found.push(code.unwrap_or_default().to_owned());
        }
    }
}

/// docs/AUTHORIZATION.md: the reasons for which there is no grant.
#[test]
fn the_table_of_reasons_is_that_of_the_code() {
    let text = document("docs/AUTHORIZATION.md");
    let (_, table) = text.split_once("| `reason` | |").expect("a table");
    let cells = table.lines().filter_map(|line| line.split('|').nth(1));
    let all: Vec<String> = cells
        .flat_map(|cell| words(cell, '`').collect::<Vec<_>>())
        .collect();
    let documented: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(documented.len(), all.len(), "a reason is there twice");

    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../sync/src"),
        &mut files,
    );
    let mut coded = BTreeSet::new();
    for file in files.iter().filter(|file| file.contains("Trouble")) {
        for (mark, end) in [("authorization(", ','), ("let reason =", ';'), ("reason: ", '\n')] {
            coded.extend(after(file, mark, end).flat_map(|part| words(part, '"')));
        }
    }
    assert_eq!(documented, coded);
}
