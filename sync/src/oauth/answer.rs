//! What an authorization server answers: tokens, errors, registrations, and what the user brings back.
//!
//! Untrusted text is safe: its size is bounded by the reader, and values that would be no header, URL or form field
//! are refused.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::config::oauth::AuthMethod;
use leeward::json::{Members, string, unsigned};
use leeward::limits::MAX_TOKEN_BYTES;

use super::Scheme;
use super::scopes::Scopes;
use crate::flow::Secret;
use crate::limits::{MAX_CALLBACK_BYTES, MAX_PUBLISHED_BYTES, MAX_TOKEN_LIFE};
use crate::trouble::{Trouble, cut_text};

/// A token response (RFC 6749, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: Secret,
    pub(crate) scheme: Scheme,
    /// For how long it is good, in seconds, at most [`MAX_TOKEN_LIFE`]; `None` if the server does not say, or not in
    /// a way that can be read.
    pub(crate) life: Option<u64>,
    pub(crate) refresh: Option<Secret>,
    /// Those granted; `None`: those asked for.
    pub(crate) scopes: Option<Scopes>,
}

impl Tokens {
    /// Reads the body of a successful response.
    pub(crate) fn read(text: &str) -> Result<Self, Trouble> {
        let unfit =
            |what| invalid("the authorization server's token response is not valid").with_detail(what);
        let members = Members::parse(text)
            .filter(|members| !members.has_duplicates())
            .ok_or_else(|| unfit("no JSON object, or a member twice"))?;
        let token = |name| match members.raw(name) {
            None | Some("null") => Ok(None),
            Some(raw) => string(raw)
                .filter(|token| is_token(token))
                .map(|token| Some(Secret(token.into_owned())))
                .ok_or_else(|| unfit(name)),
        };
        let kind = members.string("token_type").unwrap_or_default();
        let scheme = Scheme::of(&kind).ok_or_else(|| unfit("token_type"))?;
        let scopes = members.string("scope");
        Ok(Self {
            access: token("access_token")?.ok_or_else(|| unfit("access_token"))?,
            scheme,
            life: members
                .raw("expires_in")
                .and_then(|raw| unsigned(raw).or_else(|| string(raw)?.parse().ok()))
                // One that is over before it begins says nothing: the authority does.
                .filter(|life| *life > 0)
                .map(|life| life.min(MAX_TOKEN_LIFE)),
            refresh: token("refresh_token")?.filter(|token| !token.0.is_empty()),
            scopes: scopes
                .map(|list| Scopes::read(&list))
                .filter(|scopes| !scopes.is_empty()),
        })
    }
}

/// What can be a header value after a scheme (RFC 6750, section 2.1, and more).
fn is_token(text: &str) -> bool {
    text.len() <= MAX_TOKEN_BYTES && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An error response (RFC 6749, section 5.2; RFC 7591, section 3.2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `error`; empty if the body has none.
    pub(crate) error: String,
    /// It and its description, for the log.
    pub(crate) detail: String,
}

impl Refusal {
    /// Reads the body of a response that is no success.
    pub(crate) fn read(status: u16, text: &str) -> Self {
        let members = Members::parse(text).unwrap_or_default();
        let error = members.string("error").unwrap_or_default();
        let description = members.string("error_description").unwrap_or_default();
        Self {
            detail: cut_text(&alloc::format!("HTTP status {status} {error} {description}")),
            error: cut_text(&error),
        }
    }
}

/// A registered client (RFC 7591, section 3.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) method: AuthMethod,
    /// Until when the secret is good, in seconds since the Unix epoch; 0 for ever.
    pub(crate) expires: u64,
}

impl Registered {
    /// Reads the body of a successful response. `asked`: the method that was asked for.
    pub(crate) fn read(text: &str, asked: AuthMethod) -> Option<Self> {
        let members = Members::parse(text).filter(|members| !members.has_duplicates())?;
        let id = members.string("client_id").filter(|id| is_field(id))?;
        let secret = match members.raw("client_secret") {
            None | Some("null") => None,
            Some(raw) => Some(Secret(string(raw).filter(|text| is_field(text))?.into_owned())),
        };
        let method = match members.string("token_endpoint_auth_method") {
            Some(name) => AuthMethod::of(&name)?,
            None => asked,
        };
        let possible = match method {
            AuthMethod::None => true,
            AuthMethod::Basic | AuthMethod::Post => secret.is_some(),
            AuthMethod::PrivateKeyJwt => false,
        };
        possible.then(|| Self {
            id: id.into_owned(),
            secret,
            method,
            expires: members
                .raw("client_secret_expires_at")
                .and_then(unsigned)
                .unwrap_or(0),
        })
    }
}

