//! What is compared when the command line does not say.

use crate::{Name, Origin, Scenario};
use serde::{Deserialize, Serialize};

/// The file's `compare` node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareSpec {
    /// The topologies, two or more; the others are measured against the first.
    pub topologies: Vec<Name>,
    /// How many runs of each scenario there are.
    pub runs: Option<u32>,
    /// What is measured; empty means everything that can be.
    pub scenarios: Vec<Scenario>,
    /// The check that is the first job of a topology.
    pub job: Option<Name>,
    /// The checks that run before a topology's drift is looked at; empty means all that restart nothing.
    pub checks: Vec<Name>,
    /// The role or group of the node that is added, and that is lost.
    pub node: Option<String>,
    /// The variable that gets another value, and that value: the setting that is rolled out.
    pub change: Option<(String, String)>,
    /// Where it was declared.
    pub origin: Origin,
}
