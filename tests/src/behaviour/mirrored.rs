//! HTTP headers that mirror the body: written upstream, judged before the lookup downstream.

use serde_json::{Value, json};

use super::{GET, cases};
use crate::authority::{Authority, error};
use crate::run::Run;
use crate::target::Setup;
use crate::wire::Message;
use leeward::Code;

const TOOL: &str = r#"{"name":"get_in","inputSchema":{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},
    "on":{"type":"boolean","x-mcp-header":"On"},"free":{"type":"string"}}}}"#;

cases! {
    fn annotated_arguments_are_mirrored_once_the_tool_was_listed(host) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::modern().tool(TOOL)));
        run.miss(&Message::bare("tools/list"));
        let call = Message::call("get_in", r#"{"region":"eu","n":42,"on":true,"free":"x"}"#)
            .header("mcp-param-region", "eu")
            .header("mcp-param-n", "42")
            .header("mcp-param-on", "true");
        run.miss(&call);
        let seen = run.authority().last("tools/call");
        let header = |name: &str| seen.header(&format!("mcp-param-{name}")).map(str::to_owned);
        assert_eq!(
            ["region", "n", "on", "free"].map(header),
            [Some("eu".into()), Some("42".into()), Some("true".into()), None]
        );
        run.hit(&call);
    }

    fn values_that_are_no_header_travel_in_base64(host) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::modern().tool(TOOL)));
        run.miss(&Message::bare("tools/list"));
        for (value, header) in [
            ("é", "=?base64?w6k=?="),
            (" x ", "=?base64?IHgg?="),
            ("a\\nb", "=?base64?YQpi?="),
        ] {
            let call = Message::call("get_in", &format!(r#"{{"region":"{value}"}}"#))
                .header("mcp-param-region", header);
            run.miss(&call).result();
            assert_eq!(
                run.authority().last("tools/call").header("mcp-param-region"),
                Some(header)
            );
        }
        let calls = run.calls("get_in");
        let null = run.ask(&Message::call("get_in", r#"{"region":null}"#));
        if null.result()["isError"] == true {
            // The host judges arguments, and the tool's schema wants text.
            assert_eq!(run.calls("get_in"), calls);
        } else {
            let sent = run.authority().last("tools/call");
            assert_eq!(sent.header("mcp-param-region"), None, "null has no header");
        }
    }

    /// A name that is no header value is mirrored in base64 too.
    fn names_that_are_no_header_travel_in_base64(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET)
                .authority(Authority::modern().tool(r#"{"name":"get_é","inputSchema":{"type":"object"}}"#)),
        );
        run.miss(&Message::call("get_é", "{}").header("mcp-name", "=?base64?Z2V0X8Op?="))
            .result();
        assert_eq!(
            run.authority().last("tools/call").header("mcp-name"),
            Some("=?base64?Z2V0X8Op?=")
        );
    }

    /// 2026-07-28: refused before the lookup, hit or not.
    fn headers_that_differ_from_the_body_are_refused_before_a_hit(host) needs(Http) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).authority(Authority::modern().tool(TOOL).hinting(60_000, "private")),
        );
        let list = Message::bare("tools/list");
        run.miss(&list);
        let call =
            |region: &str| Message::call("get_in", r#"{"region":"eu"}"#).header("mcp-param-region", region);
        run.miss(&call("eu"));
        run.hit(&call("eu"));
        let before = run.authority().log().len();
        for message in [
            call("us"),
            call(""),
            call("EU"),
            call("eu").header("mcp-name", "get_user"),
            call("eu").header("mcp-name", ""),
            call("eu").header("mcp-method", "TOOLS/CALL"),
            call("eu").header("mcp-protocol-version", "2025-11-25"),
            call("=?base64?ZXU?="),
            list.clone().header("mcp-method", "prompts/list"),
            list.clone().header("mcp-method", ""),
        ] {
            run.ask(&message).fails(Code::HeaderMismatch);
        }
        assert_eq!(run.authority().log().len(), before);
        run.hit(&call("eu"));
        run.hit(&call("=?base64?ZXU=?="));
        run.hit(&list);
    }

    /// Refused before any effect: asked again once, with the headers as the authority lists them now.
    fn a_header_mismatch_of_the_authority_is_mended_once(host) {
        for (tool, writes) in [("get_in", false), ("put_in", true)] {
            let definition = TOOL.replace("get_in", tool);
            let mut run = Run::open(
                host,
                Setup::tools(GET).authority(Authority::modern().tool(&definition)),
            );
            run.goes_on();
            run.authority().once(
                "tools/call",
                Some(tool),
                error(400, -32020, "Region?", Value::Null),
            );
            let call = Message::call(tool, r#"{"region":"eu"}"#);
            run.ask(&call).result();
            assert_eq!(
                (run.calls(tool), run.trips("tools/list")),
                (2, 1),
                "{tool} writes: {writes}"
            );
            assert_eq!(
                run.authority().last("tools/call").header("mcp-param-region"),
                Some("eu")
            );
            // What was learnt stays.
            run.ask(&Message::call(tool, r#"{"region":"us"}"#).header("mcp-param-region", "us"))
                .result();
            assert_eq!((run.calls(tool), run.trips("tools/list")), (3, 1));
            assert_eq!(
                run.authority().last("tools/call").header("mcp-param-region"),
                Some("us")
            );
        }
    }

    fn a_header_mismatch_that_stays_is_passed_on(host) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::modern().tool(TOOL)));
        run.goes_on();
        run.authority().always(
            "tools/call",
            Some("get_in"),
            error(400, -32020, "never right", json!({"a": 1})),
        );
        let answer = run.ask(&Message::call("get_in", r#"{"region":"eu"}"#));
        answer.fails_verbatim(-32020, "never right");
        assert!(answer.status.is_none_or(|status| status == 400));
        assert_eq!(run.calls("get_in"), 2);
    }
}
