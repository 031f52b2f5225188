//! Validation of one message: everything that can be told from the message and its headers alone. It comes
//! before authorization, limits and the lookup, so that a hit skips none of it.
//!
//! The order is the one that MCP's own test suite wants (2026-07-28, Streamable HTTP and Base Protocol): JSON,
//! `_meta` present, headers against body, version known, method known, parameters.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use super::agent::Request;
use super::check::Verdict;
use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::limits::MAX_NAME_BYTES;
use crate::mcp::extension::STATE_PREFIX;
use crate::mcp::headers;
use crate::mcp::message::Message;
use crate::mcp::meta::{Meta, push_member};
use crate::mcp::names::{HEADER_VERSION, LEGACY, META_CAPABILITIES, META_VERSION, MODERN, session_era};
use crate::mcp::subscription::Filter;
use crate::mcp::task::{declares_tasks, undeclared};
use crate::session::SessionKey;

/// The revision that an agent speaks in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// 2026-07-28: stateless, hints on results.
    Modern,
    /// A session-era revision, spoken within a session or without.
    Legacy(&'static str),
}

impl Era {
    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::Modern => MODERN,
            Self::Legacy(version) => version,
        }
    }
}

/// The methods that a replica answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Discover,
    Initialize,
    Ping,
    ListTools,
    ListPrompts,
    ListResources,
    ListTemplates,
    ReadResource,
    CallTool,
    GetPrompt,
    Complete,
    Listen,
    GetTask,
    UpdateTask,
    CancelTask,
    SetLevel,
    Subscribe,
    Unsubscribe,
}

impl Method {
    fn parse(name: &str, era: Era) -> Option<Self> {
        Some(match (name, era) {
            ("server/discover", Era::Modern) => Self::Discover,
            ("initialize", Era::Legacy(_)) => Self::Initialize,
            ("ping", Era::Legacy(_)) => Self::Ping,
            ("tools/list", _) => Self::ListTools,
            ("prompts/list", _) => Self::ListPrompts,
            ("resources/list", _) => Self::ListResources,
            ("resources/templates/list", _) => Self::ListTemplates,
            ("resources/read", _) => Self::ReadResource,
            ("tools/call", _) => Self::CallTool,
            ("prompts/get", _) => Self::GetPrompt,
            ("completion/complete", _) => Self::Complete,
            ("subscriptions/listen", Era::Modern) => Self::Listen,
            ("tasks/get", Era::Modern) => Self::GetTask,
            ("tasks/update", Era::Modern) => Self::UpdateTask,
            ("tasks/cancel", Era::Modern) => Self::CancelTask,
            ("logging/setLevel", Era::Legacy(_)) => Self::SetLevel,
            ("resources/subscribe", Era::Legacy(_)) => Self::Subscribe,
            ("resources/unsubscribe", Era::Legacy(_)) => Self::Unsubscribe,
            _ => return None,
        })
    }

    /// The method toward the authority: `initialize` is answered from `server/discover`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Discover | Self::Initialize => "server/discover",
            Self::Ping => "ping",
            Self::ListTools => "tools/list",
            Self::ListPrompts => "prompts/list",
            Self::ListResources => "resources/list",
            Self::ListTemplates => "resources/templates/list",
            Self::ReadResource => "resources/read",
            Self::CallTool => "tools/call",
            Self::GetPrompt => "prompts/get",
            Self::Complete => "completion/complete",
            Self::Listen => "subscriptions/listen",
            Self::GetTask => "tasks/get",
            Self::UpdateTask => "tasks/update",
            Self::CancelTask => "tasks/cancel",
            Self::SetLevel => "logging/setLevel",
            Self::Subscribe => "resources/subscribe",
            Self::Unsubscribe => "resources/unsubscribe",
        }
    }

    /// The member that holds a list's items; `None` for what is no list.
    pub(super) const fn list_member(self) -> Option<&'static str> {
        match self {
            Self::ListTools => Some("tools"),
            Self::ListPrompts => Some("prompts"),
            Self::ListResources => Some("resources"),
            Self::ListTemplates => Some("resourceTemplates"),
            _ => None,
        }
    }

    /// Whether complete results carry `ttlMs` and `cacheScope` (2026-07-28, Caching).
    pub(super) const fn is_cacheable(self) -> bool {
        matches!(
            self,
            Self::Discover
                | Self::Initialize
                | Self::ListTools
                | Self::ListPrompts
                | Self::ListResources
                | Self::ListTemplates
                | Self::ReadResource
        )
    }

    /// Whether it is about a task.
    pub(super) const fn is_task(self) -> bool {
        matches!(self, Self::GetTask | Self::UpdateTask | Self::CancelTask)
    }

    /// Whether a result may be `input_required` (2026-07-28, Patterns, Multi Round-Trip Requests).
    pub(super) const fn may_be_asked(self) -> bool {
        matches!(self, Self::CallTool | Self::GetPrompt | Self::ReadResource)
    }

    /// The parameter that `Mcp-Name` mirrors.
    const fn named_by(self) -> Option<&'static str> {
        match self {
            Self::CallTool | Self::GetPrompt => Some("name"),
            Self::ReadResource | Self::Subscribe | Self::Unsubscribe => Some("uri"),
            // SEP-2663, Streamable HTTP: Routing Headers.
            Self::GetTask | Self::UpdateTask | Self::CancelTask => Some("taskId"),
            _ => None,
        }
    }
}

