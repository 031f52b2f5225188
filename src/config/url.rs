//! URLs and origins, checked without being changed: what is configured is part of cache keys.
//!
//! This is no URL parser. It lets through only what every URL parser reads in the same way, so that the host that
//! is checked is the host that is called.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::limits::MAX_NAME_BYTES;

/// Checks the URL of an authority: `http` or `https` in lower case, a host, maybe a port, path and query; visible
/// ASCII that RFC 3986 allows in a URI, at most [`MAX_NAME_BYTES`].
///
/// # Errors
/// What is wrong, to be put after the name of the field.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    check_characters(url)?;
    let Some(rest) = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
    else {
        return Err("must begin with https:// or http://");
    };
    if url.contains('#') {
        return Err("must have no fragment (#)");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    if authority.contains('@') {
        return Err("must have no user information (@); a token stands in authority.token");
    }
    check_host_and_port(authority).map(drop)
}

/// Checks an origin as browsers serialize it (RFC 6454, section 6.2): `scheme://host`, then `:port` unless that is
/// the scheme's own, in lower case.
///
/// # Errors
/// As [`check_url`].
pub(super) fn check_origin(origin: &str) -> Result<(), &'static str> {
    check_characters(origin)?;
    if origin == "*" || origin == "null" {
        return Err("must be one origin, such as https://app.example");
    }
    let Some((scheme, rest)) = origin.split_once("://") else {
        return Err("must begin with a scheme, such as https://");
    };
    let head = scheme
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if !head
        || !scheme
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
    {
        return Err("must begin with a scheme in lower case, such as https://");
    }
    if rest.contains(['/', '?', '#', '@']) {
        return Err("must end after the host or port, without a path or slash");
    }
    if rest.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("must be in lower case, as browsers send it");
    }
    match (scheme, check_host_and_port(rest)?) {
        ("http", (_, Some(80))) | ("https", (_, Some(443))) => {
            Err("must leave out the scheme's own port, as browsers do")
        }
        _ => Ok(()),
    }
}

/// The host of `host` or `host:port`, as a `Host` header has it; an IPv6 address without its brackets. `None` for
/// what not every parser reads in the same way.
#[must_use]
pub fn host_of(authority: &str) -> Option<&str> {
    check_host_and_port(authority).ok().map(|(host, _)| host)
}

fn check_characters(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.len() > MAX_NAME_BYTES {
        return Err("must have at most 8192 bytes");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("must have no white space or control characters");
    }
    if !text.is_ascii() {
        return Err("must be ASCII (xn-- for hosts, % escapes for paths)");
    }
    // RFC 3986, section 2; many parsers take a backslash for a slash.
    if text.contains(['"', '<', '>', '\\', '^', '`', '{', '|', '}']) {
        return Err(r#"must have none of " < > \ ^ ` { | }"#);
    }
    Ok(())
}

/// The host, and the port if there is one.
fn check_host_and_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or("must close the [ of its host")?;
            if address.parse::<Ipv6Addr>().is_err() {
                return Err("must have an IPv6 address within [ ]");
            }
            match after.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None if after.is_empty() => (address, None),
                None => return Err("must have a port or path after its host"),
            }
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            if !host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            {
                return Err("must have a host of letters, digits, '.', '-' and '_'");
            }
            if ends_in_a_number(host) && host.parse::<Ipv4Addr>().is_err() {
                return Err("must have an IPv4 address of four decimal numbers, or a name that ends in none");
            }
            (host, port)
        }
    };
    if host.is_empty() {
        return Err("must have a host");
    }
    let Some(port) = port else {
        return Ok((host, None));
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number @ 1..) if digits => Ok((host, Some(number))),
        _ => Err("must have a port from 1 to 65535"),
    }
}

