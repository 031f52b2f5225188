//! The whole replica with a scripted host: owners and heirs, cancellation, limits, and inputs of any kind.
//!
//! `owners` is about contexts, `inputs` about everything else. What a request means is tested where it is
//! decided, in the core; two-party behaviour in `tests/`.

mod bridge;
mod cabinet;
mod grants;
mod guards;
mod inputs;
mod owners;
mod sessions;

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use leeward::border::Event;
use leeward::dispatch::Caller;
use leeward::{Config, Ctx, Input, Millis, Now, Output, Reply, Request, Served, Ticket};
use serde_json::{Value, json};

use self::cabinet::Cabinet;
use super::{Host, Replica};
use crate::testing::{End, Say, ScriptedHost, Seen};

const LEASE: Millis = Millis(5_000);
const CONFIG: &str =
    r#"{"authority": "https://a.example/mcp", "policy": [{"tool": "get_*", "rule": "cache; max-age=60"}]}"#;

/// A replica and its host. A context's loop runs only when the border says so: after a call made for it, when
/// it is named as woken, or when its timeout has come.
struct World {
    replica: Replica,
    host: ScriptedHost,
    now: Millis,
    alive: BTreeSet<Ctx>,
    runnable: BTreeSet<Ctx>,
    replies: Vec<(Ctx, Reply)>,
    events: Vec<Event>,
    saved: Vec<(String, Option<Vec<u8>>)>,
    cabinet: Cabinet,
    /// Who calls.
    caller: &'static str,
    /// How every output but replies looks in a log.
    debugged: Vec<String>,
}

impl World {
    /// A replica that has its seed.
    fn new(lease: Option<Millis>, authority: impl FnMut(&Seen) -> Say + Send + 'static) -> Self {
        Self::with(CONFIG, lease, authority).seeded()
    }

    fn seeded(mut self) -> Self {
        self.handle(0, Input::Tick);
        self.pump();
        self.alive.clear();
        self
    }

    fn with(
        config: &str,
        lease: Option<Millis>,
        authority: impl FnMut(&Seen) -> Say + Send + 'static,
    ) -> Self {
        let config = Config::parse(config).unwrap();
        Self {
            replica: Replica::new(
                config,
                Host {
                    lease,
                    ..Host::default()
                },
            ),
            host: ScriptedHost::new(authority),
            now: Millis(1_000),
            alive: BTreeSet::new(),
            runnable: BTreeSet::new(),
            replies: Vec::new(),
            events: Vec::new(),
            saved: Vec::new(),
            cabinet: Cabinet::default(),
            caller: "ann",
            debugged: Vec::new(),
        }
    }

    fn clock(&self) -> Now {
        Now {
            mono: self.now,
            unix: self.now,
        }
    }

    fn serve(&mut self, ctx: u64, message: &Value) -> (Served, Vec<u8>) {
        self.serve_as(ctx, message, false)
    }

    fn serve_as(&mut self, ctx: u64, message: &Value, peek: bool) -> (Served, Vec<u8>) {
        let mut out = Vec::new();
        let caller = Caller::Principal(self.caller.into());
        let message = message.to_string();
        let request = Request {
            caller: &caller,
            ctx: Ctx(ctx),
            connection: 0,
            headers: None,
            negotiated: None,
            message: message.as_bytes(),
            verb: leeward::Verb::Post,
            peek,
        };
        let served = self.replica.serve(self.clock(), request, &mut out);
        self.called(Ctx(ctx));
        (served, out)
    }

    fn wait(&mut self, ctx: u64, message: &Value) -> Ticket {
        match self.serve(ctx, message).0 {
            Served::Wait(ticket) => ticket,
            served => panic!("{served:?}"),
        }
    }

    fn handle(&mut self, ctx: u64, input: Input) {
        self.debugged.push(alloc::format!("{input:?}"));
        self.replica.handle(self.clock(), Ctx(ctx), input);
        self.called(Ctx(ctx));
    }

