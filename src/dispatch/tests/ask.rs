//! What agents are asked in the middle of a trip: who is, how many, and who may answer.

use super::sessions::{NEW, initialize, tool};
use super::*;
use crate::limits::{MAX_ASKED, MAX_ASKED_PER_PRINCIPAL, MAX_INPUT_REQUESTS};
use crate::mcp::input::{InputRequest, Inputs, ROOTS};

const ROOTED: &str = r#"{"roots":{}}"#;

fn able(tool: &str, more: &str) -> String {
    call(1, tool, "{}")
        .replace(r#"Capabilities":{}"#, &format!(r#"Capabilities":{ROOTED}"#))
        .replace(r#""arguments":{},"#, &format!(r#""arguments":{{}},{more}"#))
}

fn requests(count: usize) -> Vec<InputRequest> {
    let request = |n: usize| InputRequest {
        key: format!("k{n}"),
        method: ROOTS.into(),
        params: String::new(),
    };
    (0..count).map(request).collect()
}

fn who(name: &str) -> Caller {
    Caller::Principal(name.into())
}

impl Bench {
    /// A trip that may be asked back.
    fn departs(&mut self, caller: &Caller, ctx: u64, message: &str) -> (FlightId, Forward) {
        let (step, _) = self.ask(caller, ctx, message);
        match step.start {
            Some((flight, Trip::Forward(forward))) => (flight, forward),
            other => panic!("{other:?}"),
        }
    }

    fn asks(&mut self, flight: FlightId, count: usize, heard: &mut Heard) -> Option<InputResponses> {
        let params = r#""name":"put","arguments":{}"#;
        self.core.ask(flight, params, &requests(count), heard)
    }
}

#[test]
fn only_who_can_come_back_is_asked() {
    let mut bench = Bench::new();
    let (_, forward) = bench.departs(&who("ann"), 0, &able("put", ""));
    assert_eq!(forward.inputs, Inputs::of(ROOTED));
    assert!(!forward.session_era);
    // A context that ends with its answer takes the trip along.
    let (_, forward) = bench.departs(&who("ann"), 7, &able("put", ""));
    assert_eq!(forward.inputs, Inputs::NONE);
}

#[test]
fn what_waits_for_agents_is_bounded() {
    let mut bench = Bench::new();
    let mut heard = Heard::default();
    let mut asked = 0;
    for n in 0..MAX_ASKED.div_ceil(MAX_ASKED_PER_PRINCIPAL) {
        let caller = who(&format!("p{n}"));
        for _ in 0..MAX_ASKED_PER_PRINCIPAL {
            let (flight, _) = bench.departs(&caller, 0, &able("put", ""));
            assert!(bench.asks(flight, 1, &mut heard).is_none());
            asked += 1;
        }
    }
    assert_eq!(asked, MAX_ASKED);
    let (flight, _) = bench.departs(&who("zoe"), 0, &able("put", ""));
    let refused = bench.asks(flight, 1, &mut heard).unwrap();
    assert!(
        matches!(&refused[..], [(key, Body::Error(_))] if key == "k0"),
        "{refused:?}"
    );
    assert_eq!(heard.replies.len(), MAX_ASKED);
    assert!(bench.core.poll_due().is_none());
    // Past its share, a principal's own oldest gives way, also where there is no room for others.
    let (flight, _) = bench.departs(&who("p1"), 0, &able("put", ""));
    assert!(bench.asks(flight, 1, &mut heard).is_none());
    match bench.core.poll_due() {
        Some(Due::Answered(FlightId(n), responses)) => {
            assert_eq!(n, 1 + MAX_ASKED_PER_PRINCIPAL as u64);
            assert!(matches!(&responses[..], [(_, Body::Error(_))]), "{responses:?}");
        }
        other => panic!("{other:?}"),
    }
    let (flight, _) = bench.departs(&who("zoe"), 0, &able("put", ""));
    // They are not kept for ever.
    bench.now += crate::limits::MAX_INPUT_WAIT.0;
    bench.core.tick(bench.now().mono);
    assert!(
        bench.asks(flight, MAX_INPUT_REQUESTS + 1, &mut heard).is_some(),
        "too many together"
    );
    assert!(bench.asks(flight, MAX_INPUT_REQUESTS, &mut heard).is_none());
    assert!(
        bench.asks(flight, 1, &mut heard).is_some(),
        "nobody waits any more"
    );
}

#[test]
fn what_an_authority_makes_of_a_refusal_is_not_stored() {
    let mut bench = Bench::new();
    let mut heard = Heard::default();
    let (flight, _) = bench.departs(&who("ann"), 0, &able("get_x", ""));
    assert!(bench.asks(flight, MAX_INPUT_REQUESTS + 1, &mut heard).is_some());
    let heard = bench.settle(flight, done("nobody agreed"));
    assert!(!heard.replies[0].1.provenance.unwrap().stored);
    assert_eq!(bench.core.stats().entries, 0);
}

#[test]
fn an_answer_to_what_did_not_get_through_whole_answers_nothing_else() {
    let mut bench = Bench::keeping();
    let id = bench.opens_as(&ann(), &initialize(NEW, ROOTED));
    let came = bench.post(&id, &tool("1", "set_x"));
    let mut full = Heard {
        room: Some(1),
        ..Heard::default()
    };
    assert!(bench.asks(came.flight(), 2, &mut full).is_some());
    let stale = text(&full.replies[0].1).to_string();
    assert!(stale.contains(r#""id":1,"#), "{stale}");
    let mut heard = Heard::default();
    assert!(bench.asks(came.flight(), 1, &mut heard).is_none());
    let answer = |n: u64| format!(r#"{{"jsonrpc":"2.0","id":{n},"result":{{"roots":[]}}}}"#);
    assert!(bench.post(&id, &answer(1)).step.answered.is_none());
    assert!(bench.post(&id, &answer(3)).step.answered.is_some());
}

#[test]
fn a_retry_waits_for_the_trip_that_asked() {
    let mut bench = Bench::new();
    let mut heard = Heard::default();
    let ann = who("ann");
    let (flight, _) = bench.departs(&ann, 0, &able("put", ""));
    assert!(bench.asks(flight, 1, &mut heard).is_none());
    let (_, reply) = heard.replies.pop().unwrap();
    assert!(reply.last && reply.status == 200);
    let text = String::from_utf8(reply.part).unwrap();
    let at = text.find(crate::mcp::extension::STATE_PREFIX).unwrap();
    let state = text[at..].split('"').next().unwrap();
    assert_eq!(state.len(), crate::mcp::extension::STATE_PREFIX.len() + 32);
    assert!(!bench.core.is_awaited(flight));
    let more = format!(r#""requestState":"{state}","inputResponses":{{"k0":{{"roots":[]}}}},"#);
    let (step, _) = bench.ask(&ann, 0, &able("put", &more));
    assert!(matches!(step.served, Served::Wait(_)) && step.start.is_none());
    let responses = Vec::from([("k0".into(), Body::Result(r#"{"roots":[]}"#.into()))]);
    assert_eq!(step.answered, Some((flight, responses)));
    bench.core.settle(bench.now(), flight, done("x"), &mut heard);
    assert_eq!(heard.replies.len(), 1);
    // The trip is over: what it did is not known to the one who comes back now.
    let (flight, _) = bench.departs(&ann, 0, &able("put", ""));
    assert!(bench.asks(flight, 1, &mut heard).is_none());
    bench
        .core
        .settle(bench.now(), flight, broken(Code::UnknownOutcome), &mut heard);
    let (_, reply) = heard.replies.pop().unwrap();
    let text = String::from_utf8(reply.part).unwrap();
    let at = text.find(crate::mcp::extension::STATE_PREFIX).unwrap();
    let state = text[at..].split('"').next().unwrap();
    let more = format!(r#""requestState":"{state}","inputResponses":{{"k0":{{}}}},"#);
    let (_, out) = bench.ask(&ann, 0, &able("put", &more));
    assert!(out.contains("unknown_outcome"), "{out}");
}
