//! What an operator reads: one line of JSON per event, without arguments, results or credentials.

use leeward::border::Event;
use leeward::json::push_string;
use leeward::{Code, Error};
use worker::wasm_bindgen::JsValue;
use worker::{console_error, console_log};

/// Longest text of one member, in characters: some of it is the authority's.
const MAX_TEXT: usize = 512;

/// Logs an event of the replica.
pub(crate) fn event(event: &Event) {
    let line = match event {
        Event::ToolDropped { name, reason } => line("tool_dropped", &[("tool", name), ("reason", reason)]),
        Event::AuthorityVersion { version } => line("authority_version", &[("version", version)]),
        Event::AuthorityDown => line("authority_down", &[]),
        Event::AuthorityUp => line("authority_up", &[]),
        Event::TripFailed {
            method,
            error,
            detail,
        } => line(
            "trip_failed",
            &[
                ("method", method),
                ("code", error.code.as_str()),
                ("message", &error.message),
                ("detail", detail),
            ],
        ),
        Event::NotStored { method, reason } => line("not_stored", &[("method", method), ("reason", reason)]),
        Event::SessionDropped => line("session_dropped", &[]),
        Event::GrantDropped { reason } => line("grant_dropped", &[("reason", reason)]),
        _ => return,
    };
    console_log!("{line}");
}

/// Logs why the replica could not be opened.
pub(crate) fn start_failed(error: &Error) {
    let members = [
        ("code", Code::ConfigInvalid.as_str()),
        ("message", &*error.message),
    ];
    let mut line = line("start_failed", &members);
    if !error.data.is_empty() {
        line.insert_str(line.len() - 1, &format!(",{}", error.data));
    }
    console_error!("{line}");
}

/// Logs what an object's storage refused.
pub(crate) fn store_failed(error: &JsValue) {
    let words = format!("{error:?}");
    console_error!("{}", line("store_failed", &[("detail", &words)]));
}

/// Logs what the replica asked of this host in vain, which agents are not told.
pub(crate) fn unable(detail: &str) {
    console_log!("{}", line("unable", &[("detail", detail)]));
}

fn line(event: &str, members: &[(&str, &str)]) -> String {
    let mut out = String::from(r#"{"leeward":"#);
    push_string(&mut out, event);
    for (name, text) in members {
        out.push(',');
        push_string(&mut out, name);
        out.push(':');
        let cut: String = text.chars().take(MAX_TEXT).collect();
        push_string(&mut out, &cut);
    }
    out.push('}');
    out
}
