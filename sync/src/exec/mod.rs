//! The executor: polls flows, turns their questions into outputs, and brings answers back.
//!
//! Flows are ordinary futures in a slab, one real waker per slot ([`bell`]), so they may use any combinator of
//! `futures`. They reach the outside through [`Io`] alone ([`io`]); open questions and timers are in [`ops`].
//! Nothing is locked or shared but the wake-up bits. A flow is dropped to cancel it: its outputs are withdrawn,
//! fetches under way aborted, duties passed on.
//!
//! It knows nothing of requests and caches: what needs the core leaves as [`Happening`]. A flow that panicked in
//! a host that caught the unwind is reported as failed at the next step and never polled again. What a flow says by
//! being dropped ([`Io::farewell`]) is no flow's: it is sent by [`ops`] alone, bounded in number and time.

mod bell;
mod io;
mod ops;
#[cfg(test)]
mod tests;
mod vault;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures::channel::oneshot;
use leeward::border::FlightId;
use leeward::dispatch::{Answer, InputResponses, TripError};
use leeward::limits::MAX_INPUT_WAIT;
use leeward::mcp::input::InputRequest;
use leeward::{Ctx, Input, Millis, Now, OpId, Output};

use self::bell::Ready;
use self::io::{Ask, Question};
pub(crate) use self::io::{Body, Got, Io, Pending, Response, Sent};
use self::ops::{Op, Ops, Plain, State};
use self::vault::Vault;
use crate::desk::Desk;
use crate::flow::Obtained;
use crate::grants::{Asker, Wish};
use crate::link::{Key, Link};
use crate::replica::Host;
use crate::trouble::Trouble;

/// How a trip ends.
pub(crate) type Outcome = Result<Answer, TripError>;

/// What a flow comes to.
#[derive(Debug)]
pub(crate) enum End {
    /// A trip's.
    Trip(Outcome),
    /// An errand's.
    Errand(Result<Obtained, Trouble>),
}

/// A flow under way.
pub(crate) type Flow = Pin<Box<dyn Future<Output = End> + Send>>;

/// What a step brought that is not the executor's own business.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A trip's flow ended.
    Settled(FlightId, Outcome),
    /// An errand's flow ended.
    Done(FlightId, Result<Obtained, Trouble>),
    /// A notification of the authority for those who wait for a flight.
    Relay(FlightId, String),
    /// Requests of the authority to the agent.
    Input(FlightId, Vec<InputRequest>),
    /// The authority's stream of a subscription broke.
    Lost(FlightId),
}

/// Names a running flow; a slot is used again, a number never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId {
    slot: usize,
    number: u64,
}

struct Slot {
    waker: Waker,
    task: Option<Task>,
}

