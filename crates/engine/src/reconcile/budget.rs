//! Whether the machines fit into what they run on, before anything starts.

use crate::{Engines, PlanError};
use rig_model::{Bytes, EngineFacts, MachineId, MachineSpec, MilliCpus, Observed, PlanNote, ProviderId, Workspace};

/// Compares the limits of all machines that will run with what their engines have. Memory above is refused; processors
/// above are shared, which is a remark. Engines of this host share its memory.
///
/// # Errors
/// When the memory limits together exceed the memory that is there.
pub fn check_budget(
    workspace: &Workspace,
    observed: &Observed,
    selected: &dyn Fn(&MachineId) -> bool,
    engines: &Engines,
) -> Result<Vec<PlanNote>, PlanError> {
    let runs = |machine: &&MachineSpec| {
        selected(&machine.id) || observed.machines.iter().any(|seen| seen.id == machine.id && seen.state.is_running())
    };
    let (here, elsewhere): (Vec<_>, Vec<_>) = engines.iter().partition(|(_, engine)| engine.local);
    let mut hosts: Vec<Vec<(&ProviderId, &EngineFacts)>> = elsewhere.into_iter().map(|engine| vec![engine]).collect();
    hosts.insert(0, here);
    let mut notes = Vec::new();
    for host in hosts {
        let machines = workspace.machines().filter(runs);
        let machines = machines.filter(|machine| host.iter().any(|(provider, _)| **provider == machine.provider));
        notes.extend(fits(&machines.collect::<Vec<_>>(), host.iter().map(|(_, engine)| *engine))?);
    }
    Ok(notes)
}

/// The same for the machines of one host, which its engines may see differently: the least that one of them sees counts.
fn fits<'a>(
    machines: &[&MachineSpec],
    engines: impl Iterator<Item = &'a EngineFacts> + Clone,
) -> Result<Option<PlanNote>, PlanError> {
    let (Some(available), Some(processors)) =
        (engines.clone().map(|engine| engine.memory).min(), engines.map(|engine| engine.cpus).min())
    else {
        return Ok(None);
    };
    let memory: Vec<(MachineId, Bytes)> =
        machines.iter().filter_map(|machine| Some((machine.id.clone(), machine.limits.memory?))).collect();
    let wanted = Bytes(memory.iter().fold(0, |sum, (_, memory)| sum.saturating_add(memory.0)));
    if wanted > available {
        return Err(PlanError::MemoryBudget { wanted, available, machines: memory });
    }
    let cpus = MilliCpus(
        machines.iter().filter_map(|machine| machine.limits.cpus).fold(0, |sum, cpus| sum.saturating_add(cpus.0)),
    );
    Ok((cpus > processors).then(|| PlanNote {
        text: format!("the machines may use {cpus} processors, the engine has {processors}: they will share"),
        hint: None,
        origin: None,
    }))
}
