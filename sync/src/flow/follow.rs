//! A subscription toward a session-era authority: a session of its own, whose `GET` stream tells what changes
//! (2025-11-25, Transports, Listening for Messages from the Server), with `resources/subscribe` for each resource
//! (Resources, Subscriptions).
//!
//! The acknowledgement is made here, of what the authority said that it tells and of the resources that it took. A
//! stream that breaks off is resumed by its last event id where it has one; otherwise it is lost, and opened again in
//! another session, as [`super::listen`] says. The session is deleted with its stream, whichever side left.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use leeward::dispatch::{Answer, Body};
use leeward::json::{Members, elements};
use leeward::limits::MAX_SUBSCRIBED;
use leeward::mcp::input::Inputs;
use leeward::mcp::meta::push_member;
use leeward::mcp::subscription::ACKNOWLEDGED;

use super::back::Back;
use super::http::{Kind, Rules, events, find, post};
use super::session::{self, Failed};
use super::{Trip, message};
use crate::limits::IDS_PER_TRIP;
use crate::link::Session;
use crate::trouble::Trouble;

/// Members of a filter, and the capability that has `listChanged`.
const LISTS: [(&str, &str); 3] = [
    ("toolsListChanged", "tools"),
    ("promptsListChanged", "prompts"),
    ("resourcesListChanged", "resources"),
];

impl Trip<'_> {
    /// Listens until the stream is lost.
    pub(super) async fn follow(&mut self) -> Result<Answer, Failed> {
        let session = session::initialize(self, session::VERSIONS[0]).await?;
        Err(self.follow_in(&session).await.into())
    }

    /// Why a session does not tell anything any more.
    async fn follow_in(&mut self, session: &Session) -> Trouble {
        let url = self.upstream.url.as_deref().unwrap_or_default();
        let request = post(url, session::headers(session), Vec::new());
        let back = Back::new(&request, Inputs::NONE);
        let _ends = session.id.as_ref().and_then(|_| back.ends(self.io));
        match self.open(session, &back).await {
            Ok(trouble) | Err(trouble) => trouble,
        }
    }

    async fn open(&mut self, session: &Session, back: &Back) -> Result<Trouble, Trouble> {
        let answer = back.get(self.io, None).await?;
        match (answer.status, Kind::of(find(&answer.headers, "content-type"))) {
            (200, Kind::Events) => {}
            (status @ (401 | 403 | 429 | 500..), _) => {
                return Err(Trouble::status(status, answer.retry_after, false));
            }
            _ => return Err(Trouble::silent()),
        }
        let honoured = self.agree(session).await?;
        let acknowledged = format!(
            r#"{{"jsonrpc":"2.0","method":"{ACKNOWLEDGED}","params":{{"notifications":{{{honoured}}}}}}}"#
        );
        self.io.relay(acknowledged).await;
        if let Some(open) = self.open {
            open.set();
        }
        let rules = Rules {
            open: self.open.cloned(),
            ..self.rules(true)
        };
        // No message of such a stream answers anything.
        let none = self.io.next_id();
        events(self.io, answer.body, none, &rules, Some(back))
            .await
            .map(|_| Trouble::cut("the stream ended"))
    }

    /// The members of the filter that the authority will tell of.
    async fn agree(&mut self, session: &Session) -> Result<String, Trouble> {
        let params = format!("{{{}}}", self.forward.params);
        let asked = Members::parse(&params).and_then(|params| Members::parse(params.raw("notifications")?));
        let asked = asked.unwrap_or_default();
        let offers = |capability: &str, flag: &str| {
            session::offer(session, capability).is_some_and(|offer| offer.raw(flag) == Some("true"))
        };
        let mut honoured = String::new();
        for (member, capability) in LISTS {
            if asked.raw(member) == Some("true") && offers(capability, "listChanged") {
                push_member(&mut honoured, member, "true");
            }
        }
        let wanted = asked.raw("resourceSubscriptions").and_then(elements);
        let wanted = wanted
            .filter(|_| offers("resources", "subscribe"))
            .unwrap_or_default();
        let mut told = String::new();
        for (nth, uri) in wanted.into_iter().take(MAX_SUBSCRIBED).enumerate() {
            if (nth as u64).is_multiple_of(IDS_PER_TRIP / 4) {
                self.io.renumber().await;
            }
            if self.subscribe(session, uri).await? {
                if !told.is_empty() {
                    told.push(',');
                }
                told.push_str(uri);
            }
        }
        if !told.is_empty() {
            push_member(&mut honoured, "resourceSubscriptions", &format!("[{told}]"));
        }
        Ok(honoured)
    }

    /// Whether the authority tells of a resource (raw URI) from now on.
    async fn subscribe(&mut self, session: &Session, uri: &str) -> Result<bool, Trouble> {
        let url = self.upstream.url.as_deref().unwrap_or_default();
        let params = format!(r#""uri":{uri}"#);
        let build = |id| {
            let body = message::request(id, "resources/subscribe", &params, "");
            post(url, session::headers(session), body)
        };
        let received = self.read(self.rules(false), &build).await?;
        Ok(matches!(received.response.body, Body::Result(_)))
    }

    /// Of what is said beside the request itself, within a session.
    pub(super) fn rules(&self, relay: bool) -> Rules {
        Rules {
            max_bytes: self.upstream.max_bytes,
            relay,
            sent: None,
            open: None,
            inputs: Some(Inputs::NONE),
        }
    }
}
