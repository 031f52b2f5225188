//! Patterns for tool names and resource URIs, and how they match.
//!
//! Matching runs all alternatives at once instead of trying them one after another, so a name costs at most
//! `name length * pattern length` steps, whatever the pattern; it neither recurses nor allocates. Names come
//! from an agent and may be hostile; patterns come from the operator.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::suggest::excerpt;
use crate::limits::{MAX_NAME_BYTES, MAX_PATTERN_BYTES};

/// What a rule applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// The very name.
    Exact(String),
    /// `prefix`, then what `middle` takes, then `suffix`.
    Wild(Wild),
}

/// A pattern with at least one wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wild {
    text: String,
    prefix: String,
    /// Begins and ends with a wildcard; 1 to [`MAX_PATTERN_BYTES`] pieces.
    middle: Vec<Piece>,
    suffix: String,
}

/// What takes a part of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// This character.
    Char(char),
    /// `?` of a tool pattern: any one character.
    One,
    /// `*`: any characters, or none.
    Any,
    /// `{x}`: one or more characters except `/`.
    Segment,
    /// `{+x}`: one or more characters.
    Path,
}

impl Pattern {
    /// A tool's name, or a glob: `*` takes any characters or none, `?` takes one; nothing else is special.
    pub(super) fn tool(text: &str) -> Result<Self, String> {
        check(text)?;
        let pieces = text.chars().map(|c| match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            c => Piece::Char(c),
        });
        Self::new(text, pieces.collect())
    }

    /// A resource's URI, a URI template, or a glob with `*` (`?` stands for itself: it begins a URI's query).
    ///
    /// Of URI templates (RFC 6570) the simple ones: `{x}` (level 1) takes one or more characters except `/`,
    /// `{+x}` one or more characters, `{/x}` a `/` and a `{x}`. Other operators, lists and modifiers are refused.
    pub(super) fn resource(text: &str) -> Result<Self, String> {
        check(text)?;
        // As the schema's `\s`: a byte order mark is white space too, and nobody sees it.
        if text.contains(|c: char| c.is_whitespace() || c == '\u{feff}') {
            return Err("a URI has no white space".into());
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = match c {
                '{' => expression(rest, &mut pieces)?,
                '}' => return Err(r#"a "}" has no "{" before it"#.into()),
                c => {
                    pieces.push(if c == '*' { Piece::Any } else { Piece::Char(c) });
                    rest.strip_prefix(c).unwrap_or_default()
                }
            };
        }
        Self::new(text, pieces)
    }

    fn new(text: &str, mut pieces: Vec<Piece>) -> Result<Self, String> {
        pieces.dedup_by(|a, b| *a == Piece::Any && *b == Piece::Any);
        let literal = |piece: &Piece| match piece {
            Piece::Char(c) => Some(*c),
            _ => None,
        };
        let prefix: String = pieces.iter().map_while(literal).collect();
        let head = prefix.chars().count();
        if head == pieces.len() {
            return Ok(Self::Exact(prefix));
        }
        if text.len() > MAX_PATTERN_BYTES {
            return Err(format!(
                "a pattern with wildcards has at most {MAX_PATTERN_BYTES} bytes"
            ));
        }
        let mut suffix: Vec<char> = pieces.iter().rev().map_while(literal).collect();
        suffix.reverse();
        let middle = pieces
            .get(head..pieces.len() - suffix.len())
            .unwrap_or_default()
            .to_vec();
        Ok(Self::Wild(Wild {
            text: text.into(),
            prefix,
            middle,
            suffix: suffix.into_iter().collect(),
        }))
    }

    /// As the operator wrote it.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Exact(name) => name,
            Self::Wild(wild) => &wild.text,
        }
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Wild(wild) => wild.matches(name),
        }
    }

    /// Whether everything that `other` matches is matched here too. True only where that is certain: each piece
    /// of `other` is then taken by one piece here that takes all it can stand for. False may mean "unknown".
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Exact(_), Self::Wild(_)) => false,
            (Self::Wild(ours), Self::Wild(theirs)) => ours.covers(theirs),
        }
    }
}

