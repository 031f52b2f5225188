//! Outputs of the replica as a kind, scalars, and bytes.

use leeward::border::{HttpRequest, LocalCall, Refused};
use leeward::json::push_string;
use leeward::provenance::State;
use leeward::{Output, Provenance};

use crate::event;

/// What `pollOutput` returned: nothing.
pub(crate) const NONE: u32 = 0;
const FETCH: u32 = 1;
const READ: u32 = 2;
const ABORT: u32 = 3;
const CALL_TOOL: u32 = 4;
const CALL_RESOURCE: u32 = 5;
pub(crate) const CREDENTIAL: u32 = 6;
const ENTROPY: u32 = 7;
const EVENT: u32 = 8;
const REPLY: u32 = 9;
pub(crate) const LOAD: u32 = 10;
const KEEP: u32 = 11;
pub(crate) const SIGN: u32 = 12;
pub(crate) const REDIRECT: u32 = 13;
pub(crate) const AUTHORIZE: u32 = 14;
const ERRAND: u32 = 15;

/// The scalars of the last output, or of the last answer of `serve`.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The question, or 0.
    pub(crate) op: u64,
    /// As `Engine::about` says.
    pub(crate) about: u64,
    /// Bytes of the output buffer that come before the second part of the payload.
    pub(crate) split: usize,
    pub(crate) status: u16,
    pub(crate) ticket: u64,
    /// As `Engine::last` says.
    pub(crate) last: bool,
    pub(crate) serial: Option<u64>,
    pub(crate) provenance: Option<Provenance>,
    /// Names the message for `last-event-id`.
    pub(crate) event: Option<String>,
    pub(crate) session: Option<String>,
}

impl Facts {
    pub(crate) const EMPTY: Self = Self {
        op: 0,
        about: 0,
        split: 0,
        status: 0,
        ticket: 0,
        last: false,
        serial: None,
        provenance: None,
        event: None,
        session: None,
    };

    /// How the cache took part, as the number that the TypeScript side knows; 5 for not at all.
    pub(crate) const fn state(&self) -> u32 {
        match &self.provenance {
            Some(provenance) => match provenance.state {
                State::Hit => 0,
                State::Miss => 1,
                State::Stale => 2,
                State::Bypass => 3,
                State::Local => 4,
            },
            None => 5,
        }
    }
}

/// Takes an output apart: returns its kind and scalars, and leaves its payload in `out`. `None` for a kind this
/// host does not know.
pub(crate) fn take(output: Output, out: &mut Vec<u8>) -> Option<(u32, Facts)> {
    out.clear();
    let mut facts = Facts::EMPTY;
    let kind = match output {
        Output::Fetch { op, request } => {
            facts.op = op.0;
            write_request(out, &mut facts.split, request);
            FETCH
        }
        Output::Read { op, fetch } => {
            facts.op = op.0;
            facts.about = fetch.0;
            READ
        }
        Output::Abort { fetch } => {
            facts.about = fetch.0;
            ABORT
        }
        Output::CallLocal { op, call } => {
            facts.op = op.0;
            match call {
                LocalCall::Tool { name, arguments } => {
                    facts.split = name.len();
                    out.extend_from_slice(name.as_bytes());
                    out.extend_from_slice(&arguments);
                    CALL_TOOL
                }
                LocalCall::Resource { uri } => {
                    facts.split = uri.len();
                    *out = uri.into_bytes();
                    CALL_RESOURCE
                }
            }
        }
        Output::Credential {
            op,
            principal,
            refused,
        } => {
            facts.op = op.0;
            write_principal(out, &mut facts, principal);
            if let Some(refused) = refused {
                write_refused(out, refused);
            }
            CREDENTIAL
        }
        Output::Entropy { op, bytes } => {
            facts.op = op.0;
            facts.about = bytes as u64;
            ENTROPY
        }
        Output::Event(event) => {
            let mut text = String::new();
            event::write(&mut text, &event);
            *out = text.into_bytes();
            EVENT
        }
        Output::Reply(reply) => {
            facts.status = reply.status;
            facts.ticket = reply.ticket.0;
            facts.last = reply.last;
            facts.serial = reply.serial;
            facts.provenance = reply.provenance;
            facts.event = reply.event;
            facts.session = reply.session;
            *out = reply.part;
            REPLY
        }
        Output::Load { op, key } => {
            facts.op = op.0;
            *out = key.into_bytes();
            LOAD
        }
        Output::Keep { key, record } => {
            facts.split = key.len();
            facts.last = record.is_some();
            *out = key.into_bytes();
            out.extend_from_slice(&record.unwrap_or_default());
            KEEP
        }
        Output::Sign {
            op,
            key,
            algorithm,
            payload,
        } => {
            facts.op = op.0;
            facts.split = key.len();
            facts.about = algorithm.len() as u64;
            *out = key.into_bytes();
            out.extend_from_slice(algorithm.as_bytes());
            out.extend_from_slice(&payload);
            SIGN
        }
        Output::Redirect { op, principal } => {
            facts.op = op.0;
            write_principal(out, &mut facts, principal);
            REDIRECT
        }
        Output::Authorize { op, principal, url } => {
            facts.op = op.0;
            write_principal(out, &mut facts, principal);
            out.extend_from_slice(url.as_bytes());
            AUTHORIZE
        }
        Output::Errand { id, result } => {
            facts.op = id.0;
            facts.last = result.is_ok();
            if let Err(error) = result {
                *out = error.to_json("").into_bytes();
            }
            ERRAND
        }
        _ => return None,
    };
    Some((kind, facts))
}

