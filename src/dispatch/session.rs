//! What belongs to a session of a session-era agent: how it begins and ends (2025-11-25, Lifecycle; Transports, Session
//! Management), whose it is, what its requests take from it, log level and subscriptions. Its streams are in `streams`.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::agent::{Due, Request, Served, Step};
use super::flights::Waiter;
use super::request::{Asked, Method, unsupported};
use super::serve::empty;
use super::streams::bye;
use super::trip::Sink;
use super::{Core, render};
use crate::border::{Ctx, FlightId, Millis, Reply};
use crate::error::{Code, Error};
use crate::http::Accept;
use crate::json::Members;
use crate::limits::{MAX_SUBSCRIBED, MAX_SUBSCRIBED_BYTES};
use crate::mcp::message::{self, Message};
use crate::mcp::meta::{LogLevel, push_member};
use crate::mcp::names::{
    BATCHED, HEADER_SESSION, HEADER_VERSION, LEGACY, META_LOG_LEVEL, META_VERSION, MODERN, session_era,
};
use crate::session::{Opening, SessionKey, Sessions};

/// What the keys of sessions' records begin with.
const RECORD: &str = "session:";

/// A header's only value: a repeated one names nothing.
pub(super) fn header<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    let mut named = request.headers?.iter().filter(|(known, _)| known == name);
    let value = named.next()?.1.trim();
    Some(if named.next().is_some() { "" } else { value })
}

/// Whether something can be told before the response. Where it cannot, there is nothing to come back for either.
pub(super) fn takes_events(request: &Request<'_>) -> bool {
    Accept::parse(header(request, "accept")) != Some(Accept::Json)
}

impl Core {
    /// The host keeps sessions: see `Host::sessions` of `leeward-sync`.
    pub fn keep_sessions(&mut self) {
        self.sessions.kept = true;
    }

    /// What came of the last call besides its outcome, in order.
    pub fn poll_due(&mut self) -> Option<Due> {
        if !self.due.is_empty() {
            return Some(self.due.remove(0));
        }
        let (id, record) = self.sessions.poll_save()?;
        let key = format!("{RECORD}{id}");
        Some(Due::Save { key, record })
    }

    /// The host stores records of sessions: what becomes of one is told from now on.
    pub fn store_sessions(&mut self) {
        self.sessions.stored = true;
    }

    /// Takes up a session that was stored. False if its record is damaged, or past a limit on sessions.
    pub fn restore(&mut self, now: Millis, key: &str, record: &[u8]) -> bool {
        self.tick(now);
        key.starts_with(RECORD) && self.sessions.restore(now, record)
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
    pub(super) fn named(&mut self, now: Millis, request: &Request<'_>) -> Result<Option<SessionKey>, Error> {
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
            Some(version) if session_era(version).is_none() => Err(unsupported(version)),
            _ => self.sessions.find(now, id, request.caller).map(Some),
        }
    }

    /// The session that GET and DELETE are about.
    pub(super) fn required(&mut self, now: Millis, request: &Request<'_>) -> Result<SessionKey, Error> {
        self.identify(request.caller)?;
        let missing = match request.headers {
            Some(_) => Error::new(Code::SessionRequired, "mcp-session-id is missing"),
            None => Error::new(Code::SessionUnknown, "this connection has no session"),
        };
        self.named(now, request)?.ok_or(missing)
    }

    /// A message that is no request: a response within a session, taken whether anybody waits for it or not.
    ///
    /// # Errors
    /// Those of [`Core::named`]: who answers in a session that is not there has to hear of it.
    pub(super) fn responded(&mut self, now: Millis, request: &Request<'_>) -> Result<Option<Step>, Error> {
        let Some((id, outcome)) = message::response(request.message) else {
            return Ok(None);
        };
        let key = self.named(now, request)?;
        Ok(key.map(|key| self.asked_back(key, id, outcome)))
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
        if asked.session.is_none() {
            asked.wanted = asked.wanted.filter(|version| *version != BATCHED);
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
        if let Some(batch) = self.sessions.batch {
            self.join_batch(batch, flight, ticket);
        } else if let Some(key) = asked.session.filter(|_| asked.method != Method::Initialize)
            && takes_events(request)
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
                self.sessions.save(key);
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
                let heard = session.get.is_some();
                self.sessions.save(key);
                if heard {
                    return self.subscribe(now, request, asked, key, uri);
                }
            }
            (Method::Unsubscribe, Some(at)) if session.subscribes => {
                session.uris.remove(at);
                let heard = session.get.is_some();
                self.sessions.save(key);
                if heard {
                    // Without room for another trip, more is heard than is told.
                    let start = self.listen_for(now, request, key).ok();
                    return Ok(Step {
                        start,
                        ..empty(asked, out)
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
        if let Some(batch) = self.sessions.batch {
            self.join_batch(batch, flight, ticket);
        }
        Ok(Step {
            start: Some((flight, trip)),
            ..Step::of(Served::Wait(ticket))
        })
    }

    pub(super) fn forget_uri(&mut self, key: SessionKey, uri: &str) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.uris.retain(|known| known != uri);
            self.sessions.save(key);
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
            let own = [session.listener, session.former];
            for ticket in cancel.iter().filter(|ticket| !own.contains(&Some(**ticket))) {
                // Its connection is of no stream, but stays open for its answer.
                let waiter = self.flights.waiter(*ticket).filter(|_| session.is_http());
                if let Some(waiter) = waiter.filter(|waiter| waiter.stream.is_none()) {
                    self.due.push(bye((waiter.ticket, waiter.ctx)));
                }
            }
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
    pub(super) fn refuse_verb(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Option<Step> {
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
        Some(stream) => sessions.pass(stream, reply, sink),
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
    session.open = true;
    session.logs = offered.raw("logging").is_some();
    let resources = offered.raw("resources").and_then(Members::parse);
    session.subscribes = resources.is_some_and(|resources| resources.raw("subscribe") == Some("true"));
    let id = session.id.clone();
    sessions.save(key);
    id
}
