//! What an authority and an authorization server say on the way to a grant, what the browser brings back, and what the
//! vault holds: whatever it is, every call is answered, tokens go to the authority alone, nothing secret is told, no
//! write is done twice, and the user is not asked for ever.

use leeward::border::Callback;
use leeward::record::{Fields, push, seal};
use leeward_tests::authority::Plan;
use leeward_tests::oauth::{AUTHORITY, Effect, METADATA, REGISTER, RESOURCE, SECRET, TOKEN, World};
use serde_json::json;

use crate::Target;
use crate::input::Bytes;

/// See the module. The bytes: how (see [`run`]), the number of a field of a record, then texts that end in 0: that field,
/// a challenge, resource metadata, server metadata, a registration, a token response, and the redirect's query, in which
/// `@` as a parameter stands for the honest ones. What is empty is honest.
pub const TARGET: Target = Target {
    name: "oauth",
    run,
    seeds,
    max_bytes: 2048,
};

/// Most times that the user may be asked in one run: by each call once, and once more for each that comes later.
const MOST_LOGINS: usize = 10;

fn seeds() -> Vec<Vec<u8>> {
    let challenge =
        format!(r#"Bearer resource_metadata="{RESOURCE}", scope="read write", DPoP algs="ES256""#);
    let resource = json!({"resource": AUTHORITY, "authorization_servers": ["https://as.example"], "scopes_supported": ["a", "b"]});
    let server = json!({
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": TOKEN,
        "registration_endpoint": REGISTER,
        "revocation_endpoint": "https://as.example/revoke",
        "code_challenge_methods_supported": ["plain", "S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        "client_id_metadata_document_supported": true,
        "scopes_supported": ["offline_access"],
    });
    let client = json!({"client_id": "c", "client_secret": "s", "client_secret_expires_at": 1, "token_endpoint_auth_method": "client_secret_basic"});
    let tokens = json!({"access_token": "t", "token_type": "bearer", "expires_in": 60, "refresh_token": "r", "scope": "a b"});
    let refusal =
        json!({"error": "invalid_grant", "error_description": "no", "error_uri": "https://as.example/"});
    let seed = |how: u8, field: u8, texts: [&str; 7]| {
        let texts = texts.map(|text| [text.as_bytes(), &[0]].concat());
        [&[how, field], &*texts.concat()].concat()
    };
    let [resource, server, client, tokens, refusal] =
        [resource, server, client, tokens, refusal].map(|json| json.to_string());
    vec![
        seed(0, 0, [""; 7]),
        seed(0, 0, ["", &challenge, &resource, &server, &client, &tokens, "?@"]),
        seed(
            1,
            0,
            [
                "",
                "Bearer error=insufficient_scope, scope=\"x\"",
                "",
                "",
                "",
                "",
                "",
            ],
        ),
        seed(2, 0, ["", "", "", "", "", &refusal, ""]),
        seed(
            0,
            0,
            [
                "",
                "",
                "",
                "",
                "",
                "",
                "error=access_denied&error_description=no&@",
            ],
        ),
        seed(
            0,
            0,
            [
                "",
                "",
                "",
                "",
                "",
                "",
                "code=a+b%20c&state=%41&iss=https%3A%2F%2Fas.example",
            ],
        ),
        seed(4, 5, ["https://as.example/", "", "", "", "", "", ""]),
        seed(4, 12, ["18446744073709551615", "", "", "", "", "", ""]),
        seed(
            8,
            0,
            [
                "",
                "Basic realm=\"a, b\", Bearer realm=\"x\\\"y\"",
                "{\"resource\":1}",
                "[]",
                "null",
                "{}",
                "&=&",
            ],
        ),
    ]
}

/// Bits of the first byte: 1 the authority says 403, not 401; 2 tokens are refused with 400; 4 the field of the record is
/// changed; 8 documents come with 404.
fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (how, field) = (bytes.byte(), bytes.byte());
    let texts: [&[u8]; 7] = std::array::from_fn(|_| bytes.until(0));
    // What is secret here is the honest server's.
    if texts
        .iter()
        .any(|text| text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()))
    {
        return;
    }
    let [value, challenge, resource, metadata, client, tokens, query] = texts;
    let mut world = World::new(json!({"scopes": ["x"]}));
    world.unbound = true;
    let found = if how & 8 == 0 { 200 } else { 404 };
    let issued = if how & 2 == 0 { 200 } else { 400 };
    for (url, status, text) in [
        (RESOURCE, found, resource),
        (METADATA, found, metadata),
        (REGISTER, 201, client),
        (TOKEN, issued, tokens),
    ] {
        let text = text.to_vec();
        if !text.is_empty() {
            let plan = move |_| Plan::body(status, "application/json", text.clone());
            world.server.fault(url, u32::MAX, Effect::Had, plan);
        }
    }
    if !query.is_empty() {
        let query = String::from_utf8_lossy(query).into_owned();
        // Not within another: a server that says a code as its `error` has it logged.
        world.user = Box::new(move |_, honest| {
            let (mark, query) = query.strip_prefix('?').map_or(("", &*query), |rest| ("?", rest));
            let said = |part| if part == "@" { &*honest } else { part };
            let parts: Vec<_> = query.split('&').map(said).collect();
            Ok(Callback::Query([mark, &parts.join("&")].concat()))
        });
    }
    let refuse = |world: &mut World| {
        let status = if how & 1 == 0 { 401 } else { 403 };
        let challenge = String::from_utf8_lossy(challenge).into_owned();
        if !challenge.is_empty() {
            let plan = move |_| Plan::empty(status).header("www-authenticate", &challenge);
            world.server.fault(AUTHORITY, 1, Effect::None, plan);
        }
    };
    refuse(&mut world);
    world.call("get_one");
    refuse(&mut world);
    world.call("put_one");
    world.server.rotate_keys();
    world.advance(61_000);
    world.call("put_two");
    if how & 4 != 0 {
        let value = String::from_utf8_lossy(value);
        for record in world.vault.values_mut() {
            *record = forged(record, field, &value);
        }
    }
    world.restart();
    world.call("put_three");
    for tool in ["put_one", "put_two", "put_three"] {
        let done = world.server.executed.iter().filter(|done| *done == tool).count();
        assert!(done <= 1, "{tool} is done {done} times");
    }
    assert!(world.logins <= MOST_LOGINS, "{} logins", world.logins);
}

/// The record with another text for one of its fields, sound in all else; one of another format as it is.
fn forged(record: &[u8], field: u8, text: &str) -> Vec<u8> {
    let magic = record.first_chunk::<5>();
    let Some((magic, mut fields)) = magic.and_then(|magic| Some((magic, Fields::open(magic, record)?)))
    else {
        return record.to_vec();
    };
    let mut body = Vec::new();
    let mut at = 0;
    while let Some(before) = fields.next() {
        push(&mut body, if at == field { text } else { before });
        at += 1;
    }
    seal(magic, &body)
}
