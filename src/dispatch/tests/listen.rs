//! Subscriptions: what is heard, by whom, and what it makes stale.

use super::*;
use crate::limits::{MAX_LISTEN_BYTES, MAX_LISTENS, MAX_LISTENS_PER_PRINCIPAL};
use crate::mcp::subscription::Change;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
const ALL: &str = r#"{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["crm://1"]}"#;

fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{META}}}}}"#)
}

pub(super) fn listen(id: &str, filter: &str) -> String {
    request(
        id,
        "subscriptions/listen",
        &format!(r#""notifications":{filter},"#),
    )
}

fn acknowledgement(filter: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":4711}},"notifications":{filter}}}}}"#
    )
}

fn changed(what: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/{what}","params":{{"_meta":{{"a":1,"io.modelcontextprotocol/subscriptionId":4711}}}}}}"#
    )
}

fn updated(uri: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#)
}

const HINTED: &str = r#""ttlMs":60000,"cacheScope":"private","resultType":"complete""#;

impl Bench {
    fn starts(&mut self, who: &Caller, ctx: u64, message: &str) -> FlightId {
        let (step, out) = self.ask(who, ctx, message);
        step.start.unwrap_or_else(|| panic!("no trip: {out}")).0
    }

    /// A subscription of ann's, acknowledged as asked.
    pub(super) fn listens(&mut self, id: &str, filter: &str) -> FlightId {
        let flight = self.starts(&ann(), 9, &listen(id, filter));
        assert_eq!(self.hears(flight, &acknowledgement(filter)).len(), 1);
        flight
    }

    fn hears(&mut self, flight: FlightId, raw: &str) -> Vec<String> {
        let mut heard = Heard::default();
        assert!(!self.core.relay(flight, raw, &mut heard));
        heard
            .replies
            .iter()
            .map(|(_, reply)| text(reply).into())
            .collect()
    }

    /// Stores an answer.
    fn store(&mut self, method: &str, params: &str, members: &str) {
        let flight = self.starts(&ann(), 1, &request("1", method, params));
        let body = Body::Result(format!("{{{members},{HINTED}}}"));
        let answer = Answer {
            body,
            credential: None,
            learned: Vec::new(),
        };
        let heard = self.settle(flight, Ok(answer));
        assert!(
            heard.replies[0].1.provenance.unwrap().stored,
            "{}",
            text(&heard.replies[0].1)
        );
    }

    fn fill(&mut self) {
        for (method, params, members) in STORED {
            if !self.has(method, params) {
                self.store(method, params, members);
            }
        }
    }

    fn has(&mut self, method: &str, params: &str) -> bool {
        let message = request("1", method, params);
        let request = Request {
            caller: &ann(),
            ctx: Ctx(1),
            connection: 1,
            headers: None,
            negotiated: None,
            message: message.as_bytes(),
            verb: crate::Verb::Post,
            peek: true,
        };
        matches!(
            self.core.serve(self.now(), request, &mut Vec::new()).served,
            Served::Reply { .. }
        )
    }

    /// Which of what [`Bench::fill`] stored is gone.
    fn stale(&mut self) -> Vec<&'static str> {
        let stale = STORED
            .iter()
            .filter(|(method, params, _)| !self.has(method, params));
        stale.map(|(method, ..)| *method).collect()
    }
}

