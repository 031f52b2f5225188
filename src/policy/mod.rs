//! Policy: what the operator says about tools and resources. The first matching rule wins.
//!
//! A rule's text is read by `rule` (which words mean what) on top of `item` (RFC 9651 syntax); `pattern` says to
//! which names a rule applies; `suggest` finds the word that a mistyped one was meant to be. Nothing here decides
//! what happens where no rule matches; the dispatcher does.

mod item;
mod pattern;
mod rule;
pub(crate) mod suggest;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::border::Millis;
use crate::error::{Code, Error};
use crate::limits::MAX_RULES;
use pattern::Pattern;

/// What a rule does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Forwarded, stores nothing, invalidates nothing.
    Live,
    /// Kept for `max-age`.
    Cache,
    /// Forwarded; stales what it may have touched, also on failure.
    Through,
    /// Refused here.
    Deny,
}

/// Who may share what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One partition.
    Private,
    /// Every caller of this replica.
    Public,
}

/// A rule: an RFC 9651 Item, a token with parameters.
///
/// | class | parameters |
/// |---|---|
/// | `cache` | `max-age`, `stale-while-revalidate`, `stale-if-error`: seconds, 0 to 86,400; `private` or `public`; `tags` |
/// | `through` | `tags` |
/// | `live`, `deny` | none |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What to do.
    pub class: Class,
    /// Freshness of what is stored; `None` follows the authority (lists and reads) or stores nothing. At most
    /// [`MAX_AGE`](crate::limits::MAX_AGE).
    pub max_age: Option<Millis>,
    /// How long after that a stale answer may be served while it is fetched again. At most
    /// [`MAX_AGE`](crate::limits::MAX_AGE).
    pub stale_while_revalidate: Millis,
    /// How long after that a stale answer may be served when the authority cannot be reached. At most
    /// [`MAX_AGE`](crate::limits::MAX_AGE).
    pub stale_if_error: Millis,
    /// `private` or `public`; `None` follows the authority, and is private for tools.
    pub scope: Option<Scope>,
    /// Tag templates, such as `repo:{owner}/{repo}`: visible ASCII without quotes and backslashes, braces paired
    /// around an argument's name; no two equal; at most [`MAX_TAGS`](crate::limits::MAX_TAGS) of
    /// [`MAX_TAG_BYTES`](crate::limits::MAX_TAG_BYTES) each.
    pub tags: Vec<String>,
}

/// All rules of a configuration, in order; at most [`MAX_RULES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    tools: Vec<Entry>,
    resources: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Its place in the configuration's `policy`.
    at: usize,
    pattern: Pattern,
    rule: Rule,
}

