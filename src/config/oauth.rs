//! `authority.oauth`: how the replica obtains grants itself, as an OAuth client (2026-07-28, Authorization).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::reader::{Object, fail, string, wrong_type};
use super::url::check_url;
use crate::error::Error;
use crate::json::{self, Members};
use crate::limits::{MAX_CLIENTS, MAX_NAME_BYTES, MAX_SCOPES};
use crate::policy::suggest::{excerpt, hint};

/// What an operator says of grants. All of it may be left out where the host brings users to authorization pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OAuth {
    /// How a grant comes about.
    pub grant: GrantType,
    /// How the client is called where it registers itself (RFC 7591 §2); 1 to [`MAX_NAME_BYTES`].
    pub client_name: Option<String>,
    /// `https` URL of a client metadata document, which is the client's id where the issuer takes such (2026-07-28,
    /// Authorization, Client ID Metadata Documents).
    pub client_metadata_url: Option<String>,
    /// Clients that were registered beforehand, at most [`MAX_CLIENTS`], no two with the same issuer.
    pub clients: Vec<Client>,
    /// Where authorizations redirect to; `None`: the host says it.
    pub redirect_uri: Option<String>,
    /// What is asked for where neither a challenge nor metadata names scopes; at most [`MAX_SCOPES`], none twice.
    pub scopes: Vec<String>,
    /// Tokens are bound to this key (RFC 9449).
    pub dpop: Option<Dpop>,
}

/// How a grant comes about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GrantType {
    /// `"authorization_code"`: a user consents.
    #[default]
    AuthorizationCode,
    /// `"client_credentials"`: the client stands for itself (MCP extension `oauth-client-credentials`).
    ClientCredentials,
}

/// A client that was registered beforehand.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// Exactly as the authorization server's metadata names it.
    pub issuer: String,
    /// `client_id`; 1 to [`MAX_NAME_BYTES`] of printable ASCII.
    pub client_id: String,
    /// `client_secret`; as `client_id`.
    pub client_secret: Option<String>,
    /// How the client authenticates; `None`: by what it has, in the way that the metadata allows.
    pub auth_method: Option<AuthMethod>,
    /// The key by which it signs assertions (RFC 7523 §2.2).
    pub key: Option<Key>,
}

impl fmt::Debug for Client {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("auth_method", &self.auth_method)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// `token_endpoint_auth_method` (RFC 7591 §2, RFC 7523 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
    /// `none`: a public client.
    None,
    /// `private_key_jwt`.
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Basic, Self::Post, Self::None, Self::PrivateKeyJwt];

    /// As metadata and registrations name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = METHODS.iter().find(|(_, method)| *method == self);
        named.map_or("none", |(name, _)| name)
    }

    /// The method of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let named = METHODS.iter().find(|(known, _)| *known == name);
        named.map(|(_, method)| *method)
    }
}

/// A private key that the host holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The host's name for it, 1 to [`MAX_NAME_BYTES`].
    pub name: String,
    /// One of the JWS algorithms in [`ALGORITHMS`].
    pub algorithm: &'static str,
    /// `kid` (RFC 7515 §4.1.4).
    pub key_id: Option<String>,
}

/// The key to which tokens are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dpop {
    /// The host's name for the private key.
    pub key: String,
    /// One of the JWS algorithms in [`ALGORITHMS`].
    pub algorithm: &'static str,
    /// The public key: a raw JSON object without private members (RFC 9449 §4.2).
    pub jwk: String,
}

/// Asymmetric JWS algorithms (RFC 7518 §3.1, RFC 8037 §3.1).
pub const ALGORITHMS: [&str; 10] = [
    "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
];

const GRANTS: [(&str, GrantType); 2] = [
    ("authorization_code", GrantType::AuthorizationCode),
    ("client_credentials", GrantType::ClientCredentials),
];

