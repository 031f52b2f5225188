//! What an authorization server, or the network on the way to it, can do to a replica that has nobody to ask for help:
//! after each fault the log says what was sent, and to whom (docs/FAILURES.md).

use leeward::border::Callback;
use leeward_tests::authority::{End, Plan};
use leeward_tests::oauth::{AUTHORITY, Effect, FOREIGN, ISSUER, METADATA, REGISTER, RESOURCE, TOKEN, World};
use serde_json::{Value, json};

/// A replica whose user has consented.
fn signed_in() -> World {
    let mut world = World::new(json!({}));
    assert_eq!(world.outcome("get_one"), "ok");
    assert_eq!(
        (world.logins, world.server.grants()),
        (1, vec!["authorization_code".to_owned()])
    );
    world
}

/// Past the life of tokens and of what is kept.
const LATER: u64 = 2 * 60 * 60 * 1000;

fn html(_: Plan) -> Plan {
    Plan::body(200, "text/html", "<h1>Log in to the network</h1>")
}

fn elsewhere(_: Plan) -> Plan {
    Plan::empty(307).header("location", &format!("{FOREIGN}/token"))
}

/// More than anybody should read.
fn endless(_: Plan) -> Plan {
    Plan::body(200, "application/json", "[0,".repeat(1 << 20)).in_pieces(16 << 10)
}

/// What can happen to one answer: a name, whether it reaches who is asked, and what comes back.
type Mishap = (&'static str, Effect, fn(Plan) -> Plan);

const MISHAPS: [Mishap; 10] = [
    ("no connection", Effect::None, |_| Plan::Close),
    ("an answer that is lost", Effect::Had, |_| Plan::Close),
    ("no answer", Effect::Had, |_| Plan::Silence),
    ("an answer that breaks off", Effect::Had, |plan| plan.cut(5)),
    ("an answer that stalls", Effect::Had, |plan| {
        plan.cut(5).ending(End::Never)
    }),
    ("status 500", Effect::None, |_| Plan::empty(500)),
    ("status 503", Effect::None, |_| {
        Plan::empty(503).header("retry-after", "7")
    }),
    ("HTML", Effect::None, html),
    ("a redirect", Effect::None, elsewhere),
    ("an answer without end", Effect::None, endless),
];

#[test]
fn a_token_that_the_authority_does_not_take_any_more_is_renewed_and_a_write_done_once() {
    let mut world = signed_in();
    world.server.rotate_keys();
    assert_eq!(world.outcome("put_one"), "ok");
    assert_eq!(world.server.calls("put_one"), 2, "refused, then taken");
    assert_eq!(world.server.executed, ["get_one", "put_one"]);
    assert_eq!(world.server.grants(), ["authorization_code", "refresh_token"]);
    assert_eq!(world.logins, 1, "nobody is asked");
}

#[test]
fn an_authority_that_takes_no_token_is_not_asked_for_ever() {
    let mut world = signed_in();
    world.server.fault(AUTHORITY, u32::MAX, Effect::None, |_| {
        Plan::empty(401).header("www-authenticate", "Bearer error=\"invalid_token\"")
    });
    for _ in 0..20 {
        assert!(world.outcome("put_one").starts_with("authority_auth_required"));
    }
    assert_eq!(world.server.executed, ["get_one"]);
    assert!(world.server.calls("put_one") <= 40, "each call twice at most");
    assert!(
        world.logins <= 2,
        "the user is not asked again and again: {}",
        world.logins
    );
    assert!(world.server.count(TOKEN) <= 24, "{:?}", world.server.grants());
}

/// After a refusal nothing that was fetched before is served, also when the authority cannot be asked any more.
#[test]
fn what_a_revoked_grant_kept_is_not_served() {
    let mut world = signed_in();
    world.server.rotate_keys();
    world.server.refresh.clear();
    world.user = Box::new(|_, _| Err("the user is away".into()));
    world.advance(61_000);
    assert!(world.outcome("get_one").starts_with("authority_auth_required"));
    assert_eq!(world.logins, 2);
    world
        .server
        .fault(AUTHORITY, u32::MAX, Effect::None, |_| Plan::Close);
    assert_ne!(world.outcome("get_one"), "ok");
    assert_eq!(world.server.executed, ["get_one"]);
}

#[test]
fn a_revoked_refresh_token_asks_the_user_once() {
    let mut world = signed_in();
    world.server.rotate_keys();
    world.server.refresh.clear();
    // Who has just consented is not asked the same again.
    assert_eq!(world.outcome("put_one"), "authority_auth_required: refused");
    assert_eq!(world.logins, 1);
    world.advance(61_000);
    assert_eq!(world.outcome("put_one"), "ok");
    assert_eq!(world.logins, 2);
    assert_eq!(
        world.server.grants(),
        ["authorization_code", "refresh_token", "authorization_code"]
    );
    assert_eq!(world.server.executed, ["get_one", "put_one"]);
}

/// An outage of the issuer costs the requests that need it, and no consent, as docs/FAILURES.md has it: a mishap, the
/// request's error, and who has to do something later.
#[test]
fn a_renewal_that_fails_for_now_loses_no_grant() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/FAILURES.md");
    let text = std::fs::read_to_string(path).expect("the document");
    for (name, effect, turn) in MISHAPS {
        let mut world = signed_in();
        world.server.rotate_keys();
        world.server.fault(TOKEN, 1, effect, turn);
        let first = world.outcome("put_one");
        world.server.mend();
        world.advance(LATER);
        assert_eq!(world.outcome("put_two"), "ok", "{name}: after {first}");
        assert!(world.server.times("put_one") <= 1, "{name}");
        let code = first.split(':').next().unwrap_or_default();
        let later = match world.logins {
            1 => "renewed",
            2 => "the user is asked",
            _ => "the user is asked again and again",
        };
        let row = format!("| {name} | `{code}` | {later} |");
        assert!(text.lines().any(|line| line == row), "{row}");
        // A server that rotates refresh tokens has used up the one it had, and the next one never came.
        assert_eq!(world.logins, 1 + usize::from(effect == Effect::Had), "{name}");
    }
}

