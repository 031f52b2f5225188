//! The links that an object gives out, for users to sign in at the authority, and what becomes of them.
//!
//! A link carries a ticket. Whoever begins by it first binds it to its browser, by the secret in a cookie; the redirect
//! that comes back counts in that browser alone, and once. Tickets and secrets are keys in the object's storage: nothing
//! compares them, and an object that was ended between two visits knows them.

use futures::future::LocalBoxFuture;
use leeward::border::{Callback, Errand};
use leeward::http::Response;
use leeward::http::login::{
    CALLBACK, LOGIN_TIME, START, begun, consent, cookie, cookie_name, done, failed, foreign, gone,
    own_origin, query_value, set_cookie,
};
use leeward::json::{Members, unsigned};
use leeward::mcp::meta::push_member;
use leeward::{Caller, Millis};
use worker::Request;

use crate::grants::push_text;
use crate::host::Handle;
use crate::object::ORIGIN;
use crate::runtime;
use crate::store::Store;

/// The browser's cookies, for the object.
pub(crate) const COOKIES: &str = "leeward-cookies";
/// Most links of one object's that are good, and most that browsers have begun by; the oldest gives way.
const MAX_LOGINS: usize = 8;
/// Bytes of a ticket or secret.
const SECRET_BYTES: usize = 16;
/// Bytes of what tells one authorization's cookie from another's.
const TAG_BYTES: usize = 8;
/// What the keys of links begin with, before the ticket.
const OFFERED: &str = "login/offered/";
/// What the keys of those that were begun by begin with, before the secret of the browser.
const BEGUN: &str = "login/begun/";

/// An authorization that a link is for.
struct Login {
    /// Where it is given.
    url: String,
    principal: Option<String>,
    /// When it has ended, whatever became of it (Unix time).
    until: Millis,
    /// The ticket, once a browser has begun.
    ticket: Option<String>,
}

