//! Names, versions and codes of the protocol.

/// The stateless revision (2026-07-28).
pub const MODERN: &str = "2026-07-28";
/// Session-era revisions that are spoken, newest first.
pub const LEGACY: [&str; 2] = ["2025-11-25", "2025-06-18"];
/// The revision with batches, spoken within sessions only: nothing else would tell its requests.
pub const BATCHED: &str = "2025-03-26";

/// A session-era revision that is spoken.
#[must_use]
pub fn session_era(version: &str) -> Option<&'static str> {
    LEGACY
        .into_iter()
        .chain([BATCHED])
        .find(|known| *known == version)
}

/// Every revision that is spoken, newest first.
pub fn spoken() -> impl Iterator<Item = &'static str> {
    [MODERN].into_iter().chain(LEGACY).chain([BATCHED])
}

/// `_meta` keys of a request (2026-07-28, Base Protocol, `_meta`).
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The client's capabilities for this request; required.
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// For display only.
pub const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Opts in to `notifications/message`.
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta` key of a result.
pub const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// `_meta` key of every message of a subscription.
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// HTTP header names, lower case (2026-07-28, Transports, Streamable HTTP).
pub const HEADER_VERSION: &str = "mcp-protocol-version";
/// Mirrors the method.
pub const HEADER_METHOD: &str = "mcp-method";
/// Mirrors `params.name` or `params.uri`.
pub const HEADER_NAME: &str = "mcp-name";
/// Prefix of mirrored arguments.
pub const HEADER_PARAM: &str = "mcp-param-";
/// Session of the legacy transport.
pub const HEADER_SESSION: &str = "mcp-session-id";
/// The last event that a client of the legacy transport has had.
pub const HEADER_LAST_EVENT: &str = "last-event-id";

/// HeaderMismatch.
pub const ERROR_HEADER_MISMATCH: i64 = -32020;
/// MissingRequiredClientCapability.
pub const ERROR_MISSING_CAPABILITY: i64 = -32021;
/// UnsupportedProtocolVersion.
pub const ERROR_UNSUPPORTED_VERSION: i64 = -32022;
