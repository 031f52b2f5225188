//! What an agent may ask to be told of (2026-07-28, Patterns, Subscriptions).

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
/// The member that names tasks (SEP-2663, Task Status Notifications).
const TASK_IDS: &str = "taskIds";

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
        Self::ALL.iter().copied().find(|change| change.method() == method)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
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

/// The kinds of which there is one list each.
pub const LISTS: [Change; 3] = [Change::Tools, Change::Prompts, Change::Resources];

/// A `SubscriptionFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// A bit per kind.
    kinds: u8,
    /// At most [`MAX_SUBSCRIBED`], no two alike.
    uris: Vec<String>,
    /// Likewise.
    tasks: Vec<String>,
}

impl Filter {
    /// Reads a raw filter. Members that this revision does not know are left out.
    ///
    /// # Errors
    /// `invalid_params` if it is no object, has repeated members, a member of the wrong type, or more than
    /// [`MAX_SUBSCRIBED`] resources or tasks.
    pub fn parse(raw: &str) -> Result<Self, Error> {
        let wrong = || Error::new(Code::InvalidParams, WRONG);
        let members = Members::parse(raw)
            .filter(|members| !members.has_duplicates())
            .ok_or_else(wrong)?;
        let mut filter = Self::default();
        for list in &LISTS {
            match members.raw(list.member()) {
                None | Some("false") => {}
                Some("true") => filter.kinds |= list.bit(),
                Some(_) => return Err(wrong()),
            }
        }
        filter.uris = names(&members, RESOURCES).ok_or_else(wrong)?;
        if !filter.uris.is_empty() {
            filter.kinds |= Change::Resource.bit();
        }
        filter.tasks = names(&members, TASK_IDS).ok_or_else(wrong)?;
        Ok(filter)
    }

    /// Every list, and some resources: at most [`MAX_SUBSCRIBED`], no two alike.
    #[must_use]
    pub fn everything(uris: Vec<String>) -> Self {
        let mut filter = Self {
            uris,
            ..Self::default()
        };
        for list in &LISTS {
            filter.kinds |= list.bit();
        }
        if !filter.uris.is_empty() {
            filter.kinds |= Change::Resource.bit();
        }
        filter
    }

    /// Leaves what another asks for too.
    pub fn limit(&mut self, other: &Self) {
        self.uris.retain(|uri| other.uris.contains(uri));
        self.tasks.retain(|id| other.tasks.contains(id));
        self.kinds &= other.kinds;
        if self.uris.is_empty() {
            self.kinds &= !Change::Resource.bit();
        }
    }

    /// Whether it asks for all that another asks for.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let has = |ours: &[String], theirs: &[String]| theirs.iter().all(|name| ours.contains(name));
        other.kinds & !self.kinds == 0 && has(&self.uris, &other.uris) && has(&self.tasks, &other.tasks)
    }

    /// Whether it asks for a kind of change at all.
    #[must_use]
    pub const fn wants(&self, change: Change) -> bool {
        self.kinds & change.bit() != 0
    }

    /// The resources that it names.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// The tasks that it names.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.tasks
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
        for list in LISTS.iter().filter(|list| self.wants(**list)) {
            push_member(&mut out, list.member(), "true");
        }
        for (member, names) in [(RESOURCES, &self.uris), (TASK_IDS, &self.tasks)] {
            if names.is_empty() {
                continue;
            }
            let mut list = String::from("[");
            for name in names {
                if list.len() > 1 {
                    list.push(',');
                }
                json::push_string(&mut list, name);
            }
            list.push(']');
            push_member(&mut out, member, &list);
        }
        out.insert(0, '{');
        out.push('}');
        out
    }
}

const WRONG: &str = "params.notifications must be an object of booleans, and resourceSubscriptions and taskIds in it at most 256 strings of 1 to 8192 bytes, no member twice";

/// The texts of a list, each once. `None` if it is no such list, or too long.
fn names(members: &Members<'_>, member: &str) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for raw in json::elements(members.raw(member).unwrap_or("[]"))? {
        let name = json::string(raw)?;
        if names.iter().any(|known| *known == name) {
            continue;
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES || names.len() == MAX_SUBSCRIBED {
            return None;
        }
        names.push(name.into_owned());
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn parse(raw: &str) -> Filter {
        Filter::parse(raw).unwrap()
    }

    #[test]
    fn keeps_what_it_knows_and_writes_it_back() {
        let filter = parse(
            r#"{"promptsListChanged":false,"toolsListChanged":true,"x":1,"taskIds":["1","2","1"],"resourceSubscriptions":["a:\u0031","a:1","b:\""]}"#,
        );
        assert_eq!(
            filter.to_json(),
            r#"{"toolsListChanged":true,"resourceSubscriptions":["a:1","b:\""],"taskIds":["1","2"]}"#
        );
        assert_eq!(parse(&filter.to_json()), filter);
        assert_eq!(parse("{}").to_json(), "{}");
        assert_eq!(parse(r#"{"resourceSubscriptions":[]}"#).to_json(), "{}");
        let other = parse(
            r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a:1","c:"],"taskIds":["2","3"]}"#,
        );
        let mut both = filter.clone();
        both.limit(&other);
        assert!(
            other.covers(&both) && filter.covers(&both) && !both.covers(&filter) && !other.covers(&filter)
        );
        assert_eq!(
            both.to_json(),
            r#"{"toolsListChanged":true,"resourceSubscriptions":["a:1"],"taskIds":["2"]}"#
        );
        assert!(both.wants(Change::Tools) && both.wants(Change::Resource) && !both.wants(Change::Prompts));
        both.limit(&parse(r#"{"toolsListChanged":true}"#));
        assert!(!both.wants(Change::Resource));
    }

    #[test]
    fn refuses_what_is_no_filter() {
        let many = |member: &str, count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("\"a:{n}\"")).collect();
            format!(r#"{{"{member}":[{}]}}"#, names.join(","))
        };
        assert_eq!(
            parse(&many(RESOURCES, MAX_SUBSCRIBED)).uris().len(),
            MAX_SUBSCRIBED
        );
        assert_eq!(
            parse(&many(TASK_IDS, MAX_SUBSCRIBED)).tasks().len(),
            MAX_SUBSCRIBED
        );
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
            &many(RESOURCES, MAX_SUBSCRIBED + 1),
            &many(TASK_IDS, MAX_SUBSCRIBED + 1),
            r#"{"taskIds":[1]}"#,
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
