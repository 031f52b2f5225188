//! Limits of the client of the authority, by name; those shared with the core are in [`leeward::limits`].

use leeward::Millis;

/// Most bytes of an `initialize` result; it is kept as long as its session.
pub(crate) const MAX_INITIALIZE_BYTES: usize = 256 << 10;
/// Longest `mcp-session-id`.
pub(crate) const MAX_SESSION_ID_BYTES: usize = 4 << 10;
/// Most bytes read of a refusal that is not JSON, to see whether it speaks of a session.
pub(crate) const MAX_REFUSAL_BYTES: usize = 4 << 10;
/// Most bytes of whole messages that an agent over stdio has not taken, past which it is not read from.
pub(crate) const MAX_UNWRITTEN_BYTES: usize = 1 << 20;
/// Longest piece of foreign text in a log line.
pub(crate) const MAX_DETAIL_BYTES: usize = 256;
/// JSON-RPC ids set aside for one start of a trip. A trip sends fewer messages: each of at most
/// [`leeward::limits::MAX_PAGES`] pages and a dozen others, twice. What sends more sets more aside.
pub(crate) const IDS_PER_TRIP: u64 = 256;
/// How long it is believed that an authority speaks only the session-era protocol.
pub(crate) const LEGACY_VERDICT_AGE: Millis = Millis(24 * 60 * 60 * 1000);
/// Longest event id that a stream is resumed after.
pub(crate) const MAX_EVENT_ID_BYTES: usize = 1 << 10;
/// Most attempts in a row to resume a stream that broke off.
pub(crate) const MAX_RESUMES: usize = 4;
/// The pause before each, where the authority names none.
pub(crate) const RESUME_AFTER: Millis = Millis(1000);
/// Shortest pause that it may name: a stream that ends at once, ever with a new event id, is resumed for ever.
pub(crate) const RESUME_LEAST: Millis = Millis(100);
/// Longest pause that it may name.
pub(crate) const RESUME_MOST: Millis = Millis(30_000);
/// How long is waited for the head of what is asked beside a stream: nothing else may bound that, and the stream is not
/// read meanwhile, or is to be resumed by it.
pub(crate) const BESIDE_MOST: Millis = Millis(10_000);
/// How long a request waits for the stream of its session's own to begin; longer only once per session.
pub(crate) const ASIDE_MOST: Millis = Millis(2000);
/// How long a farewell may take: the cancellation of a request, the end of a session.
pub(crate) const FAREWELL: Millis = Millis(1000);
/// Most farewells under way. Further ones are left out: who hears none learns of the end by itself.
pub(crate) const MAX_FAREWELLS: usize = 64;
/// Failures in a row after which the authority is taken for down.
pub(crate) const MAX_FAILURES: u32 = 5;
/// Longest `Retry-After` that is kept to: whoever names a longer one may err.
pub(crate) const MAX_RETRY_AFTER: Millis = Millis(10 * 60_000);
/// Longest pause before an authority that is down is first asked again, and before a subscription's stream is first
/// opened again; the bound doubles with each failure.
pub(crate) const RECONNECT_FIRST: Millis = Millis(1000);
/// Longest pause of all, but for `Retry-After`.
pub(crate) const RECONNECT_MOST: Millis = Millis(60_000);
/// A stream that lasted so long did not fail at once: pauses begin anew after it.
pub(crate) const STEADY: Millis = Millis(10_000);
/// Most answers with too little entropy after which it is asked for again at once; then once per request.
pub(crate) const MAX_ENTROPY_ATTEMPTS: u32 = 3;
/// Most records that a replica remembers itself where the host has no vault.
pub(crate) const MAX_RECORDS: usize = 256;
/// Most bytes of what an authorization server answers, and of the metadata of a resource.
pub(crate) const MAX_OAUTH_BYTES: usize = 64 << 10;
/// How long each such answer may take.
pub(crate) const OAUTH_STEP: Millis = Millis(20_000);
/// Most bytes of a set of scopes, written as a list.
pub(crate) const MAX_SCOPES_BYTES: usize = 4 << 10;
/// Longest URL, client id or secret taken from what they say.
pub(crate) const MAX_PUBLISHED_BYTES: usize = 2 << 10;
/// Most authorization servers looked at of those that a resource names.
pub(crate) const MAX_AUTHORIZATION_SERVERS: usize = 16;
/// Longest query that a user may bring back.
pub(crate) const MAX_CALLBACK_BYTES: usize = 16 << 10;
/// Longest life of an access token that is believed, in seconds: a year.
pub(crate) const MAX_TOKEN_LIFE: u64 = 365 * 24 * 60 * 60;
/// A token is renewed so long before it expires, but never before three quarters of its life are over; a part of it
/// is random, so that replicas do not renew together.
pub(crate) const REFRESH_MARGIN: Millis = Millis(60_000);
/// How long the user may take to come back from the authorization server.
pub(crate) const MAX_AUTHORIZATION_WAIT: Millis = Millis(10 * 60 * 1000);
/// Within this time of an authorization, the same one is not asked for again: it would not help.
pub(crate) const AUTHORIZATION_PAUSE: Millis = Millis(60_000);
/// How long after a renewal that failed the next one is tried, while the token is good.
pub(crate) const RENEWAL_PAUSE: Millis = Millis(10_000);
/// Most principals whose grants are remembered; of the others, the vault is asked again.
pub(crate) const MAX_GRANTS: usize = 1024;
/// Most flows that obtain or end grants at once, and most errands of the host that wait.
pub(crate) const MAX_ERRANDS: usize = 256;
/// How long such a flow may take: a little more than a user may be at an authorization page.
pub(crate) const MAX_ERRAND_WAIT: Millis = Millis(12 * 60 * 1000);
/// How long the third failure in a row to obtain a grant stands; it doubles with each further one.
pub(crate) const GRANT_PAUSE: Millis = Millis(5000);
/// Longest such pause.
pub(crate) const GRANT_PAUSE_MOST: Millis = Millis(300_000);
/// Most attempts to satisfy one challenge for more scopes.
pub(crate) const MAX_STEP_UPS: u32 = 3;
/// For so long.
pub(crate) const STEP_UP_PAUSE: Millis = Millis(600_000);
/// Most such challenges remembered per principal.
pub(crate) const MAX_STEPS: usize = 16;
