//! The questions put to the host that are still open, and the timers among them.

use alloc::string::String;
use alloc::vec::Vec;

use futures::channel::oneshot;
use leeward::border::HttpRequest;
use leeward::dispatch::InputResponses;
use leeward::limits::MAX_HEADERS;
use leeward::table::{Set, Table};
use leeward::{Ctx, Failure, Input, Millis, OpId, Output};

use super::io::{Got, Sent};
use crate::desk::{Desk, Place};
use crate::limits::{FAREWELL, MAX_FAREWELLS};

/// One open question.
pub(super) struct Op {
    /// Whose outputs it is among.
    pub(super) ctx: Ctx,
    /// Where its output is queued; `None` once the host has it.
    pub(super) place: Option<Place>,
    pub(super) state: State,
}

pub(super) enum State {
    /// A fetch whose head is awaited.
    Fetch {
        answer: oneshot::Sender<Got>,
        sent: Option<Sent>,
    },
    /// A fetch whose body is read, until the receiver of `guard` is dropped.
    Open {
        guard: oneshot::Sender<()>,
        reading: Option<OpId>,
        failed: Option<Failure>,
    },
    Read {
        answer: oneshot::Sender<Got>,
        fetch: OpId,
    },
    /// A request to make when its flow drops this, if `due` is under way then.
    Farewell {
        answer: oneshot::Sender<Got>,
        request: HttpRequest,
        due: Sent,
    },
    /// Such a request, made: nobody's any more, and given up at that time.
    Parting { at: Millis },
    Local {
        answer: oneshot::Sender<Got>,
        sent: Sent,
    },
    /// Anything that is answered once, as a whole.
    Plain {
        answer: oneshot::Sender<Got>,
        kind: Plain,
    },
    Timer {
        answer: oneshot::Sender<Got>,
        /// When it runs out; while it is held, how long it has left.
        at: Millis,
        /// How long it runs.
        after: Millis,
        /// When it runs out however often it is renewed; likewise.
        ends: Millis,
        held: bool,
    },
    /// The agent is asked, until then; other timers of the flow are held meanwhile.
    Input {
        answer: oneshot::Sender<Got>,
        at: Millis,
        held: Vec<OpId>,
    },
}

/// What is asked, so that no other answer is taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Credential,
    Entropy,
    Load,
    Sign,
    Redirect,
    Authorize,
}

impl State {
    /// When time ends it.
    const fn ends(&self) -> Option<Millis> {
        match self {
            Self::Timer { at, .. } | Self::Input { at, .. } | Self::Parting { at } => Some(*at),
            _ => None,
        }
    }
}

impl Op {
    /// Whether its flow does not want it any more.
    fn is_abandoned(&self) -> bool {
        match &self.state {
            State::Open { guard, .. } => guard.is_canceled(),
            State::Parting { .. } => false,
            State::Fetch { answer, .. }
            | State::Read { answer, .. }
            | State::Farewell { answer, .. }
            | State::Local { answer, .. }
            | State::Plain { answer, .. }
            | State::Timer { answer, .. }
            | State::Input { answer, .. } => answer.is_canceled(),
        }
    }
}

/// All open questions.
#[derive(Default)]
pub(super) struct Ops {
    ops: Table<OpId, Op>,
    timers: Set<(Millis, OpId)>,
    /// The same timers, per context.
    due: Set<(Ctx, Millis, OpId)>,
    /// How many farewells are under way.
    partings: usize,
    last: u64,
}

impl Ops {
    pub(super) fn next_id(&mut self) -> OpId {
        self.last = self.last.saturating_add(1);
        OpId(self.last)
    }

    pub(super) fn insert(&mut self, id: OpId, op: Op) {
        if let Some(at) = op.state.ends() {
            self.timers.insert((at, id));
            self.due.insert((op.ctx, at, id));
        }
        self.partings += usize::from(matches!(op.state, State::Parting { .. }));
        self.ops.insert(id, op);
    }

