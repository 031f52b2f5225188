//! The host of `border`, and what it holds the replica to.

use std::collections::{BTreeMap, BTreeSet};

use leeward::border::HttpRequest;
use leeward::provenance::State;
use leeward::{Caller, Config, Ctx, Input, Millis, Now, OpId, Output, Reply, Request, Served, Ticket, Verb};
use leeward_sync::{Host, Replica};
use leeward_tests::wire::{LEGACY, MODERN, Message};

use super::oauth::{Issuer, check_told};
use crate::host::check_request;

pub(super) const PEOPLE: [&str; 2] = ["ann", "ben"];
const LEASE: Millis = Millis(5_000);
const MAX_AGE: Millis = Millis(30_000);
const MAX_FLIGHTS: u64 = 8;
const MAX_WAITERS: u64 = 12;
const MAX_CACHE_BYTES: u64 = 4096;
/// Most contexts at once of a host that binds I/O to requests.
const MAX_LIVE: usize = 8;
pub(super) const LISTEN: &str = "subscriptions/listen";
const AUTHORITY: &str = r#""http://authority.test/mcp""#;
/// What comes after the authority.
const CONFIG: &str = r#","policy":[{"tool":"get_*","rule":"cache;max-age=30;stale-while-revalidate=20;stale-if-error=100"},{"tool":"local_live","rule":"live"}],"limits":{"maxFlights":8,"maxWaiters":12,"maxCacheBytes":4096,"maxPartitions":2}}"#;

/// What the host was asked and has not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Fetch,
    Read(OpId),
    Local,
    Credential(Option<String>),
    Entropy(usize),
    Load(String),
    Sign,
    Redirect,
    Authorize(Option<String>, String),
}

/// A fetch that is not at its end.
pub(super) struct Fetch {
    pub(super) ctx: Ctx,
    /// Fetches are numbered as they are handed out.
    pub(super) number: u64,
    pub(super) request: HttpRequest,
    /// What is still to be read.
    pub(super) rest: Vec<Vec<u8>>,
}

/// Somebody who asked.
struct Asked {
    ctx: Ctx,
    who: usize,
    /// The key of a read.
    key: Option<u64>,
    /// The nonce of a write.
    nonce: Option<u64>,
    /// Answers from fetches up to this number are from before the own write.
    floor: u64,
    /// It is a subscription, which ends only if somebody ends it.
    listens: bool,
    /// Nobody waits for it any more.
    gone: bool,
}

/// When an answer came in whole.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) at: Millis,
    pub(super) steps_back: u64,
}

pub(super) struct Model {
    pub(super) replica: Replica,
    /// Everything that the replica said.
    pub(super) said: Vec<String>,
    pub(super) now: Now,
    bound: bool,
    /// Connections may be sessions.
    sessions: bool,
    pub(super) live: Vec<Ctx>,
    /// Of a replica that obtains its grants itself.
    pub(super) issuer: Option<Issuer>,
    last_ctx: u64,
    pub(super) questions: BTreeMap<OpId, (Ctx, Question)>,
    used: BTreeSet<OpId>,
    pub(super) fetches: BTreeMap<OpId, Fetch>,
    pub(super) fetched: u64,
    asked: BTreeMap<Ticket, Asked>,
    nonce: u64,
    /// By nonce: whether the last time that a write was sent, it was refused before any effect.
    pub(super) writes: BTreeMap<u64, bool>,
    /// By nonce: the number of the last fetch when its answer came.
    pub(super) answered: BTreeMap<u64, u64>,
    floors: [u64; 2],
    pub(super) arrivals: BTreeMap<u64, Arrival>,
    pub(super) steps_back: u64,
}

