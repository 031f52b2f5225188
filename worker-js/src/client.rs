//! The client that waits: how its answer goes out, and its leaving.

use core::task::{Context, Poll};

use futures::FutureExt as _;
use leeward::http::{Accept, Headers};
use leeward::{Millis, Provenance, Reply, Served, Ticket, Verb};
use worker::Request;
use worker::js_sys::Function;
use worker::wasm_bindgen::JsCast as _;
use worker::wasm_bindgen_futures::JsFuture;

use crate::endpoint::Incoming;
use crate::reply::{Head, Sender};
use crate::runtime;

/// Longest silence in a stream of events.
const KEEP_ALIVE: Millis = Millis::from_secs(15);

/// A promise for a client's leaving, and the function that settles it.
pub(crate) struct Departure {
    gone: JsFuture,
    hangup: Function,
}

impl Departure {
    /// Watches a request from now on.
    pub(crate) fn of(request: &Request) -> Self {
        let (gone, hangup) = runtime::bell();
        let signal = request.inner().signal();
        let _ = signal.add_event_listener_with_callback("abort", hangup.unchecked_ref());
        if signal.aborted() {
            runtime::ring(&hangup);
        }
        Self { gone, hangup }
    }

    /// What ends once the client has left; not to be awaited again after that.
    pub(crate) fn gone(&mut self) -> &mut JsFuture {
        &mut self.gone
    }
}

/// The client of one request.
pub(crate) struct Client {
    reply: Sender,
    verb: Verb,
    accept: Accept,
    /// What every answer to this request carries.
    headers: Headers,
    departure: Departure,
    /// When the stream of events was last written to; `None` before it is open.
    streamed: Option<Millis>,
}

impl Client {
    /// The client of a request, which has no answer yet.
    pub(crate) fn new(reply: Sender, incoming: Incoming, departure: Departure) -> Self {
        Self {
            reply,
            verb: incoming.verb,
            accept: incoming.accept,
            headers: incoming.common,
            departure,
            streamed: None,
        }
    }

    /// Answers what the replica answered at once. What has to wait comes back with its ticket.
    pub(crate) fn take(mut self, served: Served, out: &[u8]) -> Option<(Ticket, Self)> {
        match served {
            Served::Wait(ticket) => {
                if self.verb == Verb::Get {
                    // It is open before there is anything to say. The head may wait for what is behind it.
                    self.open_events(self.head(200, None, None));
                    self.reply.keep_alive();
                    self.streamed = Some(runtime::now().mono);
                }
                return Some((ticket, self));
            }
            Served::Reply {
                status,
                provenance,
                session,
                ..
            } => self.whole(self.head(status, provenance, session.as_deref()), out),
            // There is nothing to say.
            Served::Accepted => self.reply.empty(self.head(202, None, None)),
            // Only a peek is told so. Dropping the client answers it.
            _ => {}
        }
        None
    }

    /// Answers with a single message: JSON where the client takes it. Where there is none, the end of a session has no
    /// body, and a request that its client gave up has a stream without events.
    fn whole(&self, head: Head<'_>, message: &[u8]) {
        if message.is_empty() && self.verb == Verb::Delete {
            self.reply.empty(head);
        } else if message.is_empty() || (self.verb == Verb::Post && self.accept == Accept::Events) {
            self.open_events(head);
            self.reply.event(message, None, true);
        } else {
            self.reply.json(head, message.to_vec());
        }
    }

    /// Passes a part of the answer on. What precedes the response opens a stream of events, or is left out for a
    /// client that takes none. False if there was no room for it.
    pub(crate) fn pass_on(&mut self, reply: &Reply, now: Millis) -> bool {
        let head = self.head(reply.status, reply.provenance, reply.session.as_deref());
        match self.streamed {
            None if reply.last && (reply.event.is_none() || self.accept == Accept::Json) => {
                self.whole(head, &reply.part);
                return true;
            }
            None if self.accept == Accept::Json => return reply.part.is_empty(),
            None => self.open_events(head),
            Some(_) => {}
        }
        self.streamed = Some(now);
        self.reply.event(&reply.part, reply.event.as_deref(), reply.last)
    }

    /// When the stream has been silent for too long; `None` without one.
    pub(crate) fn next_keep_alive(&self) -> Option<Millis> {
        self.streamed.map(|streamed| streamed + KEEP_ALIVE)
    }

    /// Breaks a silence that has lasted too long.
    pub(crate) fn keep_alive(&mut self, now: Millis) {
        if self.next_keep_alive().is_some_and(|due| now >= due) {
            self.reply.keep_alive();
            self.streamed = Some(now);
        }
    }

    /// Ready once the client has left; not to be polled after that.
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.departure.gone.poll_unpin(context).map(drop)
    }

    fn head<'a>(&'a self, status: u16, provenance: Option<Provenance>, session: Option<&'a str>) -> Head<'a> {
        Head {
            status,
            common: &self.headers,
            provenance,
            session,
        }
    }

    fn open_events(&self, head: Head<'_>) {
        self.reply.open_events(head, self.departure.hangup.clone());
    }
}