/// A token that is over by our clock and cannot be renewed for now is an outage like another, wherever it is: until the
/// authority has refused, what is kept serves.
#[test]
fn an_outage_of_the_issuer_before_any_refusal_costs_nothing_that_is_kept() {
    for url in [RESOURCE, METADATA, TOKEN] {
        for (name, effect, turn) in MISHAPS {
            let mut world = World::new(json!({}));
            world.server.expires_in = json!(120);
            assert_eq!(world.outcome("get_one"), "ok");
            world.advance(200_000);
            world.server.fault(url, u32::MAX, effect, turn);
            // The last failure stands for a while in the end.
            for _ in 0..5 {
                assert_eq!(world.outcome("get_one"), "ok", "{name} at {url}");
            }
            for _ in 0..2 {
                let write = world.outcome("put_one");
                let outage = ["authority_unreachable", "authority_timeout"];
                assert!(
                    outage.iter().any(|code| write.starts_with(code)),
                    "{name} at {url}: {write}"
                );
            }
            assert_eq!(world.server.executed, ["get_one"], "{name} at {url}");
            assert_eq!(
                world.server.calls("put_one"),
                0,
                "{name} at {url}: nothing goes without a token"
            );
            world.server.mend();
            world.advance(LATER);
            assert_eq!(world.outcome("put_two"), "ok", "{name} at {url}");
            let lost = url == TOKEN && effect == Effect::Had;
            assert_eq!(world.logins, 1 + usize::from(lost), "{name} at {url}");
        }
    }
}

/// The same after the authority has refused.
#[test]
fn an_outage_of_the_issuer_after_a_refusal_serves_nothing_that_is_kept() {
    for (name, effect, turn) in MISHAPS {
        let mut world = World::new(json!({}));
        world.server.expires_in = json!(120);
        assert_eq!(world.outcome("get_one"), "ok");
        world.advance(61_000);
        world.server.rotate_keys();
        world.server.fault(TOKEN, u32::MAX, effect, turn);
        for _ in 0..2 {
            let refused = world.outcome("get_one");
            assert!(
                refused.starts_with("authority_auth_required"),
                "{name}: {refused}"
            );
        }
        // Over by our clock, too, so the authority is not even asked.
        world.advance(200_000);
        assert_ne!(world.outcome("get_one"), "ok", "{name}");
        assert_eq!(world.server.executed, ["get_one"], "{name}");
    }
}

