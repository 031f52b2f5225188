//! A case's view of its target: short words for what most cases say, and judgements about answers.

use std::fmt;

use leeward::Code;
use serde_json::Value;

use crate::authority::Handle;
use crate::target::{Connection, Exchange, Host, Pending, Setup, Target, Who};
use crate::wire::{MODERN, Message};

/// A target, and the connection that most of a case goes over: of principal `ann`, in the stateless revision.
pub struct Run<'a> {
    /// The replica.
    pub target: Box<dyn Target + 'a>,
    /// The first connection.
    pub ann: Connection,
}

impl<'a> Run<'a> {
    /// Opens a target.
    ///
    /// # Panics
    /// If the host does not take the configuration.
    pub fn open(host: &'a mut dyn Host, setup: Setup) -> Self {
        let mut target = match host.open(setup) {
            Ok(target) => target,
            Err(error) => panic!("the host refused the configuration: {error}"),
        };
        let ann = target.connect(&Who::Principal("ann"), MODERN);
        Self { target, ann }
    }

    /// The authority.
    pub fn authority(&self) -> Handle {
        self.target.authority().clone()
    }

    /// A connection of a principal in the stateless revision.
    pub fn connect(&mut self, principal: &'static str) -> Connection {
        self.target.connect(&Who::Principal(principal), MODERN)
    }

    /// Sends a message and waits for the answer.
    pub fn ask(&mut self, message: &Message) -> Answer {
        self.ask_from(self.ann, message)
    }

    /// The same on another connection.
    pub fn ask_from(&mut self, from: Connection, message: &Message) -> Answer {
        let pending = self.target.start(from, message);
        Answer::new(self.target.finish(pending))
    }

    /// Sends a message.
    pub fn start(&mut self, message: &Message) -> Pending {
        self.target.start(self.ann, message)
    }

    /// Waits until so many messages have come for a request; all that came.
    ///
    /// # Panics
    /// If one is not JSON.
    pub fn heard(&mut self, pending: Pending, count: usize) -> Vec<Value> {
        let messages = self.target.heard(pending, count);
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).expect("messages are JSON");
        messages.iter().map(read).collect()
    }

    /// Waits for an answer.
    pub fn finish(&mut self, pending: Pending) -> Answer {
        Answer::new(self.target.finish(pending))
    }

    /// How often a tool was called at the authority.
    pub fn calls(&self, tool: &str) -> usize {
        self.target.authority().trips_of("tools/call", tool)
    }

    /// How often the authority was asked for a method.
    pub fn trips(&self, method: &str) -> usize {
        self.target.authority().trips(method)
    }

    /// Asks for what must be stored and must be answered from there: no trip.
    pub fn hit(&mut self, message: &Message) -> Answer {
        self.hit_from(self.ann, message)
    }

    /// The same on another connection.
    pub fn hit_from(&mut self, from: Connection, message: &Message) -> Answer {
        let before = self.authority().log().len();
        let answer = self.ask_from(from, message);
        let log = self.authority().log();
        assert_eq!(
            log.len(),
            before,
            "a hit makes no trip, but the authority saw {:?}",
            log.last()
        );
        let status = answer.cache();
        assert!(
            status.hit && status.ttl.is_some_and(|ttl| ttl >= 0),
            "no fresh hit: {status:?} {answer:?}"
        );
        answer
    }

    /// Asks for what must be fetched: exactly one trip for this method more.
    pub fn miss(&mut self, message: &Message) -> Answer {
        self.miss_from(self.ann, message)
    }

    /// The same on another connection.
    pub fn miss_from(&mut self, from: Connection, message: &Message) -> Answer {
        let method = method_of(message);
        let before = self.trips(&method);
        let answer = self.ask_from(from, message);
        assert_eq!(
            self.trips(&method),
            before + 1,
            "a miss makes one trip: {answer:?}"
        );
        assert!(!answer.cache().hit, "a trip is no hit: {answer:?}");
        answer
    }

    /// Proves that the replica goes on: a call travels, the next is a hit.
    pub fn goes_on(&mut self) {
        let message = Message::call("get_user", r#"{"goes":"on"}"#);
        self.ask(&message).result();
        self.hit(&message).result();
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let complaints = self.target.authority().complaints();
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "the authority complains: {complaints:#?}");
        }
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Run")
    }
}

fn method_of(message: &Message) -> String {
    let body: Value = serde_json::from_slice(&message.bytes(MODERN)).unwrap_or_default();
    match body["method"].as_str().unwrap_or_default() {
        "initialize" => "server/discover".into(),
        method => method.into(),
    }
}

/// An answer, read.
#[derive(Clone)]
pub struct Answer {
    /// HTTP status, where the host has one.
    pub status: Option<u16>,
    /// What came before the response.
    pub notifications: Vec<Value>,
    /// The response; null if there is none.
    pub response: Value,
    /// The response's bytes.
    pub bytes: Vec<u8>,
    cache_status: Option<String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("cache_status", &self.cache_status)
            .field(
                "notifications",
                &self
                    .notifications
                    .iter()
                    .map(Value::to_string)
                    .collect::<Vec<_>>(),
            )
            .field("response", &String::from_utf8_lossy(&self.bytes))
            .finish()
    }
}

