//! Tools whose calls become tasks (extension `io.modelcontextprotocol/tasks`, SEP-2663), run by the SDK's manager.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::asking::{answer, ask, ask_text, field, wants};
use crate::contents::{complete, of, text};

/// What a task does.
#[derive(Clone, Debug)]
enum Job {
    Compute { seconds: f64, label: String },
    Fail,
    Break,
    Delete { file: String },
    AskTwice,
    Greet { name: String },
}

/// Calls a tool that may become a task; `None` if it is none of these.
pub(crate) async fn call(
    call: &CallToolRequestParams,
    declared: &ClientCapabilities,
    tasks: &TaskManager,
) -> Result<Option<CallToolResponse>, ErrorData> {
    let argument = |name: &str| {
        let arguments = call.arguments.as_ref();
        arguments
            .and_then(|arguments| arguments.get(name))
            .cloned()
            .unwrap_or_default()
    };
    let word = |name: &str| argument(name).as_str().unwrap_or_default().to_owned();
    let job = match &*call.name {
        "slow_compute" => Job::Compute {
            seconds: argument("seconds").as_f64().unwrap_or_default(),
            label: word("label"),
        },
        "failing_job" => Job::Fail,
        "protocol_error_job" => Job::Break,
        "confirm_delete" => Job::Delete {
            file: word("filename"),
        },
        "multi_input" => Job::AskTwice,
        "test_tool_with_task" => Job::Greet {
            name: answer(call, "user_name")
                .map(|answer| field(answer, "name"))
                .unwrap_or_default(),
        },
        _ => return Ok(None),
    };
    if let (Job::Compute { seconds, label }, false) = (&job, declared.supports_tasks()) {
        sleep(Duration::from_secs_f64(*seconds)).await;
        return Ok(Some(computed(label, *seconds).into()));
    }
    if !declared.supports_tasks() {
        let required = ClientCapabilities::builder().enable_tasks().build();
        return Err(ErrorData::missing_required_client_capability(required));
    }
    if &*call.name == "test_tool_with_task" && answer(call, "user_name").is_none() {
        let question = ask_text("What is your name?", "name");
        return Ok(Some(wants(json!({"user_name": question}), None)));
    }
    let mut options = TaskOptions::default();
    options.poll_interval_ms = Some(100);
    let task = tasks.spawn(options, |context| Box::pin(run(job, context)));
    Ok(Some(CreateTaskResult::new(task).into()))
}

async fn run(job: Job, context: TaskContext) -> Result<CallToolResult, TaskExit> {
    let wait = async |time: Duration| {
        tokio::select! {
            () = context.cancelled() => Err(TaskExit::Cancelled),
            () = sleep(time) => Ok(()),
        }
    };
    let input = |key: &'static str, question: Value| context.request_input(key, of(question));
    match job {
        Job::Compute { seconds, label } => {
            wait(Duration::from_secs_f64(seconds)).await?;
            Ok(computed(&label, seconds))
        }
        Job::Fail => {
            wait(Duration::from_secs(1)).await?;
            Ok(complete(
                json!({"content": [{"type": "text", "text": "This job fails on purpose"}], "isError": true}),
            ))
        }
        Job::Break => {
            wait(Duration::from_millis(100)).await?;
            Err(ErrorData::internal_error("This job breaks on purpose", None).into())
        }
        Job::Delete { file } => {
            let question = ask(
                &format!("Delete {file}?"),
                json!({"confirm": {"type": "boolean"}}),
                &["confirm"],
            );
            let answer = input("confirm", question).await?;
            let confirmed = answer["content"]["confirm"] == true;
            Ok(text(format!(
                "{file} {}",
                if confirmed { "deleted" } else { "kept" }
            )))
        }
        Job::AskTwice => {
            let (first, second) = tokio::try_join!(
                input("first", ask_text("The first name?", "name")),
                input("second", ask_text("The second name?", "name")),
            )?;
            Ok(text(format!(
                "{} and {}",
                first["content"]["name"], second["content"]["name"]
            )))
        }
        Job::Greet { name } => {
            wait(Duration::from_millis(100)).await?;
            Ok(text(format!("Hello, {name}!")))
        }
    }
}

fn computed(label: &str, seconds: f64) -> CallToolResult {
    text(format!("{label} computed in {seconds} s"))
}
