//! The session-era protocol (2025-11-25 and before), as real servers of that era speak it: a request outside
//! a session is refused, answers are event streams that begin with a priming event.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::plan::{End, Plan};
use super::{Authority, Seen};

/// Sessions of an authority that knows no other protocol.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// The version it settles on.
    pub version: &'static str,
    /// Those alive.
    pub alive: BTreeSet<String>,
    /// How many there ever were.
    pub begun: usize,
    /// They have streams of their own.
    pub streams: bool,
}

impl Sessions {
    /// None yet.
    pub fn new(version: &'static str) -> Self {
        Self {
            version,
            alive: BTreeSet::new(),
            begun: 0,
            streams: true,
        }
    }
}

impl Authority {
    /// What comes before any method: sessions. `None` if the request may go on.
    pub(super) fn gate(&mut self, seen: &Seen) -> Option<Plan> {
        let sessions = self.sessions.as_mut()?;
        if seen.http == "DELETE" {
            sessions
                .alive
                .remove(seen.header("mcp-session-id").unwrap_or_default());
            return Some(Plan::empty(200));
        }
        if seen.rpc == "initialize" {
            sessions.begun += 1;
            let session = format!("session-{}", sessions.begun);
            sessions.alive.insert(session.clone());
            let result = json!({
                "protocolVersion": sessions.version,
                "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "prompts": {}, "completions": {}},
                "serverInfo": {"name": "scripted", "version": "1.0.0"},
                "instructions": "ask",
            });
            let plan = primed(Plan::result(&seen.id, &result.to_string()));
            return Some(plan.header("mcp-session-id", &session));
        }
        match seen.header("mcp-session-id") {
            None => {
                let error = json!({"code": -32000, "message": "Bad Request: No valid session ID provided"});
                let body = json!({"jsonrpc": "2.0", "error": error, "id": null});
                Some(Plan::body(400, "application/json", body.to_string()))
            }
            Some(session) if !sessions.alive.contains(session) => {
                let error = json!({"code": -32001, "message": "Session not found"});
                let body = json!({"jsonrpc": "2.0", "error": error, "id": null});
                Some(Plan::body(404, "application/json", body.to_string()))
            }
            Some(_) if seen.http == "GET" => Some(self.rest(seen)),
            // A notification, or a response to a request of ours.
            Some(_) if seen.id == Value::Null || seen.rpc.is_empty() => Some(Plan::empty(202)),
            Some(_) => None,
        }
    }

    /// A session's own stream; or what is left of one that broke off after the event `resume`: the answer to the last
    /// request.
    fn rest(&mut self, seen: &Seen) -> Plan {
        let streams = self.sessions.as_ref().is_some_and(|sessions| sessions.streams);
        if streams && seen.header("last-event-id").is_none() {
            return self.stream(seen);
        }
        let last = self
            .script
            .log
            .iter()
            .rfind(|seen| !seen.id.is_null() && !seen.rpc.is_empty());
        match (seen.header("last-event-id"), last) {
            (Some("resume"), Some(request)) => primed(self.answer(request, false)),
            _ => Plan::empty(405),
        }
    }

    /// How many responses to requests of its own it got.
    pub fn responses(&self) -> usize {
        let responds = |seen: &&Seen| seen.http == "POST" && seen.rpc.is_empty();
        self.script.log.iter().filter(responds).count()
    }

    pub(super) fn answer_in_session(&self, seen: &Seen) -> Plan {
        match &*seen.rpc {
            "resources/subscribe"
                if self
                    .resources
                    .iter()
                    .any(|known| known["uri"] == seen.params["uri"]) =>
            {
                primed(Plan::result(&seen.id, "{}"))
            }
            "ping" => primed(Plan::result(&seen.id, "{}")),
            _ => primed(self.answer(seen, false)),
        }
    }
}

/// The same message as events, after one that only carries an id.
fn primed(plan: Plan) -> Plan {
    let Plan::Respond {
        status: 200, chunks, ..
    } = &plan
    else {
        return plan;
    };
    let data = String::from_utf8_lossy(&chunks.concat()).into_owned();
    Plan::Respond {
        status: 200,
        headers: vec![("content-type".into(), "text/event-stream".into())],
        chunks: vec![
            b"id: 1_0\nretry: 1000\ndata: \n\n".to_vec(),
            format!("event: message\nid: 1_1\ndata: {data}\n\n").into_bytes(),
        ],
        end: End::Whole,
    }
}
