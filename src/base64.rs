//! Base64 (RFC 4648, section 4), strict: standard alphabet, padding required, unused bits zero, nothing else; and the
//! form of it that stands in URLs.

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends bytes as base64.
pub fn push(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place)) & 63;
            let letter = ALPHABET.get(sextet as usize).filter(|_| place <= chunk.len());
            out.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
}

/// Bytes in the alphabet for URLs, without padding (RFC 4648, section 5; RFC 7515, section 2).
#[must_use]
pub fn url(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    push(&mut out, bytes);
    out.chars()
        .filter(|letter| *letter != '=')
        .map(|letter| match letter {
            '+' => '-',
            '/' => '_',
            letter => letter,
        })
        .collect()
}

/// The bytes that base64 stands for; `None` if it is not strict.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text
        .strip_suffix("==")
        .or_else(|| text.strip_suffix('='))
        .unwrap_or(text);
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in chunk {
            bits = bits << 6 | sextet(*digit)?;
        }
        // A last chunk of 2 or 3 digits holds 1 or 2 bytes; the bits below them must be zero.
        let unused = match chunk.len() {
            4 => 0,
            3 => 2,
            2 => 4,
            _ => return None,
        };
        if bits & ((1 << unused) - 1) != 0 {
            return None;
        }
        let [_, bytes @ ..] = (bits >> unused).to_be_bytes();
        out.extend(bytes.iter().skip(4 - chunk.len()));
    }
    Some(out)
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_for_urls_has_no_padding_and_no_sign_that_urls_know() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"\xff", "_w"),
            (b"\xfb\xff", "-_8"),
            (b"\xfb\xff\xfe", "-__-"),
            (b"Hello", "SGVsbG8"),
        ] {
            assert_eq!(url(bytes), text);
        }
    }
}
