//! The official example messages, on both sides of the replica, against the official schema.

mod schema;
mod tasks;

use std::fs;
use std::path::PathBuf;

use leeward_tests::authority::{Authority, Plan, Turn, result};
use leeward_tests::behaviour::cases_of;
use leeward_tests::pair::{Kind, Transcript, Watched};
use leeward_tests::run::{Answer, Run};
use leeward_tests::target::{Host, Setup};
use leeward_tests::wire::Message;
use schema::{Schemas, read, vectors};
use serde_json::{Value, json};

const KINDS: [Kind; 2] = [Kind::InProcess, Kind::RequestBound];

/// Every example: its type, its file, itself.
fn examples() -> Vec<(String, PathBuf, Value)> {
    let folder = vectors().join("2026-07-28/examples");
    let list = |folder: &PathBuf| {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        paths
    };
    let mut all = Vec::new();
    for folder in list(&folder) {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        all.extend(
            list(&folder)
                .into_iter()
                .map(|path| (name.clone(), path.clone(), read(&path))),
        );
    }
    all
}

/// A pair that somebody reads along, in front of an authority that is sent odd things.
fn watched(kind: Kind) -> (Watched, Transcript) {
    let transcript = Transcript::default();
    (
        Watched {
            kind,
            transcript: transcript.clone(),
        },
        transcript,
    )
}

fn open(host: &mut Watched) -> Run<'_> {
    Run::open(
        host,
        Setup::tools(&[("*", "cache;max-age=60")])
            .authority(Authority::modern().hinting(60_000, "public").lenient()),
    )
}

#[track_caller]
fn judge(schemas: &Schemas, transcript: &Transcript, what: &str) {
    for crossing in transcript.borrow().iter() {
        let errors = schemas.judge(crossing);
        assert!(
            errors.is_empty(),
            "{what}: {errors:#?} in {}",
            String::from_utf8_lossy(&crossing.bytes)
        );
    }
}

/// A message of an example request, headers included.
fn message(example: &Value) -> Message {
    let text = example.to_string();
    let method = example["method"].as_str().unwrap_or_default();
    let name = example["params"]["name"]
        .as_str()
        .or(example["params"]["uri"].as_str())
        .unwrap_or_default();
    let named = matches!(method, "tools/call" | "prompts/get" | "resources/read");
    Message::raw(text)
        .header("mcp-method", method)
        .header("mcp-name", if named { name } else { "" })
}

