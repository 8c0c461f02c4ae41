//! What topologies are given, for the fairness guard: what the file declares, and what runs in the machines.

use crate::{
    fairness::{Fact, TopologyFacts},
    surface::{Process, Profile},
};
use rig_model::{
    ArtifactSpec, BoxSource, Bytes, CheckSpec, FileSource, MachineSpec, Name, StepKind, Topology, Workspace,
};
use std::collections::{BTreeMap, BTreeSet};

/// The settings in the environment of a Java program that say how much it may use, by the end of their names, and the kind of
/// fact that each is.
pub const SETTINGS: [(&str, &str); 3] = [("MEMORY", "heap"), ("HEAP", "heap"), ("CORES", "cpu")];

/// What a process says of its settings: the main class of a Java program, and those variables of its environment that
/// [`SETTINGS`] names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The machine's role, or its group where it has none.
    pub role: String,
    /// Where the machine was declared.
    pub origin: String,
    /// The process.
    pub process: Process,
    /// Variables with their values.
    pub settings: BTreeMap<String, String>,
}

/// The role by which machines of different topologies are set side by side.
#[must_use]
pub fn role(machine: &MachineSpec) -> String {
    machine.role.clone().unwrap_or_else(|| machine.group.to_string())
}

/// What the file declares of a topology: how many machines of which role there are, what they may use, which versions of
/// artifacts they are made of, and which of the `checks` that run are the same ones.
#[must_use]
pub fn declared(workspace: &Workspace, topology: &Topology, checks: &[Name]) -> TopologyFacts {
    let mut facts = TopologyFacts::default();
    let providers: BTreeSet<&str> = topology.machines.iter().map(|machine| machine.provider.as_str()).collect();
    let providers: Vec<&str> = providers.into_iter().collect();
    facts.total.insert("engine".to_owned(), Fact::new(providers.join(", "), Some(topology.origin.to_string())));
    let mut counts: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for machine in &topology.machines {
        let origin = machine.origin.to_string();
        let counted = counts.entry(role(machine)).or_insert((0, origin.clone()));
        counted.0 += 1;
        let own = facts.roles.entry(role(machine)).or_default();
        let mut add = |name: &str, value: Option<String>| {
            let value = value.unwrap_or_else(|| "no limit".to_owned());
            own.insert(name.to_owned(), Fact::new(value, Some(origin.clone())));
        };
        add("cpu.limit", machine.limits.cpus.map(|cpus| cpus.to_string()));
        add("memory.limit", machine.limits.memory.map(|memory| memory.to_string()));
    }
    for (role, (count, origin)) in counts {
        let own = facts.roles.entry(role).or_default();
        own.insert("machines.count".to_owned(), Fact::new(count.to_string(), Some(origin)));
    }
    for artifact in artifacts(workspace, topology).into_values() {
        let name = format!("version.{}", artifact.name);
        facts.total.insert(name, Fact::new(version(artifact), Some(artifact.origin.to_string())));
    }
    // A check that all topologies share is one node of the file; its text differs where names of machines do.
    let meant = |check: &&CheckSpec| check.topology == topology.name && checks.contains(&check.name);
    for check in workspace.checks.iter().filter(meant) {
        facts.total.insert(format!("check.{}", check.name), Fact::new(check.origin.to_string(), None));
    }
    facts
}

/// Adds what runs: the heap of each Java program and the settings that it got, by the roles of the machines.
pub fn add_running(facts: &mut TopologyFacts, running: &[Running]) {
    for one in running {
        let Some(class) = one.process.main_class() else { continue };
        let short = class.rsplit(['.', '/']).next().unwrap_or(class);
        let own = facts.roles.entry(one.role.clone()).or_default();
        let mut add = |name: String, value: String| {
            own.insert(name, Fact::new(value, Some(one.origin.clone())));
        };
        // The last one counts, as for the virtual machine itself.
        if let Some(heap) = one.process.command.iter().rev().find_map(|word| word.strip_prefix("-Xmx")) {
            add(format!("heap.{short}"), amount(heap));
        }
        for (name, value) in &one.settings {
            let kind = SETTINGS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, kind)| *kind);
            if let Some(kind) = kind {
                add(format!("{kind}.{name}"), if kind == "heap" { amount(value) } else { value.clone() });
            }
        }
    }
}

/// Adds the versions of the packages that all topologies have installed. What only some have is a part of how they are made.
pub fn add_packages(topologies: &mut [(Name, TopologyFacts)], profiles: &[Vec<Profile>]) {
    let installed: Vec<BTreeMap<&String, BTreeSet<&String>>> = profiles
        .iter()
        .map(|profiles| {
            let mut all: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
            for (name, version) in profiles.iter().filter_map(|profile| profile.packages.as_ref()).flatten() {
                all.entry(name).or_default().insert(version);
            }
            all
        })
        .collect();
    let Some((first, others)) = installed.split_first() else { return };
    let common: Vec<&String> =
        first.keys().filter(|name| others.iter().all(|other| other.contains_key(*name))).copied().collect();
    for ((_, facts), installed) in topologies.iter_mut().zip(&installed) {
        for name in &common {
            let versions: Vec<&str> = installed.get(*name).into_iter().flatten().map(|text| text.as_str()).collect();
            facts.total.insert(format!("version.package-{name}"), Fact::new(versions.join(", "), None));
        }
    }
}

