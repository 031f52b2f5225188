//! The replica's own monotonic clock: the host's, with backward steps taken out.
//!
//! Deadlines and leases must neither fire early nor hang when a host without a monotonic clock steps back, so
//! each step back is added to an offset: time here never runs backward and goes on from where it was. The core
//! gets the host's clock as it is; it treats backward steps itself.

use leeward::Millis;

/// Translates between the host's monotonic clock and the replica's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    host: Millis,
    offset: Millis,
}

impl Clock {
    /// Takes a reading of the host's clock.
    pub(crate) fn advance(&mut self, host: Millis) -> Millis {
        self.offset = self.offset + self.host.since(host);
        self.host = host;
        self.now()
    }

    /// The last reading.
    pub(crate) fn now(&self) -> Millis {
        self.host + self.offset
    }

    /// A time of the replica's on the host's clock.
    pub(crate) const fn to_host(self, at: Millis) -> Millis {
        at.since(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_after_a_step_back() {
        let mut clock = Clock::default();
        assert_eq!(clock.advance(Millis(100)), Millis(100));
        assert_eq!(clock.advance(Millis(40)), Millis(100));
        assert_eq!(clock.advance(Millis(45)), Millis(105));
        assert_eq!(clock.to_host(Millis(110)), Millis(50));
        assert_eq!(clock.advance(Millis(u64::MAX)), Millis(u64::MAX));
        assert_eq!(clock.advance(Millis(0)), Millis(u64::MAX));
    }
}
