//! The published schema of the configuration and the parser agree, and the configurations in the documents are
//! valid.

use std::fs;
use std::path::Path;

use leeward::{Code, Config};
use serde_json::Value;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).expect(path)
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&read("leeward.schema.json")).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

const VALID: &[&str] = &[
    "{}",
    r#"{"$schema":"leeward.schema.json","authority":"https://a.example/mcp"}"#,
    r#"{"authority":{"url":"http://127.0.0.1:3000/mcp","token":"secret"},"principal":"ann"}"#,
    r#"{"authority":{"url":"https://a.example/mcp","protocolVersion":"2025-03-26"}}"#,
    r#"{"authority":{"url":"https://a.example/mcp","protocolVersion":"2026-07-28"}}"#,
    r#"{"policy":[{"tool":"get_*","rule":"cache; max-age=60; private; tags=\"repo:{owner}/{repo}\""}]}"#,
    r#"{"policy":[{"resource":"test://{id}/data","rule":"cache;stale-if-error=600"},{"tool":"x","rule":"deny"}]}"#,
    r#"{"limits":{"maxCacheBytes":0,"maxFlights":1,"requestTimeoutMs":1000},"anonymous":"public-only"}"#,
    r#"{"origins":["https://app.example"]}"#,
    r#"{"authority":{"url":"https://a.example/mcp","oauth":{}}}"#,
    r#"{"authority":{"url":"https://a.example/mcp","oauth":{"grant":"client_credentials","clients":[
        {"issuer":"https://as.example","clientId":"c","key":{"name":"k","algorithm":"ES256"}}],"scopes":["a:b"],
        "clientMetadataUrl":"https://app.example/c.json","redirectUri":"https://app.example/cb","clientName":"x",
        "dpop":{"key":"k","algorithm":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"eA","y":"eA"}}}}}"#,
];

/// With the field that the parser names.
const INVALID: &[(&str, &str)] = &[
    (r#"{"authorty":"https://a.example/mcp"}"#, "authorty"),
    (r#"{"authority":"ftp://a.example/mcp"}"#, "authority"),
    (
        r#"{"authority":{"url":"https://user:pass@a.example/"}}"#,
        "authority.url",
    ),
    (
        r#"{"authority":{"url":"https://a.example/","protocolVersion":"2024-11-05"}}"#,
        "authority.protocolVersion",
    ),
    (r#"{"principal":""}"#, "principal"),
    (r#"{"policy":[{"tool":"x"}]}"#, "policy[0].rule"),
    (r#"{"policy":[{"rule":"live"}]}"#, "policy[0]"),
    (r#"{"limits":{"maxFlights":0}}"#, "limits.maxFlights"),
    (r#"{"limits":{"maxFlight":1}}"#, "limits.maxFlight"),
    (r#"{"anonymous":"public"}"#, "anonymous"),
    (r#"{"origins":"https://app.example"}"#, "origins"),
    ("[]", "configuration"),
    (
        r#"{"authority":{"url":"https://a","token":"t","oauth":{}}}"#,
        "authority.oauth",
    ),
    (
        r#"{"authority":{"url":"https://a","oauth":{"clientMetadataUrl":"https://a/"}}}"#,
        "authority.oauth.clientMetadataUrl",
    ),
    (
        r#"{"authority":{"url":"https://a","oauth":{"scopes":["a b"]}}}"#,
        "authority.oauth.scopes[0]",
    ),
    (
        r#"{"authority":{"url":"https://a","oauth":{"clients":[{"issuer":"https://b"}]}}}"#,
        "authority.oauth.clients[0].clientId",
    ),
    (
        r#"{"authority":{"url":"https://a","oauth":{"dpop":{"key":"k","algorithm":"ES256","jwk":{"kty":"EC","d":"x"}}}}}"#,
        "authority.oauth.dpop.jwk",
    ),
];

#[test]
fn schema_and_parser_agree() {
    let schema = schema();
    for text in VALID {
        assert!(
            schema.is_valid(&serde_json::from_str(text).expect(text)),
            "{text}"
        );
        assert!(Config::parse(text).is_ok(), "{text}: {:?}", Config::parse(text));
    }
    for (text, field) in INVALID {
        assert!(
            !schema.is_valid(&serde_json::from_str(text).expect(text)),
            "{text}"
        );
        let error = Config::parse(text).expect_err(text);
        assert_eq!(error.code, Code::ConfigInvalid, "{text}");
        assert!(
            error.data.contains(&format!("\"field\":\"{field}\"")),
            "{text}: {}",
            error.data
        );
    }
}

#[test]
fn a_typo_in_a_rule_is_told_with_what_was_meant() {
    let text = r#"{"policy":[{"tool":"a","rule":"live"},{"tool":"b","rule":"cache; max_age=60"}]}"#;
    let error = Config::parse(text).expect_err("a typo");
    assert!(
        error.data.contains(r#""field":"policy[1].rule""#),
        "{}",
        error.data
    );
    assert!(error.message.contains("max-age"), "{}", error.message);
}

#[test]
fn the_configurations_in_the_documents_are_valid() {
    let readme = read("README.md");
    let blocks: Vec<&str> = readme
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(!blocks.is_empty());
    let run = read("xtask/run.json");
    for text in blocks.into_iter().chain([run.as_str()]) {
        assert!(
            schema().is_valid(&serde_json::from_str(text).expect(text)),
            "{text}"
        );
        assert!(Config::parse(text).is_ok(), "{text}: {:?}", Config::parse(text));
    }
}
