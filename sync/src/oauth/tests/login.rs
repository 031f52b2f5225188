//! The user authorizes, at once or later.

use leeward::Millis;
use leeward::border::Callback;
use leeward::dispatch::Caller;
use serde_json::json;

use super::super::Scheme;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};

use super::world::*;
use crate::limits::MAX_AUTHORIZATION_WAIT;

const TOKEN: &str = "https://as.example/token";

#[test]
fn a_code_becomes_a_grant_that_is_kept() {
    let mut world = World::new(json!({}), usual());
    let granted = world.login(Some("ann")).unwrap();
    assert_eq!(
        (granted.token.clone(), granted.scheme),
        (secret("at1"), Scheme::Bearer)
    );
    assert!(granted.identity.starts_with("oauth:") && granted.identity.len() == 6 + 22);
    let left = granted.expires.unwrap().since(world.mono);
    assert!(
        (Millis(3_480_000)..=Millis(3_540_000)).contains(&left),
        "{left:?}"
    );

    let shown = &world.shown[0];
    assert_eq!(shown["client_id"], "registered");
    assert_eq!(shown["redirect_uri"], REDIRECT);
    assert_eq!(shown["resource"], URL);
    assert_eq!(shown["code_challenge_method"], "S256");
    assert!(!shown.contains_key("scope"));
    let sent = world.sent(TOKEN)[0];
    assert_eq!(sent.field("grant_type"), "authorization_code");
    assert_eq!(sent.field("code"), "c1");
    assert_eq!(sent.field("redirect_uri"), REDIRECT);
    assert_eq!(sent.field("resource"), URL);
    assert_eq!(sent.field("client_id"), "registered");
    let verifier = sent.field("code_verifier");
    assert_eq!(verifier.len(), 43);
    assert_eq!(super::super::encode::digest(verifier), shown["code_challenge"]);
    assert_ne!(verifier, shown["state"]);

    // Another replica over the same vault needs nobody.
    let asked = world.seen.len();
    assert_eq!(world.first(Some("ann")).unwrap(), Some(granted));
    assert_eq!(world.seen.len(), asked);
    assert_eq!(
        world.first(Some("ben")).unwrap(),
        None,
        "nothing crosses a principal"
    );
    assert_eq!(world.first(None).unwrap(), None);
}

#[test]
fn nothing_is_asked_before_the_authority_refuses() {
    let mut world = World::new(json!({}), usual());
    assert_eq!(world.first(None).unwrap(), None);
    assert!(world.seen.is_empty());
}

