//! What only the core's own host can see: whose request does the I/O, what is aborted, what a late answer
//! does, and what a clock that steps back does.

use leeward::border::{Credential, Input};
use leeward::dispatch::Caller;
use leeward::limits::MAX_EVENT_BYTES;
use leeward::{Config, Ctx, Failure, Millis, Now, OpId, Output, Request, Served};
use leeward_sync::{Host as Abilities, Replica};
use leeward_tests::behaviour::cases_of;
use leeward_tests::pair::{Kind, LEASE, Pair, Transcript, Watched};
use leeward_tests::run::Answer;
use leeward_tests::target::{Connection, Pending, Setup, Target, Who};
use leeward_tests::wire::{MODERN, Message};

const RULES: &[(&str, &str)] = &[("get_*", "cache;max-age=60")];

fn open(kind: Kind) -> (Pair, Connection) {
    let mut pair = Pair::open(kind, Setup::tools(RULES)).expect("a sound configuration");
    let ann = pair.connect(&Who::Principal("ann"), MODERN);
    ask(&mut pair, ann, &Message::call("get_user", "{}")).result();
    (pair, ann)
}

fn ask(pair: &mut Pair, from: Connection, message: &Message) -> Answer {
    let pending = pair.start(from, message);
    finish(pair, pending)
}

fn finish(pair: &mut Pair, pending: Pending) -> Answer {
    Answer::new(pair.finish(pending))
}

fn ticket(n: u64) -> Message {
    Message::call("get_ticket", "{}").id(&n.to_string())
}

/// The same question to a replica alone.
fn serve(replica: &mut Replica, now: Now) -> Served {
    let caller = Caller::Principal("ann".into());
    let bytes = ticket(1).bytes(MODERN);
    let request = Request {
        caller: &caller,
        ctx: Ctx::SHARED,
        connection: 0,
        headers: None,
        negotiated: None,
        message: &bytes,
        verb: leeward::Verb::Post,
        peek: false,
    };
    replica.serve(now, request, &mut Vec::new())
}

fn calls(pair: &Pair, tool: &str) -> usize {
    pair.authority().trips_of("tools/call", tool)
}

#[test]
fn a_read_whose_owner_vanishes_is_taken_over() {
    let (mut pair, ann) = open(Kind::RequestBound);
    pair.authority().hold();
    let pending: Vec<_> = (0..3).map(|n| pair.start(ann, &ticket(n))).collect();
    assert_eq!(calls(&pair, "get_ticket"), 1);
    pair.vanish(pending[0]);
    assert_eq!(calls(&pair, "get_ticket"), 2, "asked again by another, at once");
    pair.authority().release();
    for at in [1, 2] {
        assert_eq!(finish(&mut pair, pending[at]).text(), "get_ticket #2 {}");
    }
    assert!(!pair.is_answered(pending[0]));
    assert_eq!(pair.open_fetches(), 0);
}

#[test]
fn a_read_whose_owner_falls_silent_is_taken_over_when_its_lease_ends() {
    let (mut pair, ann) = open(Kind::RequestBound);
    pair.authority().hold();
    let pending: Vec<_> = (0..3).map(|n| pair.start(ann, &ticket(n))).collect();
    pair.freeze(pending[0]);
    pair.advance(LEASE.0 - 1);
    assert_eq!(
        calls(&pair, "get_ticket"),
        1,
        "the others keep their own leases up, and wait"
    );
    pair.advance(1);
    assert_eq!(calls(&pair, "get_ticket"), 2);
    pair.authority().release();
    for at in [1, 2] {
        finish(&mut pair, pending[at]).result();
    }
}

#[test]
fn a_silent_owner_of_an_answered_read_disturbs_nobody() {
    let (mut pair, ann) = open(Kind::RequestBound);
    let first = pair.start(ann, &ticket(1));
    finish(&mut pair, first).result();
    pair.freeze(first);
    pair.advance(2 * LEASE.0);
    assert!(ask(&mut pair, ann, &ticket(2)).cache().hit);
    assert_eq!(calls(&pair, "get_ticket"), 1);
}

