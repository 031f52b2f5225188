//! A Durable Object for each principal: what lasts longer than a request lives there.
//!
//! I/O in an object belongs to the object, not to the request that began it (workerd, `io-context.h`: one `IoContext`
//! per actor, of many incoming requests), so an object has a replica of its own with one loop. The isolate that a request
//! reached authenticates it, answers from its own cache what it can, and else passes it on by the object's stub. Nobody
//! but this worker has that stub: what it says of the caller is not to be forged.

use core::fmt;
use core::future::ready;

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, Shared};
use leeward::http::Identity;
use leeward::{Ctx, Error};
use worker::wasm_bindgen::{self, prelude::wasm_bindgen};
use worker::wasm_bindgen_futures::spawn_local;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use crate::client::{Client, Departure};
use crate::driver::Driver;
use crate::endpoint;
use crate::grants;
use crate::host::{Arrival, Handle, Owner};
use crate::object;
use crate::reply::{self, Sender};
use crate::runtime;
use crate::start::PATH;
use crate::store::Store;

/// What one principal's requests share.
#[durable_object(fetch)]
pub struct LeewardSessions {
    host: core::result::Result<Owner, Error>,
    /// Whatever is served is served after it.
    restored: Shared<LocalBoxFuture<'static, ()>>,
}

impl fmt::Debug for LeewardSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeewardSessions").finish_non_exhaustive()
    }
}

impl DurableObject for LeewardSessions {
    fn new(state: State, env: Env) -> Self {
        let store = Store::of(&state);
        let host = Owner::object(&env, store.clone(), state.id().to_string());
        let restored = match &host {
            Ok(owner) => {
                spawn_local(Driver::new(owner.handle(), Ctx::SHARED, None).run());
                // No request comes in before it is over; but one may have come in already, where the object is made
                // again for it.
                let restored = state.block_concurrency_while(restore(owner.handle(), store));
                restored.map(drop).boxed_local()
            }
            Err(_) => ready(()).boxed_local(),
        };
        Self {
            host,
            restored: restored.shared(),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        self.restored.clone().await;
        let (sender, receiver) = reply::channel();
        match &self.host {
            Ok(owner) if request.path() == PATH => spawn_local(serve(owner.handle(), request, sender)),
            Ok(owner) => spawn_local(grants::serve(owner.handle(), request, sender)),
            Err(error) => endpoint::refuse(&sender, error),
        }
        receiver.response().await
    }
}

/// Takes up the sessions of the object's life before.
async fn restore(host: Handle, store: Store) -> Result<()> {
    let records = store.records().await?;
    host.with(|host| {
        host.replica.restore(runtime::now(), records);
        // What was damaged is to be forgotten.
        host.wake();
    });
    Ok(())
}

/// Serves a request that an isolate passed on.
async fn serve(host: Handle, mut request: Request, reply: Sender) {
    let departure = Departure::of(&request);
    let caller = object::caller(&request).map_or(Identity::Unknown, Identity::Told);
    object::note_origin(&host, &request);
    let incoming = match endpoint::read(&host, &mut request, caller).await {
        Some(Ok(incoming)) => incoming,
        Some(Err(answer)) => return reply.respond(reply::whole(answer)),
        None => return,
    };
    let (served, out) = incoming.served(&host, Ctx::SHARED, false);
    let client = Client::new(reply, incoming, departure);
    host.with(|host| host.arrive(Arrival { client, served, out }));
}
