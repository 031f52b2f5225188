//! The way to a grant, and to its end: what is kept, else renewed, else given anew.
//!
//! Before the authority refuses, nothing but a record of the vault speaks for a principal: an authority may want no
//! token at all, and its refusal says best what it wants. A refusal is answered with what costs least: a token that
//! another instance got meanwhile, the refresh token, and the user last.

use alloc::boxed::Box;
use alloc::string::String;

use leeward::Now;
use leeward::border::Event;
use leeward::config::oauth::GrantType;

use super::answer::Tokens;
use super::challenge::Challenge;
use super::client::Client;
use super::discover::discover;
use super::encode::Form;
use super::exchange::{revoke, tokens, unique};
use super::login::authorize;
use super::record::{self, Kept, Target};
use super::scopes::Scopes;
use super::{Granted, Owner, Why, drop_grant, load};
use crate::exec::Io;
use crate::flow::Upstream;
use crate::limits::{AUTHORIZATION_PAUSE, RENEWAL_PAUSE};
use crate::trouble::Trouble;

/// A token for a principal; `None` if none is there, and the authority has not said that it wants one.
pub(crate) async fn obtain(
    io: &mut Io,
    upstream: &Upstream,
    principal: Option<&str>,
    why: Why,
) -> Result<Option<Granted>, Trouble> {
    let Some(owner) = Owner::new(upstream, principal) else {
        return Ok(None);
    };
    let mut kept = load(io, &owner.key(), Kept::from_record).await?;
    if kept.as_ref().is_some_and(|kept| !kept.is_meant(owner.settings)) {
        // Nothing that could be had by it would be taken.
        kept = None;
        drop_grant(
            io,
            owner.key(),
            "the configuration wants another kind of grant now",
        );
    }
    let outcome = match why {
        Why::First => match kept {
            Some(kept) => first(io, &owner, kept).await,
            None => Ok(None),
        },
        Why::Refused(refused) => {
            let challenge = Challenge::read(refused.challenge.as_deref().unwrap_or_default());
            let lacks = challenge.wants_scopes();
            if refused.status != 401 && !lacks {
                let message = "the authority refused the credential";
                return Err(Trouble::authorization("refused", message));
            }
            let now = io.now().await;
            match kept {
                Some(kept) if refused.token.as_ref() != Some(&kept.access.0) && !kept.is_due(now) => {
                    Ok(Some(kept.granted(now)))
                }
                kept => refused_again(io, &owner, kept, &challenge).await.map(Some),
            }
        }
    };
    // Whatever was sent for a grant, the request itself was refused, or not sent.
    outcome.map_err(Trouble::harmless)
}

