//! A program of `tests/hosts/`, driven by JSON lines: orders go in, each has one answer, whenever it comes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A running program. It ends with this value: its standard input closes.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    early: BTreeMap<u64, Value>,
    last: u64,
}

impl Program {
    /// Starts `command`.
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let orders = child.stdin.take();
        let answers = child.stdout.take().expect("a pipe was asked for");
        Self {
            child,
            orders,
            answers: BufReader::new(answers),
            early: BTreeMap::new(),
            last: 0,
        }
    }

    /// Gives an order; its number.
    pub(super) fn order(&mut self, what: &str, mut order: Value) -> u64 {
        self.last += 1;
        order["n"] = json!(self.last);
        order["do"] = json!(what);
        let orders = self.orders.as_mut().expect("it is open as long as this value");
        writeln!(orders, "{order}").unwrap_or_else(|error| panic!("the host is gone: {error}"));
        self.last
    }

    /// Waits for the answer to an order.
    pub(super) fn answer(&mut self, n: u64) -> Value {
        loop {
            if let Some(answer) = self.early.remove(&n) {
                return answer;
            }
            let mut line = String::new();
            let read = self.answers.read_line(&mut line).unwrap_or_default();
            assert!(read > 0, "the host ended without an answer to order {n}");
            let answer: Value =
                serde_json::from_str(&line).unwrap_or_else(|_| panic!("the host said {line}"));
            self.early
                .insert(answer["n"].as_u64().unwrap_or_default(), answer);
        }
    }

    /// Gives an order and waits for its answer.
    pub(super) fn ask(&mut self, what: &str, order: Value) -> Value {
        let n = self.order(what, order);
        self.answer(n)
    }

    /// The same for an order that cannot fail.
    pub(super) fn must(&mut self, what: &str, order: Value) -> Value {
        let answer = self.ask(what, order);
        assert!(answer.get("error").is_none(), "{what}: {answer}");
        answer
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// An error of a host, as text that names its code and field.
pub(super) fn told(error: &Value) -> String {
    format!("{}: {} ({})", error["code"], error["message"], error["field"])
}
