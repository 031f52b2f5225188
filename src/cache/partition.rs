//! Partitions: what one principal shares with nobody.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasherDefault;

use lru::LruCache;

use super::{SchemaId, Seq};
use crate::border::Millis;
use crate::dispatch::Caller;
use crate::limits::{MAX_NAME_BYTES, MAX_TASKS, MAX_TOOLS};
use crate::mcp::headers::HeaderParam;
use crate::table::{Map, Names};

/// What the replica knows about one principal (or the anonymous caller).
#[derive(Debug)]
pub struct Partition {
    /// Never reused; 0 is the shared one, which nobody is.
    pub id: u64,
    /// What started before this is stale for this caller.
    pub floor: Seq,
    /// Trips that started before this point of the monotonic clock store nothing: the outcome of a write is
    /// unknown until then.
    pub unsettled_until: Millis,
    /// The credential that the authority last got; `None` before the first answer.
    pub credential: Option<Option<String>>,
    /// The authority's tools, as last seen in `tools/list`.
    tools: Names<Tool>,
    /// Tasks made for this caller, by their digests, oldest first; and whether they may yet have effects.
    tasks: Vec<(u64, bool)>,
}

/// What a list of tools said of one.
#[derive(Debug, Default)]
pub struct Tool {
    /// Its header annotations.
    pub params: Vec<HeaderParam>,
    /// Its `inputSchema`; `None` where nobody validates arguments, or it is too large for that.
    pub schema: Option<SchemaId>,
    /// When the trip for the list started.
    pub listed: Seq,
}

impl Partition {
    /// A tool; `None` if it was never listed.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Remembers a tool; past [`MAX_TOOLS`] new tools are not remembered.
    pub fn learn(&mut self, name: String, tool: Tool) {
        let room = self.tools.len() < MAX_TOOLS || self.tools.has(&name);
        if room && name.len() <= MAX_NAME_BYTES {
            self.tools.insert(name, tool);
        }
    }

    /// Remembers a task by its digest; past [`MAX_TASKS`] the oldest is forgotten.
    pub fn remember_task(&mut self, id: u64, open: bool) {
        self.tasks.retain(|(known, _)| *known != id);
        if self.tasks.len() >= MAX_TASKS {
            self.tasks.remove(0);
        }
        self.tasks.push((id, open));
    }

    /// Whether a task that was made for this caller may yet have effects; `None` if it is not known.
    pub fn task(&mut self, id: u64) -> Option<&mut bool> {
        let (_, open) = self.tasks.iter_mut().find(|(known, _)| *known == id)?;
        Some(open)
    }

    /// Takes note of the credential behind an answer. True if it is another one than before.
    pub fn takes_credential(&mut self, credential: Option<String>) -> bool {
        let changed = self
            .credential
            .as_ref()
            .is_some_and(|before| *before != credential);
        if changed {
            self.tools.clear();
        }
        self.credential = Some(credential);
        changed
    }
}

/// The partitions in use. The least recently used is forgotten past the limit; its caller then starts empty.
#[derive(Debug)]
pub struct Partitions {
    known: LruCache<Caller, Partition, BuildHasherDefault<CallerHasher>>,
    max: usize,
    last: u64,
    /// The highest floor and the latest unsettled point of all forgotten partitions: where a new one starts, so
    /// that a forgotten one's writes still hide the shared entries which they may have touched.
    forgotten: (Seq, Millis),
}

impl Partitions {
    /// At most `max`, at least one.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let known = LruCache::unbounded_with_hasher(BuildHasherDefault::default());
        Self {
            known,
            max: max.max(1),
            last: 0,
            forgotten: (Seq(0), Millis(0)),
        }
    }

    /// The caller's partition, made if there is none.
    pub fn enter(&mut self, caller: &Caller) -> &mut Partition {
        if self.known.len() >= self.max
            && !self.known.contains(caller)
            && let Some((_, old)) = self.known.pop_lru()
        {
            let (floor, unsettled) = self.forgotten;
            self.forgotten = (floor.max(old.floor), unsettled.max(old.unsettled_until));
        }
        let (floor, unsettled_until) = self.forgotten;
        let last = &mut self.last;
        self.known.get_or_insert_mut_ref(caller, || {
            *last = last.saturating_add(1);
            Partition {
                id: *last,
                floor,
                unsettled_until,
                credential: None,
                tools: Names::new(),
                tasks: Vec::new(),
            }
        })
    }

    /// The caller's partition if it is still the one with this id.
    pub fn same(&mut self, caller: &Caller, id: u64) -> Option<&mut Partition> {
        self.known.peek_mut(caller).filter(|partition| partition.id == id)
    }

    /// The caller's partition, if it is remembered.
    pub fn of(&mut self, caller: &Caller) -> Option<&mut Partition> {
        self.known.peek_mut(caller)
    }

    /// A write of unknown outcome whose partition was forgotten: its caller stores nothing until `until`.
    pub fn unsettle(&mut self, caller: &Caller, until: Millis) {
        self.forgotten.1 = self.forgotten.1.max(until);
        if let Some(partition) = self.known.peek_mut(caller) {
            partition.unsettled_until = partition.unsettled_until.max(until);
        }
    }

    /// Whether one of these tasks was made for another caller, and not for this one too.
    #[must_use]
    pub fn is_anothers_task(&self, caller: &Caller, ids: &Map<u64, u64>) -> bool {
        let own = self.known.peek(caller);
        let is_own = |id: u64| own.is_some_and(|own| own.tasks.iter().any(|(known, _)| *known == id));
        self.known.iter().any(|(_, partition)| {
            let mut tasks = partition.tasks.iter();
            tasks.any(|(id, _)| ids.has(*id) && !is_own(*id))
        })
    }

    /// How many are remembered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.len()
    }
}

/// FNV-1a: callers are authenticated by the host, so their identities are not hostile to the table.
#[derive(Debug)]
pub(super) struct CallerHasher(u64);

impl Default for CallerHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl core::hash::Hasher for CallerHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        Caller::Principal(name.into())
    }

    #[test]
    fn forgets_the_least_recently_used_and_keeps_its_floor() {
        let mut partitions = Partitions::new(2);
        let a = partitions.enter(&caller("a")).id;
        partitions.enter(&caller("a")).floor = Seq(7);
        partitions.enter(&caller("b"));
        partitions.enter(&caller("c"));
        assert_eq!(partitions.count(), 2);
        assert!(partitions.same(&caller("a"), a).is_none());
        let again = partitions.enter(&caller("a"));
        assert_ne!(again.id, a, "a forgotten principal starts empty");
        assert_eq!(again.floor, Seq(7), "and does not see what its own write hid");
    }

    #[test]
    fn a_new_credential_is_a_change_and_the_first_is_none() {
        let mut partitions = Partitions::new(1);
        let partition = partitions.enter(&Caller::Anonymous);
        assert!(!partition.takes_credential(Some("x".into())));
        assert!(!partition.takes_credential(Some("x".into())));
        assert!(partition.takes_credential(None));
    }

    #[test]
    fn remembers_a_bounded_number_of_tools() {
        let mut partitions = Partitions::new(1);
        let partition = partitions.enter(&Caller::Anonymous);
        for n in 0..=MAX_TOOLS {
            partition.learn(alloc::format!("t{n}"), Tool::default());
        }
        assert!(partition.tool("t0").is_some());
        assert!(partition.tool(&alloc::format!("t{MAX_TOOLS}")).is_none());
    }
}
