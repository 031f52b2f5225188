//! The authority's OAuth (2026-07-28, Authorization): how a grant is found, had, renewed and ended.
//!
//! Without I/O: [`challenge`] reads a refusal, [`metadata`] what authority and authorization server publish, [`answer`]
//! what the latter answers; [`encode`] writes what it is asked; [`client`] says who the replica is there, [`address`] which
//! URLs may be called at all; [`scopes`] is a set of scopes, [`record`] the format of what is kept. Flows: [`exchange`] is a
//! single question, [`discover`] finds the authorization server, [`login`] asks the user, [`obtain`] joins them.
//!
//! A grant is of one authority and one principal, and belongs to the issuer that gave it. Its secrets are in the vault
//! and here while they are used, never in errors, events or keys.

mod address;
mod answer;
mod challenge;
mod client;
mod discover;
mod encode;
mod exchange;
mod login;
mod metadata;
mod obtain;
mod record;
mod scopes;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::pin::Pin;

use leeward::border::{Event, Refused};
use leeward::config::OAuth;
use leeward::config::oauth::GrantType;
use leeward::{Millis, Now};

pub(crate) use challenge::Challenge;
pub(crate) use exchange::{nonce_of, prove};
pub(crate) use login::{awaited, finish, stranger};
pub(crate) use obtain::{obtain, sign_out};
pub(crate) use scopes::Scopes;

use crate::exec::Io;
use crate::flow::{Secret, Upstream};
use crate::limits::REFRESH_MARGIN;
use crate::trouble::Trouble;
use record::{Kept, Target};

/// Why a token is wanted.
#[derive(Clone, Debug)]
pub(crate) enum Why {
    /// The authority was not asked yet, or what was had is due to be renewed.
    First,
    /// The authority refused what it got.
    Refused(Refused),
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) token: Secret,
    pub(crate) scheme: Scheme,
    /// The name of the grant, which a renewed token keeps.
    pub(crate) identity: String,
    /// When to ask again, by the monotonic clock; `None`: once it is refused.
    pub(crate) expires: Option<Millis>,
    /// When it is good no longer, if that is known.
    pub(crate) over: Option<Millis>,
    pub(crate) scopes: Scopes,
}

/// How an access token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
}

impl Scheme {
    /// As a token response names it; in any case (RFC 6749, section 5.1).
    pub(crate) fn of(token_type: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop]
            .into_iter()
            .find(|scheme| scheme.name().eq_ignore_ascii_case(token_type))
    }

    /// As `authorization` names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// Whose grant it is, and how it is had.
#[derive(Debug)]
struct Owner<'a> {
    url: &'a str,
    settings: &'a OAuth,
    principal: Option<&'a str>,
    name: String,
    /// The host can ask the user.
    can_ask: bool,
}

impl<'a> Owner<'a> {
    /// `None` if the configuration has no OAuth.
    fn new(upstream: &'a Upstream, principal: Option<&'a str>) -> Option<Self> {
        let url = upstream.url.as_deref()?;
        Some(Self {
            url,
            settings: upstream.oauth.as_ref()?,
            principal,
            name: record::name_of(url, principal),
            can_ask: upstream.authorizes,
        })
    }

    /// Where the grant is kept.
    fn key(&self) -> String {
        record::grant_key(&self.name)
    }
}

impl Kept {
    /// Whether the configuration still means such a grant: a user's or the client's own, bound to a key or not.
    fn is_meant(&self, settings: &OAuth) -> bool {
        let unattended = settings.grant == GrantType::ClientCredentials;
        let bound = self.scheme == Scheme::Dpop;
        self.redirect_uri.is_empty() == unattended && bound == settings.dpop.is_some()
    }

    /// Whether it was given for this resource, by the issuer that it trusts now.
    fn is_of(&self, target: &Target) -> bool {
        self.target.server.issuer == target.server.issuer && self.target.resource == target.resource
    }

    /// When the token is to be renewed, in milliseconds since the Unix epoch.
    fn due(&self) -> Option<u64> {
        let expires = self.expires?.saturating_mul(1000);
        let life = expires.saturating_sub(self.since.saturating_mul(1000));
        let margin = (life / 8).min(REFRESH_MARGIN.0);
        // The token itself is what is random about it.
        let part = encode::digest(&self.access.0).bytes().next().map_or(0, u64::from);
        Some(expires.saturating_sub(margin + margin * (part % 64) / 64))
    }

    /// Whether the token is to be renewed. A clock that was set back says so too.
    fn is_due(&self, now: Now) -> bool {
        self.due().is_some_and(|due| now.unix.0 >= due) || now.unix.0 / 1000 < self.since
    }

    /// Whether the token is known to be good no longer.
    fn is_over(&self, now: Now) -> bool {
        self.expires.is_some_and(|expires| now.unix.0 / 1000 >= expires)
    }

    /// The token, until it is due.
    fn granted(&self, now: Now) -> Granted {
        let due = self.due().map(|due| left(now, due));
        Granted {
            expires: due,
            ..self.granted_until_over(now)
        }
    }

    /// The same, until it is good no longer.
    fn granted_until_over(&self, now: Now) -> Granted {
        let over = self
            .expires
            .map(|expires| left(now, expires.saturating_mul(1000)));
        Granted {
            token: self.access.clone(),
            scheme: self.scheme,
            identity: self.identity.clone(),
            expires: over,
            over,
            scopes: self.granted.clone(),
        }
    }

    /// The same, no longer than until `then`.
    fn granted_until(&self, now: Now, then: Millis) -> Granted {
        let mut granted = self.granted_until_over(now);
        granted.expires = Some(granted.expires.unwrap_or(then).min(then));
        granted
    }
}

/// The moment by the monotonic clock that is `then` by the other.
fn left(now: Now, then: u64) -> Millis {
    now.mono + Millis(then).since(now.unix)
}

/// A record of the vault, read. What is damaged is dropped.
async fn load<T>(
    io: &mut Io,
    key: &str,
    read: impl Fn(&str, &[u8]) -> Option<T>,
) -> Result<Option<T>, Trouble> {
    let loaded = raw(io, key.into()).await?;
    Ok(loaded.and_then(|record| {
        let found = read(key, &record);
        if found.is_none() {
            drop_grant(io, key.into(), "its record is damaged");
        }
        found
    }))
}

async fn raw(io: &mut Io, key: String) -> Result<Option<Vec<u8>>, Trouble> {
    let loading: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(io.load(key));
    loading.await.map_err(|detail| {
        let message = "the host's vault cannot be read";
        Trouble::authorization("vault_failed", message).with_detail(&detail)
    })
}

/// Drops a record, and says why.
fn drop_grant(io: &mut Io, key: String, reason: &'static str) {
    io.keep(key, None);
    io.event(Event::GrantDropped { reason });
}
