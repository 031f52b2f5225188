//! The readers of raw JSON agree with `serde_json`, and the canonical form is one.

use std::collections::BTreeMap;

use leeward::json::{Members, canonical, elements, signed, string, unsigned, whole};
use leeward::limits::{MAX_DEPTH, MAX_MEMBERS};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Target, judge, seeds};

/// See the module.
pub const TARGET: Target = Target {
    name: "json",
    run,
    seeds: inputs,
    max_bytes: 4096,
};

fn inputs() -> Vec<Vec<u8>> {
    let mut all = seeds::examples("");
    all.retain(|example| example.len() < TARGET.max_bytes);
    all.extend(seeds::message_bytes());
    let texts = [
        r#" {"a":1,"\u0061":2} "#,
        r#"["\ud83d\ude00","\n\/",-0,1.5e+3,18446744073709551615,-9223372036854775808]"#,
        "[[[[[[[[[[[[]]]]]]]]]]]]",
        r#""\ud800""#,
        "-0",
        " 12 ",
    ];
    all.extend(texts.map(|text| text.as_bytes().to_vec()));
    all
}

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let reference: Option<&RawValue> = serde_json::from_str(text).ok();
    assert_eq!(whole(text), reference.map(RawValue::get), "whole");
    assert_eq!(
        string(text).map(|text| text.into_owned()),
        serde_json::from_str(text).ok(),
        "string"
    );
    assert_eq!(unsigned(text), serde_json::from_str(text).ok(), "unsigned");
    assert_eq!(signed(text), serde_json::from_str(text).ok(), "signed");
    let list: Option<Vec<&RawValue>> = serde_json::from_str(text).ok();
    let list: Option<Vec<&str>> = list.map(|list| list.into_iter().map(RawValue::get).collect());
    assert_eq!(elements(text), list, "elements");
    members(text);
    form(text);
}

fn members(text: &str) {
    let reference: Option<BTreeMap<String, &RawValue>> = serde_json::from_str(text).ok();
    let all = Members::parse_up_to(text, usize::MAX);
    assert_eq!(all.is_some(), reference.is_some(), "members");
    let few = Members::parse(text);
    let (Some(all), Some(reference)) = (all, reference) else {
        assert!(few.is_none());
        return;
    };
    let count = all.iter().count();
    assert_eq!(few.is_some(), count <= MAX_MEMBERS);
    assert_eq!(all.has_duplicates(), count > reference.len());
    for (name, value) in &reference {
        assert_eq!(all.raw(name), Some(value.get()));
        assert_eq!(
            all.string(name).map(|text| text.into_owned()),
            serde_json::from_str(value.get()).ok()
        );
    }
}

fn form(text: &str) {
    let mut once = String::new();
    let canonical_text = canonical(text, &mut once).map(|()| once);
    let value: Option<Value> = serde_json::from_str(text).ok();
    let Some(once) = canonical_text else {
        // Refused only for what the documentation says.
        if let Some(value) = value {
            let wide = |text: &str| text.matches(':').count() > MAX_MEMBERS;
            let fair = judge::depth(&value) <= MAX_DEPTH && !wide(text) && !repeats_anywhere(text);
            assert!(!fair, "no canonical form of {text}");
        }
        return;
    };
    // As a plain reader sees it, the form means the same. (Numbers beyond doubles it cannot read.)
    let again: Option<Value> = serde_json::from_str(&once).ok();
    if let Some(value) = value {
        assert_eq!(again, Some(value), "{once}");
    }
    assert_eq!(whole(&once), Some(&*once), "the form is JSON");
    let mut twice = String::new();
    canonical(&once, &mut twice).expect("a canonical form has one");
    assert_eq!(twice, once);
    // White space and the order of members do not matter.
    let mut spaced = String::new();
    respell(&once, &mut spaced);
    let mut third = String::new();
    canonical(&spaced, &mut third).expect("the same in other words");
    assert_eq!(third, once, "{spaced}");
}

/// The same JSON with white space, members in reverse, and tokens as they were.
fn respell(raw: &str, out: &mut String) {
    match raw.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(raw).expect("an object");
            out.push_str("{ ");
            for (at, (name, value)) in members.iter().rev().enumerate() {
                out.push_str(if at > 0 { "\n, " } else { "" });
                out.push_str(&serde_json::to_string(name).expect("text"));
                out.push_str("\t:");
                respell(value.get(), out);
            }
            out.push_str(" }");
        }
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(raw).expect("an array");
            out.push('[');
            for (at, value) in list.iter().enumerate() {
                out.push_str(if at > 0 { " ,\r" } else { "" });
                respell(value.get(), out);
            }
            out.push(']');
        }
        _ => out.push_str(raw),
    }
}

fn repeats_anywhere(raw: &str) -> bool {
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw) {
        return judge::repeats(raw) || members.values().any(|value| repeats_anywhere(value.get()));
    }
    let list: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
    list.iter().any(|value| repeats_anywhere(value.get()))
}
