//! Which era the authority speaks, and its sessions.

use alloc::string::String;

use leeward::Code;
use leeward::border::Credential;
use leeward::dispatch::{Body, Forward};
use serde_json::{Value, json};

use super::{Rig, discover, error_of, legacy, modern, read, result_of, write};
use crate::testing::{End, Say, Seen};

#[test]
fn the_probe_answers_a_discovery() {
    let mut rig = Rig::new(modern(|_| unreachable!()));
    assert_eq!(result_of(rig.call(discover()))["who"], "authority");
    assert_eq!(rig.host.methods(), ["server/discover"]);
}

#[test]
fn opens_a_session_where_the_authority_wants_one() {
    let mut rig = Rig::new(legacy(|seen| seen.result(json!({"contents": []}))));
    let outcome = rig.call(Forward {
        progress: true,
        ..write()
    });
    assert_eq!(result_of(outcome), json!({"contents": []}));
    assert_eq!(
        rig.host.methods(),
        [
            "server/discover",
            "initialize",
            "notifications/initialized",
            "tools/call"
        ]
    );
    assert_eq!(rig.versions, ["2025-06-18"]);
    let seen = &rig.host.seen[3];
    assert_eq!(seen.header("mcp-session-id"), Some("s1"));
    assert_eq!(seen.header("mcp-protocol-version"), Some("2025-06-18"));
    assert_eq!(seen.header("mcp-method"), None);
    assert_eq!(
        seen.params["_meta"],
        json!({"traceparent": "00", "progressToken": 1})
    );
    // The session is kept; another partition gets its own.
    rig.call(read()).unwrap();
    rig.call(Forward {
        partition: 2,
        ..read()
    })
    .unwrap();
    assert_eq!(
        rig.host.methods()[4..],
        [
            "resources/read",
            "initialize",
            "notifications/initialized",
            "resources/read"
        ]
    );
    assert_eq!(rig.host.seen[7].header("mcp-session-id"), Some("s2"));
}

#[test]
fn answers_a_discovery_from_the_session() {
    let mut rig = Rig::new(legacy(|_| unreachable!()));
    for _ in 0..2 {
        let result = result_of(rig.call(discover()));
        assert_eq!(result["supportedVersions"], json!(["2025-06-18"]));
        assert_eq!(
            result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
            "old"
        );
        assert_eq!(
            (&result["ttlMs"], &result["cacheScope"]),
            (&json!(0), &json!("private"))
        );
    }
    assert_eq!(rig.host.seen.len(), 3);
}

#[test]
fn opens_a_dropped_session_again_once_even_for_a_write() {
    for refusal in [
        |_: &Seen| {
            Say::json(
                404,
                json!({"jsonrpc": "2.0", "error": {"code": -32001, "message": "gone"}, "id": null}),
            )
        },
        |_: &Seen| Say::body(404, "text/html", "gone", End::Whole),
        |_: &Seen| {
            Say::body(
                400,
                "text/plain",
                "Bad Request: No valid session ID provided",
                End::Whole,
            )
        },
        |seen: &Seen| seen.error(400, json!({"code": -32000, "message": "unknown Session"})),
    ] {
        let mut rig = Rig::new(legacy(move |seen| match seen.header("mcp-session-id") {
            Some("s2") => seen.result(json!({})),
            _ => refusal(seen),
        }));
        assert_eq!(result_of(rig.call(write())), json!({}));
        assert_eq!(
            rig.host
                .methods()
                .iter()
                .filter(|method| **method == "tools/call")
                .count(),
            2
        );
        // For ever dropped: refused, not unknown.
        let mut rig = Rig::new(legacy(refusal));
        match rig.call(write()) {
            Ok(answer) => assert!(matches!(answer.body, Body::Error(_))),
            Err(error) => assert_eq!(error.error.code, Code::AuthorityInvalid),
        }
        assert_eq!(
            rig.host
                .methods()
                .iter()
                .filter(|method| **method == "initialize")
                .count(),
            2
        );
    }
}

#[test]
fn another_credential_gets_another_session() {
    let mut rig = Rig::new(legacy(|seen| {
        seen.result(json!({"session": seen.header("mcp-session-id").unwrap()}))
    }));
    rig.upstream.hook = true;
    for (identity, session) in [("a", "s1"), ("a", "s1"), ("b", "s2"), ("a", "s3")] {
        rig.host.credential = Ok(Some(Credential {
            token: "t".into(),
            identity: Some(identity.into()),
            expires_in: None,
        }));
        assert_eq!(result_of(rig.call(read()))["session"], session);
    }
}

