//! Which machines a command is about.

use crate::PlanError;
use rig_model::{MachineId, Name, Observed, Workspace};
use std::collections::BTreeSet;

/// The machines that a command's targets name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// No target was given: everything.
    All,
    /// These.
    Machines(BTreeSet<MachineId>),
}

impl Selection {
    /// Resolves targets: a machine (`scale1`, `naughty/scale1`), a `machine` node with `count`, a topology, or a
    /// `/regex/` over `topology/machine`. Machines that are there but no longer declared can be named as well.
    ///
    /// # Errors
    /// The first target that names nothing, or is no regular expression.
    pub fn resolve(targets: &[String], workspace: &Workspace, observed: &Observed) -> Result<Self, PlanError> {
        if targets.is_empty() {
            return Ok(Self::All);
        }
        let known = Known::of(workspace, observed);
        let mut selected = BTreeSet::new();
        for target in targets {
            // A topology whose groups are all scaled to nothing is still there to be named.
            if workspace.topologies.keys().any(|topology| topology.as_str() == target) {
                selected.extend(known.find(|id, _| id.topology.as_str() == target));
                continue;
            }
            selected.extend(known.matching(target)?);
        }
        Ok(Self::Machines(selected))
    }

    /// Whether a machine is meant.
    #[must_use]
    pub fn contains(&self, machine: &MachineId) -> bool {
        match self {
            Self::All => true,
            Self::Machines(machines) => machines.contains(machine),
        }
    }

    /// Whether everything is meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
}

/// The one machine that a target names.
///
/// # Errors
/// When it names none or several.
pub fn one_machine(target: &str, workspace: &Workspace, observed: &Observed) -> Result<MachineId, PlanError> {
    let machines = Known::of(workspace, observed).matching(target)?;
    let mut all = machines.iter();
    match (all.next(), all.next()) {
        (Some(machine), None) => Ok(machine.clone()),
        _ => Err(PlanError::AmbiguousTarget { target: target.to_owned(), machines: machines.into_iter().collect() }),
    }
}

/// Machines with the group they belong to.
struct Known(BTreeSet<(MachineId, Name)>);

impl Known {
    fn of(workspace: &Workspace, observed: &Observed) -> Self {
        let declared = workspace.machines().map(|machine| (machine.id.clone(), machine.group.clone()));
        let seen = observed.machines.iter().map(|machine| (machine.id.clone(), machine.group.clone()));
        let known: BTreeSet<(MachineId, Name)> = declared.chain(seen).collect();
        // Of a machine that is gone its snapshots may be left.
        let left = observed.snapshots.iter().map(|snapshot| &snapshot.machine);
        let left = left.filter(|id| !known.iter().any(|(there, _)| there == *id));
        let left: Vec<(MachineId, Name)> = left.map(|id| (id.clone(), id.machine.clone())).collect();
        Self(known.into_iter().chain(left).collect())
    }

    fn matching(&self, target: &str) -> Result<BTreeSet<MachineId>, PlanError> {
        let matches = match pattern(target)? {
            Some(regex) => self.find(|id, _| regex.is_match(&id.to_string())),
            None => self.find(|id, group| {
                let (topology, name) =
                    target.split_once('/').map_or((None, target), |(topology, name)| (Some(topology), name));
                let named = id.machine.as_str() == name || group.as_str() == name;
                match topology {
                    Some(topology) => id.topology.as_str() == topology && named,
                    None => named || id.topology.as_str() == target,
                }
            }),
        };
        if matches.is_empty() {
            return Err(PlanError::UnknownTarget { target: target.to_owned(), nearest: self.nearest(target) });
        }
        Ok(matches)
    }

    fn find(&self, matches: impl Fn(&MachineId, &Name) -> bool) -> BTreeSet<MachineId> {
        self.0.iter().filter(|(id, group)| matches(id, group)).map(|(id, _)| id.clone()).collect()
    }

    fn nearest(&self, target: &str) -> Option<String> {
        let names = self.0.iter().flat_map(|(id, group)| {
            [id.to_string(), id.machine.to_string(), id.topology.to_string(), group.to_string()]
        });
        names
            .map(|name| (strsim::jaro_winkler(target, &name), name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name)
    }
}

fn pattern(target: &str) -> Result<Option<regex::Regex>, PlanError> {
    let Some(pattern) =
        target.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|pattern| !pattern.is_empty())
    else {
        return Ok(None);
    };
    regex::Regex::new(pattern)
        .map(Some)
        .map_err(|error| PlanError::Pattern { pattern: pattern.to_owned(), why: error.to_string() })
}
