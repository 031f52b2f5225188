//! The replica: what every host drives.
//!
//! It joins the core (which decides), the flows (which talk to the authority) and the desk (which holds what
//! each context has to do), and it settles what becomes of a flight whose owner is gone. It decides nothing
//! about requests and parses nothing. Any input is safe, late, repeated and spurious ones included.

mod errands;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use leeward::border::{Event, FlightId, LocalCall};
use leeward::dispatch::{Due, Forward, InputResponses, Passed, Sink, Stats, Trip, Verdict};
use leeward::mcp::subscription::Change;
use leeward::table::Table;
use leeward::{
    Affinity, Config, Core, Ctx, Error, Input, Millis, Now, Output, Reply, Request, Served, Ticket,
};

use self::errands::{FIRST_JOB, Job};
use crate::clock::Clock;
use crate::desk::Desk;
use crate::exec::{Executor, Happening, Outcome, Sent, TaskId};
use crate::flow::{self, Secret, Upstream};
use crate::link::{Era, Link};
use crate::seed::Seed;
use crate::trouble::Trouble;

/// What the host can do, told once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host {
    /// For hosts that bind I/O to a request: how long a context may be silent before its reads are handed to
    /// other waiters. `None`: contexts never expire, and are remembered until [`Input::Gone`] while they wait for
    /// something, own a trip, or have outputs left.
    pub lease: Option<Millis>,
    /// The host answers [`Output::Credential`]; otherwise the configuration's token is used.
    pub credentials: bool,
    /// The host keeps sessions of session-era agents: it passes on every [`leeward::Verb`], names its connections, and
    /// outlives its requests, which are all of [`Ctx::SHARED`]. Otherwise session-era agents are served without a
    /// session, as are requests of other contexts.
    pub sessions: bool,
    /// The host does [`Output::Save`], and gives what it kept to [`Replica::restore`] when it starts again.
    pub store: bool,
    /// The host judges arguments of tools: it answers [`Served::Check`] by [`Replica::serve_judged`].
    pub judges: bool,
    /// The host has a vault: it does [`Output::Load`] and [`Output::Keep`]. Otherwise the replica remembers grants itself,
    /// as long as it lives.
    pub vault: bool,
    /// The host brings users to authorization pages: it does [`Output::Redirect`] and [`Output::Authorize`].
    pub authorizes: bool,
    /// The host signs: it does [`Output::Sign`].
    pub signs: bool,
}

/// A replica of one authority, with local tools beside it. `Send`, not shared.
pub struct Replica {
    core: Core,
    clock: Clock,
    desk: Desk,
    executor: Executor,
    link: Link,
    seed: Seed,
    upstream: Arc<Upstream>,
    flights: Table<FlightId, Flight>,
    jobs: Table<FlightId, Job>,
    next_job: u64,
}

impl fmt::Debug for Replica {
    /// Counters only: what is inside carries arguments and credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("stats", &self.core.stats())
            .finish_non_exhaustive()
    }
}

/// Decided where a concrete host is spawned; asserted here so that no flow takes it away.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Replica>();
};

/// A trip under way.
#[derive(Debug)]
struct Flight {
    task: TaskId,
    owner: Ctx,
    cargo: Cargo,
    /// Set while the world may have a request that has an effect.
    sent: Sent,
}

/// What is needed to start a trip again.
#[derive(Clone, Debug)]
enum Cargo {
    Forward(Arc<Forward>),
    Local(LocalCall),
}

impl Cargo {
    fn of(trip: Trip) -> Self {
        match trip {
            Trip::Forward(forward) => Self::Forward(Arc::new(forward)),
            Trip::Local(call) => Self::Local(call),
        }
    }

    /// Whether a second start may double an effect. A local tool may do anything.
    fn is_write(&self) -> bool {
        match self {
            Self::Forward(forward) => forward.write,
            Self::Local(call) => matches!(call, LocalCall::Tool { .. }),
        }
    }
}

