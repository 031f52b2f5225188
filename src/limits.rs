//! Every limit of the replica, by name. Each has a test that reaches it.

use crate::border::Millis;

/// Most response headers taken from the host.
pub const MAX_HEADERS: usize = 128;
/// Deepest nesting of JSON that is made canonical; deeper parameters bypass the cache.
pub const MAX_DEPTH: usize = 64;
/// Longest life of a cache entry, whatever anybody says (SEP-2549 caps hints at a day).
pub const MAX_AGE: Millis = Millis(24 * 60 * 60 * 1000);
/// Most members looked at in one JSON object of the protocol envelope (message, `params`, `_meta`, result).
pub const MAX_MEMBERS: usize = 256;
/// Most tools whose header annotations and schemas are remembered per partition.
pub const MAX_TOOLS: usize = 4096;
/// Largest `inputSchema` that arguments are validated against, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;
/// Most bytes of `inputSchema`s kept for that, of all the authority's tools as all principals see them.
pub const MAX_SCHEMAS_BYTES: usize = 4 << 20;
/// Most bytes passed on of what is wrong with arguments.
pub const MAX_FAULT_BYTES: usize = 2 << 10;
/// Most pages fetched of one list on the replica's own behalf.
pub const MAX_PAGES: usize = 32;
/// Most bytes of one server-sent event's line.
pub const MAX_EVENT_BYTES: usize = 16 << 20;
/// Longest tool name, prompt name, or URI accepted, in bytes.
pub const MAX_NAME_BYTES: usize = 8 << 10;
/// Longest JSON-RPC id, in bytes of its raw token.
pub const MAX_ID_BYTES: usize = 1 << 10;
/// Longest query of a visit to one of the pages for authorizations, which authorization servers make up.
pub const MAX_REDIRECT_BYTES: usize = 8 << 10;
/// Most policy rules.
pub const MAX_RULES: usize = 1024;
/// Most local tools and resources each.
pub const MAX_LOCAL: usize = 1024;
/// Most resources named by one `subscriptions/listen`, and most tasks.
pub const MAX_SUBSCRIBED: usize = 256;
/// Largest `subscriptions/listen`, in bytes: it is kept as long as its subscription.
pub const MAX_LISTEN_BYTES: usize = 64 << 10;
/// Most subscriptions open at once, but for those of sessions: each session has at most two. They count neither as
/// trips nor as waiting requests.
pub const MAX_LISTENS: usize = 1024;
/// Most tasks remembered per partition; the oldest is forgotten.
pub const MAX_TASKS: usize = 256;
/// Most subscriptions of one principal, likewise.
pub const MAX_LISTENS_PER_PRINCIPAL: usize = 32;
/// Most sessions of session-era agents; past it the least recently used idle one is forgotten.
pub const MAX_SESSIONS: usize = 1024;
/// Most sessions of one principal, likewise.
pub const MAX_SESSIONS_PER_PRINCIPAL: usize = 64;
/// How long a session that nobody uses is kept.
pub const SESSION_IDLE: Millis = Millis(24 * 60 * 60 * 1000);
/// Largest capabilities of an agent that a session keeps, in bytes.
pub const MAX_CLIENT_CAPABILITIES_BYTES: usize = 16 << 10;
/// Most bytes of the resources that one session subscribes to.
pub const MAX_SUBSCRIBED_BYTES: usize = 64 << 10;
/// Most event streams of one session that wait or can be resumed; the answer to a request beyond comes, but cannot be
/// asked for again.
pub const MAX_STREAMS_PER_SESSION: usize = 64;
/// Most messages of one batch (2025-03-26, Transports).
pub const MAX_BATCH: usize = 64;
/// Most events kept of one stream; the oldest are forgotten.
pub const MAX_EVENTS_PER_STREAM: usize = 256;
/// Most bytes of events kept for one session.
pub const MAX_LOGGED_BYTES_PER_SESSION: usize = 1 << 20;
/// Most bytes of events kept for all sessions.
pub const MAX_LOGGED_BYTES: usize = 16 << 20;
/// Most trips that wait at once for what their agents were asked.
pub const MAX_ASKED: usize = 64;
/// Most of them of one principal; past it the oldest is given up.
pub const MAX_ASKED_PER_PRINCIPAL: usize = 8;
/// How long an agent may take over what it was asked, before the authority is told that there is no answer.
pub const MAX_INPUT_WAIT: Millis = Millis(10 * 60 * 1000);
/// Most things asked together.
pub const MAX_INPUT_REQUESTS: usize = 16;
/// Most times that one request of an agent's is asked back.
pub const MAX_INPUT_ROUNDS: usize = 16;
/// Most contexts alive at once (requests in progress on a request-bound host).
pub const MAX_CONTEXTS: usize = 4096;
/// Most outputs queued for one context; past it, progress and log notifications are dropped first.
pub const MAX_OUTPUTS: usize = 4096;

