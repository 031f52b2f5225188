//! One message of an agent, and one answer of the authority to it: what is answered is JSON-RPC, what is forwarded
//! is what a plain reader sees, what is stored is what was sent, and nobody else gets it.

use leeward::limits::{MAX_ID_BYTES, MAX_MEMBERS};
use leeward::provenance::State;
use leeward::{Caller, Config, Served};
use leeward_tests::wire::{LEGACY, MODERN, Message, OLDER};

use super::sse::discovery;
use crate::host::{Answer, Ask, Outcome, World};
use crate::input::Bytes;
use crate::judge::{self, Object, inner, object, raw, text, texts};
use crate::{Target, seeds};

/// See the module. The bytes: how, which version, then three parts that end in a byte 255: the message, the raw result
/// or error object of the authority, and lines of headers (`name:value`).
pub const TARGET: Target = Target {
    name: "message",
    run,
    seeds: inputs,
    max_bytes: 4096,
};

/// Smaller than the longest input, so that it is reached.
const MAX_MESSAGE_BYTES: usize = 3000;
const CONFIG: &str = r#"{"authority":"http://authority.test/mcp","policy":[{"tool":"get_*","rule":"cache;max-age=60"},{"tool":"live_*","rule":"live"},{"tool":"deny_*","rule":"deny"},{"resource":"docs://{page}","rule":"cache;max-age=60"}],"limits":{"maxMessageBytes":3000}}"#;
const VERSIONS: [Option<&str>; 5] = [None, Some(MODERN), Some(LEGACY), Some(OLDER), Some("1999-01-01")];
const CACHE: &str = "dev.leeward/cache";

fn inputs() -> Vec<Vec<u8>> {
    let result = br#"{"content":[{"type":"text","text":"\u00e9"}],"resultType":"complete","_meta":{"a":1,"dev.leeward/cache":"x"},"n":9007199254740993,"ttlMs":60000,"cacheScope":"public"}"#;
    let seed = |how: u8, version: u8, message: &[u8], answer: &[u8]| {
        [&[how, version], message, &[255], answer, &[255], b"mcp-param-x:1"].concat()
    };
    let mut all = Vec::new();
    for message in seeds::messages() {
        all.push(seed(0, 0, &message.bytes(MODERN), result));
        all.push(seed(3, 0, &message.bytes(MODERN), result));
        all.push(seed(0, 2, &message.bytes(LEGACY), result));
    }
    for example in seeds::examples("CallToolRequest")
        .into_iter()
        .chain(seeds::examples("ListToolsRequest"))
    {
        all.push(seed(0, 0, &example, result));
    }
    let call = Message::call("get_ticket", "{}").bytes(MODERN);
    for example in seeds::examples("CallToolResult")
        .into_iter()
        .chain(seeds::examples("InputRequiredResult"))
    {
        all.push(seed(0, 0, &call, &example));
    }
    let list = Message::bare("tools/list").bytes(MODERN);
    let tools = br#"{"tools":[{"name":"get_ticket","inputSchema":{"type":"object","properties":{"id":{"type":"string","x-mcp-header":"Id"}}}},{"name":"b","inputSchema":{"x-mcp-header":1}}],"ttlMs":9,"cacheScope":"private","nextCursor":"n"}"#;
    all.push(seed(0, 0, &list, tools));
    for error in [
        r#"{"code":-32602,"message":"no"}"#,
        r#"{"code":-32020,"message":"no","data":[]}"#,
    ] {
        all.push(seed(8, 0, &call, error.as_bytes()));
    }
    all
}

/// What a plain reader sees of a message.
struct Plain {
    /// Its raw id, if it must be answered with that.
    id: Option<String>,
    method: Option<String>,
    params: Option<Object>,
}

fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let how = bytes.byte();
    let negotiated = VERSIONS[bytes.below(VERSIONS.len())];
    let (message, answer, lines) = (bytes.until(255), bytes.until(255), bytes.until(255));
    let plain = plain(message);
    let error = how & 8 != 0;
    let answer = object(answer).map_or_else(|| b"{}".to_vec(), |_| answer.to_vec());
    let theirs = object(&answer).filter(|_| error);
    let theirs = theirs.and_then(|error| raw(&error, "code")?.parse().ok());
    let mut discovered = false;
    let body = answer.clone();
    let config = Config::parse(CONFIG).expect("a sound configuration");
    let mut world = World::new(config, &answer, move |request| {
        let seen = object(&request.body).unwrap_or_default();
        if !discovered && text(&seen, "method").as_deref() == Some("server/discover") {
            discovered = true;
            return Answer::json(discovery(request));
        }
        let Some(id) = raw(&seen, "id") else {
            return Answer::body(202, "text/plain", "");
        };
        let member = if error { "error" } else { "result" };
        let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":"#);
        Answer::json([head.as_bytes(), &body, b"}"].concat())
    });
    let tool = r#"{"name":"local","inputSchema":{"type":"object"}}"#;
    world
        .replica
        .register_tool(tool, Some("cache;max-age=5"))
        .expect("a tool");
    let resource = r#"{"uri":"local://one","name":"one"}"#;
    world
        .replica
        .register_resource(resource, None)
        .expect("a resource");
    let headers = (how & 1 != 0).then(|| headers(&plain, negotiated, how & 2 != 0, lines));
    let ask = Ask {
        caller: Caller::Principal("ann".into()),
        negotiated: negotiated.filter(|_| headers.is_none()),
        headers,
        peek: false,
    };

    let peeked = world.serve(
        &Ask {
            peek: true,
            ..ask.clone()
        },
        message,
    );
    assert!(
        peeked.fetched.is_empty() && !matches!(peeked.served, Served::Wait(_)),
        "a peek starts nothing"
    );
    let first = world.serve(&ask, message);
    judge_outcome(&first, &plain, message, theirs);
    judge_forwarded(&first, &plain, negotiated);
    let again = world.serve(&ask, message);
    judge_outcome(&again, &plain, message, theirs);
    judge_stored(&first, &again, &answer, error);
    let other = Ask {
        caller: Caller::Principal("ben".into()),
        ..ask.clone()
    };
    let foreign = world.serve(&other, message);
    assert_ne!(state(&foreign), Some(State::Hit), "another's answer");
    let nobody = Ask {
        caller: Caller::Anonymous,
        ..ask
    };
    let refused = world.serve(&nobody, message);
    assert!(refused.fetched.is_empty(), "anonymous callers are refused");
}

fn plain(message: &[u8]) -> Plain {
    let envelope = object(message).filter(|_| message.len() <= MAX_MESSAGE_BYTES);
    let sound = envelope
        .as_ref()
        .filter(|_| !judge::repeats(&String::from_utf8_lossy(message)));
    let sound = sound.filter(|envelope| envelope.len() <= MAX_MEMBERS);
    let id = sound.and_then(|envelope| raw(envelope, "id"));
    let id = id.filter(|id| {
        let digits = id.strip_prefix('-').unwrap_or(id);
        id.len() <= MAX_ID_BYTES && (id.starts_with('"') || digits.bytes().all(|byte| byte.is_ascii_digit()))
    });
    Plain {
        id: id.map(str::to_owned),
        method: envelope.as_ref().and_then(|envelope| text(envelope, "method")),
        params: envelope.as_ref().and_then(|envelope| inner(envelope, "params")),
    }
}

/// Headers that say what the body says, or only what the input says, which comes in either case.
fn headers(plain: &Plain, version: Option<&str>, honest: bool, lines: &[u8]) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    if honest {
        headers.push((
            "mcp-protocol-version".into(),
            version.unwrap_or(MODERN).to_owned(),
        ));
        headers.extend(plain.method.clone().map(|method| ("mcp-method".into(), method)));
        let name = plain
            .params
            .as_ref()
            .and_then(|params| text(params, "name").or_else(|| text(params, "uri")));
        headers.extend(name.map(|name| ("mcp-name".into(), leeward::mcp::headers::encode(&name))));
    }
    for line in String::from_utf8_lossy(lines).lines() {
        // What is no name of a header never gets past the host's HTTP.
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if let Some((name, value)) = line.split_once(':').filter(|(name, _)| name.chars().all(token)) {
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }
    headers
}

fn state(outcome: &Outcome) -> Option<State> {
    let provenance = match &outcome.served {
        Served::Reply { provenance, .. } => *provenance,
        _ => outcome.replies.last()?.provenance,
    };
    provenance.map(|provenance| provenance.state)
}

fn judge_outcome(outcome: &Outcome, plain: &Plain, message: &[u8], theirs: Option<i64>) {
    let Some(bytes) = outcome.response() else {
        assert!(plain.id.is_none(), "a request without an answer");
        return;
    };
    let response = judge::response(bytes, plain.id.as_deref(), theirs);
    if message.len() > MAX_MESSAGE_BYTES {
        let error = inner(&response, "error").and_then(|error| inner(&error, "data"));
        assert_eq!(
            error.and_then(|data| text(&data, "code")).as_deref(),
            Some("too_large")
        );
    }
    // Nothing in a refusal grows beyond what the message brought.
    if outcome.fetched.is_empty()
        && state(outcome) != Some(State::Hit)
        && plain.method.as_deref() != Some("tools/call")
    {
        assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
    }
}

