//! What machines need of the machine that their engine runs in: folders of this host have to be brought there, and ports of this
//! host have to lead there.

use crate::{DockerProvider, error, labels, observe};
use async_trait::async_trait;
use bollard::{models::ContainerInspectResponse, query_parameters::ListContainersOptions};
use rig_model::{MachineSpec, Mount, PublishedPort, ResolvedMachine};
use rig_provider_api::{Context, EngineHost, FieldIssue, Folders, MachineRef, ProviderError, Result};
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

/// Where the engine publishes a port that this host has at `bind`. What comes through this host's loopback arrives at the
/// machine's own address.
pub(crate) fn inside(host: &dyn EngineHost, bind: IpAddr) -> IpAddr {
    if bind.is_loopback() { host.address().into() } else { bind }
}

/// The other way round.
fn outside(host: &dyn EngineHost, bind: IpAddr) -> IpAddr {
    if bind == IpAddr::from(host.address()) { std::net::Ipv4Addr::LOCALHOST.into() } else { bind }
}

/// What an engine in a machine of its own cannot do.
pub(crate) fn issues(machine: &MachineSpec) -> Vec<FieldIssue> {
    let written = machine.syncs.iter().filter(|sync| sync.writable).map(|sync| FieldIssue {
        field: format!("sync.{}", sync.target),
        message: "folders are copied into the virtual machine of the engine: what is written there does not come back"
            .to_owned(),
        hint: Some("leave `writable` out, or use an engine of this host".to_owned()),
    });
    let odd =
        |bind: IpAddr| !matches!(bind, IpAddr::V4(ip) if ip.is_unspecified() || ip == std::net::Ipv4Addr::LOCALHOST);
    let bound = machine.ports.iter().filter(|port| odd(port.bind)).map(|port| FieldIssue {
        field: format!("port.{}/{}", port.guest, port.protocol),
        message: format!("ports of an engine in a virtual machine are not published at {}", port.bind),
        hint: Some("leave `bind` out, or write `bind=\"0.0.0.0\"`".to_owned()),
    });
    written.chain(bound).collect()
}

#[async_trait]
impl Folders for DockerProvider {
    async fn bring(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let Some(host) = self.address.host() else { return Ok(()) };
        let Some(details) = self.details(cx, machine).await? else { return Ok(()) };
        for folder in bound(host.as_ref(), &details) {
            host.bring_again(cx, &folder).await?;
        }
        Ok(())
    }
}

