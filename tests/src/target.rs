//! What a case asks of the host it runs on.

use leeward::Error;
use serde_json::{Map, Value, json};

use crate::authority::{Authority, Handle};
use crate::wire::Message;

/// Something that not every host can do in a test. A case names what it needs; it is no case of a host that
/// lacks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The test moves the clock.
    Clock,
    /// Messages reach the replica as the bytes they are.
    Bytes,
    /// Messages come with HTTP headers, and answers with a status.
    Http,
    /// Agents of the session era may go without a session.
    Sessionless,
    /// Messages come without HTTP headers; a connection remembers its version.
    InProcess,
    /// The host registers tools and resources of its own.
    Local,
    /// Several requests wait at once, and the test knows that they do.
    Together,
    /// A waiting request is given up.
    Cancel,
    /// The host asks for a credential per principal.
    Credentials,
    /// The host tells what an operator may want to log.
    Events,
    /// It goes without an authority.
    Alone,
    /// The host knows when a request never left (workerd and browsers tell a refused connection like a lost one).
    Unsent,
    /// The host keeps sessions of session-era agents over HTTP, and may be started again with what it stored of them.
    Sessions,
    /// Dozens of responses may be open at once (browsers make six connections to a host over HTTP/1.1).
    Streams,
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A principal.
    Principal(&'static str),
    /// Nobody in particular.
    Anonymous,
}

/// The principals that a host is told of before it starts.
pub const PRINCIPALS: [&str; 3] = ["ann", "ben", "cyd"];

/// What a target starts with.
#[derive(Debug)]
pub struct Setup {
    /// The configuration without its authority, which the target fills in.
    pub config: Map<String, Value>,
    /// The authority; `None` for a replica in its own right.
    pub authority: Option<Authority>,
    /// The host asks [`Target::credential`] for credentials.
    pub credentials: bool,
}

impl Setup {
    /// A modern authority and no rules.
    pub fn new() -> Self {
        Self {
            config: Map::new(),
            authority: Some(Authority::modern()),
            credentials: false,
        }
    }

    /// Rules for tools: pattern and rule.
    pub fn tools(rules: &[(&str, &str)]) -> Self {
        rules
            .iter()
            .fold(Self::new(), |setup, (tool, rule)| setup.rule("tool", tool, rule))
    }

    /// One rule more; `kind` is `tool` or `resource`.
    #[must_use]
    pub fn rule(mut self, kind: &str, pattern: &str, rule: &str) -> Self {
        let rules = self.config.entry("policy").or_insert_with(|| json!([]));
        if let Some(rules) = rules.as_array_mut() {
            rules.push(json!({kind: pattern, "rule": rule}));
        }
        self
    }

    /// A limit.
    #[must_use]
    pub fn limit(mut self, name: &str, value: u64) -> Self {
        self.config.entry("limits").or_insert_with(|| json!({}))[name] = json!(value);
        self
    }

    /// Any member of the configuration.
    #[must_use]
    pub fn set(mut self, name: &str, value: Value) -> Self {
        self.config.insert(name.into(), value);
        self
    }

    /// Another authority.
    #[must_use]
    pub fn authority(self, authority: Authority) -> Self {
        Self {
            authority: Some(authority),
            ..self
        }
    }

    /// No authority.
    #[must_use]
    pub fn alone(self) -> Self {
        Self {
            authority: None,
            ..self
        }
    }

    /// The host has a hook for credentials.
    #[must_use]
    pub fn with_credentials(self) -> Self {
        Self {
            credentials: true,
            ..self
        }
    }

