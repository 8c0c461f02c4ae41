//! What a virtual machine cannot do, whoever brings it up.

use rig_model::{Bytes, Idiom, MachineSpec, RestartPolicy, SshSpec};
use rig_provider_api::{FieldIssue, ProviderError, Result};

/// Something that a virtual machine cannot do, with what to do instead.
#[must_use]
pub fn issue(field: impl Into<String>, message: &str, hint: &str) -> FieldIssue {
    FieldIssue { field: field.into(), message: message.to_owned(), hint: Some(hint.to_owned()) }
}

/// Everything that the file asks of a machine and no virtual machine can do.
#[must_use]
pub fn issues(machine: &MachineSpec) -> Vec<FieldIssue> {
    let mut issues = Vec::new();
    if machine.idiom == Idiom::Immutable {
        issues.push(issue("idiom", "a virtual machine is entered over SSH and provisioned", "use `idiom=\"mutable\"`"));
    }
    if !machine.command.is_empty() {
        let hint = "start the service in a provisioner";
        issues.push(issue("command", "a virtual machine starts its box's own init", hint));
    }
    if !machine.env.is_empty() {
        let message = "the services of a virtual machine take nothing from outside";
        issues.push(issue("env", message, "write it in a provisioner"));
    }
    issues.extend(machine.volumes.iter().map(|volume| {
        let hint = "leave the volume out; `rig destroy` removes the data";
        issue(format!("volume.{}", volume.target), "a virtual machine's data is on its disk", hint)
    }));
    issues.extend(machine.tmpfs.iter().map(|folder| {
        issue(format!("tmpfs.{}", folder.target), "a virtual machine mounts its folders itself", "leave it out")
    }));
    if machine.limits.pids.is_some() {
        let message = "processes of a virtual machine are not counted from outside";
        issues.push(issue("pids", message, "leave the limit out"));
    }
    if machine.security.read_only || !machine.security.cap_drop.is_empty() || machine.security.user.is_some() {
        let field = if machine.security.read_only { "read-only" } else { "cap" };
        issues.push(issue(field, "a virtual machine has a kernel of its own and all rights in it", "leave it out"));
    }
    if machine.ssh.as_ref().is_some_and(|ssh| ssh.port != SshSpec::PORT) {
        issues.push(issue("ssh", "the SSH servers of boxes listen on port 22", "leave `port` out"));
    }
    if machine.restart != RestartPolicy::No {
        let message = "nobody watches over virtual machines when rig has ended";
        issues.push(issue("restart", message, "leave `restart` out"));
    }
    issues
}

/// The memory of this host, which is what its virtual machines share. Blocks for a moment.
///
/// # Errors
/// When the system does not tell.
pub fn host_memory() -> Result<Bytes> {
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
    );
    let system = system.map_err(|error| ProviderError::failed("asking for this host's memory", error))?;
    Ok(Bytes(system.total_memory()))
}
