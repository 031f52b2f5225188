//! The credential with which a flow's requests go to the authority, and what is done when one is refused.
//!
//! A 401, and a 403 for want of scopes, come before any effect (RFC 6750 §3.1; 2026-07-28, Authorization, Error
//! Handling): the request is sent again with another token, a write too. At most once after a 401, and
//! [`MAX_STEP_UPS`] times after a 403; what is refused then is the caller's to tell. The token goes to the endpoint that is
//! configured and nowhere else.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use leeward::border::{HttpRequest, Refused};
use leeward::limits::MAX_CHALLENGE_BYTES;

use super::{Secret, Upstream, stand_in};
use crate::breaker::Fared;
use crate::exec::{Io, Pending, Response, Sent};
use crate::limits::MAX_STEP_UPS;
use crate::link::Key;
use crate::oauth::{Challenge, Scheme, nonce_of, prove};
use crate::trouble::Trouble;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    upstream: Arc<Upstream>,
    principal: Option<String>,
    credential: Credential,
    /// Another token is waited for, after a refusal.
    renewing: bool,
}

/// A token and its name.
#[derive(Clone, Debug, Default)]
struct Credential {
    token: Option<Secret>,
    dpop: bool,
    identity: Option<String>,
    /// Of the replica's own grants.
    number: u64,
    nonce: Option<Arc<str>>,
}

impl Access {
    /// The name of the credential.
    pub(super) const fn identity(&self) -> Option<&String> {
        self.credential.identity.as_ref()
    }

    /// Whether the flow waits for another token.
    pub(super) const fn is_renewing(&self) -> bool {
        self.renewing
    }

    /// Whether there may be another token than the one refused.
    fn renews(&self) -> bool {
        self.upstream.hook || self.upstream.oauth.is_some()
    }
}

/// Begins with the credential of a principal.
pub(super) async fn open(
    io: &mut Io,
    upstream: &Arc<Upstream>,
    principal: Option<String>,
) -> Result<(), Trouble> {
    io.access = None;
    let credential = ask(io, upstream, principal.clone(), None).await?;
    io.access = Some(Access {
        upstream: upstream.clone(),
        principal,
        credential,
        renewing: false,
    });
    Ok(())
}

async fn ask(
    io: &mut Io,
    upstream: &Upstream,
    principal: Option<String>,
    refused: Option<(u64, Refused)>,
) -> Result<Credential, Trouble> {
    if upstream.hook {
        return hooked(io, upstream, principal, refused.map(|(_, refused)| refused)).await;
    }
    if upstream.oauth.is_some() {
        let held = io.grant(principal, refused).await?;
        let granted = held.granted.as_deref();
        return Ok(Credential {
            token: granted.map(|granted| granted.token.clone()),
            dpop: granted.is_some_and(|granted| granted.scheme == Scheme::Dpop),
            identity: granted.map(|granted| granted.identity.clone()),
            number: held.number,
            nonce: held.nonce,
        });
    }
    Ok(Credential {
        token: upstream.token.clone(),
        identity: upstream.token.as_ref().map(|_| "static".into()),
        ..Credential::default()
    })
}

/// The host's credential.
async fn hooked(
    io: &mut Io,
    upstream: &Upstream,
    principal: Option<String>,
    refused: Option<Refused>,
) -> Result<Credential, Trouble> {
    let Some(given) = io.credential(principal, refused).await? else {
        return Ok(Credential::default());
    };
    // A token of other bytes would be no header value (RFC 6750 §2.1).
    if given.token.is_empty() || !given.token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Trouble::credential("the host's credential is not a bearer token"));
    }
    let identity = given
        .identity
        .unwrap_or_else(|| stand_in(&given.token, upstream.seed));
    Ok(Credential {
        token: Some(Secret(given.token)),
        identity: Some(identity),
        ..Credential::default()
    })
}

/// Sends a request to the authority; `sent` is set while it may have an effect.
pub(super) async fn send(io: &mut Io, request: HttpRequest, sent: Option<Sent>) -> Result<Response, Trouble> {
    let mut tries = Tries::default();
    let renews = io.access.as_ref().is_some_and(Access::renews);
    let kept = renews.then(|| request.clone());
    let mut next = request;
    loop {
        let ready = signed(io, next).await?;
        let answer = io.fetch(ready, sent.clone()).await.map_err(Trouble::network)?;
        let (Some(kept), Some(access)) = (&kept, &mut io.access) else {
            return Ok(answer);
        };
        let nonce = access.take_nonce(&answer);
        let Some(refused) = access.refusal(&answer) else {
            return Ok(answer);
        };
        let again = tries.judge(&refused, nonce.is_some());
        if let Some(nonce) = nonce {
            io.nonce(nonce);
        }
        match again {
            Again::No => return Ok(answer),
            Again::Proof | Again::Renew => {}
        }
        // Refused before any effect, whatever becomes of this flow meanwhile.
        drop(answer);
        if let Some(sent) = &sent {
            sent.clear();
        }
        // It did answer, and what is done now takes its own time.
        let asking = io.is_asking();
        io.fared(Fared::Answered);
        if again == Again::Renew {
            renew(io, refused).await?;
        }
        if asking {
            io.asks();
        }
        next = kept.clone();
    }
}

