//! Who waits for which token, what is sent again with another one, and what is never sent.

use super::*;

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
