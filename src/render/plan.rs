//! Plans for people: one line for each machine and thing that changes, with the cause.

use super::{style::Paint, ui::Ui};
use rig_model::{Action, Cause, MachineId, Operation, Plan, ProviderId};
use std::collections::{BTreeMap, BTreeSet};

/// Prints a plan in the form that the user asked for.
pub(crate) fn print(ui: &Ui, plan: &Plan) {
    if ui.is_json() {
        ui.document("rig.plan/1", plan);
        return;
    }
    for line in lines(plan) {
        ui.result(line);
    }
    for note in &plan.notes {
        ui.result(Paint::Warn.paint(format!("note: {}", note.text)));
        if let Some(hint) = &note.hint {
            ui.result(format!("      {hint}"));
        }
    }
}

fn lines(plan: &Plan) -> Vec<String> {
    if plan.operations.is_empty() {
        return vec!["nothing to do: everything is as the file says".to_owned()];
    }
    let mut lines = Vec::new();
    let providers: BTreeSet<&ProviderId> = plan.operations.iter().filter_map(|one| one.provider.as_ref()).collect();
    let several = providers.len() > 1;
    let mut machines: BTreeMap<&MachineId, Vec<&Operation>> = BTreeMap::new();
    for operation in &plan.operations {
        match operation.action.machine() {
            Some(machine) if !is_thing(&operation.action) => {
                machines.entry(machine).or_default().push(operation);
            }
            _ => lines.push(thing(operation, several)),
        }
    }
    for (machine, operations) in machines {
        lines.extend(machine_lines(machine, &operations));
    }
    lines.push(format!("{} operations", plan.operations.len()));
    lines
}

/// Whether what is done to a machine has a line of its own.
fn is_thing(action: &Action) -> bool {
    matches!(action, Action::RemoveVolume { .. } | Action::SaveSnapshot { .. } | Action::DeleteSnapshot { .. })
}

/// Boxes, artifacts, networks, volumes, snapshots. Of `several` providers each may have a network or a box of the same name.
fn thing(operation: &Operation, several: bool) -> String {
    let sign = match operation.action {
        Action::RemoveNetwork { .. } | Action::RemoveVolume { .. } | Action::DeleteSnapshot { .. } => {
            Paint::Remove.paint("-")
        }
        _ => Paint::Create.paint("+"),
    };
    let cause = Paint::Faint.paint(format!("({})", operation.cause));
    let home = operation.provider.as_ref().filter(|_| several);
    let home = home.map(|provider| format!(" of {provider}")).unwrap_or_default();
    format!("{sign} {}{home} {cause}", operation.action)
}

fn machine_lines(machine: &MachineId, operations: &[&Operation]) -> Vec<String> {
    let has = |wanted: fn(&Action) -> bool| operations.iter().any(|operation| wanted(&operation.action));
    let created = has(|action| matches!(action, Action::CreateMachine { .. }));
    let destroyed = has(|action| matches!(action, Action::DestroyMachine { .. }));
    let started = has(|action| matches!(action, Action::StartMachine { .. }));
    let stopped = has(|action| matches!(action, Action::StopMachine { .. }));
    let suspended = has(|action| matches!(action, Action::SuspendMachine { .. }));
    let resumed = has(|action| matches!(action, Action::ResumeMachine { .. }));
    let restored = has(|action| matches!(action, Action::RestoreSnapshot { .. }));
    let (sign, verb) = match (created, destroyed, started, stopped) {
        (true, true, ..) => (Paint::Change.paint("±"), "replace"),
        (true, false, ..) => (Paint::Create.paint("+"), "create"),
        (false, true, ..) => (Paint::Remove.paint("-"), "destroy"),
        _ if restored => (Paint::Change.paint("±"), "restore"),
        (_, _, true, true) => (Paint::Change.paint("~"), "restart"),
        (_, _, true, false) => (Paint::Create.paint("+"), "start"),
        (_, _, false, true) => (Paint::Remove.paint("-"), "stop"),
        _ if suspended => (Paint::Remove.paint("-"), "suspend"),
        _ if resumed => (Paint::Create.paint("+"), "resume"),
        _ if has(|action| matches!(action, Action::Provision { .. })) => (Paint::Change.paint("~"), "provision"),
        _ => (Paint::Change.paint("~"), "await"),
    };
    let cause = operations.first().map(|operation| &operation.cause);
    let mut lines = Vec::new();
    match cause {
        // Each step has its own cause, which says more.
        Some(Cause::NeededBy { .. }) => lines.push(format!("{sign} {verb} machine {machine}")),
        Some(Cause::Changed { changes }) => {
            lines.push(format!("{sign} {verb} machine {machine}"));
            lines.extend(changes.iter().map(|change| format!("      {change}")));
        }
        Some(cause) => {
            let cause = Paint::Faint.paint(format!("({cause})"));
            lines.push(format!("{sign} {verb} machine {machine} {cause}"));
        }
        None => {}
    }
    for operation in operations {
        match &operation.action {
            Action::Provision { step, .. } => {
                let cause = Paint::Faint.paint(format!("({})", operation.cause));
                lines.push(format!("      {} {cause}", step.id));
            }
            Action::RestoreSnapshot { name, taken, .. } => {
                lines.push(format!("      to snapshot {name} of {taken:.0}"));
            }
            Action::Leave { command, .. } => lines.push(format!("      first: {}", command.join(" "))),
            _ => {}
        }
    }
    lines
}