/// The principal, if there is one, and where it ends.
fn write_principal(out: &mut Vec<u8>, facts: &mut Facts, principal: Option<String>) {
    facts.last = principal.is_some();
    *out = principal.unwrap_or_default().into_bytes();
    facts.split = out.len();
}

/// `{"status":…,"token":…,"challenge":…}`, without what is not known.
fn write_refused(out: &mut Vec<u8>, refused: Refused) {
    let mut text = format!("{{\"status\":{}", refused.status);
    for (name, value) in [("token", refused.token), ("challenge", refused.challenge)] {
        let Some(value) = value else { continue };
        text.push(',');
        push_string(&mut text, name);
        text.push(':');
        push_string(&mut text, &value);
    }
    text.push('}');
    out.extend_from_slice(text.as_bytes());
}

/// `{"method":…,"url":…,"headers":[[name,value],…]}`, then the body.
fn write_request(out: &mut Vec<u8>, split: &mut usize, request: HttpRequest) {
    let mut head = String::with_capacity(512);
    head.push_str("{\"method\":");
    push_string(&mut head, request.method);
    head.push_str(",\"url\":");
    push_string(&mut head, &request.url);
    head.push_str(",\"headers\":[");
    for (index, (name, value)) in request.headers.iter().enumerate() {
        head.push_str(if index == 0 { "[" } else { ",[" });
        push_string(&mut head, name);
        head.push(',');
        push_string(&mut head, value);
        head.push(']');
    }
    head.push_str("]}");
    *split = head.len();
    *out = head.into_bytes();
    out.extend_from_slice(&request.body);
}

#[cfg(test)]
mod tests {
    use leeward::{OpId, Reply, Ticket};

    use super::*;

    #[test]
    fn a_fetch_is_its_head_as_json_and_then_its_body() {
        let request = HttpRequest {
            method: "POST",
            url: "https://a.example/mcp".into(),
            headers: vec![("a".into(), "1".into()), ("b".into(), "\"2\"".into())],
            body: b"{}".to_vec(),
        };
        let mut out = b"of the last call".to_vec();
        let (kind, facts) = take(Output::Fetch { op: OpId(7), request }, &mut out).unwrap();
        assert_eq!((kind, facts.op), (FETCH, 7));
        let (head, body) = out.split_at(facts.split);
        let expected =
            r#"{"method":"POST","url":"https://a.example/mcp","headers":[["a","1"],["b","\"2\""]]}"#;
        assert_eq!(core::str::from_utf8(head).unwrap(), expected);
        assert_eq!(body, b"{}");
    }

    #[test]
    fn a_credential_question_says_who_and_how_it_was_refused() {
        let mut out = Vec::new();
        let refused = |status, token: Option<&str>, challenge: Option<&str>| {
            Some(Refused {
                token: token.map(Into::into),
                status,
                challenge: challenge.map(Into::into),
            })
        };
        for (principal, refused, expected) in [
            (Some("ann"), None, (true, 3, "ann")),
            (None, None, (false, 0, "")),
            (None, refused(403, None, None), (false, 0, r#"{"status":403}"#)),
            (
                Some("ann"),
                refused(401, Some("t"), Some(r#"Bearer a="b""#)),
                (
                    true,
                    3,
                    r#"ann{"status":401,"token":"t","challenge":"Bearer a=\"b\""}"#,
                ),
            ),
        ] {
            let principal = principal.map(Into::into);
            let op = OpId(7);
            let question = Output::Credential {
                op,
                principal,
                refused,
            };
            let (kind, facts) = take(question, &mut out).unwrap();
            assert_eq!((kind, facts.op), (CREDENTIAL, 7));
            let text = core::str::from_utf8(&out).unwrap();
            assert_eq!((facts.last, facts.split, text), expected);
        }
    }

    #[test]
    fn a_reply_takes_the_place_of_what_was_there() {
        let mut out = b"of the last call".to_vec();
        let reply = Reply {
            ticket: Ticket(3),
            status: 200,
            part: b"{}".to_vec(),
            last: true,
            provenance: Some(Provenance::new(State::Stale)),
            serial: None,
            event: None,
            session: None,
        };
        let (kind, facts) = take(Output::Reply(reply), &mut out).unwrap();
        assert_eq!(
            (kind, facts.ticket, facts.last, facts.state()),
            (REPLY, 3, true, 2)
        );
        assert_eq!(out, b"{}");
    }
}
