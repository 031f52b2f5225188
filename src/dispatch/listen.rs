//! Subscriptions (2026-07-28, Patterns, Subscriptions): a trip of its own for each, neither looked up nor joined
//! nor stored, that lasts until either side ends it.
//!
//! What the authority tells makes stale what it is about, before the agent hears of it: what the agent then asks
//! for travels. Where the authority's stream broke, news may be lost: what it kept fresh is *doubted*, which ends
//! its freshness but not what a rule allows during an outage; and once the stream is back, the agent is told of
//! everything it listens for, since it cannot know what it missed.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Core;
use super::agent::Request;
use super::flights::{Recipient, Waiter};
use super::render::{quoted, replaced};
use super::request::Method;
use super::settle::part_of;
use super::trip::{Sink, TripError};
use crate::border::{FlightId, Ticket};
use crate::cache::Seq;
use crate::error::{Code, Error};
use crate::json::Members;
use crate::limits::{MAX_LISTEN_BYTES, MAX_LISTENS, MAX_LISTENS_PER_PRINCIPAL};
use crate::mcp::message::Message;
use crate::mcp::meta::push_member;
use crate::mcp::names::META_SUBSCRIPTION;
use crate::mcp::subscription::{ACKNOWLEDGED, Change, Filter, LISTS};
use crate::mcp::task::TASK_NEWS;

/// What an agent listens for.
#[derive(Debug)]
pub(super) struct Subscription {
    asked: Filter,
    /// What the agent was told that it will hear; `None` before.
    honoured: Option<Filter>,
    /// The authority's stream broke since.
    gap: bool,
    /// Of a session's: the requests that wait for its acknowledgement, and for which resource.
    pub(super) pending: Vec<(Ticket, String)>,
}

impl Subscription {
    pub(super) const fn new(asked: Filter) -> Self {
        Self {
            asked,
            honoured: None,
            gap: false,
            pending: Vec::new(),
        }
    }

    /// What the authority agreed to tell.
    pub(super) const fn honoured(&self) -> Option<&Filter> {
        self.honoured.as_ref()
    }

    /// News of it may have been lost.
    pub(super) const fn has_gap(&self) -> bool {
        self.gap
    }

    fn hears(&self, change: Change) -> bool {
        let honoured = self.honoured.as_ref();
        honoured.is_some_and(|honoured| honoured.wants(change))
    }
}

/// Since when answers are stale, by the kind of change that made them so.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The authority said so: not served at all.
    told: [Seq; 4],
    /// It may have said so, unheard: not served as fresh.
    doubted: [Seq; 4],
}

fn floor(floors: &[Seq; 4], change: Change) -> Seq {
    floors.get(change as usize).copied().unwrap_or_default()
}

/// What makes the answers of a method stale.
const fn told_by(method: Method) -> Option<Change> {
    Some(match method {
        Method::ListTools => Change::Tools,
        Method::ListPrompts => Change::Prompts,
        Method::ListResources | Method::ListTemplates => Change::Resources,
        Method::ReadResource => Change::Resource,
        _ => return None,
    })
}

impl Core {
    /// What started before this is stale for everybody, for answers of a method. No notification says that a
    /// tool's answers are as they were, so each makes them stale; and one of a resource makes all reads stale, as
    /// it may be a part of others.
    pub(super) fn floor_of(&self, method: Method) -> Seq {
        let told = &self.changes.told;
        let floor = match (method, told_by(method)) {
            (Method::CallTool, _) => told.iter().copied().max().unwrap_or_default(),
            (_, Some(change)) => floor(told, change),
            _ => Seq(0),
        };
        floor.max(self.floor)
    }

    /// What started before this is not fresh for anybody, for answers of a method.
    pub(super) fn doubt_of(&self, method: Method) -> Seq {
        told_by(method).map_or(Seq(0), |change| floor(&self.changes.doubted, change))
    }

    /// Takes an authority's word that something changed.
    pub(super) fn stale(&mut self, change: Change) {
        let seq = self.seq.advance();
        if let Some(floor) = self.changes.told.get_mut(change as usize) {
            *floor = seq;
        }
    }

    /// Whether there is room for another subscription that is no session's: a session has one, and while that is being
    /// renewed two, so that the limits on sessions are theirs too.
    pub(super) fn check_listens(&self, request: &Request<'_>) -> Result<(), Error> {
        if request.message.len() > MAX_LISTEN_BYTES {
            let message = "a subscriptions/listen is larger than 65,536 bytes";
            return Err(Error::new(Code::TooLarge, message));
        }
        let (all, own) = self.flights.stateless_listens(request.caller);
        let message = if all >= MAX_LISTENS {
            "too many subscriptions are open"
        } else if own >= MAX_LISTENS_PER_PRINCIPAL {
            "this principal has too many subscriptions open"
        } else {
            return Ok(());
        };
        Err(Error::new(Code::OverBudget, message))
    }

