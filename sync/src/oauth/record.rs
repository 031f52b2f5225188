//! What is kept in the host's vault, so that grants outlive its memory.
//!
//! # Format
//! As [`leeward::record`] says. Of every record the first field is the key that it is kept under: what a store mixed up
//! is nobody's. Absent texts and numbers are empty; numbers are decimal; times are seconds since the Unix epoch.
//!
//! - `LWOG` 1, under `grant:` and the name of authority and principal: a grant.
//! - `LWOC` 1, under `client:` and the digest of the issuer: the client that registered itself there, for one redirect
//!   URI (of a loopback address, for each port). It is the replica's, not a principal's.
//! - `LWOP` 1, under `pending:` and the digest of `state`: an authorization that the user has not come back from.
//!   It is used once, within [`MAX_AUTHORIZATION_WAIT`].
//! - `LWOL` 1, under `login:` and the name of authority and principal: the key of that principal's pending one, so that
//!   there is one.
//!
//! A record that is not so in every respect is damaged, and dropped whole.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use leeward::config::oauth::AuthMethod;
use leeward::record::{Fields, push, seal};

use super::Scheme;
use super::answer::Registered;
use super::encode::digest;
use super::metadata::Server;
use super::scopes::Scopes;
use crate::flow::Secret;
use crate::limits::MAX_AUTHORIZATION_WAIT;

const GRANT: &[u8; 5] = b"LWOG\x01";
const CLIENT: &[u8; 5] = b"LWOC\x01";
const PENDING: &[u8; 5] = b"LWOP\x01";
const LOGIN: &[u8; 5] = b"LWOL\x01";

/// The name of authority and principal, which says neither.
pub(crate) fn name_of(authority: &str, principal: Option<&str>) -> String {
    match principal {
        Some(principal) => digest(&format!("{authority}\0{principal}")),
        None => digest(authority),
    }
}

/// Where the grant of that name is kept.
pub(crate) fn grant_key(name: &str) -> String {
    format!("grant:{name}")
}

/// Where the key of that name's pending authorization is kept.
pub(crate) fn login_key(name: &str) -> String {
    format!("login:{name}")
}

/// Where the client that registered itself is kept.
pub(crate) fn client_key(issuer: &str) -> String {
    format!("client:{}", digest(issuer))
}

/// Where the authorization with this `state` is kept.
pub(crate) fn pending_key(state: &str) -> String {
    format!("pending:{}", digest(state))
}

/// A record in the making.
struct Body(Vec<u8>);

impl Body {
    fn new(key: &str) -> Self {
        Self(Vec::new()).text(key)
    }

    fn text(mut self, text: &str) -> Self {
        push(&mut self.0, text);
        self
    }

    fn secret(self, secret: Option<&Secret>) -> Self {
        self.text(secret.map_or("", |secret| &secret.0))
    }

    fn number(self, number: u64) -> Self {
        self.text(&number.to_string())
    }

    fn flag(self, flag: bool) -> Self {
        self.text(if flag { "y" } else { "" })
    }

    fn target(self, target: &Target) -> Self {
        self.text(&target.metadata)
            .text(&target.resource)
            .server(&target.server)
    }

    fn client(self, client: &Registered) -> Self {
        self.text(&client.id)
            .secret(client.secret.as_ref())
            .text(client.method.name())
            .number(client.expires)
    }

    fn server(self, server: &Server) -> Self {
        self.text(&server.issuer)
            .text(&server.authorization)
            .text(&server.token)
            .text(&server.registration)
            .text(&server.revocation)
            .text(&server.methods)
            .flag(server.cimd)
            .flag(server.names_itself)
            .flag(server.offline)
            .flag(server.pkce)
    }
}

/// A record being read.
struct Reader<'a>(Fields<'a>);

impl<'a> Reader<'a> {
    fn open(magic: &[u8; 5], key: &str, record: &'a [u8]) -> Option<Self> {
        let mut reader = Self(Fields::open(magic, record)?);
        (reader.0.next()? == key).then_some(reader)
    }

    fn text(&mut self) -> Option<String> {
        self.0.next().map(Into::into)
    }

    fn some_secret(&mut self) -> Option<Option<Secret>> {
        let text = self.text()?;
        Some(Some(text).filter(|text| !text.is_empty()).map(Secret))
    }

