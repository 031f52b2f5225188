//! Arguments against the schemas of tools, with a host that judges.

use super::*;
use crate::cache::SchemaId;
use crate::limits::{MAX_FAULT_BYTES, MAX_SCHEMA_BYTES};

const SCHEMA: &str = r#"{ "type":"object", "required" : ["id"] }"#;

/// What a host is asked: the schema's name, and the three texts.
type Asked = (SchemaId, String, String, String);

impl Bench {
    fn judging() -> Self {
        let mut bench = Self::new();
        bench.core.check_arguments();
        bench
    }

    fn serve(&mut self, message: &str, verdict: Option<Verdict<'_>>, peek: bool) -> (Step, String) {
        let request = Request {
            caller: &ann(),
            ctx: Ctx(1),
            connection: 1,
            headers: None,
            negotiated: None,
            message: message.as_bytes(),
            verb: Verb::Post,
            peek,
        };
        let mut out = Vec::new();
        let step = self.core.serve_judged(self.now(), request, verdict, &mut out);
        (step, String::from_utf8(out).unwrap())
    }

    /// What the host is asked about a call, if it is.
    fn question(&mut self, message: &str) -> Option<Asked> {
        let (step, out) = self.serve(message, None, false);
        let Served::Check { schema, name, text } = step.served else {
            if let Some((flight, _)) = step.start {
                self.settle(flight, broken(Code::AuthorityUnreachable));
            }
            return None;
        };
        assert!(step.start.is_none() && step.cancel.is_empty());
        let (name, rest) = out.split_at(name);
        let (text, arguments) = rest.split_at(text);
        Some((schema, name.into(), text.into(), arguments.into()))
    }

    fn judged(&mut self, message: &str, schema: SchemaId, fault: Option<&str>) -> (Step, String) {
        self.serve(message, Some(Verdict { schema, fault }), false)
    }

    /// A list of tools, as the authority gives it to `who`.
    fn list(&mut self, who: &Caller, tools: &str) -> Heard {
        let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let message =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{meta}}}}}"#);
        let (step, _) = self.ask(who, 1, &message);
        let body = Body::Result(format!(
            r#"{{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{tools}]}}"#
        ));
        let answer = Answer {
            body,
            credential: None,
            learned: Vec::new(),
        };
        self.settle(step.start.unwrap().0, Ok(answer))
    }
}

