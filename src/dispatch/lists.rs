//! Lists and `server/discover`: local items merged in, tools with invalid header annotations left out, and
//! capabilities cut down to what this replica can carry.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::local::{Item, Local};
use super::render::{self, SERVER_INFO, array, quoted, replaced};
use super::request::{Asked, Method};
use crate::border::Event;
use crate::cache::{Digests, Schemas, Seq, Tool};
use crate::error::{Code, Error};
use crate::json::{self, Members};
use crate::mcp::headers::annotations;
use crate::mcp::meta::push_member;
use crate::mcp::names::{LEGACY, META_SERVER_INFO, MODERN};
use crate::mcp::result::Parts;
use crate::mcp::task::TASKS;
use crate::table::Names;

/// The answer of a replica without an authority.
pub(super) fn without_authority(local: &Local, asked: &Asked<'_>) -> Result<Parts, Error> {
    let name = asked.name.as_deref().unwrap_or_default();
    let members = match asked.method {
        Method::Discover | Method::Initialize => {
            format!("{},{}", versions(), own_capabilities(local))
        }
        Method::ListTools | Method::ListResources if asked.has_cursor => {
            return Err(Error::new(Code::InvalidParams, "unknown cursor"));
        }
        Method::ListTools => format!(
            r#""tools":{}"#,
            array(local.tools.values().map(|tool| &*tool.definition))
        ),
        Method::ListResources if !local.resources.is_empty() => {
            format!(
                r#""resources":{}"#,
                array(local.resources.values().map(|item| &*item.definition))
            )
        }
        Method::CallTool => return Err(unknown("tool", name)),
        Method::ReadResource => return Err(unknown("resource", name).with("uri", name)),
        _ => {
            return Err(Error::new(
                Code::MethodNotFound,
                "method not found: there is no authority",
            ));
        }
    };
    Ok(Parts {
        members,
        meta: format!(r#""{META_SERVER_INFO}":{SERVER_INFO}"#),
        ..Parts::empty()
    })
}

/// An error about a name that nobody knows here.
fn unknown(what: &str, name: &str) -> Error {
    Error::new(Code::InvalidParams, format!("unknown {what}: {name}"))
}

fn versions() -> String {
    let all = core::iter::once(MODERN)
        .chain(LEGACY)
        .map(quoted)
        .collect::<Vec<_>>();
    format!(r#""supportedVersions":{}"#, array(all.iter().map(String::as_str)))
}

/// What changes here is told of: see [`super::listen`].
const TOLD: &str = r#"{"listChanged":true}"#;

/// The `capabilities` member without an authority.
fn own_capabilities(local: &Local) -> String {
    let mut out = String::new();
    push_member(&mut out, "tools", TOLD);
    if !local.resources.is_empty() {
        push_member(&mut out, "resources", TOLD);
    }
    format!(r#""capabilities":{{{out}}}"#)
}

/// A capability without what needs a subscription, for an agent that can have none.
pub(super) fn unheard<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if !matches!(name, "tools" | "resources" | "prompts") {
        return value.into();
    }
    let mut kept = String::new();
    for (flag, on) in Members::parse(value).unwrap_or_default().iter() {
        if !matches!(flag, "listChanged" | "subscribe") {
            push_member(&mut kept, flag, on);
        }
    }
    format!("{{{kept}}}").into()
}

/// The `capabilities` member: the authority's, without extensions that are not passed on.
fn capabilities(theirs: &Members<'_>, modern: bool, local: &Local) -> String {
    let mut out = String::new();
    for (name, value) in theirs.iter() {
        let value = match name {
            // Those of 2025-11-25, which are others than the extension's.
            "tasks" => continue,
            "extensions" => match Members::parse(value).and_then(|extensions| extensions.raw(TASKS)) {
                Some(tasks) if modern => format!(r#"{{"{TASKS}":{tasks}}}"#).into(),
                _ => continue,
            },
            _ => Cow::Borrowed(value),
        };
        push_member(&mut out, name, &value);
    }
    if theirs.raw("tools").is_none() && (!local.tools.is_empty() || theirs.iter().next().is_none()) {
        push_member(&mut out, "tools", "{}");
    }
    if theirs.raw("resources").is_none() && !local.resources.is_empty() {
        push_member(&mut out, "resources", "{}");
    }
    format!(r#""capabilities":{{{out}}}"#)
}

/// Makes the authority's `server/discover` ours.
pub(super) fn discovered(parts: &mut Parts, local: &Local) {
    let object = format!("{{{}}}", parts.members);
    let members = Members::parse(&object).unwrap_or_default();
    let theirs = members
        .raw("capabilities")
        .and_then(Members::parse)
        .unwrap_or_default();
    let spoken = members.raw("supportedVersions").and_then(json::elements);
    let modern = spoken.is_some_and(|all| all.iter().any(|raw| json::string(raw).as_deref() == Some(MODERN)));
    let mut out = format!("{},{}", versions(), capabilities(&theirs, modern, local));
    for (name, value) in members
        .iter()
        .filter(|(name, _)| !matches!(*name, "supportedVersions" | "capabilities"))
    {
        push_member(&mut out, name, value);
    }
    parts.members = out;
}

/// What a page of `tools/list` taught.
#[derive(Debug, Default)]
pub(super) struct Learned {
    pub(super) tools: Vec<(String, Tool)>,
    pub(super) events: Vec<Event>,
}

/// Prepares a page of `tools/list`: tools whose `x-mcp-header` annotations are invalid are left out
/// (2026-07-28, Streamable HTTP, Custom Headers), and so are those hidden by a local tool; local tools lead the
/// first page. Their schemas go to `schemas`, if anybody wants them; `listed`: when the trip for the page started.
pub(super) fn tools(
    parts: &mut Parts,
    local: &Local,
    first_page: bool,
    listed: Seq,
    mut schemas: Option<(&mut Schemas, &Digests)>,
) -> Learned {
    let mut learned = Learned::default();
    let object = format!("{{{}}}", parts.members);
    let list = Members::parse(&object)
        .unwrap_or_default()
        .raw("tools")
        .and_then(json::elements)
        .unwrap_or_default();
    let theirs = list.len();
    let mut kept: Vec<&str> = Vec::with_capacity(theirs);
    for raw in list {
        let Some(tool) = Members::parse(raw) else { continue };
        let Some(name) = tool.string("name") else { continue };
        if local.tools.has(&name) {
            continue;
        }
        let input_schema = tool.raw("inputSchema").unwrap_or("{}");
        let cut = || name.chars().take(128).collect();
        match annotations(input_schema) {
            Ok(params) => {
                let mut schema = None;
                if let Some((schemas, digests)) = &mut schemas {
                    schema = schemas.keep(digests, input_schema);
                    if schema.is_none() {
                        let (name, reason) = (cut(), "larger than 64 KiB");
                        learned.events.push(Event::SchemaNotEnforced { name, reason });
                    }
                }
                let tool = Tool {
                    params,
                    schema,
                    listed,
                };
                learned.tools.push((name.into_owned(), tool));
                kept.push(raw);
            }
            Err(reason) => learned.events.push(Event::ToolDropped { name: cut(), reason }),
        }
    }
    merge(parts, "tools", &kept, theirs, &local.tools, first_page);
    learned
}

/// Prepares a page of `resources/list`.
pub(super) fn resources(parts: &mut Parts, local: &Local, first_page: bool) {
    let object = format!("{{{}}}", parts.members);
    let members = Members::parse(&object).unwrap_or_default();
    let list = members
        .raw("resources")
        .and_then(json::elements)
        .unwrap_or_default();
    let theirs = list.len();
    let hidden = |raw: &&str| {
        let uri = Members::parse(raw).and_then(|resource| resource.string("uri"));
        uri.is_some_and(|uri| local.resources.has(&uri))
    };
    let kept: Vec<&str> = list.into_iter().filter(|raw| !hidden(raw)).collect();
    merge(parts, "resources", &kept, theirs, &local.resources, first_page);
}

fn merge(
    parts: &mut Parts,
    member: &str,
    kept: &[&str],
    theirs: usize,
    local: &Names<Item>,
    first_page: bool,
) {
    let ours = local
        .values()
        .filter(|_| first_page)
        .map(|item| &*item.definition);
    if kept.len() == theirs && (local.is_empty() || !first_page) {
        return;
    }
    let list = render::array(ours.chain(kept.iter().copied()));
    parts.members = replaced(&parts.members, member, &list);
}
