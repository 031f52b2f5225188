//! The engine's part in an HTTP endpoint: the gate before the replica, and the frames of streamed answers.

use leeward::Verb;
use leeward::dispatch::Caller;
use leeward::http::{self, Accept, Admitted, Gate, Head, Headers, Identity, Tokens};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::{ANONYMOUS, DELETE, Engine, GET, cut, headers, shrink, text, thrown};
use crate::output::Facts;

/// Flag of `admit`: the bearer token tells who calls.
const BEARER: u32 = 2;
/// Flag of `admit`: nobody knows who calls.
const UNKNOWN: u32 = 4;

/// `admit` answered: a whole response is in the output buffer.
const STOPPED: u32 = 3;

#[wasm_bindgen]
impl Engine {
    /// Opens an HTTP endpoint at a path, for callers with bearer tokens (JSON text, token to principal) if there
    /// are any.
    ///
    /// # Errors
    /// `config_invalid` about `tokens`.
    #[wasm_bindgen(js_name = openGate)]
    pub fn open_gate(&mut self, path: &str, tokens: Option<String>) -> Result<(), JsValue> {
        let tokens = match tokens {
            Some(text) => Tokens::parse(&text, "tokens").map_err(thrown)?,
            None => Tokens::default(),
        };
        self.gate = Gate::new(path, tokens).with_sessions(self.sessions);
        Ok(())
    }

    /// Looks at the head of an HTTP request. Input: `method LF path LF`, then `name LF value LF` per header, names
    /// lower case; then the caller. Returns 0 for any form of an answer, 1 for JSON, 2 for events, with the caller
    /// and then the headers of every answer in the output buffer, and in `about` the flag of `serve` for what it
    /// does; or 3 with the whole answer there, headers first.
    pub fn admit(&mut self, head: usize, caller: usize, flags: u32) -> u32 {
        shrink(&mut self.output);
        self.facts = Facts::EMPTY;
        let (head, rest) = cut(&self.input, head);
        // Method and path are a pair as each header is.
        let lines = headers(&text(head));
        let Some(((method, path), headers)) = lines.split_first() else {
            return STOPPED;
        };
        let identity = if flags & BEARER != 0 {
            Identity::Bearer
        } else if flags & UNKNOWN != 0 {
            Identity::Unknown
        } else if flags & ANONYMOUS != 0 {
            Identity::Told(Caller::Anonymous)
        } else {
            Identity::Told(Caller::Principal(text(cut(rest, caller).0)))
        };
        let head = Head {
            method,
            path,
            headers,
        };
        let id = self.replica.draw_id();
        match self.gate.admit(self.replica.config(), &head, identity, id) {
            Ok(Admitted {
                caller,
                verb,
                accept,
                headers,
            }) => {
                self.facts.about = match verb {
                    Verb::Post => 0,
                    Verb::Get => u64::from(GET),
                    Verb::Delete => u64::from(DELETE),
                };
                if let Caller::Principal(name) = caller {
                    self.facts.last = true;
                    self.output.extend_from_slice(name.as_bytes());
                }
                self.facts.split = self.output.len();
                write_headers(&mut self.output, headers);
                match accept {
                    Accept::Both => 0,
                    Accept::Json => 1,
                    Accept::Events => 2,
                }
            }
            Err(response) => {
                self.facts.status = response.status;
                write_headers(&mut self.output, response.headers);
                self.facts.split = self.output.len();
                self.output.extend_from_slice(response.body.as_bytes());
                STOPPED
            }
        }
    }

    /// Makes the message in the output buffer a server-sent event, with its id if it has one; leaves nothing where there
    /// is neither.
    #[wasm_bindgen(js_name = frameEvent)]
    pub fn frame_event(&mut self) {
        self.output = http::event(&self.output, self.facts.event.as_deref());
    }
}

fn write_headers(out: &mut Vec<u8>, headers: Headers) {
    for (name, value) in headers {
        for part in [name, "\n", &value, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}
