//! What differs between topologies apart from their idiom, and which ratios that makes unfair.
//!
//! Facts have dotted names. What stands before the first dot says what kind of fact it is (see [`FactKind::of`]):
//! `version.spark`, `heap.executor`, `cpu.limit`, `memory.limit`, `data.rows`, `check.pi`, `engine`, `machines.count`. A fact of a
//! kind that is not known makes every ratio unfair: better one ratio too few than a wrong one.

use crate::catalogue::{self, Metric};
use rig_model::Name;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What sort of thing a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// Versions of software.
    Version,
    /// Heaps of virtual machines of languages.
    Heap,
    /// Processors.
    Cpu,
    /// Memory.
    Memory,
    /// Data that is worked on.
    Data,
    /// Checks and jobs.
    Check,
    /// The engine.
    Engine,
    /// How many machines there are, and of which roles.
    Machines,
}

impl FactKind {
    /// The kind of a fact by its name; `None` when no kind is known by that word.
    #[must_use]
    pub fn of(fact: &str) -> Option<Self> {
        let kind = fact.split_once('.').map_or(fact, |(kind, _)| kind);
        Some(match kind {
            "version" => Self::Version,
            "heap" => Self::Heap,
            "cpu" => Self::Cpu,
            "memory" => Self::Memory,
            "data" => Self::Data,
            "check" => Self::Check,
            "engine" => Self::Engine,
            "machines" => Self::Machines,
            _ => return None,
        })
    }
}

/// A fact of a topology.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// Its value as people read it.
    pub value: String,
    /// Where it was written (`workspace.kdl:12`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl Fact {
    /// A fact and where it was written.
    pub fn new(value: impl Into<String>, origin: Option<String>) -> Self {
        Self { value: value.into(), origin }
    }
}

/// Everything about a topology that a fair comparison needs to be equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyFacts {
    /// Facts of the whole by name.
    pub total: BTreeMap<String, Fact>,
    /// Facts by role and name. Roles, not machines: names of machines differ between idioms.
    pub roles: BTreeMap<String, BTreeMap<String, Fact>>,
}

/// A fact that is not the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The fact's name.
    pub fact: String,
    /// The role it is about; absent for a fact of the whole topology.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What each topology says, in their order.
    pub stated: Vec<Stated>,
    /// The metrics whose ratio it makes unfair.
    pub affects: Vec<String>,
}

/// What a topology says about a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// The topology.
    pub topology: Name,
    /// The value and where it was written; absent when the topology does not say.
    pub fact: Option<Fact>,
}

impl fmt::Display for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fact {
            Some(Fact { value, origin: Some(origin) }) => write!(f, "{value} in {} ({origin})", self.topology),
            Some(Fact { value, origin: None }) => write!(f, "{value} in {}", self.topology),
            None => write!(f, "not set in {}", self.topology),
        }
    }
}

impl Difference {
    /// The fact with its role: `heap.executor of role worker`.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.role {
            Some(role) => format!("{} of role {role}", self.fact),
            None => self.fact.clone(),
        }
    }

    /// What this topology says.
    fn of(&self, topology: &Name) -> Option<&Stated> {
        self.stated.iter().find(|stated| stated.topology == *topology)
    }
}

/// All facts that are not the same in all of these topologies, by role and name.
#[must_use]
pub fn differences(topologies: &[(Name, TopologyFacts)]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let total: Vec<_> = topologies.iter().map(|(name, facts)| (name, Some(&facts.total))).collect();
    collect(None, &total, &mut differences);
    let roles: BTreeSet<&String> = topologies.iter().flat_map(|(_, facts)| facts.roles.keys()).collect();
    for role in roles {
        let own: Vec<_> = topologies.iter().map(|(name, facts)| (name, facts.roles.get(role))).collect();
        if own.iter().all(|(_, facts)| facts.is_some()) {
            collect(Some(role), &own, &mut differences);
        } else {
            // One difference, not one for each fact of the role.
            let stated = own.iter().map(|(name, facts)| Stated {
                topology: (*name).clone(),
                fact: Some(Fact::new(if facts.is_some() { "there" } else { "missing" }, None)),
            });
            differences.push(difference("machines.role", Some(role), stated.collect()));
        }
    }
    differences
}

fn collect(
    role: Option<&String>,
    topologies: &[(&Name, Option<&BTreeMap<String, Fact>>)],
    differences: &mut Vec<Difference>,
) {
    let names: BTreeSet<&String> = topologies.iter().filter_map(|(_, facts)| *facts).flat_map(BTreeMap::keys).collect();
    for name in names {
        let values = || topologies.iter().map(|(_, facts)| facts.and_then(|facts| facts.get(name)));
        let mut texts = values().map(|fact| fact.map(|fact| &fact.value));
        let first = texts.next();
        if texts.any(|text| Some(text) != first) {
            let stated = topologies
                .iter()
                .zip(values())
                .map(|((topology, _), fact)| Stated { topology: (*topology).clone(), fact: fact.cloned() });
            differences.push(difference(name, role, stated.collect()));
        }
    }
}

