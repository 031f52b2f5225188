//! The end of a trip: what it makes stale, whether its answer is stored, and who is told what.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::agent::Caller;
use super::flights::{Flight, Waiter};
use super::request::{Era, Method};
use super::session::pass;
use super::streams::ended;
use super::trip::{Answer, Body, Sink, TripError};
use super::{Core, lists, render};
use crate::border::{Event, FlightId, Millis, Now, Reply};
use crate::cache::Tool;
use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::mcp::meta::LogLevel;
use crate::mcp::names::{
    ERROR_HEADER_MISMATCH, ERROR_MISSING_CAPABILITY, ERROR_UNSUPPORTED_VERSION, META_SUBSCRIPTION,
};
use crate::mcp::result::{Parts, is_valid, notification};
use crate::mcp::subscription::Change;
use crate::mcp::task::{TASK_NEWS, Task};
use crate::provenance::{Provenance, State};
use crate::session::Sessions;

/// How long after a write of unknown outcome nothing that it may have touched is stored.
const SETTLE: Millis = Millis(60_000);

impl Core {
    /// Takes the outcome of a trip and answers everybody who waits for it. Unknown flights are ignored.
    pub fn settle(
        &mut self,
        now: Now,
        flight: FlightId,
        outcome: Result<Answer, TripError>,
        sink: &mut dyn Sink,
    ) {
        self.tick(now.mono);
        if outcome.is_err() {
            self.doubt(flight);
        }
        let (Some(flight), listened) = self.land(flight) else {
            return;
        };
        let outcome = if listened {
            outcome.and_then(ended)
        } else {
            outcome
        };
        if flight.plan.write {
            let unknown = matches!(&outcome, Err(trip) if trip.error.code == Code::UnknownOutcome);
            self.stale_after_write(now.mono, &flight, unknown);
        }
        match outcome {
            Err(trip) => {
                if let Some(credential) = &trip.credential {
                    self.take_credential(&flight, credential.clone());
                }
                self.failed(now.mono, flight, trip, sink);
            }
            Ok(answer) => {
                self.take_note(&flight, &answer);
                match answer.body {
                    Body::Error(error) => self.refused(flight, &error, sink),
                    Body::Result(raw) => self.answered(now.mono, flight, &raw, sink),
                }
            }
        }
    }

    /// Read your writes: what started before this point is stale for this principal.
    fn stale_after_write(&mut self, now: Millis, flight: &Flight, unknown: bool) {
        self.stale_for(&flight.caller, flight.partition);
        if unknown {
            match self.partitions.same(&flight.caller, flight.partition) {
                Some(partition) => partition.unsettled_until = now + SETTLE,
                None => self.partitions.unsettle(&flight.caller, now + SETTLE),
            }
        }
    }

    /// What started before this point is stale for a principal.
    pub(super) fn stale_for(&mut self, caller: &Caller, partition: u64) {
        let seq = self.seq.advance();
        match self.partitions.same(caller, partition) {
            Some(partition) => partition.floor = seq,
            // The partition was forgotten meanwhile: nobody can tell whose view this concerns.
            None => self.floor = seq,
        }
    }

    /// A write of this caller was lost sight of before now.
    pub(super) fn unsettle(&mut self, now: Millis, caller: &Caller) {
        let seq = self.seq.advance();
        let partition = self.partitions.enter(caller);
        partition.floor = seq;
        partition.unsettled_until = partition.unsettled_until.max(now + SETTLE);
    }

    /// Credential and annotations of an authority's answer. Another credential starts an empty partition.
    fn take_note(&mut self, flight: &Flight, answer: &Answer) {
        if !flight.forwarded || flight.subscription.is_some() {
            return;
        }
        self.take_credential(flight, answer.credential.clone());
        let Some(partition) = self.partitions.same(&flight.caller, flight.partition) else {
            return;
        };
        for (name, params) in &answer.learned {
            // Its schema was seen by nobody here: calls travel until the list is read again.
            let tool = Tool {
                params: params.clone(),
                ..Tool::default()
            };
            partition.learn(name.clone(), tool);
        }
    }

    fn take_credential(&mut self, flight: &Flight, credential: Option<String>) {
        if let Some(partition) = self.partitions.same(&flight.caller, flight.partition)
            && partition.takes_credential(credential)
        {
            partition.floor = self.seq.advance();
        }
    }