const STORED: &[(&str, &str, &str)] = &[
    (
        "server/discover",
        "",
        r#""supportedVersions":["2026-07-28"],"capabilities":{}"#,
    ),
    ("tools/list", "", r#""tools":[]"#),
    ("prompts/list", "", r#""prompts":[]"#),
    ("resources/list", "", r#""resources":[]"#),
    ("resources/templates/list", "", r#""resourceTemplates":[]"#),
    ("resources/read", r#""uri":"crm://1","#, r#""contents":[]"#),
    (
        "tools/call",
        r#""name":"get_x","arguments":{},"#,
        r#""content":[]"#,
    ),
];

#[test]
fn every_message_carries_the_agents_own_id_and_is_else_as_it_was() {
    for id in ["7", r#""listen:1""#] {
        let mut bench = Bench::new();
        let flight = bench.starts(&ann(), 9, &listen(id, r#"{"toolsListChanged":true,"x":["1"]}"#));
        let ack = bench.hears(flight, &acknowledgement(ALL));
        assert_eq!(
            ack,
            [format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}},"notifications":{{"toolsListChanged":true}}}}}}"#
            )],
            "only what was asked for"
        );
        let told = bench.hears(
            flight,
            &changed("tools/list_changed").replace(r#"{"_meta""#, r#"{ "x" : [1],"_meta""#),
        );
        assert_eq!(
            told,
            [format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{{"x":[1],"_meta":{{"a":1,"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
            )]
        );
        let bare = bench.hears(
            flight,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
        );
        assert!(
            bare[0].contains(&format!(
                r#""params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#
            )),
            "{}",
            bare[0]
        );
        let end = bench.settle(flight, done("ignored"));
        let (ctx, reply) = &end.replies[0];
        assert!(
            *ctx == Ctx(9)
                && reply.last
                && text(reply).starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#))
        );
        assert!(
            text(reply).contains(&format!(
                r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id},"#
            )),
            "{}",
            text(reply)
        );
    }
}

#[test]
fn only_what_was_agreed_to_is_heard_and_nothing_before_that() {
    let mut bench = Bench::new();
    let flight = bench.starts(
        &ann(),
        9,
        &listen(
            "1",
            r#"{"promptsListChanged":true,"resourceSubscriptions":["crm://1","crm://2"]}"#,
        ),
    );
    assert!(bench.hears(flight, &changed("prompts/list_changed")).is_empty());
    bench.hears(
        flight,
        &acknowledgement(r#"{"promptsListChanged":true,"resourceSubscriptions":["crm://1"]}"#),
    );
    assert!(bench.hears(flight, &acknowledgement(ALL)).is_empty(), "told once");
    for (message, heard) in [
        (changed("prompts/list_changed"), 1),
        (changed("tools/list_changed"), 0),
        (changed("resources/list_changed"), 0),
        (changed("resources/updated"), 0),
        (changed("message"), 0),
        (updated("crm://1"), 1),
        (updated("crm://1/part"), 1),
        (updated("crm://2"), 0),
    ] {
        assert_eq!(bench.hears(flight, &message).len(), heard, "{message}");
    }
}

#[test]
fn news_make_stale_what_they_are_about_and_every_tools_results() {
    for (message, lost) in [
        (changed("tools/list_changed"), &["tools/list", "tools/call"][..]),
        (changed("prompts/list_changed"), &["prompts/list", "tools/call"]),
        (
            changed("resources/list_changed"),
            &["resources/list", "resources/templates/list", "tools/call"],
        ),
        (updated("crm://2"), &["resources/read", "tools/call"]),
        (changed("message"), &[]),
    ] {
        let mut bench = Bench::new();
        bench.fill();
        let flight = bench.starts(&bob(), 9, &listen("1", ALL));
        let slow = bench.starts(&ann(), 1, &call(1, "get_slow", "{}"));
        bench.hears(flight, &message);
        assert_eq!(bench.stale(), lost, "{message}");
        let stored = bench.settle(slow, done("old")).replies[0].1.serial.is_some();
        assert_eq!(stored, lost.is_empty(), "what was under way: {message}");
    }
}

#[test]
fn a_gap_ends_freshness_but_not_what_an_outage_excuses() {
    let mut bench = Bench::new();
    bench.fill();
    let flight = bench.listens(
        "1",
        r#"{"toolsListChanged":true,"resourceSubscriptions":["crm://1"]}"#,
    );
    assert_eq!(bench.stale(), [""; 0]);
    bench.core.lost(flight);
    assert_eq!(bench.stale(), ["tools/list", "resources/read"]);
    bench.fill();
    assert_eq!(bench.stale(), [""; 0], "fetched in the gap");
    let told = bench.hears(flight, &acknowledgement(ALL));
    assert_eq!(
        bench.stale(),
        ["tools/list", "resources/read"],
        "and not known to be as it was"
    );
    let said: Vec<bool> = ["notifications/tools/list_changed", r#""uri":"crm://1""#]
        .iter()
        .zip(&told)
        .map(|(said, told)| {
            told.contains(said) && told.contains(r#""io.modelcontextprotocol/subscriptionId":1}"#)
        })
        .collect();
    assert_eq!((said, told.len()), ([true, true].into(), 2), "{told:?}");
    assert!(
        bench.hears(flight, &acknowledgement(ALL)).is_empty(),
        "one gap, one time"
    );
}

#[test]
fn in_doubt_is_still_served_when_the_authority_is_gone() {
    let config = CONFIG.replace(
        r#""policy": ["#,
        r#""policy": [{ "resource": "crm://1", "rule": "cache; max-age=60; stale-if-error=600" },"#,
    );
    let mut bench = Bench::with(Config::parse(&config).unwrap());
    bench.fill();
    let flight = bench.listens("1", ALL);
    bench.core.lost(flight);
    let read = request("1", "resources/read", r#""uri":"crm://1","#);
    let trip = bench.starts(&ann(), 1, &read);
    let heard = bench.settle(trip, broken(Code::AuthorityUnreachable));
    assert!(
        text(&heard.replies[0].1).contains("detail=offline"),
        "{}",
        text(&heard.replies[0].1)
    );
    bench.hears(flight, &updated("crm://1"));
    let trip = bench.starts(&ann(), 1, &read);
    let heard = bench.settle(trip, broken(Code::AuthorityUnreachable));
    assert!(
        text(&heard.replies[0].1).contains("authority_unreachable"),
        "known to be old"
    );
}

#[test]
fn an_authority_that_takes_its_word_back_ends_it() {
    for second in [r#"{"toolsListChanged":true}"#, r#"{"toolsListChanged":7}"#, "[]"] {
        let mut bench = Bench::new();
        let flight = bench.listens("1", ALL);
        bench.core.lost(flight);
        let mut heard = Heard::default();
        assert!(
            bench.core.relay(flight, &acknowledgement(second), &mut heard),
            "{second}"
        );
        assert!(heard.replies[0].1.last && text(&heard.replies[0].1).contains("authority_invalid"));
        assert_eq!(bench.core.stats().subscriptions, 0);
    }
}

#[test]
fn a_stream_that_fails_leaves_doubt_and_one_that_ends_does_not() {
    for (outcome, stale) in [(broken(Code::AuthorityInvalid), 6), (done(""), 0)] {
        let mut bench = Bench::new();
        bench.fill();
        let flight = bench.listens("1", ALL);
        let heard = bench.settle(flight, outcome);
        assert!(heard.replies[0].1.last);
        // All but the discovery and the tool's result.
        assert_eq!(bench.stale().len(), stale.min(5));
    }
}

#[test]
fn whoever_reads_too_slowly_is_told_that_it_missed_something() {
    let mut bench = Bench::new();
    let flight = bench.listens("1", ALL);
    let mut full = Heard {
        room: Some(0),
        ..Heard::default()
    };
    assert!(
        bench
            .core
            .relay(flight, &changed("tools/list_changed"), &mut full)
    );
    assert_eq!(full.replies.len(), 1);
    assert!(full.replies[0].1.last && text(&full.replies[0].1).contains("over_budget"));

    let (step, _) = bench.ask(&ann(), 9, &listen("2", ALL));
    let (Served::Wait(ticket), Some((flight, _))) = (step.served, step.start) else {
        panic!("it travels")
    };
    let mut heard = Heard::default();
    assert_eq!(bench.core.dropped(ticket, &mut heard), Some(flight));
    assert!(heard.replies[0].1.last && text(&heard.replies[0].1).contains("over_budget"));
    assert_eq!(bench.core.dropped(ticket, &mut heard), None);
    let (step, _) = bench.ask(&ann(), 9, &call(3, "get_x", "{}"));
    let Served::Wait(ticket) = step.served else {
        panic!("it travels")
    };
    assert_eq!(
        bench.core.dropped(ticket, &mut heard),
        None,
        "progress may be missed"
    );
}

#[test]
fn subscriptions_have_limits_of_their_own() {
    let mut config = Config::parse(CONFIG).unwrap();
    config.limits = Limits {
        max_waiters: 1,
        max_flights: 1,
        ..Limits::default()
    };
    let mut bench = Bench::with(config);
    let first = bench.starts(&ann(), 1, &listen("1", ALL));
    for n in 1..MAX_LISTENS_PER_PRINCIPAL {
        bench.starts(&ann(), 1, &listen(&n.to_string(), ALL));
    }
    let (_, out) = bench.ask(&ann(), 1, &listen("1", ALL));
    assert!(out.contains("over_budget") && out.contains("principal"), "{out}");
    bench.trip(&ann(), "get_x");
    let stats = bench.core.stats();
    assert_eq!((stats.flights, stats.waiters), (1, 1));
    for n in MAX_LISTENS_PER_PRINCIPAL..MAX_LISTENS {
        let who = Caller::Principal(format!("p{n}"));
        bench.starts(&who, 1, &listen("1", ALL));
    }
    let (_, out) = bench.ask(&bob(), 1, &listen("1", ALL));
    assert!(
        out.contains("over_budget") && out.contains("subscriptions"),
        "{out}"
    );
    assert_eq!(bench.core.stats().subscriptions as usize, MAX_LISTENS);
    bench.settle(first, done(""));
    let padded = |bytes: usize| {
        let bare = listen("1", ALL);
        bare.replace(
            META,
            &format!(r#""x":"{}",{META}"#, "x".repeat(bytes - bare.len() - 7)),
        )
    };
    let (step, out) = bench.ask(&bob(), 1, &padded(MAX_LISTEN_BYTES + 1));
    assert!(matches!(step.served, Served::Reply { status: 413, .. }) && out.contains("too_large"));
    bench.starts(&bob(), 1, &padded(MAX_LISTEN_BYTES));
}

#[test]
fn a_change_made_here_is_told_to_those_who_listen_for_it() {
    let mut bench = Bench::new();
    bench.listens("1", r#"{"toolsListChanged":true}"#);
    bench.listens("2", r#"{"promptsListChanged":true}"#);
    let silent = bench.starts(&ann(), 9, &listen("3", ALL));
    let mut heard = Heard::default();
    assert!(bench.core.announce(Change::Tools, &mut heard).is_empty());
    assert_eq!(heard.replies.len(), 1);
    assert_eq!(
        text(&heard.replies[0].1),
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1}}}"#
    );
    bench.core.relay(silent, &acknowledgement(ALL), &mut heard);
    heard.room = Some(0);
    let mut ended = bench.core.announce(Change::Resources, &mut heard);
    assert_eq!((ended.pop(), ended.pop()), (Some(silent), None));
}

#[test]
fn capabilities_promise_what_is_carried_and_no_more() {
    let told = r#"{"tools":{"listChanged":true},"resources":{"subscribe":true,"x":1},"extensions":{}}"#;
    let kept = r#""capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"x":1}}"#;
    for versions in [r#"["2026-07-28"]"#, r#"["2025-11-25"]"#] {
        let discover = request("1", "server/discover", "");
        let init = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}"#;
        for (message, kept) in [
            (&*discover, kept),
            (init, r#""capabilities":{"tools":{},"resources":{"x":1}}"#),
        ] {
            let mut bench = Bench::new();
            let flight = bench.starts(&ann(), 1, message);
            let body = Body::Result(format!(
                r#"{{"supportedVersions":{versions},"capabilities":{told}}}"#
            ));
            let answer = Answer {
                body,
                credential: None,
                learned: Vec::new(),
            };
            let heard = bench.settle(flight, Ok(answer));
            assert!(
                text(&heard.replies[0].1).contains(kept),
                "{}",
                text(&heard.replies[0].1)
            );
        }
    }
    let mut alone = Bench::with(Config::default());
    let (_, out) = alone.ask(&ann(), 1, &request("1", "server/discover", ""));
    assert!(
        out.contains(r#""capabilities":{"tools":{"listChanged":true}}"#),
        "{out}"
    );
    alone.starts(&ann(), 1, &listen("1", ALL));
}

#[test]
fn is_never_looked_up_or_joined_and_ends_with_its_agent() {
    let mut bench = Bench::new();
    let first = bench.starts(&ann(), 1, &listen("1", ALL));
    let second = bench.starts(&ann(), 2, &listen("1", ALL));
    assert_ne!(first, second);
    assert_eq!(bench.core.forget(Ctx(2)), [second]);
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let given_up = bench.ask(&ann(), 1, cancelled).0.cancel;
    assert_eq!(given_up.len(), 1, "its own connection's");
    assert_eq!(bench.core.cancel(given_up[0]), Some(first));
    assert!(
        !bench
            .core
            .relay(first, &changed("tools/list_changed"), &mut Heard::default())
    );
    assert_eq!(bench.core.stats().subscriptions, 0);
}
