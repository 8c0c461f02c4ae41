//! What the numbers were measured on, without anything that names the host.

use std::fs;

/// Processors, memory and kernel, in a line.
pub(super) fn description() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // Only the version: builders put names of their own behind it.
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    format!("{cpus} processors, {:.0} GiB of memory, Linux {kernel}", kib.unwrap_or_default() / 1024.0 / 1024.0)
}

/// How busy the host is: the average number of processes that want a processor, over the last minute.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