    fn number(&mut self) -> Option<u64> {
        self.0.next()?.parse().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.0.next()? {
            "" => Some(false),
            "y" => Some(true),
            _ => None,
        }
    }

    fn scopes(&mut self) -> Option<Scopes> {
        self.0.next().map(Scopes::read)
    }

    fn client(&mut self) -> Option<Registered> {
        Some(Registered {
            id: self.text()?,
            secret: self.some_secret()?,
            method: AuthMethod::of(self.0.next()?)?,
            expires: self.number()?,
        })
    }

    fn target(&mut self) -> Option<Target> {
        Some(Target {
            metadata: self.text()?,
            resource: self.text()?,
            server: self.server()?,
        })
    }

    fn server(&mut self) -> Option<Server> {
        Some(Server {
            issuer: self.text()?,
            authorization: self.text()?,
            token: self.text()?,
            registration: self.text()?,
            revocation: self.text()?,
            methods: self.text()?,
            cimd: self.flag()?,
            names_itself: self.flag()?,
            offline: self.flag()?,
            pkce: self.flag()?,
        })
    }

    fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

/// What the authority was found to want of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where the metadata of the resource was found; empty if it has none.
    pub(crate) metadata: String,
    /// The resource that tokens are for.
    pub(crate) resource: String,
    /// Who issues them.
    pub(crate) server: Server,
}

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) target: Target,
    /// The client that it was given to.
    pub(crate) client: Registered,
    pub(crate) redirect_uri: String,
    pub(crate) access: Secret,
    pub(crate) scheme: Scheme,
    /// When the access token came.
    pub(crate) since: u64,
    /// When the access token expires, if that is known.
    pub(crate) expires: Option<u64>,
    pub(crate) refresh: Option<Secret>,
    /// What was asked for, ever.
    pub(crate) asked: Scopes,
    /// What was granted.
    pub(crate) granted: Scopes,
    /// The name of the grant.
    pub(crate) identity: String,
    /// When it was last given anew, not renewed.
    pub(crate) authorized: u64,
}

impl Kept {
    pub(crate) fn to_record(&self, key: &str) -> Vec<u8> {
        let body = Body::new(key)
            .target(&self.target)
            .client(&self.client)
            .text(&self.redirect_uri)
            .text(&self.access.0)
            .text(self.scheme.name())
            .number(self.since)
            .text(&self.expires.map(|at| at.to_string()).unwrap_or_default())
            .secret(self.refresh.as_ref())
            .text(self.asked.as_str())
            .text(self.granted.as_str())
            .text(&self.identity)
            .number(self.authorized);
        seal(GRANT, &body.0)
    }

    pub(crate) fn from_record(key: &str, record: &[u8]) -> Option<Self> {
        let mut fields = Reader::open(GRANT, key, record)?;
        let kept = Self {
            target: fields.target()?,
            client: fields.client()?,
            redirect_uri: fields.text()?,
            access: Secret(fields.text()?),
            scheme: Scheme::of(&fields.text()?)?,
            since: fields.number()?,
            expires: match &*fields.text()? {
                "" => None,
                at => Some(at.parse().ok()?),
            },
            refresh: fields.some_secret()?,
            asked: fields.scopes()?,
            granted: fields.scopes()?,
            identity: fields.text()?,
            authorized: fields.number()?,
        };
        fields.end(kept)
    }
}

/// The record of a client that registered itself for a redirect URI.
pub(crate) fn client_record(key: &str, redirect_uri: &str, client: &Registered) -> Vec<u8> {
    seal(CLIENT, &Body::new(key).text(redirect_uri).client(client).0)
}

/// The redirect URI and the client of a record.
pub(crate) fn client_of(key: &str, record: &[u8]) -> Option<(String, Registered)> {
    let mut fields = Reader::open(CLIENT, key, record)?;
    let client = (fields.text()?, fields.client()?);
    fields.end(client)
}

/// An authorization under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The authority's URL.
    pub(crate) authority: String,
    /// Whose grant it becomes.
    pub(crate) principal: Option<String>,
    pub(crate) target: Target,
    pub(crate) client: Registered,
    pub(crate) redirect_uri: String,
    pub(crate) verifier: Secret,
    pub(crate) scopes: Scopes,
    /// What the agent is told.
    pub(crate) link: Secret,
    pub(crate) since: u64,
}

