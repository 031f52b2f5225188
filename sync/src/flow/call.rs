//! One request's whole trip to the authority: credential, era, session, the request itself, and the second
//! attempts that are allowed.
//!
//! Second attempts: after a refusal that came before any effect, for any request, once per reason (session gone,
//! other era, header annotations); after an answer that broke off, for reads only. A write is sent once and, once
//! the host has it, fails as `unknown_outcome` unless it surely had no effect.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use leeward::Millis;
use leeward::border::{FlightId, HttpRequest};
use leeward::dispatch::{Answer, Body, Forward, TripError};
use leeward::json::Members;
use leeward::mcp::input::Inputs;
use leeward::mcp::{headers, names};

use super::http::{Received, Rules, exchange, post};
use super::learn::{Learned, learn};
use super::listen::Listening;
use super::message::Response;
use super::{Access, Trip, Upstream, access, aside, era, message, session, within};
use crate::breaker::Fared;
use crate::exec::{Io, Outcome, Sent};
use crate::link::Era;
use crate::trouble::Trouble;

/// The discovery of an authority without one: any of the three may turn out empty.
const UNDISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"prompts":{}},"ttlMs":0,"cacheScope":"private"}"#;

/// Makes a request with this id. Not generic: what sends it would be compiled for each.
type Build<'a> = dyn Fn(u64) -> HttpRequest + Sync + 'a;

/// The trip, ended by its timeout at the latest; a subscription, ended by either side.
pub(super) async fn run(mut io: Io, upstream: Arc<Upstream>, forward: Arc<Forward>, sent: Sent) -> Outcome {
    let mut listening = Listening::of(&mut io, &upstream, &forward).await;
    loop {
        let open = Sent::default();
        let steady = match &mut listening {
            Some(listening) => Some(listening.begin(&mut io, &upstream).await),
            None => None,
        };
        let most = if forward.progress {
            upstream.longest
        } else {
            upstream.timeout
        };
        let timer = io.deadline(upstream.timeout, most);
        let outcome = within(timer, Some(&open), async {
            if upstream.url.is_none() {
                return Err(Trouble::unconfigured());
            }
            admit(&mut io, &forward, steady.is_some()).await?;
            access::open(&mut io, &upstream, forward.principal.clone()).await?;
            let mut trip = Trip {
                io: &mut io,
                upstream: &upstream,
                forward: &forward,
                sent: &sent,
                open: steady.as_ref().map(|_| &open),
            };
            trip.run().await
        })
        .await;
        if outcome.is_none() {
            io.fared(Fared::Failed(Millis(0)));
        }
        let access = io.access.as_ref();
        let mut identity = access.map(|access| access.identity().cloned());
        let mut outcome = outcome.unwrap_or_else(|| {
            Err(match access {
                Some(access) if access.is_renewing() => Trouble::unrenewed(),
                _ => Trouble::timeout(),
            })
        });
        if let (Some(listening), Some(steady)) = (&mut listening, steady) {
            identity = None;
            outcome = match outcome {
                Err(trouble) => match listening.pause(&mut io, &forward, &open, steady, trouble).await {
                    Ok(()) => continue,
                    Err(trouble) => Err(trouble),
                },
                ended => ended,
            };
        }
        return outcome.map_err(|trouble| TripError {
            credential: identity,
            ..trouble.into_error(forward.write && sent.is_set())
        });
    }
}

/// Leave to go to the authority. A subscription waits for it.
async fn admit(io: &mut Io, forward: &Forward, waits: bool) -> Result<(), Trouble> {
    loop {
        match io.pass(forward.partition).await {
            Err(trouble) if waits => {
                io.timer(trouble.retry_after()).await;
            }
            passed => return passed,
        }
    }
}

