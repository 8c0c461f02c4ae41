//! Whether the machines fit into the engine, before anything starts.

use crate::PlanError;
use rig_model::{Bytes, EngineFacts, MachineId, MachineSpec, MilliCpus, Observed, PlanNote, Workspace};

/// Compares the limits of all machines that will run with what the engine has. Memory above is refused; processors
/// above are shared, which is a remark.
///
/// # Errors
/// When the memory limits together exceed the engine's memory.
pub fn check_budget(
    workspace: &Workspace,
    observed: &Observed,
    selected: &dyn Fn(&MachineId) -> bool,
    engine: &EngineFacts,
) -> Result<Option<PlanNote>, PlanError> {
    let runs = |machine: &&MachineSpec| {
        selected(&machine.id) || observed.machines.iter().any(|seen| seen.id == machine.id && seen.state.is_running())
    };
    let machines: Vec<&MachineSpec> = workspace.machines().filter(runs).collect();
    let memory: Vec<(MachineId, Bytes)> =
        machines.iter().filter_map(|machine| Some((machine.id.clone(), machine.limits.memory?))).collect();
    let wanted = Bytes(memory.iter().fold(0, |sum, (_, memory)| sum.saturating_add(memory.0)));
    if wanted > engine.memory {
        return Err(PlanError::MemoryBudget { wanted, available: engine.memory, machines: memory });
    }
    let cpus = MilliCpus(
        machines.iter().filter_map(|machine| machine.limits.cpus).fold(0, |sum, cpus| sum.saturating_add(cpus.0)),
    );
    Ok((cpus > engine.cpus).then(|| PlanNote {
        text: format!("the machines may use {cpus} processors, the engine has {}: they will share", engine.cpus),
        hint: None,
        origin: None,
    }))
}
