//! What the authority asks of an agent in the middle of a trip: sampling, elicitation, roots.
//!
//! The trip stands still meanwhile. An agent of 2026-07-28 gets an `input_required` result with a `requestState` of
//! ours, and its retry waits for the same trip (2026-07-28, Patterns, Multi Round-Trip Requests); one of the session
//! era gets requests on the stream of its own request (2025-11-25, Transports, Streamable HTTP). An authority's own
//! `input_required` toward an agent of 2026-07-28 never comes here: it passes through.
//!
//! The first who waits for a trip is asked; those who joined it wait on. Nobody joins it any more, and its answer is
//! not stored. A `requestState` is 128 bits that nobody can guess, is good for one retry, and only for the principal
//! and the request that it was given to.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::agent::{Caller, Due, Request, Served, Step};
use super::request::{Asked, Era};
use super::session::{pass, takes_events};
use super::settle::{part_of, reply_result};
use super::trip::{Body, InputResponses, Sink};
use super::{Core, render};
use crate::border::{Ctx, FlightId, Millis};
use crate::cache::Key;
use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::limits::{MAX_ASKED, MAX_ASKED_PER_PRINCIPAL, MAX_INPUT_REQUESTS, MAX_INPUT_WAIT};
use crate::mcp::extension::STATE_PREFIX;
use crate::mcp::input::{InputRequest, Inputs};
use crate::mcp::meta::push_member;
use crate::mcp::result::Parts;
use crate::provenance::Provenance;
use crate::session::SessionKey;

/// What an agent was asked.
#[derive(Debug)]
pub(super) struct Question {
    flight: FlightId,
    caller: Caller,
    /// Its outcome may be one that nobody knows.
    write: bool,
    until: Millis,
    /// By key, in order.
    responses: Vec<(String, Option<Body>)>,
    to: Door,
}

/// How the responses come.
#[derive(Debug, PartialEq, Eq)]
enum Door {
    /// With a retry of this request.
    Retry { state: String, digest: u64 },
    /// As JSON-RPC responses in this session, the first of them with this id.
    Stream { session: SessionKey, first: u64 },
}

impl Core {
    /// What an agent may be asked while its request waits: what it declared, if its answers can find the trip.
    pub(super) fn inputs(request: &Request<'_>, asked: &Asked<'_>) -> Inputs {
        let found = match asked.era {
            // A context that is bound to a request ends with the `input_required` result, and the trip with it.
            Era::Modern => request.ctx == Ctx::SHARED && asked.method.may_be_asked(),
            Era::Legacy(_) => asked.session.is_some() && takes_events(request),
        };
        if found {
            Inputs::of(asked.capabilities)
        } else {
            Inputs::NONE
        }
    }

    /// Puts requests of the authority to the agent that waits for a flight. `params`: of the flight's request, as they
    /// were forwarded. What comes back at once are refusals; otherwise the responses come by [`Step::answered`], or
    /// never: give up after [`MAX_INPUT_WAIT`].
    pub fn ask(
        &mut self,
        flight: FlightId,
        params: &str,
        requests: &[InputRequest],
        sink: &mut dyn Sink,
    ) -> Option<InputResponses> {
        // Also where nobody can be asked: what the authority makes of that is no answer to the next one.
        self.flights.keep_apart(flight);
        match self.put(flight, params, requests, sink) {
            Ok(()) => None,
            Err(error) => {
                let refused = |request: &InputRequest| (request.key.clone(), refusal(error));
                Some(requests.iter().map(refused).collect())
            }
        }
    }

