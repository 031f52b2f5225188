//! What a page that may call is told about it (Fetch standard, CORS protocol). One that may not is told nothing.
//!
//! Credentials that a page's user holds play no part: callers send a bearer token, so no answer allows cookies.

use alloc::string::String;

use super::gate::Head;
use super::response::{Headers, Response};
use crate::limits::{MAX_HEADER_NAME_BYTES, MAX_HEADER_PARAMS};
use crate::mcp::headers::is_token;
use crate::mcp::names::HEADER_PARAM;

/// What MCP clients send, session-era ones included.
const ALLOWED: &str = "content-type, accept, authorization, mcp-protocol-version, mcp-method, mcp-name, \
    mcp-session-id, last-event-id";
/// Where no sessions are kept GET and DELETE get their 405, which clients of older revisions understand; without these
/// words they would see a broken network.
pub(super) const METHODS: &str = "GET, POST, DELETE";
/// What an answer says beyond its body.
const EXPOSED: &str = "cache-status, www-authenticate, mcp-session-id";
/// For how long a page may remember a preflight's answer, in seconds: as long as any engine does.
const MAX_AGE: &str = "7200";
const REQUESTED: &str = "access-control-request-headers";

/// Lets a page read the answer.
pub(super) fn show(headers: &mut Headers, origin: &str) {
    headers.push(("access-control-allow-origin", String::from(origin).into()));
    headers.push(("access-control-expose-headers", EXPOSED.into()));
    headers.push(("vary", "origin".into()));
}

/// Whether a page's engine asks before it sends the request itself.
pub(super) fn is_preflight(head: &Head<'_>) -> bool {
    head.method == "OPTIONS"
        && head.header("origin").is_some()
        && head.header("access-control-request-method").is_some()
}

/// The answer to that, for a page that may call.
pub(super) fn preflight(head: &Head<'_>, mut headers: Headers) -> Response {
    let mut allowed = String::from(ALLOWED);
    let requested = head.header(REQUESTED).unwrap_or_default();
    for name in requested
        .split(',')
        .map(str::trim)
        .filter(|name| is_param(name))
        .take(MAX_HEADER_PARAMS)
    {
        allowed.push_str(", ");
        allowed.push_str(name);
    }
    headers.push(("access-control-allow-methods", METHODS.into()));
    headers.push(("access-control-allow-headers", allowed.into()));
    headers.push(("access-control-max-age", MAX_AGE.into()));
    Response {
        status: 204,
        headers,
        body: String::new(),
    }
}

/// `Mcp-Param-*`, of which every tool may have its own; engines ask in lower case.
fn is_param(name: &str) -> bool {
    name.strip_prefix(HEADER_PARAM)
        .is_some_and(|rest| rest.len() <= MAX_HEADER_NAME_BYTES && is_token(rest))
}
