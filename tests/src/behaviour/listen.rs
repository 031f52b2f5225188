//! Subscriptions: what an agent listens for at the authority, through the replica.

use serde_json::{Value, json};

use super::{GET, cases};
use crate::authority::{Authority, Plan, SUBSCRIPTION, error};
use crate::run::Run;
use crate::target::{Local, Need, Pending, Setup};
use crate::wire::{LEGACY, Message};
use leeward::Code;
use leeward::limits::MAX_LISTENS_PER_PRINCIPAL;

const TOOLS: &str = r#"{"toolsListChanged":true}"#;
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
const UPDATED: &str = "notifications/resources/updated";
const ONE: &str = "crm://tickets/1";

fn listen(id: &str, filter: &str) -> Message {
    Message::new("subscriptions/listen", &format!(r#""notifications":{filter}"#)).id(id)
}

fn hinting() -> Setup {
    Setup::tools(GET).authority(Authority::modern().hinting(60_000, "private"))
}

impl Run<'_> {
    /// A subscription that is acknowledged.
    fn listens(&mut self, id: &str, filter: &str) -> Pending {
        let pending = self.start(&listen(id, filter));
        assert_eq!(self.heard(pending, 1)[0]["method"], ACKNOWLEDGED);
        pending
    }

    /// Lets time pass until the authority has seen so many subscriptions. Trips must not be short of time: the
    /// test's clock may run far ahead of them.
    fn listens_again(&mut self, moves_clock: bool, times: usize) {
        while moves_clock && self.trips("subscriptions/listen") < times {
            self.target.advance(10);
        }
        self.authority().wait_for("subscriptions/listen", times);
    }
}

/// With all the time there is for a trip.
fn patient(setup: Setup) -> Setup {
    setup.limit("requestTimeoutMs", 3_600_000)
}

fn tag(message: &Value) -> &Value {
    &message["params"]["_meta"][SUBSCRIPTION]
}

cases! {
    fn acknowledges_what_the_authority_agreed_to(host) {
        let mut run = Run::open(host, Setup::new());
        let asked = r#"{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":false,"resourceSubscriptions":["crm://tickets/1"]}"#;
        let pending = run.start(&listen(r#""listen:0""#, asked));
        let heard = run.heard(pending, 1);
        let agreed = json!({"toolsListChanged": true, "resourceSubscriptions": [ONE]});
        let expected = json!({
            "jsonrpc": "2.0", "method": ACKNOWLEDGED,
            "params": {"_meta": {SUBSCRIPTION: "listen:0"}, "notifications": agreed}
        });
        assert_eq!(heard, [expected]);
        let seen = run.authority().last("subscriptions/listen");
        let sent: Value = serde_json::from_str(asked).expect("it is JSON");
        let mut sent = sent.as_object().cloned().expect("an object");
        sent.remove("resourcesListChanged");
        assert_eq!(seen.params["notifications"], Value::Object(sent));
    }

    fn acknowledges_nothing_before_the_authority_does(host) needs(Together) {
        let mut run = Run::open(host, Setup::new());
        run.authority().hold();
        let pending = run.start(&listen("1", TOOLS));
        run.target.settle();
        assert_eq!(run.target.heard(pending, 0).len(), 0);
        run.authority().release();
        assert_eq!(run.heard(pending, 1)[0]["method"], ACKNOWLEDGED);
    }

    fn tells_the_agent_after_it_has_forgotten_what_changed(host) {
        let mut run = Run::open(host, hinting());
        run.miss(&Message::bare("tools/list"));
        run.miss(&Message::bare("prompts/list"));
        run.miss(&Message::call("get_user", "{}"));
        let pending = run.listens("7", TOOLS);
        run.hit(&Message::bare("tools/list"));
        run.authority().tell(TOOLS_CHANGED, &json!({"x": [1, {"y": null}]}));
        let told = &run.heard(pending, 2)[1];
        assert_eq!((tag(told), &told["params"]["x"]), (&json!(7), &json!([1, {"y": null}])));
        assert_eq!(told["method"], TOOLS_CHANGED);
        run.miss(&Message::bare("tools/list"));
        run.miss(&Message::call("get_user", "{}"));
        run.hit(&Message::bare("prompts/list"));
        assert_eq!(run.trips("subscriptions/listen"), 1);
    }

    fn tells_of_a_resource_and_reads_it_again(host) {
        let mut run = Run::open(host, hinting());
        let pending = run.listens("71", r#"{"resourceSubscriptions":["crm://tickets/1"]}"#);
        run.miss(&Message::read(ONE));
        run.miss(&Message::bare("resources/list"));
        run.authority().tell(UPDATED, &json!({"uri": ONE}));
        let told = &run.heard(pending, 2)[1];
        assert_eq!((&told["params"]["uri"], tag(told)), (&json!(ONE), &json!(71)));
        assert_eq!(run.miss(&Message::read(ONE)).text(), "crm://tickets/1 #2");
        run.hit(&Message::bare("resources/list"));
    }

    fn tells_nothing_that_was_not_asked_for(host) {
        let mut run = Run::open(host, hinting());
        run.miss(&Message::bare("prompts/list"));
        let pending = run.listens("71", TOOLS);
        run.authority().tell(PROMPTS_CHANGED, &json!({}));
        run.authority().tell(UPDATED, &json!({"uri": ONE}));
        run.authority().tell("notifications/message", &json!({"level": "alert", "data": "x"}));
        run.authority().keep_alive();
        run.authority().tell(TOOLS_CHANGED, &json!({}));
        let heard = run.heard(pending, 2);
        assert_eq!((heard.len(), &heard[1]["method"]), (2, &json!(TOOLS_CHANGED)));
        run.miss(&Message::bare("prompts/list"));
    }

    fn each_subscription_has_its_own_id_and_its_own_stream(host) {
        let mut run = Run::open(host, Setup::new());
        let first = run.listens("71", TOOLS);
        let second = run.listens(r#""71""#, TOOLS);
        let ben = run.connect("ben");
        let third = run.target.start(ben, &listen("71", TOOLS));
        run.heard(third, 1);
        assert_eq!(run.authority().listening(), 3);
        run.authority().tell(TOOLS_CHANGED, &json!({}));
        for (pending, id) in [(first, json!(71)), (second, json!("71")), (third, json!(71))] {
            assert_eq!(*tag(&run.heard(pending, 2)[1]), id);
        }
    }

    fn ends_as_the_authority_ends_it(host) {
        let mut run = Run::open(host, Setup::new());
        let pending = run.listens("3", TOOLS);
        run.authority().end_streams();
        let answer = run.finish(pending);
        assert_eq!(answer.result()["_meta"][SUBSCRIPTION], 3);
        assert_eq!(answer.notifications.len(), 1);
        run.goes_on_live();
        assert_eq!(run.trips("subscriptions/listen"), 1, "and is not opened again");
    }

    fn a_refusal_is_the_agents_answer(host) {
        let mut run = Run::open(host, Setup::new());
        let refused = error(200, -32603, "Subscription limit reached", Value::Null);
        run.authority().once("subscriptions/listen", None, refused);
        run.ask(&listen("1", TOOLS)).fails_verbatim(-32603, "Subscription limit reached");
        let unknown = error(404, -32601, "Method not found", Value::Null);
        run.authority().once("subscriptions/listen", None, unknown);
        run.ask(&listen("1", TOOLS)).fails_verbatim(-32601, "Method not found");
        run.authority().once("subscriptions/listen", None, Box::new(|_| Plan::empty(401)));
        run.ask(&listen("1", TOOLS)).fails(Code::AuthorityAuthRequired);
        run.target.authority_goes_down();
        run.ask(&listen("1", TOOLS)).fails(Code::AuthorityUnreachable);
        run.target.authority_comes_up();
        run.listens("71", TOOLS);
    }

    fn a_filter_that_is_none_is_refused_here(host) {
        let mut run = Run::open(host, Setup::new());
        for filter in ["[]", r#"{"toolsListChanged":"yes"}"#, r#"{"resourceSubscriptions":[7]}"#] {
            run.ask(&listen("1", filter)).fails(Code::InvalidParams);
        }
        run.ask(&Message::bare("subscriptions/listen")).fails(Code::InvalidParams);
        let uris: Vec<String> = (0..=leeward::limits::MAX_SUBSCRIBED).map(|n| format!("a:{n}")).collect();
        let many = json!({"resourceSubscriptions": uris}).to_string();
        run.ask(&listen("1", &many)).fails(Code::InvalidParams);
        assert_eq!(run.authority().log().len(), 0);
    }

    fn a_principal_has_so_many_subscriptions_and_no_more(host) needs(Streams) {
        let mut run = Run::open(host, Setup::new().limit("maxFlights", 1).limit("maxWaiters", 1));
        for n in 0..MAX_LISTENS_PER_PRINCIPAL {
            run.listens(&(100 + n).to_string(), TOOLS);
        }
        run.ask(&listen("1000", TOOLS)).fails(Code::OverBudget);
        run.goes_on_live();
        let ben = run.connect("ben");
        let pending = run.target.start(ben, &listen("71", TOOLS));
        run.heard(pending, 1);
    }

    fn a_session_era_authority_tells_on_a_stream_of_a_session(host) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::legacy(LEGACY)));
        run.miss(&Message::call("get_user", "{}"));
        let asked = r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["crm://tickets/1","crm://none"]}"#;
        let pending = run.listens("71", asked);
        let agreed = json!({"toolsListChanged": true, "resourceSubscriptions": [ONE]});
        assert_eq!(run.heard(pending, 1)[0]["params"]["notifications"], agreed);
        run.hit(&Message::call("get_user", "{}"));
        run.authority().tell(PROMPTS_CHANGED, &json!({}));
        run.authority().tell(UPDATED, &json!({"uri": ONE}));
        run.authority().tell(TOOLS_CHANGED, &json!({}));
        let heard = run.heard(pending, 3);
        let methods: Vec<&Value> = heard.iter().map(|message| &message["method"]).collect();
        assert_eq!(methods, [ACKNOWLEDGED, UPDATED, TOOLS_CHANGED]);
        assert!(heard.iter().all(|message| *tag(message) == json!(71)), "{heard:?}");
        run.miss(&Message::call("get_user", "{}"));
        let log = run.authority().log();
        let get = log.iter().find(|seen| seen.http == "GET").expect("a stream");
        let calls = log.iter().rfind(|seen| seen.rpc == "tools/call").expect("a call");
        assert_ne!(get.header("mcp-session-id"), calls.header("mcp-session-id"), "a session of its own");
        assert_eq!(run.trips("resources/subscribe"), 2);
        assert_eq!(run.trips("subscriptions/listen"), 0);
    }

    fn a_sessions_stream_that_breaks_is_opened_again_in_another(host) {
        let clock = host.has(Need::Clock);
        let mut run = Run::open(host, patient(Setup::tools(GET).authority(Authority::legacy(LEGACY))));
        let pending = run.listens("71", TOOLS);
        let begun = run.trips("initialize");
        run.authority().break_streams();
        while clock && run.trips("initialize") == begun {
            run.target.advance(10);
        }
        run.authority().wait_for("initialize", begun + 1);
        assert_eq!(run.heard(pending, 2)[1]["method"], TOOLS_CHANGED, "it may have missed some");
        run.authority().tell(TOOLS_CHANGED, &json!({}));
        run.heard(pending, 3);
        run.authority().wait_until(|authority| authority.sessions.as_ref().is_some_and(|sessions| sessions.alive.len() == begun));
        let log = run.authority().log();
        let deleted: Vec<_> = log.iter().filter(|seen| seen.http == "DELETE").collect();
        let first = log.iter().find(|seen| seen.http == "GET").expect("a stream");
        assert_eq!(deleted.len(), 1);
        assert_eq!(deleted[0].header("mcp-session-id"), first.header("mcp-session-id"));
    }

    fn whoever_gives_it_up_ends_the_session_of_it(host) needs(InProcess, Cancel) {
        let mut run = Run::open(host, Setup::new().authority(Authority::legacy(LEGACY)));
        let pending = run.listens("71", TOOLS);
        run.target.cancel(pending);
        run.authority().wait_until(|authority| authority.sessions.as_ref().is_some_and(|sessions| sessions.alive.len() == 1));
        let log = run.authority().log();
        let session = |http: &str| {
            let seen = log.iter().find(|seen| seen.http == http).expect("it was seen");
            seen.header("mcp-session-id")
        };
        assert_eq!(session("DELETE"), session("GET"));
    }

    fn a_session_without_a_stream_cannot_tell(host) {
        let mut run = Run::open(host, Setup::new().authority(Authority::legacy(LEGACY)));
        run.authority().change(|authority| {
            if let Some(sessions) = &mut authority.sessions {
                sessions.streams = false;
            }
        });
        run.ask(&listen("1", TOOLS)).fails(Code::MethodNotFound);
        run.goes_on_live();
    }

    fn is_advertised_as_the_authority_advertises_it(host) {
        let mut run = Run::open(host, Setup::new());
        let answer = run.ask(&Message::bare("server/discover"));
        let capabilities = &answer.result()["capabilities"];
        assert_eq!(capabilities["tools"], json!({"listChanged": true}));
        assert_eq!(capabilities["resources"], json!({"subscribe": true}));
    }

    fn whoever_gives_it_up_closes_the_authoritys_stream(host) needs(Cancel) {
        let mut run = Run::open(host, Setup::new());
        let pending = run.listens("71", TOOLS);
        assert_eq!(run.authority().listening(), 1);
        run.target.cancel(pending);
        run.authority().wait_until(|authority| authority.listening() == 0);
        assert_eq!(run.trips("subscriptions/listen"), 1);
    }

    fn a_broken_stream_is_opened_again_and_what_was_missed_is_told(host) {
        let clock = host.has(Need::Clock);
        // All is good for an hour: nothing grows old while the stream is opened again.
        let setup = Setup::tools(&[("get_*", "cache;max-age=3600")]).authority(Authority::modern().hinting(3_600_000, "private"));
        let mut run = Run::open(host, patient(setup));
        let pending = run.listens("71", r#"{"toolsListChanged":true,"resourceSubscriptions":["crm://tickets/1"]}"#);
        run.miss(&Message::bare("tools/list"));
        run.miss(&Message::bare("prompts/list"));
        run.miss(&Message::read(ONE));
        run.miss(&Message::call("get_user", "{}"));
        run.authority().break_streams();
        run.listens_again(clock, 2);
        let heard = run.heard(pending, 3);
        let methods: Vec<&Value> = heard.iter().map(|message| &message["method"]).collect();
        assert_eq!(methods, [ACKNOWLEDGED, TOOLS_CHANGED, UPDATED], "acknowledged once");
        assert!(heard.iter().all(|message| *tag(message) == json!(71)), "{heard:?}");
        run.miss(&Message::bare("tools/list"));
        run.miss(&Message::read(ONE));
        run.hit(&Message::bare("prompts/list"));
        run.hit(&Message::call("get_user", "{}"));
        run.authority().tell(TOOLS_CHANGED, &json!({}));
        run.heard(pending, 4);
    }

    fn a_refusal_to_open_it_again_ends_it(host) {
        let clock = host.has(Need::Clock);
        let mut run = Run::open(host, patient(Setup::new()));
        let pending = run.listens("71", TOOLS);
        let refused = error(200, -32603, "no more", Value::Null);
        run.authority().once("subscriptions/listen", None, refused);
        run.authority().break_streams();
        run.listens_again(clock, 2);
        run.finish(pending).fails_verbatim(-32603, "no more");
    }

    fn outlives_an_outage(host) needs(Clock) {
        let mut run = Run::open(host, patient(Setup::new()));
        let pending = run.listens("71", TOOLS);
        run.target.authority_goes_down();
        for _ in 0..20 {
            run.target.advance(30_000);
        }
        assert_eq!(run.target.heard(pending, 1).len(), 1);
        run.target.authority_comes_up();
        run.listens_again(true, 2);
        assert_eq!(run.heard(pending, 2)[1]["method"], TOOLS_CHANGED);
    }

    fn silence_is_no_end(host) needs(Clock) {
        let mut run = Run::open(host, Setup::new().limit("requestTimeoutMs", 5000));
        let pending = run.listens("71", TOOLS);
        run.target.advance(3_600_000);
        run.authority().keep_alive();
        run.target.advance(3_600_000);
        run.authority().tell(TOOLS_CHANGED, &json!({}));
        assert_eq!(run.heard(pending, 2)[1]["method"], TOOLS_CHANGED);
        assert_eq!(run.trips("subscriptions/listen"), 1);
    }

    fn an_event_over_the_limit_ends_it(host) {
        let mut run = Run::open(host, Setup::new().limit("maxResponseBytes", 4096));
        let pending = run.listens("71", TOOLS);
        for _ in 0..10 {
            run.authority().tell(TOOLS_CHANGED, &json!({"x": "x".repeat(2000)}));
        }
        run.heard(pending, 11);
        run.authority().tell(TOOLS_CHANGED, &json!({"x": "x".repeat(5000)}));
        run.finish(pending).fails(Code::AuthorityInvalid);
    }

    fn a_tool_registered_here_is_told_of(host) needs(Local) {
        let mut run = Run::open(host, Setup::new());
        let pending = run.listens("71", TOOLS);
        let tool = r#"{"name":"now","inputSchema":{"type":"object"}}"#;
        run.target.register("tool", tool, None, Local::Text("#")).expect("it is a tool");
        assert_eq!(run.heard(pending, 2)[1]["method"], TOOLS_CHANGED);
        assert!(run.ask(&Message::bare("tools/list")).result().to_string().contains("now"));
    }

    fn a_replica_alone_acknowledges_itself(host) needs(Alone, Local) {
        let mut run = Run::open(host, Setup::new().alone());
        let asked = r#"{"toolsListChanged":true,"promptsListChanged":true}"#;
        let pending = run.start(&listen("71", asked));
        assert_eq!(run.heard(pending, 1)[0]["params"]["notifications"], json!({"toolsListChanged": true}));
        let tool = r#"{"name":"now","inputSchema":{"type":"object"}}"#;
        run.target.register("tool", tool, None, Local::Text("#")).expect("it is a tool");
        assert_eq!(*tag(&run.heard(pending, 2)[1]), json!(71));
    }
}

impl Run<'_> {
    /// A call still travels.
    fn goes_on_live(&mut self) {
        self.ask(&Message::call("get_user", "{}")).result();
    }
}
