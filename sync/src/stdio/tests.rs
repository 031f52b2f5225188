//! A connection, byte by byte, against a replica with local tools.

extern crate std;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use leeward::border::LocalCall;
use leeward::dispatch::Caller;
use leeward::{Config, Ctx, Input, Millis, Now, OpId, Output, Reply};
use serde_json::{Value, json};

use super::*;
use crate::limits::MAX_UNWRITTEN_BYTES;
use crate::{Host, Replica};

const NOW: Now = Now {
    mono: Millis(1),
    unix: Millis(1),
};
const MAX: usize = 4096;

struct World {
    replica: Replica,
    agent: Agent,
    /// Calls of the tool `hold`, unanswered.
    held: Vec<OpId>,
    aborted: usize,
    judged: Vec<String>,
    /// The last reply that was polled.
    last: Option<Reply>,
}

impl World {
    fn new() -> Self {
        let config = format!(r#"{{"limits":{{"maxMessageBytes":{MAX}}}}}"#);
        let host = Host {
            judges: true,
            sessions: true,
            ..Host::default()
        };
        let mut world = Self {
            replica: Replica::new(Config::parse(&config).unwrap(), host),
            agent: Agent::new(Caller::Principal("ann".into()), Ctx::SHARED, 1, MAX),
            held: Vec::new(),
            aborted: 0,
            judged: Vec::new(),
            last: None,
        };
        world.pump();
        for tool in ["echo", "hold"] {
            let definition = json!({ "name": tool, "inputSchema": { "type": "object" } });
            world
                .replica
                .register_tool(&definition.to_string(), None)
                .unwrap();
        }
        world
    }

    fn receive(&mut self, bytes: &[u8]) {
        let Self {
            replica,
            agent,
            judged,
            ..
        } = self;
        agent.receive(replica, NOW, bytes, |question| {
            judged.push(format!("{} {}", question.tool, question.arguments));
            assert_eq!(question.input_schema, r#"{"type":"object"}"#);
            question
                .arguments
                .contains("bad")
                .then(|| "bad is not good".to_string())
        });
        self.pump();
    }

    fn pump(&mut self) {
        while let Some(output) = self.replica.poll_output(Ctx::SHARED) {
            let input = match output {
                Output::Entropy { op, bytes } => Input::Entropy {
                    op,
                    bytes: vec![7; bytes],
                },
                Output::CallLocal {
                    op,
                    call: LocalCall::Tool { name, .. },
                } if name == "hold" => {
                    self.held.push(op);
                    continue;
                }
                Output::CallLocal { op, .. } => Input::Local {
                    op,
                    // As a host's own JSON may look.
                    result: Ok(
                        b"{\r\n \"content\": [\r\n{\"type\":\"text\",\"text\":\"a\\nb\"}\n]\n}".to_vec(),
                    ),
                },
                Output::Abort { .. } => {
                    self.aborted += 1;
                    continue;
                }
                Output::Reply(reply) => {
                    assert!(self.agent.reply(&mut self.replica, NOW, &reply));
                    self.last = Some(reply);
                    continue;
                }
                _ => continue,
            };
            self.replica.handle(NOW, Ctx::SHARED, input);
        }
    }

    fn answer(&mut self) {
        let op = self.held.remove(0);
        let result = Ok(br#"{"content":[]}"#.to_vec());
        self.replica.handle(NOW, Ctx::SHARED, Input::Local { op, result });
        self.pump();
    }

    /// What the agent reads: messages, one per line.
    fn heard(&mut self) -> Vec<Value> {
        let text = String::from_utf8(self.agent.take_output()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn ask(&mut self, message: &Value) -> Vec<Value> {
        self.receive(format!("{message}\n").as_bytes());
        self.heard()
    }
}

fn modern(id: &Value, method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn call(id: u64, tool: &str) -> Value {
    modern(
        &json!(id),
        "tools/call",
        &json!({ "name": tool, "arguments": {} }),
    )
}

fn listen(id: &str) -> Value {
    let params = json!({ "notifications": { "toolsListChanged": true } });
    modern(&json!(id), "subscriptions/listen", &params)
}

fn cancelled(id: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } })
}

#[test]
fn lines_are_the_same_however_their_bytes_come() {
    let text = "{\"a\":1}\n\r\n \t\n{\"ü\":2}\r\n  3 \nunfinished";
    let expected = ["{\"a\":1}", "{\"ü\":2}", "3"];
    let whole = text.as_bytes();
    for first in 0..=whole.len() {
        for second in first..=whole.len() {
            let mut lines = Lines::new(100);
            let mut seen = Vec::new();
            for part in [&whole[..first], &whole[first..second], &whole[second..]] {
                lines.push(part, |line| seen.push(String::from_utf8(line.to_vec()).unwrap()));
            }
            assert_eq!(seen, expected, "{first} {second}");
        }
    }
}

#[test]
fn a_line_past_the_limit_is_cut_and_the_next_is_whole() {
    for step in 1..30 {
        let mut lines = Lines::new(5);
        let mut seen = Vec::new();
        for part in b"12345\n123456789012345\nabc\n".chunks(step) {
            lines.push(part, |line| seen.push(String::from_utf8(line.to_vec()).unwrap()));
            assert!(lines.held() <= 6);
        }
        assert_eq!(seen, ["12345", "123456", "abc"], "{step}");
    }
}

#[test]
fn a_conversation_is_the_same_however_its_bytes_come() {
    let conversation = format!(
        "{}\n{}\r\n\n{}\nnonsense\n{}\n",
        modern(&json!("d"), "server/discover", &json!({})),
        call(2, "echo"),
        cancelled(&json!(99)),
        modern(&json!(3), "tools/list", &json!({})),
    );
    let bytes = conversation.as_bytes();
    let hear = |parts: &[&[u8]]| {
        let mut world = World::new();
        parts.iter().for_each(|part| world.receive(part));
        world.heard()
    };
    let whole = hear(&[bytes]);
    assert_eq!(whole.len(), 4, "{whole:?}");
    assert_eq!(
        whole
            .iter()
            .map(|message| message["id"].clone())
            .collect::<Vec<_>>(),
        [json!("d"), Value::Null, json!(3), json!(2)]
    );
    assert_eq!(whole[1]["error"]["code"], -32700);
    assert!(whole[1].get("id").is_none(), "MCP's schema knows no null id");
    assert_eq!(whole[3]["result"]["content"][0]["text"], "a\nb");
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        let mut parts = hear(&[first, second]);
        // The call is answered as soon as the host has; nothing else may differ.
        parts.sort_by_key(|message| whole.iter().position(|other| other["id"] == message["id"]));
        let without_names = |messages: &[Value]| {
            let mut messages = messages.to_vec();
            messages[1]["error"]["data"] = Value::Null;
            messages
        };
        assert_eq!(without_names(&parts), without_names(&whole), "split at {at}");
    }
}

#[test]
fn bytes_that_are_no_text_and_lines_that_are_too_long_are_refused() {
    let mut world = World::new();
    world.receive(b"{\"jsonrpc\":\"\xff\xfe\"}\n");
    world.receive(&[b'x'; MAX + 100]);
    assert!(world.agent.lines_held() <= MAX + 1);
    world.receive(b"\n");
    let heard = world.ask(&call(5, "echo"));
    let codes: Vec<_> = heard
        .iter()
        .map(|message| message["error"]["code"].clone())
        .collect();
    assert_eq!(codes[..2], [json!(-32700), json!(1006)], "{heard:?}");
    assert_eq!(heard[2]["id"], 5);
}

#[test]
fn notifications_are_not_answered() {
    let mut world = World::new();
    for method in [
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/x",
        "x",
    ] {
        assert!(
            world
                .ask(&json!({ "jsonrpc": "2.0", "method": method }))
                .is_empty()
        );
    }
}

#[test]
fn what_is_cancelled_is_stopped_and_not_answered() {
    let mut world = World::new();
    assert!(world.ask(&call(1, "hold")).is_empty());
    assert!(world.ask(&call(2, "hold")).is_empty());
    assert!(world.ask(&cancelled(&json!(7))).is_empty(), "nobody's");
    assert_eq!(world.agent.waiting_count(), 2);
    assert!(world.ask(&cancelled(&json!(1))).is_empty());
    assert_eq!((world.agent.waiting_count(), world.aborted), (1, 1));
    world.answer();
    assert!(world.heard().is_empty());
    world.answer();
    assert_eq!(world.heard()[0]["id"], 2);
    assert_eq!(world.agent.waiting_count(), 0);
}

#[test]
fn of_two_requests_with_one_id_the_one_that_goes_on_is_answered() {
    let mut world = World::new();
    assert!(world.ask(&call(1, "hold")).is_empty());
    assert!(world.ask(&call(1, "hold")).is_empty());
    assert!(world.ask(&cancelled(&json!(1))).is_empty());
    assert_eq!(world.agent.waiting_count(), 1);
    world.answer();
    world.answer();
    assert_eq!(world.heard().len(), 1);
}

#[test]
fn each_request_is_served_in_its_own_era() {
    let mut world = World::new();
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "a", "version": "1" } });
    let bare = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(world.ask(&bare)[0]["error"]["code"], -32602, "neither");
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    assert_eq!(
        world.ask(&initialize)[0]["result"]["protocolVersion"],
        "2025-06-18"
    );
    let listed = world.ask(&bare);
    assert_eq!(listed[0]["result"]["tools"].as_array().unwrap().len(), 2);
    assert!(
        listed[0]["result"].get("resultType").is_none(),
        "of the session era"
    );
    let listed = world.ask(&modern(&json!(2), "tools/list", &json!({})));
    assert_eq!(listed[0]["result"]["resultType"], "complete");
}

