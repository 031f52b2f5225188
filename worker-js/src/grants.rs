//! Grants at the authority, where it wants OAuth: a principal's lives in its object, whose replica obtains, renews and
//! ends it, so that there is one flight for it whatever isolates ask. They ask for tokens, and hold them in memory.
//!
//! Here is what goes between the two for that, and the way of a user's browser to the object that gave it its link.

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use leeward::border::{Credential, Errand, Refused};
use leeward::http::login::{CALLBACK, START, Visit, cookie, cookie_name, foreign, gone, own_origin, visit};
use leeward::http::{GRANT, Head, Response as Answer};
use leeward::json::{Members, push_string, unsigned};
use leeward::mcp::meta::push_member;
use leeward::{Caller, Code, Ctx, Error, Millis};
use worker::{Env, Request, Response, Result};

use crate::authorize::Seat;
use crate::endpoint::{self, Incoming};
use crate::host::{Granted, Handle};
use crate::login::{self, COOKIES, tag};
use crate::object::{self, ORIGIN, Object};
use crate::reply::{self, Sender};
use crate::runtime;

/// Where an isolate asks an object for a token.
const TOKEN: &str = "/oauth/token";
/// How long an isolate takes a token for good, if it does not end before: the grant may have ended meanwhile.
const HELD_MOST: Millis = Millis::from_secs(300);
/// What is left of a token's life when it is asked for anew.
const MARGIN: Millis = Millis::from_secs(30);

/// The tokens that an isolate holds: at most as many as there are callers (`MAX_CALLER_TOKENS`).
#[derive(Default)]
pub(crate) struct Held(Vec<Token>);

struct Token {
    principal: Option<String>,
    credential: Credential,
    /// When it is asked for anew (monotonic).
    until: Millis,
}

impl Held {
    /// A principal's, if it is good still and is not what was refused.
    pub(crate) fn fresh(
        &self,
        principal: Option<&str>,
        refused: Option<&Refused>,
        now: Millis,
    ) -> Option<&Credential> {
        let is_refused = |token: &Token| {
            refused.is_some_and(|refused| refused.token.as_ref() == Some(&token.credential.token))
        };
        let token = self
            .0
            .iter()
            .find(|token| token.principal.as_deref() == principal)?;
        (now < token.until && !is_refused(token)).then_some(&token.credential)
    }

    fn forget(&mut self, principal: Option<&str>) {
        self.0.retain(|token| token.principal.as_deref() != principal);
    }

    fn hold(&mut self, principal: Option<String>, credential: Credential, now: Millis) {
        self.forget(principal.as_deref());
        let left = credential
            .expires_in
            .map_or(HELD_MOST, |left| left.since(MARGIN).min(HELD_MOST));
        let until = now + left;
        self.0.push(Token {
            principal,
            credential,
            until,
        });
    }
}

/// Has a principal's object say which token is good, and holds it. One that was refused is renewed there, unless there is
/// another already.
///
/// # Errors
/// What the object's replica says, or that there is no object.
pub(crate) async fn token(
    host: Handle,
    seat: Seat,
    principal: Option<String>,
    refused: Option<Refused>,
) -> Granted {
    let question = question(refused.as_ref());
    let caller = principal.clone().map_or(Caller::Anonymous, Caller::Principal);
    let origin = seat.origin.as_deref().unwrap_or_default();
    // What was held is not good any more, whatever the answer is.
    host.with(|host| host.held.forget(principal.as_deref()));
    let credential = ask(&seat.env, &caller, "POST", TOKEN, origin, &question).await?;
    if let Some(credential) = &credential {
        let now = runtime::now().mono;
        host.with(|host| host.held.hold(principal, credential.clone(), now));
    }
    Ok(credential)
}

/// Asks the object of a caller's.
fn ask<'a>(
    env: &'a Env,
    caller: &'a Caller,
    method: &'a str,
    path: &'a str,
    origin: &'a str,
    body: &'a str,
) -> LocalBoxFuture<'a, Granted> {
    let asked = async move {
        let object = Object::of_caller(env, caller).await?;
        let request = object::internal(
            method,
            path,
            caller,
            &[(ORIGIN, origin)],
            Some(body).filter(|body| !body.is_empty()),
        );
        let mut answer = object.ask(request.ok()?).await.ok()?;
        // One that did not start, or lost its instance, says nothing of the grant.
        if answer.status_code() != 200 {
            return None;
        }
        told(&answer.text().await.ok()?)
    };
    let lost = || Err(Error::new(Code::Closed, "the object that holds the grant ended"));
    Box::pin(asked.map(move |told| told.unwrap_or_else(lost)))
}

/// What an isolate asks: how a request was refused, if one was.
fn question(refused: Option<&Refused>) -> String {
    let mut text = String::new();
    if let Some(refused) = refused {
        push_member(&mut text, "status", &refused.status.to_string());
        for (name, value) in [("challenge", &refused.challenge), ("token", &refused.token)] {
            if let Some(value) = value {
                push_text(&mut text, name, value);
            }
        }
    }
    format!("{{{text}}}")
}

fn asked(text: &str) -> Option<Refused> {
    let members = Members::parse(text)?;
    let text = |name| members.string(name).map(String::from);
    Some(Refused {
        token: text("token"),
        status: u16::try_from(unsigned(members.raw("status")?)?).ok()?,
        challenge: text("challenge"),
    })
}

