//! Tools that ask back: by results that want input (2026-07-28, multi-round-trip requests), and by requests of the
//! server's within a session (2025-11-25 and before); some in either way.

use rmcp::model::{CallToolRequestParams, CallToolResponse, ClientCapabilities, RequestStateCodec};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value, json};

use crate::contents::{of, text};

/// An elicitation of one text.
pub(crate) fn ask_text(message: &str, field: &str) -> Value {
    ask(message, json!({field: {"type": "string"}}), &[field])
}

/// An elicitation.
pub(crate) fn ask(message: &str, properties: Value, required: &[&str]) -> Value {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}})
}

fn sample(prompt: &str) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 50}})
}

fn roots() -> Value {
    json!({"method": "roots/list"})
}

/// A result that wants input.
pub(crate) fn wants(requests: Value, state: Option<String>) -> CallToolResponse {
    let mut result = json!({"resultType": "input_required", "inputRequests": requests});
    if let Some(state) = state {
        result["requestState"] = json!(state);
    }
    CallToolResponse::InputRequired(of(result))
}

/// An answer to what was asked under a key; none if it is no object, as an answer must be.
pub(crate) fn answer<'a>(call: &'a CallToolRequestParams, key: &str) -> Option<&'a Map<String, Value>> {
    call.input_responses.as_ref()?.get(key)?.as_object()
}

/// A field of what a form was filled in with.
pub(crate) fn field(answer: &Map<String, Value>, name: &str) -> String {
    let value = answer.get("content").and_then(|content| content.get(name));
    value.and_then(Value::as_str).unwrap_or_default().into()
}

/// Calls a tool that asks by its result; `None` if it is none of these.
pub(crate) fn call(
    call: &CallToolRequestParams,
    declared: &ClientCapabilities,
    seals: &RequestStateCodec,
) -> Result<Option<CallToolResponse>, ErrorData> {
    let seal = |round: u64| {
        let sealed = seals.seal_json(&json!({"round": round}));
        sealed.map_err(|error| ErrorData::internal_error(error.to_string(), None))
    };
    let round = match &call.request_state {
        None => 0,
        Some(sealed) => {
            let tampered = |_| ErrorData::invalid_params("invalid or expired requestState", None);
            let state: Value = seals.open_json(sealed).map_err(tampered)?;
            state["round"].as_u64().unwrap_or_default()
        }
    };
    let once = |key: &str, question: Value, reply: &dyn Fn(&Map<String, Value>) -> String| {
        answer(call, key).map_or_else(
            || wants(json!({key: question}), None),
            |answer| text(reply(answer)).into(),
        )
    };
    Ok(Some(match &*call.name {
        "test_missing_capability" if declared.sampling.is_none() => {
            let required = ClientCapabilities::builder().enable_sampling().build();
            return Err(ErrorData::missing_required_client_capability(required));
        }
        "test_missing_capability" => text("The client can sample").into(),
        "test_streaming_elicitation" => {
            once("answer", ask_text("What now?", "answer"), &|_| "Answered".into())
        }
        "test_input_required_result_elicitation" => {
            once("user_name", ask_text("What is your name?", "name"), &|answer| {
                format!("Hello, {}!", field(answer, "name"))
            })
        }
        "test_input_required_result_sampling" => {
            once("capital", sample("What is the capital of France?"), &|answer| {
                field(answer, "text")
            })
        }
        "test_input_required_result_list_roots" => once("client_roots", roots(), &|answer| {
            answer.get("roots").map(Value::to_string).unwrap_or_default()
        }),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            if round == 1 && answer(call, "confirm").is_some() {
                text("state-ok").into()
            } else {
                let confirm = ask("Please confirm", json!({"ok": {"type": "boolean"}}), &["ok"]);
                wants(json!({"confirm": confirm}), Some(seal(1)?))
            }
        }
        "test_input_required_result_multiple_inputs" => {
            let questions = json!({
                "user_name": ask_text("What is your name?", "name"),
                "greeting": sample("Generate a greeting"),
                "client_roots": roots(),
            });
            all_of(call, questions, Some(seal(1)?), "All inputs received")
        }
        "test_input_required_result_multi_round" => match round {
            1 if answer(call, "step1").is_some() => {
                let next = ask_text("Step 2: What is your favorite color?", "color");
                wants(json!({"step2": next}), Some(seal(2)?))
            }
            2 if answer(call, "step2").is_some() => text("All rounds done").into(),
            _ => {
                let first = ask_text("Step 1: What is your name?", "name");
                wants(json!({"step1": first}), Some(seal(1)?))
            }
        },
        "test_input_required_result_capabilities" => {
            let mut questions = json!({});
            if declared.sampling.is_some() {
                questions["sample"] = sample("Say hello");
            }
            if declared.elicitation.is_some() {
                questions["name"] = ask_text("What is your name?", "name");
            }
            all_of(call, questions, None, "Capabilities respected")
        }
        _ => return Ok(None),
    }))
}

