//! Freshness: how long an answer is good for, by whose word.

use super::{GET, cases};
use crate::authority::{Authority, End, Plan, Turn, result};
use crate::run::Run;
use crate::target::Setup;
use crate::wire::Message;
use leeward::Code;

const DAY: u64 = 24 * 60 * 60 * 1000;

cases! {
    /// TTLs are jittered downward only, by at most a sixteenth.
    fn a_rule_is_fresh_to_fifteen_sixteenths_and_stale_at_its_age(host) needs(Clock) {
        for name in ["a", "b", "c", "d"] {
            let mut run = Run::open(host, Setup::tools(GET));
            let call = Message::call("get_ticket", &format!(r#"{{"name":"{name}"}}"#));
            run.miss(&call);
            run.target.advance(60_000 * 15 / 16 - 1);
            run.hit(&call);
            run.target.advance(60_000 / 16 + 1);
            let again = run.miss(&call);
            assert!(
                matches!(again.cache().fwd.as_deref(), Some("stale" | "uri-miss")),
                "{again:?}"
            );
            run.hit(&call);
        }
    }

    fn hints_are_followed_and_the_rest_is_emitted(host) needs(Clock) {
        let mut run = Run::open(
            host,
            Setup::new().authority(Authority::modern().hinting(30_000, "private")),
        );
        for message in [Message::bare("tools/list"), Message::read("crm://tickets/1")] {
            let first = ttl_of(&run.miss(&message));
            assert!((30_000 * 15 / 16..=30_000).contains(&first), "{first}");
            run.target.advance(10_000);
            let second = run.hit(&message);
            assert_eq!(
                ttl_of(&second),
                first - 10_000,
                "what is left, to the millisecond"
            );
            assert_eq!(
                second.cache().ttl,
                Some(i64::try_from((first - 10_000) / 1000).unwrap_or(0))
            );
            run.target.advance(20_000);
            run.miss(&message);
        }
    }

    fn no_hint_lasts_longer_than_a_day(host) needs(Clock) {
        let mut run = Run::open(
            host,
            Setup::new().authority(Authority::modern().hinting(400 * DAY, "private")),
        );
        let read = Message::read("crm://tickets/1");
        assert!(ttl_of(&run.miss(&read)) <= DAY);
        run.target.advance(DAY * 15 / 16 - 1);
        run.hit(&read);
        run.target.advance(DAY / 16 + 1);
        run.miss(&read);
    }

    fn an_emitted_ttl_is_never_above_the_authoritys_word(host) {
        let mut run = Run::open(
            host,
            Setup::new().authority(Authority::modern().hinting(5, "private")),
        );
        assert!(ttl_of(&run.ask(&Message::bare("tools/list"))) <= 5);
    }

    /// Hints are untrusted input.
    fn ttls_that_lie_count_as_none(host) {
        let mut run = Run::open(host, Setup::new());
        for ttl in [
            "-1",
            "-9223372036854775809",
            "1.5",
            "1e9",
            "\"60000\"",
            "true",
            "null",
            "[]",
            "99999999999999999999999999",
        ] {
            run.authority().once("tools/list", None, listing(ttl));
            run.authority().once("tools/list", None, listing(ttl));
            for _ in 0..2 {
                assert_eq!(ttl_of(&run.miss(&Message::bare("tools/list"))), 0, "{ttl}");
            }
        }
    }

    fn a_huge_ttl_is_capped_at_a_day(host) {
        let mut run = Run::open(host, Setup::new());
        run.authority()
            .once("tools/list", None, listing("18446744073709551615"));
        assert!((1..=DAY).contains(&ttl_of(&run.miss(&Message::bare("tools/list")))));
        assert!((1..=DAY).contains(&ttl_of(&run.hit(&Message::bare("tools/list")))));
    }

    fn a_rule_overrides_the_hint_both_ways(host) needs(Clock) {
        let setup = Setup::new()
            .rule("resource", "crm://tickets/1", "cache;max-age=10")
            .rule("resource", "crm://tickets/2", "live")
            .authority(Authority::modern().hinting(60_000, "private"));
        let mut run = Run::open(host, setup);
        run.miss(&Message::read("crm://tickets/1"));
        run.target.advance(9000);
        run.hit(&Message::read("crm://tickets/1"));
        run.target.advance(1000);
        run.miss(&Message::read("crm://tickets/1"));
        for _ in 0..2 {
            let answer = run.miss(&Message::read("crm://tickets/2"));
            assert_eq!(
                ttl_of(&answer),
                60_000,
                "an answer that is not kept says what the authority says"
            );
        }
    }

    fn max_age_zero_stores_nothing(host) {
        let mut run = Run::open(host, Setup::tools(&[("get_*", "cache;max-age=0")]));
        for _ in 0..2 {
            let answer = run.miss(&Message::call("get_ticket", "{}"));
            assert!(!answer.cache().stored);
        }
    }

    /// Served stale at once, and fetched again behind it, once.
    fn stale_while_revalidate_serves_and_refreshes(host) needs(Clock) {
        let mut run = Run::open(
            host,
            Setup::tools(&[("get_*", "cache;max-age=60;stale-while-revalidate=30")]),
        );
        let call = Message::call("get_ticket", "{}");
        let first = run.miss(&call);
        run.target.advance(61_000);
        run.authority().hold();
        for _ in 0..3 {
            let stale = run.ask(&call);
            assert_eq!(stale.text(), first.text());
            let status = stale.cache();
            assert!(
                status.hit && status.ttl.is_some_and(|ttl| (-5..0).contains(&ttl)),
                "{status:?}"
            );
        }
        run.authority().wait_for("tools/call", 2);
        run.target.settle();
        assert_eq!(run.calls("get_ticket"), 2, "one refresh");
        run.authority().release();
        run.target.settle();
        let fresh = run.hit(&call);
        assert_ne!(fresh.text(), first.text());
    }

    fn past_stale_while_revalidate_the_call_waits(host) needs(Clock) {
        let mut run = Run::open(
            host,
            Setup::tools(&[("get_*", "cache;max-age=60;stale-while-revalidate=30")]),
        );
        let call = Message::call("get_ticket", "{}");
        let first = run.miss(&call);
        run.target.advance(90_000);
        assert_ne!(run.miss(&call).text(), first.text());
    }

    fn a_failed_refresh_behind_a_stale_answer_is_tried_again(host) needs(Clock) {
        let mut run = Run::open(
            host,
            Setup::tools(&[("get_*", "cache;max-age=60;stale-while-revalidate=30")]),
        );
        let call = Message::call("get_ticket", "{}");
        let first = run.miss(&call);
        run.target.advance(61_000);
        run.target.authority_goes_down();
        assert_eq!(run.ask(&call).text(), first.text());
        run.target.settle();
        run.target.authority_comes_up();
        assert_eq!(
            run.ask(&call).text(),
            first.text(),
            "still stale, and refreshed behind it"
        );
        run.authority().wait_for("tools/call", 2);
        run.target.settle();
        assert_ne!(run.hit(&call).text(), first.text());
    }

    /// An answer is as old as its arrival, not as its question.
    fn age_counts_from_the_answer(host) needs(Clock, Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().hold();
        let call = Message::call("get_ticket", "{}");
        let pending = run.start(&call);
        run.authority().wait_for("tools/call", 2);
        run.target.advance(50_000);
        run.authority().release();
        run.finish(pending).result();
        run.target.advance(50_000);
        run.hit(&call);
    }

    /// A hard end of every wait, whoever's clock it is.
    fn a_silent_authority_does_not_stop_the_replica(host) {
        let mut run = Run::open(host, Setup::tools(GET).limit("requestTimeoutMs", 500));
        run.goes_on();
        run.authority()
            .once("tools/call", Some("get_ticket"), Box::new(|_| Plan::Silence));
        run.authority()
            .once("tools/call", Some("put_ticket"), Box::new(|_| Plan::Silence));
        for (n, (tool, code)) in [
            ("get_ticket", Code::AuthorityTimeout),
            ("put_ticket", Code::UnknownOutcome),
        ]
        .into_iter()
        .enumerate()
        {
            let pending = run.start(&Message::call(tool, "{}"));
            run.authority().wait_for("tools/call", 2 + n);
            let answer = run.target.outlast(pending, 500);
            crate::run::Answer::new(answer).fails(code);
        }
        run.miss(&Message::call("get_ticket", "{}")).result();
    }

    /// A hard end of every wait.
    fn an_authority_that_never_answers_is_a_timeout(host) needs(Clock) {
        let silences: [Turn; 3] = [
            Box::new(|_| Plan::Silence),
            Box::new(|_| Plan::body(200, "application/json", "{\"jsonrpc\":").ending(End::Never)),
            Box::new(|_| Plan::events(["".into()]).ending(End::Never)),
        ];
        for silence in silences {
            let mut run = Run::open(host, Setup::tools(GET).limit("requestTimeoutMs", 10_000));
            run.goes_on();
            run.authority().once("tools/call", Some("get_ticket"), silence);
            let pending = run.start(&Message::call("get_ticket", "{}"));
            run.authority().wait_for("tools/call", 2);
            run.target.advance(9_999);
            assert!(!run.target.is_answered(pending));
            run.target.advance(1);
            run.finish(pending).fails(Code::AuthorityTimeout);
            run.goes_on();
        }
    }
}

fn ttl_of(answer: &crate::run::Answer) -> u64 {
    answer.result()["ttlMs"]
        .as_u64()
        .unwrap_or_else(|| panic!("no ttlMs: {answer:?}"))
}

fn listing(ttl: &str) -> Turn {
    result(format!(
        r#"{{"resultType":"complete","tools":[],"ttlMs":{ttl},"cacheScope":"private"}}"#
    ))
}
