//! The key of an entry: everything forwarded that can change the answer.
//!
//! Two levels. First the exact raw bytes of the parameters: an agent tends to repeat itself to the letter, and
//! then nothing needs sorting. Then the canonical form. Digests are keyed with the host's entropy, since
//! arguments come from a model and are hostile for all we know, and a match compares the stored bytes.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::Hasher as _;

use crate::json::canonical;

/// A key, before it is made canonical.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The partition; 0 is shared by all callers.
    pub partition: u64,
    /// Protocol version of the agent.
    pub version: &'a str,
    /// MCP method.
    pub method: &'a str,
    /// Raw JSON object of the client's capabilities.
    pub capabilities: &'a str,
    /// Raw JSON members of `params` without `_meta`.
    pub params: &'a str,
}

/// Makes digests; holds the host's entropy.
#[derive(Clone)]
pub struct Digests {
    key: (u64, u64),
}

impl core::fmt::Debug for Digests {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Digests")
    }
}

impl Digests {
    /// Keyed with 128 bits.
    #[must_use]
    pub const fn new(key: (u64, u64)) -> Self {
        Self { key }
    }

    /// The keyed digest of some bytes: SipHash-2-4.
    #[must_use]
    #[expect(
        deprecated,
        reason = "the one keyed hash that `core` has; the algorithm is what we want"
    )]
    pub fn of(&self, bytes: &[u8]) -> u64 {
        let mut hasher = core::hash::SipHasher::new_with_keys(self.key.0, self.key.1);
        hasher.write(bytes);
        hasher.finish()
    }
}

impl Key<'_> {
    /// The exact form: two requests with one exact form have the same parameters to the letter.
    #[must_use]
    pub fn exact(&self) -> Vec<u8> {
        self.bytes(b'x', self.capabilities, self.params)
    }

    /// The canonical form; `None` where the parameters cannot be made canonical and bypass the cache.
    #[must_use]
    pub fn canonical(&self) -> Option<Vec<u8>> {
        let mut capabilities = String::with_capacity(self.capabilities.len());
        canonical(self.capabilities, &mut capabilities)?;
        let mut object = String::with_capacity(self.params.len() + 2);
        object.push('{');
        object.push_str(self.params);
        object.push('}');
        let mut params = String::with_capacity(object.len());
        canonical(&object, &mut params)?;
        Some(self.bytes(b'c', &capabilities, &params))
    }

    /// Whether a canonical key is of this partition and method.
    #[must_use]
    pub fn is_of(canonical: &[u8], partition: u64, method: &str) -> bool {
        let fields = |bytes: &[u8]| {
            let (_, rest) = bytes.split_first()?;
            let (id, rest) = rest.split_first_chunk::<8>()?;
            let (_, rest) = field(rest)?;
            let (found, _) = field(rest)?;
            Some(u64::from_le_bytes(*id) == partition && found == method.as_bytes())
        };
        fields(canonical).unwrap_or(false)
    }

    fn bytes(&self, form: u8, capabilities: &str, params: &str) -> Vec<u8> {
        let fields = [self.version, self.method, capabilities, params];
        let length = fields.iter().map(|field| field.len() + 8).sum::<usize>() + 9;
        let mut out = Vec::with_capacity(length);
        out.push(form);
        out.extend_from_slice(&self.partition.to_le_bytes());
        for field in fields {
            // Lengths first, so that no two lists of fields share their bytes.
            out.extend_from_slice(&(field.len() as u64).to_le_bytes());
            out.extend_from_slice(field.as_bytes());
        }
        out
    }
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key<'static> = Key {
        partition: 1,
        version: "v",
        method: "m",
        capabilities: "{}",
        params: r#""name":"t","arguments":{"a":1,"b":2}"#,
    };

    #[test]
    fn spelling_does_not_matter_but_every_component_does() {
        let same = Key {
            params: r#""arguments" : {"b":2, "a":1} , "name":"\u0074""#,
            ..KEY
        };
        assert_eq!(KEY.canonical(), same.canonical());
        assert_ne!(KEY.exact(), same.exact());
        for other in [
            Key { partition: 2, ..KEY },
            Key { version: "w", ..KEY },
            Key { method: "n", ..KEY },
            Key {
                capabilities: r#"{"sampling":{}}"#,
                ..KEY
            },
            Key {
                params: r#""name":"t","arguments":{"a":1.0,"b":2}"#,
                ..KEY
            },
        ] {
            assert_ne!(KEY.canonical(), other.canonical(), "{other:?}");
            assert_ne!(KEY.exact(), other.exact(), "{other:?}");
        }
    }

    #[test]
    fn digests_depend_on_the_hosts_entropy() {
        let bytes = KEY.exact();
        assert_ne!(Digests::new((1, 2)).of(&bytes), Digests::new((1, 3)).of(&bytes));
        assert_eq!(Digests::new((1, 2)).of(&bytes), Digests::new((1, 2)).of(&bytes));
    }

    #[test]
    fn duplicate_keys_bypass() {
        assert!(
            Key {
                params: r#""arguments":{"a":1,"a":2}"#,
                ..KEY
            }
            .canonical()
            .is_none()
        );
    }
}
