//! A request's way through the replica.
//!
//! [`Core::serve`] answers at once what needs no waiting, or gives a ticket and says which trip to start.
//! [`Core::settle`] takes the outcome of a trip. The caller does the trips: `leeward-sync`, or a host that has
//! only local tools.
//!
//! In order: `request` validates, `serve` identifies, limits and looks up, `plan` asks the policy, `flights`
//! joins trips, `check` has arguments judged, `settle` stores, `ask` brings the authority's questions to agents,
//! `listen` keeps subscriptions, `session` answers what belongs to a session, `streams` keeps those of sessions, `tasks`
//! knows whose a task is, `lists` merges local items and reads annotations, `render` writes, and `affinity` tells hosts
//! of many instances which of them answers.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

mod affinity;
mod agent;
mod ask;
mod batch;
mod check;
mod flights;
mod listen;
mod lists;
mod local;
mod plan;
mod render;
mod request;
mod serve;
mod session;
mod settle;
mod streams;
mod tasks;
mod trip;

pub use affinity::{Affinity, Passed};
pub use agent::{Caller, Due, Request, Served, Stats, Step, Verb};
pub use check::Verdict;
pub use trip::{Answer, Body, Forward, InputResponses, Sink, Trip, TripError};

use crate::border::{Ctx, FlightId, Millis, Ticket};
use crate::cache::{Digests, Partitions, Schemas, Seq, Store};
use crate::config::Config;
use crate::error::Error;
use crate::session::Sessions;
use ask::Question;
use flights::Flights;
use listen::Changes;
use local::Local;

#[cfg(test)]
mod tests;

/// The dispatcher, cache and policy of one replica.
#[derive(Debug)]
pub struct Core {
    config: Config,
    store: Store,
    partitions: Partitions,
    flights: Flights,
    local: Local,
    sessions: Sessions,
    due: Vec<Due>,
    /// Of the authority's tools; `None` where nobody judges arguments.
    schemas: Option<Schemas>,
    /// Of the last trip or invalidation.
    seq: Seq,
    /// What started before this is stale for everybody.
    floor: Seq,
    changes: Changes,
    asked: Vec<Question>,
    /// The last JSON-RPC id toward an agent.
    asked_last: u64,
    /// The monotonic clock, as last seen.
    mono: Millis,
    random: Digests,
    drawn: u64,
    stats: Stats,
}

