//! The world of `border` where the replica obtains its grants itself: who issues tokens, who asks for errands, the vault.

use std::collections::BTreeMap;

use leeward::border::{Callback, Credential, Errand, ErrandId, HttpRequest, Refused};
use leeward::{Caller, Ctx, Error, Input, OpId};
use leeward_tests::authority::Plan;
use leeward_tests::oauth::{
    AUTHORITY, REDIRECT, RESOURCE, SECRET, Server, TOKEN, check_key, check_request, form,
};

use super::model::{Model, PEOPLE, Question};

/// See the module.
#[derive(Default)]
pub(super) struct Issuer {
    pub(super) server: Server,
    pub(super) vault: BTreeMap<String, Vec<u8>>,
    /// Tokens are bound to a key.
    bound: bool,
    /// Whose each code and token is.
    owners: BTreeMap<String, String>,
    /// Redirects that came to another instance.
    redirects: Vec<String>,
    /// Errands under way: whose I/O, and whose token it may bring, if it is known.
    errands: BTreeMap<ErrandId, (Ctx, Option<String>)>,
    drawn: u8,
}

impl Issuer {
    pub(super) fn new(bound: bool) -> Self {
        Self {
            bound,
            ..Self::default()
        }
    }

    pub(super) fn config(bound: bool) -> String {
        let jwk = r#"{"kty":"EC","crv":"P-256","x":"a","y":"b"}"#;
        let dpop = if bound {
            format!(r#""dpop":{{"key":"k","algorithm":"ES256","jwk":{jwk}}}"#)
        } else {
            String::new()
        };
        format!(r#"{{"url":"{AUTHORITY}","oauth":{{{dpop}}}}}"#)
    }

    /// Bytes that were not drawn before.
    pub(super) fn draw(&mut self, count: usize) -> Vec<u8> {
        self.drawn = self.drawn.wrapping_add(1);
        vec![self.drawn; count]
    }

    /// Whose token a request of the authority's has; `None` if it is not taken.
    pub(super) fn taken(&self, request: &HttpRequest) -> Option<&str> {
        let mut tokens = request.headers.iter().filter(|(name, _)| name == "authorization");
        let (scheme, token) = tokens.next()?.1.split_once(' ')?;
        assert_eq!(scheme, if self.bound { "DPoP" } else { "Bearer" });
        let proved = request.headers.iter().any(|(name, _)| name == "dpop");
        assert_eq!(proved, self.bound, "a proof where one is due");
        let known = self.server.access.contains(token);
        known.then(|| self.owners.get(token).map_or("", |owner| owner))
    }

    /// What anybody but the authority answers.
    pub(super) fn receive(&mut self, request: &HttpRequest) -> (u16, &'static str, Vec<u8>) {
        let plan = self.server.receive(request);
        let Plan::Respond { status, chunks, .. } = plan else {
            panic!("no fault was said");
        };
        let body = String::from_utf8(chunks.concat()).expect("text");
        if request.url != TOKEN || status != 200 {
            return (status, "application/json", body.into_bytes());
        }
        let given = form(&String::from_utf8_lossy(&request.body));
        let old = given.get("code").or(given.get("refresh_token"));
        let owner = old
            .and_then(|old| self.owners.get(old))
            .cloned()
            .unwrap_or_default();
        let tokens: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        for name in ["access_token", "refresh_token"] {
            let token = tokens[name].as_str().expect("a token").to_owned();
            self.owners.insert(token, owner.clone());
        }
        let scheme = if self.bound { "DPoP" } else { "Bearer" };
        (
            200,
            "application/json",
            body.replace("Bearer", scheme).into_bytes(),
        )
    }

    /// A user who consents.
    fn consent(&mut self, principal: Option<&str>, url: &str) -> String {
        let query = self.server.authorize(url);
        let code = form(&query).remove("code").unwrap_or_default();
        self.owners.insert(code, principal.unwrap_or_default().into());
        query
    }
}

/// How the authority says that it wants another token.
pub(super) fn challenge(status: u16) -> String {
    match status {
        403 => r#"Bearer error="insufficient_scope", scope="read write""#.into(),
        _ => format!(r#"Bearer resource_metadata="{RESOURCE}", scope="read""#),
    }
}

/// What is told, or shown, has no secret.
pub(super) fn check_told(shown: &str) {
    assert!(!shown.contains(SECRET), "a secret is told: {shown}");
}

impl Model {
    /// Requests go where their secrets may.
    pub(super) fn check_secrets(&self, request: &HttpRequest) {
        if self.issuer.is_some() {
            check_request(request, false);
        }
    }

    pub(super) fn keep(&mut self, key: String, record: Option<Vec<u8>>) {
        check_key(&key);
        let issuer = self.issuer.as_mut().expect("a vault");
        match record {
            Some(record) => issuer.vault.insert(key, record),
            None => issuer.vault.remove(&key),
        };
    }

    /// An answer to what only hosts with all of this are asked; `how`: 0 for the one that fits.
    pub(super) fn answer_host(&mut self, op: OpId, question: Question, how: u8) -> Input {
        let issuer = self.issuer.as_mut().expect("a host that authorizes");
        let odd = || "odd".to_owned();
        match (question, how % 4) {
            (Question::Load(key), 0) => {
                let result = Ok(issuer.vault.get(&key).cloned());
                Input::Loaded { op, result }
            }
            (Question::Load(_), 1) => Input::Loaded {
                op,
                result: Err(odd()),
            },
            (Question::Load(_), 2) => Input::Loaded { op, result: Ok(None) },
            (Question::Load(_), _) => {
                let result = Ok(Some(vec![how; 80]));
                Input::Loaded { op, result }
            }
            (Question::Sign, 1) => Input::Signed {
                op,
                result: Err(odd()),
            },
            (Question::Sign, _) => {
                let result = Ok(vec![7; 64]);
                Input::Signed { op, result }
            }
            (Question::Redirect, 1) => Input::Redirect {
                op,
                result: Err(odd()),
            },
            (Question::Redirect, 2) => {
                let result = Ok("javascript:x".into());
                Input::Redirect { op, result }
            }
            (Question::Redirect, _) => {
                let result = Ok(REDIRECT.into());
                Input::Redirect { op, result }
            }
            (Question::Authorize(_, _), 1) => Input::Authorized {
                op,
                result: Err(odd()),
            },
            (Question::Authorize(principal, url), turn) => {
                let query = issuer.consent(principal.as_deref(), &url);
                let result = Ok(match turn {
                    0 => Callback::Query(query),
                    2 => {
                        issuer.redirects.push(query);
                        Callback::Elsewhere("https://here.example/start".into())
                    }
                    _ => Callback::Query(query.replace("state=", "state=x")),
                });
                Input::Authorized { op, result }
            }
            (question, _) => unreachable!("{question:?}"),
        }
    }

    /// The host asks for something itself, or what was granted ends.
    pub(super) fn errand(&mut self, what: u8, who: u8) {
        let ctx = self.live[usize::from(who / 2) % self.live.len()];
        let person = PEOPLE[usize::from(who) % 2].to_owned();
        let principal = Some(person.clone());
        let Some(issuer) = &mut self.issuer else {
            return;
        };
        let (errand, whose) = match what % 7 {
            0 => (Errand::SignOut { principal }, None),
            1 => (
                Errand::Credential {
                    principal,
                    refused: None,
                },
                Some(person),
            ),
            2 => {
                // The newest of the person's, which may or may not be the one that is held.
                let mine = |token: &&String| issuer.owners.get(*token) == Some(&person);
                let token = issuer.server.access.iter().rfind(mine).cloned();
                let refused = Some(Refused {
                    token,
                    status: 401,
                    challenge: Some(challenge(401)),
                });
                (Errand::Credential { principal, refused }, Some(person))
            }
            3 => {
                let query = issuer.redirects.pop().unwrap_or_else(|| "code=a&state=b".into());
                let whose = form(&query).get("code").and_then(|code| issuer.owners.get(code));
                let whose = whose.cloned();
                // Who came back is told by some hosts: the one or another.
                let caller = who.is_multiple_of(2).then_some(Caller::Principal(person));
                (Errand::Callback { query, caller }, whose)
            }
            4 => return issuer.server.rotate_keys(),
            5 => return issuer.server.refresh.clear(),
            _ => {
                issuer.server.expires_in = serde_json::json!(u32::from(who) * 2);
                return;
            }
        };
        let id = self.replica.errand(self.now, ctx, errand);
        let known = self
            .issuer
            .as_mut()
            .map(|issuer| issuer.errands.insert(id, (ctx, whose)));
        assert_eq!(known, Some(None), "an errand is named once");
    }

    /// What came of an errand.
    pub(super) fn told(&mut self, ctx: Ctx, id: ErrandId, result: Result<Option<Credential>, Error>) {
        let issuer = self.issuer.as_mut().expect("nobody asked for an errand");
        let (of, whose) = issuer.errands.remove(&id).expect("an errand is answered once");
        assert_eq!(of, ctx, "an errand's answer for another context");
        match result {
            Ok(Some(credential)) => {
                let owner = issuer.owners.get(&credential.token);
                assert!(owner.is_some() && owner == whose.as_ref(), "another's token");
            }
            Ok(None) => {}
            Err(error) => check_told(&format!("{error:?} {}", error.to_json("1"))),
        }
    }

    /// Nobody drives this context any more.
    pub(super) fn forsake(&mut self, ctx: Ctx) {
        if let Some(issuer) = &mut self.issuer {
            issuer.errands.retain(|_, (of, _)| *of != ctx);
        }
    }

    /// Every errand that somebody waits for was answered.
    pub(super) fn check_errands(&self) {
        let left = self.issuer.as_ref().map_or(0, |issuer| issuer.errands.len());
        assert_eq!(left, 0, "errands that never got an answer");
    }
}
