//! Resources, prompts and completions: what is read, as the suite names it.

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, GetPromptRequestParams, GetPromptResponse, ReadResourceResult};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::asking::ask_text;

/// A PNG of one red pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A WAV of no samples.
pub(crate) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// A type of the SDK's from its JSON.
pub(crate) fn of<T: DeserializeOwned>(json: Value) -> T {
    let shown = json.to_string();
    serde_json::from_value(json).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

/// A complete result from its JSON.
pub(crate) fn complete<T: DeserializeOwned>(mut json: Value) -> T {
    json["resultType"] = json!("complete");
    of(json)
}

/// A result of one text.
pub(crate) fn text(text: impl Into<String>) -> CallToolResult {
    complete(json!({"content": [{"type": "text", "text": text.into()}]}))
}

pub(crate) fn resources() -> Value {
    json!([
        {"uri": "test://static-text", "name": "static-text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "static-binary", "mimeType": "image/png"},
        {"uri": "test://watched-resource", "name": "watched-resource", "mimeType": "text/plain"},
    ])
}

pub(crate) fn templates() -> Value {
    json!([{"uriTemplate": "test://template/{id}/data", "name": "template-data", "mimeType": "application/json"}])
}

/// What a resource holds.
pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let content = match uri {
        "test://static-text" => {
            json!({"mimeType": "text/plain", "text": "This is the content of the static text resource."})
        }
        "test://watched-resource" => json!({"mimeType": "text/plain", "text": "Watched resource content"}),
        "test://static-binary" => json!({"mimeType": "image/png", "blob": PNG}),
        _ => {
            let id = uri
                .strip_prefix("test://template/")
                .and_then(|rest| rest.strip_suffix("/data"));
            let Some(id) = id else {
                return Err(ErrorData::resource_not_found(
                    format!("no resource {uri}"),
                    Some(json!({"uri": uri})),
                ));
            };
            let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            json!({"mimeType": "application/json", "text": data.to_string()})
        }
    };
    let mut content = content;
    content["uri"] = json!(uri);
    Ok(complete(json!({"contents": [content]})))
}

pub(crate) fn prompts() -> Value {
    let argument = |name: &str| json!({"name": name, "description": "For a test", "required": true});
    json!([
        {"name": "test_simple_prompt", "description": "Takes no arguments"},
        {"name": "test_prompt_with_arguments", "description": "Repeats its arguments",
            "arguments": [argument("arg1"), argument("arg2")]},
        {"name": "test_prompt_with_embedded_resource", "description": "Embeds a resource",
            "arguments": [argument("resourceUri")]},
        {"name": "test_prompt_with_image", "description": "Carries an image"},
        {"name": "test_input_required_result_prompt", "description": "Asks for a context first"},
    ])
}

/// A prompt with its arguments filled in.
pub(crate) fn prompt(params: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        let given = params
            .arguments
            .as_ref()
            .and_then(|arguments| arguments.get(name));
        given.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let say = |text: String| json!({"type": "text", "text": text});
    let contents = match &*params.name {
        "test_simple_prompt" => vec![say("This is a simple prompt for testing.".into())],
        "test_prompt_with_arguments" => {
            let (first, second) = (argument("arg1"), argument("arg2"));
            vec![say(format!(
                "Prompt with arguments: arg1='{first}', arg2='{second}'"
            ))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource =
                json!({"uri": argument("resourceUri"), "mimeType": "text/plain", "text": "Embedded."});
            vec![
                json!({"type": "resource", "resource": resource}),
                say("Please process the embedded resource above.".into()),
            ]
        }
        "test_prompt_with_image" => vec![
            json!({"type": "image", "data": PNG, "mimeType": "image/png"}),
            say("Please analyze the image above.".into()),
        ],
        "test_input_required_result_prompt" => {
            let answers = params.input_responses.as_ref();
            let Some(answer) = answers.and_then(|answers| answers.get("user_context")) else {
                let question = ask_text("What context should the prompt use?", "context");
                return Ok(GetPromptResponse::InputRequired(of(json!({
                    "resultType": "input_required",
                    "inputRequests": {"user_context": question},
                }))));
            };
            vec![say(format!("Context: {}", answer["content"]["context"]))]
        }
        name => return Err(ErrorData::invalid_params(format!("no prompt {name}"), None)),
    };
    let messages: Vec<Value> = contents
        .into_iter()
        .map(|content| json!({"role": "user", "content": content}))
        .collect();
    Ok(GetPromptResponse::Complete(complete(
        json!({"messages": messages}),
    )))
}

/// Completions of an argument's value.
pub(crate) fn completions(value: &str) -> Value {
    let cities = ["paris", "park", "party"];
    let values: Vec<&str> = cities
        .into_iter()
        .filter(|city| city.starts_with(value))
        .collect();
    json!({"completion": {"values": values, "total": values.len(), "hasMore": false}})
}
