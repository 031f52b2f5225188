//! How the cache took part in an answer, in the words of RFC 9211 (Cache-Status).

use core::fmt;

use crate::clock::Millis;

/// The provenance of one answer. `Display` writes it as an RFC 9211 list member: `leeward;hit;ttl=12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Hit, or why the request was forwarded.
    pub state: State,
    /// Remaining freshness of the entry served or stored; `None` where nothing was stored.
    pub ttl: Option<Ttl>,
    /// The answer came with another request's trip (RFC 9211 §2.6).
    pub collapsed: bool,
    /// The answer was stored (RFC 9211 §2.5).
    pub stored: bool,
    /// A token from this crate's own list (RFC 9211 §2.8), such as `offline`.
    pub detail: Option<&'static str>,
}

/// RFC 9211 §2.1 and §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Answered from the cache; stale if the TTL is negative.
    Hit,
    /// `fwd=uri-miss`: nothing stored under this key.
    Miss,
    /// `fwd=stale`: what was stored is no longer fresh.
    Stale,
    /// `fwd=bypass`: policy or the request forbids the cache.
    Bypass,
    /// Answered here without cache or trip (local tools and refusals): no `hit`, no `fwd`.
    Local,
}

/// Milliseconds of freshness left; negative once stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(pub i64);

impl Ttl {
    /// The time from `now` to `expires`.
    #[must_use]
    pub fn until(expires: Millis, now: Millis) -> Self {
        let clamp = |span: Millis| i64::try_from(span.0).unwrap_or(i64::MAX);
        if expires >= now {
            Self(clamp(expires.since(now)))
        } else {
            Self(-clamp(now.since(expires)))
        }
    }

    /// Whole seconds, rounded down (toward staler), as RFC 9211 §2.4 wants them.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl Provenance {
    /// A provenance that only says where the answer came from.
    #[must_use]
    pub const fn new(state: State) -> Self {
        Self {
            state,
            ttl: None,
            collapsed: false,
            stored: false,
            detail: None,
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Hit => "leeward;hit",
            State::Miss => "leeward;fwd=uri-miss",
            State::Stale => "leeward;fwd=stale",
            State::Bypass => "leeward;fwd=bypass",
            State::Local => "leeward",
        })?;
        if self.collapsed {
            f.write_str(";collapsed")?;
        }
        if self.stored {
            f.write_str(";stored")?;
        }
        if let Some(ttl) = self.ttl {
            write!(f, ";ttl={}", ttl.seconds())?;
        }
        if let Some(detail) = self.detail {
            write!(f, ";detail={detail}")?;
        }
        Ok(())
    }
}
