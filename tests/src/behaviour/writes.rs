//! Writes: sent once, and what they may have touched is stale for their principal.

use serde_json::Value;

use super::{GET, cases};
use crate::authority::{End, Plan, error, result, text};
use crate::run::Run;
use crate::target::Setup;
use crate::wire::Message;
use leeward::Code;

cases! {
    /// Contract 3.
    fn a_write_makes_its_principals_entries_stale(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).rule("resource", "crm://*", "cache;max-age=60"),
        );
        let ben = run.connect("ben");
        let (call, read) = (
            Message::call("get_ticket", "{}"),
            Message::read("crm://tickets/1"),
        );
        for message in [&call, &read] {
            run.miss(message);
            run.miss_from(ben, message);
        }
        run.miss(&Message::call("put_ticket", "{}")).result();
        for message in [&call, &read] {
            let again = run.miss(message);
            assert_eq!(again.cache().fwd.as_deref(), Some("stale"));
            run.hit(message);
            run.hit_from(ben, message);
        }
    }

    fn a_tool_nobody_vouches_for_is_a_write(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        for _ in 0..2 {
            run.miss(&Message::call("get_ticket", "{}"));
            let write = run.miss(&Message::call("do_it", "{}"));
            assert_eq!(write.cache().fwd.as_deref(), Some("bypass"));
        }
        assert_eq!(run.calls("do_it"), 2);
    }

    fn a_through_rule_on_a_resource_is_a_write(host) {
        let mut run = Run::open(
            host,
            Setup::tools(GET).rule("resource", "crm://tickets/2", "through"),
        );
        run.miss(&Message::call("get_ticket", "{}"));
        run.miss(&Message::read("crm://tickets/2"));
        run.miss(&Message::call("get_ticket", "{}"));
    }

    fn a_failed_write_makes_stale_too(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.authority().once(
            "tools/call",
            Some("put_ticket"),
            result(r#"{"resultType":"complete","content":[],"isError":true}"#),
        );
        run.authority().once(
            "tools/call",
            Some("put_ticket"),
            error(200, -32602, "bad", Value::Null),
        );
        run.authority()
            .once("tools/call", Some("put_ticket"), Box::new(|_| Plan::empty(401)));
        run.authority()
            .once("tools/call", Some("put_ticket"), result(r#"{"content":1}"#));
        for _ in 0..4 {
            run.miss(&Message::call("get_ticket", "{}"));
            run.hit(&Message::call("get_ticket", "{}"));
            run.ask(&Message::call("put_ticket", "{}"));
        }
        run.miss(&Message::call("get_ticket", "{}"));
    }

    fn a_write_that_never_left_says_so(host) needs(Unsent) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.target.authority_goes_down();
        run.ask(&Message::call("put_ticket", "{}"))
            .fails(Code::AuthorityUnreachable);
        run.target.authority_comes_up();
        assert_eq!(run.calls("put_ticket"), 0);
        run.goes_on();
    }

    /// Contract 4: one attempt, and an outcome nobody knows is never guessed.
    fn a_write_whose_answer_is_lost_is_unknown_and_sent_once(host) {
        let endings: [crate::authority::Turn; 5] = [
            Box::new(|_| Plan::Close),
            Box::new(|seen| Plan::result(&seen.id, r#"{"resultType":"complete","content":[]}"#).cut(5)),
            Box::new(|_| Plan::events([String::new()]).ending(End::Cut)),
            Box::new(|_| Plan::body(200, "text/html", "<html>")),
            Box::new(|_| Plan::empty(502)),
        ];
        for ending in endings {
            let mut run = Run::open(host, Setup::tools(GET));
            run.goes_on();
            run.authority().once("tools/call", Some("put_ticket"), ending);
            run.ask(&Message::call("put_ticket", "{}"))
                .fails(Code::UnknownOutcome);
            assert_eq!(run.calls("put_ticket"), 1);
        }
    }

    fn a_read_whose_answer_breaks_off_is_asked_again_once(host) {
        let mut run = Run::open(
            host,
            Setup::tools(&[("get_*", "cache;max-age=60"), ("do_it", "live")]),
        );
        run.goes_on();
        let cut = || -> crate::authority::Turn {
            Box::new(|seen| Plan::result(&seen.id, r#"{"resultType":"complete","content":[]}"#).cut(5))
        };
        for tool in ["get_ticket", "do_it"] {
            run.authority().once("tools/call", Some(tool), cut());
            run.ask(&Message::call(tool, r#"{"n":1}"#)).result();
            assert_eq!(run.calls(tool), 2);
            let log: Vec<_> = run
                .authority()
                .log()
                .into_iter()
                .filter(|seen| seen.name.as_deref() == Some(tool))
                .collect();
            assert_ne!(log[0].id, log[1].id, "a new id");
            run.authority().times(Some(2), "tools/call", Some(tool), cut());
            run.ask(&Message::call(tool, r#"{"n":2}"#))
                .fails(Code::AuthorityUnreachable);
            assert_eq!(run.calls(tool), 4, "no third time");
        }
        run.authority().once("resources/read", None, cut());
        run.ask(&Message::read("crm://tickets/1")).result();
        run.authority().once("tools/list", None, cut());
        run.ask(&Message::bare("tools/list")).result();
        assert_eq!((run.trips("resources/read"), run.trips("tools/list")), (2, 2));
    }

    /// Contract 3: while a write's outcome is unknown, nothing that it may have touched is stored.
    fn after_an_unknown_outcome_nothing_is_stored_for_a_minute(host) needs(Clock) {
        let mut run = Run::open(host, Setup::tools(GET));
        let ben = run.connect("ben");
        let call = Message::call("get_ticket", "{}");
        run.miss(&call);
        run.miss_from(ben, &call);
        run.authority()
            .once("tools/call", Some("put_ticket"), Box::new(|_| Plan::Close));
        run.ask(&Message::call("put_ticket", "{}"))
            .fails(Code::UnknownOutcome);
        for _ in 0..2 {
            assert!(!run.miss(&call).cache().stored);
        }
        run.hit_from(ben, &call);
        run.target.advance(59_999);
        assert!(!run.miss(&call).cache().stored);
        run.target.advance(1);
        assert!(run.miss(&call).cache().stored);
        run.hit(&call);
    }

    /// Contract 2: an answer that was under way when something was written is not stored.
    fn a_read_under_way_during_a_write_is_not_stored(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        let call = Message::call("get_ticket", "{}");
        run.authority()
            .once("tools/call", Some("get_ticket"), text("before"));
        run.authority().hold_tool("get_ticket");
        let read = run.start(&call);
        run.authority().wait_for("tools/call", 2);
        run.ask(&Message::call("put_ticket", "{}").id("2")).result();
        run.authority().release();
        let before = run.finish(read);
        assert_eq!(before.text(), "before");
        assert!(!before.cache().stored, "{before:?}");
        assert_ne!(run.miss(&call).text(), "before");
        run.hit(&call);
    }

    /// Contract 3: a shared entry older than a principal's own write misses for that principal only.
    fn a_write_hides_shared_entries_from_its_principal_only(host) {
        let mut run = Run::open(host, Setup::tools(&[("get_*", "cache;max-age=60;public")]));
        let ben = run.connect("ben");
        let call = Message::call("get_ticket", "{}");
        run.miss(&call);
        run.hit_from(ben, &call);
        run.miss(&Message::call("put_ticket", "{}"));
        run.hit_from(ben, &call);
        let fresh = run.miss(&call);
        assert_eq!(run.hit(&call).text(), fresh.text());
        assert_eq!(
            run.hit_from(ben, &call).text(),
            fresh.text(),
            "the newer one is for all"
        );
    }

    /// Contract 3: not served stale until refetched.
    fn after_a_write_nothing_stale_is_served(host) {
        let rule = [(
            "get_*",
            "cache;max-age=60;stale-while-revalidate=600;stale-if-error=600",
        )];
        let mut run = Run::open(host, Setup::tools(&rule));
        let call = Message::call("get_ticket", "{}");
        run.miss(&call);
        run.miss(&Message::call("put_ticket", "{}"));
        run.target.authority_goes_down();
        run.ask(&call).fails(Code::AuthorityUnreachable);
        run.target.authority_comes_up();
        run.miss(&call);
    }

    fn writes_travel_one_by_one_with_their_own_answers(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().hold();
        let call = Message::call("put_ticket", "{}");
        let pending: Vec<_> = (0..3)
            .map(|n| run.start(&call.clone().id(&n.to_string())))
            .collect();
        run.authority().wait_for("tools/call", 4);
        run.authority().release();
        let mut texts: Vec<_> = pending
            .into_iter()
            .map(|pending| run.finish(pending).text().to_owned())
            .collect();
        texts.sort();
        assert_eq!(
            texts,
            ["put_ticket #1 {}", "put_ticket #2 {}", "put_ticket #3 {}"]
        );
    }

    fn a_live_call_touches_nothing(host) {
        let mut run = Run::open(
            host,
            Setup::tools(&[("get_*", "cache;max-age=60"), ("do_it", "live")]),
        );
        let call = Message::call("get_ticket", "{}");
        run.miss(&call);
        for _ in 0..2 {
            let live = run.miss(&Message::call("do_it", "{}"));
            assert_eq!(live.cache().fwd.as_deref(), Some("bypass"));
            run.hit(&call);
        }
        run.miss(&Message::new("prompts/get", r#""name":"review""#));
        run.hit(&call);
    }
}
