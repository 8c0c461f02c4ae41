//! The provider itself: machines' lives, one engine call at a time.

use crate::{EngineAddress, create, error, labels, observe, on_host};
use async_trait::async_trait;
use bollard::{
    Docker,
    models::NetworkConnectRequest,
    query_parameters::{
        CreateContainerOptions, KillContainerOptions, ListContainersOptions, ListVolumesOptions, StartContainerOptions,
        StopContainerOptions,
    },
};
use rig_model::{
    BoxSpec, Bytes, EngineFacts, Idiom, MachineSpec, MilliCpus, Name, Observed, ObservedMachine, ProviderId,
    ResolvedMachine,
};
use rig_provider_api::{
    Changes, Context, Dial, Endpoint, Exec, FieldIssue, Folders, Images, Logs, MachineRef, Networks, ObserveScope,
    Provider, ProviderError, Result, Snapshots, StopMode, Suspension, Usage, Volumes, Watch, unknown_options,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

/// The engine must speak at least this version of the API (Engine 20.10).
const OLDEST_API: (usize, usize) = (1, 41);

/// How long to wait for the end of what the engine is at, before it is asked again.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// How often it is looked what a removal has left, when something of it is in use.
const MOST_LOOKS: u32 = 20;

/// How long an engine's list may lag behind its answers.
const LISTED: Duration = Duration::from_secs(2);

/// Machines as containers of one Docker engine.
pub struct DockerProvider {
    id: ProviderId,
    pub(crate) docker: Docker,
    pub(crate) address: EngineAddress,
}

impl DockerProvider {
    /// Connects and agrees on a version of the API.
    ///
    /// # Errors
    /// When the engine does not answer in time, or is older than 20.10.
    pub async fn connect(cx: &Context, address: EngineAddress) -> Result<Self> {
        let client = address.client()?;
        let docker = cx
            .within(Duration::from_secs(10))
            .run("asking the engine for its version", async {
                client.negotiate_version().await.map_err(|error| match error::failure("", "", error) {
                    ProviderError::Unreachable { why, .. } => address.unreachable(why),
                    other => address.unreachable(other),
                })
            })
            .await?;
        let version = docker.client_version();
        if (version.major_version, version.minor_version) < OLDEST_API {
            return Err(ProviderError::failed(
                format!("connecting to the engine at {}", address.uri()),
                format!("it speaks version {version} of the API, rig needs 1.41"),
            )
            .hinted("update the engine to Docker 20.10 or later"));
        }
        Ok(Self { id: provider_id(), docker, address })
    }

    /// Where this engine is.
    #[must_use]
    pub fn address(&self) -> &EngineAddress {
        &self.address
    }

    pub(crate) fn container(machine: &MachineRef) -> String {
        labels::container(&machine.workspace, &machine.id)
    }

    /// Waits until the engine's list agrees that a container has stopped: it is brought up to date a moment after the
    /// answer, and what is observed next has to be right.
    async fn listed_as_stopped(&self, name: &str) -> Result<()> {
        let filters = HashMap::from([
            ("name".to_owned(), vec![format!("^/{}$", name.replace('.', "\\."))]),
            ("status".to_owned(), vec!["running".to_owned()]),
        ]);
        let end = tokio::time::Instant::now() + LISTED;
        while tokio::time::Instant::now() < end {
            let options = ListContainersOptions { all: true, filters: Some(filters.clone()), ..Default::default() };
            let running = self.docker.list_containers(Some(options)).await;
            if running.map_err(|error| error::failure("listing containers", name, error))?.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A container that runs again was started again, by its restart policy or by somebody else.
        Ok(())
    }

    /// The container that has a machine's name; `None` when there is none.
    async fn existing(&self, machine: &ResolvedMachine) -> Result<Option<Existing>> {
        let name = labels::container(&machine.workspace, &machine.id);
        let details = match self.docker.inspect_container(&name, None).await {
            Ok(details) => details,
            Err(error) if error::is_absent(&error) => return Ok(None),
            Err(error) => return Err(error::failure(format!("looking at container {name}"), &name, error)),
        };
        let labels = details.config.and_then(|config| config.labels).unwrap_or_default();
        let networks = details.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Ok(Some(Existing {
            is_same: labels::digest(&labels) == Some(machine.digest()),
            networks: networks.into_keys().collect(),
        }))
    }

    /// Makes a machine's container; one that is there and the same is taken as it is. Returns the networks that it is on.
    async fn container_for(&self, doing: &str, machine: &ResolvedMachine) -> Result<HashSet<String>> {
        let name = labels::container(&machine.workspace, &machine.id);
        let host = self.address.host().map(AsRef::as_ref);
        loop {
            let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
            match self.docker.create_container(Some(options), create::body(machine, host)).await {
                Ok(_) => return Ok(HashSet::new()),
                Err(error) if error::is_conflict(&error) => match self.existing(machine).await? {
                    Some(there) if there.is_same => return Ok(there.networks),
                    Some(_) => {
                        return Err(ProviderError::failed(doing, format!("a container named {name} is there already"))
                            .hinted("remove or rename it, or give the workspace another name"));
                    }
                    // The engine gives the name away before it shows the container, and keeps it until the container's
                    // removal is over: a call that was cut is still at work. The caller's deadline bounds the wait.
                    None => tokio::time::sleep(PAUSE).await,
                },
                Err(error) => return Err(error::failure(doing, &name, error)),
            }
        }
    }

    /// Connects a machine to its networks beyond the first, as far as that has not been done before: a creation that was
    /// cut is finished by the next one.
    async fn connect_to_others(&self, machine: &ResolvedMachine, done: &HashSet<String>) -> Result<()> {
        for attachment in machine.networks.iter().skip(1) {
            let network = labels::network(&machine.workspace, &machine.id.topology, &attachment.network);
            if done.contains(&network) {
                continue;
            }
            let request = NetworkConnectRequest {
                container: labels::container(&machine.workspace, &machine.id),
                endpoint_config: Some(create::endpoint(machine, attachment)),
            };
            match self.docker.connect_network(&network, request).await {
                Ok(()) => {}
                Err(error) if error::is_connected(&error) => {}
                Err(error) => {
                    let doing = format!("connecting machine {} to network {network}", machine.id);
                    return Err(error::failure(doing, &network, error));
                }
            }
        }
        Ok(())
    }
}

/// What is known of a container before it is taken for a machine.
struct Existing {
    /// Whether it was made from the same properties.
    is_same: bool,
    /// The names of the networks that it is on.
    networks: HashSet<String>,
}

/// What the file calls this provider.
#[expect(clippy::expect_used, reason = "a constant that a test covers")]
pub(crate) fn provider_id() -> ProviderId {
    Name::new("docker").expect("docker is a name")
}

/// A filter for one label.
pub(crate) fn labelled(label: &str, value: &Name) -> Option<HashMap<String, Vec<String>>> {
    Some(HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])]))
}

