//! Owners of flights, their heirs, and leases.

use alloc::collections::BTreeSet;

use leeward::border::Event;
use leeward::{Ctx, Input, Millis, Output, Served};
use serde_json::json;

use super::{LEASE, World, answer, call, hangs};
use crate::testing::{Say, Seen};

fn hundred_waiters(lose_owner: fn(&mut World)) -> World {
    let mut world = World::new(Some(LEASE), hangs(1));
    for ctx in 1..=100 {
        world.wait(ctx, &call(ctx, "get_a"));
        world.pump();
    }
    assert_eq!((world.trips("tools/call"), world.replica.stats().flights), (1, 1));
    lose_owner(&mut world);
    world.run();
    assert_eq!(world.trips("tools/call"), 2);
    let ids: BTreeSet<_> = world
        .results()
        .iter()
        .map(|reply| reply["id"].as_u64().unwrap())
        .collect();
    assert_eq!((world.results().len(), ids), (99, (2..=100).collect()));
    assert!(world.results().iter().all(|reply| reply["result"].is_object()));
    assert_eq!(
        (world.replica.stats().flights, world.replica.stats().waiters),
        (0, 0)
    );
    world
}

#[test]
fn an_heir_takes_over_at_once_when_the_owner_says_it_goes() {
    let world = hundred_waiters(|world| {
        world.handle(1, Input::Gone);
        world.vanish(1);
    });
    assert!(
        world
            .replies
            .iter()
            .all(|(ctx, reply)| ctx.0 + 1 == reply.ticket.0 + 1 && *ctx != Ctx(1))
    );
}

#[test]
fn an_heir_takes_over_at_the_end_of_the_lease_when_the_owner_is_silent() {
    let mut world = World::new(Some(LEASE), hangs(1));
    for ctx in [1, 2] {
        world.wait(ctx, &call(ctx, "get_a"));
        world.pump();
    }
    let start = world.now;
    world.run_until(start + Millis(20_000));
    assert_eq!(
        world.trips("tools/call"),
        1,
        "an owner that beats keeps its flight"
    );
    world.vanish(1);
    let vanished = world.now;
    let deadline = world.replica.poll_timeout(Ctx(2)).unwrap();
    assert!(deadline <= vanished + LEASE);
    world.run_until(vanished + LEASE);
    assert_eq!(world.trips("tools/call"), 2);
    assert_eq!(world.results().len(), 1);
    hundred_waiters(|world| world.vanish(1));
}

#[test]
fn a_probe_whose_owner_vanished_is_taken_over() {
    let mut first = true;
    let mut world = World::new(Some(LEASE), move |seen| {
        if core::mem::take(&mut first) {
            Say::never()
        } else {
            answer(seen)
        }
    });
    world.wait(1, &call(1, "get_a"));
    world.wait(2, &call(2, "set_b"));
    world.pump();
    assert_eq!(world.host.methods(), ["server/discover"]);
    let vanished = world.now;
    world.vanish(1);
    world.run_until(vanished + LEASE);
    assert_eq!(
        world.host.methods(),
        ["server/discover", "server/discover", "tools/call"]
    );
    assert_eq!(world.results().len(), 1);
}

#[test]
fn a_revalidation_that_nobody_waits_for_ends_with_its_owner() {
    let config = r#"{"authority": "https://a.example/mcp",
        "policy": [{"tool": "get_*", "rule": "cache; max-age=1; stale-while-revalidate=60"}]}"#;
    let mut calls = 0;
    let authority = move |seen: &Seen| {
        calls += usize::from(seen.method == "tools/call");
        if calls == 2 { Say::never() } else { answer(seen) }
    };
    let mut world = World::with(config, Some(LEASE), authority).seeded();
    world.wait(1, &call(1, "get_a"));
    world.run_until(world.now + Millis(1_500));
    for ctx in [2, 3] {
        assert!(matches!(
            world.serve(ctx, &call(ctx, "get_a")).0,
            Served::Reply { .. }
        ));
        world.pump();
        // The first one hangs, the second one is answered.
        assert_eq!(world.replica.stats().flights, 3 - ctx);
        world.handle(ctx, Input::Gone);
        assert_eq!(world.replica.stats().flights, 0);
    }
    assert_eq!(world.trips("tools/call"), 3);
}

