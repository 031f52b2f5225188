//! A world for the flows: an authority and an authorization server as a function, a vault, a user, a signing key,
//! and time that passes when nothing else is left to happen.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use futures::channel::oneshot;
use leeward::border::{Callback, Event, FlightId, HttpRequest, Refused};
use leeward::config::Config;
use leeward::dispatch::Caller;
use leeward::{Ctx, Failure, Input, Millis, OpId, Output};
use serde_json::{Value, json};

use super::super::{Granted, Why, finish, obtain, sign_out};
use crate::desk::Desk;
use crate::exec::{End, Executor, Io};
use crate::flow::{Secret, Upstream};
use crate::link::Link;
use crate::replica::Host;
use crate::testing::ABLE;
use crate::trouble::Trouble;

pub(super) const URL: &str = "https://crm.example/mcp";
pub(super) const ISSUER: &str = "https://as.example";
pub(super) const REDIRECT: &str = "http://127.0.0.1:4321/callback";

/// An answer over HTTP; `None`: no connection.
pub(super) type Reply = Option<(u16, Vec<(String, String)>, String)>;

pub(super) fn reply(status: u16, body: Value) -> Reply {
    Some((status, Vec::new(), body.to_string()))
}

pub(super) fn nothing() -> Reply {
    Some((404, Vec::new(), "<html>not found</html>".into()))
}

/// A request, with its form taken apart.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) http: HttpRequest,
    pub(super) form: BTreeMap<String, String>,
}

