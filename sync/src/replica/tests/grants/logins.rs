//! Users who consent while a request waits.

use super::*;

#[test]
fn a_user_consents_while_the_request_waits() {
    let agreed = Agreed::default();
    let mut world = world(USER, ABLE, &agreed);
    world.cabinet.user = Box::new(consents);
    world.ask(1, "book_a");
    assert_eq!(world.codes(), ["ok"]);
    assert_eq!(world.cabinet.shown.len(), 1);
    assert!(world.cabinet.shown[0].1.starts_with(PAGE));
}

/// The authority answered, and what is waited for is not its.
#[test]
fn a_user_who_takes_long_is_no_outage() {
    let agreed = Agreed::default();
    let mut world = world(USER, ABLE, &agreed);
    let callers = ["ann", "ben", "cyd", "dan", "eve", "fay"];
    assert!(callers.len() > crate::limits::MAX_FAILURES as usize);
    for (id, caller) in (1..).zip(callers) {
        world.caller = caller;
        world.ask(id, "book_a");
    }
    assert_eq!(world.cabinet.shown.len(), callers.len());
    world.run_until(world.now + Millis(61_000));
    assert_eq!(world.codes(), callers.map(|_| "authority_auth_required"));
    let stats = world.replica.stats();
    assert_eq!((stats.down, stats.withheld), (0, 0));
}

#[test]
fn a_login_outlives_the_requests_that_wait_for_it() {
    let agreed = Agreed::default();
    let mut world = world(USER, ABLE, &agreed);
    world.ask(1, "book_a");
    world.run_until(world.now + Millis(61_000));
    assert_eq!(world.codes(), ["authority_auth_required"]);
    assert_eq!(world.results()[0]["error"]["data"]["reason"], "login_required");
    let (op, url) = world.cabinet.shown[0].clone();
    let result = Ok(Callback::Query(redirect_of(&url)));
    world.handle(0, Input::Authorized { op, result });
    world.pump();
    world.ask(2, "book_b");
    assert_eq!((world.codes()[1].as_str(), world.cabinet.shown.len()), ("ok", 1));
}

#[test]
fn a_user_who_takes_time_keeps_nobody_else_from_finding_out() {
    let agreed = Agreed::default();
    let mut first = world(USER, ABLE, &agreed);
    first.caller = "ben";
    first.cabinet.user = Box::new(consents);
    first.ask(1, "get_a");
    let mut second = world(USER, ABLE, &agreed);
    second.cabinet.vault = first.cabinet.vault;
    second.cabinet.vault.retain(|key, _| !key.starts_with("era:"));
    second.ask(1, "get_a");
    assert_eq!(second.cabinet.shown.len(), 1, "ann is at the page");
    second.caller = "ben";
    second.ask(2, "get_a");
    assert_eq!(second.codes(), ["ok"]);
}

#[test]
fn whatever_is_refused_in_a_session_is_said_again_and_the_session_stays() {
    let agreed = Agreed::default();
    let revokes = agreed.clone();
    let mut world = world_of(CLIENT, ABLE, move |seen| {
        revokes.answer(seen, |seen| {
            // Each token is good for one request.
            revokes.revoke();
            match &*seen.method {
                "initialize" => seen
                    .result(json!({"protocolVersion": "2025-11-25", "capabilities": {}}))
                    .with("mcp-session-id", "s1"),
                "notifications/initialized" => Say::empty(202),
                "tools/call" if seen.header("mcp-session-id") == Some("s1") => {
                    seen.result(json!({"content": []}))
                }
                _ => Say::empty(400),
            }
        })
    });
    world.ask(1, "book_a");
    world.ask(2, "book_b");
    world.run();
    assert_eq!(world.codes(), ["ok", "ok"]);
    let heard = world.host.seen.iter();
    let heard: Vec<&Seen> = heard.filter(|seen| seen.http.url == AUTHORITY).collect();
    let said = [
        "server/discover",
        "server/discover",
        "initialize",
        "initialize",
        "notifications/initialized",
        "notifications/initialized",
        "tools/call",
        "tools/call",
        "tools/call",
        "tools/call",
    ];
    assert_eq!(heard.iter().map(|seen| &*seen.method).collect::<Vec<_>>(), said);
    let bare = heard.iter().filter(|seen| seen.header("authorization").is_none());
    assert_eq!(bare.count(), 1, "the first one alone");
}
