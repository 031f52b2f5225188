//! Why a trip fails: what the agent is told, and whether the call may have had an effect.
//!
//! One table for all flows (docs/ERRORS.md): a read fails with what went wrong; a write that was handed to the
//! host fails so only if it surely had no effect, else its outcome is unknown.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use leeward::dispatch::TripError;
use leeward::{Code, Error, Failure, Millis};

use crate::flow::Secret;
use crate::limits::MAX_DETAIL_BYTES;

/// One failure on the way to the authority, or in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) code: Code,
    message: Cow<'static, str>,
    retry_after: Option<Millis>,
    /// For the log.
    detail: String,
    /// The request surely had no effect.
    pub(crate) harmless: bool,
    /// The head of a response came, its body broke off: a read may be tried once more.
    pub(crate) cut: bool,
    /// The status of a response that was no MCP message.
    pub(crate) status: Option<u16>,
    /// See [`TripError::stray`].
    stray: bool,
    /// Such a response spoke of a session.
    pub(crate) session: bool,
    /// Why no grant could be had: `data.reason`.
    pub(crate) reason: Option<&'static str>,
    /// Where the user may consent: `data.authorizationUrl`. For the agent alone.
    link: Option<Box<Secret>>,
    /// All of `data`, raw, where another replica had it.
    data: Option<Box<Secret>>,
}