/// Contract 3 and 4: a write whose owner is gone has an unknown outcome.
#[test]
fn a_sent_write_whose_owner_vanishes_leaves_nothing_to_be_stored() {
    let (mut pair, ann) = open(Kind::RequestBound);
    assert!(ask(&mut pair, ann, &ticket(1)).cache().stored);
    pair.authority().hold();
    let write = pair.start(ann, &Message::call("put_ticket", "{}"));
    pair.vanish(write);
    pair.authority().release();
    let again = ask(&mut pair, ann, &ticket(2));
    assert!(!again.cache().hit && !again.cache().stored, "{again:?}");
    assert_eq!(calls(&pair, "put_ticket"), 1, "never sent twice");
    pair.advance(60_000);
    assert!(ask(&mut pair, ann, &ticket(3)).cache().stored);
}

#[test]
fn a_trip_that_nobody_waits_for_is_aborted() {
    for kind in [Kind::InProcess, Kind::RequestBound] {
        let (mut pair, ann) = open(kind);
        pair.authority().hold();
        let pending: Vec<_> = (0..2).map(|n| pair.start(ann, &ticket(n))).collect();
        for pending in pending {
            pair.cancel(pending);
        }
        assert_eq!(pair.open_fetches(), 0, "{kind:?}");
        if kind == Kind::InProcess {
            assert_eq!(pair.aborted(), 1);
        }
        assert_eq!(pair.replica().stats().flights, 0);
        assert_eq!(pair.replica().stats().waiters, 0);
    }
}

#[test]
fn a_refresh_whose_owner_is_answered_goes_on_under_it() {
    let rule = [("get_*", "cache;max-age=60;stale-while-revalidate=60")];
    let mut pair = Pair::open(Kind::RequestBound, Setup::tools(&rule)).expect("a sound configuration");
    let ann = pair.connect(&Who::Principal("ann"), MODERN);
    ask(&mut pair, ann, &ticket(1)).result();
    pair.advance(61_000);
    pair.authority().hold();
    let stale = pair.start(ann, &ticket(2));
    assert!(finish(&mut pair, stale).cache().ttl.is_some_and(|ttl| ttl < 0));
    assert_eq!(calls(&pair, "get_ticket"), 2);
    // The client leaves; nobody else waits: the refresh may end, and a later caller fetches.
    pair.vanish(stale);
    pair.authority().release();
    let fresh = ask(&mut pair, ann, &ticket(3));
    assert!(
        fresh.cache().ttl.is_some_and(|ttl| ttl < 0) || !fresh.cache().hit,
        "{fresh:?}"
    );
    pair.settle();
    assert!(
        ask(&mut pair, ann, &ticket(4))
            .cache()
            .ttl
            .is_some_and(|ttl| ttl > 0)
    );
}

#[test]
fn a_clock_that_steps_back_makes_entries_stale() {
    let (mut pair, ann) = open(Kind::InProcess);
    ask(&mut pair, ann, &ticket(1)).result();
    pair.advance(10_000);
    assert!(ask(&mut pair, ann, &ticket(2)).cache().hit);
    pair.step_back(5_000);
    let again = ask(&mut pair, ann, &ticket(3));
    assert!(!again.cache().hit && again.cache().stored, "{again:?}");
    assert!(ask(&mut pair, ann, &ticket(4)).cache().hit);
}

/// Deadlines neither fire early nor hang when the clock steps back.
#[test]
fn a_clock_that_steps_back_moves_no_deadline() {
    let (mut pair, ann) = open(Kind::InProcess);
    pair.authority().hold();
    let pending = pair.start(ann, &ticket(1));
    pair.advance(50_000);
    assert!(
        ask(&mut pair, ann, &Message::call("get_user", "{}")).cache().hit,
        "the replica has seen the time"
    );
    pair.step_back(500_000);
    pair.advance(9_999);
    assert!(!pair.is_answered(pending));
    pair.advance(1);
    finish(&mut pair, pending).fails(leeward::Code::AuthorityTimeout);
}

