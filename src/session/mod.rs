//! Sessions of session-era agents (2025-11-25, Lifecycle, and Transports, Session Management): what is kept between
//! their messages.
//!
//! Only the table: who opened which session, what was agreed, and its event streams ([`streams`]). What a message
//! does with it is decided in `dispatch`. Over HTTP a session is found by its id, which cannot be guessed and counts for
//! the caller alone who opened it; elsewhere by its connection.

mod batch;
mod record;
mod streams;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::border::{Ctx, Millis, Reply, Ticket};
use crate::cache::Digests;
use crate::dispatch::{Caller, Sink};
use crate::error::{Code, Error};
use crate::json::Members;
use crate::limits::{MAX_CLIENT_CAPABILITIES_BYTES, MAX_SESSIONS, MAX_SESSIONS_PER_PRINCIPAL, SESSION_IDLE};
use crate::mcp::meta::{LogLevel, push_member};
use crate::table::{Map, Table};

use streams::Stream;
pub(crate) use streams::{EventId, Resumed, StreamKey};

/// Names a session within the replica; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionKey(pub(crate) u64);

/// The first revision whose clients expect an event without data at the start of a stream.
const PRIMED: &str = "2025-11-25";

/// What was agreed with one agent.
#[derive(Debug)]
pub(crate) struct Session {
    /// `mcp-session-id`; `None` where the session is its connection's.
    pub(crate) id: Option<String>,
    connection: u64,
    pub(crate) caller: Caller,
    pub(crate) version: &'static str,
    /// Raw object: what the agent declared of what a server may ask it for, in the form of 2026-07-28.
    pub(crate) capabilities: Arc<str>,
    /// As `logging/setLevel` said last.
    pub(crate) level: Option<LogLevel>,
    /// The agent was told that `logging/setLevel` is here.
    pub(crate) logs: bool,
    /// The agent was told that `resources/subscribe` is here.
    pub(crate) subscribes: bool,
    /// Resources that the agent subscribed to.
    pub(crate) uris: Vec<String>,
    used: Millis,
    /// The stream of messages that belong to no request.
    pub(crate) get: Option<Get>,
    /// The ticket of the trip that listens for `get`.
    pub(crate) listener: Option<Ticket>,
    /// The one before, until the authority has acknowledged that one.
    pub(crate) former: Option<Ticket>,
    /// News may have been lost since the agent heard some last.
    pub(crate) gap: bool,
    /// Events of `get`, over all its connections.
    told: u64,
    /// There is a record of it.
    saved: bool,
    /// The agent was told that it is open: until then nothing belongs to it.
    pub(crate) open: bool,
    /// Those of requests, oldest first; the finished ones for as long as there is room.
    streams: Vec<Stream>,
}

/// Who takes the messages that belong to no request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Get {
    pub(crate) ticket: Ticket,
    pub(crate) ctx: Ctx,
}

impl Session {
    fn new(
        id: Option<String>,
        connection: u64,
        caller: Caller,
        version: &'static str,
        capabilities: &str,
        now: Millis,
    ) -> Self {
        Self {
            id,
            connection,
            caller,
            version,
            capabilities: capabilities.into(),
            level: None,
            logs: false,
            subscribes: false,
            uris: Vec::new(),
            used: now,
            get: None,
            listener: None,
            former: None,
            gap: false,
            told: 0,
            saved: false,
            open: false,
            streams: Vec::new(),
        }
    }

    /// Nobody waits for anything of it.
    fn is_idle(&self) -> bool {
        self.open && self.get.is_none() && self.streams.iter().all(|stream| stream.is_done())
    }

    /// Whether a stream begins with an event without data (2025-11-25, Transports, Streamable HTTP).
    pub(crate) fn is_primed(&self) -> bool {
        self.id.is_some() && self.version == PRIMED
    }

    pub(crate) fn is_http(&self) -> bool {
        self.id.is_some()
    }
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// The host keeps them.
    pub(crate) kept: bool,
    /// The host stores records of them.
    pub(crate) stored: bool,
    /// Ids of those whose records are not what they should be.
    unsaved: Vec<String>,
    table: Table<u64, Session>,
    by_id: Map<u64, u64>,
    by_connection: Map<u64, u64>,
    /// The sessions whose streams tickets take.
    holders: Map<Ticket, u64>,
    /// The stream of the batch whose messages are being received.
    pub(crate) batch: Option<StreamKey>,
    /// Draw ids, and find them; `None` without entropy.
    digests: Option<(Digests, Digests)>,
    /// Tells the events of this replica from those of one before it.
    epoch: u64,
    /// Bytes of all logs.
    logged: usize,
    last: u64,
}

/// What an `initialize` asks for.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) caller: &'a Caller,
    /// 0 for HTTP.
    pub(crate) connection: u64,
    pub(crate) version: &'static str,
    /// Raw `params.capabilities`.
    pub(crate) capabilities: &'a str,
}

impl Sessions {
    pub(crate) const fn new() -> Self {
        Self {
            kept: false,
            stored: false,
            unsaved: Vec::new(),
            table: Table::new(),
            by_id: Map::new(),
            by_connection: Map::new(),
            holders: Map::new(),
            batch: None,
            digests: None,
            epoch: 0,
            logged: 0,
            last: 0,
        }
    }

