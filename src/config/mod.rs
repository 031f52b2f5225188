//! The configuration: one JSON shape for every host (schema: `leeward.schema.json`).
//!
//! `reader` reads objects so that errors name their place, `limits` holds the ranges of the limits, `oauth` reads
//! `authority.oauth`, `url` checks URLs and origins. Nothing here reads files or variables, or fetches; hosts bring the text.

mod limits;
pub mod oauth;
mod reader;
pub mod url;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::json;
use crate::limits::{Limits, MAX_CONFIG_BYTES, MAX_ORIGINS, MAX_PRINCIPAL_BYTES, MAX_RULES, MAX_TOKEN_BYTES};
use crate::mcp::names;
use crate::policy::suggest::{excerpt, hint};
use crate::policy::{Fault, Policy};
pub use oauth::OAuth;
pub(crate) use reader::fail;
use reader::{Object, string, wrong_type};

/// What an operator sets.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The authority; `None` for a replica that answers from local tools only.
    pub authority: Option<Authority>,
    /// The principal of callers whom the host does not tell apart; hosts default it to `local`. 1 to
    /// [`MAX_PRINCIPAL_BYTES`].
    pub principal: Option<String>,
    /// The rules.
    pub policy: Policy,
    /// The limits.
    pub limits: Limits,
    /// What an anonymous caller gets.
    pub anonymous: Anonymous,
    /// `Origin` values that HTTP hosts accept besides their own, as browsers serialize them; no two equal, at
    /// most [`MAX_ORIGINS`].
    pub origins: Vec<String>,
}

/// An upstream MCP server over Streamable HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    /// Absolute `http` or `https` URL of the MCP endpoint, without a fragment or user information.
    pub url: String,
    /// Static bearer token, used where the host has no credential hook. Visible ASCII, 1 to [`MAX_TOKEN_BYTES`].
    pub token: Option<String>,
    /// The replica obtains grants itself. Never beside a token; a credential hook of the host goes before it.
    pub oauth: Option<OAuth>,
    /// The protocol version that the authority is taken to speak, without asking it; `None`: it is found out.
    pub protocol_version: Option<&'static str>,
}

impl core::fmt::Debug for Authority {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authority")
            .field("url", &self.url)
            .field("protocol_version", &self.protocol_version)
            .finish_non_exhaustive()
    }
}

/// What an anonymous caller gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// `"deny"`: refused.
    #[default]
    Deny,
    /// `"public-only"`: a partition that stores only what the authority or a rule calls public.
    PublicOnly,
}

impl Config {
    /// Reads the JSON text of a configuration. Every member may be left out:
    ///
    /// ```json
    /// {
    ///   "$schema": "https://github.com/leeward/leeward/raw/main/leeward.schema.json",
    ///   "authority": "https://crm.example/mcp",
    ///   "principal": "local",
    ///   "policy": [{ "tool": "get_*", "rule": "cache; max-age=60" }],
    ///   "limits": { "maxCacheBytes": 16777216 },
    ///   "anonymous": "deny",
    ///   "origins": ["https://app.example"]
    /// }
    /// ```
    ///
    /// `authority` may also be `{ "url": …, "token": …, "protocolVersion": … }`, or have `"oauth": { … }` in the token's
    /// place; an entry of `policy` has `tool` or `resource`. A byte
    /// order mark before the text is ignored. Untrusted text is safe.
    ///
    /// # Errors
    /// `config_invalid`, with `data.field` naming the place (`policy[2].rule`; `configuration` for the whole) and
    /// a message that begins with it: not JSON; a text over [`MAX_CONFIG_BYTES`]; an unknown member, one that is
    /// there twice, or one of the wrong type (`null` included); a value that its field does not allow. The first
    /// error is reported. Messages never show a token.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_CONFIG_BYTES {
            return Err(fail("", &format!("has more than {MAX_CONFIG_BYTES} bytes")));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Err(error) = serde_json::from_str::<&RawValue>(text) {
            return Err(fail("", &format!("is not JSON: {error}")));
        }
        let known = [
            "$schema",
            "authority",
            "principal",
            "policy",
            "limits",
            "anonymous",
            "origins",
        ];
        let root = Object::read("", text, &known)?;
        root.string("$schema")?;
        Ok(Self {
            authority: root.raw("authority").map(authority).transpose()?,
            principal: root.string("principal")?.map(principal).transpose()?,
            policy: root.raw("policy").map(policy).transpose()?.unwrap_or_default(),
            limits: match root.raw("limits") {
                Some(raw) => limits::read("limits", raw)?,
                None => Limits::default(),
            },
            anonymous: match root.string("anonymous")? {
                Some(word) => anonymous(&word)?,
                None => Anonymous::default(),
            },
            origins: root.raw("origins").map(origins).transpose()?.unwrap_or_default(),
        })
    }
}

impl Authority {
    /// An authority, checked as [`Config::parse`] does.
    ///
    /// # Errors
    /// `config_invalid` about `authority.url` or `authority.token`.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, Error> {
        url::check_url(url).map_err(|message| fail("authority.url", message))?;
        if let Some(token) = token {
            check_token(token)?;
        }
        Ok(Self {
            url: url.into(),
            token: token.map(Into::into),
            oauth: None,
            protocol_version: None,
        })
    }
}

