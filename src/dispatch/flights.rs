//! Flights: trips under way, and who waits for each.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::agent::Caller;
use super::listen::Subscription;
use super::plan::Plan;
use super::request::{Asked, Era, Method};
use crate::border::{Ctx, FlightId, Millis, Ticket};
use crate::cache::{SchemaId, Seq};
use crate::mcp::meta::LogLevel;
use crate::provenance::State;
use crate::session::{SessionKey, StreamKey};
use crate::table::{Map, Set, Table};

/// To whom an answer is addressed, and in which form.
#[derive(Clone, Debug)]
pub(super) struct Recipient {
    /// Raw JSON-RPC id.
    pub(super) id: Box<str>,
    pub(super) era: Era,
    /// The answer to `initialize`, in this version, is made from that of `server/discover`.
    pub(super) initialize: Option<&'static str>,
    /// It belongs to a session.
    pub(super) session: Option<SessionKey>,
}

impl Recipient {
    pub(super) fn of(asked: &Asked<'_>) -> Self {
        let initialize = (asked.method == Method::Initialize)
            .then(|| asked.wanted.unwrap_or(crate::mcp::names::LEGACY[0]));
        Self {
            id: asked.id.into(),
            era: asked.era,
            initialize,
            session: asked.session,
        }
    }
}

/// One request that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) ticket: Ticket,
    pub(super) ctx: Ctx,
    pub(super) connection: u64,
    pub(super) to: Recipient,
    /// Raw progress token.
    pub(super) progress: Option<Box<str>>,
    pub(super) log_level: Option<LogLevel>,
    /// Where its messages go, if not straight to whoever holds the ticket.
    pub(super) stream: Option<StreamKey>,
    pub(super) collapsed: bool,
}

/// One trip.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) caller: Caller,
    pub(super) partition: u64,
    pub(super) method: Method,
    /// Tool, prompt, resource or task.
    pub(super) name: Option<String>,
    pub(super) has_cursor: bool,
    pub(super) plan: Plan,
    /// Digest and canonical key, where the answer may be stored.
    pub(super) key: Option<(u64, Box<[u8]>)>,
    pub(super) seq: Seq,
    /// What the arguments were found sound by.
    pub(super) schema: Option<SchemaId>,
    pub(super) started: Millis,
    /// What the lookup found.
    pub(super) prior: State,
    /// To the authority, not to a tool of the host.
    pub(super) forwarded: bool,
    /// Its answer may be a task.
    pub(super) may_be_task: bool,
    /// It is one, with one waiter.
    pub(super) subscription: Option<Subscription>,
    pub(super) waiters: Vec<Waiter>,
}

/// All trips under way, indexed by key, ticket and context.
#[derive(Debug, Default)]
pub(super) struct Flights {
    flights: Table<FlightId, Flight>,
    /// By partition and digest: a trip's outcome may be one that only its own principal may see.
    by_digest: Map<(u64, u64), FlightId>,
    tickets: Map<Ticket, FlightId>,
    by_ctx: Set<(Ctx, Ticket)>,
    /// How many are subscriptions.
    listens: usize,
    last_flight: u64,
    last_ticket: u64,
}

impl Flights {
    /// Those that end by themselves.
    pub(super) fn count(&self) -> usize {
        self.flights.len() - self.listens
    }

    /// Those who wait for one that ends by itself.
    pub(super) fn waiters(&self) -> usize {
        self.tickets.len().saturating_sub(self.listens)
    }

    /// Subscriptions.
    pub(super) const fn listens(&self) -> usize {
        self.listens
    }

    /// Subscriptions that are no session's, and how many of them are a caller's.
    pub(super) fn stateless_listens(&self, caller: &Caller) -> (usize, usize) {
        let stateless = |flight: &&Flight| {
            let mut waiters = flight.waiters.iter();
            flight.subscription.is_some() && waiters.all(|waiter| waiter.to.session.is_none())
        };
        let all = self.flights.values().filter(stateless);
        all.fold((0, 0), |(all, own), flight| {
            (all + 1, own + usize::from(flight.caller == *caller))
        })
    }

    /// The subscriptions.
    pub(super) fn listening(&self) -> Vec<FlightId> {
        let mut all = Vec::new();
        for (ticket, id) in self.tickets.iter() {
            let first = self.flight(id).filter(|flight| flight.subscription.is_some());
            if first
                .and_then(|flight| flight.waiters.first())
                .is_some_and(|waiter| waiter.ticket == ticket)
            {
                all.push(id);
            }
        }
        all
    }

    pub(super) fn subscription(&mut self, id: FlightId) -> Option<&mut Subscription> {
        self.flights.get_mut(id)?.subscription.as_mut()
    }

    pub(super) fn start(&mut self, flight: Flight) -> FlightId {
        self.last_flight = self.last_flight.saturating_add(1);
        let id = FlightId(self.last_flight);
        if let Some((digest, _)) = &flight.key {
            self.by_digest.insert((flight.partition, *digest), id);
        }
        self.listens += usize::from(flight.subscription.is_some());
        self.flights.insert(id, flight);
        id
    }

    /// The newest trip for a key that started at or after `floor`.
    pub(super) fn under_way(
        &self,
        partition: u64,
        digest: u64,
        canonical: &[u8],
        floor: Seq,
    ) -> Option<FlightId> {
        let id = self.by_digest.get((partition, digest))?;
        let flight = self.flights.get(id)?;
        let same = flight.key.as_ref().is_some_and(|(_, key)| **key == *canonical);
        (same && flight.seq >= floor).then_some(id)
    }

