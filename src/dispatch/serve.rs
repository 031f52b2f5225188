//! From a message to an answer, a ticket, or a refusal.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::agent::{Caller, Request, Served, Step, Verb};
use super::check::Verdict;
use super::flights::{Flight, Recipient};
use super::listen::Subscription;
use super::plan::Plan;
use super::render;
use super::request::{Asked, Era, Method, speaks_legacy, validate};
use super::trip::{Forward, Trip};
use super::{Core, lists};
use crate::border::{FlightId, LocalCall, Millis, Now};
use crate::cache::{Key, SchemaId, Seq};
use crate::config::Anonymous;
use crate::error::{Code, Error};
use crate::mcp::headers::{self, HeaderParam};
use crate::mcp::message::{Message, Rejected};
use crate::mcp::names::HEADER_PARAM;
use crate::mcp::result::Parts;
use crate::provenance::{Provenance, State};
use crate::session::SessionKey;

/// Dead entries dropped per message, so that expiry costs each a bounded time.
const SWEEP: usize = 8;

/// What the lookup needs to know of a request besides itself.
pub(super) struct Route {
    partition: u64,
    floor: Seq,
    /// What started before is not fresh.
    doubt: Seq,
    /// No write of the caller has an unknown outcome.
    settled: bool,
    plan: Plan,
    /// `Mcp-Param-*` for the authority.
    headers: Vec<(String, String)>,
    /// Answered by the host, not the authority.
    local: Option<LocalCall>,
    /// What the arguments are to be judged by.
    schema: Option<SchemaId>,
}

/// A validated request on its way.
pub(super) struct Errand<'r, 'a> {
    pub(super) now: Millis,
    pub(super) request: &'r Request<'r>,
    pub(super) asked: &'r Asked<'a>,
    pub(super) route: Route,
}

impl Core {
    /// Receives one message. An answer that needs no waiting is appended to `out`.
    pub fn serve(&mut self, now: Now, request: Request<'_>, out: &mut Vec<u8>) -> Step {
        self.serve_judged(now, request, None, out)
    }

    /// As [`Core::serve`], with what the host says of the arguments after [`Served::Check`]. A verdict by another
    /// schema than the one in force is none.
    pub fn serve_judged(
        &mut self,
        now: Now,
        request: Request<'_>,
        verdict: Option<Verdict<'_>>,
        out: &mut Vec<u8>,
    ) -> Step {
        self.tick(now.mono);
        self.store.sweep(now.mono, SWEEP);
        match request.verb {
            Verb::Post => self.post(now.mono, &request, verdict, out),
            Verb::Get => self.open_stream(now.mono, &request, out),
            Verb::Delete => self.end_session(now.mono, &request, out),
        }
    }

    fn post(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        verdict: Option<Verdict<'_>>,
        out: &mut Vec<u8>,
    ) -> Step {
        if request.message.len() > self.config.limits.max_message_bytes {
            let error = Error::new(
                Code::TooLarge,
                "the message is larger than limits.maxMessageBytes",
            );
            return self.refuse(None, &error, out);
        }
        match self.batched(now, request, out) {
            Some(step) => step,
            None => self.one(now, request, verdict, out),
        }
    }

    /// Receives a message that is no batch.
    pub(super) fn one(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        verdict: Option<Verdict<'_>>,
        out: &mut Vec<u8>,
    ) -> Step {
        let message = match Message::parse(request.message) {
            Ok(message) => message,
            Err(Rejected { id, error }) => {
                return match self.responded(now, request) {
                    Ok(Some(step)) => step,
                    Ok(None) => self.refuse(id, &error, out),
                    Err(error) => self.refuse(None, &error, out),
                };
            }
        };
        let session = match self.session_of(now, request, &message) {
            Ok(session) => session,
            Err(error) => return self.refuse(message.id, &error, out),
        };
        let Some(id) = message.id else {
            return self.notified(request, session, &message);
        };
        if session.is_none() && self.sessions.batch.is_some() {
            // What belongs to no session ends with none: nobody could end a subscription of it.
            let error = Error::new(Code::InvalidRequest, "a batch has messages of its session alone");
            return self.refuse(Some(id), &error, out);
        }
        match self.answer(now, request, session, &message, id, verdict, out) {
            Ok(step) => step,
            Err(error) => {
                let legacy = session.is_some() || speaks_legacy(request);
                self.refuse_request(legacy, Some(id), &error, out)
            }
        }
    }

