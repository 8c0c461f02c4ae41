//! What a container was made with, as far as its image does not hold it after a commit.

use crate::labels;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointIpamConfig, EndpointSettings, HostConfig, Mount, MountType,
    MountVolumeOptions, NetworkingConfig,
};
use rig_model::{MachineId, Name};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

/// How a mount point's kind is written that is a volume.
pub(super) const VOLUME: &str = "volume";

/// The length of the identifier that engines before 25 add to a container's names on its networks.
const SHORT: usize = 12;

/// What an image does not hold. Environment values are none of it: the image has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Form {
    hostname: Option<String>,
    stop_timeout: Option<i64>,
    host: HostConfig,
    /// By the network's name on the engine.
    networks: BTreeMap<String, Place>,
}

/// A place on a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    ip: Option<Ipv4Addr>,
    aliases: Vec<String>,
}

impl Form {
    /// The form of a container.
    pub(super) fn of(details: &ContainerInspectResponse) -> Self {
        let config = details.config.clone().unwrap_or_default();
        let given = details.host_config.clone().unwrap_or_default();
        let mounts = given.mounts.unwrap_or_default();
        let unnamed = volumes(details)
            .filter(|(_, target)| !mounts.iter().any(|mount| mount.target.as_deref() == Some(target)))
            .map(|(_, target)| Mount { target: Some(target), typ: Some(MountType::VOLUME), ..Mount::default() });
        let unnamed: Vec<Mount> = unnamed.collect();
        let networks = details.network_settings.clone().and_then(|settings| settings.networks).unwrap_or_default();
        let id: String = details.id.iter().flat_map(|id| id.chars()).take(SHORT).collect();
        let place = |endpoint: EndpointSettings| Place {
            ip: endpoint.ipam_config.and_then(|config| config.ipv4_address).and_then(|ip| ip.parse().ok()),
            aliases: endpoint.aliases.unwrap_or_default().into_iter().filter(|alias| *alias != id).collect(),
        };
        Self {
            hostname: config.hostname,
            stop_timeout: config.stop_timeout,
            // What `create` sets, and nothing that the engine has worked out from it.
            host: HostConfig {
                memory: given.memory,
                memory_swap: given.memory_swap,
                cpu_period: given.cpu_period,
                cpu_quota: given.cpu_quota,
                pids_limit: given.pids_limit,
                network_mode: given.network_mode,
                port_bindings: given.port_bindings,
                restart_policy: given.restart_policy,
                mounts: Some(mounts.into_iter().chain(unnamed).map(without_box).collect()),
                tmpfs: given.tmpfs,
                cap_add: given.cap_add,
                cap_drop: given.cap_drop,
                privileged: given.privileged,
                readonly_rootfs: given.readonly_rootfs,
                security_opt: given.security_opt,
                ..HostConfig::default()
            },
            networks: networks.into_iter().map(|(network, endpoint)| (network, place(endpoint))).collect(),
        }
    }

    /// What the engine is asked to create. All else comes with the image.
    pub(super) fn body(&self, image: String) -> ContainerCreateBody {
        let first = self.host.network_mode.clone();
        let place = first.as_ref().and_then(|network| self.networks.get(network));
        ContainerCreateBody {
            image: Some(image),
            hostname: self.hostname.clone(),
            stop_timeout: self.stop_timeout,
            // They are of the image alone, and large.
            labels: Some([labels::CHANGES, labels::CONTAINER].map(|label| (label.to_owned(), String::new())).into()),
            host_config: Some(self.host.clone()),
            networking_config: first.zip(place).map(|(network, place)| NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network, place.endpoint())])),
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// The networks that it was on.
    pub(super) fn networks(&self) -> impl Iterator<Item = &String> {
        self.networks.keys()
    }

    /// The networks beyond the first, with its place on each.
    pub(super) fn other_networks(&self) -> impl Iterator<Item = (&String, EndpointSettings)> {
        let first = self.host.network_mode.as_ref();
        self.networks.iter().filter(move |(network, _)| first != Some(network)).map(|(name, at)| (name, at.endpoint()))
    }

    /// The named volumes that it had mounted.
    pub(super) fn named_volumes(&self) -> impl Iterator<Item = &String> {
        let mounts = self.host.mounts.iter().flatten();
        mounts.filter(|mount| mount.typ == Some(MountType::VOLUME)).filter_map(|mount| mount.source.as_ref())
    }

    /// Where its volumes were mounted, those that nobody named included.
    pub(super) fn volume_targets(&self) -> impl Iterator<Item = &String> {
        let mounts = self.host.mounts.iter().flatten();
        mounts.filter(|mount| mount.typ == Some(MountType::VOLUME)).filter_map(|mount| mount.target.as_ref())
    }

    /// Its addresses by the networks' short names.
    pub(super) fn addresses(&self, workspace: &Name, machine: &MachineId) -> Vec<(Name, Ipv4Addr)> {
        let prefix = format!("{workspace}.{}.", machine.topology);
        let address =
            |(network, place): (&String, &Place)| Some((Name::new(network.strip_prefix(&prefix)?).ok()?, place.ip?));
        self.networks.iter().filter_map(address).collect()
    }
}