    pub(super) fn remove(&mut self, id: OpId) -> Option<Op> {
        let op = self.ops.remove(id)?;
        if let Some(at) = op.state.ends() {
            self.timers.remove((at, id));
            self.due.remove((op.ctx, at, id));
        }
        self.partings -= usize::from(matches!(op.state, State::Parting { .. }));
        Some(op)
    }

    /// Ends the timers that have run out.
    pub(super) fn fire(&mut self, now: Millis, desk: &mut Desk) {
        while let Some((_, id)) = self.timers.first().filter(|(at, _)| *at <= now) {
            if self.part(id, desk) {
                continue;
            }
            match self.remove(id).map(|op| op.state) {
                Some(State::Timer { answer, .. }) => {
                    let _ = answer.send(Got::Done);
                }
                Some(State::Input { answer, held, .. }) => {
                    self.go_on(held, now);
                    let _ = answer.send(Got::Done);
                }
                _ => {}
            }
        }
    }

    /// An agent is asked until `at`. `ids`: the open questions of the flow, whose timers are held.
    pub(super) fn input(
        &mut self,
        ctx: Ctx,
        answer: oneshot::Sender<Got>,
        ids: &[OpId],
        now: Millis,
        at: Millis,
    ) -> OpId {
        let mut held = Vec::new();
        for id in ids {
            if let Some(mut op) = self.remove(*id) {
                if let State::Timer {
                    at, ends, held: hold, ..
                } = &mut op.state
                {
                    (*at, *ends, *hold) = (at.since(now), ends.since(now), true);
                    held.push(*id);
                    self.ops.insert(*id, op);
                } else {
                    self.insert(*id, op);
                }
            }
        }
        let id = self.next_id();
        let state = State::Input { answer, at, held };
        self.insert(
            id,
            Op {
                ctx,
                place: None,
                state,
            },
        );
        id
    }

    /// What an agent answered to the flow with these open questions.
    pub(super) fn inputs(&mut self, ids: &[OpId], responses: InputResponses, now: Millis) {
        if let Some(id) = self.asking(ids)
            && let Some(State::Input { answer, held, .. }) = self.remove(id).map(|op| op.state)
        {
            self.go_on(held, now);
            let _ = answer.send(Got::Inputs(responses));
        }
    }

    /// Whether an agent is asked by one of these questions.
    pub(super) fn asks(&self, ids: &[OpId]) -> bool {
        self.asking(ids).is_some()
    }

    fn asking(&self, ids: &[OpId]) -> Option<OpId> {
        let asks = |id: &OpId| {
            let op = self.ops.get(*id);
            op.is_some_and(|op| matches!(op.state, State::Input { .. }))
        };
        ids.iter().copied().find(asks)
    }

    /// Lets held timers run again.
    fn go_on(&mut self, held: Vec<OpId>, now: Millis) {
        for id in held {
            if let Some(mut op) = self.ops.remove(id) {
                if let State::Timer {
                    at,
                    ends,
                    held: held @ true,
                    ..
                } = &mut op.state
                {
                    (*at, *ends, *held) = (now + *at, now + *ends, false);
                }
                self.insert(id, op);
            }
        }
    }

    /// Begins those timers of `ids` anew that may be.
    pub(super) fn renew(&mut self, ids: &[OpId], now: Millis) {
        for id in ids {
            if let Some(mut op) = self.remove(*id) {
                if let State::Timer {
                    at,
                    after,
                    ends,
                    held: false,
                    ..
                } = &mut op.state
                {
                    *at = (now + *after).min(*ends);
                }
                self.insert(*id, op);
            }
        }
    }

    /// The first timer of a context.
    pub(super) fn timeout(&self, ctx: Ctx) -> Option<Millis> {
        let all = (ctx, Millis(0), OpId(0))..=(ctx, Millis(u64::MAX), OpId(u64::MAX));
        self.due.first_in(all).map(|(_, at, _)| at)
    }

    /// The host took an output.
    pub(super) fn taken(&mut self, id: OpId) {
        if let Some(op) = self.ops.get_mut(id) {
            op.place = None;
            match &op.state {
                State::Fetch { sent: Some(sent), .. } | State::Local { sent, .. } => sent.set(),
                _ => {}
            }
        }
    }

