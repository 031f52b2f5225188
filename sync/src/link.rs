//! What the flows know together about the authority: which era it speaks, and the session of each partition.
//!
//! Finding out is a duty that one flow takes at a time; the others wait for what it learns. A flow that ends
//! without having learnt anything (cancelled, timed out) passes its duty to the next. Nothing here does I/O.
//!
//! The era is a verdict per authority; a *legacy* verdict is looked at again after a day. An operator may pin it. Sessions of the least
//! recently used partitions are forgotten, not deleted at the authority: a `DELETE` would be a trip that no
//! caller owns, and servers end idle sessions themselves (2025-11-25, Transports, Session Management).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32};

use futures::channel::oneshot;
use leeward::Millis;
use leeward::border::Event;
use leeward::mcp::names;
use leeward::table::{self, Map, Table, Words};

use crate::breaker::{Breaker, Fared};
use crate::exec::Got;
use crate::flow::siphash;
use crate::grants::Grants;
use crate::limits::LEGACY_VERDICT_AGE;
use crate::trouble::Trouble;

/// The two ways to speak Streamable HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2026-07-28: every request stands alone.
    Modern,
    /// 2025-11-25 and before: `initialize`, then a session.
    Legacy,
}

impl Era {
    /// That of a revision.
    pub(crate) fn of(version: &str) -> Self {
        if version == names::MODERN {
            Self::Modern
        } else {
            Self::Legacy
        }
    }
}

/// A session, or the fact that the authority wants none.
#[derive(Debug)]
pub(crate) struct Session {
    /// `mcp-session-id`.
    pub(crate) id: Option<String>,
    /// The version that was negotiated.
    pub(crate) version: &'static str,
    /// The identity of the credential that opened it.
    pub(crate) credential: Option<String>,
    /// What `server/discover` would have said: a raw `DiscoverResult`.
    pub(crate) discover: String,
    /// The least severe log level that the authority was told of, counted from 1; 0 before.
    pub(crate) level: AtomicU32,
    /// What is known of its own stream.
    pub(crate) aside: Aside,
}

/// The stream of a session's own, which one request at a time holds.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// Some request does.
    pub(crate) held: AtomicBool,
    /// The authority has none.
    pub(crate) none: AtomicBool,
    /// The authority does not begin it before it has something to say.
    pub(crate) late: AtomicBool,
}

/// A thing to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The authority's era.
    Era,
    /// The session of a partition and of what its agents may be asked.
    Session(u64),
}

impl table::Key for Key {
    fn words(self) -> Words {
        match self {
            Self::Era => (0, 0, 0),
            Self::Session(partition) => (1, partition, 0),
        }
    }

    fn of((kind, partition, _): Words) -> Self {
        match kind {
            0 => Self::Era,
            _ => Self::Session(partition),
        }
    }
}

/// A thing known, with the number under which it was learnt (of no meaning toward [`Link::learn`]).
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// The authority's era.
    Era(Era, u64),
    /// The session by that name.
    Session(u64, Arc<Session>, u64),
}

/// The answer to a claim.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// It is known.
    Known(Known),
    /// Find out.
    Yours,
    /// Whoever tried failed in a way that would meet the next one too.
    Failed(Trouble),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    /// The grants that requests go out with.
    pub(crate) grants: Grants,
    max_sessions: usize,
    pub(crate) breaker: Breaker,
    /// Keys what is drawn at random; zeros until there is a seed.
    seed: (u64, u64),
    /// What the operator says that it is.
    pinned: Option<Era>,
    /// With the number it was learnt under, and until when it is believed.
    era: Option<(Era, u64, Millis)>,
    sessions: Table<u64, Kept>,
    /// Sessions by when they were last used.
    by_use: Map<u64, u64>,
    duties: Table<Key, Duty>,
    next: u64,
}

#[derive(Debug)]
struct Kept {
    session: Arc<Session>,
    number: u64,
    used: u64,
}

/// Who finds something out, and who waits for it, by the number of their start.
#[derive(Debug)]
struct Duty {
    holder: u64,
    waiting: Table<u64, oneshot::Sender<Got>>,
}

impl Link {
    pub(crate) fn new(max_sessions: usize) -> Self {
        Self {
            grants: Grants::default(),
            max_sessions,
            breaker: Breaker::new(max_sessions),
            seed: (0, 0),
            pinned: None,
            era: None,
            sessions: Table::new(),
            by_use: Map::new(),
            duties: Table::new(),
            next: 0,
        }
    }

    /// The authority is taken to speak so.
    pub(crate) const fn pin(&mut self, era: Era) {
        self.pinned = Some(era);
    }

    /// There is a seed.
    pub(crate) const fn seed(&mut self, a: u64, b: u64) {
        self.seed = (a, b);
    }

