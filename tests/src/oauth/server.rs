//! An authority that wants tokens, and who issues them: honest, but for the faults that a test says.

use std::collections::{BTreeMap, BTreeSet};

use leeward::border::HttpRequest;
use serde_json::{Value, json};

use super::SECRET;
use crate::authority::Plan;

/// The authority's URL.
pub const AUTHORITY: &str = "https://crm.example/mcp";
/// Where it publishes who issues tokens for it (RFC 9728).
pub const RESOURCE: &str = "https://crm.example/.well-known/oauth-protected-resource/mcp";
/// Who does.
pub const ISSUER: &str = "https://as.example";
/// Where the issuer publishes its endpoints (RFC 8414).
pub const METADATA: &str = "https://as.example/.well-known/oauth-authorization-server";
/// Where clients register.
pub const REGISTER: &str = "https://as.example/register";
/// Where tokens are had.
pub const TOKEN: &str = "https://as.example/token";
/// Where users are brought back to.
pub const REDIRECT: &str = "http://127.0.0.1:7777/callback";
/// Somebody else.
pub const FOREIGN: &str = "https://evil.example";

/// Whether a request that meets a fault has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It has, and its answer is what fails.
    Had,
    /// It has not.
    None,
}

/// Makes what is answered out of what would be; [`Plan::Silence`] where nothing would.
pub(super) type Turn = Box<dyn Fn(Plan) -> Plan>;

struct Fault {
    url: &'static str,
    left: u32,
    effect: Effect,
    turn: Turn,
}

/// See the module.
pub struct Server {
    /// Method and URL of every request, and its body as text.
    pub log: Vec<(&'static str, String, String)>,
    /// Names of the tools that were executed, in order.
    pub executed: Vec<String>,
    /// Access tokens that are taken.
    pub access: BTreeSet<String>,
    /// Refresh tokens that are.
    pub refresh: BTreeSet<String>,
    /// Codes that are.
    pub codes: BTreeSet<String>,
    /// `expires_in` of tokens; null for none.
    pub expires_in: Value,
    /// The document at [`RESOURCE`].
    pub resource: Value,
    /// The document at [`METADATA`].
    pub metadata: Value,
    faults: Vec<Fault>,
    issued: u32,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            log: Vec::new(),
            executed: Vec::new(),
            access: BTreeSet::new(),
            refresh: BTreeSet::new(),
            codes: BTreeSet::new(),
            expires_in: json!(3600),
            resource: json!({"resource": AUTHORITY, "authorization_servers": [ISSUER], "scopes_supported": ["read"]}),
            metadata: json!({
                "issuer": ISSUER,
                "authorization_endpoint": "https://as.example/authorize",
                "token_endpoint": TOKEN,
                "registration_endpoint": REGISTER,
                "revocation_endpoint": "https://as.example/revoke",
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true,
                "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
            }),
            faults: Vec::new(),
            issued: 0,
        }
    }
}

impl Server {
    /// How often a tool was executed.
    pub fn times(&self, tool: &str) -> usize {
        self.executed.iter().filter(|done| *done == tool).count()
    }

    /// This many requests to that URL are answered by a turn.
    pub fn fault(
        &mut self,
        url: &'static str,
        times: u32,
        effect: Effect,
        turn: impl Fn(Plan) -> Plan + 'static,
    ) {
        let turn = Box::new(turn);
        self.faults.push(Fault {
            url,
            left: times,
            effect,
            turn,
        });
    }

    /// No fault any more.
    pub fn mend(&mut self) {
        self.faults.clear();
    }

    /// How many requests a URL had.
    pub fn count(&self, url: &str) -> usize {
        self.log.iter().filter(|(_, asked, _)| asked == url).count()
    }

    /// How many calls of a tool came, with whatever token.
    pub fn calls(&self, tool: &str) -> usize {
        let name = format!("\"name\":\"{tool}\"");
        let calls = self
            .log
            .iter()
            .filter(|(_, url, body)| url == AUTHORITY && body.contains(&name));
        calls.count()
    }

    /// The `grant_type`s that tokens were asked for by, in order.
    pub fn grants(&self) -> Vec<String> {
        let bodies = self.log.iter().filter(|(_, url, _)| url == TOKEN);
        bodies
            .map(|(_, _, body)| form(body).remove("grant_type").unwrap_or_default())
            .collect()
    }

