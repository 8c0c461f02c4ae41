//! What of a machine can be reached, and what it may do: a profile, never one score.

mod capability;
mod parse;

pub use capability::capability;
pub use parse::{FORMAT, profile};

use crate::{Detail, Measured, Scenario, catalogue};
use std::collections::{BTreeMap, BTreeSet};

/// How many parts of a number are kept with it: more than a person reads, and a report stays small.
pub const DETAILS: usize = 400;

/// A process of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number in the machine.
    pub pid: u32,
    /// The user it runs as.
    pub uid: u32,
    /// The group it runs as.
    pub gid: u32,
    /// The kernel's name for it, 15 bytes at most.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Capabilities in effect, one bit each.
    pub effective: u64,
    /// Capabilities that it or what it starts can gain.
    pub bounding: u64,
    /// Whether no program that it starts gains privileges.
    pub no_new_privileges: bool,
    /// Whether its system calls are filtered.
    pub seccomp: bool,
}

/// What a machine exposes at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// What runs.
    pub processes: Vec<Process>,
    /// Where somebody listens: `tcp address:port`.
    pub listeners: BTreeSet<String>,
    /// Files that lend their owner's or group's rights to who runs them; nothing where they cannot be searched for.
    pub setuid: Option<BTreeSet<String>>,
    /// Versions of installed packages by name; nothing where no package manager answers.
    pub packages: Option<BTreeMap<String, String>>,
    /// Shells.
    pub shells: BTreeSet<String>,
    /// Ways to log in.
    pub logins: BTreeSet<String>,
    /// Whether the root file system can be written; nothing where the kernel does not say.
    pub writable_root: Option<bool>,
}

/// A number with what it is made of, or why there is none.
type Found = Result<(f64, Vec<Detail>), &'static str>;

/// The values of the scenario of a topology whose machines have these profiles, by name. What is counted is summed for what
/// each machine has for itself (processes, listeners), and taken once for what is the same file everywhere.
#[must_use]
pub fn values(machines: &[(String, Profile)]) -> Vec<Measured> {
    let each = |wanted: &dyn Fn(&Profile) -> Vec<String>| -> Vec<Detail> {
        machines
            .iter()
            .flat_map(|(machine, profile)| wanted(profile).into_iter().map(move |text| Detail::of_class(text, machine)))
            .collect()
    };
    let once = |wanted: &dyn Fn(&Profile) -> Vec<String>| -> Vec<Detail> {
        let all: BTreeSet<String> = machines.iter().flat_map(|(_, profile)| wanted(profile)).collect();
        all.into_iter().map(Detail::new).collect()
    };
    let command = |process: &Process| format!("{} {}", process.uid, said(process));
    let bits = |of: &dyn Fn(&Process) -> u64| -> Vec<Detail> {
        let all = machines.iter().flat_map(|(_, profile)| &profile.processes).fold(0, |all, process| all | of(process));
        (0..u64::BITS).filter(|bit| all & (1 << bit) != 0).map(|bit| Detail::new(capability(bit))).collect()
    };
    let every = |holds: &dyn Fn(&Process) -> bool| {
        let without = each(&|profile| profile.processes.iter().filter(|one| !holds(one)).map(command).collect());
        (f64::from(u8::from(without.is_empty())), without)
    };
    let owned = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    let writable: Option<Vec<bool>> = machines.iter().map(|(_, profile)| profile.writable_root).collect();
    let packages = machines.iter().all(|(_, profile)| profile.packages.is_some()).then(|| {
        once(&|profile| profile.packages.iter().flatten().map(|(name, version)| format!("{name} {version}")).collect())
    });
    let setuid = machines
        .iter()
        .all(|(_, profile)| profile.setuid.is_some())
        .then(|| once(&|profile| profile.setuid.iter().flatten().cloned().collect()));
    let counted = |details: Vec<Detail>| Ok((details.len() as f64, details));
    let flag = |(value, details)| Ok((value, details));
    let found: [(&str, Found); 12] = [
        ("surface.processes", counted(each(&|profile| profile.processes.iter().map(command).collect()))),
        (
            "surface.root-processes",
            counted(each(&|profile| profile.processes.iter().filter(|one| one.uid == 0).map(command).collect())),
        ),
        ("surface.listeners", counted(each(&|profile| owned(&profile.listeners)))),
        ("surface.setuid-files", setuid.map_or(Err("it has no find that knows modes"), counted)),
        ("surface.capabilities-effective", counted(bits(&|process| process.effective))),
        ("surface.capabilities-bounding", counted(bits(&|process| process.bounding))),
        ("surface.seccomp", flag(every(&|process| process.seccomp))),
        ("surface.no-new-privileges", flag(every(&|process| process.no_new_privileges))),
        (
            "surface.writable-root",
            writable
                .map(|all| (f64::from(u8::from(all.contains(&true))), Vec::new()))
                .ok_or("the kernel does not say how / is mounted"),
        ),
        ("surface.packages", packages.map_or(Err("no package manager answered"), counted)),
        ("surface.shells", counted(once(&|profile| owned(&profile.shells)))),
        ("surface.login-paths", counted(each(&|profile| owned(&profile.logins)))),
    ];
    debug_assert_eq!(found.len(), catalogue::ALL.iter().filter(|metric| metric.scenario == Scenario::Surface).count());
    found
        .into_iter()
        .filter_map(|(id, found)| {
            let metric = catalogue::find(id)?;
            Some(match found {
                Ok((value, mut details)) => {
                    details.truncate(DETAILS);
                    Measured::value(metric, value).with_details(details)
                }
                Err(why) => Measured::missing(metric, why),
            })
        })
        .collect()
}