#[test]
fn arguments_are_judged_by_the_host() {
    let mut world = World::new();
    let bad = modern(
        &json!(1),
        "tools/call",
        &json!({ "name": "echo", "arguments": { "bad": 1 } }),
    );
    let heard = world.ask(&bad);
    assert_eq!(heard[0]["result"]["isError"], true);
    assert_eq!(
        heard[0]["result"]["content"][0]["text"],
        "Invalid arguments for tool echo: bad is not good"
    );
    assert_eq!(world.ask(&call(2, "echo"))[0]["id"], 2);
    assert_eq!(world.judged, [r#"echo {"bad":1}"#, "echo {}"]);
}

#[test]
fn a_subscription_ends_gracefully_with_both_its_messages() {
    let mut world = World::new();
    let heard = world.ask(&listen("l"));
    assert_eq!(heard[0]["method"], "notifications/subscriptions/acknowledged");
    let definition = json!({ "name": "new", "inputSchema": { "type": "object" } });
    world
        .replica
        .register_tool(&definition.to_string(), None)
        .unwrap();
    world.pump();
    assert_eq!(world.heard()[0]["method"], "notifications/tools/list_changed");
    assert!(world.ask(&call(1, "hold")).is_empty());

    let World { replica, agent, .. } = &mut world;
    agent.close(replica, NOW);
    let heard = world.heard();
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": "l" });
    let result = json!({ "resultType": "complete", "_meta": meta });
    assert_eq!(heard[0], json!({ "jsonrpc": "2.0", "id": "l", "result": result }));
    assert_eq!(heard[1..], [cancelled(&json!("l"))]);
    assert_eq!(world.replica.stats().subscriptions, 0);
    assert_eq!(world.replica.stats().waiters, 0);
}

#[test]
fn a_subscription_that_its_authority_ends_gracefully_ends_with_both_messages_too() {
    let mut world = World::new();
    world.ask(&listen("l"));
    let result = br#"{"jsonrpc":"2.0","id":"l","result":{}}"#;
    let end = Reply {
        part: result.to_vec(),
        last: true,
        ..world.last.clone().unwrap()
    };
    assert!(world.agent.reply(&mut world.replica, NOW, &end));
    let heard = world.heard();
    assert_eq!(
        (&heard[0]["id"], &heard[1]),
        (&json!("l"), &cancelled(&json!("l")))
    );

    // An error says all by itself.
    world.ask(&listen("m"));
    let error = br#"{"jsonrpc":"2.0","id":"m","error":{"code":-32603,"message":"m"}}"#;
    let end = Reply {
        part: error.to_vec(),
        last: true,
        ..world.last.clone().unwrap()
    };
    assert!(world.agent.reply(&mut world.replica, NOW, &end));
    assert_eq!(world.heard().len(), 1);
}

#[test]
fn the_connection_is_the_session_of_an_agent_that_begins_with_initialize() {
    let mut world = World::new();
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "a", "version": "1" } });
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let heard = world.ask(&initialize);
    assert_eq!(
        heard[0]["result"]["capabilities"]["tools"]["listChanged"], true,
        "{heard:?}"
    );
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert!(world.ask(&initialized).is_empty());
    assert_eq!(world.replica.stats().sessions, 1);
    // A cancellation, of whatever or of nothing, does not end its stream.
    assert!(world.ask(&cancelled(&json!(9))).is_empty());
    let of_nothing = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {} });
    assert!(world.ask(&of_nothing).is_empty());
    let definition = json!({ "name": "new", "inputSchema": { "type": "object" } });
    world
        .replica
        .register_tool(&definition.to_string(), None)
        .unwrap();
    world.pump();
    assert_eq!(world.heard()[0]["method"], "notifications/tools/list_changed");
    let World { replica, agent, .. } = &mut world;
    agent.end(replica, NOW);
    assert_eq!(world.replica.stats().sessions, 0);
}

