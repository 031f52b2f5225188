//! An event stream, parsed as it comes (WHATWG HTML, 9.2.6; 2026-07-28, Transports, Streamable HTTP).
//!
//! Only what MCP uses is kept: the data of events of type `message` (or of none), the id of the last event, and
//! `retry`. Untrusted bytes are safe: the work is linear, and what is
//! held of an unfinished event is bounded.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::Millis;

use crate::limits::MAX_EVENT_ID_BYTES;

/// An unfinished event is over the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// A parser between two chunks.
#[derive(Debug)]
pub(super) struct Sse {
    max_bytes: usize,
    /// The bytes of an unfinished line.
    line: Vec<u8>,
    /// The data of the unfinished event, each line followed by a line feed.
    data: Vec<u8>,
    /// The event has a type that is not `message`.
    other: bool,
    /// The id of the unfinished event, or of the last one.
    id: String,
    /// Of the last event that ended.
    last: String,
    /// The pause before the stream is opened again.
    retry: Option<Millis>,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_cr: bool,
    /// Nothing was read yet: a byte order mark may come.
    first: bool,
}

impl Sse {
    /// `max_bytes` bounds an unfinished event.
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            data: Vec::new(),
            other: false,
            id: String::new(),
            last: String::new(),
            retry: None,
            after_cr: false,
            first: true,
        }
    }

    /// Takes bytes from the front of `bytes` until an event is whole, and returns its data (empty for a priming
    /// event); `None` once `bytes` is used up.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, TooLong> {
        loop {
            if self.after_cr && !bytes.is_empty() {
                self.after_cr = false;
                *bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + self.data.len() + piece.len() > self.max_bytes {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            let Some((ending, rest)) = rest.split_first() else {
                *bytes = rest;
                return Ok(None);
            };
            *bytes = rest;
            self.after_cr = *ending == b'\r';
            if let Some(data) = self.end_line() {
                return Ok(Some(data));
            }
        }
    }

    /// Another body follows: forgets an unfinished event. Returns the id to resume after, if there is one.
    pub(super) fn restart(&mut self) -> Option<String> {
        self.line.clear();
        self.data.clear();
        self.id.clone_from(&self.last);
        (self.other, self.after_cr, self.first) = (false, false, true);
        Some(self.last.clone()).filter(|last| !last.is_empty())
    }

    /// The pause that the stream asked for.
    pub(super) const fn retry(&self) -> Option<Millis> {
        self.retry
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let mut line = core::mem::take(&mut self.line);
        if core::mem::take(&mut self.first) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            return self.end_event();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            // What could be no header value cannot be asked for.
            b"id" if value.len() <= MAX_EVENT_ID_BYTES && value.iter().all(u8::is_ascii_graphic) => {
                self.id = String::from_utf8_lossy(value).into_owned();
            }
            b"id" => self.id.clear(),
            b"retry" => {
                let digits = core::str::from_utf8(value).unwrap_or_default();
                self.retry = leeward::json::unsigned(digits).map(Millis).or(self.retry);
            }
            b"event" => self.other = !matches!(value, b"" | b"message"),
            _ => {}
        }
        // The next line reuses the room.
        line.clear();
        self.line = line;
        None
    }

    fn end_event(&mut self) -> Option<Vec<u8>> {
        let mut data = core::mem::take(&mut self.data);
        self.last.clone_from(&self.id);
        if core::mem::take(&mut self.other) || data.is_empty() {
            return None;
        }
        data.pop();
        Some(data)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut sse = Sse::new(1 << 10);
        let mut events = Vec::new();
        for mut chunk in chunks {
            while let Some(data) = sse.next(&mut chunk).unwrap() {
                events.push(String::from_utf8(data).unwrap());
            }
            assert!(chunk.is_empty());
        }
        events
    }

    #[test]
    fn gives_the_same_events_wherever_the_stream_is_split() {
        let streams: [(&str, &[&str]); 9] = [
            ("data: a\n\n", &["a"]),
            ("\u{feff}data: a\r\n\r\ndata:b\r\rdata:  c\n\n", &["a", "b", " c"]),
            (
                ": hello\n\nid: 1\ndata:\n\ndata: {\"é\":\"€😀\"}\n\n",
                &["", "{\"é\":\"€😀\"}"],
            ),
            ("event: message\ndata: 1\ndata: 2\r\ndata\n\n", &["1\n2\n"]),
            ("event: ping\ndata: x\n\ndata: y\n\n", &["y"]),
            ("retry: 5\nid\nfoo: bar\n: c\ndata: z\n\n", &["z"]),
            ("data: unfinished\n", &[]),
            ("\n\n\r\n\r\r", &[]),
            ("data: a\r\n\ndata: b\n\r\n", &["a", "b"]),
        ];
        for (stream, events) in streams {
            let bytes = stream.as_bytes();
            assert_eq!(parse([bytes]), events, "{stream:?}");
            assert_eq!(parse(bytes.chunks(1)), events, "{stream:?}");
            for first in 0..bytes.len() {
                for second in first..bytes.len() {
                    let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(parse(chunks), events, "{stream:?} at {first}, {second}");
                }
            }
        }
    }

    #[test]
    fn bounds_an_unfinished_event() {
        let fill = |text: &[u8]| {
            let mut sse = Sse::new(16);
            let mut last = Ok(None);
            for _ in 0..20 {
                let mut rest = text;
                while last.is_ok() && !rest.is_empty() {
                    last = sse.next(&mut rest);
                }
            }
            last
        };
        assert_eq!(fill(b"data"), Err(TooLong));
        assert_eq!(fill(b"data:x\n"), Err(TooLong));
        assert_eq!(fill(b": only a comment\n").map(|_| ()), Ok(()));
        assert!(fill(b"data:123456\n\n").is_ok());
    }
}
