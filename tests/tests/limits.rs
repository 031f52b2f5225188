//! Every limit by name: each is reached by a test, here or beside the code that keeps it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use leeward::Code;
use leeward::limits::{
    MAX_CONTEXTS, MAX_EVENT_BYTES, MAX_HEADERS, MAX_LOCAL, MAX_OUTPUTS, MAX_PAGES, MAX_TOOLS,
};
use leeward_tests::authority::{Authority, End, Plan, error};
use leeward_tests::pair::{Kind, Pair};
use leeward_tests::run::Answer;
use leeward_tests::target::{Connection, Local, Pending, Setup, Target, Who};
use leeward_tests::wire::{MODERN, Message};
use serde_json::{Value, json};

const RULES: &[(&str, &str)] = &[("get_*", "cache;max-age=60"), ("put_*", "live")];

fn open(kind: Kind, setup: Setup) -> (Pair, Connection) {
    let mut pair = Pair::open(kind, setup).expect("a sound configuration");
    let ann = pair.connect(&Who::Principal("ann"), MODERN);
    (pair, ann)
}

fn ask(pair: &mut Pair, from: Connection, message: &Message) -> Answer {
    let pending = pair.start(from, message);
    finish(pair, pending)
}

fn finish(pair: &mut Pair, pending: Pending) -> Answer {
    Answer::new(pair.finish(pending))
}

