//! What is kept of one answer.

use alloc::boxed::Box;

use super::{SchemaId, Seq};
use crate::border::Millis;
use crate::mcp::result::Parts;
use crate::provenance::Ttl;

/// How long an entry is good for, from when it was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// Fresh, in milliseconds.
    pub fresh: Millis,
    /// After that: stale, but served while it is fetched again.
    pub while_revalidate: Millis,
    /// After `fresh`: stale, but served when the authority cannot be reached.
    pub if_error: Millis,
}

/// A stored answer, ready to send but for the id, the remaining TTL and the provenance.
#[derive(Debug)]
pub struct Entry {
    /// The canonical key.
    pub(super) key: Box<[u8]>,
    /// The exact key last seen for it, and its digest.
    pub(super) exact: Option<(u64, Box<[u8]>)>,
    /// The answer.
    pub parts: Parts,
    /// Names this stored answer for ever.
    pub serial: u64,
    /// When its trip started.
    pub seq: Seq,
    /// Fresh before this point of the monotonic clock.
    pub expires: Millis,
    /// Beyond freshness.
    pub windows: Windows,
    /// The schema by which the arguments were last found sound.
    pub schema: Option<SchemaId>,
}

/// Bookkeeping of an entry that the ledger counts beside its texts.
const OVERHEAD: usize = 512;

impl Entry {
    /// The canonical key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// What the ledger counts for it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let exact = self.exact.as_ref().map_or(0, |(_, exact)| exact.len());
        self.key.len() + exact + self.parts.members.len() + self.parts.meta.len() + OVERHEAD
    }

    /// Freshness left; negative once stale.
    #[must_use]
    pub fn ttl(&self, now: Millis) -> Ttl {
        Ttl::until(self.expires, now)
    }

    /// When nothing may be served from it any more.
    #[must_use]
    pub fn dead(&self) -> Millis {
        self.expires + self.windows.while_revalidate.max(self.windows.if_error)
    }
}
