//! The canonical form of parameters: members sorted by name, no white space, strings re-escaped in one way,
//! and every number as the token it was.
//!
//! Not RFC 8785: its numbers are doubles, so it would merge 9007199254740993 and 9007199254740992 and serve a
//! wrong answer. Here `1`, `1.0` and `1e0` differ; that costs a miss, never a wrong hit.

use alloc::string::String;

use super::members::{Members, elements, string, whole};
use super::write::push_string;
use crate::limits::MAX_DEPTH;

/// Appends the canonical form of raw JSON text. `None` if an object has a name twice or more members than a
/// protocol object may have, if nesting passes [`MAX_DEPTH`], or if `raw` is not JSON: such parameters bypass
/// the cache. `out` is then unspecified.
#[must_use]
pub fn canonical(raw: &str, out: &mut String) -> Option<()> {
    value(raw.trim(), out, MAX_DEPTH)
}

fn value(raw: &str, out: &mut String, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match raw.as_bytes().first()? {
        b'{' => {
            let members = Members::parse(raw)?;
            if members.has_duplicates() {
                return None;
            }
            out.push('{');
            for (at, (name, member)) in members.sorted().into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_string(out, name);
                out.push(':');
                value(member, out, depth)?;
            }
            out.push('}');
        }
        b'[' => {
            out.push('[');
            for (at, element) in elements(raw)?.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                value(element, out, depth)?;
            }
            out.push(']');
        }
        b'"' => push_string(out, &string(raw)?),
        _ => out.push_str(whole(raw)?),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &str) -> Option<String> {
        let mut out = String::new();
        canonical(raw, &mut out).map(|()| out)
    }

    #[test]
    fn sorts_names_and_drops_white_space() {
        assert_eq!(
            of(" { \"b\" : [ 1 , {\"d\":null,\"c\":true} ] , \"a\" : \"\\u0041\\/\" } ").unwrap(),
            r#"{"a":"A/","b":[1,{"c":true,"d":null}]}"#
        );
    }

    #[test]
    fn keeps_number_tokens() {
        assert_ne!(of("9007199254740993"), of("9007199254740992"));
        assert_eq!(of("[1.0,1,1e0,-0]").unwrap(), "[1.0,1,1e0,-0]");
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in ["1-2", "nul", "tru e", "", "-", "x"] {
            assert!(of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn refuses_duplicates_and_depth() {
        assert!(of(r#"{"a":{"x":1,"x":1}}"#).is_none());
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(of(&deep(MAX_DEPTH)).is_some());
        assert!(of(&deep(MAX_DEPTH + 1)).is_none());
    }
}
