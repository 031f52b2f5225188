//! The HTTP side: what must hold before a message reaches the replica, in this order: path, method, origin,
//! caller, media types, size. The first that does not hold answers.

use futures::StreamExt as _;
use leeward::dispatch::Caller;
use leeward::{Code, Error, Request as Message, Served};
use worker::{Env, Headers, Method, Request, Response, Result};

use crate::accept::Accept;
use crate::client::{Client, Departure};
use crate::driver::Driver;
use crate::host::{self, Host};
use crate::reply::{self, Sender};
use crate::{origin, runtime};

/// Headers that end here: credentials are no business of the replica.
const PRIVATE: [&str; 2] = ["authorization", "cookie"];

/// Serves one HTTP request to its end, background work included.
pub(crate) async fn serve(request: Request, env: Env, reply: Sender) {
    if let Err(error) = host::open(&env) {
        return reply.respond(refusal(&error));
    }
    match (&*request.path(), request.method()) {
        ("/mcp", Method::Post) => serve_mcp(request, reply).await,
        ("/mcp", _) => reply.respond(wrong_method("POST")),
        ("/healthz", Method::Get | Method::Head) => reply.respond(health()),
        ("/healthz", _) => reply.respond(wrong_method("GET, HEAD")),
        _ => reply.respond(refusal_as(
            404,
            "there is nothing at this path; the endpoint is /mcp",
        )),
    }
}

async fn serve_mcp(mut request: Request, reply: Sender) {
    let departure = Departure::of(&request);
    let (caller, accept) = match admit(&request) {
        Ok(admitted) => admitted,
        Err(response) => return reply.respond(response),
    };
    let message = match read(&mut request).await {
        Ok(message) => message,
        Err(error) => return reply.respond(refusal(&error)),
    };
    let headers: Vec<(String, String)> = request
        .headers()
        .entries()
        .filter(|(name, _)| !PRIVATE.contains(&&**name))
        .collect();

    let mut out = Vec::new();
    let served = host::with(|host| {
        let ctx = host.next_context();
        let message = Message {
            caller: &caller,
            ctx,
            connection: 0,
            headers: Some(&headers),
            negotiated: None,
            message: &message,
            peek: false,
        };
        (ctx, host.replica.serve(runtime::now(), message, &mut out))
    });
    // What was asked is not needed while it is answered.
    drop((message, headers, caller));
    let Some((ctx, served)) = served else { return };

    let client = Client::new(reply, accept, departure);
    let waits = match served {
        Served::Wait(ticket) => Some((ticket, client)),
        Served::Reply {
            status, provenance, ..
        } => {
            client.whole(status, provenance, out);
            None
        }
        Served::Accepted => {
            client.accepted();
            None
        }
        // Only a peek is told so. Dropping the client answers it.
        _ => None,
    };
    Driver::new(ctx, waits).run().await;
}

/// Who calls, and what form of answer suits; or the response that refuses.
fn admit(request: &Request) -> core::result::Result<(Caller, Accept), Result<Response>> {
    let header = |name: &str| request.headers().get(name).ok().flatten();
    let (origin, host_name) = (header("origin"), header("host"));
    let may_call = |host: &mut Host| {
        let listed = &host.replica.config().origins;
        origin::is_allowed(origin.as_deref(), host_name.as_deref(), listed)
    };
    if host::with(may_call) != Some(true) {
        return Err(refusal(&Error::new(Code::Forbidden, "this origin may not call")));
    }
    let authorization = header("authorization");
    let caller = host::with(|host| {
        let anonymous = host.replica.config().anonymous;
        host.tokens.caller(authorization.as_deref(), anonymous)
    });
    let caller = match caller {
        Some(Ok(caller)) => caller,
        Some(Err(error)) => return Err(refusal(&error)),
        None => return Err(refusal(&Error::new(Code::Closed, "the replica is closed"))),
    };
    if !header("content-type").is_some_and(|kind| is_json(&kind)) {
        return Err(refusal_as(415, "the content type must be application/json"));
    }
    match Accept::parse(header("accept").as_deref()) {
        Some(accept) => Ok((caller, accept)),
        None => Err(refusal_as(
            406,
            "the client must accept application/json or text/event-stream",
        )),
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// The request's body, as far as its limit.
async fn read(request: &mut Request) -> core::result::Result<Vec<u8>, Error> {
    let max_bytes = host::with(|host| host.replica.config().limits.max_message_bytes).unwrap_or_default();
    let too_large = || {
        Error::new(
            Code::TooLarge,
            "the message is larger than limits.maxMessageBytes",
        )
    };
    let declared = request.headers().get("content-length").ok().flatten();
    if declared
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: u64| length > max_bytes as u64)
    {
        return Err(too_large());
    }
    let mut message = Vec::new();
    // Without a body there is no stream; an empty message is refused as one.
    let Ok(mut body) = request.stream() else {
        return Ok(message);
    };
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Error::new(Code::ParseError, "the message was cut off"))?;
        if chunk.len() > max_bytes.saturating_sub(message.len()) {
            return Err(too_large());
        }
        message.extend_from_slice(&chunk);
    }
    Ok(message)
}

fn health() -> Result<Response> {
    let body = concat!(r#"{"status":"ok","version":""#, env!("CARGO_PKG_VERSION"), "\"}");
    reply::json(200, None, body.into())
}

fn wrong_method(allow: &str) -> Result<Response> {
    let mut response = refusal_as(405, "this path does not take that method")?;
    response.headers_mut().set("allow", allow)?;
    Ok(response)
}

/// A refusal by the rules of HTTP alone, for which the table of errors has no code of its own.
fn refusal_as(status: u16, message: &'static str) -> Result<Response> {
    error_response(status, &Error::new(Code::InvalidRequest, message))
}

/// Tells an error by its own status.
fn refusal(error: &Error) -> Result<Response> {
    let mut response = error_response(error.code.http(), error)?;
    if error.code == Code::Unauthenticated {
        challenge(response.headers_mut())?;
    }
    Ok(response)
}

/// RFC 6750 §3.
fn challenge(headers: &mut Headers) -> Result<()> {
    headers.set("www-authenticate", "Bearer")
}

/// A JSON-RPC error without an id: MCP's schema knows no null id (2026-07-28, `JSONRPCErrorResponse`).
fn error_response(status: u16, error: &Error) -> Result<Response> {
    let id: String = runtime::random(8)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let body = format!(r#"{{"jsonrpc":"2.0","error":{}}}"#, error.to_json(&id));
    reply::json(status, None, body.into_bytes())
}
