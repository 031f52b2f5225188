//! What is sent, and what comes back.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use leeward::Code;
use leeward::border::{Credential, LocalCall};
use leeward::dispatch::{Body, Forward};
use leeward::mcp::names;
use serde_json::json;

use super::{Rig, TIMEOUT, error_of, modern, read, result_of, write};
use crate::exec::{self, Sent};
use crate::flow::{Secret, access, http, local};
use crate::testing::{End, Say, Seen};
use crate::trouble::Trouble;

#[test]
fn speaks_statelessly_with_mirrored_headers() {
    let mut rig = Rig::new(modern(|seen| seen.result(json!({"contents": []}))));
    rig.upstream.token = Some(Secret("tok".into()));
    let headers = Vec::from([("mcp-param-x".into(), "1".into())]);
    let outcome = rig.call(Forward {
        progress: true,
        headers,
        ..read()
    });
    assert_eq!(outcome.clone().unwrap().credential.as_deref(), Some("static"));
    assert_eq!(result_of(outcome), json!({"contents": []}));
    assert_eq!(rig.host.methods(), ["server/discover", "resources/read"]);
    assert_eq!(rig.versions, ["2026-07-28"]);
    for seen in &rig.host.seen {
        assert_eq!(seen.http.method, "POST");
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.header("accept"), Some("application/json, text/event-stream"));
        assert_eq!(seen.header("authorization"), Some("Bearer tok"));
        assert_eq!(seen.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(seen.header("mcp-method"), Some(&*seen.method));
        assert_eq!(seen.meta("protocolVersion"), "2026-07-28");
        assert_eq!(seen.meta("clientCapabilities"), &json!({"sampling": {}}));
    }
    let seen = &rig.host.seen[1];
    assert_eq!(seen.header("mcp-name"), Some("=?base64?YTrDqQ==?="));
    assert_eq!(seen.header("mcp-param-x"), Some("1"));
    assert_eq!(seen.params["uri"], "a:é");
    assert_eq!(seen.params["_meta"]["progressToken"], 1);
    assert_eq!(seen.meta("logLevel"), "info");
    assert_ne!(seen.id, rig.host.seen[0].id);
    // The verdict is kept.
    rig.call(read()).unwrap();
    assert_eq!(rig.host.seen.len(), 3);
    assert!(rig.host.seen[2].params["_meta"].get("progressToken").is_none());
}

#[test]
fn reads_event_streams_and_relays_what_precedes_the_response() {
    let mut rig = Rig::new(modern(|seen| {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"text": "é"}});
        let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"});
        let answer = json!({"jsonrpc": "2.0", "id": seen.id, "result": {"ok": true}});
        Say::events(&[note.clone(), ask, note, answer], End::Hangs)
    }));
    assert_eq!(result_of(rig.call(read())), json!({"ok": true}));
    assert_eq!(rig.relayed.len(), 2);
    assert!(rig.relayed[0].contains('é'));
    assert_eq!(rig.host.aborted.len(), 1);
}

#[test]
fn learns_header_annotations_after_a_mismatch() {
    let authority = || {
        modern(|seen| match &*seen.method {
            "tools/call" if seen.header("mcp-param-region") == Some("eu") => {
                assert_eq!(seen.header("mcp-param-other"), Some("1"));
                seen.result(json!({"content": []}))
            }
            "tools/list" if seen.params["cursor"].is_null() => {
                let bad = json!({"name": "bad", "inputSchema": {"type": "object", "properties": {"a": {"type": "object", "x-mcp-header": "A"}}}});
                seen.result(json!({"tools": [bad, {}], "nextCursor": "p\"2"}))
            }
            "tools/list" => {
                assert_eq!(seen.params["cursor"], "p\"2");
                let schema = json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
                seen.result(json!({"tools": [{"name": "t", "inputSchema": schema}]}))
            }
            _ => seen.refusal(400, names::ERROR_HEADER_MISMATCH),
        })
    };
    let mut rig = Rig::new(authority());
    let headers = Vec::from([("mcp-param-other".into(), "1".into())]);
    let answer = rig
        .call(Forward {
            headers: headers.clone(),
            ..write()
        })
        .unwrap();
    assert_eq!(
        rig.host.methods(),
        [
            "server/discover",
            "tools/call",
            "tools/list",
            "tools/list",
            "tools/call"
        ]
    );
    assert!(matches!(answer.body, Body::Result(_)));
    assert_eq!(answer.learned.len(), 1);
    assert_eq!(answer.learned[0].0, "t");
    // A tool that the list does not name stays refused.
    let mut rig = Rig::new(authority());
    assert_eq!(
        error_of(rig.call(Forward {
            name: Some("u".into()),
            ..write()
        })),
        names::ERROR_HEADER_MISMATCH
    );
}

#[test]
fn a_list_that_never_comes_leaves_the_mismatch_as_it_is() {
    let mut rig = Rig::new(modern(|seen| match &*seen.method {
        "tools/list" => Say::never(),
        _ => seen.refusal(400, names::ERROR_HEADER_MISMATCH),
    }));
    assert_eq!(error_of(rig.call(write())), names::ERROR_HEADER_MISMATCH);
    let mut rig = Rig::new(modern(|seen| match &*seen.method {
        "tools/list" => seen.result(json!({"tools": [], "nextCursor": "again"})),
        _ => seen.refusal(400, names::ERROR_HEADER_MISMATCH),
    }));
    assert_eq!(error_of(rig.call(write())), names::ERROR_HEADER_MISMATCH);
    assert_eq!(rig.host.seen.len(), 2 + leeward::limits::MAX_PAGES);
}

