//! Writing responses: stored parts with the id, the remaining TTL and the provenance spliced in. Nothing is
//! parsed here but for `initialize`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::flights::Recipient;
use super::lists::unheard;
use super::request::Era;
use crate::border::Millis;
use crate::json::{self, Members};
use crate::mcp::extension::META_CACHE;
use crate::mcp::meta::push_member;
use crate::mcp::names::META_SERVER_INFO;
use crate::mcp::result::Parts;
use crate::policy::Scope;
use crate::provenance::Provenance;

/// Who we are, where no authority says who it is.
pub(super) const SERVER_INFO: &str = concat!(
    r#"{"name":"leeward","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}"#
);

/// Appends the response with a result. `ttl`: what is left of its freshness, for methods whose results carry it.
pub(super) fn result(
    out: &mut Vec<u8>,
    to: &Recipient,
    parts: &Parts,
    ttl: Option<Millis>,
    provenance: Option<Provenance>,
) {
    if let Some(version) = to.initialize {
        return initialize(out, to, version, parts, provenance);
    }
    let mut text = Text::open(out, to);
    text.raw(&parts.members);
    if to.era == Era::Modern && parts.complete {
        text.raw(r#""resultType":"complete""#);
        if let Some(ttl) = ttl {
            let scope = if parts.scope == Scope::Public {
                "public"
            } else {
                "private"
            };
            text.separate();
            let _ = write!(text, r#""ttlMs":{},"cacheScope":"{scope}""#, ttl.0);
        }
    }
    text.meta(&parts.meta, provenance);
    text.close();
}

fn initialize(
    out: &mut Vec<u8>,
    to: &Recipient,
    version: &str,
    parts: &Parts,
    provenance: Option<Provenance>,
) {
    let mut object = String::with_capacity(parts.members.len() + 2);
    let _ = write!(object, "{{{}}}", parts.members);
    let members = Members::parse(&object).unwrap_or_default();
    let mut capabilities = String::new();
    for (name, value) in members
        .raw("capabilities")
        .and_then(Members::parse)
        .unwrap_or_default()
        .iter()
    {
        // Extensions came with 2026-07-28.
        match (name, to.session) {
            ("extensions", _) => {}
            (_, Some(_)) => push_member(&mut capabilities, name, value),
            // Neither a log level nor a subscription can be kept without a session.
            ("logging", None) => {}
            (_, None) => push_member(&mut capabilities, name, &unheard(name, value)),
        }
    }
    let mut meta_object = String::with_capacity(parts.meta.len() + 2);
    let _ = write!(meta_object, "{{{}}}", parts.meta);
    let meta = Members::parse(&meta_object).unwrap_or_default();
    let mut text = Text::open(out, to);
    let _ = write!(
        text,
        r#""protocolVersion":"{version}","capabilities":{{{capabilities}}},"serverInfo":"#
    );
    text.append(meta.raw(META_SERVER_INFO).unwrap_or(SERVER_INFO));
    if let Some(instructions) = members.raw("instructions") {
        text.append(r#","instructions":"#);
        text.append(instructions);
    }
    text.any = true;
    text.meta("", provenance);
    text.close();
}

/// Appends the response with an error object (raw JSON). Without an id the member is left out: MCP's schema
/// knows no null id (2026-07-28, `JSONRPCErrorResponse`).
pub(super) fn error(out: &mut Vec<u8>, id: Option<&str>, error: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","#);
    if let Some(id) = id {
        for part in ["\"id\":", id, ","] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    for part in ["\"error\":", error, "}"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// A result object being written.
struct Text<'a> {
    out: &'a mut Vec<u8>,
    any: bool,
}

impl<'a> Text<'a> {
    fn open(out: &'a mut Vec<u8>, to: &Recipient) -> Self {
        let mut text = Self { out, any: false };
        for part in [r#"{"jsonrpc":"2.0","id":"#, &*to.id, r#","result":{"#] {
            text.append(part);
        }
        text
    }

    fn append(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn separate(&mut self) {
        if self.any {
            self.append(",");
        }
        self.any = true;
    }

    fn raw(&mut self, members: &str) {
        if !members.is_empty() {
            self.separate();
            self.append(members);
        }
    }

    fn meta(&mut self, members: &str, provenance: Option<Provenance>) {
        if members.is_empty() && provenance.is_none() {
            return;
        }
        self.separate();
        self.append("\"_meta\":{");
        self.append(members);
        if let Some(provenance) = provenance {
            if !members.is_empty() {
                self.append(",");
            }
            // Cache-Status has no character that JSON would escape.
            let _ = write!(self, r#""{META_CACHE}":"{provenance}""#);
        }
        self.append("}");
    }

    fn close(mut self) {
        self.append("}}");
    }
}

impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.append(text);
        Ok(())
    }
}

/// Raw members with one of them replaced, or added at the end.
pub(super) fn replaced(members: &str, name: &str, value: &str) -> String {
    let mut object = String::with_capacity(members.len() + 2);
    let _ = write!(object, "{{{members}}}");
    let mut out = String::with_capacity(members.len() + value.len());
    let parsed = Members::parse(&object).unwrap_or_default();
    for (member, raw) in parsed.iter().filter(|(member, _)| *member != name) {
        push_member(&mut out, member, raw);
    }
    push_member(&mut out, name, value);
    out
}

/// A raw JSON array of raw elements.
pub(super) fn array<'a>(elements: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from("[");
    for (at, element) in elements.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(element);
    }
    out.push(']');
    out
}

/// A raw JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    json::push_string(&mut out, text);
    out
}
