//! The border: everything that waits crosses it as a value.
//!
//! A host moves [`Output`]s to the world and brings [`Input`]s back. Each [`Output`] that asks something carries
//! an [`OpId`] and has exactly one answer; `Abort`, `Event` and `Reply` have none. Handlers accept late,
//! repeated and spurious answers: an answer nobody waits for is dropped.
//!
//! [`authorization`](self::Credential) has what crosses for the sake of credentials, `debug` how outputs and inputs look
//! in logs.

mod authorization;
mod debug;

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Error;
use crate::provenance::Provenance;

pub use self::authorization::{Callback, Credential, Errand, ErrandId, Refused};
pub use crate::clock::{Millis, Now};

/// Who may do the I/O of an output: one request on hosts that bind I/O to the request which began it (CDN
/// workers), [`Ctx::SHARED`] everywhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ctx(pub u64);

impl Ctx {
    /// The one context of a host whose I/O is bound to no request. It has no lease and never goes away.
    pub const SHARED: Self = Self(0);
}

/// Names one question to the host; never reused within a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// Names one request that waits for its reply; never reused within a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Names one trip for one or more waiting tickets; never reused within a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightId(pub u64);

/// An HTTP request that the host is to send. Redirects must not be followed.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `POST`, `GET` or `DELETE`.
    pub method: &'static str,
    /// Absolute URL.
    pub url: String,
    /// Names are lower case; values are valid field values (visible ASCII and inner spaces).
    pub headers: Vec<(String, String)>,
    /// The whole body; empty for all but `POST`.
    pub body: Vec<u8>,
}

impl core::fmt::Debug for HttpRequest {
    /// Neither header values, which hold credentials, nor the body, nor the query.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url.split('?').next().unwrap_or_default())
            .finish_non_exhaustive()
    }
}

/// Which host-registered item a [`Output::CallLocal`] is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalCall {
    /// A `tools/call` of a local tool: its name and the raw JSON object of its arguments (`{}` if absent).
    Tool {
        /// The tool's name.
        name: String,
        /// Raw JSON object.
        arguments: Vec<u8>,
    },
    /// A `resources/read` of a local resource.
    Resource {
        /// The resource's URI.
        uri: String,
    },
}

