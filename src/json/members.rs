//! The members of one JSON object, values left raw.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::MAX_MEMBERS;

/// The members of one JSON object in their order, values as raw JSON text. Untrusted input is safe: work is
/// linear in the input, nothing recurses, and at most [`MAX_MEMBERS`] members are taken.
#[derive(Clone, Debug, Default)]
pub struct Members<'a> {
    list: Vec<(Cow<'a, str>, &'a str)>,
    duplicates: bool,
}

impl<'a> Members<'a> {
    /// Reads an object; `None` if `text` is not one whole JSON object or has too many members.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::parse_up_to(text, MAX_MEMBERS)
    }

    /// The same with a bound of the caller's.
    #[must_use]
    pub fn parse_up_to(text: &'a str, max_members: usize) -> Option<Self> {
        let mut members: Self = serde_json::from_str(text).ok()?;
        if members.list.len() > max_members {
            return None;
        }
        members.duplicates = has_duplicates(&members.list);
        Some(members)
    }

    /// The raw value of a member; the last one, if it is there twice.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.list
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// The member's value if it is a string.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        string(self.raw(name)?)
    }

    /// Names and raw values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.list.iter().map(|(key, value)| (&**key, *value))
    }

    /// Whether a name is there twice (after unescaping).
    #[must_use]
    pub const fn has_duplicates(&self) -> bool {
        self.duplicates
    }
}

fn has_duplicates(list: &[(Cow<'_, str>, &str)]) -> bool {
    if list.len() <= 16 {
        return list
            .iter()
            .enumerate()
            .any(|(at, (key, _))| list.iter().skip(at + 1).any(|(other, _)| other == key));
    }
    let mut names: Vec<&str> = list.iter().map(|(key, _)| &**key).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut list = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    list.push((key, value.get()));
                }
                Ok(Members {
                    list,
                    duplicates: false,
                })
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A string that borrows where it can.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The text of a raw JSON string; `None` for any other value.
#[must_use]
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Key<'_>>(raw).ok().map(|key| key.0)
}

/// A raw JSON integer from 0 to 2^64 - 1; `None` for any other value.
#[must_use]
pub fn unsigned(raw: &str) -> Option<u64> {
    serde_json::from_str(raw).ok()
}

/// Whether raw JSON text is an object. The text must already be known to be JSON.
#[must_use]
pub fn is_object(raw: &str) -> bool {
    raw.trim_start().starts_with('{')
}

/// The elements of a raw JSON array, each raw; `None` for any other value.
#[must_use]
pub fn elements(raw: &str) -> Option<Vec<&str>> {
    struct List<'a>(Vec<&'a str>);
    impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;
            impl<'de> Visitor<'de> for Collect {
                type Value = List<'de>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an array")
                }

                fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                    let mut list = Vec::new();
                    while let Some(value) = seq.next_element::<&RawValue>()? {
                        list.push(value.get());
                    }
                    Ok(List(list))
                }
            }
            deserializer.deserialize_seq(Collect)
        }
    }
    serde_json::from_str::<List<'_>>(raw).ok().map(|list| list.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_values_raw_and_in_order() {
        let members = Members::parse(r#" {"b": 1.0e2 ,"a":{"x":[1, 2]}} "#).unwrap();
        let all: Vec<_> = members.iter().collect();
        assert_eq!(all, [("b", "1.0e2"), ("a", r#"{"x":[1, 2]}"#)]);
    }

    #[test]
    fn finds_duplicates_after_unescaping() {
        assert!(Members::parse(r#"{"a":1,"\u0061":2}"#).unwrap().has_duplicates());
        assert!(!Members::parse(r#"{"a":1,"b":2}"#).unwrap().has_duplicates());
        let many = (0..40)
            .map(|n| alloc::format!(r#""k{}":0"#, n % 39))
            .collect::<Vec<_>>()
            .join(",");
        assert!(
            Members::parse(&alloc::format!("{{{many}}}"))
                .unwrap()
                .has_duplicates()
        );
    }

    #[test]
    fn refuses_what_is_no_object_or_too_wide() {
        for text in ["", "[]", "1", "{", r#"{"a":}"#, r#"{"a":1} x"#, r#"{1:2}"#] {
            assert!(Members::parse(text).is_none(), "{text}");
        }
        let wide = (0..=MAX_MEMBERS)
            .map(|n| alloc::format!(r#""k{n}":0"#))
            .collect::<Vec<_>>()
            .join(",");
        assert!(Members::parse(&alloc::format!("{{{wide}}}")).is_none());
    }
}
