//! The targets, a file each.

pub mod border;
pub mod config;
pub mod headers;
pub mod json;
pub mod message;
pub mod oauth;
pub mod policy;
pub mod sse;
