//! What the authority answers where no turn says otherwise: three tools, two resources, a prompt.

use serde_json::{Value, json};

use super::plan::Plan;
use super::{Authority, Seen};
use leeward::mcp::task::TASKS;

/// Tools named `get_*` read, those named `put_*` write; each answer counts the calls, so that no two are
/// alike.
pub(super) const TOOLS: [&str; 4] = ["get_ticket", "get_user", "put_ticket", "do_it"];
/// Resources.
pub(super) const RESOURCES: [&str; 2] = ["crm://tickets/1", "crm://tickets/2"];

pub(super) fn tools() -> Vec<Value> {
    TOOLS
        .iter()
        .map(|name| json!({"name": name, "inputSchema": {"type": "object"}}))
        .collect()
}

pub(super) fn resources() -> Vec<Value> {
    RESOURCES
        .iter()
        .map(|uri| json!({"uri": uri, "name": uri}))
        .collect()
}

impl Authority {
    /// The answer to a request that reached the server's methods. `modern` adds what 2026-07-28 demands.
    pub(super) fn answer(&self, seen: &Seen, modern: bool) -> Plan {
        let name = seen.name.as_deref().unwrap_or_default();
        let nth = self.nth(seen);
        let missing = |message: String, data: Value| Plan::error(&seen.id, 200, -32602, &message, &data);
        let (members, hinted) = match &*seen.rpc {
            "server/discover" if modern => (
                json!({
                    "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true},
                        "prompts": {}, "completions": {},
                        "extensions": {TASKS: {}}},
                    "instructions": "ask",
                    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "scripted", "version": "1.0.0"}},
                }),
                true,
            ),
            "tools/list" => match self.page(seen, "tools", &self.tools) {
                Ok(page) => (page, true),
                Err(plan) => return plan,
            },
            "resources/list" => match self.page(seen, "resources", &self.resources) {
                Ok(page) => (page, true),
                Err(plan) => return plan,
            },
            "resources/templates/list" => {
                let template = json!({"uriTemplate": "crm://tickets/{id}", "name": "ticket"});
                (json!({"resourceTemplates": [template]}), true)
            }
            "prompts/list" => (json!({"prompts": [{"name": "review"}]}), true),
            "resources/read" if self.resources.iter().any(|known| known["uri"] == name) => (
                json!({"contents": [{"uri": name, "text": format!("{name} #{nth}")}]}),
                true,
            ),
            "resources/read" => return missing(format!("no resource {name}"), json!({"uri": name})),
            "tools/call" if self.tools.iter().any(|known| known["name"] == name) => {
                let text = format!("{name} #{nth} {}", seen.params["arguments"]);
                (json!({"content": [{"type": "text", "text": text}]}), false)
            }
            "tools/call" => return missing(format!("unknown tool: {name}"), Value::Null),
            "prompts/get" => {
                let content = json!({"type": "text", "text": format!("{name} #{nth}")});
                (json!({"messages": [{"role": "user", "content": content}]}), false)
            }
            "completion/complete" => (json!({"completion": {"values": [format!("#{nth}")]}}), false),
            _ => return Plan::error(&seen.id, 404, -32601, "method not found", &Value::Null),
        };
        let mut result = members;
        if modern {
            result["resultType"] = json!("complete");
            if hinted {
                let (ttl_ms, scope) = self.hint;
                result["ttlMs"] = json!(ttl_ms);
                result["cacheScope"] = json!(scope);
            }
        }
        Plan::result(&seen.id, &result.to_string())
    }

    /// A page of a list, two items each if pages are on.
    fn page(&self, seen: &Seen, member: &str, all: &[Value]) -> Result<Value, Plan> {
        let size = if self.page_size == 0 {
            all.len().max(1)
        } else {
            self.page_size
        };
        let from = match seen.params["cursor"].as_str() {
            None => 0,
            Some(cursor) => match cursor.parse::<usize>() {
                Ok(from) if from < all.len() => from,
                _ => return Err(Plan::error(&seen.id, 200, -32602, "unknown cursor", &Value::Null)),
            },
        };
        let mut page = json!({});
        page[member] = all.iter().skip(from).take(size).cloned().collect();
        if from + size < all.len() {
            page["nextCursor"] = json!((from + size).to_string());
        }
        Ok(page)
    }
}
