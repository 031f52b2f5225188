//! The event streams of a session's requests, and what is kept of them for agents that come back (2025-11-25,
//! Transports, Resumability and Redelivery).
//!
//! A stream begins with the first event; a response that comes before any needs none. From then on it is the
//! request's, not its connection's: it goes on while nobody takes it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::batch::Batch;
use super::{Get, SessionKey, Sessions};
use crate::border::{Ctx, Reply, Ticket};
use crate::dispatch::Sink;
use crate::json;
use crate::limits::{
    MAX_EVENTS_PER_STREAM, MAX_LOGGED_BYTES, MAX_LOGGED_BYTES_PER_SESSION, MAX_STREAMS_PER_SESSION,
};
use crate::mcp::message::is_id;

/// Names a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamKey {
    pub(crate) session: SessionKey,
    pub(crate) number: u64,
}

/// The events of one request.
#[derive(Debug)]
pub(crate) struct Stream {
    number: u64,
    /// Raw JSON-RPC id, of a batch an array of them; empty if nobody can come back for it.
    id: Box<str>,
    pub(super) write: bool,
    /// Who takes it, if anybody does.
    pub(super) holder: Option<(Ticket, Ctx)>,
    pub(super) batch: Option<Batch>,
    sent: u64,
    done: bool,
    log: Vec<Logged>,
}

#[derive(Debug)]
struct Logged {
    number: u64,
    /// `None`: it was too large to keep.
    part: Option<Vec<u8>>,
    last: bool,
}

impl Logged {
    fn bytes(&self) -> usize {
        self.part.as_ref().map_or(0, Vec::len)
    }
}

impl Stream {
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn bytes(&self) -> usize {
        self.log.iter().map(Logged::bytes).sum()
    }

    /// The id of an event, if it is to have one.
    fn event(&self, epoch: u64, number: u64) -> Option<String> {
        let event = EventId {
            epoch,
            stream: self.number,
            number,
            write: self.write,
            id: Some((*self.id).into()),
        };
        (!self.id.is_empty()).then(|| event.to_text())
    }
}

/// What comes of resuming a stream.
#[derive(Debug)]
pub(crate) enum Resumed {
    /// These, and if the last is not the last, the rest as it comes.
    Goes {
        /// To be sent now.
        replies: Vec<Reply>,
        /// Who had it until now.
        former: Option<(Ticket, Ctx)>,
    },
    /// The response is not here any more.
    Lost,
}

impl Sessions {
    /// A request of a session waits. `None` where it belongs to no HTTP session, or that has no room for another
    /// stream: its answer is then sent once, to whoever is there.
    pub(crate) fn begin(
        &mut self,
        key: SessionKey,
        ticket: Ticket,
        ctx: Ctx,
        id: &str,
        write: bool,
    ) -> Option<StreamKey> {
        self.table.get(key.0).filter(|session| session.is_http())?;
        self.add(key, ticket, ctx, id, write)
    }

    /// Adds a stream, in place of a finished one if there are many.
    pub(super) fn add(
        &mut self,
        key: SessionKey,
        ticket: Ticket,
        ctx: Ctx,
        id: &str,
        write: bool,
    ) -> Option<StreamKey> {
        let session = self.table.get_mut(key.0)?;
        if session.streams.len() >= MAX_STREAMS_PER_SESSION {
            let oldest = session.streams.iter().position(Stream::is_done)?;
            self.logged -= session.streams.remove(oldest).bytes();
        }
        // Of the replica's tickets, so that no two streams of a session are alike.
        let number = ticket.0;
        session.streams.push(Stream {
            number,
            // There is no coming back to a connection.
            id: if session.is_http() {
                id.into()
            } else {
                Box::default()
            },
            write,
            holder: Some((ticket, ctx)),
            batch: None,
            sent: 0,
            done: false,
            log: Vec::new(),
        });
        self.holders.insert(ticket, key.0);
        Some(StreamKey { session: key, number })
    }

    pub(super) fn stream(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let session = self.table.get_mut(key.session.0)?;
        session
            .streams
            .iter_mut()
            .find(|stream| stream.number == key.number)
    }

    /// The event without data that begins a stream.
    pub(crate) fn prime(&mut self, key: StreamKey) -> Option<(Ctx, Reply)> {
        let epoch = self.epoch;
        let stream = self.stream(key)?;
        let (ticket, ctx) = stream.holder?;
        stream.sent += 1;
        let event = stream.event(epoch, stream.sent);
        let reply = Reply {
            event,
            ..Reply::part(ticket, Vec::new())
        };
        Some((ctx, reply))
    }

