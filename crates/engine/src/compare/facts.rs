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
use rig_provider_api::{Context, Provider};
use std::collections::BTreeMap;

/// How many machines are looked into at the same time.
pub(super) const AT_ONCE: usize = 8;

/// What was found in the machines of a topology that had just become ready.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// What each machine exposes, by its name.
    pub(super) profiles: Vec<(String, Profile)>,
    /// The Java programs with their settings.
    pub(super) running: Vec<Running>,
}

/// Looks into machines.
pub(super) async fn look(
    cx: &Context,
    provider: &dyn Provider,
    access: &Access,
    machines: &[&MachineSpec],
) -> Result<Found, EngineError> {
    let each = machines.iter().map(|machine| async move {
        let profile = exposure::look(cx, provider, access, machine).await?;
        let java: Vec<&Process> =
            profile.processes.iter().filter(|process| process.main_class().is_some()).collect();
        let mut running = Vec::new();
        if !java.is_empty() {
            let inside = Inside::enter(cx, provider, access, machine).await?;
            for process in java {
                running.push(Running {
                    role: role(machine),
                    origin: machine.origin.to_string(),
                    settings: settings(cx, &inside, process).await?,
                    process: process.clone(),
                });
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

/// The variables of a process that say how much it may use. Only its own user may read them: root in a container has no right
/// to look into the processes of others.
async fn settings(
    cx: &Context,
    inside: &Inside<'_>,
    process: &Process,
) -> Result<BTreeMap<String, String>, EngineError> {
    let ends: Vec<&str> = SETTINGS.iter().map(|(end, _)| *end).collect();
    let program = format!(
        "tr '\\0' '\\n' 2>/dev/null </proc/{}/environ | grep -E '^[A-Za-z_][A-Za-z0-9_]*({})='",
        process.pid,
        ends.join("|")
    );
    let user = format!("{}:{}", process.uid, process.gid);
    let output = inside.run_as(cx, &user, &program, Bytes::new()).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
}