struct Task {
    flight: FlightId,
    number: u64,
    ctx: Ctx,
    /// Out of its place while it is polled, so that a flow that panicked is never polled again.
    flow: Option<Flow>,
    /// Of the handle that it was started with, and of those split off.
    asks: Vec<oneshot::Receiver<Ask>>,
    /// What the agent is to be asked once it answered what it is asked now.
    later: VecDeque<(Vec<InputRequest>, oneshot::Sender<Got>)>,
    ops: Vec<OpId>,
    keys: Vec<Key>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Executor {
    host: Host,
    vault: Vault,
    /// The host's wall clock when the call in progress began.
    unix: Millis,
    slots: Vec<Slot>,
    free: Vec<usize>,
    ready: Ready,
    ops: Ops,
    happened: VecDeque<Happening>,
    /// The slot being polled; found set at the next step only if the flow unwound.
    polling: Option<usize>,
    started: u64,
}

impl Executor {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            ..Self::default()
        }
    }

    /// A call of the host begins, at this time of its wall clock.
    pub(crate) const fn advance(&mut self, unix: Millis) {
        self.unix = unix;
    }

    /// Starts a flow, whose I/O is `ctx`'s. It is first polled by the next [`Executor::step`].
    pub(crate) fn start(&mut self, flight: FlightId, ctx: Ctx, flow: impl FnOnce(Io) -> Flow) -> TaskId {
        self.started = self.started.saturating_add(1);
        let number = self.started;
        let (io, asks) = Io::new(flight, number);
        let task = Task {
            flight,
            number,
            ctx,
            flow: Some(flow(io)),
            asks: Vec::from([asks]),
            later: VecDeque::new(),
            ops: Vec::new(),
            keys: Vec::new(),
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            let waker = self.ready.waker(self.slots.len());
            self.slots.push(Slot { waker, task: None });
            self.slots.len() - 1
        });
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.task = Some(task);
            slot.waker.wake_by_ref();
        }
        TaskId { slot, number }
    }

    /// Drops a flow.
    pub(crate) fn cancel(&mut self, id: TaskId, link: &mut Link, desk: &mut Desk) {
        if self
            .slots
            .get(id.slot)
            .and_then(|slot| slot.task.as_ref())
            .is_some_and(|task| task.number == id.number)
        {
            self.end(id.slot, link, desk);
        }
    }

    fn end(&mut self, slot: usize, link: &mut Link, desk: &mut Desk) {
        let Some(task) = self.slots.get_mut(slot).and_then(|slot| slot.task.take()) else {
            return;
        };
        self.free.push(slot);
        drop(task.flow);
        for id in task.ops {
            self.ops.withdraw(id, desk);
        }
        link.release(task.number, &task.keys);
    }

    /// Goes on until something happens that others must handle; `None` when every flow waits.
    pub(crate) fn step(&mut self, now: Millis, link: &mut Link, desk: &mut Desk) -> Option<Happening> {
        if let Some(slot) = self.polling.take() {
            let flight = self
                .slots
                .get(slot)
                .and_then(|slot| slot.task.as_ref())
                .map(|task| task.flight);
            self.end(slot, link, desk);
            if let Some(flight) = flight {
                let error = Trouble::internal("the flow panicked").into_error(false);
                self.happened.push_back(Happening::Settled(flight, Err(error)));
            }
        }
        loop {
            if let Some(happening) = self.happened.pop_front() {
                return Some(happening);
            }
            let slot = self.ready.take()?;
            self.poll(slot, now, link, desk);
        }
    }

    fn poll(&mut self, slot: usize, now: Millis, link: &mut Link, desk: &mut Desk) {
        let Some(Slot {
            waker,
            task: Some(task),
        }) = self.slots.get_mut(slot)
        else {
            return;
        };
        let Some(mut flow) = task.flow.take() else { return };
        let flight = task.flight;
        self.polling = Some(slot);
        let polled = flow.as_mut().poll(&mut Context::from_waker(waker));
        self.polling = None;
        match polled {
            Poll::Pending => {
                task.flow = Some(flow);
                self.drain(slot, now, link, desk);
            }
            Poll::Ready(end) => {
                drop(flow);
                self.drain(slot, now, link, desk);
                self.end(slot, link, desk);
                self.happened.push_back(match end {
                    End::Trip(outcome) => Happening::Settled(flight, outcome),
                    End::Errand(result) => Happening::Done(flight, result),
                });
            }
        }
    }

    /// Takes the questions that a poll left behind, and gives up those that it dropped.
    fn drain(&mut self, slot: usize, now: Millis, link: &mut Link, desk: &mut Desk) {
        let Some(task) = self.slots.get_mut(slot).and_then(|slot| slot.task.as_mut()) else {
            return;
        };
        let mut handle = 0;
        while let Some(asks) = task.asks.get_mut(handle) {
            let Ask {
                question,
                answer,
                next,
            } = match asks.try_recv() {
                Ok(Some(ask)) => ask,
                Ok(None) => {
                    handle += 1;
                    continue;
                }
                Err(oneshot::Canceled) => {
                    drop(task.asks.remove(handle));
                    continue;
                }
            };
            *asks = next;
            let ctx = task.ctx;
            let ops = &mut self.ops;
            let id = match question {
                Question::Fetch { .. }
                | Question::Local { .. }
                | Question::Credential { .. }
                | Question::Load(_)
                | Question::Sign { .. }
                | Question::Entropy(_)
                | Question::Redirect { .. }
                | Question::Authorize { .. }
                | Question::Timer { .. }
                    if answer.is_canceled() =>
                {
                    continue;
                }
                Question::Fetch { request, sent } => {
                    let state = State::Fetch { answer, sent };
                    put(ops, desk, ctx, state, |op| Output::Fetch { op, request })
                }
                Question::Read { fetch } => ops.read(ctx, fetch, answer, desk),
                Question::Farewell { request, due } => {
                    let id = ops.next_id();
                    let state = State::Farewell { answer, request, due };
                    ops.insert(
                        id,
                        Op {
                            ctx,
                            place: None,
                            state,
                        },
                    );
                    id
                }
                Question::Local { call, sent } => {
                    let state = State::Local { answer, sent };
                    put(ops, desk, ctx, state, |op| Output::CallLocal { op, call })
                }
                Question::Credential { principal, refused } => {
                    let state = plain(answer, Plain::Credential);
                    put(ops, desk, ctx, state, |op| Output::Credential {
                        op,
                        principal,
                        refused,
                    })
                }
                Question::Load(key) if !self.host.vault => {
                    let _ = answer.send(Got::Bytes(Ok(self.vault.load(&key))));
                    continue;
                }
                Question::Load(key) => {
                    let state = plain(answer, Plain::Load);
                    put(ops, desk, ctx, state, |op| Output::Load { op, key })
                }
                Question::Keep(key, record) => {
                    if self.host.vault {
                        desk.push(ctx, Output::Keep { key, record });
                    } else {
                        self.vault.keep(key, record);
                    }
                    continue;
                }
                Question::Sign { .. } if !self.host.signs => {
                    let _ = answer.send(Got::unable("this host signs nothing"));
                    continue;
                }
                Question::Sign {
                    key,
                    algorithm,
                    payload,
                } => {
                    let state = plain(answer, Plain::Sign);
                    put(ops, desk, ctx, state, |op| Output::Sign {
                        op,
                        key,
                        algorithm,
                        payload,
                    })
                }
                Question::Entropy(bytes) => {
                    let state = plain(answer, Plain::Entropy);
                    put(ops, desk, ctx, state, |op| Output::Entropy { op, bytes })
                }
                Question::Redirect { .. } | Question::Authorize { .. } if !self.host.authorizes => {
                    let message = "this host brings no users to authorization pages";
                    let _ = answer.send(Got::unable(message));
                    continue;
                }
                Question::Redirect { principal } => {
                    let state = plain(answer, Plain::Redirect);
                    put(ops, desk, ctx, state, |op| Output::Redirect { op, principal })
                }
                Question::Authorize { principal, url } => {
                    let state = plain(answer, Plain::Authorize);
                    put(ops, desk, ctx, state, |op| Output::Authorize {
                        op,
                        principal,
                        url,
                    })
                }
                Question::Now => {
                    let unix = self.unix;
                    let _ = answer.send(Got::Now(Now { mono: now, unix }));
                    continue;
                }
                Question::Grant { principal, refused } => {
                    let asker = Asker::Trip(answer);
                    link.grants
                        .claim(now, principal.as_deref(), Wish { asker, ctx, refused });
                    continue;
                }
                Question::Nonce(nonce) => {
                    link.grants.learn_nonce(nonce);
                    continue;
                }
                Question::Timer { after, most } => {
                    let id = ops.next_id();
                    ops.insert(
                        id,
                        Op {
                            ctx,
                            place: None,
                            state: State::Timer {
                                answer,
                                at: now + after,
                                after,
                                ends: now + most,
                                held: false,
                            },
                        },
                    );
                    id
                }
                Question::Input(requests) => {
                    task.later.push_back((requests, answer));
                    continue;
                }
                Question::Relay(notification) => {
                    self.happened
                        .push_back(Happening::Relay(task.flight, notification));
                    let _ = answer.send(Got::Done);
                    continue;
                }
                Question::Lost => {
                    self.happened.push_back(Happening::Lost(task.flight));
                    let _ = answer.send(Got::Done);
                    continue;
                }
                Question::Renew => {
                    ops.renew(&task.ops, now);
                    continue;
                }
                Question::Pass { partition } => {
                    let passed = link.breaker.pass(now, task.number, partition);
                    let _ = answer.send(Got::Pass(passed));
                    continue;
                }
                Question::Fared { partition, fared } => {
                    if let Some(event) = link.fared(now, task.number, partition, fared) {
                        desk.event(ctx, event);
                    }
                    continue;
                }
                Question::Split(asks) => {
                    task.asks.push(asks);
                    self.started = self.started.saturating_add(1);
                    let _ = answer.send(Got::Learnt(self.started));
                    continue;
                }
                Question::Renumber => {
                    self.started = self.started.saturating_add(1);
                    let _ = answer.send(Got::Learnt(self.started));
                    continue;
                }
                Question::Event(event) => {
                    desk.event(ctx, event);
                    continue;
                }
                Question::Claim(key) => {
                    if !task.keys.contains(&key) {
                        task.keys.push(key);
                    }
                    link.claim(now, key, task.number, answer);
                    continue;
                }
                Question::Learn(known, age) => {
                    let number = link.learn(now, known, age);
                    let _ = answer.send(Got::Learnt(number));
                    continue;
                }
                Question::Fail(key, trouble) => {
                    link.fail(key, task.number, trouble);
                    let _ = answer.send(Got::Done);
                    continue;
                }
                Question::Forget(key, number) => {
                    link.forget(key, number);
                    let _ = answer.send(Got::Done);
                    continue;
                }
            };
            task.ops.push(id);
        }
        self.ops.sweep(&mut task.ops, desk);
        while !self.ops.asks(&task.ops)
            && let Some((requests, answer)) = task.later.pop_front()
        {
            if !answer.is_canceled() {
                self.happened.push_back(Happening::Input(task.flight, requests));
                let until = now + MAX_INPUT_WAIT;
                task.ops
                    .push(self.ops.input(task.ctx, answer, &task.ops, now, until));
            }
        }
    }

    /// Takes an answer of the host.
    pub(crate) fn answer(&mut self, input: Input, desk: &mut Desk) {
        self.ops.answer(input, desk);
    }

    /// The host took an output.
    pub(crate) fn taken(&mut self, output: &Output) {
        match output {
            Output::Fetch { op, .. }
            | Output::Read { op, .. }
            | Output::CallLocal { op, .. }
            | Output::Credential { op, .. }
            | Output::Entropy { op, .. }
            | Output::Load { op, .. }
            | Output::Sign { op, .. }
            | Output::Redirect { op, .. }
            | Output::Authorize { op, .. } => self.ops.taken(*op),
            _ => {}
        }
    }

    /// What the agent answered to what a flow asked.
    pub(crate) fn inputs(&mut self, id: TaskId, responses: InputResponses, now: Millis) {
        let task = self.slots.get(id.slot).and_then(|slot| slot.task.as_ref());
        if let Some(task) = task.filter(|task| task.number == id.number) {
            self.ops.inputs(&task.ops, responses, now);
        }
    }

    /// A name for a question that is not a flow's.
    pub(crate) fn next_op(&mut self) -> OpId {
        self.ops.next_id()
    }

    /// Ends the timers that have run out.
    pub(crate) fn fire(&mut self, now: Millis, desk: &mut Desk) {
        self.ops.fire(now, desk);
    }

    /// When the first timer of a context runs out.
    pub(crate) fn timeout(&self, ctx: Ctx) -> Option<Millis> {
        self.ops.timeout(ctx)
    }
}

const fn plain(answer: oneshot::Sender<Got>, kind: Plain) -> State {
    State::Plain { answer, kind }
}

/// Queues an output and what its answer is for. Without a context to do it, the question is closed at once.
fn put(ops: &mut Ops, desk: &mut Desk, ctx: Ctx, state: State, output: impl FnOnce(OpId) -> Output) -> OpId {
    let id = ops.next_id();
    if let place @ Some(_) = desk.push(ctx, output(id)) {
        ops.insert(id, Op { ctx, place, state });
    }
    id
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("tasks", &(self.slots.len() - self.free.len()))
            .finish_non_exhaustive()
    }
}
