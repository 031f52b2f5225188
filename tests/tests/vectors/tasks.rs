//! The definitions of the tasks extension, which are ours (`tests/vectors`).

use serde_json::{Value, json};

use super::schema::Schema;

#[test]
fn the_definitions_take_tasks_and_nothing_else() {
    let schema = Schema::load("2026-07-28");
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
    for (status, more) in [("input_required", "inputRequests"), ("completed", "result")] {
        let mut other = working.clone();
        other["status"] = json!(status);
        assert!(!sound("GetTaskResult", &other), "{status} has more");
        other[more] = json!({});
        assert!(sound("GetTaskResult", &other), "{status}");
    }
    let mut failed = working.clone();
    failed["status"] = json!("failed");
    failed["error"] = json!({"code": 1, "message": "m"});
    assert!(sound("GetTaskResult", &failed));
    failed["result"] = json!({});
    assert!(!sound("GetTaskResult", &failed));
    let mut strange = working;
    strange["status"] = json!("submitted");
    assert!(!sound("GetTaskResult", &strange));
}
