//! The client of the authority, and the replica that hosts drive.
//!
//! [`Replica`] joins the core's dispatcher to flows that talk to the authority: ordinary `async fn`s polled by
//! an executor inside, data at the border. No I/O, clock, entropy or thread here.
//!
//! Inside: `exec` polls the flows, `flow` is what they say to the authority, `link` what they know of it
//! together, `grants` what they are allowed with, `oauth` how that comes about, `breaker` whether the authority is asked at
//! all, `retry_after` how long it wants to be left alone, `desk` holds what each context has to do and until when it is believed alive, `trouble` is the one
//! table of failures.
#![no_std]

extern crate alloc;

mod breaker;
mod clock;
mod desk;
mod exec;
mod flow;
mod grants;
mod limits;
mod link;
mod oauth;
mod replica;
mod retry_after;
mod seed;
pub mod stdio;
#[cfg(test)]
mod testing;
mod trouble;

pub use replica::{Host, Replica};
