//! Grants in trips: who waits for which, what is sent again, and what is never sent.

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

#[test]
fn a_hundred_callers_wait_for_one_token() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    for id in 0..100 {
        world.wait(0, &call(id, &format!("get_{id}")));
    }
    world.pump();
    assert_eq!(world.forms(), 1);
    assert_eq!(world.codes(), ["ok"; 100].map(String::from));
    // And all of them for one renewal.
    agreed.revoke();
    for id in 100..200 {
        world.wait(0, &call(id, &format!("get_{id}")));
    }
    world.pump();
    assert_eq!(world.forms(), 2);
    assert_eq!(world.codes(), ["ok"; 200].map(String::from));
}

#[test]
fn a_token_is_renewed_ahead_of_its_end_while_it_still_serves() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    world.ask(1, "book_a");
    world.now = world.now + Millis(99_000);
    world.ask(2, "book_b");
    assert_eq!(world.forms(), 2, "renewed");
    world.ask(3, "book_c");
    let tokens = [
        "Bearer MARKER-token-1",
        "Bearer MARKER-token-1",
        "Bearer MARKER-token-2",
    ];
    assert_eq!(world.tokens(), tokens, "and nobody waited for it");
    world.now = world.now + Millis(101_000);
    world.ask(4, "book_d");
    assert_eq!(
        world.tokens().last(),
        Some(&"Bearer MARKER-token-3"),
        "never an expired one"
    );
    assert_eq!(world.codes(), ["ok"; 4].map(String::from));
}

#[test]
fn a_token_that_cannot_be_renewed_ahead_serves_to_its_end() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    world.ask(1, "book_a");
    agreed.mood().store(2, Ordering::Relaxed);
    world.now = world.now + Millis(99_000);
    for id in 2..6 {
        world.ask(id, "book_b");
    }
    assert_eq!(world.codes(), ["ok"; 5].map(String::from));
    assert_eq!(world.forms(), 2, "tried once for all of them");
}

#[test]
fn a_refused_write_is_done_exactly_once_with_the_next_token() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    world.ask(1, "book_a");
    agreed.revoke();
    world.ask(2, "book_b");
    let tokens = [
        "Bearer MARKER-token-1",
        "Bearer MARKER-token-1",
        "Bearer MARKER-token-2",
    ];
    assert_eq!(world.tokens(), tokens);
    assert_eq!(world.codes(), ["ok", "ok"]);
}

#[test]
fn a_refused_write_has_a_known_outcome_while_the_next_token_is_waited_for() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    world.ask(1, "book_a");
    agreed.revoke();
    agreed.mood().store(1, Ordering::Relaxed);
    world.ask(2, "book_b");
    world.run();
    assert_eq!(world.codes(), ["ok", "authority_auth_required"]);
    assert_eq!(world.trips("tools/call"), 2);
}

#[test]
fn a_refused_write_given_up_before_the_next_token_came_is_not_sent() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    world.ask(1, "book_a");
    agreed.revoke();
    agreed.mood().store(1, Ordering::Relaxed);
    let ticket = world.wait(0, &call(2, "book_b"));
    world.pump();
    world.handle(0, Input::Cancel { ticket });
    agreed.mood().store(0, Ordering::Relaxed);
    let form = world.host.seen.iter().rfind(|seen| seen.method == "form");
    let say = agreed.issue(form.unwrap());
    let input = world.host.answer_late(|_| say);
    world.handle(0, input);
    world.run();
    let tokens = ["Bearer MARKER-token-1", "Bearer MARKER-token-1"];
    assert_eq!(world.tokens(), tokens, "the second was refused");
}

#[test]
fn users_who_take_their_time_are_no_outage_of_the_authority() {
    let mut world = world(USER, ABLE, &Agreed::default());
    for id in 0..8 {
        world.ask(id, "book_a");
        world.run_until(world.now + Millis(61_000));
    }
    assert_eq!(world.codes(), ["authority_auth_required"; 8].map(String::from));
}