    /// Takes the host's entropy, as a digest that nobody else uses for texts of this form.
    pub(crate) fn seed(&mut self, random: &Digests) {
        let word = |n: u8| random.of(&[b's', b'e', b's', b's', b'i', b'o', b'n', b':', n]);
        self.digests = Some((Digests::new((word(0), word(1))), Digests::new((word(2), word(3)))));
        self.epoch = word(4);
        for key in self.table.keys().collect::<Vec<_>>() {
            self.index(key);
        }
    }

    fn index(&mut self, key: u64) {
        let id = self.table.get(key).and_then(|session| session.id.as_deref());
        if let (Some(id), Some((digest, _))) = (id, &self.digests) {
            self.by_id.insert(digest.of(id.as_bytes()), key);
        }
    }

    /// Takes a session up again from its record. False if it is damaged, or there is no room for it.
    pub(crate) fn restore(&mut self, now: Millis, record: &[u8]) -> bool {
        let Some(session) = Session::from_record(record, now) else {
            return false;
        };
        if self.table.values().any(|other| other.id == session.id) {
            return true;
        }
        if self.table.len() >= MAX_SESSIONS || self.of(&session.caller) >= MAX_SESSIONS_PER_PRINCIPAL {
            return false;
        }
        self.last += 1;
        let saved = true;
        self.table.insert(self.last, Session { saved, ..session });
        self.index(self.last);
        true
    }

    /// What was agreed in a session has changed.
    pub(crate) fn save(&mut self, key: SessionKey) {
        if let Some(session) = self.table.get_mut(key.0).filter(|_| self.stored)
            && let Some(id) = &session.id
        {
            session.saved = true;
            self.unsaved.push(id.clone());
        }
    }

    /// The id of a session whose record is to be stored, and the record; `None` for one that has ended.
    pub(crate) fn poll_save(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        let id = self.unsaved.pop()?;
        self.unsaved.retain(|other| *other != id);
        let mut sessions = self.table.values();
        let session = sessions.find(|session| session.id.as_deref() == Some(&*id));
        let record = session.and_then(Session::to_record);
        Some((id, record))
    }

