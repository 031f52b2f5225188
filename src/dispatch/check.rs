//! Arguments of tools against their `inputSchema` (2026-07-28, Tools; JSON Schema 2020-12). The host judges, where it
//! said that it can: this file says when it is asked, and what becomes of its verdict.
//!
//! A schema is known once a list of tools brought it to the caller's partition, and until the list is known to have
//! changed; a local tool's, from the start. A call without a known schema travels. What is stored for arguments was
//! answered after they were judged, so that a hit asks again only by another schema.

use alloc::format;
use alloc::vec::Vec;

use super::agent::{Served, Step};
use super::flights::Recipient;
use super::local::Item;
use super::request::{Asked, Method};
use super::{Core, render};
use crate::cache::{Found, SchemaId, Seq};
use crate::json::Members;
use crate::limits::{MAX_FAULT_BYTES, MAX_SCHEMA_BYTES};
use crate::mcp::result::Parts;
use crate::provenance::{Provenance, State};

/// What a host says of a call's arguments, after [`Served::Check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The schema that they were judged by.
    pub schema: SchemaId,
    /// What is wrong with them, for the agent: which argument, and what was expected. At most [`MAX_FAULT_BYTES`]
    /// are passed on. `None`: nothing, or the host cannot tell.
    pub fault: Option<&'a str>,
}

impl Core {
    /// From now on the host judges arguments: [`Core::serve_judged`] may answer [`Served::Check`].
    pub fn check_arguments(&mut self) {
        self.schemas.get_or_insert_default();
    }

    /// Names the schema of a local tool that was just registered. One that is too large is not judged by.
    pub(super) fn name_schema(&mut self, tool: &str) {
        if self.schemas.is_none() {
            return;
        }
        let Some(item) = self.local.tools.get_mut(tool) else {
            return;
        };
        item.schema = item
            .input_schema()
            .filter(|schema| schema.len() <= MAX_SCHEMA_BYTES)
            .map(|schema| SchemaId::of(&self.random, schema));
    }

    /// The schema that a list of tools brought, if calls are still to be judged by it.
    pub(super) fn listed_schema(&self, schema: SchemaId, listed: Seq) -> Option<SchemaId> {
        let is_kept = self.schemas.as_ref()?.get(schema).is_some();
        (is_kept && listed >= self.floor_of(Method::ListTools)).then_some(schema)
    }

    /// Asks for a verdict, or acts upon the one that came. `None`: the call goes on.
    pub(super) fn judge(
        &mut self,
        asked: &Asked<'_>,
        schema: SchemaId,
        found: Option<&Found>,
        out: &mut Vec<u8>,
    ) -> Option<Step> {
        // A question about one message of a batch cannot be told from one about another.
        if self.sessions.batch.is_some() {
            return None;
        }
        match asked.verdict.filter(|verdict| verdict.schema == schema) {
            Some(Verdict { fault: None, .. }) => {
                if let Some(found) = found {
                    self.store.judged(found, schema);
                }
                return None;
            }
            Some(Verdict {
                fault: Some(fault), ..
            }) => {
                self.stats.invalid += 1;
                return Some(refusal(asked, fault, out));
            }
            None => {}
        }
        if let Some(found) = found
            && let Some(entry) = self.store.entry(found.digest, found.canonical.as_deref())
            && entry.schema == Some(schema)
        {
            return None;
        }
        let name = asked.name.as_deref().unwrap_or_default();
        let text = match self.local.tools.get(name) {
            Some(item) => item.input_schema(),
            None => self.schemas.as_ref().and_then(|schemas| schemas.get(schema)),
        }?;
        for part in [name, text, asked.arguments] {
            out.extend_from_slice(part.as_bytes());
        }
        Some(Step::of(Served::Check {
            schema,
            name: name.len(),
            text: text.len(),
        }))
    }
}

/// A tool's result about its own arguments, by which a model can correct itself (2026-07-28, Tools, Error Handling).
fn refusal(asked: &Asked<'_>, fault: &str, out: &mut Vec<u8>) -> Step {
    let fault = fault
        .get(..fault.floor_char_boundary(MAX_FAULT_BYTES))
        .unwrap_or_default();
    let name = asked.name.as_deref().unwrap_or_default();
    let text = render::quoted(&format!("Invalid arguments for tool {name}: {fault}"));
    let parts = Parts {
        members: format!(r#""content":[{{"type":"text","text":{text}}}],"isError":true"#),
        ..Parts::empty()
    };
    let provenance = Some(Provenance::new(State::Local));
    render::result(out, &Recipient::of(asked), &parts, None, provenance);
    Step::of(Served::Reply {
        status: 200,
        provenance,
        serial: None,
        session: None,
    })
}

impl Item {
    /// The raw `inputSchema` of a tool.
    fn input_schema(&self) -> Option<&str> {
        Members::parse(&self.definition)?.raw("inputSchema")
    }
}
