//! What the engine lists, in the seam's terms.

use crate::{
    labels::{self, Labels},
    provider::provider_id,
    snapshots,
};
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryNetworkSettings,
    ContainerSummaryStateEnum, EndpointSettings, ImageSummary, Network, PortMap, PortSummary, PortSummaryTypeEnum,
    Volume,
};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use rig_model::{
    Bytes, Digest, Field, HostPortUse, MachineId, MachineState, Name, ObservedBox, ObservedMachine, ObservedNetwork,
    ObservedVolume, Protocol, PublishedPort,
};
use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
};

/// A container of the workspace; `None` when its labels are not ours.
pub(crate) fn machine(summary: ContainerSummary, workspace: &Name) -> Option<ObservedMachine> {
    let labels = summary.labels.unwrap_or_default();
    if labels::name(&labels, labels::WORKSPACE)? != *workspace {
        return None;
    }
    let id = labels::machine(&labels)?;
    let is_whole = match beside(summary.names.iter().flatten(), workspace, &id) {
        None => true,
        Some(labels::beside::RESTORE) => false,
        Some(_) => return None,
    };
    let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let running = summary.state == Some(ContainerSummaryStateEnum::RUNNING);
    let addresses = addresses(networks, workspace, &id.topology);
    let fields = labels::fields(&labels);
    Some(ObservedMachine {
        group: labels::name(&labels, labels::GROUP).unwrap_or_else(|| id.machine.clone()),
        index: labels.get(labels::INDEX).and_then(|text| text.parse().ok()),
        provider: provider_id(),
        native: summary.id.unwrap_or_default(),
        state: match summary.state {
            // A restoration that was cut.
            _ if !is_whole => MachineState::Dead,
            Some(ContainerSummaryStateEnum::CREATED) if exit(&labels).is_some() => MachineState::Exited,
            // A creation that was cut: starting it would give process 1 fewer addresses than it was promised.
            Some(ContainerSummaryStateEnum::CREATED) if !has_all_addresses(&fields, &addresses) => MachineState::Dead,
            Some(ContainerSummaryStateEnum::CREATED) => MachineState::Created,
            Some(ContainerSummaryStateEnum::RUNNING) => MachineState::Running,
            Some(ContainerSummaryStateEnum::PAUSED) => MachineState::Paused,
            Some(ContainerSummaryStateEnum::RESTARTING) => MachineState::Restarting,
            Some(ContainerSummaryStateEnum::EXITED) => MachineState::Exited,
            _ => MachineState::Dead,
        },
        digest: labels::digest(&labels),
        // A machine that was restored has the image of its snapshot, and is made from its box all the same.
        image: fields
            .iter()
            .find(|field| field.path == "box" && labels.contains_key(labels::SNAPSHOT))
            .map_or_else(|| summary.image.unwrap_or_default(), |field| field.value.clone()),
        fields,
        addresses,
        ports: if running { published(summary.ports.unwrap_or_default()) } else { requested(&labels) },
        started: None,
        restarts: None,
        exit: None,
        ready: None,
        process: None,
        id,
    })
}

/// What the name of a container that carries a machine's labels ends with, when it stands beside the machine's own.
fn beside<'a>(names: impl Iterator<Item = &'a String>, workspace: &Name, id: &MachineId) -> Option<&'static str> {
    let own = labels::container(workspace, id);
    let mut ends = names.filter_map(|name| name.trim_start_matches('/').strip_prefix(&own));
    ends.find_map(|end| labels::beside::ALL.into_iter().find(|known| *known == end))
}

/// How the process 1 had ended that a snapshot was taken of, in a container that was made from it.
fn exit(labels: &Labels) -> Option<i64> {
    labels::text(labels, labels::STATE)?.strip_prefix(snapshots::EXITED)?.parse().ok()
}

/// Leaves out what a restoration left that was cut, where the machine itself is there by now.
pub(crate) fn settle_restored(machines: &mut Vec<ObservedMachine>) {
    let is_dead = |machine: &ObservedMachine| machine.state == MachineState::Dead;
    let whole = machines.iter().filter(|machine| !is_dead(machine)).map(|machine| machine.id.clone());
    let whole: HashSet<MachineId> = whole.collect();
    machines.retain(|machine| !is_dead(machine) || !whole.contains(&machine.id));
}

