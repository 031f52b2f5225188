//! What a panic said, kept for the error that reports the trap.
//!
//! A wasm trap carries no message, and the host cannot call into a panicking instance; it asks afterwards.

use core::cell::RefCell;

use wasm_bindgen::prelude::wasm_bindgen;

/// Longest text kept, in bytes.
const MAX_TEXT: usize = 1024;

std::thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the text of the next panic for [`last_panic`].
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| {
        LAST.with(|last| {
            if let Ok(mut last) = last.try_borrow_mut() {
                *last = info.to_string().chars().take(MAX_TEXT).collect();
            }
        });
    }));
}

/// The text of the panic behind a trap of this instance; empty if there was none.
#[wasm_bindgen(js_name = lastPanic)]
#[must_use]
pub fn last_panic() -> String {
    LAST.with(|last| {
        last.try_borrow()
            .map_or_else(|_| String::new(), |last| last.clone())
    })
}
