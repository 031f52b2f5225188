use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::*;

const TOKEN: &str = "token-of-ann-0123456789";
const PAGE: &str = "https://app.example";

fn config() -> Config {
    Config::parse(r#"{"limits":{"maxMessageBytes":4096},"origins":["https://app.example"]}"#).unwrap()
}

fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// A sound request's headers, with others in their place or beside them; an empty value takes one out.
fn sound(others: &[(&str, &str)]) -> Vec<(String, String)> {
    let authorization = format!("Bearer {TOKEN}");
    let mut all = headers(&[
        ("host", "mcp.example"),
        ("authorization", &authorization),
        ("content-type", "application/json; charset=utf-8"),
    ]);
    for (name, value) in others {
        all.retain(|(known, _)| known != name);
        all.push((name.to_string(), value.to_string()));
    }
    all.retain(|(_, value)| !value.is_empty());
    all
}

fn admit(
    method: &str,
    path: &str,
    headers: &[(String, String)],
    identity: Identity,
) -> Result<Admitted, Response> {
    let head = Head {
        method,
        path,
        headers,
    };
    gate().admit(&config(), &head, identity, 0xabc)
}

fn gate() -> Gate {
    let tokens = Tokens::parse(&format!(r#"{{"{TOKEN}":"ann"}}"#), "tokens").unwrap();
    Gate::new("/mcp", tokens)
}

/// Where sessions are kept: a request without a message, and so without a type of one.
fn in_session(method: &str, others: &[(&str, &str)]) -> Result<Admitted, Response> {
    let headers = sound(&[&[("content-type", "")], others].concat());
    let head = Head {
        method,
        path: "/mcp",
        headers: &headers,
    };
    gate()
        .with_sessions(true)
        .admit(&config(), &head, Identity::Bearer, 0xabc)
}

fn post(others: &[(&str, &str)]) -> Result<Admitted, Response> {
    admit("POST", "/mcp", &sound(others), Identity::Bearer)
}

fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| *known == name)?;
    Some(&found.1)
}

#[test]
fn a_sound_request_passes_with_its_caller_and_form() {
    let admitted = post(&[("content-length", "4096"), ("accept", "application/json")]).unwrap();
    assert_eq!(admitted.caller, Caller::Principal("ann".into()));
    assert_eq!((admitted.verb, admitted.accept), (Verb::Post, Accept::Json));
    assert_eq!(admitted.headers, [("cache-control", "no-store".into())]);
}

#[test]
fn the_first_thing_that_does_not_hold_answers() {
    // Each line has one fault more, and its fault comes before those of the line above.
    let mut faults = Vec::new();
    for (method, path, fault, status) in [
        ("POST", "/mcp", Some(("content-length", "4097")), 413),
        ("POST", "/mcp", Some(("accept", "text/html")), 406),
        ("POST", "/mcp", Some(("content-type", "text/plain")), 415),
        ("POST", "/mcp", Some(("authorization", "Bearer no")), 401),
        ("POST", "/mcp", Some(("origin", "https://evil.example")), 403),
        ("GET", "/mcp", None, 405),
        ("GET", "/mcp/", None, 404),
    ] {
        faults.extend(fault);
        let response = admit(method, path, &sound(&faults), Identity::Bearer).unwrap_err();
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(value(&response.headers, "content-type"), Some("application/json"));
        assert_eq!(value(&response.headers, "cache-control"), Some("no-store"));
        assert!(response.body.starts_with(r#"{"jsonrpc":"2.0","error":{"code":"#));
        assert!(response.body.contains(r#""correlationId":"0000000000000abc""#));
        let challenge = value(&response.headers, "www-authenticate");
        assert_eq!(challenge, (status == 401).then_some("Bearer"));
        assert_eq!(
            value(&response.headers, "allow"),
            (status == 405).then_some("POST")
        );
    }
}

#[test]
fn where_sessions_are_kept_their_requests_pass_without_a_message() {
    let get = in_session("GET", &[("accept", "text/event-stream")]).unwrap();
    assert_eq!(get.caller, Caller::Principal("ann".into()));
    assert_eq!((get.verb, get.accept), (Verb::Get, Accept::Events));
    for accept in ["", "*/*", "application/json, text/event-stream"] {
        let get = in_session("GET", &[("accept", accept)]).unwrap();
        assert_eq!((get.verb, get.accept), (Verb::Get, Accept::Both));
    }
    for accept in ["", "application/json", "text/html"] {
        let delete = in_session("DELETE", &[("accept", accept)]).unwrap();
        assert_eq!(delete.verb, Verb::Delete);
    }
    let post = in_session("POST", &[("content-type", "application/json")]).unwrap();
    assert_eq!(post.verb, Verb::Post);
}

#[test]
fn they_pass_by_the_rules_of_messages() {
    let evil = ("origin", "https://evil.example");
    let stranger = ("authorization", "Bearer no");
    for (method, fault, status) in [
        ("GET", ("accept", "application/json"), 406),
        ("GET", ("accept", "text/html"), 406),
        ("GET", stranger, 401),
        ("DELETE", stranger, 401),
        ("GET", evil, 403),
        ("DELETE", evil, 403),
        ("POST", ("content-type", ""), 415),
        ("PUT", ("accept", ""), 405),
        ("OPTIONS", ("accept", ""), 405),
    ] {
        let response = in_session(method, &[fault]).unwrap_err();
        assert_eq!(response.status, status, "{method} {fault:?}");
        let allowed = (status == 405).then_some("GET, POST, DELETE");
        assert_eq!(value(&response.headers, "allow"), allowed);
    }
    let asks = [("origin", PAGE), ("access-control-request-method", "DELETE")];
    assert_eq!(in_session("OPTIONS", &asks).unwrap_err().status, 204);
}

#[test]
fn health_is_told_to_everybody_and_says_little() {
    for method in ["GET", "HEAD"] {
        let response = admit(method, "/healthz", &[], Identity::Unknown).unwrap_err();
        assert_eq!(response.status, 200);
        assert!(
            response.body.starts_with(r#"{"status":"ok","version":""#),
            "{}",
            response.body
        );
    }
    let response = admit("POST", "/healthz", &[], Identity::Unknown).unwrap_err();
    assert_eq!(
        (response.status, value(&response.headers, "allow")),
        (405, Some("GET, HEAD"))
    );
}

#[test]
fn without_a_credential_the_configuration_decides() {
    let headers = sound(&[("authorization", "")]);
    let head = Head {
        method: "POST",
        path: "/mcp",
        headers: &headers,
    };
    let gate = Gate::new("/mcp", Tokens::default());
    let admit = |config: &str, identity| {
        let admitted = gate.admit(&Config::parse(config).unwrap(), &head, identity, 0);
        admitted
            .map(|admitted| admitted.caller)
            .map_err(|response| response.status)
    };
    for identity in [Identity::Bearer, Identity::Told(Caller::Anonymous)] {
        let open = r#"{"anonymous":"public-only"}"#;
        assert_eq!(admit(open, identity.clone()), Ok(Caller::Anonymous));
        assert_eq!(admit("{}", identity), Err(401));
    }
}

#[test]
fn a_host_may_say_who_calls() {
    let told = |caller: Caller| admit("POST", "/mcp", &sound(&[]), Identity::Told(caller));
    let ben = Caller::Principal("ben".into());
    assert_eq!(told(ben.clone()).unwrap().caller, ben);
    let unknown = admit("POST", "/mcp", &sound(&[]), Identity::Unknown).unwrap_err();
    assert_eq!(
        unknown.status, 401,
        "a token counts only where tokens are asked for"
    );
    let evil = sound(&[("origin", "https://evil.example")]);
    assert_eq!(
        admit("POST", "/mcp", &evil, Identity::Unknown)
            .unwrap_err()
            .status,
        403
    );
}

#[test]
fn a_page_that_may_call_can_read_every_answer() {
    let origin = ("origin", PAGE);
    let admitted = post(&[origin]).unwrap();
    let refused = post(&[origin, ("authorization", "")]).unwrap_err();
    let lost = admit("GET", "/elsewhere", &sound(&[origin]), Identity::Bearer).unwrap_err();
    for headers in [&admitted.headers, &refused.headers, &lost.headers] {
        assert_eq!(value(headers, "access-control-allow-origin"), Some(PAGE));
        assert_eq!(value(headers, "vary"), Some("origin"));
        let exposed = value(headers, "access-control-expose-headers").unwrap_or_default();
        for name in ["cache-status", "mcp-session-id"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
}

#[test]
fn a_page_that_may_not_call_is_told_nothing() {
    let evil = ("origin", "https://evil.example");
    let asks = ("access-control-request-method", "POST");
    for (method, others, status) in [
        ("POST", &[evil][..], 403),
        ("OPTIONS", &[evil, asks], 403),
        ("GET", &[evil], 405),
    ] {
        let response = admit(method, "/mcp", &sound(others), Identity::Bearer).unwrap_err();
        assert_eq!(response.status, status);
        let told = |(name, _): &(&str, Cow<str>)| name.starts_with("access-control");
        assert!(!response.headers.iter().any(told), "{response:?}");
    }
}

#[test]
fn a_preflight_is_answered_without_a_credential() {
    let requested = "authorization,mcp-param-region,x-other,mcp-param-b\u{e9}, mcp-param-Max";
    let preflight = |others: &[(&str, &str)]| {
        let mut list = [("origin", PAGE), ("access-control-request-method", "POST")].to_vec();
        list.extend(others);
        admit("OPTIONS", "/mcp", &headers(&list), Identity::Unknown).unwrap_err()
    };
    let response = preflight(&[("access-control-request-headers", requested)]);
    assert_eq!((response.status, &*response.body), (204, ""));
    assert_eq!(
        value(&response.headers, "access-control-allow-origin"),
        Some(PAGE)
    );
    assert_eq!(value(&response.headers, "access-control-max-age"), Some("7200"));
    let methods = value(&response.headers, "access-control-allow-methods");
    assert!(methods.is_some_and(|methods| methods.contains("POST")));
    let allowed: Vec<_> = value(&response.headers, "access-control-allow-headers")
        .unwrap_or_default()
        .split(", ")
        .collect();
    for name in [
        "content-type",
        "authorization",
        "mcp-method",
        "mcp-param-region",
        "mcp-param-Max",
    ] {
        assert!(allowed.contains(&name), "{allowed:?}");
    }
    assert!(
        !allowed
            .iter()
            .any(|name| name.starts_with("x-") || !name.is_ascii())
    );

    let many = (0..100)
        .map(|n| format!("mcp-param-{n}"))
        .collect::<Vec<_>>()
        .join(",");
    let response = preflight(&[("access-control-request-headers", &many)]);
    let allowed = value(&response.headers, "access-control-allow-headers").unwrap_or_default();
    assert_eq!(
        allowed.matches("mcp-param-").count(),
        crate::limits::MAX_HEADER_PARAMS
    );
    let long = format!(
        "mcp-param-{}",
        "x".repeat(crate::limits::MAX_HEADER_NAME_BYTES + 1)
    );
    let response = preflight(&[("access-control-request-headers", &long)]);
    assert!(
        !value(&response.headers, "access-control-allow-headers")
            .unwrap_or_default()
            .contains("mcp-param")
    );
}

#[test]
fn options_that_no_page_asks_is_a_method_like_others() {
    for others in [
        &[("origin", PAGE)][..],
        &[("access-control-request-method", "POST")],
    ] {
        let response = admit("OPTIONS", "/mcp", &sound(others), Identity::Bearer).unwrap_err();
        assert_eq!(response.status, 405);
    }
}

#[test]
fn a_grant_is_ended_by_its_own_caller_where_there_are_grants() {
    let gate = gate().with_grants(true);
    let ask = |method, headers: &[(String, String)]| {
        let head = Head {
            method,
            path: GRANT,
            headers,
        };
        let answer = gate.admit(&config(), &head, Identity::Bearer, 0);
        answer.map_err(|refusal| {
            let allow = refusal.headers.iter().find(|(name, _)| *name == "allow");
            (refusal.status, allow.map(|(_, value)| value.to_string()))
        })
    };
    let admitted = ask("DELETE", &sound(&[("content-type", "")])).unwrap();
    assert_eq!(admitted.verb, Verb::Delete);
    assert_eq!(admitted.caller, Caller::Principal("ann".into()));
    assert_eq!(ask("DELETE", &sound(&[("authorization", "")])), Err((401, None)));
    assert_eq!(
        ask("DELETE", &sound(&[("origin", "https://evil.example")])),
        Err((403, None))
    );
    let open = r#"{"anonymous":"public-only"}"#;
    let head = Head {
        method: "DELETE",
        path: GRANT,
        headers: &sound(&[("authorization", "")]),
    };
    let nobody = gate.admit(&Config::parse(open).unwrap(), &head, Identity::Bearer, 0);
    assert_eq!(nobody.unwrap_err().status, 401, "theirs is everybody's");
    for method in ["GET", "POST", "PUT"] {
        assert_eq!(
            ask(method, &sound(&[])),
            Err((405, Some("DELETE".into()))),
            "{method}"
        );
    }
    let without = admit("DELETE", GRANT, &sound(&[]), Identity::Bearer);
    assert_eq!(without.unwrap_err().status, 404);
    let on_mcp = Head {
        method: "DELETE",
        path: "/mcp",
        headers: &sound(&[]),
    };
    let answer = gate.admit(&config(), &on_mcp, Identity::Bearer, 0);
    assert_eq!(answer.unwrap_err().status, 405, "no sessions");
}