    /// Passes on a message of the authority's stream. True if that ended the subscription: drop its trip.
    pub(super) fn hear(
        &mut self,
        id: FlightId,
        message: &Message<'_>,
        raw: &str,
        sink: &mut dyn Sink,
    ) -> bool {
        if message.method == ACKNOWLEDGED {
            return self.acknowledged(id, message, raw, sink);
        }
        let Some((subscription, waiter)) = self.listener(id) else {
            return false;
        };
        let wanted = match (Change::of(&message.method), &subscription.honoured) {
            (Some(Change::Resource), Some(honoured)) => {
                let uri = message.params.string("uri");
                uri.is_some_and(|uri| honoured.names(&uri) && self.is_subscribed(waiter, &uri))
            }
            (None, Some(honoured)) if message.method == TASK_NEWS => {
                let task = message.params.string("taskId");
                task.is_some_and(|task| honoured.tasks().iter().any(|known| *known == task))
            }
            (Some(change), _) => subscription.hears(change),
            (None, _) => false,
        };
        if !wanted {
            return false;
        }
        let part = match waiter.to.session {
            Some(_) => untagged(raw),
            None => tagged(raw, None, &waiter.to.id),
        };
        self.tell(id, part, sink)
    }

    /// Whether whoever listens wants to hear of a resource: a session's listening may be older than what it wants now.
    fn is_subscribed(&self, waiter: &Waiter, uri: &str) -> bool {
        waiter.to.session.is_none_or(|key| {
            let session = self.sessions.get(key);
            session.is_some_and(|session| session.uris.iter().any(|known| *known == uri))
        })
    }

    fn acknowledged(&mut self, id: FlightId, message: &Message<'_>, raw: &str, sink: &mut dyn Sink) -> bool {
        let theirs = message.params.raw("notifications").map(Filter::parse);
        let Some(Ok(theirs)) = theirs else {
            return self.end(id, INVALID, sink);
        };
        let Some(subscription) = self.flights.subscription(id) else {
            return false;
        };
        let mut honoured = theirs;
        honoured.limit(&subscription.asked);
        match &subscription.honoured {
            None => {
                let filter = honoured.to_json();
                subscription.honoured = Some(honoured);
                let Some((_, waiter)) = self.listener(id) else {
                    return false;
                };
                if let Some(session) = waiter.to.session {
                    self.listens(id, session, sink);
                    return false;
                }
                let part = tagged(raw, Some(&filter), &waiter.to.id);
                self.tell(id, part, sink)
            }
            Some(_) if !core::mem::take(&mut subscription.gap) => false,
            // Nobody can say here how the tasks are doing: the agent has to ask.
            Some(before) if !before.tasks().is_empty() => self.end(id, MISSED, sink),
            // The agent would wait for news that do not come.
            Some(before) if !honoured.covers(before) => self.end(id, LESS, sink),
            Some(before) => {
                let before = before.clone();
                // What was fetched in the gap was fetched unwatched.
                self.doubt(id);
                self.catch_up(id, &before, sink)
            }
        }
    }

    /// Tells an agent of everything it listens for.
    pub(super) fn catch_up(&mut self, id: FlightId, honoured: &Filter, sink: &mut dyn Sink) -> bool {
        let Some((_, waiter)) = self.listener(id) else {
            return false;
        };
        let to = waiter.to.clone();
        for list in LISTS.iter().filter(|list| honoured.wants(**list)) {
            if self.tell(id, news(*list, None, &to), sink) {
                return true;
            }
        }
        for uri in honoured.uris() {
            if !self
                .listener(id)
                .is_some_and(|(_, waiter)| self.is_subscribed(waiter, uri))
            {
                continue;
            }
            if self.tell(id, news(Change::Resource, Some(uri), &to), sink) {
                return true;
            }
        }
        false
    }

    /// The authority's stream of a subscription broke: what it kept fresh is not known to be.
    pub fn lost(&mut self, flight: FlightId) {
        if let Some(subscription) = self.flights.subscription(flight) {
            subscription.gap = true;
        }
        self.doubt(flight);
    }

    /// Ends the freshness of what a subscription was to be told of.
    pub(super) fn doubt(&mut self, id: FlightId) {
        let Some(subscription) = self.flights.subscription(id) else {
            return;
        };
        let seq = self.seq.advance();
        for change in &Change::ALL {
            if let Some(floor) = self.changes.doubted.get_mut(*change as usize)
                && subscription.hears(*change)
            {
                *floor = seq;
            }
        }
    }

    /// Tells every agent that listens for it of a list that changed here. Returns the trips that ended of it:
    /// drop them.
    #[must_use]
    pub fn announce(&mut self, list: Change, sink: &mut dyn Sink) -> Vec<FlightId> {
        let mut ended = Vec::new();
        for id in self.flights.listening() {
            if let Some((subscription, waiter)) = self.listener(id)
                && subscription.hears(list)
            {
                let part = news(list, None, &waiter.to);
                if self.tell(id, part, sink) {
                    ended.push(id);
                }
            }
        }
        ended
    }

