//! Batches of 2025-03-26.

use super::sessions::{Came, Headers, NEW, after, initialize, notification, plain, replies, tool};
use super::*;
use crate::limits::MAX_BATCH;
use crate::mcp::names::BATCHED;

fn batch(messages: &[String]) -> String {
    format!("[{}]", messages.join(" , "))
}

/// The trips that a batch starts.
fn starts(came: &Came) -> Vec<FlightId> {
    let mut all = Vec::new();
    for due in &came.due {
        if let Due::Start(flight, _) = due {
            all.push(*flight);
        }
    }
    all
}

impl Bench {
    fn opens_batched(&mut self) -> String {
        self.opens_as(&ann(), &initialize(BATCHED, "{}"))
    }
}

#[test]
fn what_needs_no_waiting_is_answered_at_once_as_an_array() {
    let mut bench = Bench::keeping();
    let id = bench.opens_batched();
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_string();
    let response = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#.to_string();
    let messages = [
        plain("1", "ping", ""),
        initialized.clone(),
        plain("2", "nothing/known", ""),
        "7".into(),
        response.clone(),
        initialize(BATCHED, "{}"),
    ];
    let came = bench.post(&id, &batch(&messages));
    assert_eq!(came.status(), 200);
    assert!(
        came.out.starts_with(
            r#"[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"error":{"code":-32601"#
        ),
        "{}",
        came.out
    );
    let answers = crate::json::elements(&came.out).unwrap();
    assert_eq!(answers.len(), 4);
    assert!(answers[2].contains("-32600") && !answers[2].contains(r#""id""#));
    assert!(answers[3].contains("initialized already"));
    let nothing = bench.post(&id, &batch(&[initialized, response]));
    assert!(nothing.status() == 202 && nothing.out.is_empty());
    assert_eq!(bench.core.stats().waiters, 0);
}

#[test]
fn what_is_waited_for_comes_as_one_array_and_what_precedes_it_at_once() {
    let mut bench = Bench::keeping();
    let id = bench.opens_batched();
    let progress =
        tool("3", "peek_x").replace(r#""arguments""#, r#""_meta":{"progressToken":"p"},"arguments""#);
    let came = bench.post(
        &id,
        &batch(&[
            tool("1", "set_x"),
            plain("2", "ping", ""),
            progress,
            tool("4", "get_x"),
            tool("5", "get_x"),
        ]),
    );
    let flights = starts(&came);
    assert!(
        came.step.start.is_none() && flights.len() == 3,
        "two are one trip"
    );
    assert!(bench.settle(flights[2], done("joined")).replies.is_empty());
    let params = format!(r#""progressToken":{},"progress":1"#, flights[1].0);
    let part = bench.heard(flights[1], &notification("progress", &params));
    assert!(part[0].ticket == came.ticket() && part[0].event.is_some());
    assert!(bench.settle(flights[1], done("peeked")).replies.is_empty());
    let heard = bench.settle(flights[0], done("set"));
    assert_eq!(heard.replies.len(), 1);
    let last = &heard.replies[0].1;
    assert!(last.last && last.ticket == came.ticket() && last.event.is_some() && last.provenance.is_none());
    let ids: Vec<_> = crate::json::elements(text(last))
        .unwrap()
        .into_iter()
        .map(|answer| {
            crate::json::Members::parse(answer)
                .unwrap()
                .raw("id")
                .unwrap()
                .to_string()
        })
        .collect();
    assert_eq!(ids, ["2", "4", "5", "3", "1"]);
    // It may be lost on the way, as any.
    let event = part[0].event.clone().unwrap();
    let back = bench.come(Verb::Get, &ann(), 0, Some(&after(&id, &event)), "");
    assert_eq!(back.replies()[0].part, last.part);
    // Without events there is nothing to come back for.
    let came = bench.post(&id, &batch(&[tool("6", "peek_x")]));
    let heard = bench.settle(starts(&came)[0], done("peeked"));
    assert!(heard.replies[0].1.event.is_none() && text(&heard.replies[0].1).starts_with("[{"));
}

#[test]
fn a_batch_goes_on_without_its_connection_and_less_what_is_given_up() {
    let mut bench = Bench::keeping();
    let id = bench.opens_batched();
    let came = bench.post(&id, &batch(&[tool("1", "peek_x"), tool("2", "peek_y")]));
    let flights = starts(&came);
    let cancelled = |id: &str| {
        plain("0", "notifications/cancelled", &format!(r#""requestId":{id}"#)).replace(r#""id":0,"#, "")
    };
    let first = bench.post(&id, &cancelled("1")).step.cancel[0];
    assert_eq!(bench.core.cancel(first), Some(flights[0]));
    assert!(bench.due().is_empty());
    let heard = bench.settle(flights[1], done("y"));
    assert_eq!(crate::json::elements(text(&heard.replies[0].1)).unwrap().len(), 1);
    // All of it.
    let came = bench.post(&id, &batch(&[tool("1", "peek_x"), tool("2", "peek_y")]));
    for ticket in bench
        .post(&id, &batch(&[cancelled("1"), cancelled("2")]))
        .step
        .cancel
    {
        assert!(bench.core.cancel(ticket).is_some());
    }
    let due = bench.due();
    assert!(
        replies(&due)[0].ticket == came.ticket() && replies(&due)[0].last && replies(&due)[0].part.is_empty()
    );
    // Without its connection.
    let came = bench.post(&id, &batch(&[tool("1", "peek_x")]));
    assert!(bench.core.detach(came.ticket()));
    assert!(bench.settle(starts(&came)[0], done("x")).replies.is_empty());
    assert_eq!(bench.core.stats().waiters, 0);
}

#[test]
fn an_event_of_a_batch_that_is_not_here_is_answered_for_all_its_requests() {
    let mut before = Bench::keeping();
    let id = before.opens_batched();
    let set = before.post(&id, &plain("0", "logging/setLevel", r#""level":"info""#));
    assert_eq!(set.status(), 200);
    let came = before.post(&id, &batch(&[tool("1", "set_x"), tool(r#""b""#, "peek_x")]));
    let log = notification("message", super::sessions::LOG);
    let event = before.heard(starts(&came)[0], &log)[0].event.clone().unwrap();
    let mut bench = Bench::keeping();
    bench.core.seed([8; 32]);
    let id = bench.opens_batched();
    let back = bench.come(Verb::Get, &ann(), 0, Some(&after(&id, &event)), "");
    let answer = text(back.replies()[0]).to_string();
    let answers = crate::json::elements(&answer).unwrap();
    assert!(
        answers[0].contains(r#""id":1,"error""#) && answers[1].contains(r#""id":"b","error""#),
        "{answer}"
    );
    assert!(answers.len() == 2 && answers.iter().all(|answer| answer.contains("unknown_outcome")));
}

#[test]
fn batches_are_bounded_and_of_their_revision_alone() {
    let mut bench = Bench::keeping();
    let id = bench.opens_batched();
    let many =
        |count: usize| -> Vec<String> { (0..count).map(|n| plain(&n.to_string(), "ping", "")).collect() };
    assert_eq!(bench.post(&id, &batch(&many(MAX_BATCH))).status(), 200);
    for wrong in [batch(&many(MAX_BATCH + 1)), "[]".into()] {
        let came = bench.post(&id, &wrong);
        assert!(
            came.status() == 400 && came.out.contains("a batch has 1 to 64"),
            "{}",
            came.out
        );
    }
    assert!(bench.post(&id, "[{").out.contains("parse_error"));
    let newer = bench.opens();
    let one = batch(&many(1));
    assert!(bench.post(&newer, &one).out.contains("invalid_request"));
    for connection in [0, 3] {
        assert!(
            bench
                .come(Verb::Post, &ann(), connection, None, &one)
                .out
                .contains("invalid_request")
        );
    }
    // Without a session none could be told: the newest is offered instead.
    let mut bench = Bench::new();
    let came = bench.come(
        Verb::Post,
        &ann(),
        0,
        Some(&Headers::new()),
        &initialize(BATCHED, "{}"),
    );
    let heard = bench.settle(came.flight(), super::sessions::discovered());
    assert!(text(&heard.replies[0].1).contains(&format!(r#""protocolVersion":"{NEW}""#)));
}

#[test]
fn a_connection_has_batches_too() {
    let mut bench = Bench::keeping();
    let on = |bench: &mut Bench, message: &str| bench.come(Verb::Post, &ann(), 3, None, message);
    let came = on(&mut bench, &initialize(BATCHED, "{}"));
    let heard = bench.settle(came.flight(), super::sessions::discovered());
    assert!(text(&heard.replies[0].1).contains(BATCHED));
    on(&mut bench, &plain("0", "logging/setLevel", r#""level":"info""#));
    let subscribe = plain("2", "resources/subscribe", r#""uri":"a:1""#);
    let stream = bench.come(Verb::Get, &ann(), 3, None, "");
    let came = on(&mut bench, &batch(&[tool("1", "set_x"), subscribe]));
    let [call, listen] = starts(&came)[..] else {
        panic!("{:?}", came.due)
    };
    let part = bench.heard(call, &notification("message", super::sessions::LOG));
    assert!(part[0].event.is_none() && part[0].ticket == came.ticket());
    let Some(Due::Start(_, Trip::Forward(forward))) = came
        .due
        .iter()
        .find(|due| matches!(due, Due::Start(id, _) if *id == listen))
    else {
        panic!("{:?}", came.due)
    };
    assert!(
        bench
            .heard(listen, &super::sessions::acknowledged(forward))
            .is_empty()
    );
    let heard = bench.settle(call, done("set"));
    assert!(heard.replies[0].1.ticket == came.ticket() && heard.replies[0].1.event.is_none());
    assert_eq!(crate::json::elements(text(&heard.replies[0].1)).unwrap().len(), 2);
    bench.core.cancel(stream.ticket());
}

#[test]
fn what_belongs_to_no_session_is_not_taken_in_a_batch() {
    let mut bench = Bench::keeping();
    let on = |bench: &mut Bench, message: &str| bench.come(Verb::Post, &ann(), 3, None, message);
    let came = on(&mut bench, &initialize(BATCHED, "{}"));
    bench.settle(came.flight(), super::sessions::discovered());
    let stateless = [
        super::listen::listen("1", r#"{"toolsListChanged":true}"#),
        call(2, "set_x", "{}"),
    ];
    let came = on(&mut bench, &batch(&stateless));
    assert!(starts(&came).is_empty());
    assert_eq!(crate::json::elements(&came.out).unwrap().len(), 2);
    assert!(
        came.out.contains(r#""id":1,"error":{"code":-32600"#),
        "{}",
        came.out
    );
}

#[test]
fn in_a_batch_no_host_is_asked_about_arguments() {
    let mut bench = Bench::keeping();
    bench.core.check_arguments();
    let definition = r#"{"name":"here","inputSchema":{"type":"object"}}"#;
    bench.core.register_tool(definition, None).unwrap();
    let id = bench.opens_batched();
    let alone = bench.post(&id, &tool("1", "here"));
    assert!(matches!(alone.step.served, Served::Check { .. }));
    let came = bench.post(&id, &batch(&[tool("2", "here")]));
    assert_eq!(starts(&came).len(), 1);
}