fn difference(fact: &str, role: Option<&String>, stated: Vec<Stated>) -> Difference {
    let affects = catalogue::ALL.iter().filter(|metric| depends(metric, fact)).map(|metric| metric.id.to_owned());
    Difference { fact: fact.to_owned(), role: role.cloned(), stated, affects: affects.collect() }
}

/// Whether a metric depends on a fact.
fn depends(metric: &Metric, fact: &str) -> bool {
    FactKind::of(fact).is_none_or(|kind| metric.needs.contains(&kind))
}

/// A reason why a ratio is not fair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Objection {
    /// The fact that differs.
    pub fact: String,
    /// The role it is about; absent for a fact of the whole topology.
    pub role: Option<String>,
    /// What both say, for a sentence.
    pub short: String,
    /// The same with the places in the file.
    pub full: String,
}

/// Why a ratio of this metric between these two topologies would be unfair, one reason for each difference; empty when it
/// is fair and may be shown. A metric that the catalogue does not know depends on everything.
#[must_use]
pub fn objections(differences: &[Difference], metric: &str, first: &Name, second: &Name) -> Vec<Objection> {
    let known = catalogue::find(metric);
    differences
        .iter()
        .filter(|difference| known.is_none_or(|metric| depends(metric, &difference.fact)))
        .filter_map(|difference| {
            let (one, other) = (difference.of(first)?, difference.of(second)?);
            let value = |stated: &Stated| stated.fact.as_ref().map(|fact| fact.value.clone());
            let word = |stated: &Stated| value(stated).unwrap_or_else(|| "not set".to_owned());
            (value(one) != value(other)).then(|| Objection {
                fact: difference.fact.clone(),
                role: difference.role.clone(),
                short: format!("{} is {} in {first} and {} in {second}", difference.subject(), word(one), word(other)),
                full: format!("{}: {one}, {other}", difference.subject()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn facts(heap: Option<&str>) -> TopologyFacts {
        let mut worker = BTreeMap::from([("version.spark".to_owned(), Fact::new("3.5.8", None))]);
        if let Some(heap) = heap {
            worker.insert("heap.executor".to_owned(), Fact::new(heap, Some("workspace.kdl:40".to_owned())));
        }
        TopologyFacts {
            total: BTreeMap::from([("engine".to_owned(), Fact::new("Docker 28.5.2", None))]),
            roles: BTreeMap::from([("worker".to_owned(), worker)]),
        }
    }

    fn full(differences: &[Difference]) -> Vec<String> {
        objections(differences, "up.ready", &name("a"), &name("b")).into_iter().map(|one| one.full).collect()
    }

    #[test]
    fn equal_facts_are_fair_wherever_they_were_written() {
        let mut other = facts(Some("1g"));
        other.roles.get_mut("worker").unwrap().get_mut("heap.executor").unwrap().origin = None;
        assert_eq!(differences(&[(name("a"), facts(Some("1g"))), (name("b"), other)]), []);
    }

    #[test]
    fn a_heap_makes_times_unfair_and_leaves_images_alone() {
        let found = differences(&[(name("a"), facts(Some("512m"))), (name("b"), facts(Some("1g")))]);
        let [difference] = found.as_slice() else { panic!("{found:?}") };
        assert!(difference.affects.iter().any(|id| id == "first-job.done"));
        assert!(!difference.affects.iter().any(|id| id == "size.image-bytes"));
        assert_eq!(
            full(&found),
            ["heap.executor of role worker: 512m in a (workspace.kdl:40), 1g in b (workspace.kdl:40)"]
        );
        assert!(objections(&found, "surface.listeners", &name("a"), &name("b")).is_empty());
        assert_eq!(objections(&found, "of.another-time", &name("a"), &name("b")).len(), 1);
    }

    #[test]
    fn only_the_pair_that_differs_is_unfair() {
        let found =
            differences(&[(name("a"), facts(None)), (name("b"), facts(Some("1g"))), (name("c"), facts(Some("1g")))]);
        assert_eq!(full(&found), ["heap.executor of role worker: not set in a, 1g in b (workspace.kdl:40)"]);
        assert!(objections(&found, "up.ready", &name("b"), &name("c")).is_empty());
    }

    #[test]
    fn a_role_that_only_one_has_is_one_difference() {
        let mut more = facts(Some("1g"));
        more.roles.insert("database".to_owned(), more.roles.get("worker").unwrap().clone());
        let found = differences(&[(name("a"), facts(Some("1g"))), (name("b"), more)]);
        assert_eq!(full(&found), ["machines.role of role database: missing in a, there in b"]);
    }

    #[test]
    fn a_fact_of_an_unknown_kind_makes_everything_unfair() {
        let mut other = facts(Some("1g"));
        other.total.insert("moon".to_owned(), Fact::new("full", None));
        let found = differences(&[(name("a"), facts(Some("1g"))), (name("b"), other)]);
        assert_eq!(found.first().map(|difference| difference.affects.len()), Some(catalogue::ALL.len()));
    }
}
