//! Box files: what they are packed with, taking them apart without doing harm, and packing them.

mod holes;
mod kind;
mod names;
mod pack;
mod path;
mod tarball;
mod tee;
mod tree;
mod unpack;
mod zipped;

pub(crate) use pack::pack;
pub(crate) use path::inside;
pub(crate) use tee::Tee;
pub use unpack::Limits;
pub(crate) use unpack::{Unpacked, unpack};
