//! The npm package, wherever JavaScript runs. Its clock, randomness and local tools are the suite's; its network
//! is real.

use std::collections::BTreeMap;

use leeward::{Code, Error};
use serde_json::{Value, json};

use super::process::{Program, told};
use crate::authority::{Handle, Server};
use crate::target::{Connection, Exchange, Given, Host, Local, Need, Pending, Setup, Target, Who};
use crate::wire::Message;

/// The npm package in one runtime.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) program: Program,
    /// What this runtime cannot do, beside what the package has no part in.
    pub(super) lacks: &'static [Need],
}

impl Host for Package {
    fn has(&self, need: Need) -> bool {
        // A connection is a session by itself.
        !matches!(
            need,
            Need::Bytes | Need::Http | Need::Sessions | Need::Sessionless
        ) && !self.lacks.contains(&need)
    }

    fn open(&mut self, setup: Setup) -> Result<Box<dyn Target + '_>, String> {
        let credentials = setup.credentials;
        let config =
            |url: &str| -> Value { serde_json::from_str(&setup.config_text(url)).unwrap_or_default() };
        let handle = Handle::new(crate::Authority::modern());
        let server = Server::start(handle.clone());
        let order = json!({"config": config(&server.url()), "credentials": credentials});
        if let Some(authority) = setup.authority {
            handle.change(|shared| *shared = authority);
        }
        let answer = self.program.ask("open", order);
        if let Some(error) = answer.get("error") {
            return Err(told(error));
        }
        Ok(Box::new(Replica {
            program: &mut self.program,
            server,
            authority: handle,
            revisions: Vec::new(),
            answered: BTreeMap::new(),
            requests: Vec::new(),
        }))
    }
}

struct Replica<'a> {
    program: &'a mut Program,
    server: Server,
    authority: Handle,
    revisions: Vec<&'static str>,
    answered: BTreeMap<u64, Exchange>,
    requests: Vec<u64>,
}

impl Replica<'_> {
    fn number(&self, pending: Pending) -> u64 {
        self.requests[pending.0]
    }
}

impl Target for Replica<'_> {
    fn authority(&self) -> &Handle {
        &self.authority
    }

    fn connect(&mut self, who: &Who, revision: &'static str) -> Connection {
        let principal = match who {
            Who::Principal(id) => json!(id),
            Who::Anonymous => Value::Null,
        };
        self.program.must("connect", json!({"principal": principal}));
        self.revisions.push(revision);
        Connection(self.revisions.len() - 1)
    }

    fn start(&mut self, from: Connection, message: &Message) -> Pending {
        let text = message.bytes(self.revisions[from.0]);
        let message: Value =
            serde_json::from_slice(&text).expect("only JSON is sent to hosts without Need::Bytes");
        let n = self
            .program
            .order("send", json!({"connection": from.0, "message": message}));
        self.requests.push(n);
        Pending(self.requests.len() - 1)
    }

    fn finish(&mut self, pending: Pending) -> Exchange {
        let n = self.number(pending);
        if let Some(exchange) = self.answered.get(&n) {
            return exchange.clone();
        }
        let answer = self.program.answer(n);
        let messages = match answer.get("error") {
            None => answer["messages"].as_array().cloned().unwrap_or_default(),
            Some(error) => vec![refusal(error)],
        };
        let messages = messages
            .iter()
            .map(|message| message.to_string().into_bytes())
            .collect();
        let exchange = Exchange {
            messages,
            ..Exchange::default()
        };
        self.answered.insert(n, exchange.clone());
        exchange
    }

    fn heard(&mut self, pending: Pending, count: usize) -> Vec<Vec<u8>> {
        let n = self.number(pending);
        let answer = self.program.must("heard", json!({"request": n, "count": count}));
        let messages = answer["messages"].as_array().cloned().unwrap_or_default();
        messages
            .iter()
            .map(|message| message.to_string().into_bytes())
            .collect()
    }

    fn settle(&mut self) {
        let idle = !self.authority.is_holding();
        self.program.must("settle", json!({"idle": idle}));
    }

    fn authority_goes_down(&mut self) {
        self.server.go_down();
    }

    fn authority_comes_up(&mut self) {
        self.server.come_up();
    }

    fn advance(&mut self, ms: u64) {
        self.program.must("advance", json!({"ms": ms}));
    }

    fn outlast(&mut self, pending: Pending, ms: u64) -> Exchange {
        self.advance(ms);
        // What takes its time may begin only when the network has brought something.
        while !self.is_answered(pending) {
            self.advance(1);
        }
        self.finish(pending)
    }

    fn is_answered(&mut self, pending: Pending) -> bool {
        let n = self.number(pending);
        self.program.must("answered", json!({"request": n}))["answered"] == true
    }

    fn cancel(&mut self, pending: Pending) {
        let n = self.number(pending);
        self.program.must("cancel", json!({"request": n}));
    }

    fn register(
        &mut self,
        kind: &str,
        definition: &str,
        rule: Option<&str>,
        answer: Local,
    ) -> Result<(), Error> {
        let definition: Value = serde_json::from_str(definition).unwrap_or_default();
        let answer = match answer {
            Local::Text(text) => json!({"text": text}),
            Local::Raw(raw) => json!({"raw": raw}),
            Local::Fails(message) => json!({"fails": message}),
        };
        let order = json!({"kind": kind, "definition": definition, "rule": rule, "answer": answer});
        let answer = self.program.ask("register", order);
        let Some(error) = answer.get("error") else {
            return Ok(());
        };
        let code = Code::ALL.into_iter().find(|code| error["code"] == code.as_str());
        Err(Error::new(
            code.unwrap_or_else(|| panic!("{answer}")),
            told(error),
        ))
    }

    fn credential(&mut self, principal: &str, credential: Result<Option<Given>, &'static str>) {
        let credential = match credential {
            Ok(Some(given)) => match given.identity {
                Some(identity) => json!({"token": given.token, "identity": identity}),
                None => json!({"token": given.token}),
            },
            Ok(None) => Value::Null,
            Err(message) => json!(message),
        };
        self.program.must(
            "credential",
            json!({"principal": principal, "credential": credential}),
        );
    }

    fn events(&mut self) -> Vec<String> {
        let answer = self.program.must("events", json!({}));
        let events = answer["events"].as_array().cloned().unwrap_or_default();
        events
            .iter()
            .filter_map(|event| event.as_str().map(str::to_owned))
            .collect()
    }
}

/// A message that the package does not take is refused by what its transport throws: the same error, as an
/// answer.
fn refusal(error: &Value) -> Value {
    let code = Code::ALL.into_iter().find(|code| error["code"] == code.as_str());
    let code = code.unwrap_or_else(|| panic!("the transport threw {error}"));
    let data = json!({"code": code.as_str(), "retryable": code.retryable(), "correlationId": "thrown"});
    json!({"jsonrpc": "2.0", "error": {"code": code.json_rpc(), "message": error["message"], "data": data}})
}
