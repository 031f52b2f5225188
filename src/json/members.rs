//! The members of one JSON object, values left raw.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::limits::MAX_MEMBERS;

/// The members of one JSON object in their order, values as raw JSON text. Untrusted input is safe: work is
/// linear in the input, nothing recurses, and at most [`MAX_MEMBERS`] members are taken.
#[derive(Clone, Debug, Default)]
pub struct Members<'a> {
    list: Vec<(Cow<'a, str>, &'a str)>,
    duplicates: bool,
}

impl<'a> Members<'a> {
    /// Reads an object; `None` if `text` is not one whole JSON object or has too many members.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::parse_up_to(text, MAX_MEMBERS)
    }

    /// The same with a bound of the caller's.
    #[must_use]
    pub fn parse_up_to(text: &'a str, max_members: usize) -> Option<Self> {
        let mut rest = text;
        let mut list = Vec::new();
        sign(&mut rest, b'{')?;
        if sign(&mut rest, b'}').is_none() {
            loop {
                let name = unescaped(&mut rest)?;
                sign(&mut rest, b':')?;
                list.push((name, value(&mut rest)?));
                if list.len() > max_members {
                    return None;
                }
                if sign(&mut rest, b',').is_none() {
                    break sign(&mut rest, b'}')?;
                }
            }
        }
        past_space(rest).is_empty().then(|| Self {
            duplicates: has_duplicates(&list),
            list,
        })
    }

    /// The raw value of a member; the last one, if it is there twice.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.list
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// The member's value if it is a string.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        string(self.raw(name)?)
    }

    /// Names and raw values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.list.iter().map(|(key, value)| (&**key, *value))
    }

    /// The same, sorted by name.
    pub(super) fn sorted(&self) -> Vec<(&str, &'a str)> {
        sorted(&self.list)
    }

    /// Whether a name is there twice (after unescaping).
    #[must_use]
    pub const fn has_duplicates(&self) -> bool {
        self.duplicates
    }
}

fn has_duplicates(list: &[(Cow<'_, str>, &str)]) -> bool {
    if list.len() <= 16 {
        return list
            .iter()
            .enumerate()
            .any(|(at, (key, _))| list.iter().skip(at + 1).any(|(other, _)| other == key));
    }
    sorted(list)
        .windows(2)
        .any(|pair| matches!(pair, [(a, _), (b, _)] if a == b))
}

/// The only sort there is: each other one would be compiled too, at 5 KB of WebAssembly.
fn sorted<'l, 'a>(list: &'l [(Cow<'a, str>, &'a str)]) -> Vec<(&'l str, &'a str)> {
    let mut sorted: Vec<_> = list.iter().map(|(key, value)| (&**key, *value)).collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    sorted
}

/// The text of a raw JSON string; `None` for any other value.
#[must_use]
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    let mut rest = raw;
    let text = unescaped(&mut rest)?;
    past_space(rest).is_empty().then_some(text)
}

/// A raw JSON integer from 0 to 2^64 - 1; `None` for any other value.
#[must_use]
pub fn unsigned(raw: &str) -> Option<u64> {
    let digits = whole(raw)?;
    digits
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(digits)?
        .parse()
        .ok()
}

/// A raw JSON integer from -2^63 to 2^63 - 1 (but not `-0`); `None` for any other value.
#[must_use]
pub fn signed(raw: &str) -> Option<i64> {
    whole(raw).filter(|digits| *digits != "-0")?.parse().ok()
}

/// Whether raw JSON text is an object. The text must already be known to be JSON.
#[must_use]
pub fn is_object(raw: &str) -> bool {
    raw.trim_start().starts_with('{')
}

/// The elements of a raw JSON array, each raw; `None` for any other value.
#[must_use]
pub fn elements(raw: &str) -> Option<Vec<&str>> {
    let mut rest = raw;
    let mut list = Vec::new();
    sign(&mut rest, b'[')?;
    if sign(&mut rest, b']').is_none() {
        loop {
            list.push(value(&mut rest)?);
            if sign(&mut rest, b',').is_none() {
                break sign(&mut rest, b']')?;
            }
        }
    }
    past_space(rest).is_empty().then_some(list)
}

/// One JSON value without the white space around it; `None` if `text` is not just that.
#[must_use]
pub fn whole(text: &str) -> Option<&str> {
    let mut rest = text;
    let value = value(&mut rest)?;
    past_space(rest).is_empty().then_some(value)
}

/// Whether text begins as an object or array, and ends in the middle of it.
#[must_use]
pub fn breaks_off(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    (quoted || depth > 0) && past_space(text).starts_with(['{', '['])
}

/// Takes one value.
fn value<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = past_space(rest);
    if plain_string(rest).is_some() {
        return text.get(..text.len() - rest.len());
    }
    // Only ever a `RawValue`: to read anything else, `serde_json` brings all that formats floating-point numbers
    // for its errors, 30 KB of WebAssembly.
    let mut values = Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    *rest = text.get(values.byte_offset()..)?;
    Some(value.get())
}