    /// Whether what is drawn cannot be guessed.
    pub(crate) const fn is_seeded(&self) -> bool {
        self.digests.is_some()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.table.get(key.0)
    }

    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.table.get_mut(key.0)
    }

    /// Opens a session. `None` where a request over HTTP finds no entropy to name one with.
    ///
    /// # Errors
    /// `invalid_params` and `too_large` for capabilities, `over_budget` where all sessions are in use.
    pub(crate) fn open(&mut self, now: Millis, opening: &Opening<'_>) -> Result<Option<SessionKey>, Error> {
        let capabilities = declared(opening.capabilities)?;
        let key = self.last + 1;
        let mut id = None;
        if opening.connection == 0 {
            let Some((first, second)) = &self.digests else {
                return Ok(None);
            };
            let name = key.to_le_bytes();
            let text = format!("{:016x}{:016x}", first.of(&name), second.of(&name));
            id = Some((first.of(text.as_bytes()), text));
        }
        if opening.connection != 0 && self.by_connection.has(opening.connection) {
            let message = "this connection is initialized already";
            return Err(Error::new(Code::InvalidRequest, message));
        }
        self.make_room(now, opening.caller)?;
        self.last = key;
        if let Some((digest, _)) = &id {
            self.by_id.insert(*digest, key);
        } else {
            self.by_connection.insert(opening.connection, key);
        }
        let id = id.map(|(_, text)| text);
        let caller = opening.caller.clone();
        let session = Session::new(
            id,
            opening.connection,
            caller,
            opening.version,
            &capabilities,
            now,
        );
        self.table.insert(key, session);
        Ok(Some(SessionKey(key)))
    }

    /// Ends what was idle for too long, and past a limit what was idle longest.
    fn make_room(&mut self, now: Millis, caller: &Caller) -> Result<(), Error> {
        let idle = |session: &&Session| session.is_idle();
        let late = |session: &&Session| session.is_http() && now >= session.used + SESSION_IDLE;
        while let Some(key) = self.least(|session| idle(&session) && late(&session)) {
            self.end(key);
        }
        if self.of(caller) >= MAX_SESSIONS_PER_PRINCIPAL {
            let key = self.least(|session| idle(&session) && session.caller == *caller);
            let Some(key) = key else {
                return Err(Error::new(
                    Code::OverBudget,
                    "this principal has too many sessions in use",
                ));
            };
            self.end(key);
        }
        if self.table.len() >= MAX_SESSIONS {
            let Some(key) = self.least(Session::is_idle) else {
                return Err(Error::new(Code::OverBudget, "too many sessions are in use"));
            };
            self.end(key);
        }
        Ok(())
    }

    fn of(&self, caller: &Caller) -> usize {
        self.table
            .values()
            .filter(|session| session.caller == *caller)
            .count()
    }

    /// The least recently used of some.
    fn least(&self, which: impl Fn(&Session) -> bool) -> Option<SessionKey> {
        let mut least: Option<(Millis, u64)> = None;
        for key in self.table.keys() {
            if let Some(session) = self.table.get(key).filter(|session| which(session))
                && least.is_none_or(|(used, _)| session.used < used)
            {
                least = Some((session.used, key));
            }
        }
        least.map(|(_, key)| SessionKey(key))
    }

    /// The caller's session of this id.
    ///
    /// # Errors
    /// `session_unknown`, also for another caller's.
    pub(crate) fn find(&mut self, now: Millis, id: &str, caller: &Caller) -> Result<SessionKey, Error> {
        let unknown = || Error::new(Code::SessionUnknown, "no such session; initialize again");
        let (digest, _) = self.digests.as_ref().ok_or_else(unknown)?;
        let key = self.by_id.get(digest.of(id.as_bytes())).ok_or_else(unknown)?;
        let session = self.table.get_mut(key).ok_or_else(unknown)?;
        if session.id.as_deref() != Some(id) || session.caller != *caller {
            return Err(unknown());
        }
        if session.is_idle() && now >= session.used + SESSION_IDLE {
            self.end(SessionKey(key));
            return Err(unknown());
        }
        session.used = now;
        Ok(SessionKey(key))
    }

    /// The session of a connection.
    pub(crate) fn on(&mut self, now: Millis, connection: u64, caller: &Caller) -> Option<SessionKey> {
        let key = self.by_connection.get(connection)?;
        let session = self.table.get_mut(key)?;
        if !session.open || session.caller != *caller {
            return None;
        }
        session.used = now;
        Some(SessionKey(key))
    }

    /// Ends a session. Returns it, with whoever took its streams.
    pub(crate) fn end(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.table.remove(key.0)?;
        match (&session.id, &self.digests) {
            (Some(id), Some((digest, _))) => self.by_id.remove(digest.of(id.as_bytes())),
            _ => self.by_connection.remove(session.connection),
        };
        for (ticket, _) in session.takers() {
            self.holders.remove(ticket);
        }
        for stream in &session.streams {
            self.logged -= stream.bytes();
        }
        if session.saved {
            self.unsaved.extend(session.id.clone());
        }
        Some(session)
    }

    /// Somebody takes the messages that belong to no request. Returns the event that begins the stream, if one does.
    pub(crate) fn take_get(&mut self, key: SessionKey, get: Get) -> Option<Reply> {
        let epoch = self.epoch;
        let session = self.table.get_mut(key.0)?;
        session.get = Some(get);
        self.holders.insert(get.ticket, key.0);
        session
            .is_primed()
            .then(|| session.news(epoch, get.ticket, Vec::new()))
    }

    /// Sends a message that belongs to no request. False if nobody took it.
    pub(crate) fn tell(&mut self, key: SessionKey, part: Vec<u8>, sink: &mut dyn Sink) -> bool {
        let epoch = self.epoch;
        let Some(session) = self.table.get_mut(key.0) else {
            return false;
        };
        let Some(get) = session.get else { return false };
        let reply = session.news(epoch, get.ticket, part);
        sink.reply(get.ctx, reply)
    }

    /// The stream of messages that belong to no request ends on this side, or was left. Returns who had it.
    pub(crate) fn leave_get(&mut self, key: SessionKey) -> Option<Get> {
        let get = self.table.get_mut(key.0)?.get.take()?;
        self.holders.remove(get.ticket);
        Some(get)
    }

    /// The session whose stream a ticket takes.
    pub(crate) fn held(&self, ticket: Ticket) -> Option<SessionKey> {
        self.holders.get(ticket).map(SessionKey)
    }
}

impl Session {
    fn news(&mut self, epoch: u64, ticket: Ticket, part: Vec<u8>) -> Reply {
        self.told += 1;
        let event = self.is_http().then(|| EventId::news(epoch, self.told).to_text());
        Reply {
            event,
            ..Reply::part(ticket, part)
        }
    }

    /// Whoever takes a stream of it.
    pub(crate) fn takers(&self) -> impl Iterator<Item = (Ticket, Ctx)> {
        let get = self.get.map(|get| (get.ticket, get.ctx));
        let streams = self.streams.iter().filter_map(|stream| stream.holder);
        get.into_iter().chain(streams)
    }
}

/// What an agent declared that a server may ask it for, without what a stateless revision has no name for.
fn declared(raw: &str) -> Result<String, Error> {
    let members = Members::parse(raw)
        .filter(|members| !members.has_duplicates())
        .ok_or_else(|| Error::new(Code::InvalidParams, "params.capabilities must be an object"))?;
    let mut out = String::new();
    for (name, value) in members.iter() {
        match name {
            "sampling" | "elicitation" => push_member(&mut out, name, value),
            // Its `listChanged` is a promise of notifications that no stateless server waits for.
            "roots" => push_member(&mut out, name, "{}"),
            _ => {}
        }
    }
    if out.len() > MAX_CLIENT_CAPABILITIES_BYTES {
        let message = "params.capabilities are larger than 16,384 bytes";
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(format!("{{{out}}}"))
}