#[test]
fn a_peek_answers_what_is_fresh_and_starts_nothing() {
    let (mut pair, ann) = open(Kind::InProcess);
    let before = pair.authority().log().len();
    assert!(pair.peek(ann, &ticket(1)).is_none());
    assert!(pair.peek(ann, &Message::call("put_ticket", "{}")).is_none());
    assert!(pair.peek(ann, &Message::bare("tools/list")).is_none());
    pair.settle();
    assert_eq!(pair.authority().log().len(), before);
    ask(&mut pair, ann, &ticket(1)).result();
    let peeked = pair.peek(ann, &ticket(2)).expect("it is fresh");
    assert!(String::from_utf8_lossy(&peeked).contains("leeward;hit"));
    pair.advance(60_000);
    assert!(pair.peek(ann, &ticket(3)).is_none());
}

/// Handlers accept late, repeated and spurious answers.
#[test]
fn spurious_answers_change_nothing() {
    for kind in [Kind::InProcess, Kind::RequestBound] {
        let (mut pair, ann) = open(kind);
        pair.authority().hold();
        let pending = pair.start(ann, &ticket(1));
        let now = Now {
            mono: Millis(1_000_000),
            unix: Millis(0),
        };
        for (ctx, op) in [Ctx(0), Ctx(1), Ctx(77)]
            .into_iter()
            .flat_map(|ctx| (0..200).map(move |op| (ctx, OpId(op))))
        {
            // The fetch that is truly under way may well fail by this: it is left out.
            let failure = Failure {
                before_send: true,
                message: "spurious".into(),
            };
            for input in [
                Input::Chunk {
                    op,
                    bytes: b"{\"jsonrpc\":\"2.0\"".to_vec(),
                },
                Input::End { op },
                Input::Local {
                    op,
                    result: Ok(b"{}".to_vec()),
                },
                Input::Credential {
                    op,
                    result: Ok(Some(Credential {
                        token: "t".into(),
                        identity: None,
                        expires_in: None,
                    })),
                },
                Input::Entropy {
                    op,
                    bytes: vec![0; 32],
                },
                Input::Cancel {
                    ticket: leeward::Ticket(op.0 + 1_000),
                },
                Input::Tick,
            ] {
                pair.replica().handle(now, ctx, input);
            }
            if op.0 > 150 {
                pair.replica().handle(now, ctx, Input::Failed { op, failure });
                pair.replica().handle(
                    now,
                    ctx,
                    Input::Head {
                        op,
                        status: 200,
                        headers: Vec::new(),
                    },
                );
            }
        }
        pair.authority().release();
        finish(&mut pair, pending).result();
        assert!(ask(&mut pair, ann, &ticket(2)).cache().hit);
    }
}

/// Until the replica has entropy, nothing is cached: digests without a key could be attacked.
#[test]
fn without_entropy_everything_bypasses() {
    let config = Config::parse(
        r#"{"authority":"http://a.test/mcp","policy":[{"tool":"*","rule":"cache;max-age=60"}]}"#,
    );
    let mut replica = Replica::new(config.expect("a sound configuration"), Abilities::default());
    let now = Now {
        mono: Millis(1),
        unix: Millis(1),
    };
    assert!(matches!(serve(&mut replica, now), Served::Wait(_)));
    assert!(matches!(serve(&mut replica, now), Served::Wait(_)));
    assert_eq!(replica.stats().flights, 2, "no flight is shared without a key");
    let first = replica.poll_output(Ctx::SHARED);
    assert!(
        matches!(first, Some(Output::Entropy { .. })),
        "the first question of all: {first:?}"
    );
}

/// Every run is a function of its inputs.
#[test]
fn the_same_run_gives_the_same_bytes() {
    for kind in [Kind::InProcess, Kind::RequestBound] {
        let run = || {
            let transcript = Transcript::default();
            let mut host = Watched {
                kind,
                transcript: transcript.clone(),
            };
            for case in cases_of(&host) {
                (case.run)(&mut host);
            }
            transcript.take()
        };
        let (first, second) = (run(), run());
        assert!(first.len() > 1000, "{}", first.len());
        assert_eq!(first.len(), second.len());
        for (one, two) in first.iter().zip(&second) {
            assert_eq!(one, two);
        }
    }
}

const CHUNK: usize = 64 << 10;

