//! What topologies are given, for the fairness guard: what the file declares, and what runs in the machines.

use crate::{
    fairness::{Fact, FactKind, TopologyFacts},
    surface::{Process, Profile},
};
use rig_model::{ArtifactSpec, BoxSource, Bytes, CheckSpec, MachineSpec, Name, Topology, Workspace};
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
            let fact = own.entry(name.to_owned()).or_insert_with(|| Fact::new("", Some(origin.clone())));
            // A role may have machines of several sizes.
            let mut all: BTreeSet<&str> = fact.value.split(", ").filter(|part| !part.is_empty()).collect();
            all.insert(&value);
            fact.value = all.into_iter().collect::<Vec<_>>().join(", ");
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

/// Adds what runs in machines that are ready: the heaps of the Java programs, and what else these were given, by the roles of
/// the machines. The idioms pass the same thing in different ways, as a variable or as an option, and start it by different
/// classes: only the amounts are compared. What repeats the heap of the program itself says nothing more.
pub fn add_running(facts: &mut TopologyFacts, running: &[Running]) {
    let mut found: BTreeMap<(&str, &'static str), (BTreeSet<String>, &str)> = BTreeMap::new();
    for one in running.iter().filter(|one| one.process.main_class().is_some()) {
        let mut add = |name: &'static str, value: String| {
            found.entry((&one.role, name)).or_insert_with(|| (BTreeSet::new(), &one.origin)).0.insert(value);
        };
        let heap = heap(&one.process);
        for (kind, value) in given(one) {
            match kind {
                "heap" if heap.as_ref() != Some(&value) => add("heap.given", value),
                "cpu" => add("cpu.given", value),
                _ => {}
            }
        }
        if let Some(heap) = heap {
            add("heap.java", heap);
        }
    }
    for ((role, name), (values, origin)) in found {
        let value = values.into_iter().collect::<Vec<_>>().join(", ");
        let own = facts.roles.entry(role.to_owned()).or_default();
        own.insert(name.to_owned(), Fact::new(value, Some(origin.to_owned())));
    }
}

/// Adds the heaps of the Java programs that run beside a job, by their class, of those that all topologies have in a role:
/// what runs for a moment only may have been seen in one and missed in another.
pub fn add_working(topologies: &mut [(Name, TopologyFacts)], working: &[Vec<Running>]) {
    type Heaps<'a> = BTreeMap<(&'a str, &'a str), (BTreeSet<String>, &'a str)>;
    let heaps: Vec<Heaps<'_>> = working
        .iter()
        .map(|running| {
            let mut heaps = Heaps::new();
            for one in running {
                if let (Some(class), Some(heap)) = (one.process.main_class(), heap(&one.process)) {
                    let short = class.rsplit(['.', '/']).next().unwrap_or(class);
                    let known = heaps.entry((&one.role, short)).or_insert_with(|| (BTreeSet::new(), &one.origin));
                    known.0.insert(heap);
                }
            }
            heaps
        })
        .collect();
    let Some((first, others)) = heaps.split_first() else { return };
    let common: Vec<_> = first.keys().filter(|key| others.iter().all(|other| other.contains_key(*key))).collect();
    for ((_, facts), heaps) in topologies.iter_mut().zip(&heaps) {
        for key in &common {
            let Some((values, origin)) = heaps.get(*key) else { continue };
            let value = values.iter().cloned().collect::<Vec<_>>().join(", ");
            let own = facts.roles.entry(key.0.to_owned()).or_default();
            own.insert(format!("heap.{}", key.1), Fact::new(value, Some((*origin).to_owned())));
        }
    }
}

/// The largest heap that a Java program may have. The last option counts, as for the virtual machine itself.
fn heap(process: &Process) -> Option<String> {
    process.command.iter().rev().find_map(|word| {
        let size = word.strip_prefix("-Xmx").or_else(|| word.strip_prefix("-XX:MaxHeapSize="));
        let share = || word.strip_prefix("-XX:MaxRAMPercentage=").map(|share| format!("{share} % of its memory"));
        size.map(amount).or_else(share)
    })
}

