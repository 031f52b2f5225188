use alloc::string::ToString as _;

use super::*;
use crate::config::Config;

fn parse(oauth: &str) -> Result<OAuth, Error> {
    let text = format!(r#"{{"authority":{{"url":"https://a.example/mcp","oauth":{oauth}}}}}"#);
    Config::parse(&text).map(|config| config.authority.and_then(|authority| authority.oauth).unwrap())
}

fn refuses(oauth: &str, field: &str, message: &str) {
    let error = parse(oauth).unwrap_err();
    assert_eq!(
        error.message,
        format!("authority.oauth{field}: {message}"),
        "{oauth}"
    );
}

#[test]
fn nothing_need_be_said() {
    assert_eq!(parse("{}").unwrap(), OAuth::default());
}

#[test]
fn reads_everything() {
    let oauth = parse(
        r#"{"grant":"client_credentials","clientName":"é","clientMetadataUrl":"https://app.example/c.json",
        "clients":[{"issuer":"https://as.example/","clientId":"id","clientSecret":"s3cret","authMethod":"client_secret_post"},
        {"issuer":"https://as.example","clientId":"x y","key":{"name":"k1","algorithm":"ES256","keyId":"7"}}],
        "redirectUri":"http://127.0.0.1:7777/cb","scopes":["a","b:c"],
        "dpop":{"key":"k2","algorithm":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"eA"}}}"#,
    )
    .unwrap();
    assert_eq!(oauth.grant, GrantType::ClientCredentials);
    assert_eq!(oauth.client_name.as_deref(), Some("é"));
    let [first, second] = &*oauth.clients else {
        panic!("two")
    };
    assert_eq!(
        (first.auth_method, first.client_secret.as_deref()),
        (Some(AuthMethod::Post), Some("s3cret"))
    );
    assert!(!format!("{oauth:?}").contains("s3cret"));
    let key = second.key.as_ref().unwrap();
    assert_eq!(
        (&*key.name, key.algorithm, key.key_id.as_deref()),
        ("k1", "ES256", Some("7"))
    );
    assert_eq!(oauth.scopes, ["a".to_string(), "b:c".to_string()]);
    let dpop = oauth.dpop.unwrap();
    assert_eq!(dpop.jwk, r#"{"kty":"OKP","crv":"Ed25519","x":"eA"}"#);
}

#[test]
fn names_what_is_wrong() {
    let client = |rest: &str| format!(r#"{{"clients":[{{"issuer":"https://as","clientId":"c"{rest}}}]}}"#);
    refuses(
        r#"{"scope":[]}"#,
        ".scope",
        r#"unknown member; did you mean "scopes"?"#,
    );
    refuses(
        r#"{"grant":"client_credential"}"#,
        ".grant",
        r#"is not known: "client_credential"; did you mean "client_credentials"?"#,
    );
    refuses(
        r#"{"grant":"client_credentials"}"#,
        ".clients",
        r#"is missing: "client_credentials" are those of a registered client"#,
    );
    for url in ["http://a/c", "https://a", "https://a/", "https://a/?x"] {
        let text = format!(r#"{{"clientMetadataUrl":"{url}"}}"#);
        refuses(&text, ".clientMetadataUrl", "must be an https URL with a path");
    }
    refuses(
        r#"{"redirectUri":"javascript:x"}"#,
        ".redirectUri",
        "must begin with https:// or http://",
    );
    for scope in ["", "a b", r#"\""#, r"\\", "é"] {
        let text = format!(r#"{{"scopes":["{scope}"]}}"#);
        refuses(
            &text,
            ".scopes[0]",
            r#"must be one scope: visible ASCII without " and \"#,
        );
    }
    refuses(r#"{"scopes":["a","b","a"]}"#, ".scopes", r#"has "a" twice"#);
    refuses(r#"{"clientName":""}"#, ".clientName", "must not be empty");
    refuses(
        &client(r#","clientSecret":"é""#),
        ".clients[0].clientSecret",
        "must be printable ASCII",
    );
    refuses(
        &client(r#","authMethod":"client_secret_basic""#),
        ".clients[0].authMethod",
        "needs a clientSecret",
    );
    refuses(
        &client(r#","authMethod":"private_key_jwt""#),
        ".clients[0].authMethod",
        "needs a key",
    );
    refuses(
        &client(r#","authMethod":"none","clientSecret":"x""#),
        ".clients[0].authMethod",
        "leaves the client's secret or key unused",
    );
    refuses(
        &client(r#","key":{"name":"k","algorithm":"HS256"}"#),
        ".clients[0].key.algorithm",
        r#"is not known: "HS256"; did you mean "ES256"?"#,
    );
    refuses(
        r#"{"clients":[{"clientId":"c"}]}"#,
        ".clients[0].issuer",
        "is missing",
    );
    let dpop = |jwk: &str| format!(r#"{{"dpop":{{"key":"k","algorithm":"ES256","jwk":{jwk}}}}}"#);
    refuses(&dpop("[]"), ".dpop.jwk", "must be an object, not an array");
    refuses(&dpop("{}"), ".dpop.jwk", "needs a kty");
    refuses(
        &dpop(r#"{"kty":"EC","d":"x"}"#),
        ".dpop.jwk",
        "must be the public key alone",
    );
    let secret = parse(&client(r#","clientSecret":"s3cret","authMethod":"none""#)).unwrap_err();
    assert!(!format!("{secret:?}").contains("s3cret"));
}

#[test]
fn bounds_clients_and_scopes() {
    let clients = |count: usize| {
        let clients: Vec<String> = (0..count)
            .map(|n| format!(r#"{{"issuer":"https://as{n}x","clientId":"c"}}"#))
            .collect();
        format!(r#"{{"clients":[{}]}}"#, clients.join(","))
    };
    assert_eq!(parse(&clients(MAX_CLIENTS)).unwrap().clients.len(), MAX_CLIENTS);
    refuses(&clients(MAX_CLIENTS + 1), ".clients", "has more than 16 entries");
    let scopes = |count: usize| {
        let scopes: Vec<String> = (0..count).map(|n| format!(r#""s{n}""#)).collect();
        format!(r#"{{"scopes":[{}]}}"#, scopes.join(","))
    };
    assert_eq!(parse(&scopes(MAX_SCOPES)).unwrap().scopes.len(), MAX_SCOPES);
    refuses(&scopes(MAX_SCOPES + 1), ".scopes", "has more than 64 entries");
}

#[test]
fn a_token_and_grants_exclude_each_other() {
    let text = r#"{"authority":{"url":"https://a","token":"t","oauth":{}}}"#;
    assert_eq!(
        Config::parse(text).unwrap_err().message,
        "authority.oauth: stands beside a token; only one of them can be used"
    );
}
