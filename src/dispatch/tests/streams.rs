//! Event streams of a session's requests: what an agent that lost its connection finds when it comes back.

use super::sessions::{Came, OLD, after, ends, initialize, notification, plain, replies, tool};
use super::*;
use crate::limits::{
    MAX_EVENTS_PER_STREAM, MAX_LOGGED_BYTES, MAX_LOGGED_BYTES_PER_SESSION, MAX_SESSIONS_PER_PRINCIPAL,
    MAX_STREAMS_PER_SESSION,
};

const INFO: &str = r#""level":"info""#;

fn log(text: &str) -> String {
    notification("message", &format!(r#""level":"info","data":"{text}""#))
}

impl Bench {
    /// A session that wants logs.
    fn logging(&mut self) -> String {
        let id = self.opens();
        self.post(
            &id,
            &plain("l", "logging/setLevel", INFO).replace(r#""id":l"#, r#""id":"l""#),
        );
        id
    }

    fn resumes_as(&mut self, who: &Caller, id: &str, event: &str) -> Came {
        self.come(Verb::Get, who, 0, Some(&after(id, event)), "")
    }

    fn resumes(&mut self, id: &str, event: &str) -> Came {
        self.resumes_as(&ann(), id, event)
    }
}

fn event(reply: &Reply) -> String {
    reply
        .event
        .clone()
        .unwrap_or_else(|| panic!("no event: {reply:?}"))
}

fn texts<'a>(replies: &[&'a Reply]) -> Vec<&'a str> {
    replies.iter().map(|reply| text(reply)).collect()
}

