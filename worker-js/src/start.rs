//! Opening the replica from what the worker was deployed with.

use leeward::config::Anonymous;
use leeward::http::{Gate, Tokens};
use leeward::limits::MAX_TOKEN_BYTES;
use leeward::{Code, Config, Error};
use leeward_sync::{Host, Replica};
use worker::Env;
use worker::js_sys::{JSON, Reflect};
use worker::wasm_bindgen::JsValue;

use crate::object;

/// The variable that holds the configuration.
const CONFIG: &str = "LEEWARD_CONFIG";
/// The secret that holds the callers' tokens and their principals.
const TOKENS: &str = "LEEWARD_TOKENS";
/// Where the endpoint is.
const PATH: &str = "/mcp";
/// The secret that holds our bearer token for the authority; it goes before the configuration's.
const AUTHORITY_TOKEN: &str = "LEEWARD_AUTHORITY_TOKEN";

/// Reads the bindings and makes the replica.
///
/// # Errors
/// `config_invalid`, with `data.field` naming the place.
pub(crate) fn open(env: &Env, abilities: Host) -> Result<(Replica, Gate), Error> {
    let text = binding(env, CONFIG).ok_or_else(|| invalid(CONFIG, "is not set"))?;
    let mut config = Config::parse(&text)?;
    let Some(authority) = &mut config.authority else {
        return Err(invalid("authority", "is needed: this host has no local tools"));
    };
    if let Some(token) = binding(env, AUTHORITY_TOKEN) {
        let is_token =
            (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
        if !is_token {
            return Err(invalid(AUTHORITY_TOKEN, "is not a bearer token"));
        }
        authority.token = Some(token);
    }
    let tokens = match binding(env, TOKENS) {
        Some(text) => Tokens::parse(&text, TOKENS)?,
        None if config.anonymous == Anonymous::PublicOnly => Tokens::default(),
        None => {
            let message = r#"is not set, and the configuration does not say "anonymous": "public-only""#;
            return Err(invalid(TOKENS, message));
        }
    };
    let gate = Gate::new(PATH, tokens).with_sessions(object::are_bound(env));
    Ok((Replica::new(config, abilities), gate))
}

/// A variable's or secret's text. One that was written as JSON, which wrangler.toml allows, is turned back into text.
fn binding(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env.as_ref(), &JsValue::from_str(name)).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    let text = value.as_string();
    text.or_else(|| JSON::stringify(&value).ok().map(String::from))
}

fn invalid(field: &str, message: &str) -> Error {
    Error::new(Code::ConfigInvalid, format!("{field} {message}")).with("field", field)
}
