//! Nodes become the model. Every module reads the nodes of one subject.

mod artifacts;
mod body;
mod boxes;
mod cast;
mod checks;
mod compare;
mod declared;
mod drift;
mod limits;
mod machine;
mod mounts;
mod network;
mod only;
mod ports;
mod probe;
mod provisioners;
mod recipes;
mod security;
mod steps;
mod topology;
mod variables;
mod workspace;

pub(crate) use workspace::workspace;
