//! A session as a stored record, so that it outlives its host's memory: what was agreed, not what is under way.
//!
//! # Format
//! As [`crate::record`] says, with `LWSE` and version 1; the fields: id, caller (`a` for anonymous, else `p` and the
//! identity), protocol version, capabilities, log level (empty if none), flags (`l` logging, `s` subscriptions), and each
//! subscribed URI. A record that is not so in every respect is damaged, and dropped whole: the agent then initializes
//! again.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Session, declared};
use crate::border::Millis;
use crate::dispatch::Caller;
use crate::limits::{MAX_NAME_BYTES, MAX_SUBSCRIBED, MAX_SUBSCRIBED_BYTES};
use crate::mcp::meta::LogLevel;
use crate::mcp::names::session_era;
use crate::record::{self, Fields};

const MAGIC: &[u8; 5] = b"LWSE\x01";
/// Length of an id: 128 bits in hexadecimal.
pub(super) const ID_BYTES: usize = 32;

impl Session {
    /// The record; `None` for the session of a connection, which ends with it.
    pub(super) fn to_record(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let mut field = |parts: [&str; 2]| record::push(&mut body, &parts.concat());
        field([self.id.as_deref()?, ""]);
        match &self.caller {
            Caller::Principal(id) => field(["p", id]),
            Caller::Anonymous => field(["a", ""]),
        }
        field([self.version, ""]);
        field([&self.capabilities, ""]);
        field([self.level.map_or("", LogLevel::name), ""]);
        field([
            if self.logs { "l" } else { "" },
            if self.subscribes { "s" } else { "" },
        ]);
        for uri in &self.uris {
            field([uri, ""]);
        }
        Some(record::seal(MAGIC, &body))
    }

    /// Reads a record. `None` if it is damaged.
    pub(super) fn from_record(record: &[u8], now: Millis) -> Option<Self> {
        let mut fields = Fields::open(MAGIC, record)?;
        let id = fields.next()?;
        let caller = match fields.next()?.split_at_checked(1)? {
            ("p", id) => Caller::Principal(id.into()),
            ("a", "") => Caller::Anonymous,
            _ => return None,
        };
        let version = fields.next()?;
        let version = session_era(version)?;
        let capabilities = fields.next()?;
        let level = match fields.next()? {
            "" => None,
            name => Some(LogLevel::parse(name)?),
        };
        let flags = fields.next()?;
        let mut uris = Vec::new();
        while !fields.is_empty() {
            uris.push(String::from(fields.next()?));
        }
        let bytes: usize = uris.iter().map(String::len).sum();
        let sound = id.len() == ID_BYTES
            && declared(capabilities).is_ok_and(|known| known == capabilities)
            && matches!(flags, "" | "l" | "s" | "ls")
            && uris.len() <= MAX_SUBSCRIBED
            && bytes <= MAX_SUBSCRIBED_BYTES
            && uris.iter().all(|uri| (1..=MAX_NAME_BYTES).contains(&uri.len()));
        sound.then(|| Self {
            open: true,
            logs: flags.contains('l'),
            subscribes: flags.contains('s'),
            level,
            uris,
            ..Self::new(Some(id.into()), 0, caller, version, capabilities, now)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::mcp::names::LEGACY;

    fn session(caller: Caller) -> Session {
        let id = "0123456789abcdef0123456789abcdef".into();
        Session {
            open: true,
            level: Some(LogLevel::Notice),
            subscribes: true,
            uris: vec!["a:1".into(), "b:é".into()],
            ..Session::new(Some(id), 0, caller, LEGACY[1], r#"{"roots":{}}"#, Millis(5))
        }
    }

    #[test]
    fn a_session_comes_back_as_it_was() {
        for caller in [Caller::Principal("ann".into()), Caller::Anonymous] {
            let session = session(caller);
            let record = session.to_record().unwrap();
            let back = Session::from_record(&record, Millis(5)).unwrap();
            assert_eq!(alloc::format!("{session:?}"), alloc::format!("{back:?}"));
        }
        let of_a_connection = Session {
            id: None,
            ..session(Caller::Anonymous)
        };
        assert!(of_a_connection.to_record().is_none());
    }

    #[test]
    fn no_damage_passes() {
        let record = session(Caller::Principal("ann".into())).to_record().unwrap();
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Session::from_record(&damaged, Millis(0)).is_none(), "bit {bit}");
        }
        for end in 0..record.len() {
            assert!(
                Session::from_record(&record[..end], Millis(0)).is_none(),
                "cut at {end}"
            );
        }
        let longer = [&record[..], b"\0"].concat();
        assert!(Session::from_record(&longer, Millis(0)).is_none());
    }

    #[test]
    fn what_no_session_could_be_is_refused_though_it_is_whole() {
        let base = || session(Caller::Principal("ann".into()));
        let strange = [
            Session {
                version: "1999-01-01",
                ..base()
            },
            Session {
                id: Some("short".into()),
                ..base()
            },
            Session {
                capabilities: "[]".into(),
                ..base()
            },
            Session {
                capabilities: r#"{"x":1}"#.into(),
                ..base()
            },
            Session {
                uris: vec!["u".into(); MAX_SUBSCRIBED + 1],
                ..base()
            },
            Session {
                uris: vec![String::new()],
                ..base()
            },
            Session {
                uris: vec!["u".repeat(MAX_NAME_BYTES); MAX_SUBSCRIBED_BYTES / MAX_NAME_BYTES + 1],
                ..base()
            },
        ];
        for session in strange {
            let record = session.to_record().unwrap();
            assert!(Session::from_record(&record, Millis(0)).is_none(), "{session:?}");
        }
    }
}
