//! Answers that are passed on and never kept.

use serde_json::{Value, json};

use super::{GET, cases};
use crate::authority::{Authority, error, result};
use crate::run::Run;
use crate::target::Setup;
use crate::wire::Message;
use leeward::Code;

cases! {
    fn input_required_results_are_never_stored(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).authority(Authority::modern().hinting(60_000, "private")),
        );
        let asked = r#"{"resultType":"input_required","requestState":"é\u0000==","inputRequests":{"a":{"method":"roots/list"}},"ttlMs":60000}"#;
        for message in [
            Message::call("get_ticket", "{}"),
            Message::read("crm://tickets/1"),
        ] {
            let method = if message
                .http_headers(crate::wire::MODERN)
                .contains(&("mcp-method".into(), "tools/call".into()))
            {
                "tools/call"
            } else {
                "resources/read"
            };
            run.authority().times(Some(2), method, None, result(asked));
            for _ in 0..2 {
                let answer = run.miss(&message);
                let result = answer.result();
                assert_eq!(result["resultType"], "input_required");
                assert_eq!(result["requestState"], "é\u{0}==");
                assert!(!answer.cache().stored);
                for hint in ["ttlMs", "cacheScope"] {
                    assert!(result.get(hint).is_none(), "{hint} on an input_required result");
                }
            }
            run.miss(&message).result();
            run.hit(&message);
        }
    }

    fn results_with_is_error_are_never_stored(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let failed = r#"{"resultType":"complete","content":[{"type":"text","text":"no"}],"isError":true}"#;
        run.authority()
            .times(Some(2), "tools/call", Some("get_ticket"), result(failed));
        for _ in 0..2 {
            assert_eq!(
                run.miss(&Message::call("get_ticket", "{}")).result()["isError"],
                true
            );
        }
        run.miss(&Message::call("get_ticket", "{}")).result();
        run.hit(&Message::call("get_ticket", "{}"));
    }

    fn results_of_an_unknown_type_are_never_stored(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.authority().times(
            Some(2),
            "tools/call",
            None,
            result(r#"{"resultType":"com.example/later","later":{"id":"1"}}"#),
        );
        for _ in 0..2 {
            assert_eq!(
                run.miss(&Message::call("get_ticket", "{}")).result()["resultType"],
                "com.example/later"
            );
        }
    }

    fn errors_pass_verbatim_and_are_never_stored(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        for (code, status) in [
            (-32602, 200),
            (-32603, 200),
            (-32000, 200),
            (1, 200),
            (-31999, 200),
            (99_999, 200),
        ] {
            let data = json!({"why": ["because", 1.5]});
            run.authority().times(
                Some(2),
                "tools/call",
                Some("get_ticket"),
                error(200, code, "no such thing", data.clone()),
            );
            for _ in 0..2 {
                let answer = run.miss(&Message::call("get_ticket", "{}"));
                answer.fails_verbatim(code, "no such thing");
                assert_eq!(answer.error()["data"], data);
                assert!(
                    answer.status.is_none_or(|told| told == status),
                    "{code}: {:?}",
                    answer.status
                );
            }
        }
        run.goes_on();
    }

    /// 2026-07-28, Base Protocol, Error Codes, and Streamable HTTP.
    fn errors_that_the_revision_gives_a_status_have_it(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        let capabilities = json!({"requiredCapabilities": {"sampling": {}}});
        for (code, data, status) in [(-32021, capabilities, 400), (-32601, Value::Null, 404)] {
            run.authority().once(
                "tools/call",
                Some("get_ticket"),
                error(status, code, "no", data.clone()),
            );
            let answer = run.ask(&Message::call("get_ticket", "{}"));
            answer.fails_verbatim(code, "no");
            assert_eq!(answer.error().get("data").cloned().unwrap_or_default(), data);
            assert!(answer.status.is_none_or(|told| told == status), "{answer:?}");
        }
    }

    /// What session-era servers say of an unknown resource is a parameter error now, with its URI.
    fn resource_not_found_is_translated(host) {
        let mut run = Run::open(host, Setup::new());
        run.authority()
            .once("resources/read", None, error(200, -32002, "gone", Value::Null));
        let answer = run.ask(&Message::read("crm://tickets/9"));
        answer.fails_verbatim(-32602, "gone");
        assert_eq!(answer.error()["data"]["uri"], "crm://tickets/9");
    }

    fn codes_that_the_revision_forbids_are_the_authoritys_fault(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        for code in [-32002, -32042, -32023, -32099] {
            run.authority().once(
                "tools/call",
                Some("get_ticket"),
                error(200, code, "odd", Value::Null),
            );
            run.ask(&Message::call("get_ticket", "{}"))
                .fails(Code::AuthorityInvalid);
        }
        // A version is the replica's own affair with the authority: it is settled anew, and then it is a
        // fault.
        run.authority().once(
            "tools/call",
            Some("get_ticket"),
            error(400, -32022, "odd", Value::Null),
        );
        run.ask(&Message::call("get_ticket", "{}")).result();
        run.authority().times(
            Some(2),
            "tools/call",
            Some("put_ticket"),
            error(400, -32022, "odd", Value::Null),
        );
        run.ask(&Message::call("put_ticket", "{}"))
            .fails(Code::AuthorityInvalid);
        run.goes_on();
    }

    /// A result with a member twice is read differently by different readers.
    fn results_with_a_member_twice_are_refused(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        for raw in [
            r#"{"resultType":"complete","content":[],"content":[{"type":"text","text":"x"}]}"#,
            r#"{"resultType":"input_required","resultType":"complete","content":[]}"#,
            r#"{"resultType":"complete","content":[],"_meta":{"a":1,"a":2}}"#,
            r#"{"resultType":"complete","content":[],"\u0063ontent":[]}"#,
        ] {
            run.authority()
                .once("tools/call", Some("get_ticket"), result(raw));
            run.ask(&Message::call("get_ticket", "{}"))
                .fails(Code::AuthorityInvalid);
        }
        run.goes_on();
    }

    fn results_that_are_none_of_their_method_are_refused(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        for (message, method) in [
            (Message::call("get_ticket", "{}"), "tools/call"),
            (Message::bare("tools/list"), "tools/list"),
            (Message::bare("resources/list"), "resources/list"),
            (
                Message::bare("resources/templates/list"),
                "resources/templates/list",
            ),
            (Message::bare("prompts/list"), "prompts/list"),
            (Message::read("crm://tickets/1"), "resources/read"),
            (Message::new("prompts/get", r#""name":"review""#), "prompts/get"),
            (Message::bare("server/discover"), "server/discover"),
        ] {
            for raw in [
                "{}",
                r#"{"resultType":"complete","content":{},"tools":1,"contents":"x"}"#,
            ] {
                run.authority().once(method, None, result(raw));
                run.ask(&message).fails(Code::AuthorityInvalid);
            }
        }
        run.goes_on();
    }

    /// Only the operator's replica speaks under its own prefix.
    fn an_authoritys_meta_under_our_prefix_is_stripped(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.authority().once("tools/call", None, result(
            r#"{"resultType":"complete","content":[],"_meta":{"dev.leeward/cache":"leeward;hit","dev.leeward/x":1,"com.example/y":2}}"#,
        ));
        let answer = run.miss(&Message::call("get_ticket", "{}"));
        let meta = &answer.result()["_meta"];
        assert_eq!(meta["com.example/y"], 2);
        assert!(meta.get("dev.leeward/x").is_none());
        assert!(answer.cache().stored && !answer.cache().hit);
        assert_eq!(
            run.hit(&Message::call("get_ticket", "{}")).result()["_meta"]["com.example/y"],
            2
        );
    }

    fn everything_else_in_a_result_passes_byte_by_byte(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        let members = r#""content":[{"type":"text","text":"\u00e9\/"}],"structuredContent":{"n":9007199254740993,"f":1.0e2},"x-unknown":{"a":1,"a":2}"#;
        run.authority().once(
            "tools/call",
            None,
            result(format!(r#"{{"resultType":"complete",{members}}}"#)),
        );
        let call = Message::call("get_ticket", "{}");
        for answer in [run.miss(&call), run.hit(&call)] {
            let text = String::from_utf8_lossy(&answer.bytes).into_owned();
            assert!(text.contains(members), "{text}");
        }
    }
}
