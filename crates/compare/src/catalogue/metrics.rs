//! The rows of the catalogue.

use super::{Better, Metric, Spoken, Unit};
use crate::{
    Question, Scenario,
    fairness::FactKind::{self, Check, Cpu, Data, Engine, Heap, Machines, Memory, Version},
};

/// Everything that makes work faster or slower.
const SPEED: &[FactKind] = &[Version, Heap, Cpu, Memory, Data, Check, Engine, Machines];
/// What decides how many bytes there are; limits do not.
const CONTENT: &[FactKind] = &[Version, Data, Engine, Machines];
/// What decides which files change: the content, and the work that was done.
const WORKED: &[FactKind] = &[Version, Data, Check, Engine, Machines];
/// What decides what runs and listens.
const EXPOSED: &[FactKind] = &[Version, Engine, Machines];
/// What decides how alike two builds are.
const BUILT: &[FactKind] = &[Version, Engine];

/// The unit says what is counted.
const NONE: [&str; 2] = ["", ""];

const fn row(
    id: &'static str,
    title: &'static str,
    unit: Unit,
    question: Question,
    scenario: Scenario,
    needs: &'static [FactKind],
) -> Metric {
    Metric { id, title, unit, better: Better::Lower, question, scenario, needs, spoken: None }
}

impl Metric {
    const fn better(mut self, better: Better) -> Self {
        self.better = better;
        self
    }

