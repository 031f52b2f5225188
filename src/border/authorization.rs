//! What crosses the border for the sake of credentials toward the authority. `Debug` of these says nothing secret.

use alloc::string::String;
use core::fmt;

use crate::clock::Millis;
use crate::dispatch::Caller;

/// A bearer credential for an authority. `Debug` hides the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The bearer token, without the scheme.
    pub token: String,
    /// Names the grant behind the token, so that a refreshed token keeps its cache entries. `None`: the token
    /// itself is the identity, and every new token starts an empty partition.
    pub identity: Option<String>,
    /// How long the token is good for, as far as is known. Of use only in answers of the replica.
    pub expires_in: Option<Millis>,
}

impl Credential {
    /// A token that stands for itself, for as long as the authority takes it.
    #[must_use]
    pub const fn of(token: String) -> Self {
        Self {
            token,
            identity: None,
            expires_in: None,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// How an authority refused the credential that it was given. `Debug` hides the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    /// The token that was refused; `None` if the request went without one, or nobody knows.
    pub token: Option<String>,
    /// 401 (not, or no longer, valid) or 403 (not enough of a scope; RFC 6750 §3.1).
    pub status: u16,
    /// The value of `WWW-Authenticate` as it came, several joined by `, ` (RFC 9110 §11.6.1); at most
    /// [`crate::limits::MAX_CHALLENGE_BYTES`], longer ones count for none.
    pub challenge: Option<String>,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("status", &self.status)
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

/// What came of bringing a user to an authorization page. `Debug` hides the text: it may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub enum Callback {
    /// The redirect came back: its query, with or without the `?`.
    Query(String),
    /// Nobody waits here for the user. The agent is to be told this link; the redirect comes later, as
    /// [`Errand::Callback`].
    Elsewhere(String),
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query(_) => "Query(..)",
            Self::Elsewhere(_) => "Elsewhere(..)",
        })
    }
}

/// Names one errand; never used again within a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrandId(pub u64);

/// What a host asks of the replica itself, for no agent. Answer: [`super::Output::Errand`].
#[derive(Clone, PartialEq, Eq)]
pub enum Errand {
    /// The credential of a principal: what there is, renewed if it is due, `None` if there is nothing, since an
    /// authority's refusal tells how to obtain one. With such a refusal it is obtained, or renewed.
    Credential {
        /// The principal's identity; `None` for an anonymous caller.
        principal: Option<String>,
        /// How the authority refused a request, if it did. If it refused another token than the one that is there, that
        /// one is the answer.
        refused: Option<Refused>,
    },
    /// The redirect of an authorization that was begun with [`Callback::Elsewhere`], maybe by another instance over the
    /// same vault. Its `state` finds the record of it.
    Callback {
        /// The redirect's query, with or without the `?`.
        query: String,
        /// Who came back, if the host knows: an authorization of anybody else's is refused, and over. `None`: whoever
        /// brings the `state`.
        caller: Option<Caller>,
    },
    /// Ends a principal's grant: revoked at its issuer if that can be (RFC 7009), forgotten here in any case.
    SignOut {
        /// The principal's identity; `None` for an anonymous caller.
        principal: Option<String>,
    },
}

impl fmt::Debug for Errand {
    /// Neither principals nor the query, which holds a code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credential { .. } => "Credential { .. }",
            Self::Callback { .. } => "Callback { .. }",
            Self::SignOut { .. } => "SignOut { .. }",
        })
    }
}
