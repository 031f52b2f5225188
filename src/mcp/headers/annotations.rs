//! `x-mcp-header` annotations in a tool's `inputSchema` (2026-07-28, Transports, Streamable HTTP, Schema Extension;
//! Server Features, Tools, x-mcp-header).
//!
//! Schemas come from an authority and may be hostile: nothing recurses, and the work is bounded by the schema's
//! length times [`MAX_DEPTH`]. Parts of a schema that hold no annotation are skipped unread.

use alloc::string::String;
use alloc::vec::Vec;

use super::HeaderParam;
use crate::json::{Members, elements, is_object, string};
use crate::limits::{
    MAX_DEPTH, MAX_HEADER_NAME_BYTES, MAX_HEADER_PARAMS, MAX_NAME_BYTES, MAX_SCHEMA_MEMBERS,
};

const ANNOTATION: &str = "x-mcp-header";

/// Keywords (JSON Schema 2020-12, and of drafts 7 and 2019-09 what is still met) whose value is a schema or an
/// array of schemas, which the chain of `properties` must not pass through.
const SCHEMAS: [&str; 16] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value maps names to schemas, with the same effect.
const MAPS: [&str; 5] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
];

/// The annotations of a raw `inputSchema`, in the order in which they stand, or why the tool must be dropped from
/// `tools/list`.
///
/// An annotation is valid if it is a non-empty RFC 9110 token, unique without regard to case, on a property of
/// `type` `string`, `integer` or `boolean` that is reached from the root through `properties` alone. `number`, a
/// list of types, and no type at all are refused, as the reference implementation (TypeScript SDK 2.4.0) does.
/// Values of keywords that hold no schema (`default`, `enum`, unknown ones) are data: nothing in them annotates.
///
/// # Errors
/// The first rule that is broken, as one sentence; also more than [`MAX_HEADER_PARAMS`] annotations, names over
/// [`MAX_HEADER_NAME_BYTES`], and, where annotations are, nesting over [`MAX_DEPTH`], objects with over
/// [`MAX_SCHEMA_MEMBERS`] members and duplicate members.
pub fn annotations(input_schema: &str) -> Result<Vec<HeaderParam>, &'static str> {
    let mut found: Vec<HeaderParam> = Vec::new();
    let mut names: Vec<Name> = Vec::new();
    let mut path_bytes = 0_usize;
    let mut pending = Vec::from([Node {
        raw: input_schema.trim(),
        path: None,
        reachable: true,
        depth: 1,
    }]);
    while let Some(node) = pending.pop() {
        if !may_annotate(node.raw) {
            continue;
        }
        if node.depth > MAX_DEPTH {
            return Err("the annotated schema is nested too deeply");
        }
        if is_object(node.raw) {
            let members = object(node.raw)?;
            if let Some(raw) = members.raw(ANNOTATION) {
                let param = annotation(raw, &members, &node, &names)?;
                path_bytes += param.path.iter().map(String::len).sum::<usize>();
                if path_bytes > MAX_NAME_BYTES {
                    return Err("the names on the way to x-mcp-header are too long");
                }
                if found.iter().any(|known| known.header == param.header) {
                    return Err("x-mcp-header is not unique (names must differ in more than case)");
                }
                if found.len() == MAX_HEADER_PARAMS {
                    return Err("the schema has too many x-mcp-header annotations");
                }
                found.push(param);
            }
            children(&node, &members, &mut names, &mut pending)?;
        } else if let Some(list) = elements(node.raw) {
            pending.extend(list.into_iter().rev().map(|raw| node.below(raw)));
        }
    }
    Ok(found)
}

/// A property's name, and where the one before it stands: each name is kept once, however many lie below it.
struct Name {
    text: String,
    before: Option<usize>,
}

/// A schema, or an array of schemas, that is still to be read.
struct Node<'a> {
    raw: &'a str,
    /// The last property name on the way from the root; only kept while `reachable`.
    path: Option<usize>,
    /// Whether the way from the root leads through `properties` alone.
    reachable: bool,
    /// 1 for the root.
    depth: usize,
}

impl<'a> Node<'a> {
    /// A schema below this one that is not one of its properties.
    fn below(&self, raw: &'a str) -> Self {
        Self {
            raw,
            path: None,
            reachable: false,
            depth: self.depth + 1,
        }
    }

    fn property(&self, name: &str, raw: &'a str, names: &mut Vec<Name>) -> Self {
        let path = self.reachable.then(|| {
            names.push(Name {
                text: name.into(),
                before: self.path,
            });
            names.len() - 1
        });
        Self {
            raw,
            path,
            reachable: self.reachable,
            depth: self.depth + 1,
        }
    }
}

/// Whether raw JSON can hold an annotation: false saves reading it. A `\u` may hide the name.
fn may_annotate(raw: &str) -> bool {
    raw.contains(ANNOTATION) || raw.contains("\\u")
}

