//! "Did you mean": the known word nearest to a mistyped one.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Longest word that is compared, in bytes; bounds the work at its square per candidate.
const MAX_WORD_BYTES: usize = 48;

/// The candidate nearest to `word`: equal but for case, `-` and `_`, or at most two edits away (one for words of
/// up to three letters). The first one wins a tie.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.len() > MAX_WORD_BYTES {
        return None;
    }
    let plain = letters(word);
    let reach = if plain.len() <= 3 { 1 } else { 2 };
    candidates
        .into_iter()
        .map(|candidate| (distance(&plain, &letters(candidate)), candidate))
        .filter(|(edits, _)| *edits <= reach)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "x"?`, or nothing.
pub(crate) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!(r#"; did you mean "{near}"?"#))
}

/// A word as an error message shows it: at most 64 characters, control characters replaced.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 64;
    let mut out: String = text
        .chars()
        .take(MAX_CHARS)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        out.push('\u{2026}');
    }
    out
}

fn letters(word: &str) -> Vec<char> {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Levenshtein's distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, x) in a.iter().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, y) in cells.zip(b) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 4] = ["max-age", "live", "deny", "maxFlights"];

    #[test]
    fn finds_the_nearest_word() {
        for (typed, meant) in [
            ("max_age", "max-age"),
            ("MaxAge", "max-age"),
            ("maxage", "max-age"),
            ("lvie", "live"),
            ("dney", "deny"),
            ("max-flights", "maxFlights"),
            ("maxFlight", "maxFlights"),
        ] {
            assert_eq!(nearest(typed, WORDS), Some(meant), "{typed}");
        }
    }

    #[test]
    fn stays_silent_when_nothing_is_near() {
        for typed in ["", "a", "through", "ax", &"x".repeat(100)] {
            assert_eq!(nearest(typed, WORDS), None, "{typed}");
        }
        assert_eq!(hint("through", WORDS), "");
        assert_eq!(hint("lve", WORDS), r#"; did you mean "live"?"#);
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt("a\nb"), "a\u{fffd}b");
        assert_eq!(excerpt(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(excerpt(&"é".repeat(65)).chars().count(), 65);
    }
}
