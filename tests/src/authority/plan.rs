//! What the authority does with one request: a response, whole or broken, or none.

use serde_json::{Value, json};

use super::Seen;

/// The fate of one HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// A response.
    Respond {
        /// HTTP status.
        status: u16,
        /// Names lower case.
        headers: Vec<(String, String)>,
        /// The body, in the pieces in which it is sent.
        chunks: Vec<Vec<u8>>,
        /// How the body ends.
        end: End,
    },
    /// Taken, and the connection is closed without a word.
    Close,
    /// Taken, and never answered.
    Silence,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Whole,
    /// The connection breaks.
    Cut,
    /// It never does.
    Never,
    /// As the test orders: a subscription's, by its number.
    Fed(usize),
}

/// How a request is answered; may be asked any number of times.
pub type Turn = Box<dyn Fn(&Seen) -> Plan + Send + Sync>;

impl Plan {
    /// A body of some kind.
    pub fn body(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Respond {
            status,
            headers: vec![("content-type".into(), kind.into())],
            chunks: vec![body.into()],
            end: End::Whole,
        }
    }

    /// An empty body.
    pub fn empty(status: u16) -> Self {
        Self::Respond {
            status,
            headers: Vec::new(),
            chunks: Vec::new(),
            end: End::Whole,
        }
    }

    /// A JSON-RPC response with a raw result.
    pub fn result(id: &Value, raw: &str) -> Self {
        Self::body(200, "application/json", response(id, raw))
    }

    /// A JSON-RPC error response.
    pub fn error(id: &Value, status: u16, code: i64, message: &str, data: &Value) -> Self {
        let mut error = json!({"code": code, "message": message});
        if !data.is_null() {
            error["data"] = data.clone();
        }
        Self::body(
            status,
            "application/json",
            json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string(),
        )
    }

    /// Server-sent events, a chunk each: raw text of `data`.
    pub fn events(messages: impl IntoIterator<Item = String>) -> Self {
        Self::Respond {
            status: 200,
            headers: vec![("content-type".into(), "text/event-stream".into())],
            chunks: messages
                .into_iter()
                .map(|data| format!("event: message\ndata: {data}\n\n").into_bytes())
                .collect(),
            end: End::Whole,
        }
    }

    /// The same response with another header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Respond { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// The same response with another end.
    #[must_use]
    pub fn ending(mut self, with: End) -> Self {
        if let Self::Respond { end, .. } = &mut self {
            *end = with;
        }
        self
    }

    /// The same body cut into pieces of at most `size` bytes.
    #[must_use]
    pub fn in_pieces(mut self, size: usize) -> Self {
        if let Self::Respond { chunks, .. } = &mut self {
            *chunks = chunks.concat().chunks(size).map(<[u8]>::to_vec).collect();
        }
        self
    }

    /// The same body without its last `bytes`, and a broken connection.
    #[must_use]
    pub fn cut(mut self, bytes: usize) -> Self {
        if let Self::Respond { chunks, end, .. } = &mut self {
            let mut all = chunks.concat();
            all.truncate(all.len().saturating_sub(bytes));
            *chunks = vec![all];
            *end = End::Cut;
        }
        self
    }
}

/// The text of a JSON-RPC response with a raw result.
pub fn response(id: &Value, raw: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{raw}}}"#)
}

/// Answers with a raw result.
pub fn result(raw: impl Into<String>) -> Turn {
    let raw = raw.into();
    Box::new(move |seen| Plan::result(&seen.id, &raw))
}

/// Answers with a complete tool result of one text.
pub fn text(text: &str) -> Turn {
    result(format!(
        r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}]}}"#
    ))
}

/// Answers with a JSON-RPC error under an HTTP status.
pub fn error(status: u16, code: i64, message: &'static str, data: Value) -> Turn {
    Box::new(move |seen| Plan::error(&seen.id, status, code, message, &data))
}

/// Answers with an HTTP status and a body of some kind.
pub fn body(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Turn {
    let body = body.into();
    Box::new(move |_| Plan::body(status, kind, body.clone()))
}

/// Answers with whatever the plan is.
pub fn plan(plan: Plan) -> Turn {
    Box::new(move |_| plan.clone())
}

/// Answers by events: notifications (raw messages, in which `$TOKEN` stands for the request's progress
/// token), then the result.
pub fn stream(notifications: &'static [&'static str], raw: &'static str) -> Turn {
    Box::new(move |seen| {
        let token = seen.params["_meta"]["progressToken"].to_string();
        let before = notifications.iter().map(|text| text.replace("$TOKEN", &token));
        Plan::events(before.chain([response(&seen.id, raw)]))
    })
}
