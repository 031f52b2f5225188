//! What an authority hears of what is given up.

use alloc::borrow::ToOwned as _;

use super::*;
use crate::limits::{FAREWELL, MAX_FAREWELLS};
use crate::testing::End;

const CANCELLED: &str = "notifications/cancelled";

/// Lets the session's requests hang as `hangs` says.
fn holding(hangs: fn() -> Say) -> Rig {
    holding_and(hangs, || Say::empty(202))
}

/// The same, with what becomes of the cancellation.
fn holding_and(hangs: fn() -> Say, cancelled: fn() -> Say) -> Rig {
    Rig::new(legacy(move |seen| match &*seen.method {
        CANCELLED => cancelled(),
        _ => hangs(),
    }))
}

impl Rig {
    fn cancel(&mut self, task: TaskId) {
        self.executor.cancel(task, &mut self.link, &mut self.desk);
        self.pump();
    }

    fn count(&self, method: &str) -> usize {
        self.host.seen.iter().filter(|seen| seen.method == method).count()
    }

    /// The one request of this method.
    fn the(&self, method: &str) -> &Seen {
        assert_eq!(self.count(method), 1, "{:?}", self.host.methods());
        self.host.seen.iter().find(|seen| seen.method == method).unwrap()
    }
}

#[test]
fn a_session_is_told_of_a_request_that_is_given_up() {
    let silent: [fn() -> Say; 3] = [
        Say::never,
        || Say::events(&[], End::Hangs),
        || Say::events_from("id: e\nretry: 10\ndata:\n\n", &[], End::Whole),
    ];
    for hangs in silent {
        let mut rig = holding(hangs);
        let task = rig.start(read());
        rig.pump();
        rig.cancel(task);
        let (request, told) = (rig.the("resources/read"), rig.the(CANCELLED));
        assert_eq!(
            told.params,
            json!({"requestId": request.id, "reason": "the client gave it up"})
        );
        assert!(told.id.is_null());
        for header in ["mcp-session-id", "mcp-protocol-version"] {
            assert!(told.header(header).is_some());
            assert_eq!(told.header(header), request.header(header));
        }
        assert_eq!((rig.host.open(), rig.executor.timeout(Ctx::SHARED)), (0, None));
    }
}

#[test]
fn a_session_is_told_of_a_request_whose_time_is_up() {
    for trip in [read(), write()] {
        let mut rig = holding(Say::never);
        let method = trip.method.clone();
        assert!(rig.call(trip).is_err());
        assert_eq!(rig.the(CANCELLED).params["requestId"], rig.the(&method).id);
    }
}

#[test]
fn nobody_is_told_of_what_has_its_answer() {
    let answers: [fn(&Seen) -> Say; 5] = [
        |seen| seen.result(json!({})),
        |seen| {
            let answer = json!({"jsonrpc": "2.0", "id": seen.id, "result": {}});
            Say::events(&[answer], End::Hangs)
        },
        |seen| seen.refusal(200, -32603),
        |_| Say::empty(500),
        |_| Say::lost(false),
    ];
    for answer in answers {
        let mut rig = Rig::new(legacy(answer));
        let _ = rig.call(write());
        assert_eq!(rig.count("tools/call"), 1);
        assert_eq!(rig.count(CANCELLED), 0);
    }
}

#[test]
fn nobody_is_told_of_what_nobody_has() {
    let mut rig = holding(Say::never);
    let first = rig.start(read());
    rig.pump();
    rig.cancel(first);
    let second = rig.start(read());
    assert!(rig.executor.step(rig.now, &mut rig.link, &mut rig.desk).is_none());
    rig.cancel(second);
    assert_eq!((rig.count("resources/read"), rig.count(CANCELLED)), (1, 1));
}

#[test]
fn neither_initialize_nor_what_stands_alone_is_cancelled_by_a_message() {
    let mut rig = Rig::new(|seen: &Seen| match &*seen.method {
        "server/discover" => Say::empty(404),
        _ => Say::never(),
    });
    let task = rig.start(read());
    rig.pump();
    rig.cancel(task);
    assert_eq!(rig.host.methods(), ["server/discover", "initialize"]);
    let mut rig = Rig::new(modern(|_| Say::never()));
    let task = rig.start(read());
    rig.pump();
    rig.cancel(task);
    assert_eq!(rig.host.methods(), ["server/discover", "resources/read"]);
}

#[test]
fn a_farewell_that_is_not_taken_is_given_up() {
    let mut rig = holding_and(Say::never, Say::never);
    let task = rig.start(read());
    rig.pump();
    rig.cancel(task);
    assert_eq!((rig.host.open(), rig.count(CANCELLED)), (1, 1));
    assert_eq!(rig.executor.timeout(Ctx::SHARED), Some(FAREWELL));
    rig.run();
    assert_eq!(rig.now, FAREWELL);
}

#[test]
fn a_farewell_that_is_lost_is_over() {
    let mut rig = holding_and(Say::never, || Say::lost(true));
    let task = rig.start(read());
    rig.pump();
    rig.cancel(task);
    assert_eq!(
        (rig.count(CANCELLED), rig.executor.timeout(Ctx::SHARED)),
        (1, None)
    );
}

#[test]
fn farewells_beyond_their_limit_are_left_out() {
    let mut rig = holding_and(Say::never, Say::never);
    for round in [1, 2] {
        let tasks: Vec<_> = (0..=MAX_FAREWELLS).map(|_| rig.start(read())).collect();
        rig.pump();
        for task in tasks {
            rig.cancel(task);
        }
        assert_eq!(rig.count(CANCELLED), round * MAX_FAREWELLS);
        rig.run();
    }
}

#[test]
fn who_stops_listening_ends_the_session_of_it() {
    let mut rig = Rig::new(legacy(|seen| match &*seen.method {
        "GET" => Say::events(&[], End::Hangs),
        _ => Say::empty(200),
    }));
    let task = rig.start(Forward {
        method: "subscriptions/listen".into(),
        name: None,
        params: r#""notifications":{"toolsListChanged":true}"#.into(),
        ..read()
    });
    rig.pump();
    let session = rig.the("GET").header("mcp-session-id").map(str::to_owned);
    rig.cancel(task);
    assert_eq!(rig.the("DELETE").header("mcp-session-id"), session.as_deref());
    assert_eq!((rig.host.open(), rig.executor.timeout(Ctx::SHARED)), (0, None));
}