impl Wild {
    fn matches(&self, name: &str) -> bool {
        let inner = name
            .strip_prefix(self.prefix.as_str())
            .and_then(|rest| rest.strip_suffix(self.suffix.as_str()));
        let Some(inner) = inner else { return false };
        match self.middle.as_slice() {
            [Piece::Any] => true,
            [Piece::Path] => !inner.is_empty(),
            [Piece::Segment] => !inner.is_empty() && !inner.contains('/'),
            pieces => accepts(
                pieces,
                inner.chars().map(Piece::Char),
                &mut [false; MAX_PATTERN_BYTES],
            ),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let Some(prefix) = other.prefix.strip_prefix(self.prefix.as_str()) else {
            return false;
        };
        let Some(suffix) = other.suffix.strip_suffix(self.suffix.as_str()) else {
            return false;
        };
        let symbols = prefix
            .chars()
            .map(Piece::Char)
            .chain(other.middle.iter().copied())
            .chain(suffix.chars().map(Piece::Char));
        accepts(&self.middle, symbols, &mut [false; MAX_PATTERN_BYTES])
    }
}

/// Whether `pieces` take all `symbols`: characters of a name, or the pieces of another pattern. `states` holds
/// false and has at least `pieces.len()` places; place `n` says that `pieces[..=n]` take the symbols so far.
fn accepts(pieces: &[Piece], symbols: impl Iterator<Item = Piece>, states: &mut [bool]) -> bool {
    let mut reached = true;
    for (piece, state) in pieces.iter().zip(&mut *states) {
        *state = reached && *piece == Piece::Any;
        reached = *state;
    }
    // Whether no piece at all takes the symbols so far: true until there is a symbol.
    let mut nothing = true;
    for symbol in symbols {
        let mut before = nothing;
        let mut after = false;
        let mut alive = false;
        for (piece, state) in pieces.iter().zip(&mut *states) {
            let was = *state;
            *state = match piece {
                // `was` includes `before`, for `*` may take nothing.
                Piece::Any => was || after,
                Piece::Char(_) | Piece::One => before && piece.begins(symbol),
                Piece::Segment | Piece::Path => {
                    (before && piece.begins(symbol)) || (was && piece.goes_on(symbol))
                }
            };
            before = was;
            after = *state;
            alive |= after;
        }
        nothing = false;
        reached = after;
        if !alive {
            return false;
        }
    }
    reached
}

impl Piece {
    /// Whether this piece may take all that `symbol` stands for, as its first.
    fn begins(self, symbol: Self) -> bool {
        match self {
            Self::Char(_) => self == symbol,
            Self::One => matches!(symbol, Self::Char(_) | Self::One),
            Self::Any => true,
            Self::Segment => symbol == Self::Segment || matches!(symbol, Self::Char(c) if c != '/'),
            // `*` may stand for nothing, which is not enough for a first.
            Self::Path => symbol != Self::Any,
        }
    }

    /// The same once it has taken something.
    fn goes_on(self, symbol: Self) -> bool {
        match self {
            Self::Any | Self::Path => true,
            Self::Segment => self.begins(symbol),
            Self::Char(_) | Self::One => false,
        }
    }
}

fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".into());
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("has at most {MAX_NAME_BYTES} bytes"));
    }
    match text.chars().position(char::is_control) {
        None => Ok(()),
        Some(at) => Err(format!("has a control character, at character {}", at + 1)),
    }
}