impl Trouble {
    fn new(code: Code, message: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            detail: detail.into(),
            harmless: false,
            cut: false,
            status: None,
            stray: false,
            session: false,
            reason: None,
            link: None,
            data: None,
        }
    }

    /// A fetch that failed before its head came.
    pub(crate) fn network(failure: Failure) -> Self {
        let harmless = failure.before_send;
        Self {
            harmless,
            ..Self::new(Code::AuthorityUnreachable, UNREACHABLE, failure.message)
        }
    }

    /// A body that broke off, or ended without the response.
    pub(crate) fn cut(detail: impl Into<String>) -> Self {
        Self {
            cut: true,
            ..Self::new(
                Code::AuthorityUnreachable,
                "the authority's answer broke off",
                detail,
            )
        }
    }

    /// An answer of the authority's that is not sound MCP.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(Code::AuthorityInvalid, message, detail)
    }

    /// An answer that is no JSON-RPC at all, such as a captive portal's: nothing is known of the authority by it.
    pub(crate) fn stray(message: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            stray: true,
            ..Self::invalid(message, detail)
        }
    }

    /// A response whose status says all there is to know. `retry_after`: what the header of that name
    /// says.
    pub(crate) fn status(status: u16, retry_after: Option<Millis>, session: bool) -> Self {
        let (code, message, harmless) = match status {
            401 | 403 => (
                Code::AuthorityAuthRequired,
                "the authority refused the credential",
                true,
            ),
            429 => (Code::RateLimited, LIMITED, true),
            408 => (Code::AuthorityUnreachable, UNREACHABLE, true),
            300..=399 => (
                Code::AuthorityInvalid,
                "the authority answered with a redirect",
                false,
            ),
            400..=499 => (
                Code::AuthorityInvalid,
                "the authority refused the request outside of MCP",
                true,
            ),
            500..=599 => (Code::AuthorityUnreachable, UNREACHABLE, false),
            _ => (
                Code::AuthorityInvalid,
                "the authority answered with an unexpected HTTP status",
                false,
            ),
        };
        let retry_after = retry_after.filter(|_| matches!(status, 429 | 503));
        let detail = alloc::format!("HTTP status {status}");
        Self {
            retry_after,
            harmless,
            status: Some(status),
            // A 4xx may be the authority's word in terms of HTTP.
            stray: !matches!(status, 400..=599),
            session,
            reason: matches!(status, 401 | 403).then_some("refused"),
            ..Self::new(code, message, detail)
        }
    }

    /// The hard end of a trip.
    pub(crate) fn timeout() -> Self {
        Self::new(
            Code::AuthorityTimeout,
            "the authority did not answer in time",
            "limits.requestTimeoutMs has passed",
        )
    }

    /// The authority was not asked: it is taken for down.
    pub(crate) fn down(retry_after: Millis) -> Self {
        Self {
            harmless: true,
            retry_after: Some(retry_after),
            ..Self::new(
                Code::AuthorityUnreachable,
                UNREACHABLE,
                "not asked: it failed too often in a row",
            )
        }
    }

    /// The authority was not asked: it wants a pause.
    pub(crate) fn limited(retry_after: Millis) -> Self {
        Self {
            harmless: true,
            retry_after: Some(retry_after),
            ..Self::new(
                Code::RateLimited,
                LIMITED,
                "not asked: the pause that it named twice is not over",
            )
        }
    }

    /// The authority refused the credential, and no other came in time: a user may still be at an authorization page.
    pub(crate) fn unrenewed() -> Self {
        let message = "the authority wants another grant, which is still being obtained";
        Self::authorization("login_required", message)
    }

    /// No credential could be had.
    pub(crate) fn credential(detail: impl Into<String>) -> Self {
        Self::new(
            Code::AuthorityAuthRequired,
            "no credential for the authority could be had",
            detail,
        )
    }

    /// No grant could be had; no request has had an effect by that. `reason`: stable, snake case.
    pub(crate) fn authorization(reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            harmless: true,
            reason: Some(reason),
            ..Self::new(Code::AuthorityAuthRequired, message, "")
        }
    }

    /// Who answers for those that grants come from is surely not one of them, such as a captive portal: an outage, until
    /// the authority has refused.
    pub(crate) fn unissued(reason: &'static str, message: &'static str) -> Self {
        Self {
            reason: Some(reason),
            ..Self::new(Code::AuthorityUnreachable, message, "")
        }
    }

    /// The same, where the request itself surely had no effect.
    pub(crate) fn harmless(mut self) -> Self {
        self.harmless = true;
        self
    }

    /// The same with the page at which the user may consent.
    pub(crate) fn with_link(mut self, link: Secret) -> Self {
        self.link = Some(Box::new(link));
        self
    }

    /// Whether it says where the user may consent.
    pub(crate) const fn has_link(&self) -> bool {
        self.link.is_some()
    }

    /// What kept a grant from being obtained after the authority had refused: that refusal stands.
    pub(crate) fn into_refusal(self) -> Self {
        Self {
            code: Code::AuthorityAuthRequired,
            harmless: true,
            cut: false,
            status: None,
            session: false,
            retry_after: None,
            reason: self.reason.or(Some("unavailable")),
            ..self
        }
    }

    /// An errand of a replica that obtains no grants.
    pub(crate) fn unasked() -> Self {
        Self::authorization("not_configured", "the configuration has no authority.oauth")
    }

    /// A limit of the replica's own.
    pub(crate) fn crowded() -> Self {
        Self {
            harmless: true,
            ..Self::new(Code::OverBudget, "too many grants are being obtained", "")
        }
    }

    /// What another replica said, which was to obtain the credential; no request has had an effect by that.
    pub(crate) fn denied(error: Error) -> Self {
        Self {
            harmless: true,
            retry_after: error.retry_after,
            data: Some(Box::new(Secret(error.data))),
            ..Self::new(error.code, error.message, "")
        }
    }

    /// The host did not answer for a tool or resource of its own.
    pub(crate) fn local_timeout() -> Self {
        Self::new(
            Code::Internal,
            "the local tool or resource did not answer in time",
            "limits.requestTimeoutMs has passed",
        )
    }

    /// There is no authority to go to.
    pub(crate) fn unconfigured() -> Self {
        Self {
            harmless: true,
            ..Self::new(Code::AuthorityUnreachable, "no authority is configured", "")
        }
    }

    /// A subscription toward a session-era authority without streams of its own.
    pub(crate) fn silent() -> Self {
        let message = "the authority's session has no stream that would tell what changes";
        Self::new(Code::MethodNotFound, message, "")
    }

    /// What is about a task, toward the session era.
    pub(crate) fn unheard() -> Self {
        let message = "the authority speaks a session-era revision, which does not know this method";
        Self::new(Code::MethodNotFound, message, "")
    }

    /// The agent cannot be asked, or did not answer, what the authority wants to know before it answers.
    pub(crate) fn input(message: &'static str) -> Self {
        Self {
            harmless: true,
            ..Self::new(Code::InputRequired, message, "")
        }
    }

    /// The same of something that was sent while the request is under way, about which it says nothing.
    pub(crate) fn beside(self) -> Self {
        Self {
            harmless: false,
            status: None,
            session: false,
            ..self
        }
    }

    /// A local tool or resource failed, or this crate.
    pub(crate) fn internal(message: &'static str) -> Self {
        Self::new(Code::Internal, message, "")
    }

    /// The replica, or the context that did the I/O, went away before anything was sent.
    pub(crate) fn closed(detail: impl Into<String>) -> Self {
        Self::new(Code::Closed, "the owner of the trip is gone", detail)
    }

    /// A write whose owner went away.
    pub(crate) fn abandoned() -> Self {
        Self::closed("the context that sent the write is gone")
    }

    /// The same, with words for the log.
    pub(crate) fn with_detail(mut self, detail: &str) -> Self {
        self.detail = cut_text(detail);
        self
    }

    /// Whether the same request may fare better later.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(
            self.code,
            Code::AuthorityUnreachable | Code::AuthorityTimeout | Code::RateLimited
        )
    }

    /// See [`TripError::stray`].
    pub(crate) const fn is_stray(&self) -> bool {
        self.stray
    }

    /// The authority asked for fewer requests.
    pub(crate) const fn is_limit(&self) -> bool {
        matches!(self.code, Code::RateLimited)
    }

    /// The authority, or what stands before it, refused the request.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self.status, Some(400..=499))
    }

    /// How long the authority asked to be left alone.
    pub(crate) fn retry_after(&self) -> Millis {
        self.retry_after.unwrap_or_default()
    }

    /// Whether it would meet every other caller as well.
    pub(crate) const fn is_everybodys(&self) -> bool {
        matches!(self.code, Code::AuthorityUnreachable | Code::AuthorityInvalid)
    }

    /// What is told of something that is no call.
    pub(crate) fn told(self) -> Error {
        let mut error = Error::new(self.code, self.message);
        error.retry_after = self.retry_after;
        if let Some(data) = self.data {
            error.data = data.0;
            return error;
        }
        if let Some(reason) = self.reason {
            error = error.with("reason", reason);
        }
        if let Some(link) = self.link {
            error = error.with("authorizationUrl", &link.0);
        }
        error
    }

    /// What agents and log are told. `sent_write`: a write was handed to the host and not refused since.
    pub(crate) fn into_error(self, sent_write: bool) -> TripError {
        if sent_write && !self.harmless {
            let message = "the call was sent, and nobody knows whether it took effect";
            let detail = alloc::format!(
                "{}: {} ({})",
                self.code.as_str(),
                self.message,
                cut_text(&self.detail)
            );
            return TripError {
                error: Error::new(Code::UnknownOutcome, message),
                stray: false,
                detail: detail.into(),
                credential: None,
            };
        }
        let detail = cut_text(&self.detail).into();
        TripError {
            stray: self.stray,
            error: self.told(),
            detail,
            credential: None,
        }
    }
}

