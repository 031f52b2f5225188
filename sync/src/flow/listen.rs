//! What keeps a subscription at the authority open (2026-07-28, Patterns, Subscriptions): its stream is opened again
//! whenever it breaks, until either side ends it.
//!
//! The first stream must open, within the timeout of a trip; a refusal is the agent's answer. After the
//! acknowledgement nothing bounds a stream but its events' size. What breaks it later is not told to the agent
//! but to the core, which knows what may have been missed; only a refusal to open it again ends it. The pauses
//! between attempts are drawn at random up to a bound that doubles.

use futures::FutureExt as _;
use leeward::border::Event;
use leeward::dispatch::Forward;

use super::{Upstream, siphash};
use crate::breaker::jittered;
use crate::exec::{Io, Pending, Sent};
use crate::limits::{MAX_RETRY_AFTER, STEADY};
use crate::trouble::Trouble;

/// The subscription that a replica without an authority keeps with itself: its own lists change by registration.
const OWN: &str = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourcesListChanged":true}}}"#;

/// A subscription between two of its streams.
#[derive(Debug, Default)]
pub(super) struct Listening {
    was_open: bool,
    /// In a row.
    failures: u32,
    random: u64,
}

impl Listening {
    /// Whether a trip is one. Without an authority this never ends.
    pub(super) async fn of(io: &mut Io, upstream: &Upstream, forward: &Forward) -> Option<Self> {
        if forward.method != "subscriptions/listen" {
            return None;
        }
        if upstream.url.is_none() {
            io.relay(OWN.into()).await;
            core::future::pending().await
        }
        Some(Self::default())
    }

    /// Before a stream: ids for it, and the timer after which it did not fail at once.
    pub(super) async fn begin(&mut self, io: &mut Io, upstream: &Upstream) -> Pending {
        let [a, b, ..] = upstream.seed;
        self.random = siphash("listen", a ^ io.renumber().await, b);
        io.timer(STEADY)
    }

    /// After a stream that `open` tells was acknowledged: waits until it is time for the next, or says why there
    /// is none.
    pub(super) async fn pause(
        &mut self,
        io: &mut Io,
        forward: &Forward,
        open: &Sent,
        steady: Pending,
        trouble: Trouble,
    ) -> Result<(), Trouble> {
        self.was_open |= open.is_set();
        if !self.was_open || !trouble.may_pass() && !trouble.is_stray() {
            return Err(trouble);
        }
        if open.is_set() {
            io.lost().await;
        }
        if steady.now_or_never().is_some() {
            self.failures = 0;
        }
        let pause = jittered(self.failures, self.random).max(trouble.retry_after().min(MAX_RETRY_AFTER));
        self.failures = self.failures.saturating_add(1);
        let told = trouble.into_error(false);
        io.event(Event::TripFailed {
            method: forward.method.clone(),
            error: told.error,
            detail: told.detail.into(),
        });
        io.timer(pause).await;
        Ok(())
    }
}
