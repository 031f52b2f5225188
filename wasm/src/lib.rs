//! Bindings of the replica for JavaScript: they convert and forward, and decide nothing.
//!
//! Text and bytes cross in two buffers that stay in wasm memory. The host writes what a call needs at the start
//! of the input buffer ([`Engine::input`]) and passes lengths; a call leaves its payload in the output buffer
//! ([`Engine::output`]), valid until the next call. Everything else is a number. Both buffers may move with any
//! call, so the host derives its views again.
//!
//! Lengths are checked against the buffer, and an answer to a question that was never asked is dropped: no
//! sequence of calls may panic. Errors are thrown as the text of a JSON-RPC error object, which the TypeScript
//! side turns into a `LeewardError`.

mod engine;
mod event;
mod hooks;
mod http;
mod output;
mod panic;

pub use engine::Engine;
pub use panic::last_panic;
