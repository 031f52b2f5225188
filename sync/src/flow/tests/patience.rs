//! How long the authority is waited for, and when it is not asked at all.

use super::*;
use crate::limits::{MAX_FAILURES, MAX_RETRY_AFTER, RECONNECT_FIRST, RECONNECT_MOST};
use crate::testing::End;

fn progress(token: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
}

impl Rig {
    /// Lets an event come shortly before each deadline, until the trip ends.
    fn outlast(&mut self, event: &Value) -> Code {
        while self.outcomes.is_empty() {
            let at = self.executor.timeout(Ctx::SHARED).expect("a deadline");
            self.pass(Millis(at.0 - 1));
            let late = self.host.event_late(event);
            self.executor.answer(late, &mut self.desk);
            self.pump();
            if self.executor.timeout(Ctx::SHARED) == Some(at) {
                self.pass(at);
                self.pump();
            }
        }
        let outcome = self.outcomes.pop().unwrap().1;
        outcome.unwrap_err().error.code
    }
}

/// Starts a call whose answer never comes, however many such events do.
fn waits(trip: Forward, event: &Value) -> (Rig, Code) {
    let mut rig = Rig::new(modern(|_| Say::events(&[], End::Hangs)));
    rig.start(trip);
    rig.pump();
    let code = rig.outlast(event);
    assert_eq!(rig.host.open(), 0);
    (rig, code)
}

/// 2025-11-25 and 2026-07-28, Lifecycle, Timeouts.
#[test]
fn progress_renews_the_deadline_up_to_the_hard_end() {
    let asked = |trip| Forward {
        progress: true,
        ..trip
    };
    for (trip, token, ended, code) in [
        (asked(read()), 1, LONGEST, Code::AuthorityTimeout),
        (asked(write()), 1, LONGEST, Code::UnknownOutcome),
        // Another request's, and one that nobody asked for.
        (asked(read()), 2, TIMEOUT, Code::AuthorityTimeout),
        (read(), 1, TIMEOUT, Code::AuthorityTimeout),
    ] {
        let (rig, was) = waits(trip, &progress(token));
        assert_eq!((rig.now, was), (ended, code));
        assert_eq!(rig.host.aborted.len(), 1);
    }
    let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"progressToken": 1}});
    let (rig, _) = waits(asked(read()), &log);
    assert_eq!(rig.now, TIMEOUT);
}

#[test]
fn an_answer_after_progress_counts() {
    let mut rig = Rig::new(modern(|_| Say::events(&[], End::Hangs)));
    rig.start(Forward {
        progress: true,
        ..read()
    });
    rig.pump();
    for event in [
        progress(1),
        json!({"jsonrpc": "2.0", "id": 258, "result": {"late": true}}),
    ] {
        rig.pass(rig.now + Millis(TIMEOUT.0 - 1));
        let late = rig.host.event_late(&event);
        rig.executor.answer(late, &mut rig.desk);
        rig.pump();
    }
    assert_eq!(result_of(rig.outcomes.pop().unwrap().1), json!({"late": true}));
}