/// Whether browsers take a host for an IPv4 address, in which `1.2`, `0x7f.1` and `127.1.` are allowed too (WHATWG
/// URL, 3.5, "ends in a number"); other parsers take those for names.
fn ends_in_a_number(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next();
    last.is_some_and(|last| {
        let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
        match hex {
            Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn refuses_hosts_that_only_some_take_for_addresses() {
        for host in [
            "1.2.3",
            "127.1",
            "0x7f.1",
            "a.0x",
            "1.2.3.4.",
            "01.2.3.4",
            "256.1.1.1",
            "a.5",
            "9",
            "[::g]",
            "[:]",
            "[1:2]",
            "[::1.2.3]",
        ] {
            let url = format!("http://{host}/");
            assert!(
                check_url(&url).is_err_and(|message| message.contains("an IPv")),
                "{url}"
            );
        }
        for host in [
            "1.2.3.4",
            "a1.b2c",
            "1.2.3.4.example",
            "x0x1",
            "[::ffff:1.2.3.4]",
            "[FE80::1]",
        ] {
            assert_eq!(check_url(&format!("http://{host}:81/")), Ok(()), "{host}");
        }
    }

    #[test]
    fn takes_plain_urls() {
        for url in [
            "https://crm.example/mcp",
            "http://127.0.0.1:8787/mcp?x=1&y=%20",
            "http://localhost",
            "http://[::1]:80/",
            "https://a_b-c.example?q=@",
            "https://h/@user/:8080",
        ] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn refuses_urls_that_are_not_safe_or_not_http() {
        for (url, message) in [
            ("", "must not be empty"),
            ("ftp://a", "must begin with https:// or http://"),
            ("HTTPS://a", "must begin with https:// or http://"),
            ("//a", "must begin with https:// or http://"),
            ("a.example/mcp", "must begin with https:// or http://"),
            ("https:/a", "must begin with https:// or http://"),
            ("https://", "must have a host"),
            ("https:///mcp", "must have a host"),
            ("https://:80/", "must have a host"),
            ("https://?a", "must have a host"),
            ("https://a/#f", "must have no fragment (#)"),
            (
                "https://u:p@a/",
                "must have no user information (@); a token stands in authority.token",
            ),
            ("https://good\\@evil/", r#"must have none of " < > \ ^ ` { | }"#),
            ("https://a/{x}", r#"must have none of " < > \ ^ ` { | }"#),
            ("https://a b/", "must have no white space or control characters"),
            (" https://a/", "must have no white space or control characters"),
            ("https://a/\n", "must have no white space or control characters"),
            (
                "https://a/\u{7f}",
                "must have no white space or control characters",
            ),
            (
                "https://a/\u{a0}",
                "must have no white space or control characters",
            ),
            (
                "https://é/",
                "must be ASCII (xn-- for hosts, % escapes for paths)",
            ),
            (
                "https://a%40b/",
                "must have a host of letters, digits, '.', '-' and '_'",
            ),
            ("https://a:/", "must have a port from 1 to 65535"),
            ("https://a:0/", "must have a port from 1 to 65535"),
            ("https://a:65536/", "must have a port from 1 to 65535"),
            ("https://a:+80/", "must have a port from 1 to 65535"),
            ("https://a:80:80/", "must have a port from 1 to 65535"),
            ("https://[::1/", "must close the [ of its host"),
            ("https://[a.example]/", "must have an IPv6 address within [ ]"),
            ("https://[::1]80/", "must have a port or path after its host"),
        ] {
            assert_eq!(check_url(url), Err(message), "{url}");
        }
        let long = format!("https://a/{}", "x".repeat(MAX_NAME_BYTES - 10));
        assert_eq!(check_url(&long), Ok(()));
        assert_eq!(
            check_url(&format!("{long}x")),
            Err("must have at most 8192 bytes")
        );
    }

    #[test]
    fn takes_origins_as_browsers_send_them() {
        for origin in [
            "https://app.example",
            "http://localhost:3000",
            "https://a:80",
            "http://[::1]:8080",
            "chrome-extension://abcdefghijklmnop",
        ] {
            assert_eq!(check_origin(origin), Ok(()), "{origin}");
        }
    }

    #[test]
    fn refuses_what_no_browser_sends_as_origin() {
        for (origin, message) in [
            ("", "must not be empty"),
            ("*", "must be one origin, such as https://app.example"),
            ("null", "must be one origin, such as https://app.example"),
            ("app.example", "must begin with a scheme, such as https://"),
            (
                "Https://a",
                "must begin with a scheme in lower case, such as https://",
            ),
            ("://a", "must begin with a scheme in lower case, such as https://"),
            (
                "https://a/",
                "must end after the host or port, without a path or slash",
            ),
            (
                "https://u@a",
                "must end after the host or port, without a path or slash",
            ),
            (
                "https://App.example",
                "must be in lower case, as browsers send it",
            ),
            (
                "https://a:443",
                "must leave out the scheme's own port, as browsers do",
            ),
            (
                "http://a:80",
                "must leave out the scheme's own port, as browsers do",
            ),
            ("https://a:x", "must have a port from 1 to 65535"),
            ("https://", "must have a host"),
            (
                "https://*.example",
                "must have a host of letters, digits, '.', '-' and '_'",
            ),
        ] {
            assert_eq!(check_origin(origin), Err(message), "{origin}");
        }
    }
}