    /// What an exchange of `who`'s brought. See [`Breaker::fared`].
    pub(crate) fn fared(&mut self, now: Millis, who: u64, partition: u64, fared: Fared) -> Option<Event> {
        let number = self.number();
        let random = siphash("breaker", self.seed.0 ^ number, self.seed.1);
        self.breaker.fared(now, who, partition, fared, random)
    }

    /// Whether the authority is known to keep no sessions.
    pub(crate) fn is_modern(&self) -> bool {
        let known = self.era.map(|(era, ..)| era);
        self.pinned.or(known) == Some(Era::Modern)
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }

    fn known(&mut self, now: Millis, key: Key) -> Option<Known> {
        match key {
            Key::Era => {
                if let Some(era) = self.pinned {
                    return Some(Known::Era(era, 0));
                }
                let (era, number, until) = self.era?;
                (now < until).then_some(Known::Era(era, number))
            }
            Key::Session(partition) => {
                let used = self.number();
                let kept = self.sessions.get_mut(partition)?;
                self.by_use.remove(kept.used);
                kept.used = used;
                self.by_use.insert(used, partition);
                Some(Known::Session(partition, kept.session.clone(), kept.number))
            }
        }
    }

    /// `who` wants to know `key`. The answer comes at once or when it is known.
    pub(crate) fn claim(&mut self, now: Millis, key: Key, who: u64, answer: oneshot::Sender<Got>) {
        if let Some(known) = self.known(now, key) {
            let _ = answer.send(Got::Claim(Claimed::Known(known)));
        } else if let Some(duty) = self.duties.get_mut(key) {
            duty.waiting.insert(who, answer);
        } else if answer.send(Got::Claim(Claimed::Yours)).is_ok() {
            self.duties.insert(
                key,
                Duty {
                    holder: who,
                    waiting: Table::new(),
                },
            );
        }
    }

    /// Something was found out, so long ago: all who wait for it know it too. Returns the number it is known under.
    pub(crate) fn learn(&mut self, now: Millis, known: Known, age: Millis) -> u64 {
        let number = self.number();
        let (key, known) = match known {
            Known::Era(era, _) => {
                let until = match era {
                    Era::Modern => Millis(u64::MAX),
                    Era::Legacy => now + LEGACY_VERDICT_AGE.since(age),
                };
                self.era = Some((era, number, until));
                (Key::Era, Known::Era(era, number))
            }
            Known::Session(partition, session, _) => {
                self.keep(
                    partition,
                    Kept {
                        session: session.clone(),
                        number,
                        used: number,
                    },
                );
                (
                    Key::Session(partition),
                    Known::Session(partition, session, number),
                )
            }
        };
        for answer in self.end(key) {
            let _ = answer.send(Got::Claim(Claimed::Known(known.clone())));
        }
        number
    }

    fn keep(&mut self, partition: u64, kept: Kept) {
        let used = kept.used;
        if let Some(before) = self.sessions.insert(partition, kept) {
            self.by_use.remove(before.used);
        }
        self.by_use.insert(used, partition);
        while self.sessions.len() > self.max_sessions.max(1) {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            self.sessions.remove(oldest);
        }
    }

    /// `who` could not find out. See [`crate::exec::Io::fail`].
    pub(crate) fn fail(&mut self, key: Key, who: u64, trouble: Option<Trouble>) {
        if self.duties.get(key).is_none_or(|duty| duty.holder != who) {
            return;
        }
        match trouble {
            Some(trouble) => {
                for answer in self.end(key) {
                    let _ = answer.send(Got::Claim(Claimed::Failed(trouble.clone())));
                }
            }
            None => self.pass_on(key),
        }
    }

    fn end(&mut self, key: Key) -> Vec<oneshot::Sender<Got>> {
        self.duties
            .remove(key)
            .map(|mut duty| {
                core::iter::from_fn(|| duty.waiting.pop_first())
                    .map(|(_, answer)| answer)
                    .collect()
            })
            .unwrap_or_default()
    }

    fn pass_on(&mut self, key: Key) {
        let Some(duty) = self.duties.get_mut(key) else {
            return;
        };
        while let Some((who, answer)) = duty.waiting.pop_first() {
            if answer.send(Got::Claim(Claimed::Yours)).is_ok() {
                duty.holder = who;
                return;
            }
        }
        self.duties.remove(key);
    }

    /// Drops what was learnt under `number`, if nothing newer is known.
    pub(crate) fn forget(&mut self, key: Key, number: u64) {
        match key {
            Key::Era => {
                self.era.take_if(|(_, learnt, _)| *learnt == number);
            }
            Key::Session(partition) => {
                if self
                    .sessions
                    .get(partition)
                    .is_some_and(|kept| kept.number == number)
                    && let Some(kept) = self.sessions.remove(partition)
                {
                    self.by_use.remove(kept.used);
                }
            }
        }
    }