/// The artifacts that a topology's boxes are built with, and its steps.
fn artifacts<'a>(workspace: &'a Workspace, topology: &'a Topology) -> BTreeMap<&'a Name, &'a ArtifactSpec> {
    let boxes = workspace.needed_boxes(topology.machines.iter()).into_iter().flat_map(|spec| &spec.sources);
    let built = boxes.filter_map(|source| match source {
        BoxSource::Build(build) => Some(&build.artifacts),
        BoxSource::Bootstrap(_) | BoxSource::Image(_) => None,
    });
    let steps = topology.machines.iter().flat_map(|machine| &machine.steps);
    let put = steps.filter_map(|step| match &step.kind {
        StepKind::File { source: FileSource::Artifact(artifact), .. } => Some(artifact.as_ref()),
        _ => None,
    });
    built.flatten().filter_map(|name| workspace.artifacts.get(name)).chain(put).map(|one| (&one.name, one)).collect()
}

/// What says which version an artifact has: that of its source, and the content itself.
fn version(artifact: &ArtifactSpec) -> String {
    let content: String = artifact.sha256.as_str().chars().take(12).collect();
    match &artifact.version {
        Some(version) => format!("{version} ({content})"),
        None => content,
    }
}

/// An amount of memory as virtual machines and Spark spell it (`512m`, `1g`), in the form of everything else; anything else as
/// it is.
fn amount(text: &str) -> String {
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = lower.split_at(lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len()));
    let unit: u64 = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        "t" | "tb" => 1 << 40,
        _ => return text.to_owned(),
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(bytes) => Bytes(bytes).to_string(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fairness::differences;

    fn running(class: &str, heap: &str, memory: &str) -> Running {
        Running {
            role: "worker".to_owned(),
            origin: "workspace.kdl:40".to_owned(),
            process: Process {
                command: ["/usr/bin/java", "-Xmx64m", &format!("-Xmx{heap}"), class].map(str::to_owned).to_vec(),
                ..Process::default()
            },
            settings: BTreeMap::from([
                ("SPARK_WORKER_MEMORY".to_owned(), memory.to_owned()),
                ("SPARK_WORKER_CORES".to_owned(), "1".to_owned()),
            ]),
        }
    }

    fn facts(running: &[Running]) -> TopologyFacts {
        let mut facts = TopologyFacts::default();
        add_running(&mut facts, running);
        facts
    }

    #[test]
    fn the_same_amount_is_the_same_however_it_is_spelled() {
        let one = facts(&[running("org.apache.spark.deploy.worker.Worker", "1g", "512M")]);
        let two = facts(&[running("org.apache.spark.deploy.worker.Worker", "1024m", "524288k")]);
        assert_eq!(one, two);
        let names: Vec<&String> = one.roles["worker"].keys().collect();
        assert_eq!(names, ["cpu.SPARK_WORKER_CORES", "heap.SPARK_WORKER_MEMORY", "heap.Worker"]);
        assert_eq!(one.roles["worker"]["heap.Worker"].value, "1GiB");
    }

    #[test]
    fn a_setting_that_differs_is_named_with_its_place() {
        let name = |text: &str| Name::new(text).unwrap();
        let one = (name("naughty"), facts(&[running("a.Worker", "1g", "400m")]));
        let two = (name("immutable"), facts(&[running("a.Worker", "1g", "576m")]));
        let found = differences(&[one, two]);
        let [difference] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(difference.subject(), "heap.SPARK_WORKER_MEMORY of role worker");
        let stated: Vec<String> = difference.stated.iter().map(ToString::to_string).collect();
        assert_eq!(stated, ["400MiB in naughty (workspace.kdl:40)", "576MiB in immutable (workspace.kdl:40)"]);
    }

    #[test]
    fn only_packages_that_all_have_are_compared() {
        let profile = |packages: &[(&str, &str)]| Profile {
            packages: Some(packages.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect()),
            ..Profile::default()
        };
        let mut topologies =
            ["a", "b"].map(|text| (Name::new(text).unwrap(), TopologyFacts::default())).to_vec();
        let profiles = [
            vec![profile(&[("jre", "17"), ("ssh", "9")])],
            vec![profile(&[("jre", "17")]), profile(&[("jre", "21"), ("x", "1")])],
        ];
        add_packages(&mut topologies, &profiles);
        let values: Vec<_> = topologies.iter().map(|(_, facts)| facts.total["version.package-jre"].value.as_str()).collect();
        assert_eq!(values, ["17", "17, 21"]);
        assert!(topologies.iter().all(|(_, facts)| facts.total.len() == 1));
    }
}
