//! Which client the replica is at an authorization server: pre-registered, by its metadata document, or registered by
//! itself, in this order (2026-07-28, Client Registration). What one server gave is never shown to another: a client
//! belongs to its issuer, compared as a string.

use alloc::string::String;

use leeward::config::OAuth;
use leeward::config::oauth::{self, AuthMethod, GrantType, Key};

use super::answer::Registered;
use super::metadata::Server;
use crate::flow::Secret;
use crate::trouble::Trouble;

/// A client at one authorization server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) method: AuthMethod,
    /// What signs for it, with [`AuthMethod::PrivateKeyJwt`].
    pub(crate) key: Option<Key>,
    /// It registered itself, and may do so again.
    pub(crate) registered: bool,
}

impl Client {
    /// The client that is known without asking; `None` if it has to register.
    pub(crate) fn known(settings: &OAuth, server: &Server) -> Result<Option<Self>, Trouble> {
        let ours = |client: &&oauth::Client| client.issuer == server.issuer;
        if let Some(client) = settings.clients.iter().find(ours) {
            let secret = client.client_secret.clone().map(Secret);
            let method = match client.auth_method {
                Some(method) => method,
                None if client.key.is_some() => AuthMethod::PrivateKeyJwt,
                None if secret.is_none() => AuthMethod::None,
                None if !server.takes(AuthMethod::Basic) && server.takes(AuthMethod::Post) => {
                    AuthMethod::Post
                }
                None => AuthMethod::Basic,
            };
            return Ok(Some(Self {
                id: client.client_id.clone(),
                secret,
                method,
                key: client.key.clone(),
                registered: false,
            }));
        }
        if let Some(url) = settings.client_metadata_url.as_ref().filter(|_| server.cimd) {
            return Ok(Some(Self {
                id: url.clone(),
                secret: None,
                method: AuthMethod::None,
                key: None,
                registered: false,
            }));
        }
        // 2026-07-28, Client Registration, Authorization Server Binding: say so rather than become somebody else.
        if !settings.clients.is_empty() || settings.grant == GrantType::ClientCredentials {
            let message = "no client is configured for the authority's authorization server";
            return Err(Trouble::authorization("unregistered", message).with_detail(&server.issuer));
        }
        if server.registration.is_empty() {
            let message =
                "the authority's authorization server registers no clients, and none is configured for it";
            return Err(Trouble::authorization("registration_failed", message).with_detail(&server.issuer));
        }
        Ok(None)
    }

    /// The client that a grant was given to; `None` if the configuration means another one now.
    pub(crate) fn again(settings: &OAuth, server: &Server, kept: &Registered) -> Option<Self> {
        match Self::known(settings, server) {
            Ok(Some(known)) => Some(known).filter(|known| known.id == kept.id),
            Ok(None) => Some(Self::registered(kept.clone())),
            Err(_) => None,
        }
    }

    /// What of it is kept beside a grant: a configured secret stays where it is.
    pub(crate) fn to_keep(&self) -> Registered {
        Registered {
            id: self.id.clone(),
            secret: self.secret.clone().filter(|_| self.registered),
            method: self.method,
            expires: 0,
        }
    }

    /// What registered itself.
    pub(crate) fn registered(client: Registered) -> Self {
        Self {
            id: client.id,
            secret: client.secret,
            method: client.method,
            key: None,
            registered: true,
        }
    }
}