#[test]
fn a_redirect_that_was_not_asked_for_brings_nothing() {
    let cases: [(&str, &str, &'static str); 8] = [
        ("code=c1", "", "state_mismatch"),
        ("code=c1&state=other", "", "state_mismatch"),
        (
            "code=c1&iss=https%3A%2F%2Fevil.example&state=",
            "state",
            "issuer_mismatch",
        ),
        (
            "code=c1&iss=https%3A%2F%2Fas.example%2F&state=",
            "state",
            "issuer_mismatch",
        ),
        ("error=access_denied&state=", "state", "access_denied"),
        (
            "error=access_denied&iss=https%3A%2F%2Fevil.example&state=",
            "state",
            "issuer_mismatch",
        ),
        ("error=access_denied", "", "state_mismatch"),
        ("code=c1&code=c2&state=", "state", "invalid_callback"),
    ];
    for (query, state, expected) in cases {
        let mut world = World::new(json!({}), usual());
        world.user = Box::new(move |_, asked| {
            let state = asked.get(state).cloned().unwrap_or_default();
            Some(Ok(Callback::Query([query, &*state].concat())))
        });
        assert_eq!(reason(world.login(None)), expected, "{query}");
        assert!(world.sent(TOKEN).is_empty(), "no code was sent: {query}");
    }
}

#[test]
fn an_issuer_that_promises_to_name_itself_has_to() {
    let servers = || {
        with(|seen| {
            let mut document = server();
            document["authorization_response_iss_parameter_supported"] = json!(true);
            seen.http
                .url
                .contains("/oauth-authorization-server")
                .then(|| reply(200, document))
        })
    };
    let mut world = World::new(json!({}), servers());
    assert_eq!(reason(world.login(None)), "issuer_mismatch");
    assert!(world.sent(TOKEN).is_empty());

    let mut world = World::new(json!({}), servers());
    world.user = Box::new(|_, query| {
        let state = &query["state"];
        let query = alloc::format!("code=c1&state={state}&iss=https%3A%2F%2Fas.example");
        Some(Ok(Callback::Query(query)))
    });
    assert!(world.login(None).is_ok());
}

#[test]
fn without_pkce_nobody_is_sent_anywhere() {
    for methods in [json!(null), json!([]), json!(["plain"]), json!("S256")] {
        let servers = with(move |seen| {
            let mut document = server();
            document["code_challenge_methods_supported"] = methods.clone();
            seen.http
                .url
                .contains("/oauth-authorization-server")
                .then(|| reply(200, document))
        });
        let mut world = World::new(json!({}), servers);
        assert_eq!(reason(world.login(None)), "pkce_unsupported");
        assert!(world.shown.is_empty() && world.sent("https://as.example/register").is_empty());
    }
}

#[test]
fn a_host_that_cannot_ask_the_user_says_so() {
    let mut world = World::new(json!({}), usual());
    world.upstream.authorizes = false;
    assert_eq!(reason(world.login(None)), "login_required");
    world.upstream.authorizes = true;
    world.redirect = Err("no port".into());
    assert_eq!(reason(world.login(None)), "invalid_redirect");
    assert!(world.sent("https://as.example/register").is_empty());
}

#[test]
fn a_redirect_uri_is_https_or_on_this_machine() {
    for (uri, fits) in [
        ("https://app.example/cb", true),
        ("http://localhost:9/cb", true),
        ("http://[::1]:9/cb", true),
        ("http://app.example/cb", false),
        ("app:/cb", false),
        ("https://app.example/cb#x", false),
    ] {
        let mut world = World::new(json!({}), usual());
        world.redirect = Ok(uri.into());
        match world.login(None) {
            Ok(_) => assert!(fits, "{uri}"),
            Err(trouble) => assert!(!fits && trouble.reason == Some("invalid_redirect"), "{uri}"),
        }
    }
    let mut world = World::new(json!({"redirectUri": "https://mine.example/cb"}), usual());
    world.login(None).unwrap();
    assert_eq!(world.shown[0]["redirect_uri"], "https://mine.example/cb");
}

#[test]
fn a_user_who_does_not_come_back_is_not_waited_for_for_ever() {
    let mut world = World::new(json!({}), usual());
    world.user = Box::new(|_, _| None);
    let began = world.mono;
    assert_eq!(reason(world.login(None)), "login_failed");
    assert_eq!(world.mono.since(began), MAX_AUTHORIZATION_WAIT);
    // The client may have been the reason: the next attempt registers another.
    assert!(world.vault.is_empty());
}

#[test]
fn a_token_that_cannot_be_used_is_none() {
    for (status, body, expected) in [
        (400, json!({"error": "invalid_grant"}), "token_refused"),
        (401, json!({"error": "invalid_client"}), "token_refused"),
        (302, json!({}), "token_invalid"),
        (
            200,
            json!({"access_token": "a b", "token_type": "Bearer"}),
            "token_invalid",
        ),
        (
            200,
            json!({"access_token": "a", "token_type": "mac"}),
            "token_invalid",
        ),
        (
            200,
            json!({"access_token": "a", "token_type": "DPoP"}),
            "dpop_mismatch",
        ),
    ] {
        let shown = body.to_string();
        let servers = with(move |seen| (seen.http.url == TOKEN).then(|| reply(status, body.clone())));
        let mut world = World::new(json!({}), servers);
        assert_eq!(reason(world.login(None)), expected, "{shown}");
        assert_eq!(world.sent(TOKEN).len(), 1, "a code is sent once");
        assert!(world.vault.keys().all(|key| key.starts_with("client:")));
    }
}

#[test]
fn a_user_may_come_back_later_to_another_replica_over_the_same_vault() {
    let mut world = World::new(json!({}), usual());
    world.user = Box::new(|url, _| {
        Some(Ok(Callback::Elsewhere(alloc::format!(
            "https://worker.example/start?{url}"
        ))))
    });
    let trouble = world.login(Some("ann")).unwrap_err();
    assert_eq!(trouble.reason, Some("login_required"));
    let error = trouble.into_error(true).error;
    assert!(
        error
            .data
            .contains(r#""authorizationUrl":"https://worker.example/start?"#),
        "{}",
        error.data
    );

    // The agent asks again, and is told the same.
    let again = world.login(Some("ann")).unwrap_err().into_error(true).error;
    assert_eq!(again.data, error.data);
    assert_eq!(world.shown.len(), 1);

    let state = world.shown[0]["state"].clone();
    let query = alloc::format!("?code=c1&state={state}");
    let mut other = World::new(json!({}), usual());
    other.vault = world.vault;
    let (principal, granted) = other.finish(&query).unwrap();
    assert_eq!(
        (principal.as_deref(), &granted.token),
        (Some("ann"), &secret("at1"))
    );
    assert_eq!(other.first(Some("ann")).unwrap(), Some(granted));
    assert_eq!(other.first(Some("ben")).unwrap(), None);
    assert_eq!(other.sent(TOKEN)[0].field("redirect_uri"), REDIRECT);

    // Once.
    assert_eq!(reason(other.finish(&query)), "state_mismatch");
    assert_eq!(other.sent(TOKEN).len(), 1);
    assert!(
        other
            .vault
            .keys()
            .all(|key| !key.starts_with("pending:") && !key.starts_with("login:"))
    );
}

#[test]
fn what_comes_back_with_somebody_else_is_refused_and_over() {
    let (ann, ben) = (|| Some("ann"), || Some("ben"));
    let caller = |name: Option<&str>| name.map_or(Caller::Anonymous, |name| Caller::Principal(name.into()));
    for (whose, who) in [(ann(), ben()), (ann(), None), (None, ann())] {
        let mut world = World::new(json!({}), usual());
        world.user = Box::new(|url, _| Some(Ok(Callback::Elsewhere(url.into()))));
        world.login(whose).unwrap_err();
        let query = alloc::format!("code=c1&state={}", world.shown[0]["state"]);
        let refused = world.finish_of(&query, Some(caller(who)));
        assert_eq!(reason(refused), "principal_mismatch", "{whose:?} {who:?}");
        assert!(world.sent(TOKEN).is_empty(), "no code was sent");
        let own = world.finish_of(&query, Some(caller(whose)));
        assert_eq!(reason(own), "state_mismatch", "it counts once");

        world.login(whose).unwrap_err();
        let query = alloc::format!("code=c1&state={}", world.shown[1]["state"]);
        let (principal, _) = world.finish_of(&query, Some(caller(whose))).unwrap();
        assert_eq!(principal.as_deref(), whose);
    }
}

#[test]
fn what_comes_back_too_late_or_to_another_authority_counts_for_nothing() {
    let elsewhere = || {
        let mut world = World::new(json!({}), usual());
        world.user = Box::new(|url, _| Some(Ok(Callback::Elsewhere(url.into()))));
        world.login(None).unwrap_err();
        let query = alloc::format!("code=c1&state={}", world.shown[0]["state"]);
        (world, query)
    };
    let (mut world, query) = elsewhere();
    world.pass(MAX_AUTHORIZATION_WAIT);
    assert_eq!(reason(world.finish(&query)), "state_mismatch");
    assert!(world.vault.is_empty(), "nothing is left of it");

    let (mut world, query) = elsewhere();
    world.upstream.url = Some("https://other.example/mcp".into());
    assert_eq!(reason(world.finish(&query)), "state_mismatch");

    let (mut world, _) = elsewhere();
    assert_eq!(reason(world.finish("code=c1&state=unknown")), "state_mismatch");
    assert_eq!(reason(world.finish("code=c1")), "state_mismatch");

    // What cannot be read has come back all the same: nobody is told the used link again.
    for damaged in ["error=access_denied&error_description=n%E3o", "code=c1&code=c2"] {
        let (mut world, query) = elsewhere();
        let (_, state) = query.split_once('&').unwrap();
        let damaged = alloc::format!("{damaged}&{state}");
        assert_eq!(reason(world.finish(&damaged)), "invalid_callback");
        assert_eq!(reason(world.finish(&query)), "state_mismatch");
        world.login(None).unwrap_err();
        assert_eq!(world.shown.len(), 2, "another link");
        assert!(world.sent(TOKEN).is_empty());
    }

    // A new link once the old one is over, and only one at a time.
    world.pass(MAX_AUTHORIZATION_WAIT);
    world.login(None).unwrap_err();
    assert_eq!(world.shown.len(), 2);
    let pending = world.vault.keys().filter(|key| key.starts_with("pending:"));
    assert_eq!(pending.count(), 1);
}

#[test]
fn a_link_is_kept_only_while_it_asks_for_the_same() {
    let mut world = World::new(json!({}), usual());
    world.user = Box::new(|url, _| Some(Ok(Callback::Elsewhere(url.into()))));
    world.login(None).unwrap_err();
    world
        .refused(None, None, 401, r#"Bearer scope="files:read""#)
        .unwrap_err();
    assert_eq!(world.shown.len(), 2);
    assert_eq!(world.shown[1]["scope"], "files:read");
    let pending = world.vault.keys().filter(|key| key.starts_with("pending:"));
    assert_eq!(pending.count(), 1);
}

#[test]
fn nothing_said_or_logged_has_a_secret() {
    let servers = with(|seen| {
        let error = json!({"error": "invalid_grant", "error_description": "no"});
        (seen.http.url == TOKEN).then(|| reply(400, error))
    });
    let mut world = World::new(json!({}), servers);
    let trouble = world.login(None).unwrap_err();
    let verifier = String::from(world.sent(TOKEN)[0].field("code_verifier"));
    let state = world.shown[0]["state"].clone();
    let debug = alloc::format!("{trouble:?}");
    let told = trouble.into_error(false);
    let shown = alloc::format!("{debug} {} {}", told.error.to_json("x"), told.detail);
    for word in [&*verifier, &*state, "c1"] {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
    assert!(told.detail.contains("invalid_grant"));
}
