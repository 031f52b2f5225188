//! The answers that the host of `border` gives: those that fit, odd ones, and those that nobody asked for.

use leeward::border::Credential;
use leeward::{Ctx, Failure, Input, OpId};
use leeward_tests::oauth::AUTHORITY;

use super::super::sse::discovery;
use super::model::{Arrival, Fetch, LISTEN, Model, Question, nonce};
use super::oauth::challenge;
use crate::judge;

impl Model {
    /// One of the open questions.
    fn pick(&self, which: u8) -> Option<(OpId, Ctx, Question)> {
        let count = self.questions.len().max(1);
        let (op, (ctx, question)) = self.questions.iter().nth(usize::from(which) % count)?;
        Some((*op, *ctx, question.clone()))
    }

    pub(super) fn answer(&mut self, which: u8) {
        let Some((op, ctx, question)) = self.pick(which) else {
            return;
        };
        let input = match question {
            Question::Fetch => {
                let fetch = self.fetches.get_mut(&op).expect("an open fetch");
                let (mut status, mut headers) = (200, Vec::new());
                let (kind, body) = match &mut self.issuer {
                    Some(issuer) if fetch.request.url != AUTHORITY => {
                        let (said, kind, body) = issuer.receive(&fetch.request);
                        status = said;
                        (kind, body)
                    }
                    Some(issuer) => match issuer.taken(&fetch.request) {
                        Some(whose) => answer_to(fetch, whose),
                        None => {
                            status = 401;
                            headers.push(("www-authenticate".into(), challenge(status)));
                            if let Some(nonce) = nonce(&fetch.request) {
                                self.writes.insert(nonce, true);
                            }
                            ("", Vec::new())
                        }
                    },
                    None => answer_to(fetch, &whose(fetch)),
                };
                headers.push(("content-type".into(), kind.into()));
                fetch.rest = if which & 64 == 0 {
                    vec![body]
                } else {
                    body.chunks(50).rev().map(<[u8]>::to_vec).collect()
                };
                fetch.rest.retain(|chunk| !chunk.is_empty());
                Input::Head { op, status, headers }
            }
            Question::Read(fetch) => match self.fetches.get_mut(&fetch).expect("an open fetch").rest.pop() {
                Some(bytes) => Input::Chunk { op, bytes },
                None => Input::End { op },
            },
            Question::Local => Input::Local {
                op,
                result: Ok(br#"{"content":[{"type":"text","text":"local"}]}"#.to_vec()),
            },
            Question::Credential(principal) => Input::Credential {
                op,
                result: Ok(principal.map(|token| Credential {
                    token,
                    identity: None,
                    expires_in: None,
                })),
            },
            Question::Entropy(count) => Input::Entropy {
                op,
                bytes: match &mut self.issuer {
                    Some(issuer) => issuer.draw(count),
                    None => vec![9; count],
                },
            },
            question => self.answer_host(op, question, 0),
        };
        self.apply(ctx, input);
    }

    pub(super) fn answer_oddly(&mut self, how: u8, which: u8) {
        let Some((op, ctx, question)) = self.pick(which) else {
            return;
        };
        let failure = |before_send| Failure {
            before_send,
            message: "odd".into(),
        };
        let input = match question {
            Question::Fetch => {
                let fetch = self.fetches.get_mut(&op).expect("an open fetch");
                // It may have had its effect.
                if let Some(issuer) = self.issuer.as_mut().filter(|_| how & 64 != 0)
                    && fetch.request.url != AUTHORITY
                {
                    issuer.receive(&fetch.request);
                }
                let id = judge::object(&fetch.request.body)
                    .and_then(|body| Some(judge::raw(&body, "id")?.to_owned()));
                let id = id.unwrap_or_else(|| "null".into());
                let error = |code: i64| {
                    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":""}}}}"#)
                };
                let (status, kind, body, refused) = match how % 14 {
                    0 => (200, "text/html", "<html>".into(), false),
                    1 => (503, "", String::new(), false),
                    2 => (401, "", String::new(), true),
                    3 => (429, "", String::new(), true),
                    4 => (400, "application/json", error(-32020), true),
                    5 => (400, "application/json", error(-32022), true),
                    6 => (404, "application/json", error(-32601), true),
                    7 => (200, "application/json", error(-32602), true),
                    8 => (400, "text/plain", "no session".into(), true),
                    9 => (403, "", String::new(), true),
                    10 => (200, "application/json", "[]".into(), false),
                    11 => (200, "text/event-stream", ": nothing\n\n".into(), false),
                    12 => {
                        return self.apply(
                            ctx,
                            Input::Failed {
                                op,
                                failure: failure(true),
                            },
                        );
                    }
                    _ => {
                        return self.apply(
                            ctx,
                            Input::Failed {
                                op,
                                failure: failure(false),
                            },
                        );
                    }
                };
                fetch.rest = vec![body.into_bytes()];
                fetch.rest.retain(|chunk| !chunk.is_empty());
                if let Some(nonce) = nonce(&fetch.request) {
                    self.writes.insert(nonce, refused);
                }
                let headers = vec![
                    ("content-type".into(), kind.into()),
                    ("retry-after".into(), "3".into()),
                    ("www-authenticate".into(), challenge(status)),
                ];
                Input::Head { op, status, headers }
            }
            Question::Read(_) => Input::Failed {
                op,
                failure: failure(how & 1 == 0),
            },
            Question::Local if how & 1 == 0 => Input::Local {
                op,
                result: Err("odd".into()),
            },
            Question::Local => Input::Local {
                op,
                result: Ok(b"{\"isError\":true".to_vec()),
            },
            Question::Credential(_) if how & 1 == 0 => Input::Credential {
                op,
                result: Err("odd".into()),
            },
            Question::Credential(_) => Input::Credential { op, result: Ok(None) },
            Question::Entropy(_) => Input::Entropy {
                op,
                bytes: vec![1; usize::from(how % 40)],
            },
            question => self.answer_host(op, question, how),
        };
        self.apply(ctx, input);
    }

    /// An answer for any operation: not asked, asked otherwise, or long since answered.
    pub(super) fn spurious(&mut self, ctx: Ctx, what: u8, op: OpId) {
        let asked = self.questions.get(&op).map(|(_, question)| question.clone());
        let failure = Failure {
            before_send: false,
            message: "spurious".into(),
        };
        let kinds = if self.issuer.is_some() { 11 } else { 7 };
        let failed = || "spurious".to_owned();
        let input = match (what % kinds, asked) {
            // What would fit is not spurious.
            (0, Some(Question::Fetch))
            | (1 | 2, Some(Question::Read(_)))
            | (4, Some(Question::Local))
            | (5, Some(Question::Credential(_)))
            | (6, Some(Question::Entropy(_)))
            | (7, Some(Question::Load(_)))
            | (8, Some(Question::Sign))
            | (9, Some(Question::Redirect))
            | (10, Some(Question::Authorize(..))) => return,
            (0, _) => Input::Head {
                op,
                status: 200,
                headers: Vec::new(),
            },
            (1, _) => Input::Chunk {
                op,
                bytes: b"data: {}\n\n".to_vec(),
            },
            (2, _) => Input::End { op },
            (3, _) => Input::Failed { op, failure },
            (4, _) => Input::Local {
                op,
                result: Ok(b"{}".to_vec()),
            },
            (5, _) => {
                let credential = Credential {
                    token: "eve".into(),
                    identity: None,
                    expires_in: None,
                };
                Input::Credential {
                    op,
                    result: Ok(Some(credential)),
                }
            }
            (6, _) => Input::Entropy {
                op,
                bytes: vec![3; 32],
            },
            (7, _) => Input::Loaded { op, result: Ok(None) },
            (8, _) => Input::Signed {
                op,
                result: Err(failed()),
            },
            (9, _) => Input::Redirect {
                op,
                result: Err(failed()),
            },
            _ => Input::Authorized {
                op,
                result: Err(failed()),
            },
        };
        self.apply(ctx, input);
    }

    /// Hands an answer over, and forgets what it answers.
    fn apply(&mut self, ctx: Ctx, input: Input) {
        match &input {
            Input::Head { op, .. } => drop(self.take(*op, &Question::Fetch)),
            Input::Chunk { op, .. } => drop(self.take_read(*op)),
            Input::End { op } => {
                if let Some(fetch) = self.take_read(*op) {
                    self.finish(fetch);
                }
            }
            Input::Failed { op, .. } => {
                let reading = self.take_read(*op);
                if reading.is_some() || self.fetches.contains_key(op) {
                    let fetch = reading.unwrap_or(*op);
                    self.questions.remove(op);
                    self.questions
                        .retain(|_, (_, question)| *question != Question::Read(fetch));
                    self.finish(fetch);
                }
            }
            Input::Local { op, .. } => drop(self.take(*op, &Question::Local)),
            Input::Entropy { op, .. }
            | Input::Loaded { op, .. }
            | Input::Signed { op, .. }
            | Input::Redirect { op, .. }
            | Input::Authorized { op, .. } => self.take_plain(*op, &input),
            Input::Credential { op, .. } => {
                if matches!(self.questions.get(op), Some((_, Question::Credential(_)))) {
                    self.questions.remove(op);
                }
            }
            _ => {}
        }
        self.handle(ctx, input);
    }

    fn take(&mut self, op: OpId, question: &Question) -> bool {
        let fits = self
            .questions
            .get(&op)
            .is_some_and(|(_, asked)| asked == question);
        if fits {
            self.questions.remove(&op);
        }
        fits
    }

    /// The same of what is known by its kind.
    fn take_plain(&mut self, op: OpId, input: &Input) {
        let fits = matches!(
            (self.questions.get(&op), input),
            (Some((_, Question::Entropy(_))), Input::Entropy { .. })
                | (Some((_, Question::Load(_))), Input::Loaded { .. })
                | (Some((_, Question::Sign)), Input::Signed { .. })
                | (Some((_, Question::Redirect)), Input::Redirect { .. })
                | (Some((_, Question::Authorize(..))), Input::Authorized { .. })
        );
        if fits {
            self.questions.remove(&op);
        }
    }

    fn take_read(&mut self, op: OpId) -> Option<OpId> {
        let Some((_, Question::Read(fetch))) = self.questions.get(&op) else {
            return None;
        };
        let fetch = *fetch;
        self.questions.remove(&op);
        Some(fetch)
    }

    /// A fetch is at its end.
    fn finish(&mut self, op: OpId) {
        let Some(fetch) = self.fetches.remove(&op) else {
            return;
        };
        let arrival = Arrival {
            at: self.now.mono,
            steps_back: self.steps_back,
        };
        self.arrivals.insert(fetch.number, arrival);
        if let Some(nonce) = nonce(&fetch.request) {
            self.answered.insert(nonce, self.fetched);
        }
    }
}

/// What the authority answers, with its media type: whose credential it saw, the fetch's number, and the key.
fn answer_to(fetch: &Fetch, whose: &str) -> (&'static str, Vec<u8>) {
    const JSON: &str = "application/json";
    let body: serde_json::Value = serde_json::from_slice(&fetch.request.body).unwrap_or_default();
    let method = body["method"].as_str().unwrap_or_default();
    if method == "server/discover" {
        return (JSON, discovery(&fetch.request).into_bytes());
    }
    if method == LISTEN {
        return ("text/event-stream", stream_of(&body["id"]).into_bytes());
    }
    let text = format!("{whose} {} {}", fetch.number, body["params"]["arguments"]["key"]);
    let id = &body["id"];
    let members = r#""tools":[],"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"a","version":"1"}"#;
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}],{members}}}}}"#
    );
    (JSON, answer.into_bytes())
}

/// The host's tokens are names.
fn whose(fetch: &Fetch) -> String {
    let mut headers = fetch.request.headers.iter();
    let token = headers.find(|(name, _)| name == "authorization");
    token
        .map_or("nobody", |(_, value)| value.trim_start_matches("Bearer "))
        .into()
}

/// A subscription's stream: acknowledged, a change, and then it breaks.
fn stream_of(id: &serde_json::Value) -> String {
    let told = |method: &str, more: &str| {
        let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
        format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{method}\",\"params\":{{{more}{meta}}}}}\n\n"
        )
    };
    let acknowledged = told(
        "subscriptions/acknowledged",
        r#""notifications":{"toolsListChanged":true},"#,
    );
    acknowledged + &told("tools/list_changed", "")
}
