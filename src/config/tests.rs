//! Tests of [`Config::parse`]: every field, every error with its place.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::*;
use crate::border::Millis;
use crate::error::Code;
use crate::policy::{Class, Scope};

/// The field and message of the error that a text gives.
fn error(text: &str) -> (String, String) {
    let error = Config::parse(text).unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid, "{text}");
    let data = format!("{{{}}}", error.data);
    let field = json::Members::parse(&data)
        .unwrap()
        .string("field")
        .unwrap()
        .to_string();
    let message = error.message.strip_prefix(&format!("{field}: ")).unwrap();
    (field, message.into())
}

#[track_caller]
fn refuses(text: &str, field: &str, message: &str) {
    assert_eq!(error(text), (field.into(), message.into()), "{text}");
}

#[test]
fn reads_every_member() {
    let config = Config::parse(
        "\u{feff}{
            \"$schema\": \"leeward.schema.json\",
            \"authority\": { \"url\": \"https://crm.example/mcp\", \"token\": \"s3cret\",
                \"protocolVersion\": \"2025-11-25\" },
            \"principal\": \"local\",
            \"policy\": [
                { \"tool\": \"get_*\", \"rule\": \"cache; max-age=60; public\" },
                { \"rule\": \"deny\", \"resource\": \"x://{id}\" }
            ],
            \"limits\": { \"maxFlights\": 7 },
            \"anonymous\": \"public-only\",
            \"origins\": [\"https://app.example\", \"http://localhost:3000\"]
        }",
    )
    .unwrap();
    let authority = config.authority.unwrap();
    assert_eq!(authority.url, "https://crm.example/mcp");
    assert_eq!(authority.token.as_deref(), Some("s3cret"));
    assert_eq!(authority.protocol_version, Some("2025-11-25"));
    assert_eq!(config.principal.as_deref(), Some("local"));
    let rule = config.policy.tool("get_a").unwrap();
    assert_eq!(
        (rule.max_age, rule.scope),
        (Some(Millis(60_000)), Some(Scope::Public))
    );
    assert_eq!(config.policy.resource("x://1").unwrap().class, Class::Deny);
    assert_eq!(config.limits.max_flights, 7);
    assert_eq!(config.limits.max_waiters, Limits::default().max_waiters);
    assert_eq!(config.anonymous, Anonymous::PublicOnly);
    assert_eq!(config.origins, ["https://app.example", "http://localhost:3000"]);
}

#[test]
fn every_member_may_be_left_out() {
    let config = Config::parse("{}").unwrap();
    assert!(config.authority.is_none());
    assert!(config.principal.is_none());
    assert!(config.policy.is_empty());
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.anonymous, Anonymous::Deny);
    assert!(config.origins.is_empty());
    let short = Config::parse(r#"{"authority":"http://localhost:1/mcp"}"#).unwrap();
    assert_eq!(
        short.authority,
        Some(Authority::new("http://localhost:1/mcp", None).unwrap())
    );
}

