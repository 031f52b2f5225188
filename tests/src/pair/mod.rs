//! The two-party harness: a replica and the scripted authority, joined by a host whose clock is the test's.
//!
//! Everything is a function of the case: time moves only by [`Target::advance`], randomness is counted up,
//! and what happens, happens in one order. The host comes in three kinds: one that lives in the agent's
//! process, with one context for all; one that, as CDN workers do, answers HTTP requests and binds I/O to
//! them, with a context, a lease and a loop for each; and one that answers HTTP requests from one context, and keeps
//! sessions. `world` does the host's I/O; `target` is what a case asks.

mod target;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use leeward::{Config, Ctx, Input, Millis, Now, Request, Served, Ticket};
use leeward_sync::Replica;

use crate::authority::Handle;
use crate::target::{Connection, Exchange, Host, Need, Pending, Setup, Target};
use crate::wire::Message;
use world::World;

/// How long a context of the request-bound host may be silent.
pub const LEASE: Millis = Millis(5000);
/// Where the clocks start: not at zero, and not together.
const START: Now = Now {
    mono: Millis(1_000_000),
    unix: Millis(1_790_000_000_000),
};
/// The URL of the authority; nobody resolves it.
const URL: &str = "http://authority.test/mcp";

/// Makes pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One context, no headers, a version per connection.
    InProcess,
    /// A context and HTTP headers per request.
    RequestBound,
    /// One context and HTTP headers, and sessions that are kept and stored.
    Sessions,
}

impl Host for Kind {
    fn has(&self, need: Need) -> bool {
        match need {
            Need::Http => *self != Self::InProcess,
            Need::Sessions => *self == Self::Sessions,
            Need::Sessionless => *self != Self::Sessions,
            Need::InProcess => *self == Self::InProcess,
            _ => true,
        }
    }

    fn open(&mut self, setup: Setup) -> Result<Box<dyn Target + '_>, String> {
        Ok(Box::new(Pair::open(*self, setup)?))
    }
}

/// Pairs whose messages somebody reads along.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What pairs.
    pub kind: Kind,
    /// Every message that crossed the border outward, of all pairs, in order.
    pub transcript: Transcript,
}

impl Host for Watched {
    fn has(&self, need: Need) -> bool {
        self.kind.has(need)
    }

    fn open(&mut self, setup: Setup) -> Result<Box<dyn Target + '_>, String> {
        let mut pair = Pair::open(self.kind, setup)?;
        pair.world.transcript = self.transcript.clone();
        Ok(Box::new(pair))
    }
}

/// Messages of a replica, shared by who writes and who reads them.
pub type Transcript = Rc<RefCell<Vec<Crossing>>>;

/// One message of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// To the authority; else to an agent.
    pub upstream: bool,
    /// The method that it is, or answers.
    pub method: String,
    /// The revision of the protocol that it is in.
    pub revision: String,
    /// The message.
    pub bytes: Vec<u8>,
}

struct Line {
    who: leeward::Caller,
    revision: &'static str,
    negotiated: Option<String>,
    session: Option<String>,
}

#[derive(Debug, Default)]
struct Waiting {
    ctx: Ctx,
    line: usize,
    method: String,
    revision: String,
    exchange: Exchange,
    ticket: Option<Ticket>,
    event: Option<String>,
    done: bool,
}

/// A replica, its authority, and the host between them.
pub struct Pair {
    kind: Kind,
    host: leeward_sync::Host,
    config: Config,
    replica: Replica,
    world: World,
    now: Now,
    lines: Vec<Line>,
    waiting: Vec<Waiting>,
    tickets: BTreeMap<Ticket, usize>,
    contexts: Vec<Ctx>,
    last_ctx: u64,
}

