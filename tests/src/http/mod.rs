//! As much of HTTP/1.1 as tests need: reading heads and bodies, and a client that posts one request on a
//! connection of its own.

mod client;

use std::io::{BufRead, Error, ErrorKind, Read, Result};

pub use client::{Response, messages, post, send};

/// Longest line of a head, in bytes.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// The head of a request or response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its first line.
    pub start: String,
    /// Names lower case, values trimmed.
    pub headers: Vec<(String, String)>,
}

/// Reads a head; `None` if the connection ended before it began.
///
/// # Errors
/// A broken connection, or no HTTP.
pub fn read_head(reader: &mut impl BufRead) -> Result<Option<Head>> {
    let Some(start) = read_line(reader)? else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or(ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some(Head { start, headers }));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| bad("a header without a colon"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    if reader.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| bad("a head that is not UTF-8"))
}

/// Reads a body. One without a length ends with the connection if `until_close`, else it is empty.
///
/// # Errors
/// A broken connection, or no HTTP.
pub fn read_body(
    reader: &mut impl BufRead,
    headers: &[(String, String)],
    until_close: bool,
) -> Result<Vec<u8>> {
    follow_body(reader, headers, until_close, |_| {})
}

/// The same, and shows what was read so far after each chunk.
///
/// # Errors
/// As [`read_body`].
pub fn follow_body(
    reader: &mut impl BufRead,
    headers: &[(String, String)],
    until_close: bool,
    mut show: impl FnMut(&[u8]),
) -> Result<Vec<u8>> {
    let header = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(reader)?.ok_or(ErrorKind::UnexpectedEof)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| bad("a bad chunk size"))?;
            if size == 0 {
                while read_line(reader)?.is_some_and(|line| !line.is_empty()) {}
                return Ok(body);
            }
            take(reader, size, &mut body)?;
            show(&body);
            read_line(reader)?;
        }
    }
    match header("content-length").map(str::parse) {
        Some(Ok(length)) => take(reader, length, &mut body)?,
        Some(Err(_)) => return Err(bad("a bad content-length")),
        None if until_close => {
            reader.read_to_end(&mut body)?;
        }
        None => {}
    }
    Ok(body)
}

fn take(reader: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> Result<()> {
    let taken = reader.take(length).read_to_end(body)?;
    if taken as u64 == length {
        Ok(())
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

fn bad(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
