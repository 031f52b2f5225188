//! The names of Leeward's own extension, in one place: they will change when MCP standardises ETags.

/// Prefix of our `_meta` keys; an authority's `_meta` under it is stripped.
pub const PREFIX: &str = "dev.leeward/";
/// `_meta` key of a result: its provenance as an RFC 9211 list member.
pub const META_CACHE: &str = "dev.leeward/cache";
/// What every `requestState` of ours begins with; those of the authority pass through.
pub const STATE_PREFIX: &str = "dev.leeward/input:";
