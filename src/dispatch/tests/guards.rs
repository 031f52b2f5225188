//! Guards that a cache must not lose: each of these once let something through.

use super::*;

const SHARED: &str = r#"{
  "authority": "https://crm.example/mcp",
  "policy": [
    { "tool": "rates", "rule": "cache; max-age=60; stale-if-error=600; public" },
    { "tool": "get_*", "rule": "cache; max-age=60; stale-if-error=600" }
  ]
}"#;

fn shared() -> Bench {
    Bench::with(Config::parse(SHARED).unwrap())
}

/// Stale-if-error judges by the starter's floor only.
#[test]
fn stale_if_error_respects_every_waiters_own_write() {
    let mut b = shared();
    let f = b.trip(&ann(), "rates");
    b.settle(f, done("old"));
    // bob writes: what he sees must be newer from now on.
    let w = b.trip(&bob(), "write_x");
    b.settle(w, done("ok"));
    b.now += 61_000;
    let mut b2 = b;
    let (step, _) = b2.ask(&ann(), 1, &call(1, "rates", "{}"));
    let f = step.start.unwrap().0;
    let (step, _) = b2.ask(&bob(), 2, &call(2, "rates", "{}"));
    if step.start.is_some() {
        return; // bob travels on his own
    }
    let heard = b2.settle(f, broken(Code::AuthorityUnreachable));
    let to_bob = heard.replies.iter().find(|(ctx, _)| *ctx == Ctx(2)).unwrap();
    assert!(
        !text(&to_bob.1).contains("old"),
        "bob got what is older than his own write: {}",
        text(&to_bob.1)
    );
}

/// A write whose result is malformed: its outcome is not known to the agent.
#[test]
fn a_write_with_an_invalid_result_is_unknown() {
    let mut b = shared();
    let w = b.trip(&bob(), "write_x");
    let body = Body::Result(r#"{"structuredContent":{}}"#.into());
    let heard = b.settle(
        w,
        Ok(Answer {
            body,
            credential: None,
            learned: Vec::new(),
        }),
    );
    assert!(
        text(&heard.replies[0].1).contains("unknown_outcome"),
        "{}",
        text(&heard.replies[0].1)
    );
}

/// What may not be shared crosses principals through a joined trip.
#[test]
fn only_what_may_be_shared_reaches_another_principal() {
    let mut b = shared();
    let f = b.trip(&ann(), "rates");
    let m = call(2, "rates", "{}").replace(
        r#""_meta":{"#,
        r#""_meta":{"io.modelcontextprotocol/logLevel":"debug","#,
    );
    let (step, _) = b.ask(&bob(), 2, &m);
    if step.start.is_some() {
        return; // bob travels on his own
    }
    let mut heard = Heard::default();
    b.core.relay(f, r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"ann's account 4711"}}"#, &mut heard);
    let leaked = heard.replies.iter().any(|(ctx, _)| *ctx == Ctx(2));
    let body = Body::Result(
        r#"{"resultType":"input_required","requestState":"ann-secret","inputRequests":{}}"#.into(),
    );
    let heard = b.settle(
        f,
        Ok(Answer {
            body,
            credential: None,
            learned: Vec::new(),
        }),
    );
    let to_bob = heard.replies.iter().find(|(ctx, _)| *ctx == Ctx(2)).unwrap();
    assert!(
        !leaked && !text(&to_bob.1).contains("ann-secret"),
        "log leaked: {leaked}; {}",
        text(&to_bob.1)
    );
}

/// 401 wipes the partition.
#[test]
fn a_refused_credential_wipes_the_partition() {
    let mut b = shared();
    let f = b.trip(&ann(), "get_a");
    b.settle(f, done("secret"));
    let f = b.trip(&ann(), "get_b");
    b.settle(f, broken(Code::AuthorityAuthRequired));
    assert!(b.state(&ann(), "get_a").is_none(), "still served after 401");
}

/// An older trip for a shared key replaces a newer answer.
#[test]
fn an_older_answer_never_replaces_a_newer() {
    let mut b = shared();
    let old = b.trip(&ann(), "rates");
    let w = b.trip(&bob(), "write_x");
    b.settle(w, done("ok"));
    let (step, _) = b.ask(&bob(), 2, &call(2, "rates", "{}"));
    let new = step.start.expect("bob must not join").0;
    b.settle(new, done("new"));
    let (_, hit) = b.ask(&ann(), 1, &call(5, "rates", "{}"));
    assert!(hit.contains("new"));
    b.settle(old, done("old"));
    let (_, hit) = b.ask(&ann(), 1, &call(6, "rates", "{}"));
    assert!(!hit.contains("\"old\""), "{hit}");
}

