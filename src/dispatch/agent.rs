//! What passes between the core and the agent's side of a host.

use alloc::string::String;
use alloc::vec::Vec;

use super::trip::{InputResponses, Trip};
use crate::border::{Ctx, FlightId, Reply, Ticket};
use crate::cache::SchemaId;
use crate::provenance::Provenance;

/// Who asks. Hosts authenticate; the core never sees a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// An authenticated identity, 1 to 1024 bytes, opaque.
    Principal(String),
    /// Nobody in particular. Refused unless the configuration allows anonymous callers.
    Anonymous,
}

/// What a request does on HTTP (2025-11-25, Transports, Streamable HTTP). Transports without HTTP post messages, and get
/// the one stream of their connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verb {
    /// Brings a message.
    #[default]
    Post,
    /// Opens the stream of a session, or resumes one: `mcp-session-id` and `last-event-id` in the headers, no message.
    Get,
    /// Ends a session: `mcp-session-id` in the headers, no message.
    Delete,
}

/// One message of an agent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// Who waits (see [`Ctx`]).
    pub ctx: Ctx,
    /// Names the connection within which JSON-RPC ids are unique and `notifications/cancelled` counts; 0 for
    /// HTTP, where closing the response cancels.
    pub connection: u64,
    /// HTTP request headers, names lower case. `None` for in-process transports, where the rules that mirror
    /// the body in headers do not apply.
    pub headers: Option<&'a [(String, String)]>,
    /// For in-process transports: the version that `initialize` settled, if it was used. HTTP hosts pass `None`.
    pub negotiated: Option<&'a str>,
    /// What it does; all but [`Verb::Post`] is of the session-era revisions.
    pub verb: Verb,
    /// One JSON-RPC message; empty where the verb takes none.
    pub message: &'a [u8],
    /// Answer only what is fresh here; start nothing.
    pub peek: bool,
}

/// How a message was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// The response is in the output buffer.
    Reply {
        /// HTTP status.
        status: u16,
        /// How the cache took part; `None` where nothing was classified (`ping`, protocol errors).
        provenance: Option<Provenance>,
        /// Names the stored result behind the answer: two answers with one serial have equal results, apart
        /// from remaining TTL and provenance.
        serial: Option<u64>,
        /// The session that the request opened: `mcp-session-id` of the response.
        session: Option<String>,
    },
    /// The response comes by [`Output::Reply`](crate::Output::Reply). To [`Verb::Get`]: an event stream, which begins at
    /// once, whether there is a message or not.
    Wait(Ticket),
    /// A notification or a response, taken: HTTP 202 without a body.
    Accepted,
    /// A peek found nothing fresh.
    Absent,
    /// Only after [`Core::check_arguments`](super::Core::check_arguments): judge the arguments of this call, and
    /// serve the message again with the verdict. The output buffer holds the tool's name, its `inputSchema`
    /// (raw JSON, verbatim) and the arguments (a raw JSON object). Nothing was started or counted.
    Check {
        /// Names the schema: what was compiled from one of this name serves again.
        schema: SchemaId,
        /// Bytes of the tool's name.
        name: usize,
        /// Bytes of the schema.
        text: usize,
    },
}

/// What [`Core::serve`](super::Core::serve) decided.
#[derive(Debug)]
pub struct Step {
    /// For the agent.
    pub served: Served,
    /// A trip that the caller must start.
    pub start: Option<(FlightId, Trip)>,
    /// Requests that their agent gave up: cancel them.
    pub cancel: Vec<Ticket>,
    /// What an agent answered to what it was asked: the trip goes on.
    pub answered: Option<(FlightId, InputResponses)>,
}

/// What came of a call besides its outcome: see [`Core::poll_due`](super::Core::poll_due).
#[derive(Debug)]
pub enum Due {
    /// A trip that the caller must start.
    Start(FlightId, Trip),
    /// A trip that nobody waits for any more: drop it.
    End(FlightId),
    /// A message for the holder of a ticket who waits under a context.
    Reply(Ctx, Reply),
    /// Nobody answers any more what an agent was asked: the trip goes on with that.
    Answered(FlightId, InputResponses),
    /// See [`Output::Save`](crate::Output::Save).
    Save {
        /// As there.
        key: String,
        /// As there.
        record: Option<Vec<u8>>,
    },
}

/// What an operator wants to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Answers served fresh from the cache.
    pub hits: u64,
    /// Requests for which nothing was stored.
    pub misses: u64,
    /// Requests for which what was stored was stale, whether it was served or not.
    pub stale: u64,
    /// Requests that joined another one's trip.
    pub collapsed: u64,
    /// Requests that could not use the cache.
    pub bypassed: u64,
    /// Entries stored since the start.
    pub stored: u64,
    /// Entries evicted for room.
    pub evicted: u64,
    /// Entries held.
    pub entries: u64,
    /// Bytes held, by the ledger.
    pub bytes: u64,
    /// Trips in progress.
    pub flights: u64,
    /// Requests waiting.
    pub waiters: u64,
    /// Subscriptions open; neither trips nor waiting requests.
    pub subscriptions: u64,
    /// Sessions of agents.
    pub sessions: u64,
    /// Calls answered here because their arguments do not fit the tool's `inputSchema`.
    pub invalid: u64,
    /// Trips not made because the authority was taken for down, or wanted a pause.
    pub withheld: u64,
    /// 1 while the authority is taken for down, else 0.
    pub down: u64,
}
