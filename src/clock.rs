//! Time as it enters: values that the host reads off its clocks. Nothing here reads one.

use core::ops::Add;

/// A point on, or a span of, a clock, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The span from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// A span of whole seconds, saturating.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

impl Add for Millis {
    type Output = Self;

    /// Saturates instead of overflowing.
    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// The host's two clocks, read once per border call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic milliseconds from any origin; drives freshness and deadlines. A backward step makes
    /// entries stale.
    pub mono: Millis,
    /// Milliseconds since the Unix epoch; stamps what is stored, and tells how far off a date is.
    pub unix: Millis,
}