#[test]
fn works_without_discovery_and_without_sessions() {
    let mut rig = Rig::new(|seen: &Seen| match &*seen.method {
        "resources/read" => seen.result(json!({"ok": true})),
        _ => seen.refusal(404, -32601),
    });
    assert_eq!(result_of(rig.call(read())), json!({"ok": true}));
    assert_eq!(
        rig.host.methods(),
        ["server/discover", "initialize", "resources/read"]
    );
    // Agents may rely on it, so they get the least that is sure.
    let discovered = result_of(rig.call(discover()));
    assert_eq!(discovered["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(discovered["ttlMs"], json!(0));
    assert_eq!(rig.host.seen.len(), 4);
}

/// 2026-07-28, Versioning: what a server answers with `UnsupportedProtocolVersion` is asked again in a version it names.
#[test]
fn a_discovery_refused_for_its_version_is_asked_again_once() {
    let refuse = |seen: &Seen| {
        let data = json!({"supported": ["2026-07-28"], "requested": "2026-07-28"});
        seen.error(400, json!({"code": -32022, "message": "no", "data": data}))
    };
    let mut asked = 0;
    let mut rig = Rig::new(move |seen: &Seen| {
        asked += 1;
        match asked {
            1 => refuse(seen),
            _ => seen.result(json!({"supportedVersions": ["2026-07-28"], "who": "authority"})),
        }
    });
    assert_eq!(result_of(rig.call(discover()))["who"], "authority");
    assert_eq!(rig.host.methods(), ["server/discover"; 2]);
    let mut rig = Rig::new(refuse);
    assert_eq!(error_of(rig.call(discover())), -32022);
    assert_eq!(rig.host.methods(), ["server/discover"; 4]);
}

#[test]
fn who_answers_everything_with_nothing_is_asked_for_a_session() {
    let mut serve = legacy(|seen| seen.result(json!({"contents": []})));
    let mut rig = Rig::new(move |seen: &Seen| match &*seen.method {
        "server/discover" => seen.result(json!({})),
        _ => serve(seen),
    });
    assert_eq!(result_of(rig.call(read())), json!({"contents": []}));
    assert_eq!(rig.versions, ["2025-06-18"]);
}

#[test]
fn picks_an_era_from_the_versions_an_authority_names() {
    let refuse = |supported: Value| {
        move |seen: &Seen| {
            let data = json!({"supported": supported, "requested": "2026-07-28"});
            seen.error(400, json!({"code": -32022, "message": "no", "data": data}))
        }
    };
    let old = refuse(json!(["2025-06-18"]));
    let mut serve = legacy(|seen| seen.result(json!({})));
    let mut rig = Rig::new(move |seen: &Seen| match &*seen.method {
        "server/discover" => old(seen),
        _ => serve(seen),
    });
    assert_eq!(result_of(rig.call(read())), json!({}));
    let mut rig = Rig::new(refuse(json!(["2099-01-01"])));
    assert_eq!(rig.code(read()), Code::AuthorityInvalid);
    assert_eq!(rig.host.seen.len(), 1);
}

#[test]
fn an_outage_is_no_verdict() {
    let mut up = false;
    for outage in [
        Say::lost(true),
        Say::lost(false),
        Say::empty(503),
        Say::empty(429),
        Say::empty(401),
        Say::empty(403),
    ] {
        let outage_again = outage.clone();
        let mut rig = Rig::new(move |seen: &Seen| {
            if core::mem::replace(&mut up, true) {
                seen.result(json!({"supportedVersions": ["2026-07-28"]}))
            } else {
                outage_again.clone()
            }
        });
        let code = rig.code(write());
        assert_ne!(code, Code::UnknownOutcome, "{outage:?}");
        assert_eq!(rig.host.methods(), ["server/discover"], "the write was not sent");
        rig.call(write()).unwrap();
        assert_eq!(
            rig.host.methods(),
            ["server/discover", "server/discover", "tools/call"]
        );
        up = false;
    }
}

#[test]
fn concurrent_first_requests_share_one_probe() {
    let mut rig = Rig::new(modern(|seen| seen.result(json!({}))));
    for _ in 0..10 {
        rig.start(read());
    }
    rig.run();
    assert_eq!(
        rig.outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).count(),
        10
    );
    assert_eq!(
        rig.host
            .methods()
            .iter()
            .filter(|method| **method == "server/discover")
            .count(),
        1
    );
    // And one outage.
    let mut rig = Rig::new(|_: &Seen| Say::lost(true));
    for _ in 0..10 {
        rig.start(read());
    }
    rig.run();
    assert_eq!((rig.outcomes.len(), rig.host.seen.len()), (10, 1));
}

#[test]
fn concurrent_first_requests_of_a_partition_share_one_session() {
    let mut rig = Rig::new(legacy(|seen| seen.result(json!({}))));
    rig.call(read()).unwrap();
    for _ in 0..10 {
        rig.start(Forward {
            partition: 2,
            ..read()
        });
    }
    rig.run();
    assert_eq!(
        rig.host
            .methods()
            .iter()
            .filter(|method| **method == "initialize")
            .count(),
        2
    );
}

#[test]
fn concurrent_requests_of_a_partition_share_the_failure_to_open_a_session() {
    let mut opened = 0;
    let mut serve = legacy(|seen| seen.result(json!({})));
    let mut rig = Rig::new(move |seen: &Seen| {
        opened += usize::from(seen.method == "initialize");
        if opened == 2 { Say::empty(503) } else { serve(seen) }
    });
    rig.call(read()).unwrap();
    for _ in 0..10 {
        rig.start(Forward {
            partition: 2,
            ..read()
        });
    }
    rig.run();
    assert_eq!(
        rig.outcomes
            .iter()
            .filter(|(_, outcome)| outcome.is_err())
            .count(),
        10
    );
    assert_eq!(rig.host.methods()[4..], ["initialize"]);
}

#[test]
fn a_dropped_prober_hands_its_duty_on() {
    let mut first = true;
    let mut rig = Rig::new(move |seen: &Seen| {
        if core::mem::take(&mut first) {
            Say::never()
        } else {
            seen.result(json!({"supportedVersions": ["2026-07-28"]}))
        }
    });
    let prober = rig.start(read());
    rig.start(read());
    rig.pump();
    assert!(rig.outcomes.is_empty());
    rig.executor.cancel(prober, &mut rig.link, &mut rig.desk);
    rig.run();
    assert_eq!(rig.outcomes.len(), 1);
    assert!(rig.outcomes[0].1.is_ok());
    assert_eq!(rig.host.aborted.len(), 1);
}

#[test]
fn reprobes_once_when_the_era_turns_out_wrong() {
    let mut calls = 0;
    let mut rig = Rig::new(modern(move |seen| {
        calls += 1;
        if calls == 1 {
            seen.refusal(400, -32022)
        } else {
            seen.result(json!({}))
        }
    }));
    assert_eq!(result_of(rig.call(write())), json!({}));
    assert_eq!(
        rig.host.methods(),
        ["server/discover", "tools/call", "server/discover", "tools/call"]
    );
    let mut rig = Rig::new(modern(|seen| seen.refusal(400, -32022)));
    assert_eq!(error_of(rig.call(write())), -32022);
    assert_eq!(rig.host.seen.len(), 4);
}

#[test]
fn a_session_authority_that_became_stateless_is_found_out() {
    let mut upgraded = false;
    let mut old = legacy(|seen| seen.result(json!({"era": "old"})));
    let mut new = modern(|seen| match &*seen.method {
        "resources/read" => seen.result(json!({"era": "new"})),
        _ => seen.refusal(404, -32601),
    });
    let mut rig = Rig::new(move |seen: &Seen| {
        upgraded |= seen.method == "resources/read" && seen.header("mcp-session-id").is_some();
        if upgraded { new(seen) } else { old(seen) }
    });
    rig.call(discover()).unwrap();
    rig.host.seen.clear();
    // Within its session the partition notices nothing; another one has to open one.
    let outcome = rig.call(read());
    assert_eq!(result_of(outcome)["era"], "new");
    assert_eq!(
        result_of(rig.call(Forward {
            partition: 9,
            ..read()
        }))["era"],
        "new"
    );
    assert_eq!(
        rig.host.methods(),
        [
            "resources/read",
            "initialize",
            "server/discover",
            "resources/read"
        ],
        "what is refused before it has an effect is sent again"
    );
}

#[test]
fn refuses_session_ids_that_are_no_header_value_or_too_long() {
    let long = "x".repeat(crate::limits::MAX_SESSION_ID_BYTES + 1);
    for id in ["a b", "a\r\nb", "é", &long] {
        let id = String::from(id);
        let mut rig = Rig::new(move |seen: &Seen| match &*seen.method {
            "initialize" => seen
                .result(json!({"protocolVersion": "2025-11-25", "capabilities": {}}))
                .with("mcp-session-id", &id),
            _ => seen.refusal(400, -32000),
        });
        assert_eq!(rig.code(write()), Code::AuthorityInvalid);
        assert_eq!(rig.host.methods(), ["server/discover", "initialize"]);
    }
}

#[test]
fn an_authority_may_go_without_session_ids() {
    let mut rig = Rig::new(|seen: &Seen| match &*seen.method {
        "initialize" => seen.result(json!({"protocolVersion": "2025-03-26", "capabilities": {}})),
        "notifications/initialized" => Say::empty(202),
        "server/discover" => seen.refusal(200, -32601),
        _ => {
            assert_eq!(seen.header("mcp-protocol-version"), Some("2025-03-26"));
            assert_eq!(seen.header("mcp-session-id"), None);
            seen.result(json!({"ok": true}))
        }
    });
    assert_eq!(result_of(rig.call(read())), json!({"ok": true}));
}

#[test]
fn looks_for_the_word_session_in_the_beginning_of_a_refusal_only() {
    let text = "x".repeat(crate::limits::MAX_REFUSAL_BYTES) + " session";
    let mut rig = Rig::new(legacy(move |_| {
        Say::body(400, "text/plain", text.clone(), End::Hangs)
    }));
    assert_eq!(rig.code(write()), Code::AuthorityInvalid);
    assert_eq!(
        rig.host
            .methods()
            .iter()
            .filter(|method| **method == "tools/call")
            .count(),
        1
    );
}
