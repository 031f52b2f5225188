//! A host that is an HTTP server, such as the worker in workerd: its program tells the origin. The suite is its
//! agent, over HTTP of its own; nothing of it is the suite's but the configuration.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use serde_json::{Map, json};

use super::process::{Program, told};
use crate::authority::{Handle, Server};
use crate::http::{self, Response};
use crate::target::{Connection, Exchange, Host, Need, PRINCIPALS, Pending, Setup, Target, Who};
use crate::wire::Message;

/// A host that listens.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) program: Program,
}

/// The bearer token of a principal.
fn token(principal: &str) -> String {
    format!("token-of-{principal}-0123456789")
}

impl Host for Origin {
    fn has(&self, need: Need) -> bool {
        matches!(need, Need::Bytes | Need::Http | Need::Sessionless | Need::Streams)
    }

    fn open(&mut self, setup: Setup) -> Result<Box<dyn Target + '_>, String> {
        let handle = Handle::new(crate::Authority::modern());
        let server = Server::start(handle.clone());
        let config = setup.config_text(&server.url());
        if let Some(authority) = setup.authority {
            handle.change(|shared| *shared = authority);
        }
        let tokens: Map<_, _> = PRINCIPALS.iter().map(|name| (token(name), json!(name))).collect();
        let answer = self
            .program
            .ask("open", json!({"config": config, "tokens": tokens}));
        if let Some(error) = answer.get("error") {
            return Err(told(error));
        }
        let origin = answer["origin"].as_str().unwrap_or_default().to_owned();
        let health = http::send("GET", &format!("{origin}/healthz"), &[], &[]).expect("the host listens");
        if health.status != 200 {
            return Err(String::from_utf8_lossy(&health.body).into_owned());
        }
        Ok(Box::new(Replica {
            url: format!("{origin}/mcp"),
            server,
            authority: handle,
            connections: Vec::new(),
            requests: Vec::new(),
        }))
    }
}

struct Replica {
    url: String,
    server: Server,
    authority: Handle,
    connections: Vec<(Who, &'static str)>,
    requests: Vec<Request>,
}

/// What came of a response's body so far.
struct Body {
    last: Vec<u8>,
    /// Ends with the response.
    next: mpsc::Receiver<Vec<u8>>,
}

enum Request {
    UnderWay(JoinHandle<std::io::Result<Response>>, Body),
    Done(Exchange),
}

impl Target for Replica {
    fn authority(&self) -> &Handle {
        &self.authority
    }

    fn connect(&mut self, who: &Who, revision: &'static str) -> Connection {
        self.connections.push((who.clone(), revision));
        Connection(self.connections.len() - 1)
    }

    fn start(&mut self, from: Connection, message: &Message) -> Pending {
        let (who, revision) = &self.connections[from.0];
        let mut headers = message.http_headers(revision);
        if let Who::Principal(name) = who {
            headers.push(("authorization".into(), format!("Bearer {}", token(name))));
        }
        let (url, body) = (self.url.clone(), message.bytes(revision));
        let (show, next) = mpsc::channel();
        let last = Vec::new();
        let post = move || {
            http::post(&url, &headers, &body, |body| {
                let _ = show.send(body.to_vec());
            })
        };
        self.requests
            .push(Request::UnderWay(thread::spawn(post), Body { last, next }));
        Pending(self.requests.len() - 1)
    }

    fn finish(&mut self, pending: Pending) -> Exchange {
        let request = &mut self.requests[pending.0];
        let exchange = match std::mem::replace(request, Request::Done(Exchange::default())) {
            Request::Done(exchange) => exchange,
            Request::UnderWay(thread, _) => {
                let response = thread
                    .join()
                    .expect("it does not panic")
                    .expect("the host answers");
                Exchange {
                    status: Some(response.status),
                    messages: response.messages(),
                    cache_status: response.header("cache-status").map(str::to_owned),
                }
            }
        };
        *request = Request::Done(exchange.clone());
        exchange
    }

    fn heard(&mut self, pending: Pending, count: usize) -> Vec<Vec<u8>> {
        if let Request::UnderWay(_, body) = &mut self.requests[pending.0] {
            loop {
                let messages = http::messages(&body.last);
                if messages.len() >= count {
                    return messages;
                }
                let Ok(more) = body.next.recv() else { break };
                body.last = more;
            }
        }
        self.finish(pending).messages
    }

    fn settle(&mut self) {}

    fn authority_goes_down(&mut self) {
        self.server.go_down();
    }

    fn authority_comes_up(&mut self) {
        self.server.come_up();
    }
}