    /// Drops a question: its output is withdrawn, or what the host has under way for it is stopped.
    pub(super) fn withdraw(&mut self, id: OpId, desk: &mut Desk) {
        let Some(Op { ctx, place, state }) = self.remove(id) else {
            return;
        };
        match (place, state) {
            (Some(place), _) => desk.withdraw(place),
            (
                None,
                State::Fetch { .. }
                | State::Local { .. }
                | State::Open { failed: None, .. }
                | State::Parting { .. }
                | State::Plain {
                    kind: Plain::Sign | Plain::Redirect | Plain::Authorize,
                    ..
                },
            ) => {
                desk.push(ctx, Output::Abort { fetch: id });
            }
            (None, State::Farewell { request, due, .. })
                if due.is_under_way() && self.partings < MAX_FAREWELLS =>
            {
                let op = self.next_id();
                let at = desk.now() + FAREWELL;
                if let place @ Some(_) = desk.push(ctx, Output::Fetch { op, request }) {
                    let state = State::Parting { at };
                    self.insert(op, Op { ctx, place, state });
                }
            }
            (None, State::Read { fetch, .. }) => {
                if let Some(Op {
                    state: State::Open { reading, .. },
                    ..
                }) = self.ops.get_mut(fetch)
                {
                    reading.take_if(|reading| *reading == id);
                }
            }
            (None, _) => {}
        }
    }

    /// Ends a farewell that was sent: its body is nobody's. False if it is none.
    fn part(&mut self, id: OpId, desk: &mut Desk) -> bool {
        let op = self.ops.get(id);
        let parts = op.is_some_and(|op| matches!(op.state, State::Parting { .. }));
        if parts {
            self.withdraw(id, desk);
        }
        parts
    }

    /// Withdraws those of `ids` that are abandoned, and takes out of the list what is not open any more.
    pub(super) fn sweep(&mut self, ids: &mut Vec<OpId>, desk: &mut Desk) {
        ids.retain(|id| match self.ops.get(*id) {
            Some(op) if op.is_abandoned() => {
                self.withdraw(*id, desk);
                false
            }
            Some(_) => true,
            None => false,
        });
    }

    /// Begins to read a fetch's body; fails at once if that is not open.
    pub(super) fn read(
        &mut self,
        ctx: Ctx,
        fetch: OpId,
        answer: oneshot::Sender<Got>,
        desk: &mut Desk,
    ) -> OpId {
        let id = self.next_id();
        let failure = match self.ops.get_mut(fetch).map(|op| &mut op.state) {
            Some(State::Open {
                failed: Some(failure),
                ..
            }) => failure.clone(),
            Some(State::Open {
                reading: reading @ None,
                ..
            }) => {
                *reading = Some(id);
                let place = desk.push(ctx, Output::Read { op: id, fetch });
                self.insert(
                    id,
                    Op {
                        ctx,
                        place,
                        state: State::Read { answer, fetch },
                    },
                );
                return id;
            }
            _ => Failure {
                before_send: false,
                message: "the body is not open".into(),
            },
        };
        let _ = answer.send(Got::Failed(failure));
        id
    }

