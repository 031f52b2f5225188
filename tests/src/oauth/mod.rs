//! A host that authorizes: a replica, an authority that wants tokens, the authorization server that issues them, and
//! a user who follows links, all in virtual time with two clocks.
//!
//! `server` is what is out there, honest unless a fault is said; its log is the witness. [`World`] does what the replica
//! asks for, and holds what must hold whatever is out there: tokens go to the authority alone, refresh tokens and codes to
//! their issuer alone, and no secret is in what agents and operators read.

mod server;

use std::collections::{BTreeMap, VecDeque};

use leeward::border::{Callback, HttpRequest, Input};
use leeward::dispatch::Caller;
use leeward::{Config, Ctx, Failure, Millis, Now, OpId, Output, Request, Served};
use leeward_sync::{Host, Replica};
use serde_json::{Value, json};

pub use server::{
    AUTHORITY, Effect, FOREIGN, ISSUER, METADATA, REDIRECT, REGISTER, RESOURCE, Server, TOKEN, form,
};

use crate::authority::{End, Plan};
use crate::wire::{MODERN, Message};

/// What every secret of the server has in it.
pub const SECRET: &str = "secret-";
/// Longest time that a call may take, which is more than any limit lets it.
const MOST: Millis = Millis(60 * 60 * 1000);

/// How the user comes back: from the link, and what an honest server would say.
pub type User = Box<dyn FnMut(&str, String) -> Result<Callback, String>>;

/// The replica and its world.
pub struct World {
    /// The replica.
    pub replica: Replica,
    /// Both clocks.
    pub now: Now,
    /// The authority and the authorization server.
    pub server: Server,
    /// The vault.
    pub vault: BTreeMap<String, Vec<u8>>,
    /// What the user does; comes back with a code, if not said otherwise.
    pub user: User,
    /// How often the user was asked.
    pub logins: usize,
    /// What the issuer publishes may name anybody: its secrets go where it says.
    pub unbound: bool,
    /// What operators read: events, and their debug form.
    pub events: Vec<String>,
    config: Config,
    open: BTreeMap<OpId, Open>,
    replies: BTreeMap<u64, Vec<u8>>,
    drawn: u64,
}

/// A response being read.
struct Open {
    chunks: VecDeque<Vec<u8>>,
    end: End,
    aborted: bool,
    read: usize,
}

/// Most bytes that anybody needs to read of an answer here, to see that it is too long.
const ENOUGH: usize = 1 << 20;

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

const HOST: Host = Host {
    lease: None,
    credentials: false,
    sessions: false,
    store: false,
    judges: false,
    vault: true,
    authorizes: true,
    signs: true,
};

impl World {
    /// With this `authority.oauth`.
    pub fn new(oauth: Value) -> Self {
        let config = json!({
            "authority": {"url": AUTHORITY, "oauth": oauth},
            "policy": [{"tool": "get_*", "rule": "cache;max-age=60;stale-if-error=600"}],
        });
        let config = Config::parse(&config.to_string()).expect("a sound configuration");
        let mut world = Self {
            replica: Replica::new(config.clone(), HOST),
            now: Now {
                mono: Millis(1_000_000),
                unix: Millis(1_790_000_000_000),
            },
            server: Server::default(),
            vault: BTreeMap::new(),
            user: Box::new(|_, query| Ok(Callback::Query(query))),
            logins: 0,
            unbound: false,
            events: Vec::new(),
            config,
            open: BTreeMap::new(),
            replies: BTreeMap::new(),
            drawn: 0,
        };
        world.run();
        world
    }

    /// The replica starts again, with nothing but its vault.
    pub fn restart(&mut self) {
        self.replica = Replica::new(self.config.clone(), HOST);
        self.open.clear();
        self.run();
    }

    /// Lets time pass on both clocks.
    pub fn advance(&mut self, ms: u64) {
        let end = self.now.mono + Millis(ms);
        while let Some(at) = self.due().filter(|at| *at <= end) {
            self.pass(at);
        }
        self.pass(end);
    }

    /// The response to a call of a tool by `ann`, however long it takes.
    ///
    /// # Panics
    /// If none comes within an hour.
    pub fn call(&mut self, tool: &str) -> Value {
        self.call_as("ann", tool)
    }

