//! What goes wrong, and what a read and a write make of it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use leeward::{Code, Ctx, Millis};
use serde_json::json;

use super::{Rig, TIMEOUT, error_of, modern, read, result_of, write};
use crate::testing::{End, Say, Seen};

/// What the authority says to the request itself, the code of a read and of a write, how often a read is sent.
type Row = (&'static str, fn(&Seen) -> Say, Code, Code, usize);

#[test]
fn maps_failures_of_reads_and_writes() {
    let table: [Row; 22] = {
        use Code::{AuthorityAuthRequired as Auth, AuthorityInvalid as Invalid, AuthorityTimeout as Timeout};
        use Code::{AuthorityUnreachable as Unreachable, RateLimited, UnknownOutcome as Unknown};
        [
            (
                "refused connection",
                |_| Say::lost(true),
                Unreachable,
                Unreachable,
                1,
            ),
            ("lost connection", |_| Say::lost(false), Unreachable, Unknown, 1),
            ("never", |_| Say::never(), Timeout, Unknown, 1),
            ("500", |_| Say::empty(500), Unreachable, Unknown, 1),
            (
                "502 html",
                |_| Say::body(502, "text/html", "bad gateway", End::Whole),
                Unreachable,
                Unknown,
                1,
            ),
            ("429", |_| Say::empty(429), RateLimited, RateLimited, 1),
            ("401", |_| Say::empty(401), Auth, Auth, 1),
            ("401 json", |seen| seen.refusal(401, -32000), Auth, Auth, 1),
            ("403", |_| Say::empty(403), Auth, Auth, 1),
            (
                "404 html",
                |_| Say::body(404, "text/html", "no", End::Whole),
                Invalid,
                Invalid,
                1,
            ),
            (
                "302",
                |_| Say::empty(302).with("location", "https://b.example/"),
                Invalid,
                Unknown,
                1,
            ),
            (
                "html",
                |_| Say::body(200, "text/html", "<p>hello", End::Whole),
                Invalid,
                Unknown,
                1,
            ),
            ("202", |_| Say::empty(202), Invalid, Unknown, 1),
            (
                "not json",
                |_| Say::body(200, "application/json", "{nope}", End::Whole),
                Invalid,
                Unknown,
                1,
            ),
            (
                "not utf-8",
                |_| Say::body(200, "application/json", b"\"\xff\"", End::Whole),
                Invalid,
                Unknown,
                1,
            ),
            (
                "wrong id",
                |_| Say::json(200, json!({"jsonrpc": "2.0", "id": 999, "result": {}})),
                Invalid,
                Unknown,
                1,
            ),
            (
                "too large",
                |seen| seen.result(json!({"x": "x".repeat(5000)})),
                Invalid,
                Unknown,
                1,
            ),
            (
                "announced too large",
                |seen| seen.result(json!({})).with("content-length", "5000"),
                Invalid,
                Unknown,
                1,
            ),
            (
                "endless stream",
                |_| Say::body(200, "text/event-stream", ": x\n\n".repeat(2000), End::Hangs),
                Invalid,
                Unknown,
                1,
            ),
            (
                "broken json",
                |_| Say::body(200, "application/json", "{\"jsonrpc\"", End::Broken),
                Unreachable,
                Unknown,
                2,
            ),
            (
                "broken stream",
                |_| Say::events(&[], End::Broken),
                Unreachable,
                Unknown,
                2,
            ),
            (
                "stream without response",
                |_| Say::events(&[], End::Whole),
                Unreachable,
                Unknown,
                2,
            ),
        ]
    };
    for (name, say, of_read, of_write, times) in table {
        let mut rig = Rig::new(modern(say));
        assert_eq!(rig.code(read()), of_read, "{name}");
        assert_eq!(rig.host.seen.len(), 1 + times, "{name}");
        let mut rig = Rig::new(modern(say));
        assert_eq!(rig.code(write()), of_write, "{name}");
        assert_eq!(rig.host.seen.len(), 2, "{name}: a write is sent once");
    }
}

#[test]
fn a_broken_read_is_issued_again_with_a_new_id() {
    let broken = [
        Say::events(&[], End::Broken),
        // Some hosts report a connection that was closed in the middle as a body's end.
        Say::body(200, "application/json", r#"{"jsonrpc":"2.0","id""#, End::Whole),
    ];
    for broken in broken {
        let mut broken = Some(broken);
        let mut rig = Rig::new(modern(move |seen| {
            broken.take().unwrap_or_else(|| seen.result(json!({"ok": 1})))
        }));
        assert_eq!(result_of(rig.call(read())), json!({"ok": 1}));
        assert_ne!(rig.host.seen[1].id, rig.host.seen[2].id);
    }
}

#[test]
fn names_the_limit_and_the_time_to_wait() {
    let mut rig = Rig::new(modern(|seen| seen.result(json!({"x": "x".repeat(5000)}))));
    let error = rig.call(read()).unwrap_err().error;
    assert!(error.message.contains("maxResponseBytes"), "{error}");
    let mut rig = Rig::new(modern(|_| Say::empty(429).with("retry-after", "3")));
    assert_eq!(
        rig.call(read()).unwrap_err().error.retry_after,
        Some(Millis(3000))
    );
    let mut rig = Rig::new(modern(|_| {
        Say::empty(503).with("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")
    }));
    rig.executor.advance(Millis(784_111_775_500));
    let error = rig.call(read()).unwrap_err().error;
    assert_eq!(error.retry_after, Some(Millis(1500)));
}

#[test]
fn passes_the_authoritys_errors_on_under_any_status() {
    for status in [200, 400, 403, 404, 422, 500, 503] {
        let mut rig = Rig::new(modern(move |seen| seen.refusal(status, -32602)));
        assert_eq!(error_of(rig.call(write())), -32602, "{status}");
        let mut rig = Rig::new(modern(move |_| {
            Say::json(
                status,
                json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "?"}}),
            )
        }));
        // Without our id it may be a gateway's word.
        match status {
            403 => assert_eq!(rig.code(write()), Code::AuthorityAuthRequired),
            500.. => assert_eq!(rig.code(write()), Code::UnknownOutcome),
            _ => assert_eq!(error_of(rig.call(write())), -32700, "{status}"),
        }
    }
}