/// The request that asks for a result of this type, if agents ask for it.
fn asking(kind: &str) -> Option<(Message, &'static str)> {
    Some(match kind.strip_suffix("Response").unwrap_or(kind) {
        "DiscoverResult" => (Message::bare("server/discover"), "server/discover"),
        "ListToolsResult" => (Message::bare("tools/list"), "tools/list"),
        "CallToolResult" => (Message::call("get_weather", "{}"), "tools/call"),
        "ListResourcesResult" => (Message::bare("resources/list"), "resources/list"),
        "ListResourceTemplatesResult" => (
            Message::bare("resources/templates/list"),
            "resources/templates/list",
        ),
        "ReadResourceResult" => (Message::read("file:///example.txt"), "resources/read"),
        "ListPromptsResult" => (Message::bare("prompts/list"), "prompts/list"),
        "GetPromptResult" => (Message::new("prompts/get", r#""name":"review""#), "prompts/get"),
        "CompleteResult" => {
            let params = r#""ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"a","value":"b"}"#;
            (Message::new("completion/complete", params), "completion/complete")
        }
        _ => return None,
    })
}

#[test]
fn the_examples_are_what_their_folders_say() {
    let schemas = Schemas::load();
    let examples = examples();
    assert_eq!(examples.len(), 129);
    for (kind, path, example) in examples {
        assert!(schemas.modern().has(&kind), "{kind}");
        let errors = schemas.modern().errors(&kind, &example);
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
}

#[test]
fn example_requests_cross_as_valid_requests() {
    let schemas = Schemas::load();
    let mut crossed = 0;
    for kind in KINDS {
        for (name, path, example) in examples() {
            let Some(method) = example["method"].as_str().filter(|_| name.ends_with("Request")) else {
                continue;
            };
            // What servers ask of clients never comes to a replica as a request; listening has no answer.
            let Some(definition) = schema::request(method)
                .filter(|definition| *definition == name && method != "subscriptions/listen")
            else {
                continue;
            };
            let (mut host, transcript) = watched(kind);
            let mut run = open(&mut host);
            let first = run.ask(&message(&example));
            assert_eq!(first.response["id"], example["id"], "{definition}");
            let sent = run.authority().last(method);
            let without_meta = |params: &Value| {
                let mut params = params.clone();
                params.as_object_mut().map(|params| params.remove("_meta"));
                params
            };
            assert_eq!(
                without_meta(&sent.params),
                without_meta(&example["params"]),
                "{}",
                path.display()
            );
            run.ask(&message(&example));
            drop(run);
            judge(&schemas, &transcript, &path.display().to_string());
            crossed += 1;
        }
    }
    assert_eq!(crossed, 2 * 9, "one example of each request that is carried");
}

#[test]
fn example_parameters_cross_as_valid_requests() {
    let schemas = Schemas::load();
    let mut crossed = 0;
    for kind in KINDS {
        for (name, path, example) in examples() {
            let method = match &*name {
                "CallToolRequestParams" => "tools/call",
                "GetPromptRequestParams" => "prompts/get",
                "CompleteRequestParams" => "completion/complete",
                "PaginatedRequestParams" => "tools/list",
                _ => continue,
            };
            let (mut host, transcript) = watched(kind);
            let mut run = open(&mut host);
            let request = json!({"jsonrpc": "2.0", "id": "example", "method": method, "params": example});
            run.ask(&message(&request));
            assert_eq!(run.trips(method), 1);
            drop(run);
            judge(&schemas, &transcript, &path.display().to_string());
            crossed += 1;
        }
    }
    assert!(crossed >= 2 * 6, "{crossed}");
}

#[test]
fn example_notifications_of_agents_are_accepted() {
    for kind in KINDS {
        for (name, path, example) in examples() {
            if name == "CancelledNotification" {
                let (mut host, _) = watched(kind);
                let mut run = open(&mut host);
                let answer = run.ask(&message(&example));
                assert!(answer.response.is_null(), "{}", path.display());
            }
        }
    }
}

/// Cold and warm: what comes back is the example, member for member, but for what a replica fills anew.
#[test]
fn example_results_cross_as_valid_results() {
    let schemas = Schemas::load();
    let mut crossed = 0;
    for kind in KINDS {
        for (name, path, example) in examples() {
            let Some((request, method)) = asking(&name) else {
                continue;
            };
            let example = if name.ends_with("Response") {
                example["result"].clone()
            } else {
                example
            };
            let (mut host, transcript) = watched(kind);
            let mut run = open(&mut host);
            run.authority().always(method, None, result(example.to_string()));
            let cold = run.ask(&request);
            let warm = run.ask(&request);
            assert_eq!(
                plain(&cold, method),
                expected(&example, method),
                "{}",
                path.display()
            );
            assert_eq!(
                plain(&warm, method),
                expected(&example, method),
                "{}",
                path.display()
            );
            let cacheable =
                example["isError"] != true && !matches!(method, "prompts/get" | "completion/complete");
            let lasts = method == "tools/call" || example["ttlMs"].as_u64().is_some_and(|ttl| ttl > 0);
            assert_eq!(
                warm.cache().hit,
                cacheable && lasts,
                "{} {warm:?}",
                path.display()
            );
            drop(run);
            judge(&schemas, &transcript, &path.display().to_string());
            crossed += 1;
        }
    }
    assert!(crossed >= 2 * 20, "{crossed}");
}

/// A result without what a replica fills anew.
fn plain(answer: &Answer, method: &str) -> Value {
    let mut result = answer.result().clone();
    if let Some(meta) = result["_meta"].as_object_mut() {
        meta.remove("dev.leeward/cache");
    }
    expected(&result, method)
}

fn expected(result: &Value, method: &str) -> Value {
    let mut result = result.clone();
    if let Some(members) = result.as_object_mut() {
        // The time that is left; and what must be there is there, whether the authority said it or not.
        members.remove("ttlMs");
        if !matches!(method, "tools/call" | "prompts/get" | "completion/complete") {
            members.entry("cacheScope").or_insert(json!("private"));
        }
        if method == "server/discover" {
            // Those that this replica speaks and carries, in another test.
            members.remove("supportedVersions");
            members.remove("capabilities");
        }
        if members.get("_meta").is_some_and(|meta| *meta == json!({})) {
            members.remove("_meta");
        }
    }
    result
}

#[test]
fn example_steps_cross_as_valid_results() {
    let schemas = Schemas::load();
    for kind in KINDS {
        for (name, path, example) in examples() {
            if name != "InputRequiredResult" {
                continue;
            }
            let (mut host, transcript) = watched(kind);
            let mut run = open(&mut host);
            for (request, method) in ["CallToolResult", "ReadResourceResult", "GetPromptResult"]
                .into_iter()
                .filter_map(asking)
            {
                run.authority().always(method, None, result(example.to_string()));
                for _ in 0..2 {
                    let answer = run.miss(&request);
                    let mut result = answer.result().clone();
                    result["_meta"]
                        .as_object_mut()
                        .map(|meta| meta.remove("dev.leeward/cache"));
                    result.as_object_mut().map(|members| members.remove("_meta"));
                    assert_eq!(result, example, "{}", path.display());
                }
            }
            drop(run);
            judge(&schemas, &transcript, &path.display().to_string());
        }
    }
}

/// As the authority's answer to a call: verbatim where the revision allows it.
#[test]
fn example_errors_cross_as_valid_errors() {
    let schemas = Schemas::load();
    let mut crossed = 0;
    for kind in KINDS {
        for (name, path, example) in examples()
            .into_iter()
            .filter(|(name, ..)| name.ends_with("Error"))
        {
            let error = example.get("error").cloned().unwrap_or(example);
            let (mut host, transcript) = watched(kind);
            let mut run = open(&mut host);
            run.ask(&Message::call("get_user", "{}"));
            let status = if error["code"] == -32602 { 200 } else { 400 };
            let body = error.clone();
            let turn: Turn = Box::new(move |seen| {
                let response = json!({"jsonrpc": "2.0", "id": seen.id, "error": body});
                Plan::body(status, "application/json", response.to_string())
            });
            run.authority().always("tools/call", None, turn);
            let answer = run.ask(&Message::call("get_weather", "{}"));
            if error["code"] == -32022 {
                assert_eq!(
                    answer.error()["data"]["code"],
                    "authority_invalid",
                    "it speaks of another version than the agent's"
                );
            } else {
                assert_eq!(*answer.error(), error, "{name}");
            }
            drop(run);
            judge(&schemas, &transcript, &path.display().to_string());
            crossed += 1;
        }
    }
    assert!(crossed >= 2 * 8, "{crossed}");
}

#[test]
fn example_notifications_cross_as_valid_notifications() {
    let schemas = Schemas::load();
    for kind in KINDS {
        for (name, path, example) in examples() {
            if !matches!(&*name, "ProgressNotification" | "LoggingMessageNotification") {
                continue;
            }
            let (mut host, transcript) = watched(kind);
            let mut run = open(&mut host);
            let notification = example.clone();
            run.authority().always(
                "tools/call",
                None,
                Box::new(move |seen| {
                    let mut notification = notification.clone();
                    if notification["params"].get("progressToken").is_some() {
                        notification["params"]["progressToken"] =
                            seen.params["_meta"]["progressToken"].clone();
                    }
                    let done = leeward_tests::authority::response(
                        &seen.id,
                        r#"{"resultType":"complete","content":[]}"#,
                    );
                    Plan::events([notification.to_string(), done])
                }),
            );
            let level = r#""io.modelcontextprotocol/logLevel":"debug""#;
            let answer = run.ask(
                &Message::call("do_it", "{}")
                    .meta(level)
                    .progress(r#""oivaizmir""#),
            );
            assert_eq!(answer.notifications, [example], "{}", path.display());
            drop(run);
            judge(&schemas, &transcript, &path.display().to_string());
        }
    }
}

#[test]
fn example_subscriptions_cross_as_they_are() {
    let schemas = Schemas::load();
    let named = |kind: &str| {
        let found = examples().into_iter().find(|(name, ..)| name == kind);
        found.map(|(.., example)| example).expect("there is one of each")
    };
    let request = named("SubscriptionsListenRequest");
    let mut all = request.clone();
    all["params"]["notifications"] = json!({
        "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": [named("ResourceUpdatedNotification")["params"]["uri"]],
    });
    for kind in KINDS {
        for request in [&request, &all] {
            let (mut host, transcript) = watched(kind);
            let mut run = open(&mut host);
            run.authority().change(|authority| {
                authority.tells = &[
                    "toolsListChanged",
                    "promptsListChanged",
                    "resourcesListChanged",
                    "resourceSubscriptions",
                ];
            });
            let pending = run.start(&message(request));
            let mut acknowledged = named("SubscriptionsAcknowledgedNotification");
            acknowledged["params"]["notifications"] = request["params"]["notifications"].clone();
            let mut told = vec![acknowledged];
            if *request == all {
                for name in [
                    "ToolListChanged",
                    "PromptListChanged",
                    "ResourceListChanged",
                    "ResourceUpdated",
                ] {
                    told.push(named(&format!("{name}Notification")));
                }
            }
            for note in &told[1..] {
                let method = note["method"].as_str().expect("it has one");
                run.authority().tell(method, &note["params"]);
            }
            assert_eq!(run.heard(pending, told.len()), told);
            run.authority().end_streams();
            let mut end = run.finish(pending).response;
            end["result"]["_meta"]
                .as_object_mut()
                .map(|meta| meta.remove("dev.leeward/cache"));
            assert_eq!(end, named("SubscriptionsListenResultResponse"));
            drop(run);
            judge(&schemas, &transcript, "subscriptions");
        }
    }
}

/// Whatever authorities and agents do in the behaviour suite, what the replica itself writes is valid: every
/// request upstream by its method, every message downstream by its envelope.
#[test]
fn everything_in_the_behaviour_suite_is_valid() {
    let schemas = Schemas::load();
    for kind in KINDS.into_iter().chain([Kind::Sessions]) {
        let (mut host, transcript) = watched(kind);
        for case in cases_of(&host) {
            transcript.borrow_mut().clear();
            (case.run)(&mut host);
            for crossing in transcript.borrow().iter() {
                // What an authority says wrongly within a result passes; what frames it is the replica's.
                let errors: Vec<_> =
                    if crossing.upstream || crossing.bytes.windows(9).any(|part| part == b"\"error\":{") {
                        schemas.judge(crossing)
                    } else {
                        let message = serde_json::from_slice(&crossing.bytes).unwrap_or_default();
                        schemas
                            .modern()
                            .errors("JSONRPCMessage", &message)
                            .into_iter()
                            .filter(|_| crossing.revision == "2026-07-28")
                            .collect()
                    };
                assert!(
                    errors.is_empty(),
                    "{}: {errors:#?} in {}",
                    case.name,
                    String::from_utf8_lossy(&crossing.bytes)
                );
            }
        }
        assert!(host.has(leeward_tests::Need::Clock));
    }
}
