//! Tools and resources of the host, answered beside the authority's.

use alloc::borrow::ToOwned as _;
use alloc::string::String;

use crate::cache::SchemaId;
use crate::error::{Code, Error};
use crate::json::Members;
use crate::limits::{MAX_LOCAL, MAX_NAME_BYTES};
use crate::policy::{Class, Rule};
use crate::table::Names;

/// One tool or resource.
#[derive(Debug)]
pub(super) struct Item {
    /// Raw JSON `Tool` or `Resource` object.
    pub(super) definition: String,
    pub(super) rule: Rule,
    /// Names a tool's `inputSchema`, where the host judges arguments.
    pub(super) schema: Option<SchemaId>,
}

/// What the host registered, by name or URI.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) tools: Names<Item>,
    pub(super) resources: Names<Item>,
}

impl Local {
    /// Returns its name.
    pub(super) fn add_tool(&mut self, definition: &str, rule: Option<&str>) -> Result<String, Error> {
        let tool = object(
            definition,
            "a tool's definition must be an object without repeated members",
        )?;
        let name = named(&tool, "name")?;
        let schema = tool.raw("inputSchema").and_then(Members::parse);
        if schema.and_then(|schema| schema.string("type")).as_deref() != Some("object") {
            return Err(invalid(
                "a tool's inputSchema must be an object with \"type\":\"object\"",
            ));
        }
        insert(&mut self.tools, name.clone(), definition, rule)?;
        Ok(name)
    }

    pub(super) fn add_resource(&mut self, definition: &str, rule: Option<&str>) -> Result<(), Error> {
        let resource = object(
            definition,
            "a resource's definition must be an object without repeated members",
        )?;
        let uri = named(&resource, "uri")?;
        if resource.string("name").is_none() {
            return Err(invalid("a resource's name must be a string"));
        }
        insert(&mut self.resources, uri, definition, rule)
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(Code::InvalidParams, message)
}

fn object<'a>(definition: &'a str, message: &'static str) -> Result<Members<'a>, Error> {
    Members::parse(definition)
        .filter(|members| !members.has_duplicates())
        .ok_or_else(|| invalid(message))
}

fn named(item: &Members<'_>, member: &str) -> Result<String, Error> {
    match item.string(member) {
        Some(name) if !name.is_empty() && name.len() <= MAX_NAME_BYTES => Ok(name.into_owned()),
        _ => Err(invalid(
            "a tool's name, and a resource's uri, must be a string of 1 to 8192 bytes",
        )),
    }
}

fn insert(items: &mut Names<Item>, name: String, definition: &str, rule: Option<&str>) -> Result<(), Error> {
    let rule = Rule::parse(rule.unwrap_or("live"))?;
    if rule.class == Class::Deny {
        return Err(
            Error::new(Code::ConfigInvalid, "a local item cannot be of class deny").with("field", "rule"),
        );
    }
    if rule.class == Class::Cache && rule.max_age.is_none() {
        return Err(
            Error::new(Code::ConfigInvalid, "a local item of class cache needs max-age")
                .with("field", "rule"),
        );
    }
    if items.len() >= MAX_LOCAL && !items.has(&name) {
        return Err(Error::new(Code::OverBudget, "too many local tools or resources"));
    }
    items.insert(
        name,
        Item {
            definition: definition.trim().to_owned(),
            rule,
            schema: None,
        },
    );
    Ok(())
}
