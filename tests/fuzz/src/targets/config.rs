//! Configurations: every refusal names its place, what is accepted is valid by the published schema, what the schema
//! allows is refused only for what the schema says it cannot say, and URLs mean what others read in them.

use std::sync::OnceLock;

use leeward::config::{Anonymous, Authority};
use leeward::limits::{MAX_CONFIG_BYTES, MAX_ORIGINS, MAX_PRINCIPAL_BYTES, MAX_RULES};
use leeward::{Code, Config, Error};
use serde_json::{Value, json};
use url::{Host, Url};

use crate::{Target, judge, seeds};

/// See the module. The bytes are a configuration, unless the first is 1: then lines, which become the texts in one
/// (URL, token, origin, and pattern and rule by turns).
pub const TARGET: Target = Target {
    name: "config",
    run,
    seeds: inputs,
    max_bytes: 2048,
};

fn inputs() -> Vec<Vec<u8>> {
    let texts = [
        "{}",
        r#"{"$schema":"x","authority":"https://a.example/mcp","principal":"ann"}"#,
        r#"{"authority":{"url":"http://127.0.0.1:3000/mcp?x=1","token":"secret"}}"#,
        r#"{"policy":[{"resource":"test://{id}/data","rule":"cache;stale-if-error=600"},{"tool":"x","rule":"deny"}]}"#,
        r#"{"limits":{"maxCacheBytes":0,"maxFlights":1,"requestTimeoutMs":1000},"anonymous":"public-only"}"#,
        r#"{"origins":["https://app.example","http://[::1]:8080"]}"#,
        "\u{1}https://a.example:8443/x?y#z\nt\nhttps://b.example\nget_*\ncache; max-age=60\nput\nthrough",
        "\u{1}http://[::ffff:1.2.3.4]/\n!~\nhttp://h:81\na?*\nlive\nab\ndeny",
        "\u{1}http://1.2.3.4.:080\n \nx-y://h",
        "\u{feff}{}",
    ];
    let mut all: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).into();
    let schema = std::fs::read(seeds::root().join("leeward.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_slice(&schema).expect("JSON");
    let examples = schema["examples"].as_array().expect("examples").iter();
    all.extend(examples.map(|example| example.to_string().into_bytes()));
    all
}

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let text = match text.strip_prefix('\u{1}') {
        Some(lines) => spelled(lines),
        None => text.to_owned(),
    };
    let parsed = Config::parse(&text);
    if let Err(error) = &parsed {
        check_error(error, &text);
    }
    if let Ok(config) = &parsed {
        check(config, &text);
    }
    let plain = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if let Ok(value) = serde_json::from_str::<Value>(plain) {
        agree(&parsed, &value, &text);
    }
}

/// A configuration around texts that are the input's.
fn spelled(lines: &str) -> String {
    let mut lines = lines.split('\n');
    let mut next = || lines.next().filter(|line| !line.is_empty());
    let mut config = json!({});
    if let Some(url) = next() {
        config["authority"] = json!(url);
    }
    if let Some(token) = next() {
        config["authority"] = json!({"url": config["authority"], "token": token});
    }
    if let Some(origin) = next() {
        config["origins"] = json!([origin]);
    }
    let mut policy = Vec::new();
    while let (Some(pattern), Some(rule)) = (next(), next()) {
        let kind = if pattern.contains(':') { "resource" } else { "tool" };
        policy.push(json!({kind: pattern, "rule": rule}));
    }
    config["policy"] = json!(policy);
    config.to_string()
}

fn check_error(error: &Error, text: &str) {
    assert_eq!(error.code, Code::ConfigInvalid, "{error}");
    let shown = judge::object(error.to_json("0123456789abcdef").as_bytes()).expect("an object");
    let data = judge::inner(&shown, "data").expect("data");
    let field = judge::text(&data, "field").expect("data.field");
    let message = judge::text(&shown, "message").expect("a message");
    assert!(message.starts_with(&format!("{field}: ")), "{message}");
    assert!(
        message.len() < 1024 && !message.contains(char::is_control),
        "{message:?}"
    );
    check_hidden(&message, text);
}

