//! Events as JSON for the host's log.

use leeward::border::Event;
use leeward::json::push_string;

/// Writes an event as one JSON object whose `type` names it. Kinds this file does not know yet give a bare
/// `{"type":"other"}`.
pub(crate) fn write(out: &mut String, event: &Event) {
    match event {
        Event::ToolDropped { name, reason } => {
            object(out, "tool_dropped", &[("name", name), ("reason", reason)]);
        }
        Event::SchemaNotEnforced { name, reason } => {
            object(out, "schema_not_enforced", &[("name", name), ("reason", reason)]);
        }
        Event::AuthorityVersion { version } => {
            object(out, "authority_version", &[("version", version)]);
        }
        Event::AuthorityDown => object(out, "authority_down", &[]),
        Event::AuthorityUp => object(out, "authority_up", &[]),
        Event::TripFailed {
            method,
            error,
            detail,
        } => object(
            out,
            "trip_failed",
            &[
                ("method", method),
                ("code", error.code.as_str()),
                ("message", &error.message),
                ("detail", detail),
            ],
        ),
        Event::NotStored { method, reason } => {
            object(out, "not_stored", &[("method", method), ("reason", reason)]);
        }
        Event::GrantDropped { reason } => object(out, "grant_dropped", &[("reason", reason)]),
        _ => object(out, "other", &[]),
    }
}

fn object(out: &mut String, kind: &str, members: &[(&str, &str)]) {
    out.push_str("{\"type\":");
    push_string(out, kind);
    for (name, value) in members {
        out.push(',');
        push_string(out, name);
        out.push(':');
        push_string(out, value);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use leeward::{Code, Error};

    use super::*;

    #[test]
    fn an_event_is_one_object_with_its_words_escaped() {
        let mut out = String::new();
        let event = Event::TripFailed {
            method: "tools/call".into(),
            error: Error::new(Code::AuthorityTimeout, "no \"answer\" in time"),
            detail: "line\nline".into(),
        };
        write(&mut out, &event);
        assert_eq!(
            out,
            r#"{"type":"trip_failed","method":"tools/call","code":"authority_timeout","message":"no \"answer\" in time","detail":"line\nline"}"#
        );
    }
}