/// A change the authority announces within a trip.
#[test]
fn an_announced_change_makes_entries_stale() {
    let mut b = shared();
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let (step, _) = b.ask(&ann(), 1, list);
    let body =
        Body::Result(r#"{"resultType":"complete","tools":[],"ttlMs":60000,"cacheScope":"private"}"#.into());
    b.settle(
        step.start.unwrap().0,
        Ok(Answer {
            body,
            credential: None,
            learned: Vec::new(),
        }),
    );
    assert!(matches!(b.ask(&ann(), 1, list).0.served, Served::Reply { .. }));
    let f = b.trip(&ann(), "get_a");
    let mut heard = Heard::default();
    b.core.relay(
        f,
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
        &mut heard,
    );
    assert!(
        matches!(b.ask(&ann(), 1, list).0.served, Served::Wait(_)),
        "served from before the change"
    );
}

/// Unknown outcome, shared entry fetched meanwhile by another.
#[test]
fn while_unsettled_a_shared_entry_of_another_is_not_served() {
    let mut b = shared();
    let w = b.trip(&bob(), "write_x");
    b.settle(w, broken(Code::UnknownOutcome));
    b.now += 1000;
    let f = b.trip(&ann(), "rates");
    b.settle(f, done("before bob's write lands"));
    assert!(
        b.state(&bob(), "rates").is_none(),
        "bob hits what may predate his own write"
    );
}

/// Unknown outcome of a partition forgotten meanwhile.
#[test]
fn an_unknown_outcome_of_a_forgotten_partition_still_forbids_storing() {
    let mut c = Config::parse(SHARED).unwrap();
    c.limits.max_partitions = 1;
    let mut b = Bench::with(c);
    let w = b.trip(&bob(), "write_x");
    let _ = b.trip(&ann(), "get_z");
    b.settle(w, broken(Code::UnknownOutcome));
    let f = b.trip(&bob(), "get_a");
    b.settle(f, done("x"));
    assert!(
        b.state(&bob(), "get_a").is_none(),
        "stored while the outcome is unknown"
    );
}

#[test]
fn debug_hides_the_token() {
    let request = crate::border::HttpRequest {
        method: "POST",
        url: "https://a/".into(),
        headers: Vec::from([("authorization".into(), "Bearer s3cret".into())]),
        body: Vec::new(),
    };
    let shown = format!(
        "{:?}",
        crate::Output::Fetch {
            op: crate::OpId(1),
            request
        }
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn annotations_do_not_multiply_long_names() {
    // 256 KiB of name, 2000 siblings: pending holds 500 MiB.
    let mut siblings = String::new();
    for n in 0..2000 {
        siblings.push_str(&format!(r#""p{n}":{{}},"#));
    }
    siblings.push_str(r#""z":{"type":"string","x-mcp-header":"Z"}"#);
    let schema = format!(
        r#"{{"type":"object","properties":{{"{}":{{"type":"object","properties":{{{siblings}}}}}}}}}"#,
        "n".repeat(256 << 10)
    );
    std::eprintln!("schema bytes {}", schema.len());
    let before = rss_peak();
    let _ = crate::mcp::headers::annotations(&schema);
    let grown = rss_peak().saturating_sub(before);
    assert!(
        grown < 64 << 10,
        "peak grew by {grown} KiB for a schema of {} KiB",
        schema.len() >> 10
    );
}

fn rss_peak() -> u64 {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn deep_json() {
    let n = 400_000;
    let deep = format!("{}{}", "[".repeat(n), "]".repeat(n));
    let mut b = shared();
    let (step, _) = b.ask(&ann(), 1, &call(1, "get_a", &format!(r#"{{"x":{deep}}}"#)));
    let f = step.start.unwrap().0;
    let body = Body::Result(format!(r#"{{"content":[],"structuredContent":{{"x":{deep}}}}}"#));
    b.settle(
        f,
        Ok(Answer {
            body,
            credential: None,
            learned: Vec::new(),
        }),
    );
}
