//! How things are written for an authorization server: forms, queries, and signed JSON (RFC 7515).

use alloc::string::String;
use core::fmt::Write as _;

use leeward::base64;
use leeward::border::HttpRequest;
use leeward::json::push_string;
use sha2::{Digest as _, Sha256};

use super::address::Address;
use super::metadata::Server;
use super::scopes::Scopes;

/// `application/x-www-form-urlencoded`: a body, or a query.
#[derive(Clone, Default)]
pub(crate) struct Form(String);

impl Form {
    /// The form of a token request for this kind of grant.
    pub(crate) fn grant(kind: &str) -> Self {
        Self::default().with("grant_type", kind)
    }

    /// The same with a field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.push(name, value);
        self
    }

    /// The same with a field, unless its value is empty.
    pub(crate) fn with_some(self, name: &str, value: &str) -> Self {
        if value.is_empty() {
            self
        } else {
            self.with(name, value)
        }
    }

    /// Adds a field.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        escape(&mut self.0, value);
    }

    /// A POST of it.
    pub(crate) fn post(self, url: &str) -> HttpRequest {
        post(url, "application/x-www-form-urlencoded", self.0)
    }
}

impl core::fmt::Debug for Form {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Form(..)")
    }
}

/// A POST that wants JSON back.
pub(crate) fn post(url: &str, content_type: &str, body: String) -> HttpRequest {
    HttpRequest {
        method: "POST",
        url: url.into(),
        headers: [
            ("content-type".into(), content_type.into()),
            ("accept".into(), "application/json".into()),
        ]
        .into(),
        body: body.into_bytes(),
    }
}

/// Appends text with all but the unreserved characters escaped (RFC 3986, section 2.3), which every reader of forms
/// and queries takes for the text.
fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The value of `authorization` for `client_secret_basic` (RFC 6749, section 2.3.1).
pub(crate) fn basic(id: &str, secret: &str) -> String {
    let mut pair = String::new();
    escape(&mut pair, id);
    pair.push(':');
    escape(&mut pair, secret);
    let mut out = String::from("Basic ");
    base64::push(&mut out, pair.as_bytes());
    out
}

/// What an authorization is asked with.
pub(crate) struct Asked<'a> {
    pub(crate) client: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) state: &'a str,
    pub(crate) verifier: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) scopes: &'a Scopes,
}

/// Where the user is sent (RFC 6749, section 4.1.1; RFC 7636, section 4.3; RFC 8707, section 2.1).
pub(crate) fn authorization_url(server: &Server, asked: &Asked<'_>) -> String {
    let query = Form::default()
        .with("response_type", "code")
        .with("client_id", asked.client)
        .with("redirect_uri", asked.redirect_uri)
        .with("state", asked.state)
        .with("code_challenge", &digest(asked.verifier))
        .with("code_challenge_method", "S256")
        .with("resource", asked.resource)
        .with_some("scope", asked.scopes.as_str());
    // Without consent there is no offline access (OpenID Connect Core 1.0, section 11).
    let query = match asked.scopes.has("offline_access") {
        true => query.with("prompt", "consent"),
        false => query,
    };
    let sign = match server.authorization.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    [&*server.authorization, sign, &query.0].concat()
}

/// The SHA-256 of text, in base64url.
pub(crate) fn digest(text: &str) -> String {
    base64::url(&Sha256::digest(text.as_bytes()))
}

/// Both halves of a JWT without its signature: what is signed (RFC 7515, section 5.1).
fn signing_input(header: &str, claims: &str) -> String {
    [
        &*base64::url(header.as_bytes()),
        ".",
        &base64::url(claims.as_bytes()),
    ]
    .concat()
}

/// JSON members, text by text.
struct Json(String);

