//! The core of Leeward: an embeddable, edge-local replica of MCP servers, as a state machine.
//!
//! This crate dispatches MCP requests, keeps the TTL cache, and decides by policy. It does no I/O, reads no
//! clock, draws no entropy and starts no thread: time and randomness enter as values, and everything that
//! must wait leaves as a value (see [`border`]). `leeward-sync` adds the client of the authority on top.
#![no_std]

extern crate alloc;

pub mod base64;
pub mod border;
pub mod cache;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod error;
pub mod http;
pub mod json;
pub mod limits;
pub mod mcp;
pub mod policy;
pub mod provenance;
pub mod record;
mod session;
pub mod table;

pub use border::{Ctx, Failure, Input, Millis, Now, OpId, Output, Reply, Ticket};
pub use config::Config;
pub use dispatch::{Affinity, Caller, Core, Request, Served, Step, Verb};
pub use error::{Code, Error};
pub use limits::Limits;
pub use provenance::Provenance;
