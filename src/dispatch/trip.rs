//! What passes between the core and whoever does its trips.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::border::{Ctx, Event, LocalCall, Reply};
use crate::error::Error;
use crate::mcp::headers::HeaderParam;
use crate::mcp::input::Inputs;

/// Why a flight is.
#[derive(Clone, Debug)]
pub enum Trip {
    /// To the authority.
    Forward(Forward),
    /// To a tool or resource of the host.
    Local(LocalCall),
}

/// A request to the authority, without the parts that belong to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The authority's partition: sessions and credentials are kept per partition.
    pub partition: u64,
    /// For the host's credential hook; `None` for an anonymous caller.
    pub principal: Option<String>,
    /// MCP method.
    pub method: String,
    /// `params.name`, `params.uri` or `params.taskId`, where `Mcp-Name` mirrors it.
    pub name: Option<String>,
    /// Raw JSON members of `params` without `_meta` and without braces; may be empty.
    pub params: String,
    /// Raw JSON members of `_meta` to pass on besides version, capabilities and progress token; may be empty.
    pub meta: String,
    /// Raw JSON object: the client's capabilities.
    pub capabilities: String,
    /// Whether somebody wants progress.
    pub progress: bool,
    /// `Mcp-Param-*` headers for the authority, names lower case, values encoded.
    pub headers: Vec<(String, String)>,
    /// What the agent may be asked while the trip is under way, where the authority or the agent is of the session
    /// era (see [`Core::ask`](super::Core::ask)).
    pub inputs: Inputs,
    /// The agent knows no `input_required`: what the authority asks so is asked on the request's stream.
    pub session_era: bool,
    /// True if repeating the request may repeat an effect: exactly one attempt.
    pub write: bool,
}

/// What an authority (or a local tool) answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The JSON-RPC outcome.
    pub body: Body,
    /// Names the credential that was used; a change empties the partition. `None`: without a credential.
    pub credential: Option<String>,
    /// Header annotations learnt on the way (after -32020), for this partition.
    pub learned: Vec<(String, Vec<HeaderParam>)>,
}

/// The JSON-RPC outcome of a trip, as raw JSON text known to be JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The raw `result`.
    Result(String),
    /// The raw `error` object: has an integer `code` and a string `message`.
    Error(String),
}

/// What an agent answered to what it was asked: by [`InputRequest::key`](crate::mcp::input::InputRequest::key).
pub type InputResponses = Vec<(String, Body)>;

/// The failure of a trip: what the agents are told, and the words for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TripError {
    /// For the agents.
    pub error: Error,
    /// What answered is surely not the authority, such as a captive portal: for what may be served stale this is an
    /// outage.
    pub stray: bool,
    /// For logs only; may hold an authority's or a host's words, never a credential.
    pub detail: Box<str>,
    /// As [`Answer::credential`]; `None` if the trip failed before it had one.
    pub credential: Option<Option<String>>,
}

/// Takes what the core has to say while it settles: replies in order, and events.
pub trait Sink {
    /// A message for the holder of a ticket who waits under `ctx`. False if there was no room for one that
    /// precedes the response.
    fn reply(&mut self, ctx: Ctx, reply: Reply) -> bool;
    /// For the log.
    fn event(&mut self, event: Event);
}
