//! What an authority asks of an agent before it answers, where the two are of different eras.

use serde_json::{Value, json};

use super::{GET, cases};
use crate::authority::{Authority, End, Plan, Turn, plan, response, result, stream};
use crate::run::{Answer, Run};
use crate::target::{Setup, Who};
use crate::wire::{LEGACY, Message, OLDER};
use leeward::Code;
use leeward::limits::{MAX_ASKED_PER_PRINCIPAL, MAX_INPUT_WAIT};

const ABLE: &str = r#"{"sampling":{},"elicitation":{"form":{}}}"#;
const SAMPLING: &str = r#"{"jsonrpc":"2.0","id":"ask-1","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1.50}}"#;
const ELICITATION: &str = r#"{"jsonrpc":"2.0","id":2,"method":"elicitation/create","params":{"message":"é?","requestedSchema":{"type":"object","properties":{}}}}"#;
const ROOTS: &str = r#"{"jsonrpc":"2.0","id":3,"method":"roots/list"}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;
const SAMPLED: &str = r#"{"role":"assistant","model":"m","content":{"type":"text","text":"x"},"n":1.0}"#;

fn able(tool: &str) -> Message {
    Message::call(tool, r#"{"b":1,"a":[2]}"#).capabilities(ABLE)
}

fn old() -> Setup {
    Setup::tools(GET).authority(Authority::legacy(LEGACY))
}

/// The state and the keys of what an agent is asked.
fn asked(answer: &Answer) -> (String, Vec<String>) {
    let result = answer.result();
    assert_eq!(result["resultType"], "input_required", "{answer:?}");
    let state = result["requestState"].as_str().expect("a state").to_owned();
    let keys = result["inputRequests"].as_object().expect("requests").keys();
    (state, keys.cloned().collect())
}

/// A request again, with a result for each key.
fn again(message: Message, (state, keys): &(String, Vec<String>), result: &str) -> Message {
    let responses: Vec<String> = keys.iter().map(|key| format!(r#""{key}":{result}"#)).collect();
    let responses = responses.join(",");
    message.id(r#""again""#).with(&format!(
        r#""inputResponses":{{{responses}}},"requestState":"{state}""#
    ))
}

impl Run<'_> {
    /// What the replica answered the authority's own requests.
    fn responses(&self) -> Vec<Value> {
        let log = self.authority().log();
        let responses = log
            .iter()
            .filter(|seen| seen.rpc.is_empty() && seen.http == "POST");
        responses
            .map(|seen| serde_json::from_slice(&seen.body).expect("a response is JSON"))
            .collect()
    }
}

cases! {
    fn a_stateless_agent_is_asked_by_a_result_and_answers_by_a_retry(host) needs(InProcess, Bytes) {
        let mut run = Run::open(host, old());
        run.authority().once("tools/call", Some("do_it"), stream(&[SAMPLING], DONE));
        let answer = run.ask(&able("do_it"));
        let wanted = asked(&answer);
        let request = &answer.result()["inputRequests"][&wanted.1[0]];
        assert_eq!(request, &json!({"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1.5}}));
        assert!(String::from_utf8_lossy(&answer.bytes).contains(r#""maxTokens":1.50"#), "to the letter");
        assert!(run.responses().is_empty());
        let answer = run.ask(&again(able("do_it"), &wanted, SAMPLED));
        assert_eq!((answer.text(), &*answer.id()), ("done", r#""again""#));
        let said = run.responses();
        assert_eq!((said.len(), &said[0]["id"]), (1, &json!("ask-1")));
        let seen = run.authority().log().into_iter().rfind(|seen| seen.rpc.is_empty()).expect("a response");
        assert!(String::from_utf8_lossy(&seen.body).contains(SAMPLED), "to the letter");
        assert_eq!(seen.header("mcp-session-id"), Some("session-1"));
        assert_eq!(run.calls("do_it"), 1);
        let declared = &run.authority().last("initialize").params["capabilities"];
        assert_eq!(declared, &json!({"sampling": {}, "elicitation": {"form": {}}}));
    }

    fn an_authority_may_ask_again_and_again(host) needs(InProcess) {
        let mut run = Run::open(host, old());
        run.authority().once("tools/call", Some("do_it"), stream(&[SAMPLING, ELICITATION], DONE));
        let first = asked(&run.ask(&able("do_it")));
        let second = asked(&run.ask(&again(able("do_it"), &first, SAMPLED)));
        assert_ne!(first, second);
        let answer = run.ask(&again(able("do_it"), &second, r#"{"action":"decline"}"#));
        assert_eq!(answer.text(), "done");
        let said = run.responses();
        assert_eq!(said[1], json!({"jsonrpc": "2.0", "id": 2, "result": {"action": "decline"}}));
        assert_eq!(run.calls("do_it"), 1);
    }

    fn what_was_asked_together_is_answered_together(host) needs(InProcess) {
        let mut run = Run::open(host, old());
        let turn: Turn = Box::new(|seen| {
            Plan::events([format!("[{SAMPLING},{ELICITATION},{ROOTS}]"), response(&seen.id, DONE)])
        });
        run.authority().once("prompts/get", Some("review"), turn);
        let prompt = || Message::new("prompts/get", r#""name":"review""#).capabilities(ABLE);
        let wanted = asked(&run.ask(&prompt()));
        assert_eq!(wanted.1.len(), 2);
        let half = (wanted.0.clone(), wanted.1[..1].to_vec());
        run.ask(&again(prompt(), &half, SAMPLED)).fails(Code::InvalidParams);
        run.ask(&again(prompt(), &wanted, SAMPLED));
        let said = run.responses();
        let ids: Vec<_> = said.iter().map(|said| &said["id"]).collect();
        assert_eq!(ids, [&json!(3), &json!("ask-1"), &json!(2)]);
        assert_eq!(said[0]["error"]["code"], -32601, "it was not declared");
    }

    fn a_request_state_is_good_for_its_principal_its_request_and_once(host) needs(InProcess) {
        let mut run = Run::open(host, old());
        run.authority().once("tools/call", Some("do_it"), stream(&[SAMPLING], DONE));
        let wanted = asked(&run.ask(&able("do_it")));
        let ben = run.connect("ben");
        let retry = again(able("do_it"), &wanted, SAMPLED);
        run.ask_from(ben, &retry).fails(Code::InvalidParams);
        let other = Message::call("do_it", r#"{"b":1,"a":[3]}"#).capabilities(ABLE);
        let mut forged = wanted.clone();
        forged.0.replace_range(forged.0.len() - 1.., if forged.0.ends_with('0') { "1" } else { "0" });
        for message in [
            again(able("put_ticket"), &wanted, SAMPLED),
            again(other, &wanted, SAMPLED),
            again(able("do_it"), &wanted, "1"),
            again(able("do_it"), &forged, SAMPLED),
            again(able("do_it"), &("dev.leeward/input:".into(), wanted.1.clone()), SAMPLED),
        ] {
            run.ask(&message).fails(Code::InvalidParams);
        }
        assert!(run.responses().is_empty());
        let sorted = Message::call("do_it", r#"{ "a":[2], "b":1 }"#).capabilities(ABLE);
        assert_eq!(run.ask(&again(sorted, &wanted, SAMPLED)).text(), "done");
        run.ask(&retry).fails(Code::InvalidParams);
        assert_eq!((run.calls("do_it"), run.calls("put_ticket")), (1, 0));
    }

    fn what_an_agent_never_declared_it_is_not_asked(host) {
        let mut run = Run::open(host, old());
        run.authority().once("tools/call", Some("do_it"), stream(&[SAMPLING, ROOTS], DONE));
        assert_eq!(run.ask(&Message::call("do_it", "{}")).text(), "done");
        for said in run.responses() {
            assert_eq!(said["error"]["code"], -32601);
        }
        assert_eq!(run.responses().len(), 2);
        assert_eq!(run.authority().last("initialize").params["capabilities"], json!({}));
    }

    fn an_authority_may_ask_whether_anybody_is_there(host) {
        let mut run = Run::open(host, old());
        run.authority().once("tools/call", Some("do_it"), stream(&[PING], DONE));
        assert_eq!(run.ask(&Message::call("do_it", "{}")).text(), "done");
        assert_eq!(run.responses(), [json!({"jsonrpc": "2.0", "id": 7, "result": {}})]);
    }

    fn an_answer_that_an_agent_had_a_part_in_is_not_stored(host) needs(InProcess) {
        let mut run = Run::open(host, old());
        run.authority().once("tools/call", Some("get_user"), stream(&[SAMPLING], DONE));
        let wanted = asked(&run.ask(&able("get_user")));
        run.miss(&able("get_user"));
        assert_eq!(run.ask(&again(able("get_user"), &wanted, SAMPLED)).text(), "done");
        assert_ne!(run.hit(&able("get_user")).text(), "done");
    }

    fn an_agent_that_does_not_come_back_is_not_waited_for(host) needs(InProcess, Clock) {
        let mut run = Run::open(host, old());
        run.authority().once("tools/call", Some("do_it"), stream(&[SAMPLING], DONE));
        let wanted = asked(&run.ask(&able("do_it")));
        run.target.advance(MAX_INPUT_WAIT.0 - 1);
        assert!(run.responses().is_empty());
        run.target.advance(1);
        run.target.settle();
        assert_eq!(run.responses()[0]["error"]["code"], -32603);
        run.ask(&again(able("do_it"), &wanted, SAMPLED)).fails(Code::InvalidParams);
    }

    fn a_write_that_dies_while_its_agent_is_asked_is_not_taken_for_undone(host) needs(InProcess) {
        let mut run = Run::open(host, old());
        let turn: Turn = Box::new(|_| Plan::events([SAMPLING.to_owned()]).ending(End::Cut));
        run.authority().once("tools/call", Some("do_it"), turn);
        let mut answer = run.ask(&able("do_it"));
        // A runtime may drop with the connection what came before it broke: then nobody was asked.
        if answer.response.get("result").is_some() {
            let wanted = asked(&answer);
            answer = run.ask(&again(able("do_it"), &wanted, SAMPLED));
        }
        answer.fails(Code::UnknownOutcome);
        assert_eq!(run.calls("do_it"), 1);
    }

    fn what_a_principal_leaves_lying_gives_way(host) needs(InProcess) {
        let mut run = Run::open(host, old());
        run.authority().always("tools/call", Some("do_it"), stream(&[SAMPLING], DONE));
        let ben = run.connect("ben");
        let bens = asked(&run.ask_from(ben, &able("do_it")));
        let mut wanted = Vec::new();
        for _ in 0..MAX_ASKED_PER_PRINCIPAL {
            wanted.push(asked(&run.ask(&able("do_it"))));
        }
        assert!(run.responses().is_empty());
        wanted.push(asked(&run.ask(&able("do_it"))));
        run.authority().wait_until(|authority| authority.responses() == 1);
        assert_eq!(run.responses()[0]["error"]["code"], -32603, "the authority hears that there is no answer");
        run.ask(&again(able("do_it"), &wanted.remove(0), SAMPLED)).fails(Code::InvalidParams);
        for wanted in &wanted {
            assert_eq!(run.ask(&again(able("do_it"), wanted, SAMPLED)).text(), "done");
        }
        assert_eq!(run.ask_from(ben, &again(able("do_it"), &bens, SAMPLED)).text(), "done");
    }

    fn a_session_less_agent_is_told_that_it_cannot_be_asked(host) needs(Sessionless) {
        let wants = r#"{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}},"requestState":"s"}"#;
        let mut run = Run::open(host, Setup::new());
        run.authority().once("tools/call", Some("do_it"), result(wants));
        let from = run.target.connect(&Who::Principal("ann"), OLDER);
        let hello = format!(
            r#""protocolVersion":"{OLDER}","capabilities":{{"roots":{{}}}},"clientInfo":{{"name":"a","version":"1"}}"#
        );
        run.ask_from(from, &Message::new("initialize", &hello)).result();
        run.ask_from(from, &Message::call("do_it", "{}")).fails(Code::InputRequired);
        assert_eq!(run.calls("do_it"), 1);
    }

    fn a_stream_of_a_session_is_read_to_its_end_though_it_breaks_off(host) {
        let mut run = Run::open(host, old());
        let broken = Plan::body(200, "text/event-stream", "id: resume\nretry: 0\ndata:\n\n");
        run.authority().once("tools/call", Some("do_it"), plan(broken));
        let pending = run.start(&Message::call("do_it", "{}"));
        assert_eq!(Answer::new(run.target.outlast(pending, 100)).text(), "do_it #1 {}");
        assert_eq!(run.calls("do_it"), 1);
        let seen = run.authority().log().pop().expect("a request");
        assert_eq!((&*seen.http, seen.header("last-event-id")), ("GET", Some("resume")));
        assert_eq!(seen.header("mcp-session-id"), Some("session-1"));
    }
}