/// Takes a string; its text.
fn unescaped<'a>(rest: &mut &'a str) -> Option<Cow<'a, str>> {
    if let Some(text) = plain_string(rest) {
        return Some(Cow::Borrowed(text));
    }
    let escaped = value(rest)?.strip_prefix('"')?.strip_suffix('"')?;
    unescape(escaped).map(Cow::Owned)
}

/// Takes a string without escapes, which most are, and leaves all else; its text.
fn plain_string<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = past_space(rest).strip_prefix('"')?;
    let end = text
        .bytes()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    let (text, after) = text.split_at_checked(end)?;
    *rest = after.strip_prefix('"')?;
    Some(text)
}

/// Takes a sign that stands between values.
#[inline]
fn sign(rest: &mut &str, sign: u8) -> Option<()> {
    let text = past_space(rest);
    text.bytes().next().filter(|byte| *byte == sign)?;
    *rest = text.get(1..)?;
    Some(())
}

#[inline]
fn past_space(text: &str) -> &str {
    // Between the values of a compact text, where there is none, this is all there is to do.
    if text.bytes().next().is_none_or(|byte| byte > b' ') {
        return text;
    }
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

/// The text between the quotes of a valid string; `None` for half a surrogate pair.
fn unescape(mut rest: &str) -> Option<String> {
    let mut text = String::new();
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escape.chars();
        let c = chars.next()?;
        rest = chars.as_str();
        text.push(match c {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = code_unit(&mut rest)?;
                let mut second = 0;
                if (0xd800..0xdc00).contains(&first) {
                    rest = rest.strip_prefix("\\u")?;
                    second = code_unit(&mut rest)?;
                }
                char::decode_utf16([first, second]).next()?.ok()?
            }
            c => c,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// Takes four hexadecimal digits.
fn code_unit(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_values_raw_and_in_order() {
        let members = Members::parse(r#" {"b": 1.0e2 ,"a":{"x":[1, 2]}} "#).unwrap();
        let all: Vec<_> = members.iter().collect();
        assert_eq!(all, [("b", "1.0e2"), ("a", r#"{"x":[1, 2]}"#)]);
    }

    #[test]
    fn finds_duplicates_after_unescaping() {
        assert!(Members::parse(r#"{"a":1,"\u0061":2}"#).unwrap().has_duplicates());
        assert!(!Members::parse(r#"{"a":1,"b":2}"#).unwrap().has_duplicates());
        let many = (0..40)
            .map(|n| alloc::format!(r#""k{}":0"#, n % 39))
            .collect::<Vec<_>>()
            .join(",");
        assert!(
            Members::parse(&alloc::format!("{{{many}}}"))
                .unwrap()
                .has_duplicates()
        );
    }

    #[test]
    fn tells_what_breaks_off_from_what_is_wrong() {
        let text = r#" {"a":[1.5e3,true,"\u00e9\""],"b":{}} "#;
        let end = text.trim_end().len();
        for at in 2..end {
            assert!(breaks_off(text.get(..at).unwrap()), "{at}");
        }
        for text in [
            text,
            "",
            " ",
            "{nope}",
            "<p class=\"",
            "[1}",
            "{} x",
            "\"x",
            r#"["\\"]"#,
        ] {
            assert!(!breaks_off(text), "{text}");
        }
    }

    #[test]
    fn finds_the_ends_of_values() {
        let raw = r#" [ "],\"\\" , {"}":[{},[ ]],"":"\\"},[],-1.5e+3,true
            ,null,"\u005d" ] "#;
        let all = [
            r#""],\"\\""#,
            r#"{"}":[{},[ ]],"":"\\"}"#,
            "[]",
            "-1.5e+3",
            "true",
            "null",
            r#""\u005d""#,
        ];
        assert_eq!(elements(raw).unwrap(), all);
        let members = Members::parse(all[1]).unwrap();
        assert_eq!(
            members.iter().collect::<Vec<_>>(),
            [("}", "[{},[ ]]"), ("", r#""\\""#)]
        );
        assert_eq!(elements(" [ ] ").unwrap(), [""; 0]);
        for text in [
            "[1,]", "[,1]", "[1 2]", "[1:2]", "[\"\t\"]", "[01]", "[nul]", "{}", "[] []",
        ] {
            assert!(elements(text).is_none(), "{text}");
        }
    }

    #[test]
    fn unescapes_as_serde_json_does() {
        let texts = [
            r#"\"\\\/\b\f\n\r\t"#,
            r"\u0000\u00e9\uD83d\uDE00x",
            "é\u{7f}😀",
            r"\n",
            r"a\u0041",
            r"\ud800",
            r"\udc00",
            r"\ud800\ud800",
            r"\ud800x",
            r"\ud800\n",
            r"\ud83d\ude0",
            r"\u+123",
            r"\x",
            "\\",
        ];
        for text in texts {
            let raw = alloc::format!(" \"{text}\"\n");
            let expected = serde_json::from_str::<String>(&raw).ok();
            assert_eq!(string(&raw).map(Cow::into_owned), expected, "{raw}");
            let named = alloc::format!("{{{raw}:0}}");
            let name = Members::parse(&named)
                .map(|members| members.iter().map(|(name, _)| String::from(name)).collect());
            assert_eq!(name, expected, "{named}");
        }
        assert!(matches!(string(r#""plain""#), Some(Cow::Borrowed("plain"))));
        for raw in ["", "1", "null", "\"", "\"a\"b\"", "\"\n\""] {
            assert!(string(raw).is_none(), "{raw}");
        }
    }

    #[test]
    fn reads_integers_as_serde_json_does() {
        let numbers = [
            "0",
            "-0",
            "7",
            "-7",
            " 12 ",
            "+1",
            "01",
            "1.0",
            "1e3",
            "18446744073709551615",
            "18446744073709551616",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "-9223372036854775809",
            "",
            "-",
            "\"1\"",
        ];
        for raw in numbers {
            assert_eq!(unsigned(raw), serde_json::from_str(raw).ok(), "{raw}");
            assert_eq!(signed(raw), serde_json::from_str(raw).ok(), "{raw}");
        }
    }

    #[test]
    fn refuses_what_is_no_object_or_too_wide() {
        for text in ["", "[]", "1", "{", r#"{"a":}"#, r#"{"a":1} x"#, r#"{1:2}"#] {
            assert!(Members::parse(text).is_none(), "{text}");
        }
        let wide = (0..=MAX_MEMBERS)
            .map(|n| alloc::format!(r#""k{n}":0"#))
            .collect::<Vec<_>>()
            .join(",");
        assert!(Members::parse(&alloc::format!("{{{wide}}}")).is_none());
    }
}