const UNREACHABLE: &str = "the authority cannot be reached";
const LIMITED: &str = "the authority limits the rate of requests";

/// Foreign text for a log line, bounded.
pub(crate) fn cut_text(text: &str) -> String {
    let mut end = text.len().min(MAX_DETAIL_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_unknown_unless_it_surely_had_no_effect() {
        let lost = |before_send| {
            Trouble::network(Failure {
                before_send,
                message: String::new(),
            })
        };
        let table = [
            (lost(true), Code::AuthorityUnreachable, Code::AuthorityUnreachable),
            (lost(false), Code::AuthorityUnreachable, Code::UnknownOutcome),
            (Trouble::cut(""), Code::AuthorityUnreachable, Code::UnknownOutcome),
            (Trouble::timeout(), Code::AuthorityTimeout, Code::UnknownOutcome),
            (
                Trouble::invalid("", ""),
                Code::AuthorityInvalid,
                Code::UnknownOutcome,
            ),
            (Trouble::abandoned(), Code::Closed, Code::UnknownOutcome),
            (
                Trouble::status(302, None, false),
                Code::AuthorityInvalid,
                Code::UnknownOutcome,
            ),
            (
                Trouble::status(401, None, false),
                Code::AuthorityAuthRequired,
                Code::AuthorityAuthRequired,
            ),
            (
                Trouble::status(403, None, false),
                Code::AuthorityAuthRequired,
                Code::AuthorityAuthRequired,
            ),
            (
                Trouble::status(404, None, false),
                Code::AuthorityInvalid,
                Code::AuthorityInvalid,
            ),
            (
                Trouble::status(408, None, false),
                Code::AuthorityUnreachable,
                Code::AuthorityUnreachable,
            ),
            (
                Trouble::status(429, None, false),
                Code::RateLimited,
                Code::RateLimited,
            ),
            (
                Trouble::status(500, None, false),
                Code::AuthorityUnreachable,
                Code::UnknownOutcome,
            ),
            (
                Trouble::status(503, None, false),
                Code::AuthorityUnreachable,
                Code::UnknownOutcome,
            ),
            (
                Trouble::status(101, None, false),
                Code::AuthorityInvalid,
                Code::UnknownOutcome,
            ),
        ];
        for (trouble, read, write) in table {
            assert_eq!(trouble.clone().into_error(false).error.code, read, "{trouble:?}");
            assert_eq!(trouble.clone().into_error(true).error.code, write, "{trouble:?}");
        }
    }

    #[test]
    fn tells_the_agent_where_to_consent() {
        let link = Secret("https://as.example/authorize?state=s".into());
        let trouble = Trouble::authorization("login_required", "the user is to consent").with_link(link);
        assert!(!alloc::format!("{trouble:?}").contains("as.example"));
        let told = trouble.into_error(true).error;
        assert_eq!(told.code, Code::AuthorityAuthRequired);
        let data = r#""reason":"login_required","authorizationUrl":"https://as.example/authorize?state=s""#;
        assert_eq!(told.data, data);
    }

    #[test]
    fn passes_on_what_another_replica_said() {
        let said = Error::new(Code::AuthorityAuthRequired, "the user is to consent")
            .with("reason", "login_required")
            .with("authorizationUrl", "https://here.example/oauth/start?ticket=t");
        let trouble = Trouble::denied(said.clone());
        assert!(!alloc::format!("{trouble:?}").contains("ticket"));
        assert_eq!(trouble.into_refusal().into_error(true).error, said);
    }

    #[test]
    fn passes_retry_after_on_and_cuts_foreign_text() {
        let error = Trouble::status(429, Some(Millis(7000)), false)
            .into_error(true)
            .error;
        assert_eq!(error.retry_after, Some(Millis(7000)));
        let detail = Trouble::cut("é".repeat(MAX_DETAIL_BYTES))
            .into_error(false)
            .detail;
        assert_eq!(detail.len(), MAX_DETAIL_BYTES);
    }
}
