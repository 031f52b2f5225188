//! The engine: one replica and its two buffers.

use leeward::cache::SchemaId;
use leeward::dispatch::{Caller, Verdict};
use leeward::http::{self, Gate};
use leeward::limits::MAX_HEADERS;
use leeward::{Code, Config, Ctx, Error, Failure, Input, Millis, Now, OpId, Request, Served, Ticket, Verb};
use leeward_sync::{Host, Replica};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::output::{self, Facts, NONE};

/// Largest input of one call, in bytes: the largest message that a configuration may allow, and what comes with it.
/// The operator's own limits are lower by default; this one keeps a mistaken length from exhausting the instance.
const MAX_INPUT_BYTES: usize = 65 << 20;
/// What a buffer may keep between calls; larger ones are given back.
const KEEP_BYTES: usize = 1 << 20;

/// `serve` answered: the response is in the output buffer.
const SERVED_REPLY: u32 = 0;
/// `serve` gave a ticket.
const SERVED_WAIT: u32 = 1;
/// `serve` took a notification.
const SERVED_ACCEPTED: u32 = 2;
/// A peek found nothing fresh.
const SERVED_ABSENT: u32 = 3;
/// `serve` asks for a verdict on the call's arguments.
const SERVED_CHECK: u32 = 4;

/// Of what a host does: it answers credential questions.
const CREDENTIALS: u32 = 1;
/// Session-era agents get a session.
const SESSIONS: u32 = 2;
/// It judges arguments.
const JUDGES: u32 = 4;
/// It has a vault.
const VAULT: u32 = 8;
/// It brings users to authorization pages.
const AUTHORIZES: u32 = 16;
/// It signs.
const SIGNS: u32 = 32;

/// Flag of `serve` and `admit`: the caller is anonymous.
pub(crate) const ANONYMOUS: u32 = 1;
/// Flag of `serve`: answer only what is fresh here.
const PEEK: u32 = 2;
/// Flag of `serve`: the message came over HTTP.
const HTTP: u32 = 4;
/// Flag of `serve`: there is no message; the request opens or resumes a stream.
pub(crate) const GET: u32 = 8;
/// Flag of `serve`: there is no message; the request ends a session.
pub(crate) const DELETE: u32 = 16;

/// One replica behind a border of numbers and two buffers. Times are milliseconds; operations, tickets and
/// serials are whole numbers that a double holds exactly.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    pub(crate) replica: Replica,
    pub(crate) input: Vec<u8>,
    pub(crate) output: Vec<u8>,
    /// The last caller, kept so that a run of requests by one principal allocates nothing for it.
    caller: Caller,
    pub(crate) gate: Gate,
    /// Session-era agents get a session.
    pub(crate) sessions: bool,
    pub(crate) facts: Facts,
    /// What the next `serve` is told of its arguments.
    verdict: Option<(SchemaId, Option<String>)>,
}

#[wasm_bindgen]
impl Engine {
    /// A replica with nothing stored, from the JSON text of its configuration. `does`: what the host does, a sum of 1
    /// (answers credential questions), 2 (session-era agents get a session), 4 (judges arguments), 8 (has a vault), 16
    /// (brings users to authorization pages) and 32 (signs).
    ///
    /// # Errors
    /// `config_invalid`, with `data.field` naming the place.
    #[wasm_bindgen(constructor)]
    pub fn new(config: &str, does: u32) -> Result<Self, JsValue> {
        let config = Config::parse(config).map_err(thrown)?;
        let can = |what| does & what != 0;
        let host = Host {
            lease: None,
            credentials: can(CREDENTIALS),
            sessions: can(SESSIONS),
            store: false,
            judges: can(JUDGES),
            vault: can(VAULT),
            authorizes: can(AUTHORIZES),
            signs: can(SIGNS),
        };
        Ok(Self {
            replica: Replica::new(config, host),
            input: Vec::new(),
            output: Vec::new(),
            caller: Caller::Anonymous,
            gate: Gate::default(),
            sessions: host.sessions,
            facts: Facts::EMPTY,
            verdict: None,
        })
    }

