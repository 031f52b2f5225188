//! A trip to a tool or resource that the host registered.
//!
//! What the host answers must be a JSON object; that it is a result of its method is for the core to say.

use alloc::string::String;

use leeward::Millis;
use leeward::border::LocalCall;
use leeward::dispatch::{Answer, Body};
use leeward::json::{is_object, whole};

use super::within;
use crate::exec::{Io, Outcome, Sent};
use crate::trouble::Trouble;

pub(super) async fn run(mut io: Io, call: LocalCall, timeout: Millis, sent: Sent) -> Outcome {
    let is_tool = matches!(call, LocalCall::Tool { .. });
    let timer = io.timer(timeout);
    let Some(result) = within(timer, None, io.call_local(call, sent.clone())).await else {
        return Err(Trouble::local_timeout().into_error(is_tool && sent.is_set()));
    };
    let result = result.map_err(|message| failed(&message)).and_then(|bytes| {
        let text = String::from_utf8(bytes).map_err(|_| failed("its result is not UTF-8"))?;
        let is_json = whole(&text).is_some_and(is_object);
        if is_json {
            Ok(text)
        } else {
            Err(failed("its result is not a JSON object"))
        }
    });
    // The host said what became of the call, so nothing is unknown.
    let text = result.map_err(|trouble| trouble.into_error(false))?;
    Ok(Answer {
        body: Body::Result(text),
        credential: None,
        learned: [].into(),
    })
}

fn failed(detail: &str) -> Trouble {
    Trouble::internal("the local tool or resource failed").with_detail(detail)
}
