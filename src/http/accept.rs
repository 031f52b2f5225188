//! Which forms of an answer a client takes (RFC 9110 §12.5.1).

/// The forms that a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// One JSON document: notifications that precede the response are left out.
    Json,
    /// Server-sent events only.
    Events,
    /// Whichever suits the answer, as MCP asks of clients (2026-07-28, Transports, Streamable HTTP).
    Both,
}

impl Accept {
    /// Reads an `Accept` header; `None` where neither form is acceptable. A missing header accepts anything.
    pub(crate) fn parse(header: Option<&str>) -> Option<Self> {
        let Some(header) = header else {
            return Some(Self::Both);
        };
        let (mut json, mut events) = (false, false);
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            if parts.any(is_refusal) {
                continue;
            }
            match &*name.to_ascii_lowercase() {
                "*/*" => (json, events) = (true, true),
                "application/*" | "application/json" => json = true,
                "text/*" | "text/event-stream" => events = true,
                _ => {}
            }
        }
        match (json, events) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Json),
            (false, true) => Some(Self::Events),
            (false, false) => None,
        }
    }
}

/// `q=0`, in any of its spellings.
fn is_refusal(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, weight)| {
        let weight = weight.trim();
        name.trim().eq_ignore_ascii_case("q")
            && weight.starts_with('0')
            && weight.bytes().all(|byte| matches!(byte, b'0' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_takes() {
        for (header, expected) in [
            (None, Some(Accept::Both)),
            (Some("application/json, text/event-stream"), Some(Accept::Both)),
            (Some("*/*"), Some(Accept::Both)),
            (Some("text/html, */*;q=0.1"), Some(Accept::Both)),
            (Some("APPLICATION/JSON"), Some(Accept::Json)),
            (Some("application/*;q=0.5"), Some(Accept::Json)),
            (Some("application/json;q=0.001"), Some(Accept::Json)),
            (Some("text/event-stream"), Some(Accept::Events)),
            (Some("text/*, application/json ; Q = 0.000"), Some(Accept::Events)),
            (Some("application/json;q=0"), None),
            (Some("application/json; q=0.0, text/event-stream;q=0"), None),
            (Some("text/html"), None),
            (Some(""), None),
            (Some(";;;,,,q=;=/"), None),
        ] {
            assert_eq!(Accept::parse(header), expected, "{header:?}");
        }
    }
}
