//! Tokens that end: renewed ahead of it, after it, or not at all.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use leeward::Millis;
use leeward::border::Callback;
use serde_json::{Value, json};

use super::world::*;
use crate::limits::{AUTHORIZATION_PAUSE, RENEWAL_PAUSE};

const TOKEN: &str = "https://as.example/token";
const PATH: &str = "https://crm.example/.well-known/oauth-protected-resource/mcp";

/// Logged in; from then on the token endpoint answers by `later`.
fn world(mut later: impl FnMut(&Seen) -> Reply + 'static) -> World {
    let mut given = false;
    let servers = with(move |seen| {
        if seen.http.url != TOKEN {
            return None;
        }
        Some(match core::mem::replace(&mut given, true) {
            false => reply(200, tokens(1)),
            true => later(seen),
        })
    });
    let mut world = World::new(json!({}), servers);
    world.login(None).unwrap();
    world.user = Box::new(|_, _| panic!("nobody is to be asked"));
    world
}

fn refreshes(world: &World) -> Vec<&Seen> {
    let sent = world.sent(TOKEN).into_iter();
    sent.filter(|seen| seen.field("grant_type") == "refresh_token")
        .collect()
}

const HOUR: Millis = Millis(3_600_000);
/// Due, not over.
const LATE: Millis = Millis(3_545_000);

#[test]
fn a_token_is_renewed_before_it_ends_and_stays_the_same_grant() {
    let mut world = world(|seen| {
        assert_eq!(seen.field("refresh_token"), "rt1");
        assert_eq!(seen.field("resource"), URL);
        assert_eq!(seen.field("client_id"), "registered");
        assert_eq!(seen.field("scope"), "");
        reply(
            200,
            json!({"access_token": "at2", "token_type": "bearer", "expires_in": 60}),
        )
    });
    let before = world.first(None).unwrap().unwrap();
    world.pass(before.expires.unwrap().since(world.mono));
    let after = world.first(None).unwrap().unwrap();
    assert_eq!(
        (after.token.clone(), &after.identity),
        (secret("at2"), &before.identity)
    );
    let left = after.expires.unwrap().since(world.mono);
    assert!(
        (Millis(45_000)..=Millis(52_500)).contains(&left),
        "at least three quarters: {left:?}"
    );
    assert_eq!(refreshes(&world).len(), 1);
    // It is kept, with the refresh token that was not replaced.
    assert_eq!(world.first(None).unwrap(), Some(after));
    let kept = world
        .vault
        .values()
        .any(|record| contains(record, "at2") && contains(record, "rt1"));
    assert!(kept);
}

