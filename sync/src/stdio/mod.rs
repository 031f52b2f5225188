//! MCP over a pair of byte streams: one JSON-RPC message per line (2026-07-28, Transports, stdio; the same since
//! 2024-11-05). Standard streams, a socket, or whatever a native host has: bytes come in and go out as values, and
//! nothing here reads or writes one.
//!
//! [`Agent`] is one connection of an agent to a replica, [`Lines`] cuts bytes into messages, [`Probe`] finds out what a
//! server at the other end of such streams speaks.

mod agent;
mod lines;
mod probe;
#[cfg(test)]
mod tests;

pub use agent::{Agent, Question};
pub use lines::Lines;
pub use probe::{Probe, Verdict};
