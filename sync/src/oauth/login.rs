//! The authorization code flow (OAuth 2.1, section 4.1; 2026-07-28, Authorization, Authorization Flow Steps): the user
//! is brought to the authorization server and comes back, at once or later.

use alloc::string::String;

use leeward::border::Callback;
use leeward::dispatch::Caller;
use leeward::limits::MAX_NAME_BYTES;

use super::answer::Returned;
use super::client::Client;
use super::encode::{Asked, Form, authorization_url};
use super::exchange::{random, register, tokens};
use super::metadata::invalid;
use super::record::{self, Kept, Pending, Target};
use super::scopes::Scopes;
use super::{Granted, Owner, address::Address, load};
use crate::exec::Io;
use crate::flow::{Secret, Upstream, within};
use crate::limits::MAX_AUTHORIZATION_WAIT;
use crate::trouble::Trouble;

/// Asks the user.
pub(super) async fn authorize(
    io: &mut Io,
    owner: &Owner<'_>,
    target: Target,
    scopes: Scopes,
) -> Result<Kept, Trouble> {
    let server = &target.server;
    if server.authorization.is_empty() {
        return Err(invalid(
            "the authorization server's metadata has no authorization endpoint",
        ));
    }
    // 2026-07-28, Security Considerations, Authorization Code Protection.
    if !server.pkce {
        let message = "the authority's authorization server does not support PKCE with S256";
        return Err(Trouble::authorization("pkce_unsupported", message));
    }
    if !owner.can_ask {
        let message = "the authority wants the user's authorization, for which this host cannot ask";
        return Err(Trouble::authorization("login_required", message));
    }
    let redirect_uri = redirect_uri(io, owner).await?;
    let login_key = record::login_key(&owner.name);
    let earlier = load(io, &login_key, record::login_of).await?;
    if let Some(key) = earlier {
        // Agents ask again and again while the user reads: one link, so that it stays good.
        let pending = load(io, &key, Pending::from_record).await?.filter(|pending| {
            pending.target == target && pending.scopes == scopes && pending.redirect_uri == redirect_uri
        });
        let now = io.now().await.unix.0 / 1000;
        if let Some(pending) = pending.filter(|pending| pending.is_open(now)) {
            return Err(elsewhere(pending.link));
        }
        io.keep(key, None);
    }
    let client = client(io, owner, &target, &redirect_uri).await?;
    let verifier = random(io, 32).await?;
    let state = random(io, 16).await?;
    let url = authorization_url(
        &target.server,
        &Asked {
            client: &client.id,
            redirect_uri: &redirect_uri,
            state: &state,
            verifier: &verifier,
            resource: &target.resource,
            scopes: &scopes,
        },
    );
    let mut pending = Pending {
        authority: owner.url.into(),
        principal: owner.principal.map(Into::into),
        client: client.to_keep(),
        redirect_uri,
        verifier: Secret(verifier),
        scopes,
        link: Secret(String::new()),
        since: io.now().await.unix.0 / 1000,
        target,
    };
    let timer = io.timer(MAX_AUTHORIZATION_WAIT);
    let principal = owner.principal.map(Into::into);
    let answer = within(timer, None, io.authorize(principal, url)).await;
    match answer.unwrap_or_else(|| Err("the user did not come back in time".into())) {
        Ok(Callback::Query(query)) => {
            let returned = Returned::read(&query)?;
            if returned.state() != Some(&*state) {
                return Err(stranger());
            }
            redeem(io, owner, pending, &client, &returned).await
        }
        Ok(Callback::Elsewhere(link)) if link.len() <= MAX_NAME_BYTES => {
            let key = record::pending_key(&state);
            pending.link = Secret(link.clone());
            io.keep(login_key.clone(), Some(record::login_record(&login_key, &key)));
            let record = pending.to_record(&key);
            io.keep(key, Some(record));
            Err(elsewhere(Secret(link)))
        }
        failed => {
            let detail = failed.err().unwrap_or_else(|| "the link is too long".into());
            // Maybe the server does not know the client any more, which it tells the user alone.
            forget_client(io, &pending);
            let message = "the user did not authorize the replica";
            Err(Trouble::authorization("login_failed", message).with_detail(&detail))
        }
    }
}

/// Names the authorization that a redirect answers, if it does.
pub(crate) fn awaited(query: &str) -> Option<String> {
    let returned = Returned::read(query).ok()?;
    returned.state().map(record::pending_key)
}

