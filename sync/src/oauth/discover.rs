//! Who issues tokens for the authority: from its refusal to its authorization server's metadata (2026-07-28,
//! Authorization Server Discovery).

use alloc::string::String;

use leeward::config::OAuth;

use super::address::Address;
use super::exchange::look;
use super::metadata::{Resource, Server, invalid, resource_places, server_places};
use super::record::Target;
use super::scopes::Scopes;
use crate::exec::Io;
use crate::trouble::Trouble;

/// Finds out, and which scopes the resource says it supports. `hint`: where its metadata is said, or was found, to be;
/// `known`: the issuer of the grant there is, which is kept while the resource names it.
pub(super) async fn discover(
    io: &mut Io,
    url: &str,
    settings: &OAuth,
    hint: Option<&str>,
    known: Option<&str>,
) -> Result<(Target, Scopes), Trouble> {
    let authority = Address::read(url).filter(|address| address.allows(url));
    let authority = authority.ok_or_else(|| {
        let message = "tokens are sent to an authority over https alone, or on this machine";
        Trouble::authorization("insecure_authority", message)
    })?;
    let mut places = resource_places(&authority);
    if let Some(hint) = hint {
        if !authority.allows(hint) {
            return Err(invalid("the authority's challenge names an unusable URL"));
        }
        places.retain(|place| place != hint);
        places.insert(0, hint.into());
    }
    let Some((metadata, text)) = look(io, &places, known.is_some() && hint.is_some()).await? else {
        let server = unnamed(io, &authority).await?;
        let target = Target {
            resource: url.into(),
            server,
            ..Target::default()
        };
        return Ok((target, Scopes::default()));
    };
    let resource = Resource::read(&text, &authority)?;
    let is_ours = |issuer: &&String| settings.clients.iter().any(|client| client.issuer == **issuer);
    let is_known = |issuer: &&String| known == Some(&***issuer);
    let mut issuers = resource.issuers.iter();
    let issuer = (issuers.clone().find(is_ours))
        .or_else(|| issuers.clone().find(is_known))
        .or_else(|| issuers.next())
        .ok_or_else(|| invalid("the authority's metadata names no authorization server"))?;
    let places = Address::read(issuer).map(|issuer| server_places(&issuer));
    let (_, text) = look(io, &places.unwrap_or_default(), known.is_some())
        .await?
        .ok_or_else(|| {
            invalid("the authority's authorization server publishes no metadata").with_detail(issuer)
        })?;
    let server = Server::read(&text, &[issuer], &authority)?;
    let target = Target {
        metadata,
        resource: resource.id,
        server,
    };
    Ok((target, resource.scopes))
}

/// The authorization server of an authority that names none: its own, at its root (2025-03-26, Authorization, Server
/// Metadata Discovery). Many of those have a slash at the end of their issuer.
async fn unnamed(io: &mut Io, authority: &Address<'_>) -> Result<Server, Trouble> {
    let origin = authority.origin();
    let slashed = [&*origin, "/"].concat();
    let place = [&*origin, "/.well-known/oauth-authorization-server"].concat();
    match look(io, &[place], false).await? {
        Some((_, text)) => Server::read(&text, &[&origin, &slashed], authority),
        None => Ok(Server::unpublished(authority)),
    }
}
