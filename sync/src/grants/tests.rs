use alloc::format;

use super::*;
use crate::flow::Secret;
use crate::oauth::{Scheme, Scopes};

const NOW: Millis = Millis(1_000_000);

fn granted(token: &str, over: Option<Millis>) -> Granted {
    Granted {
        token: Secret(token.into()),
        scheme: Scheme::Bearer,
        identity: "oauth:1".into(),
        expires: over,
        over,
        scopes: Scopes::read(""),
    }
}

fn ask(
    grants: &mut Grants,
    now: Millis,
    principal: &str,
    refused: Option<(u64, u16)>,
) -> oneshot::Receiver<Got> {
    let (answer, got) = oneshot::channel();
    let refused = refused.map(|(number, status)| {
        let refused = Refused {
            token: None,
            status,
            challenge: None,
        };
        (number, refused)
    });
    let wish = Wish {
        asker: Asker::Trip(answer),
        ctx: Ctx::SHARED,
        refused,
    };
    grants.claim(now, Some(principal), wish);
    got
}

fn told(got: &mut oneshot::Receiver<Got>) -> Option<Result<Held, Trouble>> {
    match got.try_recv() {
        Ok(Some(Got::Grant(result))) => Some(result),
        _ => None,
    }
}

/// Asks, and ends the flow that begins by this.
fn settle(
    grants: &mut Grants,
    now: Millis,
    refused: Option<(u64, u16)>,
    result: Result<Option<Granted>, Trouble>,
) -> Option<Result<Held, Trouble>> {
    let mut got = ask(grants, now, "ann", refused);
    let (seat, ..) = grants.poll()?;
    grants.done(now, seat, result);
    told(&mut got)
}

fn failure() -> Trouble {
    Trouble::authorization("access_denied", "the user said no")
}

#[test]
fn a_principal_has_its_own_grant_and_no_other() {
    let mut grants = Grants::default();
    let first = settle(&mut grants, NOW, Some((0, 401)), Ok(Some(granted("a", None))));
    assert_eq!(first.unwrap().unwrap().number, 2);
    let mut other = ask(&mut grants, NOW, "ben", None);
    assert!(told(&mut other).is_none(), "is looked for in the vault first");
    let (seat, _, why) = grants.poll().unwrap();
    assert_eq!(grants.principal(seat).as_deref(), Some("ben"));
    assert!(matches!(why, Why::First));
    grants.done(NOW, seat, Ok(None));
    assert!(told(&mut other).unwrap().unwrap().granted.is_none());
    // The vault is asked once.
    let mut again = ask(&mut grants, NOW, "ben", None);
    assert!(told(&mut again).unwrap().unwrap().granted.is_none());
    assert!(grants.is_settled());
}

#[test]
fn the_same_token_again_is_no_answer_to_a_refusal() {
    let mut grants = Grants::default();
    settle(&mut grants, NOW, Some((0, 401)), Ok(Some(granted("a", None))));
    let again = settle(&mut grants, NOW, Some((2, 401)), Ok(Some(granted("a", None))));
    assert_eq!(again.unwrap().unwrap_err().reason, Some("refused"));
    assert!(grants.is_settled());
}

#[test]
fn a_refusal_of_an_older_token_costs_nothing() {
    let mut grants = Grants::default();
    settle(&mut grants, NOW, Some((0, 401)), Ok(Some(granted("a", None))));
    settle(&mut grants, NOW, Some((2, 401)), Ok(Some(granted("b", None))));
    let mut late = ask(&mut grants, NOW, "ann", Some((2, 401)));
    let held = told(&mut late).unwrap().unwrap();
    assert_eq!(held.granted.unwrap().token.0, "b");
    assert!(grants.is_settled());
}

#[test]
fn after_a_few_failures_the_last_one_stands_for_a_while() {
    let mut grants = Grants::default();
    for _ in 0..3 {
        let failed = settle(&mut grants, NOW, Some((0, 401)), Err(failure()));
        assert!(failed.unwrap().is_err());
    }
    let mut rests = ask(&mut grants, NOW, "ann", Some((0, 401)));
    assert_eq!(
        told(&mut rests).unwrap().unwrap_err().reason,
        Some("access_denied")
    );
    assert!(grants.is_settled(), "no flow is started");
    let later = NOW + GRANT_PAUSE;
    let fourth = settle(&mut grants, later, Some((0, 401)), Err(failure()));
    assert!(fourth.is_some(), "tried again");
    let mut longer = ask(&mut grants, later + GRANT_PAUSE, "ann", Some((0, 401)));
    assert!(told(&mut longer).is_some(), "the pause doubles");
    let end = later + GRANT_PAUSE_MOST;
    settle(&mut grants, end, Some((0, 401)), Ok(Some(granted("a", None))));
    let last = grants.last;
    assert!(settle(&mut grants, end, Some((last, 401)), Err(failure())).is_some());
    let mut anew = ask(&mut grants, end, "ann", Some((last, 401)));
    assert!(told(&mut anew).is_none(), "counted anew after a success");
}

