//! An answer that ends or stalls after any number of its bytes.

use alloc::string::{String, ToString as _};

use leeward::Code;
use serde_json::json;

use super::{Rig, modern, read, write};
use crate::testing::{End, Say, Seen};

/// The forms of an answer: its media type, its text, and how many of its bytes may come without it being there.
fn forms(seen: &Seen) -> [(&'static str, String, usize); 2] {
    let body = json!({"jsonrpc": "2.0", "id": seen.id, "result": {"content": [{"text": "é}]\""}]}});
    let json = body.to_string();
    let event = alloc::format!(": hi\n\nid: 1\ndata: {body}\n\n");
    let (short, begun) = (json.len(), event.len() - 1);
    [
        ("application/json", json, short),
        ("text/event-stream", event, begun),
    ]
}

/// The codes of a read and of a write, and how often a read is sent.
fn comes(form: usize, at: usize, end: End) -> (Code, Code, usize) {
    let say = move |seen: &Seen| {
        let (kind, text, _) = &forms(seen)[form];
        Say::body(200, kind, text.as_bytes().get(..at).unwrap(), end)
    };
    let mut rig = Rig::new(modern(say));
    let of_read = rig.code(read());
    let sent = rig.host.seen.len() - 1;
    let mut rig = Rig::new(modern(say));
    let of_write = rig.code(write());
    assert_eq!(rig.host.seen.len(), 2, "a write is sent once");
    (of_read, of_write, sent)
}

#[test]
fn an_answer_that_ends_or_stalls_at_any_byte() {
    use Code::{AuthorityTimeout as Timeout, AuthorityUnreachable as Unreachable, UnknownOutcome as Unknown};
    let mut lengths = [0; 2];
    let mut rig = Rig::new(modern(|seen| seen.result(json!({}))));
    rig.call(read()).unwrap();
    for (length, (_, _, bytes)) in lengths.iter_mut().zip(forms(&rig.host.seen[1])) {
        *length = bytes;
    }
    for (form, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            let broken = comes(form, at, End::Broken);
            assert_eq!(broken, (Unreachable, Unknown, 2), "form {form}, {at} bytes");
            let stalled = comes(form, at, End::Hangs);
            assert_eq!(stalled, (Timeout, Unknown, 1), "form {form}, {at} bytes");
            // Some hosts report a connection that was closed in the middle as a body's end.
            if form == 1 || at > 0 {
                let ended = comes(form, at, End::Whole);
                assert_eq!(ended, (Unreachable, Unknown, 2), "form {form}, {at} bytes");
            }
        }
    }
}
