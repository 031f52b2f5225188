//! The way of an answer from a request's loop to its HTTP response: one JSON document, or server-sent events.

use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

use futures::Stream;
use leeward::Provenance;
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
    pub(crate) fn json(&self, status: u16, provenance: Option<Provenance>, message: Vec<u8>) {
        self.respond(json(status, provenance, message));
    }

    /// Answers that a notification was taken.
    pub(crate) fn accepted(&self) {
        self.respond(Ok(ResponseBuilder::new().with_status(202).empty()));
    }

    /// Answers with a stream of events; `hangup` is rung when the client no longer reads it.
    pub(crate) fn open_events(&self, status: u16, provenance: Option<Provenance>, hangup: Function) {
        let frames = Frames {
            shared: Rc::clone(&self.shared),
            hangup,
        };
        let response = head(status, "text/event-stream", provenance)
            .and_then(|head| head.with_header("x-accel-buffering", "no")?.from_stream(frames));
        self.respond(response);
    }

    /// Sends one JSON-RPC message as an event. Notifications are dropped while the client is too slow for them.
    pub(crate) fn event(&self, message: &[u8], last: bool) {
        if last || self.shared.borrow().queued < MAX_QUEUED_BYTES {
            self.push(frame(message));
        }
        if last {
            let mut shared = self.shared.borrow_mut();
            shared.ended = true;
            wake(shared);
        }
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

/// A response of one JSON document.
pub(crate) fn json(status: u16, provenance: Option<Provenance>, message: Vec<u8>) -> Result<Response> {
    Ok(head(status, "application/json", provenance)?.fixed(message))
}

fn head(status: u16, kind: &str, provenance: Option<Provenance>) -> Result<ResponseBuilder> {
    let headers = Headers::new();
    headers.set("content-type", kind)?;
    headers.set("cache-control", "no-store")?;
    if let Some(provenance) = provenance {
        headers.set("cache-status", &provenance.to_string())?;
    }
    Ok(ResponseBuilder::new().with_status(status).with_headers(headers))
}

/// An event of one line: in JSON a line break is only ever blank space between tokens.
fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 32);
    out.extend_from_slice(b"event: message\ndata: ");
    out.extend(message.iter().map(|&byte| match byte {
        b'\n' | b'\r' => b' ',
        byte => byte,
    }));
    out.extend_from_slice(b"\n\n");
    out
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
