//! Rules and patterns: matching agrees with a naive matcher, the first rule wins, a rule called unreachable is, and
//! a rule printed from what was read reads the same.

use std::fmt::Write as _;

use leeward::Code;
use leeward::limits::{MAX_PATTERN_BYTES, MAX_RULE_BYTES};
use leeward::policy::{Class, Fault, Policy, Rule, Scope};

use crate::Target;
use crate::input::Bytes;

/// See the module. The bytes are lines: `tool NAME`, `resource URI` (names to look up), and `t PATTERN<tab>RULE`,
/// `r PATTERN<tab>RULE`.
pub const TARGET: Target = Target {
    name: "policy",
    run,
    seeds,
    max_bytes: 2048,
};

fn seeds() -> Vec<Vec<u8>> {
    let all = [
        "t get_*\tcache;max-age=60;stale-while-revalidate=30;stale-if-error=600;private;tags=\"a:{b} c\"\nt *\tlive\ntool get_a\ntool put\n",
        "r x://{a}/{+b}\tcache; public\nr x://{/id}\tdeny\nr *\tthrough;tags=\"a\"\nresource x://1/2/3\nresource x:///1\n",
        "t a?c*b\tlive\nt a*\tdeny\nt ab*\tlive\ntool abcxb\ntool abc\ntool ab\n",
        "t *a*b*\tlive\nt ?*?\tdeny\nr {a}{b}\tlive\nr {+a}/*\tlive\ntool xayb\nresource ab/c\n",
        "t x\tcache;max-age=86401\nt y\tcahce\nt z\tcache;max_age=1\nt w\tqueue\n",
    ];
    all.map(|text| text.as_bytes().to_vec()).into()
}

/// Longest pattern that the naive matcher is asked about, and longest name.
const NAIVE_BYTES: usize = 256;

fn run(data: &[u8]) {
    let text = Bytes(data).text();
    let mut policy = Policy::default();
    let mut kept: Vec<(bool, Vec<Piece>, Rule)> = Vec::new();
    let mut unreachable: Vec<(bool, Vec<Piece>, usize)> = Vec::new();
    let mut names: Vec<(bool, &str)> = Vec::new();
    for line in text.split('\n') {
        if let Some(name) = line.strip_prefix("tool ") {
            names.push((true, name));
        } else if let Some(uri) = line.strip_prefix("resource ") {
            names.push((false, uri));
        } else if let Some((pattern, rule)) = line.get(2..).and_then(|rest| rest.split_once('\t')) {
            let tool = match &line[..2] {
                "t " => true,
                "r " => false,
                _ => continue,
            };
            // A pattern is a name too, for others.
            names.push((tool, pattern));
            let parsed = read_rule(rule);
            let added = if tool {
                policy.add_tool(pattern, rule)
            } else {
                policy.add_resource(pattern, rule)
            };
            let pieces = pieces(pattern, tool);
            match added {
                Ok(()) => {
                    let rule = parsed.expect("a rule that was added can be read");
                    assert!(!tool || rule.class != Class::Cache || rule.max_age.is_some());
                    let wild = pieces.iter().any(|piece| !matches!(piece, Piece::Char(_)));
                    assert!(
                        !wild || pattern.len() <= MAX_PATTERN_BYTES,
                        "the bound of the work"
                    );
                    kept.push((tool, pieces, rule));
                }
                Err(Fault::Pattern(message)) => {
                    check_message(&message);
                    if let Some(rest) = message.strip_prefix("can never match: policy[") {
                        let at = rest.split_once(']').and_then(|(at, _)| at.parse().ok());
                        unreachable.push((tool, pieces, at.expect("the place of the earlier rule")));
                    }
                }
                Err(Fault::Rule(message)) => check_message(&message),
                Err(fault) => panic!("{fault:?}"),
            }
        }
    }
    assert_eq!(policy.len(), kept.len());
    for (tool, name) in names.into_iter().take(32) {
        let found = if tool {
            policy.tool(name)
        } else {
            policy.resource(name)
        };
        if name.len() > NAIVE_BYTES || kept.iter().any(|(_, pieces, _)| pieces.len() > NAIVE_BYTES) {
            continue;
        }
        let name: Vec<char> = name.chars().collect();
        let first = kept
            .iter()
            .find(|(of, pieces, _)| *of == tool && naive(pieces, &name));
        assert_eq!(found, first.map(|(.., rule)| rule), "{name:?}");
        for (of, pieces, at) in &unreachable {
            if *of == tool && pieces.len() <= NAIVE_BYTES && naive(pieces, &name) {
                let (of, earlier, _) = &kept[*at];
                assert!(
                    *of == tool && naive(earlier, &name),
                    "{name:?} escapes policy[{at}]"
                );
            }
        }
    }
}

