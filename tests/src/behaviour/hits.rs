//! The main job: the first call travels, the next are answered here.

use serde_json::json;

use super::{GET, cases};
use crate::authority::{Authority, stream};
use crate::run::Run;
use crate::target::{Setup, Who};
use crate::wire::{LEGACY, MODERN, Message, OLDER};

cases! {
    /// Contract 1, and the promise of the whole.
    fn the_first_call_travels_and_the_second_is_a_hit(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let call = Message::call("get_ticket", r#"{"id":7}"#);
        let first = run.miss(&call);
        assert_eq!(first.cache().fwd.as_deref(), Some("uri-miss"));
        assert!(first.cache().stored);
        let second = run.hit(&call);
        assert_eq!(second.text(), first.text());
        assert_eq!(run.calls("get_ticket"), 1);
        run.miss(&Message::call("get_ticket", r#"{"id":8}"#));
        run.hit(&call);
    }

    /// RFC 9211, to the letter.
    fn provenance_is_spelled_as_cache_status(host) {
        let mut run = Run::open(
            host,
            Setup::tools(&[("get_*", "cache;max-age=1600"), ("do_it", "live")]),
        );
        let call = Message::call("get_ticket", "{}");
        let spelled = |run: &mut Run<'_>, message: &Message| {
            // Jitter takes up to a sixteenth of the time.
            let text = run.ask(message).cache_text().to_owned();
            match text.split_once("ttl=") {
                Some((before, ttl)) => {
                    assert!(
                        ttl.parse().is_ok_and(|ttl: u64| (1499..=1600).contains(&ttl)),
                        "{text}"
                    );
                    before.to_owned()
                }
                None => text,
            }
        };
        assert_eq!(spelled(&mut run, &call), "leeward;fwd=uri-miss;stored;");
        assert_eq!(spelled(&mut run, &call), "leeward;hit;");
        assert_eq!(
            spelled(&mut run, &Message::call("do_it", "{}")),
            "leeward;fwd=bypass"
        );
        assert_eq!(
            spelled(&mut run, &Message::call("put_ticket", "{}")),
            "leeward;fwd=bypass"
        );
        assert_eq!(spelled(&mut run, &call), "leeward;fwd=stale;stored;");
        assert_eq!(
            spelled(&mut run, &Message::bare("tools/list")),
            "leeward;fwd=uri-miss"
        );
    }

    fn a_hit_differs_from_the_first_answer_in_nothing_but_id_ttl_and_provenance(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).authority(Authority::modern().hinting(60_000, "private")),
        );
        for message in [
            Message::call("get_ticket", "{}"),
            Message::read("crm://tickets/1"),
            Message::bare("tools/list"),
        ] {
            let strip = |mut response: serde_json::Value| {
                response["id"] = json!(0);
                response["result"]["ttlMs"] = json!(0);
                response["result"]["_meta"]["dev.leeward/cache"] = json!("");
                response
            };
            let first = run.ask(&message);
            let second = run.hit(&message.id("2"));
            assert_eq!(strip(first.response.clone()), strip(second.response.clone()));
            assert_eq!((first.id(), second.id()), ("1".into(), "2".into()));
        }
    }

    fn lists_and_reads_are_hits_by_the_authoritys_hint(host) {
        let mut run = Run::open(
            host,
            Setup::new().authority(Authority::modern().hinting(60_000, "private")),
        );
        for message in [
            Message::bare("tools/list"),
            Message::bare("resources/list"),
            Message::bare("resources/templates/list"),
            Message::bare("prompts/list"),
            Message::read("crm://tickets/1"),
            Message::bare("server/discover"),
        ] {
            run.ask(&message).result();
            let hit = run.hit(&message);
            let ttl = hit.result()["ttlMs"].as_u64().expect("a hint");
            assert!((1..=60_000).contains(&ttl), "{ttl}");
            assert_eq!(hit.result()["cacheScope"], "private");
            assert_eq!(hit.result()["resultType"], "complete");
        }
    }

    fn without_a_hint_lists_and_reads_travel(host) {
        let mut run = Run::open(host, Setup::new());
        for message in [Message::bare("tools/list"), Message::read("crm://tickets/1")] {
            assert_eq!(run.miss(&message).result()["ttlMs"], 0);
            let again = run.miss(&message);
            assert!(!again.cache().stored, "{again:?}");
        }
    }

    fn a_rule_caches_resources_without_a_hint(host) {
        let mut run = Run::open(
            host,
            Setup::new().rule("resource", "crm://tickets/{id}", "cache;max-age=60"),
        );
        let read = Message::read("crm://tickets/1");
        assert_eq!(run.miss(&read).text(), "crm://tickets/1 #1");
        assert_eq!(run.hit(&read).text(), "crm://tickets/1 #1");
        run.miss(&Message::read("crm://tickets/2"));
    }

    fn agents_of_2025_11_25_get_hits_too(host) {
        legacy_agent(&mut Run::open(host, Setup::tools(GET)), LEGACY);
    }

    fn agents_of_2025_06_18_get_hits_too(host) {
        legacy_agent(&mut Run::open(host, Setup::tools(GET)), OLDER);
    }

    fn an_unknown_version_is_answered_with_the_newest(host) {
        let mut run = Run::open(host, Setup::new());
        let from = run.target.connect(&Who::Principal("ann"), LEGACY);
        let answer = run.ask_from(from, &initialize("2024-10-07"));
        assert_eq!(answer.result()["protocolVersion"], LEGACY);
    }

    fn discovery_names_the_authority_and_what_is_carried(host) {
        let mut run = Run::open(host, Setup::new());
        let answer = run.ask(&Message::bare("server/discover"));
        let result = answer.result();
        assert_eq!(result["supportedVersions"], json!([MODERN, LEGACY, OLDER]));
        assert_eq!(
            result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
            "scripted"
        );
        assert_eq!(result["instructions"], "ask");
        let expected = json!({
            "tools": {"listChanged": true}, "resources": {"subscribe": true}, "prompts": {}, "completions": {},
            "extensions": {"io.modelcontextprotocol/tasks": {}}
        });
        assert_eq!(result["capabilities"], expected);
    }

    fn the_probe_that_finds_the_era_is_the_discovery_itself(host) {
        let mut run = Run::open(host, Setup::new());
        run.ask(&Message::bare("server/discover")).result();
        assert_eq!(run.authority().log().len(), 1);
    }

    /// Each caller's id comes back as the token it was.
    fn ids_come_back_as_they_were(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        for (at, id) in ["0", "7", r#""a""#, r#""""#, "-1", r#""7""#, r#""é\"\\\n""#]
            .into_iter()
            .enumerate()
        {
            let call = Message::call("get_ticket", "{}").id(id);
            let answer = if at == 0 { run.miss(&call) } else { run.hit(&call) };
            assert_eq!(answer.id(), id);
            assert_eq!(
                run.ask(&Message::call("put_ticket", "{}").id(id)).id(),
                id,
                "a trip"
            );
            assert_eq!(run.ask(&Message::bare("no/method").id(id)).id(), id, "a refusal");
            run.ask(&Message::call("get_ticket", "{}"));
        }
    }

    fn ids_beyond_a_double_come_back_as_they_were(host) needs(Bytes) {
        let mut run = Run::open(host, Setup::tools(GET));
        for id in ["9007199254740993", "18446744073709551616", r#""\u0061\/""#] {
            let answer = run.ask(&Message::call("get_ticket", "{}").id(id));
            let text = String::from_utf8_lossy(&answer.bytes).into_owned();
            assert!(text.contains(&format!(r#""id":{id}"#)), "{text}");
        }
    }

    fn progress_comes_with_the_callers_own_token(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.authority().always("tools/call", Some("do_it"), stream(
            &[
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":1,"total":2}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"another's","progress":2}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":2,"total":2}}"#,
            ],
            r#"{"resultType":"complete","content":[]}"#,
        ));
        for token in [r#""mine""#, "42"] {
            let answer = run.ask(&Message::call("do_it", "{}").progress(token));
            answer.result();
            let tokens: Vec<_> = answer
                .notifications
                .iter()
                .map(|note| note["params"]["progressToken"].to_string())
                .collect();
            assert_eq!(tokens, [token, token]);
            assert_eq!(answer.notifications[0]["params"]["total"], 2);
        }
        assert!(
            run.ask(&Message::call("do_it", "{}")).notifications.is_empty(),
            "who asked for none gets none"
        );
    }

    fn log_messages_come_to_those_who_asked_for_that_level(host) {
        let mut run = Run::open(host, Setup::new());
        run.authority().always("tools/call", Some("do_it"), stream(
            &[
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":1}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":2}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            ],
            r#"{"resultType":"complete","content":[]}"#,
        ));
        let level = r#""io.modelcontextprotocol/logLevel":"info""#;
        let answer = run.ask(&Message::call("do_it", "{}").meta(level));
        assert_eq!(answer.notifications.len(), 1);
        assert_eq!(answer.notifications[0]["params"]["data"], 2);
        assert!(run.ask(&Message::call("do_it", "{}")).notifications.is_empty());
    }

    fn a_hit_brings_no_progress(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.authority().always("tools/call", Some("get_user"), stream(
            &[r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":1}}"#],
            r#"{"resultType":"complete","content":[]}"#,
        ));
        let call = Message::call("get_user", "{}").progress("1");
        assert_eq!(run.miss(&call).notifications.len(), 1);
        assert!(run.hit(&call.progress("2")).notifications.is_empty());
    }

    /// A prompt or a completion is a read that nobody stores.
    fn prompts_and_completions_travel_every_time(host) {
        let mut run = Run::open(
            host,
            Setup::new().authority(Authority::modern().hinting(60_000, "public")),
        );
        let prompt = Message::new("prompts/get", r#""name":"review""#);
        let complete = Message::new(
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"a","value":"b"}"#,
        );
        for message in [prompt, complete] {
            for _ in 0..2 {
                let answer = run.miss(&message);
                assert_eq!(answer.cache().fwd.as_deref(), Some("bypass"));
            }
        }
    }

    fn notifications_are_accepted_without_a_word(host) {
        let mut run = Run::open(host, Setup::new());
        for method in [
            "notifications/initialized",
            "notifications/roots/list_changed",
            "notifications/anything",
        ] {
            let answer = run.ask(&Message::bare(method).notification());
            assert!(answer.response.is_null(), "{answer:?}");
            assert!(answer.status.is_none_or(|status| status == 202));
        }
        assert!(run.authority().log().is_empty());
    }
}

fn initialize(version: &str) -> Message {
    Message::new(
        "initialize",
        &format!(
            r#""protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"agent","version":"1"}}"#
        ),
    )
}

fn legacy_agent(run: &mut Run<'_>, version: &'static str) {
    let from = run.target.connect(&Who::Principal("ann"), version);
    let answer = run.ask_from(from, &initialize(version));
    let result = answer.result();
    assert_eq!(result["protocolVersion"], version);
    assert_eq!(result["serverInfo"]["name"], "scripted");
    // Whether it hears of changes depends on whether the host keeps sessions.
    let tools = &result["capabilities"]["tools"];
    assert!(
        [json!({}), json!({"listChanged": true})].contains(tools),
        "{tools}"
    );
    for modern in ["resultType", "ttlMs", "cacheScope", "supportedVersions"] {
        assert!(result.get(modern).is_none(), "{modern} in {result}");
    }
    let accepted = run.ask_from(from, &Message::bare("notifications/initialized").notification());
    assert!(accepted.response.is_null());
    assert_eq!(
        run.ask_from(from, &Message::bare("ping").id("3")).result(),
        &json!({})
    );
    let call = Message::call("get_ticket", r#"{"id":7}"#);
    let first = run.miss_from(from, &call);
    let second = run.hit_from(from, &call.id(r#""b""#));
    assert_eq!(first.text(), second.text());
    assert!(second.result().get("resultType").is_none());
    let list = run.miss_from(from, &Message::bare("tools/list"));
    assert_eq!(list.result()["tools"].as_array().map(Vec::len), Some(4));
    run.miss_from(from, &Message::read("crm://tickets/1"));
}