/// What is kept, renewed if that is due.
async fn first(io: &mut Io, owner: &Owner<'_>, kept: Kept) -> Result<Option<Granted>, Trouble> {
    let now = io.now().await;
    if !kept.is_due(now) {
        return Ok(Some(kept.granted(now)));
    }
    let good = !kept.is_over(now);
    match renew(io, owner, &kept).await {
        Ok(Renewal::Done(renewed)) => {
            let now = io.now().await;
            Ok(Some(renewed.granted(now)))
        }
        // Good for a while yet: an outage over there is no reason to do without.
        Ok(Renewal::No) if good => Ok(Some(kept.granted_until_over(now))),
        Err(_) if good => Ok(Some(kept.granted_until(now, now.mono + RENEWAL_PAUSE))),
        Ok(Renewal::No | Renewal::Gone) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// What came of renewing a grant.
enum Renewal {
    Done(Box<Kept>),
    /// It cannot be renewed.
    No,
    /// There is none any more.
    Gone,
}

impl Renewal {
    fn done(kept: Kept) -> Self {
        Self::Done(Box::new(kept))
    }
}

/// The grant with a new token, without the user.
async fn renew(io: &mut Io, owner: &Owner<'_>, kept: &Kept) -> Result<Renewal, Trouble> {
    let unattended = owner.settings.grant == GrantType::ClientCredentials;
    if !unattended && kept.refresh.is_none() {
        return Ok(Renewal::No);
    }
    let issuer = Some(&*kept.target.server.issuer);
    let hint = Some(&*kept.target.metadata).filter(|hint| !hint.is_empty());
    let (target, _) = discover(io, owner.url, owner.settings, hint, issuer).await?;
    if !kept.is_of(&target) {
        drop_grant(
            io,
            owner.key(),
            "the authority trusts another authorization server now",
        );
        return Ok(Renewal::Gone);
    }
    if unattended {
        let asked = kept.asked.clone();
        let renewed = stand_for_itself(io, owner, Some(kept), target, asked).await;
        return renewed.map(Renewal::done);
    }
    let renewed = refresh(io, owner, kept, target).await?;
    Ok(renewed.map_or(Renewal::No, Renewal::done))
}

/// Another grant than that which was refused, or than none.
async fn refused_again(
    io: &mut Io,
    owner: &Owner<'_>,
    kept: Option<Kept>,
    challenge: &Challenge,
) -> Result<Granted, Trouble> {
    let known = kept.as_ref().map(|kept| &kept.target);
    let place = known
        .map(|target| &*target.metadata)
        .filter(|place| !place.is_empty());
    let hint = challenge.resource_metadata.as_deref().or(place);
    let issuer = known.map(|target| &*target.server.issuer);
    let (target, supported) = discover(io, owner.url, owner.settings, hint, issuer).await?;
    let mut kept = kept;
    if kept.as_ref().is_some_and(|kept| !kept.is_of(&target)) {
        // 2026-07-28, Client Registration, Authorization Server Binding.
        kept = None;
        drop_grant(
            io,
            owner.key(),
            "the authority trusts another authorization server now",
        );
    }
    if let Some(kept) = kept.as_ref().filter(|_| !challenge.wants_scopes())
        && let Some(renewed) = refresh(io, owner, kept, target.clone()).await?
    {
        let now = io.now().await;
        return Ok(renewed.granted(now));
    }
    let wanted = wanted(owner, challenge, &supported);
    let mut scopes = kept.as_ref().map(|kept| kept.asked.clone()).unwrap_or_default();
    scopes.add_all(wanted.as_str());
    if challenge.wants_scopes() && kept.as_ref().is_some_and(|kept| kept.granted.cover(&wanted)) {
        let message = "the authority wants more of a grant than it names";
        return Err(Trouble::authorization("insufficient_scope", message));
    }
    if owner.settings.grant == GrantType::ClientCredentials {
        let renewed = stand_for_itself(io, owner, kept.as_ref(), target, scopes).await?;
        let now = io.now().await;
        return Ok(renewed.granted(now));
    }
    // 2026-07-28, Authorization, Refresh Tokens.
    if target.server.offline && !scopes.is_empty() {
        scopes.add("offline_access");
    }
    let now = io.now().await;
    if kept.is_some_and(|kept| {
        let just = now.unix.0 / 1000 < kept.authorized.saturating_add(AUTHORIZATION_PAUSE.0 / 1000);
        just && now.unix.0 / 1000 >= kept.authorized && !kept.is_over(now) && kept.asked.cover(&scopes)
    }) {
        // Else the user would be asked the same for every request.
        let reason = if challenge.wants_scopes() {
            "insufficient_scope"
        } else {
            "refused"
        };
        let message = "the authority refuses what the user has just authorized";
        return Err(Trouble::authorization(reason, message));
    }
    let kept = authorize(io, owner, target, scopes).await?;
    let now = io.now().await;
    Ok(kept.granted(now))
}

/// Which scopes to ask for (2026-07-28, Authorization, Scope Selection Strategy).
fn wanted(owner: &Owner<'_>, challenge: &Challenge, supported: &Scopes) -> Scopes {
    if let Some(scopes) = &challenge.scopes {
        return scopes.clone();
    }
    let mut scopes = supported.clone();
    if scopes.is_empty() {
        for scope in &owner.settings.scopes {
            scopes.add(scope);
        }
    }
    scopes
}

/// Uses the refresh token; `None` if there is none, or it is not good any more.
async fn refresh(
    io: &mut Io,
    owner: &Owner<'_>,
    kept: &Kept,
    target: Target,
) -> Result<Option<Kept>, Trouble> {
    let client = Client::again(owner.settings, &target.server, &kept.client);
    let (Some(token), Some(client)) = (&kept.refresh, client) else {
        return Ok(None);
    };
    let form = Form::grant("refresh_token")
        .with("refresh_token", &token.0)
        .with("resource", &target.resource);
    match tokens(io, owner.settings, &target.server, &client, form).await? {
        Ok(tokens) => {
            let mut renewed = kept.clone();
            renewed.target = target;
            let granted = kept.granted.clone();
            owner.renewed(io, renewed, granted, tokens).await.map(Some)
        }
        // No word about the token: a pause, or a nonce that went stale once more (RFC 9449, section 8).
        Err(refusal)
            if matches!(
                &*refusal.error,
                "temporarily_unavailable" | "server_error" | "slow_down" | "use_dpop_nonce"
            ) =>
        {
            let message = "the authorization server does not renew the grant now";
            Err(Trouble::authorization("token_refused", message).with_detail(&refusal.detail))
        }
        Err(refusal) => {
            // What was asked for, and when, is still to be known.
            let rest = Kept {
                refresh: None,
                ..kept.clone()
            };
            let key = owner.key();
            let record = rest.to_record(&key);
            io.keep(key, Some(record));
            let reason = "the refresh token is not good any more";
            io.event(Event::GrantDropped { reason });
            if refusal.error == "invalid_client" {
                io.keep(record::client_key(&target.server.issuer), None);
            }
            Ok(None)
        }
    }
}

/// The client's own grant (OAuth 2.1, section 4.2; MCP extension `io.modelcontextprotocol/oauth-client-credentials`).
async fn stand_for_itself(
    io: &mut Io,
    owner: &Owner<'_>,
    kept: Option<&Kept>,
    target: Target,
    scopes: Scopes,
) -> Result<Kept, Trouble> {
    let client = Client::known(owner.settings, &target.server)?;
    let client = client.ok_or_else(|| Trouble::authorization("unregistered", "no client is configured"))?;
    let form = Form::grant("client_credentials")
        .with("resource", &target.resource)
        .with_some("scope", scopes.as_str());
    match tokens(io, owner.settings, &target.server, &client, form).await? {
        Ok(tokens) => {
            let client = client.to_keep();
            // Another token of the same client's is the same grant: what it brought may stay.
            let same = |kept: &&Kept| kept.client.id == client.id;
            let Some(kept) = kept.filter(same) else {
                return owner
                    .grant(io, target, client, String::new(), scopes, tokens)
                    .await;
            };
            let mut renewed = kept.clone();
            (renewed.target, renewed.client, renewed.asked) = (target, client, scopes.clone());
            owner.renewed(io, renewed, scopes, tokens).await
        }
        Err(refusal) => {
            if refusal.error == "invalid_scope" {
                owner.forget_asked(io).await?;
            }
            let message = "the authorization server gave no token for the client's credentials";
            Err(Trouble::authorization("token_refused", message).with_detail(&refusal.detail))
        }
    }
}

/// Ends the grant of a principal: forgets it, then has it revoked where that can be (RFC 7009). What was forgotten stays
/// so, whatever the authorization server says.
pub(crate) async fn sign_out(
    io: &mut Io,
    upstream: &Upstream,
    principal: Option<&str>,
) -> Result<(), Trouble> {
    let Some(owner) = Owner::new(upstream, principal) else {
        return Ok(());
    };
    let login = record::login_key(&owner.name);
    let pending = load(io, &login, record::login_of).await;
    let kept = load(io, &owner.key(), Kept::from_record).await;
    // Also what could not be read.
    io.keep(owner.key(), None);
    io.keep(login, None);
    if let Ok(Some(pending)) = &pending {
        io.keep(pending.clone(), None);
    }
    if let Some(kept) = kept? {
        revoke_all(io, &owner, kept).await?;
    }
    pending.map(drop)
}

/// Has the tokens of a grant revoked, where that can be.
async fn revoke_all(io: &mut Io, owner: &Owner<'_>, kept: Kept) -> Result<(), Trouble> {
    let server = &kept.target.server;
    let client = Client::again(owner.settings, server, &kept.client);
    let Some(client) = client.filter(|_| !server.revocation.is_empty()) else {
        return Ok(());
    };
    // The refresh token first: with it go the access tokens (RFC 7009, section 2.1). Where it does not, they may still.
    let refresh = match &kept.refresh {
        Some(token) => revoke(io, server, &client, &token.0, "refresh_token").await,
        None => Ok(()),
    };
    let access = revoke(io, server, &client, &kept.access.0, "access_token").await;
    refresh.and(access)
}

/// A name for a grant, of which nothing can be told.
async fn identity(io: &mut Io) -> Result<String, Trouble> {
    Ok(["oauth:", &*unique(io).await?].concat())
}

impl Owner<'_> {
    /// Forgets which scopes were asked for. One that there is not any more would spoil all that is asked with it.
    pub(super) async fn forget_asked(&self, io: &mut Io) -> Result<(), Trouble> {
        let key = self.key();
        if let Some(kept) = load(io, &key, Kept::from_record).await? {
            let rest = Kept {
                asked: Scopes::default(),
                ..kept
            };
            let record = rest.to_record(&key);
            io.keep(key, Some(record));
        }
        Ok(())
    }

    /// Keeps a new grant.
    pub(super) async fn grant(
        &self,
        io: &mut Io,
        target: Target,
        client: super::answer::Registered,
        redirect_uri: String,
        asked: Scopes,
        tokens: Tokens,
    ) -> Result<Kept, Trouble> {
        let kept = Kept {
            target,
            client,
            redirect_uri,
            access: tokens.access.clone(),
            scheme: tokens.scheme,
            since: 0,
            expires: None,
            refresh: tokens.refresh.clone(),
            granted: tokens.scopes.clone().unwrap_or_else(|| asked.clone()),
            asked,
            identity: identity(io).await?,
            authorized: io.now().await.unix.0 / 1000,
        };
        Ok(self.keep(io, kept, &tokens).await)
    }

    /// Keeps a grant that was renewed, under its name unless it is for something else now. `granted`: for what, where
    /// the authorization server does not say it.
    async fn renewed(
        &self,
        io: &mut Io,
        mut kept: Kept,
        granted: Scopes,
        tokens: Tokens,
    ) -> Result<Kept, Trouble> {
        let granted = tokens.scopes.clone().unwrap_or(granted);
        if granted != kept.granted {
            kept.identity = identity(io).await?;
            kept.granted = granted;
        }
        if tokens.refresh.is_some() {
            kept.refresh.clone_from(&tokens.refresh);
        }
        Ok(self.keep(io, kept, &tokens).await)
    }

    /// Keeps a grant with the access token that just came.
    async fn keep(&self, io: &mut Io, kept: Kept, tokens: &Tokens) -> Kept {
        let Now { unix, .. } = io.now().await;
        let since = unix.0 / 1000;
        let kept = Kept {
            access: tokens.access.clone(),
            scheme: tokens.scheme,
            since,
            expires: tokens.life.map(|life| since.saturating_add(life)),
            ..kept
        };
        let key = self.key();
        let record = kept.to_record(&key);
        io.keep(key, Some(record));
        kept
    }
}
