//! Classification: what policy makes of a validated request.

use crate::border::Millis;
use crate::cache::Windows;
use crate::error::{Code, Error};
use crate::mcp::result::Parts;
use crate::policy::{Class, Rule, Scope};

use super::request::{Asked, Method};

/// What is to be done with a request, and with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Looked up, joined with others, stored.
    pub(super) cached: bool,
    /// Repeating it may repeat an effect: one attempt, and what it may have touched is stale afterwards.
    pub(super) write: bool,
    /// The rule's own freshness; without one, the authority's hint.
    max_age: Option<Millis>,
    while_revalidate: Millis,
    if_error: Millis,
    /// The rule's own scope; without one, the authority's hint.
    scope: Option<Scope>,
}

impl Plan {
    const LIVE: Self = Self {
        cached: false,
        write: false,
        max_age: None,
        while_revalidate: Millis(0),
        if_error: Millis(0),
        scope: None,
    };
    const WRITE: Self = Self {
        write: true,
        ..Self::LIVE
    };
    const HINTED: Self = Self {
        cached: true,
        ..Self::LIVE
    };

    fn of(rule: &Rule) -> Result<Self, Error> {
        Ok(match rule.class {
            Class::Live => Self::LIVE,
            Class::Through => Self::WRITE,
            Class::Deny => {
                return Err(Error::new(
                    Code::DeniedByPolicy,
                    "the operator's policy denies this",
                ));
            }
            Class::Cache => Self {
                cached: true,
                write: false,
                max_age: rule.max_age,
                while_revalidate: rule.stale_while_revalidate,
                if_error: rule.stale_if_error,
                scope: rule.scope,
            },
        })
    }

    /// The plan for a request: the operator's rule, else the rule a local tool was registered with, else the
    /// default of the method. A tool nobody vouches for is a write; lists and reads follow the authority's
    /// hints; prompts, completions and `tasks/get` are reads that nobody stores; what is sent to a task is a
    /// write.
    ///
    /// # Errors
    /// `denied_by_policy`.
    pub(super) fn new(asked: &Asked<'_>, rule: Option<&Rule>, unkeyed_headers: bool) -> Result<Self, Error> {
        let plan = match (asked.method, rule) {
            (Method::CallTool | Method::ReadResource, Some(rule)) => Self::of(rule)?,
            (Method::CallTool, None) => Self::WRITE,
            (Method::GetPrompt | Method::Complete | Method::Listen | Method::GetTask, _) => Self::LIVE,
            (Method::UpdateTask | Method::CancelTask, _) => Self::WRITE,
            _ => Self::HINTED,
        };
        // MRTR steps are never looked up or stored (2026-07-28, Caching), nor is what the key cannot tell apart.
        let bypass = asked.continues || asked.meta.unkeyed || unkeyed_headers;
        Ok(Self {
            cached: plan.cached && !bypass,
            ..plan
        })
    }

    /// Whether all callers share what is stored: the operator's word only.
    pub(super) fn is_shared(&self) -> bool {
        self.scope == Some(Scope::Public)
    }

    /// How long an answer is good for; `None` if it lasts no time. An error says why it must not be stored.
    pub(super) fn windows(&self, parts: &Parts, anonymous: bool) -> Result<Option<Windows>, &'static str> {
        if !parts.complete {
            return Err("resultType is not complete");
        }
        if parts.is_error {
            return Err("isError");
        }
        if anonymous && self.scope.unwrap_or(parts.scope) != Scope::Public {
            return Err("private, and the caller is anonymous");
        }
        let fresh = self.max_age.unwrap_or(parts.ttl);
        let windows = Windows {
            fresh,
            while_revalidate: self.while_revalidate,
            if_error: self.if_error,
        };
        let lasts = fresh.max(self.while_revalidate).max(self.if_error) > Millis(0);
        Ok(lasts.then_some(windows))
    }
}
