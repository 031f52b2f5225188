//! Who calls: the bearer tokens of `LEEWARD_TOKENS` and their principals.

use core::hint::black_box;

use leeward::config::Anonymous;
use leeward::dispatch::Caller;
use leeward::json::{self, Members};
use leeward::limits::MAX_PRINCIPAL_BYTES;
use leeward::{Code, Error};

/// The secret's name; also the `field` of its errors.
pub(crate) const TOKENS: &str = "LEEWARD_TOKENS";

/// Shortest token taken: shorter ones can be guessed.
const MIN_TOKEN_BYTES: usize = 16;
/// Longest token taken.
const MAX_TOKEN_BYTES: usize = 512;
/// Most tokens: every request is compared with all of them.
const MAX_TOKENS: usize = 1024;

/// The tokens and the principal behind each. Has no `Debug`: tokens are secrets.
#[derive(Default)]
pub(crate) struct Tokens(Vec<(Vec<u8>, Caller)>);

impl Tokens {
    /// Reads a JSON object `{"token": "principal"}`.
    ///
    /// # Errors
    /// `config_invalid` with the place; it never repeats a token.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let members = Members::parse_up_to(text, MAX_TOKENS).ok_or_else(|| {
            invalid(
                None,
                "must be a JSON object of at most 1024 members, token to principal",
            )
        })?;
        if members.has_duplicates() {
            return Err(invalid(None, "names a token twice"));
        }
        let tokens: Vec<_> = members
            .iter()
            .enumerate()
            .map(|(at, (token, principal))| {
                entry(token, principal).map_err(|message| invalid(Some(at), message))
            })
            .collect::<Result<_, _>>()?;
        if tokens.is_empty() {
            return Err(invalid(None, "must name at least one token"));
        }
        Ok(Self(tokens))
    }

    /// Who sends this `Authorization` header.
    ///
    /// # Errors
    /// `unauthenticated`: a credential that is wrong is refused even where none is needed.
    pub(crate) fn caller(&self, authorization: Option<&str>, anonymous: Anonymous) -> Result<Caller, Error> {
        let Some(authorization) = authorization else {
            return match anonymous {
                Anonymous::PublicOnly => Ok(Caller::Anonymous),
                Anonymous::Deny => Err(Error::new(Code::Unauthenticated, "a bearer token is needed")),
            };
        };
        bearer(authorization)
            .and_then(|token| self.find(token.as_bytes()))
            .cloned()
            .ok_or_else(|| Error::new(Code::Unauthenticated, "the bearer token is not valid"))
    }

    /// Compares with every token, so that the time taken does not tell which one came close.
    fn find(&self, token: &[u8]) -> Option<&Caller> {
        let mut found = None;
        for (known, caller) in &self.0 {
            if is_same(token, known) {
                found = Some(caller);
            }
        }
        found
    }
}

fn entry(token: &str, principal: &str) -> Result<(Vec<u8>, Caller), &'static str> {
    if !(MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&token.len()) {
        return Err("a token has 16 to 512 bytes");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a token consists of visible ASCII characters");
    }
    let principal = json::string(principal).ok_or("a principal is a string")?;
    if !(1..=MAX_PRINCIPAL_BYTES).contains(&principal.len()) {
        return Err("a principal has 1 to 1024 bytes");
    }
    Ok((token.into(), Caller::Principal(principal.into_owned())))
}

/// The token of a `Bearer` credential (RFC 6750 §2.1); the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

/// Compares in a time that depends on the length of `given` alone. `known` is not empty.
fn is_same(given: &[u8], known: &[u8]) -> bool {
    let mut difference = given.len() ^ known.len();
    for (a, b) in given.iter().zip(known.iter().cycle()) {
        difference |= black_box(usize::from(a ^ b));
    }
    black_box(difference) == 0
}

fn invalid(at: Option<usize>, message: &'static str) -> Error {
    let field = at.map_or_else(|| TOKENS.into(), |at| format!("{TOKENS}[{at}]"));
    Error::new(Code::ConfigInvalid, format!("{TOKENS}: {message}")).with("field", &field)
}
