//! A host for one replica: it does every output at once, and its authority is a function. Time stands still unless a
//! target moves it.

use std::collections::{BTreeMap, VecDeque};

use leeward::border::{Event, HttpRequest};
use leeward::{Caller, Config, Ctx, Failure, Input, Millis, Now, OpId, Output, Reply, Request, Served};
use leeward_sync::{Host, Replica};

/// What the authority says to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as it comes.
    pub chunks: Vec<Vec<u8>>,
    /// The connection breaks at the end.
    pub broken: bool,
}

impl Answer {
    /// A body in one piece.
    #[must_use]
    pub fn body(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), kind.into())],
            chunks: vec![body.into()],
            broken: false,
        }
    }

    /// A JSON body.
    #[must_use]
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::body(200, "application/json", body)
    }
}

/// How an agent asks.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who.
    pub caller: Caller,
    /// HTTP headers, if it comes over HTTP.
    pub headers: Option<Vec<(String, String)>>,
    /// The version that its connection settled.
    pub negotiated: Option<&'static str>,
    /// Only what is fresh.
    pub peek: bool,
}

/// What came of one message.
#[derive(Debug)]
pub struct Outcome {
    /// What `serve` returned.
    pub served: Served,
    /// What it wrote.
    pub out: Vec<u8>,
    /// Replies, in order.
    pub replies: Vec<Reply>,
    /// Events, in order.
    pub events: Vec<Event>,
    /// What the authority was sent.
    pub fetched: Vec<HttpRequest>,
}

/// A replica and its world.
pub struct World<'a> {
    /// For what only a target wants to ask.
    pub replica: Replica,
    /// Both clocks.
    pub now: Now,
    authority: Box<dyn FnMut(&HttpRequest) -> Answer + 'a>,
    open: BTreeMap<OpId, (VecDeque<Vec<u8>>, bool)>,
    local: Vec<u8>,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl<'a> World<'a> {
    /// A fresh replica that had its entropy. `local`: what the host's own items answer.
    pub fn new(config: Config, local: &[u8], authority: impl FnMut(&HttpRequest) -> Answer + 'a) -> Self {
        let mut world = Self {
            replica: Replica::new(config, Host::default()),
            now: Now {
                mono: Millis(1_000_000),
                unix: Millis(1_790_000_000_000),
            },
            authority: Box::new(authority),
            open: BTreeMap::new(),
            local: local.to_vec(),
        };
        let mut outcome = Outcome::of(Served::Accepted);
        world.run(&mut outcome);
        world
    }

    /// Brings one message, and does all that comes of it.
    pub fn serve(&mut self, ask: &Ask, message: &[u8]) -> Outcome {
        let request = Request {
            verb: leeward::Verb::Post,
            caller: &ask.caller,
            ctx: Ctx::SHARED,
            connection: u64::from(ask.headers.is_none()),
            headers: ask.headers.as_deref(),
            negotiated: ask.negotiated,
            message,
            peek: ask.peek,
        };
        let mut out = Vec::new();
        let served = self.replica.serve(self.now, request, &mut out);
        let mut outcome = Outcome {
            out,
            ..Outcome::of(served)
        };
        self.run(&mut outcome);
        // What the authority leaves open, the clock ends.
        for _ in 0..100 {
            let Some(at) = self.replica.poll_timeout(Ctx::SHARED) else {
                break;
            };
            self.now.mono = self.now.mono.max(at);
            self.replica.handle(self.now, Ctx::SHARED, Input::Tick);
            self.run(&mut outcome);
        }
        assert_eq!(
            self.replica.poll_timeout(Ctx::SHARED),
            None,
            "a timeout that does not go away"
        );
        assert!(
            self.open.is_empty(),
            "a fetch is neither read to its end nor stopped"
        );
        let stats = self.replica.stats();
        assert_eq!(
            (stats.flights, stats.waiters),
            (0, 0),
            "something is still under way"
        );
        outcome
    }

    fn run(&mut self, outcome: &mut Outcome) {
        while let Some(output) = self.replica.poll_output(Ctx::SHARED) {
            let input = match output {
                Output::Fetch { op, request } => {
                    check_request(&request);
                    let answer = (self.authority)(&request);
                    outcome.fetched.push(request);
                    let chunks = answer.chunks.into_iter().filter(|chunk| !chunk.is_empty());
                    self.open.insert(op, (chunks.collect(), answer.broken));
                    Input::Head {
                        op,
                        status: answer.status,
                        headers: answer.headers,
                    }
                }
                Output::Read { op, fetch } => {
                    let (chunks, broken) = self.open.get_mut(&fetch).expect("reads an open fetch");
                    match (chunks.pop_front(), *broken) {
                        (Some(bytes), _) => Input::Chunk { op, bytes },
                        (None, broken) => {
                            self.open.remove(&fetch);
                            let failure = Failure {
                                before_send: false,
                                message: "broken".into(),
                            };
                            if broken {
                                Input::Failed { op, failure }
                            } else {
                                Input::End { op }
                            }
                        }
                    }
                }
                Output::Abort { fetch } => {
                    self.open.remove(&fetch).expect("aborts an open fetch");
                    continue;
                }
                Output::CallLocal { op, .. } => Input::Local {
                    op,
                    result: Ok(self.local.clone()),
                },
                Output::Credential { .. } => panic!("asked of a host without the hook"),
                Output::Entropy { op, bytes } => Input::Entropy {
                    op,
                    bytes: vec![7; bytes],
                },
                Output::Event(event) => {
                    outcome.events.push(event);
                    continue;
                }
                Output::Reply(reply) => {
                    outcome.replies.push(reply);
                    continue;
                }
                other => panic!("an output that this host does not know: {other:?}"),
            };
            self.replica.handle(self.now, Ctx::SHARED, input);
        }
    }
}

impl Outcome {
    fn of(served: Served) -> Self {
        Self {
            served,
            out: Vec::new(),
            replies: Vec::new(),
            events: Vec::new(),
            fetched: Vec::new(),
        }
    }

    /// The bytes of the response, if there was one: at once, or as the last and only last reply.
    #[must_use]
    pub fn response(&self) -> Option<&[u8]> {
        match &self.served {
            Served::Reply { .. } => {
                assert!(self.replies.is_empty(), "a reply after the response");
                Some(&self.out)
            }
            Served::Wait(ticket) => {
                assert!(self.out.is_empty());
                let (last, others) = self.replies.split_last().expect("a ticket is answered");
                assert!(last.last && others.iter().all(|reply| !reply.last));
                assert!(self.replies.iter().all(|reply| reply.ticket == *ticket));
                Some(&last.part)
            }
            Served::Accepted | Served::Absent | Served::Check { .. } => {
                assert!(self.out.is_empty() && self.replies.is_empty());
                None
            }
        }
    }
}

/// What any host may rely on in a request to the authority.
pub fn check_request(request: &HttpRequest) {
    assert!(
        matches!(request.method, "POST" | "GET" | "DELETE"),
        "{}",
        request.method
    );
    assert_eq!(request.method != "POST", request.body.is_empty());
    let token = |byte: u8| {
        byte.is_ascii_alphanumeric() && !byte.is_ascii_uppercase() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    for (name, value) in &request.headers {
        assert!(!name.is_empty() && name.bytes().all(token), "header {name:?}");
        let fits = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(fits && value.trim() == value, "header {name}: {value:?}");
    }
}