    fn put(
        &mut self,
        id: FlightId,
        params: &str,
        requests: &[InputRequest],
        sink: &mut dyn Sink,
    ) -> Result<(), &'static str> {
        let now = self.mono;
        self.asked.retain(|question| now < question.until);
        let flight = self.flights.flight(id).ok_or(NOBODY)?;
        let (caller, method, write) = (flight.caller.clone(), flight.method, flight.plan.write);
        let prior = flight.prior;
        let waiter = flight.waiters.first().ok_or(NOBODY)?;
        if requests.len() > MAX_INPUT_REQUESTS {
            return Err("too much is asked at once");
        }
        let own = |question: &&Question| question.caller == caller;
        if self.asked.iter().filter(own).count() >= MAX_ASKED_PER_PRINCIPAL {
            // Agents may leave what they were asked lying: the oldest gives way.
            let oldest = self.asked.iter().position(|question| question.caller == caller);
            if let Some(at) = oldest {
                let (flight, responses) = self.asked.remove(at).close();
                self.due.push(Due::Answered(flight, responses));
            }
        } else if self.asked.len() >= MAX_ASKED {
            return Err("too many agents are asked at once");
        }
        let to = match waiter.to.era {
            Era::Modern if !self.sessions.is_seeded() => return Err("there is no entropy yet"),
            Era::Modern => {
                let ticket = waiter.ticket;
                let state = format!("{STATE_PREFIX}{:016x}{:016x}", self.draw(), self.draw());
                let digest = self.retry_digest(method.name(), params);
                let waiter = self.flights.part(ticket).ok_or(NOBODY)?;
                let parts = Parts {
                    members: input_required(requests, &state),
                    complete: false,
                    ..Parts::empty()
                };
                reply_result(
                    &mut self.sessions,
                    &waiter,
                    &parts,
                    None,
                    Provenance::new(prior),
                    None,
                    sink,
                );
                Door::Retry { state, digest }
            }
            Era::Legacy(_) => {
                let first = self.asked_last + 1;
                let session = waiter.to.session.ok_or(NOBODY)?;
                // Never again, also if only some of them get through.
                self.asked_last += requests.len() as u64;
                for (id, request) in (first..).zip(requests) {
                    let part = part_of(waiter, as_request(id, request));
                    if !pass(&mut self.sessions, waiter, part, sink) {
                        return Err("the agent does not take its messages");
                    }
                }
                Door::Stream { session, first }
            }
        };
        self.asked.push(Question {
            flight: id,
            caller,
            write,
            until: now + MAX_INPUT_WAIT,
            responses: requests
                .iter()
                .map(|request| (request.key.clone(), None))
                .collect(),
            to,
        });
        Ok(())
    }

    /// The retry of a request whose agent was asked: it waits for the same trip.
    pub(super) fn take_up(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        asked: &Asked<'_>,
    ) -> Result<Step, Error> {
        let (state, responses) = asked.state.as_ref().ok_or_else(unknown)?;
        let digest = self.retry_digest(asked.method.name(), &asked.params);
        let ours = |question: &Question| match &question.to {
            Door::Retry {
                state: given,
                digest: of,
            } => {
                given == state && *of == digest && question.caller == *request.caller && now < question.until
            }
            Door::Stream { .. } => false,
        };
        let at = self.asked.iter().position(ours).ok_or_else(unknown)?;
        if request.peek {
            return Ok(Step::of(Served::Absent));
        }
        self.check_waiters()?;
        let given = Members::parse(responses).unwrap_or_default();
        let mut all = InputResponses::new();
        for (key, _) in self.asked.get(at).map_or(&[][..], |question| &question.responses) {
            let Some(result) = given.raw(key).filter(|raw| json::is_object(raw)) else {
                let message = format!("params.inputResponses[\"{key}\"] must be an object");
                return Err(Error::new(Code::InvalidParams, message));
            };
            all.push((key.clone(), Body::Result(result.into())));
        }
        let question = self.asked.remove(at);
        if self.flights.flight(question.flight).is_none() {
            return Err(if question.write {
                Error::new(
                    Code::UnknownOutcome,
                    "the call ended while its agent was asked, and nobody knows whether it took effect",
                )
            } else {
                Error::new(Code::Closed, "the request ended while its agent was asked")
            });
        }
        let served = self.wait(question.flight, request, asked, false);
        Ok(Step {
            answered: Some((question.flight, all)),
            ..Step::of(served)
        })
    }

    /// A JSON-RPC response within a session: its raw id, and the raw result or error. What nobody asked is dropped.
    pub(super) fn asked_back(&mut self, key: SessionKey, id: &str, outcome: Result<&str, &str>) -> Step {
        let mut step = Step::of(Served::Accepted);
        let Some(id) = json::unsigned(id) else { return step };
        let place = |question: &Question| match question.to {
            Door::Stream { session, first } if session == key => usize::try_from(id.checked_sub(first)?).ok(),
            _ => None,
        };
        let found = self.asked.iter_mut().enumerate().find_map(|(at, question)| {
            let nth = place(question)?;
            question
                .responses
                .get_mut(nth)
                .map(|(_, response)| (at, response))
        });
        let Some((at, response)) = found else { return step };
        response.get_or_insert_with(|| match outcome {
            Ok(result) if json::is_object(result) => Body::Result(result.into()),
            Err(error) if json::is_object(error) => Body::Error(error.into()),
            _ => refusal("the client's response is not valid"),
        });
        let whole = |question: &Question| question.responses.iter().all(|(_, response)| response.is_some());
        if self.asked.get(at).is_some_and(whole) {
            let question = self.asked.remove(at);
            step.answered = Some(question.close());
        }
        step
    }

    /// Somebody left a flight. If nobody is there any more to answer what its agent was asked, that is the answer.
    pub(super) fn give_up(&mut self, flight: FlightId) {
        let asked =
            |question: &Question| question.flight == flight && matches!(question.to, Door::Stream { .. });
        if !self.is_awaited(flight)
            && let Some(at) = self.asked.iter().position(asked)
        {
            let (flight, responses) = self.asked.remove(at).close();
            self.due.push(Due::Answered(flight, responses));
        }
    }

    /// Tells the retries of one request from those of others.
    fn retry_digest(&self, method: &str, params: &str) -> u64 {
        let key = Key {
            partition: 0,
            version: "",
            method,
            capabilities: "{}",
            params,
        };
        self.random.of(&key.canonical().unwrap_or_else(|| key.exact()))
    }
}

