//! Batches: messages of one session that come together as an array, as 2025-03-26 wants it of servers (Base Protocol,
//! Batching) and no later revision does. Each is received as if it came alone; what is to be waited for is answered by one
//! array.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Core;
use super::agent::{Due, Request, Served, Step};
use crate::border::{FlightId, Millis, Ticket};
use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::limits::{MAX_BATCH, MAX_ID_BYTES};
use crate::mcp::message::is_id;
use crate::mcp::names::BATCHED;
use crate::session::{SessionKey, StreamKey};

impl Core {
    /// Receives a batch; `None` if the message is none, or its session's revision has none.
    pub(super) fn batched(&mut self, now: Millis, request: &Request<'_>, out: &mut Vec<u8>) -> Option<Step> {
        if !request.message.trim_ascii_start().starts_with(b"[") {
            return None;
        }
        let key = match self.named(now, request) {
            Ok(key) => key?,
            Err(error) => return Some(self.refuse(None, &error, out)),
        };
        if self.sessions.get(key)?.version != BATCHED {
            return None;
        }
        if request.peek {
            return Some(Step::of(Served::Absent));
        }
        Some(match self.batch(now, request, key, out) {
            Ok(step) => step,
            Err(error) => self.refuse(None, &error, out),
        })
    }

    fn batch(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        key: SessionKey,
        out: &mut Vec<u8>,
    ) -> Result<Step, Error> {
        let text = core::str::from_utf8(request.message).ok();
        let messages = text
            .and_then(json::elements)
            .ok_or_else(|| Error::new(Code::ParseError, "the message is not JSON in UTF-8"))?;
        if messages.is_empty() || messages.len() > MAX_BATCH {
            return Err(Error::new(Code::InvalidRequest, "a batch has 1 to 64 messages"));
        }
        let ticket = self.flights.ticket();
        let stream = self
            .sessions
            .receive(key, ticket, request.ctx, &ids(&messages))
            .ok_or_else(|| Error::new(Code::OverBudget, "this session waits for too much"))?;
        let mut cancel = Vec::new();
        for message in messages {
            let message = message.as_bytes();
            let mut answer = Vec::new();
            let step = self.one(now, &Request { message, ..*request }, None, &mut answer);
            self.sessions.answer(stream, &answer);
            cancel.extend(step.cancel);
            self.due
                .extend(step.start.map(|(flight, trip)| Due::Start(flight, trip)));
            self.due.extend(
                step.answered
                    .map(|(flight, responses)| Due::Answered(flight, responses)),
            );
        }
        let served = match self.sessions.received(stream) {
            None => Served::Wait(ticket),
            Some(answer) if answer.is_empty() => Served::Accepted,
            Some(answer) => {
                out.extend_from_slice(&answer);
                Served::Reply {
                    status: 200,
                    provenance: None,
                    serial: None,
                    session: None,
                }
            }
        };
        Ok(Step {
            cancel,
            ..Step::of(served)
        })
    }

    /// A request of the batch that is being received waits.
    pub(super) fn join_batch(&mut self, batch: StreamKey, flight: FlightId, ticket: Ticket) {
        let write = self
            .flights
            .flight(flight)
            .is_some_and(|flight| flight.plan.write);
        self.sessions.join(batch, write);
        if let Some(waiter) = self.flights.waiter(ticket) {
            waiter.stream = Some(batch);
        }
    }
}

/// The raw ids of the requests among some messages, as an array; empty if that is too long for an event's id.
fn ids(messages: &[&str]) -> String {
    let mut ids = String::new();
    for message in messages.iter().filter_map(|message| Members::parse(message)) {
        if let (Some(_), Some(id)) = (message.raw("method"), message.raw("id").filter(|id| is_id(id))) {
            ids.push_str(if ids.is_empty() { "" } else { "," });
            ids.push_str(id);
        }
    }
    if ids.len() > MAX_ID_BYTES {
        return String::new();
    }
    format!("[{ids}]")
}
