//! Flows of OAuth over the executor alone.

mod clients;
mod discovery;
mod login;
mod renewal;
mod scopes;
mod world;