/// What a program was given, with the kind of fact: by its environment, or by options.
fn given(one: &Running) -> Vec<(&'static str, String)> {
    let kind = |name: &str| {
        let upper = name.to_ascii_uppercase();
        SETTINGS.iter().find(|(end, _)| upper.ends_with(end)).map(|(_, kind)| *kind)
    };
    let set = one.settings.iter().filter_map(|(name, value)| Some((kind(name)?, value.as_str())));
    let options = one.process.command.windows(2).filter_map(|pair| match pair {
        [option, value] => Some((kind(option.strip_prefix("--")?)?, value.as_str())),
        _ => None,
    });
    let said =
        |(kind, value): (&'static str, &str)| (kind, if kind == "heap" { amount(value) } else { value.to_owned() });
    set.chain(options).map(said).collect()
}

/// Leaves out the versions of what only some topologies have: that is a part of how they are made.
pub fn keep_common_versions(topologies: &mut [(Name, TopologyFacts)]) {
    let is_version = |name: &str| FactKind::of(name) == Some(FactKind::Version);
    let names: BTreeSet<String> = topologies.iter().flat_map(|(_, facts)| facts.total.keys().cloned()).collect();
    for name in names.iter().filter(|name| is_version(name)) {
        if !topologies.iter().all(|(_, facts)| facts.total.contains_key(name)) {
            topologies.iter_mut().for_each(|(_, facts)| _ = facts.total.remove(name));
        }
    }
}

/// Adds the versions of all packages that are installed.
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
    for ((_, facts), installed) in topologies.iter_mut().zip(installed) {
        for (name, versions) in installed {
            let versions: Vec<&str> = versions.into_iter().map(String::as_str).collect();
            facts.total.insert(format!("version.package-{name}"), Fact::new(versions.join(", "), None));
        }
    }
}

/// The artifacts that a topology's boxes are made with, and its steps.
fn artifacts<'a>(workspace: &'a Workspace, topology: &'a Topology) -> BTreeMap<&'a Name, &'a ArtifactSpec> {
    let boxes = workspace.needed_boxes(topology.machines.iter()).into_iter().flat_map(|spec| &spec.sources);
    let built = boxes.flat_map(BoxSource::artifacts).filter_map(|name| workspace.artifacts.get(name));
    built.chain(topology.step_artifacts()).map(|one| (&one.name, one)).collect()
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
    fn the_same_amount_is_the_same_however_it_is_given() {
        let one = facts(&[running("org.apache.spark.deploy.worker.Worker", "1g", "512M")]);
        let mut other = running("rig.WaitForMaster", "1024m", "524288k");
        other.settings = BTreeMap::from([("SPARK_DAEMON_MEMORY".to_owned(), "1g".to_owned())]);
        other.process.command.extend(["--cores", "1", "--memory", "512m"].map(str::to_owned));
        assert_eq!(one, facts(&[other]));
        let worker: Vec<_> =
            one.roles["worker"].iter().map(|(name, fact)| (name.as_str(), fact.value.as_str())).collect();
        assert_eq!(worker, [("cpu.given", "1"), ("heap.given", "512MiB"), ("heap.java", "1GiB")]);
    }

    #[test]
    fn a_setting_that_differs_is_named_with_its_place() {
        let name = |text: &str| Name::new(text).unwrap();
        let one = (name("naughty"), facts(&[running("a.Worker", "1g", "400m")]));
        let two = (name("immutable"), facts(&[running("a.Worker", "1g", "576m")]));
        let found = differences(&[one, two]);
        let [difference] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(difference.subject(), "heap.given of role worker");
        let stated: Vec<String> = difference.stated.iter().map(ToString::to_string).collect();
        assert_eq!(stated, ["400MiB in naughty (workspace.kdl:40)", "576MiB in immutable (workspace.kdl:40)"]);
    }

    #[test]
    fn beside_a_job_only_what_all_have_is_compared() {
        let mut topologies = ["a", "b"].map(|text| (Name::new(text).unwrap(), TopologyFacts::default())).to_vec();
        let launcher = running("org.apache.spark.launcher.Main", "128m", "1g");
        let executor = |heap| running("org.apache.spark.Executor", heap, "1g");
        add_working(&mut topologies, &[vec![executor("512m"), launcher], vec![executor("400m")]]);
        let found = differences(&topologies);
        let [difference] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(difference.subject(), "heap.Executor of role worker");
    }

    #[test]
    fn only_packages_that_all_have_are_compared() {
        let profile = |packages: &[(&str, &str)]| Profile {
            packages: Some(packages.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect()),
            ..Profile::default()
        };
        let mut topologies = ["a", "b"].map(|text| (Name::new(text).unwrap(), TopologyFacts::default())).to_vec();
        let profiles = [
            vec![profile(&[("jre", "17"), ("ssh", "9")])],
            vec![profile(&[("jre", "17")]), profile(&[("jre", "21"), ("x", "1")])],
        ];
        add_packages(&mut topologies, &profiles);
        keep_common_versions(&mut topologies);
        let values: Vec<_> =
            topologies.iter().map(|(_, facts)| facts.total["version.package-jre"].value.as_str()).collect();
        assert_eq!(values, ["17", "17, 21"]);
        assert!(topologies.iter().all(|(_, facts)| facts.total.len() == 1));
    }
}