fn ticket(n: usize) -> Message {
    Message::call("get_ticket", &format!(r#"{{"n":{n}}}"#)).id(&n.to_string())
}

#[test]
fn max_flights() {
    let (mut pair, ann) = open(Kind::InProcess, Setup::tools(RULES).limit("maxFlights", 3));
    ask(&mut pair, ann, &ticket(0)).result();
    pair.authority().hold();
    let pending: Vec<_> = (1..=3).map(|n| pair.start(ann, &ticket(n))).collect();
    ask(&mut pair, ann, &ticket(4)).fails(Code::OverBudget);
    assert!(ask(&mut pair, ann, &ticket(0)).cache().hit, "a hit needs no trip");
    let joined = pair.start(ann, &ticket(3));
    pair.authority().release();
    for pending in pending.into_iter().chain([joined]) {
        finish(&mut pair, pending).result();
    }
    ask(&mut pair, ann, &ticket(4)).result();
}

#[test]
fn max_waiters() {
    let (mut pair, ann) = open(Kind::InProcess, Setup::tools(RULES).limit("maxWaiters", 3));
    ask(&mut pair, ann, &ticket(0)).result();
    pair.authority().hold();
    let pending: Vec<_> = (1..=3).map(|_| pair.start(ann, &ticket(1))).collect();
    ask(&mut pair, ann, &ticket(1)).fails(Code::OverBudget);
    ask(&mut pair, ann, &ticket(2)).fails(Code::OverBudget);
    assert!(ask(&mut pair, ann, &ticket(0)).cache().hit);
    pair.authority().release();
    for pending in pending {
        finish(&mut pair, pending).result();
    }
    ask(&mut pair, ann, &ticket(2)).result();
}

#[test]
fn max_partitions() {
    let (mut pair, ann) = open(Kind::InProcess, Setup::tools(RULES).limit("maxPartitions", 2));
    let others = ["ben", "cyd"].map(|name| pair.connect(&Who::Principal(name), MODERN));
    ask(&mut pair, ann, &ticket(1)).result();
    ask(&mut pair, others[0], &ticket(1)).result();
    assert!(ask(&mut pair, ann, &ticket(1)).cache().hit);
    ask(&mut pair, others[1], &ticket(1)).result();
    assert!(ask(&mut pair, ann, &ticket(1)).cache().hit, "used after ben");
    assert!(
        !ask(&mut pair, others[0], &ticket(1)).cache().hit,
        "forgotten: starts empty"
    );
}

#[test]
fn max_cache_bytes() {
    let (mut pair, ann) = open(
        Kind::InProcess,
        Setup::tools(RULES).limit("maxCacheBytes", 20_000),
    );
    for n in 0..100 {
        ask(&mut pair, ann, &ticket(n)).result();
        assert!(pair.replica().stats().bytes <= 20_000);
    }
    assert!(pair.replica().stats().evicted > 0);
    assert!(ask(&mut pair, ann, &ticket(99)).cache().hit, "the latest stay");
    assert!(!ask(&mut pair, ann, &ticket(0)).cache().hit);
    pair.authority().once(
        "tools/call",
        None,
        Box::new(|seen| {
            Plan::result(
                &seen.id,
                &format!(
                    r#"{{"resultType":"complete","content":[],"x":"{}"}}"#,
                    "x".repeat(30_000)
                ),
            )
        }),
    );
    let large = ask(&mut pair, ann, &ticket(1000));
    large.result();
    assert!(!large.cache().stored, "larger than the whole budget");
    let (mut pair, ann) = open(Kind::InProcess, Setup::tools(RULES).limit("maxCacheBytes", 0));
    for _ in 0..2 {
        assert!(
            !ask(&mut pair, ann, &ticket(1)).cache().stored,
            "zero stores nothing"
        );
    }
}

#[test]
fn max_event_bytes() {
    let setup = Setup::tools(RULES).limit("maxResponseBytes", 3 * MAX_EVENT_BYTES as u64);
    let (mut pair, ann) = open(Kind::InProcess, setup);
    ask(&mut pair, ann, &ticket(0)).result();
    pair.authority().once(
        "tools/call",
        None,
        Box::new(|_| Plan::Respond {
            status: 200,
            headers: vec![("content-type".into(), "text/event-stream".into())],
            chunks: vec![
                b"data: ".to_vec(),
                vec![b'x'; MAX_EVENT_BYTES / 2],
                vec![b'x'; MAX_EVENT_BYTES / 2 + 1],
            ],
            end: End::Never,
        }),
    );
    ask(&mut pair, ann, &ticket(1)).fails(Code::AuthorityInvalid);
    assert_eq!(pair.open_fetches(), 0, "and the stream is ended");
}

#[test]
fn max_local() {
    let (mut pair, ann) = open(Kind::InProcess, Setup::new().alone());
    let tool = |n: usize| format!(r#"{{"name":"t{n}","inputSchema":{{"type":"object"}}}}"#);
    let resource = |n: usize| format!(r#"{{"uri":"x:{n}","name":"r"}}"#);
    for n in 0..MAX_LOCAL {
        pair.register("tool", &tool(n), None, Local::Text("x"))
            .expect("there is room");
        pair.register("resource", &resource(n), None, Local::Text("x"))
            .expect("there is room");
    }
    for (kind, definition) in [("tool", tool(MAX_LOCAL)), ("resource", resource(MAX_LOCAL))] {
        let refused = pair.register(kind, &definition, None, Local::Text("x"));
        assert_eq!(refused.map_err(|error| error.code), Err(Code::OverBudget));
    }
    pair.register("tool", &tool(0), None, Local::Text("y"))
        .expect("a replacement takes no room");
    assert_eq!(ask(&mut pair, ann, &Message::call("t0", "{}")).text(), "y");
}

#[test]
fn max_contexts() {
    let setup = Setup::tools(RULES)
        .limit("maxFlights", 10_000)
        .limit("maxWaiters", 10_000);
    let (mut pair, ann) = open(Kind::RequestBound, setup);
    ask(&mut pair, ann, &ticket(0)).result();
    pair.authority().hold();
    let pending = pair.begin((0..MAX_CONTEXTS).map(|_| (ann, ticket(1))));
    ask(&mut pair, ann, &ticket(1)).fails(Code::OverBudget);
    ask(&mut pair, ann, &ticket(2)).fails(Code::OverBudget);
    assert!(
        ask(&mut pair, ann, &ticket(0)).cache().hit,
        "a hit needs no context"
    );
    pair.authority().release();
    for pending in pending {
        finish(&mut pair, pending).result();
    }
    ask(&mut pair, ann, &ticket(2)).result();
}

/// Progress is dropped when a context's queue is full; the response is not.
#[test]
fn max_outputs() {
    let setup = Setup::tools(RULES).limit("maxWaiters", 10_000);
    let (mut pair, ann) = open(Kind::InProcess, setup);
    ask(&mut pair, ann, &ticket(0)).result();
    pair.authority().once("tools/call", None, Box::new(|seen| {
        let token = &seen.params["_meta"]["progressToken"];
        let note = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}});
        let done = leeward_tests::authority::response(&seen.id, r#"{"resultType":"complete","content":[]}"#);
        let text = format!("data: {note}\n\ndata: {done}\n\n");
        Plan::body(200, "text/event-stream", text)
    }));
    pair.authority().hold();
    let waiters = MAX_OUTPUTS + 500;
    let pending =
        pair.begin((0..waiters).map(|n| (ann, ticket(1).id(&n.to_string()).progress(&n.to_string()))));
    pair.authority().release();
    let answers: Vec<_> = pending
        .into_iter()
        .map(|pending| finish(&mut pair, pending))
        .collect();
    let notes: usize = answers.iter().map(|answer| answer.notifications.len()).sum();
    assert!((1..=MAX_OUTPUTS).contains(&notes), "{notes}");
    for answer in answers {
        answer.result();
    }
}

/// Also IDS_PER_TRIP: the authority complains when an id comes again, and no trip is longer than this one.
/// Of a subscription nothing is dropped in silence.
#[test]
fn max_outputs_of_a_subscription() {
    for (notes, ends) in [(MAX_OUTPUTS / 2, false), (MAX_OUTPUTS + 1, true)] {
        let (mut pair, ann) = open(Kind::InProcess, Setup::new());
        let listen = Message::new(
            "subscriptions/listen",
            r#""notifications":{"toolsListChanged":true}"#,
        );
        pair.authority().once(
            "subscriptions/listen",
            None,
            Box::new(move |_| {
                let acknowledged = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                    "params": {"notifications": {"toolsListChanged": true}}});
                let note = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
                let all = std::iter::once(&acknowledged).chain(std::iter::repeat_n(&note, notes));
                let all = Plan::events(all.map(Value::to_string)).ending(End::Never);
                all.in_pieces(usize::MAX)
            }),
        );
        let pending = pair.start(ann, &listen);
        assert_eq!(pair.is_answered(pending), ends);
        if ends {
            // The status went out with the first message.
            let answer = finish(&mut pair, pending);
            assert_eq!(answer.error()["data"]["code"], Code::OverBudget.as_str());
            assert_eq!(pair.open_fetches(), 0, "the stream is closed");
        } else {
            assert_eq!(pair.heard(pending, 0).len(), notes + 1);
        }
    }
}