/// Asks until every question has an answer.
fn all_of(
    call: &CallToolRequestParams,
    questions: Value,
    state: Option<String>,
    done: &str,
) -> CallToolResponse {
    let answered = questions
        .as_object()
        .is_none_or(|all| all.keys().all(|key| answer(call, key).is_some()));
    if answered {
        text(done).into()
    } else {
        wants(questions, state)
    }
}

/// Calls a tool that asks as its client's revision has it; `None` if it is none of these.
pub(crate) async fn call_as_spoken(
    call: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<Option<CallToolResponse>, ErrorData> {
    let argument = |name: &str| {
        let given = call.arguments.as_ref().and_then(|arguments| arguments.get(name));
        given.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let no_answer = |error: rmcp::ServiceError| ErrorData::internal_error(error.to_string(), None);
    let question = match &*call.name {
        "test_sampling" => sample(&argument("prompt")),
        "test_elicitation" => {
            let fields = json!({"username": {"type": "string"}, "email": {"type": "string"}});
            ask(&argument("message"), fields, &["username", "email"])
        }
        "test_elicitation_sep1034_defaults" => ask("Please review the defaults", defaults(), &[]),
        "test_elicitation_sep1330_enums" => ask("Please choose", enums(), &[]),
        _ => return Ok(None),
    };
    let samples = call.name == "test_sampling";
    let params = question["params"].clone();
    let in_session = context
        .protocol_version()
        .is_none_or(|version| version.has_initialize());
    let answer = if !in_session {
        match answer(call, "answer") {
            Some(answer) => json!(answer),
            None => return Ok(Some(wants(json!({"answer": question}), None))),
        }
    } else if samples {
        json!(context.peer.create_message(of(params)).await.map_err(no_answer)?)
    } else {
        json!(
            context
                .peer
                .create_elicitation(of(params))
                .await
                .map_err(no_answer)?
        )
    };
    let said = if samples {
        format!("LLM response: {}", answer["content"]["text"])
    } else {
        let (action, content) = (&answer["action"], &answer["content"]);
        let action = action.as_str().unwrap_or_default();
        format!("User response: action={action}, content={content}")
    };
    Ok(Some(text(said).into()))
}

fn defaults() -> Value {
    json!({
        "name": {"type": "string", "description": "User name", "default": "John Doe"},
        "age": {"type": "integer", "description": "User age", "default": 30},
        "score": {"type": "number", "description": "User score", "default": 95.5},
        "status": {"type": "string", "description": "User status", "enum": ["active", "inactive", "pending"],
            "default": "active"},
        "verified": {"type": "boolean", "description": "Verification status", "default": true},
    })
}

fn enums() -> Value {
    let titled = |what: &str| -> Value {
        (1..=3)
            .map(|n| json!({"const": format!("value{n}"), "title": format!("{what} {n}")}))
            .collect()
    };
    json!({
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    })
}
