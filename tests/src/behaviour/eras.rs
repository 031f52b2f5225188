//! Authorities of two eras, and how a replica finds out which one it has.

use serde_json::{Value, json};

use super::{GET, cases};
use crate::authority::{Authority, Plan, error, result};
use crate::run::Run;
use crate::target::{Setup, Who};
use crate::wire::{LEGACY, Message, OLDER};
use leeward::Code;

cases! {
    fn a_session_era_authority_is_served_like_any_other(host) {
        for version in [LEGACY, OLDER] {
            let mut run = Run::open(host, Setup::tools(GET).authority(Authority::legacy(version)));
            let call = Message::call("get_ticket", r#"{"id":7}"#);
            let first = run.miss(&call);
            assert_eq!(first.result()["resultType"], "complete");
            assert_eq!(run.hit(&call).text(), first.text());
            assert_eq!(run.calls("get_ticket"), 1);
            let seen = run.authority().last("tools/call");
            assert_eq!(seen.header("mcp-session-id"), Some("session-1"));
            assert_eq!(seen.header("mcp-protocol-version"), Some(version));
            assert!(seen.header("mcp-method").is_none() && seen.header("mcp-name").is_none());
            run.miss(&Message::call("get_ticket", "{}"));
            run.miss(&Message::call("put_ticket", "{}"));
            run.miss(&Message::bare("tools/list"));
            assert_eq!(
                (run.trips("initialize"), run.trips("notifications/initialized")),
                (1, 1),
                "one session"
            );
            assert_eq!(run.trips("server/discover"), 1, "one probe");
        }
    }

    /// Legacy results carry no hints.
    fn lists_of_a_session_era_authority_are_not_kept(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).authority(Authority::legacy(LEGACY).hinting(60_000, "public")),
        );
        for message in [Message::bare("tools/list"), Message::read("crm://tickets/1")] {
            for _ in 0..2 {
                let answer = run.miss(&message);
                assert_eq!(
                    (&answer.result()["ttlMs"], &answer.result()["cacheScope"]),
                    (&json!(0), &json!("private"))
                );
            }
        }
    }

    fn discovery_is_made_from_the_handshake(host) {
        let mut run = Run::open(host, Setup::new().authority(Authority::legacy(LEGACY)));
        for _ in 0..2 {
            let answer = run.ask(&Message::bare("server/discover"));
            let result = answer.result();
            assert_eq!(
                result["capabilities"],
                json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}, "prompts": {}, "completions": {}})
            );
            assert_eq!(result["instructions"], "ask");
            assert_eq!(
                result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
                "scripted"
            );
        }
        assert_eq!(run.trips("initialize"), 1);
    }

    fn session_era_agents_meet_a_session_era_authority(host) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::legacy(LEGACY)));
        let from = run.target.connect(&Who::Principal("ann"), OLDER);
        let hello = format!(
            r#""protocolVersion":"{OLDER}","capabilities":{{"sampling":{{}}}},"clientInfo":{{"name":"a","version":"1"}}"#
        );
        let answer = run.ask_from(from, &Message::new("initialize", &hello));
        assert_eq!(answer.result()["protocolVersion"], OLDER);
        run.miss_from(from, &Message::call("get_ticket", "{}"));
        run.hit_from(from, &Message::call("get_ticket", "{}"));
    }

    fn each_principal_has_a_session_of_its_own(host) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::legacy(LEGACY)));
        let ben = run.connect("ben");
        run.miss(&Message::call("get_ticket", "{}"));
        run.miss_from(ben, &Message::call("get_ticket", "{}"));
        let log = run.authority().log();
        let sessions: Vec<_> = log
            .iter()
            .filter(|seen| seen.rpc == "tools/call")
            .map(|seen| seen.header("mcp-session-id"))
            .collect();
        assert_eq!(sessions, [Some("session-1"), Some("session-2")]);
        assert_eq!(run.trips("server/discover"), 1, "one verdict for all");
    }

    /// Refused before any effect: re-made, and the call repeated, be it a write.
    fn a_dropped_session_is_made_again(host) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::legacy(LEGACY)));
        run.goes_on();
        for tool in ["get_ticket", "put_ticket"] {
            run.authority().change(|authority| {
                if let Some(sessions) = &mut authority.sessions {
                    sessions.alive.clear();
                }
            });
            run.ask(&Message::call(tool, "{}")).result();
            let log = run.authority().log();
            let calls: Vec<_> = log
                .iter()
                .filter(|seen| seen.name.as_deref() == Some(tool))
                .collect();
            assert_eq!(calls.len(), 2);
            assert_ne!(
                calls[0].header("mcp-session-id"),
                calls[1].header("mcp-session-id")
            );
            assert_ne!(calls[0].id, calls[1].id);
        }
        assert_eq!(run.trips("initialize"), 3);
        run.goes_on();
    }

    /// There the end of a connection is no cancellation. A write that was sent goes on.
    fn a_session_hears_of_what_is_given_up(host) needs(InProcess, Together, Cancel) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::legacy(LEGACY)));
        run.goes_on();
        for (tool, nth) in [("put_ticket", 2), ("get_ticket", 3)] {
            run.authority().hold_tool(tool);
            let pending = run.start(&Message::call(tool, "{}"));
            run.authority().wait_for("tools/call", nth);
            run.target.cancel(pending);
            run.target.settle();
            run.authority().release();
        }
        run.authority().wait_for("notifications/cancelled", 1);
        let call = run.authority().last("tools/call");
        let told = run.authority().last("notifications/cancelled");
        assert_eq!(call.name.as_deref(), Some("get_ticket"));
        assert_eq!(told.params["requestId"], call.id);
        assert_eq!(told.header("mcp-session-id"), call.header("mcp-session-id"));
        run.goes_on();
        assert_eq!(run.trips("notifications/cancelled"), 1);
    }

    fn an_authority_that_drops_every_session_does_not_loop(host) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::legacy(LEGACY)));
        run.goes_on();
        run.authority()
            .always("tools/call", Some("get_ticket"), Box::new(|_| Plan::empty(404)));
        run.ask(&Message::call("get_ticket", "{}"))
            .fails(Code::AuthorityInvalid);
        assert_eq!(run.calls("get_ticket"), 2);
        run.goes_on();
    }

    fn an_authority_without_discovery_is_modern_if_it_knows_no_handshake(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.authority().always(
            "server/discover",
            None,
            error(404, -32601, "method not found", Value::Null),
        );
        run.goes_on();
        assert_eq!(
            run.authority().last("tools/call").header("mcp-method"),
            Some("tools/call")
        );
    }

    /// No verdict from an outage, and a write is never sent to find out.
    fn an_outage_is_no_verdict(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        for plan in [
            Plan::empty(503),
            Plan::Close,
            Plan::body(500, "text/html", "<h1>"),
        ] {
            run.authority()
                .once("server/discover", None, crate::authority::plan(plan));
            run.ask(&Message::call("put_ticket", "{}"))
                .fails(Code::AuthorityUnreachable);
        }
        assert_eq!((run.trips("tools/call"), run.trips("initialize")), (0, 0));
        run.goes_on();
        assert_eq!(run.trips("initialize"), 0);
    }

    fn an_authority_without_a_common_version_is_told(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let data = json!({"supported": ["2099-01-01"], "requested": "2026-07-28"});
        run.authority()
            .once("server/discover", None, error(400, -32022, "no", data));
        run.ask(&Message::call("get_ticket", "{}"))
            .fails(Code::AuthorityInvalid);
        run.authority()
            .once("server/discover", None, error(400, -32000, "no", Value::Null));
        run.authority().once("initialize", None, result(r#"{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"x","version":"1"}}"#));
        run.ask(&Message::call("get_ticket", "{}"))
            .fails(Code::AuthorityInvalid);
        run.goes_on();
    }

    /// An authority that was replaced by one of the other era is found out.
    fn an_authority_that_changes_its_era_is_followed(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority()
            .change(|authority| authority.sessions = Authority::legacy(LEGACY).sessions);
        // What the request meets may be told once; the next one is served.
        run.ask(&Message::call("get_ticket", r#"{"n":1}"#));
        run.miss(&Message::call("get_ticket", r#"{"n":2}"#)).result();
        assert!(
            run.authority()
                .last("tools/call")
                .header("mcp-session-id")
                .is_some()
        );
    }

    fn a_legacy_verdict_is_looked_at_again_after_a_day(host) needs(Clock) {
        let mut run = Run::open(host, Setup::tools(GET).authority(Authority::legacy(LEGACY)));
        run.goes_on();
        run.authority().change(|authority| authority.sessions = None);
        run.target.advance(24 * 60 * 60 * 1000);
        run.miss(&Message::call("get_ticket", "{}")).result();
        assert_eq!(
            run.authority().last("tools/call").header("mcp-method"),
            Some("tools/call")
        );
    }
}
