//! What a server may ask of its client in the middle of a request: sampling, elicitation and roots, as requests on
//! the request's stream (2025-11-25, Client Features) or as the `inputRequests` of an `input_required` result
//! (2026-07-28, Patterns, Multi Round-Trip Requests). The requests and their results have one shape in both.

use alloc::format;
use alloc::string::String;

use super::meta::push_member;
use crate::json::{Members, is_object, string};

/// `sampling/createMessage`.
pub const SAMPLING: &str = "sampling/createMessage";
/// `elicitation/create`.
pub const ELICITATION: &str = "elicitation/create";
/// `roots/list`.
pub const ROOTS: &str = "roots/list";

/// One request of a server to its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequest {
    /// Names it among those asked together.
    pub key: String,
    /// [`SAMPLING`], [`ELICITATION`] or [`ROOTS`].
    pub method: String,
    /// Raw object; empty if there is none.
    pub params: String,
}

/// What a client declared that it may be asked (2025-11-25, Schema, `ClientCapabilities`; 2026-07-28, the same).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs(u8);

const LIST_ROOTS: u8 = 1;
const SAMPLE: u8 = 1 << 1;
const SAMPLE_CONTEXT: u8 = 1 << 2;
const SAMPLE_TOOLS: u8 = 1 << 3;
const FORM: u8 = 1 << 4;
const URL: u8 = 1 << 5;

/// Capabilities, members of them, and the bit for each.
const DECLARED: [(&str, &str, u8); 6] = [
    ("roots", "", LIST_ROOTS),
    ("sampling", "", SAMPLE),
    ("sampling", "context", SAMPLE_CONTEXT),
    ("sampling", "tools", SAMPLE_TOOLS),
    ("elicitation", "form", FORM),
    ("elicitation", "url", URL),
];

impl Inputs {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Reads a raw `ClientCapabilities` object; what is not understood is not declared.
    #[must_use]
    pub fn of(capabilities: &str) -> Self {
        let all = Members::parse(capabilities).unwrap_or_default();
        let members = |name| all.raw(name).and_then(Members::parse);
        let mut bits = 0;
        for (name, inner, bit) in DECLARED {
            let declared =
                |members: Members<'_>| inner.is_empty() || members.raw(inner).is_some_and(is_object);
            if members(name).is_some_and(declared) {
                bits |= bit;
            }
        }
        // An empty object means forms (2025-11-25, Elicitation, Capabilities).
        if bits & (FORM | URL) == 0 && members("elicitation").is_some() {
            bits |= FORM;
        }
        Self(bits)
    }

    /// The same as a raw `ClientCapabilities` object.
    #[must_use]
    pub fn to_json(self) -> String {
        let mut out = String::new();
        for capability in ["roots", "sampling", "elicitation"] {
            let mut inside = None;
            for (name, inner, bit) in DECLARED {
                if name == capability && self.0 & bit != 0 {
                    let inside = inside.get_or_insert_with(String::new);
                    if !inner.is_empty() {
                        push_member(inside, inner, "{}");
                    }
                }
            }
            if let Some(inside) = inside {
                push_member(&mut out, capability, &format!("{{{inside}}}"));
            }
        }
        format!("{{{out}}}")
    }

    /// A number that tells two apart.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether a request with these raw `params` may be put to the client.
    #[must_use]
    pub fn allow(self, method: &str, params: &str) -> bool {
        let bit = match method {
            SAMPLING => SAMPLE,
            ROOTS => LIST_ROOTS,
            ELICITATION => match Members::parse(params).and_then(|params| params.raw("mode")) {
                Some(mode) if string(mode).as_deref() != Some("form") => URL,
                _ => FORM,
            },
            _ => return false,
        };
        self.0 & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declares_what_was_declared_and_no_more() {
        for (given, kept) in [
            ("{}", "{}"),
            ("[]", "{}"),
            (r#"{"tasks":{},"roots":{"listChanged":true}}"#, r#"{"roots":{}}"#),
            (
                r#"{"elicitation":{"url":{},"form":{}},"sampling":{"tools":{},"x":{}}}"#,
                r#"{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}"#,
            ),
            (r#"{"elicitation":{}}"#, r#"{"elicitation":{"form":{}}}"#),
            (r#"{"elicitation":{"url":{}}}"#, r#"{"elicitation":{"url":{}}}"#),
            (r#"{"sampling":true,"elicitation":null,"roots":[]}"#, "{}"),
        ] {
            assert_eq!(Inputs::of(given).to_json(), kept, "{given}");
            assert_eq!(Inputs::of(kept), Inputs::of(given), "{given}");
        }
    }

    #[test]
    fn allows_what_was_declared() {
        let all = Inputs::of(r#"{"roots":{},"sampling":{},"elicitation":{"form":{},"url":{}}}"#);
        let url = Inputs::of(r#"{"elicitation":{"url":{}}}"#);
        for (method, params, by_all, by_url) in [
            (ROOTS, "", true, false),
            (SAMPLING, "{}", true, false),
            (ELICITATION, "{}", true, false),
            (ELICITATION, r#"{"mode":"form"}"#, true, false),
            (ELICITATION, r#"{"mode":"url"}"#, true, true),
            ("tools/call", "{}", false, false),
        ] {
            let allowed = (all.allow(method, params), url.allow(method, params));
            assert_eq!(allowed, (by_all, by_url), "{method} {params}");
            assert!(!Inputs::NONE.allow(method, params));
        }
    }
}
