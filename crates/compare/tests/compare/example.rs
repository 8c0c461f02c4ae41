//! A comparison as the root workspace gives one: the magnitudes are those of prototypes of both idioms.

use rig_compare::{
    Caches, Compared, Comparison, Detail, Host, Measured, Plan, Run, RunOutcome, Scenario, catalogue,
    fairness::{Fact, TopologyFacts, differences},
};
use rig_model::{Bytes, Idiom, MilliCpus, Name};
use std::collections::BTreeMap;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The same noise in every test, run and topology apart: within 5 % of 1.
fn noise(number: u32, salt: u32) -> f64 {
    let mixed = (number * 7919 + salt * 104_729) % 101;
    1.0 + (f64::from(mixed) - 50.0) / 1000.0
}

/// The medians of a topology: metric and value.
type Figures = &'static [(&'static str, f64)];

const NAUGHTY: Figures = &[
    ("up.ready", 51.7),
    ("up.create", 0.4),
    ("up.boot", 1.4),
    ("up.provision", 46.1),
    ("up.converge", 3.6),
    ("first-job.done", 66.9),
    ("first-job.job", 15.3),
    ("scale-out.registered", 31.0),
    ("replace.whole", 44.0),
    ("restart.stop-ready", 21.8),
    ("restart.kill-ready", 23.5),
    ("change.rolled-out", 12.4),
    ("change.machines-replaced", 0.0),
    ("destroy.done", 1.9),
    ("size.image-bytes", 240e6),
    ("size.image-unique-bytes", 110e6),
    ("size.writable-bytes", 2.36e9),
    ("size.disk-bytes", 2.6e9),
    ("drift.from-box", 6204.0),
    ("drift.paths", 1908.0),
    ("drift.program", 1641.0),
    ("drift.configuration", 87.0),
    ("drift.state", 12.0),
    ("drift.cache", 96.0),
    ("drift.log", 31.0),
    ("drift.temporary", 41.0),
    ("idempotence.changes", 0.0),
    ("reproducibility.grade", 2.0),
    ("surface.processes", 14.0),
    ("surface.root-processes", 8.0),
    ("surface.listeners", 9.0),
    ("surface.setuid-files", 11.0),
    ("surface.capabilities-effective", 14.0),
    ("surface.capabilities-bounding", 14.0),
    ("surface.seccomp", 1.0),
    ("surface.no-new-privileges", 0.0),
    ("surface.writable-root", 1.0),
    ("surface.packages", 231.0),
    ("surface.shells", 3.0),
    ("surface.login-paths", 4.0),
    ("cost.memory-peak", 2.1e9),
    ("cost.cpu", 71.0),
    ("cost.received-bytes", 412e6),
];

const IMMUTABLE: Figures = &[
    ("up.ready", 13.9),
    ("up.create", 0.5),
    ("up.boot", 4.0),
    ("up.provision", 0.0),
    ("up.converge", 9.3),
    ("first-job.done", 24.5),
    ("first-job.job", 10.5),
    ("scale-out.registered", 4.6),
    ("replace.whole", 6.6),
    ("restart.stop-ready", 6.2),
    ("restart.kill-ready", 6.6),
    ("change.rolled-out", 12.2),
    ("change.machines-replaced", 3.0),
    ("destroy.done", 1.8),
    ("size.image-bytes", 774e6),
    ("size.image-unique-bytes", 520e6),
    ("size.writable-bytes", 0.0),
    ("size.disk-bytes", 774e6),
    ("drift.from-box", 0.0),
    ("drift.paths", 0.0),
    ("drift.program", 0.0),
    ("drift.configuration", 0.0),
    ("drift.state", 0.0),
    ("drift.cache", 0.0),
    ("drift.log", 0.0),
    ("drift.temporary", 0.0),
    ("idempotence.changes", 0.0),
    ("reproducibility.grade", 3.0),
    ("surface.processes", 6.0),
    ("surface.root-processes", 0.0),
    ("surface.listeners", 6.0),
    ("surface.setuid-files", 7.0),
    ("surface.capabilities-effective", 0.0),
    ("surface.capabilities-bounding", 0.0),
    ("surface.seccomp", 1.0),
    ("surface.no-new-privileges", 1.0),
    ("surface.writable-root", 0.0),
    ("surface.packages", 188.0),
    ("surface.shells", 2.0),
    ("surface.login-paths", 0.0),
    ("cost.memory-peak", 1.9e9),
    ("cost.cpu", 48.0),
];