/// Reads `{x}`, `{+x}` or `{/x}` at the start of `text`; returns what follows.
fn expression<'a>(text: &'a str, pieces: &mut Vec<Piece>) -> Result<&'a str, String> {
    let Some((inner, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else {
        return Err(r#"a "{" has no "}" after it"#.into());
    };
    let (operator, name) = match inner.strip_prefix(['+', '/']) {
        Some(name) => (inner.chars().next(), name),
        None => (None, inner),
    };
    // RFC 6570, section 2.3: words joined by single dots; percent-encoded names are refused.
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !name.split('.').all(word) {
        let shown = excerpt(inner);
        return Err(format!(
            r#""{{{shown}}}" is no variable that can be matched; write {{name}}, {{+name}}, {{/name}}, or "*""#
        ));
    }
    match operator {
        Some('/') => pieces.extend([Piece::Char('/'), Piece::Segment]),
        Some(_) => pieces.push(Piece::Path),
        None => pieces.push(Piece::Segment),
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(text: &str) -> Pattern {
        Pattern::tool(text).unwrap()
    }

    fn resource(text: &str) -> Pattern {
        Pattern::resource(text).unwrap()
    }

    #[test]
    fn tools_match_exactly_or_by_glob() {
        for (pattern, yes, no) in [
            ("get_user", &["get_user"][..], &["get_users", "Get_user", ""][..]),
            ("*", &["", "a", "a/b"], &[]),
            ("get_*", &["get_", "get_a_b"], &["get", "forget_"]),
            ("*_get", &["_get", "a_get"], &["a_get_"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("a*b*c", &["abc", "axbxc", "abbcc"], &["acb", "ab", "abcd"]),
            ("*ab*ab*", &["abab", "xabyabz"], &["ab", "aab"]),
            ("**x**", &["x", "axb"], &[""]),
            ("?", &["a", "é"], &["", "ab"]),
            ("a?c*", &["abc", "a/cd"], &["ac", "abd"]),
            ("?*", &["a", "ab"], &[""]),
            ("[a]{b}", &["[a]{b}"], &["a", "ab"]),
        ] {
            let pattern = tool(pattern);
            for name in yes {
                assert!(pattern.matches(name), "{pattern:?} {name}");
            }
            for name in no {
                assert!(!pattern.matches(name), "{pattern:?} {name}");
            }
        }
    }

    #[test]
    fn resources_match_by_template_or_glob() {
        for (pattern, yes, no) in [
            ("a://b?c=1", &["a://b?c=1"][..], &["a://bxc=1"][..]),
            (
                "test://template/{id}/data",
                &["test://template/1/data", "test://template/a%2Fb/data"],
                &[
                    "test://template//data",
                    "test://template/a/b/data",
                    "test://template/1/data/",
                ],
            ),
            ("file:///{+path}", &["file:///a", "file:///a/b"], &["file:///"]),
            (
                "x://a{/id}",
                &["x://a/1"],
                &["x://a", "x://a/", "x://a1", "x://a/1/2"],
            ),
            ("x://*", &["x://", "x://a/b"], &["y://"]),
            (
                "x://{a}-{b}",
                &["x://1-2", "x://1-2-3"],
                &["x://-2", "x://1-", "x://1/-2"],
            ),
            (
                "x://{+p}a{y}b",
                &["x://1/2a3b", "x://1a/2a3b"],
                &["x://1a/2b", "x://ab"],
            ),
            ("x://{a}/*{b}", &["x://1/2", "x://1/a/b"], &["x://1/", "x://1/a/"]),
            ("{+x.y_1}", &["a:b"], &[""]),
        ] {
            let pattern = resource(pattern);
            for name in yes {
                assert!(pattern.matches(name), "{pattern:?} {name}");
            }
            for name in no {
                assert!(!pattern.matches(name), "{pattern:?} {name}");
            }
        }
    }

    #[test]
    fn hostile_names_cost_no_more_than_their_length_times_the_pattern() {
        let pattern = tool(&"a*".repeat(MAX_PATTERN_BYTES / 2 - 1).replace("a*a*a*", "*a?a*"));
        let name = "a".repeat(MAX_NAME_BYTES);
        assert!(pattern.matches(&name));
        assert!(!tool("*a*a*a*a*a*a*a*a*a*a*a*a*b*c").matches(&name));
    }

    #[test]
    fn covers_only_what_is_certain() {
        for (a, b) in [
            ("*", "anything"),
            ("*", "a?*b"),
            ("get_*", "get_user"),
            ("get_*", "get_user_*"),
            ("*_x", "a*_x"),
            ("a*c", "a*b*c"),
            ("a?c", "abc"),
            ("a?*", "a??"),
            ("a*", "a"),
            ("*a*", "*ba?"),
        ] {
            assert!(tool(a).covers(&tool(b)), "{a} covers {b}");
        }
        for (a, b) in [
            ("get_*", "get*"),
            ("get_user", "get_*"),
            ("a?", "a*"),
            ("?*", "*"),
            ("a*b", "a*"),
            ("a?c", "a??c"),
            ("*x*", "*"),
        ] {
            assert!(!tool(a).covers(&tool(b)), "{a} does not cover {b}");
        }
        for (a, b) in [
            ("x://{a}", "x://{b}"),
            ("x://{+a}", "x://{b}/c"),
            ("x://{+a}", "x://{b}{+c}"),
            ("x://{+a}", "x://b*"),
            ("x://*", "x://{+a}"),
            ("x://{a}", "x://1"),
            ("x://{a}/{b}", "x://1/{c}2"),
            ("x://{a}", "x://{a}{b}"),
        ] {
            assert!(resource(a).covers(&resource(b)), "{a} covers {b}");
        }
        for (a, b) in [
            ("x://{a}", "x://{+a}"),
            ("x://{a}", "x://a/b"),
            ("x://{a}", "x://*"),
            ("x://{+a}", "x://*"),
            ("x://{a}{b}", "x://{a}"),
        ] {
            assert!(!resource(a).covers(&resource(b)), "{a} does not cover {b}");
        }
    }

    /// Every claim of `covers` over a small world is true of every short name.
    #[test]
    fn covering_is_sound() {
        let mut texts: Vec<String> = Vec::new();
        let pieces = ["a", "/", "*", "{x}", "{+x}"];
        for a in pieces {
            texts.push(a.into());
            for b in pieces {
                texts.push(format!("{a}{b}"));
                for c in pieces {
                    texts.push(format!("{a}{b}{c}"));
                }
            }
        }
        let mut names = Vec::from([String::new()]);
        for at in 0.. {
            let Some(name) = names.get(at).filter(|name: &&String| name.len() < 5).cloned() else {
                break;
            };
            names.extend(["a", "/", "b"].map(|c| format!("{name}{c}")));
        }
        let patterns: Vec<_> = texts.iter().map(|text| resource(text)).collect();
        let languages: Vec<Vec<bool>> = patterns
            .iter()
            .map(|pattern| names.iter().map(|name| pattern.matches(name)).collect())
            .collect();
        let mut claims = 0;
        for (a, ours) in patterns.iter().zip(&languages) {
            for (b, theirs) in patterns.iter().zip(&languages) {
                if a.covers(b) {
                    claims += 1;
                    assert!(ours.iter().zip(theirs).all(|(x, y)| *x || !*y), "{a:?} {b:?}");
                }
            }
        }
        assert!(claims > patterns.len(), "{claims}");
    }

    /// The matcher agrees with the definition of its pieces, tried by brute force.
    #[test]
    fn matching_agrees_with_a_naive_matcher() {
        fn naive(pieces: &[Piece], name: &[char]) -> bool {
            let Some((piece, rest)) = pieces.split_first() else {
                return name.is_empty();
            };
            (0..=name.len()).any(|n| {
                let (taken, left) = name.split_at(n);
                let fits = match piece {
                    Piece::Char(c) => taken == [*c],
                    Piece::One => n == 1,
                    Piece::Any => true,
                    Piece::Segment => n > 0 && !taken.contains(&'/'),
                    Piece::Path => n > 0,
                };
                fits && naive(rest, left)
            })
        }
        let mut seed = 7_u32;
        let mut next = |n: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % n
        };
        let kinds = [
            Piece::Char('a'),
            Piece::Char('/'),
            Piece::One,
            Piece::Any,
            Piece::Segment,
            Piece::Path,
        ];
        for _ in 0..20_000 {
            let pieces: Vec<Piece> = (0..next(6)).map(|_| kinds[next(6) as usize]).collect();
            let name: Vec<char> = (0..next(7)).map(|_| ['a', '/', 'b'][next(3) as usize]).collect();
            let text: String = name.iter().collect();
            let pattern = Pattern::new("x", pieces.clone()).unwrap();
            assert_eq!(pattern.matches(&text), naive(&pieces, &name), "{pieces:?} {text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_matched() {
        for (text, message) in [
            ("", "must not be empty"),
            ("a\nb", "has a control character, at character 2"),
            ("a b", "a URI has no white space"),
            ("a\u{feff}b", "a URI has no white space"),
            ("x://{id", r#"a "{" has no "}" after it"#),
            ("x://id}", r#"a "}" has no "{" before it"#),
        ] {
            assert_eq!(Pattern::resource(text).unwrap_err(), message, "{text}");
        }
        for text in [
            "{}", "{+}", "{?q}", "{&q}", "{#f}", "{;x}", "{.x}", "{a.}", "{a..b}", "{a,b}", "{a*}", "{a:3}",
            "{a{b}}", "{é}",
        ] {
            let error = Pattern::resource(text).unwrap_err();
            assert!(
                error.contains("is no variable that can be matched"),
                "{text}: {error}"
            );
        }
        assert!(Pattern::tool("").is_err());
        assert!(Pattern::tool("a\u{7f}").is_err());
    }

    #[test]
    fn holds_the_limits() {
        let exact = "a".repeat(MAX_NAME_BYTES);
        assert!(tool(&exact).matches(&exact));
        assert_eq!(
            Pattern::tool(&format!("{exact}a")).unwrap_err(),
            "has at most 8192 bytes"
        );
        let wild = "a".repeat(MAX_PATTERN_BYTES - 1);
        assert!(tool(&format!("{wild}*")).matches(&wild));
        assert_eq!(
            Pattern::tool(&format!("{wild}a*")).unwrap_err(),
            "a pattern with wildcards has at most 512 bytes"
        );
        let ones = "?".repeat(MAX_PATTERN_BYTES);
        assert!(tool(&ones).matches(&"é".repeat(MAX_PATTERN_BYTES)));
    }
}