/// The redirect of an authorization that was begun elsewhere or earlier: whose grant it is, and the grant. `caller`: who
/// came back, if that is known.
pub(crate) async fn finish(
    io: &mut Io,
    upstream: &Upstream,
    query: &str,
    caller: Option<&Caller>,
) -> Result<(Option<String>, Granted), Trouble> {
    let returned = Returned::read(query)?;
    let key = record::pending_key(returned.state().ok_or_else(stranger)?);
    let pending = load(io, &key, Pending::from_record).await?;
    let pending = pending
        .filter(|pending| upstream.url.as_ref() == Some(&pending.authority))
        .ok_or_else(stranger)?;
    let principal = pending.principal.clone();
    let owner = Owner::new(upstream, principal.as_deref()).ok_or_else(stranger)?;
    // One use, whatever comes of it.
    io.keep(key, None);
    io.keep(record::login_key(&owner.name), None);
    if !pending.is_open(io.now().await.unix.0 / 1000) {
        forget_client(io, &pending);
        return Err(stranger());
    }
    let is_another = |caller: &Caller| match caller {
        Caller::Principal(name) => principal.as_ref() != Some(name),
        Caller::Anonymous => principal.is_some(),
    };
    if caller.is_some_and(is_another) {
        let message = "the redirect belongs to the authorization of another principal";
        return Err(Trouble::authorization("principal_mismatch", message));
    }
    let client = Client::again(owner.settings, &pending.target.server, &pending.client);
    let client = client.ok_or_else(stranger)?;
    let kept = redeem(io, &owner, pending, &client, &returned).await?;
    let granted = kept.granted(io.now().await);
    Ok((principal, granted))
}

/// Turns the code into tokens, and keeps them.
async fn redeem(
    io: &mut Io,
    owner: &Owner<'_>,
    pending: Pending,
    client: &Client,
    returned: &Returned,
) -> Result<Kept, Trouble> {
    let server = &pending.target.server;
    let code = match returned.code(&server.issuer, server.names_itself) {
        Err(trouble) if returned.refuses_scopes() && trouble.reason == Some("authorization_failed") => {
            owner.forget_asked(io).await?;
            return Err(trouble);
        }
        code => code?,
    };
    let form = Form::grant("authorization_code")
        .with("code", code)
        .with("redirect_uri", &pending.redirect_uri)
        .with("code_verifier", &pending.verifier.0)
        .with("resource", &pending.target.resource);
    match tokens(io, owner.settings, server, client, form).await? {
        Ok(tokens) => {
            let (client, redirect_uri) = (pending.client, pending.redirect_uri);
            owner
                .grant(io, pending.target, client, redirect_uri, pending.scopes, tokens)
                .await
        }
        Err(refusal) => {
            match &*refusal.error {
                "invalid_client" => forget_client(io, &pending),
                "invalid_scope" => owner.forget_asked(io).await?,
                _ => {}
            }
            let message = "the authorization server gave no token for the user's authorization";
            Err(Trouble::authorization("token_refused", message).with_detail(&refusal.detail))
        }
    }
}

async fn redirect_uri(io: &mut Io, owner: &Owner<'_>) -> Result<String, Trouble> {
    let uri = match &owner.settings.redirect_uri {
        Some(uri) => Ok(uri.clone()),
        None => io.redirect(owner.principal.map(Into::into)).await,
    };
    let uri = uri.map_err(|detail| {
        let message = "the host has no redirect URI for the user's authorization";
        Trouble::authorization("invalid_redirect", message).with_detail(&detail)
    })?;
    // 2026-07-28, Security Considerations, Communication Security.
    if !Address::read(&uri).is_some_and(|address| address.allows(&uri)) {
        let message = "the redirect URI is neither https nor on this machine";
        return Err(Trouble::authorization("invalid_redirect", message));
    }
    Ok(uri)
}

/// The client to ask as: the known one, the one kept in the vault, or a new one.
async fn client(
    io: &mut Io,
    owner: &Owner<'_>,
    target: &Target,
    redirect_uri: &str,
) -> Result<Client, Trouble> {
    let server = &target.server;
    if let Some(known) = Client::known(owner.settings, server)? {
        return Ok(known);
    }
    let key = record::client_key(&server.issuer);
    let now = io.now().await.unix.0 / 1000;
    if let Some((uri, kept)) = load(io, &key, record::client_of).await?
        && Address::read(redirect_uri).is_some_and(|address| address.redirects_for(&uri))
        && (kept.expires == 0 || now < kept.expires)
    {
        return Ok(Client::registered(kept));
    }
    let native = Address::read(redirect_uri).is_some_and(|address| address.is_loopback());
    let client = register(io, owner.settings, server, redirect_uri, native).await?;
    let record = record::client_record(&key, redirect_uri, &client);
    io.keep(key, Some(record));
    Ok(Client::registered(client))
}

/// The client that registered itself is not good any more; another one may be.
fn forget_client(io: &mut Io, pending: &Pending) {
    io.keep(record::client_key(&pending.target.server.issuer), None);
}

fn elsewhere(link: Secret) -> Trouble {
    let message = "the authority wants the user's authorization: open data.authorizationUrl, then try again";
    Trouble::authorization("login_required", message).with_link(link)
}

pub(crate) fn stranger() -> Trouble {
    let message = "the redirect belongs to no authorization that is under way";
    Trouble::authorization("state_mismatch", message)
}