impl Place {
    fn endpoint(&self) -> EndpointSettings {
        EndpointSettings {
            ipam_config: self
                .ip
                .map(|ip| EndpointIpamConfig { ipv4_address: Some(ip.to_string()), ..Default::default() }),
            aliases: Some(self.aliases.clone()),
            ..EndpointSettings::default()
        }
    }
}

/// A volume that is new gets what the box has in its place, unless its mount says otherwise: here the snapshot knows what
/// was in it.
fn without_box(mut mount: Mount) -> Mount {
    if mount.typ == Some(MountType::VOLUME) {
        let options = mount.volume_options.unwrap_or_default();
        mount.volume_options = Some(MountVolumeOptions { no_copy: Some(true), ..options });
    }
    mount
}

/// The volumes of a container, named or not: each with the place where it is mounted.
pub(super) fn volumes(details: &ContainerInspectResponse) -> impl Iterator<Item = (String, String)> + '_ {
    let points = details.mounts.iter().flatten().filter(|point| point.typ.as_deref() == Some(VOLUME));
    points.filter_map(|point| Some((point.name.clone()?, point.destination.clone()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::{ContainerConfig, MountPoint, NetworkSettings};

    #[test]
    fn a_container_is_made_again_as_it_was() {
        let volume = |source: &str, target: &str| MountPoint {
            typ: Some(VOLUME.to_owned()),
            name: Some(source.to_owned()),
            destination: Some(target.to_owned()),
            ..MountPoint::default()
        };
        let endpoint = |ip: &str| EndpointSettings {
            ipam_config: Some(EndpointIpamConfig { ipv4_address: Some(ip.to_owned()), ..Default::default() }),
            aliases: Some(vec!["db".to_owned(), "0123456789ab".to_owned()]),
            ..EndpointSettings::default()
        };
        let details = ContainerInspectResponse {
            id: Some("0123456789abcdef".to_owned()),
            config: Some(ContainerConfig { hostname: Some("db".to_owned()), ..Default::default() }),
            host_config: Some(HostConfig {
                memory: Some(1),
                network_mode: Some("w.lab.front".to_owned()),
                shm_size: Some(67_108_864),
                mounts: Some(vec![Mount {
                    target: Some("/data".to_owned()),
                    source: Some("w.lab.db.data".to_owned()),
                    typ: Some(MountType::VOLUME),
                    ..Mount::default()
                }]),
                ..HostConfig::default()
            }),
            mounts: Some(vec![volume("w.lab.db.data", "/data"), volume("c0ffee", "/cache")]),
            network_settings: Some(NetworkSettings {
                networks: Some(HashMap::from([
                    ("w.lab.front".to_owned(), endpoint("10.1.0.2")),
                    ("w.lab.back".to_owned(), endpoint("10.2.0.2")),
                ])),
                ..NetworkSettings::default()
            }),
            ..ContainerInspectResponse::default()
        };
        let form = Form::of(&details);
        let read: Form = serde_json::from_str(&serde_json::to_string(&form).unwrap()).unwrap();
        assert_eq!(read, form);
        let body = form.body("image".to_owned());
        let host = body.host_config.unwrap();
        assert_eq!((host.memory, host.shm_size), (Some(1), None));
        let mounts: Vec<_> = host.mounts.unwrap().into_iter().map(|mount| (mount.target, mount.source)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(mounts, [(text("/data"), text("w.lab.db.data")), (text("/cache"), None)]);
        let endpoints = body.networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(endpoints["w.lab.front"].aliases, Some(vec!["db".to_owned()]));
        assert_eq!(form.other_networks().map(|(network, _)| network).collect::<Vec<_>>(), ["w.lab.back"]);
        assert_eq!(form.named_volumes().collect::<Vec<_>>(), ["w.lab.db.data"]);
        let machine = MachineId::new(Name::new("lab").unwrap(), Name::new("db").unwrap());
        let addresses = form.addresses(&Name::new("w").unwrap(), &machine);
        assert_eq!(addresses[0], (Name::new("back").unwrap(), Ipv4Addr::new(10, 2, 0, 2)));
    }
}
