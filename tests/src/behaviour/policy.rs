//! The operator's rules.

use serde_json::json;

use super::{GET, cases};
use crate::run::Run;
use crate::target::{Host, Setup, Who};
use crate::wire::{MODERN, Message};
use leeward::Code;

cases! {
    fn deny_refuses_here(host) {
        let setup = Setup::tools(&[("put_*", "deny"), ("*", "cache;max-age=60")]).rule(
            "resource",
            "crm://tickets/2",
            "deny",
        );
        let mut run = Run::open(host, setup);
        run.ask(&Message::call("put_ticket", "{}"))
            .fails(Code::DeniedByPolicy);
        run.ask(&Message::read("crm://tickets/2"))
            .fails(Code::DeniedByPolicy);
        assert!(run.authority().log().is_empty());
        run.goes_on();
    }

    fn the_first_matching_rule_wins(host) {
        let rules = [
            ("get_user", "live"),
            ("get_*", "cache;max-age=60"),
            ("*", "through"),
        ];
        let mut run = Run::open(host, Setup::tools(&rules));
        for _ in 0..2 {
            run.miss(&Message::call("get_user", "{}"));
        }
        run.miss(&Message::call("get_ticket", "{}"));
        run.hit(&Message::call("get_ticket", "{}"));
        run.miss(&Message::call("do_it", "{}"));
        run.miss(&Message::call("get_ticket", "{}"));
    }

    fn a_policy_with_a_typo_does_not_start(host) {
        for (rules, field) in [
            (
                json!([{"tool": "a", "rule": "cache;max_age=60"}]),
                "policy[0].rule",
            ),
            (
                json!([{"tool": "a", "rule": "cahce;max-age=60"}]),
                "policy[0].rule",
            ),
            (
                json!([{"tool": "a", "rule": "live"}, {"tool": "b", "rule": "cache"}]),
                "policy[1].rule",
            ),
            (
                json!([{"tool": "a", "rule": "cache;max-age=ten"}]),
                "policy[0].rule",
            ),
            (json!([{"tool": "a", "rule": "queue"}]), "policy[0].rule"),
            (
                json!([{"tool": "a*", "rule": "live"}, {"tool": "ab", "rule": "deny"}]),
                "policy[1].tool",
            ),
            (json!([{"tool": 1, "rule": "live"}]), "policy[0].tool"),
            (json!([{"rule": "live"}]), "policy[0]"),
            (
                json!([{"tool": "a", "resource": "b:c", "rule": "live"}]),
                "policy[0]",
            ),
            (json!([{"tool": "a", "rul": "live"}]), "policy[0]"),
            (json!({}), "policy"),
        ] {
            refused(host, Setup::new().set("policy", rules), field);
        }
    }

    fn a_configuration_with_a_mistake_does_not_start(host) {
        refused(host, Setup::new().set("polcy", json!([])), "polcy");
        refused(
            host,
            Setup::new().set("limits", json!({"maxFlights": 0})),
            "limits.maxFlights",
        );
        refused(
            host,
            Setup::new().set("limits", json!({"maxFlight": 5})),
            "limits.maxFlight",
        );
        refused(
            host,
            Setup::new().set("limits", json!({"maxFlights": "5"})),
            "limits.maxFlights",
        );
        refused(host, Setup::new().set("anonymous", json!("allow")), "anonymous");
        refused(
            host,
            Setup::new().alone().set("authority", json!("ftp://x/")),
            "authority",
        );
        refused(
            host,
            Setup::new().alone().set("authority", json!({"token": "x"})),
            "authority",
        );
    }

    fn anonymous_callers_are_refused_by_default(host) {
        let mut run = Run::open(host, Setup::tools(GET));
        let nobody = run.target.connect(&Who::Anonymous, MODERN);
        for message in [
            Message::call("get_ticket", "{}"),
            Message::bare("server/discover"),
        ] {
            run.ask_from(nobody, &message).fails(Code::Unauthenticated);
        }
        assert!(run.authority().log().is_empty());
        run.goes_on();
    }

    /// An anonymous caller stores nothing but what the authority or a rule calls public.
    fn anonymous_callers_store_only_what_is_public(host) {
        let setup = Setup::tools(&[
            ("get_user", "cache;max-age=60;public"),
            ("get_ticket", "cache;max-age=60"),
        ])
        .set("anonymous", json!("public-only"))
        .authority(crate::authority::Authority::modern().hinting(60_000, "public"));
        let mut run = Run::open(host, setup);
        let nobody = run.target.connect(&Who::Anonymous, MODERN);
        run.miss_from(nobody, &Message::call("get_user", "{}"));
        run.hit_from(nobody, &Message::call("get_user", "{}"));
        run.miss_from(nobody, &Message::bare("tools/list"));
        run.hit_from(nobody, &Message::bare("tools/list"));
        for _ in 0..2 {
            assert!(
                !run.miss_from(nobody, &Message::call("get_ticket", "{}"))
                    .cache()
                    .stored
            );
        }
        run.authority()
            .change(|authority| authority.hint = (60_000, "private"));
        for _ in 0..2 {
            run.miss_from(nobody, &Message::bare("resources/list"));
        }
    }
}

fn refused(host: &mut dyn Host, setup: Setup, field: &str) {
    let text = setup.config_text("http://a.test/");
    match host.open(setup) {
        Ok(_) => panic!("it took {text}"),
        Err(error) => {
            assert!(error.contains(field), "no {field} in {error}");
            assert!(error.contains("config_invalid"), "{error}");
        }
    }
}
