//! Tools and resources of the host, beside an authority's and without one.

use serde_json::json;

use super::lists::names;
use super::{GET, cases};
use crate::authority::Authority;
use crate::run::Run;
use crate::target::{Local, Setup, Who};
use crate::wire::{LEGACY, Message};
use leeward::Code;

const CLOCK: &str = r#"{"name":"clock","description":"tells the time","inputSchema":{"type":"object"}}"#;
const NOTE: &str = r#"{"uri":"local://note","name":"note"}"#;

cases! {
    fn without_an_authority_the_replica_is_a_server(host) needs(Local) {
        let mut run = Run::open(host, Setup::new().alone());
        register(&mut run, "tool", CLOCK, None, Local::Text("tick #"));
        register(&mut run, "resource", NOTE, None, Local::Text("note #"));
        let discovery = run.ask(&Message::bare("server/discover"));
        assert_eq!(
            discovery.result()["capabilities"],
            json!({"tools": {"listChanged": true}, "resources": {"listChanged": true}})
        );
        assert_eq!(
            discovery.result()["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
            "leeward"
        );
        assert_eq!(names(&run.ask(&Message::bare("tools/list"))), ["clock"]);
        assert_eq!(
            run.ask(&Message::bare("resources/list")).result()["resources"][0]["uri"],
            "local://note"
        );
        for n in 1..=2 {
            let answer = run.ask(&Message::call("clock", "{}"));
            assert_eq!(answer.text(), format!("tick #{n}").replace('#', ""));
            assert_eq!(answer.result()["resultType"], "complete");
            assert_eq!(answer.cache_text(), "leeward", "neither cache nor trip");
        }
        let read = run.ask(&Message::read("local://note"));
        assert_eq!(read.text(), "note 1");
        assert_eq!(
            (&read.result()["ttlMs"], &read.result()["cacheScope"]),
            (&json!(0), &json!("private"))
        );
        run.ask(&Message::call("nothing", "{}"))
            .fails(Code::InvalidParams);
        let unknown = run.ask(&Message::read("local://nothing"));
        unknown.fails(Code::InvalidParams);
        assert_eq!(unknown.error()["data"]["uri"], "local://nothing");
        run.ask(&Message::bare("prompts/list"))
            .fails(Code::MethodNotFound);
        run.ask(&Message::page("tools/list", "x"))
            .fails(Code::InvalidParams);
        assert!(run.authority().log().is_empty());
    }

    fn a_server_without_anything_answers_discovery_and_lists(host) needs(Alone) {
        let mut run = Run::open(host, Setup::new().alone());
        assert_eq!(
            run.ask(&Message::bare("server/discover")).result()["capabilities"],
            json!({"tools": {"listChanged": true}})
        );
        assert!(names(&run.ask(&Message::bare("tools/list"))).is_empty());
        run.ask(&Message::call("nothing", "{}"))
            .fails(Code::InvalidParams);
        run.ask(&Message::bare("resources/list"))
            .fails(Code::MethodNotFound);
    }

    fn session_era_agents_are_served_without_an_authority(host) needs(Local) {
        let mut run = Run::open(host, Setup::new().alone());
        register(&mut run, "tool", CLOCK, None, Local::Text("tick"));
        let from = run.target.connect(&Who::Principal("ann"), LEGACY);
        let hello = format!(
            r#""protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"a","version":"1"}}"#
        );
        let answer = run.ask_from(from, &Message::new("initialize", &hello));
        assert_eq!(answer.result()["serverInfo"]["name"], "leeward");
        // Whether it hears of changes depends on whether the host keeps sessions.
        let tools = &answer.result()["capabilities"]["tools"];
        assert!([json!({}), json!({"listChanged": true})].contains(tools), "{tools}");
        assert_eq!(
            names(&run.ask_from(from, &Message::bare("tools/list"))),
            ["clock"]
        );
        let call = run.ask_from(from, &Message::call("clock", "{}"));
        assert_eq!(call.text(), "tick");
        assert!(call.result().get("resultType").is_none());
    }

    fn local_items_lead_the_authoritys_lists(host) needs(Local) {
        let mut run = Run::open(
            host,
            Setup::new().authority(Authority::modern().hinting(60_000, "private").paged(2)),
        );
        register(&mut run, "tool", CLOCK, None, Local::Text("tick"));
        register(&mut run, "resource", NOTE, None, Local::Text("note"));
        let list = Message::bare("tools/list");
        assert_eq!(names(&run.miss(&list)), ["clock", "get_ticket", "get_user"]);
        assert_eq!(names(&run.hit(&list)), ["clock", "get_ticket", "get_user"]);
        assert_eq!(
            names(&run.miss(&Message::page("tools/list", "2"))),
            ["put_ticket", "do_it"]
        );
        let resources = run.miss(&Message::bare("resources/list"));
        assert_eq!(resources.result()["resources"].as_array().map(Vec::len), Some(3));
        assert_eq!(run.ask(&Message::call("clock", "{}")).text(), "tick");
        assert_eq!(run.ask(&Message::read("local://note")).text(), "note");
        assert_eq!((run.trips("tools/call"), run.trips("resources/read")), (0, 0));
        run.ask(&Message::call("get_ticket", "{}")).result();
    }

    fn a_local_item_hides_the_authoritys(host) needs(Local) {
        let mut run = Run::open(host, Setup::new());
        register(
            &mut run,
            "tool",
            r#"{"name":"get_user","inputSchema":{"type":"object"}}"#,
            None,
            Local::Text("mine"),
        );
        register(
            &mut run,
            "resource",
            r#"{"uri":"crm://tickets/1","name":"mine"}"#,
            None,
            Local::Text("mine"),
        );
        let list = run.ask(&Message::bare("tools/list"));
        assert_eq!(names(&list), ["get_user", "get_ticket", "put_ticket", "do_it"]);
        let resources = run.ask(&Message::bare("resources/list"));
        assert_eq!(resources.result()["resources"].as_array().map(Vec::len), Some(2));
        assert_eq!(run.ask(&Message::call("get_user", "{}")).text(), "mine");
        assert_eq!(run.ask(&Message::read("crm://tickets/1")).text(), "mine");
        assert_eq!((run.trips("tools/call"), run.trips("resources/read")), (0, 0));
    }

    fn registering_makes_the_lists_held_stale(host) needs(Local) {
        let mut run = Run::open(
            host,
            Setup::new().authority(Authority::modern().hinting(60_000, "private")),
        );
        run.miss(&Message::bare("tools/list"));
        register(&mut run, "tool", CLOCK, None, Local::Text("tick"));
        assert_eq!(names(&run.miss(&Message::bare("tools/list")))[0], "clock");
    }

    fn a_local_tool_is_cached_by_its_rule(host) needs(Local, Clock) {
        let mut run = Run::open(host, Setup::new().alone());
        register(
            &mut run,
            "tool",
            CLOCK,
            Some("cache;max-age=60"),
            Local::Text("tick #"),
        );
        let call = Message::call("clock", "{}");
        assert_eq!(run.ask(&call).text(), "tick 1");
        assert_eq!(run.hit(&call).text(), "tick 1");
        assert_eq!(
            run.ask(&Message::call("clock", r#"{"zone":"utc"}"#)).text(),
            "tick 2"
        );
        run.target.advance(60_000);
        assert_eq!(run.ask(&call).text(), "tick 3");
    }

    fn the_operators_rule_stands_over_the_hosts(host) needs(Local) {
        let mut run = Run::open(host, Setup::tools(&[("clock", "deny")]).alone());
        register(
            &mut run,
            "tool",
            CLOCK,
            Some("cache;max-age=60"),
            Local::Text("tick"),
        );
        run.ask(&Message::call("clock", "{}")).fails(Code::DeniedByPolicy);
    }

    fn a_local_write_makes_stale(host) needs(Local) {
        let mut run = Run::open(host, Setup::tools(GET));
        register(&mut run, "tool", CLOCK, Some("through"), Local::Text("tick"));
        run.miss(&Message::call("get_ticket", "{}"));
        run.ask(&Message::call("clock", "{}")).result();
        run.miss(&Message::call("get_ticket", "{}"));
    }

    fn a_local_failure_is_ours_and_stops_nothing(host) needs(Local) {
        let mut run = Run::open(host, Setup::tools(GET));
        register(&mut run, "tool", CLOCK, None, Local::Fails("SECRET went wrong"));
        register(
            &mut run,
            "tool",
            r#"{"name":"odd","inputSchema":{"type":"object"}}"#,
            None,
            Local::Raw(r#"{"content":1}"#),
        );
        register(&mut run, "resource", NOTE, None, Local::Raw(r#"{"content":[]}"#));
        for message in [
            Message::call("clock", "{}"),
            Message::call("odd", "{}"),
            Message::read("local://note"),
        ] {
            let answer = run.ask(&message);
            assert!(
                answer.response.get("error").is_some() || answer.result()["isError"] == true,
                "{answer:?}"
            );
        }
        run.goes_on();
    }

    fn a_definition_that_is_none_is_refused(host) needs(Local) {
        let mut run = Run::open(host, Setup::new().alone());
        for (kind, definition, rule, code) in [
            ("tool", "{}", None, Code::InvalidParams),
            (
                "tool",
                r#"{"name":"","inputSchema":{"type":"object"}}"#,
                None,
                Code::InvalidParams,
            ),
            (
                "tool",
                r#"{"name":"a","inputSchema":{"type":"array"}}"#,
                None,
                Code::InvalidParams,
            ),
            ("resource", r#"{"uri":"a:b"}"#, None, Code::InvalidParams),
            ("tool", CLOCK, Some("cache"), Code::ConfigInvalid),
            ("tool", CLOCK, Some("cachet"), Code::ConfigInvalid),
            ("tool", CLOCK, Some("deny"), Code::ConfigInvalid),
        ] {
            match run.target.register(kind, definition, rule, Local::Text("x")) {
                Ok(()) => panic!("it took {definition} {rule:?}"),
                Err(error) => assert_eq!(error.code, code, "{definition} {rule:?}"),
            }
        }
        assert!(names(&run.ask(&Message::bare("tools/list"))).is_empty());
    }

    fn a_tool_without_a_schema_is_refused(host) needs(Local, Bytes) {
        let mut run = Run::open(host, Setup::new().alone());
        for definition in [
            r#"{"name":"a"}"#,
            r#"{"name":"a","name":"b","inputSchema":{"type":"object"}}"#,
            "[]",
            "a",
        ] {
            let refused = run.target.register("tool", definition, None, Local::Text("x"));
            assert_eq!(
                refused.map_err(|error| error.code),
                Err(Code::InvalidParams),
                "{definition}"
            );
        }
    }
}

fn register(run: &mut Run<'_>, kind: &str, definition: &str, rule: Option<&str>, answer: Local) {
    if let Err(error) = run.target.register(kind, definition, rule, answer) {
        panic!("{definition}: {error}");
    }
}