/// An answer of the authority: a beginning, then one byte again and again.
struct Flood {
    headers: &'static [(&'static str, &'static str)],
    begins: &'static str,
    repeats: u8,
    /// After how many bytes it ends, and how; otherwise it does not.
    ends: Option<(usize, &'static str)>,
}

/// What a replica took of a body: how many bytes, whether it stopped the fetch, and its answer.
fn take(flood: &Flood, most: usize) -> (usize, bool, Vec<u8>) {
    let config = format!(
        r#"{{"authority":{{"url":"http://a.test/mcp","protocolVersion":"{MODERN}"}},
            "limits":{{"maxResponseBytes":{most},"maxCacheBytes":0}}}}"#
    );
    let config = Config::parse(&config).expect("a sound configuration");
    let mut replica = Replica::new(config, Abilities::default());
    let now = Now::default();
    assert!(matches!(serve(&mut replica, now), Served::Wait(_)));
    let (mut taken, mut ended, mut aborted, mut answer) = (0, false, false, Vec::new());
    let mut body = flood.begins.as_bytes().to_vec();
    while let Some(output) = replica.poll_output(Ctx::SHARED) {
        let input = match output {
            Output::Entropy { op, bytes } => Input::Entropy {
                op,
                bytes: vec![7; bytes],
            },
            Output::Fetch { op, request } => {
                // The one id of this replica.
                let sent: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
                let id = sent["id"].to_string();
                body = String::from_utf8(body).expect("text").replace("$ID", &id).into();
                let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
                Input::Head {
                    op,
                    status: 200,
                    headers: flood.headers.iter().map(header).collect(),
                }
            }
            Output::Read { op, .. } => {
                assert!(!aborted);
                // One at a time: nothing more is asked for before this one is there.
                while let Some(output) = replica.poll_output(Ctx::SHARED) {
                    assert!(!matches!(output, Output::Read { .. }), "a second read");
                }
                if ended {
                    Input::End { op }
                } else {
                    let end = flood.ends.filter(|(length, _)| taken >= *length);
                    ended = end.is_some();
                    let mut bytes = std::mem::take(&mut body);
                    match end {
                        Some((_, end)) => bytes.extend_from_slice(end.as_bytes()),
                        None => bytes.resize(CHUNK, flood.repeats),
                    }
                    taken += bytes.len();
                    Input::Chunk { op, bytes }
                }
            }
            Output::Abort { .. } => {
                aborted = true;
                continue;
            }
            Output::Reply(reply) => {
                answer = reply.part;
                continue;
            }
            _ => continue,
        };
        replica.handle(now, Ctx::SHARED, input);
    }
    (taken, aborted, answer)
}

/// A body is read chunk by chunk, each when the one before was taken in, and no further than a limit.
#[test]
fn of_a_large_body_one_chunk_is_under_way_and_nothing_beyond_the_limit() {
    const JSON: (&str, &str) = ("content-type", "application/json");
    const EVENTS: (&str, &str) = ("content-type", "text/event-stream");
    const BEGINS: &str = r#"{"jsonrpc":"2.0","id":$ID,"result":{"resultType":"complete","content":[],"x":""#;
    let json = Flood {
        headers: &[JSON],
        begins: BEGINS,
        repeats: b'x',
        ends: Some((64 << 20, "\"}}")),
    };
    let (_, aborted, answer) = take(&json, 65 << 20);
    assert!(!aborted);
    assert!(answer.len() > 64 << 20, "{}", answer.len());
    let endless = |headers, begins, repeats| Flood {
        headers,
        begins,
        repeats,
        ends: None,
    };
    let announced: &[_] = &[JSON, ("content-length", "99999999")];
    for (name, flood, most, taken) in [
        ("json", endless(&[JSON], BEGINS, b'x'), 1 << 20, 1 << 20),
        ("announced", endless(announced, BEGINS, b'x'), 64 << 20, 0),
        ("events", endless(&[EVENTS], "", b'\n'), 1 << 20, 1 << 20),
        (
            "one event",
            endless(&[EVENTS], "data: ", b'x'),
            64 << 20,
            MAX_EVENT_BYTES,
        ),
        (
            "neither",
            endless(&[("content-type", "text/html")], "<p>", b'x'),
            64 << 20,
            0,
        ),
    ] {
        let (took, aborted, answer) = take(&flood, most);
        assert!(aborted, "{name}");
        assert!(
            took >= taken && took <= taken + CHUNK,
            "{name}: {took} of {taken}"
        );
        // A tool that nobody vouches for is a write.
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("unknown_outcome"), "{name}: {answer}");
    }
}