impl Answer {
    /// Reads an exchange.
    ///
    /// # Panics
    /// If a message is not JSON-RPC, or the host tells another cache status than the message.
    pub fn new(exchange: Exchange) -> Self {
        let mut messages: Vec<Value> = exchange
            .messages
            .iter()
            .map(|bytes| match serde_json::from_slice(bytes) {
                Ok(message) => message,
                Err(error) => panic!("not JSON ({error}): {}", String::from_utf8_lossy(bytes)),
            })
            .collect();
        for message in &messages {
            assert_eq!(message["jsonrpc"], "2.0", "{message}");
        }
        let response = messages.pop().unwrap_or_default();
        assert!(
            response.get("method").is_none(),
            "a stream without a response: {response}"
        );
        let told = response["result"]["_meta"]["dev.leeward/cache"]
            .as_str()
            .map(str::to_owned);
        if let (Some(told), Some(header)) = (&told, &exchange.cache_status) {
            assert_eq!(told, header, "message and header tell different stories");
        }
        Self {
            status: exchange.status,
            notifications: messages,
            response,
            bytes: exchange.messages.last().cloned().unwrap_or_default(),
            cache_status: told.or(exchange.cache_status),
        }
    }

    /// The result.
    ///
    /// # Panics
    /// If there is none.
    pub fn result(&self) -> &Value {
        let result = self.response.get("result");
        assert!(result.is_some(), "no result: {self:?}");
        assert!(
            self.status.is_none_or(|status| status == 200),
            "a result with another status: {self:?}"
        );
        &self.response["result"]
    }

    /// The error.
    ///
    /// # Panics
    /// If there is none.
    pub fn error(&self) -> &Value {
        assert!(self.response.get("error").is_some(), "no error: {self:?}");
        &self.response["error"]
    }

    /// The text of a result's first content block, resource or prompt message.
    pub fn text(&self) -> &str {
        let result = self.result();
        let texts = [
            &result["content"][0]["text"],
            &result["contents"][0]["text"],
            &result["messages"][0]["content"]["text"],
        ];
        texts
            .into_iter()
            .find_map(Value::as_str)
            .unwrap_or_else(|| panic!("no text: {self:?}"))
    }

    /// The raw id of the response.
    pub fn id(&self) -> String {
        self.response["id"].to_string()
    }

    /// Must be an error of the replica's own, as the table of errors has it.
    #[track_caller]
    pub fn fails(&self, code: Code) -> &Self {
        self.fails_with(code, code.http())
    }

    /// The same, with an HTTP status of its own.
    #[track_caller]
    pub fn fails_with(&self, code: Code, http: u16) -> &Self {
        let error = self.error();
        assert_eq!(error["data"]["code"], code.as_str(), "{error}");
        assert_eq!(error["code"], code.json_rpc(), "{error}");
        assert_eq!(error["data"]["retryable"], code.retryable(), "{error}");
        assert!(
            error["data"]["correlationId"]
                .as_str()
                .is_some_and(|id| !id.is_empty()),
            "{error}"
        );
        assert!(
            self.status.is_none_or(|status| status == http),
            "status {:?}: {error}",
            self.status
        );
        self
    }

    /// Must be an error that the authority made.
    #[track_caller]
    pub fn fails_verbatim(&self, code: i64, message: &str) -> &Self {
        let error = self.error();
        assert_eq!(
            (&error["code"], &error["message"]),
            (&code.into(), &message.into()),
            "{error}"
        );
        self
    }

    /// `Cache-Status`, taken apart.
    pub fn cache(&self) -> CacheStatus {
        CacheStatus::parse(self.cache_status.as_deref().unwrap_or_default())
    }

    /// `Cache-Status` as it was told; empty if it was not.
    pub fn cache_text(&self) -> &str {
        self.cache_status.as_deref().unwrap_or_default()
    }
}

/// A `Cache-Status` member of this replica's (RFC 9211).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Answered from the cache.
    pub hit: bool,
    /// Why it was not.
    pub fwd: Option<String>,
    /// Came with another's trip.
    pub collapsed: bool,
    /// Was stored.
    pub stored: bool,
    /// Seconds of freshness left.
    pub ttl: Option<i64>,
    /// The detail.
    pub detail: Option<String>,
}

impl CacheStatus {
    fn parse(text: &str) -> Self {
        let mut status = Self::default();
        let mut parts = text.split(';');
        assert!(
            matches!(parts.next(), Some("leeward" | "")),
            "another cache: {text}"
        );
        for part in parts {
            match part.split_once('=') {
                None if part == "hit" => status.hit = true,
                None if part == "collapsed" => status.collapsed = true,
                None if part == "stored" => status.stored = true,
                Some(("fwd", why)) => status.fwd = Some(why.into()),
                Some(("ttl", ttl)) => status.ttl = Some(ttl.parse().expect("a ttl is an integer")),
                Some(("detail", detail)) => status.detail = Some(detail.into()),
                _ => panic!("{part} in {text}"),
            }
        }
        status
    }
}