/// What the host is to do. `Debug` shows neither records nor links.
#[derive(Clone)]
#[non_exhaustive]
pub enum Output {
    /// Send an HTTP request. Answer: [`Input::Head`] once the response's head is there, or [`Input::Failed`].
    Fetch {
        /// Names the fetch; [`Output::Read`] and [`Output::Abort`] refer to it.
        op: OpId,
        /// What to send.
        request: HttpRequest,
    },
    /// Read the next chunk of a response's body, so that at most one chunk is buffered. Answer:
    /// [`Input::Chunk`], [`Input::End`] or [`Input::Failed`], each with this `op`.
    Read {
        /// Names this read.
        op: OpId,
        /// The fetch whose body is read.
        fetch: OpId,
    },
    /// Stop a fetch, a call of a local tool or resource, or one of [`Output::Sign`], [`Output::Redirect`] and
    /// [`Output::Authorize`], and free what it holds. No answer; answers still under way are dropped here.
    Abort {
        /// What to stop.
        fetch: OpId,
    },
    /// Call a tool or resource that the host registered. Answer: [`Input::Local`].
    CallLocal {
        /// Names this call.
        op: OpId,
        /// What to call.
        call: LocalCall,
    },
    /// Say which credential the authority gets for this principal. Answer: [`Input::Credential`]. Asked only of
    /// hosts that said they have a hook for it.
    Credential {
        /// Names this question.
        op: OpId,
        /// The principal's identity; `None` for an anonymous caller.
        principal: Option<String>,
        /// How the authority refused the credential given before, so that the hook can renew it. A token other than
        /// the refused one is tried once more.
        refused: Option<Refused>,
    },
    /// Draw `bytes` bytes of cryptographic randomness. Answer: [`Input::Entropy`]. The first output of a new
    /// replica, and until that is answered nothing is cached; later ones are for authorizations.
    Entropy {
        /// Names this question.
        op: OpId,
        /// How many bytes, 1 to 64.
        bytes: usize,
    },
    /// Something an operator may want to log. No answer.
    Event(Event),
    /// A message for the agent that holds a ticket. No answer.
    Reply(Reply),
    /// Keep a record of a session under a key, in place of the one before, so that `Replica::restore` of `leeward-sync`
    /// finds it. No answer. Only of hosts that said that they have a store.
    Save {
        /// Visible ASCII, at most 64 bytes. It names the session, as `mcp-session-id` does: not for logs.
        key: String,
        /// Opaque; at most 100 KB. `None`: forget what is under this key.
        record: Option<Vec<u8>>,
    },
    /// Read a record of the vault. Answer: [`Input::Loaded`]. As the following one, only of hosts that said that they
    /// have a vault: a store that outlives the replica and that nobody else reads, since its records hold credentials.
    Load {
        /// Names this question.
        op: OpId,
        /// Visible ASCII, at most 128 bytes. Names no principal in clear.
        key: String,
    },
    /// Put a record into the vault, in place of the one before. No answer.
    Keep {
        /// As [`Output::Load`]'s.
        key: String,
        /// Opaque, secret; at most [`crate::limits::MAX_RECORD_BYTES`]. `None`: forget what is under this key.
        record: Option<Vec<u8>>,
    },
    /// Sign with a private key that the host holds. Answer: [`Input::Signed`]. Asked only of hosts that said they sign.
    Sign {
        /// Names this question.
        op: OpId,
        /// The key's name in the configuration.
        key: String,
        /// JWS algorithm (RFC 7518 §3.1, RFC 8037 §3.1): `ES256`, `RS256`, `EdDSA`.
        algorithm: String,
        /// The JWS signing input (RFC 7515 §5.1).
        payload: Vec<u8>,
    },
    /// Get ready for the redirect of an authorization. Answer: [`Input::Redirect`]. As the following one, only of hosts
    /// that said they bring users to authorization pages.
    Redirect {
        /// Names this question.
        op: OpId,
        /// Whose authorization; `None` for an anonymous caller.
        principal: Option<String>,
    },
    /// Bring the user to an authorization page. Answer: [`Input::Authorized`].
    Authorize {
        /// Names this question.
        op: OpId,
        /// Whose authorization; `None` for an anonymous caller.
        principal: Option<String>,
        /// Absolute `https` URL, or `http` to a loopback host.
        url: String,
    },
    /// What came of an errand. No answer.
    Errand {
        /// Which.
        id: ErrandId,
        /// [`Errand::Credential`] and [`Errand::Callback`]: the credential, `None` if the authority wants none.
        /// [`Errand::SignOut`]: `None`.
        result: Result<Option<Credential>, Error>,
    },
}

/// What happened. `Debug` shows neither bodies nor records.
#[derive(Clone)]
#[non_exhaustive]
pub enum Input {
    /// The head of a response.
    Head {
        /// The [`Output::Fetch`].
        op: OpId,
        /// HTTP status.
        status: u16,
        /// Names are lower case. More than [`crate::limits::MAX_HEADERS`] are cut off.
        headers: Vec<(String, String)>,
    },
    /// The next bytes of a body.
    Chunk {
        /// The [`Output::Read`].
        op: OpId,
        /// One or more bytes.
        bytes: Vec<u8>,
    },
    /// A body ended whole.
    End {
        /// The [`Output::Read`].
        op: OpId,
    },
    /// A fetch or read failed.
    Failed {
        /// The [`Output::Fetch`] or [`Output::Read`].
        op: OpId,
        /// How.
        failure: Failure,
    },
    /// A local tool or resource answered with the raw JSON of its result object, or failed with a message.
    Local {
        /// The [`Output::CallLocal`].
        op: OpId,
        /// A result object of the MCP method, or why there is none.
        result: Result<Vec<u8>, String>,
    },
    /// The credential for a principal, `Ok(None)` for none, or why it could not be had.
    Credential {
        /// The [`Output::Credential`].
        op: OpId,
        /// The credential.
        result: Result<Option<Credential>, String>,
    },
    /// Why the credential for a principal could not be had, for the agent: what another replica said, which obtains
    /// credentials for this one.
    Denied {
        /// The [`Output::Credential`].
        op: OpId,
        /// What [`Output::Errand`] brought there.
        error: Error,
    },
    /// Randomness.
    Entropy {
        /// The [`Output::Entropy`].
        op: OpId,
        /// As many bytes as asked for; fewer are an error of the host. The seed is then asked for again.
        bytes: Vec<u8>,
    },
    /// A record of the vault; `Ok(None)`: there is none.
    Loaded {
        /// The [`Output::Load`].
        op: OpId,
        /// As it was kept, or why it could not be read.
        result: Result<Option<Vec<u8>>, String>,
    },
    /// A signature.
    Signed {
        /// The [`Output::Sign`].
        op: OpId,
        /// The bare signature (RFC 7515 §5.1), for ECDSA `r || s` (RFC 7518 §3.4), or why there is none.
        result: Result<Vec<u8>, String>,
    },
    /// Where an authorization is to redirect to.
    Redirect {
        /// The [`Output::Redirect`].
        op: OpId,
        /// The redirect URI, or why there is none.
        result: Result<String, String>,
    },
    /// What came of an authorization page.
    Authorized {
        /// The [`Output::Authorize`].
        op: OpId,
        /// The redirect, or why none came.
        result: Result<Callback, String>,
    },
    /// The agent gave up on a request, or its HTTP client went away, which is no difference but in a session: there the
    /// request goes on, for its agent to come back for the answer (2025-11-25, Transports, Sending Messages to the
    /// Server). Else the last waiter leaving ends a read's trip; a sent write goes on.
    Cancel {
        /// Whose request.
        ticket: Ticket,
    },
    /// A message that preceded a response could not be passed on: its agent reads too slowly, or takes none. That
    /// ends a subscription, by an error; elsewhere it changes nothing.
    Dropped {
        /// Whose request.
        ticket: Ticket,
    },
    /// The context of this call is gone: its outputs are dropped, its tickets forgotten, its reads handed to
    /// other waiters, its writes' outcomes unknown.
    Gone,
    /// Time passed. Also renews the lease of the context.
    Tick,
}