#[test]
fn a_second_refusal_is_final() {
    let agreed = Agreed::default();
    let refuses = agreed.clone();
    let mut world = world_of(CLIENT, ABLE, move |seen| match seen.method.as_str() {
        "tools/call" => Say::empty(401),
        _ => refuses.answer(seen, answer),
    });
    world.ask(1, "book_a");
    world.run();
    assert_eq!(world.codes(), ["authority_auth_required"]);
    assert_eq!(world.trips("tools/call"), 2);
    assert_eq!(world.results()[0]["error"]["data"]["reason"], "refused");
}

#[test]
fn steps_up_a_few_times_and_then_not_at_all() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    agreed.needs().store(1, Ordering::Relaxed);
    for id in 0..20 {
        world.ask(id, "book_a");
    }
    world.run();
    assert_eq!(world.codes(), ["authority_auth_required"; 20].map(String::from));
    let steps = world.forms() - 1;
    assert!(steps >= 1 && steps <= MAX_STEP_UPS as usize, "{steps} step-ups");
    assert_eq!(
        world.results()[19]["error"]["data"]["reason"],
        "insufficient_scope"
    );
}

#[test]
fn nothing_stale_is_served_after_a_refusal() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    world.ask(1, "get_a");
    world.now = world.now + Millis(61_000);
    agreed.revoke();
    // The authorization server is down, which would excuse a stale answer of an authority that is.
    agreed.mood().store(2, Ordering::Relaxed);
    world.ask(2, "get_a");
    world.run();
    assert_eq!(world.codes(), ["ok", "authority_auth_required"]);
    agreed.mood().store(0, Ordering::Relaxed);
    world.ask(3, "get_a");
    world.run();
    assert_eq!(world.codes()[2], "ok");
}

#[test]
fn who_began_may_leave_and_the_rest_is_served() {
    let agreed = Agreed::default();
    agreed.mood().store(1, Ordering::Relaxed);
    let mut world = world(CLIENT, ABLE, &agreed);
    let ticket = world.wait(0, &call(1, "get_a"));
    world.pump();
    world.wait(0, &call(2, "get_b"));
    world.pump();
    world.handle(0, Input::Cancel { ticket });
    world.pump();
    assert_eq!(world.forms(), 1);
    agreed.mood().store(0, Ordering::Relaxed);
    let seen = world.host.seen.iter().find(|seen| seen.method == "form");
    let say = agreed.issue(seen.unwrap());
    let input = world.host.answer_late(|_| say);
    world.handle(0, input);
    world.pump();
    assert_eq!((world.forms(), world.codes()), (1, Vec::from(["ok".into()])));
}

#[test]
fn a_vault_that_fails_is_told_and_a_host_without_one_does() {
    let agreed = Agreed::default();
    let mut world = self::world(CLIENT, ABLE, &agreed);
    world.cabinet.broken = true;
    world.ask(1, "get_a");
    assert_eq!(world.codes(), ["authority_auth_required"]);
    assert_eq!(world.results()[0]["error"]["data"]["reason"], "vault_failed");
    world.cabinet.broken = false;
    world.ask(2, "get_a");
    assert_eq!(world.codes()[1], "ok");
    let host = Host { vault: false, ..ABLE };
    let mut world = self::world(CLIENT, host, &Agreed::default());
    world.ask(1, "get_a");
    assert_eq!(world.codes(), ["ok"]);
    assert!(world.cabinet.vault.is_empty());
}

