//! The grants that a replica holds, one per principal, and who waits for them.
//!
//! What is good is given at once. What is missing, refused or about to expire is for one flow per principal to obtain
//! (`oauth`); it is nobody's trip, so that a login which takes minutes outlives the requests that wait for it. Whoever
//! waited is judged anew when it ends, so one token serves all whose own was refused, and no other. Nothing here does
//! I/O or asks for it: [`Grants::poll`] says for whom a flow is to be started.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use futures::channel::oneshot;
use leeward::border::{ErrandId, Refused};
use leeward::{Ctx, Millis};

use crate::exec::Got;
use crate::limits::{GRANT_PAUSE, GRANT_PAUSE_MOST, MAX_GRANTS, MAX_STEP_UPS, MAX_STEPS, STEP_UP_PAUSE};
use crate::oauth::{Granted, Why};
use crate::trouble::Trouble;

/// What a trip goes out with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// `None`: without a token. The authority's refusal tells how to have one.
    pub(crate) granted: Option<Arc<Granted>>,
    /// Names the token; 0 for none.
    pub(crate) number: u64,
    /// What the authority wants in proofs (RFC 9449 §9).
    pub(crate) nonce: Option<Arc<str>>,
}

/// Who wants to know.
#[derive(Debug)]
pub(crate) enum Asker {
    /// A trip.
    Trip(oneshot::Sender<Got>),
    /// The host.
    Errand(ErrandId),
}

/// A wish that may have to wait.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) asker: Asker,
    /// Whose I/O would obtain it.
    pub(crate) ctx: Ctx,
    /// The number of the token that was refused, and how.
    pub(crate) refused: Option<(u64, Refused)>,
}

/// What a wish of the host came to.
pub(crate) type Told = (ErrandId, Result<Option<Arc<Granted>>, Trouble>);

/// What a flow does for a principal.
#[derive(Debug)]
enum Work {
    Obtain(Why),
    SignOut,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    /// The last used is the last.
    seats: Vec<Seat>,
    /// Flows to start, by their seats.
    wanted: Vec<(u64, Ctx, Why)>,
    told: Vec<Told>,
    nonce: Option<Arc<str>>,
    last: u64,
}

/// One principal's.
#[derive(Debug)]
struct Seat {
    number: u64,
    principal: Option<String>,
    held: Option<Hold>,
    /// The vault was asked, and had nothing.
    looked: bool,
    /// What the flow under way does.
    flow: Option<Work>,
    waiting: Vec<Wish>,
    /// When its principal signed out last.
    ended: u64,
    /// Flows that failed in a row; the last failure stands until then.
    failures: u32,
    failed: Option<(Trouble, Millis)>,
    /// Challenges that asked for more scopes: how often, since when.
    steps: Vec<(Option<String>, u32, Millis)>,
}

#[derive(Debug)]
struct Hold {
    granted: Arc<Granted>,
    number: u64,
}

/// What becomes of a wish.
enum Verdict {
    Give(Option<(Arc<Granted>, u64)>),
    Fail(Trouble),
    Wait(Why),
}

impl Grants {
    /// Somebody wants the grant of a principal.
    pub(crate) fn claim(&mut self, now: Millis, principal: Option<&str>, wish: Wish) {
        let mut seat = self.take(principal);
        seat.waiting.retain(Wish::is_awaited);
        self.judge(now, &mut seat, wish);
        self.seats.push(seat);
    }

    /// What authorities want in proofs from now on.
    pub(crate) fn learn_nonce(&mut self, nonce: String) {
        self.nonce = Some(nonce.into());
    }

    /// Whether there is nothing to start or tell.
    pub(crate) fn is_settled(&self) -> bool {
        self.wanted.is_empty() && self.told.is_empty()
    }

    /// The number of a principal's token, if it is the one that is held.
    pub(crate) fn number_of(&self, principal: Option<&str>, token: Option<&str>) -> u64 {
        let seat = self
            .seats
            .iter()
            .find(|seat| seat.principal.as_deref() == principal);
        let held = seat.and_then(|seat| seat.held.as_ref());
        held.filter(|held| Some(&*held.granted.token.0) == token)
            .map_or(0, |held| held.number)
    }

    /// The host does not wait any more.
    pub(crate) fn leave(&mut self, errand: ErrandId) {
        let other = |wish: &Wish| !matches!(wish.asker, Asker::Errand(id) if id == errand);
        for seat in &mut self.seats {
            seat.waiting.retain(other);
        }
    }

    /// For whom a flow is to be started, whose I/O is the context's.
    pub(crate) fn poll(&mut self) -> Option<(u64, Ctx, Why)> {
        self.wanted.pop()
    }

    /// What is to be told to the host.
    pub(crate) fn poll_told(&mut self) -> Option<Told> {
        self.told.pop()
    }

    /// Whose seat it is.
    pub(crate) fn principal(&self, number: u64) -> Option<String> {
        let seat = self.seats.iter().find(|seat| seat.number == number)?;
        seat.principal.clone()
    }

