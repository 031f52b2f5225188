//! What makes two requests the same, and what forbids the cache.

use super::{GET, cases};
use crate::authority::Authority;
use crate::run::Run;
use crate::target::{Setup, Who};
use crate::wire::{LEGACY, MODERN, Message, OLDER};

cases! {
    fn the_order_of_arguments_does_not_matter(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.miss(&Message::call(
            "get_ticket",
            r#"{"a":1,"b":[{"x":1,"y":2}],"c":"é"}"#,
        ));
        run.hit(&Message::call(
            "get_ticket",
            r#"{"c":"é","b":[{"y":2,"x":1}],"a":1}"#,
        ));
        run.miss(&Message::call(
            "get_ticket",
            r#"{"a":1,"b":[{"x":2,"y":1}],"c":"é"}"#,
        ));
        run.miss(&Message::call(
            "get_ticket",
            r#"{"a":1,"b":[{"x":1,"y":2}],"c":"e"}"#,
        ));
    }

    fn the_spelling_of_arguments_does_not_matter(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.miss(&Message::call("get_ticket", r#"{"a":1,"b":"A/é"}"#));
        for spelled in [
            r#"{ "b" : "A/é" , "a" : 1 }"#,
            "{\n\t\"a\":1,\r\n\"b\":\"A/é\"}",
            r#"{"a":1,"b":"\u0041\/\u00e9"}"#,
            r#"{"\u0061":1,"b":"A/é"}"#,
        ] {
            run.hit(&Message::call("get_ticket", spelled));
            run.hit(&Message::call("get_ticket", spelled));
        }
    }

    fn numbers_are_the_tokens_they_are(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        for number in [
            "1",
            "1.0",
            "1e0",
            "-0",
            "0",
            "9007199254740993",
            "9007199254740992",
        ] {
            let call = Message::call("get_ticket", &format!(r#"{{"n":{number}}}"#));
            let first = run.miss(&call);
            assert_eq!(run.hit(&call).text(), first.text());
        }
        assert_eq!(run.calls("get_ticket"), 7);
    }

    fn a_key_that_is_there_twice_bypasses(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        for arguments in [r#"{"a":1,"a":2}"#, r#"{"x":{"a":1,"\u0061":1}}"#] {
            for _ in 0..2 {
                let answer = run.miss(&Message::call("get_ticket", arguments));
                assert_eq!(answer.cache().fwd.as_deref(), Some("bypass"));
            }
        }
        run.goes_on();
    }

    fn nesting_too_deep_to_compare_bypasses(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let nested = |depth: usize| {
            Message::call(
                "get_ticket",
                &format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)),
            )
        };
        for _ in 0..2 {
            assert_eq!(run.miss(&nested(100)).cache().fwd.as_deref(), Some("bypass"));
        }
        run.miss(&nested(20));
        run.hit(&nested(20));
    }

    fn no_arguments_and_empty_ones_are_two_requests(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.miss(&Message::call("get_ticket", "{}"));
        run.miss(&Message::new("tools/call", r#""name":"get_ticket""#));
        run.hit(&Message::call("get_ticket", "{}"));
    }

    fn client_capabilities_separate(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let call = Message::call("get_ticket", "{}");
        let sampling = Message::call("get_ticket", "{}").capabilities(r#"{"sampling":{},"roots":{}}"#);
        run.miss(&call);
        run.miss(&sampling);
        run.hit(&call);
        run.hit(&sampling);
        run.hit(&Message::call("get_ticket", "{}").capabilities(r#"{"roots":{},"sampling":{}}"#));
        assert_eq!(
            run.authority().last("tools/call").params["_meta"]["io.modelcontextprotocol/clientCapabilities"],
            serde_json::json!({"sampling": {}, "roots": {}})
        );
    }

    fn versions_separate(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let call = Message::call("get_ticket", "{}");
        for version in [MODERN, LEGACY, OLDER] {
            let from = run.target.connect(&Who::Principal("ann"), version);
            if version != MODERN {
                let hello = format!(
                    r#""protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"a","version":"1"}}"#
                );
                run.ask_from(from, &Message::new("initialize", &hello)).result();
            }
            run.miss_from(from, &call);
            run.hit_from(from, &call);
        }
        assert_eq!(run.calls("get_ticket"), 3);
    }

    /// Contract 7.
    fn principals_separate(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).authority(Authority::modern().hinting(60_000, "public")),
        );
        let ben = run.connect("ben");
        for message in [
            Message::call("get_ticket", "{}"),
            Message::bare("tools/list"),
            Message::read("crm://tickets/1"),
        ] {
            run.miss(&message);
            run.miss_from(ben, &message);
            run.hit(&message);
            run.hit_from(ben, &message);
        }
    }

    /// The operator's word shares, the authority's alone does not.
    fn a_public_rule_is_shared_by_all_principals(host) {
        let rules = [
            ("get_user", "cache;max-age=60;public"),
            ("get_ticket", "cache;max-age=60;private"),
        ];
        let mut run = Run::open(host, Setup::tools(&rules));
        let ben = run.connect("ben");
        run.miss(&Message::call("get_user", "{}"));
        run.hit_from(ben, &Message::call("get_user", "{}"));
        run.miss(&Message::call("get_ticket", "{}"));
        run.miss_from(ben, &Message::call("get_ticket", "{}"));
    }

    fn unknown_meta_and_baggage_bypass_and_travel(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let call = Message::call("get_ticket", "{}");
        run.miss(&call);
        for (name, value) in [("com.example/tenant", "7"), ("baggage", r#""user=1""#)] {
            let odd = Message::call("get_ticket", "{}").meta(&format!(r#""{name}":{value}"#));
            for _ in 0..2 {
                let answer = run.miss(&odd);
                assert_eq!(answer.cache().fwd.as_deref(), Some("bypass"));
            }
            let meta = &run.authority().last("tools/call").params["_meta"][name];
            assert_eq!(meta.to_string(), value, "passed on");
        }
        run.hit(&call);
    }

    fn trace_context_client_info_and_log_level_do_not_matter(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let traced = |n: u8| {
            Message::call("get_ticket", "{}")
                .meta(&format!(
                    r#""traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333{n}-01""#
                ))
                .meta(&format!(r#""tracestate":"a={n}""#))
                .meta(&format!(
                    r#""io.modelcontextprotocol/clientInfo":{{"name":"a","version":"{n}"}}"#
                ))
                .meta(r#""io.modelcontextprotocol/logLevel":"error""#)
                .progress(&n.to_string())
        };
        run.miss(&traced(1));
        let meta = run.authority().last("tools/call").params["_meta"].clone();
        assert_eq!(meta["tracestate"], "a=1", "passed on");
        assert_eq!(
            meta["io.modelcontextprotocol/clientInfo"]["version"], "1",
            "passed on"
        );
        run.hit(&traced(2));
        run.hit(&Message::call("get_ticket", "{}"));
    }

    /// 2026-07-28, Caching: a step of a longer exchange is neither looked up nor stored.
    fn steps_of_an_exchange_bypass(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).authority(Authority::modern().hinting(60_000, "private")),
        );
        run.miss(&Message::call("get_ticket", "{}"));
        run.miss(&Message::read("crm://tickets/1"));
        for (at, step) in [
            r#""requestState":"s""#,
            r#""inputResponses":{"a":{"action":"decline"}}"#,
        ]
        .into_iter()
        .enumerate()
        {
            for message in [
                Message::call("get_ticket", "{}"),
                Message::read("crm://tickets/1"),
            ] {
                for _ in 0..2 {
                    let answer = run.miss(&message.clone().with(step));
                    assert_eq!(answer.cache().fwd.as_deref(), Some("bypass"), "{at}");
                }
            }
        }
        let last = run.authority().last("tools/call");
        assert_eq!(
            last.params["inputResponses"],
            serde_json::json!({"a": {"action": "decline"}}),
            "passed on"
        );
    }

    /// Nobody knows what an unknown header means: it is passed on and not cached.
    fn an_unrecognised_param_header_bypasses_and_travels(host) needs(Http) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.miss(&Message::call("get_ticket", "{}"));
        for _ in 0..2 {
            let answer = run.miss(&Message::call("get_ticket", "{}").header("mcp-param-region", "eu"));
            assert_eq!(answer.cache().fwd.as_deref(), Some("bypass"));
            assert_eq!(
                run.authority().last("tools/call").header("mcp-param-region"),
                Some("eu")
            );
        }
        run.hit(&Message::call("get_ticket", "{}"));
    }
}
