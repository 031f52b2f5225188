//! Who the replica is at the token endpoint, and how it proves that.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use leeward::Millis;
use leeward::base64;
use serde_json::{Value, json};

use super::super::{Scheme, prove};
use super::world::*;

const TOKEN: &str = "https://as.example/token";
const REGISTER: &str = "https://as.example/register";
const SERVER: &str = "https://as.example/.well-known/oauth-authorization-server";

/// The halves of a JWT and its signature.
fn jwt(text: &str) -> (Value, Value, Vec<u8>) {
    let decode = |part: &str| {
        let mut padded = part.replace('-', "+").replace('_', "/");
        padded.push_str(&"=".repeat((4 - padded.len() % 4) % 4));
        base64::decode(&padded).unwrap()
    };
    let parts: Vec<_> = text.split('.').map(decode).collect();
    let [header, claims, signature] = &parts[..] else {
        panic!("{text}")
    };
    let json = |bytes: &Vec<u8>| serde_json::from_slice(bytes).unwrap();
    (json(header), json(claims), signature.clone())
}

fn methods(names: Value) -> impl FnMut(&Seen) -> Option<Reply> {
    move |seen| {
        let mut document = server();
        document["token_endpoint_auth_methods_supported"] = names.clone();
        document["client_id_metadata_document_supported"] = json!(true);
        (seen.http.url == SERVER).then(|| reply(200, document))
    }
}

#[test]
fn a_registration_is_used_again_by_every_principal() {
    let mut world = World::new(json!({"clientName": "Crew"}), usual());
    world.login(Some("ann")).unwrap();
    world.login(Some("ben")).unwrap();
    let sent = world.sent(REGISTER);
    assert_eq!(sent.len(), 1);
    let body: Value = serde_json::from_slice(&sent[0].http.body).unwrap();
    assert_eq!(body["client_name"], "Crew");
    assert_eq!(body["redirect_uris"], json!([REDIRECT]));
    assert_eq!(body["application_type"], "native");
    // For another port of this machine's too (RFC 8252, section 7.3).
    world.redirect = Ok("http://127.0.0.1:9/callback".into());
    world.login(Some("eve")).unwrap();
    assert_eq!(world.sent(REGISTER).len(), 1);
    assert_eq!(world.shown[2]["redirect_uri"], "http://127.0.0.1:9/callback");
    assert_eq!(
        world.sent(TOKEN)[2].field("redirect_uri"),
        "http://127.0.0.1:9/callback"
    );
    // But not for another redirect URI, or once it is over.
    world.redirect = Ok("http://127.0.0.1:9/other".into());
    world.login(Some("eva")).unwrap();
    assert_eq!(world.sent(REGISTER).len(), 2);
    let clients = world.vault.keys().filter(|key| key.starts_with("client:"));
    assert_eq!(clients.count(), 1, "one for each issuer");
}

#[test]
fn a_registration_that_is_over_is_made_again() {
    let servers = with(|seen| {
        let body =
            json!({"client_id": "c", "client_secret": "s", "client_secret_expires_at": 1_800_000_100_u64});
        match &*seen.http.url {
            REGISTER => Some(reply(200, body)),
            _ => methods(json!(["client_secret_post"]))(seen),
        }
    });
    let mut world = World::new(json!({}), servers);
    world.login(Some("ann")).unwrap();
    let sent = world.sent(TOKEN)[0];
    assert_eq!((sent.field("client_id"), sent.field("client_secret")), ("c", "s"));
    world.login(Some("ben")).unwrap();
    assert_eq!(world.sent(REGISTER).len(), 1);
    world.pass(Millis(100_000));
    world.login(Some("eve")).unwrap();
    assert_eq!(world.sent(REGISTER).len(), 2);
}

#[test]
fn a_registration_that_is_refused_is_an_error_with_the_servers_words_in_the_log_alone() {
    for (status, body) in [
        (
            400,
            json!({"error": "invalid_redirect_uri", "error_description": "not for web"}),
        ),
        (403, json!({})),
        (
            201,
            json!({"client_id": "c", "token_endpoint_auth_method": "tls_client_auth"}),
        ),
    ] {
        let shown = body.to_string();
        let servers = with(move |seen| (seen.http.url == REGISTER).then(|| reply(status, body.clone())));
        let mut world = World::new(json!({}), servers);
        let trouble = world.login(None).unwrap_err();
        assert_eq!(trouble.reason, Some("registration_failed"), "{shown}");
        let told = trouble.into_error(false);
        assert!(!told.error.message.contains("not for web"));
        assert!(status != 400 || told.detail.contains("invalid_redirect_uri not for web"));
        assert!(world.shown.is_empty());
    }
}