    fn called(&mut self, ctx: Ctx) {
        self.alive.insert(ctx);
        self.runnable.insert(ctx);
        while let Some(woken) = self.replica.poll_woken() {
            assert_ne!(woken, ctx);
            self.runnable.insert(woken);
        }
    }

    /// Runs the loops of those alive, without letting time pass.
    fn pump(&mut self) {
        while let Some(ctx) = self.runnable.pop_first() {
            while self.alive.contains(&ctx) {
                let Some(output) = self.replica.poll_output(ctx) else {
                    break;
                };
                if !matches!(output, Output::Reply(_)) {
                    self.debugged.push(alloc::format!("{output:?}"));
                }
                match output {
                    Output::Reply(reply) => self.replies.push((ctx, reply)),
                    Output::Event(event) => self.events.push(event),
                    Output::Save { key, record } => self.saved.push((key, record)),
                    Output::Abort { fetch } if self.cabinet.closes(fetch) => {}
                    Output::Load { .. }
                    | Output::Keep { .. }
                    | Output::Sign { .. }
                    | Output::Redirect { .. }
                    | Output::Authorize { .. }
                    | Output::Errand { .. } => {
                        if let Some(input) = self.cabinet.act(output) {
                            self.handle(ctx.0, input);
                        }
                    }
                    output => {
                        if let Some(input) = self.host.act(output) {
                            self.handle(ctx.0, input);
                        }
                    }
                }
            }
        }
    }

    /// Goes on until a time, or until nothing is left to wait for.
    fn run_until(&mut self, end: Millis) {
        self.pump();
        loop {
            let next = self
                .alive
                .iter()
                .filter_map(|ctx| Some((self.replica.poll_timeout(*ctx)?, *ctx)))
                .min();
            let Some((at, ctx)) = next.filter(|(at, _)| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.handle(ctx.0, Input::Tick);
            self.pump();
        }
        self.now = self.now.max(end);
    }

    fn run(&mut self) {
        self.run_until(self.now + Millis(600_000));
    }

    /// The context's host vanishes without a word.
    fn vanish(&mut self, ctx: u64) {
        self.alive.remove(&Ctx(ctx));
    }

    fn trips(&self, method: &str) -> usize {
        self.host.methods().iter().filter(|seen| **seen == method).count()
    }

    fn results(&self) -> Vec<Value> {
        let last = self.replies.iter().filter(|(_, reply)| reply.last);
        last.map(|(_, reply)| serde_json::from_slice(&reply.part).unwrap())
            .collect()
    }
}

fn call(id: u64, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
        "name": tool, "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": id,
    }}})
}

fn answer(seen: &Seen) -> Say {
    seen.result(match &*seen.method {
        "server/discover" => json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": {}, "ttlMs": 0, "cacheScope": "private"}),
        _ => json!({"resultType": "complete", "content": []}),
    })
}

/// Answers all but the first `hang` calls of tools.
fn hangs(mut hang: usize) -> impl FnMut(&Seen) -> Say + Send + 'static {
    move |seen| {
        if seen.method == "tools/call" && hang > 0 {
            hang -= 1;
            return Say::events(&[], End::Hangs);
        }
        answer(seen)
    }
}

impl World {
    /// A few steps of the loops, so that calls come between the outputs.
    fn pump_some(&mut self, steps: usize) {
        for _ in 0..steps {
            let Some(ctx) = self.runnable.first().copied() else {
                return;
            };
            match self.replica.poll_output(ctx) {
                None => {
                    self.runnable.remove(&ctx);
                }
                Some(Output::Reply(reply)) => self.replies.push((ctx, reply)),
                Some(Output::Event(event)) => self.events.push(event),
                Some(output) => {
                    if let Some(input) = self.host.act(output) {
                        self.handle(ctx.0, input);
                    }
                }
            }
        }
    }
}