fn authority(raw: &str) -> Result<Authority, Error> {
    match reader::kind(raw) {
        "a string" => {
            let url = string("authority", raw)?;
            url::check_url(&url).map_err(|message| fail("authority", message))?;
            Ok(Authority {
                url: url.into(),
                token: None,
                oauth: None,
                protocol_version: None,
            })
        }
        "an object" => {
            let object = Object::read("authority", raw, &["url", "token", "oauth", "protocolVersion"])?;
            let url = object.required("url")?;
            let mut authority = Authority::new(&url, object.string("token")?.as_deref())?;
            if let Some(raw) = object.raw("oauth") {
                let place = object.place("oauth");
                if authority.token.is_some() {
                    let message = "stands beside a token; only one of them can be used";
                    return Err(fail(&place, message));
                }
                authority.oauth = Some(oauth::read(&place, raw)?);
            }
            let version = object.string("protocolVersion")?;
            authority.protocol_version = version.map(|version| protocol_version(&version)).transpose()?;
            Ok(authority)
        }
        _ => Err(wrong_type(
            "authority",
            raw,
            "a URL or an object with url and token",
        )),
    }
}

fn check_token(token: &str) -> Result<(), Error> {
    let message = if token.is_empty() {
        "must not be empty"
    } else if token.len() > MAX_TOKEN_BYTES {
        "is too long: a token has at most 8192 bytes"
    } else if token.contains(' ') {
        r#"must have no space; leave out the word "Bearer""#
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        "must be visible ASCII"
    } else {
        return Ok(());
    };
    Err(fail("authority.token", message))
}

fn protocol_version(version: &str) -> Result<&'static str, Error> {
    names::spoken().find(|known| *known == version).ok_or_else(|| {
        let near = hint(version, names::spoken());
        let known = names::spoken().collect::<Vec<_>>().join(", ");
        fail(
            "authority.protocolVersion",
            &format!(r#"must be one of {known}, not "{}"{near}"#, excerpt(version)),
        )
    })
}

fn principal(text: Cow<'_, str>) -> Result<String, Error> {
    if text.is_empty() {
        return Err(fail("principal", "must not be empty"));
    }
    if text.len() > MAX_PRINCIPAL_BYTES {
        return Err(fail(
            "principal",
            &format!("must have at most {MAX_PRINCIPAL_BYTES} bytes"),
        ));
    }
    Ok(text.into_owned())
}

fn policy(raw: &str) -> Result<Policy, Error> {
    let list = json::elements(raw).ok_or_else(|| wrong_type("policy", raw, "an array"))?;
    let mut policy = Policy::default();
    for (at, raw) in list.into_iter().enumerate() {
        let path = format!("policy[{at}]");
        let entry = Object::read(&path, raw, &["tool", "resource", "rule"])?;
        let (name, added) = match (entry.string("tool")?, entry.string("resource")?) {
            (Some(_), Some(_)) => {
                return Err(fail(
                    &path,
                    r#"has both "tool" and "resource"; a rule has one of them"#,
                ));
            }
            (None, None) => {
                return Err(fail(&path, r#"needs a "tool" or a "resource" that it is for"#));
            }
            (Some(tool), None) => ("tool", policy.add_tool(&tool, &entry.required("rule")?)),
            (None, Some(resource)) => {
                let rule = entry.required("rule")?;
                ("resource", policy.add_resource(&resource, &rule))
            }
        };
        added.map_err(|fault| match fault {
            Fault::Pattern(message) => fail(&entry.place(name), &message),
            Fault::Rule(message) => fail(&entry.place("rule"), &message),
            Fault::Full => fail("policy", &format!("has more than {MAX_RULES} rules")),
        })?;
    }
    Ok(policy)
}

fn anonymous(word: &str) -> Result<Anonymous, Error> {
    match word {
        "deny" => Ok(Anonymous::Deny),
        "public-only" => Ok(Anonymous::PublicOnly),
        _ => {
            let near = hint(word, ["deny", "public-only"]);
            Err(fail(
                "anonymous",
                &format!(
                    r#"must be "deny" or "public-only", not "{}"{near}"#,
                    excerpt(word)
                ),
            ))
        }
    }
}

fn origins(raw: &str) -> Result<Vec<String>, Error> {
    let list = json::elements(raw).ok_or_else(|| wrong_type("origins", raw, "an array"))?;
    if list.len() > MAX_ORIGINS {
        return Err(fail("origins", &format!("has more than {MAX_ORIGINS} origins")));
    }
    let mut origins: Vec<String> = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let path = format!("origins[{at}]");
        let origin = string(&path, raw)?;
        url::check_origin(&origin).map_err(|message| fail(&path, message))?;
        if origins.iter().any(|known| *known == origin) {
            return Err(fail(&path, "is there twice"));
        }
        origins.push(origin.into_owned());
    }
    Ok(origins)
}

#[cfg(test)]
mod tests;
