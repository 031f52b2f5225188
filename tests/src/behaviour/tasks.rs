//! Tasks (SEP-2663): passed through as they are, their principal's alone, and effective when they are seen to stop.

use serde_json::{Value, json};

use super::{GET, cases};
use crate::authority::{Authority, Plan, SUBSCRIPTION, error, result};
use crate::run::{Answer, Run};
use crate::target::{Need, Pending, Setup};
use crate::wire::{LEGACY, Message};
use leeward::Code;
use leeward::limits::MAX_SUBSCRIBED;

const DECLARED: &str = r#"{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
const NEWS: &str = "notifications/tasks";
/// As an authority spells it: nothing of it may be spelled anew.
const MADE: &str = r#"{"resultType":"task","taskId":"t-é/1","status":"working","createdAt":"2026-07-28T10:00:00Z","lastUpdatedAt":"2026-07-28T10:00:00Z","ttlMs":null,"pollIntervalMs":5.0e3,"x":[1,{"y":null}]}"#;
const ASKS: &str = r#""inputRequests":{"a\u0000b":{"method":"elicitation/create","params":{"message":"Sure?","n":9007199254740993,"requestedSchema":{"type":"object","properties":{}}}}}"#;

fn of_task(method: &str, id: &str, more: &str) -> Message {
    Message::new(&format!("tasks/{method}"), &format!(r#""taskId":"{id}"{more}"#)).capabilities(DECLARED)
}

fn call(tool: &str) -> Message {
    Message::call(tool, "{}").capabilities(DECLARED)
}

fn state(id: &str, status: &str, more: &str) -> String {
    format!(
        r#"{{"resultType":"complete","taskId":"{id}","status":"{status}","createdAt":"c","lastUpdatedAt":"l","ttlMs":60000{more}}}"#
    )
}

/// The members that a task of this status must have.
fn due(status: &str) -> &'static str {
    match status {
        "input_required" => r#","inputRequests":{}"#,
        "completed" => r#","result":{"content":[]}"#,
        _ => "",
    }
}

fn news(id: &str, status: &str) -> Value {
    serde_json::from_str(&state(id, status, due(status))).expect("it is JSON")
}

fn listen(ids: &str) -> Message {
    let filter = format!(r#""notifications":{{"toolsListChanged":true,"taskIds":{ids}}}"#);
    Message::new("subscriptions/listen", &filter).capabilities(DECLARED)
}

impl Run<'_> {
    /// The tool answers with a new task of this id.
    fn makes(&mut self, tool: &str, id: &str) -> Answer {
        let made = MADE.replace("t-é/1", id);
        self.authority().once("tools/call", Some(tool), result(made));
        self.ask(&call(tool))
    }

    /// The task is asked for, and is in this state.
    fn sees(&mut self, id: &str, status: &str) {
        self.authority()
            .once("tasks/get", Some(id), result(state(id, status, due(status))));
        assert_eq!(self.miss(&of_task("get", id, "")).result()["status"], status);
    }

    /// Something is stored and fresh.
    fn knows(&mut self) {
        let message = Message::call("get_user", "{}");
        self.ask(&message).result();
        self.hit(&message);
    }

    /// It still is.
    fn still_knows(&mut self) {
        self.hit(&Message::call("get_user", "{}"));
    }

    /// It is not any more.
    fn knows_no_longer(&mut self) {
        self.miss(&Message::call("get_user", "{}"));
    }

    fn listens_for(&mut self, ids: &str) -> Pending {
        let pending = self.start(&listen(ids));
        let heard = self.heard(pending, 1);
        assert_eq!(heard[0]["method"], "notifications/subscriptions/acknowledged");
        pending
    }
}

/// The result of an answer, as the bytes it came in.
fn raw(answer: &Answer) -> String {
    String::from_utf8(answer.bytes.clone()).expect("answers are UTF-8")
}

cases! {
    fn a_task_and_all_that_is_said_of_it_pass_as_they_are(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::new());
        run.authority().once("tools/call", Some("do_it"), result(MADE));
        let made = run.ask(&call("do_it"));
        let members = MADE.trim_matches(['{', '}']);
        assert!(raw(&made).contains(members), "{}", raw(&made));
        assert!(made.result().get("cacheScope").is_none());
        let asks = state("t-é/1", "input_required", &format!(",{ASKS}"));
        run.authority().once("tasks/get", Some("t-é/1"), result(&*asks));
        let got = run.miss(&of_task("get", "t-é/1", "").header("mcp-name", "=?base64?dC3DqS8x?="));
        assert!(raw(&got).contains(ASKS), "{}", raw(&got));
        assert_eq!(got.result()["ttlMs"], 60_000);
        assert_eq!(got.result()["resultType"], "complete");
        let responses = r#""inputResponses":{"a\u0000b":{"action":"accept","content":{"n":1e2,"é":9007199254740993}}}"#;
        run.authority().once("tasks/update", None, result(r#"{"resultType":"complete"}"#));
        let update = of_task("update", "t-é/1", &format!(",{responses}")).header("mcp-name", "=?base64?dC3DqS8x?=");
        let acknowledged = run.miss(&update);
        assert_eq!(acknowledged.result()["resultType"], "complete");
        assert!(acknowledged.result().get("taskId").is_none());
        let seen = run.authority().last("tasks/update");
        assert!(String::from_utf8_lossy(&seen.body).contains(responses), "{seen:?}");
        let declared: Value = serde_json::from_str(DECLARED).expect("it is JSON");
        assert_eq!(seen.params["_meta"]["io.modelcontextprotocol/clientCapabilities"], declared);
    }

    fn whoever_does_not_declare_tasks_has_none(host) {
        let mut run = Run::open(host, Setup::new());
        let required = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        let plain = [
            Message::new("tasks/get", r#""taskId":"1""#),
            Message::new("tasks/update", r#""taskId":"1","inputResponses":{}"#),
            Message::new("tasks/cancel", r#""taskId":"1""#),
            Message::new("subscriptions/listen", r#""notifications":{"taskIds":["1"]}"#),
        ];
        for message in plain {
            let answer = run.ask(&message);
            answer.fails(Code::MissingCapability);
            assert_eq!(answer.error()["data"]["requiredCapabilities"], required);
        }
        assert_eq!(run.authority().log().len(), 0);
    }

    fn a_task_nobody_declared_is_no_answer(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        for (tool, code) in [("do_it", Code::UnknownOutcome), ("get_user", Code::AuthorityInvalid)] {
            run.authority().once("tools/call", Some(tool), result(MADE));
            run.ask(&Message::call(tool, "{}")).fails(code);
        }
        for broken in [r#"{"resultType":"task"}"#, r#"{"resultType":"task","task":{"taskId":"1","status":"working"}}"#] {
            run.authority().once("tools/call", Some("get_user"), result(broken));
            run.ask(&call("get_user")).fails(Code::AuthorityInvalid);
        }
        run.authority().once("resources/read", None, result(MADE));
        run.ask(&Message::read("crm://tickets/1").capabilities(DECLARED)).fails(Code::AuthorityInvalid);
        run.authority().once("tasks/get", None, result(r#"{"resultType":"complete","taskId":"1"}"#));
        run.ask(&of_task("get", "1", "")).fails(Code::AuthorityInvalid);
    }

    fn a_task_is_never_stored_nor_what_is_said_of_it(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.authority().times(Some(2), "tools/call", Some("get_ticket"), result(MADE));
        for _ in 0..2 {
            let answer = run.miss(&call("get_ticket"));
            assert!(answer.result()["resultType"] == "task" && !answer.cache().stored);
        }
        run.authority().always("tasks/get", None, result(state("1", "completed", r#","result":{"content":[]}"#)));
        for _ in 0..2 {
            let answer = run.miss(&of_task("get", "1", ""));
            assert_eq!(answer.cache().fwd.as_deref(), Some("bypass"));
        }
    }

    fn requests_of_one_task_are_never_joined(host) needs(Together) {
        let mut run = Run::open(host, Setup::new());
        run.authority().always("tasks/get", None, result(state("1", "working", "")));
        run.authority().hold();
        let pending = [1, 2].map(|id: u8| run.start(&of_task("get", "1", "").id(&id.to_string())));
        run.target.settle();
        run.authority().release();
        for pending in pending {
            run.finish(pending).result();
        }
        assert_eq!(run.trips("tasks/get"), 2);
    }

    fn params_and_headers_are_judged_here(host) {
        let mut run = Run::open(host, Setup::new());
        for message in [
            Message::bare("tasks/get").capabilities(DECLARED),
            Message::new("tasks/get", r#""taskId":1"#).capabilities(DECLARED),
            of_task("cancel", "", ""),
            of_task("update", "1", ""),
            of_task("update", "1", r#","inputResponses":[]"#),
        ] {
            run.ask(&message).fails(Code::InvalidParams);
        }
        for method in ["tasks/result", "tasks/list", "tasks/x"] {
            run.ask(&Message::bare(method).capabilities(DECLARED)).fails(Code::MethodNotFound);
        }
        let ids: Vec<String> = (0..=MAX_SUBSCRIBED).map(|n| n.to_string()).collect();
        run.ask(&listen(&json!(ids).to_string())).fails(Code::InvalidParams);
        assert_eq!(run.authority().log().len(), 0);
    }

    fn the_header_names_the_task(host) needs(Http) {
        let mut run = Run::open(host, Setup::new());
        for method in ["get", "update", "cancel"] {
            let message = of_task(method, "1", r#","inputResponses":{}"#);
            for name in ["", "2", "=?base64?Mg==?=", "=?base64?1?="] {
                run.ask(&message.clone().header("mcp-name", name)).fails(Code::HeaderMismatch);
            }
        }
        assert_eq!(run.authority().log().len(), 0);
    }

    fn unknown_tasks_are_the_authoritys_to_refuse(host) {
        let mut run = Run::open(host, Setup::new());
        run.authority().once("tasks/get", None, error(200, -32602, "Task not found", Value::Null));
        run.ask(&of_task("get", "1", "")).fails_verbatim(-32602, "Task not found");
        run.ask(&of_task("cancel", "1", "")).fails_verbatim(-32601, "method not found");
    }

    fn a_task_is_asked_for_again_but_told_once(host) {
        let mut run = Run::open(host, Setup::new());
        run.authority().once("tasks/get", None, Box::new(|seen| Plan::result(&seen.id, "{}").cut(1)));
        run.authority().once("tasks/get", None, result(state("1", "working", "")));
        run.ask(&of_task("get", "1", "")).result();
        assert_eq!(run.trips("tasks/get"), 2);
        for (method, more) in [("update", r#","inputResponses":{}"#), ("cancel", "")] {
            let rpc = format!("tasks/{method}");
            run.authority().once(&rpc, None, Box::new(|seen| Plan::result(&seen.id, "{}").cut(1)));
            run.ask(&of_task(method, "1", more)).fails(Code::UnknownOutcome);
            assert_eq!(run.trips(&rpc), 1);
        }
    }

    fn a_task_is_its_principals_alone(host) {
        let mut run = Run::open(host, Setup::new());
        let ben = run.connect("ben");
        run.makes("do_it", "t-1").result();
        for message in [
            of_task("get", "t-1", ""),
            of_task("update", "t-1", r#","inputResponses":{}"#),
            of_task("cancel", "t-1", ""),
            listen(r#"["t-0","t-1"]"#),
        ] {
            let before = run.authority().log().len();
            run.ask_from(ben, &message).fails(Code::InvalidParams);
            assert_eq!(run.authority().log().len(), before);
        }
        run.sees("t-1", "working");
        // The authority gave it to both.
        let made = MADE.replace("t-é/1", "t-1");
        run.authority().once("tools/call", None, result(made));
        run.ask_from(ben, &call("do_it")).result();
        run.authority().always("tasks/get", None, result(state("t-1", "working", "")));
        run.ask_from(ben, &of_task("get", "t-1", "")).result();
        run.ask(&of_task("get", "t-1", "")).result();
    }

    fn a_writes_task_makes_stale_when_it_is_seen_to_stop(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.knows();
        run.makes("put_ticket", "t-1").result();
        run.knows_no_longer();
        run.sees("t-1", "working");
        run.still_knows();
        run.sees("t-1", "input_required");
        run.knows_no_longer();
        run.still_knows();
        run.authority().once("tasks/update", None, result(r#"{"resultType":"complete"}"#));
        run.ask(&of_task("update", "t-1", r#","inputResponses":{}"#)).result();
        run.knows_no_longer();
        run.sees("t-1", "working");
        run.still_knows();
        run.sees("t-1", "completed");
        run.knows_no_longer();
        run.sees("t-1", "completed");
        run.still_knows();
    }

    fn a_reads_task_makes_nothing_stale_and_an_unknown_one_may(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.makes("get_ticket", "t-1").result();
        run.knows();
        for status in ["input_required", "completed"] {
            run.sees("t-1", status);
            run.still_knows();
        }
        run.sees("t-2", "cancelled");
        run.knows_no_longer();
    }

    fn news_of_a_task_are_told_to_those_who_asked(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.makes("put_ticket", "t-1").result();
        let pending = run.start(&listen(r#"["t-1","t-1"]"#).id("71"));
        let heard = run.heard(pending, 1);
        assert_eq!(heard[0]["params"]["notifications"], json!({"toolsListChanged": true, "taskIds": ["t-1"]}));
        assert_eq!(run.authority().last("subscriptions/listen").params["notifications"]["taskIds"], json!(["t-1"]));
        run.knows();
        run.authority().tell(NEWS, &news("t-2", "working"));
        run.authority().tell(NEWS, &news("t-1", "working"));
        let told = &run.heard(pending, 2)[1];
        assert_eq!((&told["method"], &told["params"]["taskId"]), (&json!(NEWS), &json!("t-1")));
        assert_eq!(told["params"]["ttlMs"], 60_000);
        assert_eq!(told["params"]["_meta"][SUBSCRIPTION], 71);
        run.still_knows();
        run.authority().tell(NEWS, &news("t-1", "completed"));
        run.heard(pending, 3);
        run.knows_no_longer();
    }

    fn a_broken_stream_ends_a_subscription_to_tasks(host) {
        let clock = host.has(Need::Clock);
        let mut run = Run::open(host, Setup::new().limit("requestTimeoutMs", 3_600_000));
        let pending = run.listens_for(r#"["t-1"]"#);
        run.authority().break_streams();
        while clock && run.trips("subscriptions/listen") < 2 {
            run.target.advance(10);
        }
        run.authority().wait_for("subscriptions/listen", 2);
        run.finish(pending).fails(Code::AuthorityUnreachable);
    }

    fn the_session_era_has_other_tasks(host) {
        let mut run = Run::open(host, Setup::new().authority(Authority::legacy(LEGACY)));
        run.ask(&of_task("get", "1", "")).fails(Code::MethodNotFound);
        run.ask(&of_task("cancel", "1", "")).fails(Code::MethodNotFound);
        assert_eq!(run.trips("tasks/get") + run.trips("tasks/cancel"), 0);
    }
}
