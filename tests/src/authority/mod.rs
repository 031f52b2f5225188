//! A scripted MCP authority as a pure state machine: an HTTP request in, a [`Plan`] out.
//!
//! `plan` holds what can be done with a request, `fixtures` what is done by default, `sessions` the
//! session-era protocol, `streams` subscriptions, `tcp` a front end on a socket; the harness with virtual time ([`crate::pair`]) is
//! the other front end. The authority's log is the witness of a test: it knows how often it was asked.
//!
//! It is strict: whatever a replica sends that the specification forbids is noted as a complaint, and a test
//! that ends with complaints fails.

mod fixtures;
mod plan;
mod sessions;
mod streams;
mod strict;
mod tcp;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use streams::Stream;

pub use plan::{End, Plan, Turn, body, error, plan, response, result, stream, text};
pub use sessions::Sessions;
pub use streams::{Feed, SUBSCRIPTION};
pub use tcp::Server;

/// The path of its endpoint.
pub const PATH: &str = "/mcp";

/// One HTTP request as the authority saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// `POST`, `GET` or `DELETE`.
    pub http: String,
    /// Names lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The JSON-RPC method; empty if there is none.
    pub rpc: String,
    /// `params.name`, `params.uri` or `params.taskId`.
    pub name: Option<String>,
    /// The JSON-RPC id; null for a notification.
    pub id: Value,
    /// `params`; null if absent.
    pub params: Value,
}

impl Seen {
    /// Reads a request.
    pub fn new(http: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        let params = message["params"].clone();
        let name = params["name"]
            .as_str()
            .or(params["uri"].as_str())
            .or(params["taskId"].as_str())
            .map(str::to_owned);
        Self {
            http: http.into(),
            headers,
            body,
            rpc: message["method"].as_str().unwrap_or_default().into(),
            name,
            id: message["id"].clone(),
            params,
        }
    }

    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }
}

struct Rule {
    rpc: String,
    name: Option<String>,
    left: Option<u32>,
    turn: Turn,
}

/// Which answers are held back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hold {
    All,
    Of(String),
}

/// What the authority knows; see [`Authority`].
#[derive(Default)]
pub struct Script {
    log: Vec<Seen>,
    rules: Vec<Rule>,
    complaints: Vec<String>,
    holding: Option<Hold>,
    down: bool,
    lenient: bool,
}

/// The authority: shared by the test, which scripts and asks it, and the front end, which brings requests.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    authority: Mutex<Authority>,
    changed: Condvar,
    /// Requests come by themselves, from other threads.
    served: AtomicBool,
}

/// The state of the authority.
pub struct Authority {
    script: Script,
    /// Raw tools of `tools/list`.
    pub tools: Vec<Value>,
    /// Raw resources of `resources/list`.
    pub resources: Vec<Value>,
    /// `ttlMs` and `cacheScope` of its results.
    pub hint: (u64, &'static str),
    /// Items on a page of a list; 0 for all.
    pub page_size: usize,
    /// Speaks only the session-era protocol, if set.
    pub sessions: Option<Sessions>,
    /// What subscriptions are told of: members of a filter.
    pub tells: &'static [&'static str],
    streams: Vec<Stream>,
}

impl Default for Authority {
    fn default() -> Self {
        Self {
            script: Script::default(),
            tools: fixtures::tools(),
            resources: fixtures::resources(),
            hint: (0, "private"),
            page_size: 0,
            sessions: None,
            tells: &["toolsListChanged", "resourceSubscriptions", "taskIds"],
            streams: Vec::new(),
        }
    }
}

impl Authority {
    /// One that speaks 2026-07-28.
    pub fn modern() -> Self {
        Self::default()
    }

    /// One that speaks only the session-era protocol, in this version.
    pub fn legacy(version: &'static str) -> Self {
        Self {
            sessions: Some(Sessions::new(version)),
            ..Self::default()
        }
    }

    /// With hints on lists and reads.
    #[must_use]
    pub fn hinting(self, ttl_ms: u64, scope: &'static str) -> Self {
        Self {
            hint: (ttl_ms, scope),
            ..self
        }
    }

    /// With lists in pages.
    #[must_use]
    pub fn paged(self, page_size: usize) -> Self {
        Self { page_size, ..self }
    }

    /// With one more tool (raw JSON).
    #[must_use]
    pub fn tool(mut self, definition: &str) -> Self {
        self.tools
            .push(serde_json::from_str(definition).expect("a tool is JSON"));
        self
    }

    /// Without complaints about what it is sent: for tests whose agents send odd things that pass through.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.script.lenient = true;
        self
    }

    fn holds(&self, tool: Option<&str>) -> bool {
        match &self.script.holding {
            None => false,
            Some(Hold::All) => true,
            Some(Hold::Of(name)) => Some(&**name) == tool,
        }
    }

    /// How many requests of this one's method and name there were, itself included.
    fn nth(&self, seen: &Seen) -> usize {
        self.script
            .log
            .iter()
            .filter(|other| other.rpc == seen.rpc && other.name == seen.name)
            .count()
    }

    /// Takes a request.
    pub fn receive(&mut self, seen: Seen) -> Plan {
        // Responses carry ids of the authority's own.
        let known = |other: &Seen| {
            !seen.id.is_null() && !seen.rpc.is_empty() && !other.rpc.is_empty() && other.id == seen.id
        };
        let sound = match strict::check(&seen, self.sessions.is_some()) {
            Ok(()) if self.script.log.iter().any(known) => Err("an id that was there before".into()),
            sound => sound,
        };
        if let (Err(complaint), false) = (sound, self.script.lenient) {
            self.script
                .complaints
                .push(format!("{complaint}: {}", String::from_utf8_lossy(&seen.body)));
        }
        self.script.log.push(seen.clone());
        let fits = |rule: &&mut Rule| {
            rule.rpc == seen.rpc
                && rule.left != Some(0)
                && rule
                    .name
                    .as_ref()
                    .is_none_or(|name| Some(name) == seen.name.as_ref())
        };
        if let Some(plan) = self.gate(&seen) {
            return plan;
        }
        if let Some(rule) = self.script.rules.iter_mut().find(fits) {
            rule.left = rule.left.map(|left| left - 1);
            return (rule.turn)(&seen);
        }
        if self.sessions.is_some() {
            self.answer_in_session(&seen)
        } else if seen.rpc == "subscriptions/listen" {
            self.listen(&seen)
        } else {
            self.answer(&seen, true)
        }
    }
}

