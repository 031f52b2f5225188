//! The flows: what a replica says to its authority, step by step, as `async fn`s over [`crate::exec::Io`].
//!
//! [`call`] is a whole trip, [`listen`] what makes it a subscription, [`follow`] one
//! within a session; [`era`] finds out how the authority speaks; [`session`] keeps the session-era
//! handshake; [`mod@aside`] hears what is asked beside a request; [`bridge`] asks
//! agents of another era what the authority wants to know; [`learn`] asks for header annotations again; [`mod@local`] calls a tool of the host; [`errand`] obtains and ends grants. Below them:
//! [`http`] is one exchange, [`access`] what it is allowed with, [`mod@back`] what is done beside it, [`sse`] an event stream, [`message`] the JSON text. Whatever a flow does, its end is
//! an [`crate::exec::Outcome`], and dropping it is its cancellation.

mod access;
mod aside;
mod back;
mod bridge;
mod call;
mod era;
mod errand;
mod follow;
mod http;
mod learn;
mod listen;
mod local;
mod message;
mod session;
mod sse;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::Hasher as _;

use core::future::poll_fn;
use core::task::Poll;
use futures::FutureExt as _;
use leeward::Millis;
use leeward::config::OAuth;
use leeward::dispatch::{Body, Forward};
use leeward::mcp::names;

pub(crate) use access::Access;
pub(crate) use era::{Verdict, choose};
pub(crate) use errand::{Obtained, finish, obtain, sign_out};
pub(crate) use http::find;

use crate::exec::{End, Flow, Io, Sent};

/// What every trip to the authority needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// The endpoint; `None` if the configuration has no authority.
    pub(crate) url: Option<String>,
    /// The protocol version that it speaks, if the configuration says so.
    pub(crate) version: Option<&'static str>,
    /// The configuration's token.
    pub(crate) token: Option<Secret>,
    /// Ask the host for credentials instead.
    pub(crate) hook: bool,
    /// Otherwise, obtain them so.
    pub(crate) oauth: Option<OAuth>,
    /// The host can ask users for them.
    pub(crate) authorizes: bool,
    /// See [`leeward::Limits::max_response_bytes`].
    pub(crate) max_bytes: usize,
    /// How long a trip waits, for an answer or for progress toward it.
    pub(crate) timeout: Millis,
    /// Hard end of a trip.
    pub(crate) longest: Millis,
    /// Keys the names of credentials.
    pub(crate) seed: [u64; 4],
}

/// Text that `Debug` hides.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// A trip to the authority.
pub(crate) fn forward(upstream: Arc<Upstream>, forward: Arc<Forward>, sent: Sent) -> impl FnOnce(Io) -> Flow {
    move |io| Box::pin(async move { End::Trip(call::run(io, upstream, forward, sent).await) })
}

/// `server/discover` by which a server is asked what it speaks.
pub(crate) fn discover_request(id: u64) -> Vec<u8> {
    let meta = message::modern_meta("{}", &message::client_info(names::META_CLIENT_INFO), None);
    message::request(id, "server/discover", "", &meta)
}

/// The response to the request with this id, and the code if it is an error. `None` if the message is something else.
pub(crate) fn response(text: &str, id: u64) -> Option<(Body, Option<i64>)> {
    let messages = message::read(text, id).ok()?;
    messages.into_iter().find_map(|message| match message {
        message::Message::Response(response) => Some((response.body, response.code)),
        _ => None,
    })
}

/// A trip to a tool or resource of the host.
pub(crate) fn local(
    call: leeward::border::LocalCall,
    timeout: Millis,
    sent: Sent,
) -> impl FnOnce(Io) -> Flow {
    move |io| Box::pin(async move { End::Trip(local::run(io, call, timeout, sent).await) })
}

/// A trip's state.
struct Trip<'a> {
    io: &'a mut Io,
    upstream: &'a Upstream,
    forward: &'a Forward,
    /// Set while the authority may have taken the request itself.
    sent: &'a Sent,
    /// Of a subscription: to be set once the authority has acknowledged it.
    open: Option<&'a Sent>,
}

/// A name for a credential that has none: keyed, so that it says nothing about the token.
fn stand_in(token: &str, seed: [u64; 4]) -> String {
    alloc::format!("token:{}", digest(token, seed))
}

/// 128 bits that stand for a text, in hexadecimal.
fn digest(text: &str, [a, b, c, d]: [u64; 4]) -> String {
    alloc::format!("{:016x}{:016x}", siphash(text, a, b), siphash(text, c, d))
}

#[expect(
    deprecated,
    reason = "the one keyed hash in `core`; its replacement has no keys and is in `std`"
)]
pub(crate) fn siphash(text: &str, key0: u64, key1: u64) -> u64 {
    let mut hasher = core::hash::SipHasher::new_with_keys(key0, key1);
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// `work`, or `None` once `timer` has run out, unless that is `excused` by then.
pub(crate) async fn within<T>(
    mut timer: crate::exec::Pending,
    excused: Option<&Sent>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = core::pin::pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        match timer.poll_unpin(context) {
            Poll::Ready(_) if !excused.is_some_and(Sent::is_set) => Poll::Ready(None),
            _ => Poll::Pending,
        }
    })
    .await
}