    /// The same by somebody else.
    pub fn call_as(&mut self, who: &str, tool: &str) -> Value {
        let message = Message::call(tool, "{}").bytes(MODERN);
        let caller = Caller::Principal(who.into());
        let request = Request {
            verb: leeward::Verb::Post,
            caller: &caller,
            ctx: Ctx::SHARED,
            connection: 1,
            headers: None,
            negotiated: None,
            message: &message,
            peek: false,
        };
        let mut out = Vec::new();
        let response = match self.replica.serve(self.now, request, &mut out) {
            Served::Reply { .. } => {
                self.run();
                out
            }
            Served::Wait(ticket) => {
                self.run();
                let start = self.now.mono;
                loop {
                    if let Some(reply) = self.replies.remove(&ticket.0) {
                        break reply;
                    }
                    let at = self.due().expect("somebody waits, and nothing is under way");
                    assert!(at.since(start) < MOST, "a call has an end");
                    self.pass(at);
                }
            }
            other => panic!("{other:?}"),
        };
        let text = String::from_utf8(response).expect("UTF-8");
        assert!(!text.contains(SECRET), "a secret is told: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// `data.code` of the error, and `data.reason` where there is one; `ok` of a result.
    pub fn outcome(&mut self, tool: &str) -> String {
        let response = self.call(tool);
        let data = &response["error"]["data"];
        match (data["code"].as_str(), data["reason"].as_str()) {
            (Some(code), Some(reason)) => format!("{code}: {reason}"),
            (Some(code), None) => code.into(),
            (None, _) if response["error"].is_object() => response["error"]["code"].to_string(),
            _ => "ok".into(),
        }
    }

    fn due(&mut self) -> Option<Millis> {
        self.replica.poll_timeout(Ctx::SHARED)
    }

    fn pass(&mut self, at: Millis) {
        let at = at.max(self.now.mono);
        self.now.unix = self.now.unix + at.since(self.now.mono);
        self.now.mono = at;
        self.replica.handle(self.now, Ctx::SHARED, Input::Tick);
        self.run();
    }

    /// Does what the replica asks for, until it asks for nothing more at this time.
    pub fn run(&mut self) {
        let mut steps = 0;
        while let Some(output) = self.replica.poll_output(Ctx::SHARED) {
            steps += 1;
            assert!(steps < 100_000, "it goes on for ever");
            if let Some(input) = self.act(output) {
                self.replica.handle(self.now, Ctx::SHARED, input);
            }
        }
    }

    fn act(&mut self, output: Output) -> Option<Input> {
        let shown = format!("{output:?}");
        assert!(!shown.contains(SECRET), "a secret is shown: {shown}");
        match output {
            Output::Fetch { op, request } => self.fetch(op, &request),
            Output::Read { op, fetch } => self.read(op, fetch),
            Output::Abort { fetch } => {
                if let Some(open) = self.open.get_mut(&fetch) {
                    open.aborted = true;
                }
                None
            }
            Output::Entropy { op, bytes } => {
                self.drawn += 1;
                let drawn = self.drawn.to_be_bytes().repeat(bytes.div_ceil(8));
                let bytes = drawn[..bytes].to_vec();
                Some(Input::Entropy { op, bytes })
            }
            Output::Load { op, key } => {
                check_key(&key);
                let result = Ok(self.vault.get(&key).cloned());
                Some(Input::Loaded { op, result })
            }
            Output::Keep { key, record } => {
                check_key(&key);
                match record {
                    Some(record) => self.vault.insert(key, record),
                    None => self.vault.remove(&key),
                };
                None
            }
            Output::Sign { op, .. } => Some(Input::Signed {
                op,
                result: Ok(vec![7; 64]),
            }),
            Output::Redirect { op, .. } => Some(Input::Redirect {
                op,
                result: Ok(REDIRECT.into()),
            }),
            Output::Authorize { op, url, .. } => {
                self.logins += 1;
                let sound = ["https://", "http://127.0.0.1", "http://[::1]", "http://localhost"];
                assert!(
                    sound.iter().any(|begin| url.starts_with(begin)),
                    "a user is brought to {url}"
                );
                let query = self.server.authorize(&url);
                let result = (self.user)(&url, query);
                Some(Input::Authorized { op, result })
            }
            Output::Event(event) => {
                self.events.push(shown);
                drop(event);
                None
            }
            Output::Reply(reply) => {
                if reply.last {
                    self.replies.insert(reply.ticket.0, reply.part);
                }
                None
            }
            _ => None,
        }
    }

    fn fetch(&mut self, op: OpId, request: &HttpRequest) -> Option<Input> {
        check_request(request, self.unbound);
        match self.server.receive(request) {
            Plan::Silence => None,
            Plan::Close => Some(Input::Failed {
                op,
                failure: failure("closed"),
            }),
            Plan::Respond {
                status,
                headers,
                chunks,
                end,
            } => {
                let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
                self.open.insert(
                    op,
                    Open {
                        chunks,
                        end,
                        aborted: false,
                        read: 0,
                    },
                );
                Some(Input::Head { op, status, headers })
            }
        }
    }

    fn read(&mut self, op: OpId, fetch: OpId) -> Option<Input> {
        let open = self.open.get_mut(&fetch).expect("reads an open fetch");
        assert!(!open.aborted, "reads what it gave up");
        match (open.chunks.pop_front(), open.end) {
            (Some(bytes), _) => {
                open.read += bytes.len();
                assert!(open.read < ENOUGH, "it reads on and on");
                Some(Input::Chunk { op, bytes })
            }
            (None, End::Cut) => Some(Input::Failed {
                op,
                failure: failure("cut"),
            }),
            (None, End::Whole) => Some(Input::End { op }),
            (None, _) => None,
        }
    }
}

fn failure(message: &str) -> Failure {
    Failure {
        before_send: false,
        message: message.into(),
    }
}

/// What may name a record of the vault.
///
/// # Panics
/// If this may not.
pub fn check_key(key: &str) {
    let sound = !key.is_empty() && key.len() <= 128 && key.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(sound && !key.contains("ann") && !key.contains(SECRET), "{key:?}");
}

/// Where credentials may go. `unbound`: those of the issuer's go anywhere.
///
/// # Panics
/// If one goes elsewhere.
pub fn check_request(request: &HttpRequest, unbound: bool) {
    let HttpRequest {
        url, headers, body, ..
    } = request;
    let body = String::from_utf8_lossy(body);
    let is_issuers = unbound || url.starts_with(&format!("{ISSUER}/"));
    for (name, value) in headers {
        let is_token =
            name == "authorization" && (value.starts_with("Bearer ") || value.starts_with("DPoP "));
        assert!(!is_token || url == AUTHORITY, "a token goes to {url}");
        assert!(
            is_token || is_issuers || !value.contains(SECRET),
            "a secret goes to {url}"
        );
    }
    assert!(!url.contains(SECRET), "a secret is in {url}");
    assert!(is_issuers || !body.contains(SECRET), "a secret goes to {url}");
}