    /// Brings an answer of the host to the flow that waits for it. What was not asked, or not asked yet, or does
    /// not fit the question, is dropped.
    pub(super) fn answer(&mut self, input: Input, desk: &mut Desk) {
        match input {
            Input::Head { op, .. } if self.is_asked(op, |state| matches!(state, State::Parting { .. })) => {
                self.part(op, desk);
            }
            Input::Head { op, status, headers } => self.head(op, status, headers),
            Input::Chunk { op, bytes } => self.chunk(op, Got::Chunk(bytes)),
            Input::End { op } => self.chunk(op, Got::End),
            Input::Failed { op, failure } => self.failed(op, failure, desk),
            Input::Local { op, result } => {
                if self.is_asked(op, |state| matches!(state, State::Local { .. }))
                    && let Some(Op {
                        state: State::Local { answer, .. },
                        ..
                    }) = self.remove(op)
                {
                    let _ = answer.send(Got::Local(result));
                }
            }
            Input::Credential { op, result } => self.plain(op, Plain::Credential, Got::Credential(result)),
            Input::Denied { op, error } => self.plain(op, Plain::Credential, Got::Denied(error)),
            Input::Entropy { op, bytes } => self.plain(op, Plain::Entropy, Got::Bytes(Ok(Some(bytes)))),
            Input::Loaded { op, result } => self.plain(op, Plain::Load, Got::Bytes(result)),
            Input::Signed { op, result } => self.plain(op, Plain::Sign, Got::Bytes(result.map(Some))),
            Input::Redirect { op, result } => self.plain(op, Plain::Redirect, Got::Redirect(result)),
            Input::Authorized { op, result } => self.plain(op, Plain::Authorize, Got::Callback(result)),
            _ => {}
        }
    }

    fn plain(&mut self, id: OpId, asked: Plain, got: Got) {
        if self.is_asked(
            id,
            |state| matches!(state, State::Plain { kind, .. } if *kind == asked),
        ) && let Some(State::Plain { answer, .. }) = self.remove(id).map(|op| op.state)
        {
            let _ = answer.send(got);
        }
    }

    fn is_asked(&self, id: OpId, fits: impl Fn(&State) -> bool) -> bool {
        self.ops
            .get(id)
            .is_some_and(|op| op.place.is_none() && fits(&op.state))
    }

    fn head(&mut self, id: OpId, status: u16, mut headers: Vec<(String, String)>) {
        if !self.is_asked(id, |state| matches!(state, State::Fetch { .. })) {
            return;
        }
        let Some(op) = self.ops.get_mut(id) else { return };
        headers.truncate(MAX_HEADERS);
        let (guard, held) = oneshot::channel();
        let open = State::Open {
            guard,
            reading: None,
            failed: None,
        };
        if let State::Fetch { answer, .. } = core::mem::replace(&mut op.state, open) {
            let _ = answer.send(Got::Head {
                status,
                headers,
                body: (id, held),
            });
        }
    }

    /// A chunk, or the end of the body, which closes the fetch.
    fn chunk(&mut self, id: OpId, got: Got) {
        if !self.is_asked(id, |state| matches!(state, State::Read { .. })) {
            return;
        }
        let Some(Op {
            state: State::Read { answer, fetch },
            ..
        }) = self.remove(id)
        else {
            return;
        };
        if matches!(got, Got::Chunk(_)) {
            if let Some(Op {
                state: State::Open { reading, .. },
                ..
            }) = self.ops.get_mut(fetch)
            {
                *reading = None;
            }
        } else {
            self.remove(fetch);
        }
        let _ = answer.send(got);
    }

    /// A failed fetch or read; both close the fetch. A failure of a fetch whose head came earlier meets its reader.
    fn failed(&mut self, id: OpId, failure: Failure, desk: &mut Desk) {
        let Some(op) = self.ops.get_mut(id).filter(|op| op.place.is_none()) else {
            return;
        };
        match &mut op.state {
            State::Fetch { .. } => {
                if let Some(Op {
                    state: State::Fetch { answer, .. },
                    ..
                }) = self.remove(id)
                {
                    let _ = answer.send(Got::Failed(failure));
                }
            }
            State::Read { .. } => self.chunk(id, Got::Failed(failure)),
            State::Parting { .. } => {
                self.remove(id);
            }
            State::Open { reading, failed, .. } => match reading.take() {
                None => *failed = Some(failure),
                Some(read) => {
                    let Some(Op {
                        place,
                        state: State::Read { answer, .. },
                        ..
                    }) = self.remove(read)
                    else {
                        return;
                    };
                    if let Some(place) = place {
                        desk.withdraw(place);
                    }
                    self.remove(id);
                    let _ = answer.send(Got::Failed(failure));
                }
            },
            _ => {}
        }
    }
}