/// Addresses by the network's short name. A stopped container has none assigned, but still the one it will have.
fn addresses(networks: HashMap<String, EndpointSettings>, workspace: &Name, topology: &Name) -> Vec<(Name, Ipv4Addr)> {
    let prefix = format!("{workspace}.{topology}.");
    let mut addresses: Vec<(Name, Ipv4Addr)> = networks
        .into_iter()
        .filter_map(|(network, endpoint)| {
            let name = Name::new(network.strip_prefix(&prefix)?).ok()?;
            let assigned = endpoint.ip_address.filter(|text| !text.is_empty());
            let configured = endpoint.ipam_config.and_then(|config| config.ipv4_address);
            Some((name, assigned.or(configured)?.parse().ok()?))
        })
        .collect();
    addresses.sort();
    addresses
}

/// Whether a machine is on every network with a fixed address that it was made for.
fn has_all_addresses(fields: &[Field], addresses: &[(Name, Ipv4Addr)]) -> bool {
    fields
        .iter()
        .filter(|field| !field.value.is_empty())
        .filter_map(|field| field.path.strip_prefix("network."))
        .all(|wanted| addresses.iter().any(|(network, _)| network.as_str() == wanted))
}

fn published(ports: Vec<PortSummary>) -> Vec<PublishedPort> {
    let mut published: Vec<PublishedPort> = ports
        .into_iter()
        .filter_map(|port| {
            Some(PublishedPort {
                guest: port.private_port,
                host: port.public_port?,
                bind: port.ip?.parse().ok()?,
                protocol: protocol(port.typ),
            })
        })
        .collect();
    published.sort();
    published
}

/// The ports that a stopped machine will have when it is started again; the engine lists only those of running ones.
pub(crate) fn requested(labels: &Labels) -> Vec<PublishedPort> {
    labels::fields(labels)
        .iter()
        .filter_map(|field| {
            let (guest, kind) = field.path.strip_prefix("port.")?.split_once('/')?;
            let (bind, host) = field.value.rsplit_once(':')?;
            Some(PublishedPort {
                guest: guest.parse().ok()?,
                host: host.parse().ok()?,
                bind: bind.parse().ok()?,
                protocol: if kind == "udp" { Protocol::Udp } else { Protocol::Tcp },
            })
        })
        .collect()
}

fn protocol(kind: Option<PortSummaryTypeEnum>) -> Protocol {
    match kind {
        Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
        _ => Protocol::Tcp,
    }
}

/// Host ports that a container of somebody else publishes.
pub(crate) fn host_ports(summary: &ContainerSummary) -> Vec<HostPortUse> {
    let name = summary.names.iter().flatten().next().map_or("", |name| name.trim_start_matches('/'));
    summary
        .ports
        .iter()
        .flatten()
        .filter_map(|port| {
            Some(HostPortUse {
                port: port.public_port?,
                protocol: protocol(port.typ),
                owner: format!("container {name}"),
            })
        })
        .collect()
}

/// A container of the workspace as an inspection tells of it; `None` when its labels are not ours.
pub(crate) fn inspected(details: ContainerInspectResponse, workspace: &Name) -> Option<ObservedMachine> {
    let settings = details.network_settings.clone().unwrap_or_default();
    let config = details.config.clone().unwrap_or_default();
    let status = details.state.as_ref().and_then(|state| state.status);
    // A restored machine that was not started since has ended as the machine had that it was.
    let before = config.labels.as_ref().and_then(exit).filter(|_| status == Some(ContainerStateStatusEnum::CREATED));
    let summary = ContainerSummary {
        id: details.id.clone(),
        names: details.name.clone().map(|name| vec![name]),
        image: config.image,
        labels: config.labels,
        state: status.and_then(|status| status.to_string().parse().ok()),
        ports: Some(ports(settings.ports.unwrap_or_default())),
        network_settings: Some(ContainerSummaryNetworkSettings { networks: settings.networks }),
        ..ContainerSummary::default()
    };
    let mut machine = machine(summary, workspace)?;
    closer(&mut machine, details);
    if let Some(code) = before {
        machine.exit = Some(rig_model::Exit { code, out_of_memory: false });
    }
    Some(machine)
}