impl Login {
    fn parse(text: &str) -> Option<Self> {
        let members = Members::parse(text)?;
        let text = |name| members.string(name).map(String::from);
        Some(Self {
            url: text("url")?,
            principal: text("principal"),
            until: Millis(unsigned(members.raw("until")?)?),
            ticket: text("ticket"),
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        push_text(&mut text, "url", &self.url);
        for (name, value) in [("principal", &self.principal), ("ticket", &self.ticket)] {
            if let Some(value) = value {
                push_text(&mut text, name, value);
            }
        }
        push_member(&mut text, "until", &self.until.0.to_string());
        format!("{{{text}}}")
    }

    /// The `state` by which the browser will come back.
    fn state(&self) -> Option<String> {
        self.value("state").filter(|state| !state.is_empty())
    }

    fn value(&self, name: &str) -> Option<String> {
        query_value(self.url.split_once('?')?.1, name)
    }
}

/// What was stored, if it has not ended.
fn live(text: worker::Result<Option<String>>) -> Option<Login> {
    let login = Login::parse(&text.ok()??)?;
    (login.until > runtime::now().unix).then_some(login)
}

/// Gives out a link for an authorization.
///
/// # Errors
/// Why there is none.
pub(crate) async fn offer(
    store: Store,
    object: String,
    principal: Option<String>,
    url: String,
) -> Result<Callback, String> {
    let login = Login {
        url,
        principal,
        until: runtime::now().unix + LOGIN_TIME,
        ticket: None,
    };
    let redirect = login.value("redirect_uri").unwrap_or_default();
    let origin = own_origin(&redirect).ok_or("the redirect URI is none of this host's")?;
    make_room(&store, OFFERED).await;
    let ticket = secret().ok_or("the runtime has no randomness")?;
    store.write(&format!("{OFFERED}{ticket}"), &login.text());
    Ok(Callback::Elsewhere(format!(
        "{origin}{START}?ticket={object}.{ticket}"
    )))
}

/// Forgets what has ended, and the oldest where there is no room for another.
fn make_room<'a>(store: &'a Store, prefix: &'a str) -> LocalBoxFuture<'a, ()> {
    Box::pin(async move {
        let mut kept = Vec::new();
        for (key, text) in store.all(prefix).await.unwrap_or_default() {
            match live(Ok(Some(text))) {
                Some(login) => kept.push((login.until, key)),
                None => store.save(&key, None),
            }
        }
        while kept.len() >= MAX_LOGINS
            && let Some(oldest) = kept.iter().min().cloned()
        {
            store.save(&oldest.1, None);
            kept.retain(|one| *one != oldest);
        }
    })
}

/// Answers a browser's visit, of which the isolate has seen that it is one.
pub(crate) async fn serve(host: &Handle, request: &Request) -> Response {
    let Some((store, object)) = host.with(|host| host.object.clone()).flatten() else {
        return gone();
    };
    let url = request.inner().url();
    let (_, query) = url.split_once('?').unwrap_or_default();
    let header = |name| request.headers().get(name).ok().flatten().unwrap_or_default();
    let browser = Browser {
        origin: header(ORIGIN),
        cookies: header(COOKIES),
    };
    if request.path() == CALLBACK {
        return finish(host, &store, &browser, query).await;
    }
    let ticket = query_value(query, "ticket").unwrap_or_default();
    let key = format!("{OFFERED}{ticket}");
    let Some(login) = live(store.read(key.clone()).await) else {
        return gone();
    };
    let state = login.state().unwrap_or_default();
    if login.ticket.is_some() {
        let mine = match browser.secret(&state).await {
            Some(secret) => live(store.read(format!("{BEGUN}{secret}")).await),
            None => None,
        };
        if mine.and_then(|login| login.ticket).as_ref() != Some(&ticket) {
            return foreign();
        }
    }
    if request.inner().method() == "GET" {
        let authority = host.with(|host| host.authority().to_owned()).unwrap_or_default();
        return consent(login.principal.as_deref(), &authority, &login.url);
    }
    if login.ticket.is_some() {
        return begun(login.url, None);
    }
    let (Some(login), Some(secret)) = (live(store.take(key.clone()).await), secret()) else {
        return gone();
    };
    let login = Login {
        ticket: Some(ticket),
        ..login
    };
    store.write(&key, &login.text());
    make_room(&store, BEGUN).await;
    store.write(&format!("{BEGUN}{secret}"), &login.text());
    let cookie = set_cookie(
        &browser.origin,
        &tag(&state).await,
        Some(&format!("{object}.{secret}")),
    );
    begun(login.url, Some(cookie))
}

/// Takes up what the authorization server sent the browser back with.
async fn finish(host: &Handle, store: &Store, browser: &Browser, query: &str) -> Response {
    let state = query_value(query, "state").unwrap_or_default();
    let login = match browser.secret(&state).await {
        Some(secret) => live(store.take(format!("{BEGUN}{secret}")).await),
        None => None,
    };
    let Some(login) = login.filter(|login| login.state().as_ref() == Some(&state)) else {
        return foreign();
    };
    store.save(&format!("{OFFERED}{}", login.ticket.unwrap_or_default()), None);
    let errand = Errand::Callback {
        query: query.to_owned(),
        caller: Some(login.principal.map_or(Caller::Anonymous, Caller::Principal)),
    };
    let mut answer = match host.errand(errand).await {
        Ok(_) => done(),
        Err(_) => failed(),
    };
    let cookie = set_cookie(&browser.origin, &tag(&state).await, None);
    answer.headers.push(("set-cookie", cookie.into()));
    answer
}

/// What is known of the browser.
struct Browser {
    /// The origin that it visits.
    origin: String,
    cookies: String,
}

impl Browser {
    /// The secret by which it has begun the authorization with this `state`.
    async fn secret(&self, state: &str) -> Option<String> {
        let name = cookie_name(&self.origin, &tag(state).await);
        let (_, secret) = cookie(&self.cookies, &name)?.split_once('.')?;
        Some(secret.to_owned())
    }
}

/// What the cookie of an authorization is named by, for who knows its `state`.
pub(crate) fn tag(state: &str) -> LocalBoxFuture<'static, String> {
    let hashed = runtime::sha256(state);
    Box::pin(async {
        let hash = hashed.await.unwrap_or_default();
        hex(hash.get(..TAG_BYTES).unwrap_or_default())
    })
}

/// What nobody can guess.
fn secret() -> Option<String> {
    let bytes = runtime::random(SECRET_BYTES);
    (bytes.len() == SECRET_BYTES).then(|| hex(&bytes))
}

/// In hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