/// Printable text of a length that a URL can bear (RFC 6749, appendix A).
fn is_field(text: &str) -> bool {
    (1..=MAX_PUBLISHED_BYTES).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// What the user brought back to the redirect URI (RFC 6749, section 4.1.2; RFC 9207).
pub(crate) struct Returned {
    fields: Vec<(String, String)>,
    /// Whether all of it can be read. What cannot ends the authorization that it names all the same: the user has been
    /// there, and will not come back by the same link.
    is_fit: bool,
}

impl core::fmt::Debug for Returned {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Returned(..)")
    }
}

impl Returned {
    /// Reads a query, with or without its `?`.
    pub(crate) fn read(query: &str) -> Result<Self, Trouble> {
        if query.len() > MAX_CALLBACK_BYTES {
            return Err(unfit());
        }
        let mut returned = Self {
            fields: Vec::new(),
            is_fit: true,
        };
        let query = query.strip_prefix('?').unwrap_or(query);
        for field in query.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let name = unescape(name).unwrap_or_default();
            if !["code", "state", "iss", "error", "error_description"].contains(&&*name) {
                continue;
            }
            // RFC 6749, section 3.1: no parameter more than once.
            let is_known = returned.fields.iter().any(|(known, _)| *known == name);
            match unescape(value).filter(|_| !is_known) {
                Some(value) => returned.fields.push((name, value)),
                None if name == "state" => return Err(unfit()),
                None => returned.is_fit = false,
            }
        }
        Ok(returned)
    }

    fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// Which authorization it answers.
    pub(crate) fn state(&self) -> Option<&str> {
        self.field("state")
    }

    /// Whether it says that scopes were asked for which there are not.
    pub(crate) fn refuses_scopes(&self) -> bool {
        self.field("error") == Some("invalid_scope")
    }

    /// The code, if it comes from this issuer. `must`: its metadata promises that it names itself.
    pub(crate) fn code(&self, issuer: &str, must: bool) -> Result<&str, Trouble> {
        if !self.is_fit {
            return Err(unfit());
        }
        // 2026-07-28, Authorization Response Validation: before anything else, also of an error.
        let named = self.fields.iter().find(|(name, _)| name == "iss");
        match named {
            Some((_, named)) if named == issuer => {}
            None if !must => {}
            _ => {
                let message = "the redirect does not come from the authorization server that was asked";
                return Err(Trouble::authorization("issuer_mismatch", message));
            }
        }
        if let Some(error) = self.field("error") {
            let reason = match error {
                "access_denied" => "access_denied",
                _ => "authorization_failed",
            };
            let description = self.field("error_description").unwrap_or_default();
            let detail = alloc::format!("{error} {description}");
            return Err(
                Trouble::authorization(reason, "the authorization was not given").with_detail(&detail)
            );
        }
        self.field("code")
            .ok_or_else(|| Trouble::authorization("invalid_callback", "the redirect brings no code"))
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
                u8::try_from(high? * 16 + low?).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn unfit() -> Trouble {
    Trouble::authorization("invalid_callback", "the redirect's query is not valid")
}

fn invalid(message: &'static str) -> Trouble {
    Trouble::authorization("token_invalid", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;
    use serde_json::{Value, json};

    fn tokens(body: &Value) -> Option<Tokens> {
        Tokens::read(&body.to_string()).ok()
    }

    #[test]
    fn reads_tokens() {
        let least = tokens(&json!({"access_token": "a", "token_type": "bearer"})).unwrap();
        assert_eq!(
            least,
            Tokens {
                access: Secret("a".into()),
                scheme: Scheme::Bearer,
                life: None,
                refresh: None,
                scopes: None,
            }
        );
        let all = tokens(&json!({
            "access_token": "a", "token_type": "DPoP", "expires_in": 60, "refresh_token": "r", "scope": "x y",
        }))
        .unwrap();
        assert_eq!((all.scheme, all.life), (Scheme::Dpop, Some(60)));
        assert_eq!(all.refresh, Some(Secret("r".into())));
        assert_eq!(all.scopes.unwrap().as_str(), "x y");
        assert_eq!(
            format!("{:?}", least),
            "Tokens { access: .., scheme: Bearer, life: None, refresh: None, scopes: None }"
        );
    }

    #[test]
    fn a_life_that_cannot_be_read_or_is_none_says_nothing_and_a_huge_one_is_cut() {
        for (life, read) in [
            (json!("3600"), Some(3600)),
            (json!(0), None),
            (json!(u64::MAX), Some(MAX_TOKEN_LIFE)),
            (json!(-1), None),
            (json!(1e300), None),
            (json!(1.5), None),
            (json!("soon"), None),
            (json!(null), None),
        ] {
            let body = json!({"access_token": "a", "token_type": "Bearer", "expires_in": life});
            assert_eq!(tokens(&body).unwrap().life, read, "{body}");
        }
    }

    #[test]
    fn refuses_tokens_that_cannot_be_sent() {
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        for (name, value) in [
            ("access_token", json!("")),
            ("access_token", json!("a b")),
            ("access_token", json!("a\r\nx-evil: 1")),
            ("access_token", json!("é")),
            ("access_token", json!(7)),
            ("access_token", json!(null)),
            ("access_token", json!(long)),
            ("token_type", json!("mac")),
            ("token_type", json!(null)),
            ("refresh_token", json!("r\n")),
            ("refresh_token", json!(7)),
            ("refresh_token", json!(long)),
        ] {
            let mut body = json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r"});
            body[name] = value;
            assert!(tokens(&body).is_none(), "{body}");
        }
        let fits = json!({"access_token": "x".repeat(MAX_TOKEN_BYTES), "token_type": "Bearer"});
        assert!(tokens(&fits).is_some());
        for text in [
            "",
            "[]",
            "access_token=a",
            r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
        ] {
            assert!(Tokens::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_registrations_that_can_be_used() {
        let read = |body: Value, asked| Registered::read(&body.to_string(), asked);
        let public = read(json!({"client_id": "c"}), AuthMethod::None).unwrap();
        assert_eq!(
            (public.method, public.secret, public.expires),
            (AuthMethod::None, None, 0)
        );
        let other = json!({
            "client_id": "c", "client_secret": "s", "client_secret_expires_at": 7,
            "token_endpoint_auth_method": "client_secret_post",
        });
        let other = read(other, AuthMethod::None).unwrap();
        assert_eq!((other.method, other.expires), (AuthMethod::Post, 7));
        for (body, asked) in [
            (json!({}), AuthMethod::None),
            (json!({"client_id": ""}), AuthMethod::None),
            (json!({"client_id": "c\n"}), AuthMethod::None),
            (
                json!({"client_id": "c".repeat(MAX_PUBLISHED_BYTES + 1)}),
                AuthMethod::None,
            ),
            (json!({"client_id": "c"}), AuthMethod::Basic),
            (json!({"client_id": "c", "client_secret": "é"}), AuthMethod::Basic),
            (
                json!({"client_id": "c", "token_endpoint_auth_method": "tls_client_auth"}),
                AuthMethod::None,
            ),
            (
                json!({"client_id": "c", "token_endpoint_auth_method": "private_key_jwt"}),
                AuthMethod::None,
            ),
        ] {
            assert_eq!(read(body.clone(), asked), None, "{body}");
        }
    }

    const ISSUER: &str = "https://as.example";

    fn code(query: &str, must: bool) -> Result<String, &'static str> {
        let returned = Returned::read(query).map_err(|trouble| trouble.reason.unwrap())?;
        let code = returned.code(ISSUER, must);
        code.map(Into::into).map_err(|trouble| trouble.reason.unwrap())
    }

    #[test]
    fn a_code_counts_from_the_issuer_that_was_asked_alone() {
        for (query, must, expected) in [
            ("code=c&state=s", false, Ok("c")),
            ("code=c&state=s", true, Err("issuer_mismatch")),
            ("?code=c%2B1+2&iss=https%3A%2F%2Fas.example", true, Ok("c+1 2")),
            ("code=c&iss=https%3A%2F%2Fas.example", false, Ok("c")),
            (
                "code=c&iss=https%3A%2F%2Fas.example%2F",
                true,
                Err("issuer_mismatch"),
            ),
            (
                "code=c&iss=https%3A%2F%2Fas.example%2F",
                false,
                Err("issuer_mismatch"),
            ),
            (
                "code=c&iss=HTTPS%3A%2F%2Fas.example",
                false,
                Err("issuer_mismatch"),
            ),
            ("code=c&iss=", false, Err("issuer_mismatch")),
            (
                "error=access_denied&iss=https%3A%2F%2Fevil.example",
                false,
                Err("issuer_mismatch"),
            ),
            ("error=access_denied", true, Err("issuer_mismatch")),
            ("error=access_denied&code=c", false, Err("access_denied")),
            (
                "error=server_error&error_description=no",
                false,
                Err("authorization_failed"),
            ),
            ("state=s", false, Err("invalid_callback")),
            ("code=", false, Err("invalid_callback")),
            ("code=a&code=b", false, Err("invalid_callback")),
            ("code=a&c%6fde=b", false, Err("invalid_callback")),
            ("code=%zz", false, Err("invalid_callback")),
            ("code=%", false, Err("invalid_callback")),
            ("code=%+1", false, Err("invalid_callback")),
            ("code=%ff", false, Err("invalid_callback")),
            ("", false, Err("invalid_callback")),
        ] {
            let expected = expected.map(String::from);
            assert_eq!(code(query, must), expected, "{query}");
        }
        assert_eq!(Returned::read("a=b&state=x%26y").unwrap().state(), Some("x&y"));
        assert_eq!(Returned::read("state=").unwrap().state(), None);
    }

    #[test]
    fn a_query_is_bounded() {
        let query = format!("code={}", "x".repeat(MAX_CALLBACK_BYTES - 5));
        assert!(code(&query, false).is_ok());
        assert_eq!(code(&format!("{query}x"), false), Err("invalid_callback"));
    }
}
