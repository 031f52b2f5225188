//! The tools: how they are listed, and those that only answer.

use rmcp::model::{CallToolRequestParams, CallToolResult, LoggingLevel, Tool};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::contents::{PNG, WAV, complete, of, text};

/// Tools without arguments: name and description.
const PLAIN: &[(&str, &str)] = &[
    // The first one listed is called with empty arguments by the suite.
    ("test_simple_text", "Returns one text"),
    ("test_image_content", "Returns an image"),
    ("test_audio_content", "Returns a sound"),
    ("test_embedded_resource", "Returns an embedded resource"),
    (
        "test_multiple_content_types",
        "Returns a text, an image, a resource",
    ),
    ("test_error_handling", "Always fails"),
    ("test_tool_with_progress", "Reports progress three times"),
    ("test_tool_with_logging", "Logs three lines at level info"),
    ("test_logging_tool", "Logs, where the request asked for logs"),
    ("test_reconnection", "Takes a moment"),
    ("test_trigger_tool_change", "Says that the list of tools changed"),
    (
        "test_trigger_prompt_change",
        "Says that the list of prompts changed",
    ),
    ("test_missing_capability", "Needs a client that declared sampling"),
    ("test_streaming_elicitation", "Asks the user within its response"),
    ("test_input_required_result_elicitation", "Asks for a name"),
    ("test_input_required_result_sampling", "Asks the client's model"),
    (
        "test_input_required_result_list_roots",
        "Asks for the client's roots",
    ),
    ("test_input_required_result_request_state", "Round-trips a state"),
    (
        "test_input_required_result_tampered_state",
        "Refuses a tampered state",
    ),
    (
        "test_input_required_result_multiple_inputs",
        "Asks for three things at once",
    ),
    (
        "test_input_required_result_multi_round",
        "Asks twice, one after the other",
    ),
    (
        "test_input_required_result_capabilities",
        "Asks only what the client can answer",
    ),
    ("test_elicitation_sep1034_defaults", "Asks with default values"),
    (
        "test_elicitation_sep1330_enums",
        "Asks with every kind of enumeration",
    ),
    ("failing_job", "A task that fails as a tool does"),
    ("protocol_error_job", "A task that fails as a request does"),
    ("multi_input", "A task that asks two things at once"),
    ("test_tool_with_task", "Asks, then becomes a task"),
];

/// Every tool.
pub(crate) fn all() -> Vec<Tool> {
    let mut all: Vec<Tool> = PLAIN
        .iter()
        .map(|(name, description)| tool(name, description, json!({"type": "object", "properties": {}})))
        .collect();
    let object = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required});
    let string = json!({"type": "string"});
    all.extend([
        tool(
            "test_header_parameter",
            "Has an argument that is mirrored as Mcp-Param-Region",
            object(
                json!({"region": {"type": "string", "x-mcp-header": "Region"}, "query": string}),
                &[],
            ),
        ),
        tool(
            "json_schema_2020_12_tool",
            "Its schema uses the wider vocabulary",
            wide_schema(),
        ),
        tool(
            "test_sampling",
            "Asks the client's model",
            object(json!({"prompt": string}), &["prompt"]),
        ),
        tool(
            "test_elicitation",
            "Asks the client's user",
            object(json!({"message": string}), &["message"]),
        ),
        tool(
            "greet",
            "Greets, at once",
            object(json!({"name": string}), &["name"]),
        ),
        tool(
            "slow_compute",
            "A task of so many seconds",
            object(
                json!({"seconds": {"type": "number"}, "label": string}),
                &["seconds"],
            ),
        ),
        tool(
            "confirm_delete",
            "A task that asks before it deletes",
            object(json!({"filename": string}), &["filename"]),
        ),
    ]);
    all
}

fn tool(name: &str, description: &str, schema: Value) -> Tool {
    of(json!({"name": name, "description": description, "inputSchema": schema}))
}

fn wide_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            },
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}

/// Calls a tool that only answers; `None` if it is none of these.
pub(crate) async fn call(
    call: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<Option<CallToolResult>, ErrorData> {
    let argument = |name: &str| {
        let given = call.arguments.as_ref().and_then(|arguments| arguments.get(name));
        given.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let embedded = |uri: &str, kind: &str, text: &str| json!({"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}});
    let image = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
    let content = match &*call.name {
        "test_simple_text" => return Ok(Some(text("This is a simple text response for testing."))),
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]),
        "test_embedded_resource" => json!([embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )]),
        "test_multiple_content_types" => json!([
            {"type": "text", "text": "Multiple content types test:"},
            image,
            embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_error_handling" => {
            let content =
                json!([{"type": "text", "text": "This tool intentionally returns an error for testing"}]);
            return Ok(Some(complete(json!({"content": content, "isError": true}))));
        }
        "test_tool_with_progress" => {
            progress(context).await;
            return Ok(Some(text("Tool execution completed")));
        }
        "test_tool_with_logging" => {
            for line in [
                "Tool execution started",
                "Tool processing data",
                "Tool execution completed",
            ] {
                log(context, LoggingLevel::Info, line).await;
            }
            return Ok(Some(text("Tool with logging executed successfully")));
        }
        "test_logging_tool" => {
            if let Some(level) = context.meta.log_level() {
                log(context, level, "A log was asked for").await;
            }
            return Ok(Some(text("Tool with logging executed successfully")));
        }
        "test_reconnection" => return Ok(Some(text("Reconnection test completed successfully"))),
        "test_header_parameter" => return Ok(Some(text(format!("region: {}", argument("region"))))),
        "json_schema_2020_12_tool" => return Ok(Some(text(json!(call.arguments).to_string()))),
        "greet" => return Ok(Some(text(format!("Hello, {}!", argument("name"))))),
        _ => return Ok(None),
    };
    Ok(Some(complete(json!({"content": content}))))
}

async fn progress(context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else {
        return;
    };
    for progress in [0, 50, 100] {
        let params =
            json!({"progressToken": token, "progress": progress, "total": 100, "message": "on the way"});
        // A client that left is told nothing.
        let _ = context.peer.notify_progress(of(params)).await;
    }
}

async fn log(context: &RequestContext<RoleServer>, level: LoggingLevel, line: &str) {
    let params = json!({"level": level, "logger": "fixtures", "data": line});
    let _ = context.peer.notify_logging_message(of(params)).await;
}
