//! A native host over stdio: an agent starts this program and speaks MCP with it, in either era. It has local tools
//! alone, some of them for the tests (`tests/stdio`); with an authority it would do what `polling.rs` does for
//! `Output::Fetch` and `Output::Read`.
//!
//! `cargo run -p leeward-tests --example stdio`

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use leeward::border::LocalCall;
use leeward::dispatch::Caller;
use leeward::{Config, Ctx, Error, Input, Millis, Now, Output};
use leeward_sync::stdio::Agent;
use leeward_sync::{Host, Replica};

/// Tools, as JSON names them.
const TOOLS: [(&str, &str); 4] = [
    ("echo", "says what it was told"),
    ("wait", "answers nobody, until it is cancelled"),
    ("grow", "adds a tool, by which the list changes"),
    ("stop", "ends this program, as it would end by itself"),
];

fn main() -> ExitCode {
    match Config::parse("{}").and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Only messages may stand on standard output (2026-07-28, stdio).
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Program {
    replica: Replica,
    agent: Agent,
    clock: Instant,
    tools: usize,
    is_stopping: bool,
}

fn run(config: Config) -> Result<(), Error> {
    let max_bytes = config.limits.max_message_bytes;
    let mut program = Program {
        replica: Replica::new(
            config,
            Host {
                sessions: true,
                ..Host::default()
            },
        ),
        agent: Agent::new(Caller::Principal("local".into()), Ctx::SHARED, 1, max_bytes),
        clock: started(),
        tools: 0,
        is_stopping: false,
    };
    // The replica's first question, entropy, comes before the first request.
    program.pump();
    for (name, description) in TOOLS {
        program.replica.register_tool(&tool(name, description), None)?;
    }
    let input = read_input();
    loop {
        program.pump();
        if !program.write() || program.is_stopping {
            break;
        }
        match program.next(&input) {
            Ok(bytes) => {
                let now = program.now();
                let Program { replica, agent, .. } = &mut program;
                agent.receive(replica, now, &bytes, |_| None);
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = program.now();
                program.replica.handle(now, Ctx::SHARED, Input::Tick);
            }
            // The agent has closed its stream: the way that it ends a server.
            Err(RecvTimeoutError::Disconnected) => {
                let now = program.now();
                let Program { replica, agent, .. } = &mut program;
                agent.end(replica, now);
                break;
            }
        }
    }
    program.pump();
    let now = program.now();
    let Program { replica, agent, .. } = &mut program;
    agent.close(replica, now);
    program.write();
    Ok(())
}

impl Program {
    /// Does what the replica asks for.
    fn pump(&mut self) {
        while let Some(output) = self.replica.poll_output(Ctx::SHARED) {
            let now = self.now();
            let input = match output {
                Output::Reply(reply) => {
                    self.agent.reply(&mut self.replica, now, &reply);
                    continue;
                }
                Output::Entropy { op, bytes } => Input::Entropy {
                    op,
                    bytes: entropy(bytes),
                },
                Output::CallLocal {
                    op,
                    call: LocalCall::Tool { name, arguments },
                } => {
                    let Some(text) = self.call(&name, &arguments) else {
                        continue;
                    };
                    let text = serde_json::Value::from(text);
                    let result = format!(r#"{{"content":[{{"type":"text","text":{text}}}]}}"#);
                    Input::Local {
                        op,
                        result: Ok(result.into_bytes()),
                    }
                }
                Output::Event(event) => {
                    eprintln!("event: {event:?}");
                    continue;
                }
                // `Abort`: nothing is under way that could be stopped.
                _ => continue,
            };
            self.replica.handle(now, Ctx::SHARED, input);
        }
    }

    fn call(&mut self, name: &str, arguments: &[u8]) -> Option<String> {
        Some(match name {
            "echo" => String::from_utf8_lossy(arguments).into_owned(),
            "wait" => return None,
            "stop" => {
                self.is_stopping = true;
                "stopping".to_owned()
            }
            _ => {
                self.tools += 1;
                let definition = tool(&format!("grown-{}", self.tools), "was added");
                match self.replica.register_tool(&definition, None) {
                    Ok(()) => "grown".to_owned(),
                    Err(error) => error.to_string(),
                }
            }
        })
    }

    /// The next bytes of the agent, unless the replica wants to be called before they come.
    fn next(&mut self, input: &Receiver<Vec<u8>>) -> Result<Vec<u8>, RecvTimeoutError> {
        match self.replica.poll_timeout(Ctx::SHARED) {
            Some(Millis(at)) => {
                let delay = at.saturating_sub(self.now().mono.0);
                input.recv_timeout(Duration::from_millis(delay))
            }
            None => input.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a host has clocks")]
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: millis(self.clock.elapsed()),
            unix: millis(unix),
        }
    }

    /// Writes what there is. False if the agent is gone.
    fn write(&mut self) -> bool {
        // A blocking write: who does not read its answers is not read from. A host that cannot block asks
        // `Agent::wants_input`.
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(&self.agent.take_output())
            .and_then(|()| stdout.flush())
            .is_ok()
    }
}

fn tool(name: &str, description: &str) -> String {
    format!(r#"{{"name":"{name}","description":"{description}","inputSchema":{{"type":"object"}}}}"#)
}

/// Standard input, piece by piece; ends where it ends.
fn read_input() -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut piece = vec![0; 64 << 10];
        while let Ok(length @ 1..) = stdin.read(&mut piece) {
            let read = piece.get(..length).unwrap_or_default().to_vec();
            if sender.send(read).is_err() {
                return;
            }
        }
    });
    receiver
}

fn entropy(bytes: usize) -> Vec<u8> {
    let mut drawn = vec![0; bytes];
    let source = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut drawn));
    // Too few bytes are asked for again: a host without entropy must not go on as if it had some.
    if source.is_ok() { drawn } else { Vec::new() }
}

fn millis(span: Duration) -> Millis {
    Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "a host has clocks")]
fn started() -> Instant {
    Instant::now()
}
