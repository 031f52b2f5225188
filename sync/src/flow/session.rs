//! The session-era handshake: `initialize`, `notifications/initialized`, and what is kept of them per partition
//! (2025-11-25, Lifecycle, and Transports, Session Management).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU32, Ordering};

use leeward::Millis;
use leeward::dispatch::{Body, Forward};
use leeward::json::{Members, is_object, push_string};
use leeward::mcp::meta::LogLevel;
use leeward::mcp::names;

use super::Trip;
use super::era::{Verdict, choose, supported};
use super::http::{Received, Rules, exchange, has_word_session, notify, post};
use super::message;
use crate::limits::MAX_INITIALIZE_BYTES;
use crate::link::{Aside, Key, Known, Session};
use crate::trouble::Trouble;

/// Session-era revisions that an authority may choose, newest first. The last one differs in nothing that
/// reaches a replica, save batches, which are taken apart.
pub(super) const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// No version in common.
pub(super) const NO_VERSION: &str = "the authority speaks no protocol version that this replica speaks";

/// Why a handshake failed.
pub(super) struct Failed {
    pub(super) trouble: Trouble,
    /// The authority does not take `initialize`.
    pub(super) refused: bool,
    /// But it would, with this one of [`VERSIONS`].
    instead: Option<u8>,
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self {
            trouble,
            refused: false,
            instead: None,
        }
    }
}

/// Names the session of a trip: those of a partition that may be asked the same share one.
fn session_of(forward: &Forward) -> u64 {
    forward.partition << 8 | u64::from(forward.inputs.bits())
}

/// The same as a thing to know.
pub(super) fn key(forward: &Forward) -> Key {
    Key::Session(session_of(forward))
}

/// The session of the trip's partition and the number it was learnt under, opened if need be.
pub(super) async fn obtain(trip: &mut Trip<'_>) -> Result<(Arc<Session>, u64), Failed> {
    let key = key(trip.forward);
    loop {
        match trip.io.claim(key).await? {
            Some(Known::Session(_, session, number)) => {
                // A session belongs to the credential that opened it.
                if session.credential.as_ref() == trip.identity() {
                    return Ok((session, number));
                }
                trip.io.forget(key, number).await;
            }
            Some(Known::Era(..)) => {
                return Err(Trouble::internal("a claim was answered with something else").into());
            }
            None => match initialize(trip, VERSIONS[0]).await {
                Ok(session) => return Ok(keep(trip, session).await),
                Err(failed) => {
                    trip.io.fail(key, Some(failed.trouble.clone())).await;
                    return Err(failed);
                }
            },
        }
    }
}

/// Makes a session known; returns it with the number it is known under.
pub(super) async fn keep(trip: &mut Trip<'_>, session: Session) -> (Arc<Session>, u64) {
    let session = Arc::new(session);
    let number = trip
        .io
        .learn(
            Known::Session(session_of(trip.forward), session.clone(), 0),
            Millis(0),
        )
        .await;
    (session, number)
}

/// Opens a session, in this version unless one is pinned; in another one, if the authority refuses it and names that
/// (2025-11-25, Lifecycle, Version Negotiation and Error Handling).
pub(super) async fn initialize(trip: &mut Trip<'_>, version: &'static str) -> Result<Session, Failed> {
    let pinned = trip.upstream.version;
    let version = pinned.unwrap_or(version);
    match open(trip, version).await {
        Err(failed) => match failed.instead.and_then(|at| VERSIONS.get(usize::from(at))) {
            Some(instead) if pinned.is_none() && *instead != version => open(trip, instead).await,
            _ => Err(failed),
        },
        opened => opened,
    }
}

