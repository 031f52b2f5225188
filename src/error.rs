//! Errors, grouped by who is at fault, and the one function that maps them to JSON-RPC and HTTP.
//!
//! docs/ERRORS.md is the table for users; a test holds it to this file.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use crate::clock::Millis;
use crate::json;

/// What went wrong, as a stable machine-readable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    // The agent's message.
    /// Not JSON, or not UTF-8.
    ParseError,
    /// JSON, but no JSON-RPC 2.0 request or notification.
    InvalidRequest,
    /// No such method here.
    MethodNotFound,
    /// Parameters, `_meta`, tool, prompt, resource or cursor are wrong.
    InvalidParams,
    /// HTTP headers and body disagree.
    HeaderMismatch,
    /// The request uses what its client capabilities do not declare.
    MissingCapability,
    /// A protocol version this replica does not speak.
    UnsupportedVersion,
    /// A message over its limit.
    TooLarge,
    /// The agent gave up.
    Cancelled,
    // The agent's standing.
    /// No, or no valid, credential.
    Unauthenticated,
    /// A credential without the right.
    Forbidden,
    /// A session that is not here, or is another caller's.
    SessionUnknown,
    /// The request needs a session, and names none.
    SessionRequired,
    /// The session has such a stream already.
    StreamTaken,
    // The operator's policy.
    /// A rule says `deny`.
    DeniedByPolicy,
    /// Too many requests, here or at the authority.
    RateLimited,
    /// A named limit of this replica is reached.
    OverBudget,
    /// The configuration is wrong.
    ConfigInvalid,
    // The authority.
    /// No connection, or a gateway's 5xx.
    AuthorityUnreachable,
    /// No answer in time.
    AuthorityTimeout,
    /// An answer that is not MCP.
    AuthorityInvalid,
    /// The authority refused our credential.
    AuthorityAuthRequired,
    /// The authority asks for input that this agent cannot be asked for, or did not give.
    InputRequired,
    /// A write was sent and nobody knows whether it took effect.
    UnknownOutcome,
    // Ourselves.
    /// The replica was closed or its owner is gone.
    Closed,
    /// A fault of the replica or of a local tool.
    Internal,
}

impl Code {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 26] = [
        Self::ParseError,
        Self::InvalidRequest,
        Self::MethodNotFound,
        Self::InvalidParams,
        Self::HeaderMismatch,
        Self::MissingCapability,
        Self::UnsupportedVersion,
        Self::TooLarge,
        Self::Cancelled,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::SessionUnknown,
        Self::SessionRequired,
        Self::StreamTaken,
        Self::DeniedByPolicy,
        Self::RateLimited,
        Self::OverBudget,
        Self::ConfigInvalid,
        Self::AuthorityUnreachable,
        Self::AuthorityTimeout,
        Self::AuthorityInvalid,
        Self::AuthorityAuthRequired,
        Self::InputRequired,
        Self::UnknownOutcome,
        Self::Closed,
        Self::Internal,
    ];

    const fn row(self) -> (&'static str, i32, u16, bool) {
        match self {
            // JSON-RPC's and MCP's own codes (2026-07-28, Base Protocol, Error Codes).
            Self::ParseError => ("parse_error", -32700, 400, false),
            Self::InvalidRequest => ("invalid_request", -32600, 400, false),
            Self::MethodNotFound => ("method_not_found", -32601, 404, false),
            Self::InvalidParams => ("invalid_params", -32602, 400, false),
            Self::HeaderMismatch => ("header_mismatch", -32020, 400, false),
            Self::MissingCapability => ("missing_capability", -32021, 400, false),
            Self::UnsupportedVersion => ("unsupported_version", -32022, 400, false),
            Self::Internal => ("internal", -32603, 500, false),
            // Ours, outside every reserved range.
            Self::Unauthenticated => ("unauthenticated", 1001, 401, false),
            Self::Forbidden => ("forbidden", 1002, 403, false),
            Self::DeniedByPolicy => ("denied_by_policy", 1003, 200, false),
            Self::RateLimited => ("rate_limited", 1004, 200, true),
            Self::OverBudget => ("over_budget", 1005, 503, true),
            Self::TooLarge => ("too_large", 1006, 413, false),
            Self::Cancelled => ("cancelled", 1007, 200, true),
            Self::Closed => ("closed", 1008, 503, true),
            Self::ConfigInvalid => ("config_invalid", 1009, 500, false),
            Self::AuthorityUnreachable => ("authority_unreachable", 1010, 200, true),
            Self::AuthorityTimeout => ("authority_timeout", 1011, 200, true),
            Self::AuthorityInvalid => ("authority_invalid", 1012, 200, false),
            Self::AuthorityAuthRequired => ("authority_auth_required", 1013, 200, false),
            Self::InputRequired => ("input_required", 1023, 200, false),
            Self::UnknownOutcome => ("unknown_outcome", 1014, 200, false),
            Self::SessionUnknown => ("session_unknown", 1020, 404, false),
            Self::SessionRequired => ("session_required", 1021, 400, false),
            Self::StreamTaken => ("stream_taken", 1022, 409, false),
        }
    }

    /// Stable `snake_case` name; `data.code` on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The JSON-RPC error code.
    #[must_use]
    pub const fn json_rpc(self) -> i32 {
        self.row().1
    }

    /// The HTTP status. Faults of the authority answer a sound request of the agent: they are 200, because
    /// MCP clients discard the JSON-RPC body of most other statuses.
    #[must_use]
    pub const fn http(self) -> u16 {
        self.row().2
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn retryable(self) -> bool {
        self.row().3
    }
}

/// An error with what its reader needs to act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// One sentence, lower case, without a full stop.
    pub message: Cow<'static, str>,
    /// How long to wait before trying again, where that is known.
    pub retry_after: Option<Millis>,
    /// Further members of `data`, as raw JSON members (`"uri":"a:b"`), or empty.
    pub data: String,
}

impl Error {
    /// An error with only a code and a message.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            data: String::new(),
        }
    }

    /// The same with `data.{name}` set to a string.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if !self.data.is_empty() {
            self.data.push(',');
        }
        json::push_string(&mut self.data, name);
        self.data.push(':');
        json::push_string(&mut self.data, value);
        self
    }

    /// The JSON-RPC error object: `code`, `message` and `data` with `code`, `retryable`, `correlationId` and,
    /// where it applies, `retryAfterMs`.
    #[must_use]
    pub fn to_json(&self, correlation_id: &str) -> String {
        use core::fmt::Write as _;
        let mut out = String::with_capacity(192);
        let _ = write!(out, r#"{{"code":{},"message":"#, self.code.json_rpc());
        json::push_string(&mut out, &self.message);
        let _ = write!(
            out,
            r#","data":{{"code":"{}","retryable":{},"correlationId":"#,
            self.code.as_str(),
            self.code.retryable()
        );
        json::push_string(&mut out, correlation_id);
        if let Some(after) = self.retry_after {
            let _ = write!(out, r#","retryAfterMs":{}"#, after.0);
        }
        if !self.data.is_empty() {
            out.push(',');
            out.push_str(&self.data);
        }
        out.push_str("}}");
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl core::error::Error for Error {}