#[test]
fn the_method_is_the_servers() {
    for (method, registered) in [
        ("none", json!({"client_id": "c"})),
        (
            "client_secret_basic",
            json!({"client_id": "c", "client_secret": "s"}),
        ),
        (
            "client_secret_post",
            json!({"client_id": "c", "client_secret": "s"}),
        ),
    ] {
        let servers = with(move |seen| match &*seen.http.url {
            REGISTER => Some(reply(201, registered.clone())),
            _ => methods(json!([method]))(seen),
        });
        let mut world = World::new(json!({}), servers);
        world.login(None).unwrap();
        let body: Value = serde_json::from_slice(&world.sent(REGISTER)[0].http.body).unwrap();
        assert_eq!(body["token_endpoint_auth_method"], method);
        let sent = world.sent(TOKEN)[0];
        let said = (
            sent.field("client_id"),
            sent.field("client_secret"),
            sent.header("authorization"),
        );
        let expected = match method {
            "none" => ("c", "", None),
            "client_secret_post" => ("c", "s", None),
            _ => ("", "", Some("Basic Yzpz")),
        };
        assert_eq!(said, expected, "{method}");
    }
}

#[test]
fn a_metadata_document_is_the_client_where_the_server_takes_one() {
    let oauth = json!({"clientMetadataUrl": "https://app.example/client.json"});
    let mut world = World::new(oauth, with(methods(json!(["none"]))));
    world.login(None).unwrap();
    assert_eq!(world.shown[0]["client_id"], "https://app.example/client.json");
    assert_eq!(
        world.sent(TOKEN)[0].field("client_id"),
        "https://app.example/client.json"
    );
    assert!(world.sent(REGISTER).is_empty());
}

#[test]
fn a_configured_client_is_used_and_its_secret_stays_in_the_configuration() {
    let oauth = json!({"clients": [{"issuer": ISSUER, "clientId": "pre", "clientSecret": "hush!"}]});
    let mut world = World::new(oauth, with(methods(json!(["client_secret_basic"]))));
    world.login(None).unwrap();
    assert_eq!(
        world.sent(TOKEN)[0].header("authorization"),
        Some("Basic cHJlOmh1c2glMjE=")
    );
    assert!(world.sent(REGISTER).is_empty());
    let kept = |text: &[u8]| {
        world
            .vault
            .values()
            .any(|record| record.windows(5).any(|part| part == text))
    };
    assert!(!kept(b"hush!") && kept(b"oauth"));
}

#[test]
fn configured_clients_of_other_issuers_are_an_error_not_another_identity() {
    let oauth = json!({"clients": [{"issuer": "https://other.example", "clientId": "pre"}]});
    let mut world = World::new(oauth, usual());
    assert_eq!(reason(world.login(None)), "unregistered");
    assert!(world.sent(REGISTER).is_empty() && world.shown.is_empty());
}

fn unattended(client: Value) -> Value {
    json!({"grant": "client_credentials", "clients": [client]})
}

#[test]
fn a_client_stands_for_itself_by_its_secret() {
    let client = json!({"issuer": ISSUER, "clientId": "c", "clientSecret": "s"});
    let mut world = World::new(unattended(client), usual());
    world.upstream.authorizes = false;
    let before = world
        .refused(None, None, 401, r#"Bearer scope="mcp:read""#)
        .unwrap();
    let sent = world.sent(TOKEN)[0];
    assert_eq!(sent.field("grant_type"), "client_credentials");
    assert_eq!(sent.field("scope"), "mcp:read");
    assert_eq!(sent.field("resource"), URL);
    assert_eq!(sent.header("authorization"), Some("Basic Yzpz"));
    // Renewed without the authority's having to refuse, and more where it wants more.
    world.pass(before.expires.unwrap().since(world.mono));
    let renewed = world.first(None).unwrap().unwrap();
    assert_eq!(renewed.token, secret("at2"));
    assert_eq!(renewed.identity, before.identity, "what it brought may stay");
    assert_eq!(world.sent(TOKEN)[1].field("grant_type"), "client_credentials");
    assert_eq!(world.sent(TOKEN)[1].field("scope"), "mcp:read");
    let challenge = r#"Bearer error="insufficient_scope", scope="mcp:write""#;
    let wider = world.refused(None, Some("at2"), 403, challenge).unwrap();
    assert_eq!(world.sent(TOKEN)[2].field("scope"), "mcp:read mcp:write");
    assert_ne!(wider.identity, before.identity);
    assert!(world.shown.is_empty());
}

/// RFC 7523, section 3.
#[test]
fn a_client_stands_for_itself_by_a_signature_of_the_hosts() {
    let key = json!({"name": "k1", "algorithm": "ES256", "keyId": "id"});
    let client = json!({"issuer": ISSUER, "clientId": "c", "key": key});
    let mut world = World::new(unattended(client), usual());
    world.login(None).unwrap();
    let sent = world.sent(TOKEN)[0];
    assert_eq!(
        sent.field("client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert_eq!(
        (sent.field("client_id"), sent.header("authorization")),
        ("", None)
    );
    let (header, claims, signature) = jwt(sent.field("client_assertion"));
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "id"}));
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"]),
        (&json!("c"), &json!("c"), &json!(ISSUER))
    );
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        300
    );
    assert_eq!(claims["iat"], world.unix.0 / 1000);
    assert_eq!(signature, b"signature");
    assert!(sent.field("client_assertion").starts_with(&world.signed[0]));
    // Each is new.
    world.refused(None, Some("at1"), 401, "Bearer").unwrap();
    assert_ne!(world.signed[0], world.signed[1]);

    world.host.signs = false;
    assert_eq!(
        reason(world.refused(None, Some("at2"), 401, "Bearer")),
        "signature_failed"
    );
}

