//! Sets of scopes, as they are written (RFC 6749, section 3.3).

use alloc::string::String;

use crate::limits::MAX_SCOPES_BYTES;

/// Scopes in the order they came, each once, with a space between them. What is no scope is left out, and what
/// exceeds [`MAX_SCOPES_BYTES`] together: they come from challenges and metadata, and become part of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes(String);

impl Scopes {
    /// Those in a space-separated list.
    pub(crate) fn read(list: &str) -> Self {
        let mut scopes = Self::default();
        scopes.add_all(list);
        scopes
    }

    /// Adds one.
    pub(crate) fn add(&mut self, scope: &str) {
        let sound = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let fits = self.0.len() + 1 + scope.len() <= MAX_SCOPES_BYTES;
        if scope.is_empty() || !scope.bytes().all(sound) || !fits || self.has(scope) {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(scope);
    }

    /// Adds those of a space-separated list.
    pub(crate) fn add_all(&mut self, list: &str) {
        for scope in list.split(' ') {
            self.add(scope);
        }
    }

    /// Whether one is there.
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.0.split(' ').any(|known| known == scope)
    }

    /// Whether all of `others` are there.
    pub(crate) fn cover(&self, others: &Self) -> bool {
        others.is_empty() || others.0.split(' ').all(|scope| self.has(scope))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_each_scope_once_and_nothing_else() {
        let scopes = Scopes::read("mcp:read  files:write mcp:read a\"b c\\d \u{7f} é a\tb x&y=z");
        assert_eq!(scopes.as_str(), "mcp:read files:write x&y=z");
        assert!(scopes.has("x&y=z") && !scopes.has("files"));
        assert!(Scopes::read(" ").is_empty());
    }

    #[test]
    fn a_set_covers_its_subsets() {
        let scopes = Scopes::read("a b c");
        for (others, covered) in [("", true), ("c a", true), ("a d", false), ("ab", false)] {
            assert_eq!(scopes.cover(&Scopes::read(others)), covered, "{others}");
        }
        assert!(!Scopes::default().cover(&scopes));
    }

    #[test]
    fn the_list_is_bounded() {
        let mut scopes = Scopes::default();
        for n in 0..MAX_SCOPES_BYTES {
            scopes.add(&alloc::format!("scope-{n}"));
        }
        assert!((MAX_SCOPES_BYTES - 16..=MAX_SCOPES_BYTES).contains(&scopes.as_str().len()));
        assert!(scopes.has("scope-0") && !scopes.has("scope-4000"));
    }
}
