//! What is kept between requests: the replica, the gate before it, the bells of the loops, and the clients that a loop
//! has yet to take over.
//!
//! One belongs to the isolate, others to the objects that live in it ([`crate::sessions`]): objects share the memory of
//! one wasm instance, and so nothing of theirs may be global. All of it is gone with that instance.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use futures::FutureExt as _;
use futures::channel::oneshot;
use futures::future::LocalBoxFuture;
use leeward::border::{Credential, Errand, ErrandId};
use leeward::http::Gate;
use leeward::limits::MAX_CONTEXTS;
use leeward::{Code, Ctx, Error, Failure, Input, Millis, Now, Output, Served};
use leeward_sync::{Host as Abilities, Replica};
use worker::Env;
use worker::js_sys::Function;
use worker::wasm_bindgen::JsValue;

use crate::client::Client;
use crate::grants::Held;
use crate::sign::Keys;
use crate::start::Opened;
use crate::store::Store;
use crate::{log, runtime, start};

/// How long a request of the isolate's may be silent before its reads are handed to others.
const LEASE: Millis = Millis::from_secs(5);

/// What comes of an errand.
pub(crate) type Granted = Result<Option<Credential>, Error>;

thread_local! {
    static ISOLATE: RefCell<Option<Result<Owner, Error>>> = const { RefCell::new(None) };
}

/// Keeps a host alive.
pub(crate) struct Owner(Rc<RefCell<Host>>);

/// A way to a host for whoever serves a request or runs a loop. It keeps nothing alive: where the runtime drops an
/// object, what still waits for its I/O is never continued, and must not hold the object's cache.
#[derive(Clone)]
pub(crate) struct Handle(Weak<RefCell<Host>>);

/// See the module.
pub(crate) struct Host {
    pub(crate) replica: Replica,
    pub(crate) gate: Gate,
    /// For each loop that waits, what wakes it. One whose request the runtime ended without a word stays until
    /// it is rung or crowded out.
    bells: BTreeMap<Ctx, Function>,
    /// Answered requests, for the loop that serves all clients.
    arrived: Vec<Arrival>,
    /// Of an object: its storage and its id.
    pub(crate) object: Option<(Store, String)>,
    /// Of an object: where its principal's requests last arrived.
    pub(crate) origin: Option<String>,
    /// The errands of an object's replica that somebody waits for.
    errands: Vec<(ErrandId, oneshot::Sender<Granted>)>,
    /// Whether the authority wants grants: see [`crate::grants`].
    pub(crate) has_grants: bool,
    /// Whether tokens are of no use to isolates, for they are bound to a key that signs each request of the object's.
    pub(crate) binds_tokens: bool,
    /// Of an isolate.
    pub(crate) held: Held,
    /// The private keys that the worker was deployed with.
    pub(crate) keys: Keys,
    /// The last context given out.
    last: Ctx,
}

/// A client, and what the replica made of its request.
pub(crate) struct Arrival {
    pub(crate) client: Client,
    pub(crate) served: Served,
    /// What was served at once.
    pub(crate) out: Vec<u8>,
}

impl Owner {
    fn open(env: &Env, abilities: Abilities, object: Option<(Store, String)>) -> Result<Self, Error> {
        let opened = start::open(env, abilities);
        if let Err(error) = &opened {
            log::start_failed(error);
        }
        let Opened {
            replica,
            gate,
            has_grants,
            binds_tokens,
            keys,
        } = opened?;
        let mut host = Host {
            replica,
            gate,
            bells: BTreeMap::new(),
            arrived: Vec::new(),
            object,
            origin: None,
            errands: Vec::new(),
            has_grants,
            binds_tokens,
            held: Held::default(),
            keys,
            last: Ctx::SHARED,
        };
        host.settle_shared(runtime::now());
        Ok(Self(Rc::new(RefCell::new(host))))
    }

    /// The host of one object: it outlives its requests, and one loop does the I/O of all.
    ///
    /// # Errors
    /// As [`isolate`].
    pub(crate) fn object(env: &Env, store: Store, id: String) -> Result<Self, Error> {
        let abilities = Abilities {
            sessions: true,
            store: true,
            vault: true,
            authorizes: true,
            signs: true,
            ..Abilities::default()
        };
        Self::open(env, abilities, Some((store, id)))
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle(Rc::downgrade(&self.0))
    }
}

/// The host of this isolate, opened by its first request.
///
/// # Errors
/// Why it could not be opened, then and ever after: what a worker is deployed with does not change.
pub(crate) fn isolate(env: &Env) -> Result<Handle, Error> {
    ISOLATE.with_borrow_mut(|isolate| {
        let abilities = Abilities {
            lease: Some(LEASE),
            ..Abilities::default()
        };
        match isolate.get_or_insert_with(|| Owner::open(env, abilities, None)) {
            Ok(owner) => Ok(owner.handle()),
            Err(error) => Err(error.clone()),
        }
    })
}