async fn open(trip: &mut Trip<'_>, version: &'static str) -> Result<Session, Failed> {
    let params = alloc::format!(
        r#""protocolVersion":"{}","capabilities":{},{}"#,
        version,
        trip.forward.inputs.to_json(),
        message::client_info("clientInfo")
    );
    let id = trip.io.next_id();
    let url = trip.upstream.url.as_deref().unwrap_or_default();
    let request = post(url, Vec::new(), message::request(id, "initialize", &params, ""));
    let rules = Rules {
        max_bytes: trip.upstream.max_bytes,
        relay: false,
        sent: None,
        open: None,
        inputs: None,
    };
    let received = exchange(trip.io, request, id, rules)
        .await
        .map_err(|trouble| Failed {
            refused: matches!(
                trouble.status,
                Some(400 | 402 | 404..=407 | 409..=428 | 430..=499)
            ),
            trouble,
            instead: None,
        })?;
    let session = read(&received, trip.identity().cloned(), trip.upstream.version)?;
    let request = post(url, headers(&session), message::INITIALIZED.as_bytes().to_vec());
    match notify(trip.io, request).await {
        // Some servers answer the notification with an odd refusal and serve the session all the same.
        Err(trouble)
            if trouble
                .status
                .is_none_or(|status| matches!(status, 401 | 403 | 404 | 429 | 500..)) =>
        {
            Err(trouble.into())
        }
        _ => Ok(session),
    }
}

fn read(
    received: &Received,
    credential: Option<String>,
    pinned: Option<&'static str>,
) -> Result<Session, Failed> {
    let result = match &received.response.body {
        Body::Result(result) => result,
        Body::Error(_) if received.status >= 500 || received.status == 403 => {
            return Err(Trouble::status(received.status, None, false).into());
        }
        Body::Error(error) => {
            let detail = crate::trouble::cut_text(error);
            let trouble = Trouble::invalid("the authority refused to open a session", detail);
            return Err(Failed {
                trouble,
                refused: true,
                instead: supported(error).and_then(|versions| {
                    let Verdict::Legacy(version) = choose(versions)? else {
                        return None;
                    };
                    let at = VERSIONS.iter().position(|known| *known == version)?;
                    u8::try_from(at).ok()
                }),
            });
        }
    };
    if result.len() > MAX_INITIALIZE_BYTES {
        return Err(Trouble::invalid("the authority's initialize result is too large", "").into());
    }
    let Some(members) = Members::parse(result) else {
        return Err(Trouble::invalid("the authority's initialize result is not valid", "").into());
    };
    let chosen = members.string("protocolVersion").unwrap_or_default();
    let Some(version) = VERSIONS.into_iter().find(|version| {
        // A pinned version is the only one.
        *version == chosen && pinned.is_none_or(|pinned| pinned == *version)
    }) else {
        return Err(Trouble::invalid(NO_VERSION, crate::trouble::cut_text(&chosen)).into());
    };
    Ok(Session {
        id: received.session.clone(),
        version,
        credential,
        discover: discover(version, &members),
        level: AtomicU32::new(0),
        aside: Aside::default(),
    })
}

