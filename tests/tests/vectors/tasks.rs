//! The messages of the tasks extension, as SEP-2663 words them: it has no schema in the protocol's own repository.

use serde_json::{Value, json};

/// Definitions under the extension's names, beside those of 2026-07-28.
pub(crate) fn definitions() -> Vec<(&'static str, Value)> {
    let request = |method: &str, more: &str| {
        let mut properties =
            json!({"_meta": {"$ref": "#/$defs/RequestMetaObject"}, "taskId": {"type": "string"}});
        let mut required = json!(["_meta", "taskId"]);
        if !more.is_empty() {
            properties[more] = json!({"$ref": "#/$defs/InputResponses"});
            required = json!(["_meta", "taskId", more]);
        }
        json!({
            "allOf": [{"$ref": "#/$defs/JSONRPCRequest"}],
            "properties": {
                "method": {"const": method},
                "params": {"type": "object", "properties": properties, "required": required},
            },
            "required": ["method", "params"],
        })
    };
    let result = |kind: &str, of: &[&str]| {
        let of = of.iter().map(|name| json!({"$ref": format!("#/$defs/{name}")}));
        json!({
            "allOf": of.collect::<Vec<_>>(),
            "properties": {"resultType": {"const": kind}},
            "required": ["resultType"],
        })
    };
    let bare = |name: &str| json!({"not": {"required": [name]}});
    let when = |status: &str, then: Value| {
        let is = json!({"properties": {"status": {"const": status}}});
        json!({"if": is, "then": then})
    };
    let task = json!({
        "type": "object",
        "properties": {
            "taskId": {"type": "string"},
            "status": {"enum": ["working", "input_required", "completed", "failed", "cancelled"]},
            "statusMessage": {"type": "string"},
            "createdAt": {"type": "string"},
            "lastUpdatedAt": {"type": "string"},
            "ttlMs": {"type": ["integer", "null"]},
            "pollIntervalMs": {"type": "integer"},
        },
        "required": ["taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs"],
    });
    let detailed = json!({"allOf": [
        {"$ref": "#/$defs/Task"},
        {"properties": {
            "inputRequests": {"$ref": "#/$defs/InputRequests"},
            "result": {"type": "object"},
            "error": {"$ref": "#/$defs/Error"},
        }},
        when("input_required", json!({"required": ["inputRequests"]})),
        when("completed", json!({"required": ["result"]})),
        when("failed", json!({"required": ["error"], "allOf": [bare("result")]})),
    ]});
    let news = json!({
        "allOf": [{"$ref": "#/$defs/JSONRPCNotification"}],
        "properties": {
            "method": {"const": "notifications/tasks"},
            "params": {"allOf": [{"$ref": "#/$defs/NotificationParams"}, {"$ref": "#/$defs/DetailedTask"}]},
        },
        "required": ["method", "params"],
    });
    vec![
        ("Task", task),
        ("DetailedTask", detailed),
        ("CreateTaskResult", result("task", &["Result", "Task"])),
        ("GetTaskRequest", request("tasks/get", "")),
        ("GetTaskResult", result("complete", &["Result", "DetailedTask"])),
        ("UpdateTaskRequest", request("tasks/update", "inputResponses")),
        ("UpdateTaskResult", result("complete", &["Result"])),
        ("CancelTaskRequest", request("tasks/cancel", "")),
        ("CancelTaskResult", result("complete", &["Result"])),
        ("TaskStatusNotification", news),
    ]
}

#[test]
fn the_definitions_take_tasks_and_nothing_else() {
    let schema = super::schema::Schema::load("2026-07-28");
    let sound = |name: &str, value: &Value| schema.errors(name, value).is_empty();
    let working = json!({"resultType": "complete", "taskId": "1", "status": "working", "createdAt": "", "lastUpdatedAt": "", "ttlMs": null});
    assert!(sound("GetTaskResult", &working));
    assert!(!sound("CreateTaskResult", &working));
    for member in [
        "taskId",
        "status",
        "createdAt",
        "lastUpdatedAt",
        "ttlMs",
        "resultType",
    ] {
        let mut less = working.clone();
        less.as_object_mut().map(|members| members.remove(member));
        assert!(!sound("GetTaskResult", &less), "{member}");
    }
    for status in ["input_required", "completed", "failed", "submitted"] {
        let mut other = working.clone();
        other["status"] = json!(status);
        assert!(!sound("GetTaskResult", &other), "{status} has more, or is none");
    }
}