impl Pair {
    /// A fresh replica that has had its entropy.
    ///
    /// # Errors
    /// The JSON of the replica's error, if the configuration is wrong.
    pub fn open(kind: Kind, setup: Setup) -> Result<Self, String> {
        let config = Config::parse(&setup.config_text(URL)).map_err(|error| error.to_json("none"))?;
        let lease = (kind == Kind::RequestBound).then_some(LEASE);
        let host = leeward_sync::Host {
            lease,
            credentials: setup.credentials,
            sessions: kind == Kind::Sessions,
            store: kind == Kind::Sessions,
            judges: false,
            vault: false,
            authorizes: false,
            signs: false,
        };
        let world = World::new(Handle::new(setup.authority.unwrap_or_default()));
        let mut pair = Self {
            kind,
            host,
            replica: Replica::new(config.clone(), host),
            config,
            world,
            now: START,
            lines: Vec::new(),
            waiting: Vec::new(),
            tickets: BTreeMap::new(),
            contexts: vec![Ctx::SHARED],
            last_ctx: 0,
        };
        pair.run();
        Ok(pair)
    }

    /// The replica, for what no host-independent case can ask.
    pub const fn replica(&mut self) -> &mut Replica {
        &mut self.replica
    }

    /// How many fetches the replica told the host to stop.
    pub const fn aborted(&self) -> usize {
        self.world.aborted
    }

    /// How many fetches are open.
    pub fn open_fetches(&self) -> usize {
        self.world.open_fetches()
    }

    /// Every message that crossed the border outward, in order.
    pub fn transcript(&self) -> Vec<Crossing> {
        self.world.transcript.borrow().clone()
    }

    /// Steps the monotonic clock back, and lets the replica see it.
    pub fn step_back(&mut self, ms: u64) {
        self.now.mono = self.now.mono.since(Millis(ms));
        for ctx in self.contexts.clone() {
            self.replica.handle(self.now, ctx, Input::Tick);
        }
        self.run();
    }

    /// The request's context vanishes, as when a worker's client disconnects.
    pub fn vanish(&mut self, pending: Pending) {
        let ctx = self.waiting[pending.0].ctx;
        self.world.drop_ctx(ctx);
        self.contexts.retain(|other| *other != ctx);
        self.replica.handle(self.now, ctx, Input::Gone);
        self.run();
    }

    /// The request's context falls silent: its loop never runs again, and nobody is told.
    pub fn freeze(&mut self, pending: Pending) {
        let ctx = self.waiting[pending.0].ctx;
        self.world.drop_ctx(ctx);
        self.contexts.retain(|other| *other != ctx);
    }

    /// Sends many messages, and does what they need only after the last.
    pub fn begin(&mut self, messages: impl IntoIterator<Item = (Connection, Message)>) -> Vec<Pending> {
        let pending = messages
            .into_iter()
            .map(|(from, message)| self.serve(from, &message))
            .collect();
        self.run();
        pending
    }

    /// Looks for what is fresh here, and starts nothing.
    pub fn peek(&mut self, from: Connection, message: &Message) -> Option<Vec<u8>> {
        let line = &self.lines[from.0];
        let bytes = message.bytes(line.revision);
        let mut out = Vec::new();
        let request = Request {
            caller: &line.who,
            ctx: Ctx::SHARED,
            connection: 0,
            headers: None,
            negotiated: None,
            message: &bytes,
            verb: leeward::Verb::Post,
            peek: true,
        };
        match self.replica.serve(self.now, request, &mut out) {
            Served::Reply { .. } => Some(out),
            Served::Absent => None,
            other => panic!("a peek gave {other:?}"),
        }
    }

    fn serve(&mut self, from: Connection, message: &Message) -> Pending {
        let line = &self.lines[from.0];
        let bytes = message.bytes(line.revision);
        let mut headers = message.http_headers(line.revision);
        headers.extend(line.session.clone().map(|id| ("mcp-session-id".into(), id)));
        self.send(from, leeward::Verb::Post, &headers, &bytes)
    }

