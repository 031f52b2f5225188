//! The replica's seed: 32 bytes of the host's entropy, asked for before anything else.
//!
//! Whichever context polls first is asked. If that one goes away, or brings too little, the question is put
//! again: at once a few times, then once per request, so that a host without entropy is not kept in a loop.

use leeward::{Ctx, OpId, Output};

use crate::limits::MAX_ENTROPY_ATTEMPTS;

const BYTES: usize = 32;

/// See the module.
#[derive(Debug)]
pub(crate) struct Seed {
    state: State,
    failures: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// To be asked for.
    Wanted,
    Asked(OpId, Ctx),
    /// The host failed too often; wanted again at the next request.
    Resting,
    Had,
}

impl Seed {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Wanted,
            failures: 0,
        }
    }

    /// The question, if it is to be put.
    pub(crate) fn poll(&mut self, ctx: Ctx, op: impl FnOnce() -> OpId) -> Option<Output> {
        if self.state != State::Wanted {
            return None;
        }
        let op = op();
        self.state = State::Asked(op, ctx);
        Some(Output::Entropy { op, bytes: BYTES })
    }

    /// Takes an answer; returns the seed if this is it.
    pub(crate) fn answer(&mut self, op: OpId, bytes: &[u8]) -> Option<[u8; BYTES]> {
        if !matches!(self.state, State::Asked(asked, _) if asked == op) {
            return None;
        }
        if let Some(seed) = bytes.first_chunk::<BYTES>() {
            self.state = State::Had;
            return Some(*seed);
        }
        self.failures = self.failures.saturating_add(1);
        self.state = if self.failures < MAX_ENTROPY_ATTEMPTS {
            State::Wanted
        } else {
            State::Resting
        };
        None
    }

    /// A request came. Whoever was asked and is not `known` may be gone without anybody having noticed.
    pub(crate) fn request(&mut self, known: impl FnOnce(Ctx) -> bool) {
        match self.state {
            State::Resting => self.state = State::Wanted,
            State::Asked(_, ctx) if !known(ctx) => self.gone(ctx),
            _ => {}
        }
    }

    /// A context is gone.
    pub(crate) fn gone(&mut self, ctx: Ctx) {
        if matches!(self.state, State::Asked(_, asked) if asked == ctx) {
            self.state = State::Wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(seed: &mut Seed, op: u64) -> bool {
        seed.poll(Ctx(1), || OpId(op)).is_some()
    }

    #[test]
    fn is_asked_for_again_when_too_short_and_rests_after_some_failures() {
        let mut seed = Seed::new();
        for op in 1..=u64::from(MAX_ENTROPY_ATTEMPTS) {
            assert!(ask(&mut seed, op) && !ask(&mut seed, 99));
            assert_eq!(seed.answer(OpId(op), &[7; 31]), None);
        }
        assert!(!ask(&mut seed, 99));
        seed.request(|_| true);
        assert!(ask(&mut seed, 10));
        assert_eq!(seed.answer(OpId(9), &[7; 32]), None);
        assert_eq!(seed.answer(OpId(10), &[7; 33]), Some([7; 32]));
        assert_eq!(seed.answer(OpId(10), &[8; 32]), None);
        assert!(!ask(&mut seed, 11));
    }

    #[test]
    fn is_asked_of_another_context_when_the_first_is_gone() {
        let mut seed = Seed::new();
        assert!(ask(&mut seed, 1));
        seed.gone(Ctx(2));
        assert!(!ask(&mut seed, 2));
        seed.request(|ctx| ctx == Ctx(1));
        assert!(!ask(&mut seed, 2));
        seed.gone(Ctx(1));
        assert!(ask(&mut seed, 2));
        seed.request(|_| false);
        assert!(ask(&mut seed, 3));
    }
}
