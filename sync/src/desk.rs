//! The outputs that wait to be polled, per context, and what is known of each context: whom it waits for, what
//! it owns, until when it is believed alive.
//!
//! A context is remembered while it has something here: outputs, flights it owns, or tickets it waits with.
//! Every look-up, removal and scan goes through an index. Expiry is only *found* here; its consequences are the
//! replica's ([`crate::Replica`]).

use alloc::vec::Vec;
use core::fmt;

use leeward::border::{Event, FlightId};
use leeward::limits::{MAX_CONTEXTS, MAX_OUTPUTS};
use leeward::table::{Map, Set, Table};
use leeward::{Ctx, Millis, Output, Reply, Ticket};

/// Where a queued output stands.
pub(crate) type Place = (Ctx, u64);

/// See the module.
pub(crate) struct Desk {
    lease: Option<Millis>,
    contexts: Table<Ctx, Context>,
    outputs: Table<Place, Output>,
    /// Queued replies by ticket.
    replies: Map<(Ticket, u64), Ctx>,
    /// Tickets of contexts other than [`Ctx::SHARED`], which always counts as waiting.
    tickets: Map<Ticket, Ctx>,
    /// Ends of leases.
    leases: Set<(Millis, Ctx)>,
    /// Ends of the leases of contexts that own flights.
    owners: Set<(Millis, Ctx)>,
    woken: Set<Ctx>,
    current: Ctx,
    now: Millis,
    next: u64,
}

#[derive(Default)]
struct Context {
    /// End of the lease, if contexts have one.
    until: Option<Millis>,
    flights: Set<FlightId>,
    waiting: Set<Ticket>,
    outputs: usize,
    /// Silent for a whole lease: the next end of its lease is its own.
    late: bool,
    /// Named to the host as woken since it last polled.
    named: bool,
}

impl Context {
    fn is_idle(&self) -> bool {
        self.flights.is_empty() && self.waiting.is_empty() && self.outputs == 0
    }
}

impl Desk {
    /// `lease`: how long a context may be silent; `None`: for ever.
    pub(crate) fn new(lease: Option<Millis>) -> Self {
        Self {
            // Half of it must still be a span.
            lease: lease.map(|span| span.max(Millis(2))),
            contexts: Table::new(),
            outputs: Table::new(),
            replies: Map::new(),
            tickets: Map::new(),
            leases: Set::new(),
            owners: Set::new(),
            woken: Set::new(),
            current: Ctx::SHARED,
            now: Millis(0),
            next: 0,
        }
    }

    /// A call made for `ctx` begins: its lease is renewed.
    pub(crate) fn enter(&mut self, now: Millis, ctx: Ctx) {
        self.now = now;
        self.current = ctx;
        self.renew(ctx);
    }

    /// When the call in progress began.
    pub(crate) const fn now(&self) -> Millis {
        self.now
    }

    /// The context of the call in progress.
    pub(crate) const fn current(&self) -> Ctx {
        self.current
    }

    fn renew(&mut self, ctx: Ctx) {
        let (Some(lease), Some(context)) = (self.lease, self.contexts.get_mut(ctx)) else {
            return;
        };
        context.late = false;
        self.extend(ctx, lease);
    }

    fn extend(&mut self, ctx: Ctx, lease: Millis) {
        let Some(context) = self.contexts.get_mut(ctx) else {
            return;
        };
        let until = self.now + lease;
        let Some(before) = context.until.filter(|before| *before != until) else {
            return;
        };
        context.until = Some(until);
        self.leases.remove((before, ctx));
        self.leases.insert((until, ctx));
        if self.owners.remove((before, ctx)) {
            self.owners.insert((until, ctx));
        }
    }

    /// A context whose lease has ended.
    pub(crate) fn expired(&self) -> Option<Ctx> {
        self.leases
            .first()
            .filter(|(until, _)| *until <= self.now)
            .map(|(_, ctx)| ctx)
    }

    /// A context whose lease has ended for the first time may only be late (the whole host may have been frozen):
    /// it gets another one. Returns the flights it owns; `None` if it was late already.
    pub(crate) fn spare(&mut self, ctx: Ctx) -> Option<Vec<FlightId>> {
        let lease = self.lease?;
        let context = self.contexts.get_mut(ctx)?;
        if core::mem::replace(&mut context.late, true) {
            return None;
        }
        let owned = context.flights.iter().collect();
        self.extend(ctx, lease);
        Some(owned)
    }

    /// Whether a request of `ctx` may wait here.
    pub(crate) fn has_room(&self, ctx: Ctx) -> bool {
        self.contexts.len() < MAX_CONTEXTS || self.knows(ctx)
    }

    /// Whether something of `ctx` is here. [`Ctx::SHARED`] never goes away.
    pub(crate) fn knows(&self, ctx: Ctx) -> bool {
        ctx == Ctx::SHARED || self.contexts.has(ctx)
    }