    /// Refuses a request that would have to wait where the caller of the core has no room for it. The core has
    /// found it sound: it answered `Absent` to it.
    pub fn refuse_for_room(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Served {
        let message = Message::parse(request.message).ok();
        let id = message.and_then(|message| message.id);
        let error = Error::new(Code::OverBudget, "too many requests are in progress");
        self.refuse_request(speaks_legacy(request), id, &error, out)
            .served
    }

    pub(super) fn refuse_request(
        &mut self,
        legacy: bool,
        id: Option<&str>,
        error: &Error,
        out: &mut Vec<u8>,
    ) -> Step {
        let mut step = self.refuse(id, error, out);
        // Only the headers of a stateless message mirror its body, whatever version they say.
        let legacy = legacy && error.code != Code::HeaderMismatch;
        if let (Served::Reply { status, .. }, true) = (&mut step.served, legacy) {
            // Before 2026-07-28 a JSON-RPC error is the body of a 200; clients drop other bodies.
            *status = 200;
        }
        step
    }

    pub(super) fn refuse(&mut self, id: Option<&str>, error: &Error, out: &mut Vec<u8>) -> Step {
        let json = self.error_json(error);
        render::error(out, id, &json);
        Step::of(Served::Reply {
            status: error.code.http(),
            provenance: None,
            serial: None,
            session: None,
        })
    }

    /// A notification: `notifications/cancelled` ends a wait within its session or connection; others need nothing.
    fn notified(
        &mut self,
        request: &Request<'_>,
        session: Option<SessionKey>,
        message: &Message<'_>,
    ) -> Step {
        let mut step = Step::of(Served::Accepted);
        if message.method == "notifications/cancelled"
            && let Some(id) = message.params.raw("requestId")
        {
            let ticket = self.flights.ticket_of(session, request.connection, id);
            step.cancel.extend(ticket);
        }
        step
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all of a request, and where the answer goes"
    )]
    fn answer<'a>(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        session: Option<SessionKey>,
        message: &Message<'a>,
        id: &'a str,
        verdict: Option<Verdict<'a>>,
        out: &mut Vec<u8>,
    ) -> Result<Step, Error> {
        let agreed = session.and_then(|key| self.sessions.get(key));
        let capabilities = agreed.map(|session| session.capabilities.clone());
        let version = agreed.map(|session| session.version).or(request.negotiated);
        let mut asked = validate(message, id, request.headers, version)?;
        asked.verdict = verdict;
        self.identify(request.caller)?;
        self.check_tasks(request.caller, &asked)?;
        if let (Some(key), Some(capabilities)) = (session, &capabilities) {
            self.belongs(&mut asked, key, capabilities);
        }
        match asked.method {
            Method::Ping => return Ok(empty(&asked, out)),
            Method::SetLevel | Method::Subscribe | Method::Unsubscribe => {
                return self.within_session(now, request, &asked, &message.params, out);
            }
            Method::Initialize => return self.initialize(now, request, asked, &message.params, out),
            _ => {}
        }
        self.find(now, request, &asked, out)
    }

    /// Answers a validated request from what is here, or sends it on its way.
    pub(super) fn find(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        asked: &Asked<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Step, Error> {
        let route = self.route(now, request, asked)?;
        if let Some(parts) = self.own_answer(asked, &route)? {
            let provenance = Provenance::new(State::Local);
            let ttl = asked.method.is_cacheable().then_some(Millis(0));
            render::result(out, &Recipient::of(asked), &parts, ttl, Some(provenance));
            return Ok(Step::of(Served::Reply {
                status: 200,
                provenance: Some(provenance),
                serial: None,
                session: None,
            }));
        }
        if asked.state.is_some() {
            return self.take_up(now, request, asked);
        }
        self.look_up(
            Errand {
                now,
                request,
                asked,
                route,
            },
            out,
        )
    }

    /// The caller must be somebody, or anonymous callers allowed.
    pub(super) fn identify(&self, caller: &Caller) -> Result<(), Error> {
        match caller {
            Caller::Principal(id) if id.is_empty() || id.len() > 1024 => Err(Error::new(
                Code::Unauthenticated,
                "a principal's identity has 1 to 1024 bytes",
            )),
            Caller::Anonymous if self.config.anonymous == Anonymous::Deny => Err(Error::new(
                Code::Unauthenticated,
                "anonymous callers are not allowed here",
            )),
            _ => Ok(()),
        }
    }

    /// Checks `Mcp-Param-*` against what is known of the tool, and asks the policy.
    pub(super) fn route(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        asked: &Asked<'_>,
    ) -> Result<Route, Error> {
        let floor = self.floor_of(asked.method);
        let partition = self.partitions.enter(request.caller);
        let settled = partition.unsettled_until <= now;
        if settled && partition.unsettled_until > Millis(0) {
            // Others may have stored shared answers meanwhile that are older than this caller's own write.
            partition.unsettled_until = Millis(0);
            partition.floor = self.seq.advance();
        }
        let name = asked.name.as_deref().unwrap_or_default();
        let listed = match asked.method {
            Method::CallTool => partition.tool(name),
            _ => None,
        };
        let (item, rule) = match asked.method {
            Method::CallTool => (self.local.tools.get(name), self.config.policy.tool(name)),
            Method::ReadResource => (self.local.resources.get(name), self.config.policy.resource(name)),
            _ => (None, None),
        };
        let known = listed.map_or(&[][..], |tool| &tool.params);
        if let (Some(given), Era::Modern, None) = (request.headers, asked.era, item) {
            headers::check_params(known, asked.arguments, given)?;
        }
        let unknown = unknown_params(known, request.headers.unwrap_or_default());
        let plan = Plan::new(asked, rule.or(item.map(|item| &item.rule)), !unknown.is_empty())?;
        let local = item.map(|_| match asked.method {
            Method::CallTool => LocalCall::Tool {
                name: name.into(),
                arguments: asked.arguments.into(),
            },
            _ => LocalCall::Resource { uri: name.into() },
        });
        let mut headers = if local.is_none() {
            headers::mirror(known, asked.arguments)
        } else {
            Vec::new()
        };
        headers.extend(unknown);
        let listed = listed.and_then(|tool| Some((tool.schema?, tool.listed)));
        let (id, own) = (partition.id, partition.floor);
        let schema = match item {
            Some(item) => item.schema,
            None => listed.and_then(|(schema, at)| self.listed_schema(schema, at)),
        };
        Ok(Route {
            partition: id,
            floor: own.max(floor),
            doubt: self.doubt_of(asked.method),
            settled,
            plan,
            headers,
            local,
            schema,
        })
    }

    /// What needs neither authority nor host: everything but local calls and subscriptions, where there is no
    /// authority.
    fn own_answer(&self, asked: &Asked<'_>, route: &Route) -> Result<Option<Parts>, Error> {
        let travels = self.config.authority.is_some() || asked.filter.is_some();
        if travels || route.local.is_some() {
            return Ok(None);
        }
        lists::without_authority(&self.local, asked).map(Some)
    }

    fn look_up(&mut self, errand: Errand<'_, '_>, out: &mut Vec<u8>) -> Result<Step, Error> {
        let Errand {
            now,
            request,
            asked,
            ref route,
        } = errand;
        let key = Key {
            partition: if route.plan.is_shared() {
                0
            } else {
                route.partition
            },
            version: asked.era.version(),
            method: asked.method.name(),
            capabilities: asked.capabilities,
            params: &asked.params,
        };
        let found = if route.plan.cached {
            self.store.find(&key)
        } else {
            None
        };
        // Before anything of it is looked at, or counted.
        if let Some(schema) = route.schema
            && let Some(step) = self.judge(asked, schema, found.as_ref(), out)
        {
            return Ok(step);
        }
        let Some(found) = found else {
            if request.peek {
                return Ok(Step::of(Served::Absent));
            }
            self.stats.bypassed += 1;
            return self.depart(errand, None, State::Bypass);
        };
        let mut prior = State::Miss;
        let mut stale = None;
        if let Some(entry) = self.store.entry(found.digest, found.canonical.as_deref()) {
            prior = State::Stale;
            let valid = entry.seq >= route.floor.max(route.doubt) && route.settled;
            let fresh = valid && now < entry.expires;
            let revalidate = valid && now < entry.expires + entry.windows.while_revalidate && !request.peek;
            if fresh || revalidate {
                let mut provenance = Provenance::new(State::Hit);
                provenance.ttl = Some(entry.ttl(now));
                let ttl = asked.method.is_cacheable().then(|| entry.expires.since(now));
                out.reserve(entry.parts.members.len() + entry.parts.meta.len() + 256);
                render::result(out, &Recipient::of(asked), &entry.parts, ttl, Some(provenance));
                let provenance = Some(provenance);
                let served = Served::Reply {
                    status: 200,
                    provenance,
                    serial: Some(entry.serial),
                    session: None,
                };
                if fresh {
                    self.stats.hits += 1;
                    return Ok(Step::of(served));
                }
                stale = Some(served);
            }
        }
        if request.peek {
            return Ok(Step::of(Served::Absent));
        }
        match prior {
            State::Stale => self.stats.stale += 1,
            _ => self.stats.misses += 1,
        }
        // Found by its exact key, it has the canonical one.
        let known = || {
            self.store
                .entry(found.digest, None)
                .map(|entry| entry.key().into())
        };
        let canonical: Box<[u8]> = found.canonical.or_else(known).unwrap_or_default();
        let under_way = self.flights.under_way(
            route.partition,
            found.digest,
            &canonical,
            route.floor.max(route.doubt),
        );
        let key = Some((found.digest, canonical));
        match (stale, under_way) {
            // Served stale: fetched again behind it, once.
            (Some(served), None) if !self.is_full() => {
                let start = Some(self.take_off(errand, key, prior));
                Ok(Step {
                    start,
                    ..Step::of(served)
                })
            }
            (Some(served), _) => Ok(Step::of(served)),
            (None, Some(flight)) => {
                self.check_waiters()?;
                self.stats.collapsed += 1;
                Ok(Step::of(self.wait(flight, request, asked, true)))
            }
            (None, None) => self.depart(errand, key, prior),
        }
    }

    fn is_full(&self) -> bool {
        self.flights.count() >= self.config.limits.max_flights
    }

    pub(super) fn check_waiters(&self) -> Result<(), Error> {
        if self.flights.waiters() >= self.config.limits.max_waiters {
            return Err(Error::new(
                Code::OverBudget,
                "limits.maxWaiters requests wait already",
            ));
        }
        Ok(())
    }

    /// Starts a trip and waits for it.
    fn depart(
        &mut self,
        errand: Errand<'_, '_>,
        key: Option<(u64, Box<[u8]>)>,
        prior: State,
    ) -> Result<Step, Error> {
        if errand.asked.filter.is_some() {
            self.check_listens(errand.request)?;
        } else {
            self.check_waiters()?;
        }
        if errand.asked.filter.is_none() && self.is_full() {
            return Err(Error::new(
                Code::OverBudget,
                "limits.maxFlights trips are under way already",
            ));
        }
        let Errand { request, asked, .. } = errand;
        let (flight, trip) = self.take_off(errand, key, prior);
        Ok(Step {
            start: Some((flight, trip)),
            ..Step::of(self.wait(flight, request, asked, false))
        })
    }

    pub(super) fn take_off(
        &mut self,
        errand: Errand<'_, '_>,
        key: Option<(u64, Box<[u8]>)>,
        prior: State,
    ) -> (FlightId, Trip) {
        let Errand {
            now,
            request,
            asked,
            route,
        } = errand;
        let name: Option<String> = asked.name.as_deref().map(Into::into);
        let flight = self.flights.start(Flight {
            caller: request.caller.clone(),
            partition: route.partition,
            method: asked.method,
            name: name.clone(),
            has_cursor: asked.has_cursor,
            plan: route.plan,
            key,
            seq: self.seq.advance(),
            schema: route.schema,
            started: now,
            prior,
            may_be_task: asked.method == Method::CallTool && route.local.is_none() && asked.knows_tasks(),
            forwarded: route.local.is_none(),
            subscription: asked.filter.clone().map(Subscription::new),
            waiters: Vec::new(),
        });
        let trip = match route.local {
            Some(call) => Trip::Local(call),
            None => Trip::Forward(Forward {
                partition: route.partition,
                principal: match request.caller {
                    Caller::Principal(id) => Some(id.clone()),
                    Caller::Anonymous => None,
                },
                method: asked.method.name().to_string(),
                name,
                params: asked.params.clone(),
                meta: asked.meta.forward.clone(),
                capabilities: asked.capabilities.into(),
                progress: asked.meta.progress.is_some(),
                headers: route.headers,
                inputs: Self::inputs(request, asked),
                session_era: asked.era != Era::Modern,
                write: route.plan.write,
            }),
        };
        (flight, trip)
    }
}

