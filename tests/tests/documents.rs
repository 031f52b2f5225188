//! Documents that are held to the code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use leeward::Code;

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
    assert_eq!(own, (1001..=1014).collect::<Vec<_>>());
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
