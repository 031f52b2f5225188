//! The core alone: no authority, no executor, time by hand.

extern crate std;

mod ask;
mod batches;
mod check;
mod elsewhere;
mod guards;
mod listen;
mod sessions;
mod streams;
mod subscriptions;
mod tasks;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::*;
use crate::border::{Event, Millis, Now, Reply};
use crate::error::Code;
use crate::limits::Limits;
use crate::provenance::{Provenance, State};

#[derive(Default)]
struct Heard {
    replies: Vec<(Ctx, Reply)>,
    events: Vec<Event>,
    /// Messages that precede a response are dropped past so many.
    room: Option<usize>,
}

impl Sink for Heard {
    fn reply(&mut self, ctx: Ctx, reply: Reply) -> bool {
        let room = reply.last || self.room.is_none_or(|room| self.replies.len() < room);
        if room {
            self.replies.push((ctx, reply));
        }
        room
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

struct Bench {
    core: Core,
    now: u64,
}

const CONFIG: &str = r#"{
  "authority": "https://crm.example/mcp",
  "anonymous": "public-only",
  "policy": [
    { "tool": "get_*", "rule": "cache; max-age=60; stale-while-revalidate=30; stale-if-error=600" },
    { "tool": "rates", "rule": "cache; max-age=60; public" },
    { "tool": "peek_*", "rule": "live" },
    { "tool": "drop_*", "rule": "deny" }
  ]
}"#;

fn call(id: u64, tool: &str, arguments: &str) -> String {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{meta}}}}}"#
    )
}

fn done(text: &str) -> Result<Answer, TripError> {
    let body = Body::Result(format!(
        r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}]}}"#
    ));
    Ok(Answer {
        body,
        credential: None,
        learned: Vec::new(),
    })
}

fn broken(code: Code) -> Result<Answer, TripError> {
    Err(TripError {
        error: Error::new(code, "no"),
        stray: false,
        detail: Box::default(),
        credential: None,
    })
}

impl Bench {
    fn new() -> Self {
        Self::with(Config::parse(CONFIG).unwrap())
    }

    fn with(config: Config) -> Self {
        let mut core = Core::new(config);
        core.seed([7; 32]);
        Self { core, now: 1_000_000 }
    }

    fn now(&self) -> Now {
        Now {
            mono: Millis(self.now),
            unix: Millis(0),
        }
    }

    fn ask(&mut self, who: &Caller, ctx: u64, message: &str) -> (Step, String) {
        self.ask_on(1, who, ctx, message)
    }

    fn ask_on(&mut self, connection: u64, who: &Caller, ctx: u64, message: &str) -> (Step, String) {
        let request = Request {
            caller: who,
            ctx: Ctx(ctx),
            connection,
            headers: None,
            negotiated: None,
            message: message.as_bytes(),
            verb: crate::Verb::Post,
            peek: false,
        };
        let mut out = Vec::new();
        let step = self.core.serve(self.now(), request, &mut out);
        (step, String::from_utf8(out).unwrap())
    }

    fn settle(&mut self, flight: FlightId, outcome: Result<Answer, TripError>) -> Heard {
        let mut heard = Heard::default();
        self.core.settle(self.now(), flight, outcome, &mut heard);
        heard
    }

    /// A call that travels.
    fn trip(&mut self, who: &Caller, tool: &str) -> FlightId {
        let (step, _) = self.ask(who, 1, &call(1, tool, "{}"));
        step.start.expect("a trip").0
    }

    /// Whether a call is answered here, and how.
    fn state(&mut self, who: &Caller, tool: &str) -> Option<Provenance> {
        match self.ask(who, 1, &call(1, tool, "{}")).0.served {
            Served::Reply { provenance, .. } => provenance,
            _ => None,
        }
    }
}

fn ann() -> Caller {
    Caller::Principal("ann".into())
}

fn bob() -> Caller {
    Caller::Principal("bob".into())
}

fn text(reply: &Reply) -> &str {
    core::str::from_utf8(&reply.part).unwrap()
}

