//! Opening the replica from what the worker was deployed with.

use leeward::config::Anonymous;
use leeward::config::oauth::GrantType;
use leeward::http::login::{CALLBACK, own_origin};
use leeward::http::{Gate, Tokens};
use leeward::limits::MAX_TOKEN_BYTES;
use leeward::{Code, Config, Error};
use leeward_sync::{Host, Replica};
use worker::Env;
use worker::js_sys::{JSON, Reflect};
use worker::wasm_bindgen::JsValue;

use crate::object;
use crate::sign::Keys;

/// The variable that holds the configuration.
const CONFIG: &str = "LEEWARD_CONFIG";
/// The secret that holds the callers' tokens and their principals.
const TOKENS: &str = "LEEWARD_TOKENS";
/// Where the endpoint is.
pub(crate) const PATH: &str = "/mcp";
/// The secret that holds our bearer token for the authority; it goes before the configuration's.
const AUTHORITY_TOKEN: &str = "LEEWARD_AUTHORITY_TOKEN";

/// The secret that holds private keys by their names, as JWKs.
const KEYS: &str = "LEEWARD_KEYS";

/// What a host is made of.
pub(crate) struct Opened {
    pub(crate) replica: Replica,
    pub(crate) gate: Gate,
    pub(crate) has_grants: bool,
    pub(crate) binds_tokens: bool,
    pub(crate) keys: Keys,
}

/// Reads the bindings and makes the replica.
///
/// # Errors
/// `config_invalid`, with `data.field` naming the place.
pub(crate) fn open(env: &Env, abilities: Host) -> Result<Opened, Error> {
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
        if authority.oauth.is_some() {
            return Err(invalid(
                AUTHORITY_TOKEN,
                "is set beside authority.oauth; only one of them can be used",
            ));
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
    let has_objects = object::are_bound(env);
    let has_grants = has_grants(&config, has_objects)?;
    let oauth = config
        .authority
        .as_ref()
        .and_then(|authority| authority.oauth.as_ref());
    let binds_tokens = oauth.is_some_and(|oauth| oauth.dpop.is_some());
    let keys = binding(env, KEYS).map_or(Ok(Keys::default()), |text| Keys::parse(&text, KEYS))?;
    let gate = Gate::new(PATH, tokens)
        .with_sessions(has_objects)
        .with_grants(has_grants);
    let abilities = Host {
        // An object has grants itself; the isolate asks it.
        credentials: has_grants && !abilities.vault,
        ..abilities
    };
    Ok(Opened {
        replica: Replica::new(config, abilities),
        gate,
        has_grants,
        binds_tokens,
        keys,
    })
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

/// Whether the replica obtains grants, which this host keeps in objects alone.
fn has_grants(config: &Config, has_objects: bool) -> Result<bool, Error> {
    let oauth = config
        .authority
        .as_ref()
        .and_then(|authority| authority.oauth.as_ref());
    let Some(oauth) = oauth else { return Ok(false) };
    if !has_objects {
        return Err(invalid(
            "authority.oauth",
            "needs the binding LEEWARD_SESSIONS: grants live in its objects",
        ));
    }
    if oauth.grant == GrantType::AuthorizationCode && config.anonymous == Anonymous::PublicOnly {
        let message =
            r#"cannot be "public-only": who signs in at the authority must be somebody in particular"#;
        return Err(invalid("anonymous", message));
    }
    let is_ours =
        |url: &str| own_origin(url).is_some_and(|origin| url.strip_prefix(origin) == Some(CALLBACK));
    if !oauth.redirect_uri.as_deref().is_none_or(is_ours) {
        let message = "must be this worker's own: https, then its host, then /oauth/callback";
        return Err(invalid("authority.oauth.redirectUri", message));
    }
    Ok(true)
}