/// A first grant that fails for now is had later.
#[test]
fn whatever_fails_on_the_way_to_a_grant_fails_no_later_request() {
    for url in [RESOURCE, METADATA, REGISTER, TOKEN] {
        for (name, effect, turn) in MISHAPS {
            let mut world = World::new(json!({}));
            world.server.fault(url, u32::MAX, effect, turn);
            let first = world.outcome("put_one");
            assert_ne!(first, "unknown_outcome", "{name} at {url}");
            // The older revision goes without a document at the resource (2025-03-26, Authorization).
            assert!(
                first.starts_with("authority_") || url == RESOURCE,
                "{name} at {url}: {first}"
            );
            world.server.mend();
            world.advance(LATER);
            assert_eq!(world.outcome("put_two"), "ok", "{name} at {url}: after {first}");
            assert!(world.server.times("put_one") <= 1, "{name} at {url}");
        }
    }
}

#[test]
fn documents_of_others_are_not_believed() {
    let metadata = |name: &str, value: Value| {
        let mut world = World::new(json!({}));
        world.server.metadata[name] = value;
        world
    };
    let resource = |name: &str, value: Value| {
        let mut world = World::new(json!({}));
        world.server.resource[name] = value;
        world
    };
    let table: [(World, &str); 10] = [
        (metadata("issuer", json!(FOREIGN)), "issuer_mismatch"),
        (
            metadata("issuer", json!("https://as.example/")),
            "issuer_mismatch",
        ),
        (metadata("issuer", Value::Null), "issuer_mismatch"),
        (
            resource("resource", json!("https://other.example/mcp")),
            "resource_mismatch",
        ),
        (
            resource("resource", json!("https://crm.example/mcp/other")),
            "resource_mismatch",
        ),
        (
            metadata("token_endpoint", json!("http://as.example/token")),
            "invalid_metadata",
        ),
        (
            metadata("authorization_endpoint", json!("javascript:alert(1)")),
            "invalid_metadata",
        ),
        (
            metadata(
                "registration_endpoint",
                json!("https://user:word@as.example/register"),
            ),
            "invalid_metadata",
        ),
        (
            metadata("code_challenge_methods_supported", json!(["plain"])),
            "pkce_unsupported",
        ),
        (
            resource("authorization_servers", json!(["ftp://as.example"])),
            "invalid_metadata",
        ),
    ];
    for (mut world, reason) in table {
        assert_eq!(
            world.outcome("put_one"),
            format!("authority_auth_required: {reason}")
        );
        assert_eq!(world.logins, 0, "{reason}");
        let told: Vec<_> = world
            .server
            .log
            .iter()
            .filter(|(method, url, _)| *method == "POST" && url != AUTHORITY)
            .collect();
        assert!(told.is_empty(), "{reason}: {told:?}");
    }
}

/// What one issuer gave is never shown to another.
#[test]
fn an_authority_that_comes_to_trust_another_issuer_costs_a_new_consent() {
    let mut world = signed_in();
    world.server.resource["authorization_servers"] = json!([FOREIGN]);
    world.server.rotate_keys();
    world.advance(61_000);
    assert_eq!(
        world.outcome("get_one"),
        "authority_auth_required: invalid_metadata"
    );
    assert_eq!(world.server.grants(), ["authorization_code"]);
    let told = |(method, url, _): &&(&str, String, String)| *method == "POST" && url.starts_with(FOREIGN);
    assert_eq!(world.server.log.iter().find(told), None);
    // Back with whom it trusted before.
    world.server.resource["authorization_servers"] = json!([ISSUER]);
    world.advance(LATER);
    assert_eq!(world.outcome("put_one"), "ok");
}

