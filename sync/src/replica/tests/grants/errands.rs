//! What hosts ask of the replica itself: links, redirects, credentials, sign-outs.

use super::*;

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
