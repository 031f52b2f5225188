//! The HTTP side: reads a request's head and body, and has the gate ([`leeward::http`]) and the replica answer.

use futures::StreamExt as _;
use leeward::http::{Admitted, Head, Identity, Response as Answer, message_headers};
use leeward::{Request as Message, Served};
use worker::{Env, Request};

use crate::client::{Client, Departure};
use crate::driver::Driver;
use crate::host;
use crate::reply::{self, Sender};
use crate::runtime;

/// Serves one HTTP request to its end, background work included.
pub(crate) async fn serve(mut request: Request, env: Env, reply: Sender) {
    if let Err(error) = host::open(&env) {
        let mut id = [0; 8];
        id.iter_mut()
            .zip(runtime::random(8))
            .for_each(|(to, byte)| *to = byte);
        let no_store = vec![("cache-control", "no-store".into())];
        let refusal = Answer::refusal(error.code.http(), &error, u64::from_be_bytes(id), no_store);
        return reply.respond(reply::whole(refusal));
    }
    let departure = Departure::of(&request);
    let headers: Vec<(String, String)> = request.headers().entries().collect();
    let (method, path) = (request.method(), request.path());
    let admitted = host::with(|host| {
        let head = Head {
            method: method.as_ref(),
            path: &path,
            headers: &headers,
        };
        let id = host.replica.draw_id();
        host.gate
            .admit(host.replica.config(), &head, Identity::Bearer, id)
    });
    let Admitted {
        caller,
        accept,
        headers: common,
        ..
    } = match admitted {
        Some(Ok(admitted)) => admitted,
        Some(Err(answer)) => return reply.respond(reply::whole(answer)),
        None => return,
    };
    let headers = message_headers(headers);
    let message = read(&mut request).await;

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
            verb: leeward::Verb::Post,
            peek: false,
        };
        (ctx, host.replica.serve(runtime::now(), message, &mut out))
    });
    // What was asked is not needed while it is answered.
    drop((message, headers, caller));
    let Some((ctx, served)) = served else { return };

    let client = Client::new(reply, accept, common, departure);
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

/// The request's body, as far as one byte beyond its limit: the replica refuses what is longer, and what was cut off
/// as if it were empty.
async fn read(request: &mut Request) -> Vec<u8> {
    let max_bytes = host::with(|host| host.replica.config().limits.max_message_bytes).unwrap_or_default();
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
