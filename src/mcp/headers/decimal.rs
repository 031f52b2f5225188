//! Numbers as exact decimals, from their tokens: doubles would merge 9007199254740993 and …992.

use alloc::format;
use alloc::string::String;

/// The largest integer that a double holds exactly together with its neighbours: 2^53 - 1.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// `digits * 10^exponent`, negated if `negative`. Zero has no digits, exponent 0 and no sign, so that two decimals
/// are equal exactly if their fields are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without zeros at either end.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a JSON number (RFC 8259, section 6), leading zeros allowed. `None` for anything else, and for an
    /// exponent beyond 32 bits.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let (negative, token) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        let (mantissa, exponent) = match token.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, power(exponent)?),
            None => (token, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        if !is_digits(whole) || fraction.is_some_and(|fraction| !is_digits(fraction)) {
            return None;
        }
        let fraction = fraction.unwrap_or_default();
        let all = format!("{whole}{fraction}");
        let digits = all.trim_end_matches('0');
        let dropped = i64::try_from(all.len() - digits.len()).ok()?;
        let exponent = exponent - i64::try_from(fraction.len()).ok()? + dropped;
        let digits = digits.trim_start_matches('0');
        let zero = digits.is_empty();
        Some(Self {
            negative: negative && !zero,
            digits: digits.into(),
            exponent: if zero { 0 } else { exponent },
        })
    }

    /// Whether there is no fraction.
    pub(super) const fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// Its plain decimal form if this is an integer within ±(2^53 - 1).
    pub(super) fn safe_integer(&self) -> Option<String> {
        let zeros = usize::try_from(self.exponent).ok()?;
        if zeros > 16 || self.digits.len() > 16 {
            return None;
        }
        let magnitude = format!("0{}{}", self.digits, "0".repeat(zeros))
            .parse::<u64>()
            .ok()?;
        let sign = if self.negative { "-" } else { "" };
        (magnitude <= MAX_SAFE).then(|| format!("{sign}{magnitude}"))
    }
}

/// Whether a header value is a number in plain decimal form, such as `42`, `-7`, `42.0`.
pub(super) fn is_plain(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(text),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !is_digits(digits) {
        return None;
    }
    text.parse::<i32>().ok().map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(token: &str) -> Decimal {
        Decimal::parse(token).unwrap()
    }

    #[test]
    fn equal_numbers_are_equal_however_they_are_written() {
        for (a, b) in [
            ("42", "42.0"),
            ("42", "4.2e1"),
            ("100", "1E+2"),
            ("0", "-0.00e7"),
            ("-7", "-7.000"),
            ("0.5", "5e-1"),
            ("007", "7"),
        ] {
            assert_eq!(of(a), of(b), "{a} {b}");
        }
        for (a, b) in [
            ("9007199254740993", "9007199254740992"),
            ("1", "-1"),
            ("1", "10"),
            ("1", "0.1"),
            ("1e2147483647", "1e2147483646"),
        ] {
            assert_ne!(of(a), of(b), "{a} {b}");
        }
    }

    #[test]
    fn refuses_what_is_no_number() {
        for token in [
            "",
            "-",
            "+1",
            ".5",
            "5.",
            "1e",
            "1e+",
            "1e+-1",
            "1.2.3",
            "0x1",
            "NaN",
            "1 ",
            "1e99999999999",
            "--1",
        ] {
            assert_eq!(Decimal::parse(token), None, "{token}");
        }
    }

    #[test]
    fn safe_integers_have_a_plain_form() {
        for (token, plain) in [
            ("42", Some("42")),
            ("42.0", Some("42")),
            ("-4.2e1", Some("-42")),
            ("-0", Some("0")),
            ("9007199254740991", Some("9007199254740991")),
            ("-9007199254740991", Some("-9007199254740991")),
            ("9007199254740992", None),
            ("1e15", Some("1000000000000000")),
            ("1e16", None),
            ("1e2147483647", None),
            ("99999999999999999999", None),
            ("1.5", None),
        ] {
            assert_eq!(of(token).safe_integer().as_deref(), plain, "{token}");
        }
        assert!(of("1e400").is_integer());
        assert!(!of("1e-1").is_integer());
    }

    #[test]
    fn plain_form_has_no_exponent() {
        for (text, plain) in [
            ("42", true),
            ("-7.25", true),
            ("1e2", false),
            ("", false),
            ("-", false),
            ("4.", false),
            (" 4", false),
        ] {
            assert_eq!(is_plain(text), plain, "{text}");
        }
    }
}
