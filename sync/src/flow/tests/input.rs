//! What an authority asks before it answers, and streams that are resumed.

use alloc::vec::Vec;

use leeward::border::FlightId;
use leeward::dispatch::{Body, Forward};
use leeward::limits::{MAX_INPUT_REQUESTS, MAX_INPUT_ROUNDS, MAX_INPUT_WAIT};
use leeward::mcp::input::{InputRequest, Inputs};
use leeward::{Code, Millis};
use serde_json::{Value, json};

use super::{Rig, TIMEOUT, error_of, legacy, modern, read, result_of, write};
use crate::limits::{
    BESIDE_MOST, IDS_PER_TRIP, MAX_EVENT_ID_BYTES, MAX_RESUMES, RESUME_AFTER, RESUME_LEAST, RESUME_MOST,
};
use crate::testing::{End, Say, Seen};

pub(super) fn able(trip: Forward) -> Forward {
    let inputs = Inputs::of(r#"{"sampling":{},"elicitation":{"form":{},"url":{}}}"#);
    Forward { inputs, ..trip }
}

fn old(trip: Forward) -> Forward {
    Forward {
        session_era: true,
        ..able(trip)
    }
}

pub(super) fn asks(id: Value, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

pub(super) fn done(seen: &Seen) -> Value {
    json!({"jsonrpc": "2.0", "id": seen.id, "result": {"content": []}})
}

/// A session-era authority that asks, and then has its say. Its sessions have no streams of their own.
fn asking(
    events: impl Fn(&Seen) -> Vec<Value> + Send + 'static,
) -> impl FnMut(&Seen) -> Say + Send + 'static {
    legacy(move |seen| match &*seen.method {
        "response" => Say::empty(202),
        "GET" => Say::empty(405),
        _ => Say::events(&events(seen), End::Hangs),
    })
}

pub(super) fn bodies(rig: &Rig) -> Vec<Value> {
    let responses = rig.host.seen.iter().filter(|seen| seen.method == "response");
    responses
        .map(|seen| serde_json::from_slice(&seen.http.body).unwrap())
        .collect()
}

#[test]
fn a_session_declares_what_its_agents_may_be_asked() {
    let mut rig = Rig::new(legacy(|seen| seen.result(json!({"contents": []}))));
    for trip in [read(), able(read()), able(read())] {
        rig.call(trip).unwrap();
    }
    let opened = rig.host.seen.iter().filter(|seen| seen.method == "initialize");
    let declared: Vec<_> = opened.map(|seen| &seen.params["capabilities"]).collect();
    let able = json!({"sampling": {}, "elicitation": {"form": {}, "url": {}}});
    assert_eq!(declared, [&json!({}), &able]);
    let of = |at: usize| rig.host.seen[at].header("mcp-session-id");
    let last = rig.host.seen.len() - 1;
    assert_eq!(of(last), Some("s2"));
}

#[test]
fn what_a_session_era_authority_asks_is_answered_in_its_session() {
    let mut rig = Rig::new(asking(|seen| {
        let mut events = Vec::from([
            asks(json!("p"), "ping", json!({})),
            asks(
                json!(7),
                "elicitation/create",
                json!({"message": "é?", "requestedSchema": {}}),
            ),
            asks(json!(8), "roots/list", json!({})),
            asks(json!(9), "tasks/get", json!({})),
        ]);
        events.push(done(seen));
        events
    }));
    let task = rig.start(able(write()));
    rig.pump();
    assert_eq!(bodies(&rig), [json!({"jsonrpc": "2.0", "id": "p", "result": {}})]);
    let asked = &rig.asked[0].1;
    assert_eq!((asked.len(), &*asked[0].method), (1, "elicitation/create"));
    assert_eq!(asked[0].params, r#"{"message":"é?","requestedSchema":{}}"#);
    assert!(rig.outcomes.is_empty());
    rig.respond(task, |_| {
        Body::Result(r#"{"action":"accept","content":{"n":1.0}}"#.into())
    });
    rig.run();
    assert_eq!(result_of(rig.outcomes.pop().unwrap().1), json!({"content": []}));
    let said = bodies(&rig);
    assert_eq!(said[1]["id"], 7);
    assert_eq!(
        said[1]["result"],
        json!({"action": "accept", "content": {"n": 1.0}})
    );
    assert!(
        rig.host
            .seen
            .iter()
            .any(|seen| seen.http.body.ends_with(br#"{"n":1.0}}}"#))
    );
    for (at, id) in [(2, 8), (3, 9)] {
        assert_eq!(
            (&said[at]["id"], &said[at]["error"]["code"]),
            (&json!(id), &json!(-32601))
        );
    }
    for seen in rig.host.seen.iter().filter(|seen| seen.method == "response") {
        assert_eq!(seen.header("mcp-session-id"), Some("s1"));
        assert_eq!(seen.header("mcp-protocol-version"), Some("2025-06-18"));
    }
    assert_eq!(
        rig.host
            .methods()
            .iter()
            .filter(|method| **method == "tools/call")
            .count(),
        1
    );
}

#[test]
fn the_clock_of_a_trip_stands_still_while_its_agent_is_asked() {
    let mut rig = Rig::new(asking(|_| {
        Vec::from([asks(json!(1), "sampling/createMessage", json!({"maxTokens": 1}))])
    }));
    let task = rig.start(able(write()));
    rig.pump();
    assert!(rig.executor.timeout(leeward::Ctx::SHARED).unwrap() >= MAX_INPUT_WAIT);
    rig.pass(rig.now + TIMEOUT + TIMEOUT);
    rig.pump();
    assert!(rig.outcomes.is_empty(), "no timeout meanwhile");
    rig.respond(task, |_| Body::Error(r#"{"code":-1,"message":"no"}"#.into()));
    let before = rig.now;
    rig.run();
    assert_eq!(bodies(&rig)[0]["error"], json!({"code": -1, "message": "no"}));
    let outcome = rig.outcomes.pop().unwrap().1;
    assert_eq!(outcome.unwrap_err().error.code, Code::UnknownOutcome);
    assert_eq!(rig.now, before + TIMEOUT, "and then it goes on");
}

#[test]
fn no_id_is_used_twice_however_much_an_authority_asks() {
    for together in [1, 3 * IDS_PER_TRIP] {
        let many = json!({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}});
        let all = Value::from(Vec::from_iter((0..together).map(|_| many.clone())));
        let times = 3 * IDS_PER_TRIP / together;
        let mut rig = Rig::new(asking(move |_| (0..times).map(|_| all.clone()).collect()));
        rig.upstream.max_bytes = 1 << 20;
        let first = rig.start(able(write()));
        let second = rig.start(able(write()));
        rig.pump();
        for _ in 0..times {
            for task in [first, second] {
                rig.respond(task, |_| Body::Result("{}".into()));
                rig.pump();
            }
        }
        assert_eq!(distinct_keys(&rig) as u64, 6 * IDS_PER_TRIP);
    }
    let many =
        (0..MAX_INPUT_REQUESTS).map(|n| (alloc::format!("{n}"), json!({"method": "sampling/createMessage"})));
    let wanted = json!({"resultType": "input_required", "inputRequests": Value::Object(many.collect())});
    let mut rig = Rig::new(modern(move |seen| seen.result(wanted.clone())));
    let tasks = [rig.start(old(write())), rig.start(old(write()))];
    rig.pump();
    for (task, flight) in tasks.into_iter().zip(1..).cycle().take(2 * MAX_INPUT_ROUNDS) {
        let asked = rig.asked.iter().rfind(|(of, _)| *of == FlightId(flight)).unwrap();
        let answer = |request: &InputRequest| (request.key.clone(), Body::Result("{}".into()));
        let answers = asked.1.iter().map(answer).collect();
        rig.executor.inputs(task, answers, rig.now);
        rig.pump();
    }
    assert_eq!(distinct_keys(&rig), 2 * MAX_INPUT_ROUNDS * MAX_INPUT_REQUESTS);
}

/// How often an agent was asked; no key is another's, or the id of a request.
fn distinct_keys(rig: &Rig) -> usize {
    let keys = rig.asked.iter().flat_map(|(_, requests)| requests);
    let mut ids: Vec<_> = keys.map(|request| request.key.clone()).collect();
    let asked = ids.len();
    let sent = |seen: &&Seen| seen.method != "response" && !seen.id.is_null();
    ids.extend(
        rig.host
            .seen
            .iter()
            .filter(sent)
            .map(|seen| alloc::format!("{}", seen.id)),
    );
    ids.sort();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    asked
}

#[test]
fn an_agent_that_never_answers_is_an_error_to_the_authority() {
    let mut rig = Rig::new(asking(|seen| {
        Vec::from([asks(json!(1), "sampling/createMessage", json!({})), done(seen)])
    }));
    assert_eq!(result_of(rig.call(able(write()))), json!({"content": []}));
    assert_eq!(bodies(&rig)[0]["error"]["code"], -32603);
    assert_eq!(rig.now, MAX_INPUT_WAIT);
}

#[test]
fn a_response_that_the_authority_does_not_take_leaves_a_writes_outcome_open() {
    let mut rig = Rig::new(legacy(|seen| match &*seen.method {
        "response" => Say::empty(404),
        _ => Say::events(&[asks(json!(1), "ping", json!({}))], End::Hangs),
    }));
    assert_eq!(rig.code(able(write())), Code::UnknownOutcome);
    assert_eq!(
        rig.host
            .methods()
            .iter()
            .filter(|method| **method == "tools/call")
            .count(),
        1
    );
}

#[test]
fn a_ping_whose_answer_the_authority_does_not_take_changes_nothing() {
    for say in [
        || Say::empty(400),
        || Say::empty(503),
        || Say::lost(false),
        Say::never,
    ] {
        for method in ["ping", "roots/list", "unheard/of"] {
            let mut rig = Rig::new(legacy(move |seen| match &*seen.method {
                "response" => say(),
                _ => Say::events(&[asks(json!(1), method, json!({})), done(seen)], End::Whole),
            }));
            rig.upstream.timeout = Millis(60_000);
            assert_eq!(result_of(rig.call(write())), json!({"content": []}), "{method}");
            assert!(rig.now <= BESIDE_MOST);
        }
    }
}

/// Answers a request by this text as events, and what asks for its rest by `rest`, which hears how often and for
/// which request.
fn broken_off(
    text: &'static str,
    mut rest: impl FnMut(usize, &Seen, &Value) -> Say + Send + 'static,
) -> impl FnMut(&Seen) -> Say + Send + 'static {
    let (mut gets, mut id) = (0, Value::Null);
    legacy(move |seen| {
        if seen.http.method == "POST" {
            id = seen.id.clone();
            return Say::body(200, "text/event-stream", text, End::Broken);
        }
        gets += 1;
        rest(gets, seen, &id)
    })
}

fn count(rig: &Rig, method: &str) -> usize {
    rig.host.methods().iter().filter(|seen| **seen == method).count()
}

#[test]
fn a_stream_of_a_session_is_resumed_where_it_broke_off() {
    for trip in [read(), write()] {
        let method = trip.method.clone();
        let text = "id: p\ndata:\n\nretry: 250\n\nid: half\ndata: {";
        let mut rig = Rig::new(broken_off(text, |gets, seen, id| {
            assert_eq!(seen.header("accept"), Some("text/event-stream"));
            assert_eq!(seen.header("mcp-session-id"), Some("s1"));
            assert!(seen.header("content-type").is_none() && seen.http.body.is_empty());
            let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
            let (last, say) = match gets {
                1 => ("p", Say::events_from("id: q\n", &[note], End::Whole)),
                2 => ("q", Say::lost(true)),
                3 => ("q", Say::empty(503)),
                _ => {
                    let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"ok": 1}});
                    ("q", Say::events_from("", &[answer], End::Hangs))
                }
            };
            assert_eq!(seen.header("last-event-id"), Some(last));
            say
        }));
        assert_eq!(result_of(rig.call(trip)), json!({"ok": 1}));
        assert_eq!((count(&rig, "GET"), count(&rig, &method)), (4, 1));
        assert_eq!((rig.relayed.len(), rig.now), (1, Millis(4 * 250)));
    }
}

#[test]
fn a_stream_that_cannot_be_resumed_has_broken_off() {
    let outcomes = |text: &'static str, get: fn() -> Say| {
        let mut rig = Rig::new(broken_off(text, move |_, _, _| get()));
        rig.upstream.timeout = Millis(600_000);
        let code = rig.code(write());
        (code, count(&rig, "GET"), count(&rig, "tools/call"), rig.now)
    };
    let unknown = Code::UnknownOutcome;
    let ids = "id: a\ndata:\n\n";
    let again = || Say::events_from("", &[], End::Whole);
    let paused = Millis(RESUME_AFTER.0 * MAX_RESUMES as u64);
    assert_eq!(outcomes(ids, again), (unknown, MAX_RESUMES, 1, paused));
    assert_eq!(
        outcomes(ids, || Say::lost(true)),
        (unknown, MAX_RESUMES, 1, paused)
    );
    for refusal in [
        || Say::empty(405),
        || Say::empty(404),
        || Say::json(200, json!({})),
    ] {
        assert_eq!(outcomes(ids, refusal), (unknown, 1, 1, RESUME_AFTER));
    }
    let hasty = "id: a\nretry: 0\ndata:\n\n";
    let paused = Millis(RESUME_LEAST.0 * MAX_RESUMES as u64);
    assert_eq!(outcomes(hasty, again), (unknown, MAX_RESUMES, 1, paused));
    let waited = Millis((RESUME_LEAST.0 + BESIDE_MOST.0) * MAX_RESUMES as u64);
    assert_eq!(outcomes(hasty, Say::never), (unknown, MAX_RESUMES, 1, waited));
    let patient = "id: a\nretry: 999999\ndata:\n\n";
    assert_eq!(
        outcomes(patient, || Say::empty(405)),
        (unknown, 1, 1, RESUME_MOST)
    );
    assert_eq!(outcomes("id: a b\ndata:\n\n", again), (unknown, 0, 1, Millis(0)));
    assert_eq!(outcomes("data: {", again), (unknown, 0, 1, Millis(0)));
}

#[test]
fn an_event_id_over_its_bound_is_none() {
    for (length, gets) in [(MAX_EVENT_ID_BYTES, 1), (MAX_EVENT_ID_BYTES + 1, 0)] {
        let text = alloc::format!("id: {}\ndata:\n\n", "x".repeat(length));
        let mut rig = Rig::new(broken_off(text.leak(), |_, _, _| Say::empty(405)));
        rig.upstream.max_bytes = 1 << 20;
        assert_eq!(rig.code(write()), Code::UnknownOutcome);
        assert_eq!(count(&rig, "GET"), gets);
    }
}

/// What a stateless authority says that wants to know something, until it has been told so often.
fn wanting(rounds: usize, requests: Value) -> impl FnMut(&Seen) -> Say + Send + 'static {
    let mut asked = 0;
    modern(move |seen| {
        let told = seen.params["inputResponses"].clone();
        assert_eq!(told.is_null(), asked == 0);
        if asked == rounds {
            return seen.result(json!({"resultType": "complete", "content": [], "told": told}));
        }
        if asked > 0 {
            assert_eq!(seen.params["requestState"], "é\"1");
        }
        asked += 1;
        seen.result(
            json!({"resultType": "input_required", "inputRequests": requests, "requestState": "é\"1"}),
        )
    })
}