/// Why a rule cannot be added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The pattern is wrong, or can never match; one sentence.
    Pattern(Cow<'static, str>),
    /// The rule is wrong; one sentence.
    Rule(Cow<'static, str>),
    /// There are [`MAX_RULES`] rules already.
    Full,
}

impl Policy {
    /// The first rule for a tool.
    ///
    /// A rule costs a comparison of its literal beginning and end, and where these fit and it has more than one
    /// wildcard, at most `name.len()` times 512 steps.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Rule> {
        first(&self.tools, name)
    }

    /// The first rule for a resource. Costs as [`Policy::tool`].
    #[must_use]
    pub fn resource(&self, uri: &str) -> Option<&Rule> {
        first(&self.resources, uri)
    }

    /// Adds a rule for tools whose name is `pattern`, or matches it as a glob: `*` takes any characters or none,
    /// `?` takes one.
    ///
    /// # Errors
    /// A bad pattern or rule; a `cache` rule without `max-age`; a pattern that an earlier rule surely covers, so
    /// that it can never match; one rule too many.
    pub fn add_tool(&mut self, pattern: &str, rule: &str) -> Result<(), Fault> {
        let at = self.room()?;
        let pattern = Pattern::tool(pattern).map_err(Fault::pattern)?;
        let rule = tool_rule(rule).map_err(Fault::rule)?;
        add(&mut self.tools, Entry { at, pattern, rule })
    }

    /// Adds a rule for resources whose URI is `pattern` or matches it: as a URI template, where `{x}` takes one
    /// or more characters except `/`, `{+x}` one or more characters, and `{/x}` is `/{x}` (RFC 6570, sections
    /// 3.2.2, 3.2.3 and 3.2.6; anything else of it is refused); or as a glob with `*`.
    ///
    /// # Errors
    /// As [`Policy::add_tool`], save that `cache` needs no `max-age`: it then follows the authority.
    pub fn add_resource(&mut self, pattern: &str, rule: &str) -> Result<(), Fault> {
        let at = self.room()?;
        let pattern = Pattern::resource(pattern).map_err(Fault::pattern)?;
        let rule = rule::parse(rule).map_err(Fault::rule)?;
        add(&mut self.resources, Entry { at, pattern, rule })
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tools.len() + self.resources.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn room(&self) -> Result<usize, Fault> {
        let at = self.len();
        if at < MAX_RULES { Ok(at) } else { Err(Fault::Full) }
    }
}

impl Fault {
    fn pattern(message: String) -> Self {
        Self::Pattern(message.into())
    }

    fn rule(message: String) -> Self {
        Self::Rule(message.into())
    }
}

fn first<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Rule> {
    entries
        .iter()
        .find(|entry| entry.pattern.matches(name))
        .map(|entry| &entry.rule)
}

fn add(entries: &mut Vec<Entry>, entry: Entry) -> Result<(), Fault> {
    if let Some(earlier) = entries
        .iter()
        .find(|earlier| earlier.pattern.covers(&entry.pattern))
    {
        let at = earlier.at;
        return Err(Fault::pattern(if earlier.pattern == entry.pattern {
            format!("can never match: policy[{at}] has the same pattern")
        } else {
            let text = suggest::excerpt(earlier.pattern.as_str());
            format!(r#"can never match: policy[{at}] ("{text}") covers all of it"#)
        }));
    }
    entries.push(entry);
    Ok(())
}

/// A tool's result tells no lifetime that `cache` could follow (2026-07-28, server/utilities/caching: `tools/call` is
/// not cacheable).
fn tool_rule(text: &str) -> Result<Rule, String> {
    let rule = rule::parse(text)?;
    if rule.class == Class::Cache && rule.max_age.is_none() {
        return Err(
            r#""cache" needs max-age for a tool, such as "cache;max-age=60": tools tell no lifetime"#.into(),
        );
    }
    Ok(rule)
}

impl Rule {
    /// Parses `cache;max-age=60;private`. That `cache` needs `max-age` for a tool, [`Policy::add_tool`] checks.
    ///
    /// Spaces around the whole and after each `;` are ignored; case matters; the order of parameters does not.
    ///
    /// # Errors
    /// `config_invalid` with `data.field` `rule` and a message that names what is wrong: bad syntax, with the
    /// place; an unknown class or parameter, with the nearest known word; a parameter that stands twice, or that
    /// the class does not take; a value of the wrong kind; seconds below 0 or over 24 hours; `private` together
    /// with `public`; a bad tag. `queue` is known, but needs a durable store, which this version does not have.
    pub fn parse(text: &str) -> Result<Self, Error> {
        rule::parse(text).map_err(|message| {
            Error::new(Code::ConfigInvalid, format!("rule: {message}")).with("field", "rule")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(rule: Option<&Rule>) -> Option<Class> {
        rule.map(|rule| rule.class)
    }

    #[test]
    fn the_first_matching_rule_wins() {
        let mut policy = Policy::default();
        policy.add_tool("get_secret", "deny").unwrap();
        policy.add_tool("get_*", "cache;max-age=60").unwrap();
        policy.add_resource("x://{id}", "cache").unwrap();
        policy.add_tool("*", "live").unwrap();
        policy.add_resource("x://*", "through").unwrap();
        assert_eq!(class(policy.tool("get_secret")), Some(Class::Deny));
        assert_eq!(class(policy.tool("get_user")), Some(Class::Cache));
        assert_eq!(class(policy.tool("x://1")), Some(Class::Live));
        assert_eq!(class(policy.resource("x://1")), Some(Class::Cache));
        assert_eq!(class(policy.resource("x://1/2")), Some(Class::Through));
        assert_eq!(class(policy.resource("get_user")), None);
        assert_eq!(policy.len(), 5);
        assert!(Policy::default().is_empty());
        assert!(Policy::default().tool("a").is_none());
    }

    #[test]
    fn a_rule_that_can_never_match_is_refused() {
        let mut policy = Policy::default();
        policy.add_resource("x://a", "live").unwrap();
        policy.add_tool("get_*", "live").unwrap();
        for (pattern, message) in [
            ("get_*", "can never match: policy[1] has the same pattern"),
            (
                "get_user",
                r#"can never match: policy[1] ("get_*") covers all of it"#,
            ),
            (
                "get_a*b",
                r#"can never match: policy[1] ("get_*") covers all of it"#,
            ),
        ] {
            assert_eq!(
                policy.add_tool(pattern, "deny"),
                Err(Fault::Pattern(message.into()))
            );
        }
        // Resources and tools do not cover each other.
        policy.add_resource("get_user", "live").unwrap();
        policy.add_tool("*", "live").unwrap();
        assert!(matches!(policy.add_tool("put", "live"), Err(Fault::Pattern(_))));
        assert_eq!(policy.len(), 4);
    }

    #[test]
    fn cache_needs_max_age_for_a_tool_only() {
        let mut policy = Policy::default();
        assert!(
            matches!(policy.add_tool("a", "cache;private"), Err(Fault::Rule(m)) if m.contains("needs max-age"))
        );
        policy.add_resource("a:b", "cache;private").unwrap();
        assert!(Rule::parse("cache").is_ok());
    }

    #[test]
    fn errors_name_the_field() {
        let error = Rule::parse("cache;max_age=60").unwrap_err();
        assert_eq!(error.code, Code::ConfigInvalid);
        assert_eq!(
            error.message,
            r#"rule: unknown parameter "max_age"; did you mean "max-age"?"#
        );
        assert_eq!(error.data, r#""field":"rule""#);
        let mut policy = Policy::default();
        assert!(matches!(policy.add_tool("", "live"), Err(Fault::Pattern(_))));
        assert!(matches!(policy.add_resource("a:b", "lve"), Err(Fault::Rule(_))));
    }

    #[test]
    fn holds_the_most_rules_and_no_more() {
        let mut policy = Policy::default();
        for n in 0..MAX_RULES {
            policy.add_tool(&format!("tool_{n}"), "live").unwrap();
        }
        assert_eq!(policy.add_tool("one_more", "live"), Err(Fault::Full));
        assert_eq!(policy.add_resource("a:b", "live"), Err(Fault::Full));
    }
}
