//! One exchange with the authority: a POST, and the response to its JSON-RPC request out of a JSON body or an
//! event stream (2026-07-28 and 2025-11-25, Transports, Streamable HTTP).
//!
//! It knows neither eras nor retries. Redirects are never followed: they would carry the credential elsewhere.
//! Untrusted answers are safe: bodies are bounded by `max_response_bytes`, unfinished events by that and
//! [`leeward::limits::MAX_EVENT_BYTES`]; time is bounded by the caller.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::border::HttpRequest;
use leeward::json::{Members, breaks_off, unsigned};
use leeward::limits::MAX_EVENT_BYTES;
use leeward::mcp::input::Inputs;
use leeward::mcp::names::HEADER_SESSION;
use leeward::mcp::subscription::ACKNOWLEDGED;

use super::access;
use super::back::{Back, Refused};
use super::message::{self, Message};
use super::sse::Sse;
use crate::breaker::Fared;
use crate::exec::{Body, Io, Sent};
use crate::limits::{MAX_REFUSAL_BYTES, MAX_RESUMES, MAX_SESSION_ID_BYTES};
use crate::trouble::Trouble;

/// A POST to the endpoint. `headers` come after the fixed ones; the credential is added by [`access`].
pub(super) fn post(url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> HttpRequest {
    let mut all: Vec<(String, String)> = Vec::with_capacity(headers.len() + 4);
    all.push(("content-type".into(), "application/json".into()));
    all.push(("accept".into(), "application/json, text/event-stream".into()));
    all.extend(headers);
    HttpRequest {
        method: "POST",
        url: url.into(),
        headers: all,
        body,
    }
}

/// The response to our request.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) response: message::Response,
    /// `mcp-session-id`.
    pub(super) session: Option<String>,
}

/// How to take the answer.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// See [`leeward::Limits::max_response_bytes`].
    pub(super) max_bytes: usize,
    /// Pass notifications on.
    pub(super) relay: bool,
    /// Set when the host takes the request.
    pub(super) sent: Option<Sent>,
    /// The answer is the stream of a subscription: only its events are bounded. Set once it is acknowledged.
    pub(super) open: Option<Sent>,
    /// The request is within a session: what the agent may be asked while it is under way.
    pub(super) inputs: Option<Inputs>,
}

/// Sends `request`, which carries `id`, and finds the response. A JSON-RPC error is a response under any status
/// but those that speak for themselves: 401, 429, redirects, and 403 unless it has our id.
pub(super) async fn exchange(
    io: &mut Io,
    request: HttpRequest,
    id: u64,
    rules: Rules,
) -> Result<Received, Trouble> {
    let back = rules.inputs.map(|inputs| Back::new(&request, inputs));
    let sent = rules.sent.clone().unwrap_or_default();
    let _cancels = back.as_ref().and_then(|back| back.cancels(io, id, &sent));
    io.asks();
    let outcome = converse(io, request, id, &rules, &sent, back.as_ref()).await;
    io.fared(Fared::of(&outcome));
    sent.over();
    outcome
}