    /// The host could not pass on a message that came before a response: its agent reads too slowly, or takes
    /// none. That ends a subscription, whose agent must know that it missed something. Returns its trip: drop it.
    pub fn dropped(&mut self, ticket: Ticket, sink: &mut dyn Sink) -> Option<FlightId> {
        let id = self.flights.of(ticket)?;
        let (_, listener) = self.listener(id)?;
        if listener.ticket != ticket {
            return None;
        }
        self.end(id, SLOW, sink);
        Some(id)
    }

    pub(super) fn listener(&self, id: FlightId) -> Option<(&Subscription, &Waiter)> {
        let flight = self.flights.flight(id)?;
        Some((flight.subscription.as_ref()?, flight.waiters.first()?))
    }

    /// Sends a message to a subscription's agent. True if there was no room for it, which ended it.
    fn tell(&mut self, id: FlightId, part: String, sink: &mut dyn Sink) -> bool {
        let Some((_, waiter)) = self.listener(id) else {
            return false;
        };
        if let Some(session) = waiter.to.session {
            self.tell_session(session, part, sink);
            return false;
        }
        !sink.reply(waiter.ctx, part_of(waiter, part.into_bytes())) && self.end(id, SLOW, sink)
    }

    /// Ends a subscription by an error of ours.
    fn end(&mut self, id: FlightId, (code, message): (Code, &'static str), sink: &mut dyn Sink) -> bool {
        if let (Some(flight), _) = self.land(id) {
            let trip = TripError {
                error: Error::new(code, message),
                stray: false,
                detail: Box::default(),
                credential: None,
            };
            self.failed(self.mono, flight, trip, sink);
        }
        true
    }
}

const INVALID: (Code, &str) = (
    Code::AuthorityInvalid,
    "the authority's acknowledgement of a subscription is not valid",
);
const LESS: (Code, &str) = (
    Code::AuthorityInvalid,
    "the authority no longer tells all that it had agreed to",
);
const MISSED: (Code, &str) = (
    Code::AuthorityUnreachable,
    "the authority's stream broke, and news of tasks may have been lost: ask tasks/get, and listen again",
);
const SLOW: (Code, &str) = (
    Code::OverBudget,
    "the agent did not take the messages of its subscription",
);

/// The members of a raw object, without its braces; none of what is no object.
fn inside(raw: Option<&str>) -> &str {
    raw.and_then(|raw| raw.trim().strip_prefix('{')?.strip_suffix('}'))
        .unwrap_or_default()
}

/// A notification of the authority's under the agent's own id (raw); `filter`: what takes the place of its
/// `notifications`. All else is as it was.
fn tagged(raw: &str, filter: Option<&str>, id: &str) -> String {
    let message = Members::parse(raw).unwrap_or_default();
    let params = message.raw("params");
    let meta = params
        .and_then(Members::parse)
        .and_then(|params| params.raw("_meta"));
    let meta = replaced(inside(meta), META_SUBSCRIPTION, id);
    let mut params = replaced(inside(params), "_meta", &format!("{{{meta}}}"));
    if let Some(filter) = filter {
        params = replaced(&params, "notifications", filter);
    }
    format!(
        "{{{}}}",
        replaced(inside(Some(raw)), "params", &format!("{{{params}}}"))
    )
}

/// A notification of the authority's for a session, where no subscription has an id.
fn untagged(raw: &str) -> String {
    let without = |members: &str, name: &str| {
        let object = format!("{{{members}}}");
        let mut out = String::new();
        let parsed = Members::parse(&object).unwrap_or_default();
        for (member, value) in parsed.iter().filter(|(member, _)| *member != name) {
            push_member(&mut out, member, value);
        }
        out
    };
    let message = Members::parse(raw).unwrap_or_default();
    let params = message.raw("params");
    let meta = params
        .and_then(Members::parse)
        .and_then(|params| params.raw("_meta"));
    let meta = without(inside(meta), META_SUBSCRIPTION);
    let mut params = without(inside(params), "_meta");
    if !meta.is_empty() {
        push_member(&mut params, "_meta", &format!("{{{meta}}}"));
    }
    let mut out = without(inside(Some(raw)), "params");
    if !params.is_empty() {
        push_member(&mut out, "params", &format!("{{{params}}}"));
    }
    format!("{{{out}}}")
}

/// A notification of ours.
fn news(change: Change, uri: Option<&str>, to: &Recipient) -> String {
    let mut params = String::new();
    if let Some(uri) = uri {
        push_member(&mut params, "uri", &quoted(uri));
    }
    if to.session.is_none() {
        let meta = format!(r#"{{"{META_SUBSCRIPTION}":{}}}"#, to.id);
        push_member(&mut params, "_meta", &meta);
    }
    format!(
        r#"{{"jsonrpc":"2.0","method":"{}","params":{{{params}}}}}"#,
        change.method()
    )
}
