use super::*;

const ORIGIN: &str = "https://mcp.example";

fn ask(method: &str, path: &str, query: &str, from: Option<&str>) -> Option<Result<Visit, u16>> {
    let headers: Vec<_> = from
        .map(|from| ("origin".into(), from.into()))
        .into_iter()
        .collect();
    let head = Head {
        method,
        path,
        headers: &headers,
    };
    visit(&head, query, ORIGIN).map(|visit| visit.map_err(|page| page.status))
}

#[test]
fn a_visit_is_told_by_path_and_method() {
    let (ticket, state) = ("?ticket=a.b", "?code=x&state=s%20t");
    assert_eq!(
        ask("GET", START, ticket, None),
        Some(Ok(Visit::Look("a.b".into())))
    );
    assert_eq!(
        ask("GET", CALLBACK, state, None),
        Some(Ok(Visit::Return("s t".into())))
    );
    assert_eq!(
        ask("POST", START, ticket, Some(ORIGIN)),
        Some(Ok(Visit::Begin("a.b".into())))
    );
    assert_eq!(ask("GET", "/mcp", ticket, None), None);
    for (method, path, query, status) in [
        ("PUT", START, ticket, 405),
        ("HEAD", START, ticket, 405),
        ("POST", CALLBACK, state, 405),
        ("GET", START, "", 404),
        ("GET", START, "?ticket=a&ticket=b", 404),
        ("GET", CALLBACK, "?code=x", 404),
        ("GET", CALLBACK, "?state=%ff", 404),
    ] {
        assert_eq!(
            ask(method, path, query, None),
            Some(Err(status)),
            "{method} {path}{query}"
        );
    }
    let longest = "x".repeat(MAX_REDIRECT_BYTES - "?state=".len());
    assert!(matches!(
        ask("GET", CALLBACK, &format!("?state={longest}"), None),
        Some(Ok(_))
    ));
    assert_eq!(
        ask("GET", CALLBACK, &format!("?state={longest}x"), None),
        Some(Err(414))
    );
}

#[test]
fn only_our_own_page_begins() {
    for from in [
        None,
        Some("null"),
        Some("https://evil.example"),
        Some("http://mcp.example"),
        Some(""),
    ] {
        assert_eq!(ask("POST", START, "?ticket=a", from), Some(Err(403)), "{from:?}");
    }
}

#[test]
fn a_browser_is_sent_nowhere_in_the_clear() {
    for (url, origin) in [
        ("https://mcp.example/mcp?x", Some("https://mcp.example")),
        ("https://mcp.example:8443", Some("https://mcp.example:8443")),
        ("http://127.0.0.1:8787/mcp", Some("http://127.0.0.1:8787")),
        ("http://[::1]:1/mcp", Some("http://[::1]:1")),
        ("http://localhost/", Some("http://localhost")),
        ("http://mcp.example/mcp", None),
        ("http://localhost.evil.example/", None),
        ("ftp://localhost/", None),
        ("https://u@mcp.example/", None),
        ("https:///mcp", None),
        ("mcp.example", None),
    ] {
        assert_eq!(own_origin(url), origin, "{url}");
    }
}

#[test]
fn values_of_a_query_are_decoded_once() {
    let query = "?a=1&b=x%2By+z%2525&c&d=&e=%4&f=%zz&g=%C3%A9&h=%ff&a=2&i=%+1";
    for (name, value) in [
        ("a", None),
        ("b", Some("x+y z%25")),
        ("c", Some("")),
        ("d", Some("")),
        ("e", None),
        ("f", None),
        ("g", Some("é")),
        ("h", None),
        ("i", None),
        ("j", None),
    ] {
        assert_eq!(query_value(query, name).as_deref(), value, "{name}");
    }
}

#[test]
fn pages_show_names_as_text_and_run_nothing() {
    let page = consent(
        Some("<b>\"ann\"&'"),
        "https://crm.example/mcp?k=v",
        "https://as.example/authorize?state=s",
    );
    assert!(page.body.contains("&lt;b&gt;&quot;ann&quot;&amp;&#39;"));
    assert!(page.body.contains("<strong>https://crm.example</strong>"));
    assert!(page.body.contains("<strong>https://as.example</strong>"));
    for part in ["state=", "k=v", "<script", "<b>"] {
        assert!(!page.body.contains(part), "{part}");
    }
    for page in [
        page,
        done(),
        failed(),
        gone(),
        foreign(),
        begun("https://a/".into(), Some("c=v".into())),
    ] {
        let header = |name| {
            page.headers
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| &**value)
        };
        let policy = header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(header("cache-control"), Some("no-store"));
        assert_eq!(header("referrer-policy"), Some("same-origin"));
        assert_eq!(header("x-frame-options"), Some("DENY"));
        assert_eq!(header("content-type"), Some("text/html; charset=utf-8"));
    }
}

#[test]
fn a_cookie_is_this_hosts_alone() {
    assert_eq!(
        set_cookie(ORIGIN, "1f", Some("v")),
        "__Host-leeward-1f=v; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
    );
    let local = "http://127.0.0.1:8787";
    assert_eq!(
        set_cookie(local, "1f", None),
        "leeward-1f=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
    );
    let name = cookie_name(local, "1f");
    for (header, value) in [
        ("leeward-1f=v", Some("v")),
        ("a=b; leeward-1f=v=w ;c", Some("v=w")),
        ("__Host-leeward-1f=v", None),
        ("xleeward-1f=v", None),
        ("leeward-1f=v; leeward-1f=w", None),
        ("leeward-1f", None),
        ("", None),
    ] {
        assert_eq!(cookie(header, &name), value, "{header}");
    }
}
