//! From a refusal to the authorization server.

use serde_json::json;

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::world::*;
use crate::limits::{MAX_OAUTH_BYTES, OAUTH_STEP};

const PATH: &str = "https://crm.example/.well-known/oauth-protected-resource/mcp";
const ROOT: &str = "https://crm.example/.well-known/oauth-protected-resource";
const SERVER: &str = "https://as.example/.well-known/oauth-authorization-server";
const OPENID: &str = "https://as.example/.well-known/openid-configuration";
const OLD: &str = "https://crm.example/.well-known/oauth-authorization-server";

fn asked(world: &World) -> Vec<&str> {
    let metadata = |url: &&str| url.contains("/.well-known/") || url.contains("/elsewhere");
    world.urls().into_iter().filter(metadata).collect()
}

#[test]
fn metadata_is_looked_for_without_a_credential_in_the_order_of_the_specification() {
    let mut world = World::new(json!({}), usual());
    world.login(None).unwrap();
    assert_eq!(asked(&world), [PATH, SERVER]);
    for seen in &world.seen {
        assert!(seen.header("authorization").is_none() && seen.header("cookie").is_none());
    }

    // At the root, and by OpenID Connect.
    let servers = with(|seen| match &*seen.http.url {
        PATH | SERVER => Some(nothing()),
        ROOT => Some(reply(200, resource())),
        OPENID => Some(reply(200, server())),
        _ => None,
    });
    let mut world = World::new(json!({}), servers);
    world.login(None).unwrap();
    assert_eq!(asked(&world), [PATH, ROOT, SERVER, OPENID]);
}

#[test]
fn a_challenge_says_where_the_metadata_is() {
    let servers = with(|seen| match &*seen.http.url {
        "https://crm.example/elsewhere" => Some(reply(200, resource())),
        PATH => Some(nothing()),
        _ => None,
    });
    let mut world = World::new(json!({}), servers);
    let challenge = r#"Bearer resource_metadata="https://crm.example/elsewhere""#;
    world.refused(None, None, 401, challenge).unwrap();
    assert_eq!(asked(&world), ["https://crm.example/elsewhere", SERVER]);
}

#[test]
fn what_answers_for_everything_or_redirects_is_no_metadata() {
    let servers = with(|seen| match &*seen.http.url {
        PATH => Some(Some((200, [].into(), "<html>welcome</html>".into()))),
        ROOT => Some(Some((
            302,
            [("location".into(), "https://evil.example/".into())].into(),
            resource().to_string(),
        ))),
        _ => None,
    });
    let mut world = World::new(json!({}), servers);
    assert_eq!(reason(world.login(None)), "registration_failed");
    // Which is where the revision before metadata begins.
    assert_eq!(asked(&world), [PATH, ROOT, OLD]);
}

#[test]
fn an_outage_is_not_taken_for_nothing() {
    for outage in [
        None,
        reply(503, json!({})),
        reply(429, json!({})),
        Some((0, [].into(), "".into())),
    ] {
        let servers = with(move |seen| match &*seen.http.url {
            PATH => Some(outage.clone()),
            _ => None,
        });
        let mut world = World::new(json!({}), servers);
        let began = world.mono;
        let trouble = world.login(None).unwrap_err();
        assert!(trouble.may_pass() && trouble.harmless, "{trouble:?}");
        assert_eq!(asked(&world), [PATH, ROOT], "no fallback");
        assert!(world.mono.since(began) <= OAUTH_STEP);
        assert!(world.vault.is_empty() && world.shown.is_empty());
    }
    // But what is down does not hide what is next.
    let servers = with(|seen| match &*seen.http.url {
        PATH | SERVER => Some(None),
        ROOT => Some(reply(200, resource())),
        OPENID => Some(reply(200, server())),
        _ => None,
    });
    assert!(World::new(json!({}), servers).login(None).is_ok());
}

#[test]
fn metadata_of_another_resource_or_issuer_leads_nowhere() {
    for (url, document, expected) in [
        (
            PATH,
            json!({"resource": "https://evil.example/mcp", "authorization_servers": [ISSUER]}),
            "resource_mismatch",
        ),
        (
            PATH,
            json!({"resource": URL, "authorization_servers": ["http://as.example"]}),
            "invalid_metadata",
        ),
        (
            PATH,
            json!({"resource": URL, "authorization_servers": ["https://127.0.0.1"]}),
            "invalid_metadata",
        ),
        (
            SERVER,
            json!({"issuer": "https://attacker.example", "token_endpoint": "https://as.example/token"}),
            "issuer_mismatch",
        ),
        (
            SERVER,
            json!({"issuer": ISSUER, "token_endpoint": "http://10.0.0.1/token"}),
            "invalid_metadata",
        ),
        (SERVER, json!({"issuer": ISSUER}), "invalid_metadata"),
    ] {
        let shown = document.to_string();
        let servers = with(move |seen| (seen.http.url == url).then(|| reply(200, document.clone())));
        let mut world = World::new(json!({}), servers);
        assert_eq!(reason(world.login(None)), expected, "{shown}");
        assert!(world.shown.is_empty(), "nobody was sent anywhere: {shown}");
        assert!(world.seen.iter().all(|seen| seen.http.method == "GET"), "{shown}");
    }
}