    /// Makes room for `len` bytes of input and returns where to write them.
    ///
    /// # Errors
    /// `too_large` past 65 MiB.
    pub fn input(&mut self, len: usize) -> Result<usize, JsValue> {
        if len > MAX_INPUT_BYTES {
            return Err(thrown(Error::new(
                Code::TooLarge,
                "more input than one call may carry",
            )));
        }
        if self.input.len() > KEEP_BYTES && len <= KEEP_BYTES {
            self.input = Vec::new();
        }
        if self.input.len() < len {
            // Contents need not survive: drop first, so that growth holds one buffer, not two.
            self.input = Vec::new();
            self.input.resize(len, 0);
        }
        Ok(self.input.as_ptr() as usize)
    }

    /// How many bytes of input there is room for.
    #[wasm_bindgen(js_name = inputCapacity)]
    #[must_use]
    pub fn input_capacity(&self) -> usize {
        self.input.len()
    }

    /// Where the payload of the last call begins.
    #[must_use]
    pub fn output(&self) -> usize {
        self.output.as_ptr() as usize
    }

    /// How long the payload of the last call is.
    #[wasm_bindgen(js_name = outputLength)]
    #[must_use]
    pub fn output_length(&self) -> usize {
        self.output.len()
    }

    /// Receives one message, or a request without one. Input: the message, then the caller, then the negotiated version (if its length is
    /// not 0) or, of a message over HTTP, `name LF value LF` per header, names lower case. Returns 0 reply, 1 wait,
    /// 2 accepted, 3 absent, 4 check: then the output is the tool's name up to `split`, `about` bytes of its schema,
    /// whose name is `op`, and the arguments; serve the message again after `judged`.
    #[expect(
        clippy::too_many_arguments,
        reason = "scalars cost nothing at this border, objects do"
    )]
    pub fn serve(
        &mut self,
        mono: f64,
        unix: f64,
        message: usize,
        caller: usize,
        negotiated: usize,
        connection: f64,
        flags: u32,
    ) -> u32 {
        let (message, rest) = cut(&self.input, message);
        let (caller, rest) = cut(rest, caller);
        let (negotiated, _) = cut(rest, negotiated);
        if flags & ANONYMOUS != 0 {
            self.caller = Caller::Anonymous;
        } else if !matches!(&self.caller, Caller::Principal(last) if last.as_bytes() == caller) {
            self.caller = Caller::Principal(text(caller));
        }
        let is_http = flags & HTTP != 0;
        let headers = is_http.then(|| http::message_headers(headers(&text(negotiated))));
        let negotiated = core::str::from_utf8(negotiated).unwrap_or("");
        shrink(&mut self.output);
        let request = Request {
            caller: &self.caller,
            ctx: Ctx::SHARED,
            connection: whole(connection),
            headers: headers.as_deref(),
            negotiated: Some(negotiated).filter(|version| !is_http && !version.is_empty()),
            message,
            verb: verb_of(flags),
            peek: flags & PEEK != 0,
        };
        let verdict = self.verdict.take();
        let verdict = verdict.as_ref().map(|(schema, fault)| Verdict {
            schema: *schema,
            fault: fault.as_deref(),
        });
        let served = self
            .replica
            .serve_judged(now(mono, unix), request, verdict, &mut self.output);
        self.facts = Facts::EMPTY;
        match served {
            Served::Reply {
                status,
                provenance,
                serial,
                session,
            } => {
                self.facts.status = status;
                self.facts.session = session;
                self.facts.provenance = provenance;
                self.facts.serial = serial;
                self.facts.last = true;
                SERVED_REPLY
            }
            Served::Wait(ticket) => {
                self.facts.ticket = ticket.0;
                // Of a stream that opens before its first message.
                self.facts.status = 200;
                SERVED_WAIT
            }
            Served::Accepted => SERVED_ACCEPTED,
            Served::Absent => SERVED_ABSENT,
            Served::Check { schema, name, text } => {
                self.facts.op = schema.0;
                self.facts.split = name;
                self.facts.about = text as u64;
                SERVED_CHECK
            }
        }
    }

    /// What was found of the arguments that `serve` asked about, for the next `serve`. Input: what is wrong with them;
    /// nothing if they are `sound`.
    pub fn judged(&mut self, schema: f64, sound: bool, len: usize) {
        let fault = (!sound).then(|| text(cut(&self.input, len).0));
        self.verdict = Some((SchemaId(whole(schema)), fault));
    }

    /// The head of a response. Input: `name LF value LF` per header, names lower case.
    #[wasm_bindgen(js_name = handleHead)]
    pub fn handle_head(&mut self, mono: f64, unix: f64, op: f64, status: u16, len: usize) {
        let (bytes, _) = cut(&self.input, len);
        let mut headers = headers(&text(bytes));
        headers.truncate(MAX_HEADERS);
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::Head { op, status, headers });
    }

    /// The next bytes of a body. Input: the bytes; none is not an answer.
    #[wasm_bindgen(js_name = handleChunk)]
    pub fn handle_chunk(&mut self, mono: f64, unix: f64, op: f64, len: usize) {
        let bytes = cut(&self.input, len).0.to_vec();
        if !bytes.is_empty() {
            let op = OpId(whole(op));
            self.handle(mono, unix, Input::Chunk { op, bytes });
        }
    }

    /// A body ended whole.
    #[wasm_bindgen(js_name = handleEnd)]
    pub fn handle_end(&mut self, mono: f64, unix: f64, op: f64) {
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::End { op });
    }

    /// A fetch or read failed. Input: what the host says about it.
    #[wasm_bindgen(js_name = handleFailed)]
    pub fn handle_failed(&mut self, mono: f64, unix: f64, op: f64, before_send: bool, len: usize) {
        let op = OpId(whole(op));
        let failure = Failure {
            before_send,
            message: text(cut(&self.input, len).0),
        };
        self.handle(mono, unix, Input::Failed { op, failure });
    }

    /// A local tool or resource answered. Input: raw JSON of the result if `ok`, else a message.
    #[wasm_bindgen(js_name = handleLocal)]
    pub fn handle_local(&mut self, mono: f64, unix: f64, op: f64, ok: bool, len: usize) {
        let (bytes, _) = cut(&self.input, len);
        let result = if ok { Ok(bytes.to_vec()) } else { Err(text(bytes)) };
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::Local { op, result });
    }

    /// Randomness. Input: the bytes.
    #[wasm_bindgen(js_name = handleEntropy)]
    pub fn handle_entropy(&mut self, mono: f64, unix: f64, op: f64, len: usize) {
        let bytes = cut(&self.input, len).0.to_vec();
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::Entropy { op, bytes });
    }

    /// The agent gave up on a ticket.
    #[wasm_bindgen(js_name = handleCancel)]
    pub fn handle_cancel(&mut self, mono: f64, unix: f64, ticket: f64) {
        let ticket = Ticket(whole(ticket));
        self.handle(mono, unix, Input::Cancel { ticket });
    }

    /// A message of a ticket could not be passed on.
    #[wasm_bindgen(js_name = handleDropped)]
    pub fn handle_dropped(&mut self, mono: f64, unix: f64, ticket: f64) {
        let ticket = Ticket(whole(ticket));
        self.handle(mono, unix, Input::Dropped { ticket });
    }

    /// Time passed.
    #[wasm_bindgen(js_name = handleTick)]
    pub fn handle_tick(&mut self, mono: f64, unix: f64) {
        self.handle(mono, unix, Input::Tick);
    }

    /// What to do next: 0 nothing, 1 fetch, 2 read, 3 abort, 4 call a tool, 5 call a resource, 6 credential,
    /// 7 entropy, 8 event, 9 reply, 10 load, 11 keep, 12 sign, 13 redirect, 14 authorize, 15 what came of an errand.
    #[wasm_bindgen(js_name = pollOutput)]
    pub fn poll_output(&mut self) -> u32 {
        shrink(&mut self.output);
        while let Some(output) = self.replica.poll_output(Ctx::SHARED) {
            if let Some((kind, facts)) = output::take(output, &mut self.output) {
                self.facts = facts;
                return kind;
            }
        }
        NONE
    }

    /// When to call `handleTick`, on the monotonic clock; negative for never.
    #[wasm_bindgen(js_name = pollTimeout)]
    pub fn poll_timeout(&mut self) -> f64 {
        self.replica
            .poll_timeout(Ctx::SHARED)
            .map_or(-1.0, |at| double(at.0))
    }

    /// The question of the last output.
    #[must_use]
    pub fn op(&self) -> f64 {
        double(self.facts.op)
    }

    /// The fetch that the last output is about, how many random bytes it wants, or how long a signature's algorithm is.
    #[must_use]
    pub fn about(&self) -> f64 {
        double(self.facts.about)
    }

    /// Where the second part of the last output's payload begins.
    #[must_use]
    pub fn split(&self) -> usize {
        self.facts.split
    }

    /// HTTP status of the last answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.facts.status
    }

    /// The ticket of the last wait or reply.
    #[must_use]
    pub fn ticket(&self) -> f64 {
        double(self.facts.ticket)
    }

    /// Whether the last reply was the last of its ticket; of a credential, a redirect or an authorization, whether there
    /// is a principal; of a record to keep, whether there is one; of an errand, whether it was done.
    #[must_use]
    pub fn last(&self) -> bool {
        self.facts.last
    }

    /// Names the stored result behind the last answer; negative if it is not known.
    #[must_use]
    pub fn serial(&self) -> f64 {
        self.facts.serial.map_or(-1.0, double)
    }

    /// How the cache took part: 0 hit, 1 miss, 2 stale, 3 bypass, 4 local, 5 not at all.
    #[must_use]
    pub fn state(&self) -> u32 {
        self.facts.state()
    }

    /// Remaining freshness in milliseconds, negative once stale; NaN where nothing was stored.
    #[must_use]
    pub fn ttl(&self) -> f64 {
        let ttl = self.facts.provenance.and_then(|provenance| provenance.ttl);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a span of more than 2^53 ms is not met"
        )]
        ttl.map_or(f64::NAN, |ttl| ttl.0 as f64)
    }

    /// Whether the last answer came with another request's trip.
    #[must_use]
    pub fn collapsed(&self) -> bool {
        self.facts
            .provenance
            .is_some_and(|provenance| provenance.collapsed)
    }

    /// Whether the last answer was stored.
    #[must_use]
    pub fn stored(&self) -> bool {
        self.facts.provenance.is_some_and(|provenance| provenance.stored)
    }

    /// The last answer's provenance as an RFC 9211 list member; empty where nothing was classified.
    #[must_use]
    pub fn provenance(&self) -> String {
        self.facts
            .provenance
            .map_or_else(String::new, |provenance| provenance.to_string())
    }

    /// The session that the last answer opened: its `mcp-session-id`; empty if it opened none.
    #[must_use]
    pub fn session(&self) -> String {
        self.facts.session.clone().unwrap_or_default()
    }

    /// Largest message that `serve` takes, in bytes.
    #[wasm_bindgen(js_name = maxMessageBytes)]
    #[must_use]
    pub fn max_message_bytes(&self) -> f64 {
        double(self.replica.config().limits.max_message_bytes as u64)
    }

    /// Registers a tool of the host's, or replaces it.
    ///
    /// # Errors
    /// As `Core::register_tool`.
    #[wasm_bindgen(js_name = registerTool)]
    pub fn register_tool(&mut self, definition: &str, rule: Option<String>) -> Result<(), JsValue> {
        self.replica
            .register_tool(definition, rule.as_deref())
            .map_err(thrown)
    }

    /// Registers a resource of the host's, or replaces it.
    ///
    /// # Errors
    /// As `Core::register_resource`.
    #[wasm_bindgen(js_name = registerResource)]
    pub fn register_resource(&mut self, definition: &str, rule: Option<String>) -> Result<(), JsValue> {
        self.replica
            .register_resource(definition, rule.as_deref())
            .map_err(thrown)
    }

    /// Makes everything stored stale at once.
    pub fn invalidate(&mut self) {
        self.replica.invalidate();
    }

    /// Counters: hits, misses, stale, collapsed, bypassed, stored, evicted, entries, bytes, flights, waiters,
    /// subscriptions, sessions, invalid.
    #[must_use]
    pub fn stats(&self) -> Box<[f64]> {
        let stats = self.replica.stats();
        [
            stats.hits,
            stats.misses,
            stats.stale,
            stats.collapsed,
            stats.bypassed,
            stats.stored,
            stats.evicted,
            stats.entries,
            stats.bytes,
            stats.flights,
            stats.waiters,
            stats.subscriptions,
            stats.sessions,
            stats.invalid,
            stats.withheld,
            stats.down,
        ]
        .map(double)
        .into()
    }

    pub(crate) fn handle(&mut self, mono: f64, unix: f64, input: Input) {
        self.replica.handle(now(mono, unix), Ctx::SHARED, input);
    }
}

