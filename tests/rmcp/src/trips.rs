//! Counts what reached this server: the proof that an answer was, or was not, a cache hit. The figures are those of
//! `tests/authority/trips.mjs`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// How often what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Trips {
    total: u64,
    /// By member of the figures, then by name.
    by: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

impl Trips {
    /// Counts the messages of a body. Answers of clients, which have no method, are none.
    pub(crate) fn count(&mut self, body: &[u8]) {
        let parsed = serde_json::from_slice(body).unwrap_or_else(|_| json!({"method": "(unreadable)"}));
        match parsed {
            Value::Array(messages) => messages.iter().for_each(|message| self.tally(message)),
            message => self.tally(&message),
        }
    }

    fn tally(&mut self, message: &Value) {
        let Some(method) = message["method"].as_str() else {
            return;
        };
        self.total += 1;
        self.bump("methods", method);
        let params = &message["params"];
        let (member, name) = match method {
            "tools/call" => ("tools", &params["name"]),
            "resources/read" => ("resources", &params["uri"]),
            "prompts/get" => ("prompts", &params["name"]),
            _ => return,
        };
        self.bump(member, name.as_str().unwrap_or("undefined"));
    }

    fn bump(&mut self, member: &'static str, name: &str) {
        let counts = self.by.entry(member).or_default();
        *counts.entry(name.to_owned()).or_default() += 1;
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut figures = json!({"total": self.total});
        for member in ["methods", "tools", "resources", "prompts"] {
            figures[member] = self.by.get(member).map_or(json!({}), |counts| json!(counts));
        }
        figures
    }
}