    /// The name of the grant that a seat holds.
    pub(crate) fn identity(&self, number: u64) -> Option<String> {
        let seat = self.seats.iter().find(|seat| seat.number == number)?;
        let held = seat.held.as_ref()?;
        Some(held.granted.identity.clone())
    }

    /// A seat's flow ended.
    pub(crate) fn done(&mut self, now: Millis, number: u64, result: Result<Option<Granted>, Trouble>) {
        let Some(mut seat) = self.take_by(number) else {
            return;
        };
        let work = seat.flow.take();
        let waiting = core::mem::take(&mut seat.waiting);
        let trouble = match result {
            Ok(Some(granted)) => {
                self.hold(&mut seat, granted);
                None
            }
            Ok(None) => {
                (seat.held, seat.looked) = (None, true);
                None
            }
            Err(trouble) => {
                seat.fails(now, &trouble);
                Some(trouble)
            }
        };
        let tried = matches!(work, Some(Work::Obtain(Why::Refused(_))));
        for wish in waiting {
            match (seat.verdict(now, wish.refused.as_ref()), &trouble) {
                (Verdict::Wait(_), Some(trouble)) => self.answer(wish.asker, Err(trouble.clone())),
                // It was the refused one again.
                (Verdict::Wait(_), None) if tried => self.answer(wish.asker, Err(refused())),
                _ => self.judge(now, &mut seat, wish),
            }
        }
        self.seats.push(seat);
    }

    /// A seat's flow went away with its context: another one's does it, if anybody else waits.
    pub(crate) fn abandoned(&mut self, now: Millis, number: u64, gone: Ctx) {
        let Some(mut seat) = self.take_by(number) else {
            return;
        };
        seat.flow = None;
        for wish in core::mem::take(&mut seat.waiting) {
            if wish.ctx != gone && wish.is_awaited() {
                self.judge(now, &mut seat, wish);
            }
        }
        self.seats.push(seat);
    }

    /// A principal's grant came about elsewhere.
    pub(crate) fn learn(&mut self, now: Millis, principal: Option<&str>, granted: Granted) {
        let mut seat = self.take(principal);
        self.hold(&mut seat, granted);
        for wish in core::mem::take(&mut seat.waiting) {
            self.judge(now, &mut seat, wish);
        }
        self.seats.push(seat);
    }

    /// A principal signs out: nothing is held any more, and whoever wants a grant waits for the flow that does the rest,
    /// which the caller starts, in place of the one under way. Returns the seat's number.
    pub(crate) fn sign_out(&mut self, principal: Option<&str>) -> u64 {
        let mut seat = self.take(principal);
        let number = seat.number;
        for wish in core::mem::take(&mut seat.waiting) {
            self.answer(wish.asker, Err(signed_out()));
        }
        seat.ended = self.number();
        self.wanted.retain(|(seat, ..)| *seat != number);
        (seat.held, seat.failed) = (None, None);
        seat.flow = Some(Work::SignOut);
        self.seats.push(seat);
        number
    }

    /// Whether the principal signed out after that number was given.
    pub(crate) fn ended_since(&self, principal: Option<&str>, number: u64) -> bool {
        let of = |seat: &&Seat| seat.principal.as_deref() == principal;
        self.seats.iter().find(of).is_some_and(|seat| seat.ended > number)
    }

