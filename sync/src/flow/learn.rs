//! The header annotations of tools, asked for again after the authority found a header missing or wrong.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::dispatch::Body;
use leeward::json::{Members, elements, push_string};
use leeward::limits::{MAX_PAGES, MAX_TOOLS};
use leeward::mcp::headers::{HeaderParam, annotations};
use leeward::mcp::names;

use super::http::{Rules, post};
use super::{Trip, era, message};

const LIST: &str = "tools/list";

/// Tools and their annotations.
pub(super) type Learned = Vec<(String, Vec<HeaderParam>)>;

/// Reads `tools/list`, all pages up to [`MAX_PAGES`]; tools with invalid annotations are left out. `None` if it
/// cannot be had whole.
pub(super) async fn learn(trip: &mut Trip<'_>) -> Option<Learned> {
    let mut learned = Vec::new();
    let mut params = String::new();
    let info = message::client_info(names::META_CLIENT_INFO);
    let meta = message::modern_meta(&trip.forward.capabilities, &info, None);
    for _ in 0..MAX_PAGES {
        let rules = Rules {
            max_bytes: trip.upstream.max_bytes,
            relay: false,
            sent: None,
            open: None,
            inputs: None,
        };
        let url = trip.upstream.url.as_deref().unwrap_or_default();
        let build = |id| {
            post(
                url,
                era::headers(LIST, None, Vec::new()),
                message::request(id, LIST, &params, &meta),
            )
        };
        let received = trip.read(rules, &build).await.ok()?;
        let Body::Result(result) = received.response.body else {
            return None;
        };
        let members = Members::parse(&result)?;
        for tool in elements(members.raw("tools")?)? {
            let Some(tool) = Members::parse(tool) else {
                continue;
            };
            let (Some(name), Some(schema)) = (tool.string("name"), tool.raw("inputSchema")) else {
                continue;
            };
            if let Ok(params) = annotations(schema)
                && learned.len() < MAX_TOOLS
            {
                learned.push((name.into_owned(), params));
            }
        }
        let Some(cursor) = members.string("nextCursor") else {
            return Some(learned);
        };
        params = String::from(r#""cursor":"#);
        push_string(&mut params, &cursor);
    }
    Some(learned)
}
