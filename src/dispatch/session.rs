//! What belongs to a session of a session-era agent: how it begins and ends (2025-11-25, Lifecycle), its own stream and
//! those that are resumed (Transports, Streamable HTTP), log level and subscriptions.
//!
//! What the agent is told of its lists and resources is what a subscription of ours to the authority hears: one trip for
//! each open stream, renewed when the resources change. The older one is heard until the authority has acknowledged
//! the newer.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::agent::{Due, Request, Served, Step};
use super::flights::{Flight, Waiter};
use super::request::{Asked, Era, Method, legacy, unsupported};
use super::serve::{Errand, empty};
use super::trip::{Answer, Sink, Trip, TripError};
use super::{Core, render};
use crate::border::{Ctx, FlightId, Millis, Reply, Ticket};
use crate::error::{Code, Error};
use crate::json::Members;
use crate::limits::{MAX_SUBSCRIBED, MAX_SUBSCRIBED_BYTES};
use crate::mcp::message::{self, Message};
use crate::mcp::meta::{LogLevel, Meta, push_member};
use crate::mcp::names::{
    HEADER_LAST_EVENT, HEADER_SESSION, HEADER_VERSION, LEGACY, META_LOG_LEVEL, META_VERSION, MODERN,
};
use crate::mcp::result::Parts;
use crate::mcp::subscription::Filter;
use crate::provenance::State;
use crate::session::{EventId, Get, Opening, Resumed, SessionKey, Sessions, StreamKey};

/// A header's only value: a repeated one names nothing.
fn header<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    let mut named = request.headers?.iter().filter(|(known, _)| known == name);
    let value = named.next()?.1.trim();
    Some(if named.next().is_some() { "" } else { value })
}

impl Core {
    /// The host keeps sessions: see `Host::sessions` of `leeward-sync`.
    pub fn keep_sessions(&mut self) {
        self.sessions.kept = true;
    }

    /// What came of the last call besides its outcome, in order.
    pub fn poll_due(&mut self) -> Option<Due> {
        if self.due.is_empty() {
            return None;
        }
        Some(self.due.remove(0))
    }

    fn has_sessions(&self, request: &Request<'_>) -> bool {
        // Nobody else outlives a request.
        self.sessions.kept && request.ctx == Ctx::SHARED
    }

    /// The session that a message belongs to. `None` for a stateless one, whatever its headers say.
    pub(super) fn session_of(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        message: &Message<'_>,
    ) -> Result<Option<SessionKey>, Error> {
        let stateless = || {
            let meta = message.params.raw("_meta").and_then(Members::parse);
            meta.is_some_and(|meta| meta.raw(META_VERSION).is_some())
        };
        let key = self.named(now, request)?;
        Ok(key.filter(|_| !stateless()))
    }

    /// The session that a request names, by header or by its connection.
    fn named(&mut self, now: Millis, request: &Request<'_>) -> Result<Option<SessionKey>, Error> {
        if !self.has_sessions(request) {
            return Ok(None);
        }
        if request.headers.is_none() {
            return Ok(self.sessions.on(now, request.connection, request.caller));
        }
        let (Some(id), version) = (header(request, HEADER_SESSION), header(request, HEADER_VERSION)) else {
            return Ok(None);
        };
        match version {
            Some(MODERN) => Ok(None),
            Some(version) if legacy(version).is_none() => Err(unsupported(version)),
            _ => self.sessions.find(now, id, request.caller).map(Some),
        }
    }

    /// The session that GET and DELETE are about.
    fn required(&mut self, now: Millis, request: &Request<'_>) -> Result<SessionKey, Error> {
        self.identify(request.caller)?;
        let missing = match request.headers {
            Some(_) => Error::new(Code::SessionRequired, "mcp-session-id is missing"),
            None => Error::new(Code::SessionUnknown, "this connection has no session"),
        };
        self.named(now, request)?.ok_or(missing)
    }