impl Handle {
    /// Runs `f` on the host, then wakes the loops that it gave something to do. `None` if the host is gone.
    ///
    /// `f` cannot wait, so no borrow outlives it; and it must not call this again.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Host) -> T) -> Option<T> {
        let host = self.0.upgrade()?;
        let (result, bells) = {
            let mut host = host.borrow_mut();
            let result = f(&mut host);
            (result, host.woken())
        };
        bells.iter().for_each(runtime::ring);
        Some(result)
    }

    /// Has an object's replica do an errand.
    ///
    /// # Errors
    /// As the replica says; `closed` if it is gone.
    pub(crate) fn errand(&self, errand: Errand) -> LocalBoxFuture<'static, Granted> {
        let (sender, receiver) = oneshot::channel();
        self.with(|host| {
            let id = host.replica.errand(runtime::now(), Ctx::SHARED, errand);
            host.errands.push((id, sender));
            host.wake();
        });
        let gone = |_| Err(Error::new(Code::Closed, "the object ended"));
        Box::pin(receiver.map(move |told| told.unwrap_or_else(gone)))
    }
}

impl Host {
    /// Tells who waits for an errand what came of it.
    pub(crate) fn run_errand(&mut self, id: ErrandId, result: Granted) {
        if let Some(at) = self.errands.iter().position(|(known, _)| *known == id) {
            // Whoever asked may have left.
            let _ = self.errands.swap_remove(at).1.send(result);
        }
    }

    /// The authority's URL.
    pub(crate) fn authority(&self) -> &str {
        let authority = self.replica.config().authority.as_ref();
        authority.map_or("", |authority| &authority.url)
    }

    /// A context for a new request.
    pub(crate) fn next_context(&mut self) -> Ctx {
        self.last = Ctx(self.last.0.saturating_add(1));
        self.last
    }

    /// Has `bell` rung once when `ctx` gets something to do through another request.
    pub(crate) fn hang(&mut self, ctx: Ctx, bell: Function) {
        if self.bells.len() >= MAX_CONTEXTS
            && let Some((_, oldest)) = self.bells.pop_first()
        {
            // It may be a live one's: rung for nothing, it is hung up again.
            let _ = oldest.call0(&JsValue::NULL);
        }
        self.bells.insert(ctx, bell);
    }

    /// Hands what became of a request to the loop that serves all clients.
    pub(crate) fn arrive(&mut self, arrival: Arrival) {
        self.arrived.push(arrival);
        self.wake();
    }

    /// Has that loop look for what is to be done.
    pub(crate) fn wake(&mut self) {
        if let Some(bell) = self.bells.remove(&Ctx::SHARED) {
            runtime::ring(&bell);
        }
    }

    /// What came since the last call.
    pub(crate) fn arrivals(&mut self) -> Vec<Arrival> {
        core::mem::take(&mut self.arrived)
    }

    /// Ends a context: what it owned goes to those who still wait.
    pub(crate) fn leave(&mut self, now: Now, ctx: Ctx) {
        self.bells.remove(&ctx);
        self.replica.handle(now, ctx, Input::Gone);
    }

    /// Answers what belongs to no request.
    fn settle_shared(&mut self, now: Now) {
        while let Some(output) = self.replica.poll_output(Ctx::SHARED) {
            let answer = match output {
                // Nothing here may do I/O that no request began.
                Output::Fetch { op, .. } | Output::Read { op, .. } => Some(Input::Failed {
                    op,
                    failure: Failure {
                        before_send: true,
                        message: "no request to do it in".into(),
                    },
                }),
                output => at_once(output),
            };
            if let Some(input) = answer {
                self.replica.handle(now, Ctx::SHARED, input);
            }
        }
    }

    /// The bells of the loops that got something to do. An object's replica names none: its loop polls after every
    /// call, and is told of the calls of others by [`Host::arrive`].
    fn woken(&mut self) -> Vec<Function> {
        let mut bells = Vec::new();
        while let Some(ctx) = self.replica.poll_woken() {
            if ctx == Ctx::SHARED {
                self.settle_shared(runtime::now());
            }
            bells.extend(self.bells.remove(&ctx));
        }
        bells
    }
}

/// The answer to an output that needs no waiting; `None` for what has no answer, or needs waiting.
pub(crate) fn at_once(output: Output) -> Option<Input> {
    match output {
        Output::Entropy { op, bytes } => Some(Input::Entropy {
            op,
            bytes: runtime::random(bytes),
        }),
        // This host registers no tools; the replica does not ask.
        Output::CallLocal { op, .. } => Some(Input::Local {
            op,
            result: Err("this host has no local tools".into()),
        }),
        Output::Credential { op, .. } => Some(Input::Credential {
            op,
            result: Err("no request to ask in".into()),
        }),
        Output::Event(event) => {
            log::event(&event);
            None
        }
        _ => None,
    }
}
