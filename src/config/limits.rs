//! The ranges of `limits`: what an operator may set each limit to.

use alloc::format;

use super::reader::{Object, fail, wrong_type};
use crate::error::Error;
use crate::json;
use crate::limits::Limits;

/// One member of `limits`.
struct Setting {
    name: &'static str,
    /// Inclusive.
    min: u64,
    /// Inclusive. Of a number of bytes or things it fits in 32 bits, where `usize` may have no more.
    max: u64,
    set: fn(&mut Limits, u64),
}

/// Every limit with its range.
const SETTINGS: [Setting; 8] = [
    // Bytes; 0 stores nothing. A wasm instance has 4 GiB at most.
    Setting {
        name: "maxCacheBytes",
        min: 0,
        max: 1 << 30,
        set: |limits, n| limits.max_cache_bytes = size(n),
    },
    // Bytes; the smallest still holds `initialize` and short calls.
    Setting {
        name: "maxMessageBytes",
        min: 1 << 10,
        max: 64 << 20,
        set: |limits, n| limits.max_message_bytes = size(n),
    },
    // Bytes.
    Setting {
        name: "maxResponseBytes",
        min: 1 << 10,
        max: 256 << 20,
        set: |limits, n| limits.max_response_bytes = size(n),
    },
    Setting {
        name: "maxFlights",
        min: 1,
        max: 1 << 16,
        set: |limits, n| limits.max_flights = size(n),
    },
    Setting {
        name: "maxWaiters",
        min: 1,
        max: 1 << 20,
        set: |limits, n| limits.max_waiters = size(n),
    },
    Setting {
        name: "maxPartitions",
        min: 1,
        max: 1 << 20,
        set: |limits, n| limits.max_partitions = size(n),
    },
    // Milliseconds; an hour at most, since every wait has a hard end.
    Setting {
        name: "requestTimeoutMs",
        min: 1,
        max: 60 * 60 * 1000,
        set: |limits, n| limits.request_timeout_ms = n,
    },
    // Milliseconds; a day at most.
    Setting {
        name: "maxRequestMs",
        min: 1,
        max: 24 * 60 * 60 * 1000,
        set: |limits, n| limits.max_request_ms = n,
    },
];

/// Reads `limits`; what is not set keeps its default.
///
/// # Errors
/// `config_invalid` if a member is unknown, no whole number (written as one: `256`, not `256.0`), or out of its
/// range.
pub(super) fn read(path: &str, raw: &str) -> Result<Limits, Error> {
    let object = Object::read(path, raw, &SETTINGS.map(|setting| setting.name))?;
    let mut limits = Limits::default();
    for Setting { name, min, max, set } in SETTINGS {
        let Some(raw) = object.raw(name) else { continue };
        let number = json::unsigned(raw).filter(|n| (min..=max).contains(n));
        match number {
            Some(number) => set(&mut limits, number),
            None => {
                let place = object.place(name);
                let range = format!("a whole number from {min} to {max}");
                return Err(match super::reader::kind(raw) {
                    "a number" => fail(&place, &format!("must be {range}")),
                    _ => wrong_type(&place, raw, &range),
                });
            }
        }
    }
    Ok(limits)
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Members;
    use alloc::string::{String, ToString as _};

    fn message(raw: &str) -> String {
        read("limits", raw).unwrap_err().message.into_owned()
    }

    #[test]
    fn sets_each_limit_and_nothing_else() {
        assert_eq!(read("limits", "{}").unwrap(), Limits::default());
        let all = r#"{"maxCacheBytes":0,"maxMessageBytes":1024,"maxResponseBytes":2048,"maxFlights":1,
            "maxWaiters":2,"maxPartitions":3,"requestTimeoutMs":4,"maxRequestMs":5}"#;
        assert_eq!(
            read("limits", all).unwrap(),
            Limits {
                max_cache_bytes: 0,
                max_message_bytes: 1024,
                max_response_bytes: 2048,
                max_flights: 1,
                max_waiters: 2,
                max_partitions: 3,
                request_timeout_ms: 4,
                max_request_ms: 5,
            }
        );
    }

    #[test]
    fn every_range_is_inclusive_and_held() {
        for Setting { name, min, max, .. } in SETTINGS {
            for n in [min, max] {
                assert!(
                    read("limits", &format!(r#"{{"{name}":{n}}}"#)).is_ok(),
                    "{name} {n}"
                );
            }
            let over = (max + 1).to_string();
            let under = min.checked_sub(1).map_or("-1".into(), |n| n.to_string());
            for n in [
                over.as_str(),
                under.as_str(),
                "1e3",
                "5000.5",
                "1e400",
                "99999999999999999999",
            ] {
                assert_eq!(
                    message(&format!(r#"{{"{name}":{n}}}"#)),
                    format!("limits.{name}: must be a whole number from {min} to {max}"),
                    "{n}"
                );
            }
            assert_eq!(
                message(&format!(r#"{{"{name}":"5000"}}"#)),
                format!("limits.{name}: must be a whole number from {min} to {max}, not a string")
            );
        }
    }

    #[test]
    fn unknown_limits_are_refused_with_the_nearest_name() {
        assert_eq!(
            message(r#"{"maxFlight":1}"#),
            r#"limits.maxFlight: unknown member; did you mean "maxFlights"?"#
        );
        assert_eq!(
            message(r#"{"max_cache_bytes":1}"#),
            r#"limits.max_cache_bytes: unknown member; did you mean "maxCacheBytes"?"#
        );
        assert_eq!(message("[]"), "limits: must be an object, not an array");
    }

    #[test]
    fn the_published_schema_says_the_same() {
        let schema = include_str!("../../leeward.schema.json");
        let dig = |path: &[&str]| {
            path.iter().fold(schema, |raw, name| {
                Members::parse(raw).unwrap().raw(name).unwrap()
            })
        };
        let names = Members::parse(dig(&["properties", "limits", "properties"])).unwrap();
        assert_eq!(names.iter().count(), SETTINGS.len());
        for Setting { name, min, max, set } in SETTINGS {
            let number =
                |word| json::unsigned(dig(&["properties", "limits", "properties", name, word])).unwrap();
            assert_eq!((number("minimum"), number("maximum")), (min, max), "{name}");
            let mut changed = Limits::default();
            set(&mut changed, number("default"));
            assert_eq!(changed, Limits::default(), "{name}");
        }
    }
}