    /// A message that is no request: a response within a session, taken whether anybody waits for it or not.
    pub(super) fn responded(&mut self, now: Millis, request: &Request<'_>) -> Option<Step> {
        let key = self.named(now, request).ok()??;
        let (id, outcome) = message::response(request.message)?;
        Some(self.asked_back(key, id, outcome))
    }

    /// Takes what was agreed in a session into a request of it.
    pub(super) fn belongs<'a>(&self, asked: &mut Asked<'a>, key: SessionKey, capabilities: &'a Arc<str>) {
        asked.session = Some(key);
        asked.capabilities = capabilities;
        let level = self.sessions.get(key).and_then(|session| session.level);
        if let (Some(level), None) = (level, asked.meta.log_level) {
            asked.meta.log_level = Some(level);
            push_member(
                &mut asked.meta.forward,
                META_LOG_LEVEL,
                &render::quoted(level.name()),
            );
        }
    }

    /// Opens a session, where the host keeps them, and asks for what to say of it.
    pub(super) fn initialize(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        mut asked: Asked<'_>,
        params: &Members<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Step, Error> {
        if asked.session.is_some() {
            let message = "this session is initialized already";
            return Err(Error::new(Code::InvalidRequest, message));
        }
        let whose = request.headers.is_some() || request.connection != 0;
        if self.has_sessions(request) && whose && !request.peek {
            let opening = Opening {
                caller: request.caller,
                connection: if request.headers.is_some() {
                    0
                } else {
                    request.connection
                },
                version: asked.wanted.unwrap_or(LEGACY[0]),
                capabilities: params.raw("capabilities").unwrap_or("{}"),
            };
            asked.session = self.sessions.open(now, &opening)?;
        }
        let start = out.len();
        let mut found = self.find(now, request, &asked, out);
        if let Some(key) = asked.session {
            match &mut found {
                Ok(Step {
                    served: Served::Reply { session, .. },
                    ..
                }) => *session = opened(&mut self.sessions, key, out.get(start..).unwrap_or_default()),
                Ok(_) => {}
                Err(_) => {
                    self.sessions.end(key);
                }
            }
        }
        found
    }

    /// Waits for a trip.
    pub(super) fn wait(
        &mut self,
        flight: FlightId,
        request: &Request<'_>,
        asked: &Asked<'_>,
        collapsed: bool,
    ) -> Served {
        let ticket = self
            .flights
            .wait(flight, request.ctx, request.connection, asked, collapsed);
        if let Some(key) = asked.session.filter(|_| asked.method != Method::Initialize)
            && let Some(plan) = self.flights.flight(flight).map(|flight| flight.plan)
            && let Some(stream) = self
                .sessions
                .begin(key, ticket, request.ctx, asked.id, plan.write)
        {
            if let Some(waiter) = self.flights.waiter(ticket) {
                waiter.stream = Some(stream);
            }
            // What may be asked for again needs nothing to come back for.
            let repeatable = plan.cached || asked.method != Method::CallTool;
            if !repeatable
                && self.sessions.get(key).is_some_and(|session| session.is_primed())
                && let Some((ctx, reply)) = self.sessions.prime(stream)
            {
                self.due.push(Due::Reply(ctx, reply));
            }
        }
        Served::Wait(ticket)
    }

    /// `logging/setLevel`, `resources/subscribe` and `resources/unsubscribe` (2025-11-25, Logging; Resources,
    /// Subscriptions).
    pub(super) fn within_session(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        asked: &Asked<'_>,
        params: &Members<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Step, Error> {
        let unknown = || Error::new(Code::MethodNotFound, "method not found");
        let key = asked.session.ok_or_else(unknown)?;
        let session = self.sessions.get_mut(key).ok_or_else(unknown)?;
        let uri = asked.name.as_deref().unwrap_or_default();
        let known = session.uris.iter().position(|known| known == uri);
        match (asked.method, known) {
            (Method::SetLevel, _) if session.logs => {
                let level = params.string("level").and_then(|name| LogLevel::parse(&name));
                let wrong = || Error::new(Code::InvalidParams, "params.level is not a log level");
                let level = level.ok_or_else(wrong)?;
                if request.peek {
                    return Ok(Step::of(Served::Absent));
                }
                session.level = Some(level);
            }
            (Method::Subscribe | Method::Unsubscribe, _) if session.subscribes && request.peek => {
                return Ok(Step::of(Served::Absent));
            }
            (Method::Subscribe, None) if session.subscribes => {
                let bytes: usize = session.uris.iter().map(String::len).sum();
                if session.uris.len() >= MAX_SUBSCRIBED || bytes + uri.len() > MAX_SUBSCRIBED_BYTES {
                    let message = "this session subscribes to too many resources";
                    return Err(Error::new(Code::OverBudget, message));
                }
                session.uris.push(uri.to_owned());
                if session.get.is_some() {
                    return self.subscribe(now, request, asked, key, uri);
                }
            }
            (Method::Unsubscribe, Some(at)) if session.subscribes => {
                session.uris.remove(at);
                if session.get.is_some() {
                    let step = empty(asked, out);
                    let start = self.listen_for(now, request, key)?;
                    return Ok(Step {
                        start: Some(start),
                        ..step
                    });
                }
            }
            (Method::Subscribe | Method::Unsubscribe, _) if session.subscribes => {}
            _ => return Err(unknown()),
        }
        Ok(empty(asked, out))
    }

    /// Waits until the authority has agreed to tell of a resource.
    fn subscribe(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        asked: &Asked<'_>,
        key: SessionKey,
        uri: &str,
    ) -> Result<Step, Error> {
        let start = self
            .check_waiters()
            .and_then(|()| self.listen_for(now, request, key));
        let (flight, trip) = match start {
            Ok(start) => start,
            Err(error) => {
                self.forget_uri(key, uri);
                return Err(error);
            }
        };
        let ticket = self
            .flights
            .wait(flight, request.ctx, request.connection, asked, false);
        if let Some(subscription) = self.flights.subscription(flight) {
            subscription.pending.push((ticket, uri.to_owned()));
        }
        Ok(Step {
            start: Some((flight, trip)),
            ..Step::of(Served::Wait(ticket))
        })
    }

    fn forget_uri(&mut self, key: SessionKey, uri: &str) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.uris.retain(|known| known != uri);
        }
    }

    /// GET: opens the session's stream, or resumes one (2025-11-25, Transports, Listening for Messages from the Server).
    pub(super) fn open_stream(&mut self, now: Millis, request: &Request<'_>, out: &mut Vec<u8>) -> Step {
        if let Some(step) = self.refuse_verb(request, out) {
            return step;
        }
        match self
            .required(now, request)
            .and_then(|key| self.stream_of(now, request, key))
        {
            Ok(step) => step,
            Err(error) => self.refuse(None, &error, out),
        }
    }

    fn stream_of(&mut self, now: Millis, request: &Request<'_>, key: SessionKey) -> Result<Step, Error> {
        let after = match header(request, HEADER_LAST_EVENT) {
            None => None,
            Some(text) => {
                let wrong = || Error::new(Code::InvalidRequest, "last-event-id is not one of this server's");
                Some(EventId::parse(text).ok_or_else(wrong)?)
            }
        };
        let get = Get {
            ticket: self.flights.ticket(),
            ctx: request.ctx,
        };
        if let Some(after) = after.as_ref().filter(|after| after.id.is_some()) {
            self.resume(now, request, key, after, get);
            return Ok(Step::of(Served::Wait(get.ticket)));
        }
        let taken = self
            .sessions
            .get(key)
            .is_some_and(|session| session.get.is_some());
        if taken && after.is_none() {
            let message = "the session's stream is open already";
            return Err(Error::new(Code::StreamTaken, message));
        }
        // One connection was lost, whether its host has noticed or not.
        self.hang_up(key);
        let start = self.listen_for(now, request, key)?;
        if let Some(session) = self.sessions.get_mut(key) {
            // An agent that does not resume does not ask for what it missed.
            session.gap = after.is_some();
        }
        if let Some(reply) = self.sessions.take_get(key, get) {
            self.due.push(Due::Reply(get.ctx, reply));
        }
        Ok(Step {
            start: Some(start),
            ..Step::of(Served::Wait(get.ticket))
        })
    }

    fn resume(&mut self, now: Millis, request: &Request<'_>, key: SessionKey, after: &EventId, get: Get) {
        match self.sessions.resume(key, after, get) {
            Resumed::Goes { replies, former } => {
                for reply in replies {
                    self.due.push(Due::Reply(get.ctx, reply));
                }
                if let Some(former) = former {
                    self.due.push(bye(former));
                }
            }
            Resumed::Lost => {
                let error = if after.write {
                    self.unsettle(now, request.caller);
                    Error::new(Code::UnknownOutcome, "the response is not here any more")
                } else {
                    Error::new(Code::Closed, "the response is not here any more; ask again")
                };
                let json = self.error_json(&error);
                let mut part = Vec::new();
                render::error(&mut part, after.id.as_deref(), &json);
                let reply = Reply {
                    last: true,
                    ..Reply::part(get.ticket, part)
                };
                self.due.push(Due::Reply(get.ctx, reply));
            }
        }
    }

    /// DELETE: ends a session, and all that waits in it (2025-11-25, Transports, Session Management).
    pub(super) fn end_session(&mut self, now: Millis, request: &Request<'_>, out: &mut Vec<u8>) -> Step {
        if let Some(step) = self.refuse_verb(request, out) {
            return step;
        }
        let key = match self.required(now, request) {
            Ok(key) => key,
            Err(error) => return self.refuse(None, &error, out),
        };
        let cancel = self.flights.tickets_in(key);
        if let Some(session) = self.sessions.end(key) {
            self.due.extend(session.takers().map(bye));
        }
        Step {
            cancel,
            ..Step::of(Served::Reply {
                status: 204,
                provenance: None,
                serial: None,
                session: None,
            })
        }
    }

    /// What only posts are taken for.
    fn refuse_verb(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Option<Step> {
        if self.has_sessions(request) {
            return None;
        }
        let error = Error::new(Code::InvalidRequest, "there are no sessions here");
        let mut step = self.refuse(None, &error, out);
        if let Served::Reply { status, .. } = &mut step.served {
            *status = 405;
        }
        Some(step)
    }

    /// A trip that listens for all that a session is to hear of, in place of the one before.
    fn listen_for(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        key: SessionKey,
    ) -> Result<(FlightId, Trip), Error> {
        self.check_listens(request)?;
        let Some(session) = self.sessions.get(key) else {
            return Err(Error::new(Code::SessionUnknown, "the session has ended"));
        };
        let filter = Filter::everything(session.uris.clone());
        let mut params = String::new();
        push_member(&mut params, "notifications", &filter.to_json());
        let asked = Asked {
            // No request has this id.
            id: "",
            era: Era::Legacy(session.version),
            method: Method::Listen,
            meta: Meta::default(),
            capabilities: "{}",
            name: None,
            arguments: "{}",
            params,
            state: None,
            continues: false,
            has_cursor: false,
            wanted: None,
            filter: Some(filter),
            session: Some(key),
        };
        let route = self.route(now, request, &asked)?;
        let errand = Errand {
            now,
            request,
            asked: &asked,
            route,
        };
        let (flight, trip) = self.take_off(errand, None, State::Bypass);
        let ticket = self.flights.wait(flight, request.ctx, 0, &asked, false);
        if let Some(session) = self.sessions.get_mut(key)
            && let Some(before) = session.listener.replace(ticket)
            && let Some(id) = self.flights.of(before)
        {
            let heard = self
                .flights
                .subscription(id)
                .is_some_and(|it| it.honoured().is_some());
            if heard {
                session.former = Some(before);
            } else {
                self.flights.pass_on(id, flight);
                self.drop_flight(id);
            }
        }
        Ok((flight, trip))
    }

    /// The authority has acknowledged a session's listening: the one before is not needed any more.
    pub(super) fn listens(&mut self, id: FlightId, key: SessionKey, sink: &mut dyn Sink) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let gap = core::mem::take(&mut session.gap);
        if let Some(former) = session.former.take().and_then(|ticket| self.flights.of(ticket)) {
            self.drop_flight(former);
        }
        let Some(subscription) = self.flights.subscription(id) else {
            return;
        };
        let pending = core::mem::take(&mut subscription.pending);
        let honoured = subscription.honoured().cloned().unwrap_or_default();
        for (ticket, uri) in pending {
            let agreed = honoured.names(&uri);
            if !agreed {
                self.forget_uri(key, &uri);
            }
            let Some(waiter) = self.flights.part(ticket) else {
                continue;
            };
            let mut part = Vec::new();
            if agreed {
                render::result(&mut part, &waiter.to, &Parts::empty(), None, None);
            } else {
                let message = "the authority does not tell of this resource";
                let error = Error::new(Code::InvalidParams, message).with("uri", &uri);
                let json = self.error_json(&error);
                render::error(&mut part, Some(&waiter.to.id), &json);
            }
            let reply = Reply {
                last: true,
                ..Reply::part(ticket, part)
            };
            pass(&mut self.sessions, &waiter, reply, sink);
        }
        if gap {
            self.catch_up(id, &honoured, sink);
        }
    }

    /// Sends a session a message that belongs to no request. An agent that does not take it has to come back for it.
    pub(super) fn tell_session(&mut self, key: SessionKey, part: String, sink: &mut dyn Sink) {
        if !self.sessions.tell(key, part.into_bytes(), sink) {
            self.hang_up(key);
        }
    }

    /// Ends a session's own stream on this side.
    pub(super) fn hang_up(&mut self, key: SessionKey) {
        if let Some(get) = self.sessions.leave_get(key) {
            self.due.push(bye((get.ticket, get.ctx)));
            self.unlisten(key);
        }
    }

    /// Nobody takes what a session hears: it listens no more.
    fn unlisten(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let tickets = [session.listener.take(), session.former.take()];
        for ticket in tickets.into_iter().flatten() {
            let Some(id) = self.flights.of(ticket) else {
                continue;
            };
            let pending = self
                .flights
                .subscription(id)
                .map(|it| core::mem::take(&mut it.pending));
            for (ticket, _) in pending.unwrap_or_default() {
                let Some(waiter) = self.flights.part(ticket) else {
                    continue;
                };
                // It counts from the next stream on.
                let mut part = Vec::new();
                render::result(&mut part, &waiter.to, &Parts::empty(), None, None);
                let reply = Reply {
                    last: true,
                    ..Reply::part(ticket, part)
                };
                self.due.push(Due::Reply(waiter.ctx, reply));
            }
            self.drop_flight(id);
        }
    }

    fn drop_flight(&mut self, id: FlightId) {
        if self.flights.remove(id).is_some() {
            self.due.push(Due::End(id));
        }
    }

    /// Takes a trip out that has ended. Of one that listened for a session, those are left who wait for its
    /// acknowledgement; true if it was one.
    pub(super) fn land(&mut self, id: FlightId) -> (Option<Flight>, bool) {
        let heard = self
            .flights
            .subscription(id)
            .is_some_and(|it| it.honoured().is_some());
        let Some(mut flight) = self.flights.remove(id) else {
            return (None, false);
        };
        let listener = flight
            .waiters
            .first()
            .map(|waiter| (waiter.ticket, waiter.to.session));
        let (Some(subscription), Some((ticket, Some(key)))) = (&mut flight.subscription, listener) else {
            return (Some(flight), false);
        };
        let pending = core::mem::take(&mut subscription.pending);
        flight.waiters.remove(0);
        for (_, uri) in pending {
            self.forget_uri(key, &uri);
        }
        if let Some(session) = self.sessions.get_mut(key) {
            if session.listener == Some(ticket) {
                session.listener = session.former.take();
                if heard {
                    // It would wait in vain. If it comes back, it is told of what it missed.
                    self.hang_up(key);
                }
            } else if session.former == Some(ticket) {
                session.former = None;
            }
        }
        (Some(flight), true)
    }

    /// A request was given up, or the stream of a session was left.
    pub(super) fn cancel_in_session(&mut self, ticket: Ticket) {
        let Some(waiter) = self.flights.waiter(ticket) else {
            let key = self.sessions.held(ticket);
            if let Some(key) = key.filter(|key| {
                let get = self.sessions.get(*key).and_then(|session| session.get);
                get.is_some_and(|get| get.ticket == ticket)
            }) {
                self.sessions.leave_get(key);
                self.unlisten(key);
            }
            return;
        };
        let opened = waiter.to.session.filter(|_| waiter.to.initialize.is_some());
        let stream: Option<StreamKey> = waiter.stream;
        if let Some(key) = opened {
            self.sessions.end(key);
        }
        if let Some(holder) = stream.and_then(|stream| self.sessions.finish(stream)) {
            self.due.push(bye(holder));
        }
    }

    /// The agent's HTTP request went away: true if what it asked for goes on, since a lost connection cancels nothing
    /// in a session (2025-11-25, Transports, Sending Messages to the Server).
    pub fn detach(&mut self, ticket: Ticket) -> bool {
        self.sessions.leave(ticket)
    }

    /// A message of a session's stream could not be passed on. The stream ends, for its agent to come back for what it
    /// missed. False if the ticket takes none.
    pub fn fall_behind(&mut self, ticket: Ticket) -> bool {
        let Some(key) = self.sessions.held(ticket) else {
            return false;
        };
        let session = self.sessions.get(key);
        let taker = session.and_then(|session| session.takers().find(|(taker, _)| *taker == ticket));
        if !self.sessions.leave(ticket) {
            self.hang_up(key);
        } else if let Some(taker) = taker {
            self.due.push(bye(taker));
        }
        true
    }
}

