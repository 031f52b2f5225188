//! The way from an isolate to the objects: which one a request belongs to, and its answer on the way back, which the
//! isolate's own cache listens to.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures::Stream;
use futures::future::{Either, LocalBoxFuture, select};
use leeward::dispatch::Passed;
use leeward::http::Accept;
use leeward::mcp::headers::{decode, encode};
use leeward::mcp::message::Message;
use leeward::mcp::names::HEADER_SESSION;
use leeward::{Caller, Verb};
use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsValue;
use worker::{
    AbortController, ByteStream, Env, Headers, ObjectNamespace, Request, Response, ResponseBody,
    ResponseBuilder, Result, Stub, web_sys,
};

use crate::client::Departure;
use crate::endpoint::Incoming;
use crate::host::Handle;
use crate::login::hex;
use crate::runtime;
use crate::start::PATH;

/// The binding of the objects. Without it everything is served where it arrives.
const BINDING: &str = "LEEWARD_SESSIONS";
/// Says to an object who calls, encoded as MCP's own headers; nobody in particular without it.
const CALLER: &str = "leeward-caller";
/// Says to an object where the request arrived, if a browser may be sent there.
pub(crate) const ORIGIN: &str = "leeward-origin";
/// Means nothing: a stub leads to its object alone.
const HOST: &str = "https://object";
/// Objects over which callers are spread who are nobody in particular.
const SHARDS: u8 = 64;
/// What tells one of them, in hexadecimal.
const SHARD_DIGITS: usize = 2;
/// Longest line of a stream of events that is looked at; a longer one tells of no change.
const MAX_LINE: usize = 16 << 10;

/// Whether there are objects to keep sessions in.
pub(crate) fn are_bound(env: &Env) -> bool {
    env.durable_object(BINDING).is_ok()
}

/// The object that a request belongs to.
pub(crate) struct Object {
    namespace: ObjectNamespace,
    name: String,
    /// What the names of its sessions begin with for a caller who is nobody in particular: nothing else tells where such
    /// a session lives.
    shard: String,
}

impl Object {
    /// `None` where no objects are bound.
    pub(crate) async fn of(env: &Env, incoming: &Incoming) -> Option<Self> {
        if incoming.caller != Caller::Anonymous {
            return Self::of_caller(env, &incoming.caller).await;
        }
        let session = incoming.headers.iter().find(|(name, _)| name == HEADER_SESSION);
        let known = session.and_then(|(_, id)| u8::from_str_radix(id.get(..SHARD_DIGITS)?, 16).ok());
        let drawn = match (known, asked_for(&incoming.message)) {
            (Some(known), _) => Some(known),
            (None, Some(asked)) => runtime::sha256(&asked).await?.first().copied(),
            (None, None) => runtime::random(1).first().copied(),
        };
        let shard = format!("{:02x}", drawn.unwrap_or_default() % SHARDS);
        Self::named(env, &format!("anonymous {shard}"), shard).await
    }

    /// The one that has a caller's grant; all who are nobody in particular have one together.
    pub(crate) async fn of_caller(env: &Env, caller: &Caller) -> Option<Self> {
        let whose = match caller {
            Caller::Principal(id) => &format!("principal {id}"),
            Caller::Anonymous => "anonymous",
        };
        Self::named(env, whose, String::new()).await
    }

    async fn named(env: &Env, whose: &str, shard: String) -> Option<Self> {
        Some(Self {
            namespace: env.durable_object(BINDING).ok()?,
            // Names show where objects are listed; identities should not.
            name: hex(&runtime::sha256(whose).await?),
            shard,
        })
    }