    pub(super) fn failed(&mut self, now: Millis, flight: Flight, trip: TripError, sink: &mut dyn Sink) {
        let detail = match trip.error.code {
            Code::AuthorityUnreachable => Some("offline"),
            Code::AuthorityInvalid if trip.stray => Some("offline"),
            Code::AuthorityTimeout => Some("timeout"),
            Code::RateLimited => Some("rate-limited"),
            _ => None,
        };
        sink.event(Event::TripFailed {
            method: flight.method.name().into(),
            // Its data is the agent's: it may hold the link by which a user consents.
            error: Error {
                data: String::new(),
                ..trip.error.clone()
            },
            detail: trip.detail.into(),
        });
        if detail.is_some_and(|detail| self.answer_stale(now, &flight, detail, sink)) {
            return;
        }
        if trip.error.code == Code::AuthorityAuthRequired {
            // An authoritative word: nothing that the credential brought is served any more.
            match self.partitions.same(&flight.caller, flight.partition) {
                Some(partition) => partition.floor = self.seq.advance(),
                None => self.invalidate(),
            }
        }
        for waiter in &flight.waiters {
            let status = match waiter.to.era {
                Era::Modern => trip.error.code.http(),
                Era::Legacy(_) => 200,
            };
            let json = self.error_json(&trip.error);
            reply_error(&mut self.sessions, waiter, status, &json, &flight, sink);
        }
    }

    /// Answers from what is stored, within `stale-if-error`. False if there is nothing, or it is not allowed.
    fn answer_stale(
        &mut self,
        now: Millis,
        flight: &Flight,
        detail: &'static str,
        sink: &mut dyn Sink,
    ) -> bool {
        let Some((digest, canonical)) = &flight.key else {
            return false;
        };
        let own = self
            .partitions
            .same(&flight.caller, flight.partition)
            .map(|partition| partition.floor);
        let Some(floor) = own else { return false };
        let Some(entry) = self.store.entry(*digest, Some(canonical)) else {
            return false;
        };
        let usable = entry.seq >= floor.max(self.floor_of(flight.method))
            && now < entry.expires + entry.windows.if_error;
        if !usable {
            return false;
        }
        let mut provenance = Provenance::new(State::Hit);
        provenance.ttl = Some(entry.ttl(now));
        provenance.detail = Some(detail);
        let ttl = flight.method.is_cacheable().then(|| entry.expires.since(now));
        for waiter in &flight.waiters {
            let serial = Some(entry.serial);
            reply_result(
                &mut self.sessions,
                waiter,
                &entry.parts,
                ttl,
                provenance,
                serial,
                sink,
            );
        }
        true
    }

    /// The authority answered with an error: it is passed on, and what it disproves is dropped.
    fn refused(&mut self, flight: Flight, error: &str, sink: &mut dyn Sink) {
        let members = Members::parse(error).unwrap_or_default();
        let code = members.raw("code").and_then(json::signed).unwrap_or(-32603);
        // An authoritative word: what is stored under this key may not be served stale after it.
        if let Some((digest, _)) = &flight.key {
            self.store.remove(*digest);
        }
        if matches!(code, -32601 | -32602) {
            if flight.has_cursor {
                // An invalid cursor discards all pages of its list (2026-07-28, Pagination and Caching).
                self.store.remove_method(flight.partition, flight.method.name());
            } else if flight.method == Method::CallTool {
                self.store
                    .remove_method(flight.partition, Method::ListTools.name());
            }
        }
        for waiter in &flight.waiters {
            match waiter.to.era {
                Era::Legacy(_) => reply_error(&mut self.sessions, waiter, 200, error, &flight, sink),
                Era::Modern => match modern_error(code, &members, &flight) {
                    Ok(None) => {
                        let status = modern_status(code);
                        reply_error(&mut self.sessions, waiter, status, error, &flight, sink);
                    }
                    Ok(Some(translated)) => {
                        reply_error(&mut self.sessions, waiter, 200, &translated, &flight, sink);
                    }
                    Err(ours) => {
                        let json = self.error_json(&ours);
                        let status = ours.code.http();
                        reply_error(&mut self.sessions, waiter, status, &json, &flight, sink);
                    }
                },
            }
        }
    }

    fn answered(&mut self, now: Millis, mut flight: Flight, raw: &str, sink: &mut dyn Sink) {
        let result = Members::parse(raw).unwrap_or_default();
        // `tasks/get` has no business to say so, but tells a task all the same.
        let made = flight.method != Method::GetTask && result.string("resultType").as_deref() == Some("task");
        let of_task = made || flight.method == Method::GetTask;
        let task = if of_task { Task::read(&result) } else { None };
        let valid = if of_task {
            task.is_some() && (flight.may_be_task || !made)
        } else {
            is_valid(flight.method.name(), raw)
        };
        let mut parts = match Parts::parse(raw, !of_task) {
            Some(parts) if valid || !(parts.complete || of_task) => parts,
            _ => {
                let code = if flight.plan.write {
                    Code::UnknownOutcome
                } else if flight.forwarded {
                    Code::AuthorityInvalid
                } else {
                    Code::Internal
                };
                let message = if made && !flight.may_be_task {
                    "the authority made a task, which the request does not allow"
                } else {
                    "the result is not one of this method, or has a member twice"
                };
                let error = Error::new(code, message);
                return self.failed(
                    now,
                    flight,
                    TripError {
                        error,
                        stray: false,
                        detail: Box::default(),
                        credential: None,
                    },
                    sink,
                );
            }
        };
        if let Some(task) = &task {
            self.note_task(&flight, task);
        }
        if let (Some(_), Some(waiter)) = (&flight.subscription, flight.waiters.first()) {
            parts.meta = render::replaced(&parts.meta, META_SUBSCRIPTION, &waiter.to.id);
        }
        let (parts, serial, mut provenance) = self.keep(now, &mut flight, parts, sink);
        let ttl = flight.method.is_cacheable().then(|| match provenance.ttl {
            Some(ttl) => Millis(u64::try_from(ttl.0).unwrap_or(0)),
            None => parts.ttl,
        });
        for waiter in &flight.waiters {
            provenance.collapsed = waiter.collapsed;
            reply_result(&mut self.sessions, waiter, &parts, ttl, provenance, serial, sink);
        }
    }

