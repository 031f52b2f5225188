//! One agent at the other end of a pair of byte streams.
//!
//! It brings the agent's lines to the replica and makes lines of what comes back. It decides nothing about requests;
//! it knows only which of them wait, and which version an `initialize` settled. It assumes that whoever has the streams
//! is one principal.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use leeward::cache::SchemaId;
use leeward::dispatch::{Caller, Verdict};
use leeward::json::Members;
use leeward::mcp::message::Message;
use leeward::mcp::names::META_SUBSCRIPTION;
use leeward::table::Table;
use leeward::{Ctx, Input, Now, Reply, Request, Served, Ticket, Verb};

use super::Lines;
use crate::Replica;
use crate::limits::MAX_UNWRITTEN_BYTES;

/// A call whose arguments the host is to judge, where it said that it can ([`crate::Host::judges`]).
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Names the schema: what was compiled from one of this name serves again.
    pub schema: SchemaId,
    /// The tool's name.
    pub tool: &'a str,
    /// Its `inputSchema`: raw JSON, verbatim.
    pub input_schema: &'a str,
    /// Raw JSON object.
    pub arguments: &'a str,
}

/// One connection of an agent to a replica (2026-07-28, Transports, stdio).
///
/// The host hands over what it reads ([`Agent::receive`]) and the replies that it polls ([`Agent::reply`]), and writes
/// what [`Agent::take_output`] gives. With [`crate::Host::sessions`] it is the session of an agent that begins with
/// `initialize`. Both eras are spoken, each request in its own: by `_meta`, or as `initialize`
/// settled (2026-07-28, Versioning, Compatibility Matrix).
#[derive(Debug)]
pub struct Agent {
    caller: Caller,
    ctx: Ctx,
    connection: u64,
    lines: Lines,
    /// The version that `initialize` settled.
    negotiated: Option<String>,
    waiting: Table<Ticket, Waiting>,
    /// The stream of its session ended on the replica's side.
    is_deaf: bool,
    out: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    /// Raw.
    id: Box<str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Initialize,
    Listen,
    Other,
    /// The stream of the connection's session.
    Stream,
}

impl Agent {
    /// A connection. `connection`: its number, not 0, and not that of another one of the same replica. `max_bytes`: of
    /// one message, as in `limits.maxMessageBytes`.
    #[must_use]
    pub const fn new(caller: Caller, ctx: Ctx, connection: u64, max_bytes: usize) -> Self {
        Self {
            caller,
            ctx,
            connection,
            lines: Lines::new(max_bytes),
            negotiated: None,
            waiting: Table::new(),
            is_deaf: false,
            out: Vec::new(),
        }
    }

