//! Agents of the session era, asked by authorities of both.

use alloc::string::String;

use super::*;

const SESSIONS: Host = Host {
    lease: None,
    credentials: false,
    sessions: true,
    store: false,
    judges: false,
    vault: false,
    authorizes: false,
    signs: false,
};

impl World {
    /// A replica that keeps sessions.
    fn keeping(authority: impl FnMut(&Seen) -> Say + Send + 'static) -> Self {
        let mut world = Self::with(CONFIG, None, authority);
        world.replica = Replica::new(Config::parse(CONFIG).unwrap(), SESSIONS);
        world.seeded()
    }

    fn post(&mut self, connection: u64, message: &Value) -> (Served, String) {
        let mut out = Vec::new();
        let caller = Caller::Principal(if connection == 9 { "ben" } else { "ann" }.into());
        let message = message.to_string();
        let request = Request {
            caller: &caller,
            ctx: Ctx::SHARED,
            connection,
            headers: None,
            negotiated: Some("2025-11-25"),
            verb: leeward::Verb::Post,
            message: message.as_bytes(),
            peek: false,
        };
        let served = self.replica.serve(self.clock(), request, &mut out);
        self.called(Ctx::SHARED);
        self.pump();
        (served, String::from_utf8(out).unwrap())
    }

    /// Opens a session on a connection.
    fn opens(&mut self, connection: u64) {
        let hello = json!({"protocolVersion": "2025-11-25", "clientInfo": {"name": "a", "version": "1"},
            "capabilities": {"sampling": {}, "roots": {"listChanged": true}}});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello});
        self.post(connection, &hello);
        assert_eq!(self.said().len(), 1);
    }

    fn calls(&mut self, connection: u64) -> Ticket {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "do_it", "arguments": {}}});
        match self.post(connection, &call).0 {
            Served::Wait(ticket) => ticket,
            served => panic!("{served:?}"),
        }
    }

    /// What was said to agents since the last time.
    fn said(&mut self) -> Vec<Value> {
        let said = self.replies.drain(..).map(|(_, reply)| reply.part);
        said.map(|part| serde_json::from_slice(&part).unwrap()).collect()
    }
}

/// Wants one sampling, and says what it was told.
fn stateless(seen: &Seen) -> Say {
    match &*seen.method {
        "tools/call" if seen.params["inputResponses"].is_null() => {
            assert_eq!(
                seen.meta("clientCapabilities"),
                &json!({"sampling": {}, "roots": {}})
            );
            let request = json!({"method": "sampling/createMessage", "params": {"maxTokens": 7}});
            seen.result(
                json!({"resultType": "input_required", "inputRequests": {"k": request}, "requestState": "s"}),
            )
        }
        "tools/call" => {
            assert_eq!(seen.params["requestState"], "s");
            let told = seen.params["inputResponses"].to_string();
            seen.result(json!({"resultType": "complete", "content": [{"type": "text", "text": told}]}))
        }
        _ => answer(seen),
    }
}

/// Asks for one sampling within a session.
fn stateful(seen: &Seen) -> Say {
    match &*seen.method {
        "server/discover" => Say::empty(404),
        "initialize" => {
            // The first is the probe's, for whom `initialize` itself travelled.
            let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"}});
            seen.result(result).with("mcp-session-id", "s")
        }
        "notifications/initialized" | "response" => Say::empty(202),
        "GET" => Say::empty(405),
        _ => {
            let ask = json!({"jsonrpc": "2.0", "id": "a", "method": "sampling/createMessage", "params": {"maxTokens": 7}});
            let done = json!({"jsonrpc": "2.0", "id": seen.id, "result": {"content": []}});
            Say::events(&[ask, done], End::Hangs)
        }
    }
}

fn asked(world: &mut World) -> Value {
    let said = world.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(
        (&said[0]["method"], &said[0]["params"]["maxTokens"]),
        (&json!("sampling/createMessage"), &json!(7))
    );
    said[0]["id"].clone()
}

#[test]
fn an_agent_of_the_session_era_is_asked_on_the_stream_of_its_request() {
    for (authority, calls) in [(stateless as fn(&Seen) -> Say, 2), (stateful, 1)] {
        let mut world = World::keeping(authority);
        world.opens(5);
        world.calls(5);
        let id = asked(&mut world);
        let response = json!({"jsonrpc": "2.0", "id": id, "result": {"role": "assistant", "n": 1}});
        // Of a session that was not asked, of nobody's, for another question.
        world.opens(6);
        world.opens(9);
        for (connection, id) in [(6, &id), (9, &id), (7, &id), (5, &json!(77)), (5, &json!("x"))] {
            let mut wrong = response.clone();
            wrong["id"] = id.clone();
            world.post(connection, &wrong);
            assert!(world.said().is_empty(), "{connection} {id}");
        }
        assert_eq!(world.post(5, &response), (Served::Accepted, String::new()));
        let said = world.said();
        assert_eq!((said.len(), &said[0]["id"]), (1, &json!(1)), "{said:?}");
        if calls == 2 {
            assert_eq!(
                said[0]["result"]["content"][0]["text"],
                r#"{"k":{"n":1,"role":"assistant"}}"#
            );
        } else {
            let seen = world
                .host
                .seen
                .iter()
                .find(|seen| seen.method == "response")
                .unwrap();
            let body: Value = serde_json::from_slice(&seen.http.body).unwrap();
            assert_eq!((&body["id"], &body["result"]["n"]), (&json!("a"), &json!(1)));
        }
        assert_eq!(world.trips("tools/call"), calls);
        assert_eq!(world.post(5, &response).0, Served::Accepted, "late, and dropped");
        assert!(world.said().is_empty());
    }
}

#[test]
fn an_agent_may_refuse_what_it_is_asked() {
    for (authority, code) in [(stateless as fn(&Seen) -> Say, Some(1023)), (stateful, None)] {
        let mut world = World::keeping(authority);
        world.opens(5);
        world.calls(5);
        let id = asked(&mut world);
        let error = json!({"code": -1, "message": "User rejected sampling request"});
        world.post(5, &json!({"jsonrpc": "2.0", "id": id, "error": error}));
        let said = world.said();
        assert_eq!(said[0]["error"]["code"].as_i64(), code, "{said:?}");
        if code.is_none() {
            let seen = world
                .host
                .seen
                .iter()
                .find(|seen| seen.method == "response")
                .unwrap();
            let body: Value = serde_json::from_slice(&seen.http.body).unwrap();
            assert_eq!(body["error"], error);
        }
    }
}

#[test]
fn what_nobody_will_answer_is_not_waited_for() {
    let mut world = World::keeping(stateful);
    world.opens(5);
    world.calls(5);
    asked(&mut world);
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    world.post(5, &cancelled);
    let seen = world
        .host
        .seen
        .iter()
        .find(|seen| seen.method == "response")
        .unwrap();
    let body: Value = serde_json::from_slice(&seen.http.body).unwrap();
    assert_eq!(body["error"]["code"], -32603, "the write goes on");
    assert!(world.said().is_empty());
    assert_eq!(world.host.open(), 0);
}