#[test]
fn an_agent_of_the_session_era_is_asked_what_a_stateless_authority_wants() {
    let requests = json!({"who": {"method": "elicitation/create", "params": {"message": "m", "mode": "url", "url": "u:"}},
        "what": {"method": "sampling/createMessage", "params": {"maxTokens": 1}}});
    let mut rig = Rig::new(wanting(2, requests));
    let task = rig.start(old(write()));
    rig.pump();
    for round in 1..=2 {
        assert_eq!(rig.asked.len(), round);
        let asked = &rig.asked.last().unwrap().1;
        let params: Value = serde_json::from_str(&asked[1].params).unwrap();
        assert_eq!(&*asked[0].method, "sampling/createMessage");
        assert_eq!(
            (&params["mode"], &params["elicitationId"]),
            (&json!("url"), &json!(asked[1].key))
        );
        rig.respond(task, |request| {
            Body::Result(alloc::format!(r#"{{"of":"{}"}}"#, request.method))
        });
        rig.pump();
    }
    rig.run();
    let told = json!({"who": {"of": "elicitation/create"}, "what": {"of": "sampling/createMessage"}});
    assert_eq!(result_of(rig.outcomes.pop().unwrap().1)["told"], told);
    let calls = rig.host.seen.iter().filter(|seen| seen.method == "tools/call");
    for call in calls {
        assert_eq!(
            (&call.params["name"], &call.params["arguments"]["region"]),
            (&json!("t"), &json!("eu"))
        );
    }
}

#[test]
fn a_state_without_requests_is_only_taken_along() {
    let mut asked = 0;
    let mut rig = Rig::new(modern(move |seen| {
        asked += 1;
        assert!(seen.params["inputResponses"].is_null());
        match asked {
            1 => seen.result(json!({"resultType": "input_required", "requestState": "s"})),
            _ => seen.result(json!({"state": seen.params["requestState"]})),
        }
    }));
    assert_eq!(result_of(rig.call(old(write()))), json!({"state": "s"}));
}

#[test]
fn what_an_agent_cannot_be_asked_is_a_clear_error() {
    let sampling = json!({"a": {"method": "sampling/createMessage", "params": {}}});
    let roots = json!({"a": {"method": "roots/list"}});
    let many: Value = (0..=MAX_INPUT_REQUESTS)
        .map(|n| (alloc::format!("{n}"), sampling["a"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let code = |requests: &Value| {
        let mut rig = Rig::new(wanting(1, requests.clone()));
        rig.code(old(write()))
    };
    assert_eq!(code(&roots), Code::InputRequired);
    assert_eq!(code(&many), Code::InputRequired);
    assert_eq!(code(&sampling), Code::InputRequired, "and it never answered");
    assert_eq!(code(&json!({"a": 1})), Code::UnknownOutcome, "no such requests");
    let mut rig = Rig::new(wanting(1, sampling.clone()));
    let task = rig.start(old(write()));
    rig.pump();
    rig.respond(task, |_| {
        Body::Error(r#"{"code":-1,"message":"rejected"}"#.into())
    });
    rig.run();
    let told = rig.outcomes.pop().unwrap().1.unwrap_err();
    assert_eq!(
        (told.error.code, told.detail.contains("rejected")),
        (Code::InputRequired, true)
    );
    // An agent that knows such results gets them as they are.
    let mut rig = Rig::new(wanting(1, sampling));
    assert_eq!(result_of(rig.call(able(write())))["resultType"], "input_required");
}

#[test]
fn rounds_end() {
    let sampling = json!({"a": {"method": "sampling/createMessage", "params": {}}});
    let mut rig = Rig::new(wanting(usize::MAX, sampling));
    let task = rig.start(old(write()));
    rig.pump();
    for _ in 0..MAX_INPUT_ROUNDS {
        rig.respond(task, |_| Body::Result("{}".into()));
        rig.pump();
    }
    assert_eq!(rig.asked.len(), MAX_INPUT_ROUNDS);
    let told = rig.outcomes.pop().unwrap().1.unwrap_err();
    assert_eq!(told.error.code, Code::InputRequired);
}

#[test]
fn an_agent_goes_to_the_urls_that_a_session_era_authority_wants_visited() {
    let authority = || {
        let mut refused = false;
        legacy(move |seen| {
            if seen.method == "GET" {
                return Say::empty(405);
            }
            if core::mem::replace(&mut refused, true) {
                return seen.result(json!({"content": []}));
            }
            let elicitations =
                json!([{"mode": "url", "url": "https://a.example/", "elicitationId": "e", "message": "m"}]);
            seen.error(
                200,
                json!({"code": -32042, "message": "go", "data": {"elicitations": elicitations}}),
            )
        })
    };
    for (action, visits) in [("accept", true), ("decline", false)] {
        let mut rig = Rig::new(authority());
        let task = rig.start(able(write()));
        rig.pump();
        assert_eq!(&*rig.asked[0].1[0].method, "elicitation/create");
        rig.respond(task, |_| {
            Body::Result(alloc::format!(r#"{{"action":"{action}"}}"#))
        });
        rig.run();
        let outcome = rig.outcomes.pop().unwrap().1;
        if visits {
            assert_eq!(result_of(outcome), json!({"content": []}));
        } else {
            assert_eq!(error_of(outcome), -32042);
        }
    }
    // One of that era knows what the error says.
    let mut rig = Rig::new(authority());
    assert_eq!(error_of(rig.call(old(write()))), -32042);
    // One that never declared it cannot be sent there.
    let mut rig = Rig::new(authority());
    assert_eq!(rig.code(write()), Code::InputRequired);
}