/// What a process is, in words; of a Java program its main class. Arguments may hold secrets, and reports go to others.
fn said(process: &Process) -> String {
    process.main_class().map_or_else(|| process.name.clone(), |class| format!("java {class}"))
}

impl Process {
    /// The main class of a Java program, or its jar.
    #[must_use]
    pub fn main_class(&self) -> Option<&str> {
        let (program, arguments) = self.command.split_first()?;
        if program.rsplit('/').next() != Some("java") {
            return None;
        }
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            match argument {
                "-jar" => return arguments.next(),
                "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path" | "--add-modules" | "--add-exports"
                | "--add-opens" => _ = arguments.next(),
                option if option.starts_with('-') || option.starts_with('@') => {}
                class => return Some(class),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reading;

    fn process(command: &str) -> Process {
        let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let name = command[0].rsplit('/').next().unwrap_or_default().to_owned();
        Process { name, command, seccomp: true, ..Process::default() }
    }

    #[test]
    fn java_programs_are_known_by_their_class() {
        let class = |command: &str| process(command).main_class().map(str::to_owned);
        assert_eq!(
            class(
                "/usr/lib/jvm/bin/java -cp /a:/b -Xmx1g --add-opens java.base/x=ALL org.apache.spark.Worker --port 1"
            ),
            Some("org.apache.spark.Worker".to_owned())
        );
        assert_eq!(class("java -jar /opt/app.jar x"), Some("/opt/app.jar".to_owned()));
        assert_eq!(class("/usr/sbin/sshd -D"), None);
        assert_eq!(class("java"), None);
    }

    #[test]
    fn every_metric_of_the_scenario_has_a_value() {
        let mut root = process("/usr/sbin/sshd -D");
        root.effective = 0b101;
        let java = Process { uid: 185, no_new_privileges: true, ..process("java -cp x org.Main") };
        let one = Profile {
            processes: vec![root, java.clone()],
            listeners: BTreeSet::from(["tcp 0.0.0.0:22".to_owned()]),
            shells: BTreeSet::from(["/usr/bin/dash".to_owned()]),
            writable_root: Some(true),
            ..Profile::default()
        };
        let two = Profile { processes: vec![java], packages: Some(BTreeMap::new()), ..one.clone() };
        let values = values(&[("a1".to_owned(), one), ("a2".to_owned(), two)]);
        let of = |id: &str| values.iter().find(|value| value.metric == id).unwrap();
        let number = |id: &str| match of(id).reading {
            Reading::Value(value) => value,
            Reading::Missing(ref why) => panic!("{id}: {why}"),
        };
        let wanted: BTreeSet<&str> = catalogue::ALL
            .iter()
            .filter(|metric| metric.scenario == Scenario::Surface)
            .map(|metric| metric.id)
            .collect();
        assert_eq!(values.iter().map(|value| value.metric.as_str()).collect::<BTreeSet<_>>(), wanted);
        assert_eq!((number("surface.processes"), number("surface.root-processes")), (3.0, 1.0));
        assert_eq!((number("surface.listeners"), number("surface.shells")), (2.0, 1.0));
        assert_eq!(of("surface.capabilities-effective").details, ["CAP_CHOWN", "CAP_DAC_READ_SEARCH"].map(Detail::new));
        assert_eq!((number("surface.seccomp"), number("surface.no-new-privileges")), (1.0, 0.0));
        assert_eq!(of("surface.no-new-privileges").details, [Detail::of_class("0 sshd", "a1")]);
        assert!(matches!(of("surface.packages").reading, Reading::Missing(_)));
    }
}