/// Published ports in the form that lists have.
fn ports(map: PortMap) -> Vec<PortSummary> {
    let summaries = map.into_iter().flat_map(|(guest, bindings)| {
        let (port, kind) = guest.split_once('/').unwrap_or((&guest, "tcp"));
        let (port, kind) = (port.parse::<u16>().ok(), kind.to_owned());
        bindings.into_iter().flatten().filter_map(move |binding| {
            Some(PortSummary {
                ip: binding.host_ip,
                private_port: port?,
                public_port: binding.host_port?.parse().ok(),
                typ: kind.parse().ok(),
            })
        })
    });
    summaries.collect()
}

/// A closer look: what only an inspection tells.
fn closer(machine: &mut ObservedMachine, details: ContainerInspectResponse) {
    let state = details.state.unwrap_or_default();
    machine.started = state.started_at.as_deref().and_then(timestamp);
    machine.restarts = details.restart_count.and_then(|count| u32::try_from(count).ok());
    if machine.state == MachineState::Exited {
        machine.exit =
            state.exit_code.map(|code| rig_model::Exit { code, out_of_memory: state.oom_killed.unwrap_or_default() });
    }
    machine.process = state.pid.filter(|pid| cfg!(target_os = "linux") && *pid > 0).map(has_process);
    let environment: HashMap<String, String> = details
        .config
        .and_then(|config| config.env)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    // Only values that still are what was set: the box's own variables are not the machine's.
    for field in &mut machine.fields {
        let Some(name) = field.path.strip_prefix("env.") else { continue };
        let Some(value) = environment.get(name) else { continue };
        let plain = Field { path: field.path.clone(), value: value.clone() };
        if plain.clone().sealed() == *field {
            *field = plain;
        }
    }
}

/// Whether this host has the process. An engine in a VM counts other processes: the answer is a hint.
fn has_process(pid: i64) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}

/// The engine's time, which is in the year 1 for what never happened.
fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|time: &Timestamp| time.as_second() > 0)
}

/// A network of the workspace.
pub(crate) fn network(network: &Network, workspace: &Name) -> Option<ObservedNetwork> {
    let labels = network.labels.as_ref()?;
    if labels::name(labels, labels::WORKSPACE)? != *workspace {
        return None;
    }
    Some(ObservedNetwork {
        topology: labels::name(labels, labels::TOPOLOGY)?,
        name: labels::name(labels, labels::NETWORK)?,
        provider: provider_id(),
        native: network.id.clone()?,
        subnet: subnets(network).next(),
        internal: network.internal.unwrap_or_default(),
    })
}

/// A network's address ranges.
pub(crate) fn subnets(network: &Network) -> impl Iterator<Item = Ipv4Net> + '_ {
    network
        .ipam
        .iter()
        .filter_map(|ipam| ipam.config.as_ref())
        .flatten()
        .filter_map(|config| config.subnet.as_deref()?.parse().ok())
}

/// A volume of the workspace.
pub(crate) fn volume(volume: Volume, workspace: &Name) -> Option<ObservedVolume> {
    if labels::name(&volume.labels, labels::WORKSPACE)? != *workspace {
        return None;
    }
    Some(ObservedVolume {
        machine: labels::machine(&volume.labels)?,
        name: labels::name(&volume.labels, labels::VOLUME)?,
        provider: provider_id(),
        native: volume.name,
    })
}

/// A box; `None` when the image has no tag of ours, which is what a replaced box looks like.
pub(crate) fn image(summary: ImageSummary) -> Option<ObservedBox> {
    let name = labels::name(&summary.labels, labels::BOX)?;
    let digest: Digest = labels::digest(&summary.labels)?;
    let image = crate::images::reference(&name, &digest);
    // A child inherits its parent's labels while it is built; only the tag says which box an image is.
    summary.repo_tags.contains(&image).then(|| ObservedBox {
        parent: labels::name(&summary.labels, labels::PARENT),
        provider: provider_id(),
        native: summary.id,
        size: Bytes(u64::try_from(summary.size).unwrap_or_default()),
        created: Timestamp::from_second(summary.created).ok(),
        name,
        digest,
        image,
    })
}
