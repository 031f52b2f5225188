//! What is believed of the authority without asking it: a verdict that was kept, and a version that is pinned.

use alloc::borrow::ToOwned as _;

use super::*;
use crate::limits::LEGACY_VERDICT_AGE;
use crate::link::Era;
use crate::replica::Host;

impl Rig {
    /// A replica that starts again, so much later, with the same vault.
    fn restarts(&mut self, later: Millis) {
        self.link = Link::new(4);
        self.unix = self.unix + later;
        self.executor.advance(self.unix);
        self.host.seen.clear();
    }

    fn pin(&mut self, version: &'static str) {
        self.upstream.version = Some(version);
        self.link.pin(Era::of(version));
    }
}

fn answers(seen: &Seen) -> Say {
    seen.result(json!({}))
}

#[test]
fn a_verdict_is_kept_with_its_date() {
    for (mut rig, first, again) in [
        (Rig::new(modern(answers)), &["server/discover"][..], &[][..]),
        (
            Rig::new(legacy(answers)),
            &["server/discover", "initialize", "notifications/initialized"],
            &["initialize", "notifications/initialized"],
        ),
    ] {
        rig.restarts(Millis(1_000_000));
        rig.call(write()).unwrap();
        assert_eq!(rig.host.methods(), [first, &["tools/call"]].concat());
        rig.restarts(Millis(LEGACY_VERDICT_AGE.0 - 1));
        rig.call(write()).unwrap();
        assert_eq!(rig.host.methods(), [again, &["tools/call"]].concat());
        // What is taken up is as old as it was.
        rig.now = rig.now + Millis(1);
        rig.unix = rig.unix + Millis(1);
        rig.executor.advance(rig.unix);
        rig.host.seen.clear();
        rig.call(Forward {
            partition: 2,
            ..write()
        })
        .unwrap();
        assert_eq!(rig.host.methods().contains(&"server/discover"), first.len() == 3);
    }
}

#[test]
fn an_old_verdict_against_an_authority_is_looked_at_again() {
    // Time that ran backward says nothing about an age.
    for (later, earlier) in [(LEGACY_VERDICT_AGE, Millis(0)), (Millis(0), Millis(1))] {
        let mut rig = Rig::new(legacy(answers));
        rig.restarts(Millis(1_000_000));
        rig.call(read()).unwrap();
        rig.unix = rig.unix.since(earlier);
        rig.restarts(later);
        rig.host.speak(modern(answers));
        rig.call(read()).unwrap();
        assert_eq!(rig.host.methods(), ["server/discover", "resources/read"]);
        // And the new one is kept.
        rig.restarts(Millis(0));
        rig.call(read()).unwrap();
        assert_eq!(rig.host.methods(), ["resources/read"]);
    }
}

#[test]
fn a_kept_verdict_that_is_contradicted_is_found_out_again_and_forgotten() {
    let mut rig = Rig::new(modern(answers));
    rig.call(read()).unwrap();
    rig.host.speak({
        let mut old = legacy(answers);
        move |seen: &Seen| match seen.header("mcp-protocol-version") {
            Some("2026-07-28") => seen.error(
                400,
                json!({"code": -32022, "message": "no", "data": {"supported": ["2025-06-18"], "requested": "2026-07-28"}}),
            ),
            _ => old(seen),
        }
    });
    rig.restarts(Millis(0));
    result_of(rig.call(write()));
    assert_eq!(
        rig.host.methods(),
        [
            "tools/call",
            "server/discover",
            "initialize",
            "notifications/initialized",
            "tools/call"
        ],
        "refused before it had an effect"
    );
    assert_eq!(
        rig.host.seen[2].params["protocolVersion"], "2025-06-18",
        "which it named"
    );
    rig.restarts(Millis(0));
    rig.call(read()).unwrap();
    assert_eq!(rig.host.methods()[0], "initialize");
    // In doubt, nothing is believed after a restart.
    rig.host.speak(|seen: &Seen| match &*seen.method {
        "initialize" => Say::empty(404),
        _ => seen.refusal(404, -32601),
    });
    rig.restarts(Millis(0));
    assert!(rig.call(read()).is_ok());
    rig.restarts(Millis(0));
    let _ = rig.call(read());
    assert_eq!(
        rig.host.methods()[0],
        "resources/read",
        "stateless, without discovery"
    );
}

