//! Flows over the executor alone: a scripted authority, virtual time, no core.

mod aside;
mod bytes;
mod calls;
mod eras;
mod failures;
mod farewells;
mod input;
mod listen;
mod patience;
mod verdicts;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use leeward::border::{Event, FlightId};
use leeward::dispatch::{Body, Forward};
use leeward::mcp::input::{InputRequest, Inputs};
use leeward::{Code, Ctx, Millis, Output};
use serde_json::{Value, json};

use super::{Upstream, forward};
use crate::desk::Desk;
use crate::exec::{Executor, Flow, Happening, Io, Outcome, Sent, TaskId};
use crate::link::Link;
use crate::testing::{Say, ScriptedHost, Seen};

struct Rig {
    executor: Executor,
    desk: Desk,
    link: Link,
    host: ScriptedHost,
    upstream: Upstream,
    now: Millis,
    unix: Millis,
    flights: u64,
    outcomes: Vec<(FlightId, Outcome)>,
    relayed: Vec<String>,
    asked: Vec<(FlightId, Vec<InputRequest>)>,
    versions: Vec<String>,
    /// What the operator hears of outages, by when.
    outages: Vec<(Millis, Event)>,
}

const TIMEOUT: Millis = Millis(10_000);
const LONGEST: Millis = Millis(25_000);

impl Rig {
    fn new(authority: impl FnMut(&Seen) -> Say + Send + 'static) -> Self {
        Self {
            executor: Executor::default(),
            desk: Desk::new(None),
            link: Link::new(4),
            host: ScriptedHost::new(authority),
            upstream: Upstream {
                url: Some("https://a.example/mcp".into()),
                version: None,
                token: None,
                hook: false,
                oauth: None,
                authorizes: false,
                max_bytes: 4096,
                timeout: TIMEOUT,
                longest: LONGEST,
                seed: [1, 2, 3, 4],
            },
            now: Millis(0),
            unix: Millis(0),
            flights: 0,
            outcomes: Vec::new(),
            relayed: Vec::new(),
            asked: Vec::new(),
            versions: Vec::new(),
            outages: Vec::new(),
        }
    }

    fn start(&mut self, trip: Forward) -> TaskId {
        let flow = forward(Arc::new(self.upstream.clone()), Arc::new(trip), Sent::default());
        self.start_flow(flow)
    }

    fn start_flow(&mut self, flow: impl FnOnce(Io) -> Flow) -> TaskId {
        self.flights += 1;
        self.executor.start(FlightId(self.flights), Ctx::SHARED, flow)
    }

    /// The agent answers what it was last asked.
    fn respond(&mut self, task: TaskId, body: impl Fn(&InputRequest) -> Body) {
        let (_, requests) = self.asked.last().expect("the agent was asked");
        let responses = requests
            .iter()
            .map(|request| (request.key.clone(), body(request)));
        self.executor.inputs(task, responses.collect(), self.now);
    }

    /// Goes on without letting time pass.
    fn pump(&mut self) {
        loop {
            while let Some(happening) = self.executor.step(self.now, &mut self.link, &mut self.desk) {
                match happening {
                    Happening::Settled(flight, outcome) => self.outcomes.push((flight, outcome)),
                    Happening::Relay(_, notification) => self.relayed.push(notification),
                    Happening::Input(flight, requests) => self.asked.push((flight, requests)),
                    Happening::Done(..) => panic!("nobody asked for a grant"),
                    Happening::Lost(_) => self.relayed.push("lost".into()),
                }
            }
            let Some(output) = self.desk.poll(Ctx::SHARED) else {
                return;
            };
            self.executor.taken(&output);
            match &output {
                Output::Event(Event::AuthorityVersion { version }) => self.versions.push(version.clone()),
                Output::Event(event @ (Event::AuthorityDown | Event::AuthorityUp)) => {
                    self.outages.push((self.now, event.clone()));
                }
                _ => {}
            }
            if let Some(input) = self.host.act(output) {
                self.executor.answer(input, &mut self.desk);
            }
        }
    }

