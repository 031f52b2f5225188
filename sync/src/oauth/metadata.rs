//! What the authority and its authorization server publish about themselves: protected resource metadata (RFC 9728)
//! and authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0), and where they are.
//!
//! Untrusted text is safe: its size is bounded by the reader, members that are there twice make it invalid, and a URL
//! counts only if [`Address::allows`] it.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::config::oauth::AuthMethod;
use leeward::json::{Members, elements, string};

use super::address::Address;
use super::scopes::Scopes;
use crate::limits::MAX_AUTHORIZATION_SERVERS;
use crate::trouble::Trouble;

/// Where the metadata of the resource is, in the order to try (2026-07-28, Authorization Server Discovery, Protected
/// Resource Metadata Discovery Requirements).
pub(crate) fn resource_places(authority: &Address<'_>) -> Vec<String> {
    const NAME: &str = "oauth-protected-resource";
    let mut places = Vec::from([authority.well_known(NAME)]);
    let root = [&*authority.origin(), "/.well-known/", NAME].concat();
    if places.iter().all(|place| *place != root) {
        places.push(root);
    }
    places
}

/// Where the metadata of an authorization server is, in the order to try (2026-07-28, Authorization Server Discovery,
/// Authorization Server Metadata Discovery).
pub(crate) fn server_places(issuer: &Address<'_>) -> Vec<String> {
    const OPENID: &str = "openid-configuration";
    let mut places = Vec::from([
        issuer.well_known("oauth-authorization-server"),
        issuer.well_known(OPENID),
    ]);
    if !issuer.trimmed_path().is_empty() {
        places.push(issuer.well_known_after(OPENID));
    }
    places
}

/// The metadata of a protected resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Its identifier, as published: what tokens are asked for.
    pub(crate) id: String,
    /// The issuers that it trusts, at least one.
    pub(crate) issuers: Vec<String>,
    /// `scopes_supported`.
    pub(crate) scopes: Scopes,
}

impl Resource {
    /// Reads the document. `authority` is what it is to be about: `resource` must be that, or above it on the same
    /// origin. RFC 9728, section 3.3, wants it identical to what the document's URL was made of; a challenge may name
    /// any URL, servers publish their origin, and a token for the origin goes nowhere else.
    pub(crate) fn read(text: &str, authority: &Address<'_>) -> Result<Self, Trouble> {
        let members = document(text)?;
        let id = members.string("resource").unwrap_or_default();
        if !authority.is_within(&id) {
            let message = "the authority's metadata is about another resource";
            return Err(Trouble::authorization("resource_mismatch", message).with_detail(&id));
        }
        let mut issuers = Vec::new();
        for raw in list(&members, "authorization_servers")
            .into_iter()
            .take(MAX_AUTHORIZATION_SERVERS)
        {
            if authority.allows(&raw) {
                issuers.push(raw);
            }
        }
        if issuers.is_empty() {
            return Err(invalid(
                "the authority's metadata names no usable authorization server",
            ));
        }
        let mut scopes = Scopes::default();
        for scope in list(&members, "scopes_supported") {
            scopes.add(&scope);
        }
        Ok(Self {
            id: id.into_owned(),
            issuers,
            scopes,
        })
    }
}

/// An authorization server, as its metadata has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its identifier.
    pub(crate) issuer: String,
    /// Where the user is sent; empty if nowhere.
    pub(crate) authorization: String,
    /// Where tokens are had.
    pub(crate) token: String,
    /// Where clients register; empty if nowhere.
    pub(crate) registration: String,
    /// Where tokens are revoked (RFC 7009); empty if nowhere.
    pub(crate) revocation: String,
    /// How clients may authenticate, by name with spaces between.
    pub(crate) methods: String,
    /// Takes the URLs of client metadata documents for client ids.
    pub(crate) cimd: bool,
    /// Names itself in what the user brings back (RFC 9207).
    pub(crate) names_itself: bool,
    /// Knows the scope `offline_access`.
    pub(crate) offline: bool,
    /// Knows PKCE with S256 (RFC 7636).
    pub(crate) pkce: bool,
}

