//! The JSON-RPC messages to and from the authority, as text.
//!
//! What the agent said passes through as the bytes it was. What the authority says is taken apart only as far as
//! the envelope: untrusted bytes are safe, the work is linear in the message.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use leeward::border::FlightId;
use leeward::dispatch::{Body, Forward};
use leeward::json::{Members, elements, push_string};
use leeward::mcp::names;

use super::back::Asked;
use crate::trouble::Trouble;

/// What all reserved `_meta` keys begin with.
const RESERVED: &str = "io.modelcontextprotocol/";

/// A request. `params` and `meta` are raw JSON members without braces; `_meta` is left out if empty.
pub(super) fn request(id: u64, method: &str, params: &str, meta: &str) -> Vec<u8> {
    let mut out = String::with_capacity(64 + method.len() + params.len() + meta.len());
    let _ = write!(out, r#"{{"jsonrpc":"2.0","id":{id},"method":"#);
    push_string(&mut out, method);
    out.push_str(r#","params":{"#);
    out.push_str(params);
    if !is_blank(meta) {
        if !is_blank(params) {
            out.push(',');
        }
        out.push_str(r#""_meta":{"#);
        out.push_str(meta);
        out.push('}');
    }
    out.push_str("}}");
    out.into_bytes()
}

/// The response to a request of the authority's, by its raw id.
pub(super) fn response(id: &str, body: &Body) -> Vec<u8> {
    let (member, raw) = match body {
        Body::Result(raw) => ("result", raw),
        Body::Error(raw) => ("error", raw),
    };
    alloc::format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{raw}}}"#).into_bytes()
}

/// The notification that cancels a request of ours (2025-11-25, Utilities, Cancellation).
pub(super) fn cancelled(id: u64) -> Vec<u8> {
    alloc::format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the client gave it up"}}}}"#
    )
    .into_bytes()
}

/// The notification that ends the handshake (2025-11-25, Lifecycle, Initialization).
pub(super) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The members of `_meta` for a stateless request (2026-07-28, Base Protocol, `_meta`).
pub(super) fn modern_meta(capabilities: &str, meta: &str, progress: Option<FlightId>) -> String {
    let mut out = String::with_capacity(160 + capabilities.len() + meta.len());
    let capabilities = if is_blank(capabilities) {
        "{}"
    } else {
        capabilities
    };
    let _ = write!(
        out,
        r#""{}":"{}","{}":{capabilities}"#,
        names::META_VERSION,
        names::MODERN,
        names::META_CAPABILITIES
    );
    append(&mut out, meta);
    push_progress(&mut out, progress);
    out
}

/// The members of `_meta` for a session-era request: what the agent sent, without the keys of later revisions.
pub(super) fn legacy_meta(forward: &Forward, progress: Option<FlightId>) -> String {
    let mut out = String::new();
    let meta = alloc::format!("{{{}}}", forward.meta);
    if let Some(members) = Members::parse(&meta) {
        for (key, value) in members.iter().filter(|(key, _)| !key.starts_with(RESERVED)) {
            if !out.is_empty() {
                out.push(',');
            }
            push_string(&mut out, key);
            out.push(':');
            out.push_str(value);
        }
    }
    push_progress(&mut out, progress);
    out
}

/// `_meta` member, or `initialize` parameter, that says who we are.
pub(super) fn client_info(key: &str) -> String {
    alloc::format!(
        r#""{key}":{{"name":"leeward","version":"{}"}}"#,
        env!("CARGO_PKG_VERSION")
    )
}

fn push_progress(out: &mut String, progress: Option<FlightId>) {
    if let Some(FlightId(number)) = progress {
        append(out, &alloc::format!(r#""progressToken":{number}"#));
    }
}

pub(super) fn append(out: &mut String, members: &str) {
    if !is_blank(members) {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(members);
    }
}

fn is_blank(members: &str) -> bool {
    members.trim_ascii().is_empty()
}

/// One message of the authority.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The response to our request.
    Response(Response),
    /// A notification, whole.
    Notification(String),
    /// A request.
    Request(Asked),
}

/// The response to our request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) body: Body,
    /// The code, if it is an error.
    pub(super) code: Option<i64>,
    /// It carries our id. Only errors may carry none: of a request that the authority could not read.
    pub(super) ours: bool,
}

/// Reads a message, or the messages of a batch (2025-03-26 allows batches). `id`: of our request.
pub(super) fn read(text: &str, id: u64) -> Result<Vec<Message>, Trouble> {
    if text.trim_ascii_start().starts_with('[') {
        return elements(text)
            .ok_or_else(no_message)?
            .into_iter()
            .map(|text| one(text, id))
            .collect();
    }
    Ok(Vec::from([one(text, id)?]))
}

fn no_message() -> Trouble {
    Trouble::stray("the authority's answer is no JSON-RPC message", "")
}

fn another() -> Trouble {
    Trouble::invalid("the authority answered another request", "")
}

/// What claims to be JSON-RPC is taken for the authority's own word.
fn unsound() -> Trouble {
    Trouble::invalid("the authority's answer is no valid JSON-RPC response", "")
}