    /// Takes no token that it has issued so far.
    pub fn rotate_keys(&mut self) {
        self.access.clear();
    }

    /// A user who consents: the query that the browser brings back.
    pub fn authorize(&mut self, url: &str) -> String {
        let query = form(url.split_once('?').map_or("", |(_, query)| query));
        let code = self.issue("code");
        self.codes.insert(code.clone());
        let state = query.get("state").cloned().unwrap_or_default();
        format!("code={code}&state={state}&iss=https%3A%2F%2Fas.example")
    }

    /// Takes a request.
    pub fn receive(&mut self, request: &HttpRequest) -> Plan {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        self.log.push((request.method, request.url.clone(), body.clone()));
        let at = self
            .faults
            .iter()
            .position(|fault| fault.url == request.url && fault.left > 0);
        let Some(at) = at else {
            return self.answer(request, &body);
        };
        self.faults[at].left -= 1;
        let plan = match self.faults[at].effect {
            Effect::Had => self.answer(request, &body),
            Effect::None => Plan::Silence,
        };
        (self.faults[at].turn)(plan)
    }

    fn answer(&mut self, request: &HttpRequest, body: &str) -> Plan {
        match &*request.url {
            AUTHORITY => self.serve(request, body),
            RESOURCE => json_of(200, &self.resource),
            METADATA => json_of(200, &self.metadata),
            REGISTER => {
                let client = json!({
                    "client_id": "client-1",
                    "redirect_uris": [REDIRECT],
                    "token_endpoint_auth_method": "none",
                });
                json_of(201, &client)
            }
            TOKEN => self.token(&form(body)),
            "https://as.example/revoke" => Plan::empty(200),
            _ => Plan::empty(404),
        }
    }

    fn token(&mut self, form: &BTreeMap<String, String>) -> Plan {
        let given = |name: &str| form.get(name).cloned().unwrap_or_default();
        let good = match &*given("grant_type") {
            "authorization_code" => self.codes.remove(&given("code")),
            // It is good for one time: the next one comes with the answer.
            "refresh_token" => self.refresh.remove(&given("refresh_token")),
            "client_credentials" => true,
            _ => false,
        };
        if !good {
            return json_of(400, &json!({"error": "invalid_grant"}));
        }
        let (access, refresh) = (self.issue("access"), self.issue("refresh"));
        self.access.insert(access.clone());
        self.refresh.insert(refresh.clone());
        let mut tokens = json!({"access_token": access, "token_type": "Bearer", "refresh_token": refresh, "scope": "read"});
        if !self.expires_in.is_null() {
            tokens["expires_in"] = self.expires_in.clone();
        }
        json_of(200, &tokens)
    }

    fn serve(&mut self, request: &HttpRequest, body: &str) -> Plan {
        let header = request.headers.iter().find(|(name, _)| name == "authorization");
        let token = header
            .and_then(|(_, value)| value.split_once(' '))
            .map(|(_, token)| token);
        if !token.is_some_and(|token| self.access.contains(token)) {
            let challenge = format!(r#"Bearer resource_metadata="{RESOURCE}", scope="read""#);
            return Plan::empty(401).header("www-authenticate", &challenge);
        }
        let message: Value = serde_json::from_str(body).unwrap_or_default();
        let id = &message["id"];
        match message["method"].as_str().unwrap_or_default() {
            "server/discover" => Plan::result(
                id,
                r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}"#,
            ),
            "tools/call" => {
                let tool = message["params"]["name"].as_str().unwrap_or_default().to_owned();
                self.executed.push(tool);
                let text = format!(
                    r#"{{"resultType":"complete","content":[{{"type":"text","text":"{}"}}]}}"#,
                    self.executed.len()
                );
                Plan::result(id, &text)
            }
            _ => Plan::error(id, 404, -32601, "unknown", &Value::Null),
        }
    }

    fn issue(&mut self, kind: &str) -> String {
        self.issued += 1;
        format!("{SECRET}{kind}-{}", self.issued)
    }
}

fn json_of(status: u16, value: &Value) -> Plan {
    Plan::body(status, "application/json", value.to_string())
}

/// The members of a form or query.
pub fn form(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}
