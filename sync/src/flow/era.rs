//! How the authority speaks: statelessly (2026-07-28) or in sessions (2025-11-25 and before).
//!
//! Found out before the first request is sent, so that a write is never sent to find out: `server/discover`
//! first, then, if that is refused, `initialize` (2026-07-28, Versioning, Backward Compatibility). Outages are no
//! verdict. One flow finds out at a time; the verdict is kept in [`crate::link`], and with its date in the vault, so
//! that a replica which starts again need not find out.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::Millis;
use leeward::border::Event;
use leeward::dispatch::Body;
use leeward::json::{Members, elements, string, unsigned};
use leeward::mcp::names;

use super::http::{Received, Rules, exchange, post};
use super::{Trip, Upstream, digest, within};
use super::{message, session};
use crate::limits::LEGACY_VERDICT_AGE;
use crate::link::{Era, Key, Known};
use crate::trouble::Trouble;

const DISCOVER: &str = "server/discover";
const MODERN: &str = "modern";
const LEGACY: &str = "legacy";

/// The authority's era and the number of the verdict; and the answer to the request itself, if finding out
/// brought it.
pub(super) async fn detect(trip: &mut Trip<'_>) -> Result<(Era, u64, Option<Received>), Trouble> {
    if let Some(known) = trip.io.claim(Key::Era).await? {
        let Known::Era(era, number) = known else {
            return Err(Trouble::internal("a claim was answered with something else"));
        };
        return Ok((era, number, None));
    }
    // A vault that does not answer is no reason to stand still.
    let timer = trip.io.timer(Millis(trip.upstream.timeout.0 / 4));
    if let Some((era, age)) = within(timer, None, recall(trip)).await.flatten() {
        let number = trip.io.learn(Known::Era(era, 0), age).await;
        return Ok((era, number, None));
    }
    match probe(trip).await {
        Ok(found) => {
            trip.io.event(Event::AuthorityVersion {
                version: found.version.into(),
            });
            let number = trip.io.learn(Known::Era(found.era, 0), Millis(0)).await;
            note(trip, found.era).await;
            let own = trip.forward.method == DISCOVER && found.era == Era::Modern;
            // Refused for a version, and what it speaks is spoken here: the request itself is still to be made.
            let answers =
                |received: &Received| own && received.response.code != Some(names::ERROR_UNSUPPORTED_VERSION);
            Ok((found.era, number, found.answer.filter(answers)))
        }
        Err(trouble) => {
            let shared = trouble.is_everybodys().then(|| trouble.clone());
            trip.io.fail(Key::Era, shared).await;
            Err(trouble)
        }
    }
}

/// What the vault has under this key is the verdict about an endpoint.
pub(super) fn key(upstream: &Upstream) -> String {
    let url = upstream.url.as_deref().unwrap_or_default();
    alloc::format!("era:{}", digest(url, [0, 1, 2, 3]))
}

