//! Sessions through the replica: streams that lose their connections, trips that end with them, records.

use alloc::vec;

use leeward::Verb;

use super::*;

const LISTEN: &str = "subscriptions/listen";

fn keeping(authority: impl FnMut(&Seen) -> Say + Send + 'static) -> World {
    let mut world = World::with(CONFIG, None, authority);
    let host = Host {
        lease: None,
        credentials: false,
        sessions: true,
        store: true,
        judges: false,
        vault: false,
        authorizes: false,
        signs: false,
    };
    world.replica = Replica::new(Config::parse(CONFIG).unwrap(), host);
    world.seeded()
}

fn discovering(seen: &Seen) -> Say {
    match &*seen.method {
        "server/discover" => seen.result(json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": {"logging": {}, "resources": {"subscribe": true}}, "ttlMs": 0, "cacheScope": "private"})),
        LISTEN => Say::events(
            &[json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {
                "_meta": {"io.modelcontextprotocol/subscriptionId": seen.id},
                "notifications": seen.params["notifications"]}})],
            End::Hangs,
        ),
        _ => Say::events(&[], End::Hangs),
    }
}

impl World {
    fn come(&mut self, verb: Verb, session: &str, event: Option<&str>, message: &Value) -> Served {
        let mut headers = vec![("mcp-protocol-version".into(), "2025-11-25".into())];
        if !session.is_empty() {
            headers.push(("mcp-session-id".into(), session.into()));
        }
        headers.extend(event.map(|event| ("last-event-id".into(), event.into())));
        let message = match verb {
            Verb::Post => message.to_string(),
            _ => String::new(),
        };
        let request = Request {
            caller: &Caller::Principal("ann".into()),
            ctx: Ctx::SHARED,
            connection: 0,
            headers: Some(&headers),
            negotiated: None,
            verb,
            message: message.as_bytes(),
            peek: false,
        };
        let served = self.replica.serve(self.clock(), request, &mut Vec::new());
        self.called(Ctx::SHARED);
        self.pump();
        served
    }

    fn ticket(&mut self, verb: Verb, session: &str, event: Option<&str>, message: &Value) -> Ticket {
        match self.come(verb, session, event, message) {
            Served::Wait(ticket) => ticket,
            served => panic!("{served:?}"),
        }
    }

    fn enters(&mut self) -> String {
        let init = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}});
        self.ticket(Verb::Post, "", None, &init);
        self.replies.last().unwrap().1.session.clone().unwrap()
    }

    fn parts(&self, ticket: Ticket) -> Vec<&Reply> {
        let own = self.replies.iter().map(|(_, reply)| reply);
        own.filter(|reply| reply.ticket == ticket).collect()
    }
}

fn calling(id: u64, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {}}})
}

#[test]
fn a_call_goes_on_without_its_connection_and_is_answered_to_who_comes_back() {
    let mut world = keeping(discovering);
    let id = world.enters();
    let ticket = world.ticket(Verb::Post, &id, None, &calling(7, "set_x"));
    let event = world.parts(ticket)[0].event.clone().unwrap();
    world.handle(0, Input::Cancel { ticket });
    assert_eq!((world.host.open(), world.replica.stats().waiters), (1, 1));
    let back = world.ticket(Verb::Get, &id, Some(&event), &Value::Null);
    let late = world
        .host
        .answer_late(|seen| seen.result(json!({"resultType": "complete", "content": []})));
    world.handle(0, late);
    world.run();
    assert_eq!(world.parts(ticket).len(), 1);
    let answer = world.parts(back);
    assert!(answer.len() == 1 && answer[0].last && answer[0].event.is_some());
}

#[test]
fn its_streams_and_trips_end_with_a_session() {
    let mut world = keeping(discovering);
    let id = world.enters();
    let stream = world.ticket(Verb::Get, &id, None, &Value::Null);
    let read = world.ticket(Verb::Post, &id, None, &calling(7, "get_x"));
    let write = world.ticket(Verb::Post, &id, None, &calling(8, "set_x"));
    // Another resource: one trip takes the place of the other.
    let subscribe =
        json!({"jsonrpc": "2.0", "id": 9, "method": "resources/subscribe", "params": {"uri": "a:1"}});
    let subscribed = world.ticket(Verb::Post, &id, None, &subscribe);
    assert!(world.parts(subscribed)[0].last);
    assert_eq!((world.trips(LISTEN), world.host.open()), (2, 3));
    assert!(matches!(
        world.come(Verb::Delete, &id, None, &Value::Null),
        Served::Reply { status: 204, .. }
    ));
    assert!(world.parts(stream).last().unwrap().last);
    assert!(world.parts(write).last().unwrap().part.is_empty());
    assert!(world.parts(read).last().unwrap().last);
    assert_eq!(world.host.open(), 1, "only the write goes on");
    assert_eq!(world.replica.stats().sessions, 0);
    let keys: Vec<bool> = world.saved.iter().map(|(_, record)| record.is_some()).collect();
    assert_eq!(keys, [true, true, false]);
}

#[test]
fn an_agent_that_falls_behind_comes_back_for_what_it_missed() {
    let mut world = keeping(discovering);
    let id = world.enters();
    let ticket = world.ticket(Verb::Post, &id, None, &calling(7, "set_x"));
    let event = world.parts(ticket)[0].event.clone().unwrap();
    world.handle(0, Input::Dropped { ticket });
    world.pump();
    let last = world.parts(ticket)[1];
    assert!(last.last && last.part.is_empty());
    let back = world.ticket(Verb::Get, &id, Some(&event), &Value::Null);
    assert!(world.parts(back).is_empty());
    assert_eq!(world.host.open(), 1);
}

#[test]
fn sessions_are_taken_up_from_their_records_and_damaged_ones_are_dropped() {
    let mut world = keeping(discovering);
    let id = world.enters();
    let ticket = world.ticket(Verb::Post, &id, None, &calling(7, "set_x"));
    let event = world.parts(ticket)[0].event.clone().unwrap();
    let (key, record) = world.saved.pop().unwrap();
    let record = record.unwrap();
    let mut again = keeping(discovering);
    let damaged = ("session:x".to_string(), record[1..].to_vec());
    again.replica.restore(again.clock(), [(key, record), damaged]);
    again.called(Ctx::SHARED);
    again.pump();
    assert!(matches!(again.events[..], [Event::SessionDropped]));
    assert_eq!(again.saved, [("session:x".to_string(), None)]);
    assert_eq!(again.replica.stats().sessions, 1);
    let back = again.ticket(Verb::Get, &id, Some(&event), &Value::Null);
    let answer: Value = serde_json::from_slice(&again.parts(back)[0].part).unwrap();
    assert_eq!(
        (&answer["id"], &answer["error"]["data"]["code"]),
        (&json!(7), &json!("unknown_outcome"))
    );
}
