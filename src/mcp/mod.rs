//! MCP as this replica meets it: names and versions, the envelope of a message, `_meta`, HTTP headers, and
//! what of results and errors has to be understood.

pub mod extension;
pub mod headers;
pub mod input;
pub mod message;
pub mod meta;
pub mod names;
pub mod result;
pub mod subscription;
pub mod task;
