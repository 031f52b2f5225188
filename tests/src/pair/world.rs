//! The world as the pair's host brings it: the authority's answers chunk by chunk, local tools, credentials
//! and randomness. One input at a time, in the order in which things were asked.

use std::collections::{BTreeMap, VecDeque};

use leeward::border::{Credential, HttpRequest, LocalCall};
use leeward::{Ctx, Failure, Input, OpId, Output, Reply};

use super::{Crossing, Transcript};
use crate::authority::{End, Feed, Handle, Plan, Seen};
use crate::target::{Given, Local};
use crate::wire::LEGACY;

struct Fetch {
    ctx: Ctx,
    chunks: VecDeque<Vec<u8>>,
    end: End,
    /// A read of a stream that the test has not fed yet.
    reading: Option<OpId>,
}

/// An answer that the authority holds back.
struct Held {
    ctx: Ctx,
    op: OpId,
    plan: Plan,
    tool: Option<String>,
}

pub(super) struct World {
    pub(super) authority: Handle,
    pub(super) locals: BTreeMap<String, (Local, usize)>,
    pub(super) credentials: BTreeMap<String, Result<Option<Given>, &'static str>>,
    pub(super) events: Vec<String>,
    pub(super) saved: BTreeMap<String, Vec<u8>>,
    pub(super) transcript: Transcript,
    pub(super) aborted: usize,
    fetches: BTreeMap<OpId, Fetch>,
    inputs: VecDeque<(Ctx, Input)>,
    held: Vec<Held>,
    drawn: u8,
}

impl World {
    pub(super) fn new(authority: Handle) -> Self {
        Self {
            authority,
            locals: BTreeMap::new(),
            credentials: BTreeMap::new(),
            events: Vec::new(),
            saved: BTreeMap::new(),
            transcript: Transcript::default(),
            aborted: 0,
            fetches: BTreeMap::new(),
            inputs: VecDeque::new(),
            held: Vec::new(),
            drawn: 0,
        }
    }

    pub(super) fn open_fetches(&self) -> usize {
        self.fetches.len()
    }

    /// Whether something is under way for a context.
    pub(super) fn is_busy(&self, ctx: Ctx) -> bool {
        self.fetches.values().any(|fetch| fetch.ctx == ctx)
            || self.inputs.iter().any(|(other, _)| *other == ctx)
            || self.held.iter().any(|held| held.ctx == ctx)
    }

    /// A context's I/O ends with it.
    pub(super) fn drop_ctx(&mut self, ctx: Ctx) {
        for (_, fetch) in self
            .fetches
            .extract_if(.., |_, fetch| fetch.ctx == ctx)
            .collect::<Vec<_>>()
        {
            self.close(&fetch);
        }
        self.inputs.retain(|(other, _)| *other != ctx);
        self.held.retain(|held| held.ctx != ctx);
    }

    /// The next thing that happened.
    pub(super) fn next_input(&mut self) -> Option<(Ctx, Input)> {
        let authority = self.authority.clone();
        for Held { ctx, op, plan, .. } in self
            .held
            .extract_if(.., |held| !authority.holds(held.tool.as_deref()))
            .collect::<Vec<_>>()
        {
            self.respond(ctx, op, plan);
        }
        if self.inputs.is_empty() {
            self.follow();
        }
        self.inputs.pop_front()
    }

    /// Notes a message to an agent: an answer to `method`, or what came before it.
    pub(super) fn record(&self, method: &str, revision: &str, bytes: &[u8]) {
        let (method, revision, bytes) = (method.into(), revision.into(), bytes.to_vec());
        self.transcript.borrow_mut().push(Crossing {
            upstream: false,
            method,
            revision,
            bytes,
        });
    }

    /// Does what the replica asks. A reply is the caller's.
    pub(super) fn act(&mut self, ctx: Ctx, output: Output) -> Option<Reply> {
        match output {
            Output::Fetch { op, request } => self.fetch(ctx, op, request),
            Output::Read { op, fetch } => self.read(ctx, op, fetch),
            Output::Abort { fetch } => {
                self.aborted += 1;
                if let Some(fetch) = self.fetches.remove(&fetch) {
                    self.close(&fetch);
                }
                self.held.retain(|held| held.op != fetch);
            }
            Output::CallLocal { op, call } => {
                let result = self.call(call);
                self.inputs.push_back((ctx, Input::Local { op, result }));
            }
            Output::Credential { op, principal, .. } => {
                let given = principal.and_then(|principal| self.credentials.get(&principal).cloned());
                let credential = |given: Given| Credential {
                    token: given.token.into(),
                    identity: given.identity.map(str::to_owned),
                    expires_in: None,
                };
                let result = match given.unwrap_or(Ok(None)) {
                    Ok(given) => Ok(given.map(credential)),
                    Err(message) => Err(message.to_owned()),
                };
                self.inputs.push_back((ctx, Input::Credential { op, result }));
            }
            Output::Entropy { op, bytes } => {
                let bytes = (0..bytes).map(|_| {
                    self.drawn = self.drawn.wrapping_mul(31).wrapping_add(17);
                    self.drawn
                });
                let bytes = bytes.collect();
                self.inputs.push_back((ctx, Input::Entropy { op, bytes }));
            }
            Output::Event(event) => self.events.push(format!("{event:?}")),
            Output::Save { key, record } => {
                match record {
                    Some(record) => self.saved.insert(key, record),
                    None => self.saved.remove(&key),
                };
            }
            Output::Reply(reply) => return Some(reply),
            other => panic!("an output this host does not know: {other:?}"),
        }
        None
    }