impl Model {
    /// `oauth`: it obtains its grants itself, and whether tokens are bound to a key.
    pub(super) fn open(bound: bool, credentials: bool, sessions: bool, oauth: Option<bool>) -> Self {
        let authority = oauth.map_or(AUTHORITY.into(), Issuer::config);
        let config = [r#"{"authority":"#, &authority, CONFIG].concat();
        let config = Config::parse(&config).expect("a sound configuration");
        let host = Host {
            lease: bound.then_some(LEASE),
            credentials,
            sessions,
            store: false,
            judges: false,
            vault: oauth.is_some(),
            authorizes: oauth.is_some(),
            signs: oauth.is_some(),
        };
        Self {
            replica: Replica::new(config, host),
            said: Vec::new(),
            now: Now {
                mono: Millis(1_000_000),
                unix: Millis(1_790_000_000_000),
            },
            bound,
            sessions,
            live: vec![Ctx::SHARED],
            issuer: oauth.map(Issuer::new),
            last_ctx: 0,
            questions: BTreeMap::new(),
            used: BTreeSet::new(),
            fetches: BTreeMap::new(),
            fetched: 0,
            asked: BTreeMap::new(),
            nonce: 0,
            writes: BTreeMap::new(),
            answered: BTreeMap::new(),
            floors: [0; 2],
            arrivals: BTreeMap::new(),
            steps_back: 0,
        }
    }

    fn ctx(&mut self) -> Ctx {
        if !self.bound {
            return Ctx::SHARED;
        }
        if self.live.len() > MAX_LIVE {
            return self.live[self.live.len() - 1];
        }
        self.last_ctx += 1;
        self.live.push(Ctx(self.last_ctx));
        Ctx(self.last_ctx)
    }

    pub(super) fn ask(&mut self, what: u8, who: u8, peek: bool) {
        if self.sessions && what % 14 >= 9 {
            return self.ask_in_session(what, usize::from(who) % 2, peek);
        }
        let key = u64::from(what % 3);
        let message = match what % 9 {
            0..=2 => Message::call("get_ticket", &format!(r#"{{"key":{key}}}"#)),
            3 => Message::call("local_live", "{}"),
            4 => Message::call("local_write", "{}"),
            5 => Message::bare("tools/list"),
            6 => Message::new("notifications/cancelled", r#""requestId":1"#).notification(),
            8 => Message::new(LISTEN, r#""notifications":{"toolsListChanged":true}"#),
            _ => Message::raw(format!("{{{who}")),
        };
        let key = (what % 9 < 3).then_some(key);
        self.serve(&message.progress("1"), usize::from(who) % 2, key, None, peek);
    }

    /// As an agent of the session era, whose connection is its session from `initialize` on.
    fn ask_in_session(&mut self, what: u8, who: usize, peek: bool) {
        let hello =
            r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}"#;
        let key = u64::from(what % 3);
        let (verb, message) = match what % 14 {
            9 => (Verb::Post, Message::new("initialize", hello)),
            10 => (Verb::Get, Message::raw("")),
            11 => (Verb::Delete, Message::raw("")),
            12 => (
                Verb::Post,
                Message::new("resources/subscribe", &format!(r#""uri":"a:{key}""#)),
            ),
            _ => (
                Verb::Post,
                Message::call("get_ticket", &format!(r#"{{"key":{key}}}"#)),
            ),
        };
        let key = (what % 14 == 13).then_some(key);
        let bytes = message.bytes(LEGACY);
        self.bring(verb, &bytes, who, key, None, peek && verb == Verb::Post);
    }

    pub(super) fn write(&mut self, who: u8) {
        self.nonce += 1;
        let nonce = self.nonce;
        let message = Message::call("put_ticket", &format!(r#"{{"nonce":{nonce}}}"#));
        self.serve(
            &message.id(&nonce.to_string()),
            usize::from(who) % 2,
            None,
            Some(nonce),
            false,
        );
    }

    fn serve(&mut self, message: &Message, who: usize, key: Option<u64>, nonce: Option<u64>, peek: bool) {
        self.bring(Verb::Post, &message.bytes(MODERN), who, key, nonce, peek);
    }

    fn bring(
        &mut self,
        verb: Verb,
        bytes: &[u8],
        who: usize,
        key: Option<u64>,
        nonce: Option<u64>,
        peek: bool,
    ) {
        let ctx = self.ctx();
        let caller = Caller::Principal(PEOPLE[who].into());
        let request = Request {
            verb,
            caller: &caller,
            ctx,
            connection: if self.bound { 0 } else { 1 + who as u64 },
            headers: None,
            negotiated: None,
            message: bytes,
            peek,
        };
        let mut out = Vec::new();
        let served = self.replica.serve(self.now, request, &mut out);
        self.said
            .push(format!("{served:?} {}", String::from_utf8_lossy(&out)));
        let mut asked = Asked {
            ctx,
            who,
            key,
            nonce,
            floor: self.floors[who],
            listens: verb == Verb::Get || String::from_utf8_lossy(bytes).contains(LISTEN),
            gone: false,
        };
        match served {
            Served::Reply { status: 204, .. } => {
                // Its session ended, and what waited in it; of that, none is told.
                assert!(verb == Verb::Delete && out.is_empty());
                for other in self.asked.values_mut().filter(|other| other.who == who) {
                    other.gone = true;
                }
            }
            Served::Reply { provenance, .. } => {
                let hit = provenance.is_some_and(|provenance| {
                    provenance.state == State::Hit && provenance.ttl.is_some_and(|ttl| ttl.0 >= 0)
                });
                self.judge(&mut asked, &out, hit);
            }
            Served::Wait(ticket) => {
                assert!(!peek && out.is_empty());
                assert!(
                    self.asked.insert(ticket, asked).is_none(),
                    "a ticket is used once"
                );
            }
            Served::Accepted => {
                // It may have ended a wait within this connection; of those, none is told.
                for other in self
                    .asked
                    .values_mut()
                    .filter(|other| !self.bound && other.who == who)
                {
                    other.gone |= other.nonce.is_none_or(|nonce| nonce == 1);
                }
            }
            Served::Absent => assert!(peek && out.is_empty()),
            Served::Check { .. } => unreachable!("nobody judges here"),
        }
    }

    /// Judges what somebody was told at last.
    fn judge(&mut self, asked: &mut Asked, response: &[u8], hit: bool) {
        let shown = String::from_utf8_lossy(response);
        check_told(&shown);
        let response: serde_json::Value = serde_json::from_slice(response).expect("JSON");
        assert_eq!(response["jsonrpc"], "2.0", "{shown}");
        assert!(
            response["result"].is_object() != response["error"].is_object(),
            "{shown}"
        );
        let text = response["result"]["content"][0]["text"]
            .as_str()
            .unwrap_or_default();
        let words: Vec<&str> = text.split(' ').collect();
        if let (Some(key), [whose, number, of]) = (asked.key, &words[..]) {
            let number: u64 = number.parse().expect("a number");
            assert_eq!(of.parse(), Ok(key), "another key's answer: {shown}");
            assert!(
                [PEOPLE[asked.who], "nobody"].contains(whose),
                "another's answer: {shown}"
            );
            assert!(number > asked.floor, "from before the own write: {shown}");
            if hit {
                let arrival = self.arrivals[&number];
                assert_eq!(
                    arrival.steps_back, self.steps_back,
                    "the clock went back since: {shown}"
                );
                assert!(self.now.mono.since(arrival.at) <= MAX_AGE, "too old: {shown}");
            }
        }
        if let Some(nonce) = asked.nonce {
            let floor = &mut self.floors[asked.who];
            *floor = (*floor).max(self.answered.get(&nonce).copied().unwrap_or(0));
        }
        if let Some(code) = response["error"]["data"]["code"].as_str() {
            // One that draws or signs badly is a fault of its own.
            let host = self.issuer.is_some() && shown.contains(r#""message":"the host "#);
            let local = host || asked.key.is_none() && asked.nonce.is_none();
            assert!(local || code != "internal", "{shown}");
            assert!(
                code != "unknown_outcome" || asked.key.is_none(),
                "a read: {shown}"
            );
        }
    }

    pub(super) fn poll(&mut self, which: u8, most: usize) {
        let ctx = self.live[usize::from(which) % self.live.len()];
        self.poll_ctx(ctx, most);
    }

    fn poll_ctx(&mut self, ctx: Ctx, most: usize) {
        for _ in 0..most {
            let Some(output) = self.replica.poll_output(ctx) else {
                return;
            };
            let shown = format!("{ctx:?} {output:?}");
            check_told(&shown);
            self.said.push(shown);
            match output {
                Output::Fetch { op, request } => self.fetch(ctx, op, request),
                Output::Read { op, fetch } => {
                    let open = self.fetches.get(&fetch).expect("reads an open fetch");
                    assert_eq!(open.ctx, ctx, "I/O belongs to the context that began it");
                    self.question(ctx, op, Question::Read(fetch));
                }
                Output::Abort { fetch } => {
                    // It may have come to its end since this was queued.
                    assert!(self.used.contains(&fetch), "aborts what was begun");
                    self.fetches.remove(&fetch);
                    self.questions.remove(&fetch);
                    self.questions
                        .retain(|_, (_, question)| *question != Question::Read(fetch));
                }
                Output::CallLocal { op, .. } => self.question(ctx, op, Question::Local),
                Output::Credential { op, principal, .. } => {
                    self.question(ctx, op, Question::Credential(principal))
                }
                Output::Entropy { op, bytes } => self.question(ctx, op, Question::Entropy(bytes)),
                Output::Load { op, key } => self.question(ctx, op, Question::Load(key)),
                Output::Keep { key, record } => self.keep(key, record),
                Output::Sign { op, .. } => self.question(ctx, op, Question::Sign),
                Output::Redirect { op, .. } => self.question(ctx, op, Question::Redirect),
                Output::Authorize { op, principal, url } => {
                    self.question(ctx, op, Question::Authorize(principal, url));
                }
                Output::Errand { id, result } => self.told(ctx, id, result),
                Output::Event(_) => {}
                Output::Reply(reply) => self.reply(ctx, &reply),
                other => panic!("an output that this host does not know: {other:?}"),
            }
        }
    }

    fn question(&mut self, ctx: Ctx, op: OpId, question: Question) {
        assert!(self.used.insert(op), "an operation is named once");
        self.questions.insert(op, (ctx, question));
    }

    fn fetch(&mut self, ctx: Ctx, op: OpId, request: HttpRequest) {
        check_request(&request);
        self.check_secrets(&request);
        self.said.push(format!(
            "{:?} {}",
            request.headers,
            String::from_utf8_lossy(&request.body)
        ));
        self.question(ctx, op, Question::Fetch);
        if let Some(nonce) = nonce(&request) {
            let before = self.writes.insert(nonce, false);
            assert!(before != Some(false), "write {nonce} is sent twice");
        }
        self.fetched += 1;
        let number = self.fetched;
        let rest = Vec::new();
        self.fetches.insert(
            op,
            Fetch {
                ctx,
                number,
                request,
                rest,
            },
        );
    }

    fn reply(&mut self, ctx: Ctx, reply: &Reply) {
        check_told(&String::from_utf8_lossy(&reply.part));
        let mut asked = self
            .asked
            .remove(&reply.ticket)
            .expect("a reply is for somebody who waits");
        assert_eq!(asked.ctx, ctx, "a reply for another context");
        if reply.last && reply.part.is_empty() {
            assert!(asked.listens, "no answer at all");
        } else if reply.last {
            let fresh = reply.provenance.is_some_and(|provenance| {
                let ttl = provenance.ttl.is_some_and(|ttl| ttl.0 >= 0);
                provenance.state == State::Hit && provenance.detail.is_none() && ttl
            });
            self.judge(&mut asked, &reply.part, fresh);
        } else {
            assert!(reply.provenance.is_none());
            self.asked.insert(reply.ticket, asked);
        }
    }

    pub(super) fn handle(&mut self, ctx: Ctx, input: Input) {
        self.replica.handle(self.now, ctx, input);
    }

    pub(super) fn cancel(&mut self, which: u8) {
        let count = self.asked.len().max(1);
        let Some(ticket) = self.asked.keys().nth(usize::from(which) % count).copied() else {
            return;
        };
        self.give_up(ticket);
    }

    fn give_up(&mut self, ticket: Ticket) {
        let asked = self.asked.remove(&ticket).expect("it is there");
        self.handle(asked.ctx, Input::Cancel { ticket });
    }

    /// Somebody who waits takes no more of what precedes an answer.
    pub(super) fn dropped(&mut self, which: u8) {
        let count = self.asked.len().max(1);
        if let Some((ticket, asked)) = self.asked.iter().nth(usize::from(which) % count) {
            let (ticket, ctx) = (*ticket, asked.ctx);
            self.handle(ctx, Input::Dropped { ticket });
        }
    }

    pub(super) fn advance(&mut self, ms: u64) {
        self.now.mono = self.now.mono + Millis(ms);
        self.now.unix = self.now.unix + Millis(ms);
        self.tick();
    }

    pub(super) fn step_back(&mut self, ms: Millis) {
        let before = self.now.mono;
        self.now.mono = before.since(ms);
        self.steps_back += u64::from(self.now.mono < before);
        self.tick();
    }

    /// Every loop looks at the clock.
    fn tick(&mut self) {
        for ctx in self.live.clone() {
            self.handle(ctx, Input::Tick);
        }
    }

    /// A context goes away, or falls silent, which the replica is not told.
    pub(super) fn leave(&mut self, which: u8, told: bool) {
        let ctx = self.live[usize::from(which) % self.live.len()];
        if ctx == Ctx::SHARED {
            return;
        }
        self.live.retain(|other| *other != ctx);
        self.fetches.retain(|_, fetch| fetch.ctx != ctx);
        self.questions.retain(|_, (of, _)| *of != ctx);
        self.forsake(ctx);
        if told {
            self.asked.retain(|_, asked| asked.ctx != ctx);
            self.handle(ctx, Input::Gone);
        }
        // The replica believes in a silent one until its leases have ended.
        self.asked
            .values_mut()
            .filter(|asked| asked.ctx == ctx)
            .for_each(|asked| asked.gone = true);
    }

    pub(super) fn register(&mut self, which: u8) {
        let name = ["local_live", "local_write", "get_ticket_2"][usize::from(which) % 3];
        let rule = [None, Some("through"), Some("cache;max-age=9")][usize::from(which) % 3];
        let tool = format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
        self.replica.register_tool(&tool, rule).expect("a sound tool");
    }

    /// What holds between any two calls.
    pub(super) fn check(&mut self) {
        let stats = self.replica.stats();
        assert!(
            stats.flights <= MAX_FLIGHTS && stats.waiters <= MAX_WAITERS,
            "{stats:?}"
        );
        assert!(
            stats.bytes <= MAX_CACHE_BYTES && (stats.entries == 0) == (stats.bytes == 0),
            "{stats:?}"
        );
        // A session's stream may be two for a while.
        let waiting = stats.waiters + if self.sessions { 0 } else { stats.subscriptions };
        assert!(waiting <= self.asked.len() as u64, "{stats:?}");
    }

    /// Everything is answered, subscriptions are given up, and the clock goes on: nothing may be left.
    pub(super) fn end(&mut self) {
        let listening = |(_, asked): &(&Ticket, &Asked)| asked.listens && self.live.contains(&asked.ctx);
        let open: Vec<_> = self
            .asked
            .iter()
            .filter(listening)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in open {
            self.give_up(ticket);
        }
        for round in 0..4_000 {
            for ctx in self.live.clone() {
                self.poll_ctx(ctx, usize::MAX);
            }
            while self.replica.poll_woken().is_some() {}
            if self.questions.is_empty() {
                self.advance(LEASE.0 / 2);
                let busy = self
                    .live
                    .clone()
                    .into_iter()
                    .any(|ctx| self.replica.poll_timeout(ctx).is_some());
                if !busy && round > 60 && self.questions.is_empty() {
                    break;
                }
            } else {
                self.answer(0);
            }
            self.check();
        }
        // Time that went by at last may have brought up a question again, such as that for entropy.
        for _ in 0..8 {
            for ctx in self.live.clone() {
                self.poll_ctx(ctx, usize::MAX);
            }
            self.answer(0);
        }
        let stats = self.replica.stats();
        let left = (stats.flights, stats.waiters, stats.subscriptions);
        assert_eq!(left, (0, 0, 0), "left under way");
        let lost: Vec<_> = self
            .asked
            .iter()
            .filter(|(_, asked)| !asked.gone)
            .map(|(ticket, _)| ticket)
            .collect();
        assert!(lost.is_empty(), "{lost:?} never got an answer");
        self.check_errands();
        assert!(
            self.fetches.is_empty() && self.questions.is_empty(),
            "a fetch is still open"
        );
        self.said.push(format!("{stats:?}"));
    }
}

/// The nonce of a write.
pub(super) fn nonce(request: &HttpRequest) -> Option<u64> {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body["params"]["arguments"]["nonce"].as_u64()
}