    fn send(
        &mut self,
        from: Connection,
        verb: leeward::Verb,
        headers: &[(String, String)],
        bytes: &[u8],
    ) -> Pending {
        let line = &self.lines[from.0];
        let http = self.kind != Kind::InProcess;
        let bound = self.kind == Kind::RequestBound;
        let ctx = if bound {
            Ctx(self.last_ctx + 1)
        } else {
            Ctx::SHARED
        };
        let request = Request {
            caller: &line.who,
            ctx,
            connection: if http { 0 } else { from.0 as u64 + 1 },
            headers: http.then_some(headers),
            negotiated: line.negotiated.as_deref().filter(|_| !http),
            message: bytes,
            verb,
            peek: false,
        };
        let mut out = Vec::new();
        let served = self.replica.serve(self.now, request, &mut out);
        if bound {
            self.last_ctx += 1;
            self.contexts.push(ctx);
        }
        let said: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let mut waiting = Waiting {
            ctx,
            line: from.0,
            method: said["method"].as_str().unwrap_or_default().into(),
            revision: self.lines[from.0].revision.into(),
            ..Waiting::default()
        };
        let pending = Pending(self.waiting.len());
        match served {
            Served::Reply {
                status,
                provenance,
                session,
                ..
            } => {
                self.world.record(&waiting.method, &waiting.revision, &out);
                waiting.exchange.status = Some(status);
                waiting.exchange.messages.extend((!out.is_empty()).then_some(out));
                if session.is_some() {
                    self.lines[from.0].session = session;
                }
                waiting.exchange.cache_status = provenance.map(|provenance| provenance.to_string());
                waiting.done = true;
            }
            Served::Wait(ticket) => {
                self.tickets.insert(ticket, pending.0);
                waiting.ticket = Some(ticket);
            }
            Served::Accepted => {
                waiting.exchange.status = Some(202);
                waiting.done = true;
            }
            Served::Absent | Served::Check { .. } => panic!("nobody peeked, and nobody judges here"),
        }
        self.waiting.push(waiting);
        self.learn_version(pending.0);
        pending
    }

    /// What an in-process transport remembers of `initialize`.
    fn learn_version(&mut self, at: usize) {
        let waiting = &self.waiting[at];
        if waiting.method != "initialize" || !waiting.done {
            return;
        }
        let answer = waiting.exchange.messages.last().cloned().unwrap_or_default();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        let version = answer["result"]["protocolVersion"].as_str().map(str::to_owned);
        self.lines[waiting.line].negotiated = version;
    }

    /// Does everything that can be done without time passing.
    fn run(&mut self) {
        loop {
            let mut progress = false;
            for ctx in self.contexts.clone() {
                while let Some(output) = self.replica.poll_output(ctx) {
                    progress = true;
                    if let Some(reply) = self.world.act(ctx, output) {
                        self.take_reply(reply);
                    }
                }
            }
            while let Some(ctx) = self.replica.poll_woken() {
                // A real host wakes that loop; here all of them are polled in turn.
                progress |= self.contexts.contains(&ctx);
            }
            if let Some((ctx, input)) = self.world.next_input() {
                progress = true;
                self.replica.handle(self.now, ctx, input);
            }
            if !progress {
                break;
            }
        }
        self.close_idle();
    }

    /// A request-bound host ends a request's loop once it is answered and nothing is left to do for it.
    fn close_idle(&mut self) {
        for at in 0..self.waiting.len() {
            let ctx = self.waiting[at].ctx;
            let idle = ctx != Ctx::SHARED
                && self.waiting[at].done
                && self.contexts.contains(&ctx)
                && !self.world.is_busy(ctx)
                && self.replica.poll_timeout(ctx).is_none();
            if idle {
                self.contexts.retain(|other| *other != ctx);
                self.replica.handle(self.now, ctx, Input::Gone);
            }
        }
    }

    fn take_reply(&mut self, reply: leeward::Reply) {
        let at = *self
            .tickets
            .get(&reply.ticket)
            .expect("a reply is for a ticket that was given");
        let waiting = &mut self.waiting[at];
        assert!(!waiting.done, "a reply after the last one");
        waiting.exchange.status.get_or_insert(reply.status);
        if reply.session.is_some() {
            self.lines[waiting.line].session = reply.session;
        }
        waiting.event = reply.event.or_else(|| waiting.event.take());
        if !reply.part.is_empty() {
            self.world.record(&waiting.method, &waiting.revision, &reply.part);
            waiting.exchange.messages.push(reply.part);
        }
        if reply.last {
            waiting.done = true;
            waiting.exchange.cache_status = reply.provenance.map(|provenance| provenance.to_string());
        } else {
            assert!(reply.provenance.is_none(), "a provenance before the end");
        }
        self.learn_version(at);
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("kind", &self.kind)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
