//! What an authority wants to know before it answers, where the agent is of another era than the authority: the
//! `input_required` of 2026-07-28 toward an agent that only knows requests (Patterns, Multi Round-Trip Requests), and
//! the `URLElicitationRequired` error of 2025-11-25 (Elicitation, Error Handling) toward one that only knows results.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::dispatch::Body;
use leeward::json::{Members, elements, is_object, push_string, string};
use leeward::limits::{MAX_INPUT_REQUESTS, MAX_INPUT_ROUNDS};
use leeward::mcp::input::{ELICITATION, InputRequest};
use leeward::mcp::meta::push_member;

use super::Trip;
use super::message::Response;
use crate::trouble::Trouble;

/// The error with which session-era authorities ask for an elicitation by URL.
const URL_REQUIRED: i64 = -32042;

impl Trip<'_> {
    /// Asks the agent what an answer wants to know. The members of `params` for the next attempt; `None` if the answer
    /// wants nothing. `rounds`: how often it was asked before.
    pub(super) async fn provide(
        &mut self,
        body: &Body,
        rounds: &mut usize,
    ) -> Result<Option<String>, Trouble> {
        let Some(result) = Some(body)
            .filter(|_| self.forward.session_era)
            .and_then(|body| match body {
                Body::Result(result) => Members::parse(result),
                Body::Error(_) => None,
            })
            .filter(|result| result.string("resultType").as_deref() == Some("input_required"))
        else {
            return Ok(None);
        };
        let wanted = Members::parse(result.raw("inputRequests").unwrap_or("{}")).ok_or_else(invalid)?;
        let mut keys = Vec::new();
        let mut requests = Vec::new();
        for (name, request) in wanted.iter() {
            let request = Members::parse(request).ok_or_else(invalid)?;
            let method = request.string("method").ok_or_else(invalid)?;
            let params = request.raw("params").unwrap_or_default();
            keys.push(name);
            requests.push((method.into_owned(), String::from(params)));
        }
        let responses = self.put(requests, rounds).await?;
        let mut given = String::new();
        for (name, response) in keys.into_iter().zip(&responses) {
            push_member(&mut given, name, response);
        }
        let mut members = String::new();
        if result.raw("inputRequests").is_some() {
            push_member(&mut members, "inputResponses", &alloc::format!("{{{given}}}"));
        }
        if let Some(state) = result.raw("requestState") {
            push_member(&mut members, "requestState", state);
        }
        Ok(Some(members))
    }

    /// Sends the agent to the URLs that an authority refused the request for. True if it went: try again.
    pub(super) async fn visit(&mut self, response: &Response, rounds: &mut usize) -> Result<bool, Trouble> {
        let (Body::Error(error), Some(URL_REQUIRED), false) =
            (&response.body, response.code, self.forward.session_era)
        else {
            return Ok(false);
        };
        let data = Members::parse(error).and_then(|error| Members::parse(error.raw("data")?));
        let Some(all) = data.and_then(|data| elements(data.raw("elicitations")?)) else {
            return Ok(false);
        };
        let request = |params: &&str| (ELICITATION.into(), String::from(*params));
        let requests = all
            .iter()
            .filter(|params| is_object(params))
            .map(request)
            .collect();
        let responses = self.put(requests, rounds).await?;
        let accepted = |raw: &String| {
            let action = Members::parse(raw)
                .and_then(|result| result.raw("action"))
                .and_then(string);
            action.as_deref() == Some("accept")
        };
        Ok(responses.iter().all(accepted))
    }

    /// The agent's results for requests of a method and raw `params`, in their order.
    async fn put(
        &mut self,
        wanted: Vec<(String, String)>,
        rounds: &mut usize,
    ) -> Result<Vec<String>, Trouble> {
        *rounds += 1;
        if *rounds > MAX_INPUT_ROUNDS || wanted.len() > MAX_INPUT_REQUESTS {
            return Err(Trouble::input("the authority asks too much before it answers"));
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.io.renumber().await;
        let mut requests = Vec::new();
        for (method, params) in wanted {
            if !self.forward.inputs.allow(&method, &params) {
                return Err(Trouble::input(
                    "the authority asks for what the agent did not declare",
                ));
            }
            let key = alloc::format!("{}", self.io.next_id());
            let params = with_elicitation_id(&method, params, &key);
            requests.push(InputRequest { key, method, params });
        }
        let mut responses = self.io.input(requests.clone()).await.unwrap_or_default();
        let mut results = Vec::new();
        for request in requests {
            let at = responses.iter().position(|(key, _)| *key == request.key);
            match at.map(|at| responses.swap_remove(at).1) {
                Some(Body::Result(result)) => results.push(result),
                Some(Body::Error(error)) => {
                    return Err(
                        Trouble::input("the agent refused what the authority asked").with_detail(&error)
                    );
                }
                None => {
                    return Err(Trouble::input(
                        "the agent did not answer what the authority asked",
                    ));
                }
            }
        }
        Ok(results)
    }
}

fn invalid() -> Trouble {
    Trouble::invalid("the authority's input_required result is not valid", "")
}

/// Agents of the session era need an id for an elicitation by URL (2025-11-25, Elicitation, URL Mode).
fn with_elicitation_id(method: &str, params: String, key: &str) -> String {
    let members = Members::parse(&params).unwrap_or_default();
    if method != ELICITATION
        || members.string("mode").as_deref() != Some("url")
        || members.raw("elicitationId").is_some()
    {
        return params;
    }
    let mut out = String::new();
    for (name, value) in members.iter() {
        push_member(&mut out, name, value);
    }
    let mut id = String::new();
    push_string(&mut id, key);
    push_member(&mut out, "elicitationId", &id);
    alloc::format!("{{{out}}}")
}