    fn context(&mut self, ctx: Ctx) -> &mut Context {
        let until = self
            .lease
            .filter(|_| ctx != Ctx::SHARED)
            .map(|lease| self.now + lease);
        let leases = &mut self.leases;
        self.contexts.get_or_insert_with(ctx, || {
            if let Some(until) = until {
                leases.insert((until, ctx));
            }
            Context {
                until,
                ..Context::default()
            }
        })
    }

    /// A request waits under `ctx`.
    pub(crate) fn wait(&mut self, ctx: Ctx, ticket: Ticket) {
        if ctx != Ctx::SHARED && self.tickets.insert(ticket, ctx).is_none() {
            self.context(ctx).waiting.insert(ticket);
        }
    }

    fn leave(&mut self, ticket: Ticket) {
        if let Some(ctx) = self.tickets.remove(ticket)
            && let Some(context) = self.contexts.get_mut(ctx)
        {
            context.waiting.remove(ticket);
        }
    }

    /// A request was given up: replies still queued for it are withdrawn.
    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        let ctx = self.tickets.get(ticket);
        self.leave(ticket);
        while let Some((reply, ctx)) = self.replies.first_in((ticket, 0)..=(ticket, u64::MAX)) {
            self.replies.remove(reply);
            self.withdraw((ctx, reply.1));
        }
        if let Some(ctx) = ctx {
            self.tidy(ctx);
        }
    }

    /// `ctx` does the I/O of a flight from now on.
    pub(crate) fn own(&mut self, ctx: Ctx, flight: FlightId) {
        let context = self.context(ctx);
        context.flights.insert(flight);
        if let Some(until) = context.until {
            self.owners.insert((until, ctx));
        }
    }

    /// A flight of `ctx` ended.
    pub(crate) fn disown(&mut self, ctx: Ctx, flight: FlightId) {
        if let Some(context) = self.contexts.get_mut(ctx) {
            context.flights.remove(flight);
            if context.flights.is_empty()
                && let Some(until) = context.until
            {
                self.owners.remove((until, ctx));
            }
        }
        self.tidy(ctx);
    }

    /// Forgets a context and all that waits for it; returns the flights it owned.
    pub(crate) fn remove(&mut self, ctx: Ctx) -> Vec<FlightId> {
        let Some(context) = self.contexts.remove(ctx) else {
            return Vec::new();
        };
        if let Some(until) = context.until {
            self.leases.remove((until, ctx));
            self.owners.remove((until, ctx));
        }
        self.woken.remove(ctx);
        while let Some((place, output)) = first_of(&mut self.outputs, ctx) {
            if let Output::Reply(reply) = output {
                self.replies.remove((reply.ticket, place.1));
            }
        }
        for ticket in context.waiting.iter() {
            self.tickets.remove(ticket);
        }
        context.flights.iter().collect()
    }

    /// Queues an output; `None` if the context is unknown, and with it whoever would act on it.
    pub(crate) fn push(&mut self, ctx: Ctx, output: Output) -> Option<Place> {
        if ctx == Ctx::SHARED {
            self.context(ctx);
        }
        let context = self.contexts.get_mut(ctx)?;
        let place = (ctx, self.next);
        self.next = self.next.saturating_add(1);
        context.outputs += 1;
        if ctx != self.current && !context.named && (ctx != Ctx::SHARED || self.lease.is_some()) {
            self.woken.insert(ctx);
        }
        self.outputs.insert(place, output);
        Some(place)
    }

    /// Queues a message for an agent. Messages that precede the response are dropped when the queue is full;
    /// responses never are: there is one per waiter. False if it was dropped.
    pub(crate) fn reply(&mut self, ctx: Ctx, reply: Reply) -> bool {
        let ticket = reply.ticket;
        if reply.last {
            self.leave(ticket);
        } else if self.is_full(ctx) {
            return false;
        }
        if let Some((_, at)) = self.push(ctx, Output::Reply(reply)) {
            self.replies.insert((ticket, at), ctx);
        }
        true
    }

    /// Queues an event, unless the queue is full or nobody would see it.
    pub(crate) fn event(&mut self, ctx: Ctx, event: Event) {
        if !self.is_full(ctx) {
            self.push(ctx, Output::Event(event));
        }
    }

    fn is_full(&self, ctx: Ctx) -> bool {
        self.contexts
            .get(ctx)
            .is_some_and(|context| context.outputs >= MAX_OUTPUTS)
    }

    /// Takes back an output that was not polled yet.
    pub(crate) fn withdraw(&mut self, place: Place) {
        if self.outputs.remove(place).is_some() {
            if let Some(context) = self.contexts.get_mut(place.0) {
                context.outputs = context.outputs.saturating_sub(1);
            }
            self.tidy(place.0);
        }
    }

    /// The next output of `ctx`.
    pub(crate) fn poll(&mut self, ctx: Ctx) -> Option<Output> {
        self.renew(ctx);
        let context = self.contexts.get_mut(ctx)?;
        context.named = false;
        let Some((place, output)) = first_of(&mut self.outputs, ctx) else {
            self.woken.remove(ctx);
            return None;
        };
        context.outputs = context.outputs.saturating_sub(1);
        if let Output::Reply(reply) = &output {
            self.replies.remove((reply.ticket, place.1));
        }
        self.tidy(ctx);
        Some(output)
    }

    /// The next context to wake.
    pub(crate) fn poll_woken(&mut self) -> Option<Ctx> {
        let ctx = self.woken.pop_first()?;
        if let Some(context) = self.contexts.get_mut(ctx) {
            context.named = true;
        }
        Some(ctx)
    }

    /// When `ctx` should call next, as far as leases go: half a lease after its last call if anything depends on
    /// it, and when another owner's lease ends, so that a waiter takes over.
    pub(crate) fn timeout(&self, ctx: Ctx) -> Option<Millis> {
        let context = self.contexts.get(ctx);
        let waits = ctx == Ctx::SHARED || context.is_some_and(|context| !context.waiting.is_empty());
        let busy = waits || context.is_some_and(|context| !context.flights.is_empty());
        let beat = match (self.lease, context.and_then(|context| context.until)) {
            (Some(lease), Some(until)) if busy => Some(until.since(Millis(lease.0.div_ceil(2)))),
            _ => None,
        };
        let mut owners = self.owners.iter().filter(|(_, owner)| *owner != ctx);
        let others = if waits {
            owners.next().map(|(until, _)| until)
        } else {
            None
        };
        [beat, others].into_iter().flatten().min()
    }

    fn tidy(&mut self, ctx: Ctx) {
        if self.contexts.get(ctx).is_some_and(Context::is_idle) {
            self.remove(ctx);
        }
    }
}

