//! What agents say: JSON-RPC messages, spelled to the byte.

use std::fmt::Write as _;

/// The stateless revision.
pub const MODERN: &str = "2026-07-28";
/// The newest session-era revision.
pub const LEGACY: &str = "2025-11-25";
/// The one before.
pub const OLDER: &str = "2025-06-18";

/// A message of an agent, before it is spelled in the revision of its connection.
#[derive(Clone, Debug)]
pub struct Message {
    id: Option<String>,
    method: String,
    params: String,
    meta: String,
    capabilities: String,
    version: Option<String>,
    progress: Option<String>,
    raw: Option<Vec<u8>>,
    /// HTTP headers that replace what the body says they should be, or come beside it; an empty value takes
    /// one away. Names are lower case.
    pub headers: Vec<(String, String)>,
}

impl Message {
    /// A request; `params` are raw members without braces.
    pub fn new(method: &str, params: &str) -> Self {
        Self {
            id: Some("1".into()),
            method: method.into(),
            params: params.into(),
            meta: String::new(),
            capabilities: "{}".into(),
            version: None,
            progress: None,
            raw: None,
            headers: Vec::new(),
        }
    }

    /// Bytes as they are.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            raw: Some(bytes.into()),
            ..Self::new("", "")
        }
    }

    /// A `tools/call`; `arguments` is raw JSON.
    pub fn call(tool: &str, arguments: &str) -> Self {
        Self::new(
            "tools/call",
            &format!(r#""name":"{tool}","arguments":{arguments}"#),
        )
    }

    /// A `resources/read`.
    pub fn read(uri: &str) -> Self {
        Self::new("resources/read", &format!(r#""uri":"{uri}""#))
    }

    /// Any request without parameters.
    pub fn bare(method: &str) -> Self {
        Self::new(method, "")
    }

    /// A page of a list.
    pub fn page(method: &str, cursor: &str) -> Self {
        Self::new(method, &format!(r#""cursor":"{cursor}""#))
    }

    /// The same as a notification.
    #[must_use]
    pub fn notification(self) -> Self {
        Self { id: None, ..self }
    }

    /// With another id, as a raw token.
    #[must_use]
    pub fn id(self, raw: &str) -> Self {
        Self {
            id: Some(raw.into()),
            ..self
        }
    }

    /// With raw members in `_meta`.
    #[must_use]
    pub fn meta(mut self, members: &str) -> Self {
        push(&mut self.meta, members);
        self
    }

    /// With this progress token and no other, as a raw token.
    #[must_use]
    pub fn progress(self, raw: &str) -> Self {
        Self {
            progress: Some(raw.into()),
            ..self
        }
    }

    /// With further raw members in `params`.
    #[must_use]
    pub fn with(mut self, members: &str) -> Self {
        push(&mut self.params, members);
        self
    }

    /// With these client capabilities (raw object); they count in the stateless revision only.
    #[must_use]
    pub fn capabilities(self, raw: &str) -> Self {
        Self {
            capabilities: raw.into(),
            ..self
        }
    }

    /// In this version, whatever the connection speaks.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        Self {
            version: Some(version.into()),
            ..self
        }
    }

    /// With an HTTP header; an empty value takes the header away.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Its id, as a raw token.
    pub fn raw_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.raw.is_none())
    }

    /// Its bytes on a connection of this revision.
    pub fn bytes(&self, revision: &str) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let mut meta = self.meta.clone();
        if let Some(token) = &self.progress {
            push(&mut meta, &format!(r#""progressToken":{token}"#));
        }
        if revision == MODERN {
            let version = self.version.as_deref().unwrap_or(MODERN);
            let capabilities = &self.capabilities;
            push(
                &mut meta,
                &format!(
                    r#""io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{capabilities}"#
                ),
            );
        }
        let mut params = self.params.clone();
        if !meta.is_empty() {
            push(&mut params, &format!(r#""_meta":{{{meta}}}"#));
        }
        let mut text = String::from(r#"{"jsonrpc":"2.0""#);
        if let Some(id) = &self.id {
            let _ = write!(text, r#","id":{id}"#);
        }
        let _ = write!(text, r#","method":"{}","params":{{{params}}}}}"#, self.method);
        text.into_bytes()
    }

    /// The headers that go with it over HTTP: those that mirror the body, changed by [`Message::header`].
    pub fn http_headers(&self, revision: &str) -> Vec<(String, String)> {
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            (
                "accept".to_owned(),
                "application/json, text/event-stream".to_owned(),
            ),
            (
                "mcp-protocol-version".to_owned(),
                self.version.clone().unwrap_or_else(|| revision.to_owned()),
            ),
        ];
        if revision == MODERN {
            let body = self.bytes(revision);
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            if let Some(method) = body["method"].as_str() {
                headers.push(("mcp-method".into(), method.into()));
            }
            let name = match body["method"].as_str() {
                Some("tools/call" | "prompts/get") => &body["params"]["name"],
                Some("resources/read") => &body["params"]["uri"],
                Some(method) if method.starts_with("tasks/") => &body["params"]["taskId"],
                _ => &serde_json::Value::Null,
            };
            if let Some(name) = name.as_str() {
                headers.push(("mcp-name".into(), name.into()));
            }
        } else if self.method == "initialize" {
            headers.retain(|(name, _)| name != "mcp-protocol-version");
        }
        for (name, value) in &self.headers {
            headers.retain(|(known, _)| known != name);
            if !value.is_empty() {
                headers.push((name.clone(), value.clone()));
            }
        }
        headers
    }
}

fn push(out: &mut String, members: &str) {
    if !out.is_empty() && !members.is_empty() {
        out.push(',');
    }
    out.push_str(members);
}