/// A validated request.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Raw token.
    pub(super) id: &'a str,
    pub(super) era: Era,
    pub(super) method: Method,
    pub(super) meta: Meta<'a>,
    /// Raw object.
    pub(super) capabilities: &'a str,
    /// `params.name`, `params.uri` or `params.taskId`, where the method has one.
    pub(super) name: Option<Cow<'a, str>>,
    /// Raw object; `{}` if absent. Tools only.
    pub(super) arguments: &'a str,
    /// Raw members of `params` without `_meta`.
    pub(super) params: String,
    /// A `requestState` of ours, and the raw `inputResponses` beside it: neither is in `params`.
    pub(super) state: Option<(Cow<'a, str>, &'a str)>,
    /// A step of a multi-round-trip request: never looked up, never stored.
    pub(super) continues: bool,
    /// A page other than the first, of a list.
    pub(super) has_cursor: bool,
    /// For `initialize`: the version that the agent asked for, if it is spoken here.
    pub(super) wanted: Option<&'static str>,
    /// For `subscriptions/listen`: what for.
    pub(super) filter: Option<Filter>,
    /// What the host says of the arguments, if it was asked.
    pub(super) verdict: Option<Verdict<'a>>,
    /// To which it belongs, or which it opens.
    pub(super) session: Option<SessionKey>,
}

impl Asked<'_> {
    /// Whether tasks may be spoken of in the answer.
    pub(super) fn knows_tasks(&self) -> bool {
        declares_tasks(self.capabilities)
    }
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::InvalidParams, message)
}

/// Names of an error's `data.supported`.
pub(super) fn unsupported(requested: &str) -> Error {
    let mut data = format!(r#""supported":["{MODERN}""#);
    for version in LEGACY {
        data.push(',');
        json::push_string(&mut data, version);
    }
    data.push(']');
    let mut error = Error::new(Code::UnsupportedVersion, "unsupported protocol version");
    error.data = data;
    error.with("requested", requested)
}

/// Which revision a request is in. `_meta` decides; without it, what the connection negotiated or the HTTP
/// header says; and a bare `initialize` is always of the session era.
fn era(message: &Message<'_>, meta: &Meta<'_>, agreed: Option<&str>) -> Result<Era, Error> {
    let missing = |name: &str| invalid(format!("params._meta[\"{name}\"] is missing"));
    if meta.version.is_none() && agreed != Some(MODERN) {
        if let Some(version) = agreed.and_then(session_era) {
            return Ok(Era::Legacy(version));
        }
        if message.method == "initialize" || (agreed.is_none() && message.method == "ping") {
            return Ok(Era::Legacy(LEGACY[0]));
        }
        if let Some(unknown) = agreed {
            return Err(unsupported(unknown));
        }
    }
    match (&meta.version, meta.capabilities) {
        (None, _) => Err(missing(META_VERSION)),
        (_, None) => Err(missing(META_CAPABILITIES)),
        _ => Ok(Era::Modern),
    }
}

/// The version that connection or HTTP header says.
pub(super) fn agreed<'a>(
    headers: Option<&'a [(String, String)]>,
    negotiated: Option<&'a str>,
) -> Option<&'a str> {
    negotiated.or_else(|| {
        headers?
            .iter()
            .find(|(name, _)| name == HEADER_VERSION)
            .map(|(_, value)| value.trim())
    })
}