fn object(raw: &str) -> Result<Members<'_>, &'static str> {
    let members = Members::parse_up_to(raw, MAX_SCHEMA_MEMBERS)
        .ok_or("the annotated schema has an object with too many members")?;
    if members.has_duplicates() {
        return Err("the annotated schema has an object with a member twice");
    }
    Ok(members)
}

fn annotation(
    raw: &str,
    schema: &Members<'_>,
    node: &Node<'_>,
    names: &[Name],
) -> Result<HeaderParam, &'static str> {
    if !node.reachable || node.path.is_none() {
        return Err("x-mcp-header stands where no chain of properties alone leads");
    }
    let name = string(raw).ok_or("x-mcp-header is not a string")?;
    if name.is_empty() {
        return Err("x-mcp-header is empty");
    }
    if name.len() > MAX_HEADER_NAME_BYTES {
        return Err("x-mcp-header is too long");
    }
    if !is_token(&name) {
        return Err("x-mcp-header is not an RFC 9110 token");
    }
    match schema.string("type").as_deref() {
        Some("string" | "integer" | "boolean") => Ok(HeaderParam {
            header: name.to_ascii_lowercase(),
            path: path(node, names)?,
        }),
        _ => Err("x-mcp-header is on a parameter that is not of type string, integer or boolean"),
    }
}