impl Server {
    /// Reads the document that was found for this issuer. `authority` says which URLs it may name.
    pub(crate) fn read(text: &str, issuer: &[&str], authority: &Address<'_>) -> Result<Self, Trouble> {
        let members = document(text)?;
        let named = members.string("issuer").unwrap_or_default();
        // RFC 8414, section 3.3: identical, without any normalization.
        if !issuer.contains(&&*named) {
            let message = "the authorization server's metadata names another issuer";
            return Err(Trouble::authorization("issuer_mismatch", message).with_detail(&named));
        }
        let endpoint = |name| match members.raw(name) {
            None | Some("null") => Ok(String::new()),
            Some(raw) => string(raw)
                .filter(|url| authority.allows(url))
                .map(Into::into)
                .ok_or_else(|| {
                    invalid("the authorization server's metadata has an unusable endpoint").with_detail(name)
                }),
        };
        let token = endpoint("token_endpoint")?;
        if token.is_empty() {
            return Err(invalid(
                "the authorization server's metadata has no token endpoint",
            ));
        }
        let has = |name, value: &str| list(&members, name).iter().any(|known| known == value);
        let is_true = |name| members.raw(name) == Some("true");
        let offered = list(&members, "token_endpoint_auth_methods_supported");
        let known = AuthMethod::ALL.map(AuthMethod::name).into_iter();
        let mut methods = known
            .filter(|name| offered.iter().any(|offer| offer == name))
            .collect::<Vec<_>>()
            .join(" ");
        if members.raw("token_endpoint_auth_methods_supported").is_none() {
            // RFC 8414, section 2.
            methods = AuthMethod::Basic.name().into();
        }
        Ok(Self {
            authorization: endpoint("authorization_endpoint")?,
            registration: endpoint("registration_endpoint")?,
            revocation: endpoint("revocation_endpoint")?,
            token,
            issuer: named.into_owned(),
            methods,
            cimd: is_true("client_id_metadata_document_supported"),
            names_itself: is_true("authorization_response_iss_parameter_supported"),
            offline: has("scopes_supported", "offline_access"),
            pkce: has("code_challenge_methods_supported", "S256"),
        })
    }

    /// The server of an authority that has no metadata at all (2025-03-26, Authorization, Fallbacks for Servers
    /// without Metadata Discovery). That revision requires PKCE of every client and server.
    pub(crate) fn unpublished(authority: &Address<'_>) -> Self {
        let at = |path| [&*authority.origin(), path].concat();
        Self {
            issuer: authority.origin(),
            authorization: at("/authorize"),
            token: at("/token"),
            registration: at("/register"),
            methods: AuthMethod::Basic.name().into(),
            pkce: true,
            ..Self::default()
        }
    }

    /// Whether clients may authenticate so.
    pub(crate) fn takes(&self, method: AuthMethod) -> bool {
        self.methods.split(' ').any(|name| name == method.name())
    }
}

fn document(text: &str) -> Result<Members<'_>, Trouble> {
    let members = Members::parse(text).filter(|members| !members.has_duplicates());
    members.ok_or_else(|| invalid("the metadata is not a JSON object, or names a member twice"))
}

pub(super) fn invalid(message: &'static str) -> Trouble {
    Trouble::authorization("invalid_metadata", message)
}

