//! The rules of an MCP endpoint over HTTP, for every host that has one: what must hold before a message reaches
//! the replica, and how what does not hold is answered.
//!
//! [`Gate`] knows their order. `origin` says which pages may call, `cors` tells them so, `tokens` who calls,
//! `accept` which form of an answer suits, `response` how refusals and events look; [`login`] has the pages for users
//! whom the authority wants to sign in. Nothing here does I/O: the host
//! reads the request and writes the answer. Heads may be hostile; the work is linear in them, times the number of
//! tokens.

mod accept;
mod cors;
mod gate;
pub mod login;
mod origin;
mod response;
mod tokens;

pub use accept::Accept;
pub use gate::{Admitted, GRANT, Gate, Head, Identity};
pub use response::{Headers, Response, event, message_headers};
pub use tokens::Tokens;
