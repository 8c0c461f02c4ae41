//! What a comparison measures: wishes, checked against the workspace.

use rig_model::{CheckTarget, CompareSpec, Name, Scenario, Workspace};
use std::collections::BTreeSet;

/// How many runs there are when nobody says.
const RUNS: u32 = 5;

/// What the command line says; what it does not say is the file's.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Topologies.
    pub topologies: Vec<Name>,
    /// How many runs of each scenario.
    pub runs: Option<u32>,
    /// What is measured.
    pub scenarios: Vec<Scenario>,
    /// Scenarios that are left out.
    pub without: Vec<Scenario>,
}

/// What is measured, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The topologies; the others are measured against the first.
    pub topologies: Vec<Name>,
    /// How many runs of each scenario there are.
    pub runs: u32,
    /// What is measured, in the order of reports.
    pub scenarios: Vec<Scenario>,
    /// The check that is the first job.
    pub job: Option<Name>,
    /// The checks that run before drift is looked at, in the file's order.
    pub checks: Vec<Name>,
    /// For each topology, the group of the node that is added and lost.
    pub nodes: Vec<Name>,
    /// The variable that gets another value, and that value.
    pub change: Option<(String, String)>,
    /// Scenarios that are not measured, each with the reason.
    pub left_out: Vec<(Scenario, String)>,
}

/// Why there is no such comparison.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SetupError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl SetupError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

impl Setup {
    /// Fills wishes in from the file, and finds what the file does not say.
    ///
    /// # Errors
    /// A topology that is not there or is named twice, fewer than two of them, no runs, a scenario that was asked for by name
    /// and cannot be measured on all of them.
    pub fn new(workspace: &Workspace, wishes: &Wishes) -> Result<Self, SetupError> {
        let spec = workspace.compare.as_ref();
        let topologies = topologies(workspace, spec, &wishes.topologies)?;
        let runs = wishes.runs.or_else(|| spec?.runs).unwrap_or(RUNS);
        if runs == 0 {
            return Err(SetupError::new("a comparison without runs says nothing", "ask for one run or more"));
        }
        let checks = checks(workspace, spec, &topologies);
        let named_job = spec.and_then(|spec| spec.job.clone());
        let job = match &named_job {
            Some(job) => Some(job.clone()).filter(|job| has_check(workspace, &topologies, job)),
            None => first_job(workspace, &topologies),
        };
        let nodes = nodes(workspace, spec, &topologies);
        let change = spec.and_then(|spec| spec.change.clone());
        let why_not = |scenario: Scenario| -> Option<String> {
            match scenario {
                Scenario::FirstJob if job.is_none() => Some(match &named_job {
                    Some(job) => format!("not all of the topologies have check {job}"),
                    None => "there is no check with `run` that all topologies have".to_owned(),
                }),
                Scenario::Drift if checks.is_empty() => Some("there is no check that all topologies have".to_owned()),
                Scenario::ScaleOut | Scenario::Replace => nodes.as_ref().err().cloned(),
                Scenario::Change if change.is_none() => Some(
                    "the file does not say what changes: `compare … { change \"variable\" \"value\"; }`".to_owned(),
                ),
                _ => None,
            }
        };
        let named: Vec<Scenario> = if wishes.scenarios.is_empty() {
            spec.map_or_else(Vec::new, |spec| spec.scenarios.clone())
        } else {
            wishes.scenarios.clone()
        };
        if let Some((scenario, why)) = named.iter().find_map(|scenario| Some((scenario, why_not(*scenario)?))) {
            let message = format!("scenario {scenario} cannot be measured: {why}");
            return Err(SetupError::new(
                message,
                "leave the scenario out, or say what it needs in the file's `compare` node",
            ));
        }
        let wanted =
            |scenario: &Scenario| (named.is_empty() || named.contains(scenario)) && !wishes.without.contains(scenario);
        let (mut scenarios, mut left_out) = (Vec::new(), Vec::new());
        for scenario in Scenario::ALL.into_iter().filter(wanted) {
            match why_not(scenario) {
                None => scenarios.push(scenario),
                Some(why) => left_out.push((scenario, why)),
            }
        }
        if scenarios.is_empty() {
            return Err(SetupError::new("there is nothing left to measure", "name a scenario that is not left out"));
        }
        Ok(Self { topologies, runs, scenarios, job, checks, nodes: nodes.unwrap_or_default(), change, left_out })
    }