impl Seen {
    fn of(http: HttpRequest) -> Self {
        let body = String::from_utf8(http.body.clone()).unwrap();
        Self {
            form: fields(&body),
            http,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.http.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", |value| value)
    }
}

/// The fields of a form or query.
pub(super) fn fields(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(core::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    text.split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

type Servers = Box<dyn FnMut(&Seen) -> Reply>;
type User = Box<dyn FnMut(&str, &BTreeMap<String, String>) -> Option<Result<Callback, String>>>;

pub(super) struct World {
    pub(super) upstream: Upstream,
    pub(super) host: Host,
    servers: Servers,
    /// Is given the URL, and its query; `None`: the user never comes back.
    pub(super) user: User,
    pub(super) vault: BTreeMap<String, Vec<u8>>,
    /// Records whose keys begin so cannot be read.
    pub(super) unreadable: Option<&'static str>,
    pub(super) seen: Vec<Seen>,
    pub(super) shown: Vec<BTreeMap<String, String>>,
    pub(super) dropped: Vec<&'static str>,
    pub(super) signed: Vec<String>,
    pub(super) redirect: Result<String, String>,
    pub(super) mono: Millis,
    pub(super) unix: Millis,
    drawn: u8,
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl World {
    /// `oauth`: the configuration's member.
    pub(super) fn new(oauth: Value, servers: impl FnMut(&Seen) -> Reply + 'static) -> Self {
        let config = json!({"authority": {"url": URL, "oauth": oauth}, "policy": []});
        let config = Config::parse(&config.to_string()).unwrap();
        let authority = config.authority.unwrap();
        Self {
            upstream: Upstream {
                url: Some(authority.url),
                token: None,
                hook: false,
                oauth: authority.oauth,
                authorizes: true,
                version: None,
                max_bytes: 4096,
                timeout: Millis(1000),
                longest: Millis(1000),
                seed: [1, 2, 3, 4],
            },
            host: ABLE,
            servers: Box::new(servers),
            user: Box::new(|_, query| Some(Ok(returns(query)))),
            vault: BTreeMap::new(),
            unreadable: None,
            seen: Vec::new(),
            shown: Vec::new(),
            dropped: Vec::new(),
            signed: Vec::new(),
            redirect: Ok(REDIRECT.into()),
            mono: Millis(1_000),
            unix: Millis(1_800_000_000_000),
            drawn: 0,
        }
    }

    pub(super) fn first(&mut self, principal: Option<&str>) -> Result<Option<Granted>, Trouble> {
        self.obtain(principal, Why::First)
    }

    /// The authority refused this token, or none, with this challenge.
    pub(super) fn refused(
        &mut self,
        principal: Option<&str>,
        token: Option<&str>,
        status: u16,
        challenge: &str,
    ) -> Result<Granted, Trouble> {
        let why = Why::Refused(Refused {
            token: token.map(Into::into),
            status,
            challenge: Some(challenge.into()),
        });
        self.obtain(principal, why).map(Option::unwrap)
    }

    /// A first login, after a plain 401.
    pub(super) fn login(&mut self, principal: Option<&str>) -> Result<Granted, Trouble> {
        self.refused(principal, None, 401, "Bearer")
    }

    fn obtain(&mut self, principal: Option<&str>, why: Why) -> Result<Option<Granted>, Trouble> {
        let (upstream, principal) = (self.upstream.clone(), principal.map(String::from));
        self.run(|mut io| {
            Box::pin(async move { obtain(&mut io, &upstream, principal.as_deref(), why).await })
        })
    }

    pub(super) fn finish(&mut self, query: &str) -> Result<(Option<String>, Granted), Trouble> {
        self.finish_of(query, None)
    }

    /// This caller came back.
    pub(super) fn finish_of(
        &mut self,
        query: &str,
        caller: Option<Caller>,
    ) -> Result<(Option<String>, Granted), Trouble> {
        let (upstream, query) = (self.upstream.clone(), String::from(query));
        self.run(|mut io| Box::pin(async move { finish(&mut io, &upstream, &query, caller.as_ref()).await }))
    }

    pub(super) fn sign_out(&mut self, principal: Option<&str>) -> Result<(), Trouble> {
        let (upstream, principal) = (self.upstream.clone(), principal.map(String::from));
        self.run(|mut io| Box::pin(async move { sign_out(&mut io, &upstream, principal.as_deref()).await }))
    }

    /// Runs a flow to its end.
    pub(super) fn run<T: Send + 'static>(&mut self, work: impl FnOnce(Io) -> Work<T>) -> T {
        let (done, mut result) = oneshot::channel();
        let mut executor = Executor::new(self.host);
        let mut link = Link::new(1);
        let mut desk = Desk::new(None);
        executor.advance(self.unix);
        executor.start(FlightId(1), Ctx::SHARED, |io| {
            let work = work(io);
            Box::pin(async move {
                let _ = done.send(work.await);
                End::Trip(Err(Trouble::internal("over").into_error(false)))
            })
        });
        let mut bodies: BTreeMap<OpId, Vec<Vec<u8>>> = BTreeMap::new();
        loop {
            while executor.step(self.mono, &mut link, &mut desk).is_some() {}
            if let Ok(Some(result)) = result.try_recv() {
                while let Some(output) = desk.poll(Ctx::SHARED) {
                    let after = self.act(output, &mut bodies);
                    assert!(after.is_none(), "nothing is asked after the end");
                }
                return result;
            }
            if let Some(output) = desk.poll(Ctx::SHARED) {
                executor.taken(&output);
                if let Some(input) = self.act(output, &mut bodies) {
                    executor.answer(input, &mut desk);
                }
                continue;
            }
            let then = executor.timeout(Ctx::SHARED).expect("something is still to come");
            self.unix = self.unix + then.since(self.mono);
            self.mono = then;
            executor.advance(self.unix);
            desk.enter(then, Ctx::SHARED);
            executor.fire(then, &mut desk);
        }
    }

    fn act(&mut self, output: Output, bodies: &mut BTreeMap<OpId, Vec<Vec<u8>>>) -> Option<Input> {
        Some(match output {
            Output::Fetch { op, request } => {
                let seen = Seen::of(request);
                let answer = (self.servers)(&seen);
                self.seen.push(seen);
                match answer {
                    None => {
                        let failure = Failure {
                            before_send: false,
                            message: "lost".into(),
                        };
                        Input::Failed { op, failure }
                    }
                    Some((0, ..)) => return None,
                    Some((status, headers, body)) => {
                        let chunks = body.as_bytes().chunks(1000).rev().map(<[u8]>::to_vec);
                        bodies.insert(op, chunks.collect());
                        Input::Head { op, status, headers }
                    }
                }
            }
            Output::Read { op, fetch } => match bodies.get_mut(&fetch).and_then(Vec::pop) {
                Some(bytes) => Input::Chunk { op, bytes },
                None => Input::End { op },
            },
            Output::Load { op, key } => {
                assert!(key.len() <= 128 && key.bytes().all(|byte| byte.is_ascii_graphic()));
                let fails = self.unreadable.is_some_and(|kind| key.starts_with(kind));
                let result = match fails {
                    true => Err("locked".into()),
                    false => Ok(self.vault.get(&key).cloned()),
                };
                Input::Loaded { op, result }
            }
            Output::Keep { key, record } => {
                match record {
                    Some(record) => self.vault.insert(key, record),
                    None => self.vault.remove(&key),
                };
                return None;
            }
            Output::Entropy { op, bytes } => {
                self.drawn += 1;
                let bytes = [self.drawn].repeat(bytes);
                Input::Entropy { op, bytes }
            }
            Output::Sign {
                op,
                key,
                algorithm,
                payload,
            } => {
                assert_eq!((&*key, &*algorithm), ("k1", "ES256"));
                self.signed.push(String::from_utf8(payload).unwrap());
                Input::Signed {
                    op,
                    result: Ok(b"signature".to_vec()),
                }
            }
            Output::Redirect { op, .. } => Input::Redirect {
                op,
                result: self.redirect.clone(),
            },
            Output::Authorize { op, url, .. } => {
                let query = fields(url.split_once('?').unwrap().1);
                let result = (self.user)(&url, &query);
                self.shown.push(query);
                Input::Authorized { op, result: result? }
            }
            Output::Event(Event::GrantDropped { reason }) => {
                self.dropped.push(reason);
                return None;
            }
            Output::Abort { .. } => return None,
            other => panic!("{other:?}"),
        })
    }

    /// What was sent to this URL.
    pub(super) fn sent(&self, url: &str) -> Vec<&Seen> {
        self.seen.iter().filter(|seen| seen.http.url == url).collect()
    }

    /// The URLs that were asked, without those that had nothing.
    pub(super) fn urls(&self) -> Vec<&str> {
        self.seen.iter().map(|seen| &*seen.http.url).collect()
    }

    pub(super) fn pass(&mut self, span: Millis) {
        self.mono = self.mono + span;
        self.unix = self.unix + span;
    }
}

/// The user agrees.
pub(super) fn returns(query: &BTreeMap<String, String>) -> Callback {
    Callback::Query(alloc::format!("code=c1&state={}", query["state"]))
}

pub(super) fn secret(text: &str) -> Secret {
    Secret(text.into())
}

/// An authority that trusts one authorization server, which registers clients, knows PKCE, and gives tokens `at1`,
/// `at2` and so on, with refresh tokens `rt1`, `rt2`.
pub(super) fn usual() -> impl FnMut(&Seen) -> Reply {
    with(|_| None)
}

/// The same, but for what `other` answers.
pub(super) fn with(mut other: impl FnMut(&Seen) -> Option<Reply> + 'static) -> impl FnMut(&Seen) -> Reply {
    let mut given = 0;
    move |seen| {
        if let Some(reply) = other(seen) {
            return reply;
        }
        match &*seen.http.url {
            "https://crm.example/.well-known/oauth-protected-resource/mcp" => reply(200, resource()),
            "https://as.example/.well-known/oauth-authorization-server" => reply(200, server()),
            "https://as.example/register" => reply(201, json!({"client_id": "registered"})),
            "https://as.example/revoke" => reply(200, json!({})),
            "https://as.example/token" => {
                given += 1;
                reply(200, tokens(given))
            }
            _ => nothing(),
        }
    }
}

pub(super) fn resource() -> Value {
    json!({"resource": URL, "authorization_servers": [ISSUER]})
}

pub(super) fn server() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "registration_endpoint": "https://as.example/register",
        "revocation_endpoint": "https://as.example/revoke",
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
    })
}

pub(super) fn tokens(n: u32) -> Value {
    json!({
        "access_token": alloc::format!("at{n}"),
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": alloc::format!("rt{n}"),
    })
}

/// Why there is no grant.
pub(super) fn reason<T: core::fmt::Debug>(result: Result<T, Trouble>) -> &'static str {
    let trouble = result.unwrap_err();
    assert!(trouble.harmless, "{trouble:?}");
    trouble.reason.unwrap_or("none")
}
