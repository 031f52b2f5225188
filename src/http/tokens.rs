//! Who calls: bearer tokens and their principals.

use core::fmt;
use core::hint::black_box;

use alloc::format;
use alloc::vec::Vec;

use crate::config::fail;
use crate::dispatch::Caller;
use crate::error::Error;
use crate::json::{self, Members};
use crate::limits::{MAX_CALLER_TOKEN_BYTES, MAX_CALLER_TOKENS, MAX_PRINCIPAL_BYTES, MIN_CALLER_TOKEN_BYTES};

/// The tokens and the principal behind each.
#[derive(Default)]
pub struct Tokens(Vec<(Vec<u8>, Caller)>);

impl fmt::Debug for Tokens {
    /// How many: tokens are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.0.len()).finish()
    }
}

impl Tokens {
    /// Reads a JSON object `{"token": "principal"}`: 1 to [`MAX_CALLER_TOKENS`] of them.
    ///
    /// # Errors
    /// `config_invalid` with the place, which begins with `field`; it never repeats a token.
    pub fn parse(text: &str, field: &str) -> Result<Self, Error> {
        let Some(members) = Members::parse_up_to(text, MAX_CALLER_TOKENS) else {
            let message = "must be a JSON object of at most 1024 members, token to principal";
            return Err(fail(field, message));
        };
        if members.has_duplicates() {
            return Err(fail(field, "names a token twice"));
        }
        let mut tokens = Vec::new();
        for (token, principal) in members.iter() {
            let place = || format!("{field}[{}]", tokens.len());
            tokens.push(entry(token, principal).map_err(|message| fail(&place(), message))?);
        }
        if tokens.is_empty() {
            return Err(fail(field, "must name at least one token"));
        }
        Ok(Self(tokens))
    }

    /// Who sends this `Authorization` header; nobody in particular without one.
    ///
    /// # Errors
    /// What is wrong: a wrong credential is refused even where none is needed.
    pub(super) fn caller(&self, authorization: Option<&str>) -> Result<Caller, &'static str> {
        let Some(authorization) = authorization else {
            return Ok(Caller::Anonymous);
        };
        bearer(authorization)
            // Nobody has authenticated yet: what is longer than any token is worth no comparison.
            .filter(|token| token.len() <= MAX_CALLER_TOKEN_BYTES)
            .and_then(|token| self.find(token.as_bytes()))
            .cloned()
            .ok_or("the bearer token is not valid")
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
    if !(MIN_CALLER_TOKEN_BYTES..=MAX_CALLER_TOKEN_BYTES).contains(&token.len()) {
        return Err("must have a token of 16 to 512 bytes");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must have a token of visible ASCII characters");
    }
    let principal = json::string(principal).ok_or("must have a principal that is a string")?;
    if !(1..=MAX_PRINCIPAL_BYTES).contains(&principal.len()) {
        return Err("must have a principal of 1 to 1024 bytes");
    }
    Ok((token.into(), Caller::Principal(principal.into_owned())))
}

/// The token of a `Bearer` credential (RFC 6750 §2.1); the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares in a time that depends on the length of `given` alone, which bounds the work. `known` is not empty.
fn is_same(given: &[u8], known: &[u8]) -> bool {
    debug_assert!(given.len() <= MAX_CALLER_TOKEN_BYTES, "longer than any token");
    let mut difference = given.len() ^ known.len();
    for (a, b) in given.iter().zip(known.iter().cycle()) {
        difference |= black_box(usize::from(a ^ b));
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;
    use crate::error::Code;

    const ANN: &str = "token-of-ann-0123456789";
    const BEN: &str = "token-of-ben-0123456789";

    fn tokens() -> Tokens {
        Tokens::parse(&format!(r#"{{"{ANN}":"ann","{BEN}":"b\u0065n"}}"#), "tokens").unwrap()
    }

    fn caller(authorization: &str) -> Option<Caller> {
        tokens().caller(Some(authorization)).ok()
    }

    #[test]
    fn a_token_tells_its_principal() {
        let principal = |name: &str| Some(Caller::Principal(name.into()));
        assert_eq!(caller(&format!("Bearer {ANN}")), principal("ann"));
        assert_eq!(caller(&format!("bEARER  {BEN} ")), principal("ben"));
    }

    #[test]
    fn a_wrong_credential_is_refused_even_where_none_is_needed() {
        for wrong in [
            "Bearer wrong-token-0123456789ab".into(),
            format!("Bearer {ANN}x"),
            format!("Bearer {}", ANN.get(1..).unwrap_or_default()),
            format!("Bearer {ANN}{ANN}"),
            format!("Bearer {ANN} {ANN}"),
            // Compared with no token, which a debug assertion holds.
            format!("Bearer {}", "x".repeat(MAX_CALLER_TOKEN_BYTES + 1)),
            format!("Bearer {ANN}{}", "x".repeat(100_000)),
            "Bearer ".into(),
            "Bearer".into(),
            ANN.into(),
            format!("Basic {ANN}"),
            String::new(),
        ] {
            assert_eq!(caller(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_mistake_names_its_place_and_shows_no_token() {
        let long = "x".repeat(MAX_CALLER_TOKEN_BYTES + 1);
        let short = "x".repeat(MIN_CALLER_TOKEN_BYTES - 1);
        let many = (0..=MAX_CALLER_TOKENS)
            .map(|n| format!(r#""{n:016}":"p""#))
            .collect::<Vec<_>>()
            .join(",");
        for (text, place) in [
            (format!(r#"{{"{ANN}""#), "tokens"),
            ("[]".into(), "tokens"),
            ("{}".into(), "tokens"),
            (format!(r#"{{"{ANN}":"ann","{ANN}":"ben"}}"#), "tokens"),
            (format!("{{{many}}}"), "tokens"),
            (format!(r#"{{"{ANN}":"ann","{short}":"ben"}}"#), "tokens[1]"),
            (format!(r#"{{"{long}":"ann"}}"#), "tokens[0]"),
            (r#"{"a token with blanks in it":"ann"}"#.into(), "tokens[0]"),
            (format!(r#"{{"{ANN}":7}}"#), "tokens[0]"),
            (format!(r#"{{"{ANN}":""}}"#), "tokens[0]"),
            (format!(r#"{{"{ANN}":"{}"}}"#, "p".repeat(1025)), "tokens[0]"),
        ] {
            let error = Tokens::parse(&text, "tokens").unwrap_err();
            assert_eq!(error.code, Code::ConfigInvalid);
            assert_eq!(error.data, format!(r#""field":"{place}""#));
            assert!(!error.message.contains(ANN) && !error.message.contains(&short));
        }
        assert_eq!(format!("{:?}", tokens()), "Tokens(2)");
    }
}