#[test]
fn the_end_of_input_gives_up_what_waits() {
    let mut world = World::new();
    world.ask(&listen("l"));
    world.ask(&call(1, "hold"));
    let World { replica, agent, .. } = &mut world;
    agent.end(replica, NOW);
    assert!(world.heard().is_empty());
    let stats = world.replica.stats();
    assert_eq!((stats.subscriptions, stats.waiters), (0, 0));
}

#[test]
fn an_agent_that_does_not_read_gets_its_answers_and_loses_its_subscription() {
    let mut world = World::new();
    world.ask(&listen("l"));
    let mut asked = 0;
    while world.agent.wants_input() {
        asked += 1;
        world.receive(format!("{}\n", call(asked, "echo")).as_bytes());
    }
    let definition = json!({ "name": "new", "inputSchema": { "type": "object" } });
    world
        .replica
        .register_tool(&definition.to_string(), None)
        .unwrap();
    world.pump();
    let out = world.agent.take_output();
    assert!(out.len() > MAX_UNWRITTEN_BYTES && out.len() < MAX_UNWRITTEN_BYTES + 2 * MAX);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count() as u64, asked + 1);
    assert!(!text.contains("list_changed"));
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["id"], &last["error"]["data"]["code"]),
        (&json!("l"), &json!("over_budget"))
    );
    assert!(world.agent.wants_input());
}

