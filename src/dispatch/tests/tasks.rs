//! Tasks: whose they are, and what is forgotten.

use super::*;
use crate::limits::MAX_TASKS;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#;

fn get(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{{"taskId":"{id}",{META}}}}}"#)
}

fn calling(tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}",{META}}}}}"#)
}

fn answer(raw: &str) -> Result<Answer, TripError> {
    Ok(Answer {
        body: Body::Result(raw.into()),
        credential: None,
        learned: Vec::new(),
    })
}

fn status(id: &str, status: &str) -> Result<Answer, TripError> {
    answer(&format!(
        r#"{{"resultType":"complete","taskId":"{id}","status":"{status}"}}"#
    ))
}

impl Bench {
    /// A tool's call that the authority makes a task of.
    fn makes(&mut self, who: &Caller, tool: &str, id: &str, status: &str) -> Heard {
        let (step, out) = self.ask(who, 1, &calling(tool));
        let flight = step.start.unwrap_or_else(|| panic!("no trip: {out}")).0;
        let made = format!(r#"{{"resultType":"task","taskId":"{id}","status":"{status}"}}"#);
        self.settle(flight, answer(&made))
    }

    /// Whether a request about a task travels for somebody.
    fn may(&mut self, who: &Caller, id: &str) -> bool {
        self.ask(who, 1, &get(id)).0.start.is_some()
    }

    /// A `tasks/get` that finds a status; whether it made stale what is stored.
    fn stales(&mut self, who: &Caller, id: &str, found: &str) -> bool {
        self.is_fresh(who);
        let flight = self.ask(who, 1, &get(id)).0.start.expect("a trip").0;
        self.settle(flight, status(id, found));
        !self.is_fresh(who)
    }

    /// Whether something is stored and fresh; if not, it is afterwards.
    fn is_fresh(&mut self, who: &Caller) -> bool {
        let (step, _) = self.ask(who, 1, &call(1, "get_x", "{}"));
        match step.start {
            Some((flight, _)) => {
                self.settle(flight, done("one"));
                false
            }
            None => true,
        }
    }
}

#[test]
fn so_many_tasks_are_remembered_and_the_oldest_is_forgotten() {
    let mut bench = Bench::new();
    for n in 0..MAX_TASKS {
        bench.makes(&ann(), "set_x", &format!("t{n}"), "working");
    }
    assert!(!bench.may(&bob(), "t0") && bench.may(&ann(), "t0"));
    bench.makes(&ann(), "set_x", "t5", "working");
    bench.makes(&ann(), "set_x", "new", "working");
    assert!(bench.may(&bob(), "t0"), "nobody's that is known");
    for known in ["t1", "t5", "new"] {
        assert!(!bench.may(&bob(), known), "{known}");
    }
}

#[test]
fn a_task_of_an_anonymous_caller_is_no_principals() {
    let mut bench = Bench::new();
    bench.makes(&Caller::Anonymous, "set_x", "t", "working");
    assert!(bench.may(&Caller::Anonymous, "t") && !bench.may(&ann(), "t"));
}

#[test]
fn a_task_that_was_over_at_once_makes_nothing_stale_later() {
    let mut bench = Bench::new();
    bench.makes(&ann(), "set_x", "t", "completed");
    assert!(!bench.stales(&ann(), "t", "completed"));
    bench.makes(&ann(), "set_x", "u", "working");
    for (found, stales) in [
        ("working", false),
        ("input_required", true),
        ("input_required", true),
        ("never_heard_of", true),
        ("failed", true),
        ("failed", false),
    ] {
        assert_eq!(bench.stales(&ann(), "u", found), stales, "{found}");
    }
}

#[test]
fn a_tool_of_the_host_makes_no_tasks() {
    let mut bench = Bench::new();
    let tool = r#"{"name":"mine","inputSchema":{"type":"object"}}"#;
    bench.core.register_tool(tool, None).unwrap();
    let heard = bench.makes(&ann(), "mine", "t", "working");
    assert!(
        text(&heard.replies[0].1).contains(r#""code":"internal""#),
        "{}",
        text(&heard.replies[0].1)
    );
}

#[test]
fn a_principal_forgotten_while_its_task_was_asked_for_makes_all_stale() {
    let mut config = Config::parse(CONFIG).unwrap();
    config.limits.max_partitions = 2;
    let mut bench = Bench::with(config);
    bench.makes(&ann(), "set_x", "t", "working");
    let asked = bench.ask(&ann(), 1, &get("t")).0.start.expect("a trip").0;
    for name in ["bob", "cyd"] {
        let flight = bench.trip(&Caller::Principal(name.into()), "get_x");
        bench.settle(flight, done("one"));
    }
    assert!(bench.state(&bob(), "get_x").is_some());
    bench.settle(asked, status("t", "completed"));
    assert!(bench.state(&bob(), "get_x").is_none());
    assert!(bench.may(&bob(), "t"), "and with it, whose the task was");
}