#[test]
fn a_miss_travels_and_the_next_is_answered_here() {
    let mut bench = Bench::new();
    let flight = bench.trip(&ann(), "get_x");
    let heard = bench.settle(flight, done("one"));
    let (_, reply) = &heard.replies[0];
    assert!(reply.last && reply.provenance.unwrap().stored);
    assert!(
        text(reply).contains("leeward;fwd=uri-miss;stored;ttl="),
        "{}",
        text(reply)
    );
    let (step, out) = bench.ask(&ann(), 2, &call(99, "get_x", "{ }"));
    assert!(matches!(step.served, Served::Reply { status: 200, serial, .. } if serial == reply.serial));
    assert!(out.starts_with(r#"{"jsonrpc":"2.0","id":99,"result":{"content":[{"type":"text","text":"one"}],"resultType":"complete""#), "{out}");
    assert!(out.contains("leeward;hit;ttl="));
    assert!(!out.contains("ttlMs"), "tools/call results carry no hints");
}

#[test]
fn callers_share_nothing_unless_a_rule_says_public() {
    let mut bench = Bench::new();
    for (tool, shared) in [("get_x", false), ("rates", true)] {
        let flight = bench.trip(&ann(), tool);
        bench.settle(flight, done("one"));
        assert_eq!(bench.state(&bob(), tool).is_some(), shared, "{tool}");
    }
    let flight = bench.trip(&Caller::Anonymous, "get_y");
    assert!(
        bench.settle(flight, done("one")).replies[0].1.serial.is_none(),
        "anonymous stores nothing private"
    );
    assert!(bench.state(&Caller::Anonymous, "rates").is_some());
}

#[test]
fn one_trip_answers_all_who_wait_each_with_its_own_id() {
    let mut bench = Bench::new();
    let flight = bench.trip(&ann(), "get_x");
    for id in 2..=5 {
        let (step, _) = bench.ask(&ann(), id, &call(id, "get_x", "{}"));
        assert!(step.start.is_none() && matches!(step.served, Served::Wait(_)));
    }
    let heard = bench.settle(flight, done("one"));
    let ids: Vec<bool> = (1..=5)
        .map(|id| {
            heard
                .replies
                .iter()
                .any(|(_, r)| text(r).contains(&format!(r#""id":{id},"#)))
        })
        .collect();
    assert_eq!(ids, [true; 5]);
    assert!(text(&heard.replies[1].1).contains("collapsed"));
}

#[test]
fn a_write_stales_its_principals_entries_and_what_was_under_way() {
    let mut bench = Bench::new();
    for who in [ann(), bob()] {
        let flight = bench.trip(&who, "get_x");
        bench.settle(flight, done("one"));
    }
    let read = bench.trip(&ann(), "get_slow");
    let write = bench.trip(&ann(), "set_x");
    bench.settle(write, broken(Code::AuthorityTimeout));
    assert!(
        bench.state(&ann(), "get_x").is_none(),
        "also after a failed write"
    );
    assert!(bench.state(&bob(), "get_x").is_some());
    let (step, _) = bench.ask(&ann(), 3, &call(3, "get_slow", "{}"));
    assert!(step.start.is_some(), "a trip from before the write is not joined");
    let heard = bench.settle(read, done("old"));
    assert!(heard.replies[0].1.serial.is_none(), "nor stored");
    assert!(bench.state(&ann(), "get_slow").is_none());
}

#[test]
fn after_an_unknown_outcome_nothing_is_stored_until_it_is_settled() {
    let mut bench = Bench::new();
    let write = bench.trip(&ann(), "set_x");
    bench.settle(write, broken(Code::UnknownOutcome));
    bench.now += 59_999;
    let flight = bench.trip(&ann(), "get_x");
    bench.now += 10;
    assert!(
        bench.settle(flight, done("one")).replies[0].1.serial.is_none(),
        "it started before"
    );
    let flight = bench.trip(&ann(), "get_x");
    assert!(bench.settle(flight, done("one")).replies[0].1.serial.is_some());
}

#[test]
fn freshness_ends_then_revalidation_then_only_an_outage_excuses_it() {
    let mut bench = Bench::new();
    let flight = bench.trip(&ann(), "get_x");
    bench.settle(flight, done("one"));
    bench.now += 56_000;
    assert_eq!(
        bench.state(&ann(), "get_x").unwrap().state,
        State::Hit,
        "jitter takes a sixteenth at most"
    );
    bench.now += 4_000;
    let (step, out) = bench.ask(&ann(), 1, &call(1, "get_x", "{}"));
    assert!(out.contains("leeward;hit;ttl=-"), "{out}");
    let (background, _) = step.start.expect("revalidation");
    let (again, _) = bench.ask(&ann(), 1, &call(1, "get_x", "{}"));
    assert!(again.start.is_none(), "one at a time");
    bench.settle(background, broken(Code::AuthorityUnreachable));
    bench.now += 60_000;
    let flight = bench.trip(&ann(), "get_x");
    let heard = bench.settle(flight, broken(Code::AuthorityUnreachable));
    assert!(
        text(&heard.replies[0].1).contains("detail=offline"),
        "{}",
        text(&heard.replies[0].1)
    );
    for stray in [true, false] {
        let flight = bench.trip(&ann(), "get_x");
        let outcome = broken(Code::AuthorityInvalid).map_err(|trip| TripError { stray, ..trip });
        let heard = bench.settle(flight, outcome);
        assert_eq!(text(&heard.replies[0].1).contains("detail=offline"), stray);
    }
    let flight = bench.trip(&ann(), "get_x");
    let heard = bench.settle(flight, broken(Code::AuthorityAuthRequired));
    assert!(text(&heard.replies[0].1).contains("authority_auth_required"));
    bench.now += 600_000;
    let flight = bench.trip(&ann(), "get_x");
    let heard = bench.settle(flight, broken(Code::AuthorityUnreachable));
    assert!(
        text(&heard.replies[0].1).contains("authority_unreachable"),
        "beyond the bound"
    );
}

#[test]
fn a_clock_that_steps_back_makes_entries_stale() {
    let mut bench = Bench::new();
    let flight = bench.trip(&ann(), "get_x");
    bench.settle(flight, done("one"));
    bench.now -= 1;
    assert!(bench.state(&ann(), "get_x").is_none());
}

#[test]
fn policy_refuses_and_live_stores_nothing() {
    let mut bench = Bench::new();
    let (_, out) = bench.ask(&ann(), 1, &call(1, "drop_table", "{}"));
    assert!(
        out.contains(r#""code":1003"#) && out.contains("denied_by_policy"),
        "{out}"
    );
    let flight = bench.trip(&ann(), "peek_x");
    assert!(bench.settle(flight, done("one")).replies[0].1.serial.is_none());
}

#[test]
fn the_last_waiter_ends_a_read_but_never_a_write() {
    let mut bench = Bench::new();
    let (first, _) = bench.ask(&ann(), 1, &call(1, "get_x", "{}"));
    let (second, _) = bench.ask(&ann(), 2, &call(2, "get_x", "{}"));
    let (Served::Wait(first), Served::Wait(last)) = (first.served, second.served) else {
        panic!("both wait")
    };
    assert_eq!(bench.core.cancel(first), None);
    assert!(bench.core.cancel(last).is_some());
    assert_eq!(bench.core.cancel(last), None);
    let (write, _) = bench.ask(&ann(), 1, &call(1, "set_x", "{}"));
    let Served::Wait(ticket) = write.served else {
        panic!("waits")
    };
    assert_eq!(bench.core.cancel(ticket), None);
    assert_eq!(bench.core.stats().flights, 1);
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    bench.ask(&ann(), 1, &call(7, "get_y", "{}"));
    assert!(
        bench.ask_on(2, &ann(), 1, cancelled).0.cancel.is_empty(),
        "not another connection's request"
    );
    assert_eq!(bench.ask(&ann(), 1, cancelled).0.cancel.len(), 1);
}

#[test]
fn a_context_that_is_gone_leaves_its_flights_to_an_heir() {
    let mut bench = Bench::new();
    let flight = bench.trip(&ann(), "get_x");
    bench.ask(&ann(), 5, &call(2, "get_x", "{}"));
    assert_eq!(bench.core.heir(flight, Ctx(1)), Some(Ctx(5)));
    assert!(bench.core.forget(Ctx(1)).is_empty());
    assert_eq!(bench.core.forget(Ctx(5)), [flight]);
}

#[test]
fn waiting_and_travelling_are_limited() {
    let mut config = Config::parse(CONFIG).unwrap();
    config.limits = Limits {
        max_waiters: 2,
        max_flights: 1,
        max_message_bytes: 400,
        ..Limits::default()
    };
    let mut bench = Bench::with(config);
    bench.trip(&ann(), "get_x");
    let (_, out) = bench.ask(&ann(), 1, &call(1, "get_other", "{}"));
    assert!(out.contains("over_budget") && out.contains("maxFlights"), "{out}");
    bench.ask(&ann(), 1, &call(1, "get_x", "{}"));
    let (_, out) = bench.ask(&ann(), 1, &call(1, "get_x", "{}"));
    assert!(out.contains("over_budget") && out.contains("maxWaiters"), "{out}");
    let (step, out) = bench.ask(
        &ann(),
        1,
        &call(1, "get_x", &format!(r#"{{"a":"{}"}}"#, "x".repeat(400))),
    );
    assert!(matches!(step.served, Served::Reply { status: 413, .. }) && out.contains("too_large"));
}

#[test]
fn progress_comes_back_under_each_callers_own_token() {
    let mut bench = Bench::new();
    let message = call(1, "peek_x", "{}").replace(r#""_meta":{"#, r#""_meta":{"progressToken":"mine","#);
    let (step, _) = bench.ask(&ann(), 1, &message);
    let (flight, Trip::Forward(forward)) = step.start.unwrap() else {
        panic!("forwarded")
    };
    assert!(forward.progress && !forward.meta.contains("progressToken"));
    let progress = |token: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
        )
    };
    let mut heard = Heard::default();
    bench.core.relay(flight, &progress("999"), &mut heard);
    bench
        .core
        .relay(flight, &progress(&flight.0.to_string()), &mut heard);
    bench.core.relay(
        flight,
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#,
        &mut heard,
    );
    assert_eq!(
        heard.replies.len(),
        1,
        "not another's progress, and no logs unless asked for"
    );
    assert!(text(&heard.replies[0].1).contains(r#""progressToken":"mine""#));
    assert!(!heard.replies[0].1.last);
}

#[test]
fn a_replica_without_authority_is_a_server() {
    let mut bench = Bench::with(Config::default());
    let tool = r#"{"name":"add","description":"adds","inputSchema":{"type":"object"}}"#;
    bench.core.register_tool(tool, None).unwrap();
    let list = call(1, "x", "{}")
        .replace("tools/call", "tools/list")
        .replace(r#""name":"x","arguments":{},"#, "");
    let (_, out) = bench.ask(&ann(), 1, &list);
    assert!(
        out.contains(tool) && out.contains(r#""ttlMs":0,"cacheScope":"private""#),
        "{out}"
    );
    let (step, _) = bench.ask(&ann(), 1, &call(2, "add", r#"{"a":1}"#));
    let (flight, Trip::Local(_)) = step.start.unwrap() else {
        panic!("local")
    };
    assert!(text(&bench.settle(flight, done("3")).replies[0].1).contains(r#""leeward""#));
    let (_, out) = bench.ask(&ann(), 1, &call(2, "none", "{}"));
    assert!(out.contains("-32602"), "{out}");
    let init = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}"#;
    let (_, out) = bench.ask(&ann(), 1, init);
    assert!(
        out.contains(
            r#""protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"leeward""#
        ),
        "{out}"
    );
}

#[test]
fn what_is_wrong_is_answered_with_its_code_and_stops_nothing() {
    let mut bench = Bench::new();
    for (message, code) in [
        ("{", "parse_error"),
        ("[]", "invalid_request"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            "invalid_params",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":7}"#,
            "invalid_params",
        ),
    ] {
        let (_, out) = bench.ask(&ann(), 1, message);
        assert!(
            out.contains(code) && out.contains("correlationId"),
            "{message}: {out}"
        );
    }
    let nobody = Caller::Principal(String::new());
    assert!(
        bench
            .ask(&nobody, 1, &call(1, "get_x", "{}"))
            .1
            .contains("unauthenticated")
    );
    bench
        .core
        .settle(bench.now(), FlightId(4711), done("x"), &mut Heard::default());
    assert!(bench.core.stats().flights == 0);
    bench.trip(&ann(), "get_x");
}