#[test]
fn contexts_that_depend_on_something_beat_twice_a_lease() {
    let mut world = World::new(Some(LEASE), hangs(1));
    world.wait(1, &call(1, "get_a"));
    world.pump();
    let half = world.now + Millis(LEASE.0 / 2);
    assert!(world.replica.poll_timeout(Ctx(1)).unwrap() <= half);
    assert_eq!(world.replica.poll_timeout(Ctx(2)), None);
    // Silent for one lease it may be late, for two it is gone; a later call of it is harmless.
    for waiters in [1, 0] {
        world.now = world.now + Millis(LEASE.0 * 3);
        world.handle(2, Input::Tick);
        assert_eq!(world.replica.stats().waiters, waiters);
    }
    world.handle(1, Input::Tick);
    world.wait(1, &call(2, "get_a"));
    world.run();
    assert_eq!(world.results().len(), 1);
}

#[test]
fn a_sent_write_whose_owner_is_gone_is_never_sent_again() {
    let mut world = World::new(Some(LEASE), hangs(1));
    world.wait(1, &call(1, "set_a"));
    world.wait(2, &call(2, "set_a"));
    world.pump();
    assert_eq!(world.trips("tools/call"), 2);
    world.vanish(1);
    world.run();
    world.handle(3, Input::Tick);
    assert_eq!((world.trips("tools/call"), world.results().len()), (2, 1));
    assert_eq!(world.replica.stats().flights, 0);
}

#[test]
fn an_outcome_that_the_owner_took_with_it_is_reported_as_unknown() {
    let mut world = World::new(Some(LEASE), hangs(2));
    world.wait(1, &call(1, "set_a"));
    world.wait(2, &call(2, "get_b"));
    world.pump();
    world.vanish(1);
    world.run();
    let unknown = |event: &Event| matches!(event, Event::TripFailed { error, .. } if error.code == leeward::Code::UnknownOutcome);
    assert_eq!(world.events.iter().filter(|event| unknown(event)).count(), 1);
}

#[test]
fn a_local_tool_is_not_called_twice_but_a_local_resource_is_read_again() {
    let mut world = World::new(Some(LEASE), answer);
    world
        .replica
        .register_tool(
            r#"{"name":"here","inputSchema":{"type":"object"}}"#,
            Some("cache;max-age=9"),
        )
        .unwrap();
    world
        .replica
        .register_resource(r#"{"uri":"a:b","name":"b"}"#, Some("cache;max-age=9"))
        .unwrap();
    let read = |id: u64| {
        json!({"jsonrpc": "2.0", "id": id, "method": "resources/read", "params": {
            "uri": "a:b", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}}}})
    };
    for ctx in [1, 2] {
        world.wait(ctx, &call(ctx, "here"));
        world.wait(ctx, &read(10 + ctx));
        world.pump();
    }
    assert_eq!(world.replica.stats().flights, 2);
    world.host.local = Some(Ok(br#"{"contents":[]}"#.to_vec()));
    world.handle(1, Input::Gone);
    world.vanish(1);
    world.pump();
    let results = world.results();
    assert_eq!(results.len(), 2);
    for result in results {
        match result["id"].as_u64() {
            Some(2) => assert_eq!(result["error"]["data"]["code"], "unknown_outcome"),
            _ => assert!(result["result"].is_object(), "{result}"),
        }
    }
}

#[test]
fn the_last_waiter_leaving_ends_a_read_that_another_context_owns() {
    let mut world = World::new(Some(LEASE), hangs(1));
    let ticket = world.wait(1, &call(1, "get_a"));
    world.wait(2, &call(2, "get_a"));
    world.pump();
    world.handle(1, Input::Cancel { ticket });
    world.pump();
    assert_eq!(world.host.open(), 1);
    world.handle(2, Input::Gone);
    world.pump();
    assert_eq!((world.host.open(), world.replica.stats().flights), (0, 0));
    assert_eq!(world.replica.poll_timeout(Ctx(1)), None);
}

#[test]
fn names_a_woken_context_once_until_it_polls() {
    let mut world = World::new(Some(LEASE), hangs(1));
    for ctx in 1..=3 {
        world.wait(ctx, &call(ctx, "get_a"));
        world.pump();
    }
    let now = world.clock();
    world.replica.handle(now, Ctx(1), Input::Gone);
    let heir = world.replica.poll_woken().unwrap();
    assert!(heir == Ctx(2) || heir == Ctx(3));
    assert_eq!(world.replica.poll_woken(), None);
    world.replica.handle(now, Ctx(5 - heir.0), Input::Tick);
    assert_eq!(world.replica.poll_woken(), None);
    assert!(matches!(
        world.replica.poll_output(heir),
        Some(Output::Fetch { .. })
    ));
}