impl Step {
    pub(super) const fn of(served: Served) -> Self {
        Self {
            served,
            start: None,
            cancel: Vec::new(),
            answered: None,
        }
    }
}

/// Answers with a result without members.
pub(super) fn empty(asked: &Asked<'_>, out: &mut Vec<u8>) -> Step {
    render::result(out, &Recipient::of(asked), &Parts::empty(), None, None);
    Step::of(Served::Reply {
        status: 200,
        provenance: None,
        serial: None,
        session: None,
    })
}

/// The `Mcp-Param-*` headers that no annotation accounts for: they are passed on, and bypass the cache.
fn unknown_params(known: &[HeaderParam], given: &[(String, String)]) -> Vec<(String, String)> {
    let unknown = |name: &str| {
        name.strip_prefix(HEADER_PARAM)
            .is_some_and(|name| !known.iter().any(|param| param.header == name))
    };
    let value = |value: &str| {
        let text = headers::decode(value)?;
        let plain = value.trim_matches([' ', '\t']);
        // A tab may stand in a field value, but some stacks reject it.
        Some(if plain.contains('\t') {
            headers::encode(&text)
        } else {
            plain.into()
        })
    };
    given
        .iter()
        .filter(|(name, _)| unknown(name))
        .filter_map(|(name, given)| Some((name.clone(), value(given)?)))
        .collect()
}
