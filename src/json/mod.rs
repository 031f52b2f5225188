//! JSON as bytes: members of an object without parsing their values, the canonical form of parameters, and
//! writing. Values are passed on as the bytes they were; numbers keep their token.

mod canonical;
mod members;
mod write;

pub use canonical::canonical;
pub use members::{Members, breaks_off, elements, is_object, signed, string, unsigned, whole};
pub use write::push_string;