async fn converse(
    io: &mut Io,
    request: HttpRequest,
    id: u64,
    rules: &Rules,
    sent: &Sent,
    back: Option<&Back>,
) -> Result<Received, Trouble> {
    let answer = access::send(io, request, Some(sent.clone())).await?;
    let (status, mut body) = (answer.status, answer.body);
    let header = |name: &str| find(&answer.headers, name);
    let refused = |session| Trouble::status(status, answer.retry_after, session);
    if matches!(status, 401 | 429) || !(200..=299).contains(&status) && !(400..=599).contains(&status) {
        return Err(refused(false));
    }
    let kind = Kind::of(header("content-type"));
    if matches!(kind, Kind::Other) {
        return Err(match status {
            200..=299 => Trouble::stray(
                "the authority answered with neither JSON nor an event stream",
                header("content-type").unwrap_or("no content-type"),
            ),
            400 => refused(speaks_of_session(io, &mut body).await),
            _ => refused(false),
        });
    }
    if (200..=299).contains(&status) {
        // Whatever becomes of its body, the authority is there.
        io.fared(Fared::Answered);
    }
    let announced = header("content-length").and_then(|length| length.trim().parse::<usize>().ok());
    let found = if announced.is_some_and(|length| length > rules.max_bytes) {
        Err(too_large(rules.max_bytes))
    } else if matches!(kind, Kind::Json) {
        json(io, &mut body, id, rules).await
    } else {
        events(io, body, id, rules, back).await
    };
    if !(200..=299).contains(&status) {
        let error = found.ok().filter(|response| {
            // Without our id it may be a gateway's, who knows not what became of the request.
            response.code.is_some() && (response.ours || !matches!(status, 403 | 500..))
        });
        let response = error.ok_or_else(|| refused(false))?;
        return Ok(Received {
            status,
            response,
            session: None,
        });
    }
    let response = found?;
    let session = match header(HEADER_SESSION) {
        // Visible ASCII (2025-11-25, Transports, Session Management).
        Some(id) if id.len() > MAX_SESSION_ID_BYTES || !id.bytes().all(|b| b.is_ascii_graphic()) => {
            return Err(Trouble::invalid("the authority's session id is not valid", ""));
        }
        session => session.filter(|id| !id.is_empty()).map(Into::into),
    };
    Ok(Received {
        status,
        response,
        session,
    })
}

/// Sends a notification; only its status counts.
pub(super) async fn notify(io: &mut Io, request: HttpRequest) -> Result<(), Trouble> {
    let answer = access::send(io, request, None).await?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(Trouble::status(status, answer.retry_after, false)),
    }
}

pub(super) enum Kind {
    Json,
    Events,
    Other,
}

impl Kind {
    pub(super) fn of(content_type: Option<&str>) -> Self {
        let essence = content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::Events
        } else {
            Self::Other
        }
    }
}

pub(crate) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| &**value)
}

fn too_large(max_bytes: usize) -> Trouble {
    let message = alloc::format!("the authority's answer is over limits.maxResponseBytes ({max_bytes})");
    Trouble::invalid(message, "")
}

const NOT_UTF8: &str = "the authority's answer is not UTF-8";

async fn json(io: &mut Io, body: &mut Body, id: u64, rules: &Rules) -> Result<message::Response, Trouble> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body
        .next(io)
        .await
        .map_err(|failure| Trouble::cut(failure.message))?
    {
        if bytes.len() + chunk.len() > rules.max_bytes {
            return Err(too_large(rules.max_bytes));
        }
        if bytes.is_empty() {
            bytes = chunk;
        } else {
            bytes.extend_from_slice(&chunk);
        }
    }
    // Some hosts report a connection that was closed in the middle as a body's end, and in HTTP/1.0 it may be one.
    let cut = || Err(Trouble::cut("the body ends in the middle of a JSON text"));
    let text = match core::str::from_utf8(&bytes) {
        Err(error) if error.error_len().is_none() => return cut(),
        text => text.map_err(|_| Trouble::stray(NOT_UTF8, ""))?,
    };
    let found = match take(io, text, id, rules, None).await {
        Err(_) if breaks_off(text) => return cut(),
        found => found?,
    };
    found.ok_or_else(|| Trouble::stray("the authority did not answer the request", ""))
}

pub(super) async fn events(
    io: &mut Io,
    mut body: Body,
    id: u64,
    rules: &Rules,
    back: Option<&Back>,
) -> Result<message::Response, Trouble> {
    let mut sse = Sse::new(rules.max_bytes.min(MAX_EVENT_BYTES));
    let mut room = rules.max_bytes;
    let (mut from, mut tries) = (String::new(), 0);
    loop {
        let cut = match read(io, &mut body, &mut sse, &mut room, id, rules, back).await {
            Err(trouble) if trouble.cut => trouble,
            outcome => return outcome,
        };
        drop(body);
        let (Some(back), Some(last)) = (back, sse.restart()) else {
            return Err(cut);
        };
        if last != from {
            (from, tries) = (last, 0);
        }
        body = loop {
            if tries == MAX_RESUMES {
                return Err(cut);
            }
            tries += 1;
            match back.resume(io, &from, sse.retry()).await {
                Ok(Some(rest)) => break rest,
                Ok(None) => {}
                Err(Refused) => return Err(cut),
            }
        };
    }
}

