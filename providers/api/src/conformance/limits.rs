//! What machines may use.

use super::{
    Case, Fixture, Outcome,
    case::{case, ensure, ensure_eq},
    stage::Stage,
};
use rig_model::{Bytes, MachineState, MilliCpus};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(the_kernel_knows_the_limits, Exec, Real, Service),
        case!(too_much_memory_is_told_as_such, Real, Service),
        case!(too_many_processes_are_refused, Exec, Real, Service),
    ]
}

/// How often a machine is killed for want of memory until an engine must have told it once.
const TRIES: u32 = 6;

/// Prints a control group's file, of version 2 or of version 1.
fn group(second: &str, first: &str) -> String {
    format!("cat /sys/fs/cgroup/{second} 2>/dev/null || cat /sys/fs/cgroup/{first}")
}

async fn the_kernel_knows_the_limits(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("small");
    machine.limits.memory = Some(Bytes(48 * Bytes::MIB));
    machine.limits.cpus = Some(MilliCpus(500));
    machine.limits.pids = Some(57);
    stage.up(&machine).await?;
    let memory = stage.output(&machine, &group("memory.max", "memory/memory.limit_in_bytes")).await?;
    ensure_eq!(memory, (48 * Bytes::MIB).to_string(), "the memory limit is");
    let pids = stage.output(&machine, &group("pids.max", "pids/pids.max")).await?;
    ensure_eq!(pids, "57", "the limit of processes is");
    // Version 2 has quota and period in one file.
    let quota = stage.output(&machine, &group("cpu.max", "cpu/cpu.cfs_quota_us")).await?;
    ensure_eq!(quota.split_whitespace().next().unwrap_or_default(), "50000", "half a processor's quota of 100 ms is");
    Ok(())
}

async fn too_much_memory_is_told_as_such(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("greedy");
    machine.limits.memory = Some(Bytes(16 * Bytes::MIB));
    // Process 1 itself keeps everything that it reads until a line ends.
    machine.command = vec!["/bin/tail".to_owned(), "/dev/zero".to_owned()];
    // Engines hear of the kernel's verdict and of the process's end in any order, and some forget a verdict that comes
    // late: it has to be told, not every time.
    for _ in 0..TRIES {
        stage.up(&machine).await?;
        stage.until(&machine, MachineState::Exited).await?;
        let exit = stage.inspected(&machine).await?.exit;
        ensure!(exit.as_ref().is_some_and(|exit| exit.code == 137), "the end for want of memory is told as {exit:?}");
        if exit.is_some_and(|exit| exit.out_of_memory) {
            return Ok(());
        }
    }
    Err(super::Failure::new(format!("of {TRIES} ends for want of memory none was told as such")))
}

async fn too_many_processes_are_refused(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("crowded");
    machine.limits.pids = Some(20);
    machine.command = Fixture::shell("for n in $(seq 40); do sleep 3600 & done; wait");
    stage.up(&machine).await?;
    let count = "ls -d /proc/[0-9]* | wc -l";
    let ran = stage.shell(&machine, count).await;
    // At the limit, not even the counting command may begin; either way the engine's host is safe.
    if let Ok(ran) = ran
        && ran.exit == 0
    {
        let processes: u32 = ran.text().trim().parse().unwrap_or(u32::MAX);
        ensure!(processes <= 20, "{processes} processes run under a limit of 20");
    }
    Ok(())
}