impl Replica {
    /// A replica with nothing stored. Its first output (under [`Ctx::SHARED`] or whichever context polls
    /// first) is [`Output::Entropy`]; answer it before the first request, else that request bypasses the cache.
    #[must_use]
    pub fn new(config: Config, host: Host) -> Self {
        let authority = config.authority.as_ref();
        let upstream = Upstream {
            url: authority.map(|authority| authority.url.clone()),
            version: authority.and_then(|authority| authority.protocol_version),
            token: authority
                .and_then(|authority| authority.token.clone())
                .map(Secret),
            hook: host.credentials,
            oauth: authority.and_then(|authority| authority.oauth.clone()),
            authorizes: host.authorizes,
            max_bytes: config.limits.max_response_bytes,
            timeout: Millis(config.limits.request_timeout_ms.min(config.limits.max_request_ms)),
            longest: Millis(config.limits.max_request_ms),
            seed: [0; 4],
        };
        let (lease, max_partitions) = (host.lease, config.limits.max_partitions);
        let mut link = Link::new(max_partitions);
        if let Some(version) = upstream.version {
            link.pin(Era::of(version));
        }
        let mut core = Core::new(config);
        if host.sessions {
            core.keep_sessions();
        }
        if host.store {
            core.store_sessions();
        }
        if host.judges {
            core.check_arguments();
        }
        Self {
            clock: Clock::default(),
            desk: Desk::new(lease),
            executor: Executor::new(host),
            link,
            seed: Seed::new(),
            upstream: Arc::new(upstream),
            flights: Table::new(),
            jobs: Table::new(),
            next_job: FIRST_JOB,
            core,
        }
    }

    /// Takes up the sessions whose records a host kept, by their keys. For the start, before the first request: with
    /// more than [`leeward::limits::MAX_SESSIONS`] the rest is dropped, as is what is damaged.
    pub fn restore(&mut self, now: Now, records: impl IntoIterator<Item = (String, Vec<u8>)>) {
        for (key, record) in records {
            if !self.core.restore(now.mono, &key, &record) {
                self.desk.event(Ctx::SHARED, Event::SessionDropped);
                self.desk.push(Ctx::SHARED, Output::Save { key, record: None });
            }
        }
    }

    /// Receives one message of an agent. An answer that needs no waiting is appended to `out`; otherwise drive
    /// `request.ctx` until its reply comes.
    ///
    /// # Limits
    /// With [`leeward::limits::MAX_CONTEXTS`] contexts busy, a request of yet another one that would have to wait
    /// is refused as `over_budget`.
    pub fn serve(&mut self, now: Now, request: Request<'_>, out: &mut Vec<u8>) -> Served {
        self.serve_judged(now, request, None, out)
    }

    /// As [`Replica::serve`], for a message that was answered [`Served::Check`]: see [`Core::serve_judged`].
    pub fn serve_judged(
        &mut self,
        now: Now,
        request: Request<'_>,
        verdict: Option<Verdict<'_>>,
        out: &mut Vec<u8>,
    ) -> Served {
        let ctx = request.ctx;
        self.enter(now, ctx);
        self.seed.request(|asked| self.desk.knows(asked));
        // Without room for another context only what needs no waiting is answered.
        let peek = request.peek || !self.desk.has_room(ctx);
        let asked = Request { peek, ..request };
        let step = self.core.serve_judged(now, asked, verdict, out);
        for ticket in step.cancel {
            self.cancel(ticket);
        }
        if let Served::Wait(ticket) = step.served {
            self.desk.wait(ctx, ticket);
        }
        if let Some((flight, trip)) = step.start {
            self.start(flight, ctx, Cargo::of(trip));
        }
        if let Some((flight, responses)) = step.answered {
            self.bring(flight, responses);
        }
        let served = match step.served {
            Served::Absent if !request.peek => self.core.refuse_for_room(&request, out),
            served => served,
        };
        self.run(now);
        served
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Now, ctx: Ctx, input: Input) {
        // An answer that comes with the tick of its own deadline still counts.
        self.advance(now, ctx);
        match input {
            Input::Cancel { ticket } if self.core.detach(ticket) => self.desk.cancel(ticket),
            Input::Cancel { ticket } => self.cancel(ticket),
            Input::Dropped { ticket } if self.core.fall_behind(ticket) => self.desk.cancel(ticket),
            Input::Dropped { ticket } => {
                let mut post = Post {
                    desk: &mut self.desk,
                    ctx,
                };
                if let Some(flight) = self.core.dropped(ticket, &mut post) {
                    self.end(flight);
                }
            }
            Input::Gone => self.leave(now, ctx),
            Input::Entropy { op, bytes } => {
                if let Some(seed) = self.seed.answer(op, &bytes) {
                    self.core.seed(seed);
                    let words = words(&seed);
                    self.link.seed(words[0], words[1]);
                    Arc::make_mut(&mut self.upstream).seed = words;
                } else {
                    self.executor.answer(Input::Entropy { op, bytes }, &mut self.desk);
                }
            }
            Input::Tick => {}
            input => self.executor.answer(input, &mut self.desk),
        }
        self.expire(now);
        self.run(now);
    }

