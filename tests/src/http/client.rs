//! One request on a connection of its own.

use std::fmt::Write as _;
use std::io::{BufReader, Result, Write as _};
use std::net::TcpStream;

use super::{bad, follow_body, read_head};

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Names lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }

    /// The JSON-RPC messages in the body: one in JSON, any number in an event stream.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        if !self
            .header("content-type")
            .unwrap_or_default()
            .starts_with("text/event-stream")
        {
            return if self.body.is_empty() {
                Vec::new()
            } else {
                vec![self.body.clone()]
            };
        }
        messages(&self.body)
    }
}

/// The messages in an event stream, or in the beginning of one: of an unfinished event, none.
pub fn messages(stream: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(stream);
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let data = whole.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(|data| data.trim_start().as_bytes().to_vec())
        .filter(|data| !data.is_empty())
        .collect()
}

/// Posts to an `http` URL; shows what came of the body after each chunk.
///
/// # Errors
/// No connection, a broken one, or no HTTP.
pub fn post(
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
    show: impl FnMut(&[u8]),
) -> Result<Response> {
    follow("POST", url, headers, body, show)
}

/// Sends any request to an `http` URL.
///
/// # Errors
/// As [`post`].
pub fn send(method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Response> {
    follow(method, url, headers, body, |_| {})
}

fn follow(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
    show: impl FnMut(&[u8]),
) -> Result<Response> {
    let rest = url.strip_prefix("http://").ok_or_else(|| bad("no http URL"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
    // A server that has heard enough answers and closes before it has read all.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader)?.ok_or_else(|| bad("no response"))?;
    let status = head.start.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = follow_body(&mut reader, &head.headers, true, show)?;
    Ok(Response {
        status: status.ok_or_else(|| bad("no status"))?,
        headers: head.headers,
        body,
    })
}
