//! The way of an answer from a request's loop to its HTTP response: one JSON document, or server-sent events.

use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

use futures::Stream;
use leeward::Provenance;
use leeward::http::{Headers as Common, Response as Answer, event};
use worker::js_sys::Function;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Headers, Response, ResponseBuilder, Result};

use crate::runtime;

/// Most bytes of events that wait for a slow client before notifications are dropped. The response never is.
const MAX_QUEUED_BYTES: usize = 1 << 20;

/// Both ends of one answer; they belong to one request.
pub(crate) fn channel() -> (Sender, Receiver) {
    let shared = Rc::new(RefCell::new(Shared::default()));
    let (ready, ring) = runtime::bell();
    let sender = Sender {
        shared: Rc::clone(&shared),
        ready: ring,
    };
    (sender, Receiver { shared, ready })
}

#[derive(Default)]
struct Shared {
    /// Set once, taken once.
    response: Option<Result<Response>>,
    frames: VecDeque<Vec<u8>>,
    /// The sum of `frames`.
    queued: usize,
    ended: bool,
    /// Of the response's body: a task of the same request, so that a Rust waker is the right one here.
    waker: Option<Waker>,
}

/// The loop's end. It is dropped without an answer only when the client has left.
pub(crate) struct Sender {
    shared: Rc<RefCell<Shared>>,
    ready: Function,
}

/// The response's end.
pub(crate) struct Receiver {
    shared: Rc<RefCell<Shared>>,
    ready: JsFuture,
}

impl Sender {
    /// Answers with a whole response.
    pub(crate) fn respond(&self, response: Result<Response>) {
        self.shared.borrow_mut().response = Some(response);
        runtime::ring(&self.ready);
    }

    /// Answers with one JSON-RPC message.
    pub(crate) fn json(&self, head: Head<'_>, message: Vec<u8>) {
        let builder = head.builder(Some("application/json"));
        self.respond(builder.map(|builder| builder.fixed(message)));
    }

    /// Answers that something was done about which there is nothing to say.
    pub(crate) fn empty(&self, head: Head<'_>) {
        self.respond(head.builder(None).map(ResponseBuilder::empty));
    }

    /// Answers with a stream of events; `hangup` is rung when the client no longer reads it.
    pub(crate) fn open_events(&self, head: Head<'_>, hangup: Function) {
        let frames = Frames {
            shared: Rc::clone(&self.shared),
            hangup,
        };
        let response = head.builder(Some("text/event-stream")).and_then(|builder| {
            builder
                .with_header("x-accel-buffering", "no")?
                .from_stream(frames)
        });
        self.respond(response);
    }

    /// Sends an event: one JSON-RPC message, its id, or both; neither is none. What is not the last is dropped while the
    /// client is too slow for it: then false.
    pub(crate) fn event(&self, message: &[u8], id: Option<&str>, last: bool) -> bool {
        let frame = event(message, id);
        let has_room = last || frame.is_empty() || self.shared.borrow().queued < MAX_QUEUED_BYTES;
        if has_room && !frame.is_empty() {
            self.push(frame);
        }
        if last {
            let mut shared = self.shared.borrow_mut();
            shared.ended = true;
            wake(shared);
        }
        has_room
    }

    /// Sends a comment, so that nobody on the way takes the silence for an end.
    pub(crate) fn keep_alive(&self) {
        if self.shared.borrow().frames.is_empty() {
            self.push(b": keep-alive\n\n".to_vec());
        }
    }

    fn push(&self, frame: Vec<u8>) {
        let mut shared = self.shared.borrow_mut();
        shared.queued += frame.len();
        shared.frames.push_back(frame);
        wake(shared);
    }
}

/// Wakes outside the borrow.
fn wake(mut shared: core::cell::RefMut<'_, Shared>) {
    let waker = shared.waker.take();
    drop(shared);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut shared = self.shared.borrow_mut();
        shared.ended = true;
        wake(shared);
        runtime::ring(&self.ready);
    }
}

impl Receiver {
    /// The response, once the loop has it.
    pub(crate) async fn response(self) -> Result<Response> {
        let _ = self.ready.await;
        let response = self.shared.borrow_mut().response.take();
        // Without one the client has left.
        response.unwrap_or_else(|| Response::error("no answer", 503))
    }
}

/// A response that the gate made.
pub(crate) fn whole(answer: Answer) -> Result<Response> {
    let builder = ResponseBuilder::new()
        .with_status(answer.status)
        .with_headers(headers(&answer.headers)?);
    if answer.body.is_empty() {
        return Ok(builder.empty());
    }
    Ok(builder.fixed(answer.body.into_bytes()))
}

/// What goes before a body.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) status: u16,
    pub(crate) common: &'a Common,
    pub(crate) provenance: Option<Provenance>,
    /// The session that the request opened.
    pub(crate) session: Option<&'a str>,
}

impl Head<'_> {
    fn builder(self, kind: Option<&str>) -> Result<ResponseBuilder> {
        let headers = headers(self.common)?;
        let provenance = self.provenance.map(|provenance| provenance.to_string());
        for (name, value) in [
            ("content-type", kind),
            ("cache-status", provenance.as_deref()),
            ("mcp-session-id", self.session),
        ] {
            if let Some(value) = value {
                headers.set(name, value)?;
            }
        }
        Ok(ResponseBuilder::new()
            .with_status(self.status)
            .with_headers(headers))
    }
}

fn headers(list: &Common) -> Result<Headers> {
    let headers = Headers::new();
    for (name, value) in list {
        headers.set(name, value)?;
    }
    Ok(headers)
}

/// The body of a response of events. The runtime drops it when the client is gone.
struct Frames {
    shared: Rc<RefCell<Shared>>,
    hangup: Function,
}

impl Stream for Frames {
    type Item = Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.shared.borrow_mut();
        if let Some(frame) = shared.frames.pop_front() {
            shared.queued = shared.queued.saturating_sub(frame.len());
            return Poll::Ready(Some(Ok(frame)));
        }
        if shared.ended {
            return Poll::Ready(None);
        }
        shared.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        runtime::ring(&self.hangup);
    }
}
