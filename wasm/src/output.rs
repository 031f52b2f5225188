//! Outputs of the replica as a kind, scalars, and bytes.

use leeward::border::{HttpRequest, LocalCall};
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
const CREDENTIAL: u32 = 6;
const ENTROPY: u32 = 7;
const EVENT: u32 = 8;
const REPLY: u32 = 9;

/// The scalars of the last output, or of the last answer of `serve`.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The question, or 0.
    pub(crate) op: u64,
    /// The fetch that a read or abort is about, or how many random bytes are wanted.
    pub(crate) about: u64,
    /// Bytes of the output buffer that come before the second part of the payload.
    pub(crate) split: usize,
    pub(crate) status: u16,
    pub(crate) ticket: u64,
    /// The last message of a ticket; for a credential, whether there is a principal.
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
        Output::Credential { op, principal, .. } => {
            facts.op = op.0;
            facts.last = principal.is_some();
            *out = principal.unwrap_or_default().into_bytes();
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
        _ => return None,
    };
    Some((kind, facts))
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
