//! Where seeds come from: the official examples, and messages spelled here.

use std::fs;
use std::path::{Path, PathBuf};

use leeward_tests::wire::{MODERN, Message};

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The official examples whose name begins so, in order.
#[must_use]
pub fn examples(prefix: &str) -> Vec<Vec<u8>> {
    let folder = root().join("tests/vectors/2026-07-28/examples");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).expect("the examples are there").flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(prefix) {
            let inner = fs::read_dir(entry.path())
                .expect("a folder of examples")
                .flatten();
            files.extend(inner.map(|file| file.path()));
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no example is called {prefix}");
    files
        .into_iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect()
}

/// Requests of agents.
#[must_use]
pub fn messages() -> Vec<Message> {
    vec![
        Message::call("get_ticket", r#"{"id":"A-1","n":[1,2.50,{"x":null}]}"#),
        Message::call("get_ticket", r#"{"a":"\u0041\ud83d\ude00"}"#).id(r#""x\ny""#),
        Message::call("get_ticket", "{}")
            .progress("7")
            .meta(r#""traceparent":"00-1""#),
        Message::call("get_ticket", "{}").meta(r#""baggage":"a=1""#),
        Message::call("put_ticket", r#"{"nonce":1}"#),
        Message::call("live_one", "{}").with(r#""requestState":"s""#),
        Message::call("deny_one", "{}"),
        Message::call("local", r#"{"x":1}"#),
        Message::read("docs://page"),
        Message::read("local://one"),
        Message::bare("tools/list"),
        Message::page("resources/list", "2"),
        Message::bare("server/discover"),
        Message::bare("prompts/list").notification(),
        Message::new("prompts/get", r#""name":"p","arguments":{}"#),
        Message::new("completion/complete", r#""ref":{},"argument":{}"#),
        Message::new(
            "initialize",
            r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}"#,
        ),
        Message::new("notifications/cancelled", r#""requestId":1"#).notification(),
    ]
}

/// Their bytes in the stateless revision.
#[must_use]
pub fn message_bytes() -> Vec<Vec<u8>> {
    messages().iter().map(|message| message.bytes(MODERN)).collect()
}