#[async_trait]
impl Provider for DockerProvider {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    async fn probe(&self, cx: &Context) -> Result<EngineFacts> {
        let doing = "asking the engine what it has";
        let info =
            cx.run(doing, async { self.docker.info().await.map_err(|error| error::failure(doing, "", error)) }).await?;
        Ok(EngineFacts {
            endpoint: self.address.uri(),
            chosen_by: self.address.chosen_by.clone(),
            version: format!("Docker {}", info.server_version.unwrap_or_default()),
            memory: Bytes(info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default()),
            cpus: MilliCpus(info.ncpu.and_then(|cpus| u32::try_from(cpus * 1000).ok()).unwrap_or_default()),
            platform: format!("{}/{}", info.os_type.unwrap_or_default(), info.architecture.unwrap_or_default()),
            system: info.operating_system.filter(|name| !name.is_empty()),
            storage: info.driver.filter(|name| !name.is_empty()),
            local: self.address.is_local(),
            ports_here: self.address.is_local() || self.address.host().is_some(),
        })
    }

    fn validate(&self, machine: &MachineSpec, _: Option<&BoxSpec>) -> Vec<FieldIssue> {
        let mut issues = unknown_options(machine, &[]);
        if self.address.host().is_some() {
            issues.extend(on_host::issues(machine));
        } else if !self.address.is_local() {
            issues.extend(machine.syncs.iter().map(|sync| FieldIssue {
                field: format!("sync.{}", sync.target),
                message: format!("the engine at {} does not see this host's folders", self.address.uri()),
                hint: Some("use a local engine, or leave the `sync` out".to_owned()),
            }));
        }
        if machine.idiom == Idiom::Immutable && machine.security.privileged && machine.security.read_only {
            issues.push(FieldIssue {
                field: "privileged".to_owned(),
                message: "a privileged machine can write to its read-only root".to_owned(),
                hint: Some("drop `privileged` or `read-only`".to_owned()),
            });
        }
        issues
    }