/// The authority's token is in no text, unless the text says the same about another token.
fn check_hidden(shown: &str, text: &str) {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let Some(token) = value["authority"]["token"].as_str().map(str::to_owned) else {
        return;
    };
    if token.len() < 8 || text.matches(&token).count() > 1 || !shown.contains(&token) {
        return;
    }
    value["authority"]["token"] = json!("another");
    let otherwise = match Config::parse(&value.to_string()) {
        Ok(config) => format!("{config:?}"),
        Err(error) => error.to_json("0123456789abcdef"),
    };
    assert!(otherwise.contains(&token), "the token is shown: {shown}");
}

fn check(config: &Config, text: &str) {
    assert!(text.len() <= MAX_CONFIG_BYTES);
    assert!(config.policy.len() <= MAX_RULES && config.origins.len() <= MAX_ORIGINS);
    let sound = |principal: &String| !principal.is_empty() && principal.len() <= MAX_PRINCIPAL_BYTES;
    assert!(config.principal.as_ref().is_none_or(sound));
    assert!(matches!(
        config.anonymous,
        Anonymous::Deny | Anonymous::PublicOnly
    ));
    if let Some(Authority { url, .. }) = &config.authority {
        check_url(url);
    }
    for origin in &config.origins {
        let Ok(url) = Url::parse(origin) else {
            assert!(origin.contains("xn--"), "no URL: {origin}");
            continue;
        };
        assert!(
            !matches!(url.scheme(), "http" | "https") || url.origin().is_tuple(),
            "{origin}"
        );
    }
    check_hidden(&format!("{config:?}"), text);
}

/// The host that is named is the host that is called.
fn check_url(text: &str) {
    if text.to_ascii_lowercase().contains("xn--") {
        // Whether Punycode is sound, the host of the host says.
        return;
    }
    let url = Url::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(matches!(url.scheme(), "http" | "https"), "{text}");
    assert!(
        url.username().is_empty() && url.password().is_none() && url.fragment().is_none(),
        "{text}"
    );
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let named = rest.split(['/', '?']).next().unwrap_or_default();
    let port_at = named.rfind(':').filter(|at| !named[*at..].contains(']'));
    let (host, port) = named.split_at(port_at.unwrap_or(named.len()));
    let port = port
        .strip_prefix(':')
        .map(|port| port.parse::<u16>().expect("a port"));
    let default = if url.scheme() == "http" { 80 } else { 443 };
    assert_eq!(
        url.port_or_known_default(),
        Some(port.unwrap_or(default)),
        "{text}"
    );
    match url.host() {
        Some(Host::Domain(domain)) => assert_eq!(domain, host.to_ascii_lowercase(), "{text}"),
        Some(Host::Ipv4(address)) => assert_eq!(address.to_string(), host, "{text}"),
        Some(Host::Ipv6(address)) => {
            assert_eq!(format!("[{address}]").parse::<Host6>(), host.parse(), "{text}")
        }
        None => panic!("no host: {text}"),
    }
}

/// An IPv6 address in brackets.
#[derive(Debug, PartialEq, Eq)]
struct Host6(std::net::Ipv6Addr);

impl std::str::FromStr for Host6 {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let inner = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .ok_or(())?;
        inner.parse().map(Self).map_err(|_| ())
    }
}

fn agree(parsed: &Result<Config, Error>, value: &Value, text: &str) {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let text = std::fs::read(seeds::root().join("leeward.schema.json")).expect("the schema");
        let schema: Value = serde_json::from_slice(&text).expect("JSON");
        jsonschema::validator_for(&schema).expect("a schema")
    });
    let valid = schema.is_valid(value);
    match parsed {
        Ok(_) => assert!(valid, "accepted, but not by the schema: {text}"),
        Err(error) if valid => {
            let beyond = [
                "is there twice",
                "can never match",
                "bytes",
                "in numbers",
                "whole number",
                "must have an IP",
            ];
            assert!(
                beyond.iter().any(|words| error.message.contains(words)),
                "{error}: {text}"
            );
        }
        Err(_) => {}
    }
}