#[test]
fn a_grant_outlives_the_replica_in_the_vault() {
    let agreed = Agreed::default();
    let mut first = world(CLIENT, ABLE, &agreed);
    first.ask(1, "get_a");
    let mut second = world(CLIENT, ABLE, &agreed);
    second.cabinet.vault = first.cabinet.vault;
    second.ask(1, "get_a");
    assert_eq!((second.codes(), second.forms()), (Vec::from(["ok".into()]), 0));
    assert_eq!(second.tokens(), ["Bearer MARKER-token-1"]);
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

#[test]
fn a_user_consents_while_the_request_waits() {
    let agreed = Agreed::default();
    let mut world = world(USER, ABLE, &agreed);
    world.cabinet.user = Box::new(consents);
    world.ask(1, "book_a");
    assert_eq!(world.codes(), ["ok"]);
    assert_eq!(world.cabinet.shown.len(), 1);
    assert!(world.cabinet.shown[0].1.starts_with(PAGE));
}

/// The authority answered, and what is waited for is not its.
#[test]
fn a_user_who_takes_long_is_no_outage() {
    let agreed = Agreed::default();
    let mut world = world(USER, ABLE, &agreed);
    let callers = ["ann", "ben", "cyd", "dan", "eve", "fay"];
    assert!(callers.len() > crate::limits::MAX_FAILURES as usize);
    for (id, caller) in (1..).zip(callers) {
        world.caller = caller;
        world.ask(id, "book_a");
    }
    assert_eq!(world.cabinet.shown.len(), callers.len());
    world.run_until(world.now + Millis(61_000));
    assert_eq!(world.codes(), callers.map(|_| "authority_auth_required"));
    let stats = world.replica.stats();
    assert_eq!((stats.down, stats.withheld), (0, 0));
}

#[test]
fn a_login_outlives_the_requests_that_wait_for_it() {
    let agreed = Agreed::default();
    let mut world = world(USER, ABLE, &agreed);
    world.ask(1, "book_a");
    world.run_until(world.now + Millis(61_000));
    assert_eq!(world.codes(), ["authority_auth_required"]);
    assert_eq!(world.results()[0]["error"]["data"]["reason"], "login_required");
    let (op, url) = world.cabinet.shown[0].clone();
    let result = Ok(Callback::Query(redirect_of(&url)));
    world.handle(0, Input::Authorized { op, result });
    world.pump();
    world.ask(2, "book_b");
    assert_eq!((world.codes()[1].as_str(), world.cabinet.shown.len()), ("ok", 1));
}

#[test]
fn a_user_who_takes_time_keeps_nobody_else_from_finding_out() {
    let agreed = Agreed::default();
    let mut first = world(USER, ABLE, &agreed);
    first.caller = "ben";
    first.cabinet.user = Box::new(consents);
    first.ask(1, "get_a");
    let mut second = world(USER, ABLE, &agreed);
    second.cabinet.vault = first.cabinet.vault;
    second.cabinet.vault.retain(|key, _| !key.starts_with("era:"));
    second.ask(1, "get_a");
    assert_eq!(second.cabinet.shown.len(), 1, "ann is at the page");
    second.caller = "ben";
    second.ask(2, "get_a");
    assert_eq!(second.codes(), ["ok"]);
}

#[test]
fn whatever_is_refused_in_a_session_is_said_again_and_the_session_stays() {
    let agreed = Agreed::default();
    let revokes = agreed.clone();
    let mut world = world_of(CLIENT, ABLE, move |seen| {
        revokes.answer(seen, |seen| {
            // Each token is good for one request.
            revokes.revoke();
            match &*seen.method {
                "initialize" => seen
                    .result(json!({"protocolVersion": "2025-11-25", "capabilities": {}}))
                    .with("mcp-session-id", "s1"),
                "notifications/initialized" => Say::empty(202),
                "tools/call" if seen.header("mcp-session-id") == Some("s1") => {
                    seen.result(json!({"content": []}))
                }
                _ => Say::empty(400),
            }
        })
    });
    world.ask(1, "book_a");
    world.ask(2, "book_b");
    world.run();
    assert_eq!(world.codes(), ["ok", "ok"]);
    let heard = world.host.seen.iter();
    let heard: Vec<&Seen> = heard.filter(|seen| seen.http.url == AUTHORITY).collect();
    let said = [
        "server/discover",
        "server/discover",
        "initialize",
        "initialize",
        "notifications/initialized",
        "notifications/initialized",
        "tools/call",
        "tools/call",
        "tools/call",
        "tools/call",
    ];
    assert_eq!(heard.iter().map(|seen| &*seen.method).collect::<Vec<_>>(), said);
    let bare = heard.iter().filter(|seen| seen.header("authorization").is_none());
    assert_eq!(bare.count(), 1, "the first one alone");
}

#[test]
fn who_is_elsewhere_gets_a_link_and_the_redirect_comes_as_an_errand() {
    let agreed = Agreed::default();
    let mut world = world(USER, ABLE, &agreed);
    world.cabinet.user = Box::new(|url| Some(Ok(Callback::Elsewhere(url.into()))));
    world.ask(1, "book_a");
    assert_eq!(world.codes(), ["authority_auth_required"]);
    let link = world.results()[0]["error"]["data"]["authorizationUrl"].to_string();
    assert!(link.contains(PAGE), "{link}");
    // Nobody in the log can go there.
    assert!(!format!("{:?}", world.events).contains("as.example/authorize"));
    let query = redirect_of(&world.cabinet.shown[0].1);
    world.errand(Errand::Callback {
        query: "code=x&state=forged".into(),
        caller: None,
    });
    let errand = Errand::Callback { query, caller: None };
    let id = world.errand(errand.clone());
    world.errand(errand);
    let [forged, good, again] = &*world.cabinet.told else {
        panic!("{:?}", world.cabinet.told)
    };
    assert_eq!(forged.1.as_ref().unwrap_err().code, Code::AuthorityAuthRequired);
    assert_eq!(good.0, id);
    let credential = good.1.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(credential.token, "MARKER-token-1");
    assert!(
        credential
            .expires_in
            .is_some_and(|span| span.0 > 50_000 && span.0 < 100_000)
    );
    assert!(again.1.is_err(), "a redirect counts once");
    world.ask(2, "book_b");
    assert_eq!(world.codes()[1], "ok");
}

#[test]
fn the_host_may_ask_for_a_credential() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    let ann = || Some("ann".into());
    let asked = |token: Option<&str>| Errand::Credential {
        principal: ann(),
        refused: Some(Refused {
            token: token.map(Into::into),
            status: 401,
            challenge: Some(format!(r#"Bearer resource_metadata="{METADATA}""#)),
        }),
    };
    let nothing = Errand::Credential {
        principal: ann(),
        refused: None,
    };
    world.errand(nothing.clone());
    world.errand(asked(None));
    // Another instance's request went without, too.
    world.errand(asked(None));
    world.errand(nothing);
    world.errand(asked(Some("MARKER-token-1")));
    world.errand(asked(Some("MARKER-token-1")));
    let told = world.cabinet.told.iter();
    let tokens: Vec<Option<String>> = told
        .map(|(_, result)| result.clone().unwrap().map(|credential| credential.token))
        .collect();
    let token = |n: u64| Some(format!("MARKER-token-{n}"));
    assert_eq!(tokens, [None, token(1), token(1), token(1), token(2), token(2)]);
    assert_eq!(world.forms(), 2);
}

#[test]
fn without_grants_to_obtain_errands_fail() {
    let mut world = World::new(None, answer);
    world.errand(Errand::SignOut { principal: None });
    let told = world.cabinet.told.pop().unwrap().1.unwrap_err();
    assert_eq!(told.code, Code::AuthorityAuthRequired);
}

#[test]
fn errands_are_bounded() {
    let agreed = Agreed::default();
    agreed.mood().store(1, Ordering::Relaxed);
    let mut world = world(USER, ABLE, &agreed);
    for n in 0..=MAX_ERRANDS {
        let refused = Some(Refused {
            token: None,
            status: 401,
            challenge: None,
        });
        let principal = Some(n.to_string());
        world
            .replica
            .errand(world.clock(), Ctx(0), Errand::Credential { principal, refused });
    }
    world.called(Ctx(0));
    world.pump();
    let crowded = world
        .cabinet
        .told
        .iter()
        .filter(|(_, result)| result.as_ref().is_err_and(|error| error.code == Code::OverBudget));
    assert!(crowded.count() >= 1);
    // All end, and none is left.
    world.run_until(world.now + Millis(3_600_000));
    assert_eq!(world.cabinet.told.len(), MAX_ERRANDS + 1);
    assert!(world.replica.jobs.is_empty());
}

#[test]
fn an_errand_ends_though_the_host_never_answers() {
    let mut world = world(CLIENT, ABLE, &Agreed::default());
    world.cabinet.silent = true;
    let principal = Some("ann".into());
    world.errand(Errand::Credential {
        principal,
        refused: None,
    });
    world.run_until(world.now + Millis(MAX_ERRAND_WAIT.0 - 1));
    assert!(world.cabinet.told.is_empty());
    world.run_until(world.now + Millis(1));
    assert!(world.cabinet.told.pop().unwrap().1.is_err());
    assert!(world.replica.jobs.is_empty());
}

/// A world whose user is elsewhere, and the redirect of the authorization that the user of `world.caller` agreed to.
fn elsewhere(agreed: &Agreed) -> (World, Errand) {
    let mut world = world(USER, ABLE, agreed);
    world.cabinet.user = Box::new(|url| Some(Ok(Callback::Elsewhere(url.into()))));
    world.ask(1, "get_z");
    let query = redirect_of(&world.cabinet.shown[0].1);
    (world, Errand::Callback { query, caller: None })
}

#[test]
fn a_redirect_that_is_brought_twice_at_once_is_taken_once() {
    let (mut world, errand) = elsewhere(&Agreed::default());
    let first = world.replica.errand(world.clock(), Ctx(0), errand.clone());
    let second = world.errand(errand);
    let told: Vec<_> = (world.cabinet.told.iter())
        .map(|(id, result)| (*id, result.is_ok()))
        .collect();
    assert_eq!(told, [(second, false), (first, true)]);
    assert_eq!(world.forms(), 1, "the code was sent once");
}

#[test]
fn who_signs_out_while_a_login_is_finished_stays_signed_out() {
    let (mut world, errand) = elsewhere(&Agreed::default());
    let finish = world.replica.errand(world.clock(), Ctx(0), errand);
    let end = world.errand(Errand::SignOut {
        principal: Some("ann".into()),
    });
    let [ended, finished] = &*world.cabinet.told else {
        panic!("{:?}", world.cabinet.told)
    };
    assert!(ended.0 == end && ended.1.is_ok());
    assert_eq!(finished.0, finish);
    assert!(finished.1.as_ref().unwrap_err().data.contains("signed_out"));
    assert_eq!(world.forms(), 1, "tokens came");
    assert!(world.cabinet.vault.is_empty() && world.replica.jobs.is_empty());
    world.ask(2, "book_b");
    assert_eq!(world.codes()[1], "authority_auth_required");
}

#[test]
fn who_logs_in_anew_is_served_nothing_of_before() {
    let agreed = Agreed::default();
    let (mut world, errand) = elsewhere(&agreed);
    world.errand(errand);
    agreed.needs().store(1, Ordering::Relaxed);
    world.ask(2, "get_b");
    agreed.needs().store(0, Ordering::Relaxed);
    world.ask(3, "get_a");
    let asked = world.tokens().len();
    let (hit, _) = world.serve(0, &call(4, "get_a"));
    assert!(matches!(hit, Served::Reply { .. }), "{hit:?}");
    let query = redirect_of(&world.cabinet.shown[1].1);
    world.errand(Errand::Callback { query, caller: None });
    world.ask(5, "get_a");
    assert_eq!(world.tokens().get(asked..), Some(&["Bearer MARKER-token-2"][..]));
}

#[test]
fn who_logs_in_anew_when_nobody_waits_is_served_nothing_of_before() {
    let agreed = Agreed::default();
    let mut world = world(USER, ABLE, &agreed);
    world.cabinet.user = Box::new(consents);
    world.ask(1, "get_z");
    world.cabinet.user = Box::new(|_| None);
    agreed.needs().store(1, Ordering::Relaxed);
    let ticket = world.wait(0, &call(2, "get_b"));
    world.pump();
    agreed.needs().store(0, Ordering::Relaxed);
    world.handle(0, Input::Cancel { ticket });
    world.ask(3, "get_a");
    let asked = world.tokens().len();
    let (hit, _) = world.serve(0, &call(4, "get_a"));
    assert!(matches!(hit, Served::Reply { .. }), "{hit:?}");
    let (op, url) = world.cabinet.shown.pop().unwrap();
    let result = Ok(Callback::Query(redirect_of(&url)));
    world.handle(0, Input::Authorized { op, result });
    world.pump();
    world.ask(5, "get_a");
    assert_eq!(world.tokens().get(asked..), Some(&["Bearer MARKER-token-2"][..]));
}

#[test]
fn who_signs_out_is_served_nothing_of_before() {
    let agreed = Agreed::default();
    let mut world = world(CLIENT, ABLE, &agreed);
    world.ask(1, "get_a");
    assert_eq!(world.trips("tools/call"), 1);
    assert!(!world.cabinet.vault.is_empty());
    world.errand(Errand::SignOut {
        principal: Some("ann".into()),
    });
    assert_eq!(world.cabinet.told.pop().unwrap().1, Ok(None));
    assert!(!world.cabinet.vault.keys().any(|key| key.starts_with("grant:")));
    world.ask(2, "get_a");
    let tokens = ["Bearer MARKER-token-1", "none", "Bearer MARKER-token-2"];
    assert_eq!(world.tokens(), tokens);
}

#[test]
fn who_signs_out_at_an_authorization_page_leaves_it() {
    let mut world = world(USER, ABLE, &Agreed::default());
    world.ask(1, "book_a");
    assert_eq!(world.cabinet.shown.len(), 1);
    world.errand(Errand::SignOut {
        principal: Some("ann".into()),
    });
    assert!(world.cabinet.shown.is_empty(), "it is closed");
    assert_eq!(world.results()[0]["error"]["data"]["reason"], "signed_out");
    assert!(world.replica.jobs.is_empty());
}

#[test]
fn a_proof_goes_with_every_request_and_a_stale_one_is_made_anew_once() {
    let dpop = format!(r#"{CLIENT},"dpop":{{"key":"k","algorithm":"ES256","jwk":{{"kty":"EC"}}}}"#);
    let agreed = Agreed::default();
    let wants = agreed.clone();
    let mut world = world_of(&dpop, ABLE, move |seen| {
        wants.answer(seen, |seen| {
            let proof = seen.header("dpop").unwrap_or_default();
            let claims = proof.split('.').nth(1).map(decoded).unwrap_or_default();
            if claims.contains(r#""nonce":"n1""#) {
                return answer(seen);
            }
            Say::empty(401)
                .with("www-authenticate", r#"DPoP error="use_dpop_nonce""#)
                .with("dpop-nonce", "n1")
        })
    });
    world.ask(1, "book_a");
    world.ask(2, "book_b");
    assert_eq!(world.codes(), ["ok", "ok"]);
    assert_eq!(world.forms(), 1, "the token was good");
    assert_eq!(
        world.tokens(),
        ["DPoP MARKER-token-1"; 2],
        "the nonce is remembered"
    );
    let calls = world.host.seen.iter().filter(|seen| seen.http.url == AUTHORITY);
    let mut proofs: Vec<&str> = calls.filter_map(|seen| seen.header("dpop")).collect();
    let count = proofs.len();
    proofs.sort_unstable();
    proofs.dedup();
    assert_eq!(proofs.len(), count, "no proof is used twice");
}

fn decoded(text: &str) -> String {
    let text = text.replace('-', "+").replace('_', "/");
    let padded = format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
    String::from_utf8(leeward::base64::decode(&padded).unwrap()).unwrap()
}

#[test]
fn a_hook_hears_of_a_refusal_and_another_token_is_tried_once() {
    for (second, calls, code) in [("b", 2, "ok"), ("a", 1, "authority_auth_required")] {
        let host = Host {
            credentials: true,
            ..Host::default()
        };
        let mut world = world_of("", host, |seen| match seen.header("authorization") {
            Some("Bearer a") if seen.method == "tools/call" => {
                Say::empty(401).with("www-authenticate", "Bearer error=\"invalid_token\"")
            }
            _ => answer(seen),
        });
        world.host.credential = Ok(Some(leeward::border::Credential::of("a".into())));
        world.host.renewed = Some(leeward::border::Credential::of(second.into()));
        world.ask(1, "book_a");
        assert_eq!(world.codes(), [code]);
        assert_eq!(world.trips("tools/call"), calls);
        let refused = world.host.refused.pop().unwrap();
        assert_eq!((refused.status, refused.token.as_deref()), (401, Some("a")));
        assert_eq!(
            refused.challenge.as_deref(),
            Some("Bearer error=\"invalid_token\"")
        );
    }
}

#[test]
fn a_challenge_that_is_too_long_counts_for_none() {
    for (length, kept) in [(MAX_CHALLENGE_BYTES, true), (MAX_CHALLENGE_BYTES + 1, false)] {
        let host = Host {
            credentials: true,
            ..Host::default()
        };
        let challenge = "x".repeat(length);
        let mut world = world_of("", host, move |seen| match &*seen.method {
            "tools/call" => Say::empty(401).with("www-authenticate", &challenge),
            _ => answer(seen),
        });
        world.ask(1, "book_a");
        assert_eq!(world.host.refused.pop().unwrap().challenge.is_some(), kept);
    }
}

#[test]
fn a_waiter_takes_over_when_the_context_that_obtains_is_gone() {
    let agreed = Agreed::default();
    agreed.mood().store(1, Ordering::Relaxed);
    let host = Host {
        lease: Some(LEASE),
        ..ABLE
    };
    let mut world = world(CLIENT, host, &agreed);
    world.wait(1, &call(1, "get_a"));
    world.pump();
    world.wait(2, &call(2, "get_b"));
    world.pump();
    assert_eq!(world.forms(), 1);
    agreed.mood().store(0, Ordering::Relaxed);
    world.handle(1, Input::Gone);
    world.pump();
    world.run_until(world.now + Millis(1));
    assert_eq!((world.forms(), world.codes()), (2, Vec::from(["ok".into()])));
}

#[test]
fn nothing_is_obtained_for_contexts_that_are_gone() {
    let agreed = Agreed::default();
    agreed.mood().store(1, Ordering::Relaxed);
    let host = Host {
        lease: Some(LEASE),
        ..ABLE
    };
    let mut world = world(CLIENT, host, &agreed);
    for ctx in [1, 2] {
        let (principal, status) = (Some("ann".into()), 401);
        let refused = Some(Refused {
            token: None,
            status,
            challenge: None,
        });
        let errand = Errand::Credential { principal, refused };
        world.replica.errand(world.clock(), Ctx(ctx), errand);
        world.called(Ctx(ctx));
        world.pump();
    }
    world.handle(2, Input::Gone);
    world.handle(1, Input::Gone);
    world.pump();
    assert_eq!(world.forms(), 1);
    assert!(world.replica.jobs.is_empty());
}

/// Whatever happens, secrets go where they belong and nowhere else.
#[test]
fn secrets_go_to_their_owners_alone() {
    for (oauth, mood) in [(CLIENT, 0), (USER, 0), (CLIENT, 2), (USER, 2)] {
        let agreed = Agreed::default();
        let mut world = world(oauth, ABLE, &agreed);
        world.cabinet.user = Box::new(consents);
        world.ask(1, "get_a");
        agreed.revoke();
        agreed.mood().store(mood, Ordering::Relaxed);
        world.ask(2, "book_a");
        agreed.needs().store(1, Ordering::Relaxed);
        world.ask(3, "book_b");
        world.errand(Errand::Callback {
            query: "code=MARKER-code&state=x".into(),
            caller: None,
        });
        world.errand(Errand::SignOut {
            principal: Some("ann".into()),
        });
        world.run();
        let told = world.cabinet.told.iter().map(|(_, result)| format!("{result:?}"));
        let said = world
            .results()
            .iter()
            .map(ToString::to_string)
            .chain(world.events.iter().map(|event| format!("{event:?}")))
            .chain(world.debugged.iter().cloned())
            .chain(told)
            .chain([format!("{:?} {:?}", world.replica, world.replica.link)])
            .collect::<Vec<_>>();
        for said in said {
            assert!(!said.contains("MARKER"), "{said}");
        }
        for seen in &world.host.seen {
            let token = seen
                .header("authorization")
                .is_some_and(|value| value.contains("MARKER-token"));
            assert!(
                !token || seen.http.url == AUTHORITY,
                "a token went to {}",
                seen.http.url
            );
            assert!(!seen.http.url.contains("MARKER"));
        }
    }
}

#[test]
fn a_redirect_is_not_followed_with_a_token() {
    let agreed = Agreed::default();
    let moved = agreed.clone();
    let mut world = world_of(CLIENT, ABLE, move |seen| {
        moved.answer(seen, |seen| match &*seen.method {
            "tools/call" => Say::empty(307).with("location", "https://elsewhere.example/mcp"),
            _ => answer(seen),
        })
    });
    world.ask(1, "get_a");
    world.run();
    assert_eq!(world.codes(), ["authority_invalid"]);
    assert!(
        world
            .host
            .seen
            .iter()
            .all(|seen| !seen.http.url.contains("elsewhere"))
    );
}