    fn fetch(&mut self, ctx: Ctx, op: OpId, request: HttpRequest) {
        if self.authority.is_down() {
            let failure = Failure {
                before_send: true,
                message: "connection refused".into(),
            };
            self.inputs.push_back((ctx, Input::Failed { op, failure }));
            return;
        }
        for (name, value) in &request.headers {
            assert_eq!(*name, name.to_ascii_lowercase(), "header names are lower case");
            assert!(
                value.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                "header {name} is {value:?}"
            );
            assert_eq!(value.trim(), value, "header {name}");
        }
        let seen = Seen::new(request.method, request.headers, request.body);
        if seen.http == "POST" {
            let version = seen.params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
            self.transcript.borrow_mut().push(Crossing {
                upstream: true,
                method: seen.rpc.clone(),
                revision: version.unwrap_or(LEGACY).into(),
                bytes: seen.body.clone(),
            });
        }
        let tool = seen.name.clone();
        let plan = self.authority.receive(seen);
        self.fetches.insert(
            op,
            Fetch {
                ctx,
                chunks: VecDeque::new(),
                end: End::Never,
                reading: None,
            },
        );
        if self.authority.holds(tool.as_deref()) {
            self.held.push(Held { ctx, op, plan, tool });
        } else {
            self.respond(ctx, op, plan);
        }
    }

    fn respond(&mut self, ctx: Ctx, op: OpId, plan: Plan) {
        match plan {
            Plan::Silence => {}
            Plan::Close => {
                self.fetches.remove(&op);
                self.inputs.push_back((
                    ctx,
                    Input::Failed {
                        op,
                        failure: broken(),
                    },
                ));
            }
            Plan::Respond {
                status,
                headers,
                chunks,
                end,
            } => {
                let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
                let reading = None;
                self.fetches.insert(
                    op,
                    Fetch {
                        ctx,
                        chunks,
                        end,
                        reading,
                    },
                );
                self.inputs.push_back((ctx, Input::Head { op, status, headers }));
            }
        }
    }

    fn read(&mut self, ctx: Ctx, op: OpId, fetch: OpId) {
        let Some(open) = self.fetches.get_mut(&fetch) else {
            panic!("a read of a fetch that is not open");
        };
        assert_eq!(open.ctx, ctx, "I/O belongs to the context that began it");
        let input = match (open.chunks.pop_front(), open.end) {
            (Some(bytes), _) => Input::Chunk { op, bytes },
            (None, End::Never) => return,
            (None, End::Fed(_)) => {
                open.reading = Some(op);
                return;
            }
            (None, End::Whole) => Input::End { op },
            (None, End::Cut) => Input::Failed {
                op,
                failure: broken(),
            },
        };
        if !matches!(input, Input::Chunk { .. }) {
            self.fetches.remove(&fetch);
        }
        self.inputs.push_back((ctx, input));
    }

    /// Answers the reads of subscriptions' streams that something was fed to.
    fn follow(&mut self) {
        let mut ended = Vec::new();
        for (fetch, open) in &mut self.fetches {
            let (End::Fed(stream), Some(op)) = (open.end, open.reading) else {
                continue;
            };
            let Some(feed) = self.authority.feed(stream) else {
                continue;
            };
            open.reading = None;
            let input = match feed {
                Feed::Chunk(bytes) => Input::Chunk { op, bytes },
                Feed::End(End::Whole) => Input::End { op },
                Feed::End(_) => Input::Failed {
                    op,
                    failure: broken(),
                },
            };
            if !matches!(input, Input::Chunk { .. }) {
                ended.push(*fetch);
            }
            self.inputs.push_back((open.ctx, input));
        }
        self.fetches.retain(|fetch, _| !ended.contains(fetch));
    }

    fn close(&mut self, fetch: &Fetch) {
        if let End::Fed(stream) = fetch.end {
            self.authority.close(stream);
        }
    }

    fn call(&mut self, call: LocalCall) -> Result<Vec<u8>, String> {
        let (name, resource) = match call {
            LocalCall::Tool { name, .. } => (name, false),
            LocalCall::Resource { uri } => (uri, true),
        };
        let (answer, count) = self
            .locals
            .get_mut(&name)
            .expect("only registered items are called");
        *count += 1;
        match answer {
            Local::Text(text) => {
                let text = text.replace('#', &count.to_string());
                Ok(if resource {
                    format!(r#"{{"contents":[{{"uri":"{name}","text":"{text}"}}]}}"#)
                } else {
                    format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#)
                }
                .into_bytes())
            }
            Local::Raw(raw) => Ok(raw.as_bytes().to_vec()),
            Local::Fails(message) => Err((*message).into()),
        }
    }
}

fn broken() -> Failure {
    Failure {
        before_send: false,
        message: "connection reset".into(),
    }
}
