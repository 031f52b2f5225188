//! What the specification demands of every request that a client sends (2026-07-28, Transports, Streamable
//! HTTP; 2025-11-25, the same page).

use serde_json::Value;

use super::Seen;

/// Says what is wrong with a request.
pub(super) fn check(seen: &Seen, sessions: bool) -> Result<(), String> {
    if seen.http == "DELETE" {
        return Ok(());
    }
    if seen.http == "GET" && sessions {
        let accept = seen.header("accept");
        let sound = accept == Some("text/event-stream") && seen.header("content-type").is_none();
        return sound
            .then_some(())
            .ok_or_else(|| format!("accept {accept:?} on GET"));
    }
    if seen.http != "POST" {
        return Err(format!("HTTP method {}", seen.http));
    }
    if seen.header("content-type") != Some("application/json") {
        return Err(format!("content-type {:?}", seen.header("content-type")));
    }
    let accept = seen.header("accept").unwrap_or_default();
    if !accept.contains("application/json") || !accept.contains("text/event-stream") {
        return Err(format!("accept {accept}"));
    }
    let message: Value = serde_json::from_slice(&seen.body).map_err(|error| format!("no JSON ({error})"))?;
    let responds = sessions && (message["result"].is_object() || message["error"].is_object());
    if message["jsonrpc"] != "2.0" || seen.rpc.is_empty() != responds {
        return Err("no JSON-RPC".into());
    }
    if message
        .get("id")
        .is_some_and(|id| !id.is_string() && !id.is_u64())
    {
        return Err("a bad id".into());
    }
    let version = seen.params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    match version {
        Some(version) => modern(seen, version),
        // To find out the era, also of an authority that knows no sessions.
        None if sessions || seen.rpc == "initialize" => {
            let initialize = seen.rpc == "initialize";
            let header = seen.header("mcp-protocol-version");
            if initialize == header.is_some() {
                return Err(format!("mcp-protocol-version {header:?} on {}", seen.rpc));
            }
            Ok(())
        }
        None => Err("no protocolVersion in _meta".into()),
    }
}

fn modern(seen: &Seen, version: &str) -> Result<(), String> {
    let meta = &seen.params["_meta"];
    if !meta["io.modelcontextprotocol/clientCapabilities"].is_object() {
        return Err("no clientCapabilities in _meta".into());
    }
    if seen.header("mcp-session-id").is_some() {
        return Err("a session in a stateless request".into());
    }
    let expect = |name: &str, value: Option<&str>| {
        let given = seen.header(name).map(decoded);
        if given.as_deref() == value {
            Ok(())
        } else {
            Err(format!("{name} is {given:?}, not {value:?}"))
        }
    };
    expect("mcp-protocol-version", Some(version))?;
    expect("mcp-method", Some(&seen.rpc))?;
    let named = matches!(&*seen.rpc, "tools/call" | "prompts/get" | "resources/read");
    let named = named || seen.rpc.starts_with("tasks/");
    expect("mcp-name", seen.name.as_deref().filter(|_| named))
}

/// A header's value, out of its base64 sentinel if it is in one.
fn decoded(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    else {
        return value.to_owned();
    };
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in inner.bytes().filter(|byte| *byte != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap_or_default());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