    /// `who` is gone: its duties pass on, and it waits for nothing. `keys`: what it ever claimed.
    pub(crate) fn release(&mut self, who: u64, keys: &[Key]) {
        self.breaker.release(who);
        for key in keys {
            if let Some(duty) = self.duties.get_mut(*key) {
                duty.waiting.remove(who);
                if duty.holder == who {
                    self.pass_on(*key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(link: &mut Link, now: Millis, key: Key, who: u64) -> oneshot::Receiver<Got> {
        let (answer, got) = oneshot::channel();
        link.claim(now, key, who, answer);
        got
    }

    fn claimed(got: &mut oneshot::Receiver<Got>) -> Option<Claimed> {
        match got.try_recv() {
            Ok(Some(Got::Claim(claimed))) => Some(claimed),
            _ => None,
        }
    }

    #[test]
    fn one_finds_out_and_all_know() {
        let mut link = Link::new(2);
        let mut first = claim(&mut link, Millis(0), Key::Era, 1);
        let mut second = claim(&mut link, Millis(0), Key::Era, 2);
        assert!(matches!(claimed(&mut first), Some(Claimed::Yours)));
        assert!(claimed(&mut second).is_none());
        link.learn(Millis(0), Known::Era(Era::Modern, 0), Millis(0));
        assert!(matches!(
            claimed(&mut second),
            Some(Claimed::Known(Known::Era(Era::Modern, _)))
        ));
        assert!(link.duties.is_empty());
    }

    #[test]
    fn a_duty_passes_on_when_its_holder_is_gone() {
        let mut link = Link::new(2);
        let _first = claim(&mut link, Millis(0), Key::Era, 1);
        let gone = claim(&mut link, Millis(0), Key::Era, 2);
        let mut third = claim(&mut link, Millis(0), Key::Era, 3);
        drop(gone);
        link.release(1, &[Key::Era]);
        assert!(matches!(claimed(&mut third), Some(Claimed::Yours)));
        // Only the holder can fail it.
        link.fail(Key::Era, 1, None);
        assert_eq!(link.duties.len(), 1);
        link.fail(Key::Era, 3, None);
        assert!(link.duties.is_empty());
    }

    #[test]
    fn whoever_ends_waits_for_nothing_any_more() {
        let mut link = Link::new(2);
        let _first = claim(&mut link, Millis(0), Key::Era, 1);
        let _second = claim(&mut link, Millis(0), Key::Era, 2);
        link.release(2, &[Key::Era]);
        let duty = link.duties.get(Key::Era).unwrap();
        assert!(duty.waiting.is_empty());
        assert_eq!(duty.holder, 1);
    }

    #[test]
    fn a_legacy_verdict_is_looked_at_again_after_a_day_and_a_modern_one_stays() {
        let mut link = Link::new(2);
        link.learn(Millis(5), Known::Era(Era::Legacy, 0), Millis(0));
        assert!(link.known(Millis(4) + LEGACY_VERDICT_AGE, Key::Era).is_some());
        assert!(link.known(Millis(5) + LEGACY_VERDICT_AGE, Key::Era).is_none());
        // One that was kept is as old as it is.
        link.learn(
            Millis(5),
            Known::Era(Era::Legacy, 0),
            LEGACY_VERDICT_AGE.since(Millis(7)),
        );
        assert!(link.known(Millis(11), Key::Era).is_some());
        assert!(link.known(Millis(12), Key::Era).is_none());
        link.learn(Millis(5), Known::Era(Era::Modern, 0), Millis(0));
        assert!(link.known(Millis(u64::MAX - 1), Key::Era).is_some());
    }

    #[test]
    fn forgets_the_session_least_recently_used() {
        let session = || {
            Arc::new(Session {
                id: None,
                version: "2025-11-25",
                credential: None,
                discover: String::new(),
                level: AtomicU32::new(0),
                aside: Aside::default(),
            })
        };
        let mut link = Link::new(2);
        for partition in [1, 2] {
            link.learn(Millis(0), Known::Session(partition, session(), 0), Millis(0));
        }
        assert!(link.known(Millis(0), Key::Session(1)).is_some());
        link.learn(Millis(0), Known::Session(3, session(), 0), Millis(0));
        assert!(link.known(Millis(0), Key::Session(2)).is_none());
        assert!(link.known(Millis(0), Key::Session(1)).is_some());
        assert_eq!((link.sessions.len(), link.by_use.len()), (2, 2));
    }

    #[test]
    fn forgets_only_what_it_was_told_about() {
        let mut link = Link::new(2);
        link.learn(Millis(0), Known::Era(Era::Legacy, 0), Millis(0));
        let Some(Known::Era(_, number)) = link.known(Millis(0), Key::Era) else {
            panic!()
        };
        link.learn(Millis(0), Known::Era(Era::Modern, 0), Millis(0));
        link.forget(Key::Era, number);
        assert!(link.known(Millis(0), Key::Era).is_some());
    }
}