#[test]
fn a_session_whose_agent_did_not_read_is_told_of_everything_once_it_does() {
    let mut world = World::new();
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "a", "version": "1" } } });
    world.ask(&initialize);
    world.ask(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    while world.agent.wants_input() {
        world.receive(format!("{ping}\n").as_bytes());
    }
    let definition = json!({ "name": "new", "inputSchema": { "type": "object" } });
    world
        .replica
        .register_tool(&definition.to_string(), None)
        .unwrap();
    world.pump();
    assert!(!world.heard().iter().any(|heard| heard.get("method").is_some()));
    let heard = world.ask(&json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }));
    let told = |method: &str| heard.iter().any(|heard| heard["method"] == method);
    assert!(told("notifications/tools/list_changed"), "{heard:?}");
}

#[test]
fn replies_of_other_connections_are_not_taken() {
    let mut world = World::new();
    world.ask(&call(1, "hold"));
    let mut other = Agent::new(Caller::Anonymous, Ctx::SHARED, 2, MAX);
    let op = world.held.remove(0);
    let result = Ok(br#"{"content":[]}"#.to_vec());
    world
        .replica
        .handle(NOW, Ctx::SHARED, Input::Local { op, result });
    let Some(Output::Reply(reply)) = world.replica.poll_output(Ctx::SHARED) else {
        panic!("no reply")
    };
    assert!(!other.reply(&mut world.replica, NOW, &reply));
    assert!(other.take_output().is_empty());
    assert!(world.agent.reply(&mut world.replica, NOW, &reply));
    assert!(!world.agent.reply(&mut world.replica, NOW, &reply), "once");
}

#[test]
fn the_probe_judges_as_the_specification_says() {
    let probe = Probe::new(1);
    let request: Value = serde_json::from_slice(&probe.request()).unwrap();
    assert_eq!(probe.request().last(), Some(&b'\n'));
    assert_eq!(
        (&request["id"], &request["method"]),
        (&json!(1), &json!("server/discover"))
    );
    let meta = &request["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");

    let judge = |message: Value| {
        let mut message = message;
        message["jsonrpc"] = json!("2.0");
        probe.receive(message.to_string().as_bytes())
    };
    let result = |versions: Value| judge(json!({ "id": 1, "result": { "supportedVersions": versions } }));
    let error = |code: i64, data: Value| {
        judge(json!({ "id": 1, "error": { "code": code, "message": "m", "data": data } }))
    };
    let modern = Some(Verdict::Modern { discovered: None });
    assert!(matches!(
        result(json!(["2025-11-25", "2026-07-28"])),
        Some(Verdict::Modern { discovered: Some(_) })
    ));
    assert_eq!(result(json!(["2025-11-25"])), Some(Verdict::Legacy));
    assert_eq!(result(json!(["2099-01-01"])), Some(Verdict::NoCommonVersion));
    assert_eq!(judge(json!({ "id": 1, "result": {} })), Some(Verdict::Legacy));
    for code in [-32020, -32021] {
        assert_eq!(error(code, Value::Null), modern);
    }
    assert_eq!(error(-32022, json!({ "supported": ["2026-07-28"] })), modern);
    assert_eq!(
        error(-32022, json!({ "supported": ["2025-11-25"] })),
        Some(Verdict::Legacy)
    );
    for data in [json!({ "supported": ["2099-01-01"] }), json!({}), Value::Null] {
        assert_eq!(error(-32022, data), Some(Verdict::NoCommonVersion));
    }
    for code in [-32601, -32602, -32600, -32000, 0, 7] {
        assert_eq!(error(code, json!("_meta")), Some(Verdict::Legacy), "{code}");
    }
    let nobodys = json!({ "id": null, "error": { "code": -32600, "message": "m" } });
    assert_eq!(judge(nobodys), Some(Verdict::Legacy));
    assert_eq!(probe.timed_out(), Verdict::Legacy);

    assert_eq!(judge(json!({ "id": 2, "result": {} })), None);
    assert_eq!(judge(json!({ "id": 1, "method": "ping" })), None);
    assert_eq!(
        judge(json!({ "method": "notifications/message", "params": {} })),
        None
    );
    for line in [&b"Server listening"[..], b"", b"\xff", b"[]", b"{\"id\":1}"] {
        assert_eq!(probe.receive(line), None);
    }
}