/// The strings of an array; nothing for anything else.
fn list(members: &Members<'_>, name: &str) -> Vec<String> {
    let raw = members.raw(name).and_then(elements).unwrap_or_default();
    raw.into_iter().filter_map(string).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;
    use serde_json::{Value, json};

    const AUTHORITY: &str = "https://crm.example/mcp";
    const ISSUER: &str = "https://as.example/tenant";

    fn resource(document: &Value) -> Result<Resource, Trouble> {
        Resource::read(&document.to_string(), &Address::read(AUTHORITY).unwrap())
    }

    fn server(document: &Value) -> Result<Server, Trouble> {
        let authority = Address::read(AUTHORITY).unwrap();
        Server::read(&document.to_string(), &[ISSUER], &authority)
    }

    fn reason<T: core::fmt::Debug>(result: Result<T, Trouble>) -> &'static str {
        result.unwrap_err().reason.unwrap()
    }

    fn sound() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://as.example/authorize?tenant=1",
            "token_endpoint": "https://tokens.example/token",
            "registration_endpoint": "https://as.example/register",
            "revocation_endpoint": null,
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "none", "none", "tls_client_auth", 7],
            "code_challenge_methods_supported": ["plain", "S256"],
            "scopes_supported": ["openid", "offline_access"],
            "client_id_metadata_document_supported": true,
            "authorization_response_iss_parameter_supported": true,
        })
    }

    #[test]
    fn tries_the_places_in_the_order_of_the_specification() {
        let places = |url| server_places(&Address::read(url).unwrap());
        assert_eq!(
            places("https://as.example/tenant1"),
            [
                "https://as.example/.well-known/oauth-authorization-server/tenant1",
                "https://as.example/.well-known/openid-configuration/tenant1",
                "https://as.example/tenant1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            places("https://as.example"),
            [
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ]
        );
        let places = |url| resource_places(&Address::read(url).unwrap());
        assert_eq!(
            places("https://crm.example/public/mcp?x"),
            [
                "https://crm.example/.well-known/oauth-protected-resource/public/mcp",
                "https://crm.example/.well-known/oauth-protected-resource",
            ]
        );
        assert_eq!(
            places("https://crm.example/"),
            ["https://crm.example/.well-known/oauth-protected-resource"]
        );
    }

    #[test]
    fn a_resource_names_itself_as_published_and_whom_it_trusts() {
        let read = resource(&json!({
            "resource": "https://crm.example/",
            "authorization_servers": ["http://as.example", ISSUER, 7, "https://localhost/", "https://two.example"],
            "scopes_supported": ["a", "b c", "d", 7],
        }))
        .unwrap();
        assert_eq!(read.id, "https://crm.example/");
        assert_eq!(read.issuers, [ISSUER, "https://two.example"]);
        assert_eq!(read.scopes.as_str(), "a d");
    }

    #[test]
    fn a_resource_that_is_another_or_trusts_nobody_is_refused() {
        for document in [
            json!({"authorization_servers": [ISSUER]}),
            json!({"resource": "https://evil.example/mcp", "authorization_servers": [ISSUER]}),
            json!({"resource": 7, "authorization_servers": [ISSUER]}),
        ] {
            assert_eq!(reason(resource(&document)), "resource_mismatch", "{document}");
        }
        for servers in [
            json!(null),
            json!([]),
            json!(ISSUER),
            json!(["javascript:alert(1)"]),
        ] {
            let document = json!({"resource": AUTHORITY, "authorization_servers": servers});
            assert_eq!(reason(resource(&document)), "invalid_metadata", "{document}");
        }
        let authority = Address::read(AUTHORITY).unwrap();
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"resource":"https://crm.example","resource":"https://crm.example","authorization_servers":["https://as.example"]}"#,
        ] {
            assert_eq!(
                reason(Resource::read(text, &authority)),
                "invalid_metadata",
                "{text}"
            );
        }
    }

    #[test]
    fn more_authorization_servers_than_the_limit_are_not_looked_at() {
        let issuers: Vec<_> = (0..=MAX_AUTHORIZATION_SERVERS)
            .map(|n| format!("https://as{n}.example"))
            .collect();
        let read = resource(&json!({"resource": AUTHORITY, "authorization_servers": issuers})).unwrap();
        assert_eq!(read.issuers.len(), MAX_AUTHORIZATION_SERVERS);
    }

    #[test]
    fn reads_a_server() {
        let read = server(&sound()).unwrap();
        assert_eq!(
            read,
            Server {
                issuer: ISSUER.into(),
                authorization: "https://as.example/authorize?tenant=1".into(),
                token: "https://tokens.example/token".into(),
                registration: "https://as.example/register".into(),
                revocation: String::new(),
                methods: "none private_key_jwt".into(),
                cimd: true,
                names_itself: true,
                offline: true,
                pkce: true,
            }
        );
        assert!(read.takes(AuthMethod::None) && !read.takes(AuthMethod::Basic));
        let least = server(&json!({"issuer": ISSUER, "token_endpoint": "https://as.example/token"})).unwrap();
        assert_eq!(least.methods, "client_secret_basic");
        assert!(!least.pkce && !least.names_itself && !least.cimd && !least.offline);
    }

    #[test]
    fn a_server_that_is_another_or_unsafe_is_refused() {
        for issuer in [
            json!(null),
            json!("https://as.example/tenant/"),
            json!("https://AS.example/tenant"),
            json!("https://as.example:443/tenant"),
            json!("https://attacker.example"),
        ] {
            let mut document = sound();
            document["issuer"] = issuer;
            assert_eq!(reason(server(&document)), "issuer_mismatch", "{document}");
        }
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "registration_endpoint",
            "revocation_endpoint",
        ] {
            for url in [
                json!("javascript:alert(document.domain)"),
                json!("http://as.example/x"),
                json!("http://169.254.169.254/latest"),
                json!("https://127.0.0.1/x"),
                json!("https://u@as.example/x"),
                json!("https://as.example/x#y"),
                json!(""),
                json!(7),
            ] {
                let mut document = sound();
                document[name] = url;
                assert_eq!(reason(server(&document)), "invalid_metadata", "{document}");
            }
        }
        let mut document = sound();
        document.as_object_mut().unwrap().remove("token_endpoint");
        assert_eq!(reason(server(&document)), "invalid_metadata");
    }
}