    /// What to do next under `ctx`; `None` when there is nothing until the next input.
    pub fn poll_output(&mut self, ctx: Ctx) -> Option<Output> {
        if let Some(output) = self.seed.poll(ctx, || self.executor.next_op()) {
            return Some(output);
        }
        let output = self.desk.poll(ctx)?;
        self.executor.taken(&output);
        Some(output)
    }

    /// When to call [`Replica::handle`] with [`Input::Tick`] for `ctx` (on the monotonic clock), if nothing else
    /// happens first.
    pub fn poll_timeout(&mut self, ctx: Ctx) -> Option<Millis> {
        let at = [self.executor.timeout(ctx), self.desk.timeout(ctx)]
            .into_iter()
            .flatten()
            .min()?;
        Some(self.clock.to_host(at))
    }

    /// A context that got outputs through a call made for another one, each named once until polled: the host
    /// must wake its loop. Never [`Ctx::SHARED`] on hosts without leases that poll after every call.
    pub fn poll_woken(&mut self) -> Option<Ctx> {
        self.desk.poll_woken()
    }

    /// Whether a request is still to be answered: it was neither answered nor given up.
    #[must_use]
    pub fn waits(&self, ticket: Ticket) -> bool {
        self.core.flight_of(ticket).is_some()
    }

    /// See [`Core::register_tool`].
    ///
    /// # Errors
    /// As there.
    pub fn register_tool(&mut self, definition: &str, rule: Option<&str>) -> Result<(), Error> {
        self.core.register_tool(definition, rule)?;
        self.announce(Change::Tools);
        Ok(())
    }

    /// See [`Core::register_resource`].
    ///
    /// # Errors
    /// As there.
    pub fn register_resource(&mut self, definition: &str, rule: Option<&str>) -> Result<(), Error> {
        self.core.register_resource(definition, rule)?;
        self.announce(Change::Resources);
        Ok(())
    }

    fn announce(&mut self, list: Change) {
        let ctx = self.desk.current();
        let mut post = Post {
            desk: &mut self.desk,
            ctx,
        };
        for flight in self.core.announce(list, &mut post) {
            self.end(flight);
        }
        self.pay();
    }

    /// Makes everything stored stale at once.
    pub fn invalidate(&mut self) {
        self.core.invalidate();
    }

    /// Who is to answer a request, where many instances serve one endpoint.
    #[must_use]
    pub fn affinity(&self, request: &Request<'_>) -> Affinity {
        self.core.affinity(request, !self.link.is_modern())
    }

    /// See [`Core::pass_on`].
    #[must_use]
    pub fn pass_on(&self, request: &Request<'_>) -> Passed {
        self.core.pass_on(request)
    }

    /// See [`Core::overhear`].
    pub fn overhear(&mut self, now: Now, passed: &Passed, raw: &str) {
        self.core.overhear(now.mono, passed, raw);
    }