/// The property names from the root.
fn path(node: &Node<'_>, names: &[Name]) -> Result<Vec<String>, &'static str> {
    let mut path = Vec::new();
    let mut bytes = 0_usize;
    let mut at = node.path;
    while let Some(name) = at.and_then(|at| names.get(at)) {
        bytes += name.text.len();
        if bytes > MAX_NAME_BYTES {
            return Err("the names on the way to x-mcp-header are too long");
        }
        path.push(name.text.clone());
        at = name.before;
    }
    path.reverse();
    Ok(path)
}

/// Whether a name is an RFC 9110 token (§5.6.2), or empty.
pub(crate) fn is_token(name: &str) -> bool {
    name.bytes().all(is_tchar)
}

/// RFC 9110, section 5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Pushes the schemas within a schema, the first one last, so that it is popped first.
fn children<'a>(
    node: &Node<'a>,
    members: &Members<'a>,
    names: &mut Vec<Name>,
    pending: &mut Vec<Node<'a>>,
) -> Result<(), &'static str> {
    let from = pending.len();
    for (keyword, raw) in members.iter() {
        if keyword == "properties" || MAPS.contains(&keyword) {
            if !(is_object(raw) && may_annotate(raw)) {
                continue;
            }
            for (name, schema) in object(raw)?.iter() {
                pending.push(if keyword == "properties" {
                    node.property(name, schema, names)
                } else {
                    node.below(schema)
                });
            }
        } else if SCHEMAS.contains(&keyword) {
            pending.push(node.below(raw));
        }
    }
    if let Some(added) = pending.get_mut(from..) {
        added.reverse();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// An object schema with these properties.
    fn schema(properties: &str) -> String {
        format!(r#"{{"type":"object","properties":{{{properties}}}}}"#)
    }

    fn error(properties: &str) -> &'static str {
        annotations(&schema(properties)).unwrap_err()
    }

    #[test]
    fn finds_annotations_at_any_depth_in_order() {
        let found = annotations(&schema(
            r#""region":{"type":"string","x-mcp-header":"Region"},
               "query":{"type":"string"},
               "options":{"type":"object","properties":{
                   "limit":{"x-mcp-header":"Max-Limit","type":"integer"},
                   "deep":{"properties":{"on":{"type":"boolean","x-mcp-header":"on!"}}}}},
               "last":{"type":"string","x-mcp-\u0068eader":"Last"}"#,
        ))
        .unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|p| (p.header.as_str(), p.path.join(".")))
            .collect();
        assert_eq!(
            shown,
            [
                ("region", "region".into()),
                ("max-limit", "options.limit".into()),
                ("on!", "options.deep.on".into()),
                ("last", "last".into()),
            ]
        );
    }

    #[test]
    fn a_schema_without_annotations_has_none() {
        for text in [
            r#"{"type":"object"}"#,
            "{}",
            "true",
            "null",
            r#"{"properties":{"x-mcp-header":{"type":"object"}}}"#,
            r#"{"properties":{"a":{"type":"string","default":{"x-mcp-header":"A"},"examples":[{"x-mcp-header":""}]}}}"#,
            r#"{"properties":true,"a":"x-mcp-header"}"#,
            r#"{"x-other":{"x-mcp-header":"A"}}"#,
        ] {
            assert_eq!(annotations(text), Ok(Vec::new()), "{text}");
        }
    }

    /// The cases of the conformance scenario `http-invalid-tool-headers`, and neighbours.
    #[test]
    fn refuses_bad_names_and_types() {
        for name in [
            "My Region",
            "Region:Primary",
            "Région",
            "Region\\t1",
            "a\\r\\nb",
            "a/b",
            "a,b",
        ] {
            let text = format!(r#""v":{{"type":"string","x-mcp-header":"{name}"}}"#);
            assert_eq!(error(&text), "x-mcp-header is not an RFC 9110 token", "{name}");
        }
        assert_eq!(
            error(r#""v":{"type":"string","x-mcp-header":""}"#),
            "x-mcp-header is empty"
        );
        for value in ["null", "1", "true", "{}", "[\"A\"]"] {
            let text = format!(r#""v":{{"type":"string","x-mcp-header":{value}}}"#);
            assert_eq!(error(&text), "x-mcp-header is not a string", "{value}");
        }
        for kind in [
            r#""type":"object","#,
            r#""type":"array","items":{"type":"string"},"#,
            r#""type":"null","#,
            r#""type":"number","#,
            r#""type":["string","null"],"#,
            r#""enum":["a"],"#,
            "",
        ] {
            let text = format!(r#""v":{{{kind}"x-mcp-header":"A"}}"#);
            assert!(error(&text).contains("not of type string"), "{kind}");
        }
    }

    #[test]
    fn refuses_names_that_differ_only_in_case() {
        for second in ["MyField", "myfield", "MYFIELD"] {
            let text = format!(
                r#""a":{{"type":"string","x-mcp-header":"MyField"}},"b":{{"properties":{{"c":{{"type":"string","x-mcp-header":"{second}"}}}}}}"#
            );
            assert!(error(&text).contains("not unique"), "{second}");
        }
    }

    #[test]
    fn refuses_annotations_that_properties_alone_do_not_reach() {
        let leaf = r#"{"type":"string","x-mcp-header":"A"}"#;
        let unreachable = "x-mcp-header stands where no chain of properties alone leads";
        for keyword in SCHEMAS {
            for value in [
                leaf.into(),
                format!("[true,{leaf}]"),
                schema(&format!(r#""a":{leaf}"#)),
            ] {
                let text = format!(r#"{{"{keyword}":{value}}}"#);
                assert_eq!(annotations(&text), Err(unreachable), "{text}");
            }
        }
        for keyword in MAPS {
            let text = format!(r#"{{"{keyword}":{{"b":true,"a":{leaf}}}}}"#);
            assert_eq!(annotations(&text), Err(unreachable), "{text}");
        }
        assert_eq!(annotations(leaf), Err(unreachable));
        assert_eq!(
            error(&format!(r#""l":{{"type":"array","items":{leaf}}}"#)),
            unreachable
        );
    }

    #[test]
    fn refuses_ambiguous_members() {
        let twice = r#""a":{"type":"string","type":"object","x-mcp-header":"A"}"#;
        assert_eq!(
            error(twice),
            "the annotated schema has an object with a member twice"
        );
        let twice = r#""a":{"type":"string","x-mcp-header":"A"},"a":{}"#;
        assert_eq!(
            error(twice),
            "the annotated schema has an object with a member twice"
        );
    }

    #[test]
    fn holds_the_limits() {
        let many = |n: usize| {
            let all = (0..n).map(|i| format!(r#""p{i}":{{"type":"string","x-mcp-header":"h{i}"}}"#));
            schema(&all.collect::<Vec<_>>().join(","))
        };
        assert_eq!(
            annotations(&many(MAX_HEADER_PARAMS)).unwrap().len(),
            MAX_HEADER_PARAMS
        );
        assert!(
            annotations(&many(MAX_HEADER_PARAMS + 1))
                .unwrap_err()
                .contains("too many x-mcp-header")
        );

        let named = |n: usize| {
            schema(&format!(
                r#""a":{{"type":"string","x-mcp-header":"{}"}}"#,
                "h".repeat(n)
            ))
        };
        assert!(annotations(&named(MAX_HEADER_NAME_BYTES)).is_ok());
        assert_eq!(
            annotations(&named(MAX_HEADER_NAME_BYTES + 1)),
            Err("x-mcp-header is too long")
        );

        let deep = |n: usize| {
            let leaf = r#"{"type":"string","x-mcp-header":"A"}"#.into();
            (1..n).fold(leaf, |inner: String, _| schema(&format!(r#""a":{inner}"#)))
        };
        assert_eq!(annotations(&deep(MAX_DEPTH)).unwrap().len(), 1);
        assert!(
            annotations(&deep(MAX_DEPTH + 1))
                .unwrap_err()
                .contains("too deeply")
        );

        let wide = |n: usize| {
            let plain = (1..n)
                .map(|i| format!(r#""p{i}":true"#))
                .collect::<Vec<_>>()
                .join(",");
            schema(&format!(r#"{plain},"a":{{"type":"string","x-mcp-header":"A"}}"#))
        };
        assert!(annotations(&wide(MAX_SCHEMA_MEMBERS)).is_ok());
        assert!(
            annotations(&wide(MAX_SCHEMA_MEMBERS + 1))
                .unwrap_err()
                .contains("too many members")
        );
    }
}