/// Reads a stream to the response, or its end.
async fn read(
    io: &mut Io,
    body: &mut Body,
    sse: &mut Sse,
    room: &mut usize,
    id: u64,
    rules: &Rules,
    back: Option<&Back>,
) -> Result<message::Response, Trouble> {
    while let Some(chunk) = body
        .next(io)
        .await
        .map_err(|failure| Trouble::cut(failure.message))?
    {
        if rules.open.is_some() {
            *room = usize::MAX;
        }
        // What still fits is read first: the outcome must not depend on where the network cuts the body.
        let (mut rest, beyond) = chunk.split_at_checked(*room).unwrap_or((&chunk, &[]));
        *room -= rest.len();
        while let Some(data) = sse
            .next(&mut rest)
            .map_err(|_| Trouble::invalid("an event of the authority's answer is too long", ""))?
        {
            if data.is_empty() {
                continue;
            }
            let text = core::str::from_utf8(&data).map_err(|_| Trouble::stray(NOT_UTF8, ""))?;
            if let Some(response) = take(io, text, id, rules, back).await? {
                return Ok(response);
            }
        }
        if !beyond.is_empty() {
            return Err(too_large(rules.max_bytes));
        }
    }
    Err(Trouble::cut("the stream ended without the response"))
}

/// Relays the notifications of a message, or a batch, answers the requests, and finds the response in it.
async fn take(
    io: &mut Io,
    text: &str,
    id: u64,
    rules: &Rules,
    back: Option<&Back>,
) -> Result<Option<message::Response>, Trouble> {
    let messages = message::read(text, id)?;
    let mut response = None;
    let mut asked = Vec::new();
    for message in messages {
        match message {
            Message::Response(found) => response = Some(found),
            Message::Notification(notification) if rules.relay => {
                hear(io, &notification, rules);
                io.relay(notification).await;
            }
            Message::Request(request) => asked.push(request),
            Message::Notification(_) => {}
        }
    }
    if let (Some(back), None) = (back, &response) {
        back.answer(io, asked).await?;
    }
    Ok(response)
}

/// What a notification is to the trip itself: it opens a subscription; or it is progress of the request, which renews
/// its deadline (2025-11-25 and 2026-07-28, Lifecycle, Timeouts).
fn hear(io: &mut Io, notification: &str, rules: &Rules) {
    let message = Members::parse(notification).unwrap_or_default();
    match message.string("method").as_deref() {
        Some(ACKNOWLEDGED) => {
            if let Some(open) = &rules.open {
                open.set();
            }
        }
        Some("notifications/progress") => {
            let params = message.raw("params").and_then(Members::parse);
            let token = params.and_then(|params| unsigned(params.raw("progressToken")?));
            if token == Some(io.flight().0) {
                io.renew();
            }
        }
        _ => {}
    }
}

/// Whether the beginning of a refusal's text has the word.
async fn speaks_of_session(io: &mut Io, body: &mut Body) -> bool {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_REFUSAL_BYTES {
        match body.next(io).await {
            Ok(Some(chunk)) => bytes.extend(chunk.into_iter().take(MAX_REFUSAL_BYTES)),
            _ => break,
        }
    }
    has_word_session(&String::from_utf8_lossy(&bytes))
}

/// Whether text has the word "session", in any case.
pub(super) fn has_word_session(text: &str) -> bool {
    text.to_ascii_lowercase().contains("session")
}