    /// The JSON text of the configuration for an authority at `url`.
    pub fn config_text(&self, url: &str) -> String {
        let mut config = self.config.clone();
        if self.authority.is_some() {
            match config.get_mut("authority") {
                Some(Value::Object(authority)) => {
                    authority.insert("url".into(), json!(url));
                }
                _ => {
                    config.insert("authority".into(), json!(url));
                }
            }
        }
        Value::Object(config).to_string()
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// One request and its answer.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// HTTP status, where the host has one.
    pub status: Option<u16>,
    /// Notifications, then the response; nothing for an accepted notification.
    pub messages: Vec<Vec<u8>>,
    /// `Cache-Status` as the host tells it beside the message, where it does.
    pub cache_status: Option<String>,
}

/// Names a connection of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection(pub usize);

/// Names a request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pending(pub usize);

/// How a tool or resource of the host answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// With a result of one text, in which `#` stands for how often it was called.
    Text(&'static str),
    /// With this raw result.
    Raw(&'static str),
    /// With a failure.
    Fails(&'static str),
}

/// A credential that the host's hook gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The token.
    pub token: &'static str,
    /// The identity behind it.
    pub identity: Option<&'static str>,
}

/// A replica under test. What is not among [`Host::has`] is never called.
pub trait Target {
    /// Its authority.
    fn authority(&self) -> &Handle;

    /// A new connection of somebody in a revision of the protocol. Nothing is sent.
    fn connect(&mut self, who: &Who, revision: &'static str) -> Connection;

    /// Sends a message.
    fn start(&mut self, from: Connection, message: &Message) -> Pending;

    /// Waits for the answer. With a clock of the test's: without letting time pass.
    ///
    /// # Panics
    /// If none comes.
    fn finish(&mut self, pending: Pending) -> Exchange;

    /// Waits until so many messages have come for a request; all that came.
    ///
    /// # Panics
    /// If they do not.
    fn heard(&mut self, pending: Pending, count: usize) -> Vec<Vec<u8>>;

    /// Waits until the replica has taken everything sent so far and, unless the authority holds its answers
    /// back, no trip is under way. Only for hosts that have [`Need::Together`] or [`Need::Clock`].
    fn settle(&mut self);

    /// Refuses connections to the authority.
    fn authority_goes_down(&mut self);

    /// Takes them again.
    fn authority_comes_up(&mut self);

    /// Lets `ms` pass.
    fn advance(&mut self, ms: u64) {
        unreachable!("no clock to advance by {ms}");
    }

    /// Waits for an answer that comes only after `ms`: by the test's clock, else by the host's own.
    fn outlast(&mut self, pending: Pending, ms: u64) -> Exchange {
        let _ = ms;
        self.finish(pending)
    }

    /// Whether a request has been answered.
    fn is_answered(&mut self, pending: Pending) -> bool {
        unreachable!("{pending:?} cannot be watched");
    }

    /// Gives a request up.
    fn cancel(&mut self, pending: Pending) {
        unreachable!("{pending:?} cannot be cancelled");
    }

    /// Registers a tool (`kind` `tool`) or resource by its raw definition.
    ///
    /// # Errors
    /// As the replica's.
    fn register(
        &mut self,
        kind: &str,
        definition: &str,
        rule: Option<&str>,
        answer: Local,
    ) -> Result<(), Error> {
        unreachable!("{kind} {definition} {rule:?} {answer:?}");
    }

    /// What the hook gives for a principal from now on: a credential, none, or an error.
    fn credential(&mut self, principal: &str, credential: Result<Option<Given>, &'static str>) {
        unreachable!("{principal} {credential:?}");
    }

    /// Opens the stream of a connection's session, or resumes the one of an event.
    fn open_stream(&mut self, from: Connection, after: Option<&str>) -> Pending {
        unreachable!("no sessions: {from:?} {after:?}");
    }

    /// Ends a connection's session.
    fn end_session(&mut self, from: Connection) -> Exchange {
        unreachable!("no sessions: {from:?}");
    }

    /// The id of a connection's session; taken over from another connection, if one is named.
    fn session(&mut self, of: Connection, from: Option<Connection>) -> Option<String> {
        unreachable!("no sessions: {of:?} {from:?}");
    }

    /// The id of the last event that came for a request.
    fn event(&mut self, pending: Pending) -> Option<String> {
        unreachable!("no sessions: {pending:?}");
    }

    /// The host starts again, with nothing but what it stored.
    fn restart(&mut self) {
        unreachable!("no sessions");
    }

    /// The replica's events so far, one line each.
    fn events(&mut self) -> Vec<String> {
        unreachable!("no events");
    }
}

/// Something that makes targets.
pub trait Host {
    /// Whether it can do something.
    fn has(&self, need: Need) -> bool;

    /// A fresh replica.
    ///
    /// # Errors
    /// What the host says of a configuration that it does not take: the message, which names the field.
    fn open(&mut self, setup: Setup) -> Result<Box<dyn Target + '_>, String>;
}