/// What a request does, by the flags of `serve`.
const fn verb_of(flags: u32) -> Verb {
    match flags & (GET | DELETE) {
        0 => Verb::Post,
        GET => Verb::Get,
        _ => Verb::Delete,
    }
}

/// The first `len` bytes and the rest; all there is if that is less.
pub(crate) fn cut(bytes: &[u8], len: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(len).unwrap_or((bytes, &[]))
}

/// Headers from the host: `name LF value LF` each.
pub(crate) fn headers(lines: &str) -> Vec<(String, String)> {
    let mut lines = lines.split('\n');
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        headers.push((name.into(), value.into()));
    }
    headers
}

/// Text from the host, which writes UTF-8; anything else is made so.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn shrink(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(KEEP_BYTES);
}

pub(crate) fn now(mono: f64, unix: f64) -> Now {
    Now {
        mono: Millis(whole(mono)),
        unix: Millis(whole(unix)),
    }
}

/// A whole number from a double: rounded down, 0 for what is negative or no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
pub(crate) const fn whole(number: f64) -> u64 {
    number as u64
}

#[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are not met")]
pub(crate) const fn double(number: u64) -> f64 {
    number as f64
}

/// What is thrown: the text of a JSON-RPC error object. The correlation id is the TypeScript side's to give.
pub(crate) fn thrown(error: Error) -> JsValue {
    JsValue::from_str(&error.to_json(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_held_to_the_buffer() {
        assert_eq!(cut(b"abc", 2), (&b"ab"[..], &b"c"[..]));
        assert_eq!(cut(b"abc", 3), (&b"abc"[..], &b""[..]));
        assert_eq!(cut(b"abc", usize::MAX), (&b"abc"[..], &b""[..]));
    }

    #[test]
    fn a_number_that_is_none_is_zero() {
        for (number, expected) in [(1.9, 1), (-1.0, 0), (f64::NAN, 0), (f64::INFINITY, u64::MAX)] {
            assert_eq!(whole(number), expected);
        }
    }

    #[test]
    fn a_large_input_buffer_is_given_back() {
        let mut engine = Engine::new("{}", 0).unwrap();
        engine.input(KEEP_BYTES + 1).unwrap();
        assert_eq!(engine.input_capacity(), KEEP_BYTES + 1);
        engine.input(1).unwrap();
        assert_eq!(engine.input_capacity(), 1);
    }
}