/// What varies from run to run.
fn varies(metric: &str) -> bool {
    let unit = catalogue::find(metric).unwrap().unit;
    matches!(unit, catalogue::Unit::Seconds | catalogue::Unit::CpuSeconds)
        || ["cost.memory-peak", "size.writable-bytes", "size.disk-bytes"].contains(&metric)
        || metric.starts_with("drift.")
}

fn details(metric: &str, topology: usize) -> Vec<Detail> {
    let classed =
        |class: &str, paths: &[&str]| paths.iter().map(|path| Detail::of_class(*path, class)).collect::<Vec<_>>();
    match (metric, topology) {
        ("drift.paths", 0) => {
            let mut all: Vec<Detail> =
                (1..300).map(|n| Detail::of_class(format!("/opt/spark/jars/jar-{n:03}.jar"), "program")).collect();
            all.extend((1..40).map(|n| Detail::of_class(format!("/usr/lib/jvm/java-17/lib/part-{n}.so"), "program")));
            all.extend(classed(
                "configuration",
                &["/etc/hosts", "/etc/ssh/sshd_config", "/opt/spark/conf/spark-env.sh"],
            ));
            all.extend(classed(
                "log",
                &["/var/log/apt/history.log", "/var/log/dpkg.log", "/opt/spark/logs/master.out"],
            ));
            all.extend(classed("cache", &["/var/cache/apt/pkgcache.bin", "/var/lib/apt/lists/<deb> & \"more\""]));
            all.extend(classed("temporary", &["/tmp/hsperfdata_root/412"]));
            all
        }
        ("surface.listeners", 0) => ["0.0.0.0:22 sshd", "10.89.229.2:7077 java", "0.0.0.0:8080 java"]
            .map(|text| Detail::of_class(text, "scale1"))
            .to_vec(),
        ("surface.listeners", _) => ["10.89.15.2:7077 java", "0.0.0.0:8080 java"].map(Detail::new).to_vec(),
        ("surface.root-processes", 0) => ["/sbin/init", "sshd: /usr/sbin/sshd -D"].map(Detail::new).to_vec(),
        _ => Vec::new(),
    }
}

fn values(topology: usize, scenario: Scenario, number: u32) -> Vec<Measured> {
    let figures = if topology.is_multiple_of(2) { NAUGHTY } else { IMMUTABLE };
    let own = u32::try_from(topology).unwrap();
    let mut values: Vec<Measured> = Vec::new();
    for (position, (id, median)) in figures.iter().enumerate() {
        let metric = catalogue::find(id).unwrap();
        if metric.scenario != scenario {
            continue;
        }
        let salt = u32::try_from(position).unwrap() * 31 + own * 17;
        let factor = if varies(id) { noise(number, salt) } else { 1.0 };
        let value = match metric.unit {
            catalogue::Unit::Seconds | catalogue::Unit::CpuSeconds => (median * factor * 1000.0).round() / 1000.0,
            _ => (median * factor).round(),
        };
        values.push(Measured::value(metric, value).with_details(details(id, topology)));
    }
    if scenario == Scenario::Cost && topology % 2 == 1 {
        let metric = catalogue::find("cost.received-bytes").unwrap();
        values.push(Measured::missing(metric, "the engine counts no traffic of builds"));
    }
    values
}

fn facts(heap: &str, line: u32) -> TopologyFacts {
    let worker = BTreeMap::from([
        ("version.spark".to_owned(), Fact::new("3.5.8", Some(format!("workspace.kdl:{line}")))),
        ("heap.executor".to_owned(), Fact::new(heap, Some(format!("workspace.kdl:{}", line + 4)))),
    ]);
    TopologyFacts {
        total: BTreeMap::from([("engine".to_owned(), Fact::new("Docker 28.5.2", None))]),
        roles: BTreeMap::from([("worker".to_owned(), worker)]),
    }
}

