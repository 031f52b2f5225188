//! The `_meta` of a request: what a replica reads, what it passes on, and what forbids the cache.

use alloc::borrow::Cow;
use alloc::string::String;

use super::message::is_id;
use super::names::{META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_VERSION};
use crate::error::{Code, Error};
use crate::json::{self, Members};

/// A request's `_meta` (2026-07-28, Base Protocol, `_meta`).
#[derive(Clone, Debug, Default)]
pub struct Meta<'a> {
    /// `io.modelcontextprotocol/protocolVersion`.
    pub version: Option<Cow<'a, str>>,
    /// `io.modelcontextprotocol/clientCapabilities`, a raw object.
    pub capabilities: Option<&'a str>,
    /// `progressToken`, raw.
    pub progress: Option<&'a str>,
    /// `io.modelcontextprotocol/logLevel`.
    pub log_level: Option<LogLevel>,
    /// Raw members to pass on: all but version, capabilities and progress token.
    pub forward: String,
    /// Whether there is a member that may change the answer and is no part of the key: the cache is bypassed.
    pub unkeyed: bool,
}

/// RFC 5424 severities as MCP spells them, least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl LogLevel {
    const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// By MCP's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// MCP's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

/// Members that are passed on but cannot change the answer, so that they stay out of the key.
const UNKEYED_BUT_HARMLESS: [&str; 4] = [META_CLIENT_INFO, META_LOG_LEVEL, "traceparent", "tracestate"];

impl<'a> Meta<'a> {
    /// Reads `params._meta`.
    ///
    /// # Errors
    /// `invalid_params` if it is no object, has repeated members, or a known member of the wrong type.
    pub fn parse(params: &Members<'a>) -> Result<Self, Error> {
        let invalid = |message: &'static str| Error::new(Code::InvalidParams, message);
        let Some(raw) = params.raw("_meta") else {
            return Ok(Self::default());
        };
        let members =
            Members::parse(raw).ok_or_else(|| invalid("_meta must be an object of at most 256 members"))?;
        if members.has_duplicates() {
            return Err(invalid("a member of _meta is there twice"));
        }
        let mut meta = Self::default();
        for (name, value) in members.iter() {
            match name {
                META_VERSION => {
                    let version = json::string(value);
                    meta.version =
                        Some(version.ok_or_else(|| invalid("_meta: protocolVersion must be a string"))?);
                    continue;
                }
                META_CAPABILITIES => {
                    if !json::is_object(value) {
                        return Err(invalid("_meta: clientCapabilities must be an object"));
                    }
                    meta.capabilities = Some(value);
                    continue;
                }
                "progressToken" => {
                    if !is_id(value) {
                        return Err(invalid("_meta: progressToken must be a string or an integer"));
                    }
                    meta.progress = Some(value);
                    continue;
                }
                META_CLIENT_INFO if !json::is_object(value) => {
                    return Err(invalid("_meta: clientInfo must be an object"));
                }
                META_LOG_LEVEL => {
                    let level = json::string(value).and_then(|name| LogLevel::parse(&name));
                    meta.log_level =
                        Some(level.ok_or_else(|| invalid("_meta: logLevel is not a log level"))?);
                }
                _ => meta.unkeyed |= !UNKEYED_BUT_HARMLESS.contains(&name),
            }
            push_member(&mut meta.forward, name, value);
        }
        Ok(meta)
    }
}

/// Appends `"name":value` to raw members, with a comma where one is due.
pub fn push_member(out: &mut String, name: &str, raw: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    json::push_string(out, name);
    out.push(':');
    out.push_str(raw);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(meta: &str) -> Result<(bool, String), Error> {
        let params = alloc::format!(r#"{{"_meta":{meta}}}"#);
        Meta::parse(&Members::parse(&params).unwrap()).map(|meta| (meta.unkeyed, meta.forward))
    }

    #[test]
    fn only_members_outside_the_key_forbid_the_cache() {
        let harmless =
            r#"{"progressToken":1,"traceparent":"00-0","io.modelcontextprotocol/logLevel":"info"}"#;
        assert_eq!(
            parse(harmless).unwrap(),
            (
                false,
                r#""traceparent":"00-0","io.modelcontextprotocol/logLevel":"info""#.into()
            )
        );
        assert!(parse(r#"{"baggage":"user=1"}"#).unwrap().0);
        assert!(parse(r#"{"com.example/tenant":7}"#).unwrap().0);
    }

    #[test]
    fn refuses_wrong_types() {
        for meta in [
            "1",
            "null",
            r#"{"a":1,"a":2}"#,
            r#"{"progressToken":{}}"#,
            r#"{"progressToken":1.5}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":1}"#,
            r#"{"io.modelcontextprotocol/clientCapabilities":[]}"#,
            r#"{"io.modelcontextprotocol/clientInfo":"me"}"#,
            r#"{"io.modelcontextprotocol/logLevel":"loud"}"#,
        ] {
            assert_eq!(parse(meta).unwrap_err().code, Code::InvalidParams, "{meta}");
        }
    }
}