    /// The next number: of a seat, a token, or a moment.
    pub(crate) fn number(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    /// A principal's seat, to be put back.
    fn take(&mut self, principal: Option<&str>) -> Seat {
        let of = |seat: &Seat| seat.principal.as_deref() == principal;
        let known = self.seats.iter().position(of);
        if let Some(at) = known {
            return self.seats.remove(at);
        }
        if self.seats.len() >= MAX_GRANTS
            && let Some(idle) = self.seats.iter().position(|seat| seat.flow.is_none())
        {
            self.seats.remove(idle);
        }
        Seat {
            number: self.number(),
            principal: principal.map(Into::into),
            held: None,
            looked: false,
            flow: None,
            waiting: Vec::new(),
            ended: 0,
            failures: 0,
            failed: None,
            steps: Vec::new(),
        }
    }

    fn take_by(&mut self, number: u64) -> Option<Seat> {
        let at = self.seats.iter().position(|seat| seat.number == number)?;
        Some(self.seats.remove(at))
    }

    fn judge(&mut self, now: Millis, seat: &mut Seat, wish: Wish) {
        match seat.verdict(now, wish.refused.as_ref()) {
            Verdict::Give(given) => {
                self.answer(wish.asker, Ok(given));
                // Renewed ahead of its end, while it still serves.
                let due = seat.held.as_ref().and_then(|held| held.granted.expires);
                if due.is_some_and(|due| due <= now) && seat.flow.is_none() && seat.rests(now).is_none() {
                    self.want(seat, wish.ctx, Why::First);
                }
            }
            Verdict::Fail(trouble) => self.answer(wish.asker, Err(trouble)),
            Verdict::Wait(why) => {
                if seat.flow.is_none() {
                    seat.count(now, &why);
                    self.want(seat, wish.ctx, why);
                }
                seat.waiting.push(wish);
            }
        }
    }

    fn want(&mut self, seat: &mut Seat, ctx: Ctx, why: Why) {
        seat.flow = Some(Work::Obtain(why.clone()));
        self.wanted.push((seat.number, ctx, why));
    }

    fn answer(&mut self, asker: Asker, result: Result<Option<(Arc<Granted>, u64)>, Trouble>) {
        match asker {
            Asker::Trip(answer) => {
                let held = result.map(|given| Held {
                    number: given.as_ref().map_or(0, |(_, number)| *number),
                    granted: given.map(|(granted, _)| granted),
                    nonce: self.nonce.clone(),
                });
                let _ = answer.send(Got::Grant(held));
            }
            Asker::Errand(id) => {
                let granted = result.map(|given| given.map(|(granted, _)| granted));
                self.told.push((id, granted));
            }
        }
    }

    fn hold(&mut self, seat: &mut Seat, granted: Granted) {
        let before = seat.held.take();
        let number = match before.filter(|before| before.granted.token == granted.token) {
            Some(before) => before.number,
            None => self.number(),
        };
        seat.held = Some(Hold {
            granted: Arc::new(granted),
            number,
        });
        (seat.failures, seat.failed) = (0, None);
    }
}

impl Wish {
    fn is_awaited(&self) -> bool {
        match &self.asker {
            Asker::Trip(answer) => !answer.is_canceled(),
            Asker::Errand(_) => true,
        }
    }
}

impl Seat {
    fn verdict(&self, now: Millis, refused: Option<&(u64, Refused)>) -> Verdict {
        let held = self.held.as_ref();
        let good = held.filter(|held| held.granted.over.is_none_or(|end| now < end));
        let other = good.filter(|held| refused.is_none_or(|(number, _)| held.number != *number));
        if let Some(held) = other {
            return Verdict::Give(Some((held.granted.clone(), held.number)));
        }
        let why = match refused {
            Some((_, refused)) => Why::Refused(refused.clone()),
            // Also while a user is asked: the authority may want nothing for this request.
            None if held.is_none() && self.looked => return Verdict::Give(None),
            None => Why::First,
        };
        if self.flow.is_some() {
            // Judged anew when that ends.
            return Verdict::Wait(why);
        }
        if let Some(trouble) = self.rests(now) {
            return Verdict::Fail(trouble.clone());
        }
        match &why {
            Why::Refused(refused) if refused.status == 403 && self.stepped(now, refused) => {
                let message = "the authority keeps asking for more scopes than the grant has";
                Verdict::Fail(Trouble::authorization("insufficient_scope", message))
            }
            _ => Verdict::Wait(why),
        }
    }

    /// The failure that still stands.
    fn rests(&self, now: Millis) -> Option<&Trouble> {
        let failed = self.failed.as_ref().filter(|(_, until)| now < *until);
        failed.map(|(trouble, _)| trouble)
    }

    /// A flow failed. After some failures in a row the last one stands for a while, so that nobody is sent to an
    /// authorization page again and again.
    fn fails(&mut self, now: Millis, trouble: &Trouble) {
        self.failures = self.failures.saturating_add(1);
        if let Some(times) = self.failures.checked_sub(3)
            && !trouble.has_link()
        {
            let pause = Millis(GRANT_PAUSE.0 << times.min(16)).min(GRANT_PAUSE_MOST);
            self.failed = Some((trouble.clone(), now + pause));
        }
    }

    /// Whether there were too many attempts to satisfy a challenge (2026-07-28, Authorization, Step-Up Authorization
    /// Flow).
    fn stepped(&self, now: Millis, refused: &Refused) -> bool {
        let known = self.steps.iter().find(|(of, ..)| *of == refused.challenge);
        known.is_some_and(|(_, times, since)| *times >= MAX_STEP_UPS && now.since(*since) < STEP_UP_PAUSE)
    }

    /// A flow is to begin.
    fn count(&mut self, now: Millis, why: &Why) {
        let Why::Refused(refused) = why else { return };
        if refused.status != 403 {
            return;
        }
        self.steps
            .retain(|(_, _, since)| now.since(*since) < STEP_UP_PAUSE);
        match self.steps.iter_mut().find(|(of, ..)| *of == refused.challenge) {
            Some((_, times, _)) => *times += 1,
            None => {
                self.steps.truncate(MAX_STEPS - 1);
                self.steps.insert(0, (refused.challenge.clone(), 1, now));
            }
        }
    }
}

pub(crate) fn signed_out() -> Trouble {
    Trouble::authorization("signed_out", "the principal signed out")
}

fn refused() -> Trouble {
    Trouble::authorization("refused", "the authority refused the credential")
}

#[cfg(test)]
mod tests;