#[test]
fn a_stream_goes_on_without_its_connection_and_is_taken_up_again() {
    let mut bench = Bench::keeping();
    let id = bench.logging();
    let came = bench.post(&id, &tool("7", "set_x"));
    let begins = came.replies();
    assert!(begins.len() == 1 && begins[0].part.is_empty() && begins[0].ticket == came.ticket());
    let first = event(begins[0]);
    assert!(first.bytes().all(|byte| byte.is_ascii_graphic()));
    let one = bench.heard(came.flight(), &log("one"));
    assert!(one[0].ticket == came.ticket() && event(&one[0]) != first);
    assert!(
        bench.core.detach(came.ticket()),
        "a lost connection cancels nothing"
    );
    assert!(bench.heard(came.flight(), &log("two")).is_empty());
    // From the beginning, then only what came after.
    let back = bench.resumes(&id, &first);
    assert_eq!(texts(&back.replies()), [log("one"), log("two")]);
    assert!(
        back.replies()
            .iter()
            .all(|reply| reply.ticket == back.ticket() && !reply.last)
    );
    let again = bench.resumes(&id, &event(&one[0]));
    let ended: Vec<_> = again
        .replies()
        .into_iter()
        .filter(|reply| reply.ticket == back.ticket())
        .collect();
    assert!(
        ended.len() == 1 && ended[0].last && ended[0].part.is_empty(),
        "one at a time takes it"
    );
    assert_eq!(text(again.replies()[0]), log("two"));
    let heard = bench.settle(came.flight(), done("done"));
    let last = &heard.replies[0].1;
    assert!(last.ticket == again.ticket() && last.last && text(last).contains(r#""id":7"#));
    // The response, too, may be lost on the way.
    let lost = bench.resumes(&id, &event(again.replies()[0]));
    assert!(lost.replies()[0].last && lost.replies()[0].part == last.part);
    assert_eq!(event(lost.replies()[0]), event(last));
    let nothing = bench.resumes(&id, &event(last));
    assert!(nothing.replies()[0].last && nothing.replies()[0].part.is_empty());
}

#[test]
fn a_connection_whose_loss_is_noticed_late_or_twice_takes_nothing_along() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    let came = bench.post(&id, &tool("7", "set_x"));
    let first = event(came.replies()[0]);
    let back = bench.resumes(&id, &first);
    assert!(bench.core.detach(came.ticket()), "it was taken up meanwhile");
    assert!(bench.core.detach(back.ticket()) && bench.core.detach(came.ticket()));
    assert!(bench.core.is_awaited(came.flight()));
    let last = bench.resumes(&id, &first);
    let heard = bench.settle(came.flight(), done("set"));
    assert!(heard.replies[0].1.ticket == last.ticket());
    assert!(!bench.core.detach(came.ticket()) && !bench.core.detach(last.ticket()));
}

#[test]
fn what_comes_at_once_or_may_be_repeated_begins_no_stream() {
    let mut bench = Bench::keeping();
    let id = bench.logging();
    let came = bench.post(&id, &tool("1", "get_x"));
    assert!(came.due.is_empty());
    let heard = bench.settle(came.flight(), done("one"));
    assert!(heard.replies[0].1.event.is_none());
    let hit = bench.post(&id, &tool("2", "get_x"));
    assert!(hit.status() == 200 && hit.due.is_empty());
    // With an event, there is something to come back for; without one, nobody could.
    let came = bench.post(&id, &tool("3", "get_y"));
    bench.heard(came.flight(), &log("one"));
    assert!(bench.core.detach(came.ticket()));
    let came = bench.post(&id, &tool("4", "get_z"));
    assert!(!bench.core.detach(came.ticket()));
    assert!(bench.core.cancel(came.ticket()).is_some() && bench.due().is_empty());
    // Agents of earlier revisions do not expect an event without data.
    let old = bench.opens_as(&ann(), &initialize(OLD, "{}"));
    let came = bench.post(&old, &tool("5", "set_x"));
    assert!(came.due.is_empty());
    assert!(bench.core.detach(came.ticket()), "it may have an effect");
    assert!(bench.settle(came.flight(), done("one")).replies.is_empty());
    assert!(bench.get(&old).replies().is_empty());
}

#[test]
fn an_agent_that_takes_no_events_gets_its_answer_whatever_comes_before() {
    let mut bench = Bench::keeping();
    let id = bench.opens_as(&ann(), &initialize(super::sessions::NEW, r#"{"roots":{}}"#));
    bench.post(&id, &plain("1", "logging/setLevel", INFO));
    let mut headers = super::sessions::in_session(&id);
    headers.push(("accept".into(), "application/json".into()));
    let came = bench.come(Verb::Post, &ann(), 0, Some(&headers), &tool("7", "set_x"));
    assert!(came.due.is_empty(), "nothing begins");
    assert_eq!(came.forward().inputs, crate::mcp::input::Inputs::NONE);
    assert_eq!(bench.heard(came.flight(), &log("one")).len(), 1);
    assert!(
        !bench.core.fall_behind(came.ticket()),
        "the host has no room for it"
    );
    let heard = bench.settle(came.flight(), done("set"));
    let last = &heard.replies[0].1;
    assert!(last.ticket == came.ticket() && last.last && text(last).contains(r#""id":7"#));
}

#[test]
fn cancelling_counts_within_the_session_and_ends_its_stream() {
    let mut bench = Bench::keeping();
    let (id, other) = (bench.opens(), bench.opens());
    let came = bench.post(&id, &tool("7", "peek_x"));
    let first = event(came.replies()[0]);
    let cancelled = plain("0", "notifications/cancelled", r#""requestId":7"#).replace(r#""id":0,"#, "");
    assert!(bench.post(&other, &cancelled).step.cancel.is_empty());
    assert!(
        bench
            .come(Verb::Post, &ann(), 0, None, &cancelled)
            .step
            .cancel
            .is_empty()
    );
    // Also if the connection of the request was lost meanwhile.
    assert!(bench.core.detach(came.ticket()));
    let back = bench.resumes(&id, &first);
    assert_eq!(bench.post(&id, &cancelled).step.cancel, [came.ticket()]);
    assert_eq!(bench.core.cancel(came.ticket()), Some(came.flight()));
    let due = bench.due();
    assert!(
        replies(&due)[0].ticket == back.ticket() && replies(&due)[0].last && replies(&due)[0].part.is_empty()
    );
    // The stream's own request cannot be named by what is no id.
    bench.get(&id);
    let empty = cancelled.replace(r#""requestId":7"#, "");
    assert!(bench.post(&id, &empty).step.cancel.is_empty());
}

#[test]
fn a_stream_that_is_not_here_is_answered_for_the_request_it_was_of() {
    let mut before = Bench::keeping();
    let id = before.opens();
    let write = event(before.post(&id, &tool(r#""a\"b""#, "set_x")).replies()[0]);
    let read = event(before.post(&id, &tool("8", "peek_x")).replies()[0]);
    // Another replica: the same entropy would give the same names.
    let mut bench = Bench::keeping();
    bench.core.seed([8; 32]);
    let id = bench.opens();
    // With streams of the same numbers.
    for n in ["1", "2", "3"] {
        bench.post(&id, &tool(n, "peek_x"));
    }
    let flight = bench.trip(&ann(), "get_x");
    bench.settle(flight, done("one"));
    let came = bench.resumes(&id, &read);
    let answer = texts(&came.replies())[0].to_string();
    assert!(
        answer.contains(r#""id":8,"error""#) && answer.contains(r#""retryable":true"#),
        "{answer}"
    );
    assert!(bench.state(&ann(), "get_x").is_some());
    let came = bench.resumes(&id, &write);
    let answer = texts(&came.replies())[0].to_string();
    assert!(
        answer.contains(r#""id":"a\"b","error""#) && answer.contains("unknown_outcome"),
        "{answer}"
    );
    assert!(came.replies()[0].last);
    assert!(
        bench.state(&ann(), "get_x").is_none(),
        "the write may have changed it"
    );
    for wrong in [
        "",
        "1",
        "1-1-1-x31",
        "1-1-1-w",
        "0-1-1-w7b",
        "1-1-1-w3",
        "zz-1-1-w31",
        "1-0-1-w31",
        "1-1-1-w3120",
    ] {
        let came = bench.resumes(&id, wrong);
        assert!(
            came.status() == 400 && came.out.contains("last-event-id"),
            "{wrong}: {}",
            came.out
        );
    }
}

#[test]
fn nobody_resumes_the_stream_of_another() {
    let mut bench = Bench::keeping();
    let (id, other) = (bench.opens(), bench.opens());
    let bobs = bench.opens_as(&bob(), &initialize(super::sessions::NEW, "{}"));
    let came = bench.post(&id, &tool("7", "set_x"));
    let first = event(came.replies()[0]);
    bench.settle(came.flight(), done("secret"));
    assert_eq!(bench.resumes_as(&bob(), &id, &first).status(), 404);
    for (who, id) in [(ann(), &other), (bob(), &bobs)] {
        let came = bench.resumes_as(&who, id, &first);
        assert!(text(came.replies()[0]).contains("unknown_outcome"));
    }
    assert!(text(bench.resumes(&id, &first).replies()[0]).contains("secret"));
}

#[test]
fn a_sessions_own_stream_that_is_resumed_tells_of_everything_once() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    bench.post(&id, &plain("1", "resources/subscribe", r#""uri":"a:1""#));
    let came = bench.get(&id);
    let first = event(came.replies()[0]);
    bench.heard(came.flight(), &super::sessions::acknowledged(came.forward()));
    bench.core.cancel(came.ticket());
    bench.due();
    let back = bench.resumes(&id, &first);
    let told = bench.heard(back.flight(), &super::sessions::acknowledged(back.forward()));
    let methods = [
        "tools/list_changed",
        "prompts/list_changed",
        "resources/list_changed",
    ];
    let mut all: Vec<String> = methods.iter().map(|method| notification(method, "")).collect();
    all.push(notification("resources/updated", r#""uri":"a:1""#));
    let told: Vec<&str> = told.iter().map(text).collect();
    assert_eq!(told, all);
    // Also where the lost connection is still thought to be there, and after a restart.
    let third = bench.resumes(&id, "dead-0-1-r");
    assert!(third.replies()[0].ticket == back.ticket() && third.replies()[0].last);
    assert_eq!(ends(&third.due), [back.flight()]);
    let told = bench.heard(third.flight(), &super::sessions::acknowledged(third.forward()));
    assert_eq!(told.len(), 4);
    // An authority that ends the subscription: the agent may come back.
    let heard = bench.settle(third.flight(), done("bye"));
    assert!(heard.replies.is_empty());
    let due = bench.due();
    assert!(replies(&due)[0].ticket == third.ticket() && replies(&due)[0].last);
    assert!(bench.get(&id).step.start.is_some());
}

#[test]
fn an_agent_that_takes_nothing_has_to_come_back_for_it() {
    let mut bench = Bench::keeping();
    let id = bench.logging();
    let (stream, flight) = bench.listens_in(&id);
    let mut full = Heard {
        room: Some(0),
        ..Heard::default()
    };
    assert!(
        !bench
            .core
            .relay(flight, &notification("tools/list_changed", ""), &mut full)
    );
    let due = bench.due();
    assert!(replies(&due)[0].ticket == stream && replies(&due)[0].last && ends(&due) == [flight]);
    let (stream, _) = bench.listens_in(&id);
    assert!(bench.core.fall_behind(stream));
    assert!(replies(&bench.due())[0].last);
    let came = bench.post(&id, &tool("7", "set_x"));
    bench.heard(came.flight(), &log("one"));
    assert!(bench.core.fall_behind(came.ticket()) && !bench.core.fall_behind(came.ticket()));
    let due = bench.due();
    assert!(replies(&due)[0].ticket == came.ticket() && replies(&due)[0].part.is_empty());
    assert_eq!(
        texts(&bench.resumes(&id, &event(came.replies()[0])).replies()),
        [log("one")]
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let mut bench = Bench::keeping();
    let id = bench.logging();
    // Streams: the finished ones give way, then new ones go without.
    let came: Vec<Came> = (0..MAX_STREAMS_PER_SESSION)
        .map(|n| bench.post(&id, &tool(&n.to_string(), "set_x")))
        .collect();
    let beyond = bench.post(&id, &tool("100", "set_x"));
    assert!(beyond.due.is_empty());
    assert!(
        bench.settle(beyond.flight(), done("one")).replies[0]
            .1
            .event
            .is_none()
    );
    bench.settle(came[5].flight(), done("one"));
    assert_eq!(bench.post(&id, &tool("101", "set_x")).replies().len(), 1);
    let gone = bench.resumes(&id, &event(came[5].replies()[0]));
    assert!(text(gone.replies()[0]).contains("unknown_outcome"));
    // Events.
    for n in 0..=MAX_EVENTS_PER_STREAM {
        bench.heard(came[0].flight(), &log(&n.to_string()));
    }
    let kept = bench.resumes(&id, &event(came[0].replies()[0]));
    assert_eq!(
        kept.replies().len(),
        MAX_EVENTS_PER_STREAM + 1,
        "and the end of the former"
    );
    assert_eq!(text(kept.replies()[0]), log("1"));
    // Bytes of a session.
    let large = log(&"x".repeat(MAX_LOGGED_BYTES_PER_SESSION / 2 - 50_000));
    for _ in 0..3 {
        bench.heard(came[1].flight(), &large);
    }
    let kept = bench.resumes(&id, &event(came[1].replies()[0]));
    assert_eq!(kept.replies().len(), 3, "two of them");
    let heard = bench.settle(came[2].flight(), done(&"x".repeat(MAX_LOGGED_BYTES_PER_SESSION)));
    assert!(heard.replies[0].1.event.is_some(), "sent, but not kept");
    let lost = bench.resumes(&id, &event(came[2].replies()[0]));
    assert!(text(lost.replies()[0]).contains("unknown_outcome"));
}

#[test]
fn what_has_ended_keeps_no_room_from_others() {
    let mut bench = Bench::keeping();
    let size = MAX_LOGGED_BYTES_PER_SESSION - 1000;
    for _ in 0..MAX_LOGGED_BYTES / size {
        let id = bench.opens();
        let came = bench.post(&id, &tool("1", "set_x"));
        bench.settle(came.flight(), done(&"x".repeat(size)));
    }
    let id = bench.opens_as(&bob(), &initialize(super::sessions::NEW, "{}"));
    let headers = super::sessions::in_session(&id);
    let came = bench.come(Verb::Post, &bob(), 0, Some(&headers), &tool("1", "set_x"));
    bench.settle(came.flight(), done(&"y".repeat(size)));
    let back = bench.resumes_as(&bob(), &id, &event(came.replies()[0]));
    assert!(
        text(back.replies()[0]).contains("yyy"),
        "{}",
        back.replies().len()
    );
}

#[test]
fn what_is_kept_for_all_is_bounded() {
    let mut bench = Bench::keeping();
    let large = log(&"x".repeat(MAX_LOGGED_BYTES_PER_SESSION - 1000));
    let sessions = MAX_LOGGED_BYTES / large.len();
    assert!(sessions < MAX_SESSIONS_PER_PRINCIPAL);
    let mut kept = Vec::new();
    for _ in 0..=sessions {
        let id = bench.logging();
        let came = bench.post(&id, &tool("1", "set_x"));
        assert_eq!(bench.heard(came.flight(), &large).len(), 1);
        kept.push((id, event(came.replies()[0]), came.flight()));
    }
    let found: Vec<bool> = kept
        .iter()
        .map(|(id, first, _)| bench.resumes(id, first).replies()[0].part.len() == large.len())
        .collect();
    assert_eq!(found.iter().filter(|found| **found).count(), sessions);
    assert!(!found[sessions]);
    // What has ended gives its room back.
    let gone = super::sessions::in_session(&kept[0].0);
    bench.come(Verb::Delete, &ann(), 0, Some(&gone), "");
    let (id, first, flight) = &kept[sessions];
    bench.heard(*flight, &large);
    assert_eq!(bench.resumes(id, first).replies()[0].part.len(), large.len());
}
