//! A scripted host for tests: virtual time, an authority given as a function, no I/O.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use leeward::border::{Credential, HttpRequest, LocalCall, Refused};
use leeward::{Failure, Input, OpId, Output};
use serde_json::{Value, json};

use crate::replica::Host;

/// A host that does what grants need.
pub(crate) const ABLE: Host = Host {
    lease: None,
    credentials: false,
    sessions: false,
    store: false,
    judges: false,
    vault: true,
    authorizes: true,
    signs: true,
};

/// A request as the authority sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) id: Value,
    pub(crate) params: Value,
    pub(crate) http: HttpRequest,
}

impl Seen {
    /// What is no JSON-RPC request has the HTTP method for a name; a response, `response`; a form, `form`.
    fn of(http: HttpRequest) -> Self {
        let form =
            |(name, value): &(String, String)| name == "content-type" && value.ends_with("form-urlencoded");
        let body: Value = match http.method {
            "POST" if http.headers.iter().any(form) => json!({"jsonrpc": "2.0", "method": "form"}),
            "POST" => serde_json::from_slice(&http.body).unwrap(),
            _ => json!({"jsonrpc": "2.0", "method": http.method}),
        };
        assert_eq!(body["jsonrpc"], "2.0");
        let method = body["method"].as_str().unwrap_or("response");
        Self {
            method: method.into(),
            id: body["id"].clone(),
            params: body["params"].clone(),
            http,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.http.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| &**value)
    }

    pub(crate) fn meta(&self, name: &str) -> &Value {
        &self.params["_meta"][alloc::format!("io.modelcontextprotocol/{name}")]
    }

    /// A response with our id.
    pub(crate) fn result(&self, result: Value) -> Say {
        Say::json(200, json!({"jsonrpc": "2.0", "id": self.id, "result": result}))
    }

    pub(crate) fn error(&self, status: u16, error: Value) -> Say {
        Say::json(status, json!({"jsonrpc": "2.0", "id": self.id, "error": error}))
    }

    pub(crate) fn refusal(&self, status: u16, code: i64) -> Say {
        self.error(status, json!({"code": code, "message": "refused"}))
    }
}

/// What the authority, or the network, does with a request.
#[derive(Clone, Debug)]
pub(crate) struct Say {
    head: Head,
    chunks: VecDeque<Vec<u8>>,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Broken,
    Hangs,
}

