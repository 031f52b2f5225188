//! What a refusal says of how to do better: the `WWW-Authenticate` header (RFC 9110, section 11.6.1; RFC 6750,
//! section 3; RFC 9449, section 7.1; RFC 9728, section 5.1).
//!
//! Untrusted text is safe: the work is linear in it, and what cannot be read ends the reading; what came before it
//! counts.

use alloc::string::String;

use super::scopes::Scopes;

/// What the `Bearer` and `DPoP` challenges of a refusal say together; of a parameter that is there twice, the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// `error`, such as `insufficient_scope`.
    pub(crate) error: Option<String>,
    /// The scopes that this request needs.
    pub(crate) scopes: Option<Scopes>,
    /// Where the metadata of the resource is.
    pub(crate) resource_metadata: Option<String>,
}

impl Challenge {
    /// Reads a header, or several joined by commas.
    pub(crate) fn read(header: &str) -> Self {
        let mut found = Self::default();
        let mut rest = header;
        let mut ours = false;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let name = token(&mut rest);
            if name.is_empty() {
                return found;
            }
            let Some(value) = rest.trim_start_matches([' ', '\t']).strip_prefix('=') else {
                ours = name.eq_ignore_ascii_case("bearer") || name.eq_ignore_ascii_case("dpop");
                continue;
            };
            rest = value.trim_start_matches([' ', '\t']);
            let Some(value) = value_of(&mut rest) else {
                return found;
            };
            if ours && !value.is_empty() {
                found.take(name, value);
            }
        }
    }

    fn take(&mut self, name: &str, value: String) {
        let first = |slot: &mut Option<String>, value| {
            slot.get_or_insert(value);
        };
        if name.eq_ignore_ascii_case("error") {
            first(&mut self.error, value);
        } else if name.eq_ignore_ascii_case("resource_metadata") {
            first(&mut self.resource_metadata, value);
        } else if name.eq_ignore_ascii_case("scope") && self.scopes.is_none() {
            self.scopes = Some(Scopes::read(&value)).filter(|scopes| !scopes.is_empty());
        }
    }

    /// Whether what was refused was refused for want of scopes (RFC 6750, section 3.1).
    pub(crate) fn wants_scopes(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

/// Takes a token (RFC 9110, section 5.6.2); empty if there is none.
fn token<'a>(rest: &mut &'a str) -> &'a str {
    let is_sign = |c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
    let end = rest.find(is_sign).unwrap_or(rest.len());
    let (token, after) = rest.split_at_checked(end).unwrap_or_default();
    *rest = after;
    token
}

/// Takes the value of a parameter, or the end of a `token68`, which is empty here. `None` if it does not end.
fn value_of(rest: &mut &str) -> Option<String> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let value = token(rest);
        let end = rest.find(',').unwrap_or(rest.len());
        let (junk, after) = rest.split_at_checked(end)?;
        let whole = junk.bytes().all(|byte| matches!(byte, b' ' | b'\t'));
        *rest = after;
        return Some(if whole { value.into() } else { String::new() });
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => {
                *rest = chars.as_str();
                return Some(value);
            }
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(error: &str, scopes: &str, metadata: &str) -> Challenge {
        let some = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
        Challenge {
            error: some(error),
            scopes: Some(Scopes::read(scopes)).filter(|scopes| !scopes.is_empty()),
            resource_metadata: some(metadata),
        }
    }

    #[test]
    fn reads_what_servers_say() {
        const URL: &str = "https://a/.well-known/oauth-protected-resource";
        let cases = [
            ("", challenge("", "", "")),
            ("Bearer", challenge("", "", "")),
            (
                r#"Bearer resource_metadata="https://a/.well-known/oauth-protected-resource", scope="files:read""#,
                challenge("", "files:read", URL),
            ),
            (
                r#"Bearer error="insufficient_scope",   scope="a b",resource_metadata="https://a/.well-known/oauth-protected-resource", error_description="say \"please\", once""#,
                challenge("insufficient_scope", "a b", URL),
            ),
            (
                "bearer ERROR=invalid_token ,Scope = x",
                challenge("invalid_token", "x", ""),
            ),
            // Two challenges, two headers joined, or schemes of others before ours.
            (
                r#"Bearer, DPoP algs="ES256", error="use_dpop_nonce""#,
                challenge("use_dpop_nonce", "", ""),
            ),
            (
                r#"Basic realm="scope=\"no\"", scope="no", Bearer scope="yes", Digest scope="no""#,
                challenge("", "yes", ""),
            ),
            (
                r#"Negotiate a87421000492aa874209af8bc028==, Bearer scope="x""#,
                challenge("", "x", ""),
            ),
            (r#"Negotiate a8/742, Bearer scope="x""#, challenge("", "", "")),
            (
                r#"Bearer scope="first", scope="second""#,
                challenge("", "first", ""),
            ),
            // What cannot be read ends the reading.
            (r#"Bearer error="e", scope="a"#, challenge("e", "", "")),
            (r#"Bearer error="e", scope="a\"#, challenge("e", "", "")),
            (r#"Bearer error="e", @, scope="a""#, challenge("e", "", "")),
            ("Bearer error=a b, scope=c", challenge("", "c", "")),
            ("Bearer error=\"é\", scope=\"é \"", challenge("é", "", "")),
            ("<html>", challenge("", "", "")),
        ];
        for (header, expected) in cases {
            assert_eq!(Challenge::read(header), expected, "{header}");
        }
    }

    #[test]
    fn no_text_makes_it_panic_or_hang() {
        let text = r#"Bearer a="\"é", b==,,=c  "d", Basic e"#;
        for from in 0..text.len() {
            for to in from..=text.len() {
                if let Some(part) = text.get(from..to) {
                    Challenge::read(part);
                }
            }
        }
    }
}