    /// See [`Core::abandon_passed`].
    pub fn abandon_passed(&mut self, now: Now, passed: &Passed) {
        self.core.abandon_passed(now.mono, passed);
    }

    /// See [`Core::refuse_abandoned`].
    pub fn refuse_abandoned(
        &mut self,
        now: Now,
        passed: &Passed,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Served {
        self.core.refuse_abandoned(now.mono, passed, request, out)
    }

    /// See [`Core::draw_id`].
    pub fn draw_id(&mut self) -> u64 {
        self.core.draw_id()
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        self.core.config()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            withheld: self.link.breaker.withheld(),
            down: u64::from(self.link.breaker.is_open()),
            ..self.core.stats()
        }
    }

    fn advance(&mut self, now: Now, ctx: Ctx) {
        // The core, too, sees every reading: a step back between two messages must not pass it by.
        self.core.tick(now.mono);
        let at = self.clock.advance(now.mono);
        self.executor.advance(now.unix);
        self.desk.enter(at, ctx);
    }

    fn enter(&mut self, now: Now, ctx: Ctx) {
        self.advance(now, ctx);
        self.expire(now);
    }

    /// Ends what has run out: contexts, then timers.
    fn expire(&mut self, now: Now) {
        while let Some(ctx) = self.desk.expired() {
            match self.desk.spare(ctx) {
                Some(owned) => owned.into_iter().for_each(|id| self.hand_over(id, ctx)),
                None => self.leave(now, ctx),
            }
        }
        self.executor.fire(self.clock.now(), &mut self.desk);
    }

    fn start(&mut self, flight: FlightId, owner: Ctx, cargo: Cargo) {
        self.desk.own(owner, flight);
        let sent = Sent::default();
        let task = match &cargo {
            Cargo::Forward(forward) => {
                let flow = flow::forward(self.upstream.clone(), forward.clone(), sent.clone());
                self.executor.start(flight, owner, flow)
            }
            Cargo::Local(call) => {
                let flow = flow::local(call.clone(), self.upstream.timeout, sent.clone());
                self.executor.start(flight, owner, flow)
            }
        };
        self.flights.insert(
            flight,
            Flight {
                task,
                owner,
                cargo,
                sent,
            },
        );
    }

    /// Drops a flight that nobody waits for.
    fn end(&mut self, id: FlightId) -> Option<Flight> {
        let flight = self.flights.remove(id)?;
        self.executor.cancel(flight.task, &mut self.link, &mut self.desk);
        self.desk.disown(flight.owner, id);
        Some(flight)
    }

    fn cancel(&mut self, ticket: Ticket) {
        let waited_for = self.core.flight_of(ticket);
        if let Some(flight) = self.core.cancel(ticket) {
            self.end(flight);
        } else if let Some(id) = waited_for.filter(|id| !self.core.is_awaited(*id))
            && self.flights.get(id).is_some_and(|flight| !flight.sent.is_set())
        {
            // A write that nobody has yet: its caller will take it for not done.
            self.end(id);
            self.core.abandon(id);
        }
        self.desk.cancel(ticket);
    }

    /// A context is late: a read that others wait for does not wait for it, nor do others for what it has to
    /// find out.
    fn hand_over(&mut self, id: FlightId, from: Ctx) {
        let heir = self.core.heir(id, from);
        let movable = |flight: &Flight| match heir {
            Some(_) => !(flight.cargo.is_write() && flight.sent.is_set()),
            None => !flight.sent.is_set(),
        };
        if self.flights.get(id).is_some_and(movable)
            && let Some(flight) = self.end(id)
        {
            let heir = heir.unwrap_or(from);
            self.start(id, heir, flight.cargo);
        }
    }