#[test]
fn a_registration_that_is_refused_is_told() {
    let refusals: [fn() -> Plan; 4] = [
        || Plan::empty(403),
        || {
            Plan::body(
                400,
                "application/json",
                r#"{"error":"invalid_client_metadata","error_description":"no"}"#,
            )
        },
        || Plan::body(201, "application/json", r#"{"client_id":""}"#),
        || Plan::body(201, "application/json", "{"),
    ];
    for refusal in refusals {
        let mut world = World::new(json!({}));
        world
            .server
            .fault(REGISTER, u32::MAX, Effect::None, move |_| refusal());
        assert_eq!(
            world.outcome("put_one"),
            "authority_auth_required: registration_failed"
        );
        assert_eq!((world.logins, world.server.count(TOKEN)), (0, 0));
    }
}

#[test]
fn a_redirect_that_is_not_the_one_awaited_redeems_nothing() {
    type Row = (fn(&str) -> String, &'static str);
    let queries: [Row; 9] = [
        (|query| query.replace("state=", "state=x"), "state_mismatch"),
        (|_| "code=secret-code-1".into(), "state_mismatch"),
        (
            |query| query.replace("as.example", "evil.example"),
            "issuer_mismatch",
        ),
        (|query| query.replace("&iss=", "&is="), "issuer_mismatch"),
        (
            |query| query.replace("code=", "error=access_denied&no="),
            "access_denied",
        ),
        (|query| query.replace("code=", "no="), "no_code"),
        (|query| format!("{query}&state=x"), "state_mismatch"),
        (|_| String::new(), "state_mismatch"),
        (|_| "%".repeat(100_000), "state_mismatch"),
    ];
    for (query, reason) in queries {
        let mut world = World::new(json!({}));
        world.user = Box::new(move |_, honest| Ok(Callback::Query(query(&honest))));
        let outcome = world.outcome("put_one");
        assert!(
            outcome.starts_with("authority_auth_required: "),
            "{reason}: {outcome}"
        );
        assert_eq!(world.server.count(TOKEN), 0, "{reason}: {outcome}");
        assert_eq!(world.server.executed, [""; 0]);
    }
}

/// Whatever lifetimes say, a token is used until it is refused or due, and nothing loops.
#[test]
fn lifetimes_that_cannot_be_are_survived() {
    for expires_in in [
        json!(0),
        json!(-1),
        json!(1),
        json!(1e300),
        json!(u64::MAX),
        json!("3600"),
        json!("soon"),
        Value::Null,
    ] {
        let mut world = World::new(json!({}));
        world.server.expires_in = expires_in.clone();
        for tool in ["put_one", "put_two", "put_three"] {
            assert_eq!(world.outcome(tool), "ok", "{expires_in}");
        }
        assert_eq!(
            world.server.executed,
            ["put_one", "put_two", "put_three"],
            "{expires_in}"
        );
        assert_eq!(world.logins, 1, "{expires_in}");
        assert!(
            world.server.count(TOKEN) <= 6,
            "{expires_in}: {:?}",
            world.server.grants()
        );
    }
}

/// The server's clock is not ours: what it takes counts.
#[test]
fn a_token_that_ends_before_its_time_is_renewed_and_one_that_outlives_it_is_not_missed() {
    let mut world = signed_in();
    world.advance(600_000);
    world.server.rotate_keys();
    assert_eq!(world.outcome("put_one"), "ok");
    // Due by our clock, good by theirs.
    world.advance(LATER);
    assert_eq!(world.outcome("put_two"), "ok");
    assert_eq!(world.server.executed, ["get_one", "put_one", "put_two"]);
    assert_eq!(world.logins, 1);
}

/// Between two lives the wall clock may be set: a year on, or back.
#[test]
fn a_vault_outlives_a_clock_that_is_set() {
    for year in [365 * 24 * 60 * 60 * 1000_i64, -(365 * 24 * 60 * 60 * 1000)] {
        let mut world = signed_in();
        world.now.unix.0 = world.now.unix.0.saturating_add_signed(year);
        world.restart();
        assert_eq!(world.outcome("put_one"), "ok");
        assert_eq!(world.logins, 1, "{year}");
        assert_eq!(world.server.executed, ["get_one", "put_one"]);
    }
}

/// Every byte of every record, changed: the worst is to be asked again.
#[test]
fn a_damaged_vault_costs_a_consent_at_most() {
    let mut world = signed_in();
    let vault = world.vault.clone();
    assert!(!vault.is_empty());
    for (key, record) in &vault {
        for at in 0..record.len() {
            world.vault.clone_from(&vault);
            world.vault.get_mut(key).expect("it is there")[at] ^= 0x41;
            world.restart();
            assert_eq!(world.outcome("put_one"), "ok", "{key}, byte {at}");
        }
        world.vault.clone_from(&vault);
        world
            .vault
            .get_mut(key)
            .expect("it is there")
            .truncate(record.len() / 2);
        world.restart();
        assert_eq!(world.outcome("put_one"), "ok", "{key}, cut");
    }
}

#[test]
fn a_principal_never_gets_what_was_granted_to_another() {
    let mut world = signed_in();
    let other = world.call_as("ben", "get_one");
    assert!(other["result"].is_object(), "{other}");
    assert_eq!(world.logins, 2, "each asks for itself");
    assert_eq!(
        world.server.executed,
        ["get_one", "get_one"],
        "and keeps for itself"
    );
}