/// Whether connection or HTTP header say that the agent speaks a session-era revision.
pub(super) fn speaks_legacy(request: &Request<'_>) -> bool {
    agreed(request.headers, request.negotiated)
        .and_then(session_era)
        .is_some()
}

/// Validates a request. `id` is its raw id.
pub(super) fn validate<'a>(
    message: &Message<'a>,
    id: &'a str,
    headers: Option<&[(String, String)]>,
    negotiated: Option<&str>,
) -> Result<Asked<'a>, Error> {
    let meta = Meta::parse(&message.params)?;
    let from_header = headers.and_then(|headers| {
        headers
            .iter()
            .find(|(name, _)| name == HEADER_VERSION)
            .map(|(_, value)| value.trim())
    });
    let era = era(message, &meta, negotiated.or(from_header))?;
    let method = Method::parse(&message.method, era);
    let name = match method.and_then(Method::named_by) {
        Some(member) => message.params.string(member),
        None => None,
    };
    if let (Era::Modern, Some(version)) = (era, meta.version.as_deref()) {
        if let Some(headers) = headers {
            headers::check_standard(headers, version, &message.method, name.as_deref())?;
        }
        if version != MODERN {
            return Err(unsupported(version));
        }
    }
    let method = method.ok_or_else(|| Error::new(Code::MethodNotFound, "method not found"))?;
    let mut asked = Asked {
        id,
        era,
        method,
        capabilities: meta.capabilities.filter(|_| era == Era::Modern).unwrap_or("{}"),
        meta,
        name,
        arguments: "{}",
        params: String::new(),
        state: None,
        continues: false,
        has_cursor: false,
        wanted: None,
        filter: None,
        verdict: None,
        session: None,
    };
    if method.is_task() && !asked.knows_tasks() {
        return Err(undeclared());
    }
    check_params(&mut asked, &message.params)?;
    let listens = asked.filter.as_ref();
    if listens.is_some_and(|filter| !filter.tasks().is_empty()) && !asked.knows_tasks() {
        return Err(undeclared());
    }
    Ok(asked)
}

