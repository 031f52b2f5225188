//! Targets that are other processes: the npm package in Node, the worker in workerd. `process` is what they
//! share: a program under `tests/hosts/` that is driven by JSON lines.

mod node;
mod process;
mod worker;

pub use node::Node;
pub use worker::Worker;
