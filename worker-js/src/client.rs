//! The client that waits: how its answer goes out, and its leaving.

use core::task::{Context, Poll};

use futures::FutureExt as _;
use leeward::http::{Accept, Headers};
use leeward::{Millis, Provenance, Reply};
use worker::Request;
use worker::js_sys::Function;
use worker::wasm_bindgen::JsCast as _;
use worker::wasm_bindgen_futures::JsFuture;

use crate::reply::Sender;
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
}

/// The client of one request.
pub(crate) struct Client {
    reply: Sender,
    accept: Accept,
    /// What every answer to this request carries.
    headers: Headers,
    departure: Departure,
    /// When the stream of events was last written to; `None` before it is open.
    streamed: Option<Millis>,
}

impl Client {
    /// A client that has no answer yet.
    pub(crate) const fn new(reply: Sender, accept: Accept, headers: Headers, departure: Departure) -> Self {
        Self {
            reply,
            accept,
            headers,
            departure,
            streamed: None,
        }
    }

    /// Answers with a single message: JSON where the client takes it.
    pub(crate) fn whole(&self, status: u16, provenance: Option<Provenance>, message: Vec<u8>) {
        if self.accept == Accept::Events {
            self.open_events(status, provenance);
            self.reply.event(&message, true);
        } else {
            self.reply.json(status, &self.headers, provenance, message);
        }
    }

    /// Answers a notification: there is nothing to say.
    pub(crate) fn accepted(&self) {
        self.reply.accepted(&self.headers);
    }

    /// Passes a part of the answer on. What precedes the response opens a stream of events, or is left out for a
    /// client that takes none. False if there was no room for it.
    pub(crate) fn pass_on(&mut self, reply: &Reply, now: Millis) -> bool {
        match self.streamed {
            None if reply.last => {
                self.whole(reply.status, reply.provenance, reply.part.clone());
                return true;
            }
            None if self.accept == Accept::Json => return false,
            None => self.open_events(reply.status, reply.provenance),
            Some(_) => {}
        }
        self.streamed = Some(now);
        self.reply.event(&reply.part, reply.last)
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

    fn open_events(&self, status: u16, provenance: Option<Provenance>) {
        self.reply
            .open_events(status, &self.headers, provenance, self.departure.hangup.clone());
    }
}