    /// Asks it what is not a message of MCP ([`internal`]).
    ///
    /// # Errors
    /// If the object is gone, or was before it answered.
    pub(crate) fn ask(&self, request: Request) -> LocalBoxFuture<'static, Result<Response>> {
        send(self.namespace.get_by_name(&self.name), request)
    }

    /// Passes a request on. `None` if the client left before there was an answer.
    ///
    /// # Errors
    /// If the object is gone, or was before it answered.
    pub(crate) async fn pass(
        &self,
        host: &Handle,
        incoming: &Incoming,
        passed: &Passed,
        departure: &mut Departure,
    ) -> Option<Result<Response>> {
        let abort = AbortController::default();
        let request = match build(incoming, &self.shard, &abort) {
            Ok(request) => request,
            Err(error) => return Some(Err(error)),
        };
        match select(self.ask(request), departure.gone()).await {
            Either::Left((answer, _)) => {
                Some(answer.and_then(|answer| relay(host, incoming, &self.shard, passed, answer)))
            }
            Either::Right(_) => {
                abort.abort();
                None
            }
        }
    }
}

/// As [`Object::ask`] for the object of this id, which is none that outsiders can make up: the runtime knows its own.
pub(crate) fn ask_by_id(
    env: &Env,
    id: &str,
    request: Request,
) -> Option<LocalBoxFuture<'static, Result<Response>>> {
    let namespace = env.durable_object(BINDING).ok()?;
    let id = namespace.id_from_string(id).ok()?;
    Some(send(id.get_stub(), request))
}

/// Boxed, here as elsewhere: what is awaited in many places would be compiled into each.
fn send(stub: Result<Stub>, request: Request) -> LocalBoxFuture<'static, Result<Response>> {
    Box::pin(async { stub?.fetch_with_request(request).await })
}

/// A request to an object that is not a message of MCP.
///
/// # Errors
/// If the runtime takes no such request.
pub(crate) fn internal(
    method: &str,
    path: &str,
    caller: &Caller,
    more: &[(&str, &str)],
    body: Option<&str>,
) -> Result<Request> {
    let headers = Headers::new();
    name_caller(&headers, caller)?;
    for (name, value) in more {
        headers.set(name, value)?;
    }
    let init = web_sys::RequestInit::new();
    init.set_method(method);
    init.set_headers(&headers.0);
    // What leads elsewhere is for the browser to follow.
    init.set_redirect(web_sys::RequestRedirect::Manual);
    if let Some(body) = body {
        init.set_body(&JsValue::from_str(body));
    }
    Ok(web_sys::Request::new_with_str_and_init(&format!("{HOST}{path}"), &init)?.into())
}

/// Tells an object who calls.
fn name_caller(headers: &Headers, caller: &Caller) -> Result<()> {
    match caller {
        Caller::Principal(id) => headers.set(CALLER, &encode(id)),
        Caller::Anonymous => Ok(()),
    }
}

/// Who calls, as the isolate said; `None` if it cannot be read.
pub(crate) fn caller(request: &Request) -> Option<Caller> {
    match request.headers().get(CALLER) {
        Ok(Some(value)) => decode(&value).map(|id| Caller::Principal(id.into_owned())),
        _ => Some(Caller::Anonymous),
    }
}

/// Remembers, in an object, where its principal's requests arrive.
pub(crate) fn note_origin(host: &Handle, request: &Request) {
    if let Ok(Some(origin)) = request.headers().get(ORIGIN)
        && !origin.is_empty()
    {
        host.with(|host| host.origin = Some(origin));
    }
}

/// What a request asks for, as long as its client may be asked before there is an answer: its retry says the same, and
/// must come to the same object (2026-07-28, Patterns, Multi Round-Trip Requests).
fn asked_for(message: &[u8]) -> Option<String> {
    let message = Message::parse(message).ok()?;
    let member = |name| message.params.raw(name);
    let named = member("name").or_else(|| member("uri"))?;
    let arguments = member("arguments").unwrap_or_default();
    Some(format!("{} {named} {arguments}", message.method))
}

