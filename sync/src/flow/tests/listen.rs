//! Subscriptions: their stream is opened, followed, and opened again.

use alloc::borrow::ToOwned as _;
use alloc::string::ToString as _;

use super::*;
use crate::limits::{RECONNECT_FIRST, RECONNECT_MOST, STEADY};
use crate::testing::End;

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const CHANGED: &str = "notifications/tools/list_changed";

type Turn = fn(&Seen) -> Say;

fn listen() -> Forward {
    Forward {
        method: "subscriptions/listen".into(),
        name: None,
        params: r#""notifications":{"toolsListChanged":true}"#.into(),
        ..read()
    }
}

fn told(method: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": {"notifications": {"toolsListChanged": true}}})
}

fn end(seen: &Seen) -> Value {
    json!({"jsonrpc": "2.0", "id": seen.id, "result": {"resultType": "complete", "_meta": {}}})
}

/// Answers the listens one after the other; the last answer is given again and again.
fn streams<const N: usize>(answers: [Turn; N]) -> impl FnMut(&Seen) -> Say + Send + 'static {
    let mut nth = 0;
    modern(move |seen| {
        assert_eq!(seen.header("mcp-method"), Some("subscriptions/listen"));
        assert_eq!(seen.params["notifications"], json!({"toolsListChanged": true}));
        let answer = answers[nth.min(answers.len() - 1)];
        nth += 1;
        answer(seen)
    })
}

impl Rig {
    /// What was relayed since the last time: methods, and `lost`.
    fn heard(&mut self) -> Vec<String> {
        let name = |text: String| match serde_json::from_str::<Value>(&text) {
            Ok(message) => message["method"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .into(),
            Err(_) => text,
        };
        self.relayed.drain(..).map(name).collect()
    }

    /// Goes on to the next timer; returns how long that took.
    fn wait(&mut self) -> Millis {
        let at = self.executor.timeout(Ctx::SHARED).expect("a timer");
        let waited = at.since(self.now);
        self.pass(at);
        self.pump();
        waited
    }
}

#[test]
fn follows_the_stream_to_its_end_which_no_timeout_is() {
    let mut rig = Rig::new(streams([|_: &Seen| {
        Say::events(&[told(ACKNOWLEDGED), told(CHANGED)], End::Hangs)
    }]));
    rig.upstream.max_bytes = 300;
    rig.start(listen());
    rig.pump();
    assert_eq!(rig.heard(), ["acknowledged", "list_changed"]);
    while rig.executor.timeout(Ctx::SHARED).is_some() {
        rig.wait();
    }
    assert!(rig.now >= TIMEOUT && rig.outcomes.is_empty());
    assert_eq!((rig.host.open(), rig.host.seen.len()), (1, 2));
}

#[test]
fn ends_with_the_authoritys_result() {
    let mut rig = Rig::new(streams([|seen: &Seen| {
        Say::events(&[told(ACKNOWLEDGED), end(seen)], End::Hangs)
    }]));
    let outcome = rig.call(listen());
    assert_eq!(result_of(outcome)["resultType"], "complete");
    assert_eq!(rig.host.aborted.len(), 1, "nothing more is read");
}

#[test]
fn what_keeps_the_first_stream_from_opening_is_the_answer() {
    let first: [(Turn, Code); 6] = [
        (|_| Say::lost(true), Code::AuthorityUnreachable),
        (|_| Say::never(), Code::AuthorityTimeout),
        (|_| Say::events(&[], End::Hangs), Code::AuthorityTimeout),
        (
            |_| Say::events(&[told(CHANGED)], End::Broken),
            Code::AuthorityUnreachable,
        ),
        (|_| Say::empty(401), Code::AuthorityAuthRequired),
        (
            |_| Say::body(503, "text/plain", "", End::Whole),
            Code::AuthorityUnreachable,
        ),
    ];
    for (answer, code) in first {
        let mut rig = Rig::new(streams([answer]));
        assert_eq!(rig.code(listen()), code);
        assert_eq!(rig.host.seen.len(), 2, "no second attempt");
        assert!(!rig.heard().contains(&"lost".into()));
    }
    let mut rig = Rig::new(modern(|seen| seen.refusal(404, -32601)));
    assert_eq!(error_of(rig.call(listen())), -32601);
}

#[test]
fn opens_a_broken_stream_again_after_a_pause_that_grows() {
    let breaks: [Turn; 2] = [
        |_: &Seen| Say::events(&[told(ACKNOWLEDGED)], End::Broken),
        |_: &Seen| Say::lost(true),
    ];
    let mut rig = Rig::new(streams(breaks));
    rig.start(listen());
    rig.pump();
    assert_eq!(rig.heard(), ["acknowledged", "lost"]);
    let mut pauses = Vec::new();
    while pauses.len() < 40 {
        let before = rig.host.seen.len();
        let mut pause = Millis(0);
        while rig.host.seen.len() == before {
            pause = pause + rig.wait();
        }
        pauses.push(pause);
    }
    assert!(
        rig.heard().is_empty() && rig.outcomes.is_empty(),
        "one break is one"
    );
    assert!(pauses[0] <= RECONNECT_FIRST, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= RECONNECT_MOST), "{pauses:?}");
    assert!(
        pauses.iter().any(|pause| pause.0 > RECONNECT_MOST.0 / 4),
        "{pauses:?}"
    );
    let mut distinct = pauses.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 30, "drawn at random: {pauses:?}");
    let ids: Vec<&Value> = rig.host.seen.iter().map(|seen| &seen.id).collect();
    assert!(
        ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id)),
        "{ids:?}"
    );
}