/// The end of a stream without a response.
fn bye((ticket, ctx): (Ticket, Ctx)) -> Due {
    let reply = Reply {
        last: true,
        ..Reply::part(ticket, Vec::new())
    };
    Due::Reply(ctx, reply)
}

/// A subscription of a session's ended in peace: for those who still wait for its beginning it failed.
pub(super) fn ended(answer: Answer) -> Result<Answer, TripError> {
    Err(TripError {
        error: Error::new(Code::Closed, "the authority ended the subscription"),
        detail: String::new(),
        credential: Some(answer.credential),
    })
}

/// A message for one who waits.
pub(super) fn pass(sessions: &mut Sessions, waiter: &Waiter, mut reply: Reply, sink: &mut dyn Sink) -> bool {
    if reply.last
        && waiter.to.initialize.is_some()
        && let Some(key) = waiter.to.session
    {
        reply.session = opened(sessions, key, &reply.part);
    }
    match waiter.stream {
        Some(stream) => sessions.pass(stream, waiter.ctx, reply, sink),
        None => sink.reply(waiter.ctx, reply),
    }
}

/// An `initialize` was answered: a session begins with what the answer offers, if it is a result. Returns its id.
fn opened(sessions: &mut Sessions, key: SessionKey, answer: &[u8]) -> Option<String> {
    let answer = core::str::from_utf8(answer).ok().and_then(Members::parse);
    let Some(result) = answer.and_then(|answer| answer.raw("result").and_then(Members::parse)) else {
        sessions.end(key);
        return None;
    };
    let offered = result
        .raw("capabilities")
        .and_then(Members::parse)
        .unwrap_or_default();
    let session = sessions.get_mut(key)?;
    session.logs = offered.raw("logging").is_some();
    let resources = offered.raw("resources").and_then(Members::parse);
    session.subscribes = resources.is_some_and(|resources| resources.raw("subscribe") == Some("true"));
    session.id.clone()
}
