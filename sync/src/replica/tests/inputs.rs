//! Entropy, cancellation, time, limits, and inputs of any kind.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use leeward::limits::{MAX_CONTEXTS, MAX_OUTPUTS};
use leeward::{Ctx, Failure, Input, Millis, OpId, Output, Served, Ticket};
use serde_json::{Value, json};

use super::{CONFIG, LEASE, World, answer, call, hangs};
use crate::testing::{End, Say};

#[test]
fn asks_for_entropy_first_and_again_when_it_is_too_short() {
    let mut world = World::with(CONFIG, None, answer);
    world.host.entropy = 31;
    world.wait(0, &call(1, "get_a"));
    assert!(matches!(
        world.replica.poll_output(Ctx(3)),
        Some(Output::Entropy { bytes: 32, .. })
    ));
    world.replica.handle(world.clock(), Ctx(3), Input::Gone);
    let asked = world.replica.poll_output(Ctx(4));
    assert!(matches!(asked, Some(Output::Entropy { .. })));
    world.replica.handle(world.clock(), Ctx(4), Input::Gone);
    world.run();
    // Answered all the same, but nothing is cached.
    assert_eq!(world.results().len(), 1);
    assert_eq!(world.replica.stats().stored, 0);
    world.host.entropy = 32;
    for id in [2, 3] {
        world.wait(0, &call(id, "get_a"));
        world.run_until(world.now);
    }
    assert_eq!(world.trips("tools/call"), 3);
    assert!(matches!(
        world.serve(0, &call(4, "get_a")).0,
        Served::Reply { status: 200, .. }
    ));
}

#[test]
fn drops_answers_to_questions_that_the_host_has_not_taken_yet() {
    let mut world = World::new(None, answer);
    world.wait(0, &call(1, "get_a"));
    for op in 0..10 {
        world.handle(
            0,
            Input::Head {
                op: OpId(op),
                status: 200,
                headers: Vec::new(),
            },
        );
        let failure = Failure {
            before_send: true,
            message: String::new(),
        };
        world.handle(
            0,
            Input::Failed {
                op: OpId(op),
                failure,
            },
        );
    }
    world.run();
    assert!(world.results()[0]["result"].is_object());
}

#[test]
fn cancelling_one_waiter_ends_nothing_and_cancelling_the_last_frees_everything() {
    let mut world = World::new(None, hangs(1));
    let first = world.wait(0, &call(1, "get_a"));
    let second = world.wait(0, &call(2, "get_a"));
    world.pump();
    world.handle(0, Input::Cancel { ticket: first });
    world.pump();
    assert_eq!((world.host.open(), world.replica.stats().flights), (1, 1));
    for _ in 0..2 {
        world.handle(0, Input::Cancel { ticket: second });
        world.pump();
    }
    assert_eq!((world.host.open(), world.replica.stats().flights), (0, 0));
    assert_eq!(world.replica.poll_timeout(Ctx(0)), None);
    world.run();
    assert!(world.replies.is_empty());
}

#[test]
fn cancelling_withdraws_a_fetch_that_was_not_taken_and_a_reply_that_was_not_polled() {
    let mut world = World::new(None, answer);
    world.wait(0, &call(1, "get_a"));
    world.run();
    let ticket = world.wait(0, &call(2, "get_b"));
    world.handle(0, Input::Cancel { ticket });
    assert!(world.replica.poll_output(Ctx(0)).is_none());
    // A reply: everything but the reply is done by hand.
    let ticket = world.wait(0, &call(3, "get_c"));
    loop {
        let Some(output) = world.replica.poll_output(Ctx(0)) else {
            panic!("no end")
        };
        let input = world.host.act(output).unwrap();
        let ended = matches!(input, Input::End { .. });
        world.handle(0, input);
        if ended {
            break;
        }
    }
    world.handle(0, Input::Cancel { ticket });
    assert!(world.replica.poll_output(Ctx(0)).is_none());
}

#[test]
fn a_sent_write_goes_on_when_its_caller_leaves() {
    let mut world = World::new(None, hangs(1));
    let ticket = world.wait(0, &call(1, "set_a"));
    world.pump();
    world.handle(0, Input::Cancel { ticket });
    world.pump();
    assert_eq!((world.host.open(), world.replica.stats().flights), (1, 1));
    world.run();
    assert_eq!((world.host.open(), world.replica.stats().flights), (0, 0));
}