const METHODS: [(&str, AuthMethod); 4] = [
    ("client_secret_basic", AuthMethod::Basic),
    ("client_secret_post", AuthMethod::Post),
    ("none", AuthMethod::None),
    ("private_key_jwt", AuthMethod::PrivateKeyJwt),
];

/// Reads `authority.oauth`.
pub(super) fn read(path: &str, raw: &str) -> Result<OAuth, Error> {
    let known = [
        "grant",
        "clientName",
        "clientMetadataUrl",
        "clients",
        "redirectUri",
        "scopes",
        "dpop",
    ];
    let object = Object::read(path, raw, &known)?;
    let oauth = OAuth {
        grant: choice(&object, "grant", &GRANTS)?.unwrap_or_default(),
        client_name: text(&object, "clientName", |_| true)?,
        client_metadata_url: url(&object, "clientMetadataUrl")?,
        clients: list(&object, "clients", MAX_CLIENTS, client)?,
        redirect_uri: url(&object, "redirectUri")?,
        scopes: list(&object, "scopes", MAX_SCOPES, scope)?,
        dpop: match object.raw("dpop") {
            Some(raw) => Some(dpop(&object.place("dpop"), raw)?),
            None => None,
        },
    };
    let is_document = |url: &String| {
        let path = url.strip_prefix("https://").and_then(|rest| rest.split_once('/'));
        path.is_some_and(|(_, path)| !path.is_empty() && !path.starts_with('?'))
    };
    if !oauth.client_metadata_url.as_ref().is_none_or(is_document) {
        let message = "must be an https URL with a path";
        return Err(fail(&object.place("clientMetadataUrl"), message));
    }
    if oauth.grant == GrantType::ClientCredentials && oauth.clients.is_empty() {
        let message = r#"is missing: "client_credentials" are those of a registered client"#;
        return Err(fail(&object.place("clients"), message));
    }
    let issuers = oauth.clients.iter().map(|client| &client.issuer);
    twice(&object, "clients", issuers)?;
    twice(&object, "scopes", oauth.scopes.iter())?;
    Ok(oauth)
}

fn client(path: &str, raw: &str) -> Result<Client, Error> {
    let known = ["issuer", "clientId", "clientSecret", "authMethod", "key"];
    let object = Object::read(path, raw, &known)?;
    object.required("issuer")?;
    object.required("clientId")?;
    let printable = |byte: u8| matches!(byte, b' '..=b'~');
    let key = match object.raw("key") {
        Some(raw) => Some(key(&object.place("key"), raw)?),
        None => None,
    };
    let client = Client {
        issuer: url(&object, "issuer")?.unwrap_or_default(),
        client_id: text(&object, "clientId", printable)?.unwrap_or_default(),
        client_secret: text(&object, "clientSecret", printable)?,
        auth_method: choice(&object, "authMethod", &METHODS)?,
        key,
    };
    let (secret, key) = (client.client_secret.is_some(), client.key.is_some());
    let message = match client.auth_method {
        Some(AuthMethod::Basic | AuthMethod::Post) if !secret => "needs a clientSecret",
        Some(AuthMethod::PrivateKeyJwt) if !key => "needs a key",
        Some(AuthMethod::None) if secret || key => "leaves the client's secret or key unused",
        _ => return Ok(client),
    };
    Err(fail(&object.place("authMethod"), message))
}

fn key(path: &str, raw: &str) -> Result<Key, Error> {
    let object = Object::read(path, raw, &["name", "algorithm", "keyId"])?;
    object.required("name")?;
    Ok(Key {
        name: text(&object, "name", |_| true)?.unwrap_or_default(),
        algorithm: algorithm(&object)?,
        key_id: text(&object, "keyId", |_| true)?,
    })
}

