//! What a replica remembers itself where the host has no vault: as long as it lives, and no more than
//! [`MAX_RECORDS`]; the one that was longest neither read nor written gives way.

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits::MAX_RECORDS;

/// See the module. The last used is the last.
#[derive(Default)]
pub(super) struct Vault(Vec<(String, Vec<u8>)>);

impl Vault {
    pub(super) fn load(&mut self, key: &str) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|(kept, _)| kept == key)?;
        let last = self.0.remove(at);
        let record = last.1.clone();
        self.0.push(last);
        Some(record)
    }

    pub(super) fn keep(&mut self, key: String, record: Option<Vec<u8>>) {
        self.0.retain(|(kept, _)| *kept != key);
        if let Some(record) = record {
            if self.0.len() >= MAX_RECORDS {
                self.0.remove(0);
            }
            self.0.push((key, record));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn the_record_longest_unused_gives_way() {
        let mut vault = Vault::default();
        for n in 0..MAX_RECORDS {
            vault.keep(n.to_string(), Some(Vec::from([1])));
        }
        assert_eq!(vault.load("0"), Some(Vec::from([1])));
        vault.keep("2".into(), Some(Vec::from([2])));
        vault.keep("new".into(), Some(Vec::new()));
        assert_eq!(vault.0.len(), MAX_RECORDS);
        assert_eq!((vault.load("1"), vault.load("0").is_some()), (None, true));
        vault.keep("2".into(), None);
        assert_eq!(vault.load("2"), None);
    }
}