impl Json {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.member(name);
        push_string(&mut self.0, value);
        self
    }

    fn with_raw(mut self, name: &str, raw: &str) -> Self {
        self.member(name);
        self.0.push_str(raw);
        self
    }

    fn with_number(mut self, name: &str, number: u64) -> Self {
        self.member(name);
        let _ = write!(self.0, "{number}");
        self
    }

    fn member(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        push_string(&mut self.0, name);
        self.0.push(':');
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// How long an assertion is good for, in seconds: it is made for one request, by a clock that may be wrong.
const ASSERTION_LIFE: u64 = 300;

/// What is signed to prove who the client is (RFC 7523, sections 2.2 and 3). `at`: seconds since the Unix epoch.
///
/// The audience is the issuer alone: a token endpoint could be another server's, to which the assertion would be
/// good too.
pub(crate) fn assertion(
    client: &str,
    issuer: &str,
    algorithm: &str,
    key: &str,
    unique: &str,
    at: u64,
) -> String {
    let header = Json(String::new()).with("alg", algorithm).with("typ", "JWT");
    let header = if key.is_empty() {
        header
    } else {
        header.with("kid", key)
    };
    let claims = Json(String::new())
        .with("iss", client)
        .with("sub", client)
        .with("aud", issuer)
        .with("jti", unique)
        .with_number("iat", at)
        .with_number("exp", at.saturating_add(ASSERTION_LIFE));
    signing_input(&header.end(), &claims.end())
}

/// What a DPoP proof is about.
pub(crate) struct Proof<'a> {
    /// The JOSE name of the algorithm.
    pub(crate) algorithm: &'a str,
    /// The public key, raw JSON.
    pub(crate) jwk: &'a str,
    /// Never used before.
    pub(crate) unique: &'a str,
    /// The request's method.
    pub(crate) method: &'a str,
    /// The request's URL.
    pub(crate) url: &'a str,
    /// Seconds since the Unix epoch.
    pub(crate) at: u64,
    /// The access token that the request carries, if it does.
    pub(crate) token: Option<&'a str>,
    /// What the server asked for by `DPoP-Nonce`.
    pub(crate) nonce: Option<&'a str>,
}

/// What is signed to prove the possession of a key (RFC 9449, section 4.2).
pub(crate) fn proof(proof: &Proof<'_>) -> String {
    let header = Json(String::new())
        .with("typ", "dpop+jwt")
        .with("alg", proof.algorithm)
        .with_raw("jwk", proof.jwk);
    let target = Address::read(proof.url).map(|url| url.target());
    let mut claims = Json(String::new())
        .with("jti", proof.unique)
        .with("htm", proof.method)
        .with("htu", &target.unwrap_or_default())
        .with_number("iat", proof.at);
    if let Some(token) = proof.token {
        claims = claims.with("ath", &digest(token));
    }
    if let Some(nonce) = proof.nonce {
        claims = claims.with("nonce", nonce);
    }
    signing_input(&header.end(), &claims.end())
}