impl DockerProvider {
    /// Brings the folders that a machine is about to be made with.
    pub(crate) async fn bring_folders(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()> {
        let Some(host) = self.address.host() else { return Ok(()) };
        for mount in &machine.mounts {
            if let Mount::Bind { source, .. } = mount {
                host.bring(cx, source).await?;
            }
        }
        Ok(())
    }

    /// Prepares the start of a machine: its folders are as they are here now, and its ports lead to it. Gives the ports.
    pub(crate) async fn before_start(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<PublishedPort>> {
        let Some(host) = self.address.host() else { return Ok(Vec::new()) };
        // One that is not there is told by the start itself.
        let Some(details) = self.details(cx, machine).await? else { return Ok(Vec::new()) };
        for folder in bound(host.as_ref(), &details) {
            host.bring(cx, &folder).await?;
        }
        let ports = ports(&details);
        host.publish(cx, &ports).await?;
        Ok(ports)
    }

    /// After a start: another rig that tidied up in between may have given the ports up. After one that failed they are.
    pub(crate) async fn after_start(&self, cx: &Context, ports: &[PublishedPort], started: Result<()>) -> Result<()> {
        let Some(host) = self.address.host().filter(|_| !ports.is_empty()) else { return started };
        match started {
            Ok(()) => host.publish(cx, ports).await,
            Err(error) => {
                // Why it has not started is of more use than that a port stays.
                let _ = self.withdraw(cx, ports).await;
                Err(error)
            }
        }
    }

    /// The ports that lead to a machine, to be given up when it has stopped.
    pub(crate) async fn ports_on_host(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<PublishedPort>> {
        if self.address.host().is_none() {
            return Ok(Vec::new());
        }
        Ok(self.details(cx, machine).await?.map(|details| ports(&details)).unwrap_or_default())
    }

    /// Gives ports of this host up, but for those that another machine has that runs.
    pub(crate) async fn withdraw(&self, cx: &Context, ports: &[PublishedPort]) -> Result<()> {
        let Some(host) = self.address.host().filter(|_| !ports.is_empty()) else { return Ok(()) };
        let taken = self.ports_of_running(cx).await?;
        let free: Vec<PublishedPort> = ports.iter().filter(|port| !leads_to(port, &taken)).cloned().collect();
        host.withdraw(cx, &free).await
    }

    /// Makes the ports of all machines of rig's that run lead to them, and no others: some have ended by themselves, and the engine's
    /// machine may have been started anew and have started others with it. Gives the failures of single ports: somebody else may have
    /// taken one meanwhile.
    ///
    /// # Errors
    /// When the engine or the machine that it runs in does not answer.
    pub async fn settle_ports(&self, cx: &Context) -> Result<Vec<ProviderError>> {
        let Some(host) = self.address.host() else { return Ok(Vec::new()) };
        let (wanted, there) = (self.ports_of_running(cx).await?, host.published(cx).await?);
        let gone: Vec<PublishedPort> = there.iter().filter(|port| !leads_to(port, &wanted)).cloned().collect();
        host.withdraw(cx, &gone).await?;
        let mut failures = Vec::new();
        for port in wanted.iter().filter(|port| !leads_to(port, &there)) {
            failures.extend(host.publish(cx, std::slice::from_ref(port)).await.err());
        }
        Ok(failures)
    }

    /// The ports of all machines of rig's that run.
    async fn ports_of_running(&self, cx: &Context) -> Result<Vec<PublishedPort>> {
        let doing = "listing the machines that run";
        let filters = HashMap::from([("label".to_owned(), vec![labels::WORKSPACE.to_owned()])]);
        let options = ListContainersOptions { filters: Some(filters), ..Default::default() };
        let list = async {
            self.docker.list_containers(Some(options)).await.map_err(|error| error::failure(doing, "", error))
        };
        let running = cx.run(doing, list).await?;
        Ok(running.into_iter().flat_map(|summary| observe::requested(&summary.labels.unwrap_or_default())).collect())
    }

    /// The ports of a machine as this host has them.
    pub(crate) fn seen_from_here(&self, ports: &mut [PublishedPort]) {
        if let Some(host) = self.address.host() {
            for port in ports {
                port.bind = outside(host.as_ref(), port.bind);
            }
        }
    }

    /// What the engine tells of a machine's container; nothing when there is none.
    pub(crate) async fn details(&self, cx: &Context, machine: &MachineRef) -> Result<Option<ContainerInspectResponse>> {
        let (doing, name) = (format!("looking at machine {machine}"), Self::container(machine));
        let look = async {
            match self.docker.inspect_container(&name, None).await {
                Ok(details) => Ok(Some(details)),
                Err(error) if error::is_absent(&error) => Ok(None),
                Err(error) => Err(error::failure(&doing, &name, error)),
            }
        };
        cx.run(&doing, look).await
    }
}

/// Whether a port of this host is among others, wherever it leads.
fn leads_to(port: &PublishedPort, others: &[PublishedPort]) -> bool {
    let place = |port: &PublishedPort| (port.protocol, port.bind, port.host);
    others.iter().any(|other| place(other) == place(port))
}

/// The folders of this host that a container has.
fn bound(host: &dyn EngineHost, details: &ContainerInspectResponse) -> BTreeSet<String> {
    let mounts = details.mounts.iter().flatten().filter(|mount| mount.typ.as_deref() == Some("bind"));
    let sources = mounts.filter_map(|mount| mount.source.as_deref());
    sources.filter_map(|source| host.folder_at(source)).collect()
}

/// The ports that a container was asked for with.
fn ports(details: &ContainerInspectResponse) -> Vec<PublishedPort> {
    let labels = details.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.map(observe::requested).unwrap_or_default()
}
