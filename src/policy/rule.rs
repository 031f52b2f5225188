//! From the text of a rule to a [`Rule`]: which classes there are, and which parameters each of them takes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::item::{self, Value};
use super::suggest::{excerpt, hint};
use super::{Class, Rule, Scope};
use crate::border::Millis;
use crate::limits::{MAX_AGE, MAX_RULE_BYTES, MAX_TAG_BYTES, MAX_TAGS};

/// Longest span that a rule may name, in seconds.
const MAX_SECONDS: i64 = (MAX_AGE.0 / 1000).cast_signed();

/// A word that names a class, and what its rules take.
struct Word {
    name: &'static str,
    class: Class,
    parameters: &'static [&'static str],
}

const WORDS: [Word; 4] = [
    Word {
        name: "live",
        class: Class::Live,
        parameters: &[],
    },
    Word {
        name: "cache",
        class: Class::Cache,
        parameters: &[
            "max-age",
            "stale-while-revalidate",
            "stale-if-error",
            "private",
            "public",
            "tags",
        ],
    },
    Word {
        name: "through",
        class: Class::Through,
        parameters: &["tags"],
    },
    Word {
        name: "deny",
        class: Class::Deny,
        parameters: &[],
    },
];

/// Parses a rule; see [`Rule::parse`]. The error is the message alone.
pub(super) fn parse(text: &str) -> Result<Rule, String> {
    if text.len() > MAX_RULE_BYTES {
        return Err(format!("a rule has at most {MAX_RULE_BYTES} bytes"));
    }
    let item = item::parse(text)?;
    let word = word(item.token)?;
    let mut rule = Rule {
        class: word.class,
        max_age: None,
        stale_while_revalidate: Millis(0),
        stale_if_error: Millis(0),
        scope: None,
        tags: Vec::new(),
    };
    for (name, value) in item.parameters {
        if !word.parameters.contains(&name) {
            return Err(not_taken(word, name));
        }
        match name {
            "max-age" => rule.max_age = Some(seconds(name, &value)?),
            "stale-while-revalidate" => rule.stale_while_revalidate = seconds(name, &value)?,
            "stale-if-error" => rule.stale_if_error = seconds(name, &value)?,
            "tags" => rule.tags = tags(&value)?,
            flag => {
                if value != Value::True {
                    return Err(format!(r#""{flag}" takes no value"#));
                }
                if rule.scope.is_some() {
                    return Err(r#""private" and "public" exclude each other"#.into());
                }
                rule.scope = Some(if flag == "public" {
                    Scope::Public
                } else {
                    Scope::Private
                });
            }
        }
    }
    Ok(rule)
}

fn word(token: &str) -> Result<&'static Word, String> {
    if token == "queue" {
        return Err(
            r#""queue" needs a durable store, which this version does not have; "through" forwards at once"#
                .into(),
        );
    }
    WORDS.iter().find(|word| word.name == token).ok_or_else(|| {
        let near = hint(token, WORDS.iter().map(|word| word.name));
        let token = excerpt(token);
        if near.is_empty() {
            format!(r#"unknown class "{token}"; it is one of live, cache, through, deny"#)
        } else {
            format!(r#"unknown class "{token}"{near}"#)
        }
    })
}

/// Why a class does not take a parameter: it belongs to another class, or to none.
fn not_taken(word: &Word, name: &str) -> String {
    let class = word.name;
    if let Some(other) = WORDS.iter().find(|other| other.parameters.contains(&name)) {
        return format!(r#""{class}" takes no "{name}"; "{}" does"#, other.name);
    }
    let all = WORDS.iter().flat_map(|word| word.parameters.iter().copied());
    format!(r#"unknown parameter "{}"{}"#, excerpt(name), hint(name, all))
}

fn seconds(name: &str, value: &Value) -> Result<Millis, String> {
    match value {
        Value::Integer(n) if *n < 0 => Err(format!(r#""{name}" must not be negative"#)),
        Value::Integer(n) if *n > MAX_SECONDS => Err(format!(
            r#""{name}" is {n} seconds, over the cap of {MAX_SECONDS} (24 hours)"#
        )),
        Value::Integer(n) => Ok(Millis::from_secs(n.unsigned_abs())),
        Value::True | Value::Text(_) => Err(format!(
            r#""{name}" needs a whole number of seconds, such as {name}=60"#
        )),
    }
}

/// Tag templates, without repetitions. A placeholder is an argument's name in braces.
fn tags(value: &Value) -> Result<Vec<String>, String> {
    let Value::Text(text) = value else {
        return Err(r#""tags" needs a text in double quotes, such as tags="repo:{owner}""#.into());
    };
    let mut tags: Vec<String> = Vec::new();
    for (at, tag) in text.split(' ').filter(|tag| !tag.is_empty()).enumerate() {
        if at == MAX_TAGS {
            return Err(format!("a rule has at most {MAX_TAGS} tags"));
        }
        if tag.len() > MAX_TAG_BYTES {
            return Err(format!("a tag has at most {MAX_TAG_BYTES} bytes"));
        }
        check_tag(tag)?;
        if tags.iter().all(|known| known != tag) {
            tags.push(tag.into());
        }
    }
    if tags.is_empty() {
        return Err(r#""tags" is empty"#.into());
    }
    Ok(tags)
}

fn check_tag(tag: &str) -> Result<(), String> {
    // Characters since the opening brace, if one is open.
    let mut open: Option<usize> = None;
    for c in tag.chars() {
        open = match (c, open) {
            ('"' | '\\', _) => return Err(format!("tag `{tag}` has a quote or backslash")),
            ('{', None) => Some(0),
            ('{', Some(_)) => return Err(format!(r#"tag "{tag}" has a "{{" within braces"#)),
            ('}', None) => return Err(format!(r#"tag "{tag}" has a "}}" without a "{{""#)),
            ('}', Some(0)) => {
                return Err(format!(r#"tag "{tag}" has empty braces; they name an argument"#));
            }
            ('}', Some(_)) => None,
            (_, Some(length)) => Some(length + 1),
            (_, None) => None,
        };
    }
    match open {
        None => Ok(()),
        Some(_) => Err(format!(r#"tag "{tag}" has a "{{" without a "}}""#)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn error(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn reads_every_parameter() {
        let text = r#"cache;max-age=60;stale-while-revalidate=30;stale-if-error=600;private;tags="repo:{owner}/{repo}  all all""#;
        assert_eq!(
            parse(text).unwrap(),
            Rule {
                class: Class::Cache,
                max_age: Some(Millis(60_000)),
                stale_while_revalidate: Millis(30_000),
                stale_if_error: Millis(600_000),
                scope: Some(Scope::Private),
                tags: vec!["repo:{owner}/{repo}".into(), "all".into()],
            }
        );
        assert_eq!(parse("cache; public").unwrap().scope, Some(Scope::Public));
        assert_eq!(parse("cache; max-age=0").unwrap().max_age, Some(Millis(0)));
        assert_eq!(parse(r#"through;tags="a""#).unwrap().tags, vec!["a"]);
        for (text, class) in [
            ("live", Class::Live),
            ("through", Class::Through),
            (" deny ", Class::Deny),
        ] {
            assert_eq!(parse(text).unwrap().class, class);
        }
    }

    #[test]
    fn refuses_unknown_classes() {
        assert!(error("queue").contains("durable store"));
        assert!(error("queue;max-age=1").contains("durable store"));
        assert_eq!(error("cahce"), r#"unknown class "cahce"; did you mean "cache"?"#);
        assert_eq!(error("Live"), r#"unknown class "Live"; did you mean "live"?"#);
        assert_eq!(
            error("forward"),
            r#"unknown class "forward"; it is one of live, cache, through, deny"#
        );
    }

    #[test]
    fn refuses_parameters_that_a_class_does_not_take() {
        assert_eq!(
            error("cache;max_age=60"),
            r#"unknown parameter "max_age"; did you mean "max-age"?"#
        );
        assert_eq!(error("cache;lifetime=60"), r#"unknown parameter "lifetime""#);
        assert_eq!(
            error("live;max-age=1"),
            r#""live" takes no "max-age"; "cache" does"#
        );
        assert_eq!(
            error("deny;private"),
            r#""deny" takes no "private"; "cache" does"#
        );
        assert_eq!(
            error("through;stale-if-error=1"),
            r#""through" takes no "stale-if-error"; "cache" does"#
        );
        assert_eq!(
            error("live;tags=\"a\""),
            r#""live" takes no "tags"; "cache" does"#
        );
        assert!(error("cache;max-age=1;max-age=1").contains("twice"));
        assert!(error("cache;private;private").contains("twice"));
    }

    #[test]
    fn refuses_values_of_the_wrong_kind_or_size() {
        for name in ["max-age", "stale-while-revalidate", "stale-if-error"] {
            assert_eq!(
                error(&format!("cache;{name}=-1")),
                format!(r#""{name}" must not be negative"#)
            );
            assert_eq!(
                error(&format!("cache;{name}=86401")),
                format!(r#""{name}" is 86401 seconds, over the cap of 86400 (24 hours)"#)
            );
            assert!(parse(&format!("cache;{name}=86400")).is_ok());
            for wrong in ["", "=\"60\""] {
                assert_eq!(
                    error(&format!("cache;{name}{wrong}")),
                    format!(r#""{name}" needs a whole number of seconds, such as {name}=60"#)
                );
            }
        }
        assert_eq!(error("cache;private=1"), r#""private" takes no value"#);
        assert_eq!(error("cache;public=\"yes\""), r#""public" takes no value"#);
        assert_eq!(
            error("cache;public;private"),
            r#""private" and "public" exclude each other"#
        );
        assert!(error("cache;tags").contains("double quotes"));
        assert!(error("cache;tags=5").contains("double quotes"));
    }

    #[test]
    fn checks_tags() {
        for (tags, message) in [
            ("", "is empty"),
            ("   ", "is empty"),
            ("a{", r#"a "{" without a "}""#),
            ("a}", r#"a "}" without a "{""#),
            ("a{}", "empty braces"),
            ("a{b{c}}", r#"a "{" within braces"#),
            ("{a b}", r#"a "{" without a "}""#),
            (r#"a\"b"#, "quote or backslash"),
            (r"a\\b", "quote or backslash"),
        ] {
            let text = format!(r#"cache;tags="{tags}""#);
            assert!(error(&text).contains(message), "{text}: {}", error(&text));
        }
    }

    #[test]
    fn holds_the_limits() {
        let numbered = |n: usize| (0..n).map(|i| format!("t{i}")).collect::<Vec<_>>().join(" ");
        let rule = |tags: &str| format!(r#"through;tags="{tags}""#);
        assert_eq!(parse(&rule(&numbered(MAX_TAGS))).unwrap().tags.len(), MAX_TAGS);
        assert_eq!(
            error(&rule(&numbered(MAX_TAGS + 1))),
            "a rule has at most 16 tags"
        );
        assert!(parse(&rule(&"t".repeat(MAX_TAG_BYTES))).is_ok());
        assert_eq!(
            error(&rule(&"t".repeat(MAX_TAG_BYTES + 1))),
            "a tag has at most 128 bytes"
        );
        let pad = |n: usize| format!("live{}", " ".repeat(n - 4));
        assert!(parse(&pad(MAX_RULE_BYTES)).is_ok());
        assert_eq!(error(&pad(MAX_RULE_BYTES + 1)), "a rule has at most 4096 bytes");
    }
}