/// The method that a client asks for when it registers. One without a secret comes first: what registers itself proves
/// nothing by its secret that PKCE does not.
pub(crate) fn method_to_register(server: &Server) -> AuthMethod {
    [AuthMethod::None, AuthMethod::Basic, AuthMethod::Post]
        .into_iter()
        .find(|method| server.takes(*method))
        .unwrap_or(AuthMethod::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://as.example";

    fn server(methods: &str) -> Server {
        Server {
            issuer: ISSUER.into(),
            registration: "https://as.example/register".into(),
            methods: methods.into(),
            ..Server::default()
        }
    }

    fn configured(issuer: &str) -> OAuth {
        OAuth {
            clients: [oauth::Client {
                issuer: issuer.into(),
                client_id: "c".into(),
                client_secret: Some("s".into()),
                auth_method: None,
                key: None,
            }]
            .into(),
            ..OAuth::default()
        }
    }

    fn key() -> Key {
        Key {
            name: "k".into(),
            algorithm: "ES256",
            key_id: None,
        }
    }

    fn reason(settings: &OAuth, server: &Server) -> &'static str {
        Client::known(settings, server).unwrap_err().reason.unwrap()
    }

    #[test]
    fn the_order_is_that_of_the_specification() {
        let url = Some("https://app.example/client.json".into());
        let cimd = Server {
            cimd: true,
            ..server("none")
        };
        let both = OAuth {
            client_metadata_url: url,
            ..configured(ISSUER)
        };
        assert_eq!(Client::known(&both, &cimd).unwrap().unwrap().id, "c");
        let document = OAuth {
            clients: [].into(),
            ..both.clone()
        };
        let by_document = Client::known(&document, &cimd).unwrap().unwrap();
        assert_eq!(
            (&*by_document.id, by_document.method),
            ("https://app.example/client.json", AuthMethod::None)
        );
        assert!(Client::known(&document, &server("none")).unwrap().is_none());
        assert!(Client::known(&OAuth::default(), &cimd).unwrap().is_none());
        let closed = Server {
            registration: String::new(),
            ..server("none")
        };
        assert_eq!(reason(&OAuth::default(), &closed), "registration_failed");
    }

    #[test]
    fn a_client_is_its_issuers_alone() {
        for other in [
            "https://as.example/",
            "https://AS.example",
            "https://other.example",
        ] {
            assert_eq!(
                reason(&configured(other), &server("none")),
                "unregistered",
                "{other}"
            );
        }
        let unattended = OAuth {
            grant: GrantType::ClientCredentials,
            ..OAuth::default()
        };
        assert_eq!(reason(&unattended, &server("none")), "unregistered");
    }

    #[test]
    fn a_grant_finds_its_client_again_unless_another_is_meant_now() {
        let open = server("none");
        let known = Client::known(&configured(ISSUER), &open).unwrap().unwrap();
        let kept = known.to_keep();
        assert_eq!(kept.secret, None, "the configuration has it");
        let again = Client::again(&configured(ISSUER), &open, &kept).unwrap();
        assert_eq!(again.secret, Some(Secret("s".into())));
        let mut other = configured(ISSUER);
        other.clients[0].client_id = "other".into();
        assert!(Client::again(&other, &open, &kept).is_none());
        assert!(Client::again(&configured("https://other.example"), &open, &kept).is_none());

        let own = Registered {
            secret: Some(Secret("own".into())),
            method: AuthMethod::Post,
            ..kept
        };
        let own = Client::registered(own).to_keep();
        let again = Client::again(&OAuth::default(), &open, &own).unwrap();
        assert_eq!(
            (again.secret, again.method),
            (Some(Secret("own".into())), AuthMethod::Post)
        );
    }

    #[test]
    fn a_client_authenticates_as_configured_or_as_the_server_takes_it() {
        let method = |change: fn(&mut oauth::Client), methods| {
            let mut settings = configured(ISSUER);
            change(&mut settings.clients[0]);
            Client::known(&settings, &server(methods))
                .unwrap()
                .unwrap()
                .method
        };
        assert_eq!(
            method(|_| {}, "client_secret_post client_secret_basic"),
            AuthMethod::Basic
        );
        assert_eq!(method(|_| {}, "client_secret_post"), AuthMethod::Post);
        assert_eq!(method(|_| {}, ""), AuthMethod::Basic);
        assert_eq!(
            method(
                |client| client.auth_method = Some(AuthMethod::Post),
                "client_secret_basic"
            ),
            AuthMethod::Post
        );
        assert_eq!(
            method(|client| client.client_secret = None, "client_secret_basic"),
            AuthMethod::None
        );
        assert_eq!(
            method(|client| client.key = Some(key()), "client_secret_basic"),
            AuthMethod::PrivateKeyJwt
        );
    }

    #[test]
    fn registers_with_the_least_secret_method_that_is_taken() {
        for (methods, method) in [
            ("client_secret_post none client_secret_basic", AuthMethod::None),
            ("client_secret_post client_secret_basic", AuthMethod::Basic),
            ("client_secret_post", AuthMethod::Post),
            ("private_key_jwt", AuthMethod::None),
        ] {
            assert_eq!(method_to_register(&server(methods)), method, "{methods}");
        }
    }
}
