//! The streams of sessions (2025-11-25, Transports, Streamable HTTP): GET opens a session's own, or takes one up again.
//!
//! What the agent is told on its own stream of lists and resources is what a subscription of ours to the authority hears:
//! one trip for each open stream, renewed when the resources change. The older one is heard until the authority has
//! acknowledged the newer. Whoever resumes is told of everything, since nobody knows what was missed.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::agent::{Due, Request, Served, Step};
use super::flights::Flight;
use super::request::{Asked, Era, Method};
use super::serve::Errand;
use super::session::{header, pass};
use super::trip::{Answer, Sink, Trip, TripError};
use super::{Core, render};
use crate::border::{Ctx, Event, FlightId, Millis, Reply, Ticket};
use crate::error::{Code, Error};
use crate::json;
use crate::mcp::meta::{Meta, push_member};
use crate::mcp::names::HEADER_LAST_EVENT;
use crate::mcp::result::Parts;
use crate::mcp::subscription::Filter;
use crate::provenance::State;
use crate::session::{EventId, Get, Resumed, SessionKey, StreamKey};

impl Core {
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
            // A connection cannot resume.
            session.gap = after.is_some() || (session.gap && !session.is_http());
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
                let id = after.id.as_deref().unwrap_or_default();
                let mut part = Vec::new();
                match json::elements(id) {
                    None => render::error(&mut part, Some(id), &json),
                    Some(ids) => {
                        for id in ids {
                            part.push(if part.is_empty() { b'[' } else { b',' });
                            render::error(&mut part, Some(id), &json);
                        }
                        part.push(b']');
                    }
                }
                let reply = Reply {
                    last: true,
                    ..Reply::part(get.ticket, part)
                };
                self.due.push(Due::Reply(get.ctx, reply));
            }
        }
    }

    /// A trip that listens for all that a session is to hear of, in place of the one before.
    pub(super) fn listen_for(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        key: SessionKey,
    ) -> Result<(FlightId, Trip), Error> {
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
            verdict: None,
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
        let mut gap = core::mem::take(&mut session.gap);
        if let Some(former) = session.former.take().and_then(|ticket| self.flights.of(ticket)) {
            gap |= self.flights.subscription(former).is_some_and(|it| it.has_gap());
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
            if let Some(session) = self.sessions.get_mut(key) {
                session.gap = true;
            }
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
                pass(&mut self.sessions, &waiter, reply, &mut Later(&mut self.due));
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
                // Until the newer one is heard, nobody hears anything.
                session.gap = true;
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
        if let Some(stream) = stream {
            self.sessions.give_up(stream, &mut Later(&mut self.due));
        }
    }

    /// The agent's HTTP request went away: true if what it asked for goes on, since a lost connection cancels nothing
    /// in a session (2025-11-25, Transports, Sending Messages to the Server).
    pub fn detach(&mut self, ticket: Ticket) -> bool {
        if self.sessions.leave(ticket) {
            return true;
        }
        // Told late, or again: the stream was left before, or was taken up by another connection.
        let stream = self.flights.waiter(ticket).and_then(|waiter| waiter.stream);
        stream.is_some_and(|stream| self.sessions.goes_on(stream))
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

/// Brings replies to what is due.
struct Later<'a>(&'a mut Vec<Due>);

impl Sink for Later<'_> {
    fn reply(&mut self, ctx: Ctx, reply: Reply) -> bool {
        self.0.push(Due::Reply(ctx, reply));
        true
    }

    fn event(&mut self, _: Event) {}
}

/// The end of a stream without a response.
pub(super) fn bye((ticket, ctx): (Ticket, Ctx)) -> Due {
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
        stray: false,
        detail: Box::default(),
        credential: Some(answer.credential),
    })
}