#[test]
fn pauses_begin_anew_after_a_stream_that_lasted() {
    let answers: [Turn; 9] = [
        |_: &Seen| Say::events(&[told(ACKNOWLEDGED)], End::Broken),
        |_: &Seen| Say::lost(true),
        |_: &Seen| Say::lost(true),
        |_: &Seen| Say::lost(true),
        |_: &Seen| Say::lost(true),
        |_: &Seen| Say::lost(true),
        |_: &Seen| Say::never(),
        |_: &Seen| Say::events(&[told(ACKNOWLEDGED)], End::Broken),
        |_: &Seen| Say::events(&[told(ACKNOWLEDGED)], End::Hangs),
    ];
    let mut rig = Rig::new(streams(answers));
    rig.upstream.timeout = STEADY + STEADY;
    rig.start(listen());
    rig.pump();
    // The one that never answers outlasts what counts as steady.
    while rig.host.seen.len() < 8 {
        rig.wait();
    }
    rig.heard();
    let mut after = Millis(0);
    while rig.host.seen.len() < 9 {
        after = after + rig.wait();
    }
    assert!(after <= rig.upstream.timeout + RECONNECT_FIRST, "{after:?}");
    assert_eq!(rig.heard(), ["acknowledged", "lost"]);
    while rig.host.seen.len() < 10 {
        rig.wait();
    }
    assert_eq!(rig.heard(), ["acknowledged"]);
}

#[test]
fn a_refusal_to_open_it_again_ends_it() {
    let refusals: [(Turn, Option<Code>); 3] = [
        (|seen| seen.refusal(200, -32603), None),
        (|_| Say::empty(401), Some(Code::AuthorityAuthRequired)),
        (
            |_| Say::events(&[json!("x".repeat(5000))], End::Hangs),
            Some(Code::AuthorityInvalid),
        ),
    ];
    for (refusal, code) in refusals {
        let mut rig = Rig::new(streams([
            |_: &Seen| Say::events(&[told(ACKNOWLEDGED)], End::Whole),
            refusal,
        ]));
        let outcome = rig.call(listen());
        match code {
            Some(code) => assert_eq!(outcome.unwrap_err().error.code, code),
            None => assert_eq!(error_of(outcome), -32603),
        }
        assert_eq!(rig.heard(), ["acknowledged", "lost"]);
    }
}

/// Who signs in at a portal has the authority back.
#[test]
fn what_is_not_the_authority_does_not_end_it() {
    let strays: [Turn; 2] = [
        |_| Say::body(200, "text/html", "<html>", End::Whole),
        |_| Say::empty(302),
    ];
    for stray in strays {
        let mut rig = Rig::new(streams([
            |_: &Seen| Say::events(&[told(ACKNOWLEDGED)], End::Whole),
            stray,
            |_: &Seen| Say::events(&[told(ACKNOWLEDGED)], End::Hangs),
        ]));
        rig.start(listen());
        rig.pump();
        while rig.host.seen.len() < 4 {
            rig.wait();
        }
        assert_eq!(rig.heard(), ["acknowledged", "lost", "acknowledged"]);
    }
}