/// Keeps a verdict with its date.
async fn note(trip: &mut Trip<'_>, era: Era) {
    let since = trip.io.now().await.unix.0;
    let era = match era {
        Era::Modern => MODERN,
        Era::Legacy => LEGACY,
    };
    let record = alloc::format!(r#"{{"era":"{era}","since":{since}}}"#);
    trip.io.keep(key(trip.upstream), Some(record.into_bytes()));
}

/// The verdict that was kept, and its age. One that is damaged, or of a date to come, is none.
async fn recall(trip: &mut Trip<'_>) -> Option<(Era, Millis)> {
    let record = trip.io.load(key(trip.upstream)).await.ok()??;
    let record = Members::parse(core::str::from_utf8(&record).ok()?)?;
    let since = Millis(record.raw("since").and_then(unsigned)?);
    let now = trip.io.now().await.unix;
    let era = match &*record.string("era")? {
        MODERN => Era::Modern,
        LEGACY if since <= now && now.since(since) < LEGACY_VERDICT_AGE => Era::Legacy,
        _ => return None,
    };
    Some((era, now.since(since)))
}

/// A verdict turned out wrong.
pub(super) async fn forget(trip: &mut Trip<'_>, number: u64) {
    trip.io.forget(Key::Era, number).await;
    trip.io.keep(key(trip.upstream), None);
}

struct Found {
    era: Era,
    version: &'static str,
    answer: Option<Received>,
}

impl Found {
    const fn modern(answer: Option<Received>) -> Self {
        Self {
            era: Era::Modern,
            version: names::MODERN,
            answer,
        }
    }
}

async fn probe(trip: &mut Trip<'_>) -> Result<Found, Trouble> {
    let discovered = discover(trip).await;
    let (first, answer) = match discovered {
        Ok(received) => (verdict(&received), Some(received)),
        // Refused by something that does not speak JSON-RPC under this method.
        Err(Trouble {
            status: Some(400 | 402 | 404..=407 | 409..=428 | 430..=499),
            ..
        }) => (Verdict::Refused, None),
        Err(trouble) => return Err(trouble),
    };
    match first {
        Verdict::Modern => return Ok(Found::modern(answer)),
        Verdict::Outage(status) => return Err(Trouble::status(status, None, false)),
        Verdict::NoCommonVersion => return Err(Trouble::invalid(session::NO_VERSION, "")),
        Verdict::Refused | Verdict::Legacy(_) => {}
    }
    let version = match first {
        Verdict::Legacy(version) => version,
        _ => session::VERSIONS[0],
    };
    let handshake = session::initialize(trip, version).await;
    match handshake {
        Ok(session) => {
            let version = session.version;
            session::keep(trip, session).await;
            Ok(Found {
                era: Era::Legacy,
                version,
                answer: None,
            })
        }
        // Neither is known to it: stateless, and without `server/discover`.
        Err(trouble) if trouble.refused && matches!(first, Verdict::Refused) => Ok(Found::modern(answer)),
        Err(trouble) => Err(trouble.trouble),
    }
}

/// The probe; it is the request itself, if that is `server/discover`.
async fn discover(trip: &mut Trip<'_>) -> Result<Received, Trouble> {
    let own = trip.forward.method == DISCOVER;
    let meta = if own {
        trip.forward.meta.clone()
    } else {
        message::client_info(names::META_CLIENT_INFO)
    };
    let meta = message::modern_meta(&trip.forward.capabilities, &meta, None);
    let params = if own { &*trip.forward.params } else { "" };
    let id = trip.io.next_id();
    let headers = headers(DISCOVER, None, Vec::new());
    let url = trip.upstream.url.as_deref().unwrap_or_default();
    let request = post(url, headers, message::request(id, DISCOVER, params, &meta));
    exchange(
        trip.io,
        request,
        id,
        Rules {
            max_bytes: trip.upstream.max_bytes,
            relay: false,
            sent: None,
            open: None,
            inputs: None,
        },
    )
    .await
}

/// The headers of a stateless request (2026-07-28, Transports, Streamable HTTP).
pub(super) fn headers(
    method: &str,
    name: Option<&str>,
    params: Vec<(String, String)>,
) -> Vec<(String, String)> {
    let mut headers = Vec::from([
        (names::HEADER_VERSION.into(), names::MODERN.into()),
        (names::HEADER_METHOD.into(), leeward::mcp::headers::encode(method)),
    ]);
    if let Some(name) = name {
        headers.push((names::HEADER_NAME.into(), leeward::mcp::headers::encode(name)));
    }
    headers.extend(params);
    headers
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It speaks 2026-07-28.
    Modern,
    /// It names versions, and this is the newest one of the session era among them.
    Legacy(&'static str),
    /// It does not know `server/discover`.
    Refused,
    /// It names versions, and none that is spoken here.
    NoCommonVersion,
    /// No verdict.
    Outage(u16),
}

fn verdict(received: &Received) -> Verdict {
    let (error, code) = match (&received.response.body, received.response.code) {
        (Body::Result(result), _) => {
            // Some servers of the session era answer every method that they do not know with an empty result.
            let listed = Members::parse(result).and_then(|members| members.raw("supportedVersions"));
            return listed.and_then(choose).unwrap_or(Verdict::Refused);
        }
        (Body::Error(error), code) => (error, code.unwrap_or_default()),
    };
    match code {
        names::ERROR_HEADER_MISMATCH | names::ERROR_MISSING_CAPABILITY => Verdict::Modern,
        names::ERROR_UNSUPPORTED_VERSION => supported(error)
            .and_then(choose)
            .unwrap_or(Verdict::NoCommonVersion),
        // Only a stateless server misses something in `_meta`.
        -32602 if error.contains("_meta") || error.contains("io.modelcontextprotocol/") => Verdict::Modern,
        _ if received.status == 403 => Verdict::Outage(403),
        _ if received.status >= 500 => Verdict::Outage(received.status),
        _ => Verdict::Refused,
    }
}

/// The raw array of versions in an error's `data.supported`.
pub(super) fn supported(error: &str) -> Option<&str> {
    let data = Members::parse(error)?.raw("data").and_then(Members::parse)?;
    data.raw("supported")
}

/// Chooses from a raw array of versions; `None` if it is none.
pub(crate) fn choose(versions: &str) -> Option<Verdict> {
    let versions = elements(versions)?;
    let has = |wanted: &str| {
        versions
            .iter()
            .any(|version| string(version).as_deref() == Some(wanted))
    };
    Some(if has(names::MODERN) {
        Verdict::Modern
    } else if let Some(version) = session::VERSIONS.into_iter().find(|version| has(version)) {
        Verdict::Legacy(version)
    } else {
        Verdict::NoCommonVersion
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_the_answer_to_the_probe() {
        let error = |status, code: i64, rest: &str| {
            let body = Body::Error(alloc::format!(r#"{{"code":{code},"message":"m"{rest}}}"#));
            let response = message::Response {
                body,
                code: Some(code),
                ours: true,
            };
            verdict(&Received {
                status,
                response,
                session: None,
            })
        };
        let result = |result: &str| {
            let response = message::Response {
                body: Body::Result(result.into()),
                code: None,
                ours: true,
            };
            verdict(&Received {
                status: 200,
                response,
                session: None,
            })
        };
        assert_eq!(result("{}"), Verdict::Refused);
        assert_eq!(result(r#"{"supportedVersions":{}}"#), Verdict::Refused);
        assert_eq!(
            result(r#"{"supportedVersions":["2025-11-25","2026-07-28"]}"#),
            Verdict::Modern
        );
        assert_eq!(
            result(r#"{"supportedVersions":["2025-06-18"]}"#),
            Verdict::Legacy("2025-06-18")
        );
        assert_eq!(
            result(r#"{"supportedVersions":["2099-01-01"]}"#),
            Verdict::NoCommonVersion
        );
        assert_eq!(error(400, -32020, ""), Verdict::Modern);
        assert_eq!(error(400, -32021, ""), Verdict::Modern);
        assert_eq!(error(400, -32602, r#","data":"missing _meta""#), Verdict::Modern);
        assert_eq!(error(400, -32602, ""), Verdict::Refused);
        assert_eq!(
            error(400, -32022, r#","data":{"supported":["2026-07-28"]}"#),
            Verdict::Modern
        );
        assert_eq!(
            error(400, -32022, r#","data":{"supported":["2025-03-26"]}"#),
            Verdict::Legacy("2025-03-26")
        );
        assert_eq!(
            error(400, -32022, r#","data":{"supported":[1]}"#),
            Verdict::NoCommonVersion
        );
        assert_eq!(error(400, -32022, ""), Verdict::NoCommonVersion);
        assert_eq!(error(400, -32000, ""), Verdict::Refused);
        assert_eq!(error(404, -32601, ""), Verdict::Refused);
        assert_eq!(error(200, -32601, ""), Verdict::Refused);
        assert_eq!(error(200, -32600, ""), Verdict::Refused);
        assert_eq!(error(500, -32603, ""), Verdict::Outage(500));
        assert_eq!(error(403, -32000, ""), Verdict::Outage(403));
    }
}