#[test]
fn max_pages() {
    let tool = r#"{"name":"get_in","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}}}"#;
    let mut authority = Authority::modern().paged(1);
    authority.tools = (0..MAX_PAGES + 10)
        .map(|n| json!({"name": format!("t{n}"), "inputSchema": {"type": "object"}}))
        .collect();
    let ticket_tool = r#"{"name":"get_ticket","inputSchema":{"type":"object"}}"#;
    let authority = authority.tool(tool).tool(ticket_tool);
    let (mut pair, ann) = open(Kind::InProcess, Setup::tools(RULES).authority(authority));
    pair.authority()
        .once("tools/call", None, error(400, -32020, "A?", Value::Null));
    let answer = ask(&mut pair, ann, &Message::call("get_in", r#"{"a":"x"}"#));
    answer.fails_verbatim(-32020, "A?");
    assert_eq!(
        pair.authority().trips("tools/list"),
        MAX_PAGES,
        "the tool stands on a later page"
    );
    ask(&mut pair, ann, &ticket(1)).result();
    assert!(pair.authority().complaints().is_empty());
}

/// Past it tools are passed on, but their annotations are not remembered.
#[test]
fn max_tools() {
    let annotated = json!({"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}});
    let mut authority = Authority::modern().lenient();
    authority.tools = (0..=MAX_TOOLS)
        .map(|n| json!({"name": format!("get_{n}"), "inputSchema": annotated}))
        .collect();
    let (mut pair, ann) = open(Kind::InProcess, Setup::tools(RULES).authority(authority));
    let list = ask(&mut pair, ann, &Message::bare("tools/list"));
    assert_eq!(
        list.result()["tools"].as_array().map(Vec::len),
        Some(MAX_TOOLS + 1)
    );
    for (n, header) in [(0, Some("x")), (MAX_TOOLS, None)] {
        ask(
            &mut pair,
            ann,
            &Message::call(&format!("get_{n}"), r#"{"a":"x"}"#),
        )
        .result();
        assert_eq!(
            pair.authority().last("tools/call").header("mcp-param-a"),
            header,
            "{n}"
        );
    }
}

/// Headers beyond it are cut off: a content type that comes too late is not seen.
#[test]
fn max_headers() {
    let (mut pair, ann) = open(Kind::InProcess, Setup::tools(RULES));
    ask(&mut pair, ann, &ticket(0)).result();
    for (filler, seen) in [(MAX_HEADERS - 1, true), (MAX_HEADERS, false)] {
        pair.authority().once(
            "tools/call",
            None,
            Box::new(move |asked| {
                let mut plan = Plan::events([leeward_tests::authority::response(
                    &asked.id,
                    r#"{"resultType":"complete","content":[]}"#,
                )]);
                if let Plan::Respond { headers, .. } = &mut plan {
                    let kind = headers.remove(0);
                    headers.extend((0..filler).map(|n| (format!("x-{n}"), "y".into())));
                    headers.push(kind);
                }
                plan
            }),
        );
        let answer = ask(&mut pair, ann, &ticket(filler));
        assert_eq!(answer.response.get("result").is_some(), seen, "{answer:?}");
    }
}

/// The rest are reached beside the code that keeps them. Each limit's name stands in some test.
#[test]
fn every_limit_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the workspace");
    let mut limits = BTreeSet::new();
    for file in ["src/limits.rs", "sync/src/limits.rs"] {
        let text = fs::read_to_string(root.join(file)).expect("a file of limits");
        for line in text.lines().map(str::trim) {
            let line = line
                .strip_prefix("pub(crate) ")
                .or(line.strip_prefix("pub "))
                .unwrap_or_default();
            let name = line
                .strip_prefix("const ")
                .unwrap_or(line)
                .split(':')
                .next()
                .unwrap_or_default();
            if line.contains(':') && !line.starts_with("fn") {
                limits.insert(name.to_owned());
            }
        }
    }
    assert!(limits.len() > 35, "{limits:?}");
    let mut tests = String::new();
    for folder in ["src", "sync/src", "tests/src", "tests/tests"] {
        collect(&root.join(folder), &mut tests);
    }
    // Operators' limits are named as the configuration spells them.
    let spelled = |limit: &str| {
        let mut words = limit.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
    };
    let untested: Vec<_> = limits
        .iter()
        .filter(|limit| !tests.contains(&**limit) && !tests.contains(&spelled(limit)))
        .collect();
    assert!(untested.is_empty(), "no test names {untested:?}");
}

/// What is test code: all of a test folder, and what stands behind `#[cfg(test)]` elsewhere.
fn collect(folder: &Path, into: &mut String) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let whole = path.to_string_lossy().contains("/tests");
            let from = if whole {
                0
            } else {
                text.find("#[cfg(test)]").unwrap_or(text.len())
            };
            into.push_str(&text[from..]);
        }
    }
}
