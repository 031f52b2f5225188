//! Bad input from agents: each gets its documented code, and none stops the replica.

use super::{GET, cases};
use crate::run::Run;
use crate::target::Setup;
use crate::wire::{MODERN, Message};
use leeward::Code;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

cases! {
    fn what_is_no_json_is_a_parse_error(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        let bad: [&[u8]; 9] = [
            b"",
            b"{",
            b"nonsense",
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}",
            b"{'jsonrpc':'2.0'}",
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            b"\x00",
            b"{\"a\":\"\\ud800\"}}",
        ];
        for bytes in bad {
            let answer = run.ask(&Message::raw(bytes));
            answer.fails(Code::ParseError);
            assert!(
                answer.response.get("id").is_none_or(serde_json::Value::is_null),
                "{answer:?}"
            );
        }
        assert!(run.authority().log().is_empty());
        run.goes_on();
    }

    fn what_is_no_request_is_invalid(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        for text in [
            "[]",
            "1",
            "null",
            "\"text\"",
            "{}",
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        ] {
            run.ask(&Message::raw(text)).fails(Code::InvalidRequest);
        }
        run.goes_on();
    }

    fn parameters_of_the_wrong_type_are_refused(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        for (method, params) in [
            ("tools/call", ""),
            ("tools/call", r#""name":7"#),
            ("tools/call", r#""name":"""#),
            ("tools/call", r#""name":null"#),
            ("tools/call", r#""name":"get_user","arguments":[]"#),
            ("tools/call", r#""name":"get_user","arguments":"{}""#),
            ("tools/call", r#""name":"get_user","arguments":null"#),
            ("tools/call", r#""name":"get_user","requestState":1"#),
            ("tools/call", r#""name":"get_user","inputResponses":[]"#),
            ("resources/read", ""),
            ("resources/read", r#""uri":["a"]"#),
            ("prompts/get", r#""name":{}"#),
            ("prompts/get", r#""name":"review","arguments":1"#),
            (
                "completion/complete",
                r#""ref":{"type":"ref/prompt","name":"review"}"#,
            ),
            ("completion/complete", r#""argument":{"name":"a","value":"b"}"#),
            ("completion/complete", r#""ref":1,"argument":{}"#),
            ("tools/list", r#""cursor":7"#),
            ("resources/list", r#""cursor":{}"#),
        ] {
            let answer = run.ask(&Message::new(method, params));
            assert_eq!(answer.id(), "1");
            answer.fails(Code::InvalidParams);
        }
        for meta in [
            r#""progressToken":{}"#,
            r#""progressToken":1.5"#,
            r#""io.modelcontextprotocol/logLevel":"loud""#,
            r#""io.modelcontextprotocol/clientInfo":"me""#,
        ] {
            run.ask(&Message::call("get_user", "{}").meta(meta))
                .fails(Code::InvalidParams);
        }
        run.ask(&Message::call("get_user", "{}").capabilities("[]"))
            .fails(Code::InvalidParams);
        assert!(run.authority().log().is_empty());
        run.goes_on();
    }

    fn params_that_are_no_object_are_refused(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        for params in ["[]", "1", "null", "\"a\""] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":4,"method":"tools/list","params":{params}}}"#);
            let answer = run.ask(&Message::raw(text));
            answer.fails(Code::InvalidParams);
            assert_eq!(answer.id(), "4");
        }
        let twice = format!(
            r#"{{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{{"name":"get_user","name":"put_ticket",{META}}}}}"#
        );
        let message = Message::raw(twice)
            .header("mcp-method", "tools/call")
            .header("mcp-name", "get_user");
        run.ask(&message).fails(Code::InvalidParams);
        let wide: Vec<String> = (0..300).map(|n| format!(r#""k{n}":0"#)).collect();
        let wide = format!(
            r#"{{"jsonrpc":"2.0","id":4,"method":"tools/list","params":{{{},{META}}}}}"#,
            wide.join(",")
        );
        run.ask(&Message::raw(wide).header("mcp-method", "tools/list"))
            .fails(Code::InvalidParams);
        assert!(run.authority().log().is_empty());
        run.goes_on();
    }

    fn unknown_methods_are_not_found(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        for method in [
            "no/method",
            "",
            "tools",
            "tools/list ",
            "TOOLS/LIST",
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "resources/unsubscribe",
            "subscriptions/unlisten",
            "sampling/createMessage",
            "tasks/list",
        ] {
            let answer = run.ask(&Message::bare(method).header("mcp-method", method));
            answer.fails(if method.trim() == method && !method.is_empty() {
                Code::MethodNotFound
            } else {
                code_of(&answer)
            });
        }
        assert!(run.authority().log().is_empty());
        run.goes_on();
    }

    fn an_unknown_tool_is_the_authoritys_to_refuse(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.ask(&Message::call("get_nothing", "{}"))
            .fails_verbatim(-32602, "unknown tool: get_nothing");
        run.ask(&Message::read("crm://nothing"))
            .fails_verbatim(-32602, "no resource crm://nothing");
        run.goes_on();
    }

    fn an_oversized_message_is_refused(host) {
        let mut run = Run::open(host, Setup::tools(GET).limit("maxMessageBytes", 10_000));
        let sized = |size: usize| Message::call("get_user", &format!(r#"{{"a":"{}"}}"#, "x".repeat(size)));
        run.ask(&sized(9_000)).result();
        run.ask(&sized(10_000)).fails(Code::TooLarge);
        run.ask(&sized(1_000_000)).fails(Code::TooLarge);
        run.goes_on();
    }

    fn a_name_or_id_that_is_too_long_is_refused(host) needs(InProcess) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.ask(&Message::call(&"n".repeat(8193), "{}"))
            .fails(Code::InvalidParams);
        run.ask(&Message::read(&format!("a:{}", "n".repeat(8193))))
            .fails(Code::InvalidParams);
        run.ask(&Message::call("get_user", "{}").id(&format!("\"{}\"", "i".repeat(1023))))
            .fails(Code::InvalidRequest);
        run.ask(&Message::call("get_user", "{}").id(&format!("\"{}\"", "i".repeat(1022))))
            .result();
        run.goes_on();
    }

    fn an_unsupported_version_is_named_with_those_that_are(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let answer = run.ask(&Message::bare("server/discover").version("v999.0.0"));
        answer.fails(Code::UnsupportedVersion);
        assert_eq!(answer.error()["data"]["requested"], "v999.0.0");
        assert_eq!(answer.error()["data"]["supported"][0], MODERN);
        run.goes_on();
    }

    fn a_stateless_request_says_who_it_is_from(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
        let capabilities = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
        for meta in [
            "",
            r#""_meta":{}"#,
            &format!(r#""_meta":{{{version}}}"#),
            &format!(r#""_meta":{{{capabilities}}}"#),
        ] {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":"x","method":"server/discover","params":{{{meta}}}}}"#);
            let answer = run.ask(&Message::raw(text).header("mcp-method", "server/discover"));
            answer.fails(Code::InvalidParams);
            assert_eq!(answer.id(), "\"x\"");
        }
        run.goes_on();
    }

    fn a_response_sent_as_a_message_is_refused(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.ask(&Message::raw(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#))
            .fails(Code::InvalidRequest);
        run.goes_on();
    }
}

fn code_of(answer: &crate::run::Answer) -> Code {
    let name = answer.error()["data"]["code"].clone();
    Code::ALL
        .into_iter()
        .find(|code| name == code.as_str())
        .unwrap_or_else(|| panic!("{answer:?}"))
}
