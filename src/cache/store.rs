//! The entries, their ledger of bytes, and expiry.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{BuildHasherDefault, Hasher};

use lru::LruCache;

use super::entry::{Entry, Windows};
use super::{Digests, Key, SchemaId, Seq};
use crate::border::Millis;
use crate::mcp::result::Parts;
use crate::table::{Map, Set};

/// Entries under keyed digests, least recently used first to go. The budget is bytes: what [`Entry::bytes`]
/// says, keys and bookkeeping included.
#[derive(Debug)]
pub struct Store {
    digests: Option<Digests>,
    entries: LruCache<u64, Entry, BuildHasherDefault<AsIs>>,
    /// Digest of an exact key to digest of its canonical key; at most one per entry.
    exact: Map<u64, u64>,
    /// When entries die, soonest first.
    deaths: Set<(Millis, u64)>,
    bytes: usize,
    max_bytes: usize,
    evicted: u64,
    last_serial: u64,
}

/// Where a key leads.
#[derive(Debug)]
pub struct Found {
    /// The digest of the canonical key: its name in [`Store::entry`] and for flights.
    pub digest: u64,
    /// The canonical key, where it had to be made: not on an exact hit.
    pub canonical: Option<Box<[u8]>>,
}

impl Store {
    /// An empty store. Until it is seeded, [`Store::find`] finds nothing.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            digests: None,
            entries: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
            exact: Map::new(),
            deaths: Set::new(),
            bytes: 0,
            max_bytes,
            evicted: 0,
            last_serial: 0,
        }
    }

    /// Takes the key of the digests. What is stored is dropped, as it could not be found again.
    pub fn seed(&mut self, digests: Digests) {
        self.clear();
        self.digests = Some(digests);
    }

    /// Looks a key up. `None`: the parameters have no canonical form, or there is no seed; bypass the cache.
    pub fn find(&mut self, key: &Key<'_>) -> Option<Found> {
        let digests = self.digests.as_ref()?;
        let exact = key.exact();
        let exact_digest = digests.of(&exact);
        if let Some(digest) = self.exact.get(exact_digest) {
            let same = |entry: &Entry| entry.exact.as_ref().is_some_and(|(_, stored)| **stored == *exact);
            if self.entries.peek(&digest).is_some_and(same) {
                self.entries.promote(&digest);
                return Some(Found {
                    digest,
                    canonical: None,
                });
            }
        }
        let canonical = key.canonical()?.into_boxed_slice();
        let digest = digests.of(&canonical);
        if self
            .entries
            .peek(&digest)
            .is_some_and(|entry| entry.key == canonical)
        {
            self.entries.promote(&digest);
            self.remember_exact(digest, exact_digest, exact.into_boxed_slice());
        }
        Some(Found {
            digest,
            canonical: Some(canonical),
        })
    }

    fn remember_exact(&mut self, digest: u64, exact_digest: u64, exact: Box<[u8]>) {
        let Some(entry) = self.entries.peek_mut(&digest) else {
            return;
        };
        let before = entry.bytes();
        if let Some((old, _)) = entry.exact.take() {
            self.exact.remove(old);
        }
        entry.exact = Some((exact_digest, exact));
        self.bytes = self.bytes.saturating_sub(before).saturating_add(entry.bytes());
        // Another entry's exact digest may collide: that one then loses its short cut, nothing else.
        self.exact.insert(exact_digest, digest);
        self.make_room();
    }

    /// The entry under a digest, if its key is this one (`None`: found by its exact key).
    #[must_use]
    pub fn entry(&self, digest: u64, canonical: Option<&[u8]>) -> Option<&Entry> {
        self.entries
            .peek(&digest)
            .filter(|entry| canonical.is_none_or(|key| *entry.key == *key))
    }

    /// Stores an answer, replacing the one under its key. `None` if it is larger than the whole budget.
    #[expect(clippy::too_many_arguments, reason = "what makes an entry")]
    pub fn insert(
        &mut self,
        digest: u64,
        canonical: Box<[u8]>,
        parts: Parts,
        seq: Seq,
        received: Millis,
        windows: Windows,
        schema: Option<SchemaId>,
    ) -> Option<&Entry> {
        self.remove(digest);
        self.last_serial = self.last_serial.saturating_add(1);
        let entry = Entry {
            key: canonical,
            exact: None,
            parts,
            serial: self.last_serial,
            seq,
            expires: received + windows.fresh,
            windows,
            schema,
        };
        let bytes = entry.bytes();
        if bytes > self.max_bytes {
            return None;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.deaths.insert((entry.dead(), digest));
        self.entries.put(digest, entry);
        self.make_room();
        self.entries.peek(&digest)
    }

    /// The arguments behind what was found, if anything is stored there, are sound by this schema.
    pub fn judged(&mut self, found: &Found, schema: SchemaId) {
        if let Some(entry) = self.entries.peek_mut(&found.digest)
            && found.canonical.as_ref().is_none_or(|key| entry.key == *key)
        {
            entry.schema = Some(schema);
        }
    }

    fn make_room(&mut self) {
        while self.bytes > self.max_bytes {
            let Some(digest) = self.entries.peek_lru().map(|(digest, _)| *digest) else {
                return;
            };
            self.remove(digest);
            self.evicted = self.evicted.saturating_add(1);
        }
    }

    /// Drops an entry.
    pub fn remove(&mut self, digest: u64) {
        let Some(entry) = self.entries.pop(&digest) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.bytes());
        self.deaths.remove((entry.dead(), digest));
        if let Some((exact, _)) = entry.exact
            && self.exact.get(exact) == Some(digest)
        {
            self.exact.remove(exact);
        }
    }

    /// Drops all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.exact.clear();
        self.deaths.clear();
        self.bytes = 0;
    }

    /// Drops every entry of a partition and method (all pages of a list).
    pub fn remove_method(&mut self, partition: u64, method: &str) {
        let of_method = |entry: &Entry| Key::is_of(&entry.key, partition, method);
        let doomed: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| of_method(entry))
            .map(|(digest, _)| *digest)
            .collect();
        for digest in doomed {
            self.remove(digest);
        }
    }

    /// Drops at most `most` entries that are dead at `now`.
    pub fn sweep(&mut self, now: Millis, most: usize) {
        for _ in 0..most {
            let Some((dead, digest)) = self.deaths.first() else {
                return;
            };
            if dead > now {
                return;
            }
            self.remove(digest);
            self.deaths.remove((dead, digest));
        }
    }

    /// Entries held, bytes held, entries evicted for room since the start.
    #[must_use]
    pub fn figures(&self) -> (usize, usize, u64) {
        (self.entries.len(), self.bytes, self.evicted)
    }
}