impl Say {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::body(
            status,
            "application/json; charset=utf-8",
            body.to_string(),
            End::Whole,
        )
    }

    pub(crate) fn events(events: &[Value], end: End) -> Self {
        Self::events_from("id: 1\ndata:\n\n: hello\n\n", events, end)
    }

    /// The same after this text.
    pub(crate) fn events_from(text: &str, events: &[Value], end: End) -> Self {
        let mut text = String::from(text);
        for event in events {
            text.push_str(&alloc::format!("event: message\ndata: {event}\n\n"));
        }
        Self::body(200, "text/event-stream", text, end)
    }

    /// Comes in chunks of seven bytes.
    pub(crate) fn body(status: u16, content_type: &str, text: impl AsRef<[u8]>, end: End) -> Self {
        let headers = Vec::from([("content-type".into(), content_type.into())]);
        let chunks = text.as_ref().chunks(7).map(<[u8]>::to_vec).collect();
        Self {
            head: Head::Given(status, headers),
            chunks,
            end,
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            head: Head::Given(status, Vec::new()),
            chunks: VecDeque::new(),
            end: End::Whole,
        }
    }

    pub(crate) fn lost(before_send: bool) -> Self {
        Self {
            head: Head::Lost { before_send },
            chunks: VecDeque::new(),
            end: End::Whole,
        }
    }

    pub(crate) fn never() -> Self {
        Self {
            head: Head::Never,
            chunks: VecDeque::new(),
            end: End::Whole,
        }
    }

    /// All in one chunk.
    pub(crate) fn whole(mut self) -> Self {
        self.chunks = VecDeque::from([self.chunks.iter().flatten().copied().collect()]);
        self
    }

    pub(crate) fn without_headers(mut self) -> Self {
        if let Head::Given(_, headers) = &mut self.head {
            headers.clear();
        }
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if let Head::Given(_, headers) = &mut self.head {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

/// What comes first.
#[derive(Clone, Debug)]
enum Head {
    Given(u16, Vec<(String, String)>),
    Lost { before_send: bool },
    Never,
}

type Authority = Box<dyn FnMut(&Seen) -> Say + Send>;

/// See the module.
pub(crate) struct ScriptedHost {
    authority: Authority,
    pub(crate) seen: Vec<Seen>,
    open: BTreeMap<OpId, Say>,
    /// The last read that got no answer.
    reading: Option<OpId>,
    /// Local calls that got no answer.
    calls: BTreeSet<OpId>,
    asked: BTreeSet<OpId>,
    pub(crate) aborted: Vec<OpId>,
    pub(crate) credential: Result<Option<Credential>, String>,
    /// What the hook has after a refusal, and the refusals that it heard of.
    pub(crate) renewed: Option<Credential>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) local: Option<Result<Vec<u8>, String>>,
    pub(crate) entropy: usize,
    drawn: u8,
}

impl ScriptedHost {
    pub(crate) fn new(authority: impl FnMut(&Seen) -> Say + Send + 'static) -> Self {
        Self {
            authority: Box::new(authority),
            seen: Vec::new(),
            open: BTreeMap::new(),
            reading: None,
            calls: BTreeSet::new(),
            asked: BTreeSet::new(),
            aborted: Vec::new(),
            credential: Ok(None),
            renewed: None,
            refused: Vec::new(),
            local: None,
            entropy: 32,
            drawn: 6,
        }
    }

    pub(crate) fn methods(&self) -> Vec<&str> {
        self.seen.iter().map(|seen| &*seen.method).collect()
    }

    /// Fetches neither finished nor aborted.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// From now on the authority is this one.
    pub(crate) fn speak(&mut self, authority: impl FnMut(&Seen) -> Say + Send + 'static) {
        self.authority = Box::new(authority);
    }

    /// The authority answers a request after all that it let hang.
    pub(crate) fn answer_late(&mut self, say: impl FnOnce(&Seen) -> Say) -> Input {
        let (op, open) = self.open.iter_mut().next_back().expect("a fetch is open");
        *open = say(self.seen.last().expect("a request was seen"));
        match open.head.clone() {
            Head::Given(status, headers) => Input::Head {
                op: *op,
                status,
                headers,
            },
            _ => panic!("an answer has a head"),
        }
    }

    /// An event on the stream that hangs.
    pub(crate) fn event_late(&mut self, event: &Value) -> Input {
        let op = self.reading.take().expect("a read waits");
        let bytes = alloc::format!("data: {event}\n\n").into_bytes();
        Input::Chunk { op, bytes }
    }

    /// Does what an output says; `None` if no answer comes (yet, or ever).
    pub(crate) fn act(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Fetch { op, request } => {
                assert!(self.asked.insert(op), "an op is used once");
                let seen = Seen::of(request);
                let say = (self.authority)(&seen);
                self.seen.push(seen);
                let input = match say.head.clone() {
                    Head::Given(status, headers) => Some(Input::Head { op, status, headers }),
                    Head::Lost { before_send } => {
                        let failure = Failure {
                            before_send,
                            message: "lost".into(),
                        };
                        return Some(Input::Failed { op, failure });
                    }
                    Head::Never => None,
                };
                self.open.insert(op, say);
                input
            }
            Output::Read { op, fetch } => {
                assert!(self.asked.insert(op), "an op is used once");
                let say = self.open.get_mut(&fetch).expect("reads an open fetch");
                if let Some(bytes) = say.chunks.pop_front() {
                    return Some(Input::Chunk { op, bytes });
                }
                match say.end {
                    End::Hangs => {
                        self.reading = Some(op);
                        None
                    }
                    End::Whole => {
                        self.open.remove(&fetch);
                        Some(Input::End { op })
                    }
                    End::Broken => {
                        self.open.remove(&fetch);
                        let failure = Failure {
                            before_send: false,
                            message: "broken".into(),
                        };
                        Some(Input::Failed { op, failure })
                    }
                }
            }
            Output::Abort { fetch } => {
                let open = self.open.remove(&fetch).is_some() || self.calls.remove(&fetch);
                assert!(open, "aborts an open fetch or call");
                self.aborted.push(fetch);
                None
            }
            Output::CallLocal { op, call } => {
                assert!(matches!(
                    call,
                    LocalCall::Tool { .. } | LocalCall::Resource { .. }
                ));
                if self.local.is_none() {
                    self.calls.insert(op);
                }
                self.local.clone().map(|result| Input::Local { op, result })
            }
            Output::Credential { op, refused, .. } => {
                let result = match &refused {
                    Some(_) => Ok(self.renewed.clone()),
                    None => self.credential.clone(),
                };
                self.refused.extend(refused);
                Some(Input::Credential { op, result })
            }
            Output::Entropy { op, bytes } => {
                self.drawn = self.drawn.wrapping_add(1);
                Some(Input::Entropy {
                    op,
                    bytes: alloc::vec![self.drawn; bytes.min(self.entropy)],
                })
            }
            _ => None,
        }
    }
}
