//! What the isolate keeps between requests: the replica, the gate before it, and the bells of the loops.
//!
//! All of it is memory of one wasm instance: gone with it, and never shared with another isolate.

use core::cell::RefCell;
use std::collections::BTreeMap;

use leeward::http::Gate;
use leeward::limits::MAX_CONTEXTS;
use leeward::{Ctx, Error, Failure, Input, Now, Output};
use leeward_sync::Replica;
use worker::Env;
use worker::js_sys::Function;
use worker::wasm_bindgen::JsValue;

use crate::{log, runtime, start};

thread_local! {
    static HOST: RefCell<Option<Result<Host, Error>>> = const { RefCell::new(None) };
}

/// The one of this isolate.
pub(crate) struct Host {
    pub(crate) replica: Replica,
    pub(crate) gate: Gate,
    /// For each loop that waits, what wakes it. One whose request the runtime ended without a word stays until
    /// it is rung or crowded out.
    bells: BTreeMap<Ctx, Function>,
    /// The last context given out.
    last: Ctx,
}

impl Host {
    fn open(env: &Env) -> Result<Self, Error> {
        let (replica, gate) = start::open(env)?;
        let mut host = Self {
            replica,
            gate,
            bells: BTreeMap::new(),
            last: Ctx::SHARED,
        };
        host.settle_shared(runtime::now());
        Ok(host)
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

    /// The bells of the loops that got something to do.
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

/// Opens the host if this is the isolate's first request.
///
/// # Errors
/// Why it could not be opened, then and ever after: what a worker is deployed with does not change.
pub(crate) fn open(env: &Env) -> Result<(), Error> {
    HOST.with_borrow_mut(|host| match host {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(error.clone()),
        None => {
            let opened = Host::open(env);
            let outcome = opened.as_ref().map(|_| ()).map_err(Clone::clone);
            if let Err(error) = &outcome {
                log::start_failed(error);
            }
            *host = Some(opened);
            outcome
        }
    })
}

/// Runs `f` on the host, then wakes the loops that it gave something to do. `None` if the host is not open.
///
/// `f` cannot wait, so no borrow outlives it; and it must not call this again.
pub(crate) fn with<T>(f: impl FnOnce(&mut Host) -> T) -> Option<T> {
    let (result, bells) = HOST.with_borrow_mut(|host| match host {
        Some(Ok(host)) => {
            let result = f(host);
            Some((result, host.woken()))
        }
        _ => None,
    })?;
    bells.iter().for_each(runtime::ring);
    Some(result)
}

/// The answer to an output that needs no waiting; `None` for what has no answer, or needs waiting.
pub(crate) fn at_once(output: Output) -> Option<Input> {
    match output {
        Output::Entropy { op, bytes } => Some(Input::Entropy {
            op,
            bytes: runtime::random(bytes),
        }),
        // This host registers no tools and has no hook for credentials; the replica does not ask.
        Output::CallLocal { op, .. } => Some(Input::Local {
            op,
            result: Err("this host has no local tools".into()),
        }),
        Output::Credential { op, .. } => Some(Input::Credential { op, result: Ok(None) }),
        Output::Event(event) => {
            log::event(&event);
            None
        }
        _ => None,
    }
}