    /// A context is gone: its outputs and tickets are forgotten; each flight it owned goes to an heir if it may
    /// be started again, and settles otherwise.
    fn leave(&mut self, now: Now, ctx: Ctx) {
        let owned = self.desk.remove(ctx);
        self.seed.gone(ctx);
        for flight in self.core.forget(ctx) {
            self.end(flight);
        }
        for id in owned {
            if self.forsake(id, ctx) {
                continue;
            }
            let Some(flight) = self.end(id) else { continue };
            let sent_write = flight.cargo.is_write() && flight.sent.is_set();
            match self.core.heir(id, ctx) {
                Some(heir) if !sent_write => self.start(id, heir, flight.cargo),
                None if !flight.cargo.is_write() => self.core.abandon(id),
                _ => self.settle(now, id, Err(Trouble::abandoned().into_error(sent_write))),
            }
        }
    }

    /// Lets the flows go on, and the core hear of what they brought.
    fn run(&mut self, now: Now) {
        loop {
            self.pay();
            self.oblige();
            let happening = self
                .executor
                .step(self.clock.now(), &mut self.link, &mut self.desk);
            let Some(happening) = happening else {
                if self.link.grants.is_settled() {
                    return;
                }
                continue;
            };
            match happening {
                Happening::Done(id, result) => {
                    self.done(id, result);
                }
                // It panicked.
                Happening::Settled(id, _) if self.done(id, Err(Trouble::internal("an errand failed"))) => {}
                Happening::Settled(id, outcome) => {
                    self.settle(now, id, outcome);
                    if let Some(flight) = self.flights.remove(id) {
                        self.desk.disown(flight.owner, id);
                    }
                }
                Happening::Relay(id, notification) => {
                    let mut post = post(&mut self.desk, &self.flights, id);
                    if self.core.relay(id, &notification, &mut post) {
                        self.end(id);
                    }
                }
                Happening::Input(id, requests) => {
                    let flight = self.flights.get(id).map(|flight| &flight.cargo);
                    let Some(Cargo::Forward(forward)) = flight else {
                        continue;
                    };
                    let forward = forward.clone();
                    let mut post = post(&mut self.desk, &self.flights, id);
                    if let Some(refused) = self.core.ask(id, &forward.params, &requests, &mut post) {
                        self.bring(id, refused);
                    }
                }
                Happening::Lost(id) => self.core.lost(id),
            }
        }
    }

    /// Does what came of a call to the core besides its outcome.
    fn pay(&mut self) {
        while let Some(due) = self.core.poll_due() {
            match due {
                Due::Start(flight, trip) => self.start(flight, self.desk.current(), Cargo::of(trip)),
                Due::End(flight) => {
                    self.end(flight);
                }
                Due::Reply(ctx, reply) => {
                    self.desk.reply(ctx, reply);
                }
                Due::Answered(flight, responses) => self.bring(flight, responses),
                Due::Save { key, record } => {
                    self.desk.push(self.desk.current(), Output::Save { key, record });
                }
            }
        }
    }

    /// An agent answered what it was asked.
    fn bring(&mut self, id: FlightId, responses: InputResponses) {
        if let Some(flight) = self.flights.get(id) {
            self.executor.inputs(flight.task, responses, self.clock.now());
        }
    }

    fn settle(&mut self, now: Now, id: FlightId, outcome: Outcome) {
        let mut post = post(&mut self.desk, &self.flights, id);
        self.core.settle(now, id, outcome, &mut post);
    }
}

/// Brings what the core says to the desk.
struct Post<'a> {
    desk: &'a mut Desk,
    /// Whose host hears of events.
    ctx: Ctx,
}

fn post<'a>(desk: &'a mut Desk, flights: &Table<FlightId, Flight>, id: FlightId) -> Post<'a> {
    let ctx = flights.get(id).map_or(desk.current(), |flight| flight.owner);
    Post { desk, ctx }
}

impl Sink for Post<'_> {
    fn reply(&mut self, ctx: Ctx, reply: Reply) -> bool {
        self.desk.reply(ctx, reply)
    }

    fn event(&mut self, event: Event) {
        self.desk.event(self.ctx, event);
    }
}

fn words(seed: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(seed.chunks_exact(8)) {
        *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}
