//! What an object keeps in its storage, so that it outlives the object's memory: a record of each session, what
//! authorizations need (the replica's vault), and the links given out for them.
//!
//! What is kept is not awaited. Until what was written is durable, the runtime holds back whatever leaves the object (its
//! output gate); where that fails it resets the object, whose clients then see an answer break off.

use std::rc::Rc;

use futures::future::LocalBoxFuture;
use worker::js_sys::{Map, Object, Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Result, State, Storage};

use crate::log;

/// What the keys of the vault begin with. Sessions are stored by their bare ids, which have no slash.
const VAULT: &str = "vault/";

/// The storage of one object.
#[derive(Clone)]
pub(crate) struct Store(Rc<Storage>);

impl Store {
    pub(crate) fn of(state: &State) -> Self {
        Self(Rc::new(state.storage()))
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

    /// As [`Store::save`], for what the replica's vault holds.
    pub(crate) fn keep(&self, key: &str, record: Option<&[u8]>) {
        self.save(&format!("{VAULT}{key}"), record);
    }

    /// What the vault holds under a key.
    ///
    /// # Errors
    /// What the runtime said.
    pub(crate) async fn load(self, key: String) -> core::result::Result<Option<Vec<u8>>, String> {
        let read = async { JsFuture::from(self.0.as_raw().get(&format!("{VAULT}{key}"))?).await };
        let found: JsValue = read.await.map_err(|error| format!("{error:?}"))?;
        Ok(found.dyn_into::<Uint8Array>().ok().map(|record| record.to_vec()))
    }

    /// All sessions: as many and as large as the replica's limits have let them become.
    ///
    /// # Errors
    /// If the storage does not answer.
    pub(crate) async fn records(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let all: Map = JsFuture::from(self.0.as_raw().list()?).await?.dyn_into()?;
        let mut records = Vec::new();
        all.for_each(&mut |record: JsValue, key: JsValue| {
            if let (Some(key), Ok(record)) = (key.as_string(), record.dyn_into::<Uint8Array>())
                && !key.contains('/')
            {
                records.push((key, record.to_vec()));
            }
        });
        Ok(records)
    }

    /// Writes a text in place of the one before.
    pub(crate) fn write(&self, key: &str, text: &str) {
        if let Err(error) = self.0.as_raw().put(key, text.into()) {
            log::store_failed(&error);
        }
    }

    /// The text under a key.
    ///
    /// # Errors
    /// If the storage does not answer.
    pub(crate) fn read(&self, key: String) -> LocalBoxFuture<'static, Result<Option<String>>> {
        let store = self.0.clone();
        Box::pin(async move { Ok(JsFuture::from(store.as_raw().get(&key)?).await?.as_string()) })
    }

    /// Takes the text under a key away. Of many at once, one gets it.
    ///
    /// # Errors
    /// If the storage does not answer.
    pub(crate) fn take(&self, key: String) -> LocalBoxFuture<'static, Result<Option<String>>> {
        let store = self.clone();
        Box::pin(async move {
            let text = store.read(key.clone()).await?;
            let deleted = JsFuture::from(store.0.as_raw().delete(&key)?).await?;
            Ok(text.filter(|_| deleted.is_truthy()))
        })
    }

    /// Every text whose key begins so, with its key.
    ///
    /// # Errors
    /// If the storage does not answer.
    pub(crate) async fn all(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let options = Object::new();
        Reflect::set(&options, &"prefix".into(), &prefix.into())?;
        let all: Map = JsFuture::from(self.0.as_raw().list_with_options(options)?)
            .await?
            .dyn_into()?;
        let mut texts = Vec::new();
        all.for_each(&mut |text: JsValue, key: JsValue| texts.extend(key.as_string().zip(text.as_string())));
        Ok(texts)
    }
}
