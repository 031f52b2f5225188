//! The tasks extension (`io.modelcontextprotocol/tasks`, SEP-2663), as far as a replica looks into it.

use alloc::borrow::Cow;
use alloc::format;

use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::limits::MAX_NAME_BYTES;

/// Identifies the extension in `capabilities.extensions` of either side.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Tells a subscription of a task as it is now (SEP-2663, Task Status Notifications).
pub const TASK_NEWS: &str = "notifications/tasks";

/// Whether a raw object of client capabilities declares the extension (SEP-2663, Capability Negotiation).
#[must_use]
pub fn declares_tasks(capabilities: &str) -> bool {
    Members::parse(capabilities)
        .and_then(|capabilities| Members::parse(capabilities.raw("extensions")?)?.raw(TASKS))
        .is_some_and(json::is_object)
}

/// What those hear who use tasks without declaring them (SEP-2663, Error Handling).
#[must_use]
pub fn undeclared() -> Error {
    let mut error = Error::new(
        Code::MissingCapability,
        "the client did not declare the tasks extension",
    );
    error.data = format!(r#""requiredCapabilities":{{"extensions":{{"{TASKS}":{{}}}}}}"#);
    error
}

/// A `Task`: in the result that makes it, in that of `tasks/get`, or in a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task<'a> {
    /// `taskId`, 1 to [`MAX_NAME_BYTES`] bytes.
    pub id: Cow<'a, str>,
    status: Cow<'a, str>,
}

impl<'a> Task<'a> {
    /// Reads what every `Task` must have. `None` without it.
    #[must_use]
    pub fn read(members: &Members<'a>) -> Option<Self> {
        let id = members.string("taskId")?;
        let status = members.string("status")?;
        (1..=MAX_NAME_BYTES)
            .contains(&id.len())
            .then_some(Self { id, status })
    }

    /// It runs, and nobody is asked for anything.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.status == "working"
    }

    /// It is over (SEP-2663, Task Status).
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(&*self.status, "completed" | "failed" | "cancelled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_declares_and_nothing_less_does() {
        let with = |extensions: &str| declares_tasks(&format!(r#"{{"extensions":{extensions}}}"#));
        assert!(with(r#"{"a":1,"io.modelcontextprotocol/tasks":{}}"#));
        for extensions in [
            "{}",
            "[]",
            "1",
            r#"{"io.modelcontextprotocol/tasks":true}"#,
            r#"{"io.modelcontextprotocol/tasks":null}"#,
            r#"{"io.modelcontextprotocol/task":{}}"#,
        ] {
            assert!(!with(extensions), "{extensions}");
        }
        for capabilities in ["{}", r#"{"io.modelcontextprotocol/tasks":{}}"#, r#"{"tasks":{}}"#] {
            assert!(!declares_tasks(capabilities), "{capabilities}");
        }
    }

    #[test]
    fn a_task_has_an_id_and_a_status() {
        let read = |raw: &str| {
            Task::read(&Members::parse(raw).unwrap()).map(|task| (task.is_working(), task.is_terminal()))
        };
        for (status, is) in [
            ("working", (true, false)),
            ("input_required", (false, false)),
            ("completed", (false, true)),
            ("failed", (false, true)),
            ("cancelled", (false, true)),
            ("unheard_of", (false, false)),
        ] {
            assert_eq!(
                read(&format!(r#"{{"taskId":"1","status":"{status}"}}"#)),
                Some(is)
            );
        }
        let long = format!(
            r#"{{"taskId":"{}","status":"working"}}"#,
            "x".repeat(MAX_NAME_BYTES + 1)
        );
        for raw in [
            "{}",
            r#"{"taskId":"1"}"#,
            r#"{"status":"working"}"#,
            r#"{"taskId":1,"status":"working"}"#,
            r#"{"taskId":"","status":"working"}"#,
            &long,
        ] {
            assert_eq!(read(raw), None, "{raw:.80}");
        }
    }
}
