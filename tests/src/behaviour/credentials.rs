//! What the authority is shown: a static token, or what the host gives for each principal.

use serde_json::json;

use super::{GET, cases};
use crate::authority::{Authority, Plan};
use crate::run::Run;
use crate::target::{Given, Setup};
use crate::wire::Message;
use leeward::Code;

cases! {
    fn a_static_token_goes_with_every_request(host) {
        let setup = Setup::tools(GET).set("authority", json!({"token": "s3cret"}));
        let mut run = Run::open(host, setup);
        run.goes_on();
        run.miss(&Message::bare("tools/list"));
        for seen in run.authority().log() {
            assert_eq!(
                seen.header("authorization"),
                Some("Bearer s3cret"),
                "{}",
                seen.rpc
            );
        }
    }

    fn without_a_token_nothing_is_shown(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        assert!(
            run.authority()
                .log()
                .iter()
                .all(|seen| seen.header("authorization").is_none())
        );
    }

    fn each_principals_own_credential_is_shown(host) needs(Credentials) {
        let mut run = Run::open(host, Setup::tools(GET).with_credentials());
        give(&mut run, "ann", "t-ann", Some("grant-ann"));
        give(&mut run, "ben", "t-ben", Some("grant-ben"));
        let ben = run.connect("ben");
        run.miss(&Message::call("get_ticket", "{}"));
        assert_eq!(
            run.authority().last("tools/call").header("authorization"),
            Some("Bearer t-ann")
        );
        run.miss_from(ben, &Message::call("get_ticket", "{}"));
        assert_eq!(
            run.authority().last("tools/call").header("authorization"),
            Some("Bearer t-ben")
        );
        let cyd = run.connect("cyd");
        run.miss_from(cyd, &Message::call("get_ticket", "{}"));
        assert_eq!(
            run.authority().last("tools/call").header("authorization"),
            None,
            "none was given"
        );
    }

    /// A token refreshed within its grant keeps its entries; any other change starts empty.
    fn another_grant_starts_empty_and_a_refreshed_token_does_not(host) needs(Credentials) {
        let mut run = Run::open(host, Setup::tools(GET).with_credentials());
        let (call, other) = (Message::call("get_ticket", "{}"), Message::call("get_user", "{}"));
        give(&mut run, "ann", "t1", Some("grant"));
        run.miss(&call);
        give(&mut run, "ann", "t2", Some("grant"));
        run.miss(&other);
        assert_eq!(
            run.authority().last("tools/call").header("authorization"),
            Some("Bearer t2")
        );
        run.hit(&call);
        give(&mut run, "ann", "t3", Some("another grant"));
        run.miss(&Message::call("get_user", r#"{"n":1}"#));
        run.miss(&call);
        run.miss(&other);
        run.hit(&call);
    }

    /// Without an identity the token itself is it.
    fn a_token_without_a_grant_is_its_own_identity(host) needs(Credentials) {
        let mut run = Run::open(host, Setup::tools(GET).with_credentials());
        let call = Message::call("get_ticket", "{}");
        give(&mut run, "ann", "t1", None);
        run.miss(&call);
        run.miss(&Message::call("get_user", "{}"));
        run.hit(&call);
        give(&mut run, "ann", "t2", None);
        run.miss(&Message::call("get_user", r#"{"n":1}"#));
        run.miss(&call);
    }

    fn a_session_belongs_to_the_credential_that_opened_it(host) needs(Credentials) {
        let mut run = Run::open(
            host,
            Setup::tools(GET)
                .with_credentials()
                .authority(Authority::legacy("2025-11-25")),
        );
        give(&mut run, "ann", "t1", Some("one"));
        run.miss(&Message::call("get_ticket", "{}"));
        give(&mut run, "ann", "t2", Some("two"));
        run.miss(&Message::call("get_user", "{}"));
        let seen = run.authority().last("tools/call");
        assert_eq!(
            (seen.header("mcp-session-id"), seen.header("authorization")),
            (Some("session-2"), Some("Bearer t2"))
        );
    }

    fn a_hook_that_fails_is_told_without_its_words(host) needs(Credentials) {
        let mut run = Run::open(host, Setup::tools(GET).with_credentials());
        run.target.credential("ann", Err("SECRET vault is sealed"));
        let answer = run.ask(&Message::call("put_ticket", "{}"));
        answer.fails(Code::AuthorityAuthRequired);
        assert!(!answer.response.to_string().contains("SECRET"));
        give(&mut run, "ann", "no\theader value", None);
        run.ask(&Message::call("put_ticket", "{}"))
            .fails(Code::AuthorityAuthRequired);
        assert!(run.authority().log().is_empty());
        give(&mut run, "ann", "t1", None);
        run.goes_on();
    }

    /// 2026-07-28, Authorization: refused credentials end what was kept by them when another comes.
    fn a_refused_credential_serves_nothing_stale(host) needs(Clock) {
        let mut run = Run::open(
            host,
            Setup::tools(&[("get_*", "cache;max-age=60;stale-if-error=600")]),
        );
        run.miss(&Message::call("get_ticket", "{}"));
        run.target.advance(61_000);
        run.authority()
            .once("tools/call", None, Box::new(|_| Plan::empty(401)));
        run.ask(&Message::call("get_ticket", "{}"))
            .fails(Code::AuthorityAuthRequired);
    }
}

fn give(run: &mut Run<'_>, principal: &str, token: &'static str, identity: Option<&'static str>) {
    run.target
        .credential(principal, Ok(Some(Given { token, identity })));
}
