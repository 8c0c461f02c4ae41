//! What concerns several machines or boxes at once.

mod claims;
pub(crate) mod cycles;

pub(crate) use claims::Claims;
