//! When the authority is slow or gone: the agent goes on within the bounds that its operator set.

use serde_json::Value;

use super::{GET, cases};
use crate::authority::{Plan, Turn, error};
use crate::run::Run;
use crate::target::Setup;
use crate::wire::Message;
use leeward::Code;

const LONG: &[(&str, &str)] = &[("get_*", "cache;max-age=60;stale-if-error=600")];

cases! {
    fn without_the_authority_fresh_answers_go_on(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let call = Message::call("get_ticket", "{}");
        run.miss(&call);
        run.target.authority_goes_down();
        run.hit(&call);
        run.ask(&Message::call("get_ticket", r#"{"other":1}"#))
            .fails(Code::AuthorityUnreachable);
        run.hit(&call);
        run.target.authority_comes_up();
        run.goes_on();
    }

    fn an_authority_that_is_down_from_the_start_is_found_when_it_comes(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.target.authority_goes_down();
        for message in [
            Message::call("get_ticket", "{}"),
            Message::bare("tools/list"),
            Message::bare("server/discover"),
        ] {
            run.ask(&message).fails(Code::AuthorityUnreachable);
        }
        run.target.authority_comes_up();
        run.goes_on();
    }

    fn stale_if_error_serves_when_the_authority_is_unreachable(host) needs(Clock) {
        let mut run = Run::open(host, Setup::tools(LONG));
        let call = Message::call("get_ticket", "{}");
        let first = run.miss(&call);
        run.target.advance(100_000);
        run.target.authority_goes_down();
        let stale = run.ask(&call);
        assert_eq!(stale.text(), first.text());
        let status = stale.cache();
        assert!(
            status.hit && status.ttl.is_some_and(|ttl| (-45..=-40).contains(&ttl)),
            "{status:?}"
        );
        assert_eq!(status.detail.as_deref(), Some("offline"));
        run.target.authority_comes_up();
        assert_ne!(run.miss(&call).text(), first.text());
        run.hit(&call);
    }

    fn stale_if_error_serves_on_outages_of_every_kind(host) needs(Clock) {
        let outages: [(Turn, u32, &str); 8] = [
            (Box::new(|_| Plan::empty(500)), 1, "offline"),
            (
                Box::new(|_| Plan::body(503, "text/html", "<h1>busy")),
                1,
                "offline",
            ),
            (Box::new(|_| Plan::Close), 1, "offline"),
            (Box::new(|seen| Plan::result(&seen.id, "{}").cut(3)), 2, "offline"),
            (
                Box::new(|_| Plan::empty(429).header("retry-after", "7")),
                1,
                "rate-limited",
            ),
            (Box::new(|_| Plan::empty(408)), 1, "offline"),
            // Of a captive portal.
            (
                Box::new(|_| Plan::body(200, "text/html", "<h1>log in")),
                1,
                "offline",
            ),
            (
                Box::new(|_| Plan::empty(302).header("location", "https://portal.example/")),
                1,
                "offline",
            ),
        ];
        for (outage, times, detail) in outages {
            let mut run = Run::open(host, Setup::tools(LONG));
            let call = Message::call("get_ticket", "{}");
            let first = run.miss(&call);
            run.target.advance(61_000);
            run.authority().times(Some(times), "tools/call", None, outage);
            let stale = run.ask(&call);
            assert_eq!(stale.text(), first.text());
            assert_eq!(stale.cache().detail.as_deref(), Some(detail));
            assert_ne!(run.miss(&call).text(), first.text());
        }
    }

    fn stale_if_error_serves_on_a_timeout(host) needs(Clock) {
        let mut run = Run::open(host, Setup::tools(LONG));
        let call = Message::call("get_ticket", "{}");
        let first = run.miss(&call);
        run.target.advance(61_000);
        run.authority()
            .once("tools/call", None, Box::new(|_| Plan::Silence));
        let pending = run.start(&call);
        run.authority().wait_for("tools/call", 2);
        run.target.advance(60_000);
        let stale = run.finish(pending);
        assert_eq!(stale.text(), first.text());
        assert_eq!(stale.cache().detail.as_deref(), Some("timeout"));
    }

    /// An authoritative word is final: never stale after it, and not later either.
    fn stale_if_error_does_not_serve_after_an_authoritative_word(host) needs(Clock) {
        let words: [Turn; 5] = [
            error(200, -32602, "no", Value::Null),
            error(200, -32603, "no", Value::Null),
            error(404, -32601, "no", Value::Null),
            Box::new(|_| Plan::empty(401)),
            Box::new(|_| Plan::empty(403)),
        ];
        for word in words {
            let mut run = Run::open(host, Setup::tools(LONG));
            let call = Message::call("get_ticket", "{}");
            run.miss(&call);
            run.target.advance(61_000);
            run.authority().once("tools/call", None, word);
            run.ask(&call).error();
            run.target.authority_goes_down();
            run.ask(&call).fails(Code::AuthorityUnreachable);
            run.target.authority_comes_up();
            run.miss(&call).result();
        }
    }

    fn stale_if_error_does_not_serve_when_the_authoritys_answer_is_not_sound(host) needs(Clock) {
        let mut run = Run::open(host, Setup::tools(LONG));
        let call = Message::call("get_ticket", "{}");
        run.miss(&call);
        run.target.advance(61_000);
        run.authority().once(
            "tools/call",
            None,
            Box::new(|seen| Plan::result(&seen.id, "[]")),
        );
        run.ask(&call).fails(Code::AuthorityInvalid);
    }

    fn past_stale_if_error_the_outage_shows(host) needs(Clock) {
        let mut run = Run::open(host, Setup::tools(LONG));
        let call = Message::call("get_ticket", "{}");
        run.miss(&call);
        run.target.authority_goes_down();
        run.target.advance(600_000);
        run.ask(&call).result();
        run.target.advance(60_000);
        run.ask(&call).fails(Code::AuthorityUnreachable);
    }

    /// After so many outages in a row nothing is sent, and nothing waits: what is stored serves, writes have no effect.
    fn an_authority_that_is_down_is_left_alone(host) needs(Clock) {
        let mut run = Run::open(host, Setup::tools(LONG));
        let call = Message::call("get_ticket", "{}");
        let first = run.miss(&call);
        run.target.advance(61_000);
        run.authority()
            .always("tools/call", None, Box::new(|_| Plan::body(503, "text/html", "busy")));
        for n in 0..5 {
            run.miss(&Message::call("get_ticket", &format!(r#"{{"n":{n}}}"#)))
                .fails(Code::AuthorityUnreachable);
        }
        let seen = run.trips("tools/call");
        let stale = run.ask(&call);
        assert_eq!(stale.text(), first.text());
        assert_eq!(stale.cache().detail.as_deref(), Some("offline"));
        for refused in ["get_user", "put_ticket"] {
            let answer = run.ask(&Message::call(refused, "{}"));
            answer.fails(Code::AuthorityUnreachable);
            let after = answer.error()["data"]["retryAfterMs"].as_u64();
            assert!(after.is_some_and(|after| after <= 1000), "{answer:?}");
        }
        assert_eq!(run.trips("tools/call"), seen);
        run.authority().plain();
        run.target.advance(1001);
        run.miss(&Message::call("put_ticket", "{}")).result();
        run.goes_on();
    }

    fn retry_after_is_passed_on(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().once(
            "tools/call",
            None,
            Box::new(|_| Plan::empty(429).header("retry-after", "7")),
        );
        let answer = run.ask(&Message::call("get_ticket", "{}"));
        answer.fails(Code::RateLimited);
        assert_eq!(answer.error()["data"]["retryAfterMs"], 7000);
        run.goes_on();
    }
}