#[test]
fn a_link_is_given_to_everybody_who_asks() {
    let mut grants = Grants::default();
    for _ in 0..10 {
        let link = failure().with_link(Secret("https://as.example".into()));
        let failed = settle(&mut grants, NOW, Some((0, 401)), Err(link));
        assert!(failed.unwrap().unwrap_err().has_link());
    }
}

#[test]
fn a_challenge_for_more_scopes_is_met_a_bounded_number_of_times() {
    let mut grants = Grants::default();
    settle(&mut grants, NOW, Some((0, 401)), Ok(Some(granted("0", None))));
    for step in 1..=MAX_STEP_UPS {
        let (token, last) = (granted(&format!("{step}"), None), grants.last);
        let stepped = settle(&mut grants, NOW, Some((last, 403)), Ok(Some(token)));
        assert!(stepped.unwrap().is_ok());
    }
    let last = grants.last;
    let mut over = ask(&mut grants, NOW, "ann", Some((last, 403)));
    let refused = told(&mut over).unwrap().unwrap_err();
    assert_eq!(refused.reason, Some("insufficient_scope"));
    // Another refusal is another matter, and time heals.
    assert!(settle(&mut grants, NOW, Some((last, 401)), Ok(Some(granted("x", None)))).is_some());
    let (later, last) = (NOW + STEP_UP_PAUSE, grants.last);
    assert!(
        settle(
            &mut grants,
            later,
            Some((last, 403)),
            Ok(Some(granted("y", None)))
        )
        .is_some()
    );
}

#[test]
fn challenges_remembered_are_bounded() {
    let mut grants = Grants::default();
    for n in 0..2 * MAX_STEPS {
        let (answer, _got) = oneshot::channel();
        let refused = Refused {
            token: None,
            status: 403,
            challenge: Some(format!("Bearer scope={n}")),
        };
        let wish = Wish {
            asker: Asker::Trip(answer),
            ctx: Ctx::SHARED,
            refused: Some((grants.last, refused)),
        };
        grants.claim(NOW, None, wish);
        let (seat, ..) = grants.poll().unwrap();
        grants.done(NOW, seat, Ok(Some(granted(&format!("{n}"), None))));
    }
    assert_eq!(grants.seats.first().unwrap().steps.len(), MAX_STEPS);
}

#[test]
fn the_grant_longest_unused_is_forgotten_and_none_that_is_waited_for() {
    let mut grants = Grants::default();
    let mut busy = ask(&mut grants, NOW, "busy", None);
    let (first, ..) = grants.poll().unwrap();
    for n in 0..2 * MAX_GRANTS {
        let _got = ask(&mut grants, NOW, &format!("p{n}"), None);
        let (seat, ..) = grants.poll().unwrap();
        grants.done(NOW, seat, Ok(Some(granted("t", None))));
    }
    assert_eq!(grants.seats.len(), MAX_GRANTS);
    grants.done(NOW, first, Ok(Some(granted("mine", None))));
    assert_eq!(told(&mut busy).unwrap().unwrap().granted.unwrap().token.0, "mine");
}

#[test]
fn waits_of_trips_that_ended_are_dropped() {
    let mut grants = Grants::default();
    let _first = ask(&mut grants, NOW, "ann", None);
    for _ in 0..100 {
        drop(ask(&mut grants, NOW, "ann", None));
    }
    assert!(grants.seats.first().unwrap().waiting.len() <= 2);
}

#[test]
fn an_expired_token_is_given_to_nobody() {
    let mut grants = Grants::default();
    let short = granted("a", Some(NOW + Millis(10)));
    settle(&mut grants, NOW, Some((0, 401)), Ok(Some(short)));
    let mut due = ask(&mut grants, NOW + Millis(10), "ann", None);
    assert!(told(&mut due).is_none());
    assert!(matches!(grants.poll(), Some((_, _, Why::First))));
}

#[test]
fn what_debug_says_is_no_secret() {
    let mut grants = Grants::default();
    settle(
        &mut grants,
        NOW,
        Some((0, 401)),
        Ok(Some(granted("MARKER", None))),
    );
    assert!(!format!("{grants:?}").contains("MARKER"));
}
