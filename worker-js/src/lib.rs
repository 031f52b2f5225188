//! Leeward on Cloudflare Workers: an MCP endpoint answered from the isolate.
//!
//! The runtime binds I/O to the request that began it, and may end a request's code when its client leaves.
//! So each request has a context and a loop of its own ([`driver`]), held by `waitUntil`; the replica and what
//! it remembers ([`host`]) belong to the isolate. What lasts longer lives in Durable Objects ([`sessions`]). One request wakes another only by settling a promise which
//! that one made ([`runtime::bell`]): a Rust waker would go on with its code inside the wrong request.

mod authorize;
mod client;
mod driver;
mod endpoint;
mod grants;
mod host;
mod log;
mod login;
mod object;
mod reply;
mod runtime;
mod sessions;
mod sign;
mod start;
mod store;
mod upstream;

use worker::{Context, Env, Request, Response, Result, event};

/// Answers one HTTP request.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    let (sender, receiver) = reply::channel();
    // All of it runs under `waitUntil`: what does not is neither continued nor dropped once the client has left.
    context.wait_until(endpoint::serve(request, env, sender));
    receiver.response().await
}
