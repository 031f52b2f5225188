//! The way back to a session-era authority while one of its streams is read: its own requests are answered
//! (2025-11-25, Transports, Sending Messages to the Server), and a stream that broke off is resumed where it was
//! (the same, Resumability and Redelivery). Nothing is sent twice by that, so it is done for writes too. And what is
//! given up is cancelled.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::border::HttpRequest;
use leeward::dispatch::{Body as Outcome, InputResponses};
use leeward::mcp::input::{InputRequest, Inputs};
use leeward::{Code, Millis};

use super::access;
use super::http::{Kind, find, notify};
use super::{message, within};
use crate::exec::{Body, Io, Pending, Response, Sent};
use crate::limits::{BESIDE_MOST, IDS_PER_TRIP, RESUME_AFTER, RESUME_LEAST, RESUME_MOST};
use crate::trouble::Trouble;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Back {
    url: String,
    /// Those of the request whose stream it is: session, version.
    headers: Vec<(String, String)>,
    inputs: Inputs,
}

/// A request of the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Raw.
    pub(super) id: String,
    pub(super) method: String,
    /// Raw; empty if there are none.
    pub(super) params: String,
}

impl Back {
    pub(super) fn new(request: &HttpRequest, inputs: Inputs) -> Self {
        Self {
            url: request.url.clone(),
            headers: request.headers.clone(),
            inputs,
        }
    }

    /// Answers requests that came together: `ping` at once, what the agent declared by asking it, all else as a
    /// client does that cannot do it. An error if the authority does not take what the agent answered: it would wait on
    /// for it. What else it does not take changes nothing.
    pub(super) async fn answer(&self, io: &mut Io, asked: Vec<Asked>) -> Result<(), Trouble> {
        let mut requests = Vec::new();
        let mut waiting = Vec::new();
        for Asked { id, method, params } in asked {
            if method == "ping" {
                let _ = self.respond(io, &id, &Outcome::Result("{}".into())).await;
            } else if self.inputs.allow(&method, &params) {
                if (requests.len() as u64).is_multiple_of(IDS_PER_TRIP / 2) {
                    // There is no end to how much an authority may ask.
                    io.renumber().await;
                }
                let key = alloc::format!("{}", io.next_id());
                waiting.push((key.clone(), id));
                requests.push(InputRequest { key, method, params });
            } else {
                let none = r#"{"code":-32601,"message":"the client declared no capability for this"}"#;
                let _ = self.respond(io, &id, &Outcome::Error(none.into())).await;
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        let responses: InputResponses = io.input(requests).await.unwrap_or_default();
        for (key, id) in waiting {
            let found = responses.iter().find(|(of, _)| *of == key);
            let late =
                || Outcome::Error(r#"{"code":-32603,"message":"the client did not answer in time"}"#.into());
            let body = found.map_or_else(late, |(_, body)| body.clone());
            self.respond(io, &id, &body).await?;
        }
        Ok(())
    }

    async fn respond(&self, io: &mut Io, id: &str, body: &Outcome) -> Result<(), Trouble> {
        let request = self.request("POST", message::response(id, body));
        let timer = io.timer(BESIDE_MOST);
        let taken = within(timer, None, notify(io, request)).await;
        taken
            .unwrap_or_else(|| Err(Trouble::timeout()))
            .map_err(Trouble::beside)
    }

    fn request(&self, method: &'static str, body: Vec<u8>) -> HttpRequest {
        HttpRequest {
            method,
            url: self.url.clone(),
            headers: self.headers.clone(),
            body,
        }
    }

    /// While this is kept and the request of this id, `sent`, is under way, the authority is told if that is given
    /// up: closing its stream would not tell (2025-11-25, Transports, Sending Messages to the Server).
    pub(super) fn cancels(&self, io: &mut Io, id: u64, sent: &Sent) -> Option<Pending> {
        access::farewell(io, self.request("POST", message::cancelled(id)), sent.clone())
    }

    /// While this is kept there is a session; then it is ended (2025-11-25, Transports, Session Management).
    pub(super) fn ends(&self, io: &mut Io) -> Option<Pending> {
        let begun = Sent::default();
        begun.set();
        access::farewell(io, self.request("DELETE", Vec::new()), begun)
    }

    /// Asks once, after a pause, for the rest of a stream after the event `last`. `Ok(None)`: another time perhaps.
    /// `retry`: the pause that the authority asked for.
    pub(super) async fn resume(
        &self,
        io: &mut Io,
        last: &str,
        retry: Option<Millis>,
    ) -> Result<Option<Body>, Refused> {
        let pause = retry.unwrap_or(RESUME_AFTER);
        io.timer(pause.clamp(RESUME_LEAST, RESUME_MOST)).await;
        let timer = io.timer(BESIDE_MOST);
        let answer = match within(timer, None, self.get(io, Some(last))).await {
            Some(Ok(answer)) => answer,
            Some(Err(trouble)) if trouble.code == Code::AuthorityAuthRequired => return Err(Refused),
            _ => return Ok(None),
        };
        match (answer.status, Kind::of(find(&answer.headers, "content-type"))) {
            (200, Kind::Events) => Ok(Some(answer.body)),
            (429 | 500.., _) => Ok(None),
            _ => Err(Refused),
        }
    }

    /// Opens the stream of the session, or what is left of one after the event `last`.
    pub(super) async fn get(&self, io: &mut Io, last: Option<&str>) -> Result<Response, Trouble> {
        let mut headers = Vec::from([("accept".into(), "text/event-stream".into())]);
        if let Some(last) = last {
            headers.push(("last-event-id".into(), last.into()));
        }
        let kept = |(name, _): &&(String, String)| !matches!(&**name, "accept" | "content-type");
        headers.extend(self.headers.iter().filter(kept).cloned());
        let request = HttpRequest {
            method: "GET",
            url: self.url.clone(),
            headers,
            body: Vec::new(),
        };
        access::send(io, request, None).await
    }
}

/// The authority keeps nothing of a stream.
pub(super) struct Refused;