#[test]
fn a_trip_ends_at_its_timeout() {
    let mut world = World::new(None, hangs(usize::MAX));
    let start = world.now;
    world.wait(0, &call(1, "get_a"));
    world.wait(0, &call(2, "set_a"));
    world.run_until(start + Millis(60_000));
    let results = world.results();
    assert_eq!(results[0]["error"]["data"]["code"], "authority_timeout");
    assert_eq!(results[1]["error"]["data"]["code"], "unknown_outcome");
    assert_eq!(world.host.open(), 0);
}

#[test]
fn a_clock_that_steps_back_neither_fires_nor_hangs_a_deadline() {
    let mut world = World::new(None, hangs(usize::MAX));
    world.wait(0, &call(1, "get_a"));
    world.pump();
    world.now = Millis(31_000);
    world.handle(0, Input::Tick);
    world.now = Millis(0);
    world.handle(0, Input::Tick);
    world.pump();
    assert_eq!(world.replica.poll_timeout(Ctx(0)), Some(Millis(30_000)));
    world.run_until(Millis(29_999));
    assert!(world.replies.is_empty());
    world.run_until(Millis(30_000));
    assert_eq!(world.results()[0]["error"]["data"]["code"], "authority_timeout");
}

#[test]
fn peeking_starts_nothing() {
    let mut world = World::new(None, answer);
    assert_eq!(world.serve_as(0, &call(1, "get_a"), true).0, Served::Absent);
    world.run();
    assert!(world.host.seen.is_empty());
}

#[test]
fn drops_notifications_when_the_queue_is_full_but_never_the_response() {
    let mut world = World::new(None, |seen| {
        let token = &seen.params["_meta"]["progressToken"];
        let note = json!({"jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": token, "progress": 1}});
        let last =
            json!({"jsonrpc": "2.0", "id": seen.id, "result": {"resultType": "complete", "content": []}});
        let mut events = alloc::vec![note; MAX_OUTPUTS + 50];
        events.push(last);
        if seen.method == "tools/call" {
            Say::events(&events, End::Whole).whole()
        } else {
            answer(seen)
        }
    });
    world.wait(0, &call(1, "get_a"));
    world.run();
    assert_eq!(world.replies.len(), MAX_OUTPUTS + 1);
    assert_eq!(world.results().len(), 1);
}

#[test]
fn refuses_contexts_past_the_limit_and_still_serves_what_is_fresh() {
    let config = r#"{"authority": "https://a.example/mcp", "limits": {"maxWaiters": 10000},
        "policy": [{"tool": "get_*", "rule": "cache; max-age=60"}]}"#;
    let mut asked = 0;
    let mut world = World::with(config, Some(LEASE), move |seen| {
        asked += 1;
        if asked <= 2 { answer(seen) } else { Say::never() }
    })
    .seeded();
    world.wait(1, &call(1, "get_fresh"));
    world.pump();
    for ctx in 1..=MAX_CONTEXTS as u64 {
        world.wait(ctx, &call(ctx, "get_a"));
    }
    let beyond = MAX_CONTEXTS as u64 + 1;
    let (served, out) = world.serve(beyond, &call(7, "get_a"));
    assert!(matches!(served, Served::Reply { status: 503, .. }), "{served:?}");
    let refusal: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        (&refusal["id"], &refusal["error"]["data"]["code"]),
        (&json!(7), &json!("over_budget"))
    );
    assert!(matches!(
        world.serve(beyond, &call(8, "get_fresh")).0,
        Served::Reply { status: 200, .. }
    ));
    assert!(matches!(world.serve(5, &call(9, "get_a")).0, Served::Wait(_)));
    world.handle(77, Input::Gone);
    world.wait(beyond, &call(10, "get_a"));
}

#[test]
fn cuts_response_headers_past_the_limit() {
    let mut world = World::new(None, |seen| {
        let mut say = answer(seen).without_headers();
        for n in 0..leeward::limits::MAX_HEADERS {
            say = say.with(&alloc::format!("x-{n}"), "");
        }
        say.with("content-type", "application/json")
    });
    world.wait(0, &call(1, "get_a"));
    world.run();
    assert_eq!(world.results()[0]["error"]["data"]["code"], "authority_invalid");
}

