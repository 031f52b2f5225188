//! An answer of the authority, as JSON or as an event stream: wherever it is cut, it means the same, and it means
//! what a naive parser of event streams reads.

use leeward::border::HttpRequest;
use leeward::{Caller, Config, Served};
use leeward_tests::wire::{MODERN, Message};

use crate::host::{Answer, Ask, World};
use crate::input::Bytes;
use crate::{Target, judge};

/// See the module. The bytes: how (see [`How`]), places to cut at, then the body, in which `@ID` stands for the
/// request's id and `@TOKEN` for its progress token.
pub const TARGET: Target = Target {
    name: "sse",
    run,
    seeds,
    max_bytes: 4096,
};

const DONE: &str = r#"{"jsonrpc":"2.0","id":@ID,"result":{"content":[],"x":"é😀"}}"#;
const NOTE: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":@TOKEN,"progress":1}}"#;
const LOG: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;

fn seeds() -> Vec<Vec<u8>> {
    let seed = |how: u8, body: String| [&[how, 1, 0, 9], body.as_bytes()].concat();
    vec![
        seed(0, format!("data: {NOTE}\n\ndata: {DONE}\n\n")),
        seed(
            0,
            format!("\u{feff}: hi\r\nid: 1\r\ndata:\r\n\r\nevent: message\r\ndata: {DONE}\r\n\r\n"),
        ),
        seed(
            0,
            format!("event: ping\rdata: x\r\rdata:{LOG}\r\rdata: {DONE}\r\r"),
        ),
        seed(
            0,
            format!("data: {}\n\n", DONE.replace(",\"id\"", ",\ndata:\"id\"")),
        ),
        seed(
            0,
            format!("data: [{NOTE},{LOG}]\n\nretry: 1\n\ndata: [{DONE}]\n\n"),
        ),
        seed(
            0,
            format!(
                "data: {NOTE}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":@ID,\"error\":{{\"code\":-1,\"message\":\"\"}}}}\n\n"
            ),
        ),
        seed(1, format!("data: {}\n\ndata: {DONE}\n\n", "x".repeat(1000))),
        seed(1, format!(": {}\n\ndata: {DONE}\n\n", "x".repeat(900))),
        seed(2, DONE.into()),
        seed(2, format!("[{NOTE},\n{DONE}]")),
        seed(6, DONE[..40].into()),
        seed(4, format!("data: {NOTE}\n\ndata: {}", &DONE[..20])),
    ]
}

/// Bits of the first byte.
struct How {
    /// 1 KiB may come of one answer, else 64.
    small: bool,
    /// The body is JSON.
    json: bool,
    /// The connection breaks at its end.
    broken: bool,
    /// A tool that may be asked again.
    read: bool,
}

/// What came of it, as far as it must not depend on the cuts.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    parts: Vec<(String, u16, bool)>,
    events: Vec<String>,
    sent: usize,
}

fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let flags = bytes.byte();
    let how = How {
        small: flags & 1 != 0,
        json: flags & 2 != 0,
        broken: flags & 4 != 0,
        read: flags & 8 != 0,
    };
    let cuts: Vec<usize> = (0..bytes.below(8)).map(|_| bytes.short()).collect();
    let body = bytes.0;
    let whole = ask(&how, body, |body| vec![body.to_vec()]);
    let ones = ask(&how, body, |body| body.chunks(1).map(<[u8]>::to_vec).collect());
    assert_eq!(ones, whole, "byte by byte");
    let some = ask(&how, body, |body| {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        cuts.windows(2)
            .map(|ends| body[ends[0]..ends[1]].to_vec())
            .collect()
    });
    assert_eq!(some, whole, "cut at {cuts:?}");
    if !how.json && body.len() < 900 {
        // The same events, spelled plainly, are the same answer.
        let plain = ask(&how, &plain(&naive(body)), |body| vec![body.to_vec()]);
        assert_eq!(plain, whole, "as a naive parser reads it");
    }
}