fn tool(name: &str, schema: &str) -> String {
    format!(r#"{{"name":"{name}","inputSchema":{schema}}}"#)
}

#[test]
fn a_call_is_judged_by_the_schema_of_the_list_verbatim() {
    let mut bench = Bench::judging();
    let message = call(7, "get_x", r#"{"id": 1}"#);
    assert!(bench.question(&message).is_none(), "not listed yet");
    bench.list(&ann(), &tool("get_x", SCHEMA));
    let before = bench.core.stats();
    let (schema, name, text, arguments) = bench.question(&message).unwrap();
    assert_eq!((&*name, &*text, &*arguments), ("get_x", SCHEMA, r#"{"id": 1}"#));
    assert_eq!(bench.core.stats(), before, "nothing was counted");
    // Without arguments they are an empty object.
    let bare = message.replace(r#""arguments":{"id": 1},"#, "");
    assert_eq!(bench.question(&bare).unwrap().3, "{}");

    let (step, out) = bench.judged(&message, schema, Some("\"id\" must be text"));
    let local = Served::Reply {
        status: 200,
        provenance: Some(Provenance::new(State::Local)),
        serial: None,
        session: None,
    };
    assert_eq!(step.served, local);
    assert!(step.start.is_none());
    assert!(
        out.starts_with(r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"Invalid arguments for tool get_x: \"id\" must be text"}],"isError":true,"resultType":"complete""#),
        "{out}"
    );
    assert_eq!(bench.core.stats().invalid, 1);
    let (step, _) = bench.judged(&message, schema, None);
    assert!(step.start.is_some(), "sound ones travel");
    assert!(
        bench.question(&call(1, "get_y", "{}")).is_none(),
        "of no known schema"
    );
}

#[test]
fn a_hit_is_judged_once_by_each_schema() {
    let mut bench = Bench::judging();
    let message = call(1, "get_x", "{}");
    bench.list(&ann(), &tool("get_x", SCHEMA));
    let (schema, ..) = bench.question(&message).unwrap();
    let (step, _) = bench.judged(&message, schema, None);
    bench.settle(step.start.unwrap().0, done("one"));
    assert!(
        bench.state(&ann(), "get_x").is_some(),
        "judged when it was stored"
    );

    // The list says the same again, then something else.
    bench.list(&ann(), &tool("get_x", SCHEMA));
    assert!(bench.state(&ann(), "get_x").is_some());
    bench.list(&ann(), &tool("get_x", r#"{"type":"object"}"#));
    let (other, ..) = bench.question(&message).unwrap();
    assert_ne!(other, schema);
    // A verdict by the schema of before is none.
    let (step, _) = bench.judged(&message, schema, None);
    assert!(matches!(step.served, Served::Check { schema, .. } if schema == other));
    let (step, _) = bench.judged(&message, other, Some("no"));
    assert!(
        matches!(step.served, Served::Reply { serial: None, .. }),
        "though it is stored"
    );
    let (step, _) = bench.judged(&message, other, None);
    assert!(matches!(step.served, Served::Reply { serial: Some(_), .. }));
    assert!(bench.state(&ann(), "get_x").is_some(), "and remembered");
    let hits = bench.core.stats().hits;
    let (step, _) = bench.serve(&message, None, true);
    assert!(matches!(step.served, Served::Reply { .. }), "a peek too");
    assert_eq!(bench.core.stats().hits, hits + 1);
}

#[test]
fn policy_and_identity_come_before() {
    let mut bench = Bench::judging();
    let tools = [tool("get_x", SCHEMA), tool("drop_x", SCHEMA)].join(",");
    bench.list(&ann(), &tools);
    let (step, out) = bench.ask(&ann(), 1, &call(1, "drop_x", "{}"));
    assert!(
        matches!(step.served, Served::Reply { .. }) && out.contains("denied_by_policy"),
        "{out}"
    );
    // What another caller's list said is that caller's.
    let (step, _) = bench.ask(&bob(), 1, &call(1, "get_x", "{}"));
    assert!(step.start.is_some());
}

#[test]
fn a_list_that_changed_judges_nothing_until_it_is_read_again() {
    let mut bench = Bench::judging();
    bench.list(&ann(), &tool("get_x", SCHEMA));
    bench.core.invalidate();
    assert!(bench.question(&call(1, "get_x", "{}")).is_none());
    bench.list(&ann(), &tool("get_x", SCHEMA));
    assert!(bench.question(&call(1, "get_x", "{}")).is_some());
    // A write makes answers stale; what a tool takes it does not change.
    let flight = bench.trip(&ann(), "set_x");
    bench.settle(flight, done("done"));
    assert!(bench.question(&call(1, "get_x", "{}")).is_some());
    // Nor does another credential's list hold.
    let (step, _) = bench.ask(&ann(), 1, &call(1, "set_x", "{}"));
    let mut answer = done("done");
    if let Ok(answer) = &mut answer {
        answer.credential = Some("other".into());
    }
    bench.settle(step.start.unwrap().0, answer);
    assert!(bench.question(&call(1, "get_x", "{}")).is_none());
}

#[test]
fn a_schema_that_is_too_large_judges_nothing_and_is_told_of() {
    let mut bench = Bench::judging();
    let of = |bytes: usize| format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - 8));
    let heard = bench.list(&ann(), &tool("get_x", &of(MAX_SCHEMA_BYTES)));
    assert!(heard.events.is_empty());
    assert!(bench.question(&call(1, "get_x", "{}")).is_some());
    let heard = bench.list(&ann(), &tool("get_x", &of(MAX_SCHEMA_BYTES + 1)));
    assert!(matches!(&*heard.events, [Event::SchemaNotEnforced { name, .. }] if name == "get_x"));
    assert!(bench.question(&call(1, "get_x", "{}")).is_none());
    assert!(text(&heard.replies[0].1).contains("get_x"), "the list is whole");
}

#[test]
fn local_tools_are_judged_by_their_own_definition() {
    let mut bench = Bench::judging();
    bench.core.register_tool(&tool("here", SCHEMA), None).unwrap();
    let (schema, name, text, _) = bench.question(&call(1, "here", "{}")).unwrap();
    assert_eq!((&*name, &*text), ("here", SCHEMA));
    let (step, _) = bench.judged(&call(1, "here", "{}"), schema, None);
    assert!(matches!(step.start, Some((_, Trip::Local(_)))));
    bench
        .core
        .register_tool(&tool("here", r#"{"type":"object"}"#), None)
        .unwrap();
    assert_ne!(bench.question(&call(1, "here", "{}")).unwrap().0, schema);
}

#[test]
fn a_long_fault_is_cut() {
    let mut bench = Bench::judging();
    bench.core.register_tool(&tool("here", SCHEMA), None).unwrap();
    let message = call(1, "here", "{}");
    let (schema, ..) = bench.question(&message).unwrap();
    let fault = format!("x{}", "é".repeat(MAX_FAULT_BYTES));
    let (_, out) = bench.judged(&message, schema, Some(&fault));
    // One byte before the limit: a character stays whole.
    assert_eq!(out.matches('é').count(), (MAX_FAULT_BYTES - 1) / 2);
}

#[test]
fn nobody_is_asked_who_does_not_judge() {
    let mut bench = Bench::new();
    bench.list(&ann(), &tool("get_x", SCHEMA));
    assert!(bench.question(&call(1, "get_x", "{}")).is_none());
    assert!(bench.core.schemas.is_none());
}
