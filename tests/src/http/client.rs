//! One request on a connection of its own.

use std::fmt::Write as _;
use std::io::{BufReader, Result, Write as _};
use std::net::TcpStream;

use super::{bad, read_body, read_head};

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
        let text = String::from_utf8_lossy(&self.body);
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        data.map(|data| data.trim_start().as_bytes().to_vec())
            .filter(|data| !data.is_empty())
            .collect()
    }
}

/// Posts to an `http` URL.
///
/// # Errors
/// No connection, a broken one, or no HTTP.
pub fn post(url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Response> {
    send("POST", url, headers, body)
}

/// Sends any request to an `http` URL.
///
/// # Errors
/// As [`post`].
pub fn send(method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Response> {
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
    let body = read_body(&mut reader, &head.headers, true)?;
    Ok(Response {
        status: status.ok_or_else(|| bad("no status"))?,
        headers: head.headers,
        body,
    })
}