#[test]
fn damaged_verdicts_and_those_of_other_endpoints_are_none() {
    let mut rig = Rig::new(modern(answers));
    rig.call(read()).unwrap();
    rig.restarts(Millis(0));
    rig.upstream.url = Some("https://a.example/other".to_owned());
    rig.call(read()).unwrap();
    assert_eq!(rig.host.methods()[0], "server/discover");
    for record in [
        "",
        "{",
        "{}",
        "\u{0}",
        r#"{"era":"modern"}"#,
        r#"{"era":"new","since":0}"#,
        r#"{"era":1,"since":0}"#,
    ] {
        let mut rig = Rig::new(modern(answers));
        let key = crate::flow::era::key(&rig.upstream);
        assert!(
            key.len() <= 128 && key.bytes().all(|byte| byte.is_ascii_graphic()),
            "{key}"
        );
        assert!(!key.contains("a.example"));
        rig.start_flow(move |mut io| {
            Box::pin(async move {
                io.keep(key, Some(record.into()));
                crate::exec::End::Trip(Err(crate::trouble::Trouble::timeout().into_error(false)))
            })
        });
        rig.run();
        rig.call(read()).unwrap();
        assert_eq!(
            rig.host.methods(),
            ["server/discover", "resources/read"],
            "{record}"
        );
    }
}

#[test]
fn a_vault_that_does_not_answer_holds_nothing_up_for_long() {
    let mut rig = Rig::new(modern(answers));
    rig.executor = Executor::new(Host {
        vault: true,
        ..Host::default()
    });
    for times in [1, 2] {
        rig.call(read()).unwrap();
        assert_eq!((rig.host.seen.len(), rig.now), (1 + times, Millis(TIMEOUT.0 / 4)));
    }
}

#[test]
fn a_pinned_revision_is_spoken_and_no_other() {
    let mut rig = Rig::new(|seen: &Seen| {
        assert_ne!(seen.method, "server/discover");
        seen.result(json!({}))
    });
    rig.pin("2026-07-28");
    result_of(rig.call(write()));
    assert_eq!(
        result_of(rig.call(discover()))["supportedVersions"],
        json!(["2026-07-28"])
    );
    assert_eq!(rig.host.methods(), ["tools/call"]);
    assert!(rig.link.is_modern());

    let mut rig = Rig::new(legacy(answers));
    rig.pin("2025-06-18");
    result_of(rig.call(write()));
    assert_eq!(
        result_of(rig.call(discover()))["supportedVersions"],
        json!(["2025-06-18"])
    );
    assert_eq!(
        rig.host.methods(),
        ["initialize", "notifications/initialized", "tools/call"]
    );
    assert_eq!(rig.host.seen[0].params["protocolVersion"], "2025-06-18");
    assert!(!rig.link.is_modern());
    // The authority of this rig answers 2025-06-18 whatever it is asked for.
    let mut rig = Rig::new(legacy(answers));
    rig.pin("2025-11-25");
    assert_eq!(rig.code(read()), Code::AuthorityInvalid);
    assert_eq!(rig.host.methods(), ["initialize"]);
}

#[test]
fn a_pinned_authority_that_refuses_its_revision_is_asked_once() {
    let refuses = |seen: &Seen| {
        let data = json!({"supported": ["2025-03-26"], "requested": "?"});
        seen.error(400, json!({"code": -32022, "message": "no", "data": data}))
    };
    for (version, method) in [("2026-07-28", "tools/call"), ("2025-11-25", "initialize")] {
        let mut rig = Rig::new(refuses);
        rig.pin(version);
        let _ = rig.call(write());
        assert_eq!(rig.host.methods(), [method]);
    }
}

/// 2025-11-25, Lifecycle, Error Handling; 2026-07-28 has a code of its own for it.
#[test]
fn a_session_is_opened_in_a_version_that_a_refusal_names() {
    for (code, status) in [(-32602, 200), (-32602, 400), (-32022, 400)] {
        let mut serve = legacy(answers);
        let mut rig = Rig::new(move |seen: &Seen| match &*seen.method {
            "initialize" if seen.params["protocolVersion"] != "2025-03-26" => {
                let data = json!({"supported": ["2024-11-05", "2025-03-26"], "requested": "2025-11-25"});
                seen.error(
                    status,
                    json!({"code": code, "message": "unsupported", "data": data}),
                )
            }
            _ => serve(seen),
        });
        result_of(rig.call(write()));
        assert_eq!(
            rig.host.methods(),
            [
                "server/discover",
                "initialize",
                "initialize",
                "notifications/initialized",
                "tools/call"
            ]
        );
        // Whoever refuses that too is asked no more.
        let mut rig = Rig::new(move |seen: &Seen| {
            let data = json!({"supported": ["2025-03-26"]});
            seen.error(status, json!({"code": code, "message": "no", "data": data}))
        });
        let _ = rig.call(read());
        let opened = rig
            .host
            .methods()
            .iter()
            .filter(|method| **method == "initialize")
            .count();
        assert!(opened <= 2, "{opened}");
    }
}