#[test]
fn takes_the_hosts_credential_and_names_it_without_telling_it() {
    let with = |token: &str, identity: Option<&str>| {
        let credential = Credential {
            token: token.into(),
            identity: identity.map(Into::into),
            expires_in: None,
        };
        let mut rig = Rig::new(modern(|seen| seen.result(json!({}))));
        rig.upstream.hook = true;
        rig.upstream.token = Some(Secret("unused".into()));
        rig.host.credential = Ok(Some(credential));
        let answer = rig.call(read());
        let sent = rig
            .host
            .seen
            .last()
            .map(|seen| seen.header("authorization").map(String::from));
        (answer, sent.flatten())
    };
    let (answer, sent) = with("abc", Some("grant-1"));
    assert_eq!(
        (answer.unwrap().credential.as_deref(), sent.as_deref()),
        (Some("grant-1"), Some("Bearer abc"))
    );
    let name = |token: &str| with(token, None).0.unwrap().credential.unwrap();
    assert_eq!(name("abc"), name("abc"));
    assert_ne!(name("abc"), name("abd"));
    assert!(!name("abc").contains("abc"));
    for token in ["", "a b", "a\r\nx: y", "é"] {
        assert_eq!(
            with(token, None).0.unwrap_err().error.code,
            Code::AuthorityAuthRequired
        );
    }
    let mut rig = Rig::new(modern(|seen| seen.result(json!({}))));
    rig.upstream.hook = true;
    assert_eq!(rig.call(read()).unwrap().credential, None);
    rig.host.credential = Err("vault is sealed".into());
    assert_eq!(rig.code(write()), Code::AuthorityAuthRequired);
    rig.upstream.url = None;
    assert_eq!(rig.code(write()), Code::AuthorityUnreachable);
}

#[test]
fn calls_local_tools_and_judges_their_answers() {
    let tool = || LocalCall::Tool {
        name: "t".into(),
        arguments: b"{}".to_vec(),
    };
    let call = |call: LocalCall, answer: Option<Result<&[u8], &str>>| {
        let mut rig = Rig::new(|_: &Seen| unreachable!());
        rig.host.local = answer.map(|answer| answer.map(<[u8]>::to_vec).map_err(String::from));
        rig.start_flow(local(call, TIMEOUT, Sent::default()));
        rig.run();
        rig.outcomes.pop().unwrap().1.map_err(|error| error.error.code)
    };
    assert_eq!(
        call(tool(), Some(Ok(br#"{"content":[]}"#))).unwrap().body,
        Body::Result(r#"{"content":[]}"#.into())
    );
    for answer in [Ok(&b"{"[..]), Ok(b"[]"), Ok(b"\"\xff\""), Err("boom")] {
        assert_eq!(call(tool(), Some(answer)), Err(Code::Internal));
    }
    assert_eq!(call(tool(), None), Err(Code::UnknownOutcome));
    assert_eq!(
        call(LocalCall::Resource { uri: "a:b".into() }, None),
        Err(Code::Internal)
    );
}

#[test]
fn a_session_is_told_once_which_log_messages_are_wanted() {
    let at = |level: &str| Forward {
        meta: alloc::format!(r#""io.modelcontextprotocol/logLevel":"{level}""#),
        ..read()
    };
    for (logs, told) in [(true, &["warning", "debug"][..]), (false, &[])] {
        let mut rig = Rig::new(move |seen: &Seen| match &*seen.method {
            "server/discover" => Say::empty(404),
            "initialize" => {
                let capabilities = if logs { json!({"logging": {}}) } else { json!({}) };
                seen.result(
                    json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": {}}),
                )
                .with("mcp-session-id", "s")
            }
            "notifications/initialized" => Say::empty(202),
            "logging/setLevel" => seen.refusal(200, -32603),
            _ => seen.result(json!({"contents": []})),
        });
        for level in ["warning", "error", "warning", "debug", "info"] {
            rig.call(at(level)).unwrap();
        }
        rig.call(Forward {
            meta: String::new(),
            ..read()
        })
        .unwrap();
        let seen = rig
            .host
            .seen
            .iter()
            .filter(|seen| seen.method == "logging/setLevel");
        let levels: Vec<_> = seen.map(|seen| seen.params["level"].as_str().unwrap()).collect();
        assert_eq!(levels, told);
    }
}

#[test]
fn a_token_goes_to_the_configured_endpoint_and_nowhere_else() {
    let mut rig = Rig::new(|_| Say::empty(200));
    rig.upstream.token = Some(Secret("s3cret".into()));
    let upstream = Arc::new(rig.upstream.clone());
    rig.start_flow(move |mut io| {
        Box::pin(async move {
            access::open(&mut io, &upstream, None).await.unwrap();
            for url in [
                "https://a.example/mcp",
                "https://a.example/mcp/",
                "https://b.example/mcp",
            ] {
                let request = http::post(url, Vec::new(), b"{\"jsonrpc\":\"2.0\"}".to_vec());
                access::send(&mut io, request, None).await.unwrap();
            }
            exec::End::Trip(Err(Trouble::closed("the test is over").into_error(false)))
        })
    });
    rig.run();
    let tokens: Vec<_> = rig
        .host
        .seen
        .iter()
        .map(|seen| seen.header("authorization"))
        .collect();
    assert_eq!(tokens, [Some("Bearer s3cret"), None, None]);
}
