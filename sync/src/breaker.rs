//! Whether the authority is asked at all: a circuit breaker for it, and patience for who was told to wait.
//!
//! [`MAX_FAILURES`] outages in a row (no connection, no head of an answer in time, a gateway's 5xx) open it: what
//! would be sent fails at once instead, a write before it can have an effect, so that what is stored serves within its
//! bounds and an authority that comes back is not run down. After a pause, drawn at random up to a bound that doubles
//! (and not before the `Retry-After` of a 503), one trip is let through; its answer closes the breaker, whose failure
//! opens it again. While that one has no answer the next may go after 4 s, 8 s and so on: whoever calls what hangs bars
//! the way to nobody. It is the replica's: an outage meets every principal.
//!
//! A 429 is one principal's, and opens nothing. Whoever gets a second one before the `Retry-After` of the first has
//! passed is held back until that of the second has (RFC 9110 §10.2.3).
//!
//! It has no clock and no timer: it is looked at when somebody wants through.

use leeward::Millis;
use leeward::border::Event;
use leeward::table::Table;

use crate::limits::{MAX_FAILURES, MAX_RETRY_AFTER, RECONNECT_FIRST, RECONNECT_MOST};
use crate::trouble::Trouble;

/// What an exchange with the authority says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fared {
    /// It is there.
    Answered,
    /// It cannot be reached, and asked for this pause.
    Failed(Millis),
    /// It is there, and asked this principal for a pause.
    Limited(Millis),
    /// Something answered that is no MCP server.
    Odd,
}

