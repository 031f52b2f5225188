//! An authority's `result`, taken apart into the form that is kept: the raw members to send, without the
//! places that a replica fills anew (`resultType`, `ttlMs`, `cacheScope`, `_meta`).

use alloc::string::String;

use super::extension;
use super::message::Message;
use super::meta::push_member;
use crate::border::Millis;
use crate::json::{self, Members};
use crate::limits::MAX_AGE;
use crate::policy::Scope;

/// The parts of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Raw members; also `resultType` where it is not `complete`.
    pub members: String,
    /// Raw members of `_meta`, without those under our own prefix.
    pub meta: String,
    /// `resultType` is `complete`, or absent as before 2026-07-28.
    pub complete: bool,
    /// `isError: true`.
    pub is_error: bool,
    /// `ttlMs`, at most [`MAX_AGE`]; zero if absent or negative, or no integer (2026-07-28, Caching).
    pub ttl: Millis,
    /// `cacheScope`; private unless it says `public`.
    pub scope: Scope,
}

impl Parts {
    /// A complete result without members or hints.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            members: String::new(),
            meta: String::new(),
            complete: true,
            is_error: false,
            ttl: Millis(0),
            scope: Scope::Private,
        }
    }

    /// Takes a raw result apart. `hinted`: `ttlMs` and `cacheScope` are caching's; in a `Task` they are members as
    /// all others (SEP-2663, Tasks). `None` if it is no object, or a member is there twice at its top or in its
    /// `_meta`: such a result is neither stored nor understood.
    #[must_use]
    pub fn parse(raw: &str, hinted: bool) -> Option<Self> {
        let result = Members::parse(raw)?;
        if result.has_duplicates() {
            return None;
        }
        let mut parts = Self {
            members: String::with_capacity(raw.len()),
            ..Self::empty()
        };
        for (name, value) in result.iter() {
            match name {
                "ttlMs" if hinted => parts.ttl = Millis(json::unsigned(value).unwrap_or(0)).min(MAX_AGE),
                "cacheScope" if hinted => {
                    if value == "\"public\"" {
                        parts.scope = Scope::Public;
                    }
                }
                "resultType" if value == "\"complete\"" => {}
                "_meta" => {
                    let meta = Members::parse(value).filter(|meta| !meta.has_duplicates())?;
                    for (name, value) in meta
                        .iter()
                        .filter(|(name, _)| !name.starts_with(extension::PREFIX))
                    {
                        push_member(&mut parts.meta, name, value);
                    }
                }
                _ => {
                    parts.complete &= name != "resultType";
                    parts.is_error |= name == "isError" && value == "true";
                    push_member(&mut parts.members, name, value);
                }
            }
        }
        Some(parts)
    }
}

/// Whether a complete result has the members that its method must have, of the right kind.
#[must_use]
pub fn is_valid(method: &str, raw: &str) -> bool {
    let Some(result) = Members::parse(raw) else {
        return false;
    };
    let array = |name| result.raw(name).is_some_and(|raw| raw.starts_with('['));
    let object = |name| result.raw(name).is_some_and(json::is_object);
    match method {
        "server/discover" => array("supportedVersions") && object("capabilities"),
        "tools/list" => array("tools"),
        "prompts/list" => array("prompts"),
        "resources/list" => array("resources"),
        "resources/templates/list" => array("resourceTemplates"),
        "resources/read" => array("contents"),
        "tools/call" => array("content"),
        "prompts/get" => array("messages"),
        "completion/complete" => object("completion"),
        _ => true,
    }
}

/// A notification of an authority within a trip.
#[must_use]
pub fn notification(raw: &str) -> Option<Message<'_>> {
    Message::parse(raw.as_bytes())
        .ok()
        .filter(|message| message.id.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_out_what_is_filled_anew() {
        let parts = Parts::parse(
            r#"{"resultType":"complete","content":[],"ttlMs":5,"cacheScope":"public","_meta":{"a":1,"dev.leeward/cache":"x"}}"#, true)
        .unwrap();
        assert_eq!((&*parts.members, &*parts.meta), (r#""content":[]"#, r#""a":1"#));
        assert_eq!(
            (parts.complete, parts.ttl, parts.scope),
            (true, Millis(5), Scope::Public)
        );
    }

    #[test]
    fn distrusts_hints() {
        let ttl = |raw: &str| {
            Parts::parse(&alloc::format!(r#"{{"ttlMs":{raw}}}"#), true)
                .unwrap()
                .ttl
        };
        assert_eq!(ttl("-5"), Millis(0));
        assert_eq!(ttl("1.5"), Millis(0));
        assert_eq!(ttl("\"60\""), Millis(0));
        assert_eq!(ttl("99999999999999999999999"), Millis(0));
        assert_eq!(ttl("9999999999999"), MAX_AGE);
        let scope = |raw: &str| {
            Parts::parse(&alloc::format!(r#"{{"cacheScope":{raw}}}"#), true)
                .unwrap()
                .scope
        };
        assert_eq!(scope("\"PUBLIC\""), Scope::Private);
        assert_eq!(scope("true"), Scope::Private);
    }

    #[test]
    fn knows_what_is_not_to_be_stored() {
        assert!(
            !Parts::parse(r#"{"resultType":"input_required"}"#, true)
                .unwrap()
                .complete
        );
        assert!(
            Parts::parse(r#"{"isError":true,"content":[]}"#, true)
                .unwrap()
                .is_error
        );
        assert!(Parts::parse(r#"{"content":[],"content":[]}"#, true).is_none());
        assert!(Parts::parse(r#"{"_meta":{"a":1,"a":2}}"#, true).is_none());
        assert!(Parts::parse("[]", true).is_none());
        assert!(!is_valid("tools/call", r#"{"content":"text"}"#));
        assert!(!is_valid("tools/list", r#"{"content":[]}"#));
    }
}
