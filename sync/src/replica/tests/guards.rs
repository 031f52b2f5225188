//! Guards that a replica must not lose: each of these once let something through.

use super::*;
use alloc::string::ToString;
use leeward::border::Credential;

fn text(world: &World) -> Vec<alloc::string::String> {
    world.results().iter().map(ToString::to_string).collect()
}

/// Another credential, then an outage: the old credential's answer is served.
#[test]
fn an_outage_does_not_excuse_another_credentials_answer() {
    let mut out = false;
    let mut world = World::with(
        r#"{"authority": "https://a.example/mcp", "policy": [{"tool": "get_*", "rule": "cache; max-age=60; stale-if-error=600"}]}"#,
        None,
        move |seen| {
            if seen.method == "tools/call" {
                if core::mem::replace(&mut out, true) {
                    return Say::lost(true);
                }
                return seen.result(
                    json!({"resultType": "complete", "content": [{"type":"text","text":"of grant A"}]}),
                );
            }
            answer(seen)
        },
    );
    world.replica = Replica::new(
        world.replica.config().clone(),
        Host {
            credentials: true,
            ..Host::default()
        },
    );
    let mut world = world.seeded();
    world.host.credential = Ok(Some(Credential {
        token: "a".into(),
        identity: Some("grant-a".into()),
        expires_in: None,
    }));
    world.wait(0, &call(1, "get_x"));
    world.pump();
    world.now = world.now + Millis(61_000);
    world.host.credential = Ok(Some(Credential {
        token: "b".into(),
        identity: Some("grant-b".into()),
        expires_in: None,
    }));
    world.wait(0, &call(2, "get_x"));
    world.run();
    let last = text(&world).pop().unwrap();
    assert!(!last.contains("of grant A"), "{last}");
}

/// A write that its caller gave up before it was sent is sent all the same.
#[test]
fn a_write_given_up_before_it_was_sent_is_not_sent() {
    let mut first = true;
    let mut world = World::new(None, move |seen| {
        if seen.method == "server/discover" && core::mem::take(&mut first) {
            return Say::never();
        }
        answer(seen)
    });
    let ticket = world.wait(0, &call(1, "book_x"));
    world.pump();
    world.handle(0, Input::Cancel { ticket });
    world.pump();
    // The agent asks again; then the authority wakes up.
    world.wait(0, &call(2, "book_x"));
    world.pump();
    if world.host.open() > 0 {
        let input = world.host.answer_late(answer);
        world.handle(0, input);
    }
    world.run();
    assert_eq!(world.trips("tools/call"), 1, "the effect is doubled");
}

/// A gateway's 504 in JSON-RPC dress: the write may have taken effect.
#[test]
fn a_gateways_5xx_leaves_a_write_unknown() {
    let mut world = World::new(None, |seen| {
        if seen.method == "tools/call" {
            return Say::json(
                504,
                json!({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"upstream timed out"}}),
            );
        }
        answer(seen)
    });
    world.wait(0, &call(1, "book_x"));
    world.run();
    let last = text(&world).pop().unwrap();
    assert!(last.contains("unknown_outcome"), "{last}");
}

/// The same for a read: an outage, which stale-if-error covers.
#[test]
fn a_gateways_5xx_is_an_outage_for_a_read() {
    let mut out = false;
    let mut world = World::with(
        r#"{"authority": "https://a.example/mcp", "policy": [{"tool": "get_*", "rule": "cache; max-age=60; stale-if-error=600"}]}"#,
        None,
        move |seen| {
            if seen.method == "tools/call" && core::mem::replace(&mut out, true) {
                return Say::json(503, json!({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"unavailable"}}));
            }
            answer(seen)
        },
    ).seeded();
    world.wait(0, &call(1, "get_x"));
    world.pump();
    world.now = world.now + Millis(61_000);
    world.wait(0, &call(2, "get_x"));
    world.run();
    let last = text(&world).pop().unwrap();
    assert!(last.contains("detail=offline"), "{last}");
}

/// A context that was silent too long, but lives: its request hangs for ever.
#[test]
fn a_context_thought_dead_still_gets_an_answer() {
    let mut world = World::new(Some(LEASE), hangs(1));
    world.wait(1, &call(1, "book_x"));
    world.pump();
    // Both were frozen; the other one runs first.
    world.now = world.now + LEASE + Millis(1);
    world.handle(2, Input::Tick);
    world.pump();
    world.handle(1, Input::Tick);
    world.run();
    assert_eq!(
        world.results().len(),
        1,
        "timeout: {:?}",
        world.replica.poll_timeout(Ctx(1))
    );
}

/// `initialize` and `server/discover` where the authority lacks discovery.
#[test]
fn agents_connect_where_the_authority_lacks_discovery() {
    let mut world = World::new(None, |seen| {
        if seen.method == "tools/call" {
            return answer(seen);
        }
        seen.refusal(404, -32601)
    });
    world.wait(0, &json!({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}));
    world.run();
    let last = text(&world).pop().unwrap();
    assert!(last.contains("protocolVersion"), "{last}");
}

/// A sent write whose flow panicked, where the host catches it.
#[test]
fn cancel_by_notification_frees_the_context() {
    let mut world = World::new(Some(LEASE), hangs(1));
    let mut out = Vec::new();
    let caller = Caller::Principal("ann".into());
    let mut say = |world: &mut World, m: &Value| {
        let m = m.to_string();
        let now = world.clock();
        let served = world.replica.serve(
            now,
            Request {
                caller: &caller,
                ctx: Ctx(1),
                connection: 9,
                headers: None,
                negotiated: None,
                message: m.as_bytes(),
                verb: leeward::Verb::Post,
                peek: false,
            },
            &mut out,
        );
        world.called(Ctx(1));
        served
    };
    say(&mut world, &call(5, "get_x"));
    world.pump();
    say(
        &mut world,
        &json!({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}),
    );
    world.pump();
    assert_eq!(world.replica.stats().waiters, 0);
    assert_eq!(
        world.replica.poll_timeout(Ctx(1)),
        None,
        "the context still beats: its ticket was kept"
    );
}

/// The clock goes on and back between two messages: the answer stored before is served as fresh.
#[test]
fn a_clock_that_steps_back_between_messages_makes_answers_stale() {
    let mut world = World::new(None, answer).seeded();
    world.wait(0, &call(1, "get_a"));
    world.pump();
    assert!(matches!(
        world.serve_as(0, &call(2, "get_a"), true).0,
        Served::Reply { .. }
    ));
    world.now = world.now + Millis(2_500);
    world.handle(0, Input::Tick);
    world.now = world.now.since(Millis(1));
    world.handle(0, Input::Tick);
    assert_eq!(world.serve_as(0, &call(3, "get_a"), true).0, Served::Absent);
}
