//! HTTP headers that mirror the body (2026-07-28, Transports, Streamable HTTP, Request Metadata; SEP-2243):
//! `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*`.
//!
//! `annotations` reads which arguments a tool wants mirrored, `encoding` is the form of a value, `decimal`
//! compares numbers. This file writes the headers of a request to an authority ([`mirror`]) and checks those of an
//! agent's ([`check_standard`], [`check_params`]). It knows no methods: which of them has an `Mcp-Name`, and that
//! notifications are exempt, the caller decides. Headers and arguments may be hostile; work is linear in them.

mod annotations;
mod decimal;
mod encoding;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Code, Error};
use crate::json::{Members, string};
use crate::mcp::names::{HEADER_METHOD, HEADER_NAME, HEADER_PARAM, HEADER_VERSION};
use crate::policy::suggest::excerpt;
use decimal::Decimal;

pub use annotations::annotations;
pub(crate) use annotations::is_token;
pub use encoding::{decode, encode};

/// One `x-mcp-header` annotation of a tool's `inputSchema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderParam {
    /// What follows `mcp-param-`, lower case; an RFC 9110 token.
    pub header: String,
    /// Where the argument stands: property names from the root; at least one.
    pub path: Vec<String>,
}

/// The `Mcp-Param-*` headers (names lower case, values encoded) for raw arguments.
///
/// No header comes of an argument that is absent or null, that is an object or an array, or that is an integer
/// beyond ±(2^53 - 1) (2026-07-28, Schema Extension: integers must be within that range). Integers are written in
/// plain decimal form (`4.2e1` as `42`); other numbers, which no valid annotation admits, as the token they are.
/// `arguments` that are no object have no members. Where a member stands twice, the last one counts.
#[must_use]
pub fn mirror(params: &[HeaderParam], arguments: &str) -> Vec<(String, String)> {
    let Some(root) = root(params, arguments) else {
        return Vec::new();
    };
    params
        .iter()
        .filter_map(|param| {
            let text = Argument::of(&root, &param.path)?.text?;
            Some((format!("{HEADER_PARAM}{}", param.header), encode(&text)))
        })
        .collect()
}