fn bound() -> Value {
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": "x", "y": "y"});
    json!({"dpop": {"key": "k1", "algorithm": "ES256", "jwk": jwk}})
}

#[test]
fn tokens_are_bound_to_the_hosts_key() {
    let servers = with(|seen| {
        let mut body = tokens(1);
        body["token_type"] = json!("DPoP");
        (seen.http.url == TOKEN).then(|| reply(200, body))
    });
    let mut world = World::new(bound(), servers);
    let granted = world.login(None).unwrap();
    assert_eq!(granted.scheme, Scheme::Dpop);
    assert_eq!(world.first(None).unwrap().unwrap().scheme, Scheme::Dpop);
    let (header, claims, _) = jwt(world.sent(TOKEN)[0].header("dpop").unwrap());
    assert_eq!(header["typ"], "dpop+jwt");
    assert_eq!(header["jwk"]["kty"], "EC");
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("POST"), &json!(TOKEN)));
    assert!(claims.get("ath").is_none());
    // Nothing but the token endpoint gets a proof.
    let others = world.seen.iter().filter(|seen| seen.http.url != TOKEN);
    assert!(others.into_iter().all(|seen| seen.header("dpop").is_none()));

    let mut world = World::new(bound(), usual());
    assert_eq!(reason(world.login(None)), "dpop_mismatch");
}

#[test]
fn a_server_that_wants_a_nonce_gets_it_once() {
    let asks = |always: bool| {
        with(move |seen| {
            let proof = (seen.http.url == TOKEN).then(|| jwt(seen.header("dpop").unwrap()).1)?;
            let header = ("dpop-nonce".into(), "n1".into());
            let error = json!({"error": "use_dpop_nonce"});
            let mut body = tokens(1);
            body["token_type"] = json!("DPoP");
            Some(match proof["nonce"] == "n1" && !always {
                true => reply(200, body),
                false => Some((400, [header].into(), error.to_string())),
            })
        })
    };
    let mut world = World::new(bound(), asks(false));
    world.login(None).unwrap();
    let proofs: Vec<_> = world
        .sent(TOKEN)
        .iter()
        .map(|seen| jwt(seen.header("dpop").unwrap()).1)
        .collect();
    assert_eq!(proofs.len(), 2);
    assert_ne!(proofs[0]["jti"], proofs[1]["jti"]);

    let mut world = World::new(bound(), asks(true));
    assert_eq!(reason(world.login(None)), "token_refused");
    assert_eq!(world.sent(TOKEN).len(), 2);
}

#[test]
fn a_request_to_the_authority_is_proved_with_its_token() {
    let mut world = World::new(bound(), usual());
    let dpop = world.upstream.oauth.as_ref().unwrap().dpop.clone().unwrap();
    let proof = world.run(move |mut io| {
        alloc::boxed::Box::pin(async move {
            prove(
                &mut io,
                &dpop,
                "POST",
                "https://crm.example/mcp?x=1",
                Some("at1"),
                Some("n"),
            )
            .await
        })
    });
    let (_, claims, _) = jwt(&proof.unwrap());
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("POST"), &json!(URL)));
    assert_eq!(claims["ath"], super::super::encode::digest("at1"));
    assert_eq!(claims["nonce"], "n");
}
