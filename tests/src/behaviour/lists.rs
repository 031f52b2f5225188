//! Lists: pages, cursors, and tools that must not be passed on.

use serde_json::{Value, json};

use super::{GET, cases};
use crate::authority::{Authority, error};
use crate::run::{Answer, Run};
use crate::target::{Setup, Who};
use crate::wire::{LEGACY, Message};

cases! {
    fn each_page_is_an_entry_of_its_own(host) {
        let mut run = Run::open(
            host,
            Setup::new().authority(Authority::modern().hinting(60_000, "private").paged(2)),
        );
        let (first, second) = (Message::bare("tools/list"), Message::page("tools/list", "2"));
        let page = run.miss(&first);
        assert_eq!(names(&page), ["get_ticket", "get_user"]);
        assert_eq!(page.result()["nextCursor"], "2");
        let page = run.miss(&second);
        assert_eq!(names(&page), ["put_ticket", "do_it"]);
        assert!(page.result().get("nextCursor").is_none());
        run.hit(&first);
        run.hit(&second);
    }

    /// 2026-07-28, Caching: an invalid cursor discards all pages of its list.
    fn an_invalid_cursor_discards_all_pages(host) {
        let setup = Setup::tools(GET).authority(Authority::modern().hinting(60_000, "private").paged(2));
        let mut run = Run::open(host, setup);
        let pages = [Message::bare("tools/list"), Message::page("tools/list", "2")];
        let others = [Message::bare("resources/list"), Message::call("get_ticket", "{}")];
        pages
            .iter()
            .chain(&others)
            .for_each(|message| drop(run.miss(message)));
        run.ask(&Message::page("tools/list", "99"))
            .fails_verbatim(-32602, "unknown cursor");
        pages.iter().for_each(|message| drop(run.miss(message)));
        others.iter().for_each(|message| drop(run.hit(message)));
    }

    /// 2026-07-28, Caching: what a call disproves is not kept.
    fn an_unexpected_refusal_of_a_call_discards_the_tools(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).authority(Authority::modern().hinting(60_000, "private")),
        );
        run.miss(&Message::bare("tools/list"));
        run.authority().once(
            "tools/call",
            Some("get_ticket"),
            error(200, -32602, "unknown tool", Value::Null),
        );
        run.ask(&Message::call("get_ticket", "{}")).error();
        run.miss(&Message::bare("tools/list"));
        run.hit(&Message::bare("tools/list"));
    }

    /// 2026-07-28, Streamable HTTP, Custom Headers.
    fn tools_with_invalid_header_annotations_are_dropped(host) {
        let annotated = |name: &str, properties: &str| {
            format!(r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{properties}}}}}"#)
        };
        let authority = Authority::modern()
            .hinting(60_000, "private")
            .tool(&annotated(
                "good",
                r#"{"a":{"type":"string","x-mcp-header":"Region"}}"#,
            ))
            .tool(&annotated(
                "empty",
                r#"{"a":{"type":"string","x-mcp-header":""}}"#,
            ))
            .tool(&annotated(
                "space",
                r#"{"a":{"type":"string","x-mcp-header":"My Region"}}"#,
            ))
            .tool(&annotated(
                "number",
                r#"{"a":{"type":"string","x-mcp-header":7}}"#,
            ))
            .tool(&annotated(
                "object",
                r#"{"a":{"type":"object","x-mcp-header":"Region"}}"#,
            ))
            .tool(&annotated(
                "twice",
                r#"{"a":{"type":"string","x-mcp-header":"R"},"b":{"type":"string","x-mcp-header":"r"}}"#,
            ));
        let mut run = Run::open(host, Setup::new().authority(authority));
        let list = Message::bare("tools/list");
        for answer in [run.miss(&list), run.hit(&list)] {
            assert_eq!(
                names(&answer),
                ["get_ticket", "get_user", "put_ticket", "do_it", "good"]
            );
            let kept = &answer.result()["tools"][4]["inputSchema"]["properties"]["a"]["x-mcp-header"];
            assert_eq!(kept, "Region", "annotations pass");
        }
    }

    fn dropped_tools_are_told_to_the_operator(host) needs(Events) {
        let tool = r#"{"name":"bad","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":""}}}}"#;
        let mut run = Run::open(host, Setup::new().authority(Authority::modern().tool(tool)));
        run.miss(&Message::bare("tools/list"));
        let events = run.target.events();
        assert!(events.iter().any(|event| event.contains("bad")), "{events:?}");
    }

    fn order_and_unknown_members_of_tools_pass(host) {
        let tool = r#"{"name":"odd","x":{"b":1,"a":[1]},"inputSchema":{"type":"object","$defs":{"q":true}},"annotations":{"readOnlyHint":true}}"#;
        let mut run = Run::open(host, Setup::new().authority(Authority::modern().tool(tool)));
        let answer = run.miss(&Message::bare("tools/list"));
        let expected: Value = serde_json::from_str(tool).unwrap_or_default();
        assert_eq!(answer.result()["tools"][4], expected);
    }

    fn what_cannot_be_carried_is_not_advertised(host) {
        let mut run = Run::open(host, Setup::new());
        run.authority().always("server/discover", None, crate::authority::result(
            r#"{"resultType":"complete","supportedVersions":["2026-07-28","2099-01-01"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true,"x":1},"prompts":{"listChanged":true},"logging":{},"tasks":{"list":{}},"extensions":{"io.modelcontextprotocol/tasks":{},"com.example/x":{}}},"ttlMs":0,"cacheScope":"public"}"#,
        ));
        let answer = run.ask(&Message::bare("server/discover"));
        let changes = json!({"listChanged": true});
        let resources = json!({"subscribe": true, "listChanged": true, "x": 1});
        let expected = json!({"tools": changes, "resources": resources, "prompts": changes, "logging": {},
            "extensions": {"io.modelcontextprotocol/tasks": {}}});
        assert_eq!(answer.result()["capabilities"], expected);
        let old = run.target.connect(&Who::Principal("ann"), LEGACY);
        let init = r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}"#;
        // Without a session, which a host may keep, there is neither a log level nor a subscription.
        let without = json!({"tools": {}, "resources": {"x": 1}, "prompts": {}});
        let within = json!({"tools": changes, "resources": resources, "prompts": changes, "logging": {}});
        let initialized = run.ask_from(old, &Message::new("initialize", init));
        let offered = &initialized.result()["capabilities"];
        assert!([without, within].contains(offered), "{offered}");
        assert!(
            answer.result()["supportedVersions"]
                .as_array()
                .is_some_and(|all| !all.contains(&json!("2099-01-01")))
        );
    }
}

pub(super) fn names(answer: &Answer) -> Vec<&str> {
    let tools = answer.result()["tools"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    tools.iter().filter_map(|tool| tool["name"].as_str()).collect()
}
