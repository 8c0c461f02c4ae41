//! What machines may do: no more than their file says.

use super::{
    Case, Outcome,
    case::{case, ensure, ensure_eq},
    stage::Stage,
};
use rig_model::{ResolvedMachine, Security, TmpfsSpec};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(capabilities_are_the_minimal_list, Exec, Real, Service),
        case!(capabilities_are_taken_and_given, Exec, Real, Service),
        case!(dropping_all_leaves_none, Exec, Real, Service),
        case!(no_new_privileges_unless_asked_for, Exec, Real, Service),
        case!(a_read_only_root_cannot_be_written, Exec, Service),
        case!(folders_in_memory_are_as_asked, Exec, Real, Service),
        case!(the_service_runs_as_its_user, Exec, Service),
    ]
}

/// The capabilities' numbers in the kernel's bit mask (`linux/capability.h`).
const CAP_KILL: u64 = 5;
const CAP_NET_RAW: u64 = 13;

async fn guarded(stage: &Stage<'_>, name: &str, security: Security) -> Outcome<ResolvedMachine> {
    let mut machine = stage.machine(name);
    machine.security = security;
    stage.up(&machine).await?;
    Ok(machine)
}

/// A value of process 1 in the kernel's words.
async fn status(stage: &Stage<'_>, machine: &ResolvedMachine, field: &str) -> Outcome<String> {
    stage.output(machine, &format!("awk '/^{field}:/ {{ print $2 }}' /proc/1/status")).await
}

fn mask(bits: u64) -> String {
    format!("{bits:016x}")
}

async fn capabilities_are_the_minimal_list(stage: &Stage<'_>) -> Outcome {
    let machine = guarded(stage, "plain", Security::default()).await?;
    for field in ["CapEff", "CapBnd"] {
        ensure_eq!(status(stage, &machine, field).await?, mask(stage.fixture.capabilities), "{field} of process 1 is");
    }
    let own = stage.output(&machine, "awk '/^CapEff:/ { print $2 }' /proc/self/status").await?;
    ensure_eq!(own, mask(stage.fixture.capabilities), "CapEff of a command is");
    Ok(())
}

async fn capabilities_are_taken_and_given(stage: &Stage<'_>) -> Outcome {
    let security =
        Security { cap_drop: vec!["KILL".to_owned()], cap_add: vec!["NET_RAW".to_owned()], ..Security::default() };
    let machine = guarded(stage, "changed", security).await?;
    let expected = (stage.fixture.capabilities & !(1 << CAP_KILL)) | (1 << CAP_NET_RAW);
    ensure_eq!(status(stage, &machine, "CapEff").await?, mask(expected), "CapEff without KILL, with NET_RAW is");
    Ok(())
}

async fn dropping_all_leaves_none(stage: &Stage<'_>) -> Outcome {
    let machine = guarded(stage, "none", Security { cap_drop: vec!["ALL".to_owned()], ..Security::default() }).await?;
    for field in ["CapEff", "CapPrm", "CapBnd"] {
        ensure_eq!(status(stage, &machine, field).await?, mask(0), "{field} of process 1 is");
    }
    Ok(())
}

async fn no_new_privileges_unless_asked_for(stage: &Stage<'_>) -> Outcome {
    let machine = guarded(stage, "plain", Security::default()).await?;
    ensure_eq!(status(stage, &machine, "NoNewPrivs").await?, "1", "NoNewPrivs of process 1 is");
    ensure_eq!(status(stage, &machine, "Seccomp").await?, "2", "the system call filter of process 1 is");
    let machine = guarded(stage, "setuid", Security { new_privileges: true, ..Security::default() }).await?;
    ensure_eq!(status(stage, &machine, "NoNewPrivs").await?, "0", "NoNewPrivs where the file asks for privileges is");
    Ok(())
}

async fn a_read_only_root_cannot_be_written(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("frozen");
    machine.security.read_only = true;
    machine.tmpfs.push(memory_folder("/scratch"));
    stage.up(&machine).await?;
    ensure!(stage.shell(&machine, "echo x > /srv/file").await?.exit != 0, "a read-only root was written to");
    stage.output(&machine, "echo x > /scratch/file").await?;
    ensure_eq!(stage.output(&machine, "cat /scratch/file").await?, "x", "a folder in memory holds");
    Ok(())
}

fn memory_folder(target: &str) -> TmpfsSpec {
    TmpfsSpec { target: target.to_owned(), size: None, mode: None, uid: None, exec: false }
}

async fn folders_in_memory_are_as_asked(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("scratch");
    machine.tmpfs.push(TmpfsSpec {
        size: Some(rig_model::Bytes(4 * rig_model::Bytes::MIB)),
        mode: Some("0750".to_owned()),
        uid: Some(65534),
        ..memory_folder("/scratch")
    });
    machine.tmpfs.push(TmpfsSpec { exec: true, ..memory_folder("/programs") });
    stage.up(&machine).await?;
    let mounts = stage.output(&machine, "cat /proc/mounts").await?;
    let options = |folder: &str| mounts.lines().find(|line| line.split(' ').nth(1) == Some(folder)).unwrap_or_default();
    let scratch = options("/scratch");
    for option in ["tmpfs", "nosuid", "nodev", "noexec", "size=4096k", "mode=750", "uid=65534"] {
        ensure!(scratch.contains(option), "{option} is not among the options of /scratch: {scratch:?}");
    }
    ensure!(!options("/programs").contains("noexec"), "programs cannot be run from /programs");
    Ok(())
}

async fn the_service_runs_as_its_user(stage: &Stage<'_>) -> Outcome {
    let machine =
        guarded(stage, "servant", Security { user: Some("nobody".to_owned()), ..Security::default() }).await?;
    ensure_eq!(stage.output(&machine, "whoami").await?, "nobody", "the machine's user is");
    Ok(())
}