/// Inputs of all kinds, mostly nonsense, in any order: nothing panics, every ticket gets one last reply or was
/// given up, and the end finds nothing left.
#[test]
fn survives_any_inputs_in_any_order() {
    for seed in 1..=60_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut draw = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let lease = (seed % 2 == 0).then_some(LEASE);
        let mut chaos = draw(u64::MAX) | 1;
        let mut world = World::new(lease, move |seen| {
            chaos = chaos.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match chaos >> 60 {
                0 => Say::never(),
                1 => Say::lost(false),
                2 => Say::lost(true),
                3 => Say::events(&[], End::Hangs),
                4 => Say::events(&[], End::Broken),
                5 => seen.refusal(400, -32000),
                6 => Say::empty(401),
                7 => Say::body(200, "text/html", "x", End::Whole),
                _ => answer(seen),
            }
        });
        let mut tickets = BTreeSet::new();
        let mut gave_up = BTreeSet::new();
        for step in 0..300 {
            let ctx = if lease.is_some() { draw(6) } else { 0 };
            match draw(12) {
                0..=3 => {
                    let tool = if draw(2) == 0 { "get_a" } else { "set_a" };
                    if let Served::Wait(ticket) = world.serve(ctx, &call(step, tool)).0 {
                        tickets.insert((ticket, Ctx(ctx)));
                    }
                }
                4 => world.handle(
                    ctx,
                    Input::Head {
                        op: OpId(draw(60)),
                        status: 200,
                        headers: Vec::new(),
                    },
                ),
                5 => world.handle(
                    ctx,
                    Input::Chunk {
                        op: OpId(draw(60)),
                        bytes: b"data: {}\n\n".to_vec(),
                    },
                ),
                6 => match draw(4) {
                    0 => world.handle(ctx, Input::End { op: OpId(draw(60)) }),
                    1 => {
                        let failure = Failure {
                            before_send: draw(2) == 0,
                            message: String::new(),
                        };
                        world.handle(
                            ctx,
                            Input::Failed {
                                op: OpId(draw(60)),
                                failure,
                            },
                        );
                    }
                    2 => world.handle(
                        ctx,
                        Input::Local {
                            op: OpId(draw(60)),
                            result: Ok(Vec::new()),
                        },
                    ),
                    _ => world.handle(
                        ctx,
                        Input::Credential {
                            op: OpId(draw(60)),
                            result: Ok(None),
                        },
                    ),
                },
                7 => {
                    let ticket = Ticket(draw(40));
                    gave_up.insert(ticket);
                    world.handle(ctx, Input::Cancel { ticket });
                }
                8 if draw(4) == 0 => {
                    world.handle(ctx, Input::Gone);
                    gave_up.extend(
                        tickets
                            .iter()
                            .filter(|(_, holder)| holder.0 == ctx)
                            .map(|(ticket, _)| *ticket),
                    );
                }
                9 => world.now = world.now + Millis(draw(3_000)),
                _ => world.pump_some(draw(5) as usize),
            }
        }
        world.run();
        let mut answered: Vec<_> = world
            .replies
            .iter()
            .filter(|(_, reply)| reply.last)
            .map(|(_, reply)| reply.ticket)
            .collect();
        let count = answered.len();
        answered.sort_unstable();
        answered.dedup();
        assert_eq!(answered.len(), count, "seed {seed}: one last reply per ticket");
        for (ticket, ctx) in tickets {
            // A context that is silent for a lease may lose its tickets.
            let lost = lease.is_some() && ctx != Ctx::SHARED;
            assert!(
                answered.contains(&ticket) || gave_up.contains(&ticket) || lost,
                "seed {seed}: {ticket:?} of {ctx:?}"
            );
        }
        let stats = world.replica.stats();
        assert_eq!((stats.flights, stats.waiters), (0, 0), "seed {seed}");
        assert!(
            world
                .alive
                .iter()
                .all(|ctx| world.replica.poll_output(*ctx).is_none())
        );
    }
}
