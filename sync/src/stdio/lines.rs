//! From bytes to lines.

use alloc::vec::Vec;

/// What the buffer of an unfinished line keeps between lines.
const KEEP_BYTES: usize = 64 << 10;

/// Cuts a stream of bytes into lines. Holds what a line has so far, up to a limit; a longer line is cut one byte beyond
/// it, by which whoever gets it knows. The bytes may be anything.
#[derive(Debug)]
pub struct Lines {
    partial: Vec<u8>,
    max_bytes: usize,
}

impl Lines {
    /// Lines of at most `max_bytes` bytes, without their end.
    #[must_use]
    pub const fn new(max_bytes: usize) -> Self {
        Self {
            partial: Vec::new(),
            max_bytes,
        }
    }

    /// Takes the next bytes, in pieces of any size, and hands over every line that is whole now: without its end (LF, or
    /// CR LF) and white space around it, and no blank one. What has no end yet waits for it.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.partial.is_empty() {
                give(self.cut(line), &mut each);
            } else {
                self.keep(line);
                give(&self.partial, &mut each);
                self.partial.clear();
                self.partial.shrink_to(KEEP_BYTES);
            }
        }
        self.keep(rest);
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.partial.len()
    }

    /// As much of the next part of a line as there is room for.
    fn cut<'a>(&self, part: &'a [u8]) -> &'a [u8] {
        let room = self
            .max_bytes
            .saturating_add(1)
            .saturating_sub(self.partial.len());
        part.get(..room).unwrap_or(part)
    }

    fn keep(&mut self, part: &[u8]) {
        let part = self.cut(part);
        self.partial.extend_from_slice(part);
    }
}

fn give(line: &[u8], each: &mut impl FnMut(&[u8])) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        each(line);
    }
}
