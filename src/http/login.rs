//! Pages for a user agent, where the host cannot open one: the agent is told a link, the user follows it and is sent
//! on to the authorization server, which sends the user agent back (2026-07-28, Authorization).
//!
//! A link carries a ticket, and the page behind it names whose access is asked for before anything begins; the ticket is
//! good for the one user agent that begins by it. Beginning puts a cookie there, without which the redirect that comes
//! back counts for nothing: a code that somebody else obtained cannot be slipped to this user, nor this user's to
//! somebody else (RFC 6749 §10.12, RFC 9700 §4.7). Here is how the pages look and what must hold of a visit; what a ticket
//! stands for, the host keeps.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::gate::Head;
use super::origin::is_loopback;
use super::response::{Headers, Response};
use crate::clock::Millis;
use crate::config::url::host_of;
use crate::limits::MAX_REDIRECT_BYTES;

/// Where a link leads: `?ticket=`.
pub const START: &str = "/oauth/start";
/// Where the authorization server sends the user agent back to.
pub const CALLBACK: &str = "/oauth/callback";
/// How long a user may take, from the link to the redirect.
pub const LOGIN_TIME: Millis = Millis::from_secs(600);

/// What a user agent comes for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Look at what a ticket stands for.
    Look(String),
    /// Begin it.
    Begin(String),
    /// Come back from the authorization server with this `state`.
    Return(String),
}

/// What a request to one of these pages is, which came to `origin` ([`own_origin`]); `None` for other paths.
///
/// # Errors
/// The page that says what is wrong.
#[must_use]
pub fn visit(head: &Head<'_>, query: &str, origin: &str) -> Option<Result<Visit, Response>> {
    let methods = match head.path {
        START => "GET, POST",
        CALLBACK => "GET",
        _ => return None,
    };
    let named = |name| query_value(query, name).ok_or_else(gone);
    Some(match (head.path, head.method) {
        _ if query.len() > MAX_REDIRECT_BYTES => Err(page(414, "This address is too long.", "")),
        (START, "GET") => named("ticket").map(Visit::Look),
        // Every engine says where a form was sent from (Fetch standard, "append a request `Origin` header").
        (START, "POST") if head.header("origin") != Some(origin) => Err(foreign()),
        (START, "POST") => named("ticket").map(Visit::Begin),
        (CALLBACK, "GET") => named("state").map(Visit::Return),
        _ => {
            let mut answer = page(405, "This page cannot be asked for that way.", "");
            answer.headers.push(("allow", methods.into()));
            Err(answer)
        }
    })
}

/// The origin of the URL that a request came to, if a user agent may be sent there with a code: over https, or on this
/// machine (2026-07-28, Authorization, Communication Security).
#[must_use]
pub fn own_origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = host_of(authority)?;
    let is_safe = scheme == "https" || (scheme == "http" && is_loopback(host));
    if !is_safe {
        return None;
    }
    url.get(..scheme.len() + "://".len() + authority.len())
}

/// The one value of this name in a query, decoded (WHATWG URL, application/x-www-form-urlencoded); `None` if there is
/// none, more than one, or it is not UTF-8.
#[must_use]
pub fn query_value(query: &str, name: &str) -> Option<String> {
    let pairs = query.strip_prefix('?').unwrap_or(query).split('&');
    let mut named = pairs.filter_map(|pair| {
        let (known, value) = pair.split_once('=').unwrap_or((pair, ""));
        (known == name).then_some(value)
    });
    let value = named.next().filter(|_| named.next().is_none())?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The page that asks the user: `authority` and `server` are URLs, of which the origins are shown.
#[must_use]
pub fn consent(principal: Option<&str>, authority: &str, server: &str) -> Response {
    let origin_of = |url: &str| {
        escaped(
            url.split(['/', '?', '#'])
                .take(3)
                .collect::<Vec<_>>()
                .join("/")
                .as_str(),
        )
    };
    let whom = principal.map_or_else(String::new, |name| {
        format!(" on behalf of <strong>{}</strong>", escaped(name))
    });
    let text = format!(
        "<p>An agent asks for access to <strong>{}</strong>{whom}.</p>\
         <p>Go on only if you asked for this and that is you. You will sign in at <strong>{}</strong>.</p>\
         <form method=\"post\"><button>Continue</button></form>",
        origin_of(authority),
        origin_of(server),
    );
    page(200, "Sign in", &text)
}

/// Sends a user agent that has begun on to the authorization server, with its cookie if it has none yet.
#[must_use]
pub fn begun(url: String, cookie: Option<String>) -> Response {
    let mut answer = page(303, "Sign in", "");
    answer.headers.push(("location", url.into()));
    let cookie = cookie.map(|cookie| ("set-cookie", cookie.into()));
    answer.headers.extend(cookie);
    answer
}

/// The authorization was taken up.
#[must_use]
pub fn done() -> Response {
    page(
        200,
        "You are signed in.",
        "<p>You may close this page and go back to your agent.</p>",
    )
}

/// It was not: refused by the user or the authorization server, or the code was not taken.
#[must_use]
pub fn failed() -> Response {
    page(
        403,
        "You are not signed in.",
        "<p>Your agent can give you a new link.</p>",
    )
}

/// There is no such ticket, any more.
#[must_use]
pub fn gone() -> Response {
    page(
        404,
        "This link is no longer good.",
        "<p>Your agent can give you a new one.</p>",
    )
}

/// Another user agent has begun this, or a page that is not ours.
#[must_use]
pub fn foreign() -> Response {
    let text = "<p>Follow the link that your agent gave you from its start to its end, in one place, within ten minutes.</p>";
    page(403, "This was not begun here.", text)
}

fn page(status: u16, title: &str, text: &str) -> Response {
    let mut headers = Headers::new();
    // No `form-action`: engines apply it to where the form's answer leads, which is the authorization server and
    // whatever that sends the user agent on to. Nothing here is anybody's markup.
    let policy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        ("cache-control", "no-store"),
        ("content-security-policy", policy),
        ("content-type", "text/html; charset=utf-8"),
        // Nobody else is told the address, which holds a ticket or a code. By `no-referrer` the form would come from
        // the origin `null`.
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        headers.push((name, value.into()));
    }
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><h1>{title}</h1>{text}</html>"
    );
    Response {
        status,
        headers,
        body,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The name of the cookie of one authorization; `tag` is of letters and digits and tells it from others in the same
/// user agent. Over https no other host and no plain connection can set one of this name (RFC 6265bis §4.1.3.2).
#[must_use]
pub fn cookie_name(origin: &str, tag: &str) -> String {
    let prefix = if is_https(origin) { "__Host-" } else { "" };
    format!("{prefix}leeward-{tag}")
}

/// The value of `Set-Cookie` that keeps `value` in the user agent, or, without one, takes the cookie away.
#[must_use]
pub fn set_cookie(origin: &str, tag: &str, value: Option<&str>) -> String {
    let name = cookie_name(origin, tag);
    let seconds = value.map_or(0, |_| LOGIN_TIME.0 / 1000);
    let secure = if is_https(origin) { "; Secure" } else { "" };
    let value = value.unwrap_or_default();
    // `Lax`: it comes along when the authorization server sends the user agent back, and with no form of others.
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The value of a cookie in a `Cookie` header; `None` if there is none, or more than one of that name.
#[must_use]
pub fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut named = header.split(';').filter_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    });
    named.next().filter(|_| named.next().is_none())
}

fn is_https(origin: &str) -> bool {
    origin.starts_with("https://")
}

#[cfg(test)]
mod tests;
