//! Which scopes are asked for, and when more of them.

use alloc::boxed::Box;
use alloc::string::String;

use leeward::Millis;
use leeward::border::Callback;
use serde_json::{Value, json};

use super::world::*;
use crate::limits::AUTHORIZATION_PAUSE;

const PATH: &str = "https://crm.example/.well-known/oauth-protected-resource/mcp";

/// The resource and the authorization server support these.
fn supporting(resource_scopes: Value, server_scopes: Value) -> impl FnMut(&Seen) -> Reply {
    with(move |seen| {
        let mut document = match &*seen.http.url {
            PATH => resource(),
            "https://as.example/.well-known/oauth-authorization-server" => server(),
            _ => return None,
        };
        document["scopes_supported"] = match &*seen.http.url {
            PATH => resource_scopes.clone(),
            _ => server_scopes.clone(),
        };
        Some(reply(200, document))
    })
}

fn asked(world: &World) -> &str {
    world.shown.last().unwrap().get("scope").map_or("", |scope| scope)
}

fn insufficient(scopes: &str) -> String {
    alloc::format!(r#"Bearer error="insufficient_scope", scope="{scopes}""#)
}

#[test]
fn the_challenge_goes_before_the_metadata_and_that_before_the_configuration() {
    let oauth = || json!({"scopes": ["own"]});
    for (challenge, supported, expected) in [
        (r#"Bearer scope="a b""#, json!(["c"]), "a b"),
        ("Bearer", json!(["c", "d"]), "c d"),
        ("Bearer", json!(null), "own"),
        ("Bearer", json!([]), "own"),
    ] {
        let mut world = World::new(oauth(), supporting(supported, json!(["x"])));
        world.refused(None, None, 401, challenge).unwrap();
        assert_eq!(asked(&world), expected);
    }
}

/// 2026-07-28, Authorization, Refresh Tokens.
#[test]
fn offline_access_is_asked_for_where_the_server_knows_it() {
    for (server_scopes, challenge, expected, consent) in [
        (
            json!(["a", "offline_access"]),
            r#"Bearer scope="a""#,
            "a offline_access",
            true,
        ),
        (json!(["a"]), r#"Bearer scope="a""#, "a", false),
        // Alone it would ask for less than nothing in particular.
        (json!(["offline_access"]), "Bearer", "", false),
    ] {
        let mut world = World::new(json!({}), supporting(json!(null), server_scopes));
        world.refused(None, None, 401, challenge).unwrap();
        assert_eq!(asked(&world), expected);
        assert_eq!(world.shown[0].contains_key("prompt"), consent);
    }
}

#[test]
fn a_step_up_asks_for_what_was_had_and_what_is_wanted() {
    let mut world = World::new(json!({}), usual());
    let before = world
        .refused(None, None, 401, r#"Bearer scope="mcp:basic""#)
        .unwrap();
    let after = world
        .refused(None, Some("at1"), 403, &insufficient("mcp:write"))
        .unwrap();
    assert_eq!(asked(&world), "mcp:basic mcp:write");
    assert_eq!(after.scopes.as_str(), "mcp:basic mcp:write");
    assert_ne!(
        after.identity, before.identity,
        "its results are another partition's"
    );
    let kinds = world.sent("https://as.example/token");
    let kinds = kinds.iter().map(|seen| seen.field("grant_type"));
    assert!(
        kinds.eq(["authorization_code"; 2]),
        "a refresh token gives no more scopes"
    );
    // A renewal keeps them all.
    world
        .refused(None, Some("at2"), 403, &insufficient("mcp:admin"))
        .unwrap();
    assert_eq!(asked(&world), "mcp:basic mcp:write mcp:admin");
}

#[test]
fn what_was_granted_already_is_not_asked_for_again() {
    let mut world = World::new(json!({}), usual());
    world
        .refused(None, None, 401, r#"Bearer scope="mcp:admin""#)
        .unwrap();
    for challenge in [
        insufficient("mcp:admin"),
        "Bearer error=insufficient_scope".into(),
    ] {
        let outcome = world.refused(None, Some("at1"), 403, &challenge);
        assert_eq!(reason(outcome), "insufficient_scope");
    }
    assert_eq!(world.shown.len(), 1);
}

#[test]
fn what_the_user_left_out_is_asked_for_again_only_after_a_while() {
    let servers = with(|seen| {
        let body = json!({"access_token": "at1", "token_type": "Bearer", "scope": "a"});
        seen.http.url.ends_with("/token").then(|| reply(200, body))
    });
    let mut world = World::new(json!({}), servers);
    let granted = world.refused(None, None, 401, r#"Bearer scope="a b""#).unwrap();
    assert_eq!(granted.scopes.as_str(), "a");
    let again = world.refused(None, Some("at1"), 403, &insufficient("b"));
    assert_eq!(reason(again), "insufficient_scope");
    assert_eq!(world.shown.len(), 1);
    world.pass(AUTHORIZATION_PAUSE);
    world.refused(None, Some("at1"), 403, &insufficient("b")).unwrap();
    assert_eq!(world.shown.len(), 2);
}

#[test]
fn a_token_that_is_refused_at_once_does_not_bring_the_user_back_at_once() {
    let servers = with(|seen| {
        let body = json!({"access_token": "at1", "token_type": "Bearer"});
        seen.http.url.ends_with("/token").then(|| reply(200, body))
    });
    let mut world = World::new(json!({}), servers);
    world.login(None).unwrap();
    assert_eq!(reason(world.refused(None, Some("at1"), 401, "Bearer")), "refused");
    world.pass(AUTHORIZATION_PAUSE);
    world.refused(None, Some("at1"), 401, "Bearer").unwrap();
    assert_eq!(world.shown.len(), 2);
}

#[test]
fn a_refusal_that_no_scope_would_change_asks_nobody() {
    let mut world = World::new(json!({}), usual());
    world.user = Box::new(|_, _| panic!("nobody is to be asked"));
    for challenge in [
        "",
        "Bearer",
        "Bearer error=\"invalid_token\"",
        "Basic realm=\"x\"",
    ] {
        assert_eq!(
            reason(world.refused(None, Some("at1"), 403, challenge)),
            "refused"
        );
    }
    assert!(world.seen.is_empty());
}

#[test]
fn a_scope_that_is_no_more_spoils_one_attempt_alone() {
    let refuses = || {
        let mut tries = 0;
        with(move |seen| {
            tries += u32::from(seen.http.url.ends_with("/token"));
            let spoilt = tries > 1 && seen.field("scope").contains("old");
            spoilt.then(|| reply(400, json!({"error": "invalid_scope"})))
        })
    };
    let mut world = World::new(json!({}), refuses());
    world.refused(None, None, 401, r#"Bearer scope="old""#).unwrap();
    world.user = Box::new(|_, query| {
        let error = alloc::format!("error=invalid_scope&state={}", query["state"]);
        Some(Ok(match query["scope"].contains("old") {
            true => Callback::Query(error),
            false => returns(query),
        }))
    });
    let outcome = world.refused(None, Some("at1"), 403, &insufficient("new"));
    assert_eq!(
        (reason(outcome), asked(&world)),
        ("authorization_failed", "old new")
    );
    let granted = world.first(None).unwrap().unwrap();
    assert_eq!(granted.token, secret("at1"), "what there is stays");
    world
        .refused(None, Some("at1"), 403, &insufficient("new"))
        .unwrap();
    assert_eq!(asked(&world), "new");

    let client = json!({"issuer": ISSUER, "clientId": "c", "clientSecret": "s"});
    let own = json!({"grant": "client_credentials", "clients": [client]});
    let mut world = World::new(own, refuses());
    world.refused(None, None, 401, r#"Bearer scope="old""#).unwrap();
    world.pass(Millis(3_600_000));
    assert_eq!(reason(world.first(None)), "token_refused");
    assert_eq!(world.first(None).unwrap().unwrap().token, secret("at2"));
}

#[test]
fn a_renewal_with_other_scopes_is_another_grant() {
    let mut given = 0;
    let servers = with(move |seen| {
        let mut body = tokens(1);
        body["scope"] = json!(["a b", "a"][given.min(1)]);
        seen.http.url.ends_with("/token").then(|| {
            given += 1;
            reply(200, body)
        })
    });
    let mut world = World::new(json!({}), servers);
    let before = world.refused(None, None, 401, r#"Bearer scope="a b""#).unwrap();
    let after = world.refused(None, Some("at1"), 401, "Bearer").unwrap();
    assert_ne!(before.identity, after.identity);
    assert_eq!(after.scopes.as_str(), "a");
}
