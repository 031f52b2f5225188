//! What is sent again after a failure, class by class: only what cannot double an effect, and only once.

use serde_json::Value;

use super::cases;
use crate::authority::{End, Plan, Turn, error};
use crate::run::{Answer, Run};
use crate::target::Setup;
use crate::wire::Message;
use leeward::Code;

const RULES: &[(&str, &str)] = &[
    ("get_*", "cache;max-age=60"),
    ("put_ticket", "live"),
    ("do_it", "through"),
];

/// What is asked: whether repeating it may repeat an effect, and its name at the authority.
const CLASSES: [(&str, &str, bool); 6] = [
    ("tools/list", "", false),
    ("resources/read", "crm://tickets/1", false),
    ("prompts/get", "review", false),
    ("tools/call", "get_ticket", false),
    ("tools/call", "put_ticket", false),
    ("tools/call", "do_it", true),
];

fn message(method: &str, name: &str) -> Message {
    match method {
        "tools/call" => Message::call(name, "{}"),
        "resources/read" => Message::read(name),
        "prompts/get" => Message::new(method, r#""name":"review""#),
        _ => Message::bare(method),
    }
}

/// The answer to a request of each class while the authority fails so, and how often it saw the request.
fn each(run: &mut Run<'_>, failure: fn() -> Turn, judge: impl Fn(&Answer, usize, bool, &str)) {
    for (method, name, write) in CLASSES {
        // An authority that never answered in between would be taken for down.
        let asked = run.authority().log().len();
        run.miss(&Message::call("get_user", &format!(r#"{{"n":{asked}}}"#)))
            .result();
        let seen = |run: &Run<'_>| match name {
            "" => run.trips(method),
            name => run.authority().trips_of(method, name),
        };
        let before = seen(run);
        let only = Some(name).filter(|name| !name.is_empty());
        run.authority().always(method, only, failure());
        let answer = run.ask(&message(method, name));
        run.authority().plain();
        judge(&answer, seen(run) - before, write, name);
    }
}

type Row = (fn() -> Turn, Code, Code);

cases! {
    /// A read whose answer broke off is asked again, once; a write never is.
    fn what_broke_off_is_sent_again_if_it_has_no_effect(host) {
        let broken: [fn() -> Turn; 3] = [
            || Box::new(|seen| Plan::result(&seen.id, r#"{"resultType":"complete","content":[]}"#).cut(5)),
            || Box::new(|_| Plan::events([String::new()]).ending(End::Cut)),
            || Box::new(|_| Plan::events([String::new()])),
        ];
        let mut run = Run::open(host, Setup::tools(RULES));
        for failure in broken {
            each(&mut run, failure, |answer, times, write, name| {
                let (code, sent) = if write {
                    (Code::UnknownOutcome, 1)
                } else {
                    (Code::AuthorityUnreachable, 2)
                };
                answer.fails(code);
                assert_eq!(times, sent, "{name}");
            });
        }
    }

    /// Whatever else fails is sent once, and a write is unknown but after a refusal.
    fn what_failed_otherwise_is_not_sent_again(host) {
        let failed: [Row; 8] = {
            use Code::{AuthorityAuthRequired, AuthorityInvalid, AuthorityUnreachable, RateLimited, UnknownOutcome};
            [
                (|| Box::new(|_| Plan::empty(500)), AuthorityUnreachable, UnknownOutcome),
                (|| Box::new(|_| Plan::empty(503)), AuthorityUnreachable, UnknownOutcome),
                (|| Box::new(|_| Plan::empty(408)), AuthorityUnreachable, AuthorityUnreachable),
                (|| Box::new(|_| Plan::empty(429)), RateLimited, RateLimited),
                (|| Box::new(|_| Plan::empty(401)), AuthorityAuthRequired, AuthorityAuthRequired),
                (|| Box::new(|_| Plan::empty(403)), AuthorityAuthRequired, AuthorityAuthRequired),
                (|| Box::new(|_| Plan::body(200, "text/html", "<p>")), AuthorityInvalid, UnknownOutcome),
                (|| Box::new(|_| Plan::body(404, "text/html", "<p>")), AuthorityInvalid, AuthorityInvalid),
            ]
        };
        let mut run = Run::open(host, Setup::tools(RULES));
        for (failure, of_read, of_write) in failed {
            each(&mut run, failure, |answer, times, write, name| {
                answer.fails(if write { of_write } else { of_read });
                assert_eq!(times, 1, "{name}");
            });
        }
    }

    /// -32020 is a refusal before effect: a call of any class is sent once more, with the headers that
    /// `tools/list` tells.
    fn what_was_refused_for_its_headers_is_sent_again(host) {
        let mut run = Run::open(host, Setup::tools(RULES));
        each(
            &mut run,
            || error(400, -32020, "no", Value::Null),
            |answer, times, _, name| {
                assert_eq!(answer.error()["code"], -32020, "{name}");
                let tool = !matches!(name, "" | "review" | "crm://tickets/1");
                assert_eq!(times, if tool { 2 } else { 1 }, "{name}");
            },
        );
    }
}
