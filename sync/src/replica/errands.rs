//! What a replica does for no agent: the flows that obtain and end grants, and what the host asked for.
//!
//! Each has a number among those of flights, counted from the far end, so that the desk keeps its context alive as it does
//! for a flight. A context that is gone takes its flows along; others who wait for the same grant have it obtained anew.

use alloc::string::String;

use leeward::border::{Credential, Errand, ErrandId, FlightId};
use leeward::{Ctx, Now, Output};

use super::Replica;
use crate::exec::TaskId;
use crate::flow::{self, Obtained, Secret};
use crate::grants::{Asker, Wish, signed_out};
use crate::limits::MAX_ERRANDS;
use crate::oauth::{self, Granted};
use crate::trouble::Trouble;

/// The first number, which a host's double still holds exactly; then downwards.
pub(super) const FIRST_JOB: u64 = (1 << 53) - 1;

/// One of them.
#[derive(Debug)]
pub(super) struct Job {
    /// Whose I/O it is, or who is told.
    owner: Ctx,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A seat's flow obtains a grant.
    Obtain(TaskId, u64),
    /// A seat's flow ends a grant, for the host; `late`: one that came when its principal had signed out.
    SignOut { task: TaskId, seat: u64, late: bool },
    /// A flow takes a redirect, for the host: which, and since when.
    Finish {
        task: TaskId,
        awaited: Option<String>,
        since: u64,
    },
    /// The host waits for a seat's flow.
    Waits,
}

impl Replica {
    /// Asks something of the replica itself, for no agent; drive `ctx` until [`Output::Errand`] comes.
    ///
    /// # Limits
    /// With 256 errands under way, further ones fail as `over_budget`.
    pub fn errand(&mut self, now: Now, ctx: Ctx, errand: Errand) -> ErrandId {
        self.enter(now, ctx);
        let flight = self.draw_job();
        let id = ErrandId(flight.0);
        self.desk.own(ctx, flight);
        if self.upstream.oauth.is_none() || self.upstream.url.is_none() {
            self.tell(ctx, id, Err(Trouble::unasked()));
        } else if self.jobs.len() >= MAX_ERRANDS {
            self.tell(ctx, id, Err(Trouble::crowded()));
        } else {
            let kind = match errand {
                Errand::Credential { principal, refused } => {
                    let at = self.clock.now();
                    let principal = principal.as_deref();
                    let refused = refused.map(|refused| {
                        let number = self.link.grants.number_of(principal, refused.token.as_deref());
                        (number, refused)
                    });
                    let asker = Asker::Errand(id);
                    self.link
                        .grants
                        .claim(at, principal, Wish { asker, ctx, refused });
                    Some(Kind::Waits)
                }
                Errand::Callback { query, caller } => {
                    let awaited = oauth::awaited(&query);
                    // The vault may still have what is being used.
                    let fresh = awaited.is_none() || !self.finishes(awaited.as_ref());
                    fresh.then(|| {
                        let flow = flow::finish(self.upstream.clone(), query, caller);
                        Kind::Finish {
                            task: self.executor.start(flight, ctx, flow),
                            awaited,
                            since: self.link.grants.number(),
                        }
                    })
                }
                Errand::SignOut { principal } => Some(self.part(flight, ctx, principal, false)),
            };
            if let Some(kind) = kind {
                self.jobs.insert(flight, Job { owner: ctx, kind });
            } else {
                self.tell(ctx, id, Err(oauth::stranger()));
            }
        }
        self.run(now);
        id
    }

    /// Whether such a redirect is being taken.
    fn finishes(&self, redirect: Option<&String>) -> bool {
        let same = |flight: FlightId| {
            let kind = self.jobs.get(flight).map(|job| &job.kind);
            matches!(kind, Some(Kind::Finish { awaited, .. }) if awaited.as_ref() == redirect)
        };
        self.jobs.keys().any(same)
    }

    /// Begins to end the grant of a principal.
    fn part(&mut self, flight: FlightId, ctx: Ctx, principal: Option<String>, late: bool) -> Kind {
        let seat = self.link.grants.sign_out(principal.as_deref());
        self.stop(seat);
        self.core.sign_out(principal.as_deref());
        let flow = flow::sign_out(self.upstream.clone(), principal);
        let task = self.executor.start(flight, ctx, flow);
        Kind::SignOut { task, seat, late }
    }

    fn draw_job(&mut self) -> FlightId {
        self.next_job = self.next_job.saturating_sub(1);
        FlightId(self.next_job)
    }