/// What is done about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// Nothing: the answer is the caller's.
    No,
    /// The token is good, the proof was not fresh (RFC 9449 §9).
    Proof,
    /// Another token is to be had.
    Renew,
}

/// How often each was done for one request.
#[derive(Debug, Default)]
struct Tries {
    proofs: u32,
    renewals: u32,
    steps: u32,
}

impl Tries {
    fn judge(&mut self, refused: &Refused, fresh_nonce: bool) -> Again {
        let challenge = refused.challenge.as_deref().unwrap_or_default();
        let error = Challenge::read(challenge).error.unwrap_or_default();
        let (count, most, again) = match (refused.status, &*error) {
            (401, "use_dpop_nonce") if fresh_nonce => (&mut self.proofs, 1, Again::Proof),
            (401, _) => (&mut self.renewals, 1, Again::Renew),
            (403, "insufficient_scope") => (&mut self.steps, MAX_STEP_UPS, Again::Renew),
            _ => return Again::No,
        };
        *count += 1;
        if *count > most { Again::No } else { again }
    }
}

impl Access {
    /// A nonce that the authority wants in proofs and that was not known.
    fn take_nonce(&mut self, answer: &Response) -> Option<String> {
        let nonce = nonce_of(&answer.headers).filter(|_| self.credential.dpop)?;
        if self.credential.nonce.as_deref() == Some(&*nonce) {
            return None;
        }
        self.credential.nonce = Some(nonce.as_str().into());
        Some(nonce)
    }

    /// How the credential was refused, if it was.
    fn refusal(&self, answer: &Response) -> Option<Refused> {
        if !matches!(answer.status, 401 | 403) {
            return None;
        }
        let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("www-authenticate");
        let challenges: Vec<&str> = answer
            .headers
            .iter()
            .filter(named)
            .map(|(_, value)| &**value)
            .collect();
        let challenge = challenges.join(", ");
        let fits = !challenge.is_empty() && challenge.len() <= MAX_CHALLENGE_BYTES;
        Some(Refused {
            token: self.credential.token.as_ref().map(|Secret(token)| token.clone()),
            status: answer.status,
            challenge: fits.then_some(challenge),
        })
    }
}

/// Has another token than the one refused.
async fn renew(io: &mut Io, refused: Refused) -> Result<(), Trouble> {
    let Some(access) = &mut io.access else {
        return Err(Trouble::internal("a flow without credentials"));
    };
    access.renewing = true;
    let (upstream, principal) = (access.upstream.clone(), access.principal.clone());
    let (before, number) = (access.credential.token.clone(), access.credential.number);
    // That may take long, and concerns this principal alone: others are to find out meanwhile.
    io.fail(Key::Era, None).await;
    let status = refused.status;
    let asked = ask(io, &upstream, principal, Some((number, refused))).await;
    let Some(access) = &mut io.access else {
        return Err(Trouble::internal("a flow without credentials"));
    };
    access.renewing = false;
    let credential = asked.map_err(Trouble::into_refusal)?;
    if credential.token.is_none() || credential.token == before {
        return Err(Trouble::status(status, None, false));
    }
    access.credential = credential;
    Ok(())
}

/// The request with its credential, if it is for the endpoint: nobody else gets that.
async fn signed(io: &mut Io, mut request: HttpRequest) -> Result<HttpRequest, Trouble> {
    let Some(access) = &io.access else {
        return Ok(request);
    };
    let Some(Secret(token)) = &access.credential.token else {
        return Ok(request);
    };
    if access.upstream.url.as_deref() != Some(&*request.url) {
        return Ok(request);
    }
    let scheme = if access.credential.dpop { "DPoP" } else { "Bearer" };
    let value = alloc::format!("{scheme} {token}");
    request.headers.push(("authorization".into(), value));
    let upstream = access.upstream.clone();
    let dpop = upstream.oauth.as_ref().and_then(|oauth| oauth.dpop.as_ref());
    if let Some(dpop) = dpop.filter(|_| access.credential.dpop) {
        let (token, nonce) = (token.clone(), access.credential.nonce.clone());
        let proof = prove(
            io,
            dpop,
            request.method,
            &request.url,
            Some(&token),
            nonce.as_deref(),
        );
        request.headers.push(("dpop".into(), proof.await?));
    }
    Ok(request)
}

/// A request that is made when this is dropped while `due` is under way; see [`Io::farewell`]. `None` where it would need
/// a proof of its own: nothing can be signed then.
pub(super) fn farewell(io: &mut Io, mut request: HttpRequest, due: Sent) -> Option<Pending> {
    if let Some(access) = &io.access {
        if access.credential.dpop {
            return None;
        }
        if let Some(Secret(token)) = &access.credential.token {
            let value = alloc::format!("Bearer {token}");
            request.headers.push(("authorization".into(), value));
        }
    }
    Some(io.farewell(request, due))
}
