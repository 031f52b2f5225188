//! What an object keeps in its storage: a record of each session, so that sessions outlive the object's memory.
//!
//! Nothing is awaited. Until what was written is durable, the runtime holds back whatever leaves the object (its output
//! gate); where that fails it resets the object, whose clients then see an answer break off.

use worker::js_sys::{Map, Uint8Array};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Result, State, Storage};

use crate::log;

/// The storage of one object.
pub(crate) struct Store(Storage);

impl Store {
    pub(crate) fn of(state: &State) -> Self {
        Self(state.storage())
    }

    /// Keeps a record in place of the one before, or forgets it.
    pub(crate) fn save(&self, key: &str, record: Option<&[u8]>) {
        let done = match record {
            Some(record) => self.0.as_raw().put(key, Uint8Array::from(record).into()),
            None => self.0.as_raw().delete(key),
        };
        if let Err(error) = done {
            log::store_failed(&error);
        }
    }

    /// All of them: as many and as large as the replica's limits have let them become.
    ///
    /// # Errors
    /// If the storage does not answer.
    pub(crate) async fn records(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let all: Map = JsFuture::from(self.0.as_raw().list()?).await?.dyn_into()?;
        let mut records = Vec::new();
        all.for_each(&mut |record: JsValue, key: JsValue| {
            if let (Some(key), Ok(record)) = (key.as_string(), record.dyn_into::<Uint8Array>()) {
                records.push((key, record.to_vec()));
            }
        });
        Ok(records)
    }
}
