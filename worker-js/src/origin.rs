//! Whether a web page may call (2026-07-28, Transports, Streamable HTTP, Security Warning).
//!
//! Only browsers send `Origin`, and pages cannot choose it. What has none is no page.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::runtime::Url;

/// Whether a request with these headers may be served; `listed` are the configuration's `origins`.
///
/// The page's own host name may differ from ours only where the operator listed it. Ports are not compared: a
/// relay in front of us has another one. Over plain http a name proves nothing, for whoever owns it can point it
/// at this machine (DNS rebinding): there only loopback names are ours. Over https the certificate proves it.
pub(crate) fn is_allowed(origin: Option<&str>, host: Option<&str>, listed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if listed.iter().any(|known| known.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let ours = host.and_then(|host| Url::new(&format!("http://{host}")).ok());
    let (Ok(page), Some(ours)) = (Url::new(origin), ours) else {
        return false;
    };
    let (page_host, our_host) = (page.hostname(), ours.hostname());
    match (is_loopback(&page_host), is_loopback(&our_host)) {
        (true, true) => true,
        (false, false) => page.protocol() == "https:" && page_host == our_host,
        _ => false,
    }
}

/// Whether a host name, as a URL writes it, means the machine itself (RFC 6761 §6.3 for the names).
fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        || name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .and_then(|name| name.parse().ok())
            .is_some_and(|address: Ipv6Addr| address.is_loopback())
}
