//! What must hold of a request, in this order: path, method, origin, caller, media types, declared size. The first
//! that does not hold answers. Without a message in it, as GET and DELETE are, a request has no media type of its own.

use alloc::string::String;

use super::accept::Accept;
use super::response::{Headers, Response};
use super::tokens::Tokens;
use super::{cors, origin};
use crate::config::{Anonymous, Config};
use crate::dispatch::{Caller, Verb};
use crate::error::{Code, Error};

/// Where a host tells that it is well.
const HEALTH: &str = "/healthz";
/// Where a caller ends its grant at the authority, by DELETE.
pub const GRANT: &str = "/oauth/grant";

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method, in upper case as it came.
    pub method: &'a str,
    /// The URL's path, without its query.
    pub path: &'a str,
    /// Names lower case.
    pub headers: &'a [(String, String)],
}

impl Head<'_> {
    /// The value of a header, by its lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| &**value)
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Whoever the bearer token says.
    Bearer,
    /// The host found out by its own means. Whether nobody in particular may call, the configuration says.
    Told(Caller),
    /// The host found nobody, or has not asked yet: refused, if nothing else is wrong before that.
    Unknown,
}

/// A request that may be read and served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Who calls.
    pub caller: Caller,
    /// What the request does. Only [`Verb::Post`] has a body to read.
    pub verb: Verb,
    /// Which form of an answer suits.
    pub accept: Accept,
    /// What every answer to this request carries besides its own headers.
    pub headers: Headers,
}

/// The entrance of one endpoint.
#[derive(Debug, Default)]
pub struct Gate {
    path: String,
    tokens: Tokens,
    sessions: bool,
    grants: bool,
}

impl Gate {
    /// An endpoint at a path, such as `/mcp`.
    #[must_use]
    pub fn new(path: &str, tokens: Tokens) -> Self {
        Self {
            path: path.into(),
            tokens,
            sessions: false,
            grants: false,
        }
    }

    /// The same where callers have grants at the authority that they may end, or not: then [`GRANT`] takes DELETE.
    #[must_use]
    pub fn with_grants(self, grants: bool) -> Self {
        Self { grants, ..self }
    }

    /// The same where sessions are kept, or not: then it takes GET and DELETE (2025-11-25, Transports, Streamable HTTP),
    /// which are answered with 405 otherwise.
    #[must_use]
    pub fn with_sessions(self, sessions: bool) -> Self {
        Self { sessions, ..self }
    }

    /// Looks at the head of a request. `id` names a refusal in logs.
    ///
    /// # Errors
    /// The whole answer, where the request ends here: a refusal, a preflight's answer, or the state of health.
    pub fn admit(
        &self,
        config: &Config,
        head: &Head<'_>,
        identity: Identity,
        id: u64,
    ) -> Result<Admitted, Response> {
        let mut headers = Headers::new();
        headers.push(("cache-control", "no-store".into()));
        let origin = head.header("origin");
        let is_allowed = origin::is_allowed(origin, head.header("host"), &config.origins);
        if let Some(origin) = origin.filter(|_| is_allowed) {
            cors::show(&mut headers, origin);
        }
        let (status, code, message) = match self.check(config, head, identity, is_allowed) {
            Ok((caller, verb, accept)) => {
                return Ok(Admitted {
                    caller,
                    verb,
                    accept,
                    headers,
                });
            }
            Err(Stop::Health) => return Err(Response::health(headers)),
            Err(Stop::Preflight) => return Err(cors::preflight(head, headers)),
            Err(Stop::Method(allowed)) => {
                headers.push(("allow", allowed.into()));
                (405, Code::InvalidRequest, "this path does not take that method")
            }
            Err(Stop::Unsuitable(status, message)) => (status, Code::InvalidRequest, message),
            Err(Stop::Refused(code, message)) => (code.http(), code, message),
        };
        Err(Response::refusal(status, &Error::new(code, message), id, headers))
    }

    fn check(
        &self,
        config: &Config,
        head: &Head<'_>,
        identity: Identity,
        is_allowed: bool,
    ) -> Result<(Caller, Verb, Accept), Stop> {
        let is_preflight = cors::is_preflight(head);
        let is_grant = self.grants && head.path == GRANT;
        let verb = match head.method {
            "GET" if self.sessions && !is_grant => Some(Verb::Get),
            "DELETE" if self.sessions || is_grant => Some(Verb::Delete),
            "POST" if !is_grant => Some(Verb::Post),
            _ => None,
        };
        if is_grant || head.path == self.path {
            if verb.is_none() && !is_preflight {
                return Err(Stop::Method(match self.sessions {
                    _ if is_grant => "DELETE",
                    true => cors::METHODS,
                    false => "POST",
                }));
            }
        } else if head.path == HEALTH {
            return Err(match head.method {
                "GET" | "HEAD" => Stop::Health,
                _ => Stop::Method("GET, HEAD"),
            });
        } else {
            return Err(Stop::Unsuitable(404, "there is nothing at this path"));
        }
        if !is_allowed {
            return Err(Stop::Refused(Code::Forbidden, "this origin may not call"));
        }
        let Some(verb) = verb.filter(|_| !is_preflight) else {
            return Err(Stop::Preflight);
        };
        let caller = match identity {
            Identity::Bearer => self.tokens.caller(head.header("authorization")),
            Identity::Told(caller) => Ok(caller),
            Identity::Unknown => Err("the caller is not known"),
        };
        let caller = match caller {
            // A grant that many share is not for one of them to end, of whom nothing is known.
            Ok(Caller::Anonymous) if is_grant || config.anonymous == Anonymous::Deny => {
                Err("a credential is needed")
            }
            caller => caller,
        };
        let caller = caller.map_err(|message| Stop::Refused(Code::Unauthenticated, message))?;
        if verb == Verb::Post && !head.header("content-type").is_some_and(is_json) {
            let message = "the content type must be application/json";
            return Err(Stop::Unsuitable(415, message));
        }
        let accept = match (verb, Accept::parse(head.header("accept"))) {
            // Its answer has nothing to choose a form for.
            (Verb::Delete, accept) => accept.unwrap_or(Accept::Json),
            (Verb::Get, None | Some(Accept::Json)) => {
                let message = "the client must accept text/event-stream";
                return Err(Stop::Unsuitable(406, message));
            }
            (Verb::Post, None) => {
                let message = "the client must accept application/json or text/event-stream";
                return Err(Stop::Unsuitable(406, message));
            }
            (_, Some(accept)) => accept,
        };
        let declared = head
            .header("content-length")
            .and_then(|length| length.parse().ok());
        if declared.is_some_and(|length: u64| length > config.limits.max_message_bytes as u64) {
            let message = "the message is larger than limits.maxMessageBytes";
            return Err(Stop::Refused(Code::TooLarge, message));
        }
        Ok((caller, verb, accept))
    }
}

/// Why a request ends at the gate.
enum Stop {
    Health,
    Preflight,
    /// With the methods that would have passed.
    Method(&'static str),
    /// By the rules of HTTP alone, for which the table of errors has no code of its own.
    Unsuitable(u16, &'static str),
    Refused(Code, &'static str),
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests;
