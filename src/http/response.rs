//! How the endpoint's own answers look, and the events of a streamed one.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Code, Error};

/// Headers of a response, names lower case.
pub type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body; JSON unless it is empty or the headers say otherwise.
    pub body: String,
}

impl Response {
    /// A JSON-RPC error without an id: MCP's schema knows no null id (2026-07-28, `JSONRPCErrorResponse`). `id`
    /// names it in logs; `headers` are those that it has besides its own.
    #[must_use]
    pub fn refusal(status: u16, error: &Error, id: u64, mut headers: Headers) -> Self {
        let body = format!(
            r#"{{"jsonrpc":"2.0","error":{}}}"#,
            error.to_json(&format!("{id:016x}"))
        );
        if error.code == Code::Unauthenticated {
            // RFC 6750 §3.
            headers.push(("www-authenticate", "Bearer".into()));
        }
        Self::json(status, headers, body)
    }

    /// The state of health and the version, and nothing else.
    pub(super) fn health(headers: Headers) -> Self {
        let body = concat!(r#"{"status":"ok","version":""#, env!("CARGO_PKG_VERSION"), "\"}");
        Self::json(200, headers, body.into())
    }

    fn json(status: u16, mut headers: Headers, body: String) -> Self {
        headers.push(("content-type", "application/json".into()));
        Self {
            status,
            headers,
            body,
        }
    }
}

/// How long a client is to wait before it comes back for a stream that broke.
const RETRY: &[u8] = b"retry: 1000\n";

/// A JSON-RPC message as a server-sent event of one line: in JSON a line break is only ever blank space between
/// tokens. `id` names it for `last-event-id`; with one the message may be empty, which gives an event that a client can
/// resume after and that says nothing but how long to wait before that (2025-11-25, Transports, Streamable HTTP).
/// Without either there is no event.
#[must_use]
pub fn event(message: &[u8], id: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    if let Some(id) = id {
        for part in ["id: ", id, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    if !message.is_empty() {
        out.extend_from_slice(b"event: message\n");
    } else if id.is_none() {
        return out;
    } else {
        out.extend_from_slice(RETRY);
    }
    out.extend_from_slice(b"data: ");
    out.extend(message.iter().map(|&byte| match byte {
        b'\n' | b'\r' => b' ',
        byte => byte,
    }));
    out.extend_from_slice(b"\n\n");
    out
}

/// The headers that go on to the replica with a message: MCP's own, the one that resumes a stream, and the one that says
/// whether there can be one. Credentials above all end at the gate.
#[must_use]
pub fn message_headers(mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.retain(|(name, _)| name.starts_with("mcp-") || matches!(&**name, "last-event-id" | "accept"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_the_message_says() {
        let message = b"{\"a\":\r\n1}";
        assert_eq!(event(message, None), b"event: message\ndata: {\"a\":  1}\n\n");
        assert_eq!(
            event(message, Some("a-1")),
            b"id: a-1\nevent: message\ndata: {\"a\":  1}\n\n"
        );
    }

    #[test]
    fn an_event_without_a_message_is_one_to_resume_after() {
        assert_eq!(event(b"", Some("a-1")), b"id: a-1\nretry: 1000\ndata: \n\n");
        assert_eq!(event(b"", None), b"");
    }

    #[test]
    fn only_the_headers_of_mcp_go_on() {
        let given = [
            "authorization",
            "cookie",
            "mcp-name",
            "x-mcp-name",
            "mcp-param-a",
            "last-event-id",
            "accept",
        ];
        let headers = given.map(|name| (name.into(), "x".into())).into();
        let kept = message_headers(headers);
        assert_eq!(
            kept.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
            ["mcp-name", "mcp-param-a", "last-event-id", "accept"]
        );
    }
}
