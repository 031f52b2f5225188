//! What other instances of the replica did for an agent, and what this one makes of it.

use super::*;

const PROMPTS: &str = r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#;

impl Bench {
    /// Runs `f` with ann's call of a tool, which is passed on.
    fn passes<T>(&mut self, tool: &str, f: impl FnOnce(&mut Core, Millis, &Passed, &Request<'_>) -> T) -> T {
        self.passes_message(&call(7, tool, "{}"), f)
    }

    fn passes_message<T>(
        &mut self,
        message: &str,
        f: impl FnOnce(&mut Core, Millis, &Passed, &Request<'_>) -> T,
    ) -> T {
        let request = Request {
            caller: &ann(),
            ctx: Ctx(1),
            connection: 0,
            headers: None,
            negotiated: None,
            message: message.as_bytes(),
            verb: crate::Verb::Post,
            peek: true,
        };
        let passed = self.core.pass_on(&request);
        f(&mut self.core, Millis(self.now), &passed, &request)
    }

    fn overhears(&mut self, tool: &str, raw: &str) {
        self.passes(tool, |core, now, passed, _| core.overhear(now, passed, raw));
    }

    /// Stores what a tool answers to ann.
    fn keeps(&mut self, tool: &str) {
        let flight = self.trip(&ann(), tool);
        let heard = self.settle(flight, done("x"));
        assert!(heard.replies[0].1.provenance.unwrap().stored);
    }

    fn hits(&mut self, tool: &str) -> bool {
        let now = self.now();
        self.passes(tool, |core, _, _, request| {
            let served = core.serve(now, *request, &mut Vec::new()).served;
            matches!(served, Served::Reply { .. })
        })
    }
}

#[test]
fn a_change_that_was_told_elsewhere_makes_stale_what_is_stored_here() {
    let mut bench = Bench::new();
    bench.keeps("get_x");
    for unrelated in [
        "",
        "{}",
        r#"{"jsonrpc":"2.0","id":1,"method":"notifications/prompts/list_changed"}"#,
    ] {
        bench.overhears("get_y", unrelated);
        assert!(bench.hits("get_x"), "{unrelated}");
    }
    bench.overhears("get_y", PROMPTS);
    assert!(!bench.hits("get_x"));
}

#[test]
fn a_write_that_was_done_elsewhere_makes_stale_what_its_principal_sees() {
    let mut bench = Bench::new();
    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    bench.keeps("get_x");
    for read in ["get_y", "peek_x"] {
        bench.overhears(read, answer);
        assert!(bench.hits("get_x"), "{read}");
    }
    bench.overhears("close_x", answer);
    assert!(!bench.hits("get_x"));
    bench.keeps("get_x");
}

#[test]
fn after_an_unknown_outcome_elsewhere_nothing_is_stored_here_until_it_is_settled() {
    let unknown =
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":1014,"message":"","data":{"code":"unknown_outcome"}}}"#;
    for abandoned in [false, true] {
        let mut bench = Bench::new();
        bench.passes("close_x", |core, now, passed, request| {
            if abandoned {
                core.refuse_abandoned(now, passed, request, &mut Vec::new());
            } else {
                core.overhear(now, passed, unknown);
            }
        });
        let flight = bench.trip(&ann(), "get_x");
        let heard = bench.settle(flight, done("x"));
        assert!(!heard.replies[0].1.provenance.unwrap().stored);
    }
}

#[test]
fn what_was_never_answered_is_refused_by_what_may_have_come_of_it() {
    let mut bench = Bench::new();
    for (tool, code) in [("get_x", "closed"), ("close_x", "unknown_outcome")] {
        let mut out = Vec::new();
        let served = bench.passes(tool, |core, now, passed, request| {
            core.refuse_abandoned(now, passed, request, &mut out)
        });
        let out = String::from_utf8(out).unwrap();
        assert!(matches!(served, Served::Reply { .. }));
        assert!(out.contains(r#""id":7"#) && out.contains(code), "{out}");
    }
}

#[test]
fn a_batch_that_was_done_elsewhere_counts_as_its_messages_do() {
    let read = call(6, "get_y", "{}");
    let write = call(7, "close_x", "{}");
    let fine = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    let unknown =
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":1014,"message":"","data":{"code":"unknown_outcome"}}}"#;
    // Whether what is stored lives on, and whether the next is stored.
    for (batch, answer, lives, stores) in [
        (format!("[{read}]"), format!("[{fine}]"), true, true),
        (format!("[{read}]"), format!("[{PROMPTS},{fine}]"), false, true),
        (format!("[{read},{write}]"), format!("[{fine}]"), false, true),
        (
            format!("[{read},{write}]"),
            format!("[{fine},{unknown}]"),
            false,
            false,
        ),
        (format!("[{read},{write}]"), format!("[{fine},"), false, false),
    ] {
        let mut bench = Bench::new();
        bench.keeps("get_x");
        bench.passes_message(&batch, |core, now, passed, _| core.overhear(now, passed, &answer));
        assert_eq!(bench.hits("get_x"), lives, "{batch} {answer}");
        let flight = bench.trip(&ann(), "get_z");
        let heard = bench.settle(flight, done("x"));
        assert_eq!(
            heard.replies[0].1.provenance.unwrap().stored,
            stores,
            "{batch} {answer}"
        );
    }
    let mut out = Vec::new();
    Bench::new().passes_message(&format!("[{read},{write}]"), |core, now, passed, request| {
        core.refuse_abandoned(now, passed, request, &mut out)
    });
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("unknown_outcome"), "{out}");
}
