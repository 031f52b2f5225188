//! Whether a web page may call (2026-07-28, Transports, Streamable HTTP, Security Warning).
//!
//! Only browsers send `Origin`, and pages cannot choose it. What has none is no page.

use alloc::string::String;

use crate::config::url;

/// Whether a request with these headers may be served; `listed` are the configuration's `origins`.
///
/// The page's own host name may differ from ours only where the operator listed it. Ports are not compared: a
/// relay in front of us has another one. Over plain http a name proves nothing, for whoever owns it can point it
/// at this machine (DNS rebinding): there only loopback names are ours. Over https the certificate proves it.
pub(super) fn is_allowed(origin: Option<&str>, host: Option<&str>, listed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if listed.iter().any(|known| known.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let secure = origin.strip_prefix("https://");
    let page = secure.or_else(|| origin.strip_prefix("http://"));
    let ours = host.and_then(url::host_of).map(str::to_ascii_lowercase);
    let (Some(page), Some(ours)) = (page.and_then(url::host_of), ours) else {
        return false;
    };
    match (is_loopback(page), is_loopback(&ours)) {
        (true, true) => true,
        (false, false) => secure.is_some() && page == ours,
        _ => false,
    }
}

/// Whether a host name in lower case means the machine itself (RFC 6761 §6.3 for the names). Engines write addresses
/// in one way only; what is written in another is no page's.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    // No name consists of digits and dots: it would be taken for an address.
    let is_loopback_v4 =
        name.starts_with("127.") && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    name == "localhost" || name.ends_with(".localhost") || name == "::1" || is_loopback_v4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str, origin: &str) -> bool {
        let listed = [String::from("https://app.example")];
        is_allowed(Some(origin), Some(host), &listed)
    }

    #[test]
    fn pages_of_this_host_and_listed_ones_may_call() {
        for (host, origin) in [
            ("127.0.0.1:8787", "http://127.0.0.1:8787"),
            ("127.0.0.1:8787", "http://127.1.2.3:1"),
            ("127.0.0.1", "http://localhost:3000"),
            ("LOCALHOST:8787", "http://[::1]:3000"),
            ("[::1]:8787", "https://a.localhost."),
            ("mcp.example", "https://app.example"),
            ("MCP.example:8443", "https://mcp.example"),
            ("mcp.example", "https://mcp.example:8443"),
        ] {
            assert!(allowed(host, origin), "{host} {origin}");
        }
        assert!(is_allowed(None, None, &[]), "what has no origin is no page");
    }

    #[test]
    fn no_other_page_may() {
        for (host, origin) in [
            ("127.0.0.1:8787", "https://evil.example"),
            ("127.0.0.1", "http://localhost.evil.example"),
            ("127.0.0.1", "http://127.0.0.1.evil.example"),
            ("127.0.0.1", "http://127.0.0.1.9.evil"),
            ("127.0.0.1", "chrome-extension://localhost"),
            ("127.0.0.1", "http://LOCALHOST"),
            ("127.0.0.1", "null"),
            ("127.0.0.1", ""),
            ("127.0.0.1", "not an origin"),
            ("127.0.0.1", "http://localhost, http://localhost"),
            ("127.0.0.1", "http://localhost/"),
            ("127.0.0.1", "http://u@localhost"),
            // DNS rebinding: the page's name is the host's, but only because its owner pointed it here.
            ("evil.example:8787", "http://evil.example:8787"),
            ("evil.example", "http://localhost"),
            ("mcp.example", "https://other.example"),
            ("mcp.example", "https://app.example.evil"),
            ("mcp.example", "https://mcp.example."),
            ("%", "https://%"),
            ("", "https://"),
            ("127.0.0.1, mcp.example", "https://mcp.example"),
        ] {
            assert!(!allowed(host, origin), "{host} {origin}");
        }
        assert!(!is_allowed(Some("http://localhost"), None, &[]));
    }
}