/// Limits that an operator sets; `limits` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the cache may hold, keys and bookkeeping included. Default 16 MiB.
    pub max_cache_bytes: usize,
    /// Largest message taken from an agent. Default 1 MiB.
    pub max_message_bytes: usize,
    /// Largest response body taken from an authority. Default 8 MiB.
    pub max_response_bytes: usize,
    /// Most trips in progress at once. Default 256.
    pub max_flights: usize,
    /// Most requests waiting at once. Default 1024.
    pub max_waiters: usize,
    /// Most partitions (principals) remembered at once; the least recently used is forgotten. Default 1024.
    pub max_partitions: usize,
    /// How long one trip to the authority waits for its answer, in milliseconds, or for progress toward it, which begins
    /// it anew; of a subscription, only until it is acknowledged. Default 60,000.
    pub request_timeout_ms: u64,
    /// Hard end of one trip, in milliseconds, whatever progress it makes; the time that its agent is asked something
    /// does not count. Default 600,000.
    pub max_request_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_cache_bytes: 16 << 20,
            max_message_bytes: 1 << 20,
            max_response_bytes: 8 << 20,
            max_flights: 256,
            max_waiters: 1024,
            max_partitions: 1024,
            request_timeout_ms: 60_000,
            max_request_ms: 600_000,
        }
    }
}

/// Largest configuration, in bytes.
pub const MAX_CONFIG_BYTES: usize = 1 << 20;
/// Longest principal, in bytes.
pub const MAX_PRINCIPAL_BYTES: usize = 1 << 10;
/// Longest static bearer token of an authority, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 << 10;
/// Most OAuth clients of a configuration.
pub const MAX_CLIENTS: usize = 16;
/// Most OAuth scopes of a configuration.
pub const MAX_SCOPES: usize = 64;
/// Longest `WWW-Authenticate` that is read, in bytes.
pub const MAX_CHALLENGE_BYTES: usize = 4 << 10;
/// Largest record of a vault, in bytes.
pub const MAX_RECORD_BYTES: usize = 64 << 10;
/// Shortest bearer token of a caller, in bytes: shorter ones can be guessed.
pub const MIN_CALLER_TOKEN_BYTES: usize = 16;
/// Longest bearer token of a caller, in bytes.
pub const MAX_CALLER_TOKEN_BYTES: usize = 512;
/// Most bearer tokens of callers: every request is compared with all of them.
pub const MAX_CALLER_TOKENS: usize = 1024;
/// Most `origins` of a configuration.
pub const MAX_ORIGINS: usize = 64;
/// Longest policy rule (`cache;max-age=60`), in bytes.
pub const MAX_RULE_BYTES: usize = 4 << 10;
/// Longest policy pattern with a wildcard, in bytes; an exact name may have [`MAX_NAME_BYTES`].
pub const MAX_PATTERN_BYTES: usize = 512;
/// Most tags of one rule.
pub const MAX_TAGS: usize = 16;
/// Longest tag template, in bytes.
pub const MAX_TAG_BYTES: usize = 128;
/// Most `x-mcp-header` annotations of one tool.
pub const MAX_HEADER_PARAMS: usize = 64;
/// Longest `x-mcp-header` name, in bytes.
pub const MAX_HEADER_NAME_BYTES: usize = 128;
/// Most members of one object within an annotated `inputSchema`.
pub const MAX_SCHEMA_MEMBERS: usize = 4096;
