//! How outputs and inputs look in logs: their names, what they are about, and nothing secret. Bodies and headers are
//! left out too: a token endpoint's answer is a body as any other.

use core::fmt;

use super::{Input, OpId, Output};

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch { op, request } => f
                .debug_struct("Fetch")
                .field("op", op)
                .field("request", request)
                .finish(),
            Self::Read { op, fetch } => f
                .debug_struct("Read")
                .field("op", op)
                .field("fetch", fetch)
                .finish(),
            Self::Abort { fetch } => f.debug_struct("Abort").field("fetch", fetch).finish(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Reply(reply) => f.debug_tuple("Reply").field(reply).finish(),
            Self::Errand { id, result } => f
                .debug_struct("Errand")
                .field("id", id)
                .field("result", result)
                .finish(),
            Self::CallLocal { op, call } => f
                .debug_struct("CallLocal")
                .field("op", op)
                .field("call", call)
                .finish(),
            Self::Save { record, .. } => kept(f, "Save", record.is_some()),
            Self::Keep { record, .. } => kept(f, "Keep", record.is_some()),
            Self::Credential { op, .. } => asked(f, "Credential", *op),
            Self::Entropy { op, .. } => asked(f, "Entropy", *op),
            Self::Load { op, .. } => asked(f, "Load", *op),
            Self::Sign { op, .. } => asked(f, "Sign", *op),
            Self::Redirect { op, .. } => asked(f, "Redirect", *op),
            Self::Authorize { op, .. } => asked(f, "Authorize", *op),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head { op, status, .. } => f
                .debug_struct("Head")
                .field("op", op)
                .field("status", status)
                .finish_non_exhaustive(),
            Self::Chunk { op, bytes } => f
                .debug_struct("Chunk")
                .field("op", op)
                .field("len", &bytes.len())
                .finish_non_exhaustive(),
            Self::End { op } => f.debug_struct("End").field("op", op).finish(),
            Self::Failed { op, failure } => f
                .debug_struct("Failed")
                .field("op", op)
                .field("failure", failure)
                .finish(),
            Self::Cancel { ticket } => f.debug_struct("Cancel").field("ticket", ticket).finish(),
            Self::Dropped { ticket } => f.debug_struct("Dropped").field("ticket", ticket).finish(),
            Self::Gone => f.write_str("Gone"),
            Self::Tick => f.write_str("Tick"),
            Self::Local { op, .. } => asked(f, "Local", *op),
            Self::Credential { op, .. } => asked(f, "Credential", *op),
            Self::Denied { op, .. } => asked(f, "Denied", *op),
            Self::Entropy { op, .. } => asked(f, "Entropy", *op),
            Self::Loaded { op, .. } => asked(f, "Loaded", *op),
            Self::Signed { op, .. } => asked(f, "Signed", *op),
            Self::Redirect { op, .. } => asked(f, "Redirect", *op),
            Self::Authorized { op, .. } => asked(f, "Authorized", *op),
        }
    }
}

fn asked(f: &mut fmt::Formatter<'_>, name: &str, op: OpId) -> fmt::Result {
    f.debug_struct(name).field("op", &op).finish_non_exhaustive()
}

fn kept(f: &mut fmt::Formatter<'_>, name: &str, some: bool) -> fmt::Result {
    f.debug_struct(name).field("some", &some).finish_non_exhaustive()
}