fn first_of(outputs: &mut Table<Place, Output>, ctx: Ctx) -> Option<(Place, Output)> {
    let place = outputs.first_in((ctx, 0)..=(ctx, u64::MAX))?;
    outputs.remove(place).map(|output| (place, output))
}

impl fmt::Debug for Desk {
    /// Counts only: queued requests carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("contexts", &self.contexts.len())
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Millis = Millis(5_000);

    fn event(desk: &mut Desk, ctx: Ctx) {
        desk.event(ctx, Event::AuthorityVersion { version: "v".into() });
    }

    #[test]
    fn a_waiter_looks_after_the_owners_of_others_flights() {
        let mut desk = Desk::new(Some(LEASE));
        desk.enter(Millis(0), Ctx(1));
        desk.own(Ctx(1), FlightId(1));
        desk.enter(Millis(3_000), Ctx(2));
        desk.wait(Ctx(2), Ticket(1));
        assert_eq!(desk.timeout(Ctx(1)), Some(Millis(2_500)));
        assert_eq!(desk.timeout(Ctx(2)), Some(Millis(5_000)));
        assert_eq!(desk.timeout(Ctx::SHARED), Some(Millis(5_000)));
        desk.enter(Millis(5_000), Ctx(2));
        assert_eq!(desk.expired(), Some(Ctx(1)));
        assert_eq!(desk.remove(Ctx(1)), [FlightId(1)]);
        assert_eq!(desk.expired(), None);
        assert_eq!(desk.timeout(Ctx(2)), Some(Millis(7_500)));
    }

    #[test]
    fn polling_renews_the_lease() {
        let mut desk = Desk::new(Some(LEASE));
        desk.enter(Millis(0), Ctx(1));
        desk.own(Ctx(1), FlightId(1));
        desk.enter(Millis(4_000), Ctx(2));
        desk.poll(Ctx(1));
        desk.enter(Millis(5_000), Ctx(2));
        assert_eq!(desk.expired(), None);
        desk.enter(Millis(9_000), Ctx(2));
        assert_eq!(desk.expired(), Some(Ctx(1)));
    }

    #[test]
    fn names_a_context_again_only_after_it_polled() {
        let mut desk = Desk::new(None);
        desk.own(Ctx(1), FlightId(1));
        desk.enter(Millis(0), Ctx(2));
        event(&mut desk, Ctx(1));
        event(&mut desk, Ctx::SHARED);
        assert_eq!((desk.poll_woken(), desk.poll_woken()), (Some(Ctx(1)), None));
        event(&mut desk, Ctx(1));
        assert_eq!(desk.poll_woken(), None);
        while desk.poll(Ctx(1)).is_some() {}
        event(&mut desk, Ctx(1));
        assert_eq!(desk.poll_woken(), Some(Ctx(1)));
    }

    #[test]
    fn remembers_a_context_only_while_something_of_it_is_here() {
        let mut desk = Desk::new(Some(LEASE));
        event(&mut desk, Ctx(1));
        assert!(!desk.knows(Ctx(1)));
        desk.wait(Ctx(1), Ticket(1));
        desk.own(Ctx(1), FlightId(1));
        event(&mut desk, Ctx(1));
        desk.cancel(Ticket(1));
        desk.disown(Ctx(1), FlightId(1));
        assert!(desk.knows(Ctx(1)));
        assert!(desk.poll(Ctx(1)).is_some());
        assert!(!desk.knows(Ctx(1)));
        assert!(desk.leases.is_empty() && desk.owners.is_empty() && desk.tickets.is_empty());
        assert!(desk.outputs.is_empty() && desk.replies.is_empty() && desk.woken.is_empty());
    }
}
