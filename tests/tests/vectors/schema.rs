//! The official schemas, and which of their definitions a message must meet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jsonschema::Validator;
use leeward_tests::pair::Crossing;
use serde_json::{Value, json};

/// The folder of the vectors.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// A JSON file.
pub(crate) fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One revision's schema.
pub(crate) struct Schema {
    defs: Value,
    validators: RefCell<BTreeMap<String, Rc<Validator>>>,
}

impl Schema {
    pub(crate) fn load(revision: &str) -> Self {
        let schema = read(&vectors().join(revision).join("schema.json"));
        let mut defs = schema["$defs"].clone();
        if revision == "2026-07-28" {
            let tasks = read(&vectors().join(revision).join("tasks.json"));
            for (name, definition) in tasks["$defs"].as_object().into_iter().flatten() {
                defs[name] = definition.clone();
            }
        }
        Self {
            defs,
            validators: RefCell::default(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.defs.get(name).is_some()
    }

    fn validator(&self, name: &str) -> Rc<Validator> {
        let mut validators = self.validators.borrow_mut();
        let made = validators.entry(name.to_owned()).or_insert_with(|| {
            let schema = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$ref": format!("#/$defs/{name}"),
                "$defs": self.defs,
            });
            Rc::new(jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}")))
        });
        made.clone()
    }

    /// What is wrong with a value as this definition.
    pub(crate) fn errors(&self, name: &str, value: &Value) -> Vec<String> {
        let validator = self.validator(name);
        validator
            .iter_errors(value)
            .map(|error| format!("{name}: {error} at {}", error.instance_path()))
            .collect()
    }
}

/// The schemas of all revisions that are spoken.
pub(crate) struct Schemas {
    modern: Schema,
    legacy: Schema,
}

impl Schemas {
    pub(crate) fn load() -> Self {
        Self {
            modern: Schema::load("2026-07-28"),
            legacy: Schema::load("2025-11-25"),
        }
    }

    pub(crate) const fn modern(&self) -> &Schema {
        &self.modern
    }

    /// What is wrong with a message of a replica.
    pub(crate) fn judge(&self, crossing: &Crossing) -> Vec<String> {
        let message: Value = match serde_json::from_slice(&crossing.bytes) {
            Ok(message) => message,
            Err(error) => return vec![format!("no JSON: {error}")],
        };
        let modern = crossing.revision == "2026-07-28";
        let schema = if modern { &self.modern } else { &self.legacy };
        let definition = match (crossing.upstream, message.get("method"), message.get("error")) {
            (true, None, _) => "JSONRPCMessage".into(),
            (true, ..) if message.get("id").is_none() => "ClientNotification".into(),
            (true, ..) => request(&crossing.method).unwrap_or_else(|| panic!("sent upstream: {message}")),
            (false, Some(method), _) if method == "notifications/tasks" => "TaskStatusNotification".into(),
            (false, Some(_), _) => "ServerNotification".into(),
            (false, None, Some(error)) => match error["code"].as_i64() {
                Some(-32020) if modern => "HeaderMismatchError".into(),
                Some(-32021) if modern => "MissingRequiredClientCapabilityError".into(),
                Some(-32022) if modern => "UnsupportedProtocolVersionError".into(),
                _ => "JSONRPCErrorResponse".into(),
            },
            (false, None, None) => {
                let mut errors = schema.errors("JSONRPCResultResponse", &message);
                let result = &message["result"];
                let name = match result["resultType"].as_str() {
                    Some("input_required") => "InputRequiredResult".to_owned(),
                    Some("task") => "CreateTaskResult".to_owned(),
                    Some("complete") | None => result_of(&crossing.method),
                    Some(_) => "Result".to_owned(),
                };
                errors.extend(schema.errors(&name, result));
                return errors;
            }
        };
        schema.errors(&definition, &message)
    }
}

/// The definition of a method's request.
pub(crate) fn request(method: &str) -> Option<String> {
    stem(method).map(|stem| format!("{stem}Request"))
}

fn result_of(method: &str) -> String {
    stem(method).map_or_else(|| "EmptyResult".to_owned(), |stem| format!("{stem}Result"))
}

fn stem(method: &str) -> Option<&'static str> {
    Some(match method {
        "server/discover" => "Discover",
        "initialize" => "Initialize",
        "tools/list" => "ListTools",
        "tools/call" => "CallTool",
        "resources/list" => "ListResources",
        "resources/templates/list" => "ListResourceTemplates",
        "resources/read" => "ReadResource",
        "prompts/list" => "ListPrompts",
        "prompts/get" => "GetPrompt",
        "completion/complete" => "Complete",
        "resources/subscribe" => "Subscribe",
        "logging/setLevel" => "SetLevel",
        "subscriptions/listen" => "SubscriptionsListen",
        "tasks/get" => "GetTask",
        "tasks/update" => "UpdateTask",
        "tasks/cancel" => "CancelTask",
        _ => return None,
    })
}
