//! Grants in trips, at an authority and an authorization server that agree.

mod errands;
mod logins;
mod refusals;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use leeward::Code;
use leeward::border::{Callback, Errand, Refused};
use leeward::limits::MAX_CHALLENGE_BYTES;

use super::*;
use crate::limits::{MAX_ERRAND_WAIT, MAX_ERRANDS, MAX_STEP_UPS};
use crate::testing::ABLE;

const AUTHORITY: &str = "https://a.example/mcp";
const METADATA: &str = "https://a.example/.well-known/oauth-protected-resource/mcp";
const PAGE: &str = "https://as.example/authorize";
const TOKEN: &str = "https://as.example/token";

const CLIENT: &str = r#""grant":"client_credentials","clients":[{"issuer":"https://as.example","clientId":"c","clientSecret":"MARKER-secret"}]"#;
const USER: &str = r#""clients":[{"issuer":"https://as.example","clientId":"c","authMethod":"none"}]"#;

/// What authority and authorization server agree on.
#[derive(Clone, Default)]
struct Agreed(Arc<[AtomicU64; 4]>);

impl Agreed {
    /// The number of the last token; those before are good too, down to `oldest`.
    fn last(&self) -> &AtomicU64 {
        &self.0[0]
    }
    fn oldest(&self) -> &AtomicU64 {
        &self.0[1]
    }
    /// How the token endpoint is: 0 well, 1 silent, 2 out of order.
    fn mood(&self) -> &AtomicU64 {
        &self.0[2]
    }
    /// How many scopes of `s1 s2 ...` calls need.
    fn needs(&self) -> &AtomicU64 {
        &self.0[3]
    }

    fn revoke(&self) {
        let next = self.last().load(Ordering::Relaxed) + 1;
        self.oldest().store(next, Ordering::Relaxed);
    }

    fn takes(&self, seen: &Seen) -> bool {
        let token = seen.header("authorization").unwrap_or_default();
        let token = token
            .strip_prefix("Bearer ")
            .or_else(|| token.strip_prefix("DPoP "));
        let number = token.and_then(|token| token.strip_prefix("MARKER-token-")?.parse().ok());
        let range = self.oldest().load(Ordering::Relaxed).max(1)..=self.last().load(Ordering::Relaxed);
        number.is_some_and(|number: u64| range.contains(&number))
    }

    /// The token endpoint. Tokens live 100 seconds.
    fn issue(&self, seen: &Seen) -> Say {
        match self.mood().load(Ordering::Relaxed) {
            1 => return Say::never(),
            2 => return Say::empty(500),
            _ => {}
        }
        let form = String::from_utf8(seen.http.body.clone()).unwrap();
        assert!(form.contains("resource=https%3A%2F%2Fa.example%2Fmcp"), "{form}");
        let number = self.last().fetch_add(1, Ordering::Relaxed) + 1;
        let kind = if form.contains("dpop") || seen.header("dpop").is_some() {
            "DPoP"
        } else {
            "Bearer"
        };
        Say::json(
            200,
            json!({"access_token": format!("MARKER-token-{number}"), "token_type": kind, "expires_in": 100,
                "refresh_token": format!("MARKER-refresh-{number}"), "scope": "s0"}),
        )
    }

    /// Everything else on both sides; `rest` answers what is allowed.
    fn answer(&self, seen: &Seen, rest: impl FnOnce(&Seen) -> Say) -> Say {
        match &*seen.http.url {
            METADATA => Say::json(
                200,
                json!({"resource": AUTHORITY, "authorization_servers": ["https://as.example"]}),
            ),
            TOKEN => self.issue(seen),
            AUTHORITY if !self.takes(seen) => {
                let challenge = format!(r#"Bearer resource_metadata="{METADATA}""#);
                Say::empty(401).with("www-authenticate", &challenge)
            }
            AUTHORITY if seen.method == "tools/call" && self.needs().load(Ordering::Relaxed) > 0 => {
                let challenge = r#"Bearer error="insufficient_scope", scope="s1""#;
                Say::empty(403).with("www-authenticate", challenge)
            }
            AUTHORITY => rest(seen),
            url if url.starts_with("https://as.example/.well-known/oauth-authorization-server") => Say::json(
                200,
                json!({"issuer": "https://as.example", "authorization_endpoint": PAGE, "token_endpoint": TOKEN,
                    "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
                    "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"]}),
            ),
            _ => Say::empty(404),
        }
    }
}

fn world(oauth: &str, host: Host, agreed: &Agreed) -> World {
    let agreed = agreed.clone();
    world_of(oauth, host, move |seen| agreed.answer(seen, answer))
}

fn world_of(oauth: &str, host: Host, authority: impl FnMut(&Seen) -> Say + Send + 'static) -> World {
    let config = format!(
        r#"{{"authority":{{"url":"{AUTHORITY}","oauth":{{{oauth}}}}},
        "policy":[{{"tool":"get_*","rule":"cache; max-age=60; stale-if-error=600"}}]}}"#
    );
    let mut world = World::with(&config, host.lease, authority);
    world.replica = Replica::new(world.replica.config().clone(), host);
    world.seeded()
}

impl World {
    fn forms(&self) -> usize {
        self.trips("form")
    }

    /// The tokens that calls of tools went out with.
    fn tokens(&self) -> Vec<&str> {
        let calls = self.host.seen.iter().filter(|seen| seen.method == "tools/call");
        calls
            .map(|seen| seen.header("authorization").unwrap_or("none"))
            .collect()
    }

    fn codes(&self) -> Vec<String> {
        let results = self.results();
        let code = |result: &Value| match result["error"]["data"]["code"].as_str() {
            Some(code) => code.to_string(),
            None => "ok".into(),
        };
        results.iter().map(code).collect()
    }

    /// Waits for all that can come without more than a minute passing.
    fn ask(&mut self, id: u64, tool: &str) {
        self.wait(0, &call(id, tool));
        self.pump();
    }

    fn errand(&mut self, errand: Errand) -> leeward::border::ErrandId {
        let id = self.replica.errand(self.clock(), Ctx(0), errand);
        self.called(Ctx(0));
        self.pump();
        id
    }
}

/// The user consents at once, in this process.
fn consents(url: &str) -> Option<Result<Callback, String>> {
    Some(Ok(Callback::Query(redirect_of(url))))
}

fn redirect_of(url: &str) -> String {
    let (_, query) = url.split_once('?').unwrap();
    let state = query
        .split('&')
        .find(|field| field.starts_with("state="))
        .unwrap();
    format!("code=MARKER-code&{state}")
}