    /// Starts the flows that grants need, and tells the host what became of its errands.
    pub(super) fn oblige(&mut self) {
        while let Some((seat, ctx, why)) = self.link.grants.poll() {
            if self.jobs.len() >= MAX_ERRANDS {
                let at = self.clock.now();
                self.link.grants.done(at, seat, Err(Trouble::crowded()));
                continue;
            }
            let flight = self.draw_job();
            self.desk.own(ctx, flight);
            let principal = self.link.grants.principal(seat);
            let flow = flow::obtain(self.upstream.clone(), principal, why);
            let kind = Kind::Obtain(self.executor.start(flight, ctx, flow), seat);
            self.jobs.insert(flight, Job { owner: ctx, kind });
        }
        while let Some((id, result)) = self.link.grants.poll_told() {
            if let Some(job) = self.jobs.remove(FlightId(id.0)) {
                let result = result.map(|granted| granted.map(|granted| self.credential(&granted)));
                self.tell(job.owner, id, result);
            }
        }
    }

    /// A job's flow ended. False if there is no such job.
    pub(super) fn done(&mut self, flight: FlightId, result: Result<Obtained, Trouble>) -> bool {
        let Some(job) = self.jobs.remove(flight) else {
            return false;
        };
        let (at, id) = (self.clock.now(), ErrandId(flight.0));
        match (job.kind, result) {
            (Kind::Obtain(_, seat), result) => {
                let granted = result.map(|obtained| match obtained {
                    Obtained::Grant(granted) => granted,
                    _ => None,
                });
                let before = self.link.grants.identity(seat);
                self.link.grants.done(at, seat, granted);
                if before.is_some() && self.link.grants.identity(seat) != before {
                    // Maybe nobody waits any more whose answer would tell.
                    let principal = self.link.grants.principal(seat);
                    self.core.sign_out(principal.as_deref());
                }
                self.desk.disown(job.owner, flight);
            }
            (Kind::SignOut { seat, late, .. }, result) => {
                self.link.grants.done(at, seat, Ok(None));
                let result = if late {
                    Err(signed_out())
                } else {
                    result.map(|_| None)
                };
                self.tell(job.owner, id, result);
            }
            (Kind::Finish { since, .. }, Ok(Obtained::Finished(principal, _)))
                if self.link.grants.ended_since(principal.as_deref(), since) =>
            {
                let kind = self.part(flight, job.owner, principal, true);
                self.jobs.insert(flight, Job { kind, ..job });
            }
            (_, Ok(Obtained::Finished(principal, granted))) => {
                // It may be of another user of the authority's: what the one before was shown is not for that one.
                self.core.sign_out(principal.as_deref());
                let credential = self.credential(&granted);
                self.link.grants.learn(at, principal.as_deref(), granted);
                self.tell(job.owner, id, Ok(Some(credential)));
            }
            (_, result) => self.tell(job.owner, id, result.map(|_| None)),
        }
        true
    }

    /// A context is gone, and with it a job of its. False if there is no such job.
    pub(super) fn forsake(&mut self, flight: FlightId, gone: Ctx) -> bool {
        let Some(job) = self.jobs.remove(flight) else {
            return false;
        };
        let (task, seat) = match job.kind {
            Kind::Obtain(task, seat) | Kind::SignOut { task, seat, .. } => (task, Some(seat)),
            Kind::Finish { task, .. } => (task, None),
            Kind::Waits => {
                self.link.grants.leave(ErrandId(flight.0));
                return true;
            }
        };
        self.executor.cancel(task, &mut self.link, &mut self.desk);
        if let Some(seat) = seat {
            self.link.grants.abandoned(self.clock.now(), seat, gone);
        }
        true
    }

    /// Ends the flow of a seat.
    fn stop(&mut self, seat: u64) {
        let task_of = |flight: FlightId| match self.jobs.get(flight)?.kind {
            Kind::Obtain(task, of) | Kind::SignOut { task, seat: of, .. } if of == seat => {
                Some((flight, task))
            }
            _ => None,
        };
        let found = self.jobs.keys().find_map(task_of);
        if let Some((flight, task)) = found
            && let Some(job) = self.jobs.remove(flight)
        {
            self.executor.cancel(task, &mut self.link, &mut self.desk);
            match job.kind {
                // Another sign-out takes its place.
                Kind::SignOut { .. } => self.tell(job.owner, ErrandId(flight.0), Ok(None)),
                _ => self.desk.disown(job.owner, flight),
            }
        }
    }

    fn credential(&self, granted: &Granted) -> Credential {
        let Secret(token) = granted.token.clone();
        Credential {
            token,
            identity: Some(granted.identity.clone()),
            expires_in: granted.expires.map(|at| at.since(self.clock.now())),
        }
    }

    fn tell(&mut self, ctx: Ctx, id: ErrandId, result: Result<Option<Credential>, Trouble>) {
        let result = result.map_err(Trouble::told);
        self.desk.push(ctx, Output::Errand { id, result });
        self.desk.disown(ctx, FlightId(id.0));
    }
}
