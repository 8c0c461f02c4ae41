//! What runs in the machines of a topology, for the fairness guard.

use super::exposure;
use crate::{Access, EngineError, drift::Inside};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rig_compare::{
    facts::{Running, SETTINGS, role},
    surface::{Process, Profile},
};
use rig_model::MachineSpec;
use rig_provider_api::Context;
use rig_ssh::quote;
use std::{collections::BTreeMap, time::Duration};

/// How many machines are looked into at the same time.
pub(super) const AT_ONCE: usize = 8;

/// The variables that the virtual machine takes options from.
const OPTIONS: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

/// How long after its begin it is looked what runs beside a job. After each look it is waited twice as long as before: what a
/// job runs stays until its end, and looking takes time from it.
const WATCH: Duration = Duration::from_millis(700);

/// The longest time between two looks.
const SELDOM: Duration = Duration::from_secs(6);

/// What was found in the machines of a topology that had just become ready.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// What each machine exposes, by its name.
    pub(super) profiles: Vec<(String, Profile)>,
    /// The Java programs with their settings.
    pub(super) running: Vec<Running>,
    /// The Java programs that ran while the first job did, once each; nothing when nobody has looked.
    pub(super) working: Option<Vec<Running>>,
}

/// Looks into machines.
pub(super) async fn look(cx: &Context, access: &Access, machines: &[&MachineSpec]) -> Result<Found, EngineError> {
    let each = machines.iter().map(|machine| async move {
        let profile = exposure::look(cx, access, machine).await?;
        let java: Vec<&Process> = profile.processes.iter().filter(|process| process.main_class().is_some()).collect();
        let mut running = Vec::new();
        if !java.is_empty() {
            let inside = Inside::enter(cx, access, machine).await?;
            for process in java {
                let (settings, arguments) = given(cx, &inside, process).await?;
                let mut process = process.clone();
                process.command.extend(arguments);
                running.push(Running { role: role(machine), origin: machine.origin.to_string(), settings, process });
            }
        }
        Ok::<_, EngineError>((machine.id.machine.to_string(), profile, running))
    });
    let all: Vec<_> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
    let mut found = Found::default();
    for (name, profile, running) in all {
        found.profiles.push((name, profile));
        found.running.extend(running);
    }
    Ok(found)
}

/// Looks which Java programs run in machines until something has ended: executors are there only while a job is.
pub(super) async fn watch<T>(
    cx: &Context,
    access: &Access,
    machines: &[&MachineSpec],
    until: impl Future<Output = T>,
) -> (T, Vec<Running>) {
    let mut seen: Vec<Running> = Vec::new();
    let mut pause = WATCH;
    let watch = async {
        loop {
            tokio::time::sleep(pause).await;
            let each = machines.iter().map(|machine| async move {
                // A machine that cannot be asked just now is asked again.
                let processes = exposure::processes(cx, access, machine).await.unwrap_or_default();
                let java = processes.into_iter().filter(|process| process.main_class().is_some());
                let running = |process| Running {
                    role: role(machine),
                    origin: machine.origin.to_string(),
                    process,
                    settings: BTreeMap::new(),
                };
                java.map(running).collect::<Vec<_>>()
            });
            for running in futures_util::future::join_all(each).await.into_iter().flatten() {
                let same =
                    |known: &Running| known.role == running.role && known.process.command == running.process.command;
                if !seen.iter().any(same) {
                    seen.push(running);
                }
            }
            pause = (pause * 2).min(SELDOM);
        }
    };
    let result = tokio::select! {
        result = until => result,
        () = watch => unreachable!("it watches until it is dropped"),
    };
    (result, seen)
}

/// The variables of a process that say how much it may use, and the arguments that it reads from files (`@/opt/app/options`,
/// as the virtual machine takes them). Only its own user may read the variables: root in a container has no right to look
/// into the processes of others.
async fn given(
    cx: &Context,
    inside: &Inside<'_>,
    process: &Process,
) -> Result<(BTreeMap<String, String>, Vec<String>), EngineError> {
    let ends: Vec<&str> = SETTINGS.iter().map(|(end, _)| *end).collect();
    let mut program = format!(
        "tr '\\0' '\\n' 2>/dev/null </proc/{}/environ | grep -E '^([A-Za-z0-9_]*({})|{})='; printf '\\0'",
        process.pid,
        ends.join("|"),
        OPTIONS.join("|")
    );
    let files = process.command.iter().filter_map(|word| word.strip_prefix('@')).filter(|path| path.starts_with('/'));
    for path in files {
        program.push_str(&format!("; cat {} 2>/dev/null", quote(path)));
    }
    let user = format!("{}:{}", process.uid, process.gid);
    let output = inside.run_as(cx, &user, &program, Bytes::new()).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (settings, arguments) = text.split_once('\0').unwrap_or((&text, ""));
    let set = settings.lines().filter_map(|line| line.split_once('='));
    let (options, settings): (Vec<_>, Vec<_>) = set.partition(|(name, _)| OPTIONS.contains(name));
    let arguments = arguments.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = options.into_iter().map(|(_, words)| words).chain(arguments);
    Ok((
        settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        words.flat_map(str::split_whitespace).map(str::to_owned).collect(),
    ))
}
