//! What must hold of a request, in this order: path, method, origin, caller, media types, declared size. The first
//! that does not hold answers.

use alloc::string::String;

use super::accept::Accept;
use super::response::{Headers, Response};
use super::tokens::Tokens;
use super::{cors, origin};
use crate::config::{Anonymous, Config};
use crate::dispatch::Caller;
use crate::error::{Code, Error};

/// Where a host tells that it is well.
const HEALTH: &str = "/healthz";

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
}

impl Gate {
    /// An endpoint at a path, such as `/mcp`.
    #[must_use]
    pub fn new(path: &str, tokens: Tokens) -> Self {
        Self {
            path: path.into(),
            tokens,
        }
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
            Ok((caller, accept)) => {
                return Ok(Admitted {
                    caller,
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
    ) -> Result<(Caller, Accept), Stop> {
        let is_preflight = cors::is_preflight(head);
        if head.path == self.path {
            if head.method != "POST" && !is_preflight {
                return Err(Stop::Method("POST"));
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
        if is_preflight {
            return Err(Stop::Preflight);
        }
        let caller = match identity {
            Identity::Bearer => self.tokens.caller(head.header("authorization")),
            Identity::Told(caller) => Ok(caller),
            Identity::Unknown => Err("the caller is not known"),
        };
        let caller = match caller {
            Ok(Caller::Anonymous) if config.anonymous == Anonymous::Deny => Err("a credential is needed"),
            caller => caller,
        };
        let caller = caller.map_err(|message| Stop::Refused(Code::Unauthenticated, message))?;
        if !head.header("content-type").is_some_and(is_json) {
            let message = "the content type must be application/json";
            return Err(Stop::Unsuitable(415, message));
        }
        let Some(accept) = Accept::parse(head.header("accept")) else {
            let message = "the client must accept application/json or text/event-stream";
            return Err(Stop::Unsuitable(406, message));
        };
        let declared = head
            .header("content-length")
            .and_then(|length| length.parse().ok());
        if declared.is_some_and(|length: u64| length > config.limits.max_message_bytes as u64) {
            let message = "the message is larger than limits.maxMessageBytes";
            return Err(Stop::Refused(Code::TooLarge, message));
        }
        Ok((caller, accept))
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