fn ask(how: &How, body: &[u8], cut: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Came {
    let limit = if how.small { 1024 } else { 65536 };
    let config = format!(
        r#"{{"authority":"http://authority.test/mcp","policy":[{{"tool":"get_*","rule":"live"}}],"limits":{{"maxResponseBytes":{limit}}}}}"#
    );
    let config = Config::parse(&config).expect("a sound configuration");
    let mut first = true;
    let mut world = World::new(config, b"", |request| {
        if std::mem::take(&mut first) {
            return Answer::json(discovery(request));
        }
        let seen = judge::object(&request.body).expect("we send objects");
        let meta = judge::inner(&seen, "params").and_then(|params| judge::inner(&params, "_meta"));
        let token = meta
            .as_ref()
            .and_then(|meta| judge::raw(meta, "progressToken"))
            .unwrap_or("0");
        let body = replaced(body, b"@ID", judge::raw(&seen, "id").unwrap_or("0"));
        let body = replaced(&body, b"@TOKEN", token);
        let kind = if how.json {
            "application/json"
        } else {
            "text/event-stream"
        };
        Answer {
            chunks: cut(&body),
            broken: how.broken,
            ..Answer::body(200, kind, "")
        }
    });
    let ask = Ask {
        caller: Caller::Principal("ann".into()),
        headers: None,
        negotiated: None,
        peek: false,
    };
    let tool = if how.read { "get_ticket" } else { "put_ticket" };
    let message = Message::call(tool, "{}")
        .progress("\"p\"")
        .meta(r#""io.modelcontextprotocol/logLevel":"debug""#);
    let outcome = world.serve(&ask, &message.bytes(MODERN));
    assert!(matches!(outcome.served, Served::Wait(_)));
    assert!(
        outcome.fetched.len() <= if how.read { 3 } else { 2 },
        "a write is sent once"
    );
    judge_parts(&outcome.replies);
    let show = |part: &leeward::Reply| {
        (
            String::from_utf8(part.part.clone()).expect("UTF-8"),
            part.status,
            part.last,
        )
    };
    Came {
        parts: outcome.replies.iter().map(show).collect(),
        events: outcome.events.iter().map(|event| format!("{event:?}")).collect(),
        sent: outcome.fetched.len(),
    }
}

fn judge_parts(replies: &[leeward::Reply]) {
    let (last, notes) = replies.split_last().expect("an answer");
    assert!(last.last);
    let error = judge::object(&last.part).and_then(|response| judge::inner(&response, "error"));
    let code = error
        .as_ref()
        .and_then(|error| judge::raw(error, "code")?.parse().ok());
    judge::response(&last.part, Some("1"), code);
    for note in notes {
        assert!(!note.last && note.provenance.is_none());
        let note = judge::object(&note.part).expect("an object");
        let method = judge::text(&note, "method").expect("a method");
        assert!(!note.contains_key("id"));
        if method == "notifications/progress" {
            let params = judge::inner(&note, "params").expect("parameters");
            assert_eq!(judge::raw(&params, "progressToken"), Some("\"p\""));
        } else {
            assert_eq!(method, "notifications/message");
        }
    }
}

/// `server/discover`, answered.
pub(super) fn discovery(request: &HttpRequest) -> String {
    let seen = judge::object(&request.body).expect("we send objects");
    assert_eq!(judge::text(&seen, "method").as_deref(), Some("server/discover"));
    let id = judge::raw(&seen, "id").expect("an id");
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}},"resources":{{}}}},"ttlMs":60000,"cacheScope":"public"}}}}"#
    )
}

fn replaced(body: &[u8], what: &[u8], with: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(what) {
            out.extend_from_slice(with.as_bytes());
            rest = after;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// The data of the events of a stream, by the words of WHATWG HTML, 9.2.6, with the whole stream at hand.
fn naive(stream: &[u8]) -> Vec<Vec<u8>> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut at = 0;
    while at < stream.len() {
        match stream[at] {
            b'\r' | b'\n' => {
                at += usize::from(stream[at..].starts_with(b"\r\n"));
                lines.push(Vec::new());
            }
            byte => lines.last_mut().expect("one at least").push(byte),
        }
        at += 1;
    }
    lines.pop();
    let mut events = Vec::new();
    for event in lines.split_inclusive(|line| line.is_empty()) {
        let Some((last, fields)) = event.split_last().filter(|(last, _)| last.is_empty()) else {
            break;
        };
        assert!(last.is_empty());
        let mut data: Option<Vec<u8>> = None;
        let mut kind: &[u8] = b"";
        for line in fields {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let value = line.get(colon + 1..).unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &line[..colon] {
                b"data" => match &mut data {
                    Some(data) => *data = [data, &b"\n"[..], value].concat(),
                    None => data = Some(value.to_vec()),
                },
                b"event" => kind = value,
                _ => {}
            }
        }
        if let (Some(data), b"" | b"message") = (data, kind) {
            events.push(data);
        }
    }
    events
}

fn plain(events: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        for line in event.split(|byte| *byte == b'\n') {
            out.extend([b"data: ", line, b"\n"].concat());
        }
        out.push(b'\n');
    }
    out
}