/// Checks the `Mcp-Param-*` headers of a request against its arguments.
///
/// Each argument that [`mirror`] would send must have its header, with an equal value after decoding; numbers are
/// compared as numbers (`42.0` is 42; 2026-07-28, Server Validation). Where no header is expected, one that is
/// there is not compared, but must be decodable all the same (Server Behavior for Custom Headers). Headers that no
/// annotation names are not looked at.
///
/// # Errors
/// `header_mismatch` with `data.header`: missing, different from the argument, undecodable, or there several times
/// with different values. The message does not show the values, which may be private.
pub fn check_params(
    params: &[HeaderParam],
    arguments: &str,
    headers: &[(String, String)],
) -> Result<(), Error> {
    let root = root(params, arguments);
    for param in params {
        let name = format!("{HEADER_PARAM}{}", param.header);
        let value = single(headers, &name)?;
        let decoded = match value {
            Some(value) => Some(decode(value).ok_or_else(|| undecodable(&name))?),
            None => None,
        };
        let argument = root.as_ref().and_then(|root| Argument::of(root, &param.path));
        let Some(argument) = argument else { continue };
        match decoded {
            None if argument.text.is_some() => {
                return Err(mismatch(
                    &name,
                    &format!("{name} is missing; the body has its argument"),
                ));
            }
            Some(decoded) if !argument.equals(&decoded) => {
                return Err(mismatch(
                    &name,
                    &format!("{name} differs from its argument in the body"),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` against the body of a request (2026-07-28, Standard
/// Request Headers, Server Validation).
///
/// `version` is the body's `_meta` version, `name` its `params.name` or `params.uri`, or `None` for a method that has
/// no `Mcp-Name`; such a header is then not looked at. Header names are compared without regard to case, values
/// exactly, without the white space around them (RFC 9110, section 5.5); `Mcp-Name` is decoded before.
///
/// # Errors
/// `header_mismatch` with `data.header`: missing, different, undecodable, or there several times with different
/// values. The first of the three that is wrong is reported.
pub fn check_standard(
    headers: &[(String, String)],
    version: &str,
    method: &str,
    name: Option<&str>,
) -> Result<(), Error> {
    check_plain(headers, HEADER_VERSION, version)?;
    check_plain(headers, HEADER_METHOD, method)?;
    let Some(name) = name else { return Ok(()) };
    let value = single(headers, HEADER_NAME)?.ok_or_else(|| missing(HEADER_NAME))?;
    let decoded = decode(value).ok_or_else(|| undecodable(HEADER_NAME))?;
    equal(HEADER_NAME, &decoded, name)
}

fn check_plain(headers: &[(String, String)], name: &str, body: &str) -> Result<(), Error> {
    let value = single(headers, name)?.ok_or_else(|| missing(name))?;
    equal(name, value, body)
}

fn equal(name: &str, value: &str, body: &str) -> Result<(), Error> {
    if value == body {
        return Ok(());
    }
    let (value, body) = (excerpt(value), excerpt(body));
    Err(mismatch(
        name,
        &format!(r#"{name} is "{value}", but the body has "{body}""#),
    ))
}

/// The value of a header without white space around it, if it is there; an error if it has several values.
fn single<'a>(headers: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Error> {
    let mut values = headers
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| encoding::trim(value));
    let first = values.next();
    if values.any(|other| Some(other) != first) {
        return Err(mismatch(
            name,
            &format!("{name} is there several times, with different values"),
        ));
    }
    Ok(first)
}

fn missing(name: &str) -> Error {
    mismatch(name, &format!("{name} is missing"))
}

fn undecodable(name: &str) -> Error {
    mismatch(
        name,
        &format!("{name} has invalid characters or is not strict base64 of UTF-8"),
    )
}

fn mismatch(name: &str, message: &str) -> Error {
    Error::new(Code::HeaderMismatch, format!("header mismatch: {message}")).with("header", name)
}

/// The arguments, if they are an object and anybody asks.
fn root<'a>(params: &[HeaderParam], arguments: &'a str) -> Option<Members<'a>> {
    if params.is_empty() {
        return None;
    }
    Members::parse_up_to(arguments, usize::MAX)
}

/// An argument that is neither absent nor null.
struct Argument<'a> {
    raw: &'a str,
    /// What its header says, before encoding; `None` if it gets no header.
    text: Option<Cow<'a, str>>,
    number: Option<Decimal>,
}

impl<'a> Argument<'a> {
    fn of(root: &Members<'a>, path: &[String]) -> Option<Self> {
        let (first, rest) = path.split_first()?;
        let mut raw = root.raw(first)?;
        for name in rest {
            raw = Members::parse_up_to(raw, usize::MAX)?.raw(name)?;
        }
        let raw = raw.trim();
        let number = Decimal::parse(raw);
        let text = match raw.bytes().next()? {
            b'n' => return None,
            b'"' => string(raw),
            b't' | b'f' => Some(Cow::Borrowed(raw)),
            _ => number.as_ref().and_then(|number| {
                if number.is_integer() {
                    number.safe_integer().map(Cow::Owned)
                } else {
                    Some(Cow::Borrowed(raw))
                }
            }),
        };
        Some(Self { raw, text, number })
    }

    fn equals(&self, decoded: &str) -> bool {
        if let Some(number) = &self.number {
            return decoded == self.raw
                || (decimal::is_plain(decoded) && Decimal::parse(decoded).as_ref() == Some(number));
        }
        // An object or array has no text: nothing to compare with.
        self.text.as_ref().is_none_or(|text| text == decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(list: &[(&str, &[&str])]) -> Vec<HeaderParam> {
        list.iter()
            .map(|(header, path)| HeaderParam {
                header: (*header).into(),
                path: path.iter().map(|name| (*name).into()).collect(),
            })
            .collect()
    }

    fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    /// Checks one annotated argument against one header.
    fn check(argument: &str, value: Option<&str>) -> Result<(), Error> {
        let list: Vec<_> = value.into_iter().map(|value| ("Mcp-Param-A", value)).collect();
        check_params(
            &params(&[("a", &["v"])]),
            &format!(r#"{{"v":{argument}}}"#),
            &headers(&list),
        )
    }

    #[test]
    fn mirrors_primitive_arguments() {
        let arguments = r#"{ "s" : "us-west1", "n": 42, "neg":-7.0, "big": 1e3, "f": 3.14159, "t": true, "u":false,
            "e": "", "w": " padded ", "z": null, "o": {"deep": {"x": "é"}, "a": [1]} , "unsafe": 9007199254740992 }"#;
        let all = params(&[
            ("s", &["s"]),
            ("n", &["n"]),
            ("neg", &["neg"]),
            ("big", &["big"]),
            ("f", &["f"]),
            ("t", &["t"]),
            ("u", &["u"]),
            ("e", &["e"]),
            ("w", &["w"]),
            ("z", &["z"]),
            ("x", &["o", "deep", "x"]),
            ("o", &["o"]),
            ("arr", &["o", "a"]),
            ("unsafe", &["unsafe"]),
            ("absent", &["absent"]),
            ("through-null", &["z", "a"]),
            ("through-string", &["s", "a"]),
        ]);
        assert_eq!(
            mirror(&all, arguments),
            headers(&[
                ("mcp-param-s", "us-west1"),
                ("mcp-param-n", "42"),
                ("mcp-param-neg", "-7"),
                ("mcp-param-big", "1000"),
                ("mcp-param-f", "3.14159"),
                ("mcp-param-t", "true"),
                ("mcp-param-u", "false"),
                ("mcp-param-e", "=?base64??="),
                ("mcp-param-w", "=?base64?IHBhZGRlZCA=?="),
                ("mcp-param-x", "=?base64?w6k=?="),
            ])
        );
        assert!(check_params(&all, arguments, &mirror(&all, arguments)).is_ok());
    }

    #[test]
    fn arguments_that_are_no_object_mirror_nothing() {
        for arguments in ["", "null", "[]", "1", "{"] {
            assert!(mirror(&params(&[("a", &["v"])]), arguments).is_empty());
            assert!(check_params(&params(&[("a", &["v"])]), arguments, &[]).is_ok());
        }
        assert!(mirror(&params(&[("a", &[])]), r#"{"v":1}"#).is_empty());
    }

    #[test]
    fn mirrors_among_more_members_than_an_envelope_may_have() {
        let wide = (0..1000)
            .map(|n| format!(r#""k{n}":{n}"#))
            .collect::<Vec<_>>()
            .join(",");
        let found = mirror(&params(&[("a", &["k999"])]), &format!("{{{wide}}}"));
        assert_eq!(found, headers(&[("mcp-param-a", "999")]));
    }

    #[test]
    fn accepts_equal_values() {
        for (argument, value) in [
            (r#""Hello""#, "Hello"),
            (r#""Hello""#, "  Hello\t"),
            (r#""Hello""#, "=?base64?SGVsbG8=?="),
            (r#""SGVsbG8=""#, "SGVsbG8="),
            (r#""=?base64?SGVsbG8=""#, "=?base64?SGVsbG8="),
            (r#""\u00e9""#, "=?base64?w6k=?="),
            (r#""""#, ""),
            (r#""""#, "=?base64??="),
            ("42", "42"),
            ("42", "42.0"),
            ("42.0", "42"),
            ("4.2e1", "42"),
            ("4.2e1", "4.2e1"),
            ("42", "=?base64?NDI=?="),
            ("-0", "0"),
            ("true", "true"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert!(check(argument, Some(value)).is_ok(), "{argument} {value}");
        }
    }

    #[test]
    fn refuses_different_values() {
        for (argument, value) in [
            (r#""Hello""#, "hello"),
            (r#""Hello""#, ""),
            (r#""42""#, "42.0"),
            (r#"" padded ""#, " padded "),
            ("42", "43"),
            ("42", "4.2e1"),
            ("42", "forty-two"),
            ("42", ""),
            ("9007199254740993", "9007199254740992"),
            ("true", "True"),
            ("false", "0"),
        ] {
            let error = check(argument, Some(value)).unwrap_err();
            assert_eq!(error.code, Code::HeaderMismatch, "{argument} {value}");
            assert_eq!(
                error.message,
                "header mismatch: mcp-param-a differs from its argument in the body"
            );
            assert_eq!(error.data, r#""header":"mcp-param-a""#);
        }
    }

    #[test]
    fn refuses_a_missing_header_whose_argument_is_there() {
        for argument in [r#""x""#, r#""""#, "0", "false", "1.5"] {
            let error = check(argument, None).unwrap_err();
            assert_eq!(
                error.message,
                "header mismatch: mcp-param-a is missing; the body has its argument"
            );
        }
        for argument in ["null", "{}", "[1]", "9007199254740992"] {
            assert!(check(argument, None).is_ok(), "{argument}");
        }
    }

    #[test]
    fn refuses_undecodable_headers_even_where_none_is_expected() {
        for argument in [r#""Hello""#, "null", "{}"] {
            for value in ["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?=", "a\u{1}", "é"] {
                let error = check(argument, Some(value)).unwrap_err();
                assert!(error.message.contains("not strict base64"), "{argument} {value}");
            }
        }
        assert!(check("null", Some("anything")).is_ok());
        assert!(check("[]", Some("anything")).is_ok());
    }

    #[test]
    fn unknown_headers_are_nobodys_business() {
        let stray = headers(&[("mcp-param-b", "=?base64?!?="), ("mcp-param-a", "1")]);
        assert!(check_params(&params(&[("a", &["v"])]), r#"{"v":1}"#, &stray).is_ok());
        assert!(check_params(&[], r#"{"v":1}"#, &stray).is_ok());
    }

    #[test]
    fn repeated_headers_must_agree() {
        let of = |a, b| headers(&[("mcp-param-a", a), ("MCP-PARAM-A", b)]);
        let one = params(&[("a", &["v"])]);
        assert!(check_params(&one, r#"{"v":"x"}"#, &of("x", " x ")).is_ok());
        let error = check_params(&one, r#"{"v":"x"}"#, &of("x", "y")).unwrap_err();
        assert!(error.message.contains("several times"));
    }

    fn standard(list: &[(&str, &str)], name: Option<&str>) -> Result<(), Error> {
        check_standard(&headers(list), "2026-07-28", "tools/call", name)
    }

    const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    const METHOD: (&str, &str) = ("Mcp-Method", " tools/call\t");

    #[test]
    fn standard_headers_that_agree_are_accepted() {
        assert!(standard(&[VERSION, METHOD, ("MCP-NAME", "  greet  ")], Some("greet")).is_ok());
        assert!(standard(&[VERSION, METHOD, ("mcp-name", "=?base64?w6k=?=")], Some("é")).is_ok());
        assert!(
            standard(
                &[METHOD, METHOD, VERSION, ("mcp-name", "a"), ("mcp-name", "a ")],
                Some("a")
            )
            .is_ok()
        );
        assert!(standard(&[VERSION, METHOD], None).is_ok());
        assert!(standard(&[VERSION, METHOD, ("mcp-name", "é")], None).is_ok());
    }

    #[test]
    fn standard_headers_that_are_missing_or_differ_are_refused() {
        for (list, header, message) in [
            (
                &[METHOD][..],
                "mcp-protocol-version",
                "mcp-protocol-version is missing",
            ),
            (&[VERSION], "mcp-method", "mcp-method is missing"),
            (&[VERSION, METHOD], "mcp-name", "mcp-name is missing"),
            (
                &[("mcp-protocol-version", "2025-11-25"), METHOD],
                "mcp-protocol-version",
                r#"mcp-protocol-version is "2025-11-25", but the body has "2026-07-28""#,
            ),
            (
                &[VERSION, ("mcp-method", "TOOLS/CALL")],
                "mcp-method",
                r#"mcp-method is "TOOLS/CALL", but the body has "tools/call""#,
            ),
            (
                &[VERSION, ("mcp-method", "=?base64?dG9vbHMvY2FsbA==?=")],
                "mcp-method",
                r#"mcp-method is "=?base64?dG9vbHMvY2FsbA==?=", but the body has "tools/call""#,
            ),
            (
                &[VERSION, METHOD, ("mcp-name", "Greet")],
                "mcp-name",
                r#"mcp-name is "Greet", but the body has "greet""#,
            ),
            (
                &[VERSION, METHOD, ("mcp-name", "=?base64?Z3JlZXQ?=")],
                "mcp-name",
                "mcp-name has invalid characters or is not strict base64 of UTF-8",
            ),
            (
                &[VERSION, METHOD, ("mcp-name", "greet"), ("mcp-name", "other")],
                "mcp-name",
                "mcp-name is there several times, with different values",
            ),
            (
                &[VERSION, ("mcp-method", "tools/list"), METHOD],
                "mcp-method",
                "mcp-method is there several times, with different values",
            ),
        ] {
            let error = standard(list, Some("greet")).unwrap_err();
            assert_eq!(error.code, Code::HeaderMismatch);
            assert_eq!(error.message, format!("header mismatch: {message}"));
            assert_eq!(error.data, format!(r#""header":"{header}""#));
        }
    }
}