fn dpop(path: &str, raw: &str) -> Result<Dpop, Error> {
    let object = Object::read(path, raw, &["key", "algorithm", "jwk"])?;
    object.required("key")?;
    let place = object.place("jwk");
    let jwk = object.raw("jwk").ok_or_else(|| fail(&place, "is missing"))?;
    let members = Members::parse(jwk).filter(|_| json::is_object(jwk));
    let members = members.ok_or_else(|| wrong_type(&place, jwk, "an object"))?;
    if members.string("kty").is_none() {
        return Err(fail(&place, "needs a kty"));
    }
    // RFC 7518 §6.2.2, §6.3.2 and §6.4.1; RFC 8037 §2.
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    if members.iter().any(|(name, _)| private.contains(&name)) {
        return Err(fail(&place, "must be the public key alone"));
    }
    Ok(Dpop {
        key: text(&object, "key", |_| true)?.unwrap_or_default(),
        algorithm: algorithm(&object)?,
        jwk: jwk.into(),
    })
}

/// One of the words for a thing.
fn choice<T: Copy>(object: &Object<'_>, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Error> {
    let Some(word) = object.string(name)? else {
        return Ok(None);
    };
    let found = words.iter().find(|(known, _)| *known == word);
    let known = words.iter().map(|(known, _)| *known);
    found
        .map(|(_, thing)| Some(*thing))
        .ok_or_else(|| unknown(object, name, &word, known))
}

fn algorithm(object: &Object<'_>) -> Result<&'static str, Error> {
    let word = object.required("algorithm")?;
    let found = ALGORITHMS.into_iter().find(|known| *known == word);
    found.ok_or_else(|| unknown(object, "algorithm", &word, ALGORITHMS))
}

fn unknown<'a>(
    object: &Object<'_>,
    name: &str,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    let near = hint(word, known);
    let message = format!(r#"is not known: "{}"{near}"#, excerpt(word));
    fail(&object.place(name), &message)
}

/// Text that is sent elsewhere.
fn text(object: &Object<'_>, name: &str, takes: impl Fn(u8) -> bool) -> Result<Option<String>, Error> {
    let Some(text) = object.string(name)? else {
        return Ok(None);
    };
    let message = if text.is_empty() {
        "must not be empty"
    } else if text.len() > MAX_NAME_BYTES {
        "must have at most 8192 bytes"
    } else if !text.bytes().all(takes) {
        "must be printable ASCII"
    } else {
        return Ok(Some(text.into_owned()));
    };
    Err(fail(&object.place(name), message))
}

fn url(object: &Object<'_>, name: &str) -> Result<Option<String>, Error> {
    let url = object.string(name)?.map(Cow::into_owned);
    if let Some(url) = &url {
        check_url(url).map_err(|message| fail(&object.place(name), message))?;
    }
    Ok(url)
}

fn scope(path: &str, raw: &str) -> Result<String, Error> {
    let scope = string(path, raw)?;
    // RFC 6749 §3.3.
    let fits = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    if scope.is_empty() || scope.len() > MAX_NAME_BYTES || !scope.bytes().all(fits) {
        return Err(fail(path, r#"must be one scope: visible ASCII without " and \"#));
    }
    Ok(scope.into_owned())
}

fn list<T>(
    object: &Object<'_>,
    name: &str,
    most: usize,
    read: impl Fn(&str, &str) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let Some(raw) = object.raw(name) else {
        return Ok(Vec::new());
    };
    let place = object.place(name);
    let list = json::elements(raw).ok_or_else(|| wrong_type(&place, raw, "an array"))?;
    if list.len() > most {
        return Err(fail(&place, &format!("has more than {most} entries")));
    }
    list.into_iter()
        .enumerate()
        .map(|(at, raw)| read(&format!("{place}[{at}]"), raw))
        .collect()
}

fn twice<'a>(
    object: &Object<'_>,
    name: &str,
    all: impl Iterator<Item = &'a String> + Clone,
) -> Result<(), Error> {
    for (at, one) in all.clone().enumerate() {
        if all.clone().skip(at + 1).any(|other| other == one) {
            let message = format!(r#"has "{}" twice"#, excerpt(one));
            return Err(fail(&object.place(name), &message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
