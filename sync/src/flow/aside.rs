//! What a session-era authority asks on the stream of the session's own, and not on that of the request which made it
//! ask (2025-11-25, Transports, Listening for Messages from the Server). So while a request is under way for which the
//! agent may be asked, that stream is held, and begun before the request is sent: an authority may forget what it has no
//! stream for.
//!
//! One request at a time holds it, and puts to its agent what is asked there: no message says which request it belongs to.
//! All of a session are one principal's, whose agents declared the same. Notifications of this stream are another
//! subscription's ([`super::follow`]), whose session is another.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{pending, poll_fn};
use core::pin::Pin;
use core::sync::atomic::Ordering::Relaxed;
use core::task::Poll;

use leeward::mcp::input::Inputs;

use super::back::Back;
use super::http::{Kind, Rules, events, find, post};
use super::{Trip, session, within};
use crate::exec::{Io, Sent};
use crate::limits::{ASIDE_MOST, RESUME_AFTER};
use crate::link::Session;

/// Holds the stream for as long as it is polled. It never ends.
pub(super) type Hearing = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Trip<'_> {
    /// The stream of the session's own, once it has begun; `None` if nothing may be asked there.
    pub(super) async fn aside(&mut self, session: &Arc<Session>) -> Option<Hearing> {
        if self.forward.inputs == Inputs::NONE || session.aside.none.load(Relaxed) {
            return None;
        }
        let url = self.upstream.url.as_deref().unwrap_or_default();
        let request = post(url, session::headers(session), Vec::new());
        let back = Back::new(&request, self.forward.inputs);
        let rules = Rules {
            // It lasts as long as the request: only its events are bounded.
            open: Some(Sent::default()),
            ..self.rules(false)
        };
        let begun = Sent::default();
        let io = self.io.split().await;
        let mut hearing: Hearing = Box::pin(hear(io, back, rules, session.clone(), begun.clone()));
        if !session.aside.late.load(Relaxed) {
            let timer = self.io.timer(ASIDE_MOST);
            let begins = poll_fn(|context| match hearing.as_mut().poll(context) {
                Poll::Pending if !begun.is_set() => Poll::Pending,
                _ => Poll::Ready(()),
            });
            if within(timer, None, begins).await.is_none() {
                session.aside.late.store(true, Relaxed);
            }
        }
        Some(hearing)
    }
}

/// Does `work`, and hears beside it.
pub(super) async fn beside<T>(mut hearing: Option<Hearing>, work: impl Future<Output = T>) -> T {
    let mut work = core::pin::pin!(work);
    poll_fn(|context| {
        if let Some(hearing) = &mut hearing {
            let _ = hearing.as_mut().poll(context);
        }
        work.as_mut().poll(context)
    })
    .await
}

/// `begun` is set as soon as there is nothing to wait for.
async fn hear(mut io: Io, back: Back, rules: Rules, session: Arc<Session>, begun: Sent) {
    loop {
        if let Some(_held) = Held::take(&session)
            && let Ok(answer) = back.get(&mut io, None).await
        {
            match (answer.status, Kind::of(find(&answer.headers, "content-type"))) {
                (200, Kind::Events) => {
                    begun.set();
                    let none = io.next_id();
                    // Whatever ends it is not the request's end.
                    let _ = events(&mut io, answer.body, none, &rules, Some(&back)).await;
                }
                // Who held it before may still seem to.
                (409 | 429 | 500.., _) => {}
                _ => {
                    drop(answer);
                    session.aside.none.store(true, Relaxed);
                    begun.set();
                    return pending().await;
                }
            }
        }
        begun.set();
        io.renumber().await;
        io.timer(RESUME_AFTER).await;
    }
}

/// The right to hold the stream.
struct Held<'a>(&'a Session);

impl<'a> Held<'a> {
    fn take(session: &'a Session) -> Option<Self> {
        // Not made before it is known: its end gives back.
        (!session.aside.held.swap(true, Relaxed)).then(|| Self(session))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.aside.held.store(false, Relaxed);
    }
}
