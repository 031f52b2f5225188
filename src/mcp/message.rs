//! The JSON-RPC envelope of one message from an agent.
//!
//! Untrusted bytes are safe: the work is linear in the message, whose size the caller has bounded. Values are
//! not looked into here.

use alloc::borrow::Cow;

use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::limits::MAX_ID_BYTES;

/// One JSON-RPC 2.0 message (2026-07-28, Base Protocol, Messages).
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The raw token of the id; `None` for a notification.
    pub id: Option<&'a str>,
    /// The method.
    pub method: Cow<'a, str>,
    /// The members of `params`; empty if absent.
    pub params: Members<'a>,
}

/// Why a message could not be taken, and its id as far as that could be read.
#[derive(Clone, Debug)]
pub struct Rejected<'a> {
    /// The raw token of the id, if it is a valid one.
    pub id: Option<&'a str>,
    /// Why.
    pub error: Error,
}

impl<'a> Message<'a> {
    /// Reads a request or notification.
    ///
    /// # Errors
    /// `parse_error` for what is not JSON in UTF-8; `invalid_request` for JSON that is no JSON-RPC 2.0 request or
    /// notification (batches, responses and repeated members among it); `invalid_params` where `params` is no
    /// object or has repeated members.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Rejected<'a>> {
        let anonymous = |code, message| Rejected {
            id: None,
            error: Error::new(code, message),
        };
        let text = core::str::from_utf8(bytes)
            .map_err(|_| anonymous(Code::ParseError, "the message is not UTF-8"))?;
        let Some(members) = Members::parse(text) else {
            return Err(if json::whole(text).is_some() {
                anonymous(
                    Code::InvalidRequest,
                    "the message is not one JSON-RPC object (batches are not taken)",
                )
            } else {
                anonymous(Code::ParseError, "the message is not JSON")
            });
        };
        let raw_id = members.raw("id");
        let id = raw_id.filter(|raw| is_id(raw));
        let reject = |code, message| Rejected {
            id,
            error: Error::new(code, message),
        };
        if members.has_duplicates() {
            return Err(anonymous(
                Code::InvalidRequest,
                "a member of the message is there twice",
            ));
        }
        if members.string("jsonrpc").as_deref() != Some("2.0") {
            return Err(reject(Code::InvalidRequest, "jsonrpc must be \"2.0\""));
        }
        if raw_id.is_some() && id.is_none() {
            return Err(reject(
                Code::InvalidRequest,
                "id must be a string or an integer, at most 1024 bytes",
            ));
        }
        let Some(method) = members.string("method") else {
            return Err(reject(Code::InvalidRequest, "method must be a string"));
        };
        let params = match members.raw("params") {
            None => Members::default(),
            Some(raw) => Members::parse(raw).ok_or_else(|| {
                reject(
                    Code::InvalidParams,
                    "params must be an object of at most 256 members",
                )
            })?,
        };
        if params.has_duplicates() {
            return Err(reject(Code::InvalidParams, "a member of params is there twice"));
        }
        Ok(Self { id, method, params })
    }
}

/// The raw id of a JSON-RPC response, and its raw result or its raw error object.
#[must_use]
pub fn response(bytes: &[u8]) -> Option<(&str, Result<&str, &str>)> {
    let members = Members::parse(core::str::from_utf8(bytes).ok()?)?;
    let versioned = members.string("jsonrpc").as_deref() == Some("2.0");
    let id = members.raw("id").filter(|raw| is_id(raw))?;
    let outcome = match (members.raw("result"), members.raw("error")) {
        (Some(result), None) => Ok(result),
        (None, Some(error)) => Err(error),
        _ => return None,
    };
    (versioned && members.raw("method").is_none() && !members.has_duplicates()).then_some((id, outcome))
}

/// Whether a raw JSON value may be an id or a progress token: a string or an integer.
#[must_use]
pub fn is_id(raw: &str) -> bool {
    let integer = |raw: &str| {
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    raw.len() <= MAX_ID_BYTES && (raw.starts_with('"') || integer(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        Message::parse(text.as_bytes()).unwrap_err().error.code
    }

    #[test]
    fn reads_requests_and_notifications() {
        let message = Message::parse(br#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#).unwrap();
        assert_eq!((message.id, &*message.method), (Some("\"a\""), "ping"));
        assert!(
            Message::parse(br#"{"jsonrpc":"2.0","method":"x","params":{}}"#)
                .unwrap()
                .id
                .is_none()
        );
    }

    #[test]
    fn refuses_what_is_no_message() {
        assert_eq!(code("{"), Code::ParseError);
        assert_eq!(
            Message::parse(b"\"\xff\"").unwrap_err().error.code,
            Code::ParseError
        );
        for text in [
            "[]",
            "1",
            "{}",
            r#"{"jsonrpc":"1.0","method":"x","id":1}"#,
            r#"{"jsonrpc":"2.0","method":1,"id":1}"#,
            r#"{"jsonrpc":"2.0","method":"x","id":null}"#,
            r#"{"jsonrpc":"2.0","method":"x","id":1.5}"#,
            r#"{"jsonrpc":"2.0","method":"x","id":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","method":"x","method":"y","id":1}"#,
        ] {
            assert_eq!(code(text), Code::InvalidRequest, "{text}");
        }
        for params in ["[]", "1", "null", r#"{"a":1,"a":2}"#] {
            let text = alloc::format!(r#"{{"jsonrpc":"2.0","method":"x","id":1,"params":{params}}}"#);
            assert_eq!(code(&text), Code::InvalidParams, "{text}");
        }
        let long = alloc::format!(
            r#"{{"jsonrpc":"2.0","method":"x","id":"{}"}}"#,
            "a".repeat(MAX_ID_BYTES)
        );
        assert_eq!(code(&long), Code::InvalidRequest);
    }
}