/// The time that the agent is asked something counts neither for the deadline nor for the hard end.
#[test]
fn the_hard_end_stands_still_while_the_agent_is_asked() {
    let asks = json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"});
    let mut rig = Rig::new(legacy(move |seen| match &*seen.method {
        "response" => Say::empty(202),
        "GET" => Say::empty(405),
        _ => Say::events(core::slice::from_ref(&asks), End::Hangs),
    }));
    let inputs = Inputs::of(r#"{"roots":{}}"#);
    // Clocks do not begin at zero.
    rig.pass(TIMEOUT);
    let task = rig.start(Forward {
        progress: true,
        inputs,
        ..write()
    });
    rig.pump();
    rig.pass(rig.now + LONGEST + LONGEST);
    rig.respond(task, |_| Body::Result(r#"{"roots":[]}"#.into()));
    rig.pump();
    let answered = rig.now;
    assert_eq!(rig.outlast(&progress(1)), Code::UnknownOutcome);
    assert_eq!(rig.now.since(answered), LONGEST);
}

/// An authority that answers by `say` once its breaker is open, and before that with nothing.
fn down(say: impl FnMut(&Seen) -> Say + Send + 'static) -> Rig {
    let mut rig = Rig::new(modern(|_| Say::lost(true)));
    for _ in 0..MAX_FAILURES {
        assert!(rig.outages.is_empty());
        assert_eq!(rig.code(read()), Code::AuthorityUnreachable);
    }
    assert_eq!(rig.outages, [(rig.now, Event::AuthorityDown)]);
    rig.host.speak(modern(say));
    rig.host.seen.clear();
    rig
}

/// How long is to be waited before a request is sent, and whether that refused it.
fn withheld(rig: &mut Rig, trip: Forward) -> Millis {
    let error = rig.call(trip).unwrap_err().error;
    assert_eq!(error.code, Code::AuthorityUnreachable);
    error.retry_after.expect("it says when")
}

#[test]
fn an_authority_that_is_down_is_left_alone_and_found_when_it_comes() {
    let mut rig = down(|seen| seen.result(json!({})));
    let pause = withheld(&mut rig, read());
    assert!(pause > Millis(0) && pause <= RECONNECT_FIRST, "{pause:?}");
    // Surely without effect.
    assert_eq!(withheld(&mut rig, write()), pause);
    assert_eq!(rig.link.breaker.withheld(), 2);
    assert!(rig.host.seen.is_empty());
    rig.pass(rig.now + pause);
    result_of(rig.call(write()));
    assert_eq!(rig.outages.last(), Some(&(rig.now, Event::AuthorityUp)));
    result_of(rig.call(read()));
    assert_eq!(rig.outages.len(), 2);
}

#[test]
fn one_at_a_time_looks_whether_the_authority_is_back() {
    let mut rig = down(|_| Say::never());
    let pause = withheld(&mut rig, read());
    rig.pass(rig.now + pause);
    let first = rig.start(read());
    rig.pump();
    rig.start(read());
    rig.pump();
    let refused = rig.outcomes.pop().unwrap().1.unwrap_err().error;
    assert_eq!(refused.retry_after, Some(RECONNECT_FIRST));
    assert_eq!(rig.host.methods(), ["resources/read"]);
    // Whoever is given up does not bar the way.
    rig.executor.cancel(first, &mut rig.link, &mut rig.desk);
    rig.start(read());
    rig.pump();
    assert_eq!(rig.host.methods(), ["resources/read"; 2]);
    rig.run();
    assert_eq!(
        rig.outcomes.pop().unwrap().1.unwrap_err().error.code,
        Code::AuthorityTimeout
    );
    let pause = withheld(&mut rig, read());
    assert!(pause <= Millis(2 * RECONNECT_FIRST.0), "{pause:?}");
}

/// What an outage is, and what not: what it is for a breaker that is closed, and whether it closes one that is open.
#[test]
fn outages_open_the_breaker_and_answers_of_an_authority_close_it() {
    type Row = (&'static str, fn(&Seen) -> Say, bool, bool);
    let rows: [Row; 16] = [
        ("refused connection", |_| Say::lost(true), true, false),
        ("lost connection", |_| Say::lost(false), true, false),
        ("never", |_| Say::never(), true, false),
        ("500", |_| Say::empty(500), true, false),
        (
            "503 html",
            |_| Say::body(503, "text/html", "busy", End::Whole),
            true,
            false,
        ),
        ("408", |_| Say::empty(408), true, false),
        ("its own 500", |seen| seen.refusal(500, -32603), false, true),
        ("its own error", |seen| seen.refusal(200, -32602), false, true),
        ("429", |_| Say::empty(429), false, true),
        ("401", |_| Say::empty(401), false, true),
        (
            "404 html",
            |_| Say::body(404, "text/html", "no", End::Whole),
            false,
            true,
        ),
        ("302", |_| Say::empty(302), false, false),
        (
            "captive portal",
            |_| Say::body(200, "text/html", "pay", End::Whole),
            false,
            false,
        ),
        (
            "broken body",
            |_| Say::body(200, "application/json", "{", End::Broken),
            false,
            true,
        ),
        ("silent stream", |_| Say::events(&[], End::Hangs), false, true),
        ("answer", |seen| seen.result(json!({})), false, true),
    ];
    for (name, say, opens, closes) in rows {
        let mut rig = Rig::new(modern(say));
        for _ in 0..MAX_FAILURES {
            let _ = rig.call(read());
        }
        assert_eq!(rig.link.breaker.is_open(), opens, "{name}");
        let mut rig = down(say);
        let pause = withheld(&mut rig, read());
        rig.pass(rig.now + pause);
        let _ = rig.call(read());
        assert!(!rig.host.seen.is_empty(), "{name}");
        assert_eq!(rig.link.breaker.is_open(), !closes, "{name}");
    }
}

#[test]
fn a_gateway_that_names_a_pause_gets_it() {
    let mut rig = down(|_| Say::empty(503).with("retry-after", "90"));
    let pause = withheld(&mut rig, read());
    rig.pass(rig.now + pause);
    rig.call(read()).unwrap_err();
    assert_eq!(withheld(&mut rig, read()), Millis(90_000));
    assert!(Millis(90_000) < MAX_RETRY_AFTER && Millis(90_000) > RECONNECT_MOST);
}

#[test]
fn who_is_limited_twice_waits_as_long_as_told_and_nobody_else() {
    let mut rig = Rig::new(modern(|_| Say::empty(429).with("retry-after", "7")));
    for _ in 0..2 {
        assert_eq!(rig.code(write()), Code::RateLimited);
    }
    let sent = rig.host.seen.len();
    let error = rig.call(write()).unwrap_err().error;
    assert_eq!(
        (error.code, error.retry_after),
        (Code::RateLimited, Some(Millis(7000)))
    );
    assert_eq!(rig.host.seen.len(), sent);
    assert_eq!(
        rig.code(Forward {
            partition: 2,
            ..read()
        }),
        Code::RateLimited
    );
    assert_eq!(rig.host.seen.len(), sent + 1);
    rig.pass(rig.now + Millis(7000));
    assert_eq!(rig.code(read()), Code::RateLimited);
    assert_eq!(rig.host.seen.len(), sent + 2);
}

fn listen() -> Forward {
    Forward {
        method: "subscriptions/listen".into(),
        name: None,
        params: r#""notifications":{"toolsListChanged":true}"#.into(),
        ..read()
    }
}

fn acknowledged() -> Value {
    let params = json!({"notifications": {"toolsListChanged": true}});
    json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params})
}

#[test]
fn a_subscription_waits_for_an_authority_that_is_down() {
    let mut rig = down(|_| Say::events(&[acknowledged()], End::Hangs));
    rig.start(listen());
    rig.pump();
    assert!(rig.host.seen.is_empty() && rig.outcomes.is_empty());
    let at = rig.executor.timeout(Ctx::SHARED).expect("it waits");
    rig.pass(at);
    rig.pump();
    assert_eq!(
        (rig.host.methods(), rig.relayed.len()),
        (Vec::from(["subscriptions/listen"]), 1)
    );
    // Its stream is open: that is an answer.
    assert_eq!(rig.outages.last(), Some(&(at, Event::AuthorityUp)));
}

#[test]
fn a_subscription_that_breaks_with_its_authority_comes_back_with_it() {
    let mut nth = 0;
    let mut rig = Rig::new(modern(move |_| {
        nth += 1;
        match nth {
            1 => Say::events(&[acknowledged()], End::Broken),
            2..20 => Say::lost(false),
            _ => Say::events(&[acknowledged()], End::Hangs),
        }
    }));
    rig.start(listen());
    rig.pump();
    while rig.relayed.len() < 3 {
        let at = rig.executor.timeout(Ctx::SHARED).expect("it goes on");
        rig.pass(at);
        rig.pump();
        assert!(rig.outcomes.is_empty());
    }
    assert_eq!(rig.relayed[1], "lost");
    let told: Vec<_> = rig.outages.iter().map(|(_, event)| event).collect();
    assert_eq!(told, [&Event::AuthorityDown, &Event::AuthorityUp]);
    assert_eq!(rig.host.seen.len(), 1 + 20);
}