impl Question {
    /// What is there; what is not was given up.
    fn close(self) -> (FlightId, InputResponses) {
        let response = |(key, body): (String, Option<Body>)| (key, body.unwrap_or_else(|| refusal(NOBODY)));
        (self.flight, self.responses.into_iter().map(response).collect())
    }
}

const NOBODY: &str = "nobody waits for the answer any more";

fn unknown() -> Error {
    Error::new(
        Code::InvalidParams,
        "params.requestState is unknown here, of another request, used, or too old: begin again without it",
    )
}

/// An error object as an authority gets it for what its client cannot do.
fn refusal(message: &str) -> Body {
    Body::Error(format!(r#"{{"code":-32603,"message":"{message}"}}"#))
}

/// The members of an `input_required` result.
fn input_required(requests: &[InputRequest], state: &str) -> String {
    let mut all = String::new();
    for InputRequest { key, method, params } in requests {
        let mut request = String::new();
        push_member(&mut request, "method", &render::quoted(method));
        if !params.is_empty() {
            push_member(&mut request, "params", params);
        }
        push_member(&mut all, key, &format!("{{{request}}}"));
    }
    format!(r#""resultType":"input_required","inputRequests":{{{all}}},"requestState":"{state}""#)
}

/// A request to an agent of the session era.
fn as_request(id: u64, InputRequest { method, params, .. }: &InputRequest) -> Vec<u8> {
    let mut request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"#);
    json::push_string(&mut request, method);
    if !params.is_empty() {
        request.push_str(r#","params":"#);
        request.push_str(params);
    }
    request.push('}');
    request.into_bytes()
}