#[test]
fn waits_as_long_as_the_authority_asks() {
    let mut rig = Rig::new(streams([
        |_: &Seen| Say::events(&[told(ACKNOWLEDGED)], End::Broken),
        |_: &Seen| Say::empty(429).with("retry-after", "300"),
        |seen: &Seen| seen.refusal(200, -32603),
    ]));
    error_of(rig.call(listen()));
    assert!(rig.now >= Millis(300_000), "{:?}", rig.now);
}

#[test]
fn dropping_it_aborts_the_stream() {
    let mut rig = Rig::new(streams([|_: &Seen| {
        Say::events(&[told(ACKNOWLEDGED)], End::Hangs)
    }]));
    let task = rig.start(listen());
    rig.pump();
    rig.executor.cancel(task, &mut rig.link, &mut rig.desk);
    rig.pump();
    assert_eq!((rig.host.open(), rig.host.aborted.len()), (0, 1));
    assert_eq!(rig.executor.timeout(Ctx::SHARED), None);
}

#[test]
fn without_an_authority_it_is_acknowledged_here() {
    let mut rig = Rig::new(|_| panic!("nobody to ask"));
    rig.upstream.url = None;
    rig.start(listen());
    rig.run();
    assert_eq!(rig.heard(), ["acknowledged"]);
    assert!(rig.outcomes.is_empty());
}

/// A session-era authority that offers everything; its streams one after the other, the last again and again.
fn told_by<const N: usize>(streams: [Turn; N]) -> impl FnMut(&Seen) -> Say + Send + 'static {
    let (mut nth, mut sessions) = (0, 0);
    move |seen| match &*seen.method {
        "server/discover" => Say::empty(404),
        "initialize" => {
            sessions += 1;
            let capabilities = json!({"tools": {"listChanged": true}, "prompts": {"listChanged": false}, "resources": {"subscribe": true}});
            seen.result(json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": {"name": "x"}}))
                .with("mcp-session-id", &alloc::format!("s{sessions}"))
        }
        "notifications/initialized" => Say::empty(202),
        "resources/subscribe" if seen.params["uri"] == "a:no" => seen.refusal(200, -32002),
        "resources/subscribe" => seen.result(json!({})),
        "GET" => {
            let stream = streams[nth.min(streams.len() - 1)];
            nth += 1;
            stream(seen)
        }
        "DELETE" => Say::empty(405),
        other => panic!("{other}"),
    }
}

