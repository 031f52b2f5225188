//! Signatures with the private keys that the worker was deployed with, by WebCrypto: they are imported so that they
//! cannot be taken out again.

use core::fmt;

use leeward::{Code, Error};
use worker::js_sys::{Array, JSON, Object, Promise, Reflect, Uint8Array};
use worker::wasm_bindgen::{self, JsValue, prelude::wasm_bindgen};
use worker::wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn import_key(
        format: &str,
        key: &JsValue,
        algorithm: &Object,
        extractable: bool,
        uses: &Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = sign)]
    fn sign(algorithm: &Object, key: &JsValue, data: &Uint8Array) -> Result<Promise, JsValue>;
}

/// Private keys by their names.
#[derive(Clone, Default)]
pub(crate) struct Keys(Option<JsValue>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads a JSON object `{"name": JWK}` (RFC 7517 §4).
    ///
    /// # Errors
    /// `config_invalid`; it repeats nothing of a key.
    pub(crate) fn parse(text: &str, field: &str) -> Result<Self, Error> {
        let keys = JSON::parse(text).ok().filter(JsValue::is_object);
        match keys {
            Some(keys) if !Array::is_array(&keys) => Ok(Self(Some(keys))),
            _ => {
                let message = format!("{field} must be a JSON object, from names to private keys (JWK)");
                Err(Error::new(Code::ConfigInvalid, message).with("field", field))
            }
        }
    }

    /// Signs with a key.
    ///
    /// # Errors
    /// Why there is no signature.
    pub(crate) async fn sign(
        self,
        name: String,
        algorithm: String,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let key = self
            .0
            .and_then(|keys| Reflect::get(&keys, &JsValue::from_str(&name)).ok());
        let Some(key) = key.filter(JsValue::is_object) else {
            return Err(format!("the secret LEEWARD_KEYS has no key {name}"));
        };
        let Some(algorithm) = parameters(&algorithm) else {
            return Err(format!("this host does not sign by {algorithm}"));
        };
        let signed = async {
            let uses = Array::of1(&"sign".into());
            let key = JsFuture::from(import_key("jwk", &key, &algorithm, false, &uses)?).await?;
            JsFuture::from(sign(&algorithm, &key, &Uint8Array::from(&*data))?).await
        };
        let signature: JsValue = signed.await.map_err(|error| format!("key {name}: {error:?}"))?;
        Ok(Uint8Array::new(&signature).to_vec())
    }
}

/// What WebCrypto calls a JWS algorithm (RFC 7518 §3.1, RFC 8037 §3.1): for the import and the signature alike, each of
/// which passes over what is the other's.
fn parameters(algorithm: &str) -> Option<Object> {
    let (family, bits) = algorithm.split_at_checked(2)?;
    let (curve, hash, hash_bytes) = match bits {
        "256" => ("P-256", "SHA-256", 32),
        "384" => ("P-384", "SHA-384", 48),
        "512" => ("P-521", "SHA-512", 64),
        "DSA" => ("", "", 0),
        _ => return None,
    };
    let name = match family {
        "ES" => "ECDSA",
        "RS" => "RSASSA-PKCS1-v1_5",
        "PS" => "RSA-PSS",
        "Ed" => "Ed25519",
        _ => return None,
    };
    let object = Object::new();
    let set = |name: &str, value: JsValue| Reflect::set(&object, &name.into(), &value).ok();
    set("name", name.into())?;
    set("namedCurve", curve.into())?;
    set("hash", hash.into())?;
    // As long as the hash (RFC 7518 §3.5).
    set("saltLength", hash_bytes.into())?;
    Some(object)
}