impl Handle {
    /// Shares an authority.
    pub fn new(authority: Authority) -> Self {
        Self(Arc::new(Shared {
            authority: Mutex::new(authority),
            changed: Condvar::new(),
            served: AtomicBool::new(false),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Authority> {
        // A test that panics while it holds the lock has failed already.
        self.0.authority.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the authority.
    pub fn change(&self, change: impl FnOnce(&mut Authority)) {
        change(&mut self.lock());
        self.0.changed.notify_all();
    }

    /// Takes a request for a front end.
    pub fn receive(&self, seen: Seen) -> Plan {
        let plan = self.lock().receive(seen);
        self.0.changed.notify_all();
        plan
    }

    /// Answers the next request of a method (and name) by a turn.
    pub fn once(&self, rpc: &str, name: Option<&str>, turn: Turn) {
        self.times(Some(1), rpc, name, turn);
    }

    /// Answers every request of a method (and name) by a turn. The latest word counts.
    pub fn always(&self, rpc: &str, name: Option<&str>, turn: Turn) {
        self.change(|authority| {
            let same = |rule: &Rule| rule.rpc == rpc && rule.name.as_deref() == name;
            authority.script.rules.retain(|rule| !same(rule));
        });
        self.times(None, rpc, name, turn);
    }

    /// Answers this many requests of a method (and name) by a turn, after those said before.
    pub fn times(&self, times: Option<u32>, rpc: &str, name: Option<&str>, turn: Turn) {
        let rule = Rule {
            rpc: rpc.into(),
            name: name.map(str::to_owned),
            left: times,
            turn,
        };
        self.change(|authority| authority.script.rules.push(rule));
    }

    /// Forgets every turn.
    pub fn plain(&self) {
        self.change(|authority| authority.script.rules.clear());
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Seen> {
        self.lock().script.log.clone()
    }

    /// How many requests of a method there were.
    pub fn trips(&self, rpc: &str) -> usize {
        self.lock()
            .script
            .log
            .iter()
            .filter(|seen| seen.rpc == rpc)
            .count()
    }

    /// How many requests of a method for a tool, prompt or resource there were.
    pub fn trips_of(&self, rpc: &str, name: &str) -> usize {
        let of = |seen: &&Seen| seen.rpc == rpc && seen.name.as_deref() == Some(name);
        self.lock().script.log.iter().filter(of).count()
    }

    /// The last request of a method.
    pub fn last(&self, rpc: &str) -> Seen {
        let found = self
            .lock()
            .script
            .log
            .iter()
            .rev()
            .find(|seen| seen.rpc == rpc)
            .cloned();
        found.unwrap_or_else(|| panic!("the authority never saw {rpc}"))
    }

    /// What was wrong with the requests.
    pub fn complaints(&self) -> Vec<String> {
        self.lock().script.complaints.clone()
    }

    /// Takes requests but holds the answers back.
    pub fn hold(&self) {
        self.change(|authority| authority.script.holding = Some(Hold::All));
    }

    /// The same for answers of one tool.
    pub fn hold_tool(&self, tool: &str) {
        self.change(|authority| authority.script.holding = Some(Hold::Of(tool.into())));
    }

    /// Lets the answers go.
    pub fn release(&self) {
        self.change(|authority| authority.script.holding = None);
    }

    /// Whether any answers are held back.
    pub fn is_holding(&self) -> bool {
        self.lock().script.holding.is_some()
    }

    /// Whether the answer to a request for this tool is held back.
    pub fn holds(&self, tool: Option<&str>) -> bool {
        self.lock().holds(tool)
    }

    /// Refuses connections from now on, and breaks those of subscriptions.
    pub fn go_down(&self) {
        self.change(|authority| {
            authority.script.down = true;
            authority.break_streams();
        });
    }

    /// Takes connections again.
    pub fn come_up(&self) {
        self.change(|authority| authority.script.down = false);
    }

    /// Whether connections are refused.
    pub fn is_down(&self) -> bool {
        self.lock().script.down
    }

    /// Waits until something holds. Where requests do not come by themselves, it must hold already.
    ///
    /// # Panics
    /// If it never will.
    #[track_caller]
    pub fn wait_until(&self, holds: impl Fn(&Authority) -> bool) {
        let mut authority = self.lock();
        while !holds(&authority) {
            assert!(
                self.0.served.load(Ordering::Acquire),
                "what is waited for has not happened"
            );
            authority = self
                .0
                .changed
                .wait(authority)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A front end brings requests from threads of its own from now on.
    fn serve(&self) {
        self.0.served.store(true, Ordering::Release);
    }

    /// Waits until `n` requests of a method have come.
    pub fn wait_for(&self, rpc: &str, n: usize) {
        self.wait_until(|authority| authority.script.log.iter().filter(|seen| seen.rpc == rpc).count() >= n);
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("requests", &self.script.log.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}
