//! From bytes to a tree of nodes with places.
//!
//! The `kdl` parser recovers from mistakes by recursion: a file with some thousand mistakes, or with some hundred nested
//! blocks, would overflow the stack, and commented-out blocks inside one another take exponential time. So `scan` finds the
//! statements and their blocks, and `kdl` parses one statement's own line at a time, which also keeps the mistakes of one
//! statement from hiding or inventing others.

pub(crate) mod guard;
mod heads;
mod include;
mod scan;

pub(crate) use heads::{Node, nodes};
pub(crate) use include::read_all;