    /// A message of a stream: to whoever takes it, and kept. False if there was no room for it on the way. Nobody hears
    /// what comes after the end of a session.
    pub(crate) fn pass(&mut self, key: StreamKey, mut reply: Reply, sink: &mut dyn Sink) -> bool {
        let epoch = self.epoch;
        let Some(stream) = self.stream(key) else {
            return true;
        };
        let last = reply.last;
        if let Some(batch) = stream.batch.as_mut().filter(|_| last) {
            batch.add(&reply.part);
            if !batch.is_last() {
                return true;
            }
            reply = Reply {
                last,
                ..Reply::part(reply.ticket, batch.take())
            };
        }
        let holder = stream.holder;
        if last {
            stream.holder = None;
            stream.done = true;
        }
        let number = stream.sent + 1;
        // A response without an event before it needs none: nobody can come back for it.
        reply.event = stream.event(epoch, number).filter(|_| !last || number > 1);
        if reply.event.is_some() {
            stream.sent = number;
            self.keep(key, number, &reply.part, last);
        } else if last {
            self.finish(key);
        }
        let Some((ticket, ctx)) = holder else { return true };
        if last {
            self.holders.remove(ticket);
        }
        reply.ticket = ticket;
        sink.reply(ctx, reply)
    }

    /// A request of a stream was given up: it is not answered, and a stream that waits for nothing else ends.
    pub(crate) fn give_up(&mut self, key: StreamKey, sink: &mut dyn Sink) {
        let end = |ticket| Reply {
            last: true,
            ..Reply::part(ticket, Vec::new())
        };
        if self.stream(key).is_some_and(|stream| stream.batch.is_some()) {
            self.pass(key, end(Ticket(0)), sink);
        } else if let Some((ticket, ctx)) = self.finish(key) {
            sink.reply(ctx, end(ticket));
        }
    }

    /// The finished stream that gives way first: the session's own oldest, else the oldest of all.
    fn oldest_done(&self, own: SessionKey) -> Option<StreamKey> {
        let oldest_of = |key: u64| {
            let done = |stream: &&Stream| stream.done && !stream.log.is_empty();
            let session = SessionKey(key);
            let done = self.table.get(key)?.streams.iter().filter(done);
            done.map(|stream| stream.number)
                .min()
                .map(|number| StreamKey { session, number })
        };
        let all = || self.table.keys().filter_map(oldest_of);
        oldest_of(own.0).or_else(|| all().min_by_key(|stream| stream.number))
    }

    /// Keeps an event. Room is made of finished streams first, then of this one's oldest events: what somebody has
    /// had long ago keeps nobody else from coming back.
    fn keep(&mut self, key: StreamKey, number: u64, part: &[u8], last: bool) {
        while part.len() <= MAX_LOGGED_BYTES_PER_SESSION && self.logged + part.len() > MAX_LOGGED_BYTES {
            let Some(oldest) = self.oldest_done(key.session).filter(|oldest| *oldest != key) else {
                break;
            };
            self.finish(oldest);
        }
        let Some(session) = self.table.get_mut(key.session.0) else {
            return;
        };
        let Some(mut at) = session
            .streams
            .iter()
            .position(|stream| stream.number == key.number)
        else {
            return;
        };
        let needed = part.len();
        let mut own: usize = session.streams.iter().map(Stream::bytes).sum();
        let full = |own: usize, all: usize| {
            own + needed > MAX_LOGGED_BYTES_PER_SESSION || all + needed > MAX_LOGGED_BYTES
        };
        let fits = needed <= MAX_LOGGED_BYTES_PER_SESSION;
        while fits && full(own, self.logged) {
            let done = session
                .streams
                .iter()
                .position(|stream| stream.done && stream.number != key.number);
            let freed = match done {
                Some(oldest) => {
                    at -= usize::from(oldest < at);
                    session.streams.remove(oldest).bytes()
                }
                None => match session.streams.get_mut(at) {
                    Some(stream) if !stream.log.is_empty() => stream.log.remove(0).bytes(),
                    _ => break,
                },
            };
            own -= freed;
            self.logged -= freed;
        }
        let kept = fits && !full(own, self.logged);
        let Some(stream) = session.streams.get_mut(at) else {
            return;
        };
        if stream.log.len() >= MAX_EVENTS_PER_STREAM {
            self.logged -= stream.log.remove(0).bytes();
        }
        self.logged += if kept { needed } else { 0 };
        stream.log.push(Logged {
            number,
            part: kept.then(|| part.to_vec()),
            last,
        });
    }