    async fn workspaces(&self, cx: &Context) -> Result<BTreeSet<Name>> {
        let doing = "listing the engine's containers";
        let filters = HashMap::from([("label".to_owned(), vec![labels::WORKSPACE.to_owned()])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let list = async {
            self.docker.list_containers(Some(options)).await.map_err(|error| error::failure(doing, "", error))
        };
        let containers = cx.run(doing, list).await?;
        Ok(containers.iter().filter_map(|summary| labels::name(summary.labels.as_ref()?, labels::WORKSPACE)).collect())
    }

    async fn observe(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed> {
        let doing = "listing the engine's objects";
        let failed = |error| error::failure(doing, "", error);
        // Ports of other machines are found only in a list of all containers; without them the engine filters.
        let filters = if scope.host_ports { None } else { labelled(labels::WORKSPACE, workspace) };
        let containers = async {
            let options = ListContainersOptions { all: true, filters, ..Default::default() };
            self.docker.list_containers(Some(options)).await.map_err(failed)
        };
        let networks = async {
            if !scope.networks {
                return Ok(Vec::new());
            }
            self.docker.list_networks(None).await.map_err(failed)
        };
        let volumes = async {
            if !scope.volumes {
                return Ok(Vec::new());
            }
            let options = ListVolumesOptions { filters: labelled(labels::WORKSPACE, workspace) };
            let list = self.docker.list_volumes(Some(options)).await.map_err(failed)?;
            Ok(list.volumes.unwrap_or_default())
        };
        let boxes = async { if scope.boxes { self.list_boxes().await } else { Ok(Vec::new()) } };
        let all = async { tokio::try_join!(containers, networks, volumes, boxes) };
        let (containers, networks, volumes, boxes) = cx.run(doing, Box::pin(all)).await?;

        let mut observed = Observed { boxes, ..Observed::default() };
        for container in containers {
            let ports = if scope.host_ports { observe::host_ports(&container) } else { Vec::new() };
            match observe::machine(container, workspace) {
                Some(mut machine) => {
                    self.seen_from_here(&mut machine.ports);
                    observed.machines.push(machine);
                }
                None => observed.host_ports.extend(ports),
            }
        }
        for network in networks {
            match observe::network(&network, workspace) {
                Some(network) => observed.networks.push(network),
                None => observed.foreign_subnets.extend(observe::subnets(&network)),
            }
        }
        observe::settle_restored(&mut observed.machines);
        observed.volumes = volumes.into_iter().filter_map(|volume| observe::volume(volume, workspace)).collect();
        observed.machines.sort_by(|a, b| (&a.id.topology, &a.group, a.index).cmp(&(&b.id.topology, &b.group, b.index)));
        Ok(observed)
    }

    async fn inspect(&self, cx: &Context, machine: &MachineRef) -> Result<Option<ObservedMachine>> {
        let details = self.details(cx, machine).await?;
        Ok(details.and_then(|details| observe::inspected(details, &machine.workspace)).map(|mut machine| {
            self.seen_from_here(&mut machine.ports);
            machine
        }))
    }

    async fn create(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()> {
        let doing = format!("creating machine {}", machine.id);
        self.bring_folders(cx, machine).await?;
        cx.run(&doing, async {
            let networks = self.container_for(&doing, machine).await?;
            // Before the start, so that process 1 sees every address that it will ever have.
            self.connect_to_others(machine, &networks).await
        })
        .await
    }

    async fn start(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("starting machine {machine}");
        let ports = self.before_start(cx, machine).await?;
        let started = cx
            .run(&doing, async {
                match self.docker.start_container(&Self::container(machine), None::<StartContainerOptions>).await {
                    Ok(()) => Ok(()),
                    Err(error) if error::is_unchanged(&error) => Ok(()),
                    Err(error) => Err(error::failure(&doing, &Self::container(machine), error)),
                }
            })
            .await;
        self.after_start(cx, &ports, started).await
    }

    async fn stop(&self, cx: &Context, machine: &MachineRef, mode: StopMode) -> Result<()> {
        let doing = format!("stopping machine {machine}");
        let name = Self::container(machine);
        let ports = self.ports_on_host(cx, machine).await?;
        cx.run(&doing, async {
            let result = match mode {
                StopMode::Graceful(grace) => {
                    let seconds = i32::try_from(grace.as_secs().max(1)).unwrap_or(i32::MAX);
                    let options = StopContainerOptions { t: Some(seconds), ..Default::default() };
                    self.docker.stop_container(&name, Some(options)).await
                }
                // Not a stop without grace: that begins with TERM, and a quick process would end in its own way.
                StopMode::Kill => match self.docker.kill_container(&name, None::<KillContainerOptions>).await {
                    // It does not run.
                    Err(error) if error::is_conflict(&error) => Ok(()),
                    result => result,
                },
            };
            match result {
                Ok(()) => self.listed_as_stopped(&name).await,
                Err(error) if error::is_unchanged(&error) || error::is_absent(&error) => Ok(()),
                Err(error) => Err(error::failure(&doing, &name, error)),
            }
        })
        .await?;
        self.withdraw(cx, &ports).await
    }

    async fn destroy(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("destroying machine {machine}");
        let name = Self::container(machine);
        let ports = self.ports_on_host(cx, machine).await?;
        cx.run(&doing, async {
            let mut tries = 0;
            loop {
                let remains = self.remains(&doing, machine).await?;
                self.discard(&doing, &name).await?;
                tries += 1;
                match self.clear(&doing, remains).await {
                    // The engine has just done what a call that was cut had asked it for: it is looked at again.
                    Err(error) if tries < MOST_LOOKS && error::is_in_use(&error) => tokio::time::sleep(PAUSE).await,
                    result => return result,
                }
            }
        })
        .await?;
        self.withdraw(cx, &ports).await
    }

    async fn endpoint(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Endpoint>> {
        let seen = self.inspect(cx, machine).await?;
        Ok(seen.filter(|machine| machine.state.is_running()).map(|_| Endpoint::Exec))
    }

    fn changes(&self) -> Option<&dyn Changes> {
        Some(self)
    }
    fn usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }
    fn images(&self) -> Option<&dyn Images> {
        Some(self)
    }
    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }
    fn logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }
    fn networks(&self) -> Option<&dyn Networks> {
        Some(self)
    }
    fn volumes(&self) -> Option<&dyn Volumes> {
        Some(self)
    }
    fn dial(&self) -> Option<&dyn Dial> {
        Some(self)
    }
    fn suspension(&self) -> Option<&dyn Suspension> {
        Some(self)
    }
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }
    fn folders(&self) -> Option<&dyn Folders> {
        // An engine of this host has the folders themselves.
        self.address.host().map(|_| -> &dyn Folders { self })
    }
    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}