/// A message for an operator: short, one line, and whole.
fn check_message(message: &str) {
    assert!(!message.is_empty() && message.len() < 512, "{message}");
    assert!(!message.contains(char::is_control), "{message:?}");
}

fn read_rule(text: &str) -> Option<Rule> {
    match Rule::parse(text) {
        Ok(rule) => {
            assert!(text.len() <= MAX_RULE_BYTES);
            let printed = print(&rule);
            // Tags that stand twice are one: what is printed may only be shorter.
            assert_eq!(Rule::parse(&printed).as_ref(), Ok(&rule), "{printed}");
            Some(rule)
        }
        Err(error) => {
            assert_eq!(error.code, Code::ConfigInvalid);
            assert_eq!(error.data, r#""field":"rule""#);
            check_message(&error.message);
            None
        }
    }
}

fn print(rule: &Rule) -> String {
    let mut text = match rule.class {
        Class::Live => "live",
        Class::Cache => "cache",
        Class::Through => "through",
        Class::Deny => "deny",
    }
    .to_owned();
    if !rule.tags.is_empty() {
        let _ = write!(text, ";tags=\"{}\"", rule.tags.join(" "));
    }
    match rule.scope {
        Some(Scope::Public) => text.push_str("; public"),
        Some(Scope::Private) => text.push_str(";private"),
        None => {}
    }
    for (name, span) in [
        ("stale-if-error", Some(rule.stale_if_error)),
        ("stale-while-revalidate", Some(rule.stale_while_revalidate)),
        ("max-age", rule.max_age),
    ] {
        if let Some(span) = span.filter(|span| span.0 > 0 || name == "max-age") {
            assert!(span.0 % 1000 == 0 && span <= leeward::limits::MAX_AGE);
            let _ = write!(text, ";{name}={}", span.0 / 1000);
        }
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    One,
    Any,
    Segment,
    Path,
}

/// A pattern by the words of the documentation. Of one that is refused, anything.
fn pieces(pattern: &str, tool: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => pieces.push(Piece::Any),
            '?' if tool => pieces.push(Piece::One),
            '{' if !tool => {
                let (inner, after) = rest.split_once('}').unwrap_or((rest, ""));
                rest = after;
                match inner.chars().next() {
                    Some('+') => pieces.push(Piece::Path),
                    Some('/') => pieces.extend([Piece::Char('/'), Piece::Segment]),
                    _ => pieces.push(Piece::Segment),
                }
            }
            c => pieces.push(Piece::Char(c)),
        }
    }
    pieces
}

/// Whether all pieces together take all of a name: a table of which piece may end where.
fn naive(pieces: &[Piece], name: &[char]) -> bool {
    let mut ends = vec![false; name.len() + 1];
    ends[0] = true;
    for piece in pieces {
        let mut next = vec![false; name.len() + 1];
        for from in (0..=name.len()).filter(|from| ends[*from]) {
            let fits = |to: usize| match piece {
                Piece::Char(c) => to == from + 1 && name[from] == *c,
                Piece::One => to == from + 1,
                Piece::Any => true,
                Piece::Segment => to > from && !name[from..to].contains(&'/'),
                Piece::Path => to > from,
            };
            for (to, end) in next.iter_mut().enumerate().skip(from) {
                *end |= fits(to);
            }
        }
        ends = next;
    }
    ends[name.len()]
}