fn check_params<'a>(asked: &mut Asked<'a>, params: &Members<'a>) -> Result<(), Error> {
    if let Some(member) = asked.method.named_by() {
        match &asked.name {
            None => return Err(invalid(format!("params.{member} must be a string"))),
            Some(name) if name.is_empty() || name.len() > MAX_NAME_BYTES => {
                return Err(invalid(format!(
                    "params.{member} must have 1 to {MAX_NAME_BYTES} bytes"
                )));
            }
            Some(_) => {}
        }
    }
    if asked.method == Method::Initialize {
        let Some(wanted) = params.string("protocolVersion") else {
            return Err(invalid("params.protocolVersion must be a string"));
        };
        asked.wanted = session_era(&wanted);
        return Ok(());
    }
    let state = params.string("requestState");
    if let Some(state) = state.filter(|state| state.starts_with(STATE_PREFIX))
        && asked.method.may_be_asked()
    {
        asked.state = Some((state, params.raw("inputResponses").unwrap_or("{}")));
    }
    for (name, value) in params.iter().filter(|(name, _)| *name != "_meta") {
        let object = json::is_object(value);
        let sound = match (asked.method, name) {
            (Method::CallTool | Method::GetPrompt, "arguments") => object,
            (Method::Complete, "ref" | "argument") => object,
            (method, "cursor") if method.list_member().is_some() => value.starts_with('"'),
            (Method::UpdateTask, "inputResponses") => object,
            (method, "inputResponses") if method.may_be_asked() => object,
            (method, "requestState") if method.may_be_asked() => value.starts_with('"'),
            _ => true,
        };
        if !sound {
            return Err(invalid(format!("params.{name} has the wrong type")));
        }
        match name {
            "notifications" if asked.method == Method::Listen => {
                let filter = Filter::parse(value)?;
                push_member(&mut asked.params, name, &filter.to_json());
                asked.filter = Some(filter);
                continue;
            }
            "arguments" => asked.arguments = value,
            "inputResponses" | "requestState" => {
                asked.continues = true;
                if asked.state.is_some() {
                    continue;
                }
            }
            "cursor" => asked.has_cursor = true,
            _ => {}
        }
        push_member(&mut asked.params, name, value);
    }
    let required: &[&str] = match asked.method {
        Method::Complete => &["ref", "argument"],
        Method::Listen => &["notifications"],
        Method::UpdateTask => &["inputResponses"],
        _ => &[],
    };
    for member in required {
        if params.raw(member).is_none() {
            return Err(invalid(format!("params.{member} is missing")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn check(method: &str, params: &str, negotiated: Option<&str>) -> Result<(Era, Method, String), Error> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        let message = Message::parse(text.as_bytes()).map_err(|rejected| rejected.error)?;
        validate(&message, "1", None, negotiated).map(|asked| (asked.era, asked.method, asked.params))
    }

    #[test]
    fn meta_decides_the_era() {
        assert_eq!(check("tools/list", META, None).unwrap().0, Era::Modern);
        assert_eq!(
            check("tools/list", "", Some("2025-06-18")).unwrap().0,
            Era::Legacy("2025-06-18")
        );
        let init = r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}"#;
        assert_eq!(check("initialize", init, None).unwrap().1, Method::Initialize);
        assert_eq!(check("ping", "", None).unwrap().1, Method::Ping);
    }

    #[test]
    fn refuses_with_the_codes_of_the_specification() {
        let code =
            |method: &str, params: &str, negotiated| check(method, params, negotiated).unwrap_err().code;
        assert_eq!(code("tools/list", "", None), Code::InvalidParams);
        assert_eq!(code("tools/list", "", Some(MODERN)), Code::InvalidParams);
        assert_eq!(
            code("tools/list", "", Some("1999-01-01")),
            Code::UnsupportedVersion
        );
        let old = META.replace("2026-07-28", "v999.0.0");
        let error = check("tools/list", &old, None).unwrap_err();
        assert_eq!(error.code, Code::UnsupportedVersion);
        assert_eq!(
            error.data,
            r#""supported":["2026-07-28","2025-11-25","2025-06-18"],"requested":"v999.0.0""#
        );
        for method in [
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "unknown/method",
        ] {
            assert_eq!(code(method, META, None), Code::MethodNotFound, "{method}");
        }
        for (method, params) in [
            ("tools/call", ""),
            ("tools/call", r#""name":1,"#),
            ("tools/call", r#""name":"","#),
            ("tools/call", r#""name":"t","arguments":[],"#),
            ("tools/call", r#""name":"t","requestState":1,"#),
            ("resources/read", r#""name":"t","#),
            ("tools/list", r#""cursor":1,"#),
            ("completion/complete", r#""ref":{},"#),
            ("subscriptions/listen", ""),
            (
                "subscriptions/listen",
                r#""notifications":{"toolsListChanged":1},"#,
            ),
        ] {
            assert_eq!(
                code(method, &format!("{params}{META}"), None),
                Code::InvalidParams,
                "{method} {params}"
            );
        }
        let long = format!(r#""name":"{}",{META}"#, "n".repeat(MAX_NAME_BYTES + 1));
        assert_eq!(code("tools/call", &long, None), Code::InvalidParams);
    }

    #[test]
    fn passes_on_every_parameter_but_meta() {
        let (.., params) = check("tools/call", &format!(r#""name":"t",{META},"x":[1, 2]"#), None).unwrap();
        assert_eq!(params, r#""name":"t","x":[1, 2]"#);
    }

    #[test]
    fn headers_are_judged_before_the_version_and_after_meta() {
        let headers: Vec<(String, String)> = [(HEADER_VERSION, MODERN)]
            .map(|(n, v)| (n.into(), v.into()))
            .into();
        let judge = |params: &str| {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{{{params}}}}}"#);
            let message = Message::parse(text.as_bytes()).unwrap();
            validate(&message, "1", Some(&headers), None)
                .map(|_| ())
                .unwrap_err()
                .code
        };
        assert_eq!(judge(""), Code::InvalidParams);
        assert_eq!(judge(&META.replace("2026-07-28", "v9")), Code::HeaderMismatch);
    }
}
