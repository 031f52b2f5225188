//! The loop of one context: carries the replica's outputs into the world and brings back what happened.
//!
//! In an isolate that is the context of one request: the loop does only what that is told, with I/O of its own request.
//! It goes on after the client has its answer, or has left, for as long as something of its context is under way,
//! within [`LINGER`]. In an object it is [`Ctx::SHARED`], which never ends: I/O there belongs to the object, and one loop
//! does that of all its requests.

use core::future::{Future as _, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;
use std::collections::BTreeMap;

use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use leeward::{Ctx, Failure, Input, Millis, OpId, Output, Reply, Served, Ticket};
use worker::Delay;
use worker::wasm_bindgen_futures::JsFuture;

use crate::authorize::{Done as Undertaken, Seat, undertake};
use crate::client::Client;
use crate::host::{Arrival, Handle, Host};
use crate::runtime;
use crate::upstream::{Done, Fetch};

/// How long the loop goes on without a client; the runtime itself ends it after 30 seconds.
const LINGER: Millis = Millis::from_secs(25);
/// Longest timer set at once.
const MAX_DELAY: Millis = Millis::from_secs(600);
/// How long stopped reads get to notice it.
const DRAIN: Duration = Duration::from_secs(1);

/// The loop of one context.
pub(crate) struct Driver {
    host: Handle,
    ctx: Ctx,
    /// Whoever still waits, by what for.
    clients: BTreeMap<Ticket, Client>,
    fetches: BTreeMap<OpId, Fetch>,
    under_way: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    /// How many of those are neither fetches nor reads.
    asked: usize,
    /// What an isolate's loop asks objects with.
    seat: Option<Seat>,
    bell: Option<JsFuture>,
    /// The timer that runs, and when it is due.
    timer: Option<(Millis, Pin<Box<Delay>>)>,
    /// When to end, whatever is under way; set once nobody waits for a context that ends.
    end: Option<Millis>,
}

enum Woke {
    Done(Done),
    Bell,
    Gone(Ticket),
    Time,
}

impl Driver {
    /// A loop for `ctx`, with the client that waits for a ticket's reply if there is one. That of [`Ctx::SHARED`] takes
    /// more of them as they arrive.
    pub(crate) fn new(host: Handle, ctx: Ctx, waits: Option<(Ticket, Client)>) -> Self {
        let ends = waits.is_none() && ctx != Ctx::SHARED;
        Self {
            host,
            ctx,
            clients: waits.into_iter().collect(),
            fetches: BTreeMap::new(),
            under_way: FuturesUnordered::new(),
            asked: 0,
            seat: None,
            bell: None,
            timer: None,
            end: ends.then(|| runtime::now().mono + LINGER),
        }
    }

    /// The same for the request of an isolate's, within which its objects are asked.
    pub(crate) fn with_seat(self, seat: Seat) -> Self {
        let seat = Some(seat);
        Self { seat, ..self }
    }

    /// Runs to its end.
    pub(crate) async fn run(mut self) {
        loop {
            self.settle();
            if self.is_over() {
                break;
            }
            self.listen();
            match self.wake().await {
                Woke::Done(done) => self.take(done),
                Woke::Bell => self.bell = None,
                Woke::Gone(ticket) => self.cancel(ticket),
                Woke::Time => self.tick(),
            }
        }
        self.finish().await;
    }

    /// Hangs up a bell. Nothing is missed: since the replica last said that there is nothing to do, no other
    /// request has run.
    fn listen(&mut self) {
        if self.bell.is_none() {
            let (rung, ring) = runtime::bell();
            self.host.with(|host| host.hang(self.ctx, ring));
            self.bell = Some(rung);
        }
    }

    /// Does what the replica wants done.
    fn settle(&mut self) {
        let mut answered = Vec::new();
        if self.ctx == Ctx::SHARED {
            for arrival in self.host.with(Host::arrivals).unwrap_or_default() {
                match arrival.served {
                    Served::Wait(_) => self.clients.extend(arrival.client.take(arrival.served, &[])),
                    _ => answered.push(arrival),
                }
            }
        }
        while let Some(output) = self
            .host
            .with(|host| host.replica.poll_output(self.ctx))
            .flatten()
        {
            let answer = match output {
                Output::Fetch { op, request } => match Fetch::start(op, request) {
                    Ok((fetch, sent)) => {
                        self.fetches.insert(op, fetch);
                        self.under_way.push(sent);
                        None
                    }
                    Err(failure) => Some(Input::Failed { op, failure }),
                },
                Output::Read { op, fetch } => self.read(op, fetch),
                Output::Abort { fetch } => {
                    if let Some(fetch) = self.fetches.remove(&fetch) {
                        fetch.abort();
                    }
                    None
                }
                Output::Reply(reply) => self.pass_on(&reply),
                Output::Save { key, record } => {
                    self.host.with(|host| {
                        if let Some((store, _)) = &host.object {
                            store.save(&key, record.as_deref());
                        }
                    });
                    None
                }
                output => match undertake(&self.host, self.seat.as_ref(), output) {
                    Undertaken::Now(answer) => answer,
                    Undertaken::Later(answer) => {
                        self.asked += 1;
                        self.under_way.push(answer.map(Done::Answer).boxed_local());
                        None
                    }
                },
            };
            if let Some(input) = answer {
                self.handle(input);
            }
        }
        // Only now: what was to be stored before they are told is on its way to the storage.
        for Arrival { client, served, out } in answered {
            client.take(served, &out);
        }
    }

    fn read(&mut self, op: OpId, fetch: OpId) -> Option<Input> {
        let Some(open) = self.fetches.get_mut(&fetch) else {
            let failure = Failure {
                before_send: false,
                message: "the fetch has ended".into(),
            };
            return Some(Input::Failed { op, failure });
        };
        if let Some(chunk) = open.read(op, fetch) {
            self.under_way.push(chunk);
            return None;
        }
        self.fetches.remove(&fetch);
        Some(Input::End { op })
    }

    /// Gives a part of the answer to the client; the replica hears of what found no room.
    fn pass_on(&mut self, reply: &Reply) -> Option<Input> {
        let ticket = reply.ticket;
        let client = self.clients.get_mut(&ticket)?;
        let passed = client.pass_on(reply, runtime::now().mono);
        if reply.last {
            self.part(ticket);
        }
        (!passed).then_some(Input::Dropped { ticket })
    }

    /// Whether nothing is left to do.
    fn is_over(&self) -> bool {
        let Some(end) = self.end else { return false };
        (self.fetches.is_empty() && self.asked == 0) || runtime::now().mono >= end
    }

    /// Waits for whatever comes first.
    async fn wake(&mut self) -> Woke {
        self.set_timer();
        poll_fn(|context| {
            if let Poll::Ready(Some(done)) = self.under_way.poll_next_unpin(context) {
                return Poll::Ready(Woke::Done(done));
            }
            if let Some(bell) = &mut self.bell
                && bell.poll_unpin(context).is_ready()
            {
                return Poll::Ready(Woke::Bell);
            }
            for (ticket, client) in &mut self.clients {
                if client.poll_gone(context).is_ready() {
                    return Poll::Ready(Woke::Gone(*ticket));
                }
            }
            if let Some((_, timer)) = &mut self.timer
                && timer.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(Woke::Time);
            }
            Poll::Pending
        })
        .await
    }

    /// Sets the timer to the first of what is due, unless it already is.
    fn set_timer(&mut self) {
        let next_tick = self
            .host
            .with(|host| host.replica.poll_timeout(self.ctx))
            .flatten();
        let keep_alive = self.clients.values().filter_map(Client::next_keep_alive).min();
        let due = [next_tick, self.end, keep_alive].into_iter().flatten().min();
        let Some(due) = due else {
            self.timer = None;
            return;
        };
        if self.timer.as_ref().is_none_or(|(set, _)| *set != due) {
            // Never zero: on Workers time goes on only while something is waited for.
            let left = due.since(runtime::now().mono).clamp(Millis(1), MAX_DELAY);
            self.timer = Some((due, Box::pin(Delay::from(Duration::from_millis(left.0)))));
        }
    }

    /// Tells the replica what a fetch or read came to.
    fn take(&mut self, done: Done) {
        match done {
            Done::Answer(answer) => {
                self.asked -= 1;
                if let Some(input) = answer {
                    self.handle(input);
                }
            }
            Done::Head { op, result } => {
                // Aborted in the meantime: nobody wants to know.
                let Some(fetch) = self.fetches.get_mut(&op) else {
                    return;
                };
                match result {
                    Ok(head) => {
                        fetch.keep(head.body);
                        let (status, headers) = (head.status, head.headers);
                        self.handle(Input::Head { op, status, headers });
                    }
                    Err(failure) => {
                        self.fetches.remove(&op);
                        self.handle(Input::Failed { op, failure });
                    }
                }
            }
            Done::Read { op, fetch, result } => {
                let Some(open) = self.fetches.get_mut(&fetch) else {
                    return;
                };
                match result {
                    Ok(Some((bytes, rest))) => {
                        open.keep(Some(rest));
                        self.handle(Input::Chunk { op, bytes });
                    }
                    Ok(None) => {
                        self.fetches.remove(&fetch);
                        self.handle(Input::End { op });
                    }
                    Err(failure) => {
                        self.fetches.remove(&fetch);
                        self.handle(Input::Failed { op, failure });
                    }
                }
            }
        }
    }

    fn handle(&self, input: Input) {
        self.host
            .with(|host| host.replica.handle(runtime::now(), self.ctx, input));
    }

    /// A client has left.
    fn cancel(&mut self, ticket: Ticket) {
        self.handle(Input::Cancel { ticket });
        self.part(ticket);
    }

    /// Nothing more is said to a client.
    fn part(&mut self, ticket: Ticket) {
        self.clients.remove(&ticket);
        if self.clients.is_empty() && self.ctx != Ctx::SHARED {
            self.end = Some(runtime::now().mono + LINGER);
        }
    }

    fn tick(&mut self) {
        self.timer = None;
        self.handle(Input::Tick);
        let now = runtime::now().mono;
        self.clients
            .values_mut()
            .for_each(|client| client.keep_alive(now));
    }

    /// Leaves nothing behind.
    async fn finish(mut self) {
        self.host.with(|host| host.leave(runtime::now(), self.ctx));
        for fetch in core::mem::take(&mut self.fetches).into_values() {
            fetch.abort();
        }
        // A reader must not be dropped while it reads. What was stopped ends at once; this only sees it off.
        if !self.under_way.is_empty() {
            let drained = poll_fn(|context| {
                while let Poll::Ready(done) = self.under_way.poll_next_unpin(context) {
                    if done.is_none() {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending
            });
            futures::future::select(drained, Delay::from(DRAIN)).await;
        }
        if !self.under_way.is_empty() {
            core::mem::forget(self.under_way);
        }
    }
}
