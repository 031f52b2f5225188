//! Mirrored headers: what is encoded is read back, what is mirrored is accepted, and what says something else is not.

use leeward::json::Members;
use leeward::mcp::headers::{HeaderParam, annotations, check_params, check_standard, decode, encode, mirror};

use crate::input::Bytes;
use crate::{Target, judge};

/// See the module. The bytes: a byte that says how, then parts that end in a byte 0.
pub const TARGET: Target = Target {
    name: "headers",
    run,
    seeds,
    max_bytes: 4096,
};

const SCHEMA: &str = r#"{"type":"object","properties":{"a":{"type":"integer","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"B"},"c":{"type":"object","properties":{"d":{"type":"boolean","x-mcp-header":"D"}}}}}"#;

fn seeds() -> Vec<Vec<u8>> {
    let text = |how: u8, parts: &[&str]| [&[how], parts.join("\0").as_bytes()].concat();
    vec![
        text(0, &["plain", ""]),
        text(0, &["=?base64?YQ==?=", "=?base64?=?="]),
        text(0, &[" é\t", "=?base64?w6k=?="]),
        text(
            1,
            &[
                SCHEMA,
                r#"{"a":42,"b":"x y","c":{"d":true}}"#,
                r#"{"a":4.2e1,"b":"x y"}"#,
                "42.0",
            ],
        ),
        text(
            1,
            &[
                SCHEMA,
                r#"{"a":-0,"b":" ","c":null}"#,
                r#"{"a":9007199254740993}"#,
                "0",
            ],
        ),
        text(1, &[SCHEMA, r#"{"a":1e400,"b":{}}"#, "[]", "=?base64?"]),
        text(
            1,
            &[
                r#"{"allOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}"#,
                "{}",
                "{}",
                "",
            ],
        ),
    ]
}

fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.byte().is_multiple_of(2) {
        values(&mut bytes);
    } else {
        arguments(&mut bytes);
    }
}

fn part<'a>(bytes: &mut Bytes<'a>) -> Option<&'a str> {
    std::str::from_utf8(bytes.until(0)).ok()
}

fn values(bytes: &mut Bytes<'_>) {
    let (Some(text), Some(value)) = (part(bytes), part(bytes)) else {
        return;
    };
    let encoded = encode(text);
    assert!(
        encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        "{encoded:?}"
    );
    assert!(!encoded.is_empty() && encoded.trim() == encoded, "{encoded:?}");
    assert_eq!(judge::header_text(&encoded).as_deref(), Some(text), "{encoded:?}");
    assert_eq!(decode(&encoded).as_deref(), Some(text));
    // A foreign value means what a plain reader reads, and there is one way to write it in base64.
    let trimmed = value.trim_matches([' ', '\t']);
    if let Some(decoded) = decode(value) {
        assert_eq!(
            judge::header_text(trimmed).as_deref(),
            Some(&*decoded),
            "{value:?}"
        );
        if decoded != trimmed && encode(&decoded) != *decoded {
            assert_eq!(encode(&decoded), trimmed, "another spelling of {decoded:?}");
        }
    } else if trimmed.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        assert_eq!(judge::header_text(trimmed), None, "{value:?}");
    }
    let headers = [
        ("mcp-protocol-version".to_owned(), "v".to_owned()),
        ("mcp-method".to_owned(), "m".to_owned()),
        ("mcp-name".to_owned(), value.to_owned()),
    ];
    let says = check_standard(&headers, "v", "m", Some(text)).is_ok();
    assert_eq!(says, decode(value).as_deref() == Some(text));
}

fn arguments(bytes: &mut Bytes<'_>) {
    let (Some(schema), Some(arguments)) = (part(bytes), part(bytes)) else {
        return;
    };
    let (Some(others), Some(value)) = (part(bytes), part(bytes)) else {
        return;
    };
    // What reaches these functions is known to be JSON.
    if Members::parse_up_to(schema, usize::MAX).is_none() {
        return;
    }
    let Ok(params) = annotations(schema) else { return };
    check_annotations(schema, &params);
    let headers = mirror(&params, arguments);
    for (name, value) in &headers {
        assert!(
            value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim() == value,
            "{name}"
        );
        let header = name.strip_prefix("mcp-param-").expect("the prefix");
        assert!(params.iter().any(|param| param.header == header));
    }
    assert_eq!(
        check_params(&params, arguments, &headers),
        Ok(()),
        "what is mirrored is accepted"
    );
    if check_params(&params, others, &headers).is_ok() {
        // Then the others would be mirrored to the same, or to nothing.
        for (name, value) in mirror(&params, others) {
            let said = headers.iter().find(|(other, _)| *other == name);
            let said = said.unwrap_or_else(|| panic!("{name} is missing and was accepted"));
            same(&said.1, &value);
        }
    }
    for param in &params {
        let name = format!("mcp-param-{}", param.header);
        let mut told = headers.clone();
        told.retain(|(other, _)| *other != name);
        if told.len() < headers.len() {
            assert!(
                check_params(&params, arguments, &told).is_err(),
                "{name} is missing"
            );
            let mirrored = headers
                .iter()
                .find(|(other, _)| *other == name)
                .expect("it was there");
            told.push((name, value.to_owned()));
            if check_params(&params, arguments, &told).is_ok() {
                same(
                    &decode(value).expect("decodable"),
                    &decode(&mirrored.1).expect("decodable"),
                );
            }
        }
    }
}

/// Two values that pass for each other are equal, as texts or as numbers.
fn same(one: &str, other: &str) {
    let number = |text: &str| text.parse::<f64>().ok();
    assert!(
        one == other || number(one).is_some() && number(one) == number(other),
        "{one:?} for {other:?}"
    );
}

/// Each annotation stands where it is said to, by a plain reader.
fn check_annotations(schema: &str, params: &[HeaderParam]) {
    let Ok(root) = serde_json::from_str::<serde_json::Value>(schema) else {
        return;
    };
    for (at, param) in params.iter().enumerate() {
        let mut node = &root;
        for name in &param.path {
            node = &node["properties"][name];
        }
        let said = node["x-mcp-header"].as_str().expect("an annotation stands there");
        assert_eq!(said.to_ascii_lowercase(), param.header);
        assert!(
            ["string", "integer", "boolean"]
                .iter()
                .any(|kind| node["type"] == *kind)
        );
        assert!(
            params[..at].iter().all(|other| other.header != param.header),
            "unique"
        );
    }
}
