//! The encoding of header values: plain text where that is safe, else `=?base64?…?=` (2026-07-28, Transports,
//! Streamable HTTP, Value Encoding).

use alloc::borrow::Cow;
use alloc::string::String;

use crate::base64;

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// A header value for any text: as it is where that is safe, else `=?base64?…?=` around its UTF-8.
///
/// Encoded are: text with anything but visible ASCII and inner spaces (tabs too, which some stacks reject), text
/// that begins or ends with a space, text that looks encoded already, and the empty text, since some stacks drop
/// empty headers.
#[must_use]
pub fn encode(text: &str) -> String {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let edged = text.is_empty() || text.starts_with(' ') || text.ends_with(' ');
    let marked = text.starts_with(PREFIX) && text.ends_with(SUFFIX);
    if printable && !edged && !marked {
        return text.into();
    }
    let mut out = String::with_capacity(PREFIX.len() + text.len().div_ceil(3) * 4 + SUFFIX.len());
    out.push_str(PREFIX);
    base64::push(&mut out, text.as_bytes());
    out.push_str(SUFFIX);
    out
}

/// The text that a header value stands for; surrounding spaces and tabs do not count (RFC 9110, section 5.5).
///
/// `None` if the value has invalid characters (anything but visible ASCII, spaces and tabs), or is marked as
/// base64 and is not strict base64 of UTF-8. The marks are case-sensitive; with only one of them a value is
/// plain text.
#[must_use]
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    let value = trim(value);
    if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return None;
    }
    if !(value.starts_with(PREFIX) && value.ends_with(SUFFIX)) {
        return Some(Cow::Borrowed(value));
    }
    // `=?base64?=` begins and ends so, but its marks overlap: neither plain nor encoded.
    let payload = value.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    String::from_utf8(base64::decode(payload)?).ok().map(Cow::Owned)
}

/// A header value without optional white space around it (RFC 9110, section 5.6.3).
pub(super) fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// The table of 2026-07-28, Value Encoding, and neighbours.
    #[test]
    fn encodes_the_examples_of_the_specification() {
        for (text, header) in [
            ("us-west1", "us-west1"),
            ("us west 1", "us west 1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("=?base64?=", "=?base64?PT9iYXNlNjQ/PQ==?="),
            ("=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
            ("SGVsbG8=?=", "SGVsbG8=?="),
            ("\tindented", "=?base64?CWluZGVudGVk?="),
            ("in\tside", "=?base64?aW4Jc2lkZQ==?="),
            ("", "=?base64??="),
        ] {
            assert_eq!(encode(text), header);
            assert_eq!(decode(header).unwrap(), text);
        }
    }

    #[test]
    fn whatever_is_encoded_decodes_to_itself_and_is_a_valid_value() {
        let mut text = String::new();
        for n in 0..300_u32 {
            text.push(char::from_u32(n.wrapping_mul(7919) % 0xD800).unwrap());
            let header = encode(&text);
            assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            assert_eq!(decode(&header).unwrap(), text);
        }
    }

    #[test]
    fn refuses_base64_that_is_not_strict() {
        for payload in [
            "SGVsbG8",
            "SGVs!!!bG8=",
            "SGVsbG8==",
            "SGVsbG8=\u{20}",
            "SGVsbG9=",
            "SGVsbB==",
            "SGV=bG8=",
            "=",
            "==",
            "====",
            "A===",
            "SGVsbG8-",
            "SGVs\tbG8=",
            "/w==",
        ] {
            assert_eq!(decode(&format!("=?base64?{payload}?=")), None, "{payload}");
        }
        assert_eq!(decode("=?base64?="), None);
    }

    #[test]
    fn refuses_invalid_characters() {
        for value in ["a\nb", "a\r", "é", "a\0", "a\u{7f}"] {
            assert_eq!(decode(value), None, "{value:?}");
        }
    }

    #[test]
    fn plain_values_lose_only_the_white_space_around_them() {
        assert_eq!(decode(" \t a\tb \t").unwrap(), "a\tb");
        assert_eq!(decode("  =?base64?SGVsbG8=?= ").unwrap(), "Hello");
        assert_eq!(decode("=?BASE64?SGVsbG8=?=").unwrap(), "=?BASE64?SGVsbG8=?=");
        assert_eq!(decode("  ").unwrap(), "");
    }
}