/// The members of a client's registration (RFC 7591, section 2; OpenID Connect Dynamic Client Registration 1.0).
/// `native`: its redirect URI is this machine's.
pub(crate) fn registration(name: &str, redirect_uri: &str, method: &str, native: bool) -> String {
    let mut uris = String::from("[");
    push_string(&mut uris, redirect_uri);
    uris.push(']');
    Json(String::new())
        .with("client_name", name)
        .with_raw("redirect_uris", &uris)
        .with_raw("grant_types", r#"["authorization_code","refresh_token"]"#)
        .with_raw("response_types", r#"["code"]"#)
        .with("token_endpoint_auth_method", method)
        // 2026-07-28, Client Registration, Application Type and Redirect URI Constraints.
        .with("application_type", if native { "native" } else { "web" })
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The two halves of a JWT, read by another decoder.
    fn halves(input: &str) -> (Value, Value) {
        let half = |text: &str| {
            let padded = text.replace('-', "+").replace('_', "/");
            let padded = padded.clone() + &"=".repeat((4 - padded.len() % 4) % 4);
            serde_json::from_slice(&base64::decode(&padded).unwrap()).unwrap()
        };
        let (header, claims) = input.split_once('.').unwrap();
        (half(header), half(claims))
    }

    #[test]
    fn a_form_says_exactly_what_was_put_into_it() {
        let request = Form::grant("authorization_code")
            .with("code", "a&b=c d+é%/~")
            .with_some("scope", "")
            .post("https://as.example/token");
        assert_eq!(
            request.body,
            b"grant_type=authorization_code&code=a%26b%3Dc%20d%2B%C3%A9%25%2F~"
        );
        let header = ("content-type".into(), "application/x-www-form-urlencoded".into());
        assert!(request.headers.contains(&header));
    }

    /// The example of RFC 7617, section 2, with the escapes of RFC 6749, section 2.3.1.
    #[test]
    fn basic_credentials_are_escaped_first() {
        assert_eq!(
            basic("Aladdin", "open-sesame"),
            "Basic QWxhZGRpbjpvcGVuLXNlc2FtZQ=="
        );
        assert_eq!(basic("a:b", "c d"), "Basic YSUzQWI6YyUyMGQ=");
    }

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_specification() {
        assert_eq!(
            digest("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn an_authorization_is_asked_for_with_all_that_protects_it() {
        let scopes = Scopes::read("mcp:read offline_access");
        let asked = Asked {
            client: "https://app.example/client.json",
            redirect_uri: "http://127.0.0.1:1234/callback",
            state: "s",
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            resource: "https://crm.example/mcp",
            scopes: &scopes,
        };
        let query = "response_type=code&client_id=https%3A%2F%2Fapp.example%2Fclient.json\
            &redirect_uri=http%3A%2F%2F127.0.0.1%3A1234%2Fcallback&state=s\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
            &resource=https%3A%2F%2Fcrm.example%2Fmcp&scope=mcp%3Aread%20offline_access&prompt=consent";
        for (endpoint, sign) in [
            ("https://as.example/authorize", "?"),
            ("https://as.example/authorize?", ""),
            ("https://as.example/authorize?tenant=1", "&"),
        ] {
            let server = Server {
                authorization: endpoint.into(),
                ..Server::default()
            };
            assert_eq!(
                authorization_url(&server, &asked),
                alloc::format!("{endpoint}{sign}{query}")
            );
        }
        let none = Scopes::default();
        let url = authorization_url(
            &Server::default(),
            &Asked {
                scopes: &none,
                ..asked
            },
        );
        assert!(!url.contains("scope") && !url.contains("prompt"));
    }

    #[test]
    fn an_assertion_is_about_the_client_and_for_the_issuer() {
        let (header, claims) = halves(&assertion("c\"1", "https://as.example", "ES256", "k1", "u", 1000));
        assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}));
        assert_eq!(
            claims,
            json!({
                "iss": "c\"1", "sub": "c\"1", "aud": "https://as.example", "jti": "u", "iat": 1000, "exp": 1300,
            })
        );
        let (header, _) = halves(&assertion("c", "i", "RS256", "", "u", u64::MAX));
        assert_eq!(header, json!({"alg": "RS256", "typ": "JWT"}));
    }

    /// The token and its hash are those of RFC 9449, section 7.1.
    #[test]
    fn a_proof_is_for_one_request() {
        let about = Proof {
            algorithm: "ES256",
            jwk: r#"{"kty":"EC"}"#,
            unique: "u",
            method: "GET",
            url: "https://resource.example.org/protectedresource?x=1",
            at: 1_562_262_618,
            token: Some("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
            nonce: Some("n"),
        };
        let (header, claims) = halves(&proof(&about));
        assert_eq!(
            header,
            json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC"}})
        );
        assert_eq!(
            claims,
            json!({
                "jti": "u",
                "htm": "GET",
                "htu": "https://resource.example.org/protectedresource",
                "iat": 1_562_262_618,
                "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo",
                "nonce": "n",
            })
        );
        let (_, claims) = halves(&proof(&Proof {
            token: None,
            nonce: None,
            ..about
        }));
        assert!(claims.get("ath").is_none() && claims.get("nonce").is_none());
    }

    #[test]
    fn a_registration_says_what_kind_of_client_it_is() {
        let body = registration("Lee\"ward", "http://localhost:1/cb", "none", true);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({
                "client_name": "Lee\"ward",
                "redirect_uris": ["http://localhost:1/cb"],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
                "application_type": "native",
            })
        );
        assert!(registration("x", "https://a/cb", "none", false).contains(r#""web""#));
    }
}