impl Trip<'_> {
    /// The name of the credential.
    pub(super) fn identity(&self) -> Option<&String> {
        self.io.access.as_ref().and_then(Access::identity)
    }

    fn progress(&self) -> Option<FlightId> {
        self.forward.progress.then_some(self.io.flight())
    }

    fn answer(&self, body: Body, learned: Learned) -> Answer {
        let credential = self.identity().cloned();
        Answer {
            body,
            credential,
            learned,
        }
    }

    /// Some authorities lack `server/discover`; agents may not, so they get the least that is sure.
    fn discovered(&self, body: Body, code: Option<i64>) -> Body {
        if self.forward.method == "server/discover" && code == Some(-32601) {
            return Body::Result(UNDISCOVERED.into());
        }
        body
    }

    async fn run(&mut self) -> Result<Answer, Trouble> {
        let mut again = true;
        loop {
            let (era, number, found) = era::detect(self).await?;
            if let Some(received) = found {
                let Response { body, code, .. } = received.response;
                return Ok(self.answer(self.discovered(body, code), Vec::new()));
            }
            let (outcome, wrong_era) = match era {
                Era::Modern
                    if self.upstream.version.is_some() && self.forward.method == "server/discover" =>
                {
                    return Ok(self.answer(Body::Result(UNDISCOVERED.into()), Vec::new()));
                }
                Era::Modern => self.modern().await,
                Era::Legacy if self.open.is_some() => match self.follow().await {
                    Ok(answer) => (Ok(answer), WrongEra::No),
                    Err(failed) => failed.into(),
                },
                // The session era had methods of these names, and other tasks.
                Era::Legacy if self.forward.method.starts_with("tasks/") => return Err(Trouble::unheard()),
                Era::Legacy => self.legacy().await,
            };
            if self.upstream.version.is_some() {
                return outcome;
            }
            if wrong_era != WrongEra::No {
                era::forget(self, number).await;
            }
            if wrong_era == WrongEra::Refused && core::mem::take(&mut again) {
                self.sent.clear();
                continue;
            }
            return outcome;
        }
    }

    /// The request itself, statelessly.
    async fn modern(&mut self) -> (Result<Answer, Trouble>, WrongEra) {
        let mut params = self.forward.headers.clone();
        let mut learned = None;
        let (mut input, mut rounds) = (String::new(), 0);
        loop {
            let outcome = self.send_modern(&params, &input).await;
            let received = match outcome {
                Ok(received) => received,
                Err(trouble) => {
                    // Refused outside of MCP: who answers there may not be who was asked for its era.
                    let doubt = matches!(trouble.status, Some(400 | 404 | 405 | 406 | 415));
                    return (Err(trouble), if doubt { WrongEra::Doubt } else { WrongEra::No });
                }
            };
            let wrong_era = match (received.response.code, received.status) {
                (Some(names::ERROR_UNSUPPORTED_VERSION), _) => WrongEra::Refused,
                // How session-era servers answer what comes without a session; others may mean anything by it.
                (Some(-32000), 400) => WrongEra::Doubt,
                _ => WrongEra::No,
            };
            if received.response.code == Some(names::ERROR_HEADER_MISMATCH)
                && self.forward.method == "tools/call"
                && learned.is_none()
            {
                // Refused before any effect (2026-07-28, Transports, Streamable HTTP).
                self.sent.clear();
                if let Some(found) = self.learn().await {
                    params = self.mirror(&found);
                    learned = Some(found);
                    continue;
                }
            }
            match self.provide(&received.response.body, &mut rounds).await {
                Ok(None) => {}
                Ok(Some(members)) => {
                    input = members;
                    continue;
                }
                Err(trouble) => return (Err(trouble), WrongEra::No),
            }
            let body = self.discovered(received.response.body, received.response.code);
            let answer = self.answer(body, learned.unwrap_or_default());
            return (Ok(answer), wrong_era);
        }
    }

    /// `input`: members of `params` that answer what the authority asked before.
    async fn send_modern(&mut self, params: &[(String, String)], input: &str) -> Result<Received, Trouble> {
        let Forward {
            method,
            name,
            params: members,
            meta,
            capabilities,
            ..
        } = self.forward;
        let meta = message::modern_meta(capabilities, meta, self.progress());
        let mut members = members.clone();
        message::append(&mut members, input);
        let url = self.upstream.url.as_deref().unwrap_or_default();
        let build = |id| {
            let headers = era::headers(method, name.as_deref(), params.to_vec());
            post(url, headers, message::request(id, method, &members, &meta))
        };
        self.send(None, &build).await
    }

    /// The annotations of all tools, if they can be had in a part of the time and name this one.
    async fn learn(&mut self) -> Option<Learned> {
        let timer = self.io.timer(Millis(self.upstream.timeout.0 / 4));
        let learned = within(timer, None, learn(self)).await??;
        let name = self.forward.name.as_deref()?;
        learned.iter().any(|(tool, _)| tool == name).then_some(learned)
    }

    /// The headers by the annotations learnt; those the agent sent beyond them stay.
    fn mirror(&self, learned: &Learned) -> Vec<(String, String)> {
        let params = alloc::format!("{{{}}}", self.forward.params);
        let arguments = Members::parse(&params)
            .and_then(|params| params.raw("arguments"))
            .unwrap_or("{}");
        let name = self.forward.name.as_deref();
        let annotations = learned
            .iter()
            .rfind(|(tool, _)| Some(&**tool) == name)
            .map(|(_, params)| &**params);
        let mut all = headers::mirror(annotations.unwrap_or_default(), arguments);
        for (key, value) in &self.forward.headers {
            if !all.iter().any(|(other, _)| other == key) {
                all.push((key.clone(), value.clone()));
            }
        }
        all
    }

    /// The request itself, within a session; opened again once if the authority dropped it.
    async fn legacy(&mut self) -> (Result<Answer, Trouble>, WrongEra) {
        let (mut again, mut rounds) = (true, 0);
        loop {
            let (session, number) = match session::obtain(self).await {
                Ok(session) => session,
                Err(failed) => return failed.into(),
            };
            if self.forward.method == "server/discover" {
                let body = Body::Result(session.discover.clone());
                return (Ok(self.answer(body, Vec::new())), WrongEra::No);
            }
            session::set_level(self, &session).await;
            let aside = self.aside(&session).await;
            let Forward { method, params, .. } = self.forward;
            let meta = message::legacy_meta(self.forward, self.progress());
            let url = self.upstream.url.as_deref().unwrap_or_default();
            let build = |id| {
                post(
                    url,
                    session::headers(&session),
                    message::request(id, method, params, &meta),
                )
            };
            let work = self.send(Some(self.forward.inputs), &build);
            let outcome = aside::beside(aside, work).await;
            if session::is_gone(&session, &outcome) {
                self.sent.clear();
                self.io.forget(session::key(self.forward), number).await;
                if core::mem::take(&mut again) {
                    continue;
                }
            }
            if let Ok(received) = &outcome {
                match self.visit(&received.response, &mut rounds).await {
                    Ok(false) => {}
                    Ok(true) => {
                        self.sent.clear();
                        continue;
                    }
                    Err(trouble) => return (Err(trouble), WrongEra::No),
                }
            }
            let answer = outcome.map(|received| self.answer(received.response.body, Vec::new()));
            return (answer, WrongEra::No);
        }
    }

    /// Sends the request itself: a write once, a read again if its answer broke off.
    /// `inputs`: within a session, see [`Rules::inputs`].
    async fn send(&mut self, inputs: Option<Inputs>, build: &Build<'_>) -> Result<Received, Trouble> {
        let rules = Rules {
            max_bytes: self.upstream.max_bytes,
            relay: true,
            sent: Some(self.sent.clone()),
            open: self.open.cloned(),
            inputs,
        };
        if !self.forward.write && self.open.is_none() {
            return self.read(rules, build).await;
        }
        let id = self.io.next_id();
        let request = build(id);
        exchange(self.io, request, id, rules).await
    }

    /// Sends a request without effect; once more, with a new id, if its answer broke off.
    pub(super) async fn read(&mut self, rules: Rules, build: &Build<'_>) -> Result<Received, Trouble> {
        let mut again = true;
        loop {
            let id = self.io.next_id();
            let request = build(id);
            match exchange(self.io, request, id, rules.clone()).await {
                Err(trouble) if trouble.cut && core::mem::take(&mut again) => {}
                outcome => return outcome,
            }
        }
    }
}

/// Whether an answer shows that the authority speaks another era than was thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WrongEra {
    No,
    /// Perhaps: the next request finds out again.
    Doubt,
    /// Yes, and the request had no effect.
    Refused,
}

impl From<session::Failed> for (Result<Answer, Trouble>, WrongEra) {
    fn from(failed: session::Failed) -> Self {
        let wrong_era = if failed.refused {
            WrongEra::Refused
        } else {
            WrongEra::No
        };
        (Err(failed.trouble), wrong_era)
    }
}
