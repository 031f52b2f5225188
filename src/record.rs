//! Records for a host's stores: texts in a frame that shows damage.
//!
//! # Format
//! Five bytes that say what it is, of which the last is a version; the length of what follows the head (4 bytes,
//! little-endian); its SipHash-2-4 with a zero key (8 bytes); then fields of UTF-8, each with its length before it (4
//! bytes, little-endian).
//!
//! The checksum finds damage, not forgery: the store is the host's own.

use alloc::vec::Vec;

use crate::cache::Digests;

/// Magic, length, checksum.
const HEAD: usize = 17;

/// Appends a field to the body of a record.
pub fn push(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(&length(text.as_bytes()));
    body.extend_from_slice(text.as_bytes());
}

/// The record of a body.
#[must_use]
pub fn seal(magic: &[u8; 5], body: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEAD + body.len());
    record.extend_from_slice(magic);
    record.extend_from_slice(&length(body));
    record.extend_from_slice(&checksum(body));
    record.extend_from_slice(body);
    record
}

/// The fields of a record that are not yet read.
#[derive(Clone, Copy)]
pub struct Fields<'a>(&'a [u8]);

impl core::fmt::Debug for Fields<'_> {
    /// How much: records hold credentials.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Fields").field(&self.0.len()).finish()
    }
}

impl<'a> Fields<'a> {
    /// Those of a record; `None` if it is damaged, or something else.
    #[must_use]
    pub fn open(magic: &[u8; 5], record: &'a [u8]) -> Option<Self> {
        let rest = record.strip_prefix(magic)?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        let (sum, body) = rest.split_first_chunk::<8>()?;
        (length(body) == *size && checksum(body) == *sum).then_some(Self(body))
    }

    /// Whether all are read.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next one; `None` if there is none, or it is no text.
    #[expect(
        clippy::should_implement_trait,
        reason = "the end and damage must not be confused"
    )]
    pub fn next(&mut self) -> Option<&'a str> {
        let (size, rest) = self.0.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
        self.0 = rest;
        core::str::from_utf8(field).ok()
    }
}

fn checksum(body: &[u8]) -> [u8; 8] {
    Digests::new((0, 0)).of(body).to_le_bytes()
}

/// Both sides know lengths of 32 bits only; nothing that is kept is as long.
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}
