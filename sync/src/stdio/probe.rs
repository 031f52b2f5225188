//! What a server speaks that was started with its streams at our end (2026-07-28, Transports, stdio, Backward
//! Compatibility). Differs from the rules over HTTP, where a status says who refuses: here only a modern error is one.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::dispatch::Body;
use leeward::json::Members;
use leeward::mcp::names;

use crate::flow;

/// What a server was found to speak, once for the life of its process (2026-07-28, Versioning).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2026-07-28: go on without a handshake.
    Modern {
        /// The raw `DiscoverResult`; `None` if the server answered by an error that only such a server knows.
        discovered: Option<String>,
    },
    /// A session-era revision: go on with `initialize`.
    Legacy,
    /// It is a modern server, and no version of it is spoken here.
    NoCommonVersion,
}

/// Finds out by `server/discover`, the first message that the server gets. The host writes [`Probe::request`], hands
/// over each line of the server until there is a verdict, and says when it has waited long enough. That the process
/// ends is no verdict.
#[derive(Debug)]
pub struct Probe {
    id: u64,
}

impl Probe {
    /// A probe whose request has this id.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self { id }
    }

    /// The line to write first.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        let mut line = flow::discover_request(self.id);
        line.push(b'\n');
        line
    }

    /// Takes a line of the server. `None`: it says nothing of that; it may be a notification, another id's response, or
    /// no message at all.
    #[must_use]
    pub fn receive(&self, line: &[u8]) -> Option<Verdict> {
        let text = core::str::from_utf8(line).ok()?;
        let (body, code) = flow::response(text, self.id)?;
        Some(match body {
            Body::Result(result) => match Members::parse(&result)?
                .raw("supportedVersions")
                .and_then(flow::choose)
            {
                Some(flow::Verdict::Modern) => Verdict::Modern {
                    discovered: Some(result),
                },
                // One without versions is no `DiscoverResult`.
                Some(flow::Verdict::Legacy(_)) | None => Verdict::Legacy,
                Some(_) => Verdict::NoCommonVersion,
            },
            Body::Error(error) => match code {
                Some(names::ERROR_HEADER_MISMATCH | names::ERROR_MISSING_CAPABILITY) => {
                    Verdict::Modern { discovered: None }
                }
                Some(names::ERROR_UNSUPPORTED_VERSION) => {
                    let data = Members::parse(&error).and_then(|error| error.raw("data"));
                    let supported = data.and_then(Members::parse);
                    match supported
                        .and_then(|data| data.raw("supported"))
                        .and_then(flow::choose)
                    {
                        Some(flow::Verdict::Modern) => Verdict::Modern { discovered: None },
                        // Modern, but for others: these versions it gives by a handshake.
                        Some(flow::Verdict::Legacy(_)) => Verdict::Legacy,
                        _ => Verdict::NoCommonVersion,
                    }
                }
                // Any other error, whatever its code.
                _ => Verdict::Legacy,
            },
        })
    }

    /// There was no answer in a reasonable time: some servers of the session era give none before `initialize`.
    #[must_use]
    pub const fn timed_out(&self) -> Verdict {
        Verdict::Legacy
    }
}