/// What `server/discover` would have said (2026-07-28, Discovery): nothing that may be kept.
fn discover(version: &str, members: &Members<'_>) -> String {
    let mut out = String::from(r#"{"resultType":"complete","supportedVersions":["#);
    push_string(&mut out, version);
    let capabilities = members
        .raw("capabilities")
        .filter(|raw| is_object(raw))
        .unwrap_or("{}");
    let _ = write!(out, r#"],"capabilities":{capabilities}"#);
    if let Some(instructions) = members.string("instructions") {
        out.push_str(r#","instructions":"#);
        push_string(&mut out, &instructions);
    }
    out.push_str(r#","ttlMs":0,"cacheScope":"private""#);
    if let Some(info) = members.raw("serverInfo").filter(|raw| is_object(raw)) {
        let _ = write!(out, r#","_meta":{{"{}":{info}}}"#, names::META_SERVER_INFO);
    }
    out.push('}');
    out
}

/// Whether a session's authority offers a capability: its raw object, if it is one.
pub(super) fn offer<'a>(session: &'a Session, capability: &str) -> Option<Members<'a>> {
    let discovered = Members::parse(&session.discover)?;
    let all = discovered.raw("capabilities").and_then(Members::parse)?;
    all.raw(capability).and_then(Members::parse)
}

/// Tells the authority which log messages somebody wants: once per session, and again where more are wanted
/// (2025-11-25, Logging). What it answers changes nothing.
pub(super) async fn set_level(trip: &mut Trip<'_>, session: &Session) {
    let meta = alloc::format!("{{{}}}", trip.forward.meta);
    let name = Members::parse(&meta).and_then(|meta| meta.string(names::META_LOG_LEVEL));
    let Some(level) = name.and_then(|name| LogLevel::parse(&name)) else {
        return;
    };
    let wanted = level as u32 + 1;
    let told = session.level.load(Ordering::Relaxed);
    if told != 0 && told <= wanted || offer(session, "logging").is_none() {
        return;
    }
    session.level.store(wanted, Ordering::Relaxed);
    let url = trip.upstream.url.as_deref().unwrap_or_default();
    let params = alloc::format!(r#""level":"{}""#, level.name());
    let build = |id| {
        let body = message::request(id, "logging/setLevel", &params, "");
        post(url, headers(session), body)
    };
    let _ = trip.read(trip.rules(false), &build).await;
}

/// The headers of a request within a session.
pub(super) fn headers(session: &Session) -> Vec<(String, String)> {
    let mut headers = Vec::from([(names::HEADER_VERSION.into(), session.version.into())]);
    if let Some(id) = &session.id {
        headers.push((names::HEADER_SESSION.into(), id.clone()));
    }
    headers
}

/// Whether an answer says that the session is gone: 404, or a 400 that speaks of a session. Either refuses the
/// request before it has an effect.
pub(super) fn is_gone(session: &Session, outcome: &Result<Received, Trouble>) -> bool {
    let (status, speaks) = match outcome {
        Ok(Received { status, response, .. }) => match &response.body {
            Body::Error(error) => (*status, has_word_session(error)),
            Body::Result(_) => return false,
        },
        Err(trouble) => (trouble.status.unwrap_or_default(), trouble.session),
    };
    status == 404 && session.id.is_some() || status == 400 && speaks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(status: u16, body: Body) -> Received {
        let code = matches!(body, Body::Error(_)).then_some(-32000);
        let response = message::Response {
            body,
            code,
            ours: false,
        };
        Received {
            status,
            response,
            session: Some("s".into()),
        }
    }

    #[test]
    fn makes_a_discovery_of_the_initialize_result() {
        let result = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"},"instructions":"be\nkind"}"#;
        let session = read(&received(200, Body::Result(result.into())), None, None)
            .map_err(|_| ())
            .unwrap();
        assert_eq!(
            (session.version, session.id.as_deref()),
            ("2025-06-18", Some("s"))
        );
        assert_eq!(
            session.discover,
            r#"{"resultType":"complete","supportedVersions":["2025-06-18"],"capabilities":{"tools":{}},"instructions":"be\nkind","ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x","version":"1"}}}"#
        );
    }

    #[test]
    fn refuses_results_of_other_versions_or_sizes() {
        let big = alloc::format!(
            r#"{{"protocolVersion":"2025-11-25","instructions":"{}"}}"#,
            "x".repeat(MAX_INITIALIZE_BYTES)
        );
        for result in [
            "{}",
            r#"{"protocolVersion":"2024-11-05"}"#,
            r#"{"protocolVersion":1}"#,
            &big,
        ] {
            let failed = read(&received(200, Body::Result(result.into())), None, None)
                .map(|_| ())
                .unwrap_err();
            assert!(!failed.refused);
            assert_eq!(failed.trouble.code, leeward::Code::AuthorityInvalid);
        }
    }

    #[test]
    fn knows_when_a_session_is_gone() {
        let with = |id: Option<&str>| Session {
            id: id.map(Into::into),
            version: VERSIONS[0],
            credential: None,
            discover: String::new(),
            level: AtomicU32::new(0),
            aside: Aside::default(),
        };
        let error = |text: &str| Body::Error(alloc::format!(r#"{{"code":-32000,"message":"{text}"}}"#));
        assert!(is_gone(&with(Some("s")), &Ok(received(404, error("x")))));
        assert!(!is_gone(&with(None), &Ok(received(404, error("x")))));
        assert!(is_gone(
            &with(Some("s")),
            &Ok(received(400, error("No valid Session ID")))
        ));
        assert!(!is_gone(&with(Some("s")), &Ok(received(400, error("bad")))));
        assert!(!is_gone(&with(Some("s")), &Ok(received(200, error("session")))));
        assert!(is_gone(&with(Some("s")), &Err(Trouble::status(404, None, false))));
        assert!(is_gone(&with(Some("s")), &Err(Trouble::status(400, None, true))));
        assert!(!is_gone(&with(Some("s")), &Err(Trouble::status(500, None, true))));
    }
}