fn build(incoming: &Incoming, shard: &str, abort: &AbortController) -> Result<Request> {
    let headers = Headers::new();
    for (name, value) in &incoming.headers {
        let of_shard = name == HEADER_SESSION && !shard.is_empty();
        let value = if of_shard {
            value.get(SHARD_DIGITS..).unwrap_or_default()
        } else {
            value
        };
        headers.append(name, value)?;
    }
    headers.set(
        "accept",
        match incoming.accept {
            Accept::Json => "application/json",
            Accept::Events => "text/event-stream",
            Accept::Both => "application/json, text/event-stream",
        },
    )?;
    name_caller(&headers, &incoming.caller)?;
    if let Some(origin) = &incoming.origin {
        headers.set(ORIGIN, origin)?;
    }
    let init = web_sys::RequestInit::new();
    init.set_method(match incoming.verb {
        Verb::Post => "POST",
        Verb::Get => "GET",
        Verb::Delete => "DELETE",
    });
    if incoming.verb == Verb::Post {
        headers.set("content-type", "application/json")?;
        init.set_body(&Uint8Array::from(&*incoming.message));
    }
    init.set_headers(&headers.0);
    init.set_signal(Some(&abort.signal()));
    let request = web_sys::Request::new_with_str_and_init(&format!("{HOST}{PATH}"), &init)?;
    Ok(request.into())
}

/// The object's answer as the isolate's own.
fn relay(
    host: &Handle,
    incoming: &Incoming,
    shard: &str,
    passed: &Passed,
    answer: Response,
) -> Result<Response> {
    let headers = Headers::new();
    for (name, value) in answer.headers().entries() {
        headers.append(&name, &value)?;
    }
    if let Some(session) = headers.get(HEADER_SESSION)? {
        headers.set(HEADER_SESSION, &format!("{shard}{session}"))?;
    }
    for (name, value) in &incoming.common {
        headers.set(name, value)?;
    }
    let streams = headers
        .get("content-type")?
        .is_some_and(|kind| kind == "text/event-stream");
    let builder = ResponseBuilder::new()
        .with_status(answer.status_code())
        .with_headers(headers);
    let (_, body) = answer.into_parts();
    match body {
        ResponseBody::Stream(body) if streams || passed.write => builder.from_stream(Overheard {
            body: body.into(),
            host: host.clone(),
            passed: passed.clone(),
            ended: false,
            line: Vec::new(),
        }),
        body => Ok(builder.body(body)),
    }
}

/// An answer on its way through an isolate, whose own cache hears of what it tells.
struct Overheard {
    body: ByteStream,
    host: Handle,
    passed: Passed,
    ended: bool,
    /// The present line, as far as it is known, and no further than [`MAX_LINE`].
    line: Vec<u8>,
}

impl Overheard {
    fn look(&mut self, chunk: &[u8]) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.line.extend(piece.iter().take(room));
            if piece.ends_with(b"\n") {
                self.tell();
            }
        }
    }

    /// A line is whole: an event's message, or an answer in JSON.
    fn tell(&mut self) {
        let line = core::mem::take(&mut self.line);
        let message = str::from_utf8(line.strip_prefix(b"data: ").unwrap_or(&line)).unwrap_or_default();
        self.host.with(|host| {
            let now = runtime::now();
            host.replica.overhear(now, &self.passed, message.trim_end());
        });
    }
}

impl Drop for Overheard {
    fn drop(&mut self) {
        if !self.ended {
            // Its client or its object is gone.
            self.host
                .with(|host| host.replica.abandon_passed(runtime::now(), &self.passed));
        }
    }
}

impl Stream for Overheard {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = core::task::ready!(Pin::new(&mut self.body).poll_next(context));
        match &chunk {
            Some(Ok(chunk)) => self.look(chunk),
            // What is in JSON has no line's end.
            None => {
                self.tell();
                self.ended = true;
            }
            Some(Err(_)) => {}
        }
        Poll::Ready(chunk)
    }
}