#[test]
fn refuses_what_is_not_a_json_object() {
    for text in ["", "{", "{'a':1}", r#"{"a":1,}"#, "{} x", "// c\n{}"] {
        let (field, message) = error(text);
        assert_eq!(field, "configuration");
        assert!(message.starts_with("is not JSON: "), "{message}");
        assert!(message.contains(" at line "), "{message}");
    }
    refuses("[]", "configuration", "must be an object, not an array");
    refuses("null", "configuration", "must be an object, not null");
    let nested = format!(r#"{{"policy":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    refuses(&nested, "policy[0]", "must be an object, not an array");
}

#[test]
fn refuses_unknown_and_repeated_members() {
    refuses(
        r#"{"polcy":[]}"#,
        "polcy",
        r#"unknown member; did you mean "policy"?"#,
    );
    refuses(
        r#"{"Authority":""}"#,
        "Authority",
        r#"unknown member; did you mean "authority"?"#,
    );
    refuses(r#"{"zzz":1}"#, "zzz", "unknown member");
    refuses(
        r#"{"principal":"a","principal":"b"}"#,
        "principal",
        "is there twice",
    );
    refuses(
        r#"{"authority":{"url":"http://a","tokn":"x"}}"#,
        "authority.tokn",
        r#"unknown member; did you mean "token"?"#,
    );
    refuses(
        r#"{"policy":[{"tool":"a","rules":"live"}]}"#,
        "policy[0].rules",
        r#"unknown member; did you mean "rule"?"#,
    );
    refuses(
        r#"{"limits":{"maxFlights":1,"maxFlights":2}}"#,
        "limits.maxFlights",
        "is there twice",
    );
}

#[test]
fn refuses_wrong_types() {
    for (text, field, message) in [
        (r#"{"$schema":1}"#, "$schema", "must be a string, not a number"),
        (
            r#"{"authority":null}"#,
            "authority",
            "must be a URL or an object with url and token, not null",
        ),
        (
            r#"{"authority":{"url":1}}"#,
            "authority.url",
            "must be a string, not a number",
        ),
        (
            r#"{"authority":{"url":"http://a","token":true}}"#,
            "authority.token",
            "must be a string, not a boolean",
        ),
        (r#"{"principal":null}"#, "principal", "must be a string, not null"),
        (r#"{"policy":{}}"#, "policy", "must be an array, not an object"),
        (
            r#"{"policy":["live"]}"#,
            "policy[0]",
            "must be an object, not a string",
        ),
        (
            r#"{"policy":[{"tool":1,"rule":"live"}]}"#,
            "policy[0].tool",
            "must be a string, not a number",
        ),
        (
            r#"{"policy":[{"tool":"a","rule":{}}]}"#,
            "policy[0].rule",
            "must be a string, not an object",
        ),
        (r#"{"limits":5}"#, "limits", "must be an object, not a number"),
        (
            r#"{"anonymous":false}"#,
            "anonymous",
            "must be a string, not a boolean",
        ),
        (
            r#"{"origins":"https://a"}"#,
            "origins",
            "must be an array, not a string",
        ),
        (
            r#"{"origins":[1]}"#,
            "origins[0]",
            "must be a string, not a number",
        ),
    ] {
        refuses(text, field, message);
    }
}

#[test]
fn refuses_bad_authorities() {
    refuses(
        r#"{"authority":"ftp://a"}"#,
        "authority",
        "must begin with https:// or http://",
    );
    refuses(
        r#"{"authority":{"url":"http://a/#b"}}"#,
        "authority.url",
        "must have no fragment (#)",
    );
    refuses(r#"{"authority":{}}"#, "authority.url", "is missing");
    let token = |token: &str| format!(r#"{{"authority":{{"url":"http://a","token":"{token}"}}}}"#);
    refuses(&token(""), "authority.token", "must not be empty");
    refuses(
        &token("Bearer abc"),
        "authority.token",
        r#"must have no space; leave out the word "Bearer""#,
    );
    for bad in ["a\\r\\nb", "é", "a\\u0000"] {
        refuses(&token(bad), "authority.token", "must be visible ASCII");
    }
    assert!(Config::parse(&token(&"t".repeat(MAX_TOKEN_BYTES))).is_ok());
    refuses(
        &token(&"t".repeat(MAX_TOKEN_BYTES + 1)),
        "authority.token",
        "is too long: a token has at most 8192 bytes",
    );
}

#[test]
fn never_shows_a_token() {
    let config = Config::parse(r#"{"authority":{"url":"http://a","token":"hunter2"}}"#).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    for text in [
        r#"{"authority":{"url":"http://a","token":"hunter2 x"}}"#,
        r#"{"authority":{"url":"ftp://a","token":"hunter2"}}"#,
    ] {
        assert!(!format!("{:?}", Config::parse(text).unwrap_err()).contains("hunter2"));
    }
}

#[test]
fn refuses_bad_principals() {
    refuses(r#"{"principal":""}"#, "principal", "must not be empty");
    let of = |n: usize| format!(r#"{{"principal":"{}"}}"#, "p".repeat(n));
    assert!(Config::parse(&of(MAX_PRINCIPAL_BYTES)).is_ok());
    refuses(
        &of(MAX_PRINCIPAL_BYTES + 1),
        "principal",
        "must have at most 1024 bytes",
    );
}

#[test]
fn refuses_bad_rules() {
    for (entry, field, message) in [
        (
            r#"{"rule":"live"}"#,
            "policy[1]",
            r#"needs a "tool" or a "resource" that it is for"#,
        ),
        (
            r#"{"tool":"a","resource":"b:c","rule":"live"}"#,
            "policy[1]",
            r#"has both "tool" and "resource"; a rule has one of them"#,
        ),
        (r#"{"tool":"a"}"#, "policy[1].rule", "is missing"),
        (r#"{"resource":"a:b"}"#, "policy[1].rule", "is missing"),
        (
            r#"{"tool":"a","rule":"cache;max_age=60"}"#,
            "policy[1].rule",
            r#"unknown parameter "max_age"; did you mean "max-age"?"#,
        ),
        (
            r#"{"tool":"a","rule":"cache"}"#,
            "policy[1].rule",
            r#""cache" needs max-age for a tool, such as "cache;max-age=60": tools tell no lifetime"#,
        ),
        (
            r#"{"tool":"","rule":"live"}"#,
            "policy[1].tool",
            "must not be empty",
        ),
        (
            r#"{"resource":"x://{a","rule":"live"}"#,
            "policy[1].resource",
            r#"a "{" has no "}" after it"#,
        ),
        (
            r#"{"tool":"get_x","rule":"live"}"#,
            "policy[1].tool",
            r#"can never match: policy[0] ("get_*") covers all of it"#,
        ),
    ] {
        let text = format!(r#"{{"policy":[{{"tool":"get_*","rule":"live"}},{entry}]}}"#);
        refuses(&text, field, message);
    }
}

#[test]
fn refuses_unknown_words_and_origins() {
    refuses(
        r#"{"anonymous":"public_only"}"#,
        "anonymous",
        r#"must be "deny" or "public-only", not "public_only"; did you mean "public-only"?"#,
    );
    refuses(
        r#"{"anonymous":"allow"}"#,
        "anonymous",
        r#"must be "deny" or "public-only", not "allow""#,
    );
    refuses(
        r#"{"origins":["https://a","https://b/"]}"#,
        "origins[1]",
        "must end after the host or port, without a path or slash",
    );
    refuses(
        r#"{"origins":["https://a","https://a"]}"#,
        "origins[1]",
        "is there twice",
    );
}

#[test]
fn holds_the_limits() {
    let list = |n: usize, entry: fn(usize) -> String| (0..n).map(entry).collect::<Vec<_>>().join(",");
    let origins = |n| format!(r#"{{"origins":[{}]}}"#, list(n, |i| format!(r#""https://h{i}""#)));
    assert_eq!(
        Config::parse(&origins(MAX_ORIGINS)).unwrap().origins.len(),
        MAX_ORIGINS
    );
    refuses(&origins(MAX_ORIGINS + 1), "origins", "has more than 64 origins");

    let rules = |n| {
        let entry = |i| format!(r#"{{"tool":"t{i}","rule":"live"}}"#);
        format!(r#"{{"policy":[{}]}}"#, list(n, entry))
    };
    assert_eq!(Config::parse(&rules(MAX_RULES)).unwrap().policy.len(), MAX_RULES);
    refuses(&rules(MAX_RULES + 1), "policy", "has more than 1024 rules");

    let padded = |n: usize| format!("{{}}{}", " ".repeat(n - 2));
    assert!(Config::parse(&padded(MAX_CONFIG_BYTES)).is_ok());
    refuses(
        &padded(MAX_CONFIG_BYTES + 1),
        "configuration",
        "has more than 1048576 bytes",
    );
}
