//! What a session-era authority asks on the stream of the session's own.

use leeward::dispatch::Body;
use serde_json::{Value, json};

use super::input::{able, asks, bodies, done};
use super::{Rig, legacy, read, result_of, write};
use crate::limits::{ASIDE_MOST, RESUME_AFTER};
use crate::testing::{End, Say, Seen};

fn question(id: i64) -> Value {
    asks(json!(id), "elicitation/create", json!({"message": "m"}))
}

/// A session-era authority that answers the `nth` GET by `stream`, and a call when it is told to.
fn speaking(
    mut stream: impl FnMut(usize) -> Say + Send + 'static,
) -> impl FnMut(&Seen) -> Say + Send + 'static {
    let mut streams = 0;
    legacy(move |seen| match &*seen.method {
        "response" => Say::empty(202),
        "GET" => {
            streams += 1;
            stream(streams)
        }
        "tools/call" => Say::never(),
        _ => seen.result(json!({"contents": []})),
    })
}

impl Rig {
    fn times(&self, method: &str) -> usize {
        let methods = self.host.methods();
        methods.iter().filter(|seen| **seen == method).count()
    }

    /// The authority answers the call that it let hang last.
    fn answer_call(&mut self) {
        let call = self.host.seen.iter().rfind(|seen| seen.method == "tools/call");
        let answer = done(call.unwrap());
        let input = self.host.answer_late(|_| Say::json(200, answer));
        self.executor.answer(input, &mut self.desk);
        self.pump();
    }
}

#[test]
fn is_answered_while_the_request_is_under_way() {
    let mut rig = Rig::new(speaking(|_| Say::events(&[question(7)], End::Hangs)));
    let task = rig.start(able(write()));
    rig.pump();
    let opened = ["initialize", "notifications/initialized", "GET", "tools/call"];
    assert_eq!(
        rig.host.methods()[1..],
        opened,
        "the stream is there before it is needed"
    );
    let stream = &rig.host.seen[3];
    assert_eq!(stream.header("mcp-session-id"), Some("s1"));
    assert_eq!(stream.header("accept"), Some("text/event-stream"));
    assert_eq!(rig.asked.len(), 1);
    rig.respond(task, |_| Body::Result(r#"{"action":"accept"}"#.into()));
    rig.pump();
    assert_eq!(
        bodies(&rig),
        [json!({"jsonrpc": "2.0", "id": 7, "result": {"action": "accept"}})]
    );
    assert!(rig.outcomes.is_empty());
    rig.answer_call();
    assert_eq!(result_of(rig.outcomes.pop().unwrap().1), json!({"content": []}));
    assert_eq!(rig.host.open(), 0, "the stream ends with the request");
}

#[test]
fn an_agent_is_asked_one_thing_after_another() {
    let mut hold = speaking(|_| Say::events(&[question(7)], End::Hangs));
    let mut rig = Rig::new(move |seen| match &*seen.method {
        "tools/call" => Say::events(&[question(8), done(seen)], End::Hangs),
        _ => hold(seen),
    });
    let task = rig.start(able(write()));
    rig.pump();
    for (asked, id) in [(1, 7), (2, 8)] {
        assert_eq!(rig.asked.len(), asked);
        rig.respond(task, |_| Body::Result("{}".into()));
        rig.pump();
        assert_eq!(bodies(&rig)[asked - 1]["id"], id);
    }
    assert_eq!(result_of(rig.outcomes.pop().unwrap().1), json!({"content": []}));
}

#[test]
fn an_authority_without_the_stream_is_asked_for_it_once() {
    for (status, times) in [(405, 1), (404, 1), (400, 1), (503, 2), (429, 2), (409, 2)] {
        let mut rig = Rig::new(speaking(move |_| Say::empty(status)));
        for _ in 0..2 {
            rig.call(able(read())).unwrap();
        }
        assert_eq!((rig.times("GET"), rig.now.0), (times, 0), "{status}");
    }
    let mut rig = Rig::new(speaking(|_| Say::lost(true)));
    rig.call(able(read())).unwrap();
}

#[test]
fn is_waited_for_once_where_it_begins_late() {
    let mut rig = Rig::new(speaking(|_| Say::never()));
    for _ in 0..2 {
        rig.call(able(read())).unwrap();
        assert_eq!(rig.now, ASIDE_MOST);
    }
    assert_eq!(rig.times("GET"), 2);
}

#[test]
fn one_request_of_a_session_holds_it_and_then_another() {
    let mut rig = Rig::new(speaking(|nth| match nth {
        1 => Say::events(&[], End::Hangs),
        _ => Say::events(&[question(7)], End::Hangs),
    }));
    let first = rig.start(able(write()));
    let second = rig.start(able(write()));
    rig.pump();
    assert_eq!((rig.times("GET"), rig.times("tools/call")), (1, 2));
    rig.executor.cancel(first, &mut rig.link, &mut rig.desk);
    rig.pass(rig.now + RESUME_AFTER);
    rig.pump();
    assert_eq!((rig.times("GET"), rig.asked.len()), (2, 1));
    rig.respond(second, |_| Body::Result("{}".into()));
    rig.pump();
    assert_eq!(bodies(&rig).len(), 1);
    rig.executor.cancel(second, &mut rig.link, &mut rig.desk);
    rig.run();
}

#[test]
fn is_opened_again_while_the_request_is_under_way() {
    for end in [End::Whole, End::Broken] {
        let mut rig = Rig::new(speaking(move |nth| match nth {
            1 => Say::body(200, "text/event-stream", ": hello\n\n", end),
            _ => Say::events(&[question(7)], End::Hangs),
        }));
        rig.start(able(write()));
        rig.pump();
        assert_eq!((rig.times("GET"), rig.asked.len()), (1, 0));
        rig.pass(rig.now + RESUME_AFTER);
        rig.pump();
        assert_eq!((rig.times("GET"), rig.asked.len()), (2, 1));
        assert_eq!(rig.times("tools/call"), 1);
    }
}

#[test]
fn one_stream_is_held_however_many_are_asked() {
    let mut hold = speaking(|_| Say::events(&[], End::Hangs));
    let mut rig = Rig::new(move |seen| match &*seen.method {
        "tools/call" => Say::events(&[question(8), done(seen)], End::Hangs),
        _ => hold(seen),
    });
    for asked in 1..=5 {
        rig.start(able(write()));
        rig.pump();
        assert_eq!((rig.times("GET"), rig.asked.len()), (1, asked));
    }
}
