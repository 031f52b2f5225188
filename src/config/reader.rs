//! Reading one JSON object whose members are known, so that every error names its place.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};

use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::policy::suggest::{excerpt, hint};

/// An object of the configuration: its members are known ones, each at most once.
pub(super) struct Object<'a> {
    /// Where it stands, such as `policy[2]`; empty for the root.
    path: String,
    members: Members<'a>,
}

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// `config_invalid` if `raw` is another type, or has an unknown member or one twice.
    pub(super) fn read(path: &str, raw: &'a str, known: &[&str]) -> Result<Self, Error> {
        if !json::is_object(raw) {
            return Err(wrong_type(path, raw, "an object"));
        }
        let members = Members::parse(raw).ok_or_else(|| fail(path, "has too many members"))?;
        for (at, (name, _)) in members.iter().enumerate() {
            let place = join(path, &excerpt(name));
            if !known.contains(&name) {
                let near = hint(name, known.iter().copied());
                return Err(fail(&place, &format!("unknown member{near}")));
            }
            if members.iter().skip(at + 1).any(|(other, _)| other == name) {
                return Err(fail(&place, "is there twice"));
            }
        }
        Ok(Self {
            path: path.into(),
            members,
        })
    }

    /// Where a member stands.
    pub(super) fn place(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// A member's raw value.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.members.raw(name)
    }

    /// A member's text.
    ///
    /// # Errors
    /// `config_invalid` if it is no string.
    pub(super) fn string(&self, name: &str) -> Result<Option<Cow<'a, str>>, Error> {
        self.raw(name)
            .map(|raw| string(&self.place(name), raw))
            .transpose()
    }

    /// A member that must be there.
    ///
    /// # Errors
    /// `config_invalid` if it is missing or no string.
    pub(super) fn required(&self, name: &str) -> Result<Cow<'a, str>, Error> {
        self.string(name)?
            .ok_or_else(|| fail(&self.place(name), "is missing"))
    }
}

/// A raw string's text.
pub(super) fn string<'a>(path: &str, raw: &'a str) -> Result<Cow<'a, str>, Error> {
    if kind(raw) != "a string" {
        return Err(wrong_type(path, raw, "a string"));
    }
    json::string(raw).ok_or_else(|| fail(path, "is not valid Unicode"))
}

/// `config_invalid` about the place `path`.
pub(crate) fn fail(path: &str, message: &str) -> Error {
    let path = if path.is_empty() { "configuration" } else { path };
    Error::new(Code::ConfigInvalid, format!("{path}: {message}")).with("field", path)
}

/// `config_invalid` about a value of another type than `wanted`.
pub(super) fn wrong_type(path: &str, raw: &str, wanted: &str) -> Error {
    fail(path, &format!("must be {wanted}, not {}", kind(raw)))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_string()
    } else {
        format!("{path}.{name}")
    }
}

/// The type of a raw value that is known to be JSON.
pub(super) fn kind(raw: &str) -> &'static str {
    match raw.trim_start().bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_MEMBERS;

    fn message(raw: &str) -> String {
        let error = Object::read("a.b", raw, &["one", "maxFlights"]).err().unwrap();
        assert_eq!(error.code, Code::ConfigInvalid);
        error.message.into_owned()
    }

    #[test]
    fn refuses_what_is_not_known() {
        assert_eq!(message("[]"), "a.b: must be an object, not an array");
        assert_eq!(message(r#"{"two":1}"#), "a.b.two: unknown member");
        assert_eq!(
            message(r#"{"max_flights":1}"#),
            r#"a.b.max_flights: unknown member; did you mean "maxFlights"?"#
        );
        assert_eq!(message(r#"{"one":1,"\u006fne":2}"#), "a.b.one: is there twice");
    }

    #[test]
    fn shows_long_and_odd_names_shortened() {
        let long = message(&format!(r#"{{"{}":1}}"#, "x".repeat(1000)));
        assert!(long.len() < 100, "{long}");
        assert_eq!(message(r#"{"\n":1}"#), "a.b.\u{fffd}: unknown member");
    }

    #[test]
    fn bounds_the_members() {
        let wide = (0..=MAX_MEMBERS)
            .map(|n| format!(r#""k{n}":0"#))
            .collect::<alloc::vec::Vec<_>>()
            .join(",");
        assert_eq!(message(&format!("{{{wide}}}")), "a.b: has too many members");
    }

    #[test]
    fn names_every_type() {
        let object = Object::read(
            "",
            r#"{"n":null,"a":[],"o":{},"t":true,"f":false,"i":-1,"s":"x","l":"\ud800"}"#,
            &["n", "a", "o", "t", "f", "i", "s", "l", "m"],
        )
        .unwrap();
        for (name, message) in [
            ("n", "n: must be a string, not null"),
            ("a", "a: must be a string, not an array"),
            ("o", "o: must be a string, not an object"),
            ("t", "t: must be a string, not a boolean"),
            ("f", "f: must be a string, not a boolean"),
            ("i", "i: must be a string, not a number"),
            ("l", "l: is not valid Unicode"),
            ("m", "m: is missing"),
        ] {
            assert_eq!(object.required(name).unwrap_err().message, message);
        }
        assert_eq!(object.required("s").unwrap(), "x");
        assert_eq!(object.string("m").unwrap(), None);
        assert_eq!(fail("", "is wrong").data, r#""field":"configuration""#);
    }
}