#[test]
fn a_challenge_names_no_url_that_may_not_be_called() {
    for url in [
        "http://crm.example/x",
        "https://localhost/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ] {
        let mut world = World::new(json!({}), usual());
        let challenge = alloc::format!(r#"Bearer resource_metadata="{url}""#);
        assert_eq!(
            reason(world.refused(None, None, 401, &challenge)),
            "invalid_metadata"
        );
        assert!(world.seen.is_empty(), "{url}");
    }
}

#[test]
fn a_document_over_the_limit_is_not_read() {
    let servers = with(|seen| {
        let body = alloc::format!("{}{}", resource(), " ".repeat(MAX_OAUTH_BYTES));
        (seen.http.url == PATH).then(|| Some((200, [].into(), body)))
    });
    assert_eq!(
        reason(World::new(json!({}), servers).login(None)),
        "invalid_metadata"
    );
}

#[test]
fn an_authority_in_clear_text_gets_no_token() {
    let mut world = World::new(json!({}), usual());
    world.upstream.url = Some("http://crm.example/mcp".into());
    assert_eq!(reason(world.login(None)), "insecure_authority");
    assert!(world.seen.is_empty());
}

/// 2025-03-26, Authorization, Server Metadata Discovery.
#[test]
fn an_authority_without_resource_metadata_is_its_own_authorization_server() {
    for issuer in ["https://crm.example", "https://crm.example/"] {
        let servers = move |seen: &Seen| match &*seen.http.url {
            OLD => reply(
                200,
                json!({
                    "issuer": issuer,
                    "authorization_endpoint": "https://crm.example/oauth/authorize",
                    "token_endpoint": "https://crm.example/oauth/token",
                    "registration_endpoint": "https://crm.example/oauth/register",
                    "code_challenge_methods_supported": ["S256"],
                }),
            ),
            "https://crm.example/oauth/register" => {
                reply(201, json!({"client_id": "c", "client_secret": "s"}))
            }
            "https://crm.example/oauth/token" => reply(200, tokens(1)),
            _ => nothing(),
        };
        let mut world = World::new(json!({}), servers);
        assert_eq!(world.login(None).unwrap().token, secret("at1"));
        let sent = world.sent("https://crm.example/oauth/token");
        assert_eq!(sent[0].field("resource"), URL);
        assert_eq!(sent[0].header("authorization"), Some("Basic Yzpz"));
    }
}

/// 2025-03-26, Authorization, Fallbacks for Servers without Metadata Discovery.
#[test]
fn an_authority_without_any_metadata_has_the_endpoints_of_old() {
    let servers = |seen: &Seen| match &*seen.http.url {
        "https://crm.example/register" => reply(201, json!({"client_id": "c", "client_secret": "s"})),
        "https://crm.example/token" => reply(200, json!({"access_token": "at1", "token_type": "Bearer"})),
        _ => nothing(),
    };
    let mut world = World::new(json!({}), servers);
    world.user = Box::new(|url, query| {
        assert!(url.starts_with("https://crm.example/authorize?"));
        Some(Ok(returns(query)))
    });
    assert_eq!(world.login(None).unwrap().expires, None);
}

#[test]
fn a_grant_is_not_shown_to_another_issuer() {
    const OTHER: &str = "https://other.example";
    let moved = alloc::rc::Rc::new(core::cell::Cell::new(false));
    let now_moved = moved.clone();
    let servers = with(move |seen| match &*seen.http.url {
        PATH if now_moved.get() => Some(reply(
            200,
            json!({"resource": URL, "authorization_servers": [OTHER]}),
        )),
        "https://other.example/.well-known/oauth-authorization-server" => {
            let document = server().to_string().replace("https://as.example", OTHER);
            Some(reply(200, serde_json::from_str(&document).unwrap()))
        }
        "https://other.example/register" => Some(reply(201, json!({"client_id": "other"}))),
        "https://other.example/token" => Some(reply(200, tokens(9))),
        _ => None,
    });
    let mut world = World::new(json!({}), servers);
    let before = world.login(None).unwrap();
    moved.set(true);
    let after = world.refused(None, Some("at1"), 401, "Bearer").unwrap();
    assert_eq!(after.token, secret("at9"));
    assert_ne!(after.identity, before.identity);
    assert_eq!(
        world.dropped,
        ["the authority trusts another authorization server now"]
    );
    for seen in world.seen.iter().filter(|seen| seen.http.url.starts_with(OTHER)) {
        let said = alloc::format!("{:?} {:?}", seen.form, seen.http.headers);
        assert!(
            !said.contains("registered") && !said.contains("rt1") && !said.contains("at1"),
            "{said}"
        );
    }
    assert_eq!(
        world.sent("https://other.example/token")[0].field("client_id"),
        "other"
    );
}

#[test]
fn of_several_authorization_servers_that_with_a_client_is_chosen_then_that_of_the_grant() {
    let two = || json!({"resource": URL, "authorization_servers": ["https://first.example", ISSUER]});
    let servers = move || with(move |seen| (seen.http.url == PATH).then(|| reply(200, two())));
    let configured = json!({"clients": [{"issuer": ISSUER, "clientId": "c"}]});
    let mut world = World::new(configured, servers());
    world.login(None).unwrap();
    assert_eq!(asked(&world), [PATH, SERVER]);

    let mut world = World::new(json!({}), usual());
    world.login(None).unwrap();
    let mut later = World::new(json!({}), servers());
    later.vault = world.vault;
    later.refused(None, Some("at1"), 401, "Bearer").unwrap();
    assert_eq!(asked(&later), [PATH, SERVER]);

    let mut world = World::new(json!({}), servers());
    assert_eq!(reason(world.login(None)), "invalid_metadata");
    assert!(
        world
            .urls()
            .contains(&"https://first.example/.well-known/oauth-authorization-server")
    );
}
