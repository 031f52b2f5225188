//! What is true of every message that crosses a border, judged by plain readers of JSON and base64 that share
//! nothing with the code under test but `serde_json`.

use std::collections::BTreeMap;

use leeward::Code;
use serde_json::Value;
use serde_json::value::RawValue;

/// The members of an object, values raw. Of a name that stands twice the last value; no limit on their number.
pub type Object = BTreeMap<String, Box<RawValue>>;

/// Reads an object.
#[must_use]
pub fn object(bytes: &[u8]) -> Option<Object> {
    serde_json::from_slice(bytes).ok()
}

/// A member's raw text.
#[must_use]
pub fn raw<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).map(|value| value.get())
}

/// A member's object.
#[must_use]
pub fn inner(object: &Object, name: &str) -> Option<Object> {
    self::object(raw(object, name)?.as_bytes())
}

/// A member's text.
#[must_use]
pub fn text(object: &Object, name: &str) -> Option<String> {
    serde_json::from_str(raw(object, name)?).ok()
}

/// Every member with its raw text.
#[must_use]
pub fn texts(object: &Object) -> BTreeMap<String, String> {
    object
        .iter()
        .map(|(name, value)| (name.clone(), value.get().to_owned()))
        .collect()
}

/// Judges a response to an agent: JSON-RPC 2.0 with this raw id (without one, if it could not be told), and a result
/// or an error, whose code is one of the table or is the authority's own. Returns its members.
pub fn response(bytes: &[u8], id: Option<&str>, theirs: Option<i64>) -> Object {
    let shown = || String::from_utf8_lossy(bytes).into_owned();
    let response = object(bytes).unwrap_or_else(|| panic!("no object: {}", shown()));
    assert_eq!(raw(&response, "jsonrpc"), Some("\"2.0\""), "{}", shown());
    assert_eq!(raw(&response, "id"), id, "{}", shown());
    let (result, error) = (raw(&response, "result"), inner(&response, "error"));
    assert_eq!(response.len(), 2 + usize::from(id.is_some()), "{}", shown());
    assert!(result.is_some() != error.is_some(), "{}", shown());
    if let Some(error) = error {
        let code: i64 = raw(&error, "code")
            .and_then(|code| code.parse().ok())
            .expect("a whole code");
        assert!(
            text(&error, "message").is_some() || theirs.is_some(),
            "{}",
            shown()
        );
        let known = inner(&error, "data")
            .and_then(|data| Some((text(&data, "code")?, data)))
            .and_then(|(name, data)| Some((Code::ALL.into_iter().find(|code| code.as_str() == name)?, data)));
        match known {
            Some((known, data)) => {
                assert_eq!(i64::from(known.json_rpc()), code, "{}", shown());
                assert_eq!(
                    raw(&data, "retryable"),
                    Some(if known.retryable() { "true" } else { "false" })
                );
                let id = text(&data, "correlationId").expect("a correlation id");
                assert!(
                    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{id}"
                );
            }
            None => assert!(
                Some(code) == theirs || (theirs == Some(-32002) && code == -32602),
                "an error of nobody's: {}",
                shown()
            ),
        }
    }
    response
}

/// Whether raw JSON has a member twice somewhere in its top object.
#[must_use]
pub fn repeats(raw: &str) -> bool {
    leeward::json::Members::parse_up_to(raw, usize::MAX).is_none_or(|members| members.has_duplicates())
}

/// How deep JSON is nested.
#[must_use]
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

/// The text of a header value as an authority reads it: plain, or strict base64 of UTF-8 between the marks.
#[must_use]
pub fn header_text(value: &str) -> Option<String> {
    if !(value.starts_with("=?base64?") && value.ends_with("?=")) {
        return Some(value.to_owned());
    }
    // The marks of `=?base64?=` overlap.
    let payload = value.strip_prefix("=?base64?")?.strip_suffix("?=")?;
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits: Vec<bool> = Vec::new();
    let digits = payload.trim_end_matches('=');
    if payload.len() % 4 != 0 || payload.len() - digits.len() > 2 {
        return None;
    }
    for digit in digits.chars() {
        let value = alphabet.find(digit)?;
        bits.extend((0..6).rev().map(|place| value >> place & 1 == 1));
    }
    let (bytes, left) = bits.as_chunks::<8>();
    if left.iter().any(|bit| *bit) || left.len() > 4 {
        return None;
    }
    let byte = |bits: &[bool; 8]| bits.iter().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
    String::from_utf8(bytes.iter().map(byte).collect()).ok()
}