    /// Prepares a result for agents and stores it where it may be. Returns it with its serial and provenance.
    fn keep(
        &mut self,
        now: Millis,
        flight: &mut Flight,
        mut parts: Parts,
        sink: &mut dyn Sink,
    ) -> (Parts, Option<u64>, Provenance) {
        let first_page = !flight.has_cursor;
        match flight.method {
            Method::Discover | Method::Initialize => lists::discovered(&mut parts, &self.local),
            Method::ListResources => lists::resources(&mut parts, &self.local, first_page),
            Method::ListTools => {
                let schemas = self.schemas.as_mut().map(|schemas| (schemas, &self.random));
                let learned = lists::tools(&mut parts, &self.local, first_page, flight.seq, schemas);
                learned.events.into_iter().for_each(|event| sink.event(event));
                if let Some(partition) = self.partitions.same(&flight.caller, flight.partition) {
                    for (name, tool) in learned.tools {
                        partition.learn(name, tool);
                    }
                }
            }
            _ => {}
        }
        let state = if flight.forwarded || flight.key.is_some() {
            flight.prior
        } else {
            State::Local
        };
        let mut provenance = Provenance::new(state);
        let Some((digest, canonical)) = flight.key.take() else {
            return (parts, None, provenance);
        };
        let anonymous = flight.caller == Caller::Anonymous;
        let floor = self.floor_of(flight.method);
        let windows = flight.plan.windows(&parts, anonymous).and_then(|windows| {
            let own = self
                .partitions
                .same(&flight.caller, flight.partition)
                .ok_or("the partition was forgotten")?;
            if flight.seq < own.floor.max(floor) {
                return Err("invalidated meanwhile");
            }
            if self
                .store
                .entry(digest, Some(&canonical))
                .is_some_and(|entry| entry.seq > flight.seq)
            {
                return Err("a newer answer is stored");
            }
            if flight.started < own.unsettled_until {
                return Err("the outcome of a write is unknown");
            }
            Ok(windows)
        });
        let mut windows = match windows {
            Ok(Some(windows)) => windows,
            Ok(None) => {
                self.store.remove(digest);
                return (parts, None, provenance);
            }
            Err(reason) => {
                sink.event(Event::NotStored {
                    method: flight.method.name().into(),
                    reason,
                });
                return (parts, None, provenance);
            }
        };
        // Downward only, by at most a sixteenth: entries that came together do not expire together.
        let jitter = self.draw() % (windows.fresh.0 / 16 + 1);
        windows.fresh = Millis(windows.fresh.0 - jitter);
        let serial = match self.store.insert(
            digest,
            canonical,
            parts.clone(),
            flight.seq,
            now,
            windows,
            flight.schema,
        ) {
            Some(entry) => {
                provenance.ttl = Some(entry.ttl(now));
                provenance.stored = true;
                self.stats.stored += 1;
                Some(entry.serial)
            }
            None => {
                let reason = "larger than limits.maxCacheBytes";
                sink.event(Event::NotStored {
                    method: flight.method.name().into(),
                    reason,
                });
                None
            }
        };
        (parts, serial, provenance)
    }

