//! The HTTP side: reads a request's head and body, and has the gate ([`leeward::http`]) and the replica answer, or the
//! object that the request belongs to ([`crate::object`]).

use futures::StreamExt as _;
use leeward::http::login::own_origin;
use leeward::http::{Accept, Admitted, GRANT, Head, Headers, Identity, Response as Answer, message_headers};
use leeward::{Affinity, Caller, Ctx, Error, Request as Message, Served, Verb};
use worker::{Env, Request};

use crate::authorize::Seat;
use crate::client::{Client, Departure};
use crate::driver::Driver;
use crate::grants;
use crate::host::{self, Handle, Host};
use crate::object::Object;
use crate::reply::{self, Sender};
use crate::runtime;

/// A request that may be served, and its message.
pub(crate) struct Incoming {
    pub(crate) caller: Caller,
    pub(crate) verb: Verb,
    pub(crate) accept: Accept,
    /// What every answer to it carries.
    pub(crate) common: Headers,
    /// Its headers, as far as the replica needs them.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) message: Vec<u8>,
    /// Where it arrived, if a browser may be sent there.
    pub(crate) origin: Option<String>,
}

/// Serves one HTTP request to its end, background work included.
pub(crate) async fn serve(mut request: Request, env: Env, reply: Sender) {
    let host = match host::isolate(&env) {
        Ok(host) => host,
        Err(error) => return refuse(&reply, &error),
    };
    if let Some(answer) = grants::visited(&host, &env, &request).await {
        return reply.respond(answer);
    }
    let mut departure = Departure::of(&request);
    let incoming = match read(&host, &mut request, Identity::Bearer).await {
        Some(Ok(incoming)) => incoming,
        Some(Err(answer)) => return reply.respond(reply::whole(answer)),
        None => return,
    };
    if request.path() == GRANT {
        return reply.respond(reply::whole(grants::end(&host, &env, &incoming).await));
    }
    let Some((ctx, affinity)) = host.with(|host| {
        let ctx = host.next_context();
        match host.replica.affinity(&incoming.request(ctx)) {
            _ if host.binds_tokens => (ctx, Affinity::Only),
            affinity => (ctx, affinity),
        }
    }) else {
        return;
    };
    let seat = Seat {
        env: env.clone(),
        origin: incoming.origin.clone(),
    };
    let object = match affinity {
        Affinity::Anywhere => None,
        Affinity::Own | Affinity::Only => Object::of(&env, &incoming).await,
    };
    let (mut served, mut out) = match (affinity, &object) {
        (Affinity::Only, Some(_)) => (Served::Absent, Vec::new()),
        _ => incoming.served(&host, ctx, object.is_some()),
    };
    if let (Served::Absent, Some(object)) = (&served, object) {
        let request = incoming.request(ctx);
        let Some(passed) = host.with(|host| host.replica.pass_on(&request)) else {
            return;
        };
        let answer = object.pass(&host, &incoming, &passed, &mut departure).await;
        if let Some(Ok(response)) = answer {
            return reply.respond(Ok(response));
        }
        // It is gone, or was before it answered; or the client has left, who is told nothing.
        out = Vec::new();
        let now = runtime::now();
        let refused = |host: &mut Host| host.replica.refuse_abandoned(now, &passed, &request, &mut out);
        served = host.with(refused).unwrap_or(Served::Absent);
    }
    // What was asked is not needed while it is answered.
    let waits = Client::new(reply, incoming, departure).take(served, &out);
    Driver::new(host, ctx, waits).with_seat(seat).run().await;
}

/// Answers every request alike.
pub(crate) fn refuse(reply: &Sender, error: &Error) {
    let no_store = vec![("cache-control", "no-store".into())];
    reply.respond(reply::whole(refusal(error, no_store)));
}

/// The answer to a request without a message that can be answered.
pub(crate) fn refusal(error: &Error, headers: Headers) -> Answer {
    let mut id = [0; 8];
    id.iter_mut()
        .zip(runtime::random(8))
        .for_each(|(to, byte)| *to = byte);
    Answer::refusal(error.code.http(), error, u64::from_be_bytes(id), headers)
}

/// Has the gate look at a request, and reads its message. `None` if the host is gone.
pub(crate) async fn read(
    host: &Handle,
    request: &mut Request,
    identity: Identity,
) -> Option<Result<Incoming, Answer>> {
    let headers: Vec<(String, String)> = request.headers().entries().collect();
    // `Request::method` takes what it does not know for GET.
    let (method, path) = (request.inner().method(), request.path());
    let (admitted, has_grants) = host.with(|host| {
        let head = Head {
            method: &method,
            path: &path,
            headers: &headers,
        };
        let id = host.replica.draw_id();
        let admitted = host.gate.admit(host.replica.config(), &head, identity, id);
        (admitted, host.has_grants)
    })?;
    Some(match admitted {
        Ok(Admitted {
            caller,
            verb,
            accept,
            headers: common,
        }) => Ok(Incoming {
            caller,
            verb,
            accept,
            common,
            headers: message_headers(headers),
            message: body(host, request).await,
            origin: has_grants
                .then(|| own_origin(&request.inner().url()).map(str::to_owned))
                .flatten(),
        }),
        Err(answer) => Err(answer),
    })
}

impl Incoming {
    /// As the replica takes it.
    pub(crate) fn request(&self, ctx: Ctx) -> Message<'_> {
        Message {
            caller: &self.caller,
            ctx,
            connection: 0,
            headers: Some(&self.headers),
            negotiated: None,
            message: &self.message,
            verb: self.verb,
            peek: false,
        }
    }

    /// What a host's replica makes of it; nothing waits if it only peeks.
    pub(crate) fn served(&self, host: &Handle, ctx: Ctx, peek: bool) -> (Served, Vec<u8>) {
        let mut out = Vec::new();
        let request = Message {
            peek,
            ..self.request(ctx)
        };
        let served = host.with(|host| host.replica.serve(runtime::now(), request, &mut out));
        (served.unwrap_or(Served::Absent), out)
    }
}

/// The request's body, as far as one byte beyond its limit: the replica refuses what is longer, and what was cut off
/// as if it were empty.
async fn body(host: &Handle, request: &mut Request) -> Vec<u8> {
    let max_bytes = host
        .with(|host| host.replica.config().limits.max_message_bytes)
        .unwrap_or_default();
    let mut message = Vec::new();
    let Ok(mut body) = request.stream() else {
        return message;
    };
    while message.len() <= max_bytes
        && let Some(chunk) = body.next().await
    {
        let Ok(chunk) = chunk else { return Vec::new() };
        let room = max_bytes.saturating_add(1).saturating_sub(message.len());
        message.extend(chunk.into_iter().take(room));
    }
    message
}