fn judge_forwarded(outcome: &Outcome, plain: &Plain, negotiated: Option<&str>) {
    let Some(params) = &plain.params else {
        assert!(outcome.fetched.len() <= 2);
        return;
    };
    let mut sent = 0;
    for request in &outcome.fetched {
        let seen = object(&request.body).expect("we send objects");
        let method = text(&seen, "method").expect("a method");
        if plain.method.as_deref() != Some(&method) || method == "server/discover" {
            // What a trip has to find out by itself.
            let own = [
                "server/discover",
                "initialize",
                "notifications/initialized",
                "tools/list",
            ];
            let initialize = plain.method.as_deref() == Some("initialize");
            assert!(
                own.contains(&&*method) || initialize,
                "{method} was not asked for"
            );
            continue;
        }
        sent += 1;
        let forwarded = inner(&seen, "params").expect("parameters");
        let without_meta = |params: &Object| {
            let mut all = texts(params);
            all.remove("_meta");
            all
        };
        assert_eq!(
            without_meta(&forwarded),
            without_meta(params),
            "what is forwarded is what was said"
        );
        let theirs = inner(params, "_meta")
            .map(|meta| texts(&meta))
            .unwrap_or_default();
        let ours = inner(&forwarded, "_meta")
            .map(|meta| texts(&meta))
            .unwrap_or_default();
        for (name, value) in &theirs {
            let replaced = name.starts_with("io.modelcontextprotocol/") || name == "progressToken";
            assert!(replaced || ours.get(name) == Some(value), "_meta.{name}");
        }
        let header = |name: &str| {
            let found = request.headers.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        if header("mcp-session-id").is_none() && header("mcp-method").is_some() {
            assert_eq!(header("mcp-method"), Some(&*method));
            let name = match &*method {
                "tools/call" | "prompts/get" => text(params, "name"),
                "resources/read" => text(params, "uri"),
                _ => None,
            };
            assert_eq!(
                header("mcp-name").and_then(judge::header_text),
                name,
                "{negotiated:?}"
            );
        }
    }
    let name = text(params, "name").unwrap_or_default();
    let write = plain.method.as_deref() == Some("tools/call")
        && !name.starts_with("get_")
        && !name.starts_with("live_");
    assert!(!write || sent <= 2, "a write is repeated only after a refusal");
}

/// What is stored is what came, and what came is what the authority sent.
fn judge_stored(first: &Outcome, again: &Outcome, answer: &[u8], error: bool) {
    let result = |outcome: &Outcome| {
        let response = object(outcome.response()?)?;
        inner(&response, "result")
    };
    let rest = |result: &Object| {
        let mut members = texts(result);
        members.remove("ttlMs");
        let meta = inner(result, "_meta")
            .map(|meta| texts(&meta))
            .unwrap_or_default();
        members.remove("_meta");
        (
            members,
            meta.into_iter()
                .filter(|(name, _)| name != CACHE)
                .collect::<Vec<_>>(),
        )
    };
    let reply = first.replies.last();
    if reply.is_some_and(|reply| reply.provenance.is_some_and(|provenance| provenance.stored)) {
        assert_eq!(
            state(again),
            Some(State::Hit),
            "stored, and not found again: {again:?}"
        );
        assert!(again.fetched.is_empty(), "a hit makes no trip");
        let (one, two) = (result(first).expect("a result"), result(again).expect("a result"));
        assert_eq!(rest(&one), rest(&two));
        let Served::Reply { serial, .. } = again.served else {
            panic!("a hit does not wait");
        };
        assert_eq!(serial, reply.and_then(|reply| reply.serial));
    } else {
        assert_ne!(state(again), Some(State::Hit), "found, and never stored");
    }
    // Of a call, the agent gets what the authority sent.
    let called = first.fetched.last().and_then(|request| object(&request.body));
    let called = called.and_then(|seen| text(&seen, "method")).as_deref() == Some("tools/call");
    if let (true, false, Some(got), Some(sent)) = (called, error, result(first), object(answer)) {
        let (mut got, got_meta) = rest(&got);
        let (mut sent, sent_meta) = rest(&sent);
        for filled in ["resultType", "cacheScope"] {
            got.remove(filled);
            sent.remove(filled);
        }
        // Line feeds between tokens become spaces on the way.
        let flat = |members: std::collections::BTreeMap<String, String>| -> Vec<(String, String)> {
            members
                .into_iter()
                .map(|(name, value)| (name, value.replace(['\n', '\r'], " ")))
                .collect()
        };
        assert_eq!(flat(got), flat(sent));
        let sent_meta: Vec<_> = sent_meta
            .into_iter()
            .filter(|(name, _)| !name.starts_with("dev.leeward/"))
            .map(|(name, value)| (name, value.replace(['\n', '\r'], " ")))
            .collect();
        assert_eq!(got_meta, sent_meta);
    }
}
