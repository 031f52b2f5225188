//! What a session hears of: its stream, and the resources that it subscribes to.

use super::sessions::{acknowledged, ends, in_session, notification, plain, replies};
use super::*;
use crate::limits::{MAX_SUBSCRIBED, MAX_SUBSCRIBED_BYTES};

#[test]
fn the_stream_of_a_session_tells_what_the_authority_tells() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    let came = bench.get(&id);
    assert!(came.forward().method == "subscriptions/listen");
    assert_eq!(
        came.forward().params,
        r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}"#
    );
    let begins = came.replies();
    assert!(begins.len() == 1 && begins[0].part.is_empty() && begins[0].event.is_some());
    assert!(
        bench
            .heard(came.flight(), &acknowledged(came.forward()))
            .is_empty()
    );
    let tagged = r#""_meta":{"io.modelcontextprotocol/subscriptionId":1}"#;
    let told = bench.heard(came.flight(), &notification("tools/list_changed", tagged));
    assert!(told[0].ticket == came.ticket() && told[0].event.is_some() && told[0].event != begins[0].event);
    assert_eq!(
        text(&told[0]),
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#
    );
    let told = bench.heard(
        came.flight(),
        &notification("prompts/list_changed", r#""_meta":{"a":1}"#),
    );
    assert!(text(&told[0]).ends_with(r#""params":{"_meta":{"a":1}}}"#));
    let another = bench.get(&id);
    assert!(another.status() == 409 && another.out.contains("stream_taken"));
    // Who left can come back.
    bench.core.cancel(came.ticket());
    assert_eq!(ends(&bench.due()), [came.flight()]);
    assert_eq!(bench.core.stats().subscriptions, 0);
    assert!(bench.get(&id).step.start.is_some());
    assert_eq!(Bench::new().get(&id).status(), 405);
}

#[test]
fn a_subscription_counts_once_the_authority_has_agreed() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    let subscribe = |n: &str, uri: &str| plain(n, "resources/subscribe", &format!(r#""uri":"{uri}""#));
    // Without a stream there is nobody to tell yet.
    assert_eq!(bench.post(&id, &subscribe("1", "a:1")).status(), 200);
    let (stream, first) = bench.listens_in(&id);
    let second = bench.post(&id, &subscribe("2", "b:1"));
    assert!(second.forward().params.contains(r#"["a:1","b:1"]"#));
    let updated = notification("resources/updated", r#""uri":"a:1""#);
    assert_eq!(
        bench.heard(first, &updated).len(),
        1,
        "heard until the next is there"
    );
    // Another one before the authority has answered.
    let third = bench.post(&id, &subscribe("3", "c:1"));
    assert_eq!(ends(&third.due), [second.flight()]);
    let acknowledgement = acknowledged(third.forward()).replace(r#","b:1""#, "");
    let answers = bench.heard(third.flight(), &acknowledgement);
    assert_eq!(ends(&bench.due()), [first]);
    assert_eq!(answers.len(), 2);
    assert!(answers[0].ticket == second.ticket() && text(&answers[0]).contains("invalid_params"));
    assert!(answers[1].ticket == third.ticket());
    assert_eq!(text(&answers[1]), r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
    let told = bench.heard(third.flight(), &updated);
    assert!(told[0].ticket == stream && text(&told[0]) == updated);
    let gone = bench.post(&id, &plain("4", "resources/unsubscribe", r#""uri":"a:1""#));
    assert_eq!(gone.status(), 200);
    assert!(
        gone.forward().params.contains(r#"["c:1"]"#),
        "{}",
        gone.forward().params
    );
    // It is not told of any more, whether the authority has heard of that or not.
    assert!(bench.heard(third.flight(), &updated).is_empty());
    let other = updated.replace("a:1", "c:1");
    assert_eq!(bench.heard(third.flight(), &other).len(), 1);
    bench.core.lost(third.flight());
    let back = bench.heard(third.flight(), &acknowledgement);
    assert_eq!(back.len(), 4, "all but what it gave up");
    // The authority refuses: those who wait hear of it, and what was agreed stays.
    bench.heard(gone.flight(), &acknowledged(gone.forward()));
    bench.due();
    let refused = bench.post(&id, &subscribe("5", "d:1"));
    let heard = bench.settle(refused.flight(), broken(Code::AuthorityInvalid));
    assert!(heard.replies.len() == 1 && text(&heard.replies[0].1).contains(r#""id":5,"error""#));
    assert_eq!(
        bench
            .heard(
                gone.flight(),
                &notification("resources/updated", r#""uri":"c:1""#)
            )
            .len(),
        1
    );
    let again = bench.post(&id, &subscribe("6", "e:1"));
    assert!(again.forward().params.contains(r#"["c:1","e:1"]"#));
    // The stream is left: who waits for more waits no longer.
    bench.core.cancel(stream);
    let due = bench.due();
    assert!(
        replies(&due)
            .iter()
            .any(|reply| reply.ticket == again.ticket() && reply.last)
    );
    assert_eq!(bench.core.stats().subscriptions, 0);
}

#[test]
fn whoever_waits_for_a_subscription_hears_of_the_sessions_end() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    let (stream, _) = bench.listens_in(&id);
    let waits = bench.post(&id, &plain("1", "resources/subscribe", r#""uri":"a:1""#));
    let came = bench.come(Verb::Delete, &ann(), 0, Some(&in_session(&id)), "");
    let ended: Vec<Ticket> = came.replies().iter().map(|reply| reply.ticket).collect();
    assert_eq!(ended, [stream, waits.ticket()]);
    assert!(came.replies().iter().all(|reply| reply.last));
    for ticket in came.step.cancel {
        bench.core.cancel(ticket);
    }
    let stats = bench.core.stats();
    assert_eq!((stats.subscriptions, stats.flights, stats.waiters), (0, 0, 0));
}

#[test]
fn what_the_former_listening_may_have_missed_is_told_once_the_newer_is_there() {
    for ended in [false, true] {
        let mut bench = Bench::keeping();
        let id = bench.opens();
        let (_, first) = bench.listens_in(&id);
        let newer = bench.post(&id, &plain("1", "resources/subscribe", r#""uri":"a:1""#));
        if ended {
            assert!(bench.settle(first, done("bye")).replies.is_empty());
        } else {
            bench.core.lost(first);
        }
        let heard = bench.heard(newer.flight(), &acknowledged(newer.forward()));
        assert!(heard[0].ticket == newer.ticket() && heard[0].last);
        assert_eq!(heard.len(), 5, "three lists and a resource: {heard:?}");
        let again = bench.post(&id, &plain("2", "resources/subscribe", r#""uri":"b:1""#));
        assert_eq!(
            bench.heard(again.flight(), &acknowledged(again.forward())).len(),
            1
        );
    }
}

#[test]
fn what_a_session_subscribes_to_is_bounded() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    let subscribe = |uri: &str| plain("1", "resources/subscribe", &format!(r#""uri":"{uri}""#));
    for n in 0..MAX_SUBSCRIBED {
        assert_eq!(
            bench.post(&id, &subscribe(&format!("a:{n}"))).out,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#
        );
    }
    assert!(
        bench.post(&id, &subscribe("a:0")).out.contains("result"),
        "known already"
    );
    assert!(bench.post(&id, &subscribe("b:")).out.contains("over_budget"));
    let id = bench.opens();
    let long = "u".repeat(8 << 10);
    for n in 0..MAX_SUBSCRIBED_BYTES / (8 << 10) {
        bench.post(&id, &subscribe(&format!("{n}{}", &long[1..])));
    }
    assert!(bench.post(&id, &subscribe("b:")).out.contains("over_budget"));
}
