//! The `inputSchema`s of the authority's tools, as a host that validates arguments needs them.

use alloc::boxed::Box;

use super::Digests;
use crate::limits::{MAX_SCHEMA_BYTES, MAX_SCHEMAS_BYTES};
use crate::table::Table;

/// Names a schema: equal texts have one name, within one replica. A whole number that a double holds exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub u64);

impl SchemaId {
    /// The name of a raw JSON schema.
    #[must_use]
    pub fn of(digests: &Digests, schema: &str) -> Self {
        Self(digests.of(schema.as_bytes()) >> 11)
    }
}

/// Schemas, verbatim, each once however many partitions have seen it. The budget is the bytes of their texts;
/// past it others are forgotten, and what is called by them is not validated until it is listed again.
#[derive(Debug, Default)]
pub struct Schemas {
    texts: Table<u64, Box<str>>,
    bytes: usize,
}

impl Schemas {
    /// Keeps a schema. `None` if it is larger than [`MAX_SCHEMA_BYTES`].
    pub fn keep(&mut self, digests: &Digests, schema: &str) -> Option<SchemaId> {
        if schema.len() > MAX_SCHEMA_BYTES {
            return None;
        }
        let id = SchemaId::of(digests, schema);
        if self.get(id) == Some(schema) {
            return Some(id);
        }
        // Digests come in no order, so what goes is anyone's.
        while self.bytes + schema.len() > MAX_SCHEMAS_BYTES {
            let (_, forgotten) = self.texts.pop_first()?;
            self.bytes -= forgotten.len();
        }
        self.bytes += schema.len();
        if let Some(other) = self.texts.insert(id.0, schema.into()) {
            self.bytes -= other.len();
        }
        Some(id)
    }

    /// The text of a schema, if it is still kept.
    #[must_use]
    pub fn get(&self, id: SchemaId) -> Option<&str> {
        self.texts.get(id.0).map(|text| &**text)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    fn schema(n: usize, bytes: usize) -> String {
        let text = format!(r#"{{"type":"object","title":"{n}","x":""#);
        format!("{text}{}\"}}", "x".repeat(bytes - text.len() - 2))
    }

    #[test]
    fn equal_texts_are_kept_once() {
        let digests = Digests::new((1, 2));
        let mut schemas = Schemas::default();
        let first = schemas.keep(&digests, &schema(1, 100));
        assert_eq!(first, schemas.keep(&digests, &schema(1, 100)));
        assert_ne!(first, schemas.keep(&digests, &schema(2, 100)));
        assert_eq!(schemas.bytes, 200);
        assert_eq!(schemas.get(first.unwrap()), Some(&*schema(1, 100)));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_is_there() {
        let digests = Digests::new((1, 2));
        let mut schemas = Schemas::default();
        assert!(schemas.keep(&digests, &schema(0, MAX_SCHEMA_BYTES + 1)).is_none());
        for n in 0..=MAX_SCHEMAS_BYTES / MAX_SCHEMA_BYTES {
            let id = schemas.keep(&digests, &schema(n, MAX_SCHEMA_BYTES)).unwrap();
            assert!(schemas.get(id).is_some());
            assert!(id.0 < 1 << 53, "a double holds it");
        }
        assert_eq!(schemas.bytes, MAX_SCHEMAS_BYTES);
        assert_eq!(schemas.texts.len(), MAX_SCHEMAS_BYTES / MAX_SCHEMA_BYTES);
    }
}
