//! One behaviour suite for every host of Leeward.
//!
//! A case of [`behaviour`] is written once, against a [`Target`]: some replica and a scripted [`authority`]
//! behind it. The targets are the core with virtual time ([`pair`]), the npm package wherever JavaScript runs,
//! and the worker in workerd ([`targets`]). Whether an answer came from the cache is judged by the authority's own count of
//! requests, never by the replica's statistics.
//!
//! The core's cases are ordinary tests of this crate; the others run by `cargo run -p leeward-tests --bin
//! behaviour -- --target HOST`.

pub mod authority;
pub mod behaviour;
pub mod http;
pub mod oauth;
pub mod pair;
pub mod run;
pub mod target;
pub mod targets;
pub mod wire;

pub use authority::Authority;
pub use run::Run;
pub use target::{Exchange, Host, Need, Setup, Target};