/// What hangs, and the code of a read and of a write.
type Hang = (fn(&Seen) -> Say, Code, Code);

#[test]
fn the_deadline_ends_a_trip_at_every_step_and_frees_what_it_held() {
    let hang: [Hang; 3] = [
        (|_| Say::never(), Code::AuthorityTimeout, Code::AuthorityTimeout),
        (
            |seen| {
                if seen.method == "server/discover" {
                    seen.refusal(404, -32601)
                } else {
                    Say::never()
                }
            },
            Code::AuthorityTimeout,
            Code::AuthorityTimeout,
        ),
        (
            |seen| {
                if seen.method == "server/discover" {
                    seen.result(json!({"supportedVersions": ["2026-07-28"]}))
                } else {
                    Say::events(&[], End::Hangs)
                }
            },
            Code::AuthorityTimeout,
            Code::UnknownOutcome,
        ),
    ];
    for (say, of_read, of_write) in hang {
        for (trip, code) in [(read(), of_read), (write(), of_write)] {
            let mut rig = Rig::new(say);
            assert_eq!(rig.code(trip), code);
            assert_eq!(rig.now, TIMEOUT);
            assert_eq!(rig.host.aborted.len(), 1);
        }
    }
}

#[test]
fn a_write_that_the_host_never_took_has_no_effect() {
    let mut rig = Rig::new(modern(|seen| seen.result(json!({}))));
    rig.call(read()).unwrap();
    rig.start(write());
    // The flow asks for its fetch, and the host does not come for it in time.
    while rig.executor.step(rig.now, &mut rig.link, &mut rig.desk).is_some() {}
    rig.pass(rig.now + TIMEOUT);
    rig.run();
    assert_eq!(
        rig.outcomes.pop().unwrap().1.unwrap_err().error.code,
        Code::AuthorityTimeout
    );
    assert_eq!(
        rig.host.methods(),
        ["server/discover", "resources/read"],
        "the fetch was withdrawn"
    );
}

#[test]
fn a_write_refused_for_its_headers_is_not_unknown_when_time_runs_out() {
    let mut rig = Rig::new(modern(|_| Say::never()));
    rig.start(write());
    rig.pump();
    rig.now = Millis(TIMEOUT.0 - 1_000);
    let late = rig.host.answer_late(|seen| seen.refusal(400, -32020));
    rig.executor.answer(late, &mut rig.desk);
    rig.run();
    assert_eq!(
        rig.host.methods(),
        ["server/discover", "tools/call", "tools/list"]
    );
    assert_eq!(
        rig.outcomes.pop().unwrap().1.unwrap_err().error.code,
        Code::AuthorityTimeout
    );
}

#[test]
fn a_flow_that_panics_fails_alone_where_the_host_catches_it() {
    extern crate std;
    use core::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;

    let mut rig = Rig::new(modern(|seen| seen.result(json!({}))));
    rig.start_flow(|mut io| {
        Box::pin(async move {
            let _held = io.timer(TIMEOUT);
            io.timer(Millis(5)).await;
            panic!("a fault of this crate")
        })
    });
    rig.start(read());
    rig.pump();
    rig.executor.fire(Millis(5), &mut rig.desk);
    assert!(catch_unwind(AssertUnwindSafe(|| rig.pump())).is_err());
    rig.pump();
    assert_eq!(rig.executor.timeout(Ctx::SHARED), None, "what it held is freed");
    let codes: Vec<_> = rig
        .outcomes
        .iter()
        .map(|(flight, outcome)| (flight.0, outcome.as_ref().err().map(|error| error.error.code)))
        .collect();
    assert_eq!(codes, [(2, None), (1, Some(Code::Internal))]);
    assert_eq!(result_of(rig.call(read())), json!({}));
}