/// A comparison of these topologies without any run; `heap` differs from 512m when the topologies are not to be equal.
pub(crate) fn planned(names: &[&str], runs: u32, heap: &str) -> Comparison {
    let facts: Vec<(Name, TopologyFacts)> = names
        .iter()
        .enumerate()
        .map(|(index, text)| (name(text), facts(if index == 1 { heap } else { "512m" }, 20 + 30 * index as u32)))
        .collect();
    Comparison {
        workspace: name("spark-cassandra"),
        topologies: names
            .iter()
            .enumerate()
            .map(|(index, text)| Compared {
                name: name(text),
                idiom: if index % 2 == 0 { Idiom::Mutable } else { Idiom::Immutable },
            })
            .collect(),
        scenarios: Scenario::ALL.to_vec(),
        caches: Caches::Warm,
        seed: 20_261_121,
        planned_runs: runs,
        host: Host {
            engine: "Docker 28.5.2".to_owned(),
            storage_driver: "overlay2".to_owned(),
            cpus: MilliCpus(2000),
            memory: Bytes(24 << 30),
            os: "Debian GNU/Linux 12, linux/amd64".to_owned(),
            rig: "0.1.0".to_owned(),
        },
        started: "2026-11-21T12:00:00Z".parse().unwrap(),
        updated: "2026-11-21T12:38:20Z".parse().unwrap(),
        subject: rig_model::Digest::of(heap.as_bytes()),
        fairness: differences(&facts),
        runs: Vec::new(),
    }
}

/// The same with all of its runs.
pub(crate) fn finished(names: &[&str], runs: u32, heap: &str) -> Comparison {
    let mut comparison = planned(names, runs, heap);
    for slot in Plan::of(&comparison).slots() {
        let topology = names.iter().position(|text| *text == slot.topology.as_str()).unwrap();
        comparison.runs.extend(slot.scenarios.iter().map(|scenario| Run {
            topology: slot.topology.clone(),
            scenario: *scenario,
            number: slot.number,
            started: comparison.started,
            seconds: 20.0 + topology as f64,
            outcome: RunOutcome::Measured { values: values(topology, *scenario, slot.number) },
        }));
    }
    comparison
}

/// Makes a run fail.
pub(crate) fn fail(comparison: &mut Comparison, topology: &str, scenario: Scenario, number: u32, why: &str) {
    let run = comparison
        .runs
        .iter_mut()
        .find(|run| run.topology.as_str() == topology && run.scenario == scenario && run.number == number);
    run.unwrap().outcome = RunOutcome::Failed { why: why.to_owned() };
}

/// Puts another reading in the place of a metric's.
pub(crate) fn set(comparison: &mut Comparison, topology: &str, metric: &str, reading: impl Fn(u32) -> Measured) {
    for run in comparison.runs.iter_mut().filter(|run| run.topology.as_str() == topology) {
        let number = run.number;
        if let RunOutcome::Measured { values } = &mut run.outcome {
            for value in values.iter_mut().filter(|value| value.metric == metric) {
                *value = reading(number);
            }
        }
    }
}

/// Two topologies, five runs, two of which failed, some gaps, everything fair.
pub(crate) fn realistic() -> Comparison {
    with_trouble("512m")
}

/// The same with another heap in one topology.
pub(crate) fn unfair() -> Comparison {
    with_trouble("1g")
}

fn with_trouble(heap: &str) -> Comparison {
    let mut comparison = finished(&["naughty", "immutable"], 5, heap);
    fail(&mut comparison, "naughty", Scenario::Replace, 2, "scale2 did not register within 120 s: connection refused");
    fail(&mut comparison, "naughty", Scenario::Replace, 4, "scale2 did not register within 120 s: connection refused");
    for number in 1..=5 {
        let why = "check pi failed: exit code 1; stderr: <OutOfMemoryError> & friends";
        fail(&mut comparison, "immutable", Scenario::ScaleOut, number, why);
    }
    comparison
}