impl Pending {
    pub(crate) fn to_record(&self, key: &str) -> Vec<u8> {
        let body = Body::new(key)
            .text(&self.authority)
            .flag(self.principal.is_some())
            .text(self.principal.as_deref().unwrap_or_default())
            .target(&self.target)
            .client(&self.client)
            .text(&self.redirect_uri)
            .text(&self.verifier.0)
            .text(self.scopes.as_str())
            .text(&self.link.0)
            .number(self.since);
        seal(PENDING, &body.0)
    }

    pub(crate) fn from_record(key: &str, record: &[u8]) -> Option<Self> {
        let mut fields = Reader::open(PENDING, key, record)?;
        let pending = Self {
            authority: fields.text()?,
            principal: match (fields.flag()?, fields.text()?) {
                (true, principal) => Some(principal),
                (false, _) => None,
            },
            target: fields.target()?,
            client: fields.client()?,
            redirect_uri: fields.text()?,
            verifier: Secret(fields.text()?),
            scopes: fields.scopes()?,
            link: Secret(fields.text()?),
            since: fields.number()?,
        };
        fields.end(pending)
    }

    /// Whether the user may still come back from it. `now`: seconds since the Unix epoch.
    pub(crate) const fn is_open(&self, now: u64) -> bool {
        now >= self.since && now - self.since < MAX_AUTHORIZATION_WAIT.0 / 1000
    }
}

/// The record that points at a pending authorization.
pub(crate) fn login_record(key: &str, pending: &str) -> Vec<u8> {
    seal(LOGIN, &Body::new(key).text(pending).0)
}

