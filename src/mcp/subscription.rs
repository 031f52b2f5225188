//! What an agent may ask to be told of (2026-07-28, Patterns, Subscriptions).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::meta::push_member;
use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::limits::{MAX_NAME_BYTES, MAX_SUBSCRIBED};

/// The first message of a subscription: what the server agreed to tell.
pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// The member of a filter that names resources.
const RESOURCES: &str = "resourceSubscriptions";

/// A kind of change that a server tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The lists of resources and of resource templates.
    Resources,
    /// What a resource holds.
    Resource,
}

impl Change {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Resource];

    /// The notification of it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources => "notifications/resources/list_changed",
            Self::Resource => "notifications/resources/updated",
        }
    }

    /// The change that a notification tells of.
    #[must_use]
    pub fn of(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.method() == method)
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Tools => "toolsListChanged",
            Self::Prompts => "promptsListChanged",
            Self::Resources => "resourcesListChanged",
            Self::Resource => RESOURCES,
        }
    }
}

/// A `SubscriptionFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tools, prompts, resources.
    lists: [bool; 3],
    /// At most [`MAX_SUBSCRIBED`], no two alike.
    pub uris: Vec<String>,
}

/// The kinds of which there is one list each.
pub const LISTS: [Change; 3] = [Change::Tools, Change::Prompts, Change::Resources];

impl Filter {
    /// Reads a raw filter. Members that this revision does not know are left out.
    ///
    /// # Errors
    /// `invalid_params` if it is no object, has repeated members, a member of the wrong type, or more than
    /// [`MAX_SUBSCRIBED`] resources.
    pub fn parse(raw: &str) -> Result<Self, Error> {
        let invalid = |message: Cow<'static, str>| Error::new(Code::InvalidParams, message);
        let members = Members::parse(raw)
            .filter(|members| !members.has_duplicates())
            .ok_or_else(|| {
                invalid("params.notifications must be an object without repeated members".into())
            })?;
        let mut filter = Self::default();
        for (wanted, change) in filter.lists.iter_mut().zip(LISTS) {
            *wanted = match members.raw(change.member()) {
                None | Some("false") => false,
                Some("true") => true,
                Some(_) => {
                    let member = change.member();
                    return Err(invalid(
                        format!("params.notifications.{member} must be a boolean").into(),
                    ));
                }
            };
        }
        let Some(raw) = members.raw(RESOURCES) else {
            return Ok(filter);
        };
        let wrong = || {
            let text = format!(
                "params.notifications.{RESOURCES} must have at most {MAX_SUBSCRIBED} URIs of 1 to {MAX_NAME_BYTES} bytes"
            );
            invalid(text.into())
        };
        for raw in json::elements(raw).ok_or_else(wrong)? {
            let uri = json::string(raw)
                .filter(|uri| !uri.is_empty() && uri.len() <= MAX_NAME_BYTES)
                .ok_or_else(wrong)?;
            if filter.uris.iter().any(|known| *known == uri) {
                continue;
            }
            if filter.uris.len() == MAX_SUBSCRIBED {
                return Err(wrong());
            }
            filter.uris.push(uri.into_owned());
        }
        Ok(filter)
    }

    /// What both ask for.
    #[must_use]
    pub fn within(mut self, other: &Self) -> Self {
        for (wanted, also) in self.lists.iter_mut().zip(other.lists) {
            *wanted &= also;
        }
        self.uris.retain(|uri| other.uris.contains(uri));
        self
    }

    /// Whether it asks for a kind of change at all.
    #[must_use]
    pub fn wants(&self, change: Change) -> bool {
        match change {
            Change::Resource => !self.uris.is_empty(),
            list => LISTS
                .iter()
                .zip(self.lists)
                .any(|(known, wanted)| *known == list && wanted),
        }
    }

    /// Whether it asks for news of this resource: one that it names, or a part of one (2026-07-28, Schema,
    /// `ResourceUpdatedNotificationParams`).
    #[must_use]
    pub fn names(&self, uri: &str) -> bool {
        self.uris.iter().any(|known| {
            uri.strip_prefix(known.as_str()).is_some_and(|rest| {
                rest.is_empty() || known.ends_with('/') || rest.starts_with(['/', '?', '#'])
            })
        })
    }

    /// The filter as a raw JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        for change in LISTS.into_iter().filter(|change| self.wants(*change)) {
            push_member(&mut out, change.member(), "true");
        }
        if !self.uris.is_empty() {
            let mut list = String::from("[");
            for uri in &self.uris {
                if list.len() > 1 {
                    list.push(',');
                }
                json::push_string(&mut list, uri);
            }
            list.push(']');
            push_member(&mut out, RESOURCES, &list);
        }
        format!("{{{out}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Filter {
        Filter::parse(raw).unwrap()
    }

    #[test]
    fn keeps_what_it_knows_and_writes_it_back() {
        let filter = parse(
            r#"{"promptsListChanged":false,"toolsListChanged":true,"taskIds":["1"],"resourceSubscriptions":["a:\u0031","a:1","b:\""]}"#,
        );
        assert_eq!(
            filter.to_json(),
            r#"{"toolsListChanged":true,"resourceSubscriptions":["a:1","b:\""]}"#
        );
        assert_eq!(parse(&filter.to_json()), filter);
        assert_eq!(parse("{}").to_json(), "{}");
        assert_eq!(parse(r#"{"resourceSubscriptions":[]}"#).to_json(), "{}");
        let both = filter.within(&parse(
            r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a:1","c:"]}"#,
        ));
        assert_eq!(
            both.to_json(),
            r#"{"toolsListChanged":true,"resourceSubscriptions":["a:1"]}"#
        );
        assert!(both.wants(Change::Tools) && both.wants(Change::Resource) && !both.wants(Change::Prompts));
    }

    #[test]
    fn refuses_what_is_no_filter() {
        let many = |count: usize| {
            let uris: Vec<String> = (0..count).map(|n| format!("\"a:{n}\"")).collect();
            format!(r#"{{"resourceSubscriptions":[{}]}}"#, uris.join(","))
        };
        assert_eq!(parse(&many(MAX_SUBSCRIBED)).uris.len(), MAX_SUBSCRIBED);
        let long = format!(
            r#"{{"resourceSubscriptions":["{}"]}}"#,
            "x".repeat(MAX_NAME_BYTES + 1)
        );
        for raw in [
            "[]",
            "true",
            r#"{"toolsListChanged":1}"#,
            r#"{"toolsListChanged":"true"}"#,
            r#"{"toolsListChanged":null}"#,
            r#"{"toolsListChanged":true,"toolsListChanged":true}"#,
            r#"{"resourceSubscriptions":"a:1"}"#,
            r#"{"resourceSubscriptions":[1]}"#,
            r#"{"resourceSubscriptions":[""]}"#,
            &long,
            &many(MAX_SUBSCRIBED + 1),
        ] {
            assert_eq!(
                Filter::parse(raw).unwrap_err().code,
                Code::InvalidParams,
                "{raw:.80}"
            );
        }
    }

    #[test]
    fn names_a_resource_and_its_parts() {
        let filter = parse(r#"{"resourceSubscriptions":["file:///a","db://t/"]}"#);
        for uri in ["file:///a", "file:///a/b", "file:///a#x", "db://t/", "db://t/1"] {
            assert!(filter.names(uri), "{uri}");
        }
        for uri in ["file:///ab", "file:///", "db://t", ""] {
            assert!(!filter.names(uri), "{uri}");
        }
    }
}