fn follow(filter: &str) -> Forward {
    Forward {
        params: alloc::format!(r#""notifications":{filter}"#),
        ..listen()
    }
}

#[test]
fn within_a_session_it_is_acknowledged_here_with_what_can_be_told() {
    let mut rig = Rig::new(told_by([|_: &Seen| Say::events(&[told(CHANGED)], End::Hangs)]));
    let asked = r#"{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["a:no","a:1","a:\u0032"]}"#;
    rig.start(follow(asked));
    rig.pump();
    let acknowledged: Value = serde_json::from_str(&rig.relayed[0]).unwrap();
    let honoured = json!({"toolsListChanged": true, "resourceSubscriptions": ["a:1", "a:2"]});
    assert_eq!(acknowledged["params"]["notifications"], honoured);
    assert_eq!(rig.heard(), ["acknowledged", "list_changed"]);
    while rig.executor.timeout(Ctx::SHARED).is_some() {
        rig.wait();
    }
    assert!(rig.now >= TIMEOUT && rig.outcomes.is_empty());
    let get = rig.host.seen.iter().find(|seen| seen.method == "GET").unwrap();
    assert_eq!(
        (get.header("mcp-session-id"), get.header("accept")),
        (Some("s2"), Some("text/event-stream"))
    );
    assert!(get.header("last-event-id").is_none());
}

#[test]
fn a_sessions_stream_is_resumed_and_loses_nothing() {
    let mut rig = Rig::new(told_by([
        |_: &Seen| Say::events_from("id: e\nretry: 10\n", &[told(CHANGED)], End::Whole),
        |seen: &Seen| {
            assert_eq!(seen.header("last-event-id"), Some("e"));
            Say::events_from("id: f\n", &[told(CHANGED)], End::Hangs)
        },
    ]));
    rig.start(follow(r#"{"toolsListChanged":true}"#));
    rig.pump();
    rig.wait();
    assert_eq!(rig.heard(), ["acknowledged", "list_changed", "list_changed"]);
    assert_eq!(
        rig.host
            .methods()
            .iter()
            .filter(|method| **method == "initialize")
            .count(),
        2
    );
}

#[test]
fn an_authority_that_does_not_answer_beside_a_sessions_stream_keeps_nobody_from_it() {
    let ping = |_: &Seen| {
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        Say::events_from("id: e\n", &[ping, told(CHANGED)], End::Broken)
    };
    let mut streams = told_by([ping, |_: &Seen| Say::never(), |_: &Seen| Say::empty(401)]);
    let mut rig = Rig::new(move |seen| match &*seen.method {
        "response" => Say::never(),
        _ => streams(seen),
    });
    rig.call(follow(r#"{"toolsListChanged":true}"#)).unwrap_err();
    assert_eq!(rig.heard(), ["acknowledged", "list_changed", "lost"]);
}

#[test]
fn a_session_whose_stream_is_lost_is_ended_and_another_begun() {
    let mut rig = Rig::new(told_by([
        |_: &Seen| Say::events_from("", &[], End::Broken),
        |_: &Seen| Say::lost(true),
        |_: &Seen| Say::events_from("", &[], End::Hangs),
    ]));
    rig.start(follow(r#"{"toolsListChanged":true}"#));
    rig.pump();
    for _ in 0..20 {
        if rig.executor.timeout(Ctx::SHARED).is_some() {
            rig.wait();
        }
    }
    assert_eq!(rig.heard(), ["acknowledged", "lost", "acknowledged"]);
    let sessions = |method: &str| -> Vec<_> {
        let seen = rig.host.seen.iter().filter(|seen| seen.method == method);
        seen.map(|seen| seen.header("mcp-session-id").unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(sessions("GET"), ["s2", "s3", "s4"]);
    assert_eq!(sessions("DELETE"), ["s2", "s3"]);
    let ids: Vec<&Value> = rig
        .host
        .seen
        .iter()
        .map(|seen| &seen.id)
        .filter(|id| !id.is_null())
        .collect();
    assert!(
        ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id)),
        "{ids:?}"
    );
}

#[test]
fn an_authority_that_never_says_goodbye_keeps_nobody() {
    let mut deleted = false;
    let mut streams = told_by([|_: &Seen| Say::events_from("", &[], End::Broken)]);
    let mut rig = Rig::new(move |seen: &Seen| {
        if seen.method == "DELETE" {
            assert!(!core::mem::replace(&mut deleted, true), "enough");
            return Say::never();
        }
        if deleted { Say::empty(401) } else { streams(seen) }
    });
    assert_eq!(
        rig.code(follow(r#"{"toolsListChanged":true}"#)),
        Code::AuthorityAuthRequired
    );
    assert!(rig.now <= RECONNECT_FIRST + crate::limits::FAREWELL + STEADY);
}

#[test]
fn more_resources_than_ids_are_subscribed_to_with_ids_of_their_own() {
    let uris: Vec<_> = (0..leeward::limits::MAX_SUBSCRIBED)
        .map(|n| alloc::format!("a:{n}"))
        .collect();
    let mut rig = Rig::new(told_by([|_: &Seen| Say::events_from("", &[], End::Hangs)]));
    rig.start(follow(&json!({"resourceSubscriptions": uris}).to_string()));
    rig.pump();
    assert_eq!(rig.heard(), ["acknowledged"]);
    let mut ids: Vec<u64> = rig.host.seen.iter().filter_map(|seen| seen.id.as_u64()).collect();
    let sent = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), sent > leeward::limits::MAX_SUBSCRIBED), (sent, true));
}

#[test]
fn a_session_without_a_stream_is_a_clear_error() {
    let refusals: [(Turn, Code); 5] = [
        (|_| Say::empty(405), Code::MethodNotFound),
        (|_| Say::empty(404), Code::MethodNotFound),
        (|_| Say::json(200, json!({})), Code::MethodNotFound),
        (|_| Say::empty(401), Code::AuthorityAuthRequired),
        (|_| Say::empty(503), Code::AuthorityUnreachable),
    ];
    for (refusal, code) in refusals {
        let mut rig = Rig::new(told_by([refusal]));
        assert_eq!(rig.code(follow(r#"{"toolsListChanged":true}"#)), code);
        assert!(rig.heard().is_empty());
    }
}
