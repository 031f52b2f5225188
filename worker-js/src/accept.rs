//! Which forms of an answer a client takes (RFC 9110 §12.5.1).

/// The forms that a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
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
        let takes = |wanted: &str, group: &str| {
            header.split(',').any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next().unwrap_or_default();
                let named = ["*/*", group, wanted]
                    .iter()
                    .any(|known| name.eq_ignore_ascii_case(known));
                named && !parts.any(is_refusal)
            })
        };
        match (
            takes("application/json", "application/*"),
            takes("text/event-stream", "text/*"),
        ) {
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
        name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0)
    })
}
