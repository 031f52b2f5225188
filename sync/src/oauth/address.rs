//! Which URLs a flow may call or show, and how they relate: untrusted parties name them.
//!
//! A URL is taken as [`leeward::config::url::check_url`] takes one, so that every parser reads the same host in it.
//! OAuth goes over `https` (OAuth 2.1, section 1.5; 2026-07-28, Authorization, Security Considerations,
//! Communication Security). `http`, and anything on a loopback address, counts only where the authority itself is
//! there: else an authority far away could have this replica call, and show, what listens on its own machine.

use core::net::{Ipv4Addr, Ipv6Addr};

use alloc::string::String;

use leeward::config::url::{check_url, host_of};

use crate::limits::MAX_PUBLISHED_BYTES;

/// A URL in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Reads a URL; `None` if it is not `http(s)` without user information and fragment.
    pub(crate) fn read(url: &'a str) -> Option<Self> {
        check_url(url).ok()?;
        let (scheme, rest) = url.split_once("://")?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
        Some(Self {
            scheme,
            authority,
            path,
            query,
        })
    }

    fn published(url: &'a str) -> Option<Self> {
        Self::read(url).filter(|_| url.len() <= MAX_PUBLISHED_BYTES)
    }

    /// Whether its host is this machine: RFC 8252, sections 7.3 and 8.3, and names that resolve to it (RFC 6761,
    /// section 6.3).
    pub(crate) fn is_loopback(&self) -> bool {
        let host = host_of(self.authority).unwrap_or_default();
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return address.is_loopback() || address.is_unspecified();
        }
        if let Ok(address) = name.parse::<Ipv6Addr>() {
            let mapped = address.to_ipv4_mapped();
            return address.is_loopback()
                || address.is_unspecified()
                || mapped.is_some_and(|address| address.is_loopback() || address.is_unspecified());
        }
        name == "localhost" || name.ends_with(".localhost")
    }

    /// Whether a flow for this authority may call, or show, `url`, which somebody published.
    pub(crate) fn allows(&self, url: &str) -> bool {
        Address::published(url).is_some_and(|other| match other.scheme {
            _ if other.is_loopback() => self.is_loopback(),
            scheme => scheme == "https",
        })
    }

    /// `scheme://host:port`, as it was written.
    pub(crate) fn origin(&self) -> String {
        [self.scheme, "://", self.authority].concat()
    }

    /// Whether a client that registered `uri` may have users redirected here: it is the same, but for the port of a
    /// loopback address, of which the authorization server takes any (RFC 8252, section 7.3).
    pub(crate) fn redirects_for(&self, uri: &str) -> bool {
        Address::read(uri).is_some_and(|other| {
            let (host, others) = (host_of(self.authority), host_of(other.authority));
            let native = matches!(host, Some("127.0.0.1" | "::1")) && self.scheme == "http";
            let elsewhere =
                (self.scheme, host, self.path, self.query) != (other.scheme, others, other.path, other.query);
            *self == other || native && !elsewhere
        })
    }

    /// Where the metadata named `name` is if it is about this URL, its path after that of the well-known place
    /// (RFC 9728, section 3.1; RFC 8414, section 3.1).
    pub(crate) fn well_known(&self, name: &str) -> String {
        [&*self.origin(), "/.well-known/", name, self.trimmed_path()].concat()
    }

    /// The same after its path (OpenID Connect Discovery 1.0, section 4).
    pub(crate) fn well_known_after(&self, name: &str) -> String {
        [&*self.origin(), self.trimmed_path(), "/.well-known/", name].concat()
    }

    /// Its path without a slash at the end; empty if there is none.
    pub(crate) fn trimmed_path(&self) -> &'a str {
        self.path.strip_suffix('/').unwrap_or(self.path)
    }

    /// What a DPoP proof says it is for: without query (RFC 9449, section 4.2).
    pub(crate) fn target(&self) -> String {
        [&*self.origin(), self.path].concat()
    }

    /// Whether tokens for `resource` are for this URL: it is the same, or a directory above it on the same origin.
    pub(crate) fn is_within(&self, resource: &str) -> bool {
        let Some(resource) = Address::published(resource) else {
            return false;
        };
        let same_origin = resource.scheme == self.scheme
            && resource.authority_without_default() == self.authority_without_default();
        let above = resource.trimmed_path();
        let below = self.trimmed_path().strip_prefix(above);
        let inside = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let query =
            resource.query.is_none() || resource.query == self.query && below.is_some_and(str::is_empty);
        same_origin && inside && query
    }

    /// Host and port, spelt in one way.
    fn authority_without_default(&self) -> String {
        let own = match self.scheme {
            "https" => ":443",
            _ => ":80",
        };
        let text = self.authority.strip_suffix(own).unwrap_or(self.authority);
        text.to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: &str = "https://crm.example/mcp";
    const NEAR: &str = "http://127.0.0.1:8080/mcp";

    fn address(url: &str) -> Address<'_> {
        Address::read(url).unwrap()
    }

    #[test]
    fn calls_https_only_and_this_machine_only_from_itself() {
        for (url, far, near) in [
            ("https://as.example/x?y=z", true, true),
            ("http://as.example/x", false, false),
            ("http://localhost:1/x", false, true),
            ("https://localhost/x", false, true),
            ("https://a.localhost./x", false, true),
            ("https://LOCALHOST/x", false, true),
            ("https://127.9.9.9/x", false, true),
            ("https://0.0.0.0/x", false, true),
            ("http://[::1]:9/x", false, true),
            ("https://[::]/x", false, true),
            ("https://[::ffff:127.0.0.1]/x", false, true),
            ("https://localhost.example/x", true, true),
            ("javascript:alert(1)//https://as.example", false, false),
            ("https://u:p@as.example/", false, false),
            ("https://as.example/#f", false, false),
            ("https://as.example\\@evil.example/", false, false),
            ("https://2130706433/", false, false),
            ("https://127.1/", false, false),
            ("https://0x7f.0.0.1/", false, false),
            ("https://0177.0.0.1/", false, false),
            ("https://127.0.0.1./", false, false),
            ("https://%6cocalhost/", false, false),
            ("https://[::ffff:7f00:1]/", false, true),
            ("https://[0:0:0:0:0:0:0:1]/", false, true),
            ("file:///etc/passwd", false, false),
            ("", false, false),
        ] {
            assert_eq!(address(FAR).allows(url), far, "{url} from afar");
            assert_eq!(address(NEAR).allows(url), near, "{url} from here");
        }
    }

    #[test]
    fn a_redirect_goes_to_any_port_of_the_loopback_address_that_was_registered() {
        let registered = "http://127.0.0.1:4321/callback?x";
        for (uri, fits) in [
            ("http://127.0.0.1:9/callback?x", true),
            ("http://127.0.0.1/callback?x", true),
            ("http://127.0.0.1:4321/callback", false),
            ("http://127.0.0.1:9/other?x", false),
            ("http://127.0.0.2:4321/callback?x", false),
            ("http://[::1]:4321/callback?x", false),
            ("http://localhost:4321/callback?x", false),
            ("https://127.0.0.1:4321/callback?x", false),
        ] {
            assert_eq!(address(uri).redirects_for(registered), fits, "{uri}");
        }
        assert!(address("http://[::1]:1/").redirects_for("http://[::1]:2/"));
        for (uri, other) in [
            ("http://localhost:1/cb", "http://localhost:2/cb"),
            ("https://app.example/cb", "https://app.example:8443/cb"),
        ] {
            assert!(address(uri).redirects_for(uri) && !address(uri).redirects_for(other));
        }
    }

    #[test]
    fn what_is_published_is_bounded() {
        let url = alloc::format!("https://crm.example/{}", "x".repeat(MAX_PUBLISHED_BYTES - 20));
        assert!(address(FAR).allows(&url) && address(&url).is_within(&url));
        let longer = alloc::format!("{url}x");
        assert!(!address(FAR).allows(&longer) && !address(&longer).is_within(&longer));
    }

    #[test]
    fn metadata_has_its_place_by_the_path_of_what_it_is_about() {
        let name = "oauth-authorization-server";
        for (url, inserted, appended) in [
            (
                "https://as.example",
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://as.example:8443/",
                "https://as.example:8443/.well-known/oauth-authorization-server",
                "https://as.example:8443/.well-known/oauth-authorization-server",
            ),
            (
                "https://as.example/a/b/?q",
                "https://as.example/.well-known/oauth-authorization-server/a/b",
                "https://as.example/a/b/.well-known/oauth-authorization-server",
            ),
        ] {
            assert_eq!(address(url).well_known(name), inserted);
            assert_eq!(address(url).well_known_after(name), appended);
        }
    }

    #[test]
    fn a_resource_is_the_authority_or_above_it() {
        for (authority, resource, within) in [
            (FAR, "https://crm.example/mcp", true),
            (FAR, "https://crm.example/mcp/", true),
            (FAR, "https://crm.example", true),
            (FAR, "https://crm.example/", true),
            (FAR, "https://CRM.example:443", true),
            (FAR, "http://crm.example/mcp", false),
            (FAR, "https://crm.example:8443/mcp", false),
            (FAR, "https://evil.example/mcp", false),
            (FAR, "https://crm.example.evil.example/mcp", false),
            (FAR, "https://crm.example/mc", false),
            (FAR, "https://crm.example/mcp/more", false),
            (FAR, "https://crm.example/MCP", false),
            (FAR, "https://crm.example/mcp?tenant=1", false),
            (FAR, "https://crm.example/mcp#x", false),
            (FAR, "urn:mcp:crm", false),
            (
                "https://crm.example/mcp?tenant=1",
                "https://crm.example/mcp?tenant=1",
                true,
            ),
            (
                "https://crm.example/mcp?tenant=1",
                "https://crm.example/mcp?tenant=2",
                false,
            ),
            (
                "https://crm.example/mcp?tenant=1",
                "https://crm.example/?tenant=1",
                false,
            ),
            (
                "https://crm.example/mcp?tenant=1",
                "https://crm.example/mcp",
                true,
            ),
            (NEAR, "http://127.0.0.1:8080", true),
        ] {
            assert_eq!(
                address(authority).is_within(resource),
                within,
                "{authority} {resource}"
            );
        }
    }
}
