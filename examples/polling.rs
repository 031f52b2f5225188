//! What any foreign host must do, in a loop such as a C program would write: ask the replica what to do, do
//! it with blocking I/O, hand the answer back. Here the authority is the tests' own, on a socket; a local
//! tool stands beside it.
//!
//! `cargo run -p leeward-tests --example polling`

use std::io::Read as _;
use std::process::ExitCode;

use leeward::border::{HttpRequest, LocalCall};
use leeward::dispatch::Caller;
use leeward::{Config, Ctx, Failure, Input, Millis, Now, OpId, Output, Request, Served};
use leeward_sync::{Host, Replica};
use leeward_tests::Authority;
use leeward_tests::authority::{Handle, Server};
use leeward_tests::http;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"TOOL","arguments":{"id":7},
  "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// A body that was read whole, and the fetch that it answers: a blocking host needs no more.
type Body = Option<(OpId, Vec<u8>)>;

fn main() -> ExitCode {
    let authority = Server::start(Handle::new(Authority::modern()));
    let url = authority.url();
    let config =
        format!(r#"{{"authority":"{url}","policy":[{{"tool":"get_*","rule":"cache;max-age=60"}}]}}"#);
    let mut replica = match Config::parse(&config) {
        Ok(config) => Replica::new(config, Host::default()),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let tool = r#"{"name":"greet","inputSchema":{"type":"object"}}"#;
    if let Err(error) = replica.register_tool(tool, None) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    for name in ["greet", "get_ticket", "get_ticket"] {
        println!("{name}: {}", call(&mut replica, &CALL.replace("TOOL", name)));
    }
    ExitCode::SUCCESS
}

/// One request of an agent, to its end.
fn call(replica: &mut Replica, message: &str) -> String {
    let mut out = Vec::new();
    let mut body = None;
    // The replica's first question: entropy. It must be answered before the first request.
    while let Some(output) = replica.poll_output(Ctx::SHARED) {
        act(replica, output, &mut body);
    }
    let request = Request {
        caller: &Caller::Principal("local".into()),
        ctx: Ctx::SHARED,
        connection: 1,
        headers: None,
        negotiated: None,
        message: message.as_bytes(),
        verb: leeward::Verb::Post,
        peek: false,
    };
    if let Served::Wait(_) = replica.serve(now(), request, &mut out) {
        while let Some(output) = replica.poll_output(Ctx::SHARED) {
            if let Some(reply) = act(replica, output, &mut body) {
                out = reply;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Does one thing, and tells the replica what came of it. Returns a reply to the agent.
fn act(replica: &mut Replica, output: Output, body: &mut Body) -> Option<Vec<u8>> {
    let input = match output {
        Output::Fetch { op, request } => fetch(op, &request, body),
        Output::Read { op, fetch } => match body.as_mut().filter(|(of, _)| *of == fetch) {
            Some((_, bytes)) if !bytes.is_empty() => Input::Chunk {
                op,
                bytes: std::mem::take(bytes),
            },
            _ => Input::End { op },
        },
        Output::CallLocal {
            op,
            call: LocalCall::Tool { name, .. },
        } => {
            let result = format!(r#"{{"content":[{{"type":"text","text":"{name} from this process"}}]}}"#);
            Input::Local {
                op,
                result: Ok(result.into_bytes()),
            }
        }
        Output::CallLocal { op, .. } => Input::Local {
            op,
            result: Err("no local resources".into()),
        },
        Output::Credential { op, .. } => Input::Credential { op, result: Ok(None) },
        Output::Entropy { op, bytes } => Input::Entropy {
            op,
            bytes: entropy(bytes),
        },
        Output::Event(event) => {
            eprintln!("event: {event:?}");
            return None;
        }
        Output::Reply(reply) => return Some(reply.part),
        // `Abort` has nothing to stop in a blocking host.
        _ => return None,
    };
    replica.handle(now(), Ctx::SHARED, input);
    None
}

fn fetch(op: OpId, request: &HttpRequest, body: &mut Body) -> Input {
    match http::send(request.method, &request.url, &request.headers, &request.body) {
        Ok(response) => {
            *body = Some((op, response.body));
            Input::Head {
                op,
                status: response.status,
                headers: response.headers,
            }
        }
        Err(error) => {
            let before_send = error.kind() == std::io::ErrorKind::ConnectionRefused;
            Input::Failed {
                op,
                failure: Failure {
                    before_send,
                    message: error.to_string(),
                },
            }
        }
    }
}

fn entropy(bytes: usize) -> Vec<u8> {
    let mut drawn = vec![0; bytes];
    let source = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut drawn));
    // Too few bytes are asked for again: a host without entropy must not go on as if it had some.
    if source.is_ok() { drawn } else { Vec::new() }
}

/// A host with clocks reads them here; in this one no time passes.
const fn now() -> Now {
    Now {
        mono: Millis(1),
        unix: Millis(1_790_000_000_000),
    }
}