    /// Whoever took a stream is gone; true if it goes on without. One without an event cannot be asked for again: it
    /// goes on if it may have an effect.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(key) = self.held(ticket) else {
            return false;
        };
        let Some(session) = self.table.get_mut(key.0) else {
            return false;
        };
        let held = |stream: &&mut Stream| stream.holder.is_some_and(|(holder, _)| holder == ticket);
        let Some(stream) = session.streams.iter_mut().find(held) else {
            return false;
        };
        stream.holder = None;
        let number = stream.number;
        let goes_on = stream.sent > 0 || stream.write || stream.batch.is_some();
        self.holders.remove(ticket);
        if !goes_on {
            self.finish(StreamKey { session: key, number });
        }
        goes_on
    }

    /// Whether a stream waits for its response.
    pub(crate) fn goes_on(&mut self, key: StreamKey) -> bool {
        self.stream(key).is_some_and(|stream| !stream.done)
    }

    /// Forgets a stream. Returns who took it.
    pub(crate) fn finish(&mut self, key: StreamKey) -> Option<(Ticket, Ctx)> {
        let session = self.table.get_mut(key.session.0)?;
        let at = session
            .streams
            .iter()
            .position(|stream| stream.number == key.number)?;
        let stream = session.streams.remove(at);
        self.logged -= stream.bytes();
        if let Some((ticket, _)) = stream.holder {
            self.holders.remove(ticket);
        }
        stream.holder
    }

    /// Takes a stream up again after an event.
    pub(crate) fn resume(&mut self, key: SessionKey, after: &EventId, get: Get) -> Resumed {
        let epoch = self.epoch;
        let stream = self.stream(StreamKey {
            session: key,
            number: after.stream,
        });
        let Some(stream) = stream.filter(|_| after.epoch == epoch) else {
            return Resumed::Lost;
        };
        let mut replies = Vec::new();
        for logged in stream.log.iter().filter(|logged| logged.number > after.number) {
            match &logged.part {
                Some(part) => replies.push(Reply {
                    event: stream.event(epoch, logged.number),
                    last: logged.last,
                    ..Reply::part(get.ticket, part.clone())
                }),
                None if logged.last => return Resumed::Lost,
                None => {}
            }
        }
        if stream.done {
            if replies.is_empty() {
                // The agent has had it all.
                replies.push(Reply {
                    last: true,
                    ..Reply::part(get.ticket, Vec::new())
                });
            }
            return Resumed::Goes {
                replies,
                former: None,
            };
        }
        let former = stream.holder.replace((get.ticket, get.ctx));
        self.holders.insert(get.ticket, key.0);
        if let Some((ticket, _)) = former {
            self.holders.remove(ticket);
        }
        Resumed::Goes { replies, former }
    }
}

/// An event's id: which stream, which of its events, and for whom to answer if that stream is not known any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    pub(crate) epoch: u64,
    /// 0 for messages that belong to no request.
    pub(crate) stream: u64,
    pub(crate) number: u64,
    pub(crate) write: bool,
    /// Raw JSON-RPC id of the request, or an array of those of a batch.
    pub(crate) id: Option<String>,
}

impl EventId {
    pub(super) const fn news(epoch: u64, number: u64) -> Self {
        Self {
            epoch,
            stream: 0,
            number,
            write: false,
            id: None,
        }
    }

    /// Visible ASCII, since it comes back as a header.
    pub(crate) fn to_text(&self) -> String {
        let kind = if self.write { 'w' } else { 'r' };
        let mut out = format!("{:x}-{:x}-{:x}-{kind}", self.epoch, self.stream, self.number);
        for byte in self.id.as_deref().unwrap_or_default().bytes() {
            out.push_str(&format!("{byte:02x}"));
        }
        out
    }

    /// Reads one; the agent may have made it up.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.trim().splitn(4, '-');
        let mut word = || u64::from_str_radix(fields.next()?, 16).ok();
        let (epoch, stream, number) = (word()?, word()?, word()?);
        let rest = fields.next()?;
        let (kind, hex) = rest.split_at_checked(1)?;
        let write = match kind {
            "w" => true,
            "r" => false,
            _ => return None,
        };
        let bytes: Option<Vec<u8>> = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let id = String::from_utf8(bytes?).ok()?;
        let one = |raw: &str| json::whole(raw).is_some_and(|whole| whole.len() == raw.len() && is_id(raw));
        let whole = one(&id) || json::elements(&id).is_some_and(|ids| ids.into_iter().all(one));
        match (stream, id.is_empty(), whole) {
            (0, true, _) => Some(Self::news(epoch, number)),
            (1.., false, true) => Some(Self {
                epoch,
                stream,
                number,
                write,
                id: Some(id),
            }),
            _ => None,
        }
    }
}
