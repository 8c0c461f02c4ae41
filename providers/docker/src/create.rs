//! A machine in the engine's terms.

use crate::{labels, on_host};
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Mount as EngineMount, MountBindOptions,
    MountType, MountVolumeOptions, NetworkingConfig, PortBinding, RestartPolicy as EngineRestart,
    RestartPolicyNameEnum,
};
use rig_model::{Attachment, Mount, ResolvedMachine, RestartPolicy, Security};
use rig_provider_api::EngineHost;
use std::collections::HashMap;

/// The capabilities that a machine has unless its file says otherwise: what package managers and services that change
/// their user need. Docker's default list has five more (`MKNOD`, `NET_RAW`, `SETFCAP`, `SETPCAP`, `AUDIT_WRITE`).
const MINIMAL_CAPABILITIES: [&str; 9] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_CHROOT"];

/// The period in which processor time is counted, in microseconds: the kernel's default.
const CPU_PERIOD: i64 = 100_000;

/// What the engine is asked to create, on the machine's first network. `host` is the machine that the engine runs in, where that is
/// not this host.
pub(crate) fn body(machine: &ResolvedMachine, host: Option<&dyn EngineHost>) -> ContainerCreateBody {
    let first = machine.networks.first();
    let network =
        first.map(|attachment| labels::network(&machine.workspace, &machine.id.topology, &attachment.network));
    ContainerCreateBody {
        hostname: Some(machine.hostname.clone()),
        user: machine.security.user.clone(),
        env: Some(machine.host_env.iter().chain(&machine.env).map(|(name, value)| format!("{name}={value}")).collect()),
        cmd: (!machine.command.is_empty()).then(|| machine.command.clone()),
        image: Some(machine.image.clone()),
        labels: Some(labels::of_machine(machine)),
        stop_timeout: i64::try_from(machine.stop_timeout.as_secs()).ok(),
        exposed_ports: Some(machine.ports.iter().map(|port| format!("{}/{}", port.guest, port.protocol)).collect()),
        host_config: Some(host_config(machine, host, network.clone())),
        networking_config: network.zip(first).map(|(network, attachment)| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network, endpoint(machine, attachment))])),
        }),
        ..ContainerCreateBody::default()
    }
}

/// A machine's place on one network: its address, and the names under which its neighbours find it.
pub(crate) fn endpoint(machine: &ResolvedMachine, attachment: &Attachment) -> EndpointSettings {
    let mut aliases = vec![machine.id.machine.to_string()];
    if machine.hostname != aliases[0] {
        aliases.push(machine.hostname.clone());
    }
    EndpointSettings {
        ipam_config: attachment
            .ip
            .map(|ip| EndpointIpamConfig { ipv4_address: Some(ip.to_string()), ..Default::default() }),
        aliases: Some(aliases),
        ..EndpointSettings::default()
    }
}

fn host_config(machine: &ResolvedMachine, host: Option<&dyn EngineHost>, network: Option<String>) -> HostConfig {
    let memory = machine.limits.memory.and_then(|memory| i64::try_from(memory.0).ok());
    let (cap_drop, cap_add) = capabilities(&machine.security);
    HostConfig {
        memory,
        // The same number: no swap, so that the limit is what it says.
        memory_swap: memory,
        // A quota instead of `NanoCpus`, which engines refuse above the processors they have: those may be shared.
        cpu_period: machine.limits.cpus.map(|_| CPU_PERIOD),
        cpu_quota: machine.limits.cpus.map(|cpus| i64::from(cpus.0) * CPU_PERIOD / 1000),
        pids_limit: machine.limits.pids.map(i64::from),
        network_mode: network,
        port_bindings: Some(ports(machine, host)),
        restart_policy: Some(EngineRestart {
            name: Some(match machine.restart {
                RestartPolicy::No => RestartPolicyNameEnum::NO,
                RestartPolicy::OnFailure => RestartPolicyNameEnum::ON_FAILURE,
                // What was halted stays halted when the engine comes up again.
                RestartPolicy::Always => RestartPolicyNameEnum::UNLESS_STOPPED,
            }),
            maximum_retry_count: None,
        }),
        mounts: Some(machine.mounts.iter().map(|mount| engine_mount(machine, host, mount)).collect()),
        tmpfs: Some(machine.tmpfs.iter().map(|folder| (folder.target.clone(), folder.options())).collect()),
        cap_add: Some(cap_add),
        cap_drop: Some(cap_drop),
        privileged: Some(machine.security.privileged),
        readonly_rootfs: Some(machine.security.read_only),
        security_opt: (!machine.security.new_privileges && !machine.security.privileged)
            .then(|| vec!["no-new-privileges:true".to_owned()]),
        ..HostConfig::default()
    }
}

/// What is dropped and what is added.
fn capabilities(security: &Security) -> (Vec<String>, Vec<String>) {
    if security.privileged {
        return (Vec::new(), Vec::new());
    }
    let mut add: Vec<String> = if security.cap_drop.iter().any(|name| name == "ALL") {
        Vec::new()
    } else {
        MINIMAL_CAPABILITIES
            .iter()
            .map(|name| (*name).to_owned())
            .filter(|name| !security.cap_drop.contains(name))
            .collect()
    };
    for name in &security.cap_add {
        if !add.contains(name) {
            add.push(name.clone());
        }
    }
    (vec!["ALL".to_owned()], add)
}

fn ports(machine: &ResolvedMachine, host: Option<&dyn EngineHost>) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut map: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &machine.ports {
        let bind = host.map_or(port.bind, |host| on_host::inside(host, port.bind));
        map.entry(format!("{}/{}", port.guest, port.protocol))
            .or_default()
            .get_or_insert_default()
            .push(PortBinding { host_ip: Some(bind.to_string()), host_port: Some(port.host.to_string()) });
    }
    map
}

fn engine_mount(machine: &ResolvedMachine, host: Option<&dyn EngineHost>, mount: &Mount) -> EngineMount {
    match mount {
        Mount::Volume { name, target } => EngineMount {
            target: Some(target.clone()),
            source: Some(labels::volume(&machine.workspace, &machine.id, name)),
            typ: Some(MountType::VOLUME),
            // The engine makes the volume with the machine, in the same call, with these labels.
            volume_options: Some(MountVolumeOptions {
                labels: Some(labels::of_volume(&machine.workspace, &machine.id, name)),
                ..MountVolumeOptions::default()
            }),
            ..EngineMount::default()
        },
        Mount::Bind { source, target, writable } => EngineMount {
            target: Some(target.clone()),
            source: Some(host.map_or_else(|| source.clone(), |host| host.place(source))),
            typ: Some(MountType::BIND),
            read_only: Some(!writable),
            bind_options: Some(MountBindOptions::default()),
            ..EngineMount::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_means_all_and_additions_stay() {
        let security = Security { cap_drop: vec!["ALL".into()], cap_add: vec!["NET_RAW".into()], ..Default::default() };
        assert_eq!(capabilities(&security), (vec!["ALL".to_owned()], vec!["NET_RAW".to_owned()]));
        let security = Security { cap_drop: vec!["KILL".into()], ..Default::default() };
        let (_, add) = capabilities(&security);
        assert!(add.contains(&"CHOWN".to_owned()) && !add.contains(&"KILL".to_owned()));
    }
}