    const fn spoken(
        mut self,
        lead: &'static str,
        verb: &'static str,
        noun: [&'static str; 2],
        as_much: &'static str,
    ) -> Self {
        self.spoken = Some(Spoken { lead, verb, noun, as_much });
        self
    }
}

const fn time(id: &'static str, title: &'static str, question: Question, scenario: Scenario) -> Metric {
    row(id, title, Unit::Seconds, question, scenario, SPEED)
}

const fn phase(id: &'static str, title: &'static str) -> Metric {
    time(id, title, Question::Work, Scenario::Up).better(Better::Neither)
}

const fn size(id: &'static str, title: &'static str) -> Metric {
    row(id, title, Unit::Bytes, Question::Cost, Scenario::Size, CONTENT)
}

const fn drift(id: &'static str, title: &'static str) -> Metric {
    row(id, title, Unit::Count, Question::Changed, Scenario::Drift, WORKED)
}

const fn surface(id: &'static str, title: &'static str) -> Metric {
    row(id, title, Unit::Count, Question::Exposed, Scenario::Surface, EXPOSED)
}

const fn flag(id: &'static str, title: &'static str, better: Better) -> Metric {
    row(id, title, Unit::Flag, Question::Exposed, Scenario::Surface, EXPOSED).better(better)
}

/// All metrics, in the order in which reports show them.
pub const ALL: &[Metric] = &[
    time("up.ready", "From nothing to ready", Question::Work, Scenario::Up).spoken(
        "From nothing to ready",
        "took",
        NONE,
        "as long",
    ),
    phase("up.fetch", "of it: fetching"),
    phase("up.build", "of it: building boxes"),
    phase("up.create", "of it: creating machines"),
    phase("up.boot", "of it: booting"),
    phase("up.provision", "of it: provisioning"),
    phase("up.converge", "of it: waiting for services"),
    time("first-job.done", "From nothing to the first job done", Question::Work, Scenario::FirstJob).spoken(
        "Until the first job was done",
        "took",
        NONE,
        "as long",
    ),
    time("first-job.job", "The first job alone", Question::Work, Scenario::FirstJob),
    drift("drift.paths", "Paths that changed while the checks ran").spoken(
        "While the checks ran",
        "changed",
        ["path", "paths"],
        "as many",
    ),
    drift("drift.program", "of these: programs").spoken(
        "Among them",
        "had",
        ["changed program", "changed programs"],
        "as many",
    ),
    drift("drift.configuration", "of these: configuration").spoken(
        "Among them",
        "had",
        ["changed configuration file", "changed configuration files"],
        "as many",
    ),
    drift("drift.state", "of these: declared state"),
    drift("drift.cache", "of these: caches"),
    drift("drift.log", "of these: logs"),
    drift("drift.temporary", "of these: temporary files"),
    drift("drift.from-box", "Paths that are not as in the box"),
    row(
        "idempotence.changes",
        "Changes made by a second run",
        Unit::Count,
        Question::Changed,
        Scenario::Idempotence,
        EXPOSED,
    )
    .spoken("In a second run with nothing to do", "made", ["change", "changes"], "as many"),
    surface("surface.processes", "Processes").better(Better::Neither),
    surface("surface.root-processes", "Processes of the superuser").spoken(
        "While idle",
        "had",
        ["process of the superuser", "processes of the superuser"],
        "as many",
    ),
    surface("surface.listeners", "Listening sockets (TCP)").spoken(
        "On the network",
        "had",
        ["listening socket", "listening sockets"],
        "as many",
    ),
    surface("surface.setuid-files", "Files that lend their owner's rights (setuid, setgid)").spoken(
        "On disk",
        "had",
        ["file that lends its owner's rights", "files that lend their owner's rights"],
        "as many",
    ),
    surface("surface.capabilities-effective", "Capabilities in effect"),
    surface("surface.capabilities-bounding", "Capabilities that can be gained"),
    flag("surface.seccomp", "System calls are filtered (seccomp)", Better::Higher),
    flag("surface.no-new-privileges", "No privileges can be gained (no-new-privs)", Better::Higher),
    flag("surface.writable-root", "The root file system can be written", Better::Lower),
    surface("surface.packages", "Installed packages"),
    surface("surface.shells", "Shells"),
    surface("surface.login-paths", "Ways to log in"),
    size("size.image-bytes", "Images").spoken(
        "On disk before anything runs",
        "needed",
        ["of images", "of images"],
        "as much",
    ),
    size("size.image-unique-bytes", "Images, layers that nothing else uses"),
    size("size.writable-bytes", "Written by the machines themselves").spoken(
        "Once it ran",
        "had",
        ["in writable layers", "in writable layers"],
        "as much",
    ),
    size("size.disk-bytes", "Disk used, all in all"),
    row("cost.memory-peak", "Memory at its peak", Unit::Bytes, Question::Cost, Scenario::Cost, SPEED).spoken(
        "At the peak",
        "used",
        ["of memory", "of memory"],
        "as much",
    ),
    row("cost.cpu", "Processor time", Unit::CpuSeconds, Question::Cost, Scenario::Cost, SPEED).spoken(
        "To come up and do its first job",
        "used",
        NONE,
        "as much",
    ),
    row(
        "cost.received-bytes",
        "Received over the network until ready",
        Unit::Bytes,
        Question::Cost,
        Scenario::Cost,
        CONTENT,
    ),
    time("restart.kill-ready", "Killed, until ready again", Question::Breaks, Scenario::Restart).spoken(
        "After a kill, until ready again",
        "took",
        NONE,
        "as long",
    ),
    time("restart.stop-ready", "Stopped and started, until ready again", Question::Breaks, Scenario::Restart),
    time("replace.whole", "A node killed, until whole again", Question::Breaks, Scenario::Replace).spoken(
        "With one node lost, until whole again",
        "took",
        NONE,
        "as long",
    ),
    time("change.rolled-out", "A new setting, until every machine runs with it", Question::Change, Scenario::Change)
        .spoken("Until a new setting was in force everywhere", "took", NONE, "as long"),
    row(
        "change.machines-replaced",
        "Machines replaced for a new setting",
        Unit::Count,
        Question::Change,
        Scenario::Change,
        &[FactKind::Machines],
    )
    .better(Better::Neither),
    time("scale-out.registered", "One node more, until it has registered", Question::Change, Scenario::ScaleOut)
        .spoken("Until one more node had registered", "took", NONE, "as long"),
    time("destroy.done", "Until everything is gone", Question::Change, Scenario::Destroy),
    row(
        "reproducibility.grade",
        "What two builds have in common",
        Unit::Grade,
        Question::Again,
        Scenario::Reproducibility,
        BUILT,
    )
    .better(Better::Higher)
    .spoken("Built twice", "gave", NONE, ""),
];
