//! Which requests one instance must answer, where many serve one endpoint and share nothing; and what the others make
//! of it when they pass one on.
//!
//! What lasts longer than a request needs somebody who outlives it: on such hosts an instance of each principal's own.
//! This only tells requests apart; whoever gets one validates it as always.

use alloc::vec::Vec;

use super::Core;
use super::agent::{Caller, Request, Served, Verb};
use super::request::speaks_legacy;
use crate::border::Millis;
use crate::error::{Code, Error};
use crate::json::{Members, elements};
use crate::mcp::extension::STATE_PREFIX;
use crate::mcp::input::Inputs;
use crate::mcp::message::Message;
use crate::mcp::names::{HEADER_SESSION, META_CAPABILITIES};
use crate::mcp::result::notification;
use crate::mcp::subscription::Change;
use crate::policy::Class;

/// Who is to answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Whichever instance it reached.
    Anywhere,
    /// The principal's own instance, unless a peek finds an answer where it is.
    Own,
    /// The principal's own instance and no other: no other knows its session, or what was asked.
    Only,
}

impl Core {
    /// Who is to answer a request. `asks`: an authority may ask something in the middle of a request, as those of the
    /// session era do; what it asks of a modern agent outlives the request. A tool or resource that a rule says to
    /// cache is nevertheless fetched where it is asked for, and cannot ask.
    ///
    /// Costs at most a few passes over the message; what is no message belongs nowhere in particular.
    #[must_use]
    pub fn affinity(&self, request: &Request<'_>, asks: bool) -> Affinity {
        let headers = request.headers.unwrap_or_default();
        // 2025-11-25, Transports, Session Management.
        if request.verb != Verb::Post || headers.iter().any(|(name, _)| name == HEADER_SESSION) {
            return Affinity::Only;
        }
        let Ok(message) = Message::parse(request.message) else {
            return Affinity::Anywhere;
        };
        let policy = &self.config.policy;
        let param = |name| message.params.string(name).unwrap_or_default();
        let rule = match &*message.method {
            "initialize" => return Affinity::Only,
            // It lasts until either side ends it (2026-07-28, Patterns, Subscriptions).
            "subscriptions/listen" => return Affinity::Own,
            "tools/call" => policy.tool(&param("name")),
            "resources/read" => policy.resource(&param("uri")),
            "prompts/get" => None,
            _ => return Affinity::Anywhere,
        };
        // A retry of what was asked there (2026-07-28, Patterns, Multi Round-Trip Requests).
        if param("requestState").starts_with(STATE_PREFIX) {
            return Affinity::Only;
        }
        let is_cached = rule.is_some_and(|rule| rule.class == Class::Cache);
        if asks && !is_cached && may_be_asked(&message) {
            Affinity::Own
        } else {
            Affinity::Anywhere
        }
    }
}

fn may_be_asked(message: &Message<'_>) -> bool {
    let meta = message.params.raw("_meta").and_then(Members::parse);
    let declared = meta.as_ref().and_then(|meta| meta.raw(META_CAPABILITIES));
    Inputs::of(declared.unwrap_or_default()) != Inputs::NONE
}

/// What is remembered of a request that was passed on to another instance.
#[derive(Clone, Debug)]
pub struct Passed {
    caller: Caller,
    /// What its caller sees may be another thing afterwards.
    pub write: bool,
}

impl Core {
    /// Looks at a request that is about to be passed on. A peek has found it sound.
    #[must_use]
    pub fn pass_on(&self, request: &Request<'_>) -> Passed {
        let text = core::str::from_utf8(request.message).unwrap_or_default();
        Passed {
            caller: request.caller.clone(),
            write: messages(text).into_iter().any(|message| self.may_write(message)),
        }
    }

    /// By the rule for a tool, or the default without one.
    fn may_write(&self, message: &str) -> bool {
        Message::parse(message.as_bytes()).is_ok_and(|message| {
            let name = message.params.string("name").unwrap_or_default();
            let rule = self.config.policy.tool(&name);
            message.method == "tools/call" && rule.is_none_or(|rule| rule.class == Class::Through)
        })
    }

    /// Takes note of a message with which the other instance answers: what it tells to have changed is stale here too,
    /// and so is what the request may have changed.
    pub fn overhear(&mut self, now: Millis, passed: &Passed, raw: &str) {
        self.tick(now);
        let all = messages(raw);
        for message in &all {
            if let Some(change) = notification(message).and_then(|message| Change::of(&message.method)) {
                self.stale(change);
            }
        }
        if passed.write {
            // What is left of a batch that was too long to be heard may have said anything.
            let is_cut = raw.starts_with('[') && all == [raw];
            let unknown = is_cut || all.into_iter().any(is_unknown);
            self.wrote(&passed.caller, unknown);
        }
    }

    /// Takes note that nobody here will hear how the other instance's answer ends: what became of a write is unknown.
    pub fn abandon_passed(&mut self, now: Millis, passed: &Passed) {
        self.tick(now);
        if passed.write {
            self.wrote(&passed.caller, true);
        }
    }

