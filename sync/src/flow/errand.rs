//! Flows that are nobody's trip: what obtains and ends grants. Each has a hard end; what the authority's authorization
//! server takes for a question is bounded besides (`oauth`).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use leeward::dispatch::Caller;

use super::{Upstream, within};
use crate::exec::{End, Flow, Io};
use crate::limits::MAX_ERRAND_WAIT;
use crate::oauth::{self, Granted, Why};
use crate::trouble::Trouble;

/// What such a flow comes to.
#[derive(Debug)]
pub(crate) enum Obtained {
    /// The grant of the principal it was for.
    Grant(Option<Granted>),
    /// The grant of the principal who began the authorization.
    Finished(Option<String>, Granted),
    /// There is no grant any more.
    SignedOut,
}

/// Obtains or renews the grant of a principal.
pub(crate) fn obtain(
    upstream: Arc<Upstream>,
    principal: Option<String>,
    why: Why,
) -> impl FnOnce(Io) -> Flow {
    move |mut io| {
        Box::pin(async move {
            let timer = io.timer(MAX_ERRAND_WAIT);
            let work = oauth::obtain(&mut io, &upstream, principal.as_deref(), why);
            let granted = within(timer, None, work).await.unwrap_or_else(late);
            End::Errand(granted.map(Obtained::Grant))
        })
    }
}

/// Takes the redirect of an authorization, of `caller`'s if that is known.
pub(crate) fn finish(
    upstream: Arc<Upstream>,
    query: String,
    caller: Option<Caller>,
) -> impl FnOnce(Io) -> Flow {
    move |mut io| {
        Box::pin(async move {
            let timer = io.timer(MAX_ERRAND_WAIT);
            let work = oauth::finish(&mut io, &upstream, &query, caller.as_ref());
            let finished = within(timer, None, work).await.unwrap_or_else(late);
            End::Errand(finished.map(|(principal, granted)| Obtained::Finished(principal, granted)))
        })
    }
}

/// Revokes and forgets the grant of a principal.
pub(crate) fn sign_out(upstream: Arc<Upstream>, principal: Option<String>) -> impl FnOnce(Io) -> Flow {
    move |mut io| {
        Box::pin(async move {
            let timer = io.timer(MAX_ERRAND_WAIT);
            let work = oauth::sign_out(&mut io, &upstream, principal.as_deref());
            let ended = within(timer, None, work).await.unwrap_or_else(late);
            End::Errand(ended.map(|()| Obtained::SignedOut))
        })
    }
}

fn late<T>() -> Result<T, Trouble> {
    Err(Trouble::timeout())
}