    /// Passes on a notification (raw JSON-RPC message) that the authority sent within a trip: progress and log
    /// messages; to a subscription, what it is for; others are ignored. The progress token toward the authority is
    /// always the flight's number. True if the flight has ended of it: drop its trip.
    pub fn relay(&mut self, flight: FlightId, raw: &str, sink: &mut dyn Sink) -> bool {
        let Some(message) = notification(raw) else {
            return false;
        };
        if let Some(change) = Change::of(&message.method) {
            self.stale(change);
        }
        let Some(under_way) = self.flights.flight(flight) else {
            return false;
        };
        if message.method == TASK_NEWS
            && let Some(task) = Task::read(&message.params)
        {
            let (caller, partition) = (under_way.caller.clone(), under_way.partition);
            self.task_seen(&caller, partition, &task);
        }
        let Some(under_way) = self.flights.flight(flight) else {
            return false;
        };
        if under_way.subscription.is_some() {
            return self.hear(flight, &message, raw, sink);
        }
        let waiters = under_way.waiters.iter();
        match &*message.method {
            "notifications/progress"
                if message.params.raw("progressToken") == Some(&flight.0.to_string()) =>
            {
                for waiter in waiters {
                    let Some(token) = &waiter.progress else { continue };
                    let params: Vec<(&str, &str)> = message.params.iter().collect();
                    let params = with_token(&params, token);
                    let part = format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{{params}}}}}"#
                    );
                    pass(
                        &mut self.sessions,
                        waiter,
                        part_of(waiter, part.into_bytes()),
                        sink,
                    );
                }
            }
            "notifications/message" => {
                let level = message
                    .params
                    .string("level")
                    .and_then(|level| LogLevel::parse(&level));
                for waiter in waiters.filter(|waiter| waiter.log_level.is_some() && level >= waiter.log_level)
                {
                    pass(
                        &mut self.sessions,
                        waiter,
                        part_of(waiter, raw.as_bytes().to_vec()),
                        sink,
                    );
                }
            }
            _ => {}
        }
        false
    }
}

fn with_token(params: &[(&str, &str)], token: &str) -> String {
    let mut out = String::new();
    for (name, value) in params {
        let value = if *name == "progressToken" { token } else { value };
        crate::mcp::meta::push_member(&mut out, name, value);
    }
    out
}

pub(super) fn part_of(waiter: &Waiter, part: Vec<u8>) -> Reply {
    Reply::part(waiter.ticket, part)
}

pub(super) fn reply_result(
    sessions: &mut Sessions,
    waiter: &Waiter,
    parts: &Parts,
    ttl: Option<Millis>,
    provenance: Provenance,
    serial: Option<u64>,
    sink: &mut dyn Sink,
) {
    let mut part = Vec::with_capacity(parts.members.len() + parts.meta.len() + 256);
    render::result(&mut part, &waiter.to, parts, ttl, Some(provenance));
    let reply = Reply {
        last: true,
        provenance: Some(provenance),
        serial,
        ..part_of(waiter, part)
    };
    pass(sessions, waiter, reply, sink);
}

fn reply_error(
    sessions: &mut Sessions,
    waiter: &Waiter,
    status: u16,
    error: &str,
    flight: &Flight,
    sink: &mut dyn Sink,
) {
    let mut part = Vec::with_capacity(error.len() + 64);
    render::error(&mut part, Some(&waiter.to.id), error);
    let mut provenance = Provenance::new(if flight.forwarded {
        flight.prior
    } else {
        State::Local
    });
    provenance.collapsed = waiter.collapsed;
    let reply = Reply {
        status,
        last: true,
        provenance: Some(provenance),
        ..part_of(waiter, part)
    };
    pass(sessions, waiter, reply, sink);
}

/// An authority's error for an agent of 2026-07-28: `None` passes it on verbatim. The revision forbids the codes
/// -32002 and -32042, and those of -32020…-32099 that it does not define (Base Protocol, Error Codes).
fn modern_error(code: i64, members: &Members<'_>, flight: &Flight) -> Result<Option<String>, Error> {
    const DEFINED: [i64; 3] = [
        ERROR_HEADER_MISMATCH,
        ERROR_MISSING_CAPABILITY,
        ERROR_UNSUPPORTED_VERSION,
    ];
    if code == -32002 && flight.method == Method::ReadResource {
        // What sessions-era authorities say of an unknown resource.
        let message = members.raw("message").unwrap_or("\"resource not found\"");
        let uri = render::quoted(flight.name.as_deref().unwrap_or_default());
        let data = members
            .raw("data")
            .map_or_else(|| format!(r#"{{"uri":{uri}}}"#), Into::into);
        return Ok(Some(format!(
            r#"{{"code":-32602,"message":{message},"data":{data}}}"#
        )));
    }
    let forbidden =
        matches!(code, -32002 | -32042) || ((-32099..=-32020).contains(&code) && !DEFINED.contains(&code));
    // It speaks of the version between the replica and itself.
    if forbidden || code == ERROR_UNSUPPORTED_VERSION {
        let message = format!("the authority answered with error code {code}");
        return Err(Error::new(Code::AuthorityInvalid, message));
    }
    Ok(None)
}

/// The HTTP status for a code that the authority chose (2026-07-28, Streamable HTTP).
const fn modern_status(code: i64) -> u16 {
    match code {
        -32601 => 404,
        ERROR_MISSING_CAPABILITY | ERROR_HEADER_MISMATCH => 400,
        _ => 200,
    }
}