fn one(text: &str, id: u64) -> Result<Message, Trouble> {
    let members = Members::parse(text)
        .filter(|members| !members.has_duplicates())
        .ok_or_else(no_message)?;
    if members.string("jsonrpc").as_deref() != Some("2.0") {
        return Err(no_message());
    }
    let raw_id = members.raw("id");
    if members.raw("method").is_some() {
        return Ok(match raw_id {
            Some(id) => Message::Request(Asked {
                id: one_line(id),
                method: members.string("method").unwrap_or_default().into_owned(),
                params: members.raw("params").map(one_line).unwrap_or_default(),
            }),
            None => Message::Notification(one_line(text)),
        });
    }
    let ours = raw_id.and_then(leeward::json::unsigned) == Some(id);
    let nobodys = matches!(raw_id, None | Some("null"));
    match (members.raw("result"), members.raw("error")) {
        (Some(_), None) if !ours => Err(another()),
        (Some(result), None) if leeward::json::is_object(result) => Ok(Message::Response(Response {
            body: Body::Result(one_line(result)),
            code: None,
            ours,
        })),
        (None, Some(_)) if !ours && !nobodys => Err(another()),
        (None, Some(error)) => {
            let parts = Members::parse(error).unwrap_or_default();
            let code = parts.raw("code").and_then(leeward::json::signed);
            let code = code
                .filter(|_| parts.string("message").is_some())
                .ok_or_else(unsound)?;
            Ok(Message::Response(Response {
                body: Body::Error(one_line(error)),
                code: Some(code),
                ours,
            }))
        }
        _ => Err(unsound()),
    }
}

/// JSON text without line breaks, which are only white space in it: event streams and stdio frame by lines.
fn one_line(json: &str) -> String {
    if json.contains(['\n', '\r']) {
        json.replace(['\n', '\r'], " ")
    } else {
        json.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn writes_requests_with_and_without_members() {
        assert_eq!(
            text(request(1, "a", "", "")),
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{}}"#
        );
        assert_eq!(
            text(request(2, "a\"", r#""x":1"#, r#""y":2"#)),
            r#"{"jsonrpc":"2.0","id":2,"method":"a\"","params":{"x":1,"_meta":{"y":2}}}"#
        );
        assert_eq!(
            text(request(3, "a", " ", r#""y":2"#)),
            r#"{"jsonrpc":"2.0","id":3,"method":"a","params":{ "_meta":{"y":2}}}"#
        );
    }

    #[test]
    fn writes_meta_of_both_eras() {
        let meta = r#""traceparent":"00-1","io.modelcontextprotocol/logLevel":"info""#;
        assert_eq!(
            modern_meta("{}", meta, Some(FlightId(7))),
            alloc::format!(
                r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},{meta},"progressToken":7"#
            )
        );
        let forward = Forward {
            partition: 0,
            principal: None,
            method: String::new(),
            name: None,
            params: String::new(),
            meta: meta.into(),
            capabilities: String::new(),
            progress: true,
            headers: Vec::new(),
            inputs: leeward::mcp::input::Inputs::NONE,
            session_era: false,
            write: false,
        };
        assert_eq!(
            legacy_meta(&forward, Some(FlightId(7))),
            r#""traceparent":"00-1","progressToken":7"#
        );
        assert_eq!(
            legacy_meta(
                &Forward {
                    meta: String::new(),
                    ..forward
                },
                None
            ),
            ""
        );
    }

    #[test]
    fn reads_responses_notifications_and_requests() {
        let one = |text: &str| read(text, 7).unwrap().remove(0);
        assert_eq!(
            one("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\n\"a\":1.0}}"),
            Message::Response(Response {
                body: Body::Result(r#"{ "a":1.0}"#.into()),
                code: None,
                ours: true
            })
        );
        let error = r#"{"code":-32000,"message":"no"}"#;
        for (id, ours) in [(r#""id":7,"#, true), (r#""id":null,"#, false), ("", false)] {
            let text = alloc::format!(r#"{{"jsonrpc":"2.0",{id}"error":{error}}}"#);
            let response = Response {
                body: Body::Error(error.into()),
                code: Some(-32000),
                ours,
            };
            assert_eq!(one(&text), Message::Response(response));
        }
        let text = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
        assert_eq!(one(text), Message::Notification(text.into()));
        assert_eq!(
            one(r#"{"jsonrpc":"2.0","id":"1","method":"ping"}"#),
            Message::Request(Asked {
                id: "\"1\"".into(),
                method: "ping".into(),
                params: String::new(),
            })
        );
        let batch = alloc::format!(r#"[{text},{{"jsonrpc":"2.0","id":7,"result":{{}}}}]"#);
        assert_eq!(read(&batch, 7).unwrap().len(), 2);
    }

    #[test]
    fn refuses_what_is_no_answer_to_us() {
        for text in [
            "",
            "{",
            "1",
            "[1]",
            "<html>",
            "{}",
            r#"{"jsonrpc":"1.0","id":7,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":8,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"7","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":[]}"#,
            r#"{"jsonrpc":"2.0","id":7}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":""}}"#,
            r#"{"jsonrpc":"2.0","id":7,"id":7,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":8,"error":{"code":1,"message":""}}"#,
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":1.5,"message":""}}"#,
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#,
            r#"{"jsonrpc":"2.0","id":7,"error":"no"}"#,
        ] {
            assert!(read(text, 7).is_err(), "{text}");
        }
    }
}