impl Fared {
    pub(crate) fn of<T>(outcome: &Result<T, Trouble>) -> Self {
        match outcome {
            Err(trouble) if trouble.is_limit() => Self::Limited(trouble.retry_after()),
            Err(trouble) if trouble.may_pass() => Self::Failed(trouble.retry_after()),
            Err(trouble) if !trouble.is_refusal() => Self::Odd,
            _ => Self::Answered,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// In a row.
    failures: u32,
    open: Option<Open>,
    told: Table<u64, Told>,
    max_told: usize,
    withheld: u64,
}

#[derive(Debug)]
struct Open {
    until: Millis,
    /// How often in a row.
    times: u32,
    /// Who was let through after that, by the number of their start, and until when they are waited for.
    probe: Option<(u64, Millis)>,
}

/// A partition that got a 429.
#[derive(Clone, Copy, Debug)]
struct Told {
    until: Millis,
    again: bool,
}

impl Breaker {
    /// `max_told`: of how many partitions it is remembered that they were told to wait.
    pub(crate) const fn new(max_told: usize) -> Self {
        Self {
            failures: 0,
            open: None,
            told: Table::new(),
            max_told,
            withheld: 0,
        }
    }

    /// Whether the authority is taken for down.
    pub(crate) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// How many trips were not made.
    pub(crate) const fn withheld(&self) -> u64 {
        self.withheld
    }

    /// Whether a trip of `who`, for a partition, may be made now.
    pub(crate) fn pass(&mut self, now: Millis, who: u64, partition: u64) -> Result<(), Trouble> {
        let refused = match (&mut self.open, self.told.get(partition)) {
            (Some(open), _) if now < open.until => Trouble::down(open.until.since(now)),
            (Some(open), _)
                if open
                    .probe
                    .is_some_and(|(probe, until)| probe != who && now < until) =>
            {
                Trouble::down(RECONNECT_FIRST)
            }
            (_, Some(told)) if told.again && now < told.until => Trouble::limited(told.until.since(now)),
            (open, _) => {
                if let Some(open) = open {
                    let late = open.probe.is_some_and(|(probe, _)| probe != who);
                    open.times = open.times.saturating_add(u32::from(late));
                    open.probe = Some((who, now + bound(open.times.saturating_add(2))));
                }
                return Ok(());
            }
        };
        self.withheld = self.withheld.saturating_add(1);
        Err(refused)
    }

    /// What an exchange of `who`'s brought. An event if it changed the state.
    pub(crate) fn fared(
        &mut self,
        now: Millis,
        who: u64,
        partition: u64,
        fared: Fared,
        random: u64,
    ) -> Option<Event> {
        let probing = self
            .open
            .as_ref()
            .is_some_and(|open| open.probe.is_some_and(|(probe, _)| probe == who));
        match fared {
            Fared::Answered => {
                self.told.remove(partition);
                self.close()
            }
            Fared::Limited(pause) => {
                self.tell(now, partition, pause);
                self.close()
            }
            Fared::Odd if !probing => None,
            Fared::Failed(_) | Fared::Odd if self.open.is_some() && !probing => None,
            Fared::Failed(pause) => self.fail(now, pause, random),
            Fared::Odd => self.fail(now, Millis(0), random),
        }
    }

    /// `who` is gone: another may try.
    pub(crate) fn release(&mut self, who: u64) {
        if let Some(open) = &mut self.open {
            open.probe.take_if(|(probe, _)| *probe == who);
        }
    }

    fn close(&mut self) -> Option<Event> {
        self.failures = 0;
        self.open.take().map(|_| Event::AuthorityUp)
    }

    fn fail(&mut self, now: Millis, pause: Millis, random: u64) -> Option<Event> {
        self.failures = self.failures.saturating_add(1);
        if self.failures < MAX_FAILURES {
            return None;
        }
        let times = self.open.as_ref().map_or(0, |open| open.times.saturating_add(1));
        let pause = jittered(times, random).max(pause.min(MAX_RETRY_AFTER));
        let first = self.open.is_none();
        self.open = Some(Open {
            until: now + pause,
            times,
            probe: None,
        });
        first.then_some(Event::AuthorityDown)
    }

    fn tell(&mut self, now: Millis, partition: u64, pause: Millis) {
        let before = self.told.remove(partition);
        if pause == Millis(0) {
            return;
        }
        if self.told.len() >= self.max_told {
            // Whoever is forgotten is only let through once more.
            self.told.pop_first();
        }
        let told = Told {
            until: now + pause.min(MAX_RETRY_AFTER),
            again: before.is_some_and(|before| now < before.until),
        };
        self.told.insert(partition, told);
    }
}

/// How long to wait after so many failures in a row: anything up to the bound, so that replicas which lost one
/// authority together do not come back together ("full jitter").
pub(crate) fn jittered(failures: u32, random: u64) -> Millis {
    Millis(random % bound(failures).0.saturating_add(1))
}

fn bound(failures: u32) -> Millis {
    Millis(RECONNECT_FIRST.0 << failures.min(16)).min(RECONNECT_MOST)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const HALF: u64 = 500;

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(2);
        for nth in 1..=MAX_FAILURES {
            assert_eq!(breaker.pass(Millis(0), 1, 1), Ok(()));
            let event = breaker.fared(Millis(0), 1, 1, Fared::Failed(Millis(0)), HALF);
            assert_eq!(event, (nth == MAX_FAILURES).then_some(Event::AuthorityDown));
        }
        breaker
    }

    fn after(refused: Result<(), Trouble>) -> Millis {
        refused.unwrap_err().retry_after()
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(2);
        for fared in [Fared::Answered, Fared::Limited(Millis(0))] {
            for _ in 1..MAX_FAILURES {
                breaker.fared(Millis(0), 1, 1, Fared::Failed(Millis(0)), 0);
            }
            // Says nothing, either way.
            breaker.fared(Millis(0), 1, 1, Fared::Odd, 0);
            breaker.fared(Millis(0), 1, 1, fared, 0);
            assert!(!breaker.is_open());
        }
        let breaker = opened();
        assert!(breaker.is_open());
    }

    #[test]
    fn lets_one_through_when_its_pause_is_over() {
        let mut breaker = opened();
        assert_eq!(after(breaker.pass(Millis(HALF - 1), 2, 1)), Millis(1));
        assert_eq!(breaker.pass(Millis(HALF), 2, 1), Ok(()));
        assert_eq!(breaker.pass(Millis(HALF), 2, 1), Ok(()), "the same again");
        assert_eq!(after(breaker.pass(Millis(HALF), 3, 1)), RECONNECT_FIRST);
        breaker.release(4);
        assert!(breaker.pass(Millis(HALF), 3, 1).is_err());
        breaker.release(2);
        assert_eq!(breaker.pass(Millis(HALF), 3, 1), Ok(()));
        assert_eq!(breaker.withheld(), 3);
        assert_eq!(
            breaker.fared(Millis(HALF), 3, 1, Fared::Answered, 0),
            Some(Event::AuthorityUp)
        );
        assert_eq!(breaker.pass(Millis(HALF), 4, 1), Ok(()));
        assert_eq!(breaker.pass(Millis(HALF), 5, 1), Ok(()));
    }

    #[test]
    fn a_probe_without_an_answer_bars_the_way_for_a_while_only() {
        let mut breaker = opened();
        let mut now = Millis(HALF);
        let waited = |breaker: &mut Breaker, now: &mut Millis, who| {
            let from = *now;
            while breaker.pass(*now, who, 1).is_err() {
                *now = *now + RECONNECT_FIRST;
            }
            now.since(from)
        };
        let waits: Vec<_> = (2..10)
            .map(|who| waited(&mut breaker, &mut now, who).0 / 1000)
            .collect();
        assert_eq!(waits, [0, 4, 8, 16, 32, 60, 60, 60]);
        // Whoever was overtaken says nothing by its failure; its answer is one.
        assert_eq!(breaker.fared(now, 2, 1, Fared::Failed(MAX_RETRY_AFTER), 0), None);
        assert_eq!(after(breaker.pass(now, 10, 1)), RECONNECT_FIRST);
        assert_eq!(
            breaker.fared(now, 2, 1, Fared::Answered, 0),
            Some(Event::AuthorityUp)
        );
    }

    #[test]
    fn a_failed_probe_opens_it_for_longer_and_a_late_failure_does_not() {
        for failed in [Fared::Failed(Millis(0)), Fared::Odd] {
            let mut breaker = opened();
            let mut now = Millis(HALF);
            for times in 1..10 {
                assert_eq!(breaker.pass(now, 2, 1), Ok(()));
                assert_eq!(breaker.fared(now, 2, 1, failed, u64::MAX / 2), None);
                breaker.fared(now, 3, 1, Fared::Failed(MAX_RETRY_AFTER), 0);
                let pause = after(breaker.pass(now, 2, 1));
                assert_eq!(pause, jittered(times, u64::MAX / 2));
                now = now + pause;
            }
        }
    }

    #[test]
    fn waits_as_long_as_the_authority_asked_for_within_a_bound() {
        for (asked, kept) in [
            (Millis(30_000), Millis(30_000)),
            (Millis(u64::MAX), MAX_RETRY_AFTER),
        ] {
            let mut breaker = opened();
            assert_eq!(breaker.pass(Millis(HALF), 2, 1), Ok(()));
            breaker.fared(Millis(HALF), 2, 1, Fared::Failed(asked), 0);
            assert_eq!(after(breaker.pass(Millis(HALF), 2, 1)), kept);
        }
    }

    #[test]
    fn who_is_told_twice_is_held_back_and_nobody_else() {
        let mut breaker = Breaker::new(2);
        let limited = Fared::Limited(Millis(7000));
        breaker.fared(Millis(0), 1, 1, limited, 0);
        assert_eq!(breaker.pass(Millis(1), 1, 1), Ok(()), "once may be an accident");
        breaker.fared(Millis(1), 1, 1, limited, 0);
        let held = breaker.pass(Millis(2), 1, 1).unwrap_err();
        assert_eq!(
            (held.code, held.retry_after()),
            (leeward::Code::RateLimited, Millis(6999))
        );
        assert_eq!(breaker.pass(Millis(2), 2, 2), Ok(()));
        assert_eq!(breaker.pass(Millis(7001), 1, 1), Ok(()));
        breaker.fared(Millis(7002), 1, 1, limited, 0);
        assert_eq!(
            breaker.pass(Millis(7003), 1, 1),
            Ok(()),
            "the first time was over"
        );
        breaker.fared(Millis(7003), 1, 1, Fared::Answered, 0);
        breaker.fared(Millis(7004), 1, 1, limited, 0);
        assert_eq!(
            breaker.pass(Millis(7005), 1, 1),
            Ok(()),
            "it was answered in between"
        );
    }

    #[test]
    fn remembers_so_many_that_were_told() {
        let mut breaker = Breaker::new(2);
        for partition in [1, 2, 3, 3, 3] {
            breaker.fared(Millis(0), 1, partition, Fared::Limited(Millis(u64::MAX)), 0);
            assert!(breaker.told.len() <= 2);
        }
        assert_eq!(after(breaker.pass(Millis(0), 1, 3)), MAX_RETRY_AFTER);
    }

    #[test]
    fn pauses_grow_to_their_bound_and_no_further() {
        let longest = |failures| {
            (0..1000)
                .map(|n| jittered(failures, n * 7919))
                .max()
                .unwrap_or_default()
        };
        let mut before = Millis(0);
        for failures in [0, 1, 2, 3, 4, 5] {
            let longest = longest(failures);
            assert!(
                longest > before && longest <= Millis(RECONNECT_FIRST.0 << failures),
                "{longest:?}"
            );
            before = longest;
        }
        for failures in [6, 16, 17, u32::MAX] {
            assert!(longest(failures) > before && longest(failures) <= RECONNECT_MOST);
        }
    }
}