/// What an object answers.
fn answer(result: &Granted) -> String {
    let mut text = String::new();
    match result {
        Ok(None) => {}
        Ok(Some(credential)) => {
            push_text(&mut text, "token", &credential.token);
            if let Some(identity) = &credential.identity {
                push_text(&mut text, "identity", identity);
            }
            if let Some(left) = credential.expires_in {
                push_member(&mut text, "expiresIn", &left.0.to_string());
            }
        }
        Err(error) => {
            push_text(&mut text, "code", error.code.as_str());
            push_text(&mut text, "message", &error.message);
            push_text(&mut text, "data", &error.data);
            if let Some(after) = error.retry_after {
                push_member(&mut text, "retryAfter", &after.0.to_string());
            }
        }
    }
    format!("{{{text}}}")
}

fn told(text: &str) -> Option<Granted> {
    let members = Members::parse(text)?;
    let text = |name| members.string(name).map(String::from);
    let millis = |name| members.raw(name).and_then(unsigned).map(Millis);
    if let Some(code) = text("code") {
        let code = Code::ALL.into_iter().find(|known| known.as_str() == code)?;
        let mut error = Error::new(code, text("message")?);
        error.data = text("data")?;
        error.retry_after = millis("retryAfter");
        return Some(Err(error));
    }
    Some(Ok(text("token").map(|token| Credential {
        token,
        identity: text("identity"),
        expires_in: millis("expiresIn"),
    })))
}

/// Appends a member that is a text.
pub(crate) fn push_text(out: &mut String, name: &str, text: &str) {
    let mut raw = String::new();
    push_string(&mut raw, text);
    push_member(out, name, &raw);
}

/// Answers a browser's visit to one of the pages for authorizations, by the object that gave the browser its link; `None`
/// for all other requests.
pub(crate) async fn visited(host: &Handle, env: &Env, request: &Request) -> Option<Result<Response>> {
    let path = request.path();
    if !matches!(&*path, START | CALLBACK) || !host.with(|host| host.has_grants)? {
        return None;
    }
    let url = request.inner().url();
    let (_, query) = url.split_once('?').unwrap_or((&url, ""));
    let Some(origin) = own_origin(&url) else {
        return Some(reply::whole(foreign()));
    };
    let headers: Vec<(String, String)> = request.headers().entries().collect();
    let method = request.inner().method();
    let head = Head {
        method: &method,
        path: &path,
        headers: &headers,
    };
    let cookies = request.headers().get("cookie").ok().flatten().unwrap_or_default();
    let (object, query, otherwise): (_, _, fn() -> Answer) = match visit(&head, query, origin)? {
        Err(page) => return Some(reply::whole(page)),
        Ok(Visit::Look(ticket) | Visit::Begin(ticket)) => match ticket.split_once('.') {
            Some((object, ticket)) => (object.to_owned(), format!("ticket={ticket}"), gone),
            None => return Some(reply::whole(gone())),
        },
        Ok(Visit::Return(state)) => {
            let name = cookie_name(origin, &tag(&state).await);
            match cookie(&cookies, &name).and_then(|value| value.split_once('.')) {
                Some((object, _)) => (object.to_owned(), query.to_owned(), foreign),
                None => return Some(reply::whole(foreign())),
            }
        }
    };
    let more = [(ORIGIN, origin), (COOKIES, &*cookies)];
    let Ok(request) = object::internal(
        &method,
        &format!("{path}?{query}"),
        &Caller::Anonymous,
        &more,
        None,
    ) else {
        return Some(reply::whole(otherwise()));
    };
    Some(match object::ask_by_id(env, &object, request) {
        Some(asked) => asked.await,
        None => reply::whole(otherwise()),
    })
}

/// Ends the grant of the caller, for whom nothing is fresh here after that.
pub(crate) async fn end(host: &Handle, env: &Env, incoming: &Incoming) -> Answer {
    let principal = match &incoming.caller {
        Caller::Principal(id) => Some(&**id),
        Caller::Anonymous => None,
    };
    host.with(|host| {
        host.held.forget(principal);
        // What the authority shows to whom it does not know is another thing, as after a write.
        let mut passed = host.replica.pass_on(&incoming.request(Ctx::SHARED));
        passed.write = true;
        host.replica.overhear(runtime::now(), &passed, "{}");
    });
    let result = ask(env, &incoming.caller, "DELETE", GRANT, "", "").await;
    // What was asked for meanwhile may have come before it.
    host.with(|host| host.held.forget(principal));
    match result {
        Ok(_) => Answer {
            status: 204,
            headers: incoming.common.clone(),
            body: String::new(),
        },
        Err(error) => endpoint::refusal(&error, incoming.common.clone()),
    }
}

/// Serves, in an object, what is not a message of MCP.
pub(crate) async fn serve(host: Handle, mut request: Request, reply: Sender) {
    let principal = match object::caller(&request) {
        Some(Caller::Principal(id)) => Some(id),
        _ => None,
    };
    let result = match &*request.path() {
        TOKEN => {
            object::note_origin(&host, &request);
            let text = request.text().await.unwrap_or_default();
            let refused = asked(&text);
            host.errand(Errand::Credential { principal, refused }).await
        }
        GRANT => host.errand(Errand::SignOut { principal }).await,
        _ => {
            let page = login::serve(&host, &request).await;
            return reply.respond(reply::whole(page));
        }
    };
    let text = answer(&result);
    reply.respond(Response::ok(text));
}