/// Digests are keyed hashes already.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    fn store(max_bytes: usize) -> Store {
        let mut store = Store::new(max_bytes);
        store.seed(Digests::new((1, 2)));
        store
    }

    fn key(params: &str) -> Key<'_> {
        Key {
            partition: 1,
            version: "v",
            method: "tools/call",
            capabilities: "{}",
            params,
        }
    }

    fn put(store: &mut Store, params: &str, size: usize, fresh: u64) -> bool {
        let found = store.find(&key(params)).unwrap();
        let raw = format!(r#"{{"content":"{}"}}"#, "x".repeat(size));
        let windows = Windows {
            fresh: Millis(fresh),
            ..Windows::default()
        };
        let parts = Parts::parse(&raw, true).unwrap();
        store
            .insert(
                found.digest,
                found.canonical.unwrap(),
                parts,
                Seq(1),
                Millis(0),
                windows,
                None,
            )
            .is_some()
    }

    fn has(store: &mut Store, params: &str) -> bool {
        let found = store.find(&key(params)).unwrap();
        store.entry(found.digest, found.canonical.as_deref()).is_some()
    }

    #[test]
    fn finds_by_exact_bytes_the_second_time() {
        let mut store = store(1 << 20);
        put(&mut store, r#""a":1,"b":2"#, 10, 1000);
        let spelled = r#""b":2,"a":1"#;
        assert!(store.find(&key(spelled)).unwrap().canonical.is_some());
        assert!(store.find(&key(spelled)).unwrap().canonical.is_none());
        assert!(has(&mut store, r#""a":1,"b":2"#));
        assert!(!has(&mut store, r#""a":1.0,"b":2"#));
    }

    #[test]
    fn the_ledger_is_exact_and_evicts_the_least_recently_used() {
        let mut store = store(4000);
        for n in 0..20 {
            put(&mut store, &format!(r#""n":{n}"#), 100, 1000);
            if n > 0 {
                assert!(has(&mut store, r#""n":0"#), "kept in use");
            }
            let counted: usize = store.entries.iter().map(|(_, entry)| entry.bytes()).sum();
            assert_eq!(store.bytes, counted);
            assert!(store.bytes <= 4000);
            assert_eq!(store.deaths.len(), store.entries.len());
            assert!(store.exact.len() <= store.entries.len());
        }
        assert!(!has(&mut store, r#""n":1"#));
        assert!(store.figures().2 > 0);
        assert!(
            !put(&mut store, r#""n":99"#, 5000, 1000),
            "larger than the budget"
        );
        store.clear();
        assert_eq!(store.figures().1, 0);
    }

    #[test]
    fn sweeps_what_is_dead_in_bounded_steps() {
        let mut store = store(1 << 20);
        for n in 0..10 {
            put(&mut store, &format!(r#""n":{n}"#), 1, 100 + n);
        }
        store.sweep(Millis(105), 3);
        assert_eq!(store.figures().0, 7);
        store.sweep(Millis(105), 30);
        assert_eq!(store.figures().0, 4);
    }

    #[test]
    fn drops_all_pages_of_a_list() {
        let mut store = store(1 << 20);
        put(&mut store, "", 1, 100);
        put(&mut store, r#""cursor":"2""#, 1, 100);
        store.remove_method(2, "tools/call");
        store.remove_method(1, "tools/list");
        assert_eq!(store.figures().0, 2);
        store.remove_method(1, "tools/call");
        assert_eq!(store.figures().0, 0);
    }

    #[test]
    fn without_a_seed_everything_bypasses() {
        assert!(Store::new(1000).find(&key("")).is_none());
        let long = String::from(r#""a":1,"a":2"#);
        assert!(store(1000).find(&key(&long)).is_none());
    }
}
