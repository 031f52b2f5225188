//! Values by name, for what is few.

use alloc::string::String;
use alloc::vec::Vec;

/// Values by name, in the names' order; for some thousands that seldom change, since insertion is O(n).
#[derive(Debug)]
pub struct Names<V> {
    sorted: Vec<(String, V)>,
}

impl<V> Names<V> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { sorted: Vec::new() }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.sorted.clear();
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.sorted.binary_search_by(|(other, _)| (**other).cmp(name))
    }

    /// The value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        let (_, value) = self.sorted.get(self.find(name).ok()?)?;
        Some(value)
    }

    /// The value under a name, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        let at = self.find(name).ok()?;
        self.sorted.get_mut(at).map(|(_, value)| value)
    }

    /// Whether there is a value under a name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Puts a value under a name, in place of the one before.
    pub fn insert(&mut self, name: String, value: V) {
        match self.find(&name) {
            Ok(at) => {
                if let Some((_, before)) = self.sorted.get_mut(at) {
                    *before = value;
                }
            }
            Err(at) => self.sorted.insert(at, (name, value)),
        }
    }

    /// All values, in the order of their names.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.sorted.iter().map(|(_, value)| value)
    }
}

impl<V> Default for Names<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn names_are_sorted_and_replaced() {
        let mut names = Names::new();
        for n in [3, 1, 2, 1] {
            names.insert(format!("n{n}"), n);
        }
        names.insert("n2".into(), 7);
        assert_eq!(names.len(), 3);
        assert!(names.values().eq(&[1, 7, 3]));
        assert_eq!((names.get("n2"), names.has("n")), (Some(&7), false));
    }
}