    /// It is `at`.
    fn pass(&mut self, at: Millis) {
        self.now = at;
        self.desk.enter(at, Ctx::SHARED);
        self.executor.fire(at, &mut self.desk);
    }

    /// Goes on until nothing is left to wait for.
    fn run(&mut self) {
        self.pump();
        while let Some(at) = self.executor.timeout(Ctx::SHARED) {
            self.pass(at);
            self.pump();
        }
        assert_eq!(self.host.open(), 0, "every fetch ended or was aborted");
    }

    fn call(&mut self, trip: Forward) -> Outcome {
        self.start(trip);
        self.run();
        self.outcomes.pop().unwrap().1
    }

    fn code(&mut self, trip: Forward) -> Code {
        self.call(trip).unwrap_err().error.code
    }
}

fn read() -> Forward {
    Forward {
        partition: 1,
        principal: Some("ann".into()),
        method: "resources/read".into(),
        name: Some("a:é".into()),
        params: r#""uri":"a:é""#.into(),
        meta: r#""traceparent":"00","io.modelcontextprotocol/logLevel":"info""#.into(),
        capabilities: r#"{"sampling":{}}"#.into(),
        progress: false,
        headers: Vec::new(),
        inputs: Inputs::NONE,
        session_era: false,
        write: false,
    }
}

fn write() -> Forward {
    Forward {
        method: "tools/call".into(),
        name: Some("t".into()),
        params: r#""name":"t","arguments":{"region":"eu"}"#.into(),
        write: true,
        ..read()
    }
}

fn discover() -> Forward {
    Forward {
        method: "server/discover".into(),
        name: None,
        params: String::new(),
        ..read()
    }
}

/// Knows `server/discover`, answers all else by `rest`.
fn modern(mut rest: impl FnMut(&Seen) -> Say + Send + 'static) -> impl FnMut(&Seen) -> Say + Send + 'static {
    move |seen| match &*seen.method {
        "server/discover" => seen.result(json!({"supportedVersions": ["2026-07-28"], "who": "authority"})),
        _ => rest(seen),
    }
}

/// Knows sessions only, gives the id `s1`, then `s2`, and so on; answers within them by `rest`.
fn legacy(mut rest: impl FnMut(&Seen) -> Say + Send + 'static) -> impl FnMut(&Seen) -> Say + Send + 'static {
    let mut sessions = 0;
    move |seen| match &*seen.method {
        "initialize" => {
            sessions += 1;
            let version = seen.params["protocolVersion"].as_str().unwrap();
            assert!(leeward::mcp::names::session_era(version).is_some());
            assert_eq!(seen.params["clientInfo"]["name"], "leeward");
            seen.result(json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "old"}}))
                .with("mcp-session-id", &alloc::format!("s{sessions}"))
        }
        "notifications/initialized" => {
            assert!(seen.id.is_null() && seen.header("mcp-session-id").is_some());
            Say::empty(202)
        }
        _ if seen.header("mcp-session-id").is_none() => {
            let error = json!({"code": -32000, "message": "Bad Request: Server not initialized"});
            Say::json(400, json!({"jsonrpc": "2.0", "error": error, "id": null}))
        }
        _ => rest(seen),
    }
}

fn result_of(outcome: Outcome) -> Value {
    match outcome.unwrap().body {
        Body::Result(result) => serde_json::from_str(&result).unwrap(),
        Body::Error(error) => panic!("{error}"),
    }
}

fn error_of(outcome: Outcome) -> i64 {
    match outcome.unwrap().body {
        Body::Error(error) => serde_json::from_str::<Value>(&error).unwrap()["code"]
            .as_i64()
            .unwrap(),
        Body::Result(result) => panic!("{result}"),
    }
}
