//! What the JavaScript runtime gives: clocks, randomness, promises.

use futures::future::LocalBoxFuture;
use leeward::{Millis, Now};
use worker::js_sys::{Date, Function, Promise, Uint8Array};
use worker::wasm_bindgen::{self, JsCast as _, JsValue, prelude::wasm_bindgen};
use worker::wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(into: &mut [u8]) -> Result<(), JsValue>;
    #[wasm_bindgen(catch, js_namespace = performance, js_name = now)]
    fn performance_now() -> Result<f64, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = digest)]
    fn digest(algorithm: &str, data: &Uint8Array) -> Result<Promise, JsValue>;
}

/// Both clocks. On Workers `performance.now()` counts from the Unix epoch, stands still between I/O and may step
/// back; the replica is told as it is.
pub(crate) fn now() -> Now {
    let unix = Date::now();
    Now {
        mono: millis(performance_now().unwrap_or(unix)),
        unix: millis(unix),
    }
}

/// Saturates; NaN and negative times are 0.
const fn millis(clock: f64) -> Millis {
    Millis(clock as u64)
}

/// Random bytes, or none where the runtime has none to give (outside a handler).
pub(crate) fn random(bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    match get_random_values(&mut out) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}

/// The SHA-256 digest of a text.
pub(crate) fn sha256(text: &str) -> LocalBoxFuture<'static, Option<Vec<u8>>> {
    let digested = digest("SHA-256", &Uint8Array::from(text.as_bytes()));
    Box::pin(async {
        let hash = JsFuture::from(digested.ok()?).await.ok()?;
        Some(Uint8Array::new(&hash).to_vec())
    })
}

/// A promise of the present request, and the function that settles it. Any request may call that: what waits for
/// the promise goes on within the request that made it.
pub(crate) fn bell() -> (JsFuture, Function) {
    let mut settle = None;
    let promise = Promise::new(&mut |resolve, _| settle = Some(resolve));
    // The promise's executor has run by now. If it had not, ringing would be an error that `ring` ignores.
    let settle = settle.unwrap_or_else(|| JsValue::UNDEFINED.unchecked_into());
    (JsFuture::from(promise), settle)
}

/// Settles a bell's promise; ringing twice is ringing once.
pub(crate) fn ring(bell: &Function) {
    let _ = bell.call0(&JsValue::UNDEFINED);
}
