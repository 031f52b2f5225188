//! The cache: keys, entries, the store with its byte ledger, and the partitions whose floors decide what is
//! still valid.
//!
//! *Validity.* Every trip gets a number from one ascending sequence when it starts, and its entry keeps it.
//! An invalidation takes the next number and raises a *floor* to it: the whole replica's, one partition's, or
//! that of a kind of answers.
//! What started below a floor is stale, whether it was stored before the invalidation or arrives after it. So
//! invalidation is one assignment, and an answer that was under way cannot undo it.

mod entry;
mod key;
mod partition;
mod schemas;
mod store;

pub use entry::{Entry, Windows};
pub use key::{Digests, Key};
pub use partition::{Partition, Partitions, Tool};
pub use schemas::{SchemaId, Schemas};
pub use store::{Found, Store};

/// A place in the one ascending sequence of trips and invalidations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl Seq {
    /// The next place.
    pub const fn advance(&mut self) -> Self {
        self.0 = self.0.saturating_add(1);
        *self
    }
}