    /// Takes bytes from the agent, in pieces of any size. `judge` says what is wrong with a call's arguments, if
    /// anything is.
    ///
    /// A line that is no message is answered by an error without an id: MCP's schema knows no null id (2026-07-28,
    /// `JSONRPCErrorResponse`), and nothing else than its messages may be written. A line past the limit is answered by
    /// `too_large`, and the next one is read again.
    ///
    /// # Limits
    /// Read on only while [`Agent::wants_input`].
    pub fn receive(
        &mut self,
        replica: &mut Replica,
        now: Now,
        bytes: &[u8],
        mut judge: impl FnMut(Question<'_>) -> Option<String>,
    ) {
        let mut lines = core::mem::replace(&mut self.lines, Lines::new(0));
        lines.push(bytes, |line| self.line(replica, now, line, &mut judge));
        self.lines = lines;
    }

    fn line(
        &mut self,
        replica: &mut Replica,
        now: Now,
        line: &[u8],
        judge: &mut impl FnMut(Question<'_>) -> Option<String>,
    ) {
        let request = self.request(Verb::Post, line);
        let mut out = Vec::new();
        let mut served = replica.serve(now, request, &mut out);
        if let Served::Check { schema, name, text } = served {
            let fault = question(schema, &out, name, text).and_then(judge);
            out.clear();
            let fault = fault.as_deref();
            let verdict = Some(Verdict { schema, fault });
            served = replica.serve_judged(now, request, verdict, &mut out);
        }
        match served {
            Served::Reply { .. } => {
                if kind(line) == Some(Kind::Initialize) {
                    self.settle_version(&out);
                }
                self.write(&out);
            }
            Served::Wait(ticket) => {
                let message = Message::parse(line).ok();
                let id = message.and_then(|message| message.id).unwrap_or_default().into();
                let kind = kind(line).unwrap_or(Kind::Other);
                self.waiting.insert(ticket, Waiting { id, kind });
            }
            Served::Accepted => self.accepted(replica, now, line),
            Served::Absent | Served::Check { .. } => {}
        }
        // Not at once: an authority may end it again and again, and an agent may not read.
        if self.is_deaf && self.wants_input() {
            self.listen(replica, now);
        }
    }

    /// Takes the stream of the session, if there is one and nobody has it.
    fn listen(&mut self, replica: &mut Replica, now: Now) {
        self.is_deaf = false;
        let served = replica.serve(now, self.request(Verb::Get, b""), &mut Vec::new());
        if let Served::Wait(ticket) = served {
            let (id, kind) = ("".into(), Kind::Stream);
            self.waiting.insert(ticket, Waiting { id, kind });
        }
    }

    /// The replica took a notification.
    fn accepted(&mut self, replica: &mut Replica, now: Now, line: &[u8]) {
        let Ok(message) = Message::parse(line) else { return };
        match &*message.method {
            // What is cancelled is not answered (2026-07-28, stdio, Cancellation).
            "notifications/cancelled" => {
                // Streams and batches wait under no id.
                let Some(id) = message.params.raw("requestId") else {
                    return;
                };
                let given_up = |ticket: &Ticket| {
                    let waiting = self.waiting.get(*ticket);
                    waiting.is_some_and(|waiting| *waiting.id == *id) && !replica.waits(*ticket)
                };
                let given_up: Vec<_> = self.waiting.keys().filter(given_up).collect();
                for ticket in given_up {
                    self.waiting.remove(ticket);
                }
            }
            // After it the agent takes messages that belong to no request (2025-11-25, Lifecycle, Initialization).
            "notifications/initialized" => self.listen(replica, now),
            _ => {}
        }
    }

    fn request<'a>(&'a self, verb: Verb, message: &'a [u8]) -> Request<'a> {
        Request {
            caller: &self.caller,
            ctx: self.ctx,
            connection: self.connection,
            headers: None,
            negotiated: self.negotiated.as_deref(),
            message,
            verb,
            peek: false,
        }
    }

    /// Takes a reply that the replica gave to poll. False if it is of no request of this connection.
    ///
    /// A subscription that ends with a result is ended by `notifications/cancelled` too: of the specification, the page
    /// on subscriptions asks for the one, that on cancellation for the other, and a client takes either.
    pub fn reply(&mut self, replica: &mut Replica, now: Now, reply: &Reply) -> bool {
        let Some(Waiting { kind, .. }) = self.waiting.get(reply.ticket) else {
            return false;
        };
        let kind = *kind;
        if !reply.last {
            if self.wants_input() {
                self.write(&reply.part);
            } else {
                let ticket = reply.ticket;
                replica.handle(now, self.ctx, Input::Dropped { ticket });
            }
            return true;
        }
        if kind == Kind::Initialize {
            self.settle_version(&reply.part);
        }
        self.is_deaf |= kind == Kind::Stream;
        self.write(&reply.part);
        if let Some(ended) = self.waiting.remove(reply.ticket)
            && kind == Kind::Listen
            && member(&reply.part, "result").is_some()
        {
            self.write_cancelled(&ended.id);
        }
        true
    }

    /// The agent has closed its stream: what it waits for is given up. There is nobody to answer any more.
    pub fn end(&mut self, replica: &mut Replica, now: Now) {
        self.leave(replica, now);
        while let Some((ticket, _)) = self.waiting.pop_first() {
            replica.handle(now, self.ctx, Input::Cancel { ticket });
        }
    }

    /// Ends the session, if there is one.
    fn leave(&mut self, replica: &mut Replica, now: Now) {
        replica.serve(now, self.request(Verb::Delete, b""), &mut Vec::new());
    }

    /// The host shuts down: subscriptions end gracefully, and what else the agent waits for is given up. Write what
    /// [`Agent::take_output`] gives, then close the stream.
    pub fn close(&mut self, replica: &mut Replica, now: Now) {
        self.leave(replica, now);
        while let Some((ticket, Waiting { id, kind })) = self.waiting.pop_first() {
            if kind == Kind::Listen {
                let meta = alloc::format!(r#""_meta":{{"{META_SUBSCRIPTION}":{id}}}"#);
                let result = alloc::format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete",{meta}}}}}"#
                );
                self.write(result.as_bytes());
                self.write_cancelled(&id);
            }
            replica.handle(now, self.ctx, Input::Cancel { ticket });
        }
    }

    /// What is to be written to the agent, whole lines; empty if there is nothing.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }

    /// Whether more may be read of the agent: one that does not take its answers gives no further work. What precedes a
    /// response is not kept for it either.
    #[must_use]
    pub const fn wants_input(&self) -> bool {
        self.out.len() <= MAX_UNWRITTEN_BYTES
    }

    /// The answer to `initialize` says which version is spoken from here on.
    fn settle_version(&mut self, answer: &[u8]) {
        let result = member(answer, "result").and_then(Members::parse);
        if let Some(version) = result.and_then(|result| result.string("protocolVersion")) {
            self.negotiated = Some(version.into_owned());
        }
    }

    fn write_cancelled(&mut self, id: &str) {
        let notification = alloc::format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        );
        self.write(notification.as_bytes());
    }

    /// Writes one message as one line: an authority's own JSON may stand on several, and between tokens only.
    fn write(&mut self, message: &[u8]) {
        // What a stream over HTTP can be resumed after, or its end, is no message.
        if message.is_empty() {
            return;
        }
        let start = self.out.len();
        self.out.extend_from_slice(message);
        for byte in self.out.iter_mut().skip(start) {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        self.out.push(b'\n');
    }
}

fn kind(line: &[u8]) -> Option<Kind> {
    Some(match &*Message::parse(line).ok()?.method {
        "initialize" => Kind::Initialize,
        "subscriptions/listen" => Kind::Listen,
        _ => Kind::Other,
    })
}

/// A raw member of a message.
fn member<'a>(message: &'a [u8], name: &str) -> Option<&'a str> {
    Members::parse(core::str::from_utf8(message).ok()?)?.raw(name)
}

fn question(schema: SchemaId, out: &[u8], name: usize, text: usize) -> Option<Question<'_>> {
    let out = core::str::from_utf8(out).ok()?;
    let (tool, rest) = out.split_at_checked(name)?;
    let (input_schema, arguments) = rest.split_at_checked(text)?;
    Some(Question {
        schema,
        tool,
        input_schema,
        arguments,
    })
}

#[cfg(test)]
impl Agent {
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn lines_held(&self) -> usize {
        self.lines.held()
    }
}