fn contains(record: &[u8], text: &str) -> bool {
    record.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn a_rotated_refresh_token_replaces_the_one_before() {
    let mut world = world(|_| reply(200, tokens(2)));
    world.pass(HOUR);
    world.first(None).unwrap();
    let texts = || ["rt1", "rt2"];
    let kept = texts().map(|text| world.vault.values().any(|record| contains(record, text)));
    assert_eq!(kept, [false, true]);
}

#[test]
fn a_refused_token_is_renewed_though_it_seemed_good() {
    let mut world = world(|_| reply(200, tokens(2)));
    let renewed = world.refused(None, Some("at1"), 401, "Bearer error=\"invalid_token\"");
    assert_eq!(renewed.unwrap().token, secret("at2"));
    assert_eq!(refreshes(&world).len(), 1);
}

#[test]
fn a_token_that_was_replaced_meanwhile_costs_nothing() {
    let mut world = world(|_| panic!("not asked"));
    let asked = world.seen.len();
    for refused in [Some("at0"), None] {
        let granted = world.refused(None, refused, 401, "Bearer").unwrap();
        assert_eq!(granted.token, secret("at1"));
    }
    assert_eq!(world.seen.len(), asked);
}

#[test]
fn an_outage_ends_no_grant() {
    for outage in [
        None,
        reply(503, json!({})),
        reply(429, json!({})),
        Some((0, [].into(), String::new())),
    ] {
        let answer = outage.clone();
        let mut world = world(move |_| answer.clone());
        world.pass(LATE);
        let granted = world.first(None).unwrap().unwrap();
        assert_eq!(granted.token, secret("at1"), "good for a while yet");
        assert!(granted.expires.unwrap() <= world.mono + RENEWAL_PAUSE);
        world.pass(HOUR);
        let trouble = world.first(None).unwrap_err();
        assert!(trouble.may_pass() && trouble.harmless, "{trouble:?}");
        let trouble = world.refused(None, Some("at1"), 401, "Bearer").unwrap_err();
        assert!(trouble.may_pass() && trouble.harmless, "{trouble:?}");
        assert!(
            world.vault.values().any(|record| contains(record, "rt1")),
            "still there"
        );
    }
}

#[test]
fn a_refusal_that_says_nothing_of_the_refresh_token_costs_no_grant() {
    for error in [
        "temporarily_unavailable",
        "server_error",
        "slow_down",
        "use_dpop_nonce",
    ] {
        let mut world = world(move |_| reply(400, json!({"error": error})));
        world.pass(LATE);
        assert_eq!(
            world.first(None).unwrap().unwrap().token,
            secret("at1"),
            "good yet"
        );
        assert_eq!(
            reason(world.refused(None, Some("at1"), 401, "Bearer")),
            "token_refused"
        );
        assert!(
            world.vault.values().any(|record| contains(record, "rt1")),
            "{error}"
        );
        assert!(world.dropped.is_empty());
    }
}

#[test]
fn a_refresh_token_that_was_revoked_is_not_tried_again() {
    let mut world = world(|seen| match seen.field("grant_type") {
        "refresh_token" => reply(400, json!({"error": "invalid_grant"})),
        _ => reply(200, tokens(2)),
    });
    world.pass(HOUR);
    assert_eq!(
        world.first(None).unwrap(),
        None,
        "the authority says what it wants now"
    );
    assert_eq!(world.dropped, ["the refresh token is not good any more"]);
    assert_eq!(world.first(None).unwrap(), None);
    assert_eq!(refreshes(&world).len(), 1);

    world.user = Box::new(|_, query| Some(Ok(returns(query))));
    assert_eq!(
        world.refused(None, None, 401, "Bearer").unwrap().token,
        secret("at2")
    );
}

#[test]
fn a_revoked_refresh_token_leads_to_the_user_at_once() {
    let mut world = world(|seen| match seen.field("grant_type") {
        "refresh_token" => reply(400, json!({"error": "invalid_grant"})),
        _ => reply(200, tokens(2)),
    });
    world.pass(HOUR);
    world.user = Box::new(|_, query| Some(Ok(returns(query))));
    let before = world.first(None);
    assert_eq!(before.unwrap(), None);
    assert_eq!(world.login(None).unwrap().token, secret("at2"));
    // The registration is still good.
    assert_eq!(world.sent("https://as.example/register").len(), 1);
}

#[test]
fn a_client_that_is_not_known_any_more_registers_again() {
    let mut world = world(|seen| match seen.field("grant_type") {
        "refresh_token" => reply(401, json!({"error": "invalid_client"})),
        _ => reply(200, tokens(2)),
    });
    assert_eq!(
        reason(world.refused(None, Some("at1"), 401, "Bearer")),
        "refused",
        "just asked"
    );
    world.pass(AUTHORIZATION_PAUSE);
    world.user = Box::new(|_, query| Some(Ok(returns(query))));
    assert_eq!(
        world.refused(None, Some("at1"), 401, "Bearer").unwrap().token,
        secret("at2")
    );
    assert_eq!(refreshes(&world).len(), 1);
    assert_eq!(world.sent("https://as.example/register").len(), 2);
}

#[test]
fn a_clock_that_was_set_back_has_the_token_renewed() {
    let mut world = world(|_| reply(200, tokens(2)));
    world.unix = Millis(world.unix.0 - HOUR.0);
    assert_eq!(world.first(None).unwrap().unwrap().token, secret("at2"));
}

#[test]
fn a_token_of_unknown_life_is_good_until_it_is_refused() {
    for life in [Value::Null, json!(-5), json!("soon")] {
        let servers = with(move |seen| {
            let body = json!({"access_token": "at1", "token_type": "Bearer", "expires_in": life});
            (seen.http.url == TOKEN).then(|| reply(200, body))
        });
        let mut world = World::new(json!({}), servers);
        assert_eq!(world.login(None).unwrap().expires, None);
        world.pass(Millis(HOUR.0 * 1000));
        assert_eq!(world.first(None).unwrap().unwrap().expires, None);
    }
}

#[test]
fn a_token_that_ended_without_a_way_to_renew_it_is_not_sent() {
    let servers = with(|seen| {
        let body = json!({"access_token": "at1", "token_type": "Bearer", "expires_in": 100});
        (seen.http.url == TOKEN).then(|| reply(200, body))
    });
    let mut world = World::new(json!({}), servers);
    world.login(None).unwrap();
    world.pass(Millis(99_000));
    let granted = world.first(None).unwrap().unwrap();
    assert_eq!(granted.expires, Some(world.mono + Millis(1000)), "to its end");
    world.pass(Millis(1000));
    assert_eq!(world.first(None).unwrap(), None);
}

#[test]
fn a_grant_is_used_only_while_the_authority_trusts_its_issuer() {
    for late in [LATE, HOUR] {
        let moved = alloc::rc::Rc::new(core::cell::Cell::new(false));
        let now_moved = moved.clone();
        let servers = with(move |seen| {
            let other = json!({"resource": URL, "authorization_servers": ["https://other.example"]});
            let mut document = server();
            document["issuer"] = json!("https://other.example");
            match &*seen.http.url {
                PATH if now_moved.get() => Some(reply(200, other)),
                "https://other.example/.well-known/oauth-authorization-server" => Some(reply(200, document)),
                _ => None,
            }
        });
        let mut world = World::new(json!({}), servers);
        world.login(None).unwrap();
        moved.set(true);
        world.pass(late);
        assert_eq!(world.first(None).unwrap(), None);
        assert!(refreshes(&world).is_empty());
        assert_eq!(
            world.dropped,
            ["the authority trusts another authorization server now"]
        );
    }
}

#[test]
fn a_grant_of_a_kind_that_is_not_configured_any_more_is_none() {
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": "x", "y": "y"});
    let dpop = json!({"dpop": {"key": "k1", "algorithm": "ES256", "jwk": jwk}});
    let client = json!({"issuer": ISSUER, "clientId": "c", "clientSecret": "s"});
    let own = json!({"grant": "client_credentials", "clients": [client]});
    for (before, after) in [(json!({}), dpop), (json!({}), own.clone()), (own, json!({}))] {
        let mut world = World::new(before, usual());
        world.login(None).unwrap();
        let mut other = World::new(
            after,
            with(|seen| {
                (seen.http.url == TOKEN).then(|| {
                    let kind = if seen.header("dpop").is_some() {
                        "DPoP"
                    } else {
                        "Bearer"
                    };
                    reply(
                        200,
                        json!({"access_token": "new", "token_type": kind, "refresh_token": "r"}),
                    )
                })
            }),
        );
        other.vault = world.vault;
        assert_eq!(other.first(None).unwrap(), None);
        assert_eq!(
            other.dropped,
            ["the configuration wants another kind of grant now"]
        );
        assert_eq!(other.login(None).unwrap().token, secret("new"));
        assert!(refreshes(&other).is_empty());
    }
}

#[test]
fn a_damaged_record_is_dropped() {
    let mut world = world(|_| panic!("not asked"));
    let key = world
        .vault
        .keys()
        .find(|key| key.starts_with("grant:"))
        .unwrap()
        .clone();
    world.vault.get_mut(&key).unwrap()[40] ^= 1;
    assert_eq!(world.first(None).unwrap(), None);
    assert_eq!(world.dropped, ["its record is damaged"]);
    assert!(!world.vault.contains_key(&key));
}

#[test]
fn without_a_vault_of_the_hosts_a_grant_lasts_within_one_replica() {
    let mut world = World::new(json!({}), usual());
    world.host.vault = false;
    let upstream = world.upstream.clone();
    let again = world.run(|mut io| {
        Box::pin(async move {
            let refused = leeward::border::Refused {
                token: None,
                status: 401,
                challenge: None,
            };
            let why = super::super::Why::Refused(refused);
            let first = super::super::obtain(&mut io, &upstream, None, why).await.unwrap();
            let again = super::super::obtain(&mut io, &upstream, None, super::super::Why::First).await;
            first == again.unwrap() && first.is_some()
        })
    });
    assert!(again && world.vault.is_empty());
}

#[test]
fn signing_out_forgets_then_revokes() {
    const REVOKE: &str = "https://as.example/revoke";
    let mut world = world(|_| panic!("not asked"));
    world.sign_out(None).unwrap();
    assert_eq!(world.first(None).unwrap(), None);
    let sent = world.sent(REVOKE);
    let tokens: Vec<_> = sent
        .iter()
        .map(|seen| {
            (
                seen.field("token"),
                seen.field("token_type_hint"),
                seen.field("client_id"),
            )
        })
        .collect();
    assert_eq!(
        tokens,
        [
            ("rt1", "refresh_token", "registered"),
            ("at1", "access_token", "registered"),
        ]
    );
    // Nothing to end, nothing asked.
    let asked = world.seen.len();
    world.sign_out(None).unwrap();
    world.sign_out(Some("ann")).unwrap();
    assert_eq!(world.seen.len(), asked);
}

#[test]
fn what_cannot_be_read_is_forgotten_all_the_same() {
    let mut world = world(|_| panic!("not asked"));
    for unreadable in ["login:", "grant:"] {
        world.user = Box::new(|url, _| Some(Ok(Callback::Elsewhere(url.into()))));
        world.login(Some("ann")).unwrap_err();
        let ann = |world: &World| world.vault.keys().any(|key| key.starts_with("login:"));
        assert!(ann(&world));
        world.unreadable = Some(unreadable);
        assert_eq!(reason(world.sign_out(Some("ann"))), "vault_failed");
        assert_eq!(reason(world.sign_out(None)), "vault_failed");
        assert!(!ann(&world) && world.vault.keys().all(|key| !key.starts_with("grant:")));
        world.unreadable = None;
    }
}

#[test]
fn what_cannot_be_revoked_is_forgotten_all_the_same() {
    for (answer, fails) in [
        (None, true),
        (reply(503, json!({})), true),
        (reply(200, json!({})), false),
    ] {
        let shown = answer.is_some().to_string();
        let servers = with(move |seen| seen.http.url.ends_with("/revoke").then(|| answer.clone()));
        let mut world = World::new(json!({}), servers);
        world.login(None).unwrap();
        assert_eq!(world.sign_out(None).is_err(), fails, "{shown}");
        assert_eq!(world.sent("https://as.example/revoke").len(), 2, "one tries all");
        assert!(world.vault.keys().all(|key| key.starts_with("client:")));
    }
}