    /// Refuses a request whose other instance was gone before it answered.
    pub fn refuse_abandoned(
        &mut self,
        now: Millis,
        passed: &Passed,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Served {
        self.abandon_passed(now, passed);
        let error = if passed.write {
            Error::new(Code::UnknownOutcome, "the instance that sent the write is gone")
        } else {
            Error::new(Code::Closed, "the instance that was to answer is gone")
        };
        let message = Message::parse(request.message).ok();
        let id = message.and_then(|message| message.id);
        self.refuse_request(speaks_legacy(request), id, &error, out)
            .served
    }

    /// A write of a caller's is over; `unknown`: or may be yet to take effect.
    fn wrote(&mut self, caller: &Caller, unknown: bool) {
        if unknown {
            return self.unsettle(self.mono, caller);
        }
        let seq = self.seq.advance();
        self.partitions.enter(caller).floor = seq;
    }
}

/// One, or each of a batch (2025-03-26, Base Protocol, Batching).
fn messages(raw: &str) -> Vec<&str> {
    elements(raw).unwrap_or_else(|| Vec::from([raw]))
}

/// Whether an answer says that nobody knows what became of a write.
fn is_unknown(raw: &str) -> bool {
    let error = Members::parse(raw).and_then(|message| Members::parse(message.raw("error")?));
    let data = error.and_then(|error| Members::parse(error.raw("data")?));
    let code = data.and_then(|data| data.string("code"));
    code.as_deref() == Some(Code::UnknownOutcome.as_str())
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::border::Ctx;
    use crate::config::Config;

    const CONFIG: &str = r#"{
        "authority": "https://crm.example/mcp",
        "policy": [{ "tool": "get_*", "rule": "cache; max-age=60" }, { "resource": "docs://x", "rule": "cache" }]
    }"#;

    fn of(verb: Verb, headers: &[(&str, &str)], message: &str) -> Affinity {
        asked(verb, headers, message, true)
    }

    fn asked(verb: Verb, headers: &[(&str, &str)], message: &str, asks: bool) -> Affinity {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let request = Request {
            caller: &Caller::Anonymous,
            ctx: Ctx::SHARED,
            connection: 0,
            headers: Some(&headers),
            negotiated: None,
            verb,
            message: message.as_bytes(),
            peek: false,
        };
        Core::new(Config::parse(CONFIG).unwrap()).affinity(&request, asks)
    }

    const LISTEN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{}}"#;
    const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"initialize"}}"#;

    #[test]
    fn what_lasts_belongs_to_its_principals_own_instance() {
        assert_eq!(of(Verb::Post, &[], LISTEN), Affinity::Own);
    }

    #[test]
    fn a_session_is_known_to_that_instance_alone() {
        let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
        assert_eq!(of(Verb::Post, &[], initialize), Affinity::Only);
        let session = [("mcp-protocol-version", "2025-11-25"), ("mcp-session-id", "x")];
        for message in [CALL, LISTEN, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "[]", ""] {
            assert_eq!(of(Verb::Post, &session, message), Affinity::Only, "{message}");
        }
        for verb in [Verb::Get, Verb::Delete] {
            for headers in [&session[..], &[]] {
                assert_eq!(of(verb, headers, ""), Affinity::Only);
            }
        }
    }

    #[test]
    fn what_may_be_asked_belongs_to_whoever_can_wait_for_the_answer() {
        let call = |method: &str, params: &str, capabilities: &str| {
            let meta =
                format!(r#""_meta":{{"io.modelcontextprotocol/clientCapabilities":{{{capabilities}}}}}"#);
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params},{meta}}}}}"#)
        };
        let elicits = r#""elicitation":{}"#;
        for (method, params, expected) in [
            ("tools/call", r#""name":"close""#, Affinity::Own),
            ("tools/call", r#""name":"get_x""#, Affinity::Anywhere),
            ("resources/read", r#""uri":"docs://y""#, Affinity::Own),
            ("resources/read", r#""uri":"docs://x""#, Affinity::Anywhere),
            ("prompts/get", r#""name":"get_x""#, Affinity::Own),
            ("tools/list", r#""name":"x""#, Affinity::Anywhere),
        ] {
            for declared in [elicits, r#""sampling":{}"#, r#""x":1,"roots":{}"#] {
                let message = call(method, params, declared);
                assert_eq!(of(Verb::Post, &[], &message), expected, "{message}");
                let stateless = asked(Verb::Post, &[], &message, false);
                assert_eq!(stateless, Affinity::Anywhere, "{message}");
            }
            let message = call(method, params, "");
            assert_eq!(of(Verb::Post, &[], &message), Affinity::Anywhere, "{message}");
        }
        for (state, expected) in [
            ("dev.leeward/input:1", Affinity::Only),
            ("theirs", Affinity::Anywhere),
        ] {
            let params = format!(r#""name":"get_x","requestState":"{state}""#);
            let message = call("tools/call", &params, "");
            assert_eq!(asked(Verb::Post, &[], &message, false), expected);
        }
    }

    #[test]
    fn the_rest_belongs_nowhere() {
        for message in [
            CALL,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}]"#,
            "subscriptions/listen",
            "",
        ] {
            assert_eq!(of(Verb::Post, &[], message), Affinity::Anywhere, "{message}");
        }
    }
}
