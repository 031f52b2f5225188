//! Subscriptions: streams that the test feeds, breaks and ends while they are open.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::plan::{End, Plan, response};
use super::{Authority, Handle, Seen};

/// `_meta` key of every message of a subscription.
pub const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// One subscription's stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The JSON-RPC id of its request; null for a session's own.
    id: Value,
    fed: VecDeque<Vec<u8>>,
    end: Option<End>,
    /// The replica has closed it.
    closed: bool,
}

/// What comes next on a stream.
#[derive(Debug)]
pub enum Feed {
    /// Bytes.
    Chunk(Vec<u8>),
    /// Its end.
    End(End),
}

impl Authority {
    /// Opens a subscription: acknowledges what [`Authority::tells`] has of what was asked for.
    pub(super) fn listen(&mut self, seen: &Seen) -> Plan {
        let asked = &seen.params["notifications"];
        let mut honoured = json!({});
        for member in self.tells {
            if let Some(value) = asked.get(member).filter(|value| **value != json!(false)) {
                honoured[*member] = value.clone();
            }
        }
        let mut stream = Stream {
            id: seen.id.clone(),
            ..Stream::default()
        };
        stream.tell(
            "notifications/subscriptions/acknowledged",
            json!({"notifications": honoured}),
        );
        self.hold(stream)
    }

    /// A session's own stream, which only tells.
    pub(super) fn stream(&mut self, seen: &Seen) -> Plan {
        let id = seen.id.clone();
        self.hold(Stream {
            id,
            ..Stream::default()
        })
    }

    fn hold(&mut self, stream: Stream) -> Plan {
        self.streams.push(stream);
        Plan::Respond {
            status: 200,
            headers: vec![("content-type".into(), "text/event-stream".into())],
            chunks: Vec::new(),
            end: End::Fed(self.streams.len() - 1),
        }
    }

    fn open(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.streams
            .iter_mut()
            .filter(|stream| stream.end.is_none() && !stream.closed)
    }

    /// Subscriptions that neither side has ended.
    pub fn listening(&self) -> usize {
        let open = |stream: &&Stream| stream.end.is_none() && !stream.closed;
        self.streams.iter().filter(open).count()
    }

    pub(super) fn break_streams(&mut self) {
        self.open().for_each(|stream| stream.end = Some(End::Cut));
    }
}

impl Stream {
    fn tell(&mut self, method: &str, mut params: Value) {
        if !self.id.is_null() {
            params["_meta"][SUBSCRIPTION] = self.id.clone();
        }
        self.say(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    fn has_news(&self) -> bool {
        !self.fed.is_empty() || self.end.is_some() || self.closed
    }

    fn say(&mut self, data: &str) {
        self.fed
            .push_back(format!("event: message\ndata: {data}\n\n").into_bytes());
    }
}

impl Handle {
    /// Tells every open subscription, whatever it asked for.
    pub fn tell(&self, method: &str, params: &Value) {
        self.change(|authority| {
            authority
                .open()
                .for_each(|stream| stream.tell(method, params.clone()))
        });
    }

    /// Sends a comment on every open subscription.
    pub fn keep_alive(&self) {
        self.change(|authority| {
            let comment = b": keep-alive\n\n".to_vec();
            authority
                .open()
                .for_each(|stream| stream.fed.push_back(comment.clone()));
        });
    }

    /// Ends every subscription by its result.
    pub fn end_streams(&self) {
        self.change(|authority| {
            for stream in authority.open() {
                let mut result = json!({"resultType": "complete"});
                result["_meta"][SUBSCRIPTION] = stream.id.clone();
                stream.say(&response(&stream.id, &result.to_string()));
                stream.end = Some(End::Whole);
            }
        });
    }

    /// Breaks the connection of every subscription.
    pub fn break_streams(&self) {
        self.change(Authority::break_streams);
    }

    /// Subscriptions that neither side has ended.
    pub fn listening(&self) -> usize {
        self.lock().listening()
    }

    /// Takes what comes next on a stream, for a front end; `None` until there is something.
    pub fn feed(&self, stream: usize) -> Option<Feed> {
        let mut authority = self.lock();
        let stream = &mut authority.streams[stream];
        let chunk = stream.fed.pop_front().map(Feed::Chunk);
        chunk
            .or(stream.end.map(Feed::End))
            .or(stream.closed.then_some(Feed::End(End::Cut)))
    }

    /// The same, once there is something.
    pub(super) fn wait_feed(&self, stream: usize) -> Feed {
        loop {
            if let Some(feed) = self.feed(stream) {
                return feed;
            }
            self.wait_until(|authority| authority.streams[stream].has_news());
        }
    }

    /// The replica has closed a stream, says a front end.
    pub fn close(&self, stream: usize) {
        self.change(|authority| authority.streams[stream].closed = true);
    }
}
