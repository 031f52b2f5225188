//! Bad answers from authorities: each gets its documented code, and none stops the replica.

use serde_json::json;

use super::{GET, cases};
use crate::authority::{End, Plan, Turn, response};
use crate::run::Run;
use crate::target::Setup;
use crate::wire::Message;
use leeward::Code;

cases! {
    fn an_answer_that_is_no_mcp_is_the_authoritys_fault(host) {
        let good = r#"{"resultType":"complete","content":[]}"#;
        let turns: Vec<(&str, Turn)> = vec![
            (
                "HTML",
                Box::new(|_| Plan::body(200, "text/html", "<html><body>login</body></html>")),
            ),
            (
                "HTML that says it is JSON",
                Box::new(|_| Plan::body(200, "application/json", "<html>")),
            ),
            ("no content type", Box::new(|_| Plan::empty(200))),
            (
                "an empty body",
                Box::new(|_| Plan::body(200, "application/json", "")),
            ),
            (
                "no JSON",
                Box::new(|_| Plan::body(200, "application/json", r#"{"jsonrpc":"2.0",}"#)),
            ),
            (
                "a wrong id",
                Box::new(move |_| Plan::body(200, "application/json", response(&json!(424_242), good))),
            ),
            (
                "an id of another type",
                Box::new(move |seen| {
                    Plan::body(
                        200,
                        "application/json",
                        response(&json!(seen.id.to_string()), good),
                    )
                }),
            ),
            (
                "a null id",
                Box::new(move |_| Plan::body(200, "application/json", response(&json!(null), good))),
            ),
            (
                "no result and no error",
                Box::new(|seen| {
                    Plan::body(
                        200,
                        "application/json",
                        json!({"jsonrpc": "2.0", "id": seen.id}).to_string(),
                    )
                }),
            ),
            (
                "both result and error",
                Box::new(|seen| {
                    let error = json!({"code": 1, "message": ""});
                    let both =
                        json!({"jsonrpc": "2.0", "id": seen.id, "result": {"content": []}, "error": error});
                    Plan::body(200, "application/json", both.to_string())
                }),
            ),
            (
                "a result that is no object",
                Box::new(|seen| Plan::result(&seen.id, "[]")),
            ),
            (
                "an error without a code",
                Box::new(|seen| {
                    let error = json!({"jsonrpc": "2.0", "id": seen.id, "error": {"message": "x"}});
                    Plan::body(200, "application/json", error.to_string())
                }),
            ),
            (
                "another version of JSON-RPC",
                Box::new(|seen| {
                    Plan::body(
                        200,
                        "application/json",
                        json!({"jsonrpc": "1.0", "id": seen.id, "result": {}}).to_string(),
                    )
                }),
            ),
            (
                "invalid UTF-8",
                Box::new(|seen| {
                    let mut body = response(&seen.id, good).into_bytes();
                    body.splice(20..20, [0xff]);
                    Plan::body(200, "application/json", body)
                }),
            ),
            (
                "a redirect",
                Box::new(|_| Plan::empty(302).header("location", "http://elsewhere.test/")),
            ),
            ("an accepted request", Box::new(|_| Plan::empty(202))),
            (
                "a teapot",
                Box::new(|_| Plan::body(418, "text/plain", "short and stout")),
            ),
        ];
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        for (what, turn) in turns {
            run.authority().once("tools/call", Some("get_ticket"), turn);
            let answer = run.ask(&Message::call("get_ticket", "{}"));
            assert_eq!(
                answer.error()["data"]["code"],
                "authority_invalid",
                "{what}: {answer:?}"
            );
            answer.fails(Code::AuthorityInvalid);
            run.goes_on();
            run.miss(&Message::call("do_it", "{}"));
        }
    }

    fn a_stream_that_is_no_answer_breaks_off(host) {
        let turns: Vec<Turn> = vec![
            Box::new(|_| Plan::events([])),
            Box::new(|_| {
                Plan::events([
                    String::new(),
                    r#"{"jsonrpc":"2.0","method":"notifications/x"}"#.into(),
                ])
            }),
            Box::new(|seen| Plan::events([response(&seen.id, "{}")]).cut(8)),
            Box::new(|_| Plan::Respond {
                status: 200,
                headers: vec![("content-type".into(), "text/event-stream".into())],
                chunks: vec![
                    b": only comments\n\n".to_vec(),
                    b"event: ping\ndata: {}\n\n".to_vec(),
                ],
                end: End::Cut,
            }),
        ];
        for turn in turns {
            let mut run = Run::open(host, Setup::tools(GET));
            run.goes_on();
            run.authority()
                .times(Some(2), "tools/call", Some("get_ticket"), turn);
            run.ask(&Message::call("get_ticket", "{}"))
                .fails(Code::AuthorityUnreachable);
            run.goes_on();
        }
    }

    fn a_stream_with_the_answer_of_another_is_the_authoritys_fault(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().times(
            Some(2),
            "tools/call",
            Some("get_ticket"),
            Box::new(|_| Plan::events([response(&json!(424_242), "{}")])),
        );
        let answer = run.ask(&Message::call("get_ticket", "{}"));
        let code = &answer.error()["data"]["code"];
        assert!(
            code == "authority_invalid" || code == "authority_unreachable",
            "{answer:?}"
        );
        run.goes_on();
    }

    fn connections_that_break_are_outages(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority()
            .once("tools/call", Some("get_ticket"), Box::new(|_| Plan::Close));
        run.ask(&Message::call("get_ticket", "{}"))
            .fails(Code::AuthorityUnreachable);
        for status in [500, 502, 503, 504] {
            run.authority().once(
                "tools/call",
                Some("get_ticket"),
                Box::new(move |_| Plan::body(status, "text/html", "<h1>")),
            );
            run.ask(&Message::call("get_ticket", "{}"))
                .fails(Code::AuthorityUnreachable);
        }
        run.goes_on();
    }

    fn a_refused_credential_is_told(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        for status in [401, 403] {
            run.authority().once(
                "tools/call",
                Some("get_ticket"),
                Box::new(move |_| {
                    Plan::empty(status)
                        .header("www-authenticate", "Bearer resource_metadata=\"http://x.test/\"")
                }),
            );
            run.ask(&Message::call("get_ticket", "{}"))
                .fails(Code::AuthorityAuthRequired);
        }
        run.goes_on();
    }

    fn an_oversized_answer_is_refused(host) {
        let mut run = Run::open(host, Setup::tools(GET).limit("maxResponseBytes", 100_000));
        run.goes_on();
        let sized = |size: usize, stream: bool| -> Turn {
            Box::new(move |seen| {
                let raw = format!(
                    r#"{{"resultType":"complete","content":[],"x":"{}"}}"#,
                    "x".repeat(size)
                );
                if stream {
                    Plan::events([response(&seen.id, &raw)])
                } else {
                    Plan::result(&seen.id, &raw)
                }
                .in_pieces(9_999)
            })
        };
        for stream in [false, true] {
            run.authority()
                .once("tools/call", Some("get_ticket"), sized(90_000, stream));
            run.ask(&Message::call("get_ticket", &format!(r#"{{"s":{stream}}}"#)))
                .result();
            run.authority()
                .once("tools/call", Some("get_ticket"), sized(110_000, stream));
            run.ask(&Message::call("get_ticket", "{}"))
                .fails(Code::AuthorityInvalid);
        }
        run.goes_on();
    }

    /// Where chunks end means nothing.
    fn answers_in_small_pieces_are_put_together(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        let raw = r#"{"resultType":"complete","content":[{"type":"text","text":"é€😀"}]}"#;
        for (size, stream) in [(1, false), (7, false), (1, true), (7, true)] {
            run.authority().once(
                "tools/call",
                Some("get_ticket"),
                Box::new(move |seen| {
                    if stream {
                        Plan::events([String::new(), response(&seen.id, raw)])
                    } else {
                        Plan::result(&seen.id, raw)
                    }
                    .in_pieces(size)
                }),
            );
            let call = Message::call("get_ticket", &format!(r#"{{"size":{size},"stream":{stream}}}"#));
            assert_eq!(run.ask(&call).text(), "é€😀");
            run.hit(&call);
        }
    }

    /// 2026-07-28: a server asks nothing of a client within a stream; what comes so is ignored.
    fn requests_of_the_authority_are_ignored(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().once(
            "tools/call",
            Some("get_ticket"),
            crate::authority::stream(
                &[
                    r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}"#,
                    "not even JSON",
                ],
                r#"{"resultType":"complete","content":[]}"#,
            ),
        );
        let answer = run.ask(&Message::call("get_ticket", "{}"));
        assert!(answer.notifications.is_empty());
        if answer.response.get("error").is_some() {
            answer.fails(Code::AuthorityInvalid);
        }
        run.goes_on();
    }

    fn what_the_authority_says_in_html_does_not_reach_the_agent(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().once(
            "tools/call",
            Some("get_ticket"),
            Box::new(|_| Plan::body(500, "text/html", "SECRET-STACK-TRACE")),
        );
        let answer = run.ask(&Message::call("get_ticket", "{}"));
        assert!(!answer.response.to_string().contains("SECRET"), "{answer:?}");
    }
}