impl Core {
    /// A replica with nothing stored. Until [`Core::seed`] nothing is cached.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            store: Store::new(config.limits.max_cache_bytes),
            partitions: Partitions::new(config.limits.max_partitions),
            config,
            flights: Flights::default(),
            local: Local::default(),
            sessions: Sessions::new(),
            due: Vec::new(),
            schemas: None,
            seq: Seq(0),
            floor: Seq(0),
            changes: Changes::default(),
            asked: Vec::new(),
            asked_last: 0,
            mono: Millis(0),
            random: Digests::new((0, 0)),
            drawn: 0,
            stats: Stats::default(),
        }
    }

    /// Takes 32 bytes of the host's entropy: the keys of the digests and of the jitter.
    pub fn seed(&mut self, seed: [u8; 32]) {
        let (chunks, _) = seed.as_chunks::<8>();
        let mut words = chunks.iter().map(|word| u64::from_le_bytes(*word));
        let mut next = || words.next().unwrap_or(0);
        self.store.seed(Digests::new((next(), next())));
        self.random = Digests::new((next(), next()));
        self.sessions.seed(&self.random);
    }

    /// A pseudo-random number that tells nothing of the next: a keyed hash of a counter, under the host's entropy. Two
    /// make a `requestState`, which counts for one principal only; no key is made of any.
    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.random.of(&self.drawn.to_le_bytes())
    }

    /// A name for a refusal that the host makes itself, for logs.
    pub fn draw_id(&mut self) -> u64 {
        self.draw()
    }

    /// The error object that an agent gets.
    fn error_json(&mut self, error: &Error) -> String {
        let correlation_id = format!("{:016x}", self.draw());
        error.to_json(&correlation_id)
    }

    /// Takes note of the clock, as [`Core::serve`] and [`Core::settle`] do. A step backward makes everything stored
    /// stale.
    pub fn tick(&mut self, mono: Millis) {
        if mono < self.mono {
            self.invalidate();
        }
        self.mono = mono;
    }

    /// Forgets a waiter. Returns its flight if that was the last waiter and the flight is no write: drop it.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<FlightId> {
        self.cancel_in_session(ticket);
        let flight = self.flights.of(ticket);
        let ended = self.flights.leave(ticket);
        if let Some(flight) = flight {
            self.give_up(flight);
        }
        ended
    }

    /// The flight that a ticket waits for.
    #[must_use]
    pub fn flight_of(&self, ticket: Ticket) -> Option<FlightId> {
        self.flights.of(ticket)
    }

    /// Whether somebody waits for a flight.
    #[must_use]
    pub fn is_awaited(&self, flight: FlightId) -> bool {
        self.flights
            .flight(flight)
            .is_some_and(|flight| !flight.waiters.is_empty())
    }

    /// Forgets all waiters under a context; returns the reads nobody waits for any more.
    pub fn forget(&mut self, ctx: Ctx) -> Vec<FlightId> {
        self.flights
            .tickets_of(ctx)
            .into_iter()
            .filter_map(|ticket| self.flights.leave(ticket))
            .collect()
    }

    /// Forgets a flight whose trip will never settle. Whoever still waits for it gets no answer from it: use
    /// [`Core::settle`] where somebody may.
    pub fn abandon(&mut self, flight: FlightId) {
        self.flights.remove(flight);
    }

    /// The first context other than `not` that waits for a flight.
    #[must_use]
    pub fn heir(&self, flight: FlightId, not: Ctx) -> Option<Ctx> {
        self.flights
            .flight(flight)?
            .waiters
            .iter()
            .map(|waiter| waiter.ctx)
            .find(|ctx| *ctx != not)
    }

    /// Registers a tool of the host's, or replaces it. `definition` is a raw JSON `Tool` object (2026-07-28,
    /// Tools); `rule` a policy rule of class `cache`, `live` (the default) or `through`. It hides a tool of the
    /// authority with the same name.
    ///
    /// # Errors
    /// `invalid_params` if the definition is no tool, `config_invalid` for a bad rule, `over_budget` past
    /// [`crate::limits::MAX_LOCAL`].
    pub fn register_tool(&mut self, definition: &str, rule: Option<&str>) -> Result<(), Error> {
        let name = self.local.add_tool(definition, rule)?;
        self.name_schema(&name);
        self.invalidate();
        Ok(())
    }

    /// Registers a resource of the host's, or replaces it. `definition` is a raw JSON `Resource` object.
    ///
    /// # Errors
    /// As [`Core::register_tool`].
    pub fn register_resource(&mut self, definition: &str, rule: Option<&str>) -> Result<(), Error> {
        self.local.add_resource(definition, rule)?;
        self.invalidate();
        Ok(())
    }

    /// Makes everything stored stale at once, and everything under way when it arrives.
    pub fn invalidate(&mut self) {
        self.floor = self.seq.advance();
    }

    /// A principal signed out: what was stored for it is stale at once, and what is under way when it arrives.
    pub fn sign_out(&mut self, principal: Option<&str>) {
        let floor = self.seq.advance();
        let caller = principal.map_or(Caller::Anonymous, |name| Caller::Principal(name.into()));
        if let Some(partition) = self.partitions.of(&caller) {
            partition.floor = floor;
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (entries, bytes, evicted) = self.store.figures();
        Stats {
            entries: entries as u64,
            bytes: bytes as u64,
            evicted,
            flights: self.flights.count() as u64,
            waiters: self.flights.waiters() as u64,
            subscriptions: self.flights.listens() as u64,
            sessions: self.sessions.count() as u64,
            ..self.stats
        }
    }
}