    pub(super) fn wait(
        &mut self,
        id: FlightId,
        ctx: Ctx,
        connection: u64,
        asked: &Asked<'_>,
        collapsed: bool,
    ) -> Ticket {
        let ticket = self.ticket();
        if let Some(flight) = self.flights.get_mut(id) {
            flight.waiters.push(Waiter {
                ticket,
                ctx,
                connection,
                to: Recipient::of(asked),
                progress: asked.meta.progress.map(Into::into),
                log_level: asked.meta.log_level,
                stream: None,
                collapsed,
            });
            self.tickets.insert(ticket, id);
            self.by_ctx.insert((ctx, ticket));
        }
        ticket
    }

    pub(super) fn flight(&self, id: FlightId) -> Option<&Flight> {
        self.flights.get(id)
    }

    /// Takes a trip out, with everybody who waits for it.
    pub(super) fn remove(&mut self, id: FlightId) -> Option<Flight> {
        let flight = self.flights.remove(id)?;
        self.listens -= usize::from(flight.subscription.is_some());
        if let Some((digest, _)) = &flight.key
            && self.by_digest.get((flight.partition, *digest)) == Some(id)
        {
            self.by_digest.remove((flight.partition, *digest));
        }
        for waiter in &flight.waiters {
            self.tickets.remove(waiter.ticket);
            self.by_ctx.remove((waiter.ctx, waiter.ticket));
        }
        Some(flight)
    }

    /// Takes a waiter out. Returns the trip, taken out too, if nobody waits for it any more and it is no write.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<FlightId> {
        let id = self.tickets.remove(ticket)?;
        let flight = self.flights.get_mut(id)?;
        if let Some(at) = flight.waiters.iter().position(|waiter| waiter.ticket == ticket) {
            let waiter = flight.waiters.swap_remove(at);
            self.by_ctx.remove((waiter.ctx, ticket));
        }
        if flight.waiters.is_empty() && !flight.plan.write {
            self.remove(id);
            return Some(id);
        }
        None
    }

    /// The answer depends on more than its key: nobody else joins, and it is not stored.
    pub(super) fn keep_apart(&mut self, id: FlightId) {
        if let Some(flight) = self.flights.get_mut(id)
            && let Some((digest, _)) = flight.key.take()
            && self.by_digest.get((flight.partition, digest)) == Some(id)
        {
            self.by_digest.remove((flight.partition, digest));
        }
    }

    pub(super) fn of(&self, ticket: Ticket) -> Option<FlightId> {
        self.tickets.get(ticket)
    }

    /// A ticket that waits for no trip.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.last_ticket = self.last_ticket.saturating_add(1);
        Ticket(self.last_ticket)
    }

    pub(super) fn waiter(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        let waiters = &mut self.flights.get_mut(self.tickets.get(ticket)?)?.waiters;
        waiters.iter_mut().find(|waiter| waiter.ticket == ticket)
    }

    /// Takes a waiter out, and leaves the trip be.
    pub(super) fn part(&mut self, ticket: Ticket) -> Option<Waiter> {
        let id = self.tickets.remove(ticket)?;
        let waiters = &mut self.flights.get_mut(id)?.waiters;
        let at = waiters.iter().position(|waiter| waiter.ticket == ticket)?;
        let waiter = waiters.swap_remove(at);
        self.by_ctx.remove((waiter.ctx, ticket));
        Some(waiter)
    }

    /// Those who wait for one trip but its first, and what they are for, wait for another.
    pub(super) fn pass_on(&mut self, from: FlightId, to: FlightId) {
        let Some(flight) = self.flights.get_mut(from) else {
            return;
        };
        let waiters: Vec<Waiter> = flight.waiters.drain(1.min(flight.waiters.len())..).collect();
        let pending = flight
            .subscription
            .as_mut()
            .map(|subscription| core::mem::take(&mut subscription.pending));
        if let Some(flight) = self.flights.get_mut(to) {
            if let Some(subscription) = &mut flight.subscription {
                subscription.pending = pending.unwrap_or_default();
            }
            for waiter in &waiters {
                self.tickets.insert(waiter.ticket, to);
            }
            flight.waiters.extend(waiters);
        }
    }

    /// Everybody who waits for something of a session.
    pub(super) fn tickets_in(&self, session: SessionKey) -> Vec<Ticket> {
        let waiters = self.flights.values().flat_map(|flight| &flight.waiters);
        waiters
            .filter(|waiter| waiter.to.session == Some(session))
            .map(|waiter| waiter.ticket)
            .collect()
    }

    /// The tickets under a context.
    pub(super) fn tickets_of(&self, ctx: Ctx) -> Vec<Ticket> {
        self.by_ctx
            .range((ctx, Ticket(0))..=(ctx, Ticket(u64::MAX)))
            .map(|(_, ticket)| ticket)
            .collect()
    }

    /// The ticket of a request by its session, else its connection, and raw id.
    pub(super) fn ticket_of(&self, session: Option<SessionKey>, connection: u64, id: &str) -> Option<Ticket> {
        let mine = |waiter: &&Waiter| {
            let place = match session {
                Some(_) => waiter.to.session == session,
                None => connection != 0 && waiter.connection == connection,
            };
            place && *waiter.to.id == *id
        };
        self.flights
            .values()
            .find_map(|flight| flight.waiters.iter().find(mine))
            .map(|waiter| waiter.ticket)
    }
}