/// Where a record points.
pub(crate) fn login_of(key: &str, record: &[u8]) -> Option<String> {
    let mut fields = Reader::open(LOGIN, key, record)?;
    let pending = fields.text()?;
    fields.end(pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_PUBLISHED_BYTES, MAX_SCOPES_BYTES};
    use leeward::limits::{MAX_NAME_BYTES, MAX_PRINCIPAL_BYTES, MAX_RECORD_BYTES, MAX_TOKEN_BYTES};

    fn server() -> Server {
        Server {
            issuer: "https://as.example".into(),
            authorization: "https://as.example/authorize".into(),
            token: "https://as.example/token".into(),
            registration: String::new(),
            revocation: "https://as.example/revoke".into(),
            methods: "none client_secret_basic".into(),
            cimd: false,
            names_itself: true,
            offline: false,
            pkce: true,
        }
    }

    fn target() -> Target {
        Target {
            metadata: "https://crm.example/.well-known/oauth-protected-resource".into(),
            resource: "https://crm.example".into(),
            server: server(),
        }
    }

    fn client() -> Registered {
        Registered {
            id: "c".into(),
            secret: Some(Secret("cs".into())),
            method: AuthMethod::Post,
            expires: 5,
        }
    }

    fn kept() -> Kept {
        Kept {
            target: target(),
            client: client(),
            redirect_uri: "http://127.0.0.1:1/cb".into(),
            access: Secret("at".into()),
            scheme: Scheme::Dpop,
            since: 900,
            expires: Some(1000),
            refresh: Some(Secret("rt".into())),
            asked: Scopes::read("a b"),
            granted: Scopes::read("a"),
            identity: "oauth:0".into(),
            authorized: 900,
        }
    }

    fn pending() -> Pending {
        Pending {
            authority: "https://crm.example/mcp".into(),
            principal: Some(String::new()),
            target: target(),
            client: client(),
            redirect_uri: "https://app.example/cb".into(),
            verifier: Secret("v".into()),
            scopes: Scopes::read("a"),
            link: Secret("https://as.example/authorize?x".into()),
            since: 1000,
        }
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        for kept in [
            kept(),
            Kept {
                expires: None,
                refresh: None,
                ..kept()
            },
        ] {
            assert_eq!(Kept::from_record("k", &kept.to_record("k")), Some(kept));
        }
        for principal in [Some("ann".into()), Some(String::new()), None] {
            let pending = Pending {
                principal,
                ..pending()
            };
            assert_eq!(Pending::from_record("k", &pending.to_record("k")), Some(pending));
        }
        let record = client_record("k", "http://127.0.0.1:1/cb", &client());
        assert_eq!(
            client_of("k", &record),
            Some(("http://127.0.0.1:1/cb".into(), client()))
        );
        assert_eq!(
            login_of("k", &login_record("k", "pending:x")),
            Some("pending:x".into())
        );
    }

    #[test]
    fn what_is_kept_under_another_key_or_is_of_another_kind_is_nobodys() {
        assert_eq!(
            Kept::from_record("grant:ann", &kept().to_record("grant:ben")),
            None
        );
        assert_eq!(Pending::from_record("a", &pending().to_record("b")), None);
        assert_eq!(login_of("a", &login_record("b", "x")), None);
        assert_eq!(Kept::from_record("k", &pending().to_record("k")), None);
        assert_eq!(Pending::from_record("k", &kept().to_record("k")), None);
    }

    #[test]
    fn no_damage_passes() {
        let record = kept().to_record("k");
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Kept::from_record("k", &damaged).is_none(), "bit {bit}");
        }
        for end in 0..record.len() {
            assert!(Kept::from_record("k", &record[..end]).is_none(), "cut at {end}");
        }
        // Whole, but with a field too many, or a number that is none.
        let mut body = Body::new("k").text("pending:x").text("more");
        assert_eq!(login_of("k", &seal(LOGIN, &body.0)), None);
        body = Body::new("k")
            .text("uri")
            .text("c")
            .text("")
            .text("none")
            .text("soon");
        assert_eq!(client_of("k", &seal(CLIENT, &body.0)), None);
    }

    #[test]
    fn the_largest_record_fits_a_vault() {
        let url = || "x".repeat(MAX_PUBLISHED_BYTES);
        let name = || "x".repeat(MAX_NAME_BYTES);
        let scopes = || Scopes::read(&"x".repeat(MAX_SCOPES_BYTES - 1));
        let target = || Target {
            metadata: url(),
            resource: url(),
            server: Server {
                issuer: url(),
                authorization: url(),
                token: url(),
                registration: url(),
                revocation: url(),
                methods: AuthMethod::ALL.map(AuthMethod::name).join(" "),
                ..server()
            },
        };
        let client = || Registered {
            id: name(),
            secret: Some(Secret(url())),
            ..client()
        };
        let token = || Secret("x".repeat(MAX_TOKEN_BYTES));
        let grant = Kept {
            target: target(),
            client: client(),
            redirect_uri: url(),
            access: token(),
            refresh: Some(token()),
            asked: scopes(),
            granted: scopes(),
            ..kept()
        };
        let pending = Pending {
            authority: name(),
            principal: Some("x".repeat(MAX_PRINCIPAL_BYTES)),
            target: target(),
            client: client(),
            redirect_uri: url(),
            scopes: scopes(),
            link: Secret(name()),
            ..pending()
        };
        assert!(grant.asked.as_str().len() == MAX_SCOPES_BYTES - 1);
        for record in [grant.to_record("k"), pending.to_record("k")] {
            assert!(
                (32 << 10..MAX_RECORD_BYTES).contains(&record.len()),
                "{}",
                record.len()
            );
        }
    }

    #[test]
    fn keys_are_short_visible_and_say_nobodys_name() {
        let long = "ann@crm.example".repeat(1000);
        for key in [
            grant_key(&name_of("https://crm.example/mcp", Some(&long))),
            login_key(&name_of("https://crm.example/mcp", None)),
            client_key(&long),
            pending_key(&long),
        ] {
            assert!(
                key.len() <= 128 && key.bytes().all(|byte| byte.is_ascii_graphic()),
                "{key}"
            );
            assert!(!key.contains("crm") && !key.contains("ann"), "{key}");
        }
        assert_ne!(name_of("a", Some("")), name_of("a", None));
        assert_ne!(name_of("a", Some("b")), name_of("ab", None));
    }

    #[test]
    fn nothing_shows_a_secret() {
        let shown = format!("{:?} {:?}", kept(), pending());
        for secret in ["\"at\"", "\"rt\"", "\"v\"", "\"cs\"", "authorize?x"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn an_authorization_is_open_for_ten_minutes() {
        let pending = pending();
        for (now, open) in [(999, false), (1000, true), (1599, true), (1600, false)] {
            assert_eq!(pending.is_open(now), open, "{now}");
        }
    }
}