/// How a fetch or a read failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// True only where the host knows that no byte of the request reached the authority (name resolution,
    /// refused connection). A write that failed so has had no effect.
    pub before_send: bool,
    /// For logs; never shown to an agent.
    pub message: String,
}

/// A message for the agent that holds `ticket`.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Whose.
    pub ticket: Ticket,
    /// HTTP status for the message; meaningful on the first part only.
    pub status: u16,
    /// One whole JSON-RPC message. Empty where there is none: an event that only has an id, or, as the last, a stream
    /// that ends without a response.
    pub part: Vec<u8>,
    /// False for what precedes the response; true exactly once per ticket.
    pub last: bool,
    /// How the cache took part; on the last part of requests that a replica classifies.
    pub provenance: Option<Provenance>,
    /// As [`crate::Served::Reply`]'s.
    pub serial: Option<u64>,
    /// Names the message within its session, for `last-event-id`: the `id` of the server-sent event. With one, `part`
    /// may be empty: an event without data, so that the agent has something to resume from (2025-11-25, Transports).
    pub event: Option<String>,
    /// As [`crate::Served::Reply`]'s; on the last part.
    pub session: Option<String>,
}

impl Reply {
    /// A message that precedes a response.
    #[must_use]
    pub const fn part(ticket: Ticket, part: Vec<u8>) -> Self {
        Self {
            ticket,
            status: 200,
            part,
            last: false,
            provenance: None,
            serial: None,
            event: None,
            session: None,
        }
    }
}

/// Something an operator may want to log. Never carries arguments, results or credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A tool was left out of `tools/list`.
    ToolDropped {
        /// The tool's name, cut to 128 bytes.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// Calls of a tool are not validated.
    SchemaNotEnforced {
        /// The tool's name, cut to 128 bytes.
        name: String,
        /// What is wrong with its `inputSchema`.
        reason: &'static str,
    },
    /// The authority was found to speak this protocol version.
    AuthorityVersion {
        /// As negotiated.
        version: String,
    },
    /// The authority failed so often in a row that it is not asked for a while.
    AuthorityDown,
    /// It answers again.
    AuthorityUp,
    /// A trip failed.
    TripFailed {
        /// The MCP method.
        method: String,
        /// What the agent was told, without its data.
        error: Error,
        /// The host's or the authority's words, for logs only.
        detail: String,
    },
    /// A stored session was not taken up again: its record is damaged, or there is no room for it.
    SessionDropped,
    /// A grant, or what was to become one, was given up.
    GrantDropped {
        /// Why.
        reason: &'static str,
    },
    /// An authority's answer was good but could not be stored.
    NotStored {
        /// The MCP method.
        method: String,
        /// Why.
        reason: &'static str,
    },
}