    /// The group of a topology's node that is added and lost.
    #[must_use]
    pub fn node(&self, topology: &Name) -> Option<&Name> {
        let position = self.topologies.iter().position(|name| name == topology)?;
        self.nodes.get(position)
    }
}

fn topologies(workspace: &Workspace, spec: Option<&CompareSpec>, wished: &[Name]) -> Result<Vec<Name>, SetupError> {
    let known = || {
        let names: Vec<&str> = workspace.topologies.keys().map(Name::as_str).collect();
        format!("the file declares: {}", names.join(", "))
    };
    let names = match (wished, spec) {
        ([], Some(spec)) => spec.topologies.clone(),
        ([], None) if workspace.topologies.len() == 2 => workspace.topologies.keys().cloned().collect(),
        (wished, _) => wished.to_vec(),
    };
    let mut seen = BTreeSet::new();
    for name in &names {
        let Some(topology) = workspace.topologies.get(name) else {
            return Err(SetupError::new(format!("there is no topology \"{name}\""), known()));
        };
        if !seen.insert(name) {
            let message = format!("topology {name} is named twice");
            return Err(SetupError::new(
                message,
                "a topology compared with itself shows nothing but noise: name each once",
            ));
        }
        if topology.machines.is_empty() {
            return Err(SetupError::new(format!("topology {name} has no machine"), "declare one, or set its `count`"));
        }
    }
    if names.len() < 2 {
        return Err(SetupError::new("a comparison needs two topologies or more", known()));
    }
    Ok(names)
}

fn has_check(workspace: &Workspace, topologies: &[Name], name: &Name) -> bool {
    topologies
        .iter()
        .all(|topology| workspace.checks.iter().any(|check| check.topology == *topology && check.name == *name))
}

/// The checks that all topologies have, in the file's order. What restarts machines is a scenario of its own.
fn checks(workspace: &Workspace, spec: Option<&CompareSpec>, topologies: &[Name]) -> Vec<Name> {
    let named = spec.map_or(&[] as &[Name], |spec| &spec.checks);
    let Some(first) = topologies.first() else { return Vec::new() };
    let of_first = workspace.checks.iter().filter(|check| check.topology == *first);
    of_first
        .filter(|check| match named {
            [] => !matches!(check.target, CheckTarget::Restart { .. }),
            named => named.contains(&check.name),
        })
        .map(|check| check.name.clone())
        .filter(|name| has_check(workspace, topologies, name))
        .collect()
}

/// The first check that runs a command and that all topologies have.
fn first_job(workspace: &Workspace, topologies: &[Name]) -> Option<Name> {
    let runs = workspace.checks.iter().filter(|check| matches!(check.target, CheckTarget::Run { .. }));
    runs.map(|check| &check.name).find(|name| has_check(workspace, topologies, name)).cloned()
}

/// For each topology, the group that has a count and a machine of the role (or the group) that the file names; without a
/// name, the role that all have and that most machines of the first one have.
fn nodes(workspace: &Workspace, spec: Option<&CompareSpec>, topologies: &[Name]) -> Result<Vec<Name>, String> {
    let group_of = |topology: &Name, role: &str| -> Option<Name> {
        let topology = workspace.topologies.get(topology)?;
        let mut meant = topology.machines.iter().rev().filter(|machine| {
            (machine.role.as_deref() == Some(role) || machine.group.as_str() == role)
                && topology.counts.contains_key(&machine.group)
        });
        meant.next().map(|machine| machine.group.clone())
    };
    let everywhere = |role: &str| -> Result<Vec<Name>, String> {
        topologies
            .iter()
            .map(|topology| {
                group_of(topology, role).ok_or_else(|| {
                    format!("topology {topology} has no group with a `count` and a machine of role or name {role:?}")
                })
            })
            .collect()
    };
    if let Some(role) = spec.and_then(|spec| spec.node.as_ref()) {
        return everywhere(role);
    }
    let mut roles: Vec<(usize, String)> = Vec::new();
    for machine in topologies.first().and_then(|name| workspace.topologies.get(name)).iter().flat_map(|of| &of.machines)
    {
        let role = rig_compare::facts::role(machine);
        match roles.iter_mut().find(|(_, known)| *known == role) {
            Some((count, _)) => *count += 1,
            None => roles.push((1, role)),
        }
    }
    // Of equally many the one that comes first in the file.
    roles.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    roles
        .iter()
        .find_map(|(_, role)| everywhere(role).ok())
        .ok_or_else(|| "the topologies have no role in common whose group has a `count`".to_owned())
}
