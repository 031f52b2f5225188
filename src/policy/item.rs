//! An RFC 9651 Item whose bare item is a token: the syntax of a rule, `cache;max-age=60;private`.
//!
//! Strict on purpose: of the bare items that RFC 9651 allows as the value of a parameter (section 3.3), integers,
//! strings and a bare `true` (no value) are taken; and a parameter that stands twice is refused, where section
//! 4.2.3.2 lets the last one win, because in a rule written by hand it is a mistake. It does not know which words
//! mean something; [`super::rule`] does. Any input is safe: one pass, no recursion.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A token with its parameters, in order, names unique.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    /// The bare item (RFC 9651, section 3.3.4).
    pub(super) token: &'a str,
    /// Names and values.
    pub(super) parameters: Vec<(&'a str, Value)>,
}

/// The value of a parameter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// No value: boolean true (section 3.1.2).
    True,
    /// At most 15 digits (section 3.3.1).
    Integer(i64),
    /// Unescaped; printable ASCII (section 3.3.3).
    Text(String),
}

/// Parses a whole text (RFC 9651, sections 4.2 and 4.2.3).
///
/// # Errors
/// What was expected where; characters are counted from 1.
pub(super) fn parse(text: &str) -> Result<Item<'_>, String> {
    let mut input = Input { text, rest: text };
    input.skip_spaces();
    let token = input.token()?;
    let mut parameters: Vec<(&str, Value)> = Vec::new();
    while input.eat(';') {
        input.skip_spaces();
        let at = input.position();
        let key = input.key()?;
        if parameters.iter().any(|(known, _)| *known == key) {
            return Err(format!(r#"parameter "{key}" at character {at} is there twice"#));
        }
        let value = if input.eat('=') {
            input.value(key)?
        } else {
            Value::True
        };
        parameters.push((key, value));
    }
    let end = input.position();
    input.skip_spaces();
    match input.peek() {
        None => Ok(Item { token, parameters }),
        Some(';') => Err(format!(
            r#"no space may stand before the ";", but one does at character {end}"#
        )),
        Some(_) => Err(input.expected(r#"";" or the end"#)),
    }
}

struct Input<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Input<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes characters as long as they fit.
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// The number of the next character, from 1.
    fn position(&self) -> usize {
        1 + self.text.chars().count() - self.rest.chars().count()
    }

    fn expected(&self, what: &str) -> String {
        let at = self.position();
        match self.peek() {
            None => format!("expected {what} at character {at}, found the end"),
            Some(c) => format!("expected {what} at character {at}, found {c:?}"),
        }
    }

    /// Section 3.3.4: `( ALPHA / "*" ) *( tchar / ":" / "/" )`.
    fn token(&mut self) -> Result<&'a str, String> {
        if !self.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '*') {
            return Err(self.expected("a word"));
        }
        Ok(self.take_while(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c)))
    }

    /// Section 3.1.2: `( lcalpha / "*" ) *( lcalpha / DIGIT / "_" / "-" / "." / "*" )`.
    fn key(&mut self) -> Result<&'a str, String> {
        if !self.peek().is_some_and(|c| c.is_ascii_lowercase() || c == '*') {
            return Err(self.expected("a parameter name in lower case"));
        }
        Ok(self.take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c)))
    }

    fn value(&mut self, key: &str) -> Result<Value, String> {
        match self.peek() {
            Some('"') => self.string(),
            Some('-' | '0'..='9') => self.integer(key),
            Some('?') => Err(format!(r#"write "{key}" without a value instead of a boolean"#)),
            Some(c) if c.is_ascii_alphabetic() || c == '*' => Err(format!(
                r#"the text of "{key}" must stand in double quotes, at character {}"#,
                self.position()
            )),
            _ => Err(self.expected("a whole number or a text in double quotes")),
        }
    }

    /// Section 3.3.1: `["-"] 1*15DIGIT`.
    fn integer(&mut self, key: &str) -> Result<Value, String> {
        let at = self.position();
        let negative = self.eat('-');
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.expected("a digit"));
        }
        if self.peek() == Some('.') {
            return Err(format!(r#""{key}" must be a whole number, at character {at}"#));
        }
        let magnitude = (digits.len() <= 15).then(|| digits.parse::<i64>().ok()).flatten();
        match magnitude {
            Some(n) => Ok(Value::Integer(if negative { -n } else { n })),
            None => Err(format!(
                r#""{key}" has a number of more than 15 digits, at character {at}"#
            )),
        }
    }

    /// Section 3.3.3: printable ASCII in quotes; `\` escapes `"` and itself only.
    fn string(&mut self) -> Result<Value, String> {
        let start = self.position();
        let mut out = String::new();
        self.eat('"');
        loop {
            let run = self.take_while(|c| matches!(c, ' '..='~') && c != '"' && c != '\\');
            out.push_str(run);
            if self.eat('"') {
                return Ok(Value::Text(out));
            }
            if self.eat('\\') {
                match self.peek() {
                    Some(c @ ('"' | '\\')) => {
                        self.eat(c);
                        out.push(c);
                    }
                    _ => return Err(self.expected(r#"`"` or `\` after `\`"#)),
                }
                continue;
            }
            return Err(match self.peek() {
                None => format!("the text that begins at character {start} has no closing quote"),
                Some(_) => self.expected("printable ASCII").to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn error(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn reads_a_token_with_parameters() {
        let item = parse(r#"  cache;max-age=60; private;   tags="a\"b\\ {c}";n=-7;*x_1.y*  "#).unwrap();
        assert_eq!(item.token, "cache");
        assert_eq!(
            item.parameters,
            vec![
                ("max-age", Value::Integer(60)),
                ("private", Value::True),
                ("tags", Value::Text(r#"a"b\ {c}"#.into())),
                ("n", Value::Integer(-7)),
                ("*x_1.y*", Value::True),
            ]
        );
        assert_eq!(parse("*a:b/c!").unwrap().token, "*a:b/c!");
    }

    #[test]
    fn says_what_was_expected_where() {
        for (text, message) in [
            ("", "expected a word at character 1, found the end"),
            ("  ", "expected a word at character 3, found the end"),
            ("9", "expected a word at character 1, found '9'"),
            ("\tcache", r"expected a word at character 1, found '\t'"),
            ("ü", "expected a word at character 1, found 'ü'"),
            (
                "cache;",
                "expected a parameter name in lower case at character 7, found the end",
            ),
            (
                "cache; Max-age=1",
                "expected a parameter name in lower case at character 8, found 'M'",
            ),
            (
                "cache;;a",
                "expected a parameter name in lower case at character 7, found ';'",
            ),
            (
                "cache private",
                r#"expected ";" or the end at character 7, found 'p'"#,
            ),
            ("cacheé", r#"expected ";" or the end at character 6, found 'é'"#),
            (
                "cache ;private",
                r#"no space may stand before the ";", but one does at character 6"#,
            ),
            (
                "cache;a =1",
                r#"expected ";" or the end at character 9, found '='"#,
            ),
            (
                "cache;a=",
                "expected a whole number or a text in double quotes at character 9, found the end",
            ),
            (
                "cache;a= 1",
                "expected a whole number or a text in double quotes at character 9, found ' '",
            ),
            (
                "cache;a=:YQ==:",
                "expected a whole number or a text in double quotes at character 9, found ':'",
            ),
            (
                "cache;a=x",
                r#"the text of "a" must stand in double quotes, at character 9"#,
            ),
            (
                "cache;private=?1",
                r#"write "private" without a value instead of a boolean"#,
            ),
            ("cache;a=1.5", r#""a" must be a whole number, at character 9"#),
            ("cache;a=-", "expected a digit at character 10, found the end"),
            (
                "cache;a=1234567890123456",
                r#""a" has a number of more than 15 digits, at character 9"#,
            ),
            ("cache;a;b;a=1", r#"parameter "a" at character 11 is there twice"#),
            (
                r#"cache;a="b"#,
                "the text that begins at character 9 has no closing quote",
            ),
            (
                r#"cache;a="b\n""#,
                r#"expected `"` or `\` after `\` at character 12, found 'n'"#,
            ),
            (
                r#"cache;a="b\"#,
                r#"expected `"` or `\` after `\` at character 12, found the end"#,
            ),
            (
                r#"cache;a="é""#,
                "expected printable ASCII at character 10, found 'é'",
            ),
        ] {
            assert_eq!(error(text), message, "{text:?}");
        }
    }

    #[test]
    fn takes_the_longest_integer_and_no_longer() {
        let longest = parse("a;b=999999999999999").unwrap();
        assert_eq!(
            longest.parameters,
            vec![("b", Value::Integer(999_999_999_999_999))]
        );
        assert_eq!(
            parse("a;b=0007").unwrap().parameters,
            vec![("b", Value::Integer(7))]
        );
    }
}
