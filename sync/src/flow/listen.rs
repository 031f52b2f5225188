//! A subscription's whole life at the authority (2026-07-28, Patterns, Subscriptions): its stream, opened again
//! whenever it breaks, until either side ends it.
//!
//! The first stream must open, within the timeout of a trip; a refusal is the agent's answer. After the
//! acknowledgement nothing bounds a stream but its events' size. What breaks it later is not told to the agent
//! but to the core, which knows what may have been missed; only a refusal to open it again ends it. The pauses
//! between attempts are drawn at random up to a bound that doubles.

use alloc::sync::Arc;

use futures::FutureExt as _;
use futures::future::{Either, select};
use leeward::Millis;
use leeward::border::Event;
use leeward::dispatch::{Answer, Forward};

use super::{Trip, Upstream, grant, siphash};
use crate::exec::{Io, Outcome, Pending, Sent};
use crate::limits::{RECONNECT_FIRST, RECONNECT_MOST, STEADY};
use crate::trouble::Trouble;

/// The subscription that a replica without an authority keeps with itself: its own lists change by registration.
const OWN: &str = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourcesListChanged":true}}}"#;

/// The subscription, until the authority ends it.
pub(super) async fn run(mut io: Io, upstream: Arc<Upstream>, forward: Arc<Forward>, sent: Sent) -> Outcome {
    if upstream.url.is_none() {
        io.relay(OWN.into()).await;
        return core::future::pending().await;
    }
    let mut was_open = false;
    let mut failures = 0;
    loop {
        let number = io.renumber().await;
        let limit = io.timer(upstream.timeout);
        let steady = io.timer(STEADY);
        let open = Sent::default();
        let outcome = stream(&mut io, &upstream, &forward, &sent, limit, &open).await;
        was_open |= open.is_set();
        let trouble = match outcome {
            Err(trouble) if was_open && trouble.may_pass() => trouble,
            outcome => return outcome.map_err(|trouble| trouble.into_error(false)),
        };
        if open.is_set() {
            io.lost().await;
        }
        if steady.now_or_never().is_some() {
            failures = 0;
        }
        let [a, b, ..] = upstream.seed;
        let random = siphash(&alloc::format!("{number}"), a, b);
        let pause = pause(failures, random).max(trouble.retry_after());
        let told = trouble.into_error(false);
        io.event(Event::TripFailed {
            method: forward.method.clone(),
            error: told.error,
            detail: told.detail,
        });
        failures += 1;
        io.timer(pause).await;
    }
}

/// Opens the stream and follows it to its end. `limit` is when it must be open, which `open` tells.
async fn stream(
    io: &mut Io,
    upstream: &Upstream,
    forward: &Forward,
    sent: &Sent,
    limit: Pending,
    open: &Sent,
) -> Result<Answer, Trouble> {
    let stream = async {
        let credential = grant(io, upstream, forward).await?;
        let mut trip = Trip {
            io,
            upstream,
            forward,
            sent,
            open: Some(open),
            credential,
        };
        trip.run().await
    };
    match select(core::pin::pin!(stream), limit).await {
        Either::Left((done, _)) => done,
        Either::Right((_, stream)) if open.is_set() => stream.await,
        Either::Right(_) => Err(Trouble::timeout()),
    }
}

/// How long to wait after so many failures in a row: anything up to the bound, so that replicas which lost one
/// authority together do not come back together.
fn pause(failures: u32, random: u64) -> Millis {
    let bound = RECONNECT_FIRST.0 << failures.min(16);
    Millis(random % bound.min(RECONNECT_MOST.0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_no_further() {
        let longest = |failures| {
            (0..64)
                .map(|n| pause(failures, u64::MAX - n))
                .max()
                .unwrap_or_default()
        };
        for failures in 0..100 {
            assert!(pause(failures, u64::MAX / 3) <= RECONNECT_MOST);
            assert!(pause(failures, 0) == Millis(0));
        }
        assert!(pause(0, u64::MAX / 3) <= RECONNECT_FIRST);
        assert!(longest(u32::MAX) <= RECONNECT_MOST);
    }
}
